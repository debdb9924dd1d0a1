"""`python tests/benchmarks.py`: LBP against a loop over pixels, the attention's two passes.

`python tests/benchmarks.py fill [--out FILE.json] [--compile]`: what a fill costs, as ratios: the networks run in several
ways, the whole fill beside them, detail, the attention, the start, specks, a folder. Two minutes on one thread.

`python tests/benchmarks.py specks PICTURES`: how well specks are filled on tiles, beside windows of 256 pixels.

`python tests/benchmarks.py train [--device cuda] [--out FILE.json] [--seconds S] [--budget B]`: training steps, fills
and the loader, beside what the device allows. Free the machine first, or set OMP_NUM_THREADS=1.

`python tests/benchmarks.py recorded FOLDER --vgg FILE`: batches played and recorded. `compiled`: what torch.compile would gain.
`adam`: a step of the optimiser, fused and weight by weight.

`python tests/benchmarks.py systems [--device cuda] [--fraction 0.25] [--bs 1] [--steps 2]`: training steps a second of
the paper's system and of the four that it is compared with, side by side, with GFLOP and processor time."""
import os
os.environ.setdefault('KINETO_LOG_LEVEL', '99') # torch's profiler would write between the rows
import argparse, gc, json, platform, tempfile, time
from itertools import chain, product
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

# filling: everything as a ratio, taken in one process by processor time

def cpu_ms(ways, n=5):
    "The least milliseconds of processor time of each of `ways`, taken by turns after one round to warm up"
    for f in ways.values(): f()
    res = {k:[] for k in ways}
    for _ in range(n):
        for k,f in ways.items():
            start = time.process_time(); f(); res[k].append(1000*(time.process_time()-start))
    return {k:min(v) for k,v in res.items()}

def photograph(size=256): return np.ascontiguousarray(data.astronaut()[:size,:size])

def case(kind):
    "A photograph of 256 pixels and a hole, as arrays and as tensors"
    from lbp_inpaint.core import from_uint8
    from lbp_inpaint.masks import center_mask, irregular_mask
    levels = photograph()
    mask = center_mask() if kind=='centre' else irregular_mask(256, (.2,.3), torch.Generator().manual_seed(0))
    return levels,mask[0].numpy()>0,from_uint8(torch.from_numpy(levels).permute(2,0,1)[None]),mask[None]

def folded(net):
    "A copy of the network whose doubling convolutions keep their kernels, instead of making them in each pass"
    from copy import deepcopy
    from torch import nn
    net = deepcopy(net)
    for parent in list(net.modules()):
        for name,o in list(parent.named_children()):
            if type(o).__name__!='ResizeConv': continue
            plain = nn.ConvTranspose2d(*o.weight.shape[:2], 4, 2, 1)
            plain.weight.data,plain.bias.data = (o.weight.flatten(2)@o.even).view_as(o.weight),o.bias
            setattr(parent, name, plain)
    return net

def as_onnx(net):
    "(picture, mask) -> answers of ONNX Runtime, on as many threads as torch has; None where it is not installed"
    try: import onnx, onnxruntime, onnxscript
    except ImportError: return None
    from lbp_inpaint.filling.export import record_graph, to_onnx
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(to_onnx(record_graph(net), 256), options, providers=['CPUExecutionProvider'])
    return lambda x,m: [torch.from_numpy(o) for o in session.run(None, dict(image=x.numpy(), mask=m.numpy()))]

def network_ways(inp, compiled):
    "Ways to run the networks: (picture, mask) -> (map, fill)"
    from copy import deepcopy
    net = inp.net
    last,kept = deepcopy(net).to(memory_format=torch.channels_last),folded(net)
    def bf16(x, m):
        with torch.autocast('cpu', torch.bfloat16): return net(x, m)
    ways = {'as they are':net, 'channels last':lambda x,m: last(x.to(memory_format=torch.channels_last), m), 'kernels kept':kept, 'bfloat16':bf16}
    if run := as_onnx(net): ways['ONNX Runtime'] = run
    if compiled: ways['torch.compile'] = torch.compile(net)
    return ways

