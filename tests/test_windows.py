"Many small holes share a pass: what is filled, what stays, and that nothing else decides."
import random
import numpy as np, pytest
from lbp_inpaint.filling import painting
from lbp_inpaint.filling.inpainter import Inpainter
from lbp_inpaint.filling.windows import CELL, hole_windows, mirrored, sheet_pixels, window_sheets, with_tiles

def dust(shape, n, seed=0, largest=5.):
    "Discs of up to `largest` pixels of radius anywhere in a picture, at its border, too"
    rng,hole = np.random.default_rng(seed),np.zeros(shape, bool)
    y,x = np.ogrid[:shape[0],:shape[1]]
    for _ in range(n):
        top,left,r = rng.integers(0, shape[0]),rng.integers(0, shape[1]),rng.uniform(.5, largest)
        hole |= (y-top)**2+(x-left)**2<=r**2
    return hole

@pytest.fixture(scope='module')
def dusty(photographs):
    "A picture of 800x1300 pixels and 120 specks"
    levels = np.tile(photographs['rocket'], (2,3,1))[:800,:1300].copy()
    return levels,dust(levels.shape[:2], 120, largest=3.4)

def painted(inp, levels, hole):
    out = levels.copy()
    out[hole] = (inp.paint(levels, hole)[0]*255).round()
    return out

@pytest.mark.parametrize('seed', range(8))
def test_every_hole_pixel_is_in_one_window_of_its_own_and_a_speck_in_the_middle_of_its_tile(seed):
    rng = np.random.default_rng(seed)
    hole = dust(rng.integers(500, 1500, 2), 200, seed, 12)
    if seed%2: hole[:,200:212] = True
    before,groups = hole_windows(hole)
    windows,regrouped = with_tiles(hole, before, groups)
    assert ((groups>0)==(regrouped>0)).all() and len(window_sheets(windows))<=len(window_sheets(before))
    seen = np.zeros(hole.shape, bool)
    for w in windows:
        y,x = (np.unique(mirrored(a, w.side, n)) for a,n in zip((w.top,w.left), hole.shape))
        mine = hole[np.ix_(y,x)]&(regrouped[np.ix_(y//CELL,x//CELL)]==w.group)
        seen[np.ix_(y,x)] |= mine
        if not w.tile: continue
        y,x = (o+a[0]-b for o,a,b in zip(np.nonzero(mine), (y,x), (w.top,w.left)))
        assert all(np.ptp(o)+1<=w.side/4 and abs((o.min()+o.max()+1)/2-w.side/2)<=1 for o in (y,x))
    assert (seen==hole).all()

def test_tiles_do_not_depend_on_the_order_of_the_windows():
    hole = dust((900,1400), 200)
    windows,groups = hole_windows(hole)
    mixed = windows[:]; random.Random(0).shuffle(mixed)
    one,other = ([w for w in with_tiles(hole, o, groups)[0] if w.tile] for o in (windows,mixed))
    assert one==other and len(one)>100

def test_few_specks_keep_their_windows():
    hole = dust((900,1400), 3)
    assert with_tiles(hole, *hole_windows(hole))[0]==hole_windows(hole)[0]

@pytest.mark.parametrize('size', (64,96,100,192,256))
def test_a_sheet_is_as_large_as_the_network_wants(size):
    "Tiles of 64 do not make a sheet of 96, and none of 128 fits into one of 64"
    hole = dust((900,1400), 200, largest=14.)
    sheets = window_sheets(with_tiles(hole, *hole_windows(hole, size), size)[0], size)
    shown = [sheet_pixels(np.zeros((*hole.shape,3), np.uint8), hole, o, size)[0] for o in sheets]
    assert {o.shape[2:] for o in shown}=={(size,size)}

def test_what_is_under_a_speck_never_shows(dusty, small):
    levels,hole = dusty
    out,rng = painted(small, levels, hole),np.random.default_rng(0)
    assert (painted(small, np.where(hole[...,None], rng.integers(0, 256, levels.shape), levels).astype(np.uint8), hole)==out).all()
    assert not (np.where(hole[...,None], 255-levels, 0)==out)[hole].all()

def test_specks_are_filled_as_well_as_in_windows_of_their_own_with_a_quarter_of_the_passes(dusty, small, monkeypatch):
    levels,hole = dusty
    passes = []
    inp = Inpainter(small.net, 'cpu'); inp.run = lambda x,m: passes.append(len(x)) or small.run(x, m)
    def error(): passes.clear(); return np.square(painted(inp, levels, hole)[hole].astype(float)-levels[hole]).mean(),sum(passes)
    tiles,few = error()
    monkeypatch.setattr(painting, 'with_tiles', lambda hole, windows, groups, size: (windows,groups))
    alone,many = error()
    assert 4*few<=many and tiles<1.1*alone, (few,many,tiles,alone)

def test_with_detail_every_hole_keeps_its_surroundings(dusty, small, monkeypatch):
    def never(*args): raise AssertionError('tiles')
    monkeypatch.setattr(painting, 'with_tiles', never)
    levels,hole = (o[:300,:300] for o in dusty)
    Inpainter(small.net, 'cpu', detail=True).paint(levels, hole)
