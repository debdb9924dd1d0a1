"Kinds of files that people's programs write, beside those of `test_world_reading.py`: what is right is known before a file is written."
import io, itertools, os, struct, warnings, zlib
import cv2, numpy as np, pytest, tifffile, torch
from PIL import Image, ImageCms
from skimage import data
import corpus
from corpus import PICTURE, Case, folder, hole, levels, png
from lbp_inpaint.errors import MaskError, PictureError
from lbp_inpaint.files import identify_file, write_file
from lbp_inpaint.image_files import load_pixels, read_image, value_range
from lbp_inpaint.mask_files import read_hole
from lbp_inpaint.pictures import Picture
from lbp_inpaint.settings import MaskSettings

H,W = 40,56
HOLE,RNG = hole(),np.random.default_rng(7)
DEEP = levels(RNG, 3, np.uint16)
EIGHT,GREY = (DEEP>>8).astype(np.uint8),DEEP[...,0].copy()
ALPHA = np.tile(np.linspace(0, 65535, W).astype(np.uint16), (H,1))
WHITE = HOLE.astype(np.uint8)*255

def said(f, *args, **kw):
    "What a call returns, and what it warns of"
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter('always')
        return f(*args, **kw),' '.join(str(o.message) for o in seen)

VALUES = np.linspace(.2, .8, 3*HOLE.size, dtype=np.float32).reshape(-1,3)
def fill(path, mask=WHITE, **kw):
    "A picture whose hole is painted, in the place of a network by a gradient"
    picture,settings = Picture(path),MaskSettings(**kw)
    m = read_hole(mask, picture, settings)
    picture.see(m)
    return picture.paint(m, VALUES[:m.sum()], opaque=settings.mask_from_alpha)

def filled(path, mask=WHITE, **kw):
    "(the result as tifffile or OpenCV reads it, what was warned of)"
    out = path.with_name('out.png' if path.suffix!='.tif' else 'out.tif')
    _,words = said(lambda: fill(path, mask, **kw).save(out))
    if out.suffix=='.tif': return tifffile.imread(out),words
    a = cv2.imread(str(out), cv2.IMREAD_UNCHANGED)
    return (a[...,[2,1,0,3][:a.shape[2]]] if a.ndim==3 else a),words

def keeps(path, a):
    "The result has the depth and channels of `a`, and its values outside the hole"
    out,words = filled(path)
    assert out.shape==a.shape and out.dtype==a.dtype and (out[~HOLE]==a[~HOLE]).all() and (out[HOLE]!=a[HOLE]).any()
    return words

# TIFF: compressions, planes, depths

PACKED = {'u2':DEEP, 'i2':(DEEP>>1).astype('i2'), 'i4':DEEP.astype('i4'), 'f4':(DEEP/65535).astype('f4'), 'grey f4':(GREY/65535).astype('f4')}
@pytest.mark.parametrize('kind,predictor,compression', [o for o in itertools.product(PACKED, (1,2,3), (5,8)) if o[1]!=(2 if 'f' in o[0] else 3)])
def test_what_opencv_packs(kind, predictor, compression, tmp_path):
    a = PACKED[kind]
    cv2.imwrite(str(tmp_path/'p.tif'), a[...,::-1] if a.ndim==3 else a, [cv2.IMWRITE_TIFF_COMPRESSION,compression,cv2.IMWRITE_TIFF_PREDICTOR,predictor])
    assert not keeps(tmp_path/'p.tif', a)

def by_hand(path, parts, order, tile, dtype, compression=8, predictor=3):
    "A TIFF of RGB whose strips or tiles are given as they are stored"
    size = np.dtype(dtype).itemsize*8
    tags = [(256,4,[W]), (257,4,[H]), (258,3,[size]*3), (259,3,[compression]), (262,3,[2]), (277,3,[3]), (317,3,[predictor]), (339,3,[3]*3)]
    tags += [(322,4,[tile[1]]), (323,4,[tile[0]]), (324,4,None), (325,4,[*map(len, parts)])] if tile else [(273,4,None), (278,4,[H]), (279,4,[*map(len, parts)])]
    at = 8+2+12*len(tags)+4+100*len(tags)
    offsets = [at+sum(map(len, parts[:i])) for i in range(len(parts))]
    entries,more = b'',b''
    for code,kind,values in sorted((c,k,offsets if v is None else v) for c,k,v in tags):
        data = struct.pack(f'{order}{len(values)}{"H" if kind==3 else "I"}', *values).ljust(4, b'\0')
        entries += struct.pack(f'{order}HHI', code, kind, len(values))
        if len(data)>4: entries += struct.pack(f'{order}I', 8+2+12*len(tags)+4+len(more)); more += data
        else: entries += data
    head = (b'II*\0' if order=='<' else b'MM\0*')+struct.pack(f'{order}IH', 8, len(tags))+entries+bytes(4)+more
    path.write_bytes(head.ljust(at, b'\0')+b''.join(parts))

