"The page to draw on: what it refuses, that bytes stay what they are, that nothing is left behind; and the page itself in a real browser."
import io, json, os, re, shutil, signal, socket, subprocess, sys, threading, time, urllib.request
import numpy as np, pytest
from PIL import Image, ImageCms
from starlette.testclient import TestClient
from lbp_inpaint.errors import *
from lbp_inpaint.pictures import Picture, write_png16
from lbp_inpaint.filling.folders import fill
from lbp_inpaint.filling.serve import *
from project import ROOT

def file_of(a, kind='PNG', **kwargs):
    f = io.BytesIO()
    (a if isinstance(a, Image.Image) else Image.fromarray(a)).save(f, kind, **kwargs)
    return f.getvalue()

@pytest.fixture(scope='module')
def coffee(photographs): return photographs['coffee']

@pytest.fixture(scope='module')
def hole():
    res = np.zeros((400,600), bool)
    res[300:330,350:520] = True
    return res

class Visit:
    "A tab without a browser."
    def __init__(self, inp, **kwargs):
        self.studio = Studio(inp, **kwargs)
        self.client = TestClient(make_app(self.studio), 'http://127.0.0.1:8000', raise_server_exceptions=False)
    def get(self, what, **query): return self.client.get(f'/{what}', params=dict(tab=self.tab, version=0)|query)
    def post(self, what, body=b'', **query): return self.client.post(f'/{what}', content=body, params=dict(tab=self.tab, version=0)|query)
    def open(self, body, name='a.png'):
        self.tab = ''
        res = self.post('open', body, name=name)
        if res.status_code==200: self.tab = res.json()['tab']
        return res
    def close(self): self.client.close(); self.studio.worker.shutdown()

@pytest.fixture
def visit(small):
    res = Visit(small, max_megapixels=2)
    yield res
    res.close()

def refused(answer, status, text):
    assert answer.status_code==status and text in answer.text, (answer.status_code, answer.text)
    assert '\n' not in answer.text and answer.text.endswith('.') and '/tmp' not in answer.text, answer.text

# what is refused

@pytest.mark.parametrize('host', ['evil.example', 'evil.example:8000', '127.0.0.1.evil.example', 'localhost.evil.example:80', '10.0.0.7:8000', ''])
def test_foreign_host(visit, host): refused(visit.client.get('/', headers={'Host':host}), 403, 'for this computer alone')

@pytest.mark.parametrize('origin', ['http://evil.example', 'https://127.0.0.1:8000', 'http://127.0.0.1:9999', 'null'])
def test_foreign_origin(visit, origin):
    refused(visit.client.get('/page.js', headers={'Origin':origin}), 403, 'Another page asked')
    refused(visit.client.post('/open?name=a', content=b'x', headers={'Origin':origin}), 403, 'Another page asked')
    assert not visit.studio.canvases

@pytest.mark.parametrize('host', ['127.0.0.1:8000', 'localhost:9000', 'localhost'])
def test_own_host(visit, host): assert visit.client.get('/', headers={'Host':host, 'Origin':f'http://{host}'}).status_code==200

def test_too_large(visit):
    refused(visit.open(bytes(visit.studio.max_bytes+1)), 413, 'larger than 17 MB')
    refused(visit.open(iter([bytes(visit.studio.max_bytes), b'1'])), 413, 'larger than 17 MB')
    refused(visit.open(file_of(np.zeros((1500,1500), np.uint8)), 'wide.png'), 422, 'wide.png is 1500x1500 pixels, 2.2 megapixels, and 2 is the limit')

@pytest.mark.parametrize('body,text', [(b'', 'empty'), (b'Buy milk.', 'is text'), (b'<html>', 'web page'), (b'\x89PNG\r\n\x1a\n'+bytes(99), 'damaged'), (b'{"a":1}', 'is text')])
def test_no_picture(visit, body, text):
    refused(visit.open(body, '../holiday.jpg'), 422, text)
    assert visit.open(body, '../holiday.jpg').text.startswith('holiday.jpg ')

def test_damaged_picture(visit, coffee):
    refused(visit.open(file_of(coffee)[:9000], 'half.png'), 422, 'half.png is truncated')
    refused(visit.open(file_of(Image.fromarray(coffee), 'GIF', save_all=True, append_images=[Image.fromarray(255-coffee)]), 'moving.gif'), 422, 'moving.gif holds 2 frames')

def test_masks(visit, coffee, hole):
    visit.open(file_of(coffee))
    full = np.ones_like(hole)
    refused(visit.post('fill', bytes(hole.size), detail='false'), 422, 'Nothing is painted yet')
    refused(visit.post('fill', bytes(full), detail='false'), 422, 'erase some of it')
    refused(visit.post('fill', b'1', detail='false'), 422, 'open the picture again')
    refused(visit.post('read_mask', file_of(hole[::2]), name='m.png'), 422, 'm.png is 600x200 pixels but its picture is 600x400')
    refused(visit.post('read_mask', b'no', name='m.png'), 422, 'The mask m.png is text')
    assert visit.post('read_mask', file_of(hole), name='m.png').content==bytes(hole)

