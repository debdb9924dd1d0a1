"What people do with results: tags, names, folders, pipes. Inputs are made by code, results are read by others than ours."
import contextlib, errno, fcntl, io, json, os, pty, shutil, struct, subprocess, sys, termios, threading, unicodedata, zlib
from pathlib import Path
import numpy as np, pytest, tifffile
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import IFDRational
import corpus
from corpus import H, PICTURE, PROFILE, USAGE, W, Case, decode, folder, hole, kept, levels, standard, weights
from lbp_inpaint.cli import main
from lbp_inpaint.errors import PictureError
from lbp_inpaint.files import write_file
from lbp_inpaint.pictures import METADATA, Picture, metadata_table, output_format, write_png16

CASES = []
def case(name, code=0, says=(), check=None, *options):
    "Add a case made by the decorated function, as in the corpus"
    def add(make): CASES.append(Case(name, make, code, (says,) if isinstance(says, str) else says, check, options)); return make
    return add

EXIF,GPS = 0x8769,0x8825
def camera(d, name='p.jpg', mode='RGB', artist='Zoë', **kwargs):
    "A photograph with all that a camera writes"
    e = Image.Exif(); sub,place = e.get_ifd(EXIF),e.get_ifd(GPS)
    e[0x10F] = 'Maker'; e[0x13B] = artist.encode(); e[0x112] = 1; e[0x11A] = e[0x11B] = 300.
    sub[0x829A] = IFDRational(1, 250); sub[0x9204] = IFDRational(-1, 3); sub[0x927C] = b'SECRETNOTES'; sub[0xA431] = 'SERIAL1234'; sub[0xA002] = 9
    place[1] = 'N'; place[2] = (52.,30.,0.)
    Image.fromarray(levels(np.random.default_rng(0))).convert(mode).save(d/name, exif=e.tobytes(), dpi=(300,300), **kwargs)
    return d/name,d/'m.png','-o'

def tags(path):
    "(main, EXIF, GPS) of a file, by Pillow"
    with Image.open(path) as im: e = im.getexif(); return dict(e),dict(e.get_ifd(EXIF)),dict(e.get_ifd(GPS))
def dpi(path):
    with Image.open(path) as im: return im.info.get('dpi')
def resolution(path):
    "(across, down, unit) of a TIFF file, by tifffile"
    with tifffile.TiffFile(path) as f: t = f.pages[0].tags; return *(t[k].value[0]/t[k].value[1] for k in (282,283)),int(t[296].value)

# tags

def photograph(out, place=False, artist='Zoë'):
    def check(d):
        main_tags,sub,gps = tags(d/out)
        assert main_tags[0x10F]=='Maker' and main_tags[0x13B].encode('latin-1')==artist.encode()
        assert abs(float(sub[0x829A])-1/250)<1e-6 and abs(float(sub[0x9204])+1/3)<1e-6 and 0xA002 not in sub and main_tags.get(0x112, 1)==1
        assert bool(gps)==(0x927C in sub)==(0xA431 in sub)==(b'SECRETNOTES' in (d/out).read_bytes())==place
        assert out.endswith(('webp','avif')) or round(dpi(d/out)[0])==300
    return check
for _end,_says in (('tif',()),('png',()),('jpg','becomes JPEG'),('webp',()),('avif','becomes AVIF')):
    @case(f'a photograph to {_end}', 0, _says, photograph(f'out.{_end}'))
    def _(d, rng, end=_end): return *camera(d),d/f'out.{end}'
    @case(f'a photograph to {_end}, with everything', 0, _says, photograph(f'out.{_end}', True), '--keep-metadata')
    def _(d, rng, end=_end): return *camera(d),d/f'out.{end}'
for _mode in ('L','CMYK'):
    @case(f'a photograph in {_mode} to TIFF', check=photograph('out.tif'))
    def _(d, rng, mode=_mode): return *camera(d, mode=mode),d/'out.tif'
@case('a TIFF photograph to TIFF', check=lambda d: (photograph('out.tif', artist='Zoe')(d), kept(d, out='out.tif')))
def _(d, rng): return *camera(d, 'p.tif', artist='Zoe'),d/'out.tif'
@case('a WebP photograph to TIFF', check=photograph('out.tif'))
def _(d, rng): return *camera(d, 'p.webp', lossless=True),d/'out.tif'
@case('place and notes do not come out of TIFF either', check=photograph('out.jpg', artist='Zoe'), says='becomes JPEG')
def _(d, rng): return *camera(d, 'p.tif', artist='Zoe'),d/'out.jpg'

def scan(d, dtype, byteorder='<', bigtiff=False, unit=2, across=600, down=600, c=3, **kwargs):
    a = levels(np.random.default_rng(0), c, dtype).squeeze()
    tifffile.imwrite(d/'p.tif', a, photometric='rgb' if c>1 else 'minisblack', byteorder=byteorder, bigtiff=bigtiff, resolution=(across,down), resolutionunit=unit,
        description='a sleeper', software='scanner', metadata=None, extratags=[(315,'s',0,'Ansel',True),(33432,'s',0,'mine',True)], **kwargs)
    return d/'p.tif',d/'m.png','-o'
