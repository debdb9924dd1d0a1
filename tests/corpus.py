"""What people give to `fill`, and the right answer to each: a picture that is whole, or an exit code and a sentence.

`python tests/corpus.py` makes all cases in temporary folders, runs them and prints what happened."""
import contextlib, hashlib, io, json, os, shutil, struct, subprocess, sys, tempfile, time, traceback, zipfile, zlib
from collections import namedtuple
from pathlib import Path
os.environ.setdefault('OMP_NUM_THREADS', '1')
import cv2, numpy as np, tifffile, torch
from PIL import Image, ImageCms
from safetensors.torch import load, load_file, save as dump
from lbp_inpaint.cli import main
from lbp_inpaint.nets.generator import InpaintNet
from lbp_inpaint.nets.weights import load_tensors, save_net, save_tensors
from older import save_old, write_old

USAGE,PICTURE,WEIGHTS = 2,3,4
H,W = 40,56
Case = namedtuple('Case', 'name make code says check options')
CASES = []

def case(name, code=0, says=(), check=None, *options):
    "Add a case made by the decorated function: (folder, rng) -> arguments, or None for picture `p`, mask `m`"
    def add(make): CASES.append(Case(name, make, code, (says,) if isinstance(says, str) else says, check, options)); return make
    return add

# what there is to begin with

def levels(rng, c=3, dtype=np.uint8, h=H, w=W):
    "Smooth colours and some noise"
    y,x = np.mgrid[:h,:w]
    a = np.stack([np.sin(x/9+i)+np.cos(y/7-i) for i in range(c)], -1)/4+.5 + rng.normal(0, .02, (h,w,c))
    a = a.clip(0, 1)
    if np.dtype(dtype).kind=='f': return a.astype(dtype)
    return (a*np.iinfo(dtype).max).round().astype(dtype)

