"Filling pictures with the shipped weights: nothing under the hole matters, nothing outside it changes."
import pickle, subprocess, sys, time
from pathlib import Path
from itertools import product
import numpy as np, pytest, tifffile, torch, torch.nn.functional as F
from PIL import Image
from scipy import ndimage
from lbp_inpaint.filling import painting
from lbp_inpaint.cli import main
from lbp_inpaint.core import to_grey
from lbp_inpaint.errors import PictureError
from lbp_inpaint.image_files import read_image, to_tensor
from lbp_inpaint.lbp import lbp_codes
from lbp_inpaint.filling.folders import fill
from lbp_inpaint.nets.build import build_net
from lbp_inpaint.settings import MaskSettings
from lbp_inpaint.nets.weights import load_net, save_net
from lbp_inpaint.filling.inpainter import Inpainter
from lbp_inpaint.filling.windows import CELL, HolePixels, Window, hole_windows, masked_resize
from lbp_inpaint.filling.seams import seam_score, spread
from lbp_inpaint.masks import irregular_mask
from lbp_inpaint.pictures import Picture

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

@pytest.mark.parametrize('mode', ('L','LA','RGBA','CMYK','1'))
def test_a_picture_keeps_its_mode(mode, case, small):
    levels,hole = case
    im = Image.fromarray(levels).convert(mode)
    out = small(im, hole)
    assert out.mode==mode and (np.asarray(out)[~hole]==np.asarray(im)[~hole]).all() and (np.asarray(out)[hole]!=np.asarray(im)[hole]).any()

def test_grey_arrays_and_grey_pictures_agree(case, small):
    levels,hole = case[0][...,0],case[1]
    assert small(levels, hole).tobytes()==small(Image.fromarray(levels), hole).tobytes()

@pytest.mark.parametrize('dtype', (np.uint16,np.float32))
def test_depth_is_kept_and_used(dtype, case, tmp_path, small):
    "A 16-bit or floating-point picture keeps its known levels, and its hole is not limited to 256 of them"
    levels,hole = case
    top = 65535 if dtype==np.uint16 else 1
    deep = (np.random.default_rng(0).random(levels.shape)*.01*top + levels/255*top*.98).astype(dtype)
    tifffile.imwrite(tmp_path/'deep.tif', deep, photometric='rgb')
    picture,out = Picture(tmp_path/'deep.tif'),tmp_path/'out.tif'
    small.fill(picture, hole)[0].save(out)
    back = tifffile.imread(out)
    assert back.dtype==dtype and (back[~hole]==deep[~hole]).all() and len(np.unique(back[hole]))>1000

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

@pytest.mark.parametrize('seed', range(4))
def test_with_detail_too_nothing_under_the_hole_shows_and_the_rest_stays(seed, photographs, small):
    rng = np.random.default_rng(seed)
    levels,hole = random_case(rng, photographs)
    inp = Inpainter(small.net, 'cpu', detail=True)
    out = np.array(inp(levels, hole))
    assert out.shape==levels.shape and (out[~hole]==levels[~hole]).all()
    other = levels.copy(); other[hole] = rng.integers(0, 256, other[hole].shape)
    assert (np.array(inp(other, hole))==out).all()

def test_the_command_line_gives_the_same_detail_and_plain_fills_without_it(case, tmp_path, small):
    picture,mask,_ = files(tmp_path, *case)
    fill(picture, mask, tmp_path/'plain.png', device='cpu')
    assert main(['fill', str(picture), str(mask), '-o', str(tmp_path/'sharp.png'), '--detail', '--device', 'cpu'])==0
    plain,sharp = (np.array(Image.open(tmp_path/f'{o}.png')).astype(float) for o in ('plain','sharp'))
    hole = case[1]
    assert (sharp==np.array(Inpainter(small.net, 'cpu', detail=True)(*case))).all() and (plain==np.array(small(*case))).all()
    inner = ndimage.binary_erosion(hole, iterations=5)
    def roughness(x): return np.abs(x-ndimage.gaussian_filter(x, (3,3,0)))[inner].mean()
    assert roughness(sharp)>1.5*roughness(plain) and roughness(sharp)<2*roughness(case[0].astype(float))
    assert abs(sharp[inner].mean()-plain[inner].mean())<5, 'colours stay those of the fill'

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
    net = build_net(nf=2, top_t=3, include_self=False, threshold='ge', border='wrap', hole_value=0.)
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

