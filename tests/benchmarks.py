"""`python tests/benchmarks.py`: LBP against a loop over pixels, the attention's two passes, one fill.

`python tests/benchmarks.py train [--device cuda] [--out FILE.json] [--seconds S] [--budget B]`: training steps, fills
and the loader, beside what the device allows. Free the machine first, or set OMP_NUM_THREADS=1.
`recorded FOLDER --vgg FILE`: batches played and recorded. `compiled`: what torch.compile would gain."""
import os
os.environ.setdefault('KINETO_LOG_LEVEL', '99') # torch's profiler would write between the rows
import argparse, gc, json, platform, tempfile, time
from itertools import product
from pathlib import Path
from types import SimpleNamespace
import numpy as np, torch
from PIL import Image
from skimage import data
from torch.autograd.graph import saved_tensors_hooks
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode
from lbp_inpaint.nets.attention import cell_mask, spatial_attention
from lbp_inpaint.core import PRECISIONS, find_device, to_grey
from lbp_inpaint.errors import InpaintError
from lbp_inpaint.filling.inpainter import Inpainter
from lbp_inpaint.lbp import lbp_codes

def seconds(f, n=10):
    "The best of `n` calls, after one to warm up"
    f()
    res = []
    for _ in range(n):
        start = time.perf_counter(); f()
        if torch.cuda.is_available(): torch.cuda.synchronize()
        res.append(time.perf_counter()-start)
    return min(res)

def lbp(size=256, bs=32):
    from test_lbp import codes_by_loop
    grey = torch.randint(0, 256, (bs,1,size,size), dtype=torch.uint8)
    rows = grey[0,0].tolist()
    fast,slow = seconds(lambda: lbp_codes(grey))/bs,seconds(lambda: codes_by_loop(rows, 'gt', 'zero'), 3)
    print(f'LBP, {bs} pictures of {size}x{size}, cpu: {1000*fast:.2f} ms a picture, the loop {1000*slow:.0f} ms: '
        f'{slow/fast:.0f} times faster (wanted: 500)')

def attention(size=32, channels=512):
    device = find_device()
    feat = torch.randn(1,channels,size,size, device=device, requires_grad=True)
    mask = torch.zeros(1,1,size,size, device=device)
    mask[...,8:24,8:24] = 1
    took = seconds(lambda: spatial_attention(feat, mask).sum().backward())
    print(f'Attention, {size}x{size} cells of {channels} channels, forward and backward, {device}: {1000*took:.1f} ms')

def fill():
    inp,hole = Inpainter.from_pretrained(),np.zeros((256,256), bool)
    hole[68:188,68:188] = True
    took = seconds(lambda: inp(data.astronaut()[:256,:256], hole))
    print(f'Fill, 256x256 with shipped weights, {inp.device}: {1000*took:.1f} ms')

# what the device allows

def is_cuda(device): return torch.device(device).type=='cuda'

def sync(device):
    if is_cuda(device): torch.cuda.synchronize()

def device_name(device):
    if is_cuda(device): return torch.cuda.get_device_name(device)
    lines = Path('/proc/cpuinfo')
    try: return next(o.partition(': ')[2] for o in lines.read_text().splitlines() if o.startswith('model name'))
    except (OSError, StopIteration): return platform.processor() or 'CPU'

def limits(device):
    "Operations a second of a matrix product (bfloat16 on a GPU, or float32), bytes of a copy, both ways"
    n,dtype,cells = (8192,torch.bfloat16,1<<28) if is_cuda(device) else (1024,torch.float32,1<<24)
    a,x = torch.randn(n, n, device=device, dtype=dtype),torch.ones(cells, device=device)
    y = torch.empty_like(x)
    return 2*n**3/seconds(lambda: a@a),2*x.nbytes/seconds(lambda: y.copy_(x))

# one batch, again and again

class Saved(saved_tensors_hooks):
    "Bytes that the forward passes keep for the backward ones, each piece of memory once, parameters not"
    def __init__(self):
        self.pieces = {}
        super().__init__(self.note, lambda x: x)
    def note(self, x):
        at = x.data_ptr()
        if not isinstance(x, torch.nn.Parameter): self.pieces[at] = max(x.nbytes, self.pieces.get(at, 0))
        return x
    @property
    def bytes(self): return sum(self.pieces.values())