def scanned(out, want=(600,600,2)):
    def check(d):
        main_tags = tags(d/out)[0] if out.endswith('png') else {t.code:t.value for t in tifffile.TiffFile(d/out).pages[0].tags}
        assert [main_tags[k] for k in (270,305,315,33432)]==['a sleeper','scanner','Ansel','mine']
        if out.endswith('tif'): assert resolution(d/out)==want; kept(d, out=out)
        else: assert round(dpi(d/out)[0])==want[0] and round(dpi(d/out)[1])==want[1]
    return check
for _t in ('u1','u2','f4'):
    @case(f'a scan of {_t} keeps its resolution and its words', check=scanned('out.tif'))
    def _(d, rng, t=_t): return *scan(d, t),d/'out.tif'
for _t in ('u1','u2'):
    @case(f'a scan of {_t} to PNG', check=scanned('out.png'))
    def _(d, rng, t=_t): return *scan(d, t),d/'out.png'
@case('a big-endian scan', check=scanned('out.tif'))
def _(d, rng): return *scan(d, 'u2', '>'),d/'out.tif'
@case('a scan in BigTIFF', check=scanned('out.tif'))
def _(d, rng): return *scan(d, 'u2', bigtiff=True),d/'out.tif'
@case('a grey scan', check=scanned('out.tif'))
def _(d, rng): return *scan(d, 'u2', c=1),d/'out.tif'
@case('dots per centimetre', check=scanned('out.tif', (600*2.54,300*2.54,2)))
def _(d, rng): return *scan(d, 'u2', unit=3, down=300),d/'out.tif'
@case('pixels that are no squares', check=scanned('out.tif', (2,1,1)))
def _(d, rng): return *scan(d, 'u1', unit=1, across=2, down=1),d/'out.tif'
for _end in ('jpg','bmp'):
    @case(f'600 dpi to {_end}', 0, ('becomes JPEG',) if _end=='jpg' else 'description, artist', lambda d, end=_end: round(dpi(d/f'out.{end}')[0])==600 or 1/0)
    def _(d, rng, end=_end): return *scan(d, 'u1'),d/f'out.{end}'
@case('600 dpi to WebP', check=lambda d: round(float(tags(d/'out.webp')[0][0x11A]))==600 or 1/0)
def _(d, rng): return *scan(d, 'u1'),d/'out.webp'
@case('damaged tags of TIFF are dropped', check=lambda d: kept(d, out='out.tif'))
def _(d, rng):
    args = scan(d, 'u1'); b = bytearray((d/'p.tif').read_bytes())
    at = b.index(struct.pack('<HH', 315, 2)); b[at+8:at+12] = struct.pack('<I', 1<<30); (d/'p.tif').write_bytes(b)
    return *args,d/'out.tif'
@case('what a format does not hold is told once', 0, ('p.jpg loses its resolution and its description, artist', 'which PPM does not hold'), lambda d: (d/'out.ppm').stat().st_size)
def _(d, rng): return *camera(d),d/'out.ppm'
@case('EXIF that JPEG has no room for', 0, ("loses its maker's notes",'no room'), lambda d: tags(d/'out.jpg')[0][0x10F]=='Maker' or 1/0, '--keep-metadata')
def _(d, rng):
    e = Image.Exif(); e[0x10F] = 'Maker'; e.get_ifd(EXIF)[0x927C] = bytes(70_000)
    Image.fromarray(levels(rng)).save(d/'p.png', exif=e); return d/'p.png',d/'m.png','-o',d/'out.jpg'
def profile_gone(d):
    with Image.open(d/'out.png') as im: assert 'icc_profile' not in im.info
@case('a profile for other colours', 0, ('is CMYK','other colours'), profile_gone)
def _(d, rng): Image.fromarray(levels(rng)).convert('CMYK').save(d/'p.tif', icc_profile=PROFILE[:16]+b'CMYK'+PROFILE[20:]); return d/'p.tif',d/'m.png','-o',d/'out.png'

# PNG: text, gamma, resolution, a transparent colour

def texts(d, **kwargs):
    info = PngInfo()
    for k,v in dict(Title='A cat', Author='Zoë 世', Comment='hello', parameters='a prompt').items(): info.add_text(k, v)
    info.add_text('XML:com.adobe.xmp', '<x/>'); info.add_text('Raw profile type exif', '00')
    Image.fromarray(levels(np.random.default_rng(0))).save(d/'p.png', pnginfo=info, **kwargs)
    return d/'p.png',d/'m.png','-o'
def png_info(path):
    with Image.open(path) as im: im.load(); return im.info
def text_is(more):
    def check(d): assert {k:v for k,v in png_info(d/'out.png').items() if isinstance(v, str)}==dict(Title='A cat', Author='Zoë 世', Comment='hello', **more)
    return check
