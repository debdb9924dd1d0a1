"LBP codes against a loop over pixels, grey levels against OpenCV."
import cv2, numpy as np, pytest, torch
from lbp_inpaint.core import to_grey
from lbp_inpaint.image_files import to_tensor
from lbp_inpaint.lbp import lbp_codes, lbp_hole, lbp_map, masked_lbp

SETTINGS = [(t,b) for t in ('gt','ge') for b in ('zero','wrap')]
CLOCKWISE = (-1,1),(0,1),(1,1),(1,0),(1,-1),(0,-1),(-1,-1),(-1,0) # from top right, (down, right)

def neighbours(y, x, h, w, border):
    "(bit, row, column) of the neighbours there are; Python's index -1 is the wrapped edge"
    for bit,(dy,dx) in enumerate(CLOCKWISE):
        outside = y+dy>=h or x+dx>=w or (border=='zero' and (y+dy<0 or x+dx<0))
        if not outside: yield bit,y+dy,x+dx

def codes_by_loop(grey, threshold, border):
    h,w = len(grey),len(grey[0])
    def bit_is_1(a, b): return a>b or (threshold=='ge' and a==b)
    return [[sum(2**bit for bit,i,j in neighbours(y, x, h, w, border) if bit_is_1(grey[i][j], grey[y][x]))
             for x in range(w)] for y in range(h)]

def hole_by_loop(mask, border):
    h,w = len(mask),len(mask[0])
    return [[float(mask[y][x] or any(mask[i][j] for _,i,j in neighbours(y, x, h, w, border))) for x in range(w)] for y in range(h)]

def some_pictures(rng, n=100):
    "Grey pictures of many shapes; few levels in most, so that neighbours are often equal"
    shapes = [(1,1),(7,513),(1,9),(9,1),(2,2)] + [tuple(rng.integers(1,24,2)) for _ in range(n-5)]
    return [rng.integers(0, rng.choice([2,4,256]), s).astype(np.uint8) for s in shapes]

@pytest.mark.parametrize('threshold,border', SETTINGS)
def test_codes_equal_a_loop_over_pixels(threshold, border, rng):
    for grey in some_pictures(rng):
        codes = lbp_codes(torch.from_numpy(grey)[None,None], threshold, border)
        assert codes.dtype==torch.uint8 and codes[0,0].tolist()==codes_by_loop(grey.tolist(), threshold, border), grey.shape

def test_each_neighbour_has_its_bit():
    for bit,(dy,dx) in enumerate(CLOCKWISE):
        grey = torch.zeros(1,1,3,3, dtype=torch.uint8)
        grey[0,0,1+dy,1+dx] = 9
        assert lbp_codes(grey)[0,0,1,1]==2**bit

def test_pictures_of_a_batch_do_not_meet(rng):
    grey = torch.from_numpy(rng.integers(0, 4, (3,1,8,9)).astype(np.uint8))
    assert torch.equal(lbp_codes(grey), torch.cat([lbp_codes(g[None]) for g in grey]))

def test_grey_levels_are_opencvs(photographs):
    for name,levels in photographs.items():
        ours = to_grey(to_tensor(levels)[None])[0,0].numpy()
        assert (ours==cv2.cvtColor(levels, cv2.COLOR_RGB2GRAY)).all(), name

def test_map_is_codes_over_127_5_less_1(rng):
    levels = rng.integers(0, 256, (20,30,3)).astype(np.uint8)
    codes = np.array(codes_by_loop(cv2.cvtColor(levels, cv2.COLOR_RGB2GRAY).tolist(), 'gt', 'zero'))
    assert np.allclose(lbp_map(to_tensor(levels)[None])[0,0], codes/127.5-1, atol=1e-6)

@pytest.mark.parametrize('threshold,border', SETTINGS)
def test_what_is_under_the_hole_never_shows(threshold, border, rng):
    for h,w in ((16,16),(5,31),(1,7),(2,2)):
        mask = torch.from_numpy(rng.random((4,1,h,w))<.15).float()
        a,b = (torch.from_numpy(rng.uniform(-1, 1, (4,3,h,w))).float() for _ in range(2))
        b = torch.where(mask.bool(), b, a)
        (map_a,hole_a),(map_b,hole_b) = (masked_lbp(o, mask, threshold=threshold, border=border) for o in (a,b))
        assert torch.equal(map_a, map_b) and torch.equal(hole_a, hole_b)

@pytest.mark.parametrize('border', ('zero','wrap'))
def test_no_code_is_lost_that_has_not_seen_the_hole(border, rng):
    image,mask = torch.from_numpy(rng.uniform(-1, 1, (2,3,12,15))).float(),torch.from_numpy(rng.random((2,1,12,15))<.06).float()
    lbp,hole = masked_lbp(image, mask, border=border)
    for i in range(2): assert hole[i,0].tolist()==hole_by_loop(mask[i,0].tolist(), border)
    assert torch.equal(hole, lbp_hole(mask, border))
    assert torch.equal(lbp[hole==0], lbp_map(image, border=border)[hole==0])

@pytest.mark.parametrize('value', (1.,0.,-.5))
def test_the_hole_has_the_wanted_value(value):
    lbp,hole = masked_lbp(torch.zeros(1,3,9,9), torch.eye(9)[None,None], hole_value=value)
    assert (lbp[hole>0]==value).all()

@pytest.mark.parametrize('grey', (torch.zeros(1,1,4,4), torch.zeros(1,3,4,4,dtype=torch.uint8), torch.zeros(1,4,4,dtype=torch.uint8)))
def test_other_tensors_are_refused(grey):
    with pytest.raises(ValueError, match='uint8 of shape'): lbp_codes(grey)

@pytest.mark.parametrize('switch', (dict(threshold='>'), dict(border='reflect')))
def test_other_switches_are_refused(switch):
    with pytest.raises(ValueError, match=next(iter(switch.values()))): lbp_codes(torch.zeros(1,1,4,4,dtype=torch.uint8), **switch)
