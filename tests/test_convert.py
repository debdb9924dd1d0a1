"The published weights: their networks against a slow reference in float64, files there and back, files that are none."
import json, os
from itertools import pairwise
import numpy as np, pytest, torch, torch.nn.functional as F
from fastai.torch_core import set_seed
from PIL import Image
from lbp_inpaint.nets.release import release_attention
from lbp_inpaint.cli import main
from lbp_inpaint.nets.convert import convert_release, from_release, to_release
from lbp_inpaint.training.data import InpaintDataLoaders
from lbp_inpaint.nets.build import build_net
from lbp_inpaint.nets.generator import InpaintNet
from lbp_inpaint.nets.weights import find_weights, load_net, load_tensors, read_about, save_net, save_tensors
from older import save_old
from lbp_inpaint.filling.inpainter import Inpainter
from lbp_inpaint.training.phases import inpaint_learner
from lbp_inpaint.masks import center_mask, irregular_mask
from test_mistakes import WEIGHTS, one_sentence, refused

# State dicts with the published keys and shapes

def layers(image, nf):
    "Name, channels in, channels out of each layer, as published: encoder, then decoder"
    s,out = '1' if image else '',3 if image else 1
    widths = [5 if image else 2, nf, 2*nf, 4*nf, 8*nf, 8*nf, 8*nf, 8*nf, 8*nf]
    names = [f'dn1{s}.0', *(f'dn{k}{s}.1' for k in range(2,8)), f'bottle{s}.1']
    up3 = ('up311.0', 12*nf, 2*nf) if image else ('up3.1', 8*nf, 2*nf)
    return ([(n,a,b) for n,(a,b) in zip(names, pairwise(widths))],
        [(f'bottle{s}.3',8*nf,8*nf), *((f'up{k}{s}.1',16*nf,8*nf) for k in (7,6,5)), (f'up4{s}.1',16*nf,4*nf), up3, (f'up2{s}.1',4*nf,nf), (f'up1{s}.1',2*nf,out)])

def published(image, nf=4, seed=0, std=.05):
    gen,state = torch.Generator().manual_seed(2*seed+image),{}
    for transposed,part in enumerate(layers(image, nf)):
        for name,a,b in part:
            state[f'{name}.weight'] = torch.randn(*((a,b) if transposed else (b,a)), 4, 4, generator=gen)*std
            state[f'{name}.bias'] = torch.randn(b, generator=gen)*.2
    return state

def both(nf=4, seed=0): return published(False, nf, seed),published(True, nf, seed)

# The reference

def codes_reference(grey):
    rows,res = grey.tolist(),np.zeros(grey.shape, int)
    for bit,(dy,dx) in enumerate([(-1,1),(0,1),(1,1),(1,0),(1,-1),(0,-1),(-1,-1),(-1,0)]):
        for y,row in enumerate(rows):
            for x,centre in enumerate(row):
                try: res[y,x] |= (rows[y+dy][x+dx]>=centre)<<bit # -1 is the last one, beyond the end is none
                except IndexError: pass
    return res

def attention_reference(g, k, cells):
    "`(C,h,w)`, `(C,h,w)`, `(h,w)`: arrays of float64"
    hole,res = cells>0,np.zeros_like(g)
    groups,scores,found = (k[:,~hole].T,g[:,hole].T),[],[]
    for q in groups[1]:
        sims = [f@q/np.maximum(np.linalg.norm(f, axis=1)*np.linalg.norm(q), 1e-12) for f in groups]
        best = [(s[i],f[i]) for s,f in zip(sims, groups) for i in np.argsort(-s)[:2]]
        scores.append([s for s,_ in best]); found.append(np.stack([v for _,v in best]))
    if found:
        w = np.exp(np.mean(scores, 0))
        res[:,hole] = np.stack([w/w.sum()@f for f in found]).T
    return res

def unet_reference(state, x, mask):
    image = 'dn11.0.weight' in state
    down,up = layers(image, len(state['dn11.0.bias' if image else 'dn1.0.bias']))
    def wb(name): return [state[f'{name}.{p}'].double() for p in ('weight','bias')]
    def norm(x): m = x.mean((2,3), keepdim=True); return (x-m)/(((x-m)**2).mean((2,3), keepdim=True)+1e-5)**.5
    skips = []
    for i,(name,*_) in enumerate(down):
        x = F.conv2d(F.leaky_relu(x, .2) if i else x, *wb(name), stride=2, padding=1)
        if 0<i<7: x = norm(x)
        skips.append(x)
    x = skips.pop()
    for i,(name,*_) in enumerate(up):
        if i: x = torch.cat([x, skips.pop()], 1)
        x = x.relu()
        if name=='up311.0':
            g,k = x[0].numpy().reshape(2,-1,*x.shape[2:])
            x = torch.cat([x, torch.from_numpy(attention_reference(g, k, mask[0,0,::8,::8].numpy()))[None]], 1)
        x = F.conv_transpose2d(x, *wb(name), stride=2, padding=1)
        if i<7: x = norm(x)
    return x.tanh()