class Batches:
    "The same batch to count operations, to warm up, for `seconds` to take the time, to profile; `row` is what came out"
    def __init__(self, batch, device, seconds):
        self.batch,self.device,self.seconds,self.row,self.steps = batch,device,seconds,{},None
        self.dataset = SimpleNamespace(size=batch[0].shape[-1]) # a learner asks for it
    def __len__(self): return 10**6 # callbacks ask; nobody knows
    def to(self, device): return self
    def __iter__(self):
        self.steps = self.all_steps() # kept, since only `close` leaves its contexts where a step fails
        return self.steps
    def close(self):
        if self.steps: self.steps.close()

    def all_steps(self):
        cuda,saved = is_cuda(self.device),Saved()
        with FlopCounterMode(display=False) as ops, saved: yield self.batch
        for _ in range(2 if cuda else 0): yield self.batch
        if cuda: torch.cuda.reset_peak_memory_stats()
        sync(self.device)
        n,start = 0,time.perf_counter()
        while not n or time.perf_counter()-start<self.seconds: yield self.batch; n += 1
        sync(self.device)
        took = (time.perf_counter()-start)/n
        self.row.update(rate=len(self.batch[0])/took, ms=1000*took, steps=n, flops=ops.get_total_flops(),
            peak=torch.cuda.max_memory_allocated()/1e6 if cuda else None, saved=saved.bytes)
        kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
        with profile(activities=kinds, acc_events=True) as seen: yield self.batch; sync(self.device)
        self.row.update(counts(seen.events(), cuda))

def counts(events, cuda):
    "Kernels of a step (on a CPU operations), numbers made Python's, `nonzero`, waits of the host for the device"
    names,on_device = [e.name for e in events],torch.autograd.DeviceType.CUDA
    def is_kernel(e): return e.device_type==on_device and not e.is_user_annotation and not e.name.startswith('Mem')
    kernels = sum(map(is_kernel, events)) if cuda else sum(o.startswith('aten::') for o in names)
    scalars,nonzero,waits = map(names.count, ('aten::_local_scalar_dense','aten::nonzero','cudaStreamSynchronize'))
    return dict(kernels=kernels, scalars=scalars, nonzero=nonzero, waits=waits if cuda else None)

def floors(row, limit, bytes):
    "Add the least ms that arithmetic and memory traffic take, and how much of the speed that they allow is reached, %"
    row.update(arithmetic=1000*row['flops']/limit[0], memory=1000*bytes/limit[1])
    row['reached'] = 100*max(row['arithmetic'], row['memory'])/row['ms']

def random_batch(bs, device, size=256):
    "(picture with a white hole, mask, truth), the hole a square in the centre"
    truth,mask = torch.rand(bs,3,size,size, device=device)*2-1,torch.zeros(bs,1,size,size, device=device)
    mask[...,68:188,68:188] = 1
    return torch.where(mask.bool(), 1., truth),mask,truth

class Row:
    "A job of the table: `run` makes its rows, each a dict"
    def __init__(self, f, device, seconds, limit, **what): self.f,self.args,self.what = f,(device,seconds,limit),what
    def name(self): return ' '.join(f'{k}={v}' if k!='what' else v for k,v in self.what.items())
    def run(self):
        try: yield from self.f(*self.args, **self.what)
        except torch.OutOfMemoryError as e: problem = str(e).splitlines()[0]
        except InpaintError as e: # what a Learner makes of it; anything else is a fault of this script
            if 'not enough memory' not in str(e): raise
            problem = str(e)
        else: return
        yield dict(**self.what, skipped=problem)

