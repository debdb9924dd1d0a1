"Fill a large photograph with a hole of 1 % through the command line: `python tests/large.py 12288 8192` prints seconds and peak memory."
import os, resource, subprocess, sys, tempfile, time
from pathlib import Path
import numpy as np
from PIL import Image
from skimage import data
from lbp_inpaint.filling.seams import seam_score

def photograph(width, height):
    "A photograph scaled up, with grain"
    a = np.array(Image.fromarray(data.coffee()).resize((width,height), Image.Resampling.BICUBIC))
    rng = np.random.default_rng(0)
    for i in range(0, height, 256): a[i:i+256] = (a[i:i+256].astype(np.int16)+rng.integers(-6, 7, a[i:i+256].shape, dtype=np.int16)).clip(0, 255)
    return a

def main(width, height, folder):
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

if __name__=='__main__':
    width,height = map(int, sys.argv[1:3])
    with tempfile.TemporaryDirectory(dir=sys.argv[3] if len(sys.argv)>3 else None) as d: main(width, height, Path(d))
