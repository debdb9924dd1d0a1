"Detail copied from the surroundings, against a quilt sewn pixel by pixel; smooth surfaces stay smooth."
import numpy as np, pytest, torch
from scipy import ndimage
from lbp_inpaint.core import composite
from torchvision.transforms import functional as torchvision_functional
from lbp_inpaint.filling.detail import COPY, DOUBT, OWN, add_detail, gaussian_blur, soft_and_fine
from lbp_inpaint.masks import center_mask, irregular_mask

def fronts_by_hand(places, given, size):
    "Yields lists of corners; `given` is read anew for each"
    todo = list(places)
    while todo:
        count = {p:given[p[0]:p[0]+size,p[1]:p[1]+size].sum() for p in todo}
        best,now = max(count.values()),[]
        for p in sorted(todo, key=lambda o: -count[o]): # stable: row by row among equals
            apart = all(max(abs(p[0]-q[0]), abs(p[1]-q[1]))>=size for q in now)
            if apart and 2*count[p]>=best: now.append(p)
        todo = [p for p in todo if p not in now]
        yield now

def quilt_by_hand(image, mask, size, sigma, spacing):
    "One picture `(H,W,3)`, hole `(H,W)`, float64; `soft_and_fine` is tested elsewhere"
    soft,fine = (o[0].permute(1,2,0).double().numpy() for o in soft_and_fine(torch.from_numpy(image).permute(2,0,1)[None].float(), sigma))
    h,w = mask.shape
    def outline(x): return x.reshape(size//4, 4, size//4, 4, 3).mean((1,3))
    def corners(step): return [(y,x) for y in sorted({*range(0,h-size,step),h-size}) for x in sorted({*range(0,w-size,step),w-size})]
    def hole(p): return mask[p[0]:p[0]+size,p[1]:p[1]+size].any()
    def at(p): return slice(p[0],p[0]+size),slice(p[1],p[1]+size)
    sources,places = [p for p in corners(spacing) if not hole(p)],[p for p in corners(size//2) if hole(p)]
    ramp = np.sin(np.pi*np.arange(1,size+1)/(size+1))**2
    fade = np.outer(ramp, ramp)
    given,res = ~mask,np.where(mask[...,None], 0, fine)
    total,weight,trust,under = np.zeros_like(fine),*np.zeros((3,h,w))
    for now in fronts_by_hand(places, given, size):
        for p in now:
            def apart(s): return ((outline(soft[at(s)])-outline(soft[at(p)]))**2).mean()
            def cost(s): return apart(s) + (((fine[at(s)]-res[at(p)])**2)*given[at(p)][...,None]).sum()/(3*size*size)
            s = min(sources, key=cost)
            trusted = np.exp(-apart(s)/DOUBT)
            for i in range(size):
                for j in range(size):
                    y,x,f = p[0]+i,p[1]+j,fade[i,j]
                    total[y,x] += f*fine[s[0]+i,s[1]+j]; weight[y,x] += f**2
                    trust[y,x] += f*trusted; under[y,x] += f
                    if mask[y,x]:
                        res[y,x] = total[y,x]/weight[y,x]**.5
                        given[y,x] |= f>.2
    return soft,fine,res,trust/np.maximum(under, 1e-9)

def detail_by_hand(image, mask, size, sigma, spacing):
    soft,fine,copied,trust = quilt_by_hand(image, mask, size, sigma, spacing)
    trust = trust[...,None]
    return np.where(mask[...,None], np.clip(soft+(1-OWN*trust)*fine+COPY*trust*copied, -1, 1), image)

def as_tensor(image): return torch.from_numpy(np.asarray(image, np.float32)).permute(2,0,1)[None].contiguous()

CHEEK = slice(48,70),slice(36,57)

@pytest.mark.parametrize('shape', ((1,3,256,256),(4,3,64,91),(2,1,24,24),(1,3,333,20)))
@pytest.mark.parametrize('sigma', (.5,1.5,3.))
def test_the_blur_equals_torchvision_to_the_last_bit(shape, sigma):
    image = torch.rand(shape, generator=torch.Generator().manual_seed(0))*2-1
    assert torch.equal(gaussian_blur(image, sigma), torchvision_functional.gaussian_blur(image, 2*round(3*sigma)+1, sigma))

@pytest.mark.parametrize('seed', range(3))
def test_equals_a_quilt_sewn_pixel_by_pixel(seed, photographs):
    rng = np.random.default_rng(seed)
    levels = photographs[sorted(photographs)[seed]]
    y,x = (rng.integers(0, n-52) for n in levels.shape[:2])
    image = levels[y:y+52,x:x+49,:3]/127.5-1
    mask = np.zeros((52,49), bool); mask[20:36,15+seed:34] = True; mask[5:9,40:] = True
    image = np.where(mask[...,None], ndimage.gaussian_filter(image, (4,4,0)), image).astype(np.float32)
    got = add_detail(as_tensor(image), torch.from_numpy(mask)[None,None].float(), size=8, sigma=1.5, spacing=2)
    np.testing.assert_allclose(got[0].permute(1,2,0).numpy(), detail_by_hand(image, mask, 8, 1.5, 2), atol=2e-3) # a quarter of a grey level: black patches are nearly alike

def test_pictures_of_a_batch_do_not_meet_and_the_inputs_stay(photographs):
    gen = torch.Generator().manual_seed(0)
    image = torch.stack([as_tensor(o[:96,:96,:3]/127.5-1)[0] for o in list(photographs.values())[:3]])
    mask = torch.stack([center_mask(96, 40), irregular_mask(96, (.2,.3), gen), torch.zeros(1,96,96)])
    given = image.clone()
    together = add_detail(image, mask, size=12)
    assert torch.equal(image, given) and torch.equal(together[2], image[2])
    assert torch.equal(composite(image, together, mask), image), 'known pixels are the very same'
    assert torch.equal(together, add_detail(image, mask, size=12)), 'there is no chance in it'
    for i in range(2): torch.testing.assert_close(add_detail(image[i:i+1], mask[i:i+1], size=12)[0], together[i], atol=1e-4, rtol=0)

@pytest.mark.parametrize('hole', ((slice(8,40),slice(30,80)),(slice(40,88),slice(20,70))), ids=('in the sky','across the horizon'))
def test_a_sky_that_darkens_stays_smooth_beside_grass(hole):
    y = np.arange(112)[:,None,None]
    sky = np.where(y<64, .6-y*[.004,.006,.002], [-.4,.1,-.5])+np.zeros((112,112,1))
    grass = np.where(y<64, 0, ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(112,112,1)), (.7,.7,0))*.5)
    mask = np.zeros((112,112), bool); mask[hole] = True
    fill = np.where(mask[...,None], sky, sky+grass)
    added = (add_detail(as_tensor(fill), torch.from_numpy(mask)[None,None].float())-as_tensor(fill))[0].mean(0).numpy()
    above,below = mask&(y[...,0]<56),mask&(y[...,0]>=72)
    assert abs(added[above]).max()<4/127.5
    assert not below.any() or added[below].std()>.25*grass[72:].std()

def test_a_cheek_gets_no_hair(photographs):
    image = photographs['astronaut'][60:188,150:278,:3]/127.5-1
    mask = np.zeros((128,128), bool); mask[CHEEK] = True
    fill = np.where(mask[...,None], ndimage.gaussian_filter(image, (3,3,0)), image)
    detailed = add_detail(as_tensor(fill), torch.from_numpy(mask)[None,None].float())[0].permute(1,2,0).numpy()
    def roughness(x, where): return abs(x-ndimage.gaussian_filter(x, (2,2,0)))[where].mean()
    assert roughness(fill, CHEEK)<roughness(detailed, CHEEK)<.75*roughness(image, CHEEK)
