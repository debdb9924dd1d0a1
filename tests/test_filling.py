"Filling pictures with the shipped weights: nothing under the hole matters, nothing outside it changes."
import numpy as np, pytest, torch
from PIL import Image
from lbp_inpaint.generator import InpaintNet, load_net, save_net
from lbp_inpaint.files import fill
from lbp_inpaint.inference import masked_resize
from lbp_inpaint.masks import irregular_mask

def random_hole(rng, h, w):
    "Strokes or one to three rectangles, neither empty nor everything"
    hole = np.zeros((h,w), bool)
    if rng.random()<.5:
        strokes = irregular_mask(max(h,w), (.1,.4), torch.Generator().manual_seed(int(rng.integers(1<<30))))
        hole = strokes[0,:h,:w].numpy()>0
    if not hole.any():
        for _ in range(rng.integers(1,4)):
            y,x = rng.integers(0,h),rng.integers(0,w)
            hole[y:y+rng.integers(1,h//2+2), x:x+rng.integers(1,w//2+2)] = True
    hole[rng.integers(0,h),rng.integers(0,w)] = False
    if not hole.any(): hole[0,0] = True
    return hole

def random_case(rng, photographs, longest=420):
    "A crop of a photograph, sides from 3 to `longest`, and a hole"
    levels = photographs[rng.choice(sorted(photographs))]
    h,w = (int(rng.integers(3, min(n,longest)+1)) for n in levels.shape[:2])
    y,x = rng.integers(0, levels.shape[0]-h+1),rng.integers(0, levels.shape[1]-w+1)
    return levels[y:y+h,x:x+w].copy(),random_hole(rng, h, w)

@pytest.fixture
def case(photographs):
    "A photograph, 300x451, with a round hole"
    levels = photographs['chelsea']
    y,x = np.mgrid[:300,:451]
    return levels,(y-120)**2+(x-200)**2<50**2

def files(tmp_path, levels, hole):
    "Paths of picture, mask and output"
    paths = [tmp_path/f'{n}.png' for n in ('picture','mask','out')]
    Image.fromarray(levels).save(paths[0]); Image.fromarray(hole).save(paths[1])
    return paths

@pytest.mark.parametrize('seed', range(50))
def test_what_is_under_the_hole_never_shows_and_the_rest_stays(seed, photographs, small):
    rng = np.random.default_rng(seed)
    levels,hole = random_case(rng, photographs)
    out = np.array(small(levels, hole))
    assert out.shape==levels.shape and (out[~hole]==levels[~hole]).all()
    for under in (rng.integers(0, 256, levels.shape), np.zeros_like(levels), 255-levels):
        other = np.where(hole[...,None], under, levels).astype(np.uint8)
        assert (np.array(small(other, hole))==out).all()

def test_the_fill_is_not_what_was_there_nor_flat(case, small):
    levels,hole = case
    out = np.array(small(levels, hole))[hole]
    assert (out!=levels[hole]).any(1).mean()>.9 and out.std(0).min()>1

def test_what_is_around_the_hole_does_show(case, small):
    levels,hole = case
    assert (np.array(small(255-levels, hole))[hole]!=np.array(small(levels, hole))[hole]).any(1).mean()>.9

def test_png_files_keep_known_pixels(case, tmp_path):
    levels,hole = case
    picture,mask,out = files(tmp_path, levels, hole)
    assert fill(picture, mask, out, device='cpu')==[out]
    with Image.open(out) as im: assert im.mode=='RGB' and im.size==(451,300) and (np.array(im)[~hole]==levels[~hole]).all()

def test_paths_pillow_and_arrays_agree(case, tmp_path, small):
    levels,hole = case
    picture,mask,_ = files(tmp_path, levels, hole)
    outs = [small(picture, mask), small(str(picture), str(mask)), small(Image.open(picture), Image.open(mask)), small(levels, hole), small(levels, hole.astype(np.uint8)*255)]
    assert all(type(o) is Image.Image and o.mode=='RGB' and o.tobytes()==outs[0].tobytes() for o in outs)

def test_pictures_of_a_batch_do_not_meet(photographs, small):
    image = torch.stack([torch.from_numpy(o[:256,:256].copy()).permute(2,0,1)/127.5-1 for o in photographs.values()])
    gen = torch.Generator().manual_seed(0)
    mask = torch.stack([irregular_mask(generator=gen) for _ in image])
    with torch.no_grad():
        together = small.net(image, mask)
        for i in range(len(image)):
            for a,b in zip(together, small.net(image[i:i+1], mask[i:i+1])): assert torch.allclose(a[i:i+1], b, atol=1e-4)

@pytest.mark.parametrize('h,w', ((1,2),(2,2),(1,300),(300,1),(2,700)))
def test_extreme_sizes(h, w, rng, small):
    levels,hole = rng.integers(0, 256, (h,w,3)).astype(np.uint8),np.zeros((h,w), bool)
    hole[-1,w//2:-1 if w>2 else None] = True
    if h==300: hole[100:200] = True; hole[-1] = False
    out = np.array(small(levels, hole))
    assert out.shape==levels.shape and (out[~hole]==levels[~hole]).all()
    other = np.where(hole[...,None], 255-levels, levels)
    assert (np.array(small(other, hole))==out).all()

def test_a_grey_picture_becomes_rgb(case, small):
    levels,hole = case[0][...,0],case[1]
    out = small(levels, hole)
    assert out.mode=='RGB' and (np.array(out)[~hole]==levels[~hole][:,None]).all()
    assert out.tobytes()==small(Image.fromarray(levels), hole).tobytes()

def test_a_turned_photograph_is_filled_upright(case, tmp_path, small):
    levels,hole = case
    picture,mask,out = files(tmp_path, levels, hole)
    turned,exif = tmp_path/'turned.png',Image.Exif()
    exif[0x112] = 6 # as a camera held upright writes it: turn by 90 degrees to the right to see it
    Image.fromarray(np.rot90(levels)).save(turned, exif=exif)
    fill(turned, mask, out, device='cpu')
    with Image.open(out) as im:
        assert im.getexif().get(0x112, 1)==1
        assert im.tobytes()==small(picture, mask).tobytes()

def test_several_holes_are_all_filled(photographs, small):
    levels,hole = photographs['rocket'],np.zeros((427,640), bool)
    for y,x in ((0,0),(5,600),(200,300),(400,10),(420,630)): hole[y:y+20,x:x+20] = True
    marked = levels.copy(); marked[hole] = 255,0,255
    out = np.array(small(marked, hole))
    assert not (out[hole]==(255,0,255)).all(1).any()

def test_a_folder_is_filled_picture_by_picture(photographs, tmp_path, small):
    pictures,masks = tmp_path/'pictures',tmp_path/'masks'
    pictures.mkdir(); masks.mkdir()
    cases = {n: (levels[:70,:80],random_hole(np.random.default_rng(i), 70, 80)) for i,(n,levels) in enumerate(photographs.items())}
    for n,(levels,hole) in cases.items(): Image.fromarray(levels).save(pictures/f'{n}.png'); Image.fromarray(hole).save(masks/f'{n}.png')
    fill(pictures, masks, tmp_path/'out', device='cpu')
    assert {o.stem for o in (tmp_path/'out').iterdir()}==set(cases)
    for n,c in cases.items():
        with Image.open(tmp_path/'out'/f'{n}.png') as im: assert im.tobytes()==small(*c).tobytes()

def test_weights_come_back_exactly(tmp_path):
    torch.manual_seed(0)
    net = InpaintNet(2, top_t=3, include_self=False, threshold='ge', border='wrap', hole_value=0.)
    save_net(net, tmp_path)
    back = load_net(tmp_path)
    assert back.config==net.config and back.state_dict().keys()==net.state_dict().keys()
    for k,v in net.state_dict().items(): assert back.state_dict()[k].dtype==torch.float32 and torch.equal(back.state_dict()[k], v)

def test_the_network_alone_does_not_look_under_the_hole(photographs, small):
    image = torch.from_numpy(photographs['coffee'][:256,:256].copy()).permute(2,0,1)[None]/127.5-1
    mask = irregular_mask(generator=torch.Generator().manual_seed(0))[None]
    with torch.no_grad():
        for a,b in zip(small.net(image, mask), small.net(torch.where(mask.bool(), -image, image), mask)): assert torch.equal(a, b)

@pytest.mark.parametrize('size', ((256,256),(40,30),(100,90)))
def test_scaling_a_picture_mixes_nothing_from_the_hole_into_it(size, rng):
    image = torch.full((1,3,100,90), .25)
    mask = torch.from_numpy(rng.random((1,1,100,90))<.02).float()
    scaled,hole = masked_resize(torch.where(mask.bool(), torch.randn(1,3,100,90), image), mask, size)
    assert 0<hole.mean()<1 and scaled.shape[2:]==hole.shape[2:]==size
    assert torch.allclose(scaled[(hole==0).expand_as(scaled)], torch.tensor(.25), atol=1e-5)