@torch.no_grad()
def reference(lbp_state, image_state, levels, mask):
    "uint8 `(H,W,3)` RGB and `(H,W)`: LBP map `(1,1,H,W)` and RGB picture `(1,3,H,W)`, float64"
    white = np.where(mask[...,None]>0, 255, levels).astype(int)
    grey = (white@[9798,19235,3735]+16384)>>15
    hole = torch.from_numpy(mask)[None,None].double()
    lbp = (torch.from_numpy(codes_reference(grey))[None,None]/127.5-1)*(1-hole)
    bgr = (torch.from_numpy(levels[...,::-1].copy()).permute(2,0,1)[None]/127.5-1)*(1-hole)
    lbp = (unet_reference(lbp_state, torch.cat([lbp, 1-hole], 1), hole)+lbp)*hole + lbp*(1-hole)
    fill = (unet_reference(image_state, torch.cat([bgr, lbp, 1-hole], 1), hole)+bgr)*hole + bgr*(1-hole)
    return lbp,fill.flip(1)

def tensors(levels, masks):
    return torch.from_numpy(np.stack(levels)).permute(0,3,1,2)/127.5-1,torch.from_numpy(np.stack(masks))[:,None]

def strokes(seed, ratio, size=256): return irregular_mask(size, ratio, torch.Generator().manual_seed(seed))[0].numpy()

def apart(ours, theirs): return max(float((a.double()-b).abs().max()) for a,b in zip(ours, theirs))

def test_equals_the_reference_sample_by_sample(photographs):
    "The edges of pictures and holes count: each hole reaches a border or lies in the middle"
    levels = [o[:256,:256] for o in (photographs['coffee'],photographs['chelsea'],photographs['astronaut'])]
    masks = [center_mask()[0].numpy(), strokes(0, (.1,.2)), strokes(3, (.4,.5))]
    pair = both(8)
    net = from_release(*pair)
    with torch.no_grad(): lbp,fill = net(*tensors(levels, masks))
    for i,(x,m) in enumerate(zip(levels, masks)): assert apart((lbp[i:i+1],fill[i:i+1]), reference(*pair, x, m))<1e-4

def test_equals_the_reference_at_another_size(photographs):
    levels,mask = photographs['coffee'][100:356,:512],np.zeros((256,512), np.float32)
    mask[30:140,333:500] = 1
    pair = both(4, seed=1)
    with torch.no_grad(): assert apart(from_release(*pair)(*tensors([levels], [mask])), reference(*pair, levels, mask))<1e-4

@pytest.mark.parametrize('y,x', ((0,0),(128,64),(9,9),(255,255)))
def test_equals_the_reference_for_one_pixel(y, x, photographs):
    "(0,0) and (128,64) are one missing cell at 32x32, the others none; all but one pixel, the same the other way round"
    levels,mask = photographs['chelsea'][:256,:256],np.zeros((256,256), np.float32)
    mask[y,x] = 1
    pair = both(8)
    net = from_release(*pair)
    with torch.no_grad():
        for m in (mask,1-mask): assert apart(net(*tensors([levels], [m])), reference(*pair, levels, m))<1e-4

@pytest.fixture(scope='module')
def net(): return from_release(*both(4))

def test_a_sample_does_not_depend_on_its_batch(net, photographs):
    image,mask = tensors([photographs[n][:256,:256] for n in ('coffee','rocket','chelsea')], [strokes(i, r) for i,r in enumerate([(.1,.2),(.3,.4),(.01,.02)])])
    with torch.no_grad():
        together = net(image, mask)
        for i in range(3): assert apart(net(image[i:i+1], mask[i:i+1]), [o[i:i+1].double() for o in together])<1e-5