@pytest.mark.parametrize('order', '<>')
@pytest.mark.parametrize('tile', (None,(16,32)))
@pytest.mark.parametrize('kind', ('f2','f4','f8'))
def test_differences_of_floating_point(kind, tile, order, tmp_path):
    "Adobe's technical note 3: bytes of a row apart by significance, then differences; made here by hand, and by deflate"
    a = (DEEP/65535).astype(kind)
    def part(x):
        apart = x.astype(f'>{kind}').view(np.uint8).reshape(len(x), -1, np.dtype(kind).itemsize).swapaxes(1, 2).reshape(len(x), -1, 3)
        return zlib.compress(np.diff(apart, axis=1, prepend=np.uint8(0)).tobytes())
    th,tw = tile or (H,W)
    padded = np.pad(a, ((0,-H%th),(0,-W%tw),(0,0)))
    parts = [part(padded[y:y+th,x:x+tw]) for y in range(0, H, th) for x in range(0, W, tw)]
    by_hand(tmp_path/'p.tif', parts, order, tile, kind)
    got = load_pixels(tmp_path/'p.tif')[0]
    assert got.dtype==a.dtype and (got==a).all()

@pytest.mark.parametrize('order', '<>')
@pytest.mark.parametrize('compression', (None,'zlib','lzma'))
@pytest.mark.parametrize('kind', ('u1','u2','i2','f4'))
@pytest.mark.parametrize('photometric', ('rgb','minisblack'))
def test_planes_that_lie_apart(photometric, kind, compression, order, tmp_path):
    a = {'u1':EIGHT, 'u2':DEEP, 'i2':(DEEP>>1).astype('i2'), 'f4':(DEEP/65535).astype('f4')}[kind]
    tifffile.imwrite(tmp_path/'p.tif', np.moveaxis(a, -1, 0), photometric=photometric, planarconfig='separate', compression=compression, byteorder=order, metadata=None)
    assert (np.asarray(load_pixels(tmp_path/'p.tif')[0])==a).all()
    keeps(tmp_path/'p.tif', a)

@pytest.mark.parametrize('kind,c', (('i2',1),('i2',3),('u4',1),('u4',3),('i4',1)))
def test_whole_numbers_keep_their_kind(kind, c, tmp_path):
    a = ((DEEP if c==3 else GREY)>>1).astype(kind)
    tifffile.imwrite(tmp_path/'p.tif', a, photometric='rgb' if c==3 else 'minisblack')
    keeps(tmp_path/'p.tif', a)
    Picture(tmp_path/'p.tif').save(tmp_path/'p.png')
    assert (cv2.imread(str(tmp_path/'p.png'), cv2.IMREAD_UNCHANGED)==(a if c==1 else a[...,::-1])).all()
    assert Picture(tmp_path/'p.tif').to_pil().size==(W,H)

@pytest.mark.parametrize('kind,top,says', (('u4',2**32-1,'to 4.29497e+09'),('i2',-1,'from -'),('i1',1,'int8'),('i8',1,'int64'),('c8',1,'complex')))
def test_numbers_without_a_place(kind, top, says, tmp_path):
    tifffile.imwrite(tmp_path/'p.tif', (GREY/65535*top*(99 if top==-1 else 1)).astype(kind))
    with pytest.raises(PictureError, match=says.replace('+','\\+')): Picture(tmp_path/'p.tif').see()

def test_a_little_beyond_0_and_1(tmp_path):
    "Sharpening and colour conversion leave -0.01 and 1.02; an HDR picture goes to 8"
    a = (DEEP/65535*1.04-.02).astype('f4'); a[0,0],a[0,1] = -.03,1.04
    tifffile.imwrite(tmp_path/'p.tif', a, photometric='rgb')
    keeps(tmp_path/'p.tif', a)
    for bad in (a*8, a-.5):
        tifffile.imwrite(tmp_path/'p.tif', bad, photometric='rgb')
        with pytest.raises(PictureError, match='0..1 is needed'): Picture(tmp_path/'p.tif').see()