def hole(h=H, w=W):
    m = np.zeros((h,w), bool)
    m[h//4:h//2+1, w//3:w//2+1] = True
    return m

def standard(d, rng):
    Image.fromarray(levels(rng)).save(d/'p.png')
    Image.fromarray(hole()).save(d/'m.png')

_weights = {}
def weights(old=False):
    "A folder of weights of the narrowest network, in the older layout or the present one, made once"
    if old not in _weights:
        torch.manual_seed(0)
        _weights[old] = Path(tempfile.mkdtemp(prefix='corpus'))/'w'
        (save_old if old else save_net)(InpaintNet(1), _weights[old])
    return _weights[old]

# checks with readers that are not ours

def decode(path):
    "Pixels by OpenCV (PNG) or tifffile (TIFF), by Pillow where neither can"
    if path.suffix=='.png':
        a = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if a is not None and a.ndim==3: a = a[...,[2,1,0,3][:a.shape[2]]]
        with Image.open(path) as im:
            if im.mode in ('LA','1','P'): a = np.asarray(im)
        return a
    if path.suffix=='.tif': return tifffile.imread(path)
    with Image.open(path) as im: return np.asarray(im)

def kept(d, before='p', out='out.png', where=None):
    "The result has the picture's size, channels and depth, and its known pixels"
    if isinstance(before, str): before = decode(min((o for o in d.iterdir() if o.stem==before), key=lambda o: o.suffix!=Path(out).suffix))
    a = before
    b,m = decode(d/out),hole(*a.shape[:2]) if where is None else where
    assert a.shape==b.shape and a.dtype==b.dtype, f'{a.shape} {a.dtype} became {b.shape} {b.dtype}'
    assert (a[~m]==b[~m]).all(), 'known pixels changed'
    if m.any() and a.dtype!=bool: assert (a[m]!=b[m]).any(), 'nothing was filled'

def same(d):
    a,b = decode(d/'p.png'),decode(d/'out.png')
    assert a.shape==b.shape and (a==b).all()

def mode_is(mode, **kw):
    def check(d):
        kept(d, **kw)
        with Image.open(d/kw.get('out','out.png')) as im: assert im.mode==mode, im.mode
    return check

# pictures of every kind that can be filled

for _mode in ('1','L','LA','RGB','RGBA'):
    @case(f'PNG {_mode}', check=mode_is(_mode))
    def _(d, rng, mode=_mode):
        im = Image.fromarray(levels(rng)).convert(mode)
        if 'A' in mode: im.putalpha(Image.fromarray(levels(rng, 1)[...,0]))
        im.save(d/'p.png')
    @case(f'TIFF {_mode}', check=lambda d: kept(d, out='out.tif'))
    def _(d, rng, mode=_mode):
        im = Image.fromarray(levels(rng)).convert(mode)
        if 'A' in mode: im.putalpha(Image.fromarray(levels(rng, 1)[...,0]))
        im.save(d/'p.tif'); return d/'p.tif',d/'m.png','-o',d/'out.tif'

@case('TIFF CMYK', check=lambda d: kept(d, out='out.tif'))
def _(d, rng): Image.fromarray(levels(rng)).convert('CMYK').save(d/'p.tif'); return d/'p.tif',d/'m.png','-o',d/'out.tif'

def cmyk_jpeg(d):
    with Image.open(d/'p.jpg') as a, Image.open(d/'out.tif') as b:
        assert b.mode=='CMYK' and (np.asarray(a)[~hole()]==np.asarray(b)[~hole()]).all()
        assert abs(np.asarray(a.convert('RGB'), float)[hole()].mean()-np.asarray(b.convert('RGB'), float)[hole()].mean())<90
@case('CMYK JPEG, stored inverted as Adobe does', check=cmyk_jpeg)
def _(d, rng): Image.fromarray(levels(rng)).convert('CMYK').save(d/'p.jpg', quality=95); return d/'p.jpg',d/'m.png','-o',d/'out.tif'
@case('CMYK to PNG says that it becomes RGB', says='CMYK')
def _(d, rng): Image.fromarray(levels(rng)).convert('CMYK').save(d/'p.tif'); return d/'p.tif',d/'m.png','-o',d/'out.png'

def through(mode):
    def check(d):
        with Image.open(d/'p.png') as a, Image.open(d/'out.png') as b:
            a = a.convert(mode); assert b.mode==mode and (np.asarray(a)[~hole()]==np.asarray(b)[~hole()]).all()
    return check
@case('palette', says='palette', check=through('RGB'))
def _(d, rng): Image.fromarray(levels(rng)).quantize(50).save(d/'p.png')
@case('palette with a transparent colour', says='palette', check=through('RGBA'))
def _(d, rng): Image.fromarray(levels(rng)).quantize(50).save(d/'p.png', transparency=3)
@case('RGB with a transparent colour', says='transparent', check=through('RGBA'))
def _(d, rng): Image.fromarray(levels(rng)).save(d/'p.png', transparency=(1,2,3))

for _c in (1,3,4):
    @case(f'PNG of 16 bits, {_c} channels', check=kept)
    def _(d, rng, c=_c): a = levels(rng, c, np.uint16); cv2.imwrite(str(d/'p.png'), a[...,[2,1,0,3][:c]] if c>1 else a)
    @case(f'TIFF of 16 bits, {_c} channels', check=lambda d: kept(d, out='out.tif'))
    def _(d, rng, c=_c):
        tifffile.imwrite(d/'p.tif', levels(rng, c, np.uint16).squeeze(), photometric='rgb' if c>1 else 'minisblack', **(dict(extrasamples=['unassalpha']) if c==4 else {}))
        return d/'p.tif',d/'m.png','-o',d/'out.tif'
for _dtype,_c in (('f4',1),('f4',3),('f8',1),('f2',3)):
    @case(f'TIFF of {_dtype}, {_c} channels', check=lambda d: kept(d, out='out.tif'))
    def _(d, rng, c=_c, dtype=_dtype): tifffile.imwrite(d/'p.tif', levels(rng, c, dtype).squeeze(), photometric='rgb' if c>1 else 'minisblack'); return d/'p.tif',d/'m.png','-o',d/'out.tif'
@case('TIFF of 16 bits, big-endian', check=lambda d: kept(d, out='out.tif'))
def _(d, rng): tifffile.imwrite(d/'p.tif', levels(rng, 3, np.uint16), photometric='rgb', byteorder='>'); return d/'p.tif',d/'m.png','-o',d/'out.tif'
@case('TIFF of 16 bits, channel after channel', check=lambda d: kept(d, np.moveaxis(decode(d/'p.tif'),0,-1), out='out.tif'))
def _(d, rng): tifffile.imwrite(d/'p.tif', np.moveaxis(levels(rng, 3, np.uint16),-1,0), photometric='rgb', planarconfig='separate'); return d/'p.tif',d/'m.png','-o',d/'out.tif'
@case('16 bits to JPEG says that it rounds', says=('8 bits','JPEG'))
def _(d, rng): tifffile.imwrite(d/'p.tif', levels(rng, 3, np.uint16), photometric='rgb'); return d/'p.tif',d/'m.png','-o',d/'out.jpg'
@case('floating-point numbers to PNG', says='floating-point')
def _(d, rng): tifffile.imwrite(d/'p.tif', levels(rng, 3, 'f4'), photometric='rgb'); return d/'p.tif',d/'m.png','-o',d/'out.png'

for _end in ('jpg','webp','bmp','ppm','jp2','tga'):
    @case(f'from {_end}', check=lambda d: kept(d, np.asarray(Image.open(next(d.glob('p.*'))))))
    def _(d, rng, end=_end): (d/'p.png').unlink(); Image.fromarray(levels(rng)).save(d/f'p.{end}'); return d/f'p.{end}',d/'m.png','-o',d/'out.png'
for _end in ('webp','bmp','ppm','tga','jp2'):
    @case(f'to {_end}', check=lambda d, end=_end: kept(d, out=f'out.{end}'))
    def _(d, rng, end=_end): return d/'p.png',d/'m.png','-o',d/f'out.{end}'
@case('to JPEG, with a note', says='becomes JPEG')
def _(d, rng): return d/'p.png',d/'m.png','-o',d/'out.jpg'

for _h,_w in ((1,2),(2,1),(1,300),(300,1),(2,2),(3,5),(17,255),(257,40),(255,257),(256,256),(300,700),(600,31)):
    @case(f'{_w}x{_h} pixels', says='' , check=lambda d, h=_h, w=_w: kept(d, where=edge(h,w)))
    def _(d, rng, h=_h, w=_w): Image.fromarray(levels(rng, h=h, w=w)).save(d/'p.png'); Image.fromarray(edge(h,w)).save(d/'m.png')
def edge(h, w):
    m = np.zeros((h,w), bool)
    m[h//2:, w//2:] = True
    if m.mean()>.5: m[:] = False; m[-1,-1] = True
    return m
@case('1x1 pixel that is a hole', PICTURE, '--invert-mask')
def _(d, rng): Image.new('RGB', (1,1)).save(d/'p.png'); Image.new('L', (1,1), 255).save(d/'m.png')
@case('1x1 pixel that is none', says='no hole', check=same)
def _(d, rng): Image.new('RGB', (1,1)).save(d/'p.png'); Image.new('L', (1,1)).save(d/'m.png')

for _o in range(2,9):
    def _upright(d):
        with Image.open(d/'p.png') as a, Image.open(d/'out.png') as b:
            from PIL import ImageOps
            a = np.asarray(ImageOps.exif_transpose(a)); m = hole(*a.shape[:2])
            assert b.getexif().get(0x112, 1)==1 and a.shape==np.asarray(b).shape and (a[~m]==np.asarray(b)[~m]).all()
    @case(f'EXIF orientation {_o}', check=_upright)
    def _(d, rng, o=_o):
        e = Image.Exif(); e[0x112] = o
        Image.fromarray(levels(rng)).save(d/'p.png', exif=e)
        Image.fromarray(hole(*((H,W) if o<5 else (W,H)))).save(d/'m.png')

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
def camera(d, rng):
    e = Image.Exif(); e[0x13B] = 'Somebody'; e.get_ifd(0x8825)[1] = 'N'; e.get_ifd(0x8825)[2] = (52.,0.,0.)
    Image.fromarray(levels(rng)).save(d/'p.jpg', exif=e, icc_profile=PROFILE, dpi=(300,300))
def metadata(place):
    def check(d):
        with Image.open(d/'out.png') as im:
            assert im.info['icc_profile']==PROFILE and round(im.info['dpi'][0])==300
            assert im.getexif()[0x13B]=='Somebody' and bool(im.getexif().get_ifd(0x8825))==place
    return check
@case('profile and author stay, the place goes', check=metadata(False))
def _(d, rng): camera(d, rng); return d/'p.jpg',d/'m.png','-o',d/'out.png'
@case('the place stays when asked for', 0, (), metadata(True), '--keep-metadata')
def _(d, rng): camera(d, rng); return d/'p.jpg',d/'m.png','-o',d/'out.png'
@case('damaged EXIF is dropped', check=lambda d: kept(d, np.asarray(Image.open(d/'p.jpg'))))
def _(d, rng): Image.fromarray(levels(rng)).save(d/'p.jpg', exif=b'Exif\0\0MM\0*\xff\xff\xff\xff'); return d/'p.jpg',d/'m.png','-o',d/'out.png'
def no_thumbnail(d):
    assert b'THUMBNAILMARK' not in (d/'out.jpg').read_bytes()
    with Image.open(d/'out.jpg') as im: assert im.getexif()[0x10F]=='maker'
@case('the thumbnail goes even with --keep-metadata', 0, 'JPEG', no_thumbnail, '--keep-metadata')
def _(d, rng):
    thumb = b'\xff\xd8THUMBNAILMARK\xff\xd9'
    ifd0 = struct.pack('<H', 1) + struct.pack('<HHII', 0x10F, 2, 6, 38) + struct.pack('<I', 44)
    data = b'Exif\0\0II*\0' + struct.pack('<I', 8) + ifd0
    data = data.ljust(6+38, b'\0') + b'maker\0'
    ifd1 = struct.pack('<H', 2) + struct.pack('<HHII', 0x201, 4, 1, 74) + struct.pack('<HHII', 0x202, 4, 1, len(thumb)) + struct.pack('<I', 0)
    data = data.ljust(6+44, b'\0') + ifd1
    Image.fromarray(levels(rng)).save(d/'p.jpg', exif=data.ljust(6+74, b'\0')+thumb); return d/'p.jpg',d/'m.png','-o',d/'out.jpg'

# pictures that cannot be filled

def png(*chunks): return b'\x89PNG\r\n\x1a\n' + b''.join(struct.pack('>I', len(b)) + k + b + struct.pack('>I', zlib.crc32(k+b)) for k,b in chunks)
def header(w, h): return b'IHDR',struct.pack('>IIBBBBB', w, h, 8, 2, 0, 0, 0)
def flip(b, i, by=1): b = bytearray(b); b[i] ^= by; return bytes(b)
STRANGE = {
    'empty': (lambda b: b'', 'is empty'),
    'a Git LFS pointer': (lambda b: b'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n', 'git lfs pull'),
    'a web page': (lambda b: b'<!DOCTYPE html><html><body>404</body></html>', 'web page'),
    'text': (lambda b: b'hello', 'is text'),
    'noise': (lambda b: bytes(range(128,256))*9, 'no known picture format'),
    'truncated by half': (lambda b: b[:len(b)//2], 'truncated'),
    'truncated by 20 bytes': (lambda b: b[:-20], 'truncated'),
    'a flipped bit in the pixels': (lambda b: flip(b, len(b)//2), 'checksum'),
    'a flipped bit in the header': (lambda b: flip(b, 19), 'checksum'),
    'zeros': (lambda b: bytes(1000), 'no known picture format'),
    'a HEIC picture': (lambda b: b'\0\0\0\x18ftypheic'+bytes(500), 'HEIC'),
    'a PNG without pixels': (lambda b: png(header(5,5), (b'IEND',b'')), ''),
    'a PNG that promises too much': (lambda b: png(header(60_000,60_000), (b'IDAT',zlib.compress(b'')), (b'IEND',b'')), '--max-megapixels'),
    'a PNG of no size': (lambda b: png(header(0,10), (b'IEND',b'')), '0x10'),
    'a PNG with too few pixels': (lambda b: png(header(50,50), (b'IDAT',zlib.compress(bytes(99))), (b'IEND',b'')), ''),
}
for _n,(_f,_says) in STRANGE.items():
    @case(f'picture: {_n}', PICTURE, ('p.png', *([_says] if _says else [])))
    def _(d, rng, f=_f): (d/'p.png').write_bytes(f((d/'p.png').read_bytes()))
    @case(f'mask: {_n}', PICTURE, ('m.png', *([_says] if _says else [])))
    def _(d, rng, f=_f): Image.fromarray(levels(rng)).save(d/'m.png'); (d/'m.png').write_bytes(f((d/'m.png').read_bytes()))
@case('picture: a truncated JPEG', PICTURE, ('p.jpg','truncated'))
def _(d, rng): Image.fromarray(levels(rng)).save(d/'p.jpg'); (d/'p.jpg').write_bytes((d/'p.jpg').read_bytes()[:700]); return d/'p.jpg',d/'m.png','-o',d/'out.png'
for _end in ('gif','png','webp','tif'):
    @case(f'picture: several frames, {_end}', PICTURE, 'frames or pages')
    def _(d, rng, end=_end):
        frames = [Image.fromarray(levels(rng)).convert('P' if end=='gif' else 'RGB') for _ in range(3)]
        frames[1].paste(0, (0,0,20,20)); (d/'p.png').unlink()
        frames[0].save(d/f'p.{end}', save_all=True, append_images=frames[1:]); return d/f'p.{end}',d/'m.png','-o',d/'out.png'
for _n,_v in (('NaN',np.nan),('infinite',np.inf),('255',255.)):
    @case(f'picture: numbers with {_n}', PICTURE, ('p.tif', _n))
    def _(d, rng, v=_v): a = levels(rng, 3, 'f4'); a[3,4] = v; tifffile.imwrite(d/'p.tif', a, photometric='rgb'); return d/'p.tif',d/'m.png','-o',d/'out.tif'
@case('picture: whole numbers of 32 bits', PICTURE, 'p.tif')
def _(d, rng): tifffile.imwrite(d/'p.tif', np.full((H,W,3), 1<<30, np.uint32), photometric='rgb'); return d/'p.tif',d/'m.png','-o',d/'out.tif'
@case('picture: complex numbers', PICTURE, 'p.tif')
def _(d, rng): tifffile.imwrite(d/'p.tif', np.ones((H,W), np.complex64)); return d/'p.tif',d/'m.png','-o',d/'out.tif'
@case('picture: five channels', PICTURE, 'p.tif')
def _(d, rng): tifffile.imwrite(d/'p.tif', levels(rng, 5, np.uint16), photometric='minisblack', planarconfig='contig'); return d/'p.tif',d/'m.png','-o',d/'out.tif'
@case('picture: not there', PICTURE, ('nothing.png','is not there'))
def _(d, rng): return d/'nothing.png',d/'m.png','-o',d/'out.png'
@case('picture: a folder that is empty', PICTURE, 'holds no pictures')
def _(d, rng): (d/'e').mkdir(); return d/'e',d/'m.png','-o',d/'out'
@case('picture: a name that is too long', PICTURE, 'long')
def _(d, rng): return d/('n'*300+'.png'),d/'m.png','-o',d/'out.png'
@case('picture: too large for --max-megapixels', PICTURE, 'limit', None, '--max-megapixels', '.001')
def _(d, rng): pass

# masks

BY_FILE = {
    '0 and 255': lambda m: Image.fromarray(m.astype(np.uint8)*255), '0 and 1': lambda m: Image.fromarray(m.astype(np.uint8)), '1 bit': lambda m: Image.fromarray(m),
    '0 and 65535': lambda m: Image.fromarray(m.astype(np.uint16)*65535), '0 and 1 in 16 bits': lambda m: Image.fromarray(m.astype(np.uint16)), '0 and 255 in 16 bits': lambda m: Image.fromarray(m.astype(np.uint16)*255),
    'RGB': lambda m: Image.fromarray(m.astype(np.uint8)*255).convert('RGB'), 'RGBA': lambda m: Image.fromarray(m.astype(np.uint8)*255).convert('RGBA'), 'LA': lambda m: Image.fromarray(m.astype(np.uint8)*255).convert('LA'),
    'palette of grey levels': lambda m: Image.fromarray(m.astype(np.uint8)*255).convert('P'), 'white strokes on nothing': lambda m: Image.merge('RGBA', [Image.new('L', m.shape[::-1], 255)]*3+[Image.fromarray(m.astype(np.uint8)*255)]),
}
def voc(m): im = Image.fromarray(m.astype(np.uint8)).convert('P'); im.putdata(m.astype(np.uint8).ravel()); im.putpalette([0,0,0,128,0,0]); return im
BY_FILE['palette numbers'] = voc
for _n,_f in BY_FILE.items():
    @case(f'mask: {_n}', check=kept)
    def _(d, rng, f=_f): f(hole()).save(d/'m.png')
for _n,_o,_f in (('inverted',('--invert-mask',),lambda m: Image.fromarray(~m)), ('a red brush',('--mask-color','red'),lambda m: Image.fromarray((m[...,None]*np.array([255,0,0])).astype(np.uint8))),
        ('a brush by number',('--mask-color','00ff80'),lambda m: Image.fromarray((m[...,None]*np.array([0,255,128])).astype(np.uint8))), ('grey below a lower threshold',('--threshold','.2'),lambda m: Image.fromarray((m*80).astype(np.uint8)))):
    @case(f'mask: {_n}', 0, (), kept, *_o)
    def _(d, rng, f=_f): f(hole()).save(d/'m.png')
@case('mask: JPEG with ringing', check=kept)
def _(d, rng): Image.fromarray(hole().astype(np.uint8)*255).save(d/'m.jpg', quality=30); return d/'p.png',d/'m.jpg','-o',d/'out.png'
@case('mask: 0..1 with a point', check=kept)
def _(d, rng): tifffile.imwrite(d/'m.tif', hole().astype('f4')); return d/'p.png',d/'m.tif','-o',d/'out.png'
def transparent(d):
    a,b = (np.asarray(Image.open(d/f'{n}.png')) for n in ('p','out'))
    assert (a[~hole()]==b[~hole()]).all() and (b[...,3][hole()]==255).all()
@case('mask: the transparent part of the picture itself', 0, (), transparent, '--mask-from-alpha')
def _(d, rng): im = Image.fromarray(levels(rng)); im.putalpha(Image.fromarray((~hole()).astype(np.uint8)*255)); im.save(d/'p.png'); return d/'p.png',d/'p.png','-o',d/'out.png'
@case('mask: a colour in the picture itself', 0, (), kept, '--mask-color', 'magenta')
def _(d, rng): a = levels(rng); a[hole()] = 255,0,255; Image.fromarray(a).save(d/'p.png'); return d/'p.png',d/'p.png','-o',d/'out.png'
def grown(d):
    from scipy.ndimage import maximum_filter
    kept(d, where=maximum_filter(hole(), 7))
    assert (decode(d/'p.png')!=decode(d/'out.png')).any(-1).sum()>hole().sum()*1.2
@case('mask: dilated', 0, (), grown, '--dilate', '3')
def _(d, rng): pass
@case('mask: half the size, resized', 0, (), lambda d: kept(d, where=np.asarray(Image.fromarray(hole()[::2,::2].view(np.uint8)*255).resize((W,H), 2))>0), '--resize-mask')
def _(d, rng): Image.fromarray(hole()[::2,::2]).save(d/'m.png')
@case('mask: half the size', PICTURE, (f'{W//2}x{H//2}', f'{W}x{H}', '--resize-mask'))
def _(d, rng): Image.fromarray(hole()[::2,::2]).save(d/'m.png')
@case('mask: another shape', PICTURE, 'proportions differ', None, '--resize-mask')
def _(d, rng): Image.fromarray(hole(H,H)).save(d/'m.png')
@case('mask: swapped sides', PICTURE, 'swapped')
def _(d, rng): Image.fromarray(hole().T).save(d/'m.png')
@case('mask: fits before the picture is turned', PICTURE, 'as the camera stored it')
def _(d, rng): e = Image.Exif(); e[0x112] = 6; Image.fromarray(levels(rng)).save(d/'p.png', exif=e)
@case('mask: without a hole', says='no hole', check=same)
def _(d, rng): Image.new('L', (W,H)).save(d/'m.png')
@case('mask: 70 percent', says='--invert-mask', check=lambda d: kept(d, where=np.arange(W)[None].repeat(H,0)<W*.7))
def _(d, rng): Image.fromarray(np.arange(W)[None].repeat(H,0)<W*.7).save(d/'m.png')
@case('mask: everything', PICTURE, '--invert-mask')
def _(d, rng): Image.new('L', (W,H), 255).save(d/'m.png')
@case('mask: no white', PICTURE, ('m.png','--mask-color'))
def _(d, rng): Image.fromarray((hole()*90).astype(np.uint8)).save(d/'m.png')
@case('mask: black on nothing', PICTURE, '--mask-from-alpha')
def _(d, rng): Image.merge('RGBA', [Image.new('L', (W,H))]*3+[Image.fromarray(hole().astype(np.uint8)*255)]).save(d/'m.png')
@case('mask: no transparency', PICTURE, 'no transparency', None, '--mask-from-alpha')
def _(d, rng): pass
@case('picture and mask exchanged', PICTURE, 'picture first')
def _(d, rng): return d/'m.png',d/'p.png','-o',d/'out.png'
@case('mask: not there', PICTURE, ('none.png','is not there'))
def _(d, rng): return d/'p.png',d/'none.png','-o',d/'out.png'
@case('mask: a folder', PICTURE, 'folder')
def _(d, rng): (d/'f').mkdir(); return d/'p.png',d/'f','-o',d/'out.png'

# outputs

for _out in ('out','out.txt','out.gif','out.psd','out.pdf'):
    @case(f'output: {_out}', PICTURE, _out)
    def _(d, rng, out=_out): return d/'p.png',d/'m.png','-o',d/out
@case('output: below a file', PICTURE, 'p.png')
def _(d, rng): return d/'p.png',d/'m.png','-o',d/'p.png'/'out.png'
for _n in ('p','m'):
    @case(f'output: the input {_n}', PICTURE, 'input itself', None, '--overwrite')
    def _(d, rng, n=_n): return d/'p.png',d/'m.png','-o',d/f'{n}.png'
    @case(f'output: a link to the input {_n}', PICTURE, 'input itself', None, '--overwrite')
    def _(d, rng, n=_n): os.link(d/f'{n}.png', d/'link.png'); return d/'p.png',d/'m.png','-o',d/'link.png'
@case('output: there already', PICTURE, '--overwrite', lambda d: (d/'out.png').read_bytes()==b'old' or 1/0)
def _(d, rng): (d/'out.png').write_bytes(b'old')
@case('output: there already, to be replaced', 0, (), kept, '--overwrite')
def _(d, rng): (d/'out.png').write_bytes(b'old')
@case('output: a folder that is there', check=lambda d: kept(d, out='results/p.png'))
def _(d, rng): (d/'results').mkdir(); return d/'p.png',d/'m.png','-o',d/'results'
@case('output: folders to be made', check=lambda d: kept(d, out='a/b/out.png'))
def _(d, rng): return d/'p.png',d/'m.png','-o',d/'a'/'b'/'out.png'
@case('output: transparency to JPEG', PICTURE, 'no transparency')
def _(d, rng): Image.fromarray(levels(rng, 4)).save(d/'p.png'); return d/'p.png',d/'m.png','-o',d/'out.jpg'
@case('names in another script', check=lambda d: kept(d, out='naïve 世界.png'))
def _(d, rng): return d/'p.png',d/'m.png','-o',d/'naïve 世界.png'
@case('the LBP map and the attention, too', 0, (), lambda d: (kept(d), Image.open(d/'lbp.png').size==(W,H) or 1/0, Image.open(d/'out-attention.png').size[0]>500 or 1/0), '--attention', '20,12')
def _(d, rng): return d/'p.png',d/'m.png','-o',d/'out.png','--lbp',d/'lbp.png'

# folders

def folder(d, names, masks=True):
    for o in ('in','masks'): (d/o).mkdir()
    for n in names: shutil.copy(d/'p.png', d/'in'/f'{n}.png'); (shutil.copy(d/'m.png', d/'masks'/f'{n}.png') if masks else None)
    return d/'in',(d/'masks' if masks else d/'m.png'),'-o',d/'results'
def results(*names):
    def check(d):
        found = sorted(o.relative_to(d/'results').as_posix() for o in (d/'results').rglob('*.*')) if (d/'results').exists() else []
        assert found==sorted(names), found
        for n in names: assert (decode(d/'p.png')[~hole()]==decode(d/'results'/n)[~hole()]).all()
    return check
@case('folder: masks by name', check=results('a.png','b.png'))
def _(d, rng): return folder(d, 'ab')
@case('folder: one mask for all', check=results('a.png','b.png'))
def _(d, rng): return folder(d, 'ab', False)
@case('folder: with folders', 0, (), results('a.png','deep/c.png'), '--recursive')
def _(d, rng): args = folder(d, 'a', False); (d/'in'/'deep').mkdir(); shutil.copy(d/'p.png', d/'in'/'deep'/'c.png'); return args
@case('folder: some are damaged', PICTURE, ('1 filled, 2 refused','b.png','c.png'), results('a.png'))
def _(d, rng): args = folder(d, 'abc'); (d/'in'/'b.png').write_bytes(b'x'); (d/'masks'/'c.png').unlink(); return args
@case('folder: two pictures for one result', 0, 'a.bmp.png', results('a.png','a.bmp.png'))
def _(d, rng): args = folder(d, 'a', False); shutil.copy(d/'p.png', d/'in'/'a.bmp'); return args
@case('folder: a result that is there', 0, ('1 filled, 1 skipped','--overwrite'), lambda d: (kept(d, out='results/a.png'), (d/'results'/'b.png').read_bytes()==b'old' or 1/0))
def _(d, rng): args = folder(d, 'ab', False); (d/'results').mkdir(); (d/'results'/'b.png').write_bytes(b'old'); return args
@case('folder: its own results', PICTURE, 'an input itself')
def _(d, rng): return *folder(d, 'ab', False)[:-1],d/'in'
@case('folder: results beside the pictures', check=lambda d: (d/'in'/'a.png').exists() or 1/0)
def _(d, rng): folder(d, '', False); Image.fromarray(levels(rng)).save(d/'in'/'a.jpg'); return d/'in',d/'m.png','-o',d/'in'
@case('folder: two masks for one picture', PICTURE, ('1 filled, 1 refused','2 masks'), results('b.png'))
def _(d, rng): args = folder(d, 'ab'); shutil.copy(d/'m.png', d/'masks'/'a.bmp'); return args
@case('folder: results within it are not filled again', 0, (), lambda d: sorted(o.name for o in (d/'in'/'done').rglob('*.png'))==['a.png'] or 1/0, '--recursive', '--overwrite')
def _(d, rng): folder(d, 'a', False); (d/'in'/'done').mkdir(); shutil.copy(d/'p.png', d/'in'/'done'/'a.png'); return d/'in',d/'m.png','-o',d/'in'/'done'
@case('folder: --lbp', USAGE, 'one picture', results(), '--lbp', 'x.png')
def _(d, rng): return folder(d, 'ab')

# weights

def with_weights(d, old=False):
    shutil.copytree(weights(old), d/'w')
    return d/'p.png',d/'m.png','-o',d/'out.png','--weights',d/'w'
def bomb(d):
    with zipfile.ZipFile(d/'model.safetensors', 'w', zipfile.ZIP_DEFLATED) as z: z.writestr('archive/data.pkl', bytes(300_000_000))
class Hostile:
    def __reduce__(self): return os.mkdir,('HOSTILE',)
def again(w, tensors=lambda t: None, plain=lambda p: None):
    "Weights of either format with other tensors or other words, and right checksums"
    f = w/'model.safetensors'
    if (w/'config.json').exists():
        state,words = load_file(f),json.loads((w/'config.json').read_text())
        tensors(state); plain(words); data = dump(state)
        return write_old(w, data, dict(words, sha256=hashlib.sha256(data).hexdigest()))
    state,words = load_tensors(f)
    tensors(state); plain(words); save_tensors(f, state, words)
def rewrite(name, f): return lambda w: (w/name).write_bytes(f((w/name).read_bytes()))
first = 'g1.unet.encoder.0.weight'
DAMAGES = { # of either format
    'a flipped bit in the tensors': (rewrite('model.safetensors', lambda b: flip(b, len(b)//2)), 'SHA-256'),
    'a flipped bit in the list of tensors': (rewrite('model.safetensors', lambda b: flip(b, 100)), ''),
    'truncated': (rewrite('model.safetensors', lambda b: b[:-100]), 'truncated'),
    'longer than it says': (rewrite('model.safetensors', lambda b: b+bytes(100)), 'damaged'),
    'empty': (rewrite('model.safetensors', lambda b: b''), 'empty'),
    'a Git LFS pointer': (rewrite('model.safetensors', lambda b: b'version https://git-lfs.github.com/spec/v1\noid'), 'git lfs pull'),
    'a web page': (rewrite('model.safetensors', lambda b: b'<html>'+b' '*90), 'web page'),
    'a list of a terabyte': (rewrite('model.safetensors', lambda b: struct.pack('<Q', 1<<40)+b'{'+bytes(99)), 'truncated'),
    'a head of three megabytes': (rewrite('model.safetensors', lambda b: struct.pack('<Q', 3_000_000)+b'{}'+b' '*2_999_998), 'two megabytes'),
    'a zip bomb': (bomb, 'convert'),
    'a hostile pickle': (lambda w: torch.save(Hostile(), w/'model.safetensors'), 'convert'),
    'another network': (lambda w: again(w, plain=lambda p: p['network'].update(nf=2)), 'shape'),
    'a giant network': (lambda w: again(w, plain=lambda p: p['network'].update(nf=10**7)), ''),
    'a setting that is none': (lambda w: again(w, plain=lambda p: p['network'].update(colour='red')), 'no setting colour'),
    'no network': (lambda w: again(w, plain=lambda p: p.pop('network')), 'no network'),
    'settings of the future': (lambda w: again(w, plain=lambda p: p.update(format=3)), 'format'),
    'NaN': (lambda w: again(w, lambda s: s[first].view(-1)[:1].fill_(torch.nan)), 'NaN'),
    'a missing tensor': (lambda w: again(w, lambda s: s.pop(first)), 'lacks'),
    'an unexpected tensor': (lambda w: again(w, lambda s: s.update(more=torch.zeros(3))), 'unexpected'),
    'a tensor of another shape': (lambda w: again(w, lambda s: s.update({first:s[first][:,:1].clone()})), 'shape'),
    'a tensor of whole numbers': (lambda w: again(w, lambda s: s.update({first:s[first].int()})), 'type'),
    'no tensors': (lambda w: (w/'model.safetensors').unlink(), 'missing'),
}
IN_THE_HEAD = {
    'a flipped bit in the settings': (rewrite('model.safetensors', lambda b: flip(b, b.index(b'top_t')+10)), 'SHA-256'),
    'numbers without words': (rewrite('model.safetensors', lambda b: dump(load(b))), 'config.json is missing'),
    'words that are none': (rewrite('model.safetensors', lambda b: dump(load(b), dict(about='x'))), 'SHA-256'),
    'words nested too deep': (rewrite('model.safetensors', lambda b: dump(load(b), dict(about='['*200_000))), 'SHA-256'),
    'words that are a list': (lambda w: save_tensors(w/'model.safetensors', load_tensors(w/'model.safetensors')[0], [1]), 'format'),
}
BESIDE = { # the older layout
    'a flipped bit in the settings': (rewrite('config.json', lambda b: flip(b, b.index(b'"top_t"')+9)), 'digest'),
    'no config.json': (lambda w: (w/'config.json').unlink(), 'missing'),
    'settings that are not JSON': (rewrite('config.json', lambda b: b[:-5]), 'JSON'),
    'settings nested too deep': (rewrite('config.json', lambda b: b'['*200_000), 'JSON'),
    'settings of two megabytes': (rewrite('config.json', lambda b: b' '*2_000_000+b), 'megabyte'),
}
for _old,_damages in ((False,DAMAGES | IN_THE_HEAD), (True,DAMAGES | BESIDE)):
    for _n,(_f,_says) in _damages.items():
        @case(f'{"older " if _old else ""}weights: {_n}', WEIGHTS, ('w', *([_says] if _says else [])), lambda d: Path('HOSTILE').exists() and 1/0)
        def _(d, rng, f=_f, old=_old): args = with_weights(d, old); f(d/'w'); return args
@case('older weights: whole', check=kept)
def _(d, rng): return with_weights(d, True)
@case('weights: whole', check=kept)
def _(d, rng): return with_weights(d)
@case('weights: a .pth file', WEIGHTS, ('old.pth','lbp-inpaint convert'))
def _(d, rng): torch.save({'a':torch.zeros(3)}, d/'old.pth'); return d/'p.png',d/'m.png','-o',d/'out.png','--weights',d/'old.pth'
@case('weights: the file instead of its folder', WEIGHTS, 'give the folder')
def _(d, rng): args = with_weights(d); return *args[:-1],d/'w'/'model.safetensors'
@case('weights: no such name', WEIGHTS, ('enormous','small'), None, '--weights', 'enormous')
def _(d, rng): pass
@case('weights: a name that is too long', WEIGHTS, 'no weights', None, '--weights', 'n'*300)
def _(d, rng): pass

# the command itself

for _n,_o in (('no device',('--device','abacus')),('a device of torch that does not compute',('--device','meta')),('a GPU that is not there',('--device','cuda:77')),('fp16 without a GPU',('--device','cpu','--precision','fp16')),
        ('no precision',('--precision','fp8')),('a threshold of 0',('--threshold','0')),('a threshold of nan',('--threshold','nan')),('a negative dilation',('--dilate','-1')),('an endless dilation',('--dilate','999999')),
        ('no colour',('--mask-color','sky')),('a colour and transparency',('--mask-color','red','--mask-from-alpha')),('no pixel',('--attention','here')),('a pixel outside',('--attention','999,999')),
        ('a pixel that is known',('--attention','0,0')),('no megapixels',('--max-megapixels','0')),('megapixels of nan',('--max-megapixels','nan')),('a word for a number',('--dilate','three')),('an unknown option',('--nonsense',))):
    @case(f'usage: {_n}', USAGE, (), None, *_o)
    def _(d, rng): pass
@case('usage: bf16 works', 0, (), kept, '--device', 'cpu', '--precision', 'bf16')
def _(d, rng): pass

# running them

Outcome = namedtuple('Outcome', 'code err seconds problem')

def inside(args):
    "Run a command in this process: (exit code, what it says on stderr)"
    err = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(err):
        try: code = main([str(a) for a in args])
        except SystemExit as e: code = e.code
    return code,err.getvalue()

def outside(args):
    "Run a command in a process of its own"
    done = subprocess.run([sys.executable, '-W', 'ignore::FutureWarning', '-c', 'import sys; from lbp_inpaint.cli import main; sys.exit(main())', *map(str, args)], capture_output=True, text=True, timeout=120)
    return done.returncode,done.stderr

def run_case(c, d, run=inside):
    "Make a case in the folder `d`, run it and judge it"
    rng = np.random.default_rng([len(c.name), *c.name.encode()])
    standard(d, rng)
    args = c.make(d, rng) or (d/'p.png',d/'m.png','-o',d/'out.png')
    args = ['fill', *args, *c.options, *(() if '--weights' in [*args,*c.options] else ('--weights',weights())), *(() if '--device' in c.options else ('--device','cpu'))]
    before,start = {o:o.read_bytes() for o in d.rglob('*') if o.is_file()},sum(os.times()[:4])
    try: code,err = run(args)
    except Exception: return Outcome(None, '', sum(os.times()[:4])-start, traceback.format_exc())
    took = sum(os.times()[:4])-start
    return Outcome(code, err, took, judge(c, d, code, err, took, before))

def judge(c, d, code, err, took, before):
    "What is wrong with an outcome, or None; `took` is processor time, since a busy machine is no hang"
    after = {o for o in d.rglob('*') if o.is_file()}
    if 'Traceback' in err: return err
    if took>20: return f'took {took:.0f} s'
    if code!=c.code: return f'exit code {code}, not {c.code}: {err}'
    if any(o.name.endswith('.tmp') for o in after): return 'a temporary file was left'
    if code and 'refused' not in err and after!=set(before): return f'files were left: {after-set(before)}'
    if '--overwrite' not in c.options and any(o.read_bytes()!=b for o,b in before.items()): return 'a file was changed'
    if code and 'usage:' not in err and not ('refused:' in err or err.count('\n')==1 and err.startswith('lbp-inpaint: ') and err.endswith('.\n') and err.count('; ')==1): return f'not one sentence with a remedy: {err}'
    missing = [o for o in c.says if o not in err]
    if missing: return f'{missing} not in: {err}'
    if not code and not c.says and err: return f'unexpected: {err}'
    try:
        if c.check: c.check(d)
    except Exception: return traceback.format_exc()

if __name__=='__main__':
    start,bad = time.time(),[]
    for c in CASES:
        with tempfile.TemporaryDirectory() as d: out = run_case(c, Path(d))
        if out.problem: bad.append(c.name); print(f'{c.name}: {out.problem}')
    print(f'{len(CASES)} cases in {time.time()-start:.0f} s, {len(bad)} not as they should be{": " if bad else ""}{", ".join(bad)}')
    sys.exit(bool(bad))
