"What may guide stage two: against scikit-image, dense algebra and bits by hand; hole-blind where it should be."
import numpy as np, pytest, torch
from scipy.ndimage import gaussian_filter
from skimage.feature import canny
from lbp_inpaint.core import composite, to_grey
from lbp_inpaint.errors import UsageError
from lbp_inpaint.image_files import to_tensor
from lbp_inpaint.nets.build import build_net
from lbp_inpaint.nets.guidance import GUIDANCES, canny_map, find_guidance, lbp_planes, one_plane, rtv, rtv_map
from lbp_inpaint.lbp import lbp_codes, lbp_hole, lbp_map, masked_lbp
from lbp_inpaint.masks import irregular_mask

@pytest.fixture(scope='module')
def pictures(photographs): return torch.stack([to_tensor(photographs[o][100:228,60:188]) for o in ('astronaut','coffee','chelsea')])

@pytest.fixture(scope='module')
def masks():
    "Scribbles, a square at the border, nothing"
    m = torch.zeros(3,1,128,128)
    m[0] = irregular_mask(128, (.2,.4), torch.Generator().manual_seed(0))
    m[1,:,:50,80:] = 1
    return m

def rtv_dense(grey, known, lam=.01, sigma=3., rounds=4):
    "The same minimum from difference matrices, A = I + lam*sum D'WD, solved densely"
    h,w = grey.shape
    s = grey = np.where(known, grey, 0.)
    index = np.arange(h*w).reshape(h, w)
    for r in range(rounds):
        A,width = np.eye(h*w),max(sigma/2**r, .5)
        for a,b in ((index[:-1],index[1:]), (index[:,:-1],index[:,1:])):
            D = np.zeros((a.size,h*w)); D[np.arange(a.size),a.ravel()],D[np.arange(a.size),b.ravel()] = -1,1
            there = known.ravel()[a.ravel()] & known.ravel()[b.ravel()]
            d,link = np.zeros(h*w),np.zeros(h*w)
            d[a.ravel()],link[a.ravel()] = D@s.ravel()*there,there
            g = lambda x: gaussian_filter(x.reshape(h, w), width, mode='constant').ravel()
            weight = g(link/(abs(g(d))+1e-3))/(abs(d)+.02)*link
            A += lam*D.T@np.diag(weight[a.ravel()])@D
        s = np.linalg.solve(A, grey.ravel()).reshape(h, w)
    return s

@pytest.mark.parametrize('shape', ((12,12),(7,19)))
def test_rtv_equals_dense_algebra(shape, rng):
    grey,known = rng.random(shape),rng.random(shape)>.3
    for k in (known, np.ones(shape, bool)): assert np.abs(rtv(grey, k)-rtv_dense(grey, k)).max()<2e-3

def test_rtv_keeps_edges_and_loses_texture(rng):
    step = np.where(np.arange(64)<32, .2, .8)[None].repeat(64, 0)
    texture = step+.1*np.where((np.arange(64)[:,None]+np.arange(64))%2, 1, -1)
    out = rtv(texture)
    assert np.abs(out-step)[:,[*range(28),*range(36,64)]].max()<.03
    assert (out[:,34]-out[:,29]).min()>.4

def test_rtv_of_a_flat_or_lone_pixel_is_itself():
    assert np.allclose(rtv(np.full((9,9), .4)), .4, atol=1e-3)
    known = np.zeros((5,5), bool); known[2,2] = True
    assert np.allclose(rtv(np.full((5,5), .7), known), np.where(known, .7, 0), atol=1e-3)

def test_canny_is_scikit_images(pictures):
    for m,g in zip(canny_map(pictures), to_grey(pictures)): assert np.array_equal(m[0].numpy()>0, canny(g[0].numpy()/255, 2))

def test_planes_are_the_bits(pictures):
    codes,planes = lbp_codes(to_grey(pictures)).int(),lbp_planes(pictures)
    for k in range(8): assert torch.equal(planes[:,k]>0, ((codes[:,0]//2**k)%2)>0)
    assert torch.equal(one_plane(planes), lbp_map(pictures)) and planes.abs().min()==1
    assert torch.equal(one_plane(planes*.1), lbp_map(pictures)), 'what counts is the sign'

@pytest.mark.parametrize('name', GUIDANCES)
def test_contract(name, pictures, masks):
    g = find_guidance(name)
    true,(known,hole) = g.true(pictures),g.known(pictures, masks)
    assert true.shape==known.shape==(3,g.channels,128,128) and hole.shape==masks.shape and true.dtype==known.dtype==torch.float32
    assert true.abs().max()<=1 and known[(hole==0).expand_as(known)].abs().max()<=1
    for i in range(3): assert torch.equal(g.known(pictures[i:i+1], masks[i:i+1])[0], known[i:i+1])
    if g.completes: assert (hole>=masks).all()
    else: assert not hole.any()
    no_hole = g.known(pictures[2:], masks[2:])
    assert not no_hole[1].any() and torch.equal(no_hole[0], true[2:])

@pytest.mark.parametrize('name', GUIDANCES)
def test_hole_blind_unless_it_says_that_it_peeps(name, pictures, masks):
    g,outside = find_guidance(name),1-find_guidance(name).known(pictures, masks)[1]
    others = (torch.rand_like(pictures)*2-1, -torch.ones_like(pictures), pictures.flip(0), torch.full_like(pictures, torch.nan))
    same = [torch.equal(g.known(pictures, masks)[0]*outside, g.known(composite(o, pictures, masks), masks)[0]*outside) for o in others[:3 if g.sees_hole else 4]]
    assert not any(same) if g.sees_hole else all(same)

def test_edges_and_codes_beside_the_hole_are_not_told(pictures, masks):
    for name in ('lbp','planes','canny'): assert torch.equal(find_guidance(name).known(pictures, masks)[1], lbp_hole(masks))
    assert torch.equal(find_guidance('rtv').known(pictures, masks)[1], masks)
    assert torch.equal(find_guidance('leaky lbp').known(pictures, masks)[1], masks)

def test_lbp_is_that_of_its_own_notebook(pictures, masks):
    for switches in (dict(), dict(threshold='ge', border='wrap')):
        known,hole = find_guidance('lbp').known(pictures, masks, **switches)
        want = masked_lbp(pictures, masks, .3, **switches)
        assert torch.equal(torch.where(hole.bool(), .3, known), want[0]) and torch.equal(hole, want[1])

@pytest.mark.parametrize('name', ('planes','canny','none','true lbp'))
def test_a_network_that_is_guided_by_it_learns(name):
    net = build_net(nf=1, guidance=name)
    image,mask = torch.rand(1,3,256,256)*2-1,torch.zeros(1,1,256,256)
    mask[...,80:160,80:160] = 1
    guide,fill = net(image, mask)
    fill.sum().backward()
    assert all(p.grad is not None for p in net.g2.parameters())
    assert bool(list(net.g1.parameters()))==net.guidance.completes
    assert torch.equal(fill*(1-mask), image*(1-mask))

def test_an_unknown_guidance_is_refused():
    with pytest.raises(UsageError, match='canny, rtv'): find_guidance('sketch')
