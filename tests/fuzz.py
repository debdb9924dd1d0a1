"""Random damage to pictures, masks, weights and commands; only the package's own errors may come out.

`python tests/fuzz.py 120` runs for 120 seconds of processor time. An execution is determined by its number alone, and those that once went wrong are in `FINDS`."""
import argparse, os, re, resource, shutil, sys, tempfile, time, traceback
from pathlib import Path
os.environ.setdefault('OMP_NUM_THREADS', '1')
import numpy as np, tifffile
from PIL import Image
from corpus import hole, inside, levels, standard, weights

SAID = r'(lbp-inpaint: .*\n)*(lbp-inpaint: [^\n]*; [^\n]*\.\n|lbp-inpaint: \d+ filled, \d+ refused:\n(  [^\n]*\n)+)' # notes, then a sentence with a remedy or a table
FINDS = [177, 257, 336, 521, 528, 680, 740, 3896, 4088]

def mutate(b, rng):
    "A few bytes changed, cut out, doubled or taken from elsewhere in the file"
    b = bytearray(b)
    for _ in range(rng.integers(1, 6)):
        if not b: break
        i,n = int(rng.integers(len(b))),int(rng.integers(1, 1+min(len(b), int(2**rng.integers(0, 8)))))
        how = rng.integers(7)
        if how==0: b[i] ^= 1<<int(rng.integers(8))
        elif how==1: b[i:i+n] = rng.bytes(n)
        elif how==2: del b[i:i+n]
        elif how==3: b[i:i] = b[i:i+n]
        elif how==4: del b[i:]
        elif how==5: b[i:i+n] = [b'\0',b'\xff',b'\x7f',b'\x80'][rng.integers(4)]*n
        else: j = int(rng.integers(len(b))); b[i:i+n] = b[j:j+n]
    return bytes(b)

def write_picture(d, name, rng, mask=False):
    "A picture in one of many formats: its path"
    a = hole().astype(np.uint8)*255 if mask else levels(rng, int(rng.choice([1,3,4])), rng.choice([np.uint8,np.uint16])).squeeze()
    kind = rng.choice(['png','jpg','tif','webp','bmp','gif','ppm','tga','jp2','avif'])
    if a.dtype==np.uint16: tifffile.imwrite(d/f'{name}.tif', a, photometric='rgb' if a.ndim==3 else 'minisblack', compression=rng.choice(['zlib',None])); return d/f'{name}.tif'
    im = Image.fromarray(a)
    if kind in ('jpg','bmp','ppm') and im.mode=='RGBA': im = im.convert('RGB')
    if kind=='png' and rng.random()<.3: im = im.convert(str(rng.choice(['1','L','P'])))
    exif = Image.Exif(); exif[0x112] = int(rng.integers(1, 9)); exif[0x10F] = 'x'
    im.save(d/f'{name}.{kind}', **(dict(exif=exif) if kind in ('png','jpg','webp','tif') and not mask and rng.random()<.3 else {}))
    return d/f'{name}.{kind}'

def damage(path, rng): path.write_bytes(mutate(path.read_bytes(), rng))

def picture(d, rng): p = write_picture(d, 'q', rng); damage(p, rng); return p,d/'m.png'
def mask(d, rng): m = write_picture(d, 'n', rng, True); damage(m, rng); return d/'p.png',m
def weight(d, rng):
    name = rng.choice(['config.json','model.safetensors'])
    shutil.copytree(weights(name=='config.json'), d/'w'); damage(d/'w'/name, rng)
    return d/'p.png',d/'m.png','--weights',d/'w'

WORDS = ['','-','--','.','nowhere/..','p.png','m.png','out.png','x.jpg','0','-1','1','.5','1e9','nan','inf','red','#12','12,13','-3,4','999999999999','ä世','a b','%s','\t','n'*300,'~','small','./small','cpu','meta','fp32','bf16','*']
OPTIONS = ['--weights','--device','--precision','--invert-mask','--threshold','--dilate','--mask-from-alpha','--mask-color','--resize-mask','--recursive','--overwrite','--keep-metadata','--max-megapixels','--lbp','--attention','-o','--help','--pdb']
def command(d, rng):
    "Words and options in any order, most of them after a command that could work"
    args = [d/'p.png',d/'m.png'] if rng.random()<.8 else []
    for _ in range(rng.integers(0, 5)):
        args.append(str(rng.choice(OPTIONS[:-1] if rng.random()<.7 else WORDS)))
        if rng.random()<.6: args.append(str(rng.choice(WORDS)))
    return args

KINDS = picture,mask,weight,command

def execute(number, d):
    "Run one execution in the folder `d`: what is wrong with it, or None"
    rng,here = np.random.default_rng([17,number]),os.getcwd()
    try:
        os.chdir(d)
        standard(d, rng)
        kind = KINDS[number%len(KINDS)]
        args = [str(o) for o in kind(d, rng)]
        if '-o' not in args: args += ['-o',str(d/'out.png')]
        if '--weights' not in args: args += ['--weights',str(weights())]
        if '--device' not in args: args += ['--device','cpu']
        start,before = time.process_time(),set(d.rglob('*'))
        try: code,err = inside(['fill',*args])
        except KeyboardInterrupt: raise
        except BaseException: return f'{number} {kind.__name__} {args}: {traceback.format_exc()}'
        left = {o for o in d.rglob('*') if o.is_file()}-before
    finally: os.chdir(here)
    if code==130: raise KeyboardInterrupt
    if code not in (0,1,2,3,4): return f'{number} {kind.__name__}: exit code {code}'
    if 'Traceback' in err or any(o.name.endswith('.tmp') for o in left) or code and left: return f'{number} {kind.__name__} {args}: {err} {left}'
    if time.process_time()-start>20: return f'{number} {kind.__name__} {args}: took {time.process_time()-start:.0f} s'
    if code and not err.startswith('usage:') and not re.fullmatch(SAID, err): return f'{number} {kind.__name__} {args}: not a sentence with a remedy: {err}'

if __name__=='__main__':
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('seconds', type=float, help='of processor time')
    p.add_argument('--start', type=int, default=0, help='number of the first execution')
    args = p.parse_args()
    weights()
    start,number,finds,kinds = time.process_time(),args.start,[],dict.fromkeys(KINDS, 0)
    while time.process_time()-start<args.seconds:
        with tempfile.TemporaryDirectory() as d: problem = execute(number, Path(d))
        if problem: finds.append(number); print(problem, flush=True)
        kinds[KINDS[number%len(KINDS)]] += 1
        number += 1
    print(f'{number-args.start} executions ({", ".join(f"{n} {k.__name__}" for k,n in kinds.items())}) in {time.process_time()-start:.0f} s of processor time, peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1e6:.2f} GB, {len(finds)} finds{": " if finds else ""}{", ".join(map(str, finds))}')
    sys.exit(bool(finds))