@case('usual PNG text', check=text_is({}))
def _(d, rng): return *texts(d),d/'out.png'
@case('unusual PNG text, asked for', 0, (), text_is(dict(parameters='a prompt')), '--keep-metadata')
def _(d, rng): return *texts(d),d/'out.png'
def author(d):
    main_tags = tags(d/'out.jpg')[0]
    with Image.open(d/'out.jpg') as im: assert im.info['comment']==b'hello' and main_tags[0x13B].encode('latin-1').decode()=='Zoë 世'
@case("a PNG's author and comment in JPEG", 0, ('loses its title','JPEG does not hold'), author)
def _(d, rng): return *texts(d),d/'out.jpg'
@case("a JPEG's comment in PNG", check=lambda d: png_info(d/'out.png')['Comment']=='héllo' or 1/0)
def _(d, rng): Image.fromarray(levels(rng)).save(d/'p.jpg', comment='héllo'); return d/'p.jpg',d/'m.png','-o',d/'out.png'
@case('gamma of PNG', check=lambda d: png_info(d/'out.png')['gamma']==1 or 1/0)
def _(d, rng): info = PngInfo(); info.add(b'gAMA', struct.pack('>I', 100000)); Image.fromarray(levels(rng)).save(d/'p.png', pnginfo=info)
@case('gamma of PNG in another format', 0, 'loses its gamma')
def _(d, rng): info = PngInfo(); info.add(b'gAMA', struct.pack('>I', 100000)); Image.fromarray(levels(rng)).save(d/'p.png', pnginfo=info); return d/'p.png',d/'m.png','-o',d/'out.webp'
def png16(path, a, *chunks):
    with open(path, 'wb') as f: write_png16(f, a, chunks=chunks)
@case('16 bits keep resolution, text and gamma', check=lambda d: (kept(d), [png_info(d/'out.png')[k] for k in ('Title','gamma')]==['A cat',1] and round(dpi(d/'out.png')[0])==600 or 1/0))
def _(d, rng): png16(d/'p.png', levels(rng, 3, np.uint16), (b'gAMA', struct.pack('>I', 100000)), (b'pHYs', struct.pack('>IIB', 23622, 23622, 1)), (b'tEXt', b'Title\0A cat'))
def keyed(c):
    def check(d):
        a,b = decode(d/'p.png'),decode(d/'out.png')
        with Image.open(d/'out.png') as im: assert im.mode in ('LA','RGBA')
        raw = png_samples(d/'out.png')
        clear = raw[...,-1]==0
        assert clear[0,0] and clear.sum()==1 and (raw[~hole()][:,:c].reshape(-1,c)==(a if c>1 else a[...,None])[...,:c][~hole()]).all()
    return check
def png_samples(path):
    "16-bit samples `(H,W,C)` of a PNG whose rows are filtered by 'up', by zlib alone"
    b,at,data = path.read_bytes(),8,b''
    while at<len(b):
        n,kind = struct.unpack('>I4s', b[at:at+8]); body = b[at+8:at+8+n]; at += 12+n
        if kind==b'IHDR': w,h,_,k = struct.unpack('>IIBB', body[:10])
        if kind==b'IDAT': data += body
    rows = np.frombuffer(zlib.decompress(data), np.uint8).reshape(h,-1)
    assert (rows[:,0]==2).all()
    return np.cumsum(rows[:,1:], 0, dtype=np.uint8).view('>u2').reshape(h,w,{0:1,2:3,4:2,6:4}[k])
@case('16-bit RGB with a transparent colour', 0, 'transparent colour', keyed(3))
def _(d, rng): a = levels(rng, 3, np.uint16); a[0,0] = 1,2,3; png16(d/'p.png', a, (b'tRNS', struct.pack('>HHH', 1, 2, 3)))
@case('16-bit grey with a transparent level', 0, 'transparent colour', keyed(1))
def _(d, rng): a = levels(rng, 1, np.uint16)[...,0]; a[a==7] = 8; a[0,0] = 7; png16(d/'p.png', a, (b'tRNS', struct.pack('>H', 7)))

# depths

