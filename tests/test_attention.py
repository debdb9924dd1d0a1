"Spatial attention, Eqs. 9-14, against loops over cells in float64."
import numpy as np, pytest, torch
from lbp_inpaint.nets.attention import SpatialAttention, cell_mask, spatial_attention

def attention_by_loop(feat, mask, top_t=2, include_self=True):
    "`(C,h,w)` and `(h,w)`: Eqs. 9-14 as they are written"
    cells = [(y,x) for y in range(mask.shape[0]) for x in range(mask.shape[1])]
    def cosine(a, b): return float(feat[:,*a]@feat[:,*b])/(np.linalg.norm(feat[:,*a])*np.linalg.norm(feat[:,*b]))
    res = feat.copy()
    for j in cells:
        if not mask[j]: continue
        groups = [k for k in cells if mask[k] and (include_self or k!=j)],[k for k in cells if not mask[k]]
        chosen = [k for g in groups for k in sorted(g, key=lambda k: -cosine(j, k))[:top_t]]
        z = sum(np.exp(cosine(j, k)) for k in chosen)
        if chosen: res[:,*j] = sum(np.exp(cosine(j, k))/z*feat[:,*k] for k in chosen)
    return res

def some_masks(rng, h, w):
    "Empty, one cell, a block, scattered, all but one, all cells"
    masks = np.zeros((6,1,h,w), np.float32)
    masks[1,0,h//2,w//3] = 1
    masks[2,0,1:h//2+1,1:w//2+1] = 1
    masks[3,0] = rng.random((h,w))<.4
    masks[4] = 1; masks[4,0,0,-1] = 0
    masks[5] = 1
    return torch.from_numpy(masks)

def some_features(rng, n, c, h, w): return torch.from_numpy(rng.standard_normal((n,c,h,w)).astype(np.float32))

@pytest.mark.parametrize('include_self', (True,False))
@pytest.mark.parametrize('top_t', (1,2,5,100))
@pytest.mark.parametrize('h,w', ((6,6),(5,8)))
def test_equals_a_loop_over_cells(h, w, top_t, include_self, rng):
    mask = some_masks(rng, h, w)
    feat = some_features(rng, len(mask), 7, h, w)
    ours = spatial_attention(feat, mask, top_t, include_self).numpy()
    for f,m,o in zip(feat.double().numpy(), mask[:,0].numpy(), ours):
        assert np.abs(o-attention_by_loop(f, m, top_t, include_self)).max()<1e-5

def test_gradient_is_that_of_the_forward(rng):
    mask = some_masks(rng, 3, 3)
    feat = some_features(rng, len(mask), 2, 3, 3).double().requires_grad_()
    for include_self in (True,False): assert torch.autograd.gradcheck(lambda f: spatial_attention(f, mask, 2, include_self), feat)

def test_a_sample_does_not_depend_on_its_batch(rng):
    mask = some_masks(rng, 6, 5)
    feat = some_features(rng, len(mask), 8, 6, 5)
    alone = torch.cat([spatial_attention(f[None], m[None]) for f,m in zip(feat, mask)])
    assert torch.allclose(spatial_attention(feat, mask), alone, atol=1e-6)

def test_known_cells_stay_as_they_are(rng):
    mask = some_masks(rng, 6, 6)
    feat = some_features(rng, len(mask), 8, 6, 6)
    known = (mask==0).expand_as(feat)
    assert torch.equal(spatial_attention(feat, mask)[known], feat[known])

def test_missing_cells_see_each_other(rng):
    feat,mask = some_features(rng, 1, 8, 4, 4),torch.zeros(1,1,4,4)
    mask[0,0,1,1:3] = 1
    changed = feat.clone(); changed[0,:,1,2] += 1
    assert not torch.allclose(spatial_attention(feat, mask)[0,:,1,1], spatial_attention(changed, mask)[0,:,1,1], atol=1e-3)

def test_one_missing_cell_that_may_not_match_itself_is_made_of_known_ones(rng):
    feat,mask = some_features(rng, 1, 4, 3, 3),torch.zeros(1,1,3,3)
    mask[0,0,1,1] = 1
    # the length of the missing cell's own feature does not matter when it is not among its matches
    longer = torch.where(mask.bool(), 3*feat, feat)
    a,b = (spatial_attention(f, mask, include_self=False)[0,:,1,1] for f in (feat,longer))
    assert torch.allclose(a, b, atol=1e-5)

def test_a_lone_cell_without_any_match_stays(rng):
    feat = some_features(rng, 1, 4, 1, 1)
    assert torch.equal(spatial_attention(feat, torch.ones(1,1,1,1), include_self=False), feat)

def test_zero_features_do_no_harm(rng):
    feat = torch.zeros(1,4,3,3, requires_grad=True)
    out = spatial_attention(feat, some_masks(rng, 3, 3)[2:3])
    out.sum().backward()
    assert out.isfinite().all() and feat.grad.isfinite().all()

def test_a_cell_is_missing_when_any_pixel_is():
    mask = torch.zeros(1,1,64,96)
    mask[0,0,17,40] = 1
    cells = cell_mask(mask, (8,12))
    assert cells.shape==(1,1,8,12) and cells.sum()==1 and cells[0,0,17//8,40//8]==1

def test_the_layer_scales_the_mask_and_keeps_its_switches(rng):
    feat,mask = some_features(rng, 1, 4, 4, 6),torch.zeros(1,1,32,48)
    mask[...,9:23,10:30] = 1
    ours = SpatialAttention(top_t=3, include_self=False)(feat, mask)[0]
    cells = mask[0,0].reshape(4,8,6,8).amax((1,3)).numpy()
    assert np.abs(ours.numpy()-attention_by_loop(feat[0].double().numpy(), cells, 3, False)).max()<1e-5

def test_a_mask_of_another_size_is_refused(rng):
    with pytest.raises(ValueError, match='as the features'): spatial_attention(some_features(rng, 1, 4, 4, 4), torch.zeros(1,1,8,8))
