"The page to draw on: what it refuses, that bytes stay what they are, that nothing is left behind; and the page itself in a real browser."
import contextlib, io, json, os, re, shutil, signal, socket, subprocess, sys, threading, time, urllib.request
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
    refused(visit.post('fill', bytes(full), detail='false'), 422, 'erase some')
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
    from lbp_inpaint.nets.build import build_net
    from lbp_inpaint.filling.inpainter import Inpainter
    plain = Visit(Inpainter(build_net(nf=4, attention='none'), 'cpu'))
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
    clear = np.dstack([coffee, coffee[...,0]])
    im = Image.fromarray(coffee)
    return {'deep.png':f.getvalue(), 'deep.tif':tiff.getvalue(), 'clear.png':file_of(clear), 'grey.png':file_of(im.convert('L')),
        'palette.gif':file_of(im.quantize(64), 'GIF'), 'photo.jpg':file_of(im, 'JPEG', icc_profile=icc), 'print.tif':file_of(im.convert('CMYK'), 'TIFF')}

@pytest.mark.parametrize('name', ['deep.png','deep.tif','clear.png','palette.gif','photo.jpg','grey.png','print.tif'])
def test_same_as_the_command(visit, coffee, hole, name, tmp_path):
    "The download is the file that the command writes, byte for byte."
    coffee,hole = coffee[200:,300:],hole[200:,300:]
    body = kinds(coffee)[name]
    (tmp_path/name).write_bytes(body)
    Image.fromarray(hole).save(tmp_path/'mask.png')
    assert visit.open(body, name).json()['remarks']==[]
    assert visit.post('fill', bytes(hole), detail='false').status_code==200
    answer = visit.get('save', version=1)
    about = json.loads(answer.headers['x-about'])
    with contextlib.nullcontext() if name!='palette.gif' else pytest.warns(UserWarning, match='palette'):
        fill(tmp_path/name, tmp_path/'mask.png', tmp_path/about['name'], device='cpu')
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
    assert visit.post('fill', bytes(hole), version=0, detail='false').json()['version']==1
    assert np.array_equal(view(0), coffee) and np.array_equal(view(1)[hole], one[hole])
    refused(visit.get('view', version=2), 422, 'filled 1 times')

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

def test_room_is_counted_for_what_is_kept(small, coffee, hole):
    "What the network sees of 16 bits or of grey is made when it is asked for, and gone afterwards."
    for levels in (coffee.astype(np.uint16)*257, coffee[...,0]):
        canvas = Canvas(Picture(levels))
        assert canvas.nbytes==levels.nbytes
        canvas.fill(small, hole, 0)
        assert canvas.nbytes<1.3*levels.nbytes

# what is said

def test_advice_is_for_the_page(visit, coffee, hole):
    "No sentence sends a person to an option of the command that the page does not have."
    visit.open(file_of(coffee))
    dim = np.where(hole, 90, 0).astype(np.uint8)
    clear = np.dstack([np.zeros((400,600,3), np.uint8), np.where(hole, 0, 255).astype(np.uint8)])
    for mask,text in ((dim,'draw the hole in white.'), (clear,'paint the hole here.'), (dim[::2,::2]*2,'draw the mask on the picture itself.')):
        answer = visit.post('read_mask', file_of(mask), name='m.png')
        refused(answer, 422, text)
        assert '--' not in answer.text

def test_a_remark_on_a_fill_comes_with_the_fill_and_goes_with_it(visit, coffee, hole):
    "A hole where the picture is transparent"
    visit.open(file_of(np.dstack([coffee, np.where(np.arange(600)<400, 255, 0)*np.ones((400,1))]).astype(np.uint8)), 'clear.png')
    for n in range(2):
        remark, = visit.post('fill', bytes(hole), version=n, detail='false').json()['remarks']
        assert remark.startswith('clear.png is transparent in') and remark.endswith('draw the hole where the picture is opaque.')
    for n in range(3): assert json.loads(visit.get('save', version=n).headers['x-about'])['remarks']==[]

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

# in a browser

CHROMIUM = next((o for o in map(shutil.which, ('chromium','chromium-browser','google-chrome')) if o), None)
DRIVER = shutil.which('chromedriver')
try: from selenium import webdriver
except ImportError: webdriver = None
needs_browser = pytest.mark.skipif(not (CHROMIUM and DRIVER and webdriver),
    reason='needs Chromium, chromedriver and selenium: apt-get install chromium chromium-driver, pip install selenium')