def training(device, seconds, limit, what, nf, bs, precision):
    """A step of each phase, through the Learner that trains; the paper's settings but for the losses that need a VGG.

    The memory floor counts ten times the parameters in float32 (read in both passes, the gradient written and read, six
    times in Adam), and writing and reading what is saved for the backward pass; it leaves out everything else. The
    arithmetic floor is the time of as many operations in a matrix product (bfloat16 on a GPU, always)."""
    from lbp_inpaint.training.data import InpaintDataLoaders
    from lbp_inpaint.training.phases import inpaint_learner
    from lbp_inpaint.training.recording import RecordedBatch
    from lbp_inpaint.training.steps import FiniteSteps, TurnPrecision
    batch = random_batch(bs, device)
    none = Batches(batch, device, 0); none.all_steps = lambda: iter(())
    dls = InpaintDataLoaders(none, none, device=torch.device(device))
    learn = inpaint_learner(dls, nf=nf, lambda_p=0, lambda_s=0, cbs=[TurnPrecision(precision), FiniteSteps(), RecordedBatch(2)]) # as `train` does
    for phase in (1,2):
        learn.enter_phase(phase)
        loader = learn.dls.loaders[0] = Batches(batch, device, seconds)
        try:
            with learn.no_bar(), learn.no_logging(): learn.fit(1)
        finally: loader.close()
        n = sum(p.numel() for turn in learn.turns for name in turn.players for p in learn.model[name].parameters())
        floors(loader.row, limit, 10*4*n + 2*loader.row['saved'])
        yield dict(what=f'phase {phase}', nf=nf, bs=bs, precision=precision, **loader.row)

def one_hot_attention(feat, mask, top_t=2):
    "`spatial_attention` as a product of matrices, each match a row of zeros with a 1 in it"
    unit,missing,cells = torch.nn.functional.normalize(feat.flatten(2), dim=1),mask.flatten(2).bool(),feat.flatten(2).transpose(1,2)
    found = [(unit.transpose(1,2)@unit).masked_fill(~group, -torch.inf).topk(top_t, -1) for group in (missing,~missing)]
    weight,index = torch.cat([o.values for o in found], -1).exp(),torch.cat([o.indices for o in found], -1)
    picked = torch.nn.functional.one_hot(index.flatten(1), cells.shape[1]).to(feat.dtype)@cells # (B,N*2T,C)
    new = (weight[...,None]*picked.unflatten(1, index.shape[1:])).sum(2)/weight.sum(-1, keepdim=True)
    return torch.where(missing.transpose(1,2), new, cells).transpose(1,2).reshape(feat.shape)

class OneHotAttention(torch.nn.Module):
    def forward(self, feat, mask): return one_hot_attention(feat, cell_mask(mask, feat.shape[2:]))

def lbp_by_loop(image):
    "The map of a picture, pixel by pixel"
    from test_lbp import codes_by_loop
    return torch.tensor([codes_by_loop(o[0].tolist(), 'gt', 'zero') for o in to_grey(image)])[:,None].float()/127.5-1

def plain_loop(device, seconds, limit, what, nf, bs, precision):
    """Phase 2 as the authors' published code computes it, in a loop written out: LBP codes pixel by pixel, the attention by
    one-hot matrices, the truth's pass with its gradient, the discriminator asked twice, an Adam for each side."""
    from lbp_inpaint.nets.discriminator import PatchDiscriminator
    from lbp_inpaint.nets.generator import InpaintNet
    net,d = InpaintNet(nf).to(device),PatchDiscriminator(3, nf).to(device)
    net.g2.unet.attention,f = OneHotAttention(),torch.nn.functional
    adams = [torch.optim.Adam(o.parameters(), lr=2e-4, betas=(.5,.999)) for o in (d,net)]
    loader = Batches(random_batch(bs, device), device, seconds)
    def step(loss, adam): adam.zero_grad(); loss.backward(); adam.step()
    try:
        for image,mask,truth in loader:
            true_lbp = lbp_by_loop(truth).to(device)
            hole = f.max_pool2d(mask, 3, 1, 1)
            lbp = net.g1(torch.where(hole.bool(), 1., true_lbp), hole)
            fill,feats = net.g2(image, lbp, mask, features=True)
            step(f.softplus(-d(truth)).mean()+f.softplus(d(fill.detach())).mean(), adams[0])
            aims = net.g2(truth, true_lbp, mask, features=True)[1]
            levels = sum(f.mse_loss(*o) for o in zip(feats, aims))
            step(.01*levels+10*f.mse_loss(fill, truth)-.2*f.softplus(d(fill)).mean(), adams[1])
    finally: loader.close()
    yield dict(what=what, nf=nf, bs=bs, precision=precision, **loader.row)