def test_queries(visit, coffee, hole):
    visit.open(file_of(coffee))
    refused(visit.get('view', version='one'), 422, 'version')
    refused(visit.get('view', version=1), 422, 'filled 0 times')
    refused(visit.get('view', version=-1), 422, 'filled 0 times')
    refused(visit.get('view', tab='../../etc'), 422, 'put away')
    refused(visit.get('explain', x=3, y=3), 422, 'Nothing was filled there')
    refused(visit.client.get('/explain'), 422, 'load the page again')
    assert visit.client.get('/nothing').status_code==404 and visit.client.get('/open').status_code==405
    for x,y in ((-9,-9),(10**9,10**9)): refused(visit.get('explain', x=x, y=y), 422, 'Nothing was filled there')

def test_unforeseen(visit, coffee, hole):
    "A fault of ours is a sentence, too, and the next request is answered."
    visit.open(file_of(coffee))
    visit.studio.canvases[visit.tab].fills = None
    refused(visit.get('view'), 500, 'Something unforeseen went wrong (TypeError)')
    visit.post('close')
    assert visit.open(file_of(coffee)).status_code==200

def test_no_attention(small, coffee, hole):
    "Weights without attention fill, and say that there is nothing to show."
    from lbp_inpaint.nets.build import InpaintNet
    from lbp_inpaint.filling.inpainter import Inpainter
    plain = Visit(Inpainter(InpaintNet(nf=4, attention='none'), 'cpu'))
    plain.open(file_of(coffee))
    assert plain.post('fill', bytes(hole), detail='false').status_code==200
    refused(plain.get('explain', version=1, x=400, y=310), 422, 'no spatial attention')
    plain.close()

def test_headers(visit):
    for path in ('/', '/page.css', '/page.js', '/nothing'):
        headers = visit.client.get(path).headers
        assert headers['content-security-policy'].startswith("default-src 'self';") and 'unsafe' not in headers['content-security-policy']
        assert headers['x-content-type-options']=='nosniff' and 'set-cookie' not in headers and 'access-control-allow-origin' not in headers
    every = visit.client.get('/').text + CSS + JS
    assert not re.search(r'(?:https?:)?//(?!www\.w3\.org/)[a-z0-9]+\.', every)

# bytes stay what they are

def kinds(coffee):
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
    deep,f = coffee.astype(np.uint16)*257+7,io.BytesIO()
    write_png16(f, deep, icc)
    import tifffile
    tiff = io.BytesIO()
    tifffile.imwrite(tiff, deep, photometric='rgb', iccprofile=icc)
    clear = np.dstack([coffee, np.arange(600, dtype=np.uint8)[None].repeat(400, 0)])
    return {'deep.png':f.getvalue(), 'deep.tif':tiff.getvalue(), 'clear.png':file_of(clear), 'palette.gif':file_of(Image.fromarray(coffee).quantize(64), 'GIF'),
        'photo.jpg':file_of(coffee, 'JPEG', icc_profile=icc), 'grey.png':file_of(Image.fromarray(coffee).convert('L')), 'print.tif':file_of(Image.fromarray(coffee).convert('CMYK'), 'TIFF')}

@pytest.mark.parametrize('name', ['deep.png','deep.tif','clear.png','palette.gif','photo.jpg','grey.png','print.tif'])
def test_same_as_the_command(visit, coffee, hole, name, tmp_path):
    "The download is the file that the command writes, byte for byte."
    body = kinds(coffee)[name]
    (tmp_path/name).write_bytes(body)
    Image.fromarray(hole).save(tmp_path/'mask.png')
    assert visit.open(body, name).json()['remarks']==[]
    assert visit.post('fill', bytes(hole), detail='false').status_code==200
    answer = visit.get('save', version=1)
    about = json.loads(answer.headers['x-about'])
    with pytest.warns(UserWarning) if name=='palette.gif' else pytest.MonkeyPatch.context(): fill(tmp_path/name, tmp_path/'mask.png', tmp_path/about['name'], device='cpu')
    assert answer.content==(tmp_path/about['name']).read_bytes()
    assert about['name'].endswith('-filled.tif' if name.endswith('tif') else '-filled.png')
    assert bool(about['remarks'])==(name=='palette.gif')
    before,after = Picture(tmp_path/name),Picture(tmp_path/about['name'])
    assert after.color.dtype==before.color.dtype and np.array_equal(after.color[~hole], before.color[~hole])