@case('32-bit grey to PNG', check=lambda d: (decode(d/'out.png')[~hole()]==decode(d/'p.tif')[~hole()]).all() and decode(d/'out.png').dtype==np.uint16 or 1/0)
def _(d, rng): Image.fromarray(levels(rng, 1, np.uint16)[...,0].astype(np.int32)).save(d/'p.tif'); return d/'p.tif',d/'m.png','-o',d/'out.png'
@case('32-bit grey to TIFF', check=lambda d: kept(d, out='out.tif'))
def _(d, rng): Image.fromarray(levels(rng, 1, np.uint16)[...,0].astype(np.int32)).save(d/'p.tif'); return d/'p.tif',d/'m.png','-o',d/'out.tif'
@case('32-bit grey to JPEG', 0, ('8 bits','JPEG'), lambda d: decode(d/'out.jpg').dtype==np.uint8 or 1/0)
def _(d, rng): Image.fromarray(levels(rng, 1, np.uint16)[...,0].astype(np.int32)).save(d/'p.tif'); return d/'p.tif',d/'m.png','-o',d/'out.jpg'
@case('16-bit grey, PNG to TIFF', check=lambda d: (decode(d/'out.tif')[~hole()]==decode(d/'p.png')[~hole()]).all() or 1/0)
def _(d, rng): Image.fromarray(levels(rng, 1, np.uint16)[...,0]).save(d/'p.png'); return d/'p.png',d/'m.png','-o',d/'out.tif'
@case('16-bit grey, PGM to PNG', check=lambda d: kept(d, np.asarray(Image.open(d/'p.pgm')).astype(np.uint16)))
def _(d, rng): (d/'p.png').unlink(); Image.fromarray(levels(rng, 1, np.uint16)[...,0]).save(d/'p.pgm'); return d/'p.pgm',d/'m.png','-o',d/'out.png'
for _end,_w in (('webp',16_400),('jpg',65_600),('tga',65_600)):
    @case(f'a strip too long for {_end}', PICTURE, ('out.'+_end,'PNG or TIFF'))
    def _(d, rng, end=_end, w=_w):
        Image.new('RGB', (w,2), (9,9,9)).save(d/'p.png'); m = Image.new('1', (w,2)); m.putpixel((5,1), 1); m.save(d/'m.png')
        return d/'p.png',d/'m.png','-o',d/f'out.{end}'

# names

for _n in (251,253,254,255):
    @case(f'a name of {_n} bytes', check=lambda d, n=_n: kept(d, out='n'*(n-4)+'.png'))
    def _(d, rng, n=_n): return d/'p.png',d/'m.png','-o',d/('n'*(n-4)+'.png')
@case('a name of 255 bytes in another script', check=lambda d: kept(d, out='世'*83+'ab.png'))
def _(d, rng): return d/'p.png',d/'m.png','-o',d/('世'*83+'ab.png')
@case('a name of 256 bytes', PICTURE, 'File name too long')
def _(d, rng): return d/'p.png',d/'m.png','-o',d/('n'*252+'.png')
@case('long names in a folder', check=lambda d: len(list((d/'results').iterdir()))==3 or 1/0)
def _(d, rng): return folder(d, ['n'*251,'b'*248,'c'])
@case('a name too long for its attention', PICTURE, ('-attention.png','File name too long'), None, '--attention', '20,12')
def _(d, rng): return d/'p.png',d/'m.png','-o',d/('n'*250+'.png')

# folders

def found(*names):
    def check(d): assert sorted(unicodedata.normalize('NFC', o.relative_to(d/'results').as_posix()) for o in (d/'results').rglob('*.*'))==sorted(names)
    return check
def old(name): return lambda d: (d/'results'/name).read_bytes()==b'old' or 1/0
def begun(d, *names):
    (d/'results').mkdir()
    for o in names: (d/'results'/o).write_bytes(b'old')
@case('begun before: the rest is done', 0, '1 filled, 2 skipped', lambda d: (found('a.png','b.png','c.png')(d), old('a.png')(d), kept(d, out='results/c.png')))
def _(d, rng): begun(d, 'a.png', 'b.png'); return folder(d, 'abc')
@case('begun before, said aloud', 0, '1 filled, 1 skipped', found('a.png','b.png'), '--skip-existing')
def _(d, rng): begun(d, 'a.png'); return folder(d, 'ab')
@case('begun before, and replaced', 0, (), lambda d: (kept(d, out='results/a.png'), kept(d, out='results/b.png')), '--overwrite')
def _(d, rng): begun(d, 'a.png'); return folder(d, 'ab')
@case('begun before, one picture is damaged', PICTURE, ('1 filled, 1 skipped, 1 refused:','c.png'), old('a.png'))
def _(d, rng): begun(d, 'a.png'); args = folder(d, 'abc'); (d/'in'/'c.png').write_bytes(b'x'); return args
@case('all is there', 0, '0 filled, 2 skipped', old('a.png'), '--weights', 'none-such')
def _(d, rng): begun(d, 'a.png', 'b.png'); return folder(d, 'ab')
@case('a folder of one whose result is there', 0, '0 filled, 1 skipped', old('a.png'))
def _(d, rng): begun(d, 'a.png'); return folder(d, 'a')
@case('one picture whose result is there, to be skipped', 0, '1 skipped', lambda d: (d/'out.png').read_bytes()==b'old' or 1/0, '--skip-existing')
def _(d, rng): (d/'out.png').write_bytes(b'old')
@case('to skip and to replace', USAGE, ('overwrite','skip_existing'), None, '--skip-existing', '--overwrite')
def _(d, rng): pass
@case('results beside the pictures, again', 0, '0 filled, 1 skipped', lambda d: sorted(o.name for o in (d/'in').iterdir())==['a.jpg','a.png'] or 1/0)
def _(d, rng):
    folder(d, '', False); Image.fromarray(levels(rng)).save(d/'in'/'a.jpg'); shutil.copy(d/'p.png', d/'in'/'a.png')
    return d/'in',d/'m.png','-o',d/'in'