def filling(device, seconds, limit, what, nf, bs, precision):
    "Both generators, without gradients; the memory floor is reading the parameters once"
    from lbp_inpaint.nets.generator import InpaintNet
    net,dtype = InpaintNet(nf).to(device).eval(),PRECISIONS[precision]
    loader = Batches(random_batch(bs, device), device, seconds)
    try:
        with torch.no_grad(), torch.autocast(torch.device(device).type, dtype, enabled=dtype is not None):
            for image,mask,_ in loader: net(image, mask)
    finally: loader.close()
    floors(loader.row, limit, 4*sum(p.numel() for p in net.parameters()))
    yield dict(what=what, nf=nf, bs=bs, precision=precision, **loader.row)

def pictures(folder, n=32, size=256):
    "Crops of photographs, PNG and JPEG in turn"
    gen = np.random.default_rng(0)
    for i in range(n):
        im = getattr(data, ('astronaut','chelsea','coffee')[i%3])()
        y,x = gen.integers(0, im.shape[0]-size),gen.integers(0, im.shape[1]-size)
        Image.fromarray(im[y:y+size,x:x+size]).save(folder/f'{i:03d}.{("png","jpg")[i%2]}')
    return sorted(folder.iterdir())

def loading(device, seconds, limit, what, bs):
    "One process, pictures from files or kept on the device, samples and batches; `ms` is processor time each"
    from lbp_inpaint.training.data import InpaintDataset, InpaintDL
    def timed(name, draw, n_items):
        draw()
        sync(device)
        n,start,cpu = 0,time.perf_counter(),time.process_time()
        while not n or time.perf_counter()-start<seconds: draw(); n += n_items
        sync(device)
        took,cpu = time.perf_counter()-start,time.process_time()-cpu
        return dict(what=name, bs=bs if 'batches' in name else 1, rate=n/took, ms=1000*cpu/n, steps=n)
    with tempfile.TemporaryDirectory() as tmp:
        files = pictures(Path(tmp))
        read,kept = (InpaintDataset(files, augment=True) for _ in range(2))
        kept.keep(device)
        for name,ds in (('files',read),('kept',kept)):
            numbers = iter(range(10**9))
            dl = InpaintDL(ds, bs=bs, shuffle=True, num_workers=0, device=torch.device(device))
            yield timed(f'loader, {name}', lambda: ds[next(numbers)%len(ds)], 1)
            yield timed(f'loader, {name}, batches', lambda: [None for _ in dl], len(ds))

def top_two(device, seconds_, limit, what, bs, n=1024):
    "The two most similar cells of each: `topk` against two passes of `max`"
    sim = torch.rand(bs, n, n, device=device).to(torch.bfloat16)
    def twice():
        first,i = sim.max(-1)
        second,j = sim.scatter(-1, i[...,None], -torch.inf).max(-1)
        return torch.stack([first,second], -1),torch.stack([i,j], -1)
    assert torch.equal(sim.topk(2, -1)[0], twice()[0])
    for name,f in (('topk(2)',lambda: sim.topk(2, -1)),('max twice',twice)):
        yield dict(what=f'top 2 by {name}', bs=bs, precision='bf16', ms=1000*seconds(f))

# the table

COLUMNS = dict(what='28', nf='4', bs='4', precision='6', rate='10.2f', ms='10.2f', peak='9.0f', kernels='8',
    scalars='8', nonzero='8', waits='6', arithmetic='10.2f', memory='8.2f', reached='9.1f')
TITLES = dict(precision='type', rate='pict./s', ms='ms a step', peak='peak MB', arithmetic='arithm. ms',
    memory='mem. ms', reached='reached %')

def line(row):
    "A row as text"
    def cell(k, form):
        value,side = row.get(k),'<' if k in ('what','precision') else '>'
        if value is None: value = '-'
        return format(value, side+(form.partition('.')[0] if isinstance(value, str) else form))
    cells = [cell(*o) for o in COLUMNS.items()]
    return ' '.join(cells[:4])+' '+row['skipped'] if 'skipped' in row else ' '.join(cells)

