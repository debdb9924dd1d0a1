"""PSNR, SSIM and l1 of a weights folder beside classical filling, on the same holes.

    python tests/score_weights.py FOLDER [--weights small] [--holes centre 10-20 20-30 30-40 40-50]

Every picture below FOLDER is scaled and cropped to 256x256. All methods get the same mask for a picture, drawn from seed 0 and its number.
Numbers are means over pictures, over the whole picture as in the paper's tables; `hole` is the PSNR over the hole alone. Needs the development extras (OpenCV)."""
import argparse
import cv2, numpy as np, torch
from lbp_inpaint.all import *
from lbp_inpaint.cli import biharmonic
from fastai.data.transforms import get_image_files

def mean_colour(image, mask): return composite((image*(1-mask)).sum((1,2), keepdim=True)/(1-mask).sum(), image, mask)

def opencv(method):
    def fill(image, mask):
        bgr = to_uint8(image*(1-mask)).permute(1,2,0).numpy()[...,::-1].copy()
        res = cv2.inpaint(bgr, (mask[0].numpy()*255).astype(np.uint8), 3, method)[...,::-1].copy()
        return composite(torch.from_numpy(res).permute(2,0,1).float()/127.5-1, image, mask)
    return fill

def mask_fn(hole):
    if hole=='centre': return lambda size,gen: center_mask(size)
    lo,hi = (int(o)/100 for o in hole.split('-'))
    return lambda size,gen: irregular_mask(size, (lo,hi), gen)

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('folder'); p.add_argument('--weights', default='small'); p.add_argument('--holes', nargs='+', default=['centre','10-20','20-30','30-40','40-50'])
    args = p.parse_args()
    inp = Inpainter.from_pretrained(args.weights, 'cpu')
    def ours(image, mask):
        with torch.no_grad(): return inp.net(image[None], mask[None])[1][0]
    methods = {args.weights:ours, 'mean colour':mean_colour, 'biharmonic':biharmonic, 'Telea':opencv(cv2.INPAINT_TELEA), 'Navier-Stokes':opencv(cv2.INPAINT_NS)}
    files = sorted(get_image_files(args.folder))
    print(f'{len(files)} pictures below {args.folder}\n| hole | method | PSNR dB | SSIM | l1 % | hole PSNR dB |\n|---|---|---|---|---|---|', flush=True)
    for hole in args.holes:
        ds,scores = InpaintDataset(files, 256, mask_fn(hole)),{k:[] for k in methods}
        for i in range(len(ds)):
            _,mask,truth = ds[i]
            for name,f in methods.items():
                res = f(truth, mask)[None]
                scores[name].append(torch.cat([psnr(res, truth[None]), ssim(res, truth[None]), l1(res, truth[None]), psnr(res, truth[None], mask[None])]))
        for name,rows in scores.items():
            m = torch.stack(rows).mean(0)
            print(f'| {hole} | {name} | {m[0]:.2f} | {m[1]:.3f} | {m[2]:.2f} | {m[3]:.2f} |', flush=True)

if __name__=='__main__': main()
