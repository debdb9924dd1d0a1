"""What only a GPU can show: `python tests/gpu.py FOLDER_OF_PICTURES [--device cuda] [--out FILE.json] [--small]`.

Prints a line for each check, `name  ok|FAILED|skipped  detail  seconds`; the exit code is 1 when any failed.
`--device cpu` is a rehearsal, `--only NAME ...` takes some of the checks."""
import argparse, csv, gc, io, json, math, mimetypes, os, shutil, subprocess, sys, tempfile, time, traceback, warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
mimetypes.add_type('image/webp', '.webp') # fastai asks at its import which files are pictures
os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8') # for `deterministic`
import numpy as np, torch
from safetensors.torch import load_file
from lbp_inpaint.nets.attention import spatial_attention
from lbp_inpaint.core import to_grey
from lbp_inpaint.errors import InpaintError, WeightsError
from lbp_inpaint.image_files import read_image
from lbp_inpaint.training.data import InpaintDataLoaders
from lbp_inpaint.filling.inpainter import Inpainter
from lbp_inpaint.lbp import lbp_codes, lbp_map, masked_lbp
from lbp_inpaint.training.command import train
from lbp_inpaint.masks import center_mask, irregular_mask

ROOT = Path(__file__).parent.parent
SETTINGS = dict(nf=8, bs=4, lambda_p=0, lambda_s=0, every=1000)

class Skipped(Exception): pass

def is_cuda(device): return torch.device(device).type=='cuda'

def quiet(f, *args, **kwargs):
    "Call `f` without what it prints"
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter('ignore')
        return f(*args, **kwargs)

def chosen(folder, to, n):
    "Copy `n` pictures, half of them to train on and half to validate on; the new folder"
    files = sorted(o for o in Path(folder).rglob('*') if (mimetypes.guess_type(o)[0] or '').startswith('image/'))[:n]
    if len(files)<4: raise SystemExit(f'{folder} holds {len(files)} pictures, at least 4 are needed.')
    for i,f in enumerate(files):
        path = to/('train','valid')[i%2]/f'{i:03d}{f.suffix}'
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(f, path)
    return to

def differ(got, want):
    "How far two tensors are apart, in words; nothing where they are the same bit for bit"
    got = got.cpu()
    a,b = (f'{o.dtype} {tuple(o.shape)}' for o in (got,want))
    if a!=b: return f'{a} instead of {b}'
    if torch.equal(got, want): return ''
    off = (got.double()-want.double()).abs()
    return f'{(off>0).float().mean():.2%} differ, by {off.max():.2g} at most'

def all_same(pairs):
    "(are all the same?, which are not) of name -> (tensor, tensor on the CPU)"
    bad = [f'{k}: {d}' for k,v in pairs.items() if (d := differ(*v))]
    more = [f'{len(bad)-3} more'] if len(bad)>3 else []
    return not bad, '; '.join(bad[:3]+more) or f'{len(pairs)} tensors are the same'

# the checks: each takes (folder of pictures, temporary folder, device, how small?) and returns (is it fine?, detail)

def lbp_bits(folder, tmp, device, small):
    "Grey levels, codes and maps of random pictures, with and without holes, in all variants"
    gen = torch.Generator().manual_seed(0)
    image = torch.rand(4,3,256,256, generator=gen)*2-1
    mask = torch.stack([center_mask(), *(irregular_mask(generator=gen) for _ in range(3))])
    grey = torch.cat([to_grey(image), (to_grey(image)>127).to(torch.uint8)]) # many equal neighbours, too
    x,m,g = image.to(device),mask.to(device),grey.to(device)
    pairs = dict(to_grey=(to_grey(x),to_grey(image)))
    for switches in (('gt','zero'),('ge','wrap')):
        pairs['lbp_codes',switches[0]] = lbp_codes(g, *switches),lbp_codes(grey, *switches)
        pairs['lbp_map',switches[0]] = lbp_map(x, *switches),lbp_map(image, *switches)
        masked = masked_lbp(x, m, 1., *switches),masked_lbp(image, mask, 1., *switches)
        for k,*pair in zip(('map','hole'), *masked): pairs['masked_lbp',k,switches[0]] = pair
    return all_same({k if isinstance(k, str) else ' '.join(k):v for k,v in pairs.items()})

def masks_bits(folder, tmp, device, small):
    "Batches of all pictures, read from files and kept on the device"
    def batches(device, keep):
        dls = InpaintDataLoaders.from_folder(folder, 4, device=device)
        if keep: dls.keep()
        return list(dls.train),list(dls.valid)
    want,pairs = batches('cpu', False),{}
    for keep in (False,True):
        for part,got,wanted in zip(('train','valid'), batches(device, keep), want):
            assert len(got)==len(wanted), f'{len(got)} batches instead of {len(wanted)}'
            for i,(a,b) in enumerate(zip(got, wanted)):
                what = f'of {"kept" if keep else "read"} {part} batch {i}'
                for name,*pair in zip(('input','mask','truth'), a, b): pairs[f'{name} {what}'] = pair
    wrong = [k for k,(a,_) in pairs.items() if a.device.type!=torch.device(device).type]
    fine,detail = all_same(pairs)
    return fine and not wrong, detail+(f'; not on {device}: {wrong[0]}' if wrong else '')