def test_versions(visit, coffee, hole):
    "Fills can be taken back and put in again; another fill then replaces the later ones."
    other = np.roll(hole, -150, 0)
    def view(n): return np.asarray(Image.open(io.BytesIO(visit.get('view', version=n).content)))
    visit.open(file_of(coffee))
    for n,o in enumerate((hole,other)): assert visit.post('fill', bytes(o), version=n, detail='false').json()['version']==n+1
    zero,one,two = map(view, range(3))
    assert np.array_equal(zero, coffee) and np.array_equal(one[~hole], zero[~hole]) and np.array_equal(two[~other], one[~other])
    assert np.array_equal(view(1), one) and np.array_equal(view(2), two) and np.array_equal(view(0), zero)
    assert visit.post('fill', bytes(hole), version=1, detail='true').json()['version']==2
    assert np.array_equal(view(1), one) and not np.array_equal(view(2), two)
    refused(visit.get('view', version=3), 422, 'filled 2 times')

def test_failed_fill_changes_nothing(visit, coffee, hole):
    visit.open(file_of(coffee))
    visit.post('fill', bytes(hole), detail='false')
    one = visit.get('view', version=1).content
    refused(visit.post('fill', bytes(hole.size), version=1, detail='false'), 422, 'Nothing is painted')
    assert visit.get('view', version=1).content==one

def test_larger_than_the_view(small, photographs):
    "A picture that is shown smaller is filled at its own size, and known pixels are its own."
    wide = np.asarray(Image.fromarray(photographs['rocket']).resize((5000,600)))
    visit = Visit(small)
    w,h = visit.open(file_of(wide)).json()['view']
    assert (w,h)==(4096,492) and Image.open(io.BytesIO(visit.get('view').content)).size==(w,h)
    painted = np.zeros((h,w), bool)
    painted[200:230,1000:1100] = True
    assert visit.post('fill', bytes(painted), detail='false').status_code==200
    saved = np.asarray(Image.open(io.BytesIO(visit.get('save', version=1).content)))
    changed = np.argwhere((saved!=wide).any(-1))
    k = 5000/4096
    assert saved.shape==wide.shape and (changed.min(0)>=np.array([200,1000])*k-2).all() and (changed.max(0)<=np.array([230,1100])*k+2).all()
    assert visit.get('explain', version=1, x=1050, y=215).status_code==200
    visit.close()

def test_room(small, coffee):
    "Pictures that were not used for longest are put away, the one in use is not."
    visit = Visit(small, room=5*coffee.nbytes//2)
    tabs = []
    for _ in range(2): visit.open(file_of(coffee)); tabs.append(visit.tab)
    assert visit.get('view', tab=tabs[0]).status_code==200
    visit.open(file_of(coffee))
    assert visit.get('view', tab=tabs[0]).status_code==200
    refused(visit.get('view', tab=tabs[1]), 422, 'put away')
    visit.post('close', tab=tabs[0])
    refused(visit.get('view', tab=tabs[0]), 422, 'put away')
    visit.close()

# nothing is left behind

def test_stop(small, coffee, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    threads = set(threading.enumerate())
    page = serve(small, open_browser=False)
    with urllib.request.urlopen(urllib.request.Request(page.url+'open?name=a.png', file_of(coffee))) as answer: assert json.load(answer)['size']==[600,400]
    assert page.socket.getsockname()[0]=='127.0.0.1' and page.url in page._repr_html_()
    port = page.socket.getsockname()[1]
    with pytest.raises(InpaintError, match=f'Port {port} cannot be used'): serve(small, port=port, open_browser=False)
    page.stop(); page.stop()
    assert set(threading.enumerate())==threads and not os.listdir(tmp_path)
    with pytest.raises(OSError): socket.create_connection(('127.0.0.1', port), 1).close()
    with serve(small, port=port, open_browser=False) as again: assert again.url.endswith(f':{port}/')

@pytest.mark.parametrize('wrong', [dict(port=-1), dict(port=65536), dict(port='x'), dict(max_megapixels=0), dict(ports=1), dict(precision='fp8')])
def test_wrong_settings(small, wrong):
    with pytest.raises(UsageError): serve(small, open_browser=False, **wrong)

ENDS = '''
import urllib.error, urllib.request
from lbp_inpaint.filling.serve import serve
def ask(page):
    try: urllib.request.urlopen(page.url+'open?name=a', b'no picture')
    except urllib.error.HTTPError as e: print(e.code, flush=True)
page,other = (serve('small', device='cpu', open_browser=False) for _ in range(2))
ask(page); ask(other)
page.wait()
print(page, other.url==repr(other)[8:])
'''

def test_end_of_a_program():
    "Ctrl-C ends a page that is waited for, quietly; one that nobody stopped does not hold the program up."
    p = subprocess.Popen([sys.executable, '-c', ENDS], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    said = [p.stdout.readline().strip() for _ in range(3)]
    assert said[:2]==['422','422'] and said[2].endswith('Ctrl-C ends it.'), (said, p.stderr.read() if p.poll() else '')
    p.send_signal(signal.SIGINT)
    out,err = p.communicate(timeout=30)
    assert p.returncode==0 and out.strip()=='Page, stopped True' and not err, (out,err)
