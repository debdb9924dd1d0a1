"Folders: pictures side by side give what each gives alone, a failure is one picture's own, and nothing is left behind."
import os, signal, subprocess, sys, threading, time
import numpy as np, pytest, torch
from PIL import Image
from lbp_inpaint.errors import InpaintError, PictureError
from lbp_inpaint.filling import folders
from lbp_inpaint.filling.folders import fill
from lbp_inpaint.filling.inpainter import Inpainter
from lbp_inpaint.pictures import Picture
from project import ROOT

@pytest.fixture
def many(photographs, tmp_path):
    "Nine pictures of several sizes, and their masks"
    for o in ('in','masks'): (tmp_path/o).mkdir()
    for i,side in enumerate((256,120,300,256,64,256,90,400,256)):
        levels = list(photographs.values())[i%4][:side,:side]
        hole = np.zeros(levels.shape[:2], bool); hole[side//4:side//2,side//3:side//2+i] = True
        Image.fromarray(levels).save(tmp_path/'in'/f'{i}.png'); Image.fromarray(hole).save(tmp_path/'masks'/f'{i}.png')
    return tmp_path

def threads(): return {o for o in threading.enumerate() if 'painter' in o.name}

def test_side_by_side_equals_alone(many, small):
    told = []
    fill(many/'in', many/'masks', many/'out', tell=told.append, device='cpu')
    assert [o.picture.name for o in told]==[f'{i}.png' for i in range(9)] and {o.status for o in told}=={'filled'}
    for o in told:
        alone = small(o.picture, o.mask)
        with Image.open(o.written[0]) as im: assert im.tobytes()==alone.tobytes()
    assert not threads()

@pytest.mark.parametrize('overwrite', (False,True))
def test_a_failure_is_one_pictures_own(overwrite, many):
    "A picture that cannot be read, one without a mask, one that cannot be written"
    (many/'in'/'1.png').write_bytes(b'not a picture'); (many/'masks'/'3.png').unlink()
    (many/'out'/'5.png'/'x').mkdir(parents=True) # a folder where the result should go
    told = []
    with pytest.raises(PictureError, match='6 filled, 3 refused'): fill(many/'in', many/'masks', many/'out', tell=told.append, device='cpu', overwrite=overwrite)
    assert [o.picture.stem for o in told if o.problem]==['1','3','5'] and len(list((many/'out').iterdir()))==7
    assert not threads()

def test_broken_off_it_leaves_whole_files_and_no_threads(many):
    def stop(outcome): raise KeyboardInterrupt
    before = torch.get_num_threads()
    with pytest.raises(KeyboardInterrupt): fill(many/'in', many/'masks', many/'out', tell=stop, device='cpu')
    assert not threads() and torch.get_num_threads()==before
    results = list((many/'out').iterdir())
    assert 1<=len(results)<9 and all(o.suffix=='.png' for o in results)
    for o in results: Image.open(o).load()
    assert len(fill(many/'in', many/'masks', many/'out', device='cpu', overwrite=True))==9

@pytest.mark.skipif(os.name=='nt', reason='Windows has no SIGINT for one process')
def test_ctrl_c_ends_the_command(many):
    "Soon, whatever the painters are waiting for"
    p = subprocess.Popen([sys.executable, '-m', 'lbp_inpaint', 'fill', 'in', 'masks', '-o', 'out', '--device', 'cpu'],
        cwd=many, env={**os.environ, 'PYTHONPATH':str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic()+60
    while not (many/'out').exists() and time.monotonic()<until: time.sleep(.02)
    p.send_signal(signal.SIGINT)
    p.communicate(timeout=60)
    assert p.returncode and all(o.name[0]!='.' for o in (many/'out').iterdir())
    for o in (many/'out').iterdir(): Image.open(o).load()

@pytest.mark.skipif(os.name=='nt', reason='Windows has no SIGINT for one process')
def test_ctrl_c_once_more_while_python_ends_adds_nothing():
    code = """import atexit, os, signal, sys
from lbp_inpaint import cli
from lbp_inpaint.filling import folders
def stop(*args, **kwargs): raise KeyboardInterrupt
atexit.register(os.kill, os.getpid(), signal.SIGINT)
folders.fill,sys.argv[1:] = stop,['fill','in','masks']
sys.exit(cli.main())"""
    p = subprocess.run([sys.executable, '-c', code], env={**os.environ, 'PYTHONPATH':str(ROOT)}, capture_output=True, text=True)
    assert (p.returncode,p.stderr)==(130,'lbp-inpaint: stopped.\n')

def test_a_fault_of_the_network_reaches_whoever_called(many, monkeypatch):
    def run(self, image, mask): raise RuntimeError('no such kernel')
    monkeypatch.setattr(Inpainter, 'run', run)
    with pytest.raises(RuntimeError, match='no such kernel'): fill(many/'in', many/'masks', many/'out', device='cpu')
    assert not threads() and not (many/'out').exists()

def test_large_pictures_are_under_way_one_by_one():
    inside,most,lock = 0,[],threading.Lock()
    def work(pixels, opened):
        nonlocal inside
        with lock: inside += pixels; most.append(inside)
        opened(pixels); time.sleep(.005)
        with lock: inside -= pixels
        return pixels
    pixels = [folders.ROOM+1,5,folders.ROOM+1,folders.ROOM//2,folders.ROOM//2,folders.ROOM//2,1]*3
    assert list(folders._side_by_side(pixels, work, folders._Passes(None, 4)))==pixels
    assert max(most)<=2*folders.ROOM+1

# what is refused, and shown, before anything is filled

def test_nearest_names_are_sought_for_the_first_pictures_only(tmp_path, monkeypatch):
    "One look at ten thousand names costs more than a fill"
    asked,real = [],folders.get_close_matches
    monkeypatch.setattr(folders, 'get_close_matches', lambda *args: asked.append(args) or real(*args))
    for o in ('in','masks'): (tmp_path/o).mkdir()
    for i in range(60): (tmp_path/'in'/f'photo{i:02}.png').touch(); (tmp_path/'masks'/f'photo{i:02}_hole.png').touch()
    jobs = folders.pair_files(tmp_path/'in', tmp_path/'masks', tmp_path/'out')
    said = [str(o.problem) for o in jobs]
    assert len(asked)==20 and 'the nearest names are photo00_hole.png' in said[0]
    assert all('give it the name of its picture, as' in o for o in said[20:]) and len(said)==60

@pytest.fixture
def clear(photographs, tmp_path):
    "A picture that is transparent beside its hole, and what is under that"
    levels,alpha = photographs['coffee'][:256,:256],np.full((256,256), 255, np.uint8)
    alpha[:,:90] = 0
    hole = np.zeros((256,256), bool); hole[100:140,100:140] = True
    Image.fromarray(np.dstack([levels,alpha])).save(tmp_path/'clear.png'); Image.fromarray(hole).save(tmp_path/'mask.png')
    return levels,alpha,hole

def test_transparency_that_a_format_lacks_is_refused_before_the_network_works(clear, tmp_path, monkeypatch):
    def run(self, image, mask): raise AssertionError('the network ran')
    monkeypatch.setattr(Inpainter, 'run', run)
    with pytest.raises(PictureError, match='out.jpg is JPEG, which holds no transparency'): fill(tmp_path/'clear.png', tmp_path/'mask.png', tmp_path/'out.jpg', device='cpu')
    assert not (tmp_path/'out.jpg').exists()

def test_transparency_that_is_filled_is_none(clear, tmp_path):
    with pytest.warns(UserWarning, match='becomes JPEG'):
        assert fill(tmp_path/'clear.png', tmp_path/'clear.png', tmp_path/'out.jpg', device='cpu', mask_from_alpha=True)

def test_the_attention_does_not_look_at_what_is_transparent(clear, small):
    levels,alpha,hole = clear
    seen = [small.explain(np.dstack([np.where(alpha[...,None]>0, levels, v),alpha]).astype(np.uint8), hole, 120, 120) for v in (0,200)]
    assert seen[0].sources==seen[1].sources and seen[0].picture.tobytes()==seen[1].picture.tobytes()
    assert all(o.box[0]>=90//8*8+8 for o in seen[0].sources if o.known), 'a patch that nobody knows counts as known'
