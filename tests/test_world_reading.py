"What people's files are: turned, of other byte orders and depths, half transparent, painted over, numbered; and how many read at once."
import copy, gzip, io, logging, os, pickle, struct, subprocess, sys, threading, time, warnings, zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import cv2, numpy as np, pytest, tifffile, torch
from PIL import Image, ImageDraw, ImageFilter, ImageOps
from skimage import data
import corpus
from lbp_inpaint.errors import MaskError, PictureError, UsageError
from lbp_inpaint.filling.inpainter import Inpainter
from lbp_inpaint.image_files import load_pixels, read_image, to_tensor
from lbp_inpaint.mask_files import read_hole, read_mask
from lbp_inpaint.nets.build import build_net
from lbp_inpaint.pictures import Picture
from lbp_inpaint.settings import MaskSettings

PHOTO = np.asarray(Image.fromarray(data.astronaut()).resize((300,200)))
GREY,DEEP = PHOTO[...,0].copy(),PHOTO.astype('u2')*257
HOLE = np.zeros((200,300), bool); HOLE[70:121,120:171] = True
WHITE = HOLE.astype(np.uint8)*255

@pytest.fixture(scope='module')
def narrow():
    "The narrowest network, for what does not depend on how good the fill is"
    torch.manual_seed(0)
    return Inpainter(build_net(nf=1), 'cpu')

def levels_of(source): return np.asarray(load_pixels(source)[0])
def psnr(a, b): return -10*np.log10(((a.astype(float)-b)**2).mean())
def fill(inp, source, mask=WHITE, **kw): return inp.fill(Picture(source), mask, **kw)[0]
def quiet(f, *args, **kw):
    "What a call returns, and what it warns of"
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter('always')
        return f(*args, **kw),' '.join(str(o.message) for o in seen)

# turned once

TURNED = {2:lambda a: a[:,::-1], 3:lambda a: a[::-1,::-1], 4:lambda a: a[::-1], 5:lambda a: a.swapaxes(0,1), 6:lambda a: np.rot90(a,-1), 7:lambda a: a[::-1,::-1].swapaxes(0,1), 8:np.rot90}
ALPHA = np.tile(np.linspace(9,255,300).astype(np.uint8), (200,1))
STORED = { # array and how tifffile is to write it
    'RGB 8':(PHOTO,dict(photometric='rgb')), 'RGB 16':(PHOTO.astype('u2')*257,dict(photometric='rgb')), 'RGB 16 deflated':(PHOTO.astype('u2')*257,dict(photometric='rgb', compression='zlib')),
    'RGBA 16':(np.dstack([PHOTO,ALPHA]).astype('u2')*257,dict(photometric='rgb', extrasamples=['unassalpha'])), 'RGBA 8':(np.dstack([PHOTO,ALPHA]),dict(photometric='rgb', extrasamples=['unassalpha'])),
    '1 bit':(GREY>128,dict(photometric='minisblack')), 'grey 8':(GREY,dict(photometric='minisblack')), 'grey 16':(GREY.astype('u2')*257,dict(photometric='minisblack')),
    'float grey':((GREY/255).astype('f4'),dict(photometric='minisblack')), 'double grey':(GREY/255,dict(photometric='minisblack')), 'float RGB':((PHOTO/255).astype('f4'),dict(photometric='rgb')),
    'half RGB':((PHOTO/255).astype('f2'),dict(photometric='rgb'))}

@pytest.mark.parametrize('turn', range(2,9))
@pytest.mark.parametrize('kind', STORED)
def test_tiff_is_turned_once(kind, turn, tmp_path):
    a,how = STORED[kind]
    tifffile.imwrite(tmp_path/'o.tif', a, extratags=[(274,'H',1,turn,True)], **how)
    got = levels_of(tmp_path/'o.tif')
    assert got.shape==TURNED[turn](a).shape and (got==TURNED[turn](a)).all()

@pytest.mark.parametrize('turn', range(2,9))
@pytest.mark.parametrize('kind', ('png','webp','avif','jpg','tif'))
def test_exif_turns_what_pillow_writes(kind, turn, tmp_path):
    exif = Image.Exif(); exif[0x112] = turn
    Image.fromarray(PHOTO).save(tmp_path/f'o.{kind}', exif=exif, **(dict(lossless=True) if kind=='webp' else {}))
    with Image.open(tmp_path/f'o.{kind}') as im: want = np.asarray(im if kind=='tif' else ImageOps.exif_transpose(im))
    assert (levels_of(tmp_path/f'o.{kind}')==want).all() and want.shape==TURNED[turn](PHOTO).shape

def test_a_pillow_picture_of_a_turned_tiff(tmp_path):
    tifffile.imwrite(tmp_path/'o.tif', PHOTO, photometric='rgb', extratags=[(274,'H',1,6,True)])
    with Image.open(tmp_path/'o.tif') as im: assert (levels_of(im)==TURNED[6](PHOTO)).all()
    with Image.open(tmp_path/'o.tif') as im: im.load(); assert (levels_of(im)==TURNED[6](PHOTO)).all()

def test_the_mask_of_a_turned_tiff(tmp_path, narrow):
    tifffile.imwrite(tmp_path/'o.tif', PHOTO, photometric='rgb', extratags=[(274,'H',1,6,True)])
    out = fill(narrow, tmp_path/'o.tif', TURNED[6](WHITE))
    assert (out.color[~TURNED[6](HOLE)]==TURNED[6](PHOTO)[~TURNED[6](HOLE)]).all() and (out.color!=TURNED[6](PHOTO)).any()
    with pytest.raises(MaskError, match='lying on its side'): fill(narrow, tmp_path/'o.tif', WHITE)
    tifffile.imwrite(tmp_path/'m.tif', WHITE, extratags=[(274,'H',1,6,True)])
    assert (read_hole(tmp_path/'m.tif')==TURNED[6](HOLE)).all()