def networks(inp, compiled):
    "Rows: each way to run the networks on one picture, and how far its fill is from theirs"
    _,_,x,m = case('strokes')
    net,ways = inp.net,network_ways(inp, compiled)
    with torch.no_grad():
        fills = {k:f(x, m)[1] for k,f in ways.items()}
        times = cpu_ms({k:lambda f=f: f(x, m) for k,f in ways.items()})
        batches = {n:lambda n=n: net(x.expand(n,-1,-1,-1), m.expand(n,-1,-1,-1)) for n in (4,16)}
        several = cpu_ms(batches, 2)
        apart = {n:(f()[1]-fills['as they are']).abs().max() for n,f in batches.items()}
    first = times['as they are']
    for k,v in times.items():
        off = (fills[k]-fills['as they are']).abs()
        yield dict(what=f'networks, {k}', ms=v, ratio=v/first, note=f'differs by {off.max():.1g} at most, {off.mean():.1g} on average')
    for n,v in several.items(): yield dict(what=f'networks, {n} pictures at once', ms=v/n, ratio=v/n/first, note=f'each; differs by {apart[n]:.1g} at most')

def rates(inp):
    "Rows: passes a second of the shipped width and of width 16, by the clock"
    from lbp_inpaint.nets.build import build_net
    _,_,x,m = case('strokes')
    for nf in (inp.net.config['nf'],16):
        net = build_net(**{**inp.net.config, 'nf':nf}).eval()
        with torch.no_grad(): took,cpu = seconds(lambda: net(x, m), 5),cpu_ms(dict(net=lambda: net(x, m)))['net']
        note = f'{torch.get_num_threads()} threads, by the clock'
        yield dict(what=f'passes a second, width {nf}', ms=cpu, rate=1/took, wanted='50', note=note)

def whole(inp):
    "Rows: a whole fill beside its networks, plain and with detail"
    sharp = Inpainter(inp.net, inp.device, detail=True)
    for kind,wanted in (('centre','2'),('strokes','3')):
        levels,hole,x,m = case(kind)
        with torch.no_grad(): t = cpu_ms(dict(net=lambda: inp.net(x, m), fill=lambda: inp(levels, hole), detail=lambda: sharp(levels, hole)))
        yield dict(what=f'whole fill, {kind}', ms=t['fill'], ratio=t['fill']/t['net'], wanted=wanted, note='of its networks')
        yield dict(what=f'with detail, {kind}', ms=t['detail'], ratio=t['detail']/t['fill'], note='of the plain fill')

def most_memory(f):
    "Bytes that `f` allocates beyond what there was, at the most"
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen: f()
    now = most = 0
    for e in sorted((o for o in seen.profiler.kineto_results.events() if o.name()=='[memory]'), key=lambda o: o.start_ns()):
        now += e.nbytes(); most = max(most, now)
    return most

def attention_rows():
    "Rows: both passes at 32x32 cells, and the memory of one at 128x128 beside its output"
    feat,mask = torch.randn(1,512,32,32, requires_grad=True),torch.zeros(1,1,32,32)
    mask[...,8:24,8:24] = 1
    t = cpu_ms(dict(both=lambda: spatial_attention(feat, mask).sum().backward()))
    yield dict(what='attention, 32x32x512, both passes', ms=t['both'], wanted='25 ms')
    feat,mask = torch.randn(1,64,128,128),torch.zeros(1,1,128,128)
    mask[...,32:96,32:96] = 1
    with torch.no_grad(): most = most_memory(lambda: spatial_attention(feat, mask))-feat.nbytes
    yield dict(what='attention, 128x128x64', rate=most/2**20, wanted='80', note='MiB beside its output')

def starts():
    "Rows: processes, beside one that imports torch alone"
    import resource, subprocess, sys
    def cpu(*args):
        def used(): r = resource.getrusage(resource.RUSAGE_CHILDREN); return r.ru_utime+r.ru_stime
        res = []
        for _ in range(2):
            start = used(); subprocess.run([sys.executable, *args], check=True, capture_output=True, cwd=tmp); res.append(used()-start)
        return 1000*min(res)
    with tempfile.TemporaryDirectory() as tmp:
        levels,hole,*_ = case('centre')
        Image.fromarray(levels).save(f'{tmp}/p.png'); Image.fromarray(hole).save(f'{tmp}/m.png')
        torch_alone = cpu('-c', 'import torch')
        fill = 'fill p.png m.png -o out.png --overwrite --device cpu'.split()
        for what,wanted,args in (('--help','.2',['--help']),('first fill','2.2',fill)):
            t = cpu('-m', 'lbp_inpaint', *args)
            yield dict(what=f'start, {what}', ms=t, ratio=t/torch_alone, wanted=wanted, note='of `import torch`')

def dust(shape, n, largest=5., seed=0):
    "Discs of a radius of 1 to `largest` pixels, bool `(H,W)`"
    rng,hole = np.random.default_rng(seed),np.zeros(shape, bool)
    y,x = np.mgrid[-8:9,-8:9]
    for top,left,r in zip(rng.integers(8, shape[0]-8, n), rng.integers(8, shape[1]-8, n), rng.uniform(1, largest, n)):
        hole[top-8:top+9,left-8:left+9] |= (x*x+y*y<=r*r)[:shape[0]-top+8,:shape[1]-left+8]
    return hole