def jobs(device, seconds, limit):
    "What to measure, the most important first"
    def row(f, what, s=seconds, **kwargs): return Row(f, device, s, limit, what=what, **kwargs)
    if not is_cuda(device):
        return [*(row(training, 'step', nf=nf, bs=bs, precision='fp32') for nf,bs in ((16,1),(64,1),(16,16))),
            row(plain_loop, 'phase 2, a plain loop', nf=64, bs=1, precision='fp32'),
            *(row(filling, 'fill', nf=nf, bs=1, precision='fp32') for nf in (16,64)),
            row(loading, 'loader', bs=16), row(top_two, 'top 2', bs=1)]
    first = [(64,16,'bf16'),(64,1,'bf16'),(24,64,'bf16'),(16,64,'bf16')]
    rest = [o for o in product((64,24,16), (1,16,64), ('bf16','fp32')) if o not in first]
    rest.sort(key=lambda o: o[2])
    def steps(some): return [row(training, 'step', nf=nf, bs=bs, precision=precision) for nf,bs,precision in some]
    fills = [row(filling, 'fill', seconds/2, nf=nf, bs=bs, precision='bf16') for nf in (64,16,24) for bs in (64,1)]
    return [*steps(first), row(top_two, 'top 2', bs=64), *fills,
        row(loading, 'loader', seconds/2, bs=16), *steps(rest)]

def train(device, out=None, seconds=2., budget=120.):
    "Print the table of training and filling, and write it to `out`"
    began,limit = time.perf_counter(),limits(device)
    about = dict(device=device_name(device), torch=torch.__version__, threads=torch.get_num_threads(), seconds=seconds,
        matmul_tflops=limit[0]/1e12, copy_gbs=limit[1]/1e9, rows=[], left_out=[])
    print('{device}, torch {torch}, CPU threads: {threads}; {matmul_tflops:.3g} TFLOP/s in a matrix product, '
        '{copy_gbs:.3g} GB/s in a copy'.format(**about))
    print(line({k:TITLES.get(k, k) for k in COLUMNS}))
    for job in jobs(device, seconds, limit):
        if time.perf_counter()-began>budget: about['left_out'].append(job.name()); continue
        for row in job.run(): about['rows'].append(row); print(line(row), flush=True)
        gc.collect()
        if is_cuda(device): torch.cuda.empty_cache()
    about['took'] = time.perf_counter()-began
    if about['left_out']: print(f'Left out after {budget:g} s: {"; ".join(about["left_out"])}')
    print(f'{about["took"]:.0f} s')
    if out: Path(out).write_text(json.dumps(about, indent=1)+'\n')

# batches played and recorded, on photographs, as the recipe `sharp` trains

KINDS = dict(layout=('nchwToNhwc','nhwcToNchw'), convolution=('fprop','dgrad','wgrad','conv','Conv'), matrix=('gemm',), norm=('batch_norm',), copy=('copy','memcpy'))

def kinds(events):
    "Kind of kernel -> (ms, number)"
    res = {}
    for e in events:
        kind = next((k for k,parts in KINDS.items() if any(o in e.key for o in parts)), 'element by element')
        ms,n = res.get(kind, (0,0))
        res[kind] = ms+e.device_time_total/1000,n+e.count
    return res