def attention_bits(folder, tmp, device, small, within=1e-4):
    "The attention in float32, forward and backward"
    gen = torch.Generator().manual_seed(0)
    feat,mask = torch.randn(4,64,32,32, generator=gen),torch.zeros(4,1,32,32)
    mask[0,:,8:24,8:24] = mask[1,:,4:10] = mask[2,:,5,5] = mask[3] = 1 # one missing cell, no known one
    def both(device):
        x = feat.to(device).requires_grad_()
        y = spatial_attention(x, mask.to(device))
        y.square().sum().backward()
        return y.detach().cpu(),x.grad.cpu()
    off = [(a-b).abs().max().item() for a,b in zip(both(device), both('cpu'))]
    return max(off)<=within, f'off by {off[0]:.1g}, the gradient by {off[1]:.1g}'

def read_log(run):
    with open(run/'log.csv', newline='') as f: return list(csv.DictReader(f))

def trained(folder, run, device, **changes):
    "Train without a word; the learner"
    return quiet(train, folder, run, device=device, **{**SETTINGS, **changes})

def precision(folder, tmp, device, name, may_skip):
    run = tmp/name
    trained(folder, run, device, n_lbp=1, n_joint=2, precision=name, keep=True)
    skipped = sum(json.loads((run/'run.json').read_text())['skipped_turns'].values())
    losses = [float(v) for row in read_log(run) for k,v in row.items() if v and k not in ('phase','epoch')]
    weights = load_file(run/'model.safetensors').values()
    finite = all(map(math.isfinite, losses)) and all(v.isfinite().all() for v in weights)
    told = f'{len(losses)} numbers in the log, they and the weights {"are" if finite else "are NOT"} finite'
    return finite and skipped<=may_skip, f'{skipped} turns skipped, {told}'

def precision_bf16(folder, tmp, device, small):
    "Three epochs in bfloat16"
    return precision(folder, tmp, device, 'bf16', 0)

def precision_fp16(folder, tmp, device, small):
    "Three epochs in float16; turns that only look for a loss scale are not counted"
    return precision(folder, tmp, device, 'fp16', 2)

@contextmanager
def deterministic():
    "Sums in a fixed order, where there is such a kernel: of mere rounding Adam makes steps of full length"
    before = torch.backends.cudnn.deterministic,torch.are_deterministic_algorithms_enabled()
    torch.backends.cudnn.deterministic = True
    torch.use_deterministic_algorithms(True, warn_only=True)
    try: yield
    finally:
        torch.backends.cudnn.deterministic = before[0]
        torch.use_deterministic_algorithms(before[1])

def resume(folder, tmp, device, small, within=1e-3):
    "Two epochs of the second phase at once, or one and then another"
    with deterministic():
        def go(run, n): trained(folder, tmp/run, device, n_lbp=1, n_joint=n, passes=6, spectral_judges=True, judge_nf=8) # which lie channels last
        for n in (1,2): go('parts', n)
        go('whole', 2) # long enough for a recorded batch on a GPU
    a,b = (load_file(tmp/o/'model.safetensors') for o in ('parts','whole'))
    off = {k:(a[k]-b[k]).abs().max().item() for k in b}
    worst,epochs = max(off, key=off.get),[(o['phase'],o['epoch']) for o in read_log(tmp/'parts')]
    fine = off[worst]<=within and epochs==[('1','0'),('2','0'),('2','1')]
    return fine, f'weights differ by {off[worst]:.1g} at most ({worst}), epochs {" ".join("/".join(o) for o in epochs)}'

GROUP = """import os, torch, torch.distributed as dist
cuda = {cuda}
if cuda: torch.cuda.set_device(int(os.environ['LOCAL_RANK']))
dist.init_process_group('nccl' if cuda else 'gloo')
x = torch.arange(4.).to('cuda' if cuda else 'cpu')
dist.all_reduce(x)
assert x.tolist()==[0,1,2,3], x
dist.destroy_process_group()
"""

def launched(args, seconds, env, cwd):
    "(exit code or 'hang', what it said) of one process under torchrun"
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=1', *map(str, args)]
    p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, cwd=cwd)
    try: said,_ = p.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        p.terminate() # the launcher then ends its worker, which a kill would leave
        try: return 'hang',p.communicate(timeout=20)[0]
        except subprocess.TimeoutExpired: p.kill(); return 'hang',p.communicate()[0]
    return p.returncode,said

