"Detail copied from the surroundings, against a quilt sewn pixel by pixel."
import numpy as np, pytest, torch
from scipy import ndimage
from lbp_inpaint.core import composite
from torchvision.transforms import functional as torchvision_functional
from lbp_inpaint.filling.detail import add_detail, gaussian_blur, soft_and_fine
from lbp_inpaint.masks import center_mask, irregular_mask

def quilt_by_hand(image, mask, size, sigma, spacing):
    "One picture `(H,W,3)`, hole `(H,W)`, float64; `soft_and_fine` is tested elsewhere"
    soft,fine = (o[0].permute(1,2,0).double().numpy() for o in soft_and_fine(torch.from_numpy(image).permute(2,0,1)[None].float(), sigma))
    h,w = mask.shape
    def outline(x): return x.reshape(size//4, 4, size//4, 4, 3).mean((1,3))
    sources = [(y,x) for y in range(0, h-size+1, spacing) for x in range(0, w-size+1, spacing) if not mask[y:y+size,x:x+size].any()]
    ramp = np.sin(np.pi*np.arange(1,size+1)/(size+1))**2
    fade = np.outer(ramp, ramp)
    places = [(y,x) for y in sorted({*range(0,h-size,size//2),h-size}) for x in sorted({*range(0,w-size,size//2),w-size}) if mask[y:y+size,x:x+size].any()]
    given,res,total,weight = ~mask,np.where(mask[...,None], 0, fine),np.zeros_like(fine),np.zeros_like(fade, shape=mask.shape)
    while places:
        y,x = max(places, key=lambda p: given[p[0]:p[0]+size,p[1]:p[1]+size].sum()) # the first of the best
        places.remove((y,x))
        def cost(s):
            a,b = (slice(s[0],s[0]+size),slice(s[1],s[1]+size)),(slice(y,y+size),slice(x,x+size))
            return ((outline(soft[a])-outline(soft[b]))**2).mean() + (((fine[a]-res[b])**2)*given[b][...,None]).sum()/(3*size*size)
        sy,sx = min(sources, key=cost)
        for i in range(size):
            for j in range(size):
                total[y+i,x+j] += fade[i,j]*fine[sy+i,sx+j]; weight[y+i,x+j] += fade[i,j]**2
                if mask[y+i,x+j]:
                    res[y+i,x+j] = total[y+i,x+j]/weight[y+i,x+j]**.5
                    given[y+i,x+j] |= fade[i,j]>.2
    return np.where(mask[...,None], np.clip(soft+res, -1, 1), image)

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
    got = add_detail(torch.from_numpy(image).permute(2,0,1)[None], torch.from_numpy(mask)[None,None].float(), size=8, sigma=1.5, spacing=2)
    np.testing.assert_allclose(got[0].permute(1,2,0).numpy(), quilt_by_hand(image, mask, 8, 1.5, 2), atol=1e-4)

def test_pictures_of_a_batch_do_not_meet_and_the_inputs_stay(photographs):
    gen = torch.Generator().manual_seed(0)
    image = torch.stack([torch.from_numpy(o[:96,:96,:3]/127.5-1).permute(2,0,1).float() for o in list(photographs.values())[:3]])
    mask = torch.stack([center_mask(96, 40), irregular_mask(96, (.2,.3), gen), torch.zeros(1,96,96)])
    given = image.clone()
    together = add_detail(image, mask, size=12)
    assert torch.equal(image, given) and torch.equal(together[2], image[2])
    assert torch.equal(composite(image, together, mask), image), 'known pixels are the very same'
    for i in range(2): torch.testing.assert_close(add_detail(image[i:i+1], mask[i:i+1], size=12)[0], together[i], atol=1e-4, rtol=0)