@pytest.fixture(scope='module')
def driver(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for o in ('headless=new','no-sandbox','disable-dev-shm-usage','disable-gpu','window-size=1280,1000'): options.add_argument(f'--{o}')
    options.set_capability('goog:loggingPrefs', {'browser':'ALL'})
    options.add_experimental_option('prefs', {'download.default_directory':str(tmp_path_factory.mktemp('downloads'))})
    res = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    res.downloads = tmp_path_factory.getbasetemp()/'downloads0'
    yield res
    res.quit()

@pytest.fixture(scope='module')
def page(small):
    with serve(small, open_browser=False, max_megapixels=2) as res: yield res

@pytest.fixture(scope='module')
def files(coffee, hole, tmp_path_factory):
    "Files to open: a picture, another, a mask, a broken one, two that are too large."
    folder = tmp_path_factory.mktemp('files')
    for name,a in (('coffee.png',coffee),('tall.png',coffee[:,:300]), ('corner.png',coffee[200:,300:]),('mask.png',hole)): Image.fromarray(a).save(folder/name)
    (folder/'broken.png').write_bytes(file_of(coffee)[:5000])
    (folder/'huge.png').write_bytes(b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR'+(90000).to_bytes(4, 'big')*2+b'\x08\x02\0\0\0')
    (folder/'film.mp4').write_bytes(bytes(18_000_000))
    return folder

class Tab:
    "A tab of a browser, and what a person does in it."
    def __init__(self, driver, page):
        self.driver,self.url = driver,page.url
        driver.switch_to.new_window('tab')
        self.handle = driver.current_window_handle
        driver.get(page.url)
    def __enter__(self): return self
    def __exit__(self, *_):
        asked = self.js("return performance.getEntriesByType('resource').map(o => o.name)")
        assert asked and all(o.startswith((self.url, 'blob:'+self.url, 'data:')) for o in asked), asked
        assert not [o for o in self.driver.get_log('browser') if 'status of 4' not in o['message']]
        self.driver.execute_cdp_cmd('Emulation.clearDeviceMetricsOverride', {})
        self.driver.close()
        self.driver.switch_to.window(self.driver.window_handles[0])
    def show(self): self.driver.switch_to.window(self.handle)
    def js(self, code): return self.driver.execute_script(code)
    def at(self, id): return self.driver.find_element('id', id)
    def text(self, id): return self.at(id).text
    def wait(self, code='!S.busy && !S.probing'):
        until = time.monotonic()+30
        while not self.js(f'return {code}'):
            assert time.monotonic()<until, f'{code}: {self.text("status")} {self.text("problem")}'
            time.sleep(.02)
    def open(self, path): self.at('file').send_keys(str(path)); self.wait()
    def press(self, id):
        self.at(id).find_element('xpath', './ancestor-or-self::*[self::label or self::button][1]').click()
        self.wait()
    def keys(self, *keys):
        actions = webdriver.ActionChains(self.driver, duration=0)
        for o in keys: actions.send_keys(o)
        actions.perform()
        self.wait()
    def stroke(self, *points, kind='mouse'):
        "Draw from point to point, in pixels of the picture"
        from selenium.webdriver.common.actions.action_builder import ActionBuilder
        from selenium.webdriver.common.actions.pointer_input import PointerInput
        x0,y0,k = self.js("const r = document.getElementById('mask').getBoundingClientRect(); return [r.left, r.top, r.width/S.w]")
        actions = ActionBuilder(self.driver, mouse=PointerInput(kind, kind), duration=10)
        for i,(x,y) in enumerate(points):
            actions.pointer_action.move_to_location(round(x0+x*k), round(y0+y*k))
            if not i: actions.pointer_action.pointer_down()
        actions.pointer_action.pointer_up()
        actions.perform()
    def hole(self): return np.array(self.js('return Array.from(hole())'), bool).reshape(self.js('return S.h'), -1)
    def download(self, name):
        path = self.driver.downloads/name
        path.unlink(missing_ok=True)
        self.press('save')
        until = time.monotonic()+20
        while not path.exists(): assert time.monotonic()<until; time.sleep(.05)
        return np.asarray(Image.open(path))

@pytest.fixture
def tab(driver, page):
    with Tab(driver, page) as res: yield res

def untouched(a, coffee, hole): return np.array_equal(a[~hole], coffee[~hole]) and (a[hole]!=coffee[hole]).any()

@needs_browser
def test_stroke_fill_download(tab, files, coffee):
    tab.open(files/'coffee.png')
    assert 'coffee.png, 600 × 400 pixels' in tab.text('status') and tab.at('save').get_attribute('aria-disabled')=='true'
    tab.stroke((350,310), (430,330), (520,310))
    painted = tab.hole()
    assert painted[310,350] and painted[330,430] and .005<painted.mean()<.1
    tab.press('fill')
    assert tab.text('status').startswith('Filled') and not tab.hole().any()
    assert untouched(tab.download('coffee-filled.png'), coffee, painted)
    tab.stroke((100,100), (140,100))
    more = tab.hole()
    tab.press('fill')
    assert untouched(tab.download('coffee-filled.png'), coffee, painted|more)
    tab.press('undo')
    assert np.array_equal(tab.hole(), more) and untouched(tab.download('coffee-filled.png'), coffee, painted)

@needs_browser
def test_tools(tab, files, hole):
    tab.open(files/'coffee.png')
    tab.press('rectangle')
    tab.stroke((100,50), (200,150))
    box = tab.hole()
    assert box[60:140,110:190].all() and abs(box.sum()-100*100)<400
    tab.press('eraser'); tab.stroke((150,100), (150,101))
    assert not tab.hole()[100,150] and tab.hole()[60,110]
    tab.press('undo'); assert np.array_equal(tab.hole(), box)
    tab.press('redo'); assert not tab.hole()[100,150]
    tab.press('undo'); tab.press('invert'); assert np.array_equal(tab.hole(), ~box)
    tab.press('clear'); assert not tab.hole().any()
    tab.at('mask-file').send_keys(str(files/'mask.png')); tab.wait()
    assert np.array_equal(tab.hole(), hole)
    tab.at('mask-file').send_keys(str(files/'tall.png')); tab.wait()
    assert 'The mask tall.png is 300x400 pixels but its picture is 600x400' in tab.text('problem') and np.array_equal(tab.hole(), hole)

@needs_browser
def test_views(tab, files):
    tab.open(files/'corner.png')
    assert not any(tab.at(o).is_enabled() for o in ('compare','structure','attention'))
    tab.stroke((50,110), (220,110)); tab.press('fill')
    plain = tab.js("return document.getElementById('after').src")
    tab.press('detail')
    assert tab.js("return document.getElementById('after').src")!=plain and tab.js('return S.at')==2
    tab.press('compare')
    tab.stroke((30,60), (75,60))
    assert abs(float(tab.at('border').get_attribute('value'))-25)<1.5 and tab.at('before').is_displayed() and not tab.hole().any()
    tab.press('structure'); tab.wait('document.getElementById("after").naturalWidth==300')
    assert 'LBP' in tab.text('status')
    tab.press('attention'); tab.stroke((130,110)); tab.wait(); tab.wait('S.patch')
    assert len(tab.driver.find_elements('css selector', '#sources figure'))>=3 and '% known' in tab.text('sources')
    tab.press('undo'); tab.press('undo')
    assert tab.js('return document.body.dataset.view')=='paint' and not tab.hole().any()

@needs_browser
def test_problems(tab, files, page):
    for name,text in (('broken.png','is truncated'), ('huge.png','is 90000x90000 pixels'), ('film.mp4','has 18 MB, and 17 MB is the limit')):
        tab.open(files/name)
        assert tab.text('problem').startswith(f'{name} {text}') and tab.at('empty').is_displayed()
    tab.open(files/'coffee.png')
    assert not tab.text('problem')
    tab.press('fill')
    assert 'Nothing is painted yet' in tab.text('problem')
    page.studio.canvases.clear()
    tab.stroke((350,310), (520,310)); tab.press('fill')
    assert 'put away' in tab.text('problem') and tab.hole().any()
    tab.open(files/'coffee.png')
    assert not tab.text('problem') and not tab.hole().any()

@needs_browser
def test_two_tabs(driver, page, files, coffee):
    "Two tabs do not disturb each other, and a closed one is forgotten."
    n = len(page.studio.canvases)
    with Tab(driver, page) as one:
        one.open(files/'coffee.png'); one.stroke((350,310), (520,310)); painted = one.hole()
        one.js("document.getElementById('fill').click()")
        with Tab(driver, page) as two:
            two.open(files/'tall.png'); two.stroke((100,100), (200,100)); other = two.hole(); two.press('fill')
            assert untouched(two.download('tall-filled.png'), coffee[:,:300], other)
            assert len(page.studio.canvases)==n+2
        one.show(); one.wait()
        assert untouched(one.download('coffee-filled.png'), coffee, painted)
        until = time.monotonic()+10
        while len(page.studio.canvases)>n+1: assert time.monotonic()<until; time.sleep(.05)
    until = time.monotonic()+10
    while len(page.studio.canvases)>n: assert time.monotonic()<until; time.sleep(.05)

@needs_browser
def test_keyboard(tab, files, coffee):
    "Everything after the choice of the file, with keys alone; what has the focus shows it."
    from selenium.webdriver.common.keys import Keys
    tab.open(files/'coffee.png')
    tab.keys(Keys.SPACE, *[Keys.ARROW_RIGHT]*4, Keys.ARROW_DOWN, Keys.SPACE)
    painted = tab.hole()
    assert painted[200,300] and painted[200,338] and 'Brush up' in tab.text('status')
    tab.keys('z'); assert not tab.hole().any()
    tab.keys('y'); assert np.array_equal(tab.hole(), painted)
    tab.keys('f')
    assert tab.text('status').startswith('Filled')
    tab.keys('s'); tab.wait("document.getElementById('status').textContent.includes('is written')")
    tab.keys('2'); assert tab.js('return document.body.dataset.view')=='compare'
    tab.keys('4', Keys.ARROW_UP); tab.wait('S.patch')
    tab.keys('r'); assert tab.js("return chosen('tool')")=='rectangle'
    seen = []
    for _ in range(24):
        tab.keys(Keys.TAB)
        name,frame = tab.js('''const o = document.activeElement, around = o.closest('label, #stage') ?? o
            return [o.id, [o, around].some(o => getComputedStyle(o).outlineStyle != 'none')]''')
        seen.append(name)
        assert frame or not name, f'{name} does not show that it has the focus'
    assert {'undo','redo','clear','invert','load-mask','mask','detail','fill','save','size'}<=set(seen)

@needs_browser
@pytest.mark.parametrize('scheme', ['light','dark'])
def test_phone(tab, files, coffee, scheme):
    "390 pixels are enough, a finger paints, both sets of colours can be read."
    tab.driver.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', dict(width=390, height=844, deviceScaleFactor=2, mobile=True))
    tab.driver.execute_cdp_cmd('Emulation.setEmulatedMedia', dict(features=[dict(name='prefers-color-scheme', value=scheme)]))
    tab.driver.refresh()
    def fits(): return tab.js('return document.documentElement.scrollWidth<=innerWidth && innerWidth==390')
    assert fits()
    tab.open(files/'coffee.png')
    tab.stroke((350,310), (430,320), (520,310), kind='touch')
    assert tab.hole()[310,350] and fits()
    if scheme=='light':
        tab.press('fill')
        assert tab.text('status').startswith('Filled') and fits()
    def brightness(o): return np.mean([int(v) for v in re.findall(r'\d+', tab.js(f'return getComputedStyle(document.body).{o}'))[:3]])
    assert (brightness('backgroundColor')>128)==(scheme=='light') and abs(brightness('backgroundColor')-brightness('color'))>150

@needs_browser
def test_in_a_notebook(driver, page, files, tmp_path):
    "A page of this computer, as a notebook is, shows it in a frame; a page from elsewhere does not."
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_): pass
    (tmp_path/'index.html').write_text(f'<link rel=icon href="data:,">{page._repr_html_()}')
    with ThreadingHTTPServer(('127.0.0.1', 0), partial(Quiet, directory=tmp_path)) as server, Tab(driver, page) as tab:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        tab.url = f'http://localhost:{server.server_port}/'
        driver.get(tab.url)
        driver.switch_to.frame(0)
        tab.open(files/'coffee.png')
        assert 'coffee.png, 600 × 400' in tab.text('status')
        driver.get(f'data:text/html,{page._repr_html_()}')
        driver.switch_to.frame(0)
        assert not driver.find_elements('id', 'file')
        driver.get(page.url)
        tab.url = page.url
        driver.get_log('browser')
        server.shutdown()