# byte orders and depths

DEPTHS = {'u2':65535,'i2':32767,'u4':65535,'i4':65535,'f4':1,'f8':1}
@pytest.mark.parametrize('channels', (1,3))
@pytest.mark.parametrize('order', '<>')
@pytest.mark.parametrize('kind', DEPTHS)
@pytest.mark.parametrize('compression', (None,'zlib'))
def test_byte_orders(kind, order, channels, compression, tmp_path):
    a = ((GREY if channels==1 else PHOTO)/255*DEPTHS[kind])
    a = (a if kind[0]=='f' else a.round()).astype(kind)
    tifffile.imwrite(tmp_path/'b.tif', a, byteorder=order, photometric='minisblack' if channels==1 else 'rgb', compression=compression)
    got = levels_of(tmp_path/'b.tif')
    assert got.dtype.isnative and got.shape==a.shape and (got==a).all()
    want = PHOTO if channels==3 else GREY
    assert abs(np.asarray(read_image(tmp_path/'b.tif')).astype(int)-(want if channels==3 else want[...,None])).max()<=1

def test_big_endian_grey_comes_back_as_it_was(tmp_path, narrow):
    a = GREY.astype('u2')*257
    tifffile.imwrite(tmp_path/'b.tif', a, byteorder='>')
    fill(narrow, tmp_path/'b.tif').save(tmp_path/'out.tif')
    back = tifffile.imread(tmp_path/'out.tif')
    assert back.dtype==np.uint16 and (back[~HOLE]==a[~HOLE]).all() and (back[HOLE]!=a[HOLE]).any()

@pytest.mark.parametrize('order', '<>')
def test_arrays_of_either_order(order):
    assert (levels_of(PHOTO.astype(f'{order}u2')*257)==PHOTO.astype('u2')*257).all()
    assert (read_hole(HOLE.astype(f'{order}f8'))==HOLE).all() and (read_hole(HOLE.astype(f'{order}i8')*255)==HOLE).all()

@pytest.mark.parametrize('mode', ('I;16','I;16B','I;16L'))
def test_pillow_modes_of_16_bits(mode):
    im = Image.frombytes(mode, (300,200), (GREY.astype('u2')*257).astype('>u2' if mode=='I;16B' else '<u2').tobytes())
    pixels = load_pixels(im)[0]
    assert pixels.mode=='I;16' and (np.asarray(pixels)==GREY.astype('u2')*257).all()

@pytest.mark.parametrize('bits', (1,8,16))
def test_white_is_0(bits, tmp_path):
    a = {1:GREY>128, 8:GREY, 16:GREY.astype('u2')*257}[bits]
    tifffile.imwrite(tmp_path/'w.tif', ~a, photometric='miniswhite')
    assert (levels_of(tmp_path/'w.tif')==a).all()