@case('PNM is a picture', check=found('a.png','b.png','c.png'))
def _(d, rng):
    args = folder(d, 'a', False)
    Image.fromarray(levels(rng)).save(d/'in'/'b.ppm'); (d/'in'/'b.ppm').rename(d/'in'/'b.pnm'); shutil.copy(d/'p.png', d/'in'/'c.PNG'); (d/'in'/'notes.txt').write_text('no picture')
    return args
for _end,_says in (('heic','HEIC'),('jxl','JPEG XL'),('CR2','raw file')):
    @case(f'{_end} is named', PICTURE, ('1 filled, 1 refused',f'b.{_end}',_says), found('a.png'))
    def _(d, rng, end=_end): args = folder(d, 'a', False); (d/'in'/f'b.{end}').write_bytes(b'\0\0\0\x18ftypheic'+bytes(500) if end=='heic' else b'\xff\x0a'+bytes(range(256))); return args
@case('a raw file beside its picture', check=found('a.png'))
def _(d, rng): args = folder(d, 'a', False); (d/'in'/'a.nef').write_bytes(b'II*\0'+bytes(99)); return args
@case('three pictures of one name', 0, ('a.jpg.png','a.bmp.png'), found('a.png','a.jpg.png','a.bmp.png'))
def _(d, rng):
    args = folder(d, 'a')
    for end in ('jpg','bmp'): Image.fromarray(levels(rng)).save(d/'in'/f'a.{end}')
    return args
@case('a name that another result would take', 0, 'a.bmp.png.png', found('a.bmp.png','a.bmp.png.png','a.png'))
def _(d, rng): args = folder(d, ['a','a.bmp'], False); Image.fromarray(levels(rng)).save(d/'in'/'a.bmp'); return args

def named(picture, mask, says=(), code=0, results=None):
    @case(f'mask {mask} for {picture}', code, says, found(*(results if results is not None else [picture])))
    def _(d, rng):
        args = folder(d, '')
        for n,to in ((picture,'in'),(mask,'masks')): (d/to/n).parent.mkdir(exist_ok=True); shutil.copy(d/('p.png' if to=='in' else 'm.png'), d/to/n)
        return *args,'--recursive'
for _mask in ('x_mask001.png','x_mask.png','x-mask.png','x.mask.png','x mask 2.png','mask_x.png','mask-x.png','X.PNG','X_Mask.png'): named('x.png', _mask)
named('X.png', 'x.png')
named(unicodedata.normalize('NFC', 'Ä.png'), unicodedata.normalize('NFD', 'Ä.png'))
named(unicodedata.normalize('NFD', 'Größe.png'), unicodedata.normalize('NFC', 'größe_mask.png'), results=['Größe.png'])
named('Deep/x.png', 'deep/x_mask.png', results=['Deep/x.png'])
named('image_01.png', 'image_1.png', ('no mask for image_01.png','image_1.png'), PICTURE, ())
named('x.png', 'something.png', ('no mask for x.png','x.png'), PICTURE, ())
@case('the exact name comes first', check=lambda d: kept(d, out='results/x.png'))
def _(d, rng): args = folder(d, 'x'); Image.new('L', (W,H)).save(d/'masks'/'x_mask.png'); return args
@case('two masks by number', PICTURE, ('2 masks','x_mask001.png','x_mask002.png'), found('y.png'))
def _(d, rng):
    args = folder(d, 'xy'); (d/'masks'/'x.png').unlink()
    for i in (1,2): shutil.copy(d/'m.png', d/'masks'/f'x_mask00{i}.png')
    return args
@case('pictures and masks in one folder', check=found('x.png','y.png'))
def _(d, rng):
    folder(d, 'xy', False)
    for n in 'xy': shutil.copy(d/'m.png', d/'in'/f'{n}_mask001.png')
    return d/'in',d/'in','-o',d/'results'

@case('-o new/', check=lambda d: kept(d, out='new/p.png'))
def _(d, rng): return d/'p.png',d/'m.png','-o',f'{d/"new"}/'
@case('-o new/deep/ for a folder', check=lambda d: kept(d, out='new/deep/a.png'))
def _(d, rng): return *folder(d, 'ab')[:-1],f'{d/"new/deep"}/'
@case('a folder to a name like a picture', USAGE, ('out.png','folder'))
def _(d, rng): return *folder(d, 'a')[:-1],d/'out.png'
@case('a folder to a folder that is called like a picture', check=lambda d: kept(d, out='out.png/a.png'))
def _(d, rng): (d/'out.png').mkdir(); return *folder(d, 'a')[:-1],d/'out.png'
@case('a folder to a file', PICTURE, ('0 filled, 2 refused','results'))
def _(d, rng): (d/'results').write_bytes(b'old'); return folder(d, 'ab')

@pytest.mark.parametrize('case', CASES, ids=lambda c: c.name)
def test_case(case, tmp_path):
    problem = corpus.run_case(case, tmp_path).problem
    assert not problem, problem

