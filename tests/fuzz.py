"""Random damage to pictures, masks, weights and commands; only the package's own errors may come out.

`python tests/fuzz.py 120` runs for 120 seconds of processor time, `--threads 8` lets eight threads read and fill at once. An execution is determined by its number and its kind, which follows from the number; those that once went wrong are in `FINDS`."""
import argparse, logging, os, re, resource, shutil, sys, tempfile, time, traceback, warnings
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
os.environ.setdefault('OMP_NUM_THREADS', '1')
import numpy as np, tifffile
from PIL import Image
from lbp_inpaint.errors import InpaintError
from lbp_inpaint.filling.inpainter import Inpainter
from lbp_inpaint.nets.weights import load_net
from lbp_inpaint.pictures import Picture
from corpus import hole, inside, levels, standard, weights

SAID = r'(lbp-inpaint: .*\n)*(lbp-inpaint: [^\n]*; [^\n]*\.\n|lbp-inpaint: \d+ filled, (\d+ skipped, )?\d+ refused:\n(  [^\n]*\n)+)' # notes, then a sentence with a remedy or a table
FINDS = [('mask',177), ('mask',257), ('picture',336), ('mask',521), ('picture',528), ('picture',680), ('picture',740), ('picture',3896), ('picture',4088)]

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

DEPTHS = 'u1','u2','u4','i1','i2','i4','f2','f4','f8','?'
TAGS = [(255,'H',1,(1,2,3)), (274,'H',1,range(0,10)), (280,'H',1,(0,9)), (281,'H',1,(63,4095,65535)), (341,'H',1,(4095,)), (341,'f',1,(.5,1.)), (50706,'B',4,((1,4,0,0),))]
REWRITTEN = {254:(0,1,2,4), 258:(8,12,16), 262:(0,1,2,5,6), 266:(1,2), 277:(1,3,4), 278:(1,7), 284:(1,2), 317:(1,2), 338:(0,1,2), 339:(1,2,3)}
def scan(d, rng):
    "A TIFF of any depth, byte order, layout and tags, perhaps of several pages, perhaps damaged"
    dtype,c = np.dtype(rng.choice(DEPTHS)),int(rng.choice([1,1,3,3,4,2,5]))
    a = levels(rng, c, 'f8').squeeze()
    a = a>.5 if dtype.kind=='b' else (a*(1 if dtype.kind=='f' else min(65535, np.iinfo(dtype).max))*rng.choice([1,1,.06,.004])).astype(dtype)
    if rng.random()<.2: a[hole()] = rng.choice([np.nan,np.inf,-9999]) if dtype.kind=='f' else 0
    how = dict(photometric='rgb' if c in (3,4) and dtype.kind!='b' else 'minisblack', byteorder=str(rng.choice(['<','>'])), bigtiff=bool(rng.random()<.2), planarconfig='contig' if c>1 else None)
    if rng.random()<.3: how['compression'] = 'zlib'
    if rng.random()<.3 and dtype.kind!='b': how['tile'] = (16,32)
    with tifffile.TiffWriter(d/'q.tif', byteorder=how.pop('byteorder'), bigtiff=how.pop('bigtiff')) as f:
        for i in range(int(rng.choice([1,1,1,2,3]))):
            tags = [(code,kind,n,values[int(rng.integers(len(values)))],True) for code,kind,n,values in TAGS if rng.random()<.15]
            f.write(a[::1+i,::1+i], subfiletype=min(i,1)*int(rng.integers(2)), extratags=tags, metadata=None, **how)
    if rng.random()<.3:
        with tifffile.TiffFile(d/'q.tif', mode='r+b') as f:
            code = int(rng.choice(list(REWRITTEN)))
            if code in f.pages[0].tags: f.pages[0].tags[code].overwrite(int(rng.choice(REWRITTEN[code])))
    if rng.random()<.4: damage(d/'q.tif', rng)
    return d/'q.tif',d/'m.png','-o',d/'out.tif',*(['--mask-from-alpha'] if rng.random()<.1 else [])

def numbers(d, rng):
    "Masks of palettes, labels and brushes of any kind, or the picture itself"
    m = (hole()*int(rng.choice([1,2,7,20,90,200,255,1000,4095]))).astype(rng.choice(['u1','u2','i4','f4','f8']))
    if rng.random()<.4: m[2:6,2:9] = rng.choice([1,3,255])
    kind,options = rng.choice(['tif','palette','brush','alpha','itself']),[]
    if kind=='tif': tifffile.imwrite(d/'n.tif', m, byteorder=str(rng.choice(['<','>']))); return d/'p.png',d/'n.tif'
    if kind=='palette':
        im = Image.frombytes('P', m.shape[::-1], m.astype(np.uint8).tobytes()); im.putpalette(rng.bytes(3*int(rng.integers(1, 257))))
        im.save(d/'n.png', **(dict(transparency=int(rng.integers(256))) if rng.random()<.3 else {}))
    if kind=='brush':
        a,t = levels(rng),np.clip(hole()*rng.random()+rng.random((40,56))*.3*rng.random(), 0, 1)[...,None]
        Image.fromarray((a*(1-t)+np.array([255,0,255])*t).astype(np.uint8)).save(d/'n.png'); options = ['--mask-color',str(rng.choice(['magenta','ff00ff','white','808080']))]
    if kind=='alpha': im = Image.fromarray(levels(rng, 4)); im.save(d/'n.png'); options = ['--mask-from-alpha']
    if kind=='itself': shutil.copy(d/'p.png', d/'n.png')
    if rng.random()<.2: options.append('--invert-mask')
    if rng.random()<.3: damage(d/'n.png', rng)
    return d/('n.png' if rng.random()<.5 else 'p.png'),d/'n.png',*options

