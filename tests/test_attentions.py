"The layers of Table III beside the paper's, against loops over cells in float64."
import numpy as np, pytest, torch
from test_attention import some_masks as masks_for_attention
from lbp_inpaint.nets.contextual import ContextualAttention, contextual_rebuild
from lbp_inpaint.nets.shift_net import ShiftLayer, shift, shift_cells
from lbp_inpaint.errors import UsageError
from lbp_inpaint.nets.build import ATTENTIONS, build_net, make_attention

def contextual_by_loop(feat, mask):
    "`(C,h,w)`, `(h,w)`, sides even: each missing cell is made of 4x4 patches that lie every two cells, chosen by 3x3 patches of every second cell"
    feat,(c,h,w) = np.maximum(feat, 0),feat.shape
    m,n = h//2,w//2
    rows,columns = (np.floor(np.arange(o)*(2*o-1)/max(o-1, 1)+.5).astype(int) for o in (m,n))
    small,coarse = feat[:,rows][:,:,columns],mask.reshape(m,2,n,2).max((1,3))
    places = [(y,x) for y in range(m) for x in range(n)]
    def around(a, y, x): # 3x3, zeros outside
        return np.pad(a, ((0,0),(1,1),(1,1)))[:,y:y+3,x:x+3]
    keys = {k:around(small, *k) for k in places}
    score = {(q,k):(keys[q]*keys[k]).sum()/max(np.linalg.norm(keys[k]), 1e-4) for q in places for k in places}
    def fused(score, order): # sums with both neighbours in an order of places
        at = {k:i for i,k in enumerate(order)}
        def get(q, k, d):
            i,j = at[q]+d,at[k]+d
            return score[order[i],order[j]] if 0<=i<len(order) and 0<=j<len(order) else 0.
        return {(q,k):sum(get(q, k, d) for d in (-1,0,1)) for q,k in score}
    score = fused(fused(score, places), sorted(places, key=lambda k: k[::-1]))
    usable = [k for k in places if not around(coarse[None], *k).any()] or places
    total,count = np.zeros((c,h+2,w+2)),np.zeros((h+2,w+2))
    for q in places:
        e = np.array([10*score[q,k] for k in usable])
        e = np.exp(e-e.max())
        pasted = sum(a*np.pad(feat, ((0,0),(1,1),(1,1)))[:,2*y:2*y+4,2*x:2*x+4] for a,(y,x) in zip(e/e.sum(), usable))
        total[:,2*q[0]:2*q[0]+4,2*q[1]:2*q[1]+4] += pasted; count[2*q[0]:2*q[0]+4,2*q[1]:2*q[1]+4] += 1
    return (total/count)[:,1:-1,1:-1]

def shift_by_loop(g, k, mask):
    res,known = np.zeros_like(g),np.argwhere(mask==0)
    for y,x in np.argwhere(mask>0):
        like = [g[:,y,x]@k[:,a,b]/max(np.linalg.norm(g[:,y,x])*np.linalg.norm(k[:,a,b]), 1e-12) for a,b in known]
        if like: res[:,y,x] = k[:,*known[int(np.argmax(like))]]
    return res

def some_masks(rng, h, w):
    "Those of the paper's attention, few scattered cells, a strip of two known columns"
    few = torch.from_numpy((rng.random((1,1,h,w))<.15).astype(np.float32))
    strip = torch.ones(1,1,h,w); strip[...,:2] = 0
    return torch.cat([masks_for_attention(rng, h, w), few, strip])

def some_features(rng, n, c, h, w): return torch.from_numpy(rng.standard_normal((n,c,h,w)).astype(np.float32))

@pytest.mark.parametrize('h,w', ((6,6),(4,8)))
def test_contextual_attention_equals_a_loop(h, w, rng):
    mask = some_masks(rng, h, w)
    feat = some_features(rng, len(mask), 3, h, w)
    out = ContextualAttention()(feat, mask) # masks at the features' size are pictures' of cells of one pixel
    for f,m,o in zip(feat.double().numpy(), mask[:,0].numpy(), out.numpy()):
        assert np.abs(o-np.where(m>0, contextual_by_loop(f, m), f)).max()<1e-4

def test_shift_layer_looks_behind_a_relu(rng):
    "The source of a missing cell is the one that the rectified features choose, and what is handed on is rectified"
    feat,pixels = some_features(rng, 1, 8, 6, 6),torch.zeros(1,1,48,48)
    pixels[...,12:30,8:33] = 1
    cells = shift_cells(pixels, (6,6))
    assert cells.sum()==2*4 # those whose top left pixel is missing
    out,(d,e) = ShiftLayer()(feat, pixels),feat.relu().chunk(2, 1)
    assert torch.equal(out[:,:8], feat)
    assert np.array_equal(out[0,8:].numpy(), shift_by_loop(d[0].numpy(), e[0].numpy(), cells[0,0].numpy()))

@pytest.mark.parametrize('h,w', ((6,6),(5,8)))
def test_shift_equals_a_loop(h, w, rng):
    mask = some_masks(rng, h, w)
    g,k = (some_features(rng, len(mask), 3, h, w) for _ in range(2))
    for a,b,m,o in zip(g.numpy(), k.numpy(), mask[:,0].numpy(), shift(g, k, mask).numpy()): assert np.array_equal(o, shift_by_loop(a, b, m))

def test_gradients_are_those_of_the_forward(rng):
    mask = some_masks(rng, 5, 5)
    g,k = (some_features(rng, len(mask), 2, 5, 5).double() for _ in range(2))
    soft = g[:,:,:4,:4].abs().mul(.2)+.1 # away from the corner of the ReLU, and from a softmax that is flat
    assert torch.autograd.gradcheck(lambda f: ContextualAttention()(f, mask[...,:4,:4].double()), soft.requires_grad_())
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
    copied = ContextualAttention()(feat, pixels)
    known = feat.relu()[(cells==0).expand_as(feat)]
    missing = copied[cells.bool().expand_as(feat)]
    assert missing.min()>=0 and missing.max()<=known.max()+1e-5

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
    with pytest.raises(ValueError, match='half as large as the features'): contextual_rebuild(feat, torch.zeros(1,1,4,4))
    with pytest.raises(ValueError, match='as the features'): shift(feat, feat, torch.zeros(1,1,8,8))
