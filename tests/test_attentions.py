"The layers of Table III beside the paper's, against loops over cells in float64."
import numpy as np, pytest, torch
from test_attention import some_masks as masks_for_attention
from lbp_inpaint.nets.attentions import contextual_attention, shift
from lbp_inpaint.errors import UsageError
from lbp_inpaint.nets.build import ATTENTIONS, build_net, make_attention

def contextual_by_loop(feat, mask, scale=10.):
    "`(C,h,w)`, `(h,w)`: every cell takes part in nine pasted patches"
    c,h,w = feat.shape
    cells = [(y,x) for y in range(h) for x in range(w)]
    near = [(dy,dx) for dy in (-1,0,1) for dx in (-1,0,1)]
    def inside(y, x): return 0<=y<h and 0<=x<w
    def patch(y, x): return np.stack([feat[:,y+dy,x+dx] if inside(y+dy, x+dx) else np.zeros(c) for dy,dx in near])
    whole = [k for k in cells if not any(inside(k[0]+dy, k[1]+dx) and mask[k[0]+dy,k[1]+dx] for dy,dx in near)]
    if not whole: return feat.copy()
    patches = {k:patch(*k) for k in cells}
    def cosine(a, b): return (a*b).sum()/(np.linalg.norm(a)*np.linalg.norm(b))
    total,count = np.zeros_like(feat),np.zeros((h,w))
    for y,x in cells:
        e = np.array([np.exp(scale*cosine(patches[y,x], patches[k])) for k in whole])
        pasted = sum(a*patches[k] for a,k in zip(e/e.sum(), whole))
        for (dy,dx),v in zip(near, pasted):
            if inside(y+dy, x+dx): total[:,y+dy,x+dx] += v; count[y+dy,x+dx] += 1
    return np.where(mask>0, total/count, feat)

def shift_by_loop(g, k, mask):
    res,known = np.zeros_like(g),np.argwhere(mask==0)
    for y,x in np.argwhere(mask>0):
        like = [g[:,y,x]@k[:,a,b]/(np.linalg.norm(g[:,y,x])*np.linalg.norm(k[:,a,b])) for a,b in known]
        if like: res[:,y,x] = k[:,*known[int(np.argmax(like))]]
    return res

def some_masks(rng, h, w):
    "Those of the paper's attention, few scattered cells, a strip of two known columns"
    few = torch.from_numpy((rng.random((1,1,h,w))<.15).astype(np.float32))
    strip = torch.ones(1,1,h,w); strip[...,:2] = 0
    return torch.cat([masks_for_attention(rng, h, w), few, strip])

def some_features(rng, n, c, h, w): return torch.from_numpy(rng.standard_normal((n,c,h,w)).astype(np.float32))

@pytest.mark.parametrize('h,w', ((6,6),(5,8)))
def test_contextual_attention_equals_a_loop(h, w, rng):
    mask = some_masks(rng, h, w)
    feat = some_features(rng, len(mask), 3, h, w)
    for f,m,o in zip(feat.double().numpy(), mask[:,0].numpy(), contextual_attention(feat, mask).numpy()): assert np.abs(o-contextual_by_loop(f, m)).max()<1e-4

@pytest.mark.parametrize('h,w', ((6,6),(5,8)))
def test_shift_equals_a_loop(h, w, rng):
    mask = some_masks(rng, h, w)
    g,k = (some_features(rng, len(mask), 3, h, w) for _ in range(2))
    for a,b,m,o in zip(g.numpy(), k.numpy(), mask[:,0].numpy(), shift(g, k, mask).numpy()): assert np.array_equal(o, shift_by_loop(a, b, m))

def test_gradients_are_those_of_the_forward(rng):
    mask = some_masks(rng, 5, 5)
    g,k = (some_features(rng, len(mask), 2, 5, 5).double() for _ in range(2))
    assert torch.autograd.gradcheck(lambda f: contextual_attention(f, mask.double()), g.requires_grad_())
    assert torch.autograd.gradcheck(lambda k: shift(g.detach(), k, mask), k.requires_grad_())

@pytest.mark.parametrize('name', [o for o in ATTENTIONS if o!='none'])
def test_layers_keep_known_cells_and_samples_apart(name, rng):
    cells = some_masks(rng, 6, 6)
    pixels = cells.repeat_interleave(4, 2).repeat_interleave(4, 3)
    feat = some_features(rng, len(cells), 8, 6, 6)
    layer = make_attention(name)
    out = layer(feat, pixels)
    assert out.shape[1]==8*getattr(layer, 'grows', 1)
    known = (cells==0).expand_as(feat)
    assert torch.equal(out[:,:8][known], feat[known])
    assert torch.allclose(out, torch.cat([layer(f[None], m[None]) for f,m in zip(feat, pixels)]), atol=1e-6)
    assert torch.equal(out[0,:8], feat[0]) and not (out[5]==out[0]).all()

@pytest.mark.parametrize('name', ('contextual','shift'))
def test_what_is_copied_is_known(name, rng):
    "Both look at known cells alone: the missing cells' own values are in no output of another cell"
    cells = some_masks(rng, 8, 8)[2:3]
    pixels = cells.repeat_interleave(2, 2).repeat_interleave(2, 3)
    feat = some_features(rng, 1, 8, 8, 8)
    other = feat.clone()
    y,x = np.argwhere(cells[0,0].numpy())[0]
    other[0,4:,y,x] += 5 # the encoder's half of a missing cell
    a,b = (make_attention('shift')(f, pixels)[:,8:] for f in (feat,other))
    assert torch.equal(a, b)
    copied = contextual_attention(feat, cells)
    assert copied.isfinite().all() and copied.abs().max()<=feat[(cells==0).expand_as(feat)].abs().max()+1e-5

@pytest.mark.parametrize('layer', range(9, 15))
@pytest.mark.parametrize('name', ('none','contextual','shift'))
def test_every_layer_of_the_generator_can_hold_one(name, layer):
    net = build_net(nf=1, attention=name, layer=layer).g2
    image,mask = torch.rand(1,3,256,256),torch.zeros(1,1,256,256)
    mask[...,60:200,60:200] = 1
    assert net(image, mask, mask).shape==image.shape

def test_unknown_names_and_masks_are_refused(rng):
    with pytest.raises(UsageError, match='contextual'): make_attention('theirs')
    feat = some_features(rng, 1, 4, 4, 4)
    with pytest.raises(ValueError, match='as the features'): contextual_attention(feat, torch.zeros(1,1,8,8))
    with pytest.raises(ValueError, match='as the features'): shift(feat, feat, torch.zeros(1,1,8,8))