def test_what_is_under_the_hole_does_not_matter_and_what_is_around_it_stays(net, photographs):
    image,mask = tensors([photographs['coffee'][:256,:256]], [strokes(1, (.2,.3))])
    hole = mask.bool()
    with torch.no_grad():
        lbp,fill = net(image, mask)
        for other in (-image, torch.ones_like(image), torch.full_like(image, torch.nan), torch.full_like(image, torch.inf)):
            for a,b in zip(net(torch.where(hole, other, image), mask), (lbp,fill)): assert torch.equal(a, b)
    assert torch.equal(fill[~hole.expand_as(fill)], image[~hole.expand_as(image)])
    known = codes_reference(((np.where(mask[0,0,...,None].numpy()>0, 255, photographs['coffee'][:256,:256]).astype(int)@[9798,19235,3735]+16384)>>15))
    assert torch.allclose(lbp[0,0][mask[0,0]==0], (torch.from_numpy(known)/127.5-1).float()[mask[0,0]==0], atol=1e-6)

@pytest.mark.parametrize('n', (0,1,2,63,64,1000,32768,65000,65534,65535,65536))
def test_every_size_of_hole_is_finite(n, net, photographs):
    mask = np.zeros(256*256, np.float32)
    mask[np.random.default_rng(n).permutation(256*256)[:n]] = 1
    image,mask = tensors([photographs['astronaut'][:256,:256]], [mask.reshape(256,256)])
    with torch.no_grad(): assert all(o.isfinite().all() and o.abs().max()<=1 for o in net(image, mask))

def test_flat_pictures_do_no_harm(net):
    for value in (-1.,0.,1.):
        with torch.no_grad(): assert all(o.isfinite().all() for o in net(torch.full((1,3,256,256), value), center_mask()[None]))

# The attention

def some_masks(h, w, rng):
    masks = np.zeros((7,1,h,w), np.float32)
    masks[1,0,1,2] = 1; masks[2,0,1:3,1:4] = 1; masks[3,0] = rng.random((h,w))<.4; masks[4] = 1; masks[5] = 1; masks[5,0,-1,0] = 0; masks[6,0,0,:2] = 1
    return torch.from_numpy(masks)

def test_attention_equals_a_loop_over_cells(rng):
    mask = some_masks(5, 6, rng)
    g,k = (torch.from_numpy(rng.random((7,6,5,6))).float() for _ in range(2))
    for i,a in enumerate(release_attention(g, k, mask)):
        assert np.abs(a.numpy()-attention_reference(g[i].double().numpy(), k[i].double().numpy(), mask[i,0].numpy())).max()<1e-5

@pytest.mark.parametrize('include_self', (True,False))
def test_gradient_of_the_attention_is_that_of_its_forward(include_self, rng):
    mask = some_masks(3, 4, rng)
    g,k = (torch.from_numpy(rng.random((7,3,3,4))+.1).requires_grad_() for _ in range(2))
    assert torch.autograd.gradcheck(lambda g,k: release_attention(g, k, mask, 2, include_self), (g,k))

@pytest.mark.parametrize('include_self', (True,False))
def test_zero_features_and_tiny_maps_have_finite_gradients(include_self, rng):
    for mask in (some_masks(3, 4, rng),torch.ones(1,1,1,1),torch.zeros(1,1,1,1)):
        g,k = (torch.zeros(len(mask),3,*mask.shape[2:], requires_grad=True) for _ in range(2))
        out = release_attention(g, k, mask, 2, include_self)
        out.sum().backward()
        assert all(o.isfinite().all() for o in (out,g.grad,k.grad))

# Files

def write(folder, states, **kwargs):
    for name,state in zip(('X_net_LBP.pth','X_net_G.pth'), states): torch.save(state, folder/name, **kwargs)
    return folder/'X_net_LBP.pth',folder/'X_net_G.pth'

@pytest.mark.parametrize('new', (True,False), ids=('zip','before 1.6'))
def test_there_and_back_bit_for_bit(new, tmp_path):
    pair = both(2)
    folder = convert_release(*write(tmp_path, pair, _use_new_zipfile_serialization=new), tmp_path/'w')
    for mine,theirs in zip(to_release(load_net(folder)), pair):
        assert mine.keys()==theirs.keys()
        for k,v in theirs.items(): assert mine[k].dtype==v.dtype and torch.equal(mine[k], v), k

def test_names_of_a_parallel_network_and_half_precision(tmp_path):
    pair = both(2)
    back = to_release(load_net(convert_release(*write(tmp_path, [{f'module.{k}':v.half() for k,v in s.items()} for s in pair]), tmp_path/'w')))
    for mine,theirs in zip(back, pair):
        for k,v in theirs.items(): assert torch.equal(mine[k], v.half().float())