# large pictures

@pytest.mark.parametrize('seed', range(30))
def test_every_hole_pixel_is_near_the_middle_of_a_window_of_its_own(seed):
    "and no window is wider than the hole is thick demands, so that a scratch is not seen from afar"
    rng = np.random.default_rng(seed)
    h,w = rng.integers(200, 1500, 2)
    y,x = np.mgrid[:h,:w]
    hole = np.zeros((h,w), bool)
    for _ in range(rng.integers(1,4)):
        a,b,c = rng.uniform(-1,1,3)
        hole |= abs(a*(y-h/2)+b*(x-w/2)+c*100)<rng.uniform(1,12)
        hole |= (y-rng.uniform(0,h))**2+(x-rng.uniform(0,w))**2<rng.uniform(3,150)**2
    windows,groups = hole_windows(hole)
    nearest = np.full(hole.shape, np.inf)
    for v in windows:
        off = np.maximum(abs(y+.5-v.top-v.side/2), abs(x+.5-v.left-v.side/2))/v.side
        mine = groups[y//CELL,x//CELL]==v.group
        nearest[mine] = np.minimum(nearest, off)[mine]
        assert 256<=v.side<=max(h,w)+1024
    assert (nearest[hole]<.5).all()
    thin = hole_windows(abs(y-x*h/w)<4)[0]
    assert {v.side for v in thin}=={256}

@pytest.mark.parametrize('name,k,shape', (('rocket',2,'disc'),('coffee',3,'scratch'),('astronaut',3,'disc'),('chelsea',4,'both')))
def test_no_seam_shows(name, k, shape, photographs, small):
    "The border of the hole has no larger steps than one and a half times those of the picture around it; painted black it has"
    im = Image.fromarray(photographs[name])
    levels = np.array(im.resize((im.width*k,im.height*k), Image.Resampling.BICUBIC))
    y,x = np.mgrid[:levels.shape[0],:levels.shape[1]]
    hole = np.zeros(y.shape, bool)
    if shape!='scratch': hole |= (y-y.max()*.4)**2+(x-x.max()*.6)**2<(y.max()*.15)**2
    if shape!='disc': hole |= abs(y-.5*x-50)<7
    out = np.array(small(levels, hole))
    assert (out[~hole]==levels[~hole]).all()
    assert seam_score(out, hole)<1.5<seam_score(np.where(hole[...,None], 0, levels), hole)

def test_tiles_do_not_show(small, monkeypatch):
    "The last pass gives the same in tiles of 512 pixels and in one: no difference as large as half a grey level"
    rng = np.random.default_rng(0)
    y,x = np.mgrid[:700,:1400]
    levels = np.stack([120+60*np.sin(x/70+i)+rng.normal(0,2,x.shape) for i in range(3)], -1).clip(0,255).astype(np.uint8)
    hole = (abs(y-512)<30)&(x>60)&(x<1340) | ((y-300)**2+(x-1020)**2<90**2)
    tiled,_ = small.paint(levels, hole)
    monkeypatch.setattr(painting, '_tiles', lambda hole: [((0,0,*hole.shape),)*2])
    whole,_ = small.paint(levels, hole)
    assert abs(tiled-whole).max()*255<.5

# detail at the picture's own scale

def large_case(photographs, name='astronaut'):
    "A photograph of 512 pixels, and a hole in it whose windows are scaled"
    levels = photographs[name]
    y,x = np.mgrid[:levels.shape[0],:levels.shape[1]]
    return levels,(y-260)**2+(x-250)**2<95**2

def undrawn(monkeypatch): monkeypatch.setattr(painting, '_draw_detail', lambda values, *args: values)

def drawn_by_hand(levels, hole, values, patch=24, step=12, spacing=3):
    "One window of twice the networks' size, which is the picture; in numpy, patch by patch"
    now = levels.copy(); now[hole] = np.rint((values+1)*127.5).clip(0, 255)
    n,full = levels.shape[0]//2,now/127.5-1
    cells,missing = full.reshape(n,2,n,2,3).mean((1,3)),hole.reshape(n,2,n,2).any((1,3))
    soft = np.stack([ndimage.gaussian_filter(cells[...,c], 2, mode='mirror', truncate=3) for c in range(3)], -1)
    fine,given,bell = cells-soft,(~missing).astype(float),np.hanning(patch+2)[1:-1]
    sources = [(y,x) for y,x in product(range(0, n-patch+1, spacing), repeat=2) if not missing[y:y+patch,x:x+patch].any()]
    strength = spread(torch.from_numpy(abs(fine).mean(-1))[None,None].float(), torch.from_numpy(given)[None,None].float())[0,0].numpy()
    known,used,res,plan = fine.copy(),np.zeros(len(sources)),fine*given[...,None],[]
    total,weight,fade = np.zeros_like(fine),np.zeros((n,n)),np.outer(bell, bell)
    def at(p, side=patch): return slice(p[0],p[0]+side),slice(p[1],p[1]+side)
    def outline(x): return x.reshape(patch//4, 4, patch//4, 4, 3).mean((1,3))
    def cost(place, source):
        apart = ((outline(soft[at(place)])-outline(soft[at(source)]))**2).mean()
        fits = (((known[at(source)]-res[at(place)])**2)*given[at(place)][...,None]).sum()/(3*patch*patch)
        return apart + fits + 16*(strength[at(place)].mean()-abs(known[at(source)]).mean())**2
    todo = [p for p in product(range(0, n-patch+1, step), repeat=2) if missing[at(p)].any()]
    while todo:
        have = {p:given[at(p)].mean() for p in todo}
        first = max(todo, key=have.get)
        batch = [p for p in todo if have[p]>=.7*have[first] and all((a-b)//step%2==0 for a,b in zip(p, first))]
        costs = {p:np.array([cost(p, s) for s in sources]) for p in batch}
        for p in batch:
            best = int((costs[p]+used).argmin())
            s = sources[best]
            used += [.002*max(0, 1-2*max(abs(a-b) for a,b in zip(s, o))/patch) for o in sources]
            total[at(p)] += known[at(s)]*fade[...,None]; weight[at(p)] += fade**2
            todo.remove(p); plan.append((p,s))
        for p in batch:
            inside = missing[at(p)]
            res[at(p)][inside] = (total[at(p)]/np.sqrt(weight[at(p)].clip(1e-6))[...,None])[inside]
            given[at(p)][inside&(fade>.2)] = 1
    smooth = F.interpolate(torch.from_numpy(soft).permute(2,0,1)[None], scale_factor=2, mode='bilinear')[0].permute(1,2,0).numpy()
    bell = np.hanning(2*patch+2)[1:-1]
    total,weight,fade = np.zeros_like(full),np.zeros(hole.shape),np.outer(bell, bell)
    for p,s in plan:
        p,s = (at([2*o for o in q], 2*patch) for q in (p,s))
        total[p] += (full-smooth)[s]*fade[...,None]; weight[p] += fade**2
    return (smooth+total/np.sqrt(weight.clip(1e-6))[...,None]).clip(-1, 1)[hole]

@pytest.mark.parametrize('name', ('astronaut','coffee'))
def test_detail_equals_patches_laid_by_hand(name, photographs):
    levels = photographs[name][150:246,200:296].copy()
    hole = np.zeros((96,96), bool); hole[40:80,56:] = True
    pixels = HolePixels(hole)
    values = np.clip(np.random.default_rng(0).normal(0, .02, (pixels.n,3))+levels[~hole].mean(0)/127.5-1, -1, 1).astype(np.float32)
    got = painting._draw_detail(values, levels, hole, pixels, [Window(0,0,96,1)], np.zeros(pixels.n, np.int32), 48)
    np.testing.assert_allclose(got, drawn_by_hand(levels, hole, values), atol=2e-3)
    assert (got.std(0)>2*values.std(0)).all()

@pytest.mark.parametrize('name', ('astronaut','coffee','chelsea'))
def test_no_line_shows_where_windows_meet(name, photographs):
    "Steps across the common line of two windows that draw one hole are like those beside it"
    levels = photographs[name][:300,:400]
    hole = np.zeros((300,400), bool); hole[100:200,100:340] = True
    pixels,line = HolePixels(hole),220
    _,x = np.nonzero(hole)
    values = np.full((pixels.n,3), levels[~hole].mean()/127.5-1, np.float32)
    windows = [Window(0,o,300,1) for o in (0,100)]
    levels = levels.copy()
    levels[hole] = (painting._draw_detail(values, levels, hole, pixels, windows, 1*(x>=line), 150)+1)*127.5
    steps = np.abs(np.diff(levels[100:200].astype(float), axis=1)).mean((0,2))
    assert steps[line-1]<1.3*steps[line-13:line+12].mean()

def test_a_large_hole_is_as_sharp_as_its_surroundings(photographs, small, monkeypatch):
    levels,hole = large_case(photographs)
    inner,ring = ndimage.binary_erosion(hole, iterations=4),ndimage.binary_dilation(hole, iterations=50)&~hole
    def roughness(x, where): return np.abs(x-ndimage.gaussian_filter(x.astype(float), (1,1,0)))[where].mean()
    sharp = np.array(small(levels, hole))
    undrawn(monkeypatch)
    cloud = np.array(small(levels, hole))
    want = roughness(levels, ring)
    assert roughness(cloud, inner)<.4*want and .5*want<roughness(sharp, inner)<1.5*want
    assert abs(sharp[inner].mean()-cloud[inner].mean())<5, 'colours stay those of the fill'

def test_nothing_under_a_large_hole_nor_transparent_shows(photographs, small, rng):
    levels,hole = large_case(photographs)
    unknown = hole.copy(); unknown[:,100:170] = True
    for where in (hole, unknown):
        want = small.paint(levels, hole, where)
        other = levels.copy(); other[where] = rng.integers(0, 256, (where.sum(),3))
        for a,b in zip(small.paint(other, hole, where), want): assert (a==b).all()

def test_the_same_again_and_in_any_batch(photographs):
    levels,hole = large_case(photographs)
    inp = Inpainter.from_pretrained('small', 'cpu')
    want = inp.paint(levels, hole)[0]
    assert (inp.paint(levels, hole)[0]==want).all()
    inp.batch = 1
    assert abs(inp.paint(levels, hole)[0]-want).mean()*255<.5, 'convolutions of a batch differ in their last bits'

def test_what_fits_a_window_is_as_it_was(photographs, small, monkeypatch):
    "A hole that is seen at full size, also in a picture that is smaller than a window, or beside a large one"
    levels,hole = large_case(photographs)
    few = np.zeros_like(hole); few[20:40,30:420] = True
    cases = [(levels,few),(levels[:100,:150],few[:100,:150]),(levels,hole|few)]
    drawn = [small.paint(*o)[0] for o in cases]
    undrawn(monkeypatch)
    for (picture,h),a in zip(cases, drawn):
        same = few[:h.shape[0],:h.shape[1]][h]
        assert (small.paint(picture, h)[0][same]==a[same]).all()

def test_a_picture_that_is_nearly_all_hole_and_a_strip(small, rng):
    "Where no patch is known, and where a picture is thinner than one"
    levels = rng.integers(0, 256, (700,600,3)).astype(np.uint8)
    for shape in ((700,600),(9,600)):
        hole = np.ones(shape, bool); hole[:3] = hole[-3:] = False
        colours,_ = small.paint(levels[:shape[0]], hole)
        assert len(colours)==hole.sum() and np.isfinite(colours).all() and 0<=colours.min() and colours.max()<=1

def test_doors_fill_a_large_hole_alike(photographs, tmp_path, small):
    levels,hole = large_case(photographs)
    picture,mask,out = files(tmp_path, levels, hole)
    fill(picture, mask, out, device='cpu')
    with Image.open(out) as im: assert im.tobytes()==small(levels, hole).tobytes()

def test_settings_and_arguments_fill_alike_and_windows_are_found_once(case, small, monkeypatch):
    levels,hole = case
    calls,seen,find = [],[],painting.hole_windows
    monkeypatch.setattr(painting, 'hole_windows', lambda *args: calls.append(args) or find(*args))
    one = small.fill_by(MaskSettings(dilate=3), Picture(levels), hole, watch=lambda n, of: seen.append((n,of)))
    assert len(calls)==1 and sum(n for n,_ in seen)==seen[0][1]==len(find(one[1])[0])
    two = small.fill(Picture(levels), hole, dilate=3)
    assert (one[0].rgb==two[0].rgb).all() and (one[1]==two[1]).all() and (one[2]==two[2]).all()

def test_eight_planes_are_shown_as_the_map_that_they_stand_for(case):
    levels,hole = case[0][:256,:256],case[1][:256,:256]
    inp = Inpainter(build_net(nf=2, guidance='planes').eval(), 'cpu')
    picture,_,codes = inp.fill(Picture(levels), hole)
    assert ((codes>=0)&(codes<=255)).all() and len(np.unique(codes))>10
    shown,whole = np.asarray(inp.lbp_picture(picture, hole, codes)),lbp_codes(to_grey(to_tensor(levels)[None]))[0,0].numpy()
    far = ~ndimage.binary_dilation(hole, np.ones((3,3)))
    assert (shown[far]==whole[far]).all() and (shown[hole]==codes.round()).all()
    assert inp.explain(levels, hole, 200, 120).lbp.size==(256,256)

def test_a_fill_leaves_chance_alone(case):
    "Loading weights draws none of the caller's random numbers, and filling neither; a copy by pickle too"
    state,levels = torch.get_rng_state(),np.random.get_state()[1].copy()
    inp = Inpainter.from_pretrained('small', 'cpu')
    inp(*case); pickle.loads(pickle.dumps(inp))
    assert torch.equal(torch.get_rng_state(), state) and (np.random.get_state()[1]==levels).all()

# limits

def test_24_megapixels_in_one_and_a_half_gigabytes(tmp_path):
    "Through the command line, in a process of its own"
    done = subprocess.run([sys.executable, str(Path(__file__).parent/'large.py'), '6000', '4000', str(tmp_path)], capture_output=True, text=True)
    assert done.returncode==0, done.stderr
    gigabytes = float(done.stdout.split(' GB')[0].split()[-1])
    assert gigabytes<1.5, done.stdout

def test_too_many_pixels_are_refused_from_the_header(tmp_path):
    "In less than a second, for every format that states its size first"
    Image.new('1', (20_000,11_000)).save(tmp_path/'p.png'); Image.new('1', (20_000,11_000)).save(tmp_path/'p.tif', compression='group4'); Image.new('1', (20_000,11_000)).save(tmp_path/'p.bmp')
    for end in ('png','tif','bmp'):
        start = time.perf_counter()
        with pytest.raises(PictureError, match='220.0 megapixels'): read_image(tmp_path/f'p.{end}')
        assert time.perf_counter()-start<1
    assert Image.MAX_IMAGE_PIXELS is not None
