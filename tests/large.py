"""Fill a large photograph with a hole of 1 % through the command line: `python tests/large.py 12288 8192` prints seconds and peak memory.

`python tests/large.py holes FOLDER [--vgg FILE] [--out FOLDER] [--kinds KIND ...]`: holes of 150 to 1,200 pixels in every photograph of a folder, filled as the
windows' answers enlarged and with detail at the picture's own scale; prints sharpness, seam, PSNR, distances of VGG's features (Eq. 6) and of their Gram matrices (Eq. 7), and CPU time of both, and writes
them side by side. The table in nbs/33_filling.painting.ipynb is of ten photographs in Debian's packages lomiri-wallpapers-16.04 (Bridge, Dragonfly,
Picture_0B, aitzgorri, life, picosdeeuropa, seeding, sunset), lomiri-wallpapers-20.04 (Kleiber) and plasma-workspace-wallpapers (OneStandsOut)."""
import argparse, resource, subprocess, sys, tempfile, time
from itertools import product
from pathlib import Path
from unittest.mock import patch
import numpy as np, pandas as pd, torch
from PIL import Image
from scipy import ndimage
from skimage import data
from lbp_inpaint.core import from_uint8, sample_generator
from lbp_inpaint.evidence.scores import gradient_energy
from lbp_inpaint.filling import painting
from lbp_inpaint.filling.inpainter import Inpainter
from lbp_inpaint.filling.seams import seam_score
from lbp_inpaint.masks import irregular_mask
from lbp_inpaint.nets.losses import PerceptualLoss, StyleLoss, VGGFeatures

def photograph(width, height):
    "A photograph scaled up, with grain"
    a = np.array(Image.fromarray(data.coffee()).resize((width,height), Image.Resampling.BICUBIC))
    rng = np.random.default_rng(0)
    for i in range(0, height, 256): a[i:i+256] = (a[i:i+256].astype(np.int16)+rng.integers(-6, 7, a[i:i+256].shape, dtype=np.int16)).clip(0, 255)
    return a