def torchrun(folder, tmp, device, small, seconds=90):
    "One process under torchrun: an epoch of training, and a process group of its own"
    env = dict(os.environ, PYTHONPATH=os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')]))
    if not is_cuda(device): env['CUDA_VISIBLE_DEVICES'] = ''
    script = tmp/'group.py'
    script.write_text(GROUP.format(cuda=is_cuda(device)))
    given = {'n-lbp':1, 'n-joint':0, 'device':device, **{k.replace('_','-'):v for k,v in SETTINGS.items()}}
    settings = [o for k,v in given.items() for o in (f'--{k}',v)]
    command = ['-m', 'lbp_inpaint.cli', 'train', folder, '-o', tmp/'run', *settings]
    told = []
    for what,args in (('training',command),('process group',[script])):
        began = time.time()
        code,said = launched(args, seconds, env, tmp)
        if code: return False, f'{what}: exit code {code}, {" | ".join(said.strip().splitlines()[-12:])}'
        told.append(f'{what} {time.time()-began:.0f} s')
    return True, ', '.join(told)

def out_of_memory(folder, tmp, device, small):
    "A batch that does not fit: is it told in one sentence?"
    if not is_cuda(device): raise Skipped('only a GPU is filled')
    gc.collect(); torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_allocated()+1.5e8)/total) # room for the networks
    try: trained(folder, tmp/'run', device, n_lbp=1, n_joint=1, nf=16, bs=64, passes=16)
    except Exception as e:
        text = str(e).strip()
        return isinstance(e, InpaintError) and '\n' not in text and text.endswith('.'), f'{type(e).__name__}: {text}'
    finally:
        torch.cuda.set_per_process_memory_fraction(1.)
        gc.collect(); torch.cuda.empty_cache()
    return False, 'it fitted, so nothing was seen'

def fill_bits(folder, tmp, device, small):
    "Fills with the shipped weights: at most 2 levels apart in the hole, the same outside"
    try: here,there = (Inpainter.from_pretrained('small', o) for o in ('cpu',device))
    except WeightsError as e: raise Skipped(str(e)) from None
    inside = outside = 0
    for i,f in enumerate(sorted((folder/'valid').iterdir())[:1 if small else 4]):
        im = read_image(f)
        hole = np.zeros((im.height,im.width), bool)
        h,w = im.height//3,im.width//3
        hole[h:h+min(h,90)+i, w:w+min(w,90)] = True
        a,b = (np.asarray(quiet(o, im, hole)).astype(int) for o in (here,there))
        inside,outside = max(inside, abs(a-b)[hole].max()),max(outside, abs(b-np.asarray(im))[~hole].max())
    return inside<=2 and outside==0, f'off by {inside} levels in the hole, {outside} outside'

CHECKS = (lbp_bits, masks_bits, attention_bits, precision_bf16, precision_fp16, resume, torchrun, fill_bits,
    out_of_memory)

def check(f, folder, device, small):
    "Run a check; the row about it"
    began = time.time()
    with tempfile.TemporaryDirectory() as tmp:
        try: fine,detail = f(folder, Path(tmp), device, small)
        except Skipped as e: fine,detail = None,str(e)
        except (Exception,SystemExit) as e:
            at = traceback.extract_tb(e.__traceback__)[-1]
            fine,detail = False,f'{type(e).__name__}: {e} ({Path(at.filename).name}:{at.lineno})'
    detail = ' '.join(detail.split())
    status = 'skipped' if fine is None else 'ok' if fine else 'FAILED'
    return dict(name=f.__name__, status=status, detail=detail, seconds=round(time.time()-began, 1))

def main(folder, device, out, small, only):
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    rows,name = [],torch.cuda.get_device_name(device) if is_cuda(device) else str(device)
    print(f'{name}, torch {torch.__version__}')
    with tempfile.TemporaryDirectory() as tmp:
        pictures = chosen(folder, Path(tmp)/'pictures', 8 if small else 24)
        for f in CHECKS:
            if only and f.__name__ not in only: continue
            rows.append(check(f, pictures, device, small))
            print('{name:<16} {status:<8} {detail}  {seconds} s'.format(**rows[-1]), flush=True)
            about = dict(device=name, torch=torch.__version__, checks=rows)
            if out: Path(out).write_text(json.dumps(about, indent=1)+'\n')
    return any(o['status']=='FAILED' for o in rows)

if __name__=='__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder'); parser.add_argument('--device', default='cuda'); parser.add_argument('--out')
    parser.add_argument('--small', action='store_true', help='8 pictures instead of 24')
    parser.add_argument('--only', nargs='+', choices=[f.__name__ for f in CHECKS])
    sys.exit(main(**vars(parser.parse_args())))