def recorded(folder, vgg, device, nf=24, bs=32, judge_nf=64, steps=45):
    "A step by eye and one by error, played and recorded: ms and pictures a second; on a GPU what a recorded one consists of"
    from lbp_inpaint.training.data import InpaintDataLoaders
    from lbp_inpaint.training.duration import StepTimer
    from lbp_inpaint.training.phases import inpaint_learner
    from lbp_inpaint.evidence.recipes import RECIPES
    from lbp_inpaint.training.recording import RecordedBatch
    from lbp_inpaint.training.steps import EMA, FiniteSteps, TurnPrecision
    for name,stage in zip(('by error','by eye'), RECIPES['sharp'].stages):
        losses = {k:v for k,v in stage.items() if k in ('hinge','spectral_judges','psnr_loss','vgg_size') or k.startswith('lambda_')}
        for cbs in ([],[RecordedBatch()]):
            dls = InpaintDataLoaders.from_folder(folder, bs, device=device, passes=100)
            dls.keep()
            learn = inpaint_learner(dls, nf=nf, smooth_hole=True, resize_conv=True, judge_nf=judge_nf, vgg=vgg, lr=4e-4,
                cbs=[TurnPrecision('bf16' if is_cuda(device) else 'fp32'), FiniteSteps(), EMA(.999), *cbs], **losses)
            learn.phase(True)
            timer = StepTimer(1e9, steps)
            with learn.no_bar(), learn.no_logging(): learn.fit(1, cbs=timer)
            print(f'{name}, {"recorded" if cbs else "played"}, nf {nf}, batches of {bs}: {1000*timer.seconds:.1f} ms, {bs/timer.seconds:.0f} pictures/s', flush=True)
        if not is_cuda(device): continue
        with profile(activities=[ProfilerActivity.CUDA]) as seen: learn.recorded_batch.graph.replay(); sync(device)
        for kind,(ms,n) in sorted(kinds(seen.key_averages()).items(), key=lambda o: -o[1][0]): print(f'  {kind}: {ms:.2f} ms, {n} kernels')

# what torch.compile would gain

def compiled(device, nf=16, bs=4, backend='inductor', steps=4):
    "Steps of both phases with the networks as they are and compiled, in processor time (on a GPU by the clock), and graph breaks"
    import torch._dynamo.utils as dynamo
    from lbp_inpaint.training.data import InpaintDataLoaders
    from lbp_inpaint.training.phases import inpaint_learner
    from lbp_inpaint.training.steps import FiniteSteps
    clock = time.perf_counter if is_cuda(device) else time.process_time
    def learner():
        none = Batches(random_batch(bs, device), device, 0); none.all_steps = lambda: iter(())
        torch.manual_seed(0)
        return inpaint_learner(InpaintDataLoaders(none, none, device=torch.device(device)), nf=nf, lambda_p=0, lambda_s=0, cbs=FiniteSteps())
    def took(learn, n):
        res,batch = [],random_batch(bs, device)
        def batches():
            for _ in range(n):
                sync(device); start = clock()
                yield batch
                sync(device); res.append(clock()-start)
        learn.dls.loaders[0] = type('Loader', (), dict(__iter__=lambda o: batches(), __len__=lambda o: n, to=lambda o, d: o))()
        with learn.no_bar(), learn.no_logging(): learn.fit(1)
        return res
    plain,fast = learner(),learner()
    for o in fast.model.children(): o.compile(backend=backend)
    for phase in (1,2):
        for o in (plain,fast): o.enter_phase(phase)
        before,first,*after = took(plain, steps),*took(fast, steps)
        after,again = min(after),took(plain, steps)
        print(f'phase {phase}, nf {nf}, batches of {bs}, {backend}: {1000*min(*before[1:], *again):.0f} ms, compiled {1000*after:.0f} ms after {first:.0f} s; '
            f'graph breaks: {dict(dynamo.counters["graph_break"]) or "none"}', flush=True)

if __name__=='__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = parser.add_subparsers(dest='command')
    p = sub.add_parser('train')
    p.add_argument('--device', default=find_device()); p.add_argument('--out')
    p.add_argument('--seconds', type=float, default=2., help='time to measure a row')
    p.add_argument('--budget', type=float, default=120., help='time after which no row is begun')
    p = sub.add_parser('recorded')
    p.add_argument('folder'); p.add_argument('--vgg', required=True); p.add_argument('--device', default=find_device())
    for k,v in dict(nf=24, bs=32, judge_nf=64, steps=45).items(): p.add_argument(f'--{k.replace("_", "-")}', type=int, default=v)
    p = sub.add_parser('compiled')
    p.add_argument('--device', default=find_device()); p.add_argument('--backend', default='inductor')
    for k,v in dict(nf=16, bs=4, steps=4).items(): p.add_argument(f'--{k}', type=int, default=v)
    args = vars(parser.parse_args())
    command = dict(train=train, recorded=recorded, compiled=compiled).get(args.pop('command'))
    if command: command(**args)
    else: lbp(); attention(); fill()