def test_12_bits_packed(tmp_path):
    a = GREY.astype('u2')*16+GREY//16
    bits = np.unpackbits(a.astype('>u2').view(np.uint8).reshape(-1,2), axis=1)[:,4:]
    tags = [(256,4,300),(257,4,200),(258,3,12),(259,3,1),(262,3,1),(273,4,8+2+12*9+4),(277,3,1),(278,4,200),(279,4,300*200*3//2)]
    head = b'II*\0'+struct.pack('<I', 8)+struct.pack('<H', len(tags))+b''.join(struct.pack('<HHII', c, t, 1, v) for c,t,v in tags)+struct.pack('<I', 0)
    (tmp_path/'p.tif').write_bytes(head+np.packbits(bits).tobytes())
    assert (levels_of(tmp_path/'p.tif')==a).all()
    assert abs(np.asarray(read_image(tmp_path/'p.tif'))[...,0].astype(int)-GREY).max()<=1

# the picture's own range

RANGES = { # array of levels 0..255 -> stored numbers; TIFF tags
    '12 bits in 16':(lambda a: a.astype('u2')*16, []), '8 bits in 16':(lambda a: a.astype('u2'), []), '10 bits in 16':(lambda a: a.astype('u2')*4, []), '14 bits in 16':(lambda a: a.astype('u2')*64, []),
    'floats to .1':(lambda a: (a/2550).astype('f4'), []), 'thermal':(lambda a: (29000+a.astype('u2')*8).astype('u2'), []), 'signed':(lambda a: a.astype('i2')*16, []),
    'SMaxSampleValue':(lambda a: a.astype('u2')*16, [(341,'H',1,4095,True)]), 'MaxSampleValue':(lambda a: a.astype('u2')*16, [(281,'H',1,4095,True)])}

@pytest.fixture(scope='module')
def full(small): return fill(small, (GREY.astype('u2')*257)).color/65535

@pytest.mark.parametrize('kind', RANGES)
def test_narrow_ranges_are_filled_as_wide_ones(kind, small, full, tmp_path):
    store,tags = RANGES[kind]
    a = store(GREY)
    tifffile.imwrite(tmp_path/'n.tif', a, photometric='minisblack', extratags=tags)
    fill(small, tmp_path/'n.tif').save(tmp_path/'out.tif')
    out,(low,high) = tifffile.imread(tmp_path/'out.tif'),(float(store(np.uint8([v]))[0]) for v in (0,255))
    assert (out[~HOLE]==a[~HOLE]).all()
    truth = GREY[HOLE]/255
    assert psnr((out[HOLE]-low)/(high-low), truth)>psnr(full[HOLE], truth)-.5

@pytest.mark.parametrize('kind', ('12 bits in 16','floats to .1','thermal'))
def test_narrow_colour(kind, small, tmp_path):
    a = RANGES[kind][0](PHOTO)
    tifffile.imwrite(tmp_path/'n.tif', a, photometric='rgb')
    out = fill(small, tmp_path/'n.tif')
    assert out.color.dtype==a.dtype and (out.color[~HOLE]==a[~HOLE]).all()
    assert a[~HOLE].min()<=out.color[HOLE].min() and out.color[HOLE].max()<=a[~HOLE].max()

def test_tags_say_what_white_is(tmp_path):
    dark = GREY.astype('u2')//4
    tifffile.imwrite(tmp_path/'d.tif', dark, extratags=[(341,'H',1,4095,True)])
    tifffile.imwrite(tmp_path/'e.tif', dark)
    tifffile.imwrite(tmp_path/'f.tif', dark*100, extratags=[(341,'H',1,63,True)]) # says less than there is
    assert read_image(tmp_path/'d.tif').getextrema()[0][1]<=4 and read_image(tmp_path/'e.tif').getextrema()[0][1]==255

def test_the_range_is_blind_to_the_hole(narrow):
    a = GREY.astype('u2')*16
    outs = [fill(narrow, np.where(HOLE, v, a).astype('u2')).color for v in (0,7,65535)]
    assert (outs[0]==outs[1]).all() and (outs[0]==outs[2]).all()

@pytest.mark.parametrize('dtype', ('u2','f4'))
def test_a_constant_narrow_picture(dtype, narrow):
    a = np.full((64,64), 300 if dtype=='u2' else .01, dtype)
    hole = np.zeros((64,64), bool); hole[20:40,20:40] = True
    assert (fill(narrow, Image.fromarray(a), hole).color==a).all()

# what lies under transparency

def veiled(under, alpha=0): return np.dstack([np.where(np.arange(300)[None,:,None]<130, under, PHOTO), np.where(np.arange(300)[None]<130, alpha, 255).repeat(200,0)]).astype(np.uint8)

def test_colours_under_transparency_do_not_show(small):
    outs = [np.asarray(fill(small, veiled(np.array(c))).color)[HOLE&(np.arange(300)>=130)[None]] for c in ([0,0,0],[255,0,255])]
    assert (outs[0]==outs[1]).all()

def test_deep_and_float_colours_under_transparency_do_not_show(narrow, tmp_path):
    for scale,dtype in ((257,'u2'),(1/255,'f4')):
        outs = []
        for c in ([0,0,0],[255,0,255]):
            a = (veiled(np.array(c)).astype(float)*scale).astype(dtype)
            tifffile.imwrite(tmp_path/'v.tif', a, photometric='rgb', extrasamples=['unassalpha'])
            out = fill(narrow, tmp_path/'v.tif')
            assert (out.color[~HOLE]==a[...,:3][~HOLE]).all() and (out.alpha==a[...,3]).all()
            outs.append(out.color[HOLE])
        assert (outs[0]==outs[1]).all()

def test_large_holes_beside_transparency(narrow):
    big = np.zeros((400,500), bool); big[40:340,80:460] = True
    rgba = np.zeros((400,500,4), np.uint8); rgba[...,:3] = np.asarray(Image.fromarray(PHOTO).resize((500,400))); rgba[:,150:,3] = 255
    other = rgba.copy(); other[:,:150,:3] = 255-other[:,:150,:3]
    assert (fill(narrow, rgba, big).color[big]==fill(narrow, other, big).color[big]).all()

def test_opaque_pictures_are_as_before(small):
    rgb,rgba = fill(small, PHOTO),fill(small, np.dstack([PHOTO,np.full_like(GREY,255)]))
    assert (rgb.color==rgba.color).all()

def test_an_opaque_alpha_may_become_a_jpeg(narrow, tmp_path):
    fill(narrow, np.dstack([PHOTO,np.full_like(GREY,255)])).save(tmp_path/'a.jpg')
    with Image.open(tmp_path/'a.jpg') as im: assert im.mode=='RGB'
    fill(narrow, Image.fromarray(np.dstack([GREY,np.full_like(GREY,255)]))).save(tmp_path/'b.jpg')
    with pytest.raises(PictureError, match='no transparency'): fill(narrow, veiled(np.zeros(3), 254)).save(tmp_path/'c.jpg')

def test_a_hole_that_stays_transparent_is_told(narrow, tmp_path):
    a = np.dstack([PHOTO,np.where(HOLE, 0, 255)]).astype(np.uint8)
    assert '100% of its hole' in quiet(fill(narrow, a).save, tmp_path/'a.png')[1]
    assert not quiet(narrow.fill(Picture(a), a, mask_from_alpha=True)[0].save, tmp_path/'b.png')[1]
    assert not quiet(fill(narrow, np.dstack([PHOTO,np.where(HOLE, 9, 255)]).astype(np.uint8)).save, tmp_path/'c.png')[1]

# brushes

def stroke(cover, colour, quality=None):
    out = (PHOTO*(1-cover[...,None])+np.array(colour)*cover[...,None]).round().astype(np.uint8)
    if not quality: return out
    f = io.BytesIO(); Image.fromarray(out).save(f, 'jpeg', quality=quality)
    return np.asarray(Image.open(f))

def line(sharp=False):
    im = Image.new('L', (1200,800)); ImageDraw.Draw(im).line([(520,240),(680,480),(800,280)], fill=255, width=56)
    return np.asarray(im.resize((300,200), Image.Resampling.NEAREST if sharp else Image.Resampling.BOX))/255

def blurred(t, sigma): return np.asarray(Image.fromarray((t*255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(sigma)))/255
COVERS = {'antialiased':line(), 'soft':blurred(line(), 2), 'very soft':blurred(line(), 4), '90 percent':line()*.9, 'with a half-transparent rim':np.maximum(line(), blurred(line(), 4).round()*.5)}

@pytest.mark.parametrize('colour', ((255,0,255),(0,255,0),(255,0,0),(0,255,255)), ids=str)
@pytest.mark.parametrize('name', COVERS)
def test_brushes_with_a_rim(name, colour):
    t,settings = COVERS[name],MaskSettings(mask_color='{:02x}{:02x}{:02x}'.format(*colour))
    hole = read_hole(stroke(t, colour), settings=settings)
    assert not ((t>.15)&~hole).any()
    assert hole.sum()<8*(t>.5).sum()

@pytest.mark.parametrize('quality', (90,75,50))
def test_brushes_in_a_jpeg(quality, small):
    t = line()
    clean,painted = stroke(t*0, (255,0,255), quality),stroke(t, (255,0,255), quality)
    out = fill(small, painted, painted, mask_color='magenta').color.astype(int)
    tint = lambda a: np.minimum(a[...,0],a[...,2])-a[...,1]
    assert tint(out)[t>.1].mean()<tint(clean.astype(int))[t>.1].mean()+12

def test_a_hard_brush_is_taken_as_it_is():
    flat = np.full((60,60,3), 90, np.uint8); flat[20:40,20:40] = 255,0,255
    assert (read_hole(flat, settings=MaskSettings(mask_color='magenta'))==(flat[...,1]==0)).all()

def test_a_colour_that_is_not_there_is_named():
    with pytest.raises(MaskError, match='the nearest is #'): read_hole(stroke(line(True)*.4, (255,0,255)), settings=MaskSettings(mask_color='magenta'))

def test_a_grey_brush_and_an_exchanged_one():
    painted = stroke(blurred(line(), 1), (255,255,255))
    hole = read_hole(painted, settings=MaskSettings(mask_color='white'))
    assert not ((blurred(line(), 1)>.3)&~hole).any()
    assert read_hole(stroke(line(), (255,0,255)), settings=MaskSettings(mask_color='magenta', invert_mask=True))[line()<.01].all()

# a photograph as its own mask

def test_a_photograph_is_no_mask(narrow, tmp_path):
    Image.fromarray(PHOTO).save(tmp_path/'p.png'); os.link(tmp_path/'p.png', tmp_path/'link.png')
    Image.fromarray(PHOTO).save(tmp_path/'copy.jpg', quality=80); Image.fromarray(PHOTO).convert('L').save(tmp_path/'grey.png'); Image.fromarray(255-PHOTO).save(tmp_path/'negative.png')
    for o in ('p.png','link.png'):
        with pytest.raises(MaskError, match='is the picture itself'): narrow.fill(Picture(tmp_path/'p.png'), tmp_path/o)
    for o in ('copy.jpg','grey.png','negative.png'):
        with pytest.raises(MaskError, match='looks like a photograph of what'): narrow.fill(Picture(tmp_path/'p.png'), tmp_path/o)
    with pytest.raises(MaskError, match='looks like a photograph;'): narrow.fill(Picture(tmp_path/'p.png'), data.coffee()[:200,:300])
    with pytest.raises(MaskError, match='is the picture itself'): narrow.fill(Picture(PHOTO), PHOTO)

def test_one_folder_for_both(tmp_path):
    from lbp_inpaint.filling.folders import fill as fill_files
    for n in 'ab': (tmp_path/'in').mkdir(exist_ok=True); Image.fromarray(PHOTO).save(tmp_path/'in'/f'{n}.png')
    with pytest.raises(PictureError, match='0 filled, 2 refused(.|\n)*is the picture itself'): fill_files(tmp_path/'in', tmp_path/'in', tmp_path/'out', weights=str(corpus.weights()), device='cpu')

def test_soft_masks_are_none_of_that(narrow):
    for o in (blurred(HOLE*1., 6), np.where(HOLE, 200, 90).astype(np.uint8)): fill(narrow, PHOTO, o)

# masks of numbers

PALETTE = [0,0,0, 128,0,0, 0,128,0, 128,128,0]
def classes(border=True):
    a = np.zeros((200,300), np.uint8); a[70:121,120:171] = 1; a[20:50,20:60] = 3
    if border: a[68:70,118:173] = 255; a[18:20,18:62] = 255
    return a
def palette(a, colours=PALETTE): im = Image.fromarray(a, 'L').convert('L'); im = Image.frombytes('P', im.size, a.tobytes()); im.putpalette(colours+[0]*(765-len(colours))+[224,224,192]); return im

LABELS = {'palette':palette(classes()), 'palette without a border':palette(classes(False)), 'grey with a border':classes(), 'floats':classes(False).astype('f4'), '16 bits':classes(False).astype('u2'),
    'int64':classes(False).astype(np.int64), 'a tensor':torch.from_numpy(classes(False)), **{f'label {k}':HOLE.astype(np.uint8)*k for k in (2,3,10,20)}, 'bright classes':palette(classes(False), [0,0,0, 255,0,0, 0,255,0, 255,255,0])}
@pytest.mark.parametrize('kind', LABELS)
def test_labels(kind):
    hole,said = quiet(read_hole, LABELS[kind])
    assert (hole==(np.asarray(LABELS[kind])>0)).all() and 'where the number is not 0' in said

@pytest.mark.parametrize('top', (1,255,1023,4095,16383,65535))
def test_whites_of_16_bits(top, tmp_path):
    tifffile.imwrite(tmp_path/'m.tif', HOLE.astype('u2')*top)
    hole,said = quiet(read_hole, tmp_path/'m.tif')
    assert (hole==HOLE).all() and not said

@pytest.mark.parametrize('top', (300,2000,9000))
def test_no_white_in_16_bits(top):
    with pytest.raises(MaskError, match='has no white'): read_hole(HOLE.astype('u2')*top)

def test_what_is_no_list_of_numbers(tmp_path):
    noise = np.random.default_rng(0).integers(0, 8, (200,300)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path/'n.jpg', quality=95)
    assert not read_hole(tmp_path/'n.jpg').any()
    for o in (Image.fromarray(WHITE).convert('P'), Image.fromarray(WHITE).quantize(8), Image.fromarray(WHITE).filter(ImageFilter.GaussianBlur(3)), Image.fromarray(HOLE).convert('P')):
        hole,said = quiet(read_hole, o)
        assert not said and abs(hole.mean()-HOLE.mean())<.01

def test_a_palette_with_a_transparent_background():
    im = palette(classes(False)); im.info['transparency'] = 0
    assert (quiet(read_hole, im)[0]==(classes(False)>0)).all()

def test_white_under_transparency_in_16_bits(tmp_path):
    a = np.full((200,300,4), 65535, 'u2'); a[...,3] = HOLE*65535
    tifffile.imwrite(tmp_path/'m.tif', a, photometric='rgb', extrasamples=['unassalpha'])
    assert (read_hole(tmp_path/'m.tif')==HOLE).all()

# what does not matter, and what does

@pytest.mark.parametrize('value', (np.nan,np.inf,-np.inf,-9999.,3.4e38))
@pytest.mark.parametrize('channels', (1,3))
def test_no_data_under_the_hole(value, channels, narrow, tmp_path):
    a = ((GREY if channels==1 else PHOTO)/255).astype('f4')
    b = a.copy(); b[HOLE] = value
    tifffile.imwrite(tmp_path/'n.tif', b, photometric='rgb' if channels==3 else 'minisblack')
    out = fill(narrow, tmp_path/'n.tif').color
    tifffile.imwrite(tmp_path/'a.tif', a, photometric='rgb' if channels==3 else 'minisblack')
    assert np.isfinite(out).all() and (out==fill(narrow, tmp_path/'a.tif').color).all()

def test_no_data_in_whole_numbers_and_at_known_places(narrow, tmp_path):
    a = GREY.astype('i4')*200; a[HOLE] = -9999
    tifffile.imwrite(tmp_path/'n.tif', a)
    assert fill(narrow, tmp_path/'n.tif').color.min()>=0
    a[0,0] = -9999; tifffile.imwrite(tmp_path/'n.tif', a)
    with pytest.raises(PictureError, match='from -9999'): fill(narrow, tmp_path/'n.tif')
    with pytest.raises(PictureError, match='NaN'): fill(narrow, Image.fromarray(np.where(np.eye(200,300)>0, np.nan, GREY/255).astype('f4')))

@pytest.mark.parametrize('dtype', ('f4','f8','u2'))
def test_deep_pictures_that_are_their_own_mask(dtype, narrow, tmp_path):
    scale = 1/255 if dtype[0]=='f' else 257
    a = (np.dstack([PHOTO,np.where(HOLE, 0, 255)])*scale).astype(dtype)
    tifffile.imwrite(tmp_path/'a.tif', a, photometric='rgb', extrasamples=['unassalpha'])
    out,hole,_ = narrow.fill(Picture(tmp_path/'a.tif'), tmp_path/'a.tif', mask_from_alpha=True)
    assert (hole==HOLE).all() and (out.color[~HOLE]==a[...,:3][~HOLE]).all() and (out.alpha==(1 if dtype[0]=='f' else 65535)).all()

# sources

def png(a): f = io.BytesIO(); Image.fromarray(a).save(f, 'png'); f.seek(0); return f

class Pipe(io.RawIOBase):
    "What can be read once"
    def __init__(self, content): self.f = io.BytesIO(content)
    def readable(self): return True
    def readinto(self, b): return self.f.readinto(b)

def test_open_files(tmp_path, narrow):
    (tmp_path/'p.png').write_bytes(png(PHOTO).getvalue()); (tmp_path/'p.gz').write_bytes(gzip.compress(png(PHOTO).getvalue()))
    at_the_end = png(PHOTO); at_the_end.seek(0, 2)
    with open(tmp_path/'p.png', 'rb') as f, gzip.open(tmp_path/'p.gz') as g:
        for o in (f, g, png(PHOTO), at_the_end, io.BufferedReader(Pipe(png(PHOTO).getvalue()))): assert (np.asarray(read_image(o))==PHOTO).all()
    deep = io.BytesIO(); tifffile.imwrite(deep, PHOTO.astype('u2')*257, photometric='rgb', byteorder='>')
    assert (levels_of(deep)==PHOTO.astype('u2')*257).all()
    assert (np.asarray(narrow(png(PHOTO), png(WHITE)))==np.asarray(narrow(PHOTO, WHITE))).all()
    both = png(np.dstack([PHOTO,255-WHITE]))
    assert narrow(both, both, mask_from_alpha=True).mode=='RGBA'

@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='no pipes here')
def test_a_pipe_with_a_name(tmp_path):
    os.mkfifo(tmp_path/'pipe')
    writer = threading.Thread(target=lambda: (tmp_path/'pipe').write_bytes(png(PHOTO).getvalue())); writer.start()
    assert (np.asarray(read_image(tmp_path/'pipe'))==PHOTO).all()
    writer.join()

def test_tensors(narrow):
    x = to_tensor(PHOTO)
    for o in (x, x[None], torch.from_numpy(PHOTO.copy()).permute(2,0,1), x.double(), x.clone().requires_grad_()): assert (np.asarray(read_image(o))==PHOTO).all()
    assert (levels_of(torch.from_numpy(GREY))==GREY).all() and (levels_of(torch.from_numpy(GREY)[None])==GREY).all()
    for m in (torch.from_numpy(HOLE), torch.from_numpy(HOLE)[None,None].float(), torch.from_numpy(WHITE)[None], torch.from_numpy(HOLE).bfloat16()): assert (read_hole(m)==HOLE).all()
    assert (np.asarray(narrow(x, read_mask(WHITE)))==np.asarray(narrow(PHOTO, WHITE))).all()
    for o,said in ((x*2, '\\[-1,1\\] is needed'), ((x+1)/2, 'either 0..1 or'), (torch.zeros(5,4,4, dtype=torch.uint8), 'array'), (torch.full((3,4,4), torch.nan), 'nan'), (torch.zeros(2,3,4,4, dtype=torch.uint8), 'array')):
        with pytest.raises(PictureError, match=said): read_image(o)

CLOSED = Image.open(png(PHOTO)); CLOSED.load(); CLOSED.close()
def closed_file(): f = png(PHOTO); f.close(); return f
@pytest.mark.parametrize('source,said', (([[1,2],[3,4]],'is a list'), ((1,2),'is a tuple'), (None,'None'), (3,'is a number'), (b'\x89PNG','is bytes'), ({},'is a dict'), ('https://example.org/a.png','download it first'),
    ('ftp://example.org/a.png','download it first'), ('a\0b.png','no name'), ('','is not there'), (io.StringIO('x'),'opened as text'), (closed_file(),'is closed'), (CLOSED,'is closed'), (object(),'is a object'), (Path('nowhere.png'),'check the path')), ids=lambda o: str(o)[:20])
def test_what_is_no_source(source, said):
    for read in (read_image, lambda o: read_hole(o), Picture):
        with pytest.raises((PictureError,MaskError), match=said) as e: read(source)
        assert str(e.value).count('; ')==1 and str(e.value).endswith('.')

# pages

def test_thumbnails_and_masks_in_a_tiff_are_no_pictures(tmp_path):
    for kinds in ((0,1),(1,0),(0,4),(1,0,1),(4,0,1)):
        for a,order in ((PHOTO,'<'),(DEEP,'>')):
            with tifffile.TiffWriter(tmp_path/'s.tif', byteorder=order) as f:
                for k in kinds:
                    if k==4: f.write(HOLE, photometric='mask', subfiletype=4, metadata=None)
                    else: f.write(a[::4,::4] if k else a, photometric='rgb', subfiletype=k, metadata=None, compression=None if order=='<' else 'zlib')
            assert (levels_of(tmp_path/'s.tif')==a).all()

def test_pyramids_and_float_scans(tmp_path):
    with tifffile.TiffWriter(tmp_path/'y.tif') as f:
        f.write(PHOTO, photometric='rgb', subifds=1, tile=(64,64)); f.write(PHOTO[::2,::2], photometric='rgb', subfiletype=1, tile=(64,64))
    assert (levels_of(tmp_path/'y.tif')==PHOTO).all()
    with tifffile.TiffWriter(tmp_path/'f.tif') as f:
        f.write((PHOTO/255).astype('f4'), photometric='rgb', metadata=None); f.write(PHOTO[::2,::2], photometric='rgb', subfiletype=1, metadata=None)
    assert levels_of(tmp_path/'f.tif').shape==PHOTO.shape

def test_several_pages_and_raw_files_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path/'s.tif') as f:
        for _ in range(2): f.write(PHOTO, photometric='rgb', metadata=None)
    with pytest.raises(PictureError, match='holds 2 frames or pages'): load_pixels(tmp_path/'s.tif')
    tifffile.imwrite(tmp_path/'raw.dng', PHOTO[::4,::4], photometric='rgb', subfiletype=1, extratags=[(50706,'B',4,(1,4,0,0),True)])
    with pytest.raises(PictureError, match='camera\'s raw file'): load_pixels(tmp_path/'raw.dng')
    tifffile.imwrite(tmp_path/'one.tif', PHOTO, photometric='rgb', subfiletype=1)
    assert (levels_of(tmp_path/'one.tif')==PHOTO).all()

# threads and processes

def state(): return os.fstat(2),logging.root.level,[logging.getLogger(o).level for o in ('PIL','tifffile','PIL.TiffImagePlugin')],list(warnings.filters),warnings.showwarning,Image.MAX_IMAGE_PIXELS

@pytest.fixture(scope='module')
def shelf(tmp_path_factory):
    "Whole and damaged files of many kinds"
    d = tmp_path_factory.mktemp('shelf')
    for k,(a,how) in STORED.items(): tifffile.imwrite(d/f'{k}.tif', a, **how)
    Image.fromarray(PHOTO).save(d/'lzw.tif', compression='tiff_lzw')
    for k,cut in (('lzw',3),('RGB 16 deflated',2)): b = (d/f'{k}.tif').read_bytes(); (d/f'half of {k}.tif').write_bytes(b[:len(b)//cut])
    for k in ('png','jpg','webp'): Image.fromarray(PHOTO).save(d/f'p.{k}', **(dict(exif=b'Exif\0\0MM\0*\xff\xff\xff\xff') if k=='jpg' else {}))
    return sorted(d.iterdir())

def read_all(files):
    res = []
    for f in files:
        try: res.append(zlib.crc32(np.asarray(Picture(f).rgb).tobytes()))
        except PictureError as e: res.append(str(e))
    return res

def test_eight_threads_leave_everything_as_it_was(shelf, small, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', UserWarning)
        before,alone,fill_alone = state(),read_all(shelf),np.asarray(small(PHOTO, WHITE))
        def work(i):
            if i%3: return read_all(shelf)==alone
            out = small.fill(Picture(png(PHOTO)), png(WHITE))[0]; out.save(tmp_path/f'{i}.tif')
            return (out.color==fill_alone).all()
        with ThreadPoolExecutor(8) as pool: assert all(pool.map(work, range(24)))
        assert state()[1:]==before[1:] and os.path.sameopenfile(2, os.dup(2)) and state()[0].st_ino==before[0].st_ino
    assert any('truncated' in str(o) for o in alone)

def test_nothing_is_switched_while_others_read(shelf):
    "A thread that watches sees the same filters, levels, limit and standard error all the time"
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', UserWarning)
        before,stop,seen = state(),threading.Event(),[]
        def watch():
            while not stop.is_set():
                now = state()
                if now[1:]!=before[1:] or now[0].st_ino!=before[0].st_ino or now[0].st_dev!=before[0].st_dev: seen.append(now)
        threads = [threading.Thread(target=watch)]+[threading.Thread(target=read_all, args=(shelf,)) for _ in range(2)]
        for t in threads: t.start()
        for t in threads[1:]: t.join()
        stop.set(); threads[0].join()
        assert not seen

def test_others_are_still_heard_while_this_thread_reads(shelf, caplog):
    class Watched(io.BytesIO):
        def read(self, *a): threading.Thread(target=lambda: logging.getLogger('tifffile').error('heard')).start(); time.sleep(.01); return super().read(*a)
    load_pixels(Watched(png(PHOTO).getvalue()))
    assert 'heard' in caplog.text

def test_explaining_in_threads(small):
    pixels = [(125,75),(150,90),(165,115)]
    alone = [small.explain(PHOTO, HOLE, x, y).sources for x,y in pixels]
    with ThreadPoolExecutor(6) as pool: together = list(pool.map(lambda p: small.explain(PHOTO, HOLE, *p).sources, pixels*4))
    assert together==alone*4

def test_pickles_and_copies(small):
    for again in (pickle.loads(pickle.dumps(small)), copy.deepcopy(small)):
        assert (again.device,again.precision,again.detail)==(small.device,small.precision,small.detail)
        assert (np.asarray(again(PHOTO, WHITE))==np.asarray(small(PHOTO, WHITE))).all()

FORKS = '''
import os, threading, numpy as np, torch
from lbp_inpaint.filling.inpainter import Inpainter
from lbp_inpaint.nets.build import build_net
from skimage import data
torch.manual_seed(0)
inp,a,m = Inpainter(build_net(nf=4), 'cpu'),data.astronaut()[:80,:100],np.zeros((80,100), bool)
m[30:50,40:60] = True
out = np.asarray(inp(a, m))
threads = [threading.Thread(target=inp, args=(a, m)) for _ in range(2)]
for t in threads: t.start()
for _ in range(2):
    pid = os.fork()
    if not pid: os._exit(0 if (np.asarray(inp(a, m))==out).all() else 3)
    assert os.waitpid(pid, 0)[1]==0
for t in threads: t.join()
'''
@pytest.mark.skipif(not hasattr(os, 'fork'), reason='no forks here')
def test_a_forked_child_does_not_hang():
    done = subprocess.run([sys.executable, '-c', FORKS], env=dict(os.environ, OMP_NUM_THREADS='2'), timeout=90, capture_output=True, text=True)
    assert not done.returncode, done.stderr[-2000:]

# as the test files of imaging libraries have them

def tiff(a, **kw): f = io.BytesIO(); tifffile.imwrite(f, a, **kw); return f
def png_chunks(*chunks): return io.BytesIO(corpus.png(*chunks))
def rows(a, filtered=b'\0'): return zlib.compress(b''.join(filtered+o.tobytes() for o in a))
def png_of(a, bits, kind, *more, interlace=0): return png_chunks((b'IHDR',struct.pack('>IIBBBBB', 300, 200, bits, kind, 0, 0, interlace)), *more, (b'IDAT',rows(a)), (b'IEND',b''))
def packed(a, bits): return np.packbits(np.unpackbits(a[...,None].astype(np.uint8), axis=2)[...,8-bits:].reshape(200,-1), axis=1)
def ppm(head, body): return io.BytesIO(head+body)
def bmp(a, flip=False):
    h,w = a.shape[:2]; pixels = np.ascontiguousarray((a if flip else a[::-1])[...,::-1]).tobytes()
    return io.BytesIO(b'BM'+struct.pack('<IHHI', 54+len(pixels), 0, 0, 54)+struct.pack('<IiiHHIIiiII', 40, w, -h if flip else h, 1, 24, 0, len(pixels), 0, 0, 0, 0)+pixels)
def cv(a, end, *flags): return io.BytesIO(cv2.imencode(end, a[...,::-1] if a.ndim==3 else a, list(flags))[1].tobytes())
LIBRARIES = { # where the kind of case is from: file, what is right
    'libpng: 1 bit grey':(lambda: png_of(packed(GREY>>7, 1), 1, 0), (GREY>>7)*255), 'libpng: 2 bits grey':(lambda: png_of(packed(GREY>>6, 2), 2, 0), (GREY>>6)*85),
    'libpng: 4 bits grey':(lambda: png_of(packed(GREY>>4, 4), 4, 0), (GREY>>4)*17), 'libpng: 16 bits grey':(lambda: png_of((GREY.astype('u2')*257).astype('>u2'), 16, 0), GREY),
    'libpng: 16 bits colour':(lambda: png_of(DEEP.astype('>u2'), 16, 2), PHOTO), 'libpng: 4 bits palette':(lambda: png_of(packed(GREY>>4, 4), 4, 3, (b'PLTE',bytes(v for i in range(16) for v in (i*17,i,0)))), np.dstack([(GREY>>4)*17,GREY>>4,GREY*0])),
    'libpng: a gamma and a background':(lambda: png_of(PHOTO, 8, 2, (b'gAMA',struct.pack('>I',45455)), (b'bKGD',struct.pack('>HHH',1,2,3))), PHOTO),
    'libpng: text of every kind':(lambda: png_of(PHOTO, 8, 2, (b'tEXt',b'Title\0x'), (b'zTXt',b'Note\0\0'+zlib.compress(b'y')), (b'iTXt',b'A\0\0\0\0\0z')), PHOTO),
    'Pillow: TIFF by LZW with a predictor':(lambda: tiff_pillow('tiff_lzw', tiffinfo={317:2}), PHOTO), 'Pillow: TIFF by packed bits':(lambda: tiff_pillow('packbits'), PHOTO),
    'Pillow: TIFF of fax group 4':(lambda: tiff_pillow('group4', Image.fromarray(GREY>128)), np.where(GREY>128, 255, 0).astype(np.uint8)), 'Pillow: BMP from the top':(lambda: bmp(PHOTO, True), PHOTO), 'Pillow: BMP from the bottom':(lambda: bmp(PHOTO), PHOTO),
    'Pillow: PGM with comments':(lambda: ppm(b'P5\n# a\n300 # b\n200\n255\n', GREY.tobytes()), GREY), 'Pillow: plain PGM':(lambda: ppm(b'P2\n300 200\n255\n', ' '.join(map(str, GREY.ravel())).encode()), GREY),
    'Pillow: PGM of 16 bits':(lambda: ppm(b'P5 300 200 65535\n', (GREY.astype('u2')*257).astype('>u2').tobytes()), GREY), 'tifffile: tiles':(lambda: tiff(DEEP, photometric='rgb', tile=(48,64)), PHOTO), 'tifffile: planes':(lambda: tiff(np.moveaxis(DEEP,-1,0), photometric='rgb', planarconfig='separate'), PHOTO),
    'tifffile: BigTIFF':(lambda: tiff(DEEP, photometric='rgb', bigtiff=True), PHOTO), 'tifffile: a strip a row, deflated':(lambda: tiff(PHOTO, photometric='rgb', rowsperstrip=1, compression='zlib', predictor=True), PHOTO), 'tifffile: ImageJ':(lambda: tiff(GREY.astype('u2')*257, imagej=True), GREY),
    'imageio: float colour':(lambda: tiff((PHOTO/255).astype('f4'), photometric='rgb', byteorder='>'), PHOTO), 'imageio: GIF of one frame':(lambda: gif(), None), 'OpenCV: 16-bit PNG':(lambda: cv(DEEP, '.png'), PHOTO), 'OpenCV: 16-bit TIFF':(lambda: cv(DEEP, '.tiff'), PHOTO),
    'OpenCV: PNG of 1 bit':(lambda: cv((GREY>128).astype(np.uint8)*255, '.png', cv2.IMWRITE_PNG_BILEVEL, 1), np.where(GREY>128, 255, 0).astype(np.uint8)), 'OpenCV: 16-bit PGM':(lambda: cv(GREY.astype('u2')*257, '.pgm'), GREY)}
def tiff_pillow(compression, im=None, **kw): f = io.BytesIO(); (im or Image.fromarray(PHOTO)).save(f, 'tiff', compression=compression, **kw); return f
def gif(): f = io.BytesIO(); Image.fromarray(PHOTO).quantize(64).save(f, 'gif'); return f

@pytest.mark.parametrize('kind', LIBRARIES)
def test_files_of_imaging_libraries(kind, narrow):
    make,want = LIBRARIES[kind]
    if want is None: want = np.asarray(Image.open(make()).convert('RGB'))
    got = np.asarray(read_image(make()))
    assert (got==(want if want.ndim==3 else want[...,None])).all()
    before = Picture(make())
    after = fill(narrow, make())
    assert (after.color[~HOLE]==before.color[~HOLE]).all() and after.color.dtype==before.color.dtype