def test_the_published_width_has_the_published_shapes():
    with torch.device('meta'): states = to_release(build_net(nf=64, variant='release'))
    with torch.device('meta'): sizes = [{f'{n}.weight':torch.empty(*((a,b) if t else (b,a)), 4, 4).shape for t,part in enumerate(layers(image, 64)) for n,a,b in part} for image in (False,True)]
    for state,size in zip(states, sizes): assert {k:v.shape for k,v in state.items() if k.endswith('weight')}==size

def test_weights_from_before_variants_are_the_papers(tmp_path):
    save_old(InpaintNet(2), tmp_path)
    config = json.loads((tmp_path/'config.json').read_text())
    assert config.pop('digest') and config['network'].pop('variant')=='paper'
    (tmp_path/'config.json').write_text(json.dumps(config))
    assert load_net(tmp_path).config['variant']=='paper'

def test_an_unknown_variant_is_refused(tmp_path, work, capsys):
    folder = convert_release(*write(tmp_path, both(2)), tmp_path/'w')
    tensors,plain = load_tensors(folder/'model.safetensors')
    plain['network']['variant'] = 'dream'
    save_tensors(folder/'model.safetensors', tensors, plain)
    refused(capsys, WEIGHTS, 'dream', 'fill', work/'picture.png', work/'mask.png', '--weights', folder, '-o', work/'out.png')

@pytest.fixture
def work(tmp_path, photographs):
    Image.fromarray(photographs['coffee'][:300,:280]).save(tmp_path/'picture.png')
    hole = np.zeros((300,280), bool); hole[50:90,60:200] = True
    Image.fromarray(hole).save(tmp_path/'mask.png')
    return tmp_path

def test_on_the_command_line_then_filled_and_trained_on(work, folder, capsys):
    lbp,image = write(work, both(2))
    out = work/'weights'
    assert main(['convert', '--lbp', str(lbp), '--image', str(image), '-o', str(out)])==0
    assert str(out) in capsys.readouterr().out
    facts = read_about(out)
    assert facts['network']['variant']=='release' and facts['converted']['lbp']['file']=='X_net_LBP.pth'
    assert main(['fill', str(work/'picture.png'), str(work/'mask.png'), '--weights', str(out), '-o', str(work/'out.png')])==0
    with Image.open(work/'picture.png') as a, Image.open(work/'mask.png') as m, Image.open(work/'out.png') as b: a,m,b = (np.array(o) for o in (a,m,b))
    assert (a[~m]==b[~m]).all() and (a[m]!=b[m]).any()
    set_seed(0)
    dls = InpaintDataLoaders.from_folder(folder, bs=2, num_workers=0, device='cpu')
    learn = inpaint_learner(dls, pretrained=out, lambda_p=0, lambda_s=0)
    before = {k:v.clone() for k,v in learn.net.state_dict().items()}
    with learn.no_bar(), learn.no_logging(): learn.fit_phases(1, 1)
    after = learn.net.state_dict()
    assert all(v.isfinite().all() for v in after.values())
    for k in ('g1.unet.last.1.weight','g1.unet.encoder.0.weight','g2.unet.last.1.weight','g2.unet.decoder.5.1.weight','g2.unet.encoder.0.weight'): assert not torch.equal(after[k], before[k]), k
    learn.export_inpainter(work/'again')
    assert Inpainter.from_pretrained(work/'again', 'cpu').net.config==facts['network']

class Hostile:
    def __init__(self, path): self.path = path
    def __reduce__(self): return os.mkdir,(str(self.path),)

def spoilt(**changes):
    def make(path, state): torch.save({k:v for k,v in {**state, **{k.replace('__','.'):v for k,v in changes.items()}}.items() if v is not None}, path)
    return make