WORDS = ['','-','--','.','nowhere/..','p.png','m.png','out.png','x.jpg','0','-1','1','.5','1e9','nan','inf','red','#12','12,13','-3,4','999999999999','ä世','a b','%s','\t','n'*300,'~','small','./small','cpu','meta','fp32','bf16','*']
OPTIONS = ['--weights','--device','--precision','--invert-mask','--threshold','--dilate','--mask-from-alpha','--mask-color','--resize-mask','--recursive','--overwrite','--keep-metadata','--max-megapixels','--lbp','--attention','-o','--help','--pdb']
def command(d, rng):
    "Words and options in any order, most of them after a command that could work"
    args = [d/'p.png',d/'m.png'] if rng.random()<.8 else []
    for _ in range(rng.integers(0, 5)):
        args.append(str(rng.choice(OPTIONS[:-1] if rng.random()<.7 else WORDS)))
        if rng.random()<.6: args.append(str(rng.choice(WORDS)))
    return args

KINDS = picture,mask,weight,command,scan,numbers

def which(number):
    "(kind, number) of an execution, which may be a number only"
    name,n = number if isinstance(number, tuple) else (KINDS[number%len(KINDS)].__name__,number)
    return next(k for k in KINDS if k.__name__==name),n

def execute(number, d):
    "Run one execution in the folder `d`: what is wrong with it, or None"
    (kind,number),here = which(number),os.getcwd()
    rng = np.random.default_rng([17,number])
    try:
        os.chdir(d)
        standard(d, rng)
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

THREADED = picture,mask,scan,numbers
def read_and_fill(number, inp):
    "Run one execution through Python, as one of many threads: what is wrong with it, or None"
    kind,rng = THREADED[number%len(THREADED)],np.random.default_rng([18,number])
    with tempfile.TemporaryDirectory() as d:
        d = Path(d); standard(d, rng)
        p,m,*more = kind(d, rng)
        options = dict(mask_from_alpha='--mask-from-alpha' in more, mask_color=more[more.index('--mask-color')+1] if '--mask-color' in more else None)
        try: inp.fill(Picture(p), m, **options)[0].save(d/'out.tif')
        except InpaintError as e:
            if str(e).count('; ')!=1 or not str(e).endswith('.'): return f'{number} {kind.__name__}: not a sentence with a remedy: {e}'
        except Exception: return f'{number} {kind.__name__}: {traceback.format_exc()}'

def state(): return os.fstat(2)[:3],list(warnings.filters),[logging.getLogger(o).level for o in ('','PIL','tifffile')],Image.MAX_IMAGE_PIXELS

def with_threads(seconds, first, n):
    "Let `n` threads read and fill: how many executions, and what is wrong"
    inp,start,numbers,before = Inpainter(load_net(weights()), 'cpu'),time.process_time(),count(first),state()
    def work(_):
        finds,done = [],0
        while time.process_time()-start<seconds:
            problem = read_and_fill(next(numbers), inp); done += 1
            if problem: finds.append(problem); print(problem, flush=True)
        return done,finds
    with ThreadPoolExecutor(n) as pool: done,finds = zip(*pool.map(work, range(n)))
    if state()!=before: finds += (['filters, levels, limit or standard error are not as before'],); print(finds[-1][0])
    return sum(done),[o for f in finds for o in f]

if __name__=='__main__':
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('seconds', type=float, help='of processor time')
    p.add_argument('--start', type=int, default=0, help='number of the first execution')
    p.add_argument('--threads', type=int, default=0, help='read and fill through Python, in so many threads')
    args = p.parse_args()
    weights()
    if args.threads:
        warnings.simplefilter('ignore')
        done,finds = with_threads(args.seconds, args.start, args.threads)
        print(f'{done} executions in {args.threads} threads, {len(finds)} finds')
        sys.exit(bool(finds))
    start,number,finds,kinds = time.process_time(),args.start,[],dict.fromkeys(KINDS, 0)
    while time.process_time()-start<args.seconds:
        with tempfile.TemporaryDirectory() as d: problem = execute(number, Path(d))
        if problem: finds.append(number); print(problem, flush=True)
        kinds[which(number)[0]] += 1
        number += 1
    print(f'{number-args.start} executions ({", ".join(f"{n} {k.__name__}" for k,n in kinds.items())}) in {time.process_time()-start:.0f} s of processor time, peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1e6:.2f} GB, {len(finds)} finds{": " if finds else ""}{", ".join(map(str, finds))}')
    sys.exit(bool(finds))