def test_there_are_many_cases(): assert len(CASES)>=45 and len({c.name for c in CASES})==len(CASES)

# without -o, pipes, what is printed

@pytest.fixture
def here(tmp_path, monkeypatch):
    "A working folder with a picture and a mask"
    standard(tmp_path, np.random.default_rng(0))
    monkeypatch.chdir(tmp_path)
    return tmp_path

def call(*args, given=None, fails=0):
    "Run `fill` with bytes at standard input: (standard output, standard error), bytes and text"
    out,err,was = io.TextIOWrapper(io.BytesIO()),io.StringIO(),sys.stdin
    sys.stdin = None if given is None else io.TextIOWrapper(io.BytesIO(given))
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try: code = main(['fill', *map(str, args), '--weights', str(weights()), *([] if '--device' in args else ['--device','cpu'])])
            except SystemExit as e: code = e.code
    finally: sys.stdin = was
    out.flush()
    assert code==fails and 'Traceback' not in err.getvalue(), err.getvalue()
    return out.buffer.getvalue(),err.getvalue()

def test_where_results_go_without_a_name(here):
    assert call('p.png', 'm.png')==(b'filled.png\n','')
    folder(here, 'ab')
    assert call('in', 'masks')==(b'filled/a.png\nfilled/b.png\n','')
    kept(here, out='filled/a.png')

def test_a_result_is_told_as_json(here):
    folder(here, 'abc'); begun(here, 'a.png'); (here/'in'/'c.png').write_bytes(b'x')
    out,err = call('in', 'masks', '-o', 'results', '--json', fails=PICTURE)
    told = [json.loads(o) for o in out.splitlines()]
    assert [(o['picture'],o['status'],o['written']) for o in told]==[('in/a.png','skipped',[]), ('in/b.png','filled',['results/b.png']), ('in/c.png','refused',[])]
    assert told[0]['mask']=='masks/a.png' and 'in/c.png' in told[2]['problem'] and told[1]['problem'] is None and '1 refused' in err

def test_quiet_tells_problems_alone(here):
    Image.new('L', (W,H)).save(here/'empty.png')
    assert 'no hole' in call('p.png', 'empty.png', '-o', 'a.png')[1]
    assert call('p.png', 'empty.png', '-o', 'b.png', '--quiet')==(b'','')
    assert call('p.png', 'm.png', '-o', 'c.png', '--quiet')==(b'','') and (here/'c.png').exists()
    assert json.loads(call('p.png', 'm.png', '-o', 'd.png', '--quiet', '--json')[0])['written']==['d.png']
    out,err = call('p.png', 'none.png', '-o', 'e.png', '--quiet', fails=PICTURE)
    assert not out and 'none.png is not there' in err

def read(data):
    im = Image.open(io.BytesIO(data)); im.load()
    return im

@pytest.mark.parametrize('kind', ('PNG','JPEG','TIFF','WEBP','BMP'))
def test_a_picture_through_pipes(kind, here):
    data = io.BytesIO(); Image.open('p.png').save(data, kind, **(dict(lossless=True) if kind=='WEBP' else {}))
    out,_ = call('-', 'm.png', given=data.getvalue())
    assert read(out).format==kind
    if kind!='JPEG': assert (np.asarray(read(out))[~hole()]==np.asarray(Image.open('p.png'))[~hole()]).all()
    assert sorted(o.name for o in here.iterdir())==['m.png','p.png']

def test_pipes_in_other_places(here):
    picture,mask = Path('p.png').read_bytes(),Path('m.png').read_bytes()
    want = call('-', 'm.png', given=picture)[0]
    assert call('/dev/stdin', 'm.png', given=picture)[0]==want
    assert call('p.png', 'm.png', '-o', '-')[0]==want
    assert call('p.png', '-', '-o', '-', given=mask)[0]==want
    assert call('-', 'm.png', '-o', 'out.png', given=picture)==(b'out.png\n','') and (here/'out.png').read_bytes()==want
    gif = io.BytesIO(); Image.open('p.png').quantize(20).save(gif, 'GIF')
    assert read(call('-', 'm.png', given=gif.getvalue())[0]).format=='PNG'
    deep = io.BytesIO(); tifffile.imwrite(deep, levels(np.random.default_rng(0), 3, np.uint16), photometric='rgb')
    assert tifffile.imread(io.BytesIO(call('-', 'm.png', given=deep.getvalue())[0])).dtype==np.uint16

def test_results_of_standard_input_are_files_like_any_other(here):
    "They are skipped, explained, and told from one another, as where the picture is a file"
    picture = Path('p.png').read_bytes()
    (here/'old.png').write_bytes(b'mine')
    call('-', 'm.png', '-o', 'old.png', '--skip-existing', given=picture)
    assert (here/'old.png').read_bytes()==b'mine'
    assert 'named twice' in call('-', 'm.png', '-o', 'same.png', '--lbp', 'same.png', given=picture, fails=PICTURE)[1] and not (here/'same.png').exists()
    ys,xs = np.nonzero(hole())
    call('-', 'm.png', '-o', 'new.png', '--attention', f'{xs[0]},{ys[0]}', given=picture)
    assert (here/'new.png').is_file() and (here/'new-attention.png').is_file()
    call('-', 'm.png', '-o', 'any.png', '--max-megapixels', 'inf', given=picture)