def filled_ways(inp, levels, hole):
    "Ways to fill specks: on tiles, as it is done, and each in a window of 256 pixels"
    from lbp_inpaint.filling import painting
    def alone():
        kept,painting.with_tiles = painting.with_tiles,lambda hole, windows, groups, size: (windows,groups)
        try: return inp.paint(levels, hole)
        finally: painting.with_tiles = kept
    return dict(tiles=lambda: inp.paint(levels, hole), windows=alone)

def dusty(inp):
    "Rows: 2,000 specks on 24 megapixels, measured on an eighth of that"
    hole = dust((2000,1500), 250)
    t = cpu_ms(filled_ways(inp, np.tile(data.astronaut(), (4,3,1))[:2000,:1500], hole), 1)
    yield dict(what='250 specks on 3 megapixels', ms=t['tiles'], ratio=t['tiles']/t['windows'], wanted='.2', note='of windows of 256 pixels')

def specks(folder, n=20, holes=8):
    "PSNR of specks on photographs of a folder, five on each, filled on tiles and in windows of 256 pixels"
    from skimage.util import montage
    from lbp_inpaint.image_files import read_image
    inp,files = Inpainter.from_pretrained(device='cpu'),sorted(Path(folder).glob('*.jpg'))
    levels = montage([np.array(read_image(o))[:256,:256] for o in files[::max(1, len(files)//n)][:n]],
        grid_shape=(-(-n//5),5), channel_axis=3)
    scores,took = {},{}
    for seed in range(holes):
        hole = dust(levels.shape[:2], 5*n, seed=seed)
        for name,f in filled_ways(inp, levels, hole).items():
            start,out = time.process_time(),levels.astype(float)
            out[hole] = (255*f()[0]).round()
            took[name] = took.get(name, 0)+time.process_time()-start
            apart,corners = np.square(out-levels).mean(2),product(range(0, len(hole), 256), range(0, hole.shape[1], 256))
            squares = [np.s_[y:y+256,x:x+256] for y,x in corners]
            scores.setdefault(name, []).extend(10*np.log10(255**2/apart[o][hole[o]].mean()) for o in squares if hole[o].any())
    for k,v in scores.items(): print(f'{k}: PSNR of the specks {np.mean(v):.2f}, {took[k]:.1f} s of processor time')

def folders_row(n=16):
    "Rows: a folder of pictures of 256 pixels in a warm process, side by side"
    from lbp_inpaint.filling.folders import fill
    with tempfile.TemporaryDirectory() as tmp:
        for d in ('in','masks'): (Path(tmp)/d).mkdir()
        for i,o in enumerate(pictures(Path(tmp)/'in', n)):
            Image.fromarray(case(('centre','strokes')[i%2])[1]).save(Path(tmp)/'masks'/f'{o.stem}.png')
        cpu,clock = time.process_time(),time.perf_counter()
        fill(f'{tmp}/in', f'{tmp}/masks', f'{tmp}/out', device='cpu')
        cpu,clock = time.process_time()-cpu,time.perf_counter()-clock
    yield dict(what='a folder, a picture', ms=1000*cpu/n, rate=n/clock, wanted='20', note='pictures a second by the clock')

def fills(out=None, compile=False):
    "Print the table of filling, and write it to `out`"
    inp,began = Inpainter.from_pretrained(device='cpu'),time.process_time()
    about = dict(device=device_name('cpu'), torch=torch.__version__, threads=torch.get_num_threads(), width=inp.net.config['nf'], rows=[])
    flags = (Path('/proc/cpuinfo').read_text() if Path('/proc/cpuinfo').exists() else '').split()
    about['bf16'] = 'in hardware' if 'avx512_bf16' in flags or 'amx_bf16' in flags else 'imitated, as far as /proc/cpuinfo tells'
    print('{device}, torch {torch}, threads: {threads}; shipped weights of width {width}; bfloat16 {bf16}; ms of processor time'.format(**about))
    print(f'{"what":36} {"ms":>8} {"ratio":>6} {"number":>7} wanted')
    for row in chain(networks(inp, compile), rates(inp), whole(inp), attention_rows(), starts(), dusty(inp), folders_row()):
        about['rows'].append(row)
        number = [format(row[k], f) if k in row else '-' for k,f in dict(ms='.1f', ratio='.2f', rate='.1f').items()]
        print(f'{row["what"]:36} {number[0]:>8} {number[1]:>6} {number[2]:>7} {row.get("wanted",""):6} {row.get("note","")}', flush=True)
    about['took'] = time.process_time()-began
    print(f'{about["took"]:.0f} s of processor time')
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

# the systems of Tables I and II, trained alike

def timed_steps(game, batch, steps, device):
    "((wall, processor) seconds a step, GFLOP of a picture's training), the phases weighed by the pictures that each sees"
    from lbp_inpaint.evidence.compare import PHASE_SHARES, gflop_of, play_once
    wall = cpu = gflop = 0.
    one = [o[:1] for o in batch]
    for phase,share in zip(game.phases, PHASE_SHARES[game.phases]):
        gflop += share*gflop_of(lambda: play_once(game, phase, one)) # warms up, too
        sync(device)
        start,began = time.perf_counter(),time.process_time()
        for _ in range(steps): play_once(game, phase, batch)
        sync(device)
        wall,cpu = wall+share*(time.perf_counter()-start)/steps,cpu+share*(time.process_time()-began)/steps
    return (wall,cpu),gflop

def systems(device, fraction=1/4, bs=1, steps=2):
    "A row for each system, by its own losses without VGG and by one plain loss, as `compare` trains them"
    from lbp_inpaint.evidence.compare import PlainObjectives, width_of
    from lbp_inpaint.nets.build import SYSTEMS, build_net
    from lbp_inpaint.settings import LearnerSettings
    from lbp_inpaint.training.phases import objectives_for
    data = SimpleNamespace(train_ds=SimpleNamespace(size=256), device=torch.device(device))
    print(f'{device_name(device)}, torch {torch.__version__}, CPU threads: {torch.get_num_threads()}; '
        f'{fraction:g} of the official widths, batches of {bs}, forward and backward of all turns')
    print(f'{"system":8}{"losses":8}{"width":>6}{"steps/s":>10}{"CPU s a step":>14}{"step GFLOP":>12}{"GFLOP/s":>9}')
    for system in SYSTEMS:
        blind = dict(lambda_p=0., lambda_s=0.) if LearnerSettings(system=system).needs_vgg else {}
        for losses in ('own','plain'):
            nf = width_of(system, fraction)
            net = build_net(system, nf=nf).to(device).train()
            game = PlainObjectives(net) if losses=='plain' else objectives_for(net, LearnerSettings(system=system, **blind), data)
            for o in game.networks.values(): o.to(device)
            (wall,cpu),gflop = timed_steps(game, random_batch(bs, device), steps, device)
            print(f'{system:8}{losses:8}{nf:6}{1/wall:10.2f}{cpu:14.3f}{gflop*bs:12.2f}{gflop*bs/wall:9.1f}', flush=True)

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

# an optimiser's step

def adam(nf=64):
    "A step of Adam on the networks of the second phase, fused and weight by weight, in processor time"
    from lbp_inpaint.nets.discriminator import PatchDiscriminator
    from lbp_inpaint.nets.generator import InpaintNet
    weights = [p for o in (InpaintNet(nf),PatchDiscriminator(3, nf)) for p in o.parameters()]
    for p in weights: p.grad = torch.rand_like(p)
    adams = {'fused':dict(fused=True), 'weight by weight':dict(foreach=False)}
    took = cpu_ms({k:torch.optim.Adam(weights, lr=2e-4, betas=(.5,.999), **v).step for k,v in adams.items()})
    print(f'{sum(p.numel() for p in weights):,} weights, {torch.get_num_threads()} threads: '+', '.join(f'{k} {v:.0f} ms' for k,v in took.items()))

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
    p = sub.add_parser('systems')
    p.add_argument('--device', default=find_device()); p.add_argument('--fraction', type=float, default=1/4)
    for k,v in dict(bs=1, steps=2).items(): p.add_argument(f'--{k}', type=int, default=v)
    p = sub.add_parser('fill')
    p.add_argument('--out'); p.add_argument('--compile', action='store_true', help='torch.compile, too; it needs a C++ compiler and minutes')
    p = sub.add_parser('specks')
    p.add_argument('folder'); p.add_argument('--n', type=int, default=20)
    p = sub.add_parser('adam')
    p.add_argument('--nf', type=int, default=64)
    p = sub.add_parser('compiled')
    p.add_argument('--device', default=find_device()); p.add_argument('--backend', default='inductor')
    for k,v in dict(nf=16, bs=4, steps=4).items(): p.add_argument(f'--{k}', type=int, default=v)
    args = vars(parser.parse_args())
    command = dict(train=train, recorded=recorded, compiled=compiled, adam=adam, systems=systems, fill=fills, specks=specks).get(args.pop('command'))
    if command: command(**args)
    else: lbp(); attention()