# channels beside the colours

def rgba(tmp_path, a, extra, **how):
    tifffile.imwrite(tmp_path/'p.tif', a, photometric='rgb' if a.shape[2]>2 else 'minisblack', planarconfig='contig', extrasamples=extra, **how)
    return tmp_path/'p.tif'

@pytest.mark.parametrize('kind', ('u1','u2','f4'))
@pytest.mark.parametrize('c', (1,3))
def test_transparency_that_is_multiplied_in(kind, c, tmp_path):
    top = dict(u1=255, u2=65535, f4=1)[kind]
    color,alpha = (DEEP[...,:c]/65535*top).astype(kind),(ALPHA/65535*top).astype(kind)[...,None]
    a = np.dstack([(color*(alpha/top)).astype(kind), alpha])
    out,words = filled(rgba(tmp_path, a, ['assocalpha']))
    assert 'multiplied by their transparency' in words and out.shape==a.shape and (out[...,-1:]==alpha)[~HOLE].all()
    shows = (alpha>top*.5)[...,0]&~HOLE # the less opaque, the coarser what is left of the colour
    assert abs(out[...,:c][shows].astype(float)-color[shows]).max()<=2.1*(top/(255 if kind=='u1' else 65535))

@pytest.mark.parametrize('kind', ('u1','u2','f4'))
@pytest.mark.parametrize('c', (1,3))
def test_channels_that_are_neither(kind, c, tmp_path):
    "A selection that Photoshop kept, or infrared: left out in every depth, and told"
    a = (DEEP[...,:c]/65535*dict(u1=255, u2=65535, f4=1)[kind]).astype(kind)
    words = keeps(rgba(tmp_path, np.dstack([a,a[...,:1]//2]), ['unspecified']), a.squeeze())
    assert '1 more channel, neither colour nor transparency' in words

def test_alpha_beside_a_spare_channel(tmp_path):
    a = np.dstack([DEEP, ALPHA, GREY])
    assert '1 more channel' in keeps(rgba(tmp_path, a, ['unassalpha','unspecified']), a[...,:4])
    a = np.dstack([DEEP, GREY, ALPHA])
    assert '1 more channel' in keeps(rgba(tmp_path, a, ['unspecified','unassalpha']), a[...,[0,1,2,4]])

def test_more_colours_than_three(tmp_path):
    for n in (4,5):
        tifffile.imwrite(tmp_path/'p.tif', np.dstack([DEEP,DEEP])[...,:n], photometric='minisblack', planarconfig='contig')
        with pytest.raises(PictureError, match=f'stores {n} channels'): load_pixels(tmp_path/'p.tif')

# what has no data

@pytest.mark.parametrize('value,a', ((-9999,(GREY/65535).astype('f4')), (float('nan'),(GREY/65535).astype('f4')), (-3.4028234663852886e38,(GREY/65535).astype('f4')), (65535,GREY>>4), (0,(GREY>>1)+1)), ids=str)
def test_maps_with_places_without_data(value, a, tmp_path):
    outs = []
    for other in (False,True):
        b = a.copy(); b[:6] = b[HOLE] = value
        if other: b[HOLE] = a[0,0]
        tifffile.imwrite(tmp_path/'p.tif', b, extratags=[(42113,'s',0,f'{value} ',True)])
        out,words = filled(tmp_path/'p.tif')
        assert 'no data' in words and np.array_equal(out[~HOLE], b[~HOLE], equal_nan=a.dtype.kind=='f') and out.dtype==a.dtype
        assert a.min()<=out[HOLE].min() and out[HOLE].max()<=a.max()
        outs.append(out[HOLE])
    assert (outs[0]==outs[1]).all()

# hot pixels and lamps at night

@pytest.mark.parametrize('dtype', ('u2','f4'))
@pytest.mark.parametrize('n', (1,6,20))
def test_hot_pixels_do_not_darken_the_rest(n, dtype):
    dim = (DEEP>>5).astype(dtype)/(65535 if dtype=='f4' else 1)
    dim = dim.astype(dtype); hot = dim.copy()
    for y,x in zip(*np.unravel_index(RNG.choice(H*W, n, replace=False), (H,W))): hot[y,x] = dim.max()*32
    (low,high),(low2,high2) = value_range(dim),value_range(hot)
    assert low2==low and high<=high2<=1.5*high

def test_a_lamp_beside_the_hole_counts():
    dim = levels(np.random.default_rng(1), 3, np.uint16, 300, 400)>>4
    lamp,near,far = dim.copy(),np.ones((300,400), bool),np.ones((300,400), bool)
    lamp[100:130,100:130] = 65535; near[110:150,110:150] = False; far[220:260,300:340] = False
    assert value_range(lamp, near)==(0,65535) and value_range(lamp, far)[1]<10_000

@pytest.mark.parametrize('under', (0,7,65535))
def test_the_bulk_is_blind_to_the_hole(under):
    a,known = (DEEP>>4).copy(),~HOLE
    want = value_range(a, known)
    a[HOLE] = under
    assert value_range(a, known)==want

def test_hot_pixels_cost_the_fill_little(small):
    photo = np.asarray(Image.fromarray(data.astronaut()).resize((256,256))); m = np.zeros((256,256), bool); m[90:140,100:150] = True
    dim = photo.astype('u2')*16; hot = dim.copy(); hot[5,5] = hot[200,30] = 65535
    psnr = lambda a: -10*np.log10(((a[m]/4080-photo[m]/255)**2).mean())
    assert psnr(small.fill(Picture(hot), m)[0].color)>psnr(small.fill(Picture(dim), m)[0].color)-.5

# PNG

def header(bits, kind, interlace=0): return b'IHDR',struct.pack('>IIBBBBB', W, H, bits, kind, 0, 0, interlace)
def rows(a): return b'IDAT',zlib.compress(b''.join(b'\0'+np.ascontiguousarray(o).tobytes() for o in a))
def adam7(a):
    passes = ((0,0,8,8),(0,4,8,8),(4,0,8,4),(0,2,4,4),(2,0,4,2),(0,1,2,2),(1,0,2,1))
    return b'IDAT',zlib.compress(b''.join(b'\0'+np.ascontiguousarray(o).tobytes() for y,x,dy,dx in passes for o in a[y::dy,x::dx] if o.size))
def packed(a, bits): return np.packbits(np.unpackbits(a[...,None], axis=2)[...,8-bits:].reshape(H,-1), axis=1)
END = b'IEND',b''

@pytest.mark.parametrize('bits', (1,2,4))
def test_few_bits_with_a_transparent_level(bits, tmp_path):
    a = EIGHT[...,0]>>(8-bits)
    for key in {0,1,2**bits-1}:
        (tmp_path/'p.png').write_bytes(png(header(bits, 0), (b'tRNS',struct.pack('>H', key)), rows(packed(a, bits)), END))
        out,words = filled(tmp_path/'p.png')
        assert 'transparent colour' in words and ((out[...,-1]==0)==(a==key))[~HOLE].all() and (out[...,0]==a*(255//(2**bits-1)))[~HOLE].all()
        assert (read_hole(tmp_path/'p.png', settings=MaskSettings(mask_from_alpha=True))==(a==key)).all()

@pytest.mark.parametrize('c,kind', ((1,0),(2,4),(3,2),(4,6)))
def test_interlaced_16_bits(c, kind, tmp_path):
    a = np.dstack([DEEP,ALPHA])[...,{1:[0],2:[0,3],3:[0,1,2],4:[0,1,2,3]}[c]]
    (tmp_path/'p.png').write_bytes(png(header(16, kind, 1), adam7(a.astype('>u2')), END))
    assert (np.asarray(load_pixels(tmp_path/'p.png')[0]).reshape(H,W,c)==a).all()
    if c!=2: keeps(tmp_path/'p.png', a.squeeze())

@pytest.mark.parametrize('bits', (8,16))
def test_hdr_screenshots_stay_what_they_are(bits, tmp_path):
    a,cicp = DEEP if bits==16 else EIGHT,bytes([9,16,0,1])
    (tmp_path/'p.png').write_bytes(png(header(bits, 2), (b'cICP',cicp), rows(a.astype('>u2') if bits==16 else a), END))
    keeps(tmp_path/'p.png', a)
    assert b'cICP'+cicp in (tmp_path/'out.png').read_bytes()
    assert 'loses its gamma' in said(Picture(tmp_path/'p.png').save, tmp_path/'out.tif')[1]

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
@pytest.mark.parametrize('part', ((b'zTXt',b'workflow\0\0'+zlib.compress(b'{}'*1_000_000)), (b'iTXt',b'workflow\0\1\0\0\0'+zlib.compress(b'{}'*1_000_000)), (b'iCCP',b'p\0\0'+zlib.compress(PROFILE+bytes(2_000_000)))), ids=lambda o: o[0].decode())
@pytest.mark.parametrize('late', (False,True))
def test_long_texts_and_profiles_are_no_damage(part, late, tmp_path):
    (tmp_path/'p.png').write_bytes(png(header(8, 2), *([rows(EIGHT),part] if late and part[0]!=b'iCCP' else [part,rows(EIGHT)]), END))
    words = keeps(tmp_path/'p.png', EIGHT)
    assert late or 'over a megabyte' in words # behind the pixels Pillow passes over it

@pytest.mark.parametrize('name', (b'IH;T', b'\xff\n\0.', b'IDAT'))
def test_a_part_whose_name_is_damaged_is_told_in_one_sentence(name, tmp_path):
    good = png(header(8, 2), rows(EIGHT), END)
    (tmp_path/'p.png').write_bytes(good.replace(b'IDAT', name).replace(good[-16:-12], b'0000'))
    for read in (load_pixels,read_hole):
        with pytest.raises((PictureError,MaskError), match='checksum of its (IDAT|unnamed) part is wrong') as e: read(tmp_path/'p.png')
        assert str(e.value).count('; ')==1 and str(e.value).isprintable()

# formats of which Pillow keeps 8 bits

@pytest.mark.parametrize('top', (65535,4095,256))
@pytest.mark.parametrize('plain', (False,True))
def test_ppm_of_more_than_8_bits(plain, top, tmp_path):
    a = (DEEP.astype(int)*top//65535).astype('u2')
    head,body = f'P{3 if plain else 6}\n# scanned\n{W} {H}\n{top}\n'.encode(),' '.join(map(str, a.ravel())).encode() if plain else a.astype('>u2').tobytes()
    (tmp_path/'p.ppm').write_bytes(head+body)
    keeps(tmp_path/'p.ppm', np.round(a.astype(float)*65535/top).astype('u2'))
    (tmp_path/'p.ppm').write_bytes(head+body[:len(body)//2])
    with pytest.raises(PictureError, match='truncated'): load_pixels(tmp_path/'p.ppm')

def test_ppm_of_fewer_than_8_bits(tmp_path):
    a = EIGHT//16
    (tmp_path/'p.ppm').write_bytes(f'P6 {W} {H} 15\n'.encode()+a.tobytes())
    keeps(tmp_path/'p.ppm', a*17)

def test_more_bits_than_a_reader_keeps_are_told(tmp_path):
    done,f = cv2.imencode('.jp2', DEEP)
    assert done and (tmp_path/'p.jp2').write_bytes(f.tobytes())
    assert '16 bits a channel, of which only 8' in filled(tmp_path/'p.jp2')[1]
    Image.fromarray(EIGHT).save(tmp_path/'q.jp2'); assert not filled(tmp_path/'q.jp2')[1]
    sgi = struct.pack('>HBBHHHHII', 474, 0, 2, 3, W, H, 3, 0, 65535).ljust(512, b'\0')+np.moveaxis(DEEP, -1, 0)[:,::-1].astype('>u2').tobytes()
    (tmp_path/'p.sgi').write_bytes(sgi)
    assert '16 bits a channel, of which only 8' in filled(tmp_path/'p.sgi')[1]
    Image.fromarray(EIGHT).save(tmp_path/'p.avif'); assert not filled(tmp_path/'p.avif')[1]

# what is no picture, by name

@pytest.mark.parametrize('head,says', ((b'\0\0\0\x1cftypmif1\0\0\0\0heic','HEIC'),(b'\0\0\0\x18ftypheix','HEIC'),(b'\xff\x0a'+bytes(9),'JPEG XL'),(b'\0\0\0\x0cJXL \r\n','JPEG XL'),(b'\0\0\0\x18ftypcrx ','raw file'),
    (b'FUJIFILMCCD-RAW','raw file'),(b'gimp xcf v011\0','GIMP'),(b'8BPS\0\2','Photoshop'),(b'%PDF-1.7\n','PDF'),(b'v/1\1\2\0','OpenEXR'),(b'#?RADIANCE\n','Radiance'),(b'PK\3\4\x14\0','archive'),(b'\x93NUMPY\1\0','NumPy'),
    (b'\0\0\0\x18ftypmp42','film'),(b'<?xml version="1.0"?><svg xmlns="x">','SVG'),(b'<svg>','SVG'),(b'<?xml version="1.0"?><a/>','web page'),(b'\n\n\xff\xd8\xff','no known')))
def test_what_is_no_picture(head, says, tmp_path):
    (tmp_path/'x').write_bytes(head+(bytes(99) if not head.startswith(b'<') else b' '))
    for read in (load_pixels,read_hole):
        with pytest.raises((PictureError,MaskError), match=says) as e: read(tmp_path/'x')
        assert str(e.value).count('; ')==1
    assert 'picture' not in identify_file(head, 'file of weights')[1]

# masks: 16 bits by the rule of 8

COLOURS = dict(white=(1,1,1), green=(0,1,0), yellow=(1,1,0), cyan=(0,1,1), magenta=(1,0,1), red=(1,0,0), blue=(0,0,1))
@pytest.mark.parametrize('top', (1023,4095,16383,65535))
@pytest.mark.parametrize('colour', COLOURS)
def test_one_rule_for_colours(colour, top, tmp_path):
    def answer(a):
        tifffile.imwrite(tmp_path/'m.tif', a, photometric='rgb')
        try: return read_hole(tmp_path/'m.tif').tolist()
        except MaskError as e: return str(e).partition(',')[0]
    a = HOLE[...,None]*np.array(COLOURS[colour])
    assert answer((a*top).astype('u2'))==answer((a*255).astype('u1'))==answer(a.astype('f4'))

@pytest.mark.parametrize('soft', (60,100,127,128,200))
def test_one_rule_for_thresholds(soft, tmp_path):
    a = HOLE*255; a[0,:9] = soft
    for kind,scale in (('u1',1),('u2',257),('u2',4095/255),('f4',1/255),('i2',32767/255),('u4',(2**32-1)/255)):
        tifffile.imwrite(tmp_path/'m.tif', np.round(a*scale).astype(kind) if kind!='f4' else (a*scale).astype(kind))
        assert (read_hole(tmp_path/'m.tif')==(a>=127.5)).all(), kind

@pytest.mark.parametrize('clear', (0,1,HOLE.sum()//2))
@pytest.mark.parametrize('top', (255,1023,4095,65535))
@pytest.mark.parametrize('c', (1,3))
def test_one_rule_for_transparency(c, top, clear, tmp_path):
    "Some pixels are transparent, and the rest opaque: of 12 bits, if the colours are"
    color,alpha = np.dstack([HOLE*top]*c),np.full((H,W), top)
    alpha.reshape(-1)[np.flatnonzero(HOLE)[:clear]] = 0
    tifffile.imwrite(tmp_path/'m.tif', np.dstack([color,alpha]).astype('u1' if top==255 else 'u2'), photometric='rgb' if c==3 else 'minisblack', planarconfig='contig', extrasamples=['unassalpha'])
    assert (read_hole(tmp_path/'m.tif')==HOLE&(alpha>0)).all()

@pytest.mark.parametrize('bits', (8,16))
@pytest.mark.parametrize('kind', (0,2))
def test_one_rule_for_a_transparent_colour(kind, bits, tmp_path):
    top = 2**bits-1
    a = (HOLE*top).astype('u1' if bits==8 else '>u2') if kind==0 else np.dstack([HOLE*top]*3).astype('u1' if bits==8 else '>u2')
    def write(level): (tmp_path/'m.png').write_bytes(png(header(bits, kind), (b'tRNS',struct.pack('>H', level)*(3 if kind else 1)), rows(a), END))
    write(0); assert (read_hole(tmp_path/'m.png')==HOLE).all()
    assert (read_hole(tmp_path/'m.png', settings=MaskSettings(mask_from_alpha=True))==~HOLE).all()
    write(top); assert (read_hole(tmp_path/'m.png', settings=MaskSettings(mask_from_alpha=True))==HOLE).all()
    with pytest.raises(MaskError, match='black where it is not transparent'): read_hole(tmp_path/'m.png')
    write(top//3); assert (read_hole(tmp_path/'m.png')==HOLE).all()

@pytest.mark.parametrize('kind', ('u2','u4','i2','i4','u1','f4','f8'))
def test_all_that_a_number_holds_is_white(kind, tmp_path):
    top = 1 if kind[0]=='f' else np.iinfo(kind).max
    tifffile.imwrite(tmp_path/'m.tif', HOLE.astype(kind)*np.array(top, kind))
    assert (read_hole(tmp_path/'m.tif')==HOLE).all() and (read_hole(HOLE.astype(kind)*np.array(top, kind))==HOLE).all()

def test_colours_and_noise_are_no_numbers():
    noise = np.random.default_rng(0).integers(0, 6, (H,W,3)).astype(np.uint8); noise[HOLE] = 255
    for o in (noise, noise[...,0]): assert (read_hole(o)==HOLE).all()
    blue = (HOLE[...,None]*np.array([0,0,255])).astype(np.uint8)
    with pytest.raises(MaskError, match='no white.* 29 of 255;'): read_hole(blue)
    classes = np.zeros((H,W), np.uint8); classes[HOLE] = 3; classes[2:5] = 1
    assert (said(read_hole, classes)[0]==(classes>0)).all() and (said(read_hole, np.dstack([classes]*3))[0]==(classes>0)).all()

# a hole over all that shows

@pytest.mark.parametrize('kind', ('u1','u2'))
def test_a_hole_over_all_that_shows(kind, tmp_path):
    a = np.dstack([DEEP, HOLE*65535]).astype('u2')
    a = (a>>8).astype('u1') if kind=='u1' else a
    tifffile.imwrite(tmp_path/'p.tif', a, photometric='rgb', extrasamples=['unassalpha'])
    assert 'covers 100% of what the picture shows' in filled(tmp_path/'p.tif')[1]
    part = HOLE.copy(); part[:H//2-4] = False
    assert 'covers' not in filled(tmp_path/'p.tif', part)[1]
    assert 'covers' not in filled(tmp_path/'p.tif', tmp_path/'p.tif', mask_from_alpha=True, invert_mask=False)[1]

# links, names and circles

CASES = []
def case(name, code=0, says=(), check=None, *options):
    def add(make): CASES.append(Case(name, make, code, (says,) if isinstance(says, str) else says, check, options)); return make
    return add

def circle(d): (d/'a.png').symlink_to(d/'b.png'); (d/'b.png').symlink_to(d/'a.png')
@case('a picture that is a link in a circle', PICTURE, ('a.png','links go in a circle'))
def _(d, rng): circle(d); return d/'a.png',d/'m.png','-o',d/'out.png'
@case('a mask that is a link in a circle', PICTURE, ('a.png','links go in a circle'))
def _(d, rng): circle(d); return d/'p.png',d/'a.png','-o',d/'out.png'
@case('an output that is a link in a circle', PICTURE, ('a.png','links go in a circle'))
def _(d, rng): circle(d); return d/'p.png',d/'m.png','-o',d/'a.png'
@case('an output below a link in a circle', PICTURE, 'links go in a circle')
def _(d, rng): (d/'x').symlink_to(d/'x'); return d/'p.png',d/'m.png','-o',d/'x'/'out.png'
@case('a folder that holds itself', 0, (), lambda d: sorted(o.name for o in (d/'results').rglob('*'))==['a.png'] or 1/0, '--recursive')
def _(d, rng): args = folder(d, 'a', False); (d/'in'/'self').symlink_to(d/'in'); return args
@case('links to nothing and in circles within a folder', check=lambda d: len(list((d/'results').iterdir()))==1 or 1/0)
def _(d, rng): args = folder(d, 'a', False); (d/'in'/'b.png').symlink_to('nowhere'); (d/'in'/'c.png').symlink_to('c.png'); os.mkfifo(d/'in'/'d.png'); (d/'in'/'e.png').mkdir(); return args
def through(d):
    assert (d/'link.png').is_symlink()
    corpus.kept(d, out='there/real.png')
@case('an output that is a link', 0, (), through, '--overwrite')
def _(d, rng): (d/'there').mkdir(); (d/'there'/'real.png').write_bytes(b'old'); (d/'link.png').symlink_to('there/real.png'); return d/'p.png',d/'m.png','-o',d/'link.png'
@case('an output that is a link to nothing yet', 0, (), through)
def _(d, rng): (d/'there').mkdir(); (d/'link.png').symlink_to('there/real.png'); return d/'p.png',d/'m.png','-o',d/'link.png'
for _name in ('a\nb.png','a\x1b[2Jb.png','a\tb\r.png'):
    @case(f'a name with control characters, {_name!r}', PICTURE, 'is text')
    def _(d, rng, name=_name): (d/name).write_bytes(b'x'); return d/name,d/'m.png','-o',d/'out.png'
for _name in ('a\nb.png','cat \U0001f408.png',' .png','-p.png','100%s {0}.png','a [1]*.png',os.fsdecode(b'\xff\xfe.png')):
    @case(f'a picture called {ascii(_name)}', check=lambda d: corpus.kept(d, corpus.decode(d/'p.png')))
    def _(d, rng, name=_name): (d/name).write_bytes((d/'p.png').read_bytes()); return d/name,d/'m.png','-o',d/'out.png'

@pytest.mark.parametrize('case', CASES, ids=lambda c: ascii(c.name))
def test_case(case, tmp_path):
    problem = corpus.run_case(case, tmp_path).problem
    assert not problem, problem

def test_a_link_to_write_through(tmp_path):
    (tmp_path/'real').write_bytes(b'old'); (tmp_path/'link').symlink_to('real')
    write_file(tmp_path/'link', b'new')
    assert (tmp_path/'link').is_symlink() and (tmp_path/'real').read_bytes()==b'new'

# Python

def png_file(): f = io.BytesIO(); Image.fromarray(EIGHT).save(f, 'png'); f.seek(0); return f
def left_open(tmp_path):
    Image.fromarray(EIGHT).save(tmp_path/'x.png')
    with Image.open(tmp_path/'x.png') as im: pass
    return im

def test_pictures_after_their_with(tmp_path):
    with pytest.raises(PictureError, match='is closed'): load_pixels(left_open(tmp_path))

def test_tensors_of_other_layouts():
    x = torch.from_numpy(HOLE)
    assert (read_hole(x.to_sparse())==HOLE).all()
    for read in (load_pixels,read_hole):
        with pytest.raises((PictureError,MaskError), match='tensor without data'): read(torch.zeros(3,H,W, device='meta'))
    sparse = (torch.from_numpy(EIGHT).permute(2,0,1).float()/127.5-1).to_sparse()
    assert (np.asarray(read_image(sparse))==EIGHT).all()
    narrow = torch.tensor([-1,0,.5,1]).repeat(3,2,1)
    assert (np.asarray(read_image(narrow.to(torch.float8_e4m3fn)))==np.asarray(read_image(narrow))).all()

@pytest.mark.parametrize('a,remedy', ((np.moveaxis(EIGHT,-1,0),'channels last'),(EIGHT[None],'one picture'),(EIGHT/255,'0..255'),(EIGHT.astype('i8'),'0..255'),(EIGHT[:0],'one picture')))
def test_arrays_that_are_no_pictures(a, remedy):
    with pytest.raises(PictureError, match=remedy): load_pixels(a)

def test_arrays_of_any_layout():
    frozen = EIGHT.copy(); frozen.setflags(write=False)
    for a in (np.asfortranarray(EIGHT), EIGHT[::-1,::-1].copy()[::-1,::-1], frozen, np.ma.masked_array(EIGHT), Image.fromarray(EIGHT), Image.open(png_file())): assert (fill(a).color==fill(EIGHT).color).all()
    for m in (np.asfortranarray(HOLE), HOLE[...,None], WHITE[None], np.dstack([WHITE]*3), HOLE.astype('>i2'), torch.from_numpy(WHITE)[None].repeat(3,1,1)): assert (read_hole(m)==HOLE).all()

def test_descriptions_of_the_layout_stay_behind(tmp_path):
    tifffile.imwrite(tmp_path/'p.tif', np.moveaxis(DEEP, -1, 0), photometric='rgb', planarconfig='separate')
    keeps(tmp_path/'p.tif', DEEP)
    with tifffile.TiffFile(tmp_path/'out.tif') as f: assert 270 not in f.pages[0].tags and f.series[0].shape==DEEP.shape