def test_a_picture_whose_hole_is_marked_through_pipes(here):
    a = levels(np.random.default_rng(0)); a[hole()] = 255,0,255
    data = io.BytesIO(); Image.fromarray(a).save(data, 'PNG')
    out = np.asarray(read(call('-', '-', '--mask-color', 'magenta', given=data.getvalue())[0]))
    assert (out[~hole()]==a[~hole()]).all() and (out[hole()]!=a[hole()]).any()

def test_pipes_that_are_refused(here):
    picture = Path('p.png').read_bytes()
    for args,given,code,says in ((('-','-'),picture,USAGE,'both'), (('-','m.png','--json'),picture,USAGE,'--json'), (('-','m.png'),b'',PICTURE,'empty'), (('-','m.png'),picture[:200],PICTURE,'truncated'),
            (('-','m.png','--attention','20,12'),picture,USAGE,'--attention'), (('-','m.png'),None,USAGE,'terminal'), (('p.png','/dev/zero'),None,PICTURE,'device')):
        out,err = call(*args, given=given, fails=code)
        assert not out and says in err and err.count('\n')==1 and '/tmp' not in err, err
    folder(here, 'a')
    assert 'folder' in call('in', 'm.png', '-o', '-', fails=USAGE)[1]
    assert sorted(o.name for o in here.iterdir())==['in','m.png','masks','p.png']

def test_a_named_pipe(here):
    os.mkfifo('pipe')
    feed = threading.Thread(target=Path('pipe').write_bytes, args=(Path('p.png').read_bytes(),)); feed.start()
    assert call('pipe', 'm.png', '-o', 'out.png')[0]==b'out.png\n'
    feed.join(); kept(here)

def shell(command, **kwargs):
    return subprocess.run(['bash','-c',command.replace('fill', f'{sys.executable} -m lbp_inpaint fill --weights {weights()} --device cpu')], capture_output=True, env={**os.environ, 'PYTHONPATH':str(Path(__file__).parent.parent)}, timeout=120, **kwargs)

def test_a_shell(here):
    "What a shell makes of pipes, and a reader that goes away"
    done = shell('cat p.png | fill - <(cat m.png) > out.png && fill p.png m.png -o again.png | true; echo ${PIPESTATUS[0]}')
    assert not done.returncode and not done.stderr and done.stdout.strip() in (b'0',b'141'), done
    kept(here)
    assert (here/'again.png').read_bytes()==(here/'out.png').read_bytes()

@pytest.mark.parametrize('many', (True,False))
def test_bars_are_for_people(many, here):
    "On a terminal there is one, over pictures or windows, and nothing of it in the list of results"
    if many: folder(here, 'ab')
    else:
        m = Image.new('L', (1500,900)); m.paste(255, (10,400,1490,430)); m.save('m.png')
        Image.fromarray(levels(np.random.default_rng(0), h=900, w=1500)).save('p.png')
    mine,theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 80, 0, 0))
    args = ['in','masks','-o','results'] if many else ['p.png','m.png','-o','out.png']
    done = subprocess.Popen([sys.executable,'-m','lbp_inpaint','fill',*args,'--weights',weights(),'--device','cpu'], stdout=subprocess.PIPE, stderr=theirs, env={**os.environ, 'PYTHONPATH':str(Path(__file__).parent.parent)})
    os.close(theirs)
    seen = b''
    with contextlib.suppress(OSError): # Linux's way to say that the other side is closed
        while part := os.read(mine, 4096): seen += part
    os.close(mine)
    out = done.communicate()[0]
    assert not done.returncode and out==(b'results/a.png\nresults/b.png\n' if many else b'out.png\n')
    assert (b'picture' if many else b'window') in seen and b'%|' in seen, seen

def test_devices_and_precisions_to_choose_from(here):
    for args in (('--device','abacus'),('--device','cuda:x'),('--device','cpu:1'),('--precision','fp8')):
        assert 'invalid choice' in call('p.png', 'm.png', *args, fails=USAGE)[1]
    assert 'cuda:77' in call('p.png', 'm.png', '--device', 'cuda:77', fails=USAGE)[1]

def test_options_are_named_plainly(capsys):
    for command in ('fill','train','evaluate','ablate','demo','convert'):
        with pytest.raises(SystemExit): main([command,'--help'])
        out = capsys.readouterr().out
        assert '(str)' not in out and '(int)' not in out and '(float)' not in out and '--quiet' in out
        assert command=='convert' or '{auto,cpu,cuda,mps}' in out

# writing