def one(width, height, folder):
    a,hole = photograph(width, height),np.zeros((height,width), bool)
    side = round((.01*width*height)**.5)
    hole[height//3:height//3+side, width//3:width//3+side] = True
    picture,mask,out = (folder/f'{n}.png' for n in ('picture','mask','out'))
    Image.fromarray(a).save(picture, compress_level=1); Image.fromarray(hole).save(mask)
    start,code = time.time(),'import sys; from lbp_inpaint.cli import main; sys.exit(main())'
    subprocess.run([sys.executable, '-W', 'ignore', '-c', code, 'fill', picture, mask, '-o', out, '--device', 'cpu'], check=True, stdout=subprocess.DEVNULL)
    took,peak = time.time()-start,resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss/1e6 # kilobytes on Linux
    Image.MAX_IMAGE_PIXELS = None
    with Image.open(out) as im: b = np.asarray(im)
    assert (b[~hole]==a[~hole]).all(), 'known pixels changed'
    around = np.s_[height//3-64:height//3+side+64, width//3-64:width//3+side+64]
    print(f'{width}x{height}, {width*height/1e6:.1f} megapixels, hole of {side}x{side}: {took:.0f} s, {peak:.2f} GB, seam score {seam_score(b[around], hole[around]):.2f}')

# holes at real sizes

HOLES = 'compact-150','compact-300','compact-600','compact-1200','strokes-1200'
WAYS = 'enlarged','own scale'

def real_hole(shape, kind, size):
    "A lobed disc, or strokes in a square, `size` pixels wide and a little off the middle"
    (h,w),res,size = shape,np.zeros(shape, bool),int(size)
    cy,cx = int(.55*h),int(.42*w)
    if kind=='compact':
        y,x = np.mgrid[:h,:w]
        angle = np.arctan2(y-cy, x-cx)
        return (y-cy)**2+(x-cx)**2 < (size/2*(1+.12*np.sin(3*angle+1)+.06*np.sin(7*angle))/1.15)**2
    side = min(size, h-40, w-40)
    strokes = Image.fromarray(irregular_mask(256, (.1,.2), sample_generator(3,0,0))[0].numpy()>0).resize((side,side), Image.Resampling.NEAREST)
    top,left = (min(max(c-side//2, 0), n-side) for c,n in ((cy,h),(cx,w)))
    res[top:top+side,left:left+side] = strokes
    return res

def beside(hole, margin):
    "The rectangle of a hole, and what is around it"
    return tuple(slice(max(0, o.start-margin), o.stop+margin) for o in ndimage.find_objects(hole.astype(int))[0])

def scores(out, truth, hole, vgg):
    "Sharpness in the hole and in the 100 pixels around it, and how near the truth it is"
    there = beside(hole, 150)
    out,truth,hole = out[there],truth[there],hole[there]
    inner,ring = ndimage.minimum_filter(hole, 9),ndimage.maximum_filter(hole, 201)&~hole
    fill,true = (from_uint8(torch.from_numpy(o.copy()).permute(2,0,1)[None]) for o in (out,truth))
    def energy(x, m): return gradient_energy(x, torch.from_numpy(m)[None,None].float()).item()
    res = {'sharpness':energy(fill, inner)/energy(true, ring), 'seam':seam_score(out, hole),
        'PSNR':10*np.log10(255**2/((out[hole].astype(float)-truth[hole])**2).mean())}
    if vgg:
        pairs = [(vgg(fill[c]),vgg(true[c])) for c in crops(hole)]
        for name,loss in (('VGG',PerceptualLoss()),('style',StyleLoss())): res[name] = np.mean([loss(*o).item() for o in pairs])
    return res, energy(true, inner)/energy(true, ring)

def crops(hole, n=2):
    "Squares of 256 pixels around hole pixels"
    for y,x in np.argwhere(hole)[np.random.default_rng(0).choice(hole.sum(), n, replace=False)]:
        top,left = (int(np.clip(o-128, 0, size-256)) for o,size in ((y,hole.shape[0]),(x,hole.shape[1])))
        yield np.s_[...,top:top+256,left:left+256]

def filled(inp, rgb, hole, way):
    "The picture with its hole filled, and CPU seconds"
    start = time.process_time()
    if way=='own scale': colours = inp.paint(rgb, hole)[0]
    else:
        with patch.object(painting, '_draw_detail', lambda values, *args: values): colours = inp.paint(rgb, hole)[0]
    out = rgb.copy(); out[hole] = (colours*255).round()
    return out, time.process_time()-start

@torch.no_grad()
def holes(folder, vgg=None, out=None, kinds=HOLES):
    inp,rows,vgg = Inpainter.from_pretrained('small', 'cpu'),[],vgg and VGGFeatures(vgg).eval()
    for kind,path in product(kinds, sorted(Path(folder).iterdir())):
        with Image.open(path) as im: rgb = np.array(im.convert('RGB'))
        hole = real_hole(rgb.shape[:2], *kind.split('-'))
        outs = {way:filled(inp, rgb, hole, way) for way in WAYS}
        for way,(o,took) in outs.items():
            values,true = scores(o, rgb, hole, vgg)
            rows.append(dict(picture=path.stem, hole=kind, way=way, **values, true=true, seconds=took))
            print(*(f'{v:.3f}' if isinstance(v, float) else v for v in rows[-1].values()), flush=True)
        if out: side_by_side([*(o for o,_ in outs.values()), rgb], hole, Path(out)/f'{path.stem}-{kind}.png')
    df = pd.DataFrame(rows).drop(columns='picture')
    print(df.groupby(['hole','way'], sort=False).median().to_string(float_format='{:.3g}'.format))

def side_by_side(pictures, hole, path, width=600):
    ims = [Image.fromarray(o[beside(hole, hole.shape[0]//30)]) for o in pictures]
    for im in ims: im.thumbnail((width,width))
    res = Image.new('RGB', (width*len(ims), width), 'white')
    for i,im in enumerate(ims): res.paste(im, (i*width,0))
    path.parent.mkdir(parents=True, exist_ok=True)
    res.save(path)

if __name__=='__main__':
    if sys.argv[1]=='holes':
        parser = argparse.ArgumentParser()
        for name in ('holes','folder','--vgg','--out'): parser.add_argument(name)
        parser.add_argument('--kinds', nargs='+', default=HOLES, choices=HOLES)
        args = parser.parse_args()
        torch.set_num_threads(1)
        holes(args.folder, args.vgg, args.out, args.kinds)
    else:
        width,height = map(int, sys.argv[1:3])
        with tempfile.TemporaryDirectory(dir=sys.argv[3] if len(sys.argv)>3 else None) as d: one(width, height, Path(d))