BAD = { # how the LBP network's file is spoilt, and what the sentence must say
    'missing': (lambda p,s: None, 'No such file'),
    'a folder': (lambda p,s: p.mkdir(), 'cannot be opened'),
    'empty': (lambda p,s: p.write_bytes(b''), 'is empty'),
    'one byte': (lambda p,s: p.write_bytes(b'\x80'), 'damaged'),
    'text': (lambda p,s: p.write_text('no weights. Not one.'), 'is text, not a file of PyTorch weights'),
    'a web page': (lambda p,s: p.write_text('<!DOCTYPE html><html></html>'), 'web page'),
    'an LFS pointer': (lambda p,s: p.write_text('version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n'), 'LFS'),
    'truncated': (lambda p,s: (torch.save(s, p), p.write_bytes(p.read_bytes()[:-5000])), 'damaged'),
    'old and truncated': (lambda p,s: (torch.save(s, p, _use_new_zipfile_serialization=False), p.write_bytes(p.read_bytes()[:-5000])), 'damaged'),
    'hostile': (lambda p,s: torch.save({**s, 'dn1.0.weight':Hostile(p.parent/'made')}, p), 'program'),
    'old and hostile': (lambda p,s: torch.save({**s, 'dn1.0.weight':Hostile(p.parent/'made')}, p, _use_new_zipfile_serialization=False), 'program'),
    'a module': (lambda p,s: torch.save(torch.nn.Conv2d(1,1,1), p), 'torch.nn.modules.conv.Conv2d'),
    'a list': (lambda p,s: torch.save(list(s.values()), p), 'holds a list'),
    'a tensor': (lambda p,s: torch.save(s['dn1.0.bias'], p), 'holds a Tensor'),
    'a checkpoint': (lambda p,s: torch.save({'state_dict':s, 'epoch':3}, p), 'state_dict, epoch'),
    'nothing in it': (lambda p,s: torch.save({}, p), 'missing: dn1.0.weight, dn1.0.bias'),
    'other names': (lambda p,s: torch.save({f'net.{k}':v for k,v in s.items()}, p), 'unexpected: net.dn1.0.weight'),
    'numbers as names': (lambda p,s: torch.save(dict(enumerate(s.values())), p), 'unexpected: 0, 1, 2'),
    'a layer missing': (spoilt(up4__1__weight=None, bottle__3__bias=None), 'missing: bottle.3.bias, up4.1.weight'),
    'a layer too much': (spoilt(dn8__1__weight=torch.zeros(3)), 'unexpected: dn8.1.weight'),
    'another shape': (spoilt(dn3__1__weight=torch.zeros(8,4,3,3)), 'dn3.1.weight (8, 4, 3, 3) instead of (8, 4, 4, 4)'),
    'another width at one end': (spoilt(dn1__0__bias=torch.zeros(7)), 'dn1.0.bias (7,) instead of'),
    'whole numbers': (spoilt(up2__1__bias=torch.zeros(2, dtype=torch.long)), 'not real numbers: up2.1.bias'),
    'complex numbers': (spoilt(up2__1__bias=torch.zeros(2, dtype=torch.cfloat)), 'not real numbers: up2.1.bias'),
    'sparse': (spoilt(up2__1__bias=torch.zeros(2).to_sparse()), 'not real numbers: up2.1.bias'),
    'nan': (spoilt(up1__1__bias=torch.tensor([torch.nan])), 'not finite: up1.1.bias'),
    'infinite': (spoilt(up1__1__bias=torch.tensor([1e300], dtype=torch.double)), 'not finite: up1.1.bias'),
    'the other network': (lambda p,s: torch.save(published(True, 2), p), 'swap'),
    'a name on two lines': (spoilt(**{'a\nb':torch.zeros(1)}), r'a\nb'),
}

@pytest.mark.parametrize('how', BAD)
@pytest.mark.filterwarnings('error')
def test_a_file_that_is_no_published_lbp_network(how, tmp_path, capsys):
    make,says = BAD[how]
    lbp,image = tmp_path/'lbp.pth',tmp_path/'image.pth'
    torch.save(published(True, 2), image)
    make(lbp, published(False, 2))
    before = sorted(tmp_path.rglob('*'))
    err = refused(capsys, WEIGHTS, lbp, 'convert', '--lbp', lbp, '--image', image, '-o', tmp_path/'w')
    assert says in err, err
    assert sorted(tmp_path.rglob('*'))==before, 'something was made'

def test_files_that_are_swapped_or_of_different_networks(tmp_path, capsys):
    lbp,image = write(tmp_path, both(2))
    for a,b,says in ((image,lbp,'swap'), (lbp,lbp,'swap'), (image,image,'swap')):
        assert says in refused(capsys, WEIGHTS, a if a==image else b, 'convert', '--lbp', a, '--image', b, '-o', tmp_path/'w')
    torch.save(published(True, 3), image)
    assert '3 wide' in refused(capsys, WEIGHTS, image, 'convert', '--lbp', lbp, '--image', image, '-o', tmp_path/'w')
    assert not (tmp_path/'w').exists()

def test_both_files_must_be_given(tmp_path, capsys):
    with pytest.raises(SystemExit) as e: main(['convert', '--lbp', str(tmp_path/'a.pth')])
    assert e.value.code==2 and '--image' in capsys.readouterr().err