def test_two_writers_of_one_file(tmp_path):
    "Each writes all of its own; the last one is there, whole"
    path,texts = tmp_path/'x',[bytes([i])*200_000 for i in range(8)]
    def slowly(text):
        def write(f):
            for i in range(0, len(text), 20_000): f.write(text[i:i+20_000]); f.flush()
        return write
    threads = [threading.Thread(target=write_file, args=(path, slowly(o))) for o in texts]
    for o in threads: o.start()
    for o in threads: o.join()
    assert path.read_bytes() in texts and [o.name for o in tmp_path.iterdir()]==['x']

def test_a_file_has_the_usual_permissions(tmp_path):
    (tmp_path/'a').write_bytes(b''); write_file(tmp_path/'b', b'')
    assert (tmp_path/'a').stat().st_mode==(tmp_path/'b').stat().st_mode

@pytest.mark.parametrize('number,says', ((errno.ENOSPC,'make room'),(errno.EACCES,'another place'),(errno.ENAMETOOLONG,'shorter name'),(None,'another format')))
def test_why_a_file_cannot_be_written(number, says, tmp_path):
    def fails(f): raise OSError('broken data stream') if number is None else OSError(number, os.strerror(number))
    with pytest.raises(PictureError, match=says): write_file(tmp_path/'x', fails, PictureError)
    assert not list(tmp_path.iterdir())

def test_a_full_disk_is_told_with_numbers_that_fit(tmp_path, monkeypatch):
    "Where a folder cannot be made, and where what had been written is away again when free room is counted"
    def full(*args, **kwargs): raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    def half(f): f.write(bytes(5000)); full()
    with pytest.raises(PictureError, match='more than 5000 bytes are needed and [0-9]+ are free there; make room'): write_file(tmp_path/'x', half, PictureError)
    monkeypatch.setattr(Path, 'mkdir', full)
    with pytest.raises(PictureError, match=': 3 bytes are needed and [0-9]+ are free there; make room'): write_file(tmp_path/'new'/'below'/'x', b'123', PictureError)

# the table of what is carried

KINDS = dict(PNG='png', JPEG='jpg', TIFF='tif', WEBP='webp', AVIF='avif', JPEG2000='jp2', BMP='bmp', TGA='tga', PPM='ppm')

def everything(d):
    "A PNG that has all that can be carried"
    e = Image.Exif(); sub = e.get_ifd(EXIF)
    e[0x13B] = 'ARTIST'; sub[0x829A] = IFDRational(1, 250); sub[0x927C] = b'MAKER'; sub[0xA431] = 'SERIAL'; e.get_ifd(GPS)[1] = 'N'
    info = PngInfo()
    for k,v in dict(Title='TITLE', Comment='COMMENT', parameters='PROMPT').items(): info.add_text(k, v)
    Image.fromarray(levels(np.random.default_rng(0))).save(d/'p.png', exif=e, pnginfo=info, dpi=(600,600), icc_profile=PROFILE)
    return d/'p.png'

def arrived(path):
    "Names in `METADATA` of what a file has, by Pillow"
    with Image.open(path) as im:
        im.load(); info,(main_tags,sub,gps) = im.info,tags(path)
        comment = info.get('Comment') or info.get('comment')
        return {k for k,there in dict(profile=info.get('icc_profile')==PROFILE, resolution=round((info.get('dpi') or (float(main_tags.get(0x11A, 0)),))[0])==600, about=main_tags.get(0x13B)=='ARTIST', exposure=0x829A in sub,
            text=info.get('Title')=='TITLE', comment=comment in ('COMMENT',b'COMMENT'), place=bool(gps), maker=0x927C in sub, owner=0xA431 in sub, more=info.get('parameters')=='PROMPT').items() if there}

@pytest.mark.parametrize('asked', (False,True))
@pytest.mark.parametrize('kind', KINDS)
def test_the_table_tells_the_truth(kind, asked, tmp_path):
    path = tmp_path/f'out.{KINDS[kind]}'
    assert output_format(path)==kind
    with pytest.warns(UserWarning) if kind!='PNG' else contextlib.nullcontext() as notes: Picture(everything(tmp_path)).save(path, asked)
    want = {k for k,c in METADATA.items() if kind in c.formats and (asked or not c.asked)}-{'gamma'}
    assert arrived(path)==want
    lost = [str(o.message) for o in notes or () if 'loses' in str(o.message)]
    assert len(lost)==(kind!='PNG') and all(METADATA[k].what in lost[0] for k,c in METADATA.items() if lost and kind not in c.formats and (asked or not c.asked) and k!='gamma')

def test_the_table_has_a_row_for_each():
    rows = [[c.strip() for c in o.strip('|').split('|')] for o in metadata_table().splitlines()]
    assert rows[0][1:]==list(dict.fromkeys([*rows[0][1:], *KINDS])) and len(rows)>=2+len(METADATA)
    for row,c in zip(rows[2:], METADATA.values()):
        assert row[0]==c.what and [bool(o) for o in row[1:]]==[k in c.formats for k in rows[0][1:]]
        assert {*row[1:]}-{''}=={'asked' if c.asked else 'kept'}
