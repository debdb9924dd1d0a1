"""Training under attack: `python -m tests.reliability NAME [--n N] [--seed S] [--quick]`, or NAME = all.

Each trial of a check is a real training run in a process of its own, which is killed, stopped, starved of disk space or fed with bad data. A check prints one JSON line
with counts and the numbers of the trials that failed; the exit code is 1 when there are any. Trials depend on the seed and their number alone, apart from the moment at which a
signal arrives."""
import os
os.environ['OMP_NUM_THREADS'] = '1'; os.environ['CUDA_VISIBLE_DEVICES'] = ''
import argparse, json, random, shutil, signal, subprocess, sys, tempfile, threading, time, traceback, warnings
from pathlib import Path
import numpy as np, torch
from PIL import Image
from safetensors.torch import load_file
from skimage import data
from fastai.basics import Callback, L
from lbp_inpaint.cli import main
from lbp_inpaint.errors import InpaintError
from lbp_inpaint.training.data import InpaintDataLoaders
from lbp_inpaint.nets.generator import InpaintNet
from lbp_inpaint.nets.weights import load_net, save_net
from lbp_inpaint.training.phases import inpaint_learner
from lbp_inpaint.training.runs import Checkpoints, keep_previous, load_state, save_state
from lbp_inpaint.training.steps import FiniteSteps

torch.set_num_threads(1) # forked children may not share a pool of threads
ROOT = Path(__file__).parent.parent

# processes

def start(job, out):
    "Run `job` in a forked process of its own group; what it prints goes to the file `out`, its exit code is what it returns"
    sys.stdout.flush()
    pid = os.fork()
    if pid: return pid
    code = 99
    try:
        os.setsid()
        fd = os.open(out, os.O_WRONLY|os.O_CREAT|os.O_APPEND)
        for o in (1,2): os.dup2(fd, o)
        code = job()
    except SystemExit as e: code = e.code
    except BaseException: traceback.print_exc()
    finally:
        sys.stdout.flush(); sys.stderr.flush()
        os._exit(code)

def wait(pid, seconds=120):
    "Exit code, minus the signal where one ended it, or 'hang'"
    end = time.time()+seconds
    while time.time()<end:
        done,status = os.waitpid(pid, os.WNOHANG)
        if done: return os.waitstatus_to_exitcode(status)
        time.sleep(.005)
    os.killpg(pid, signal.SIGKILL); os.waitpid(pid, 0)
    return 'hang'

def orphans(group, seconds=15):
    "Processes of a group that are still there after a while"
    def members():
        res = []
        for o in Path('/proc').glob('[0-9]*/stat'):
            try: state,_,pgrp = o.read_text().rpartition(')')[2].split()[:3]
            except OSError: continue
            if int(pgrp)==group and state!='Z': res.append(o.parent.name)
        return res
    end = time.time()+seconds
    while members() and time.time()<end: time.sleep(.05)
    return members()

def traced(out): return 'Traceback' in Path(out).read_text(errors='replace')

# the run that is attacked

def pictures(folder, n=5, n_valid=1, side=64):
    "Crops of photographs"
    gen = np.random.default_rng(0)
    for i in range(n+n_valid):
        im = getattr(data, ('astronaut','chelsea','coffee')[i%3])()
        y,x = gen.integers(0, im.shape[0]-side),gen.integers(0, im.shape[1]-side)
        path = folder/('valid' if i>=n else 'train')/f'{i:04d}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(im[y:y+side,x:x+side]).save(path)
    return folder

SETTINGS = {'nf':1, 'n-lbp':2, 'n-joint':2, 'lambda-p':0, 'lambda-s':0, 'lambda-lbp':1, 'ema':.9, 'decay':.5, 'clip':1, 'every':10**6, 'minutes':1e-4, 'device':'cpu'}

def train(folder, run, **changes):
    "The command `lbp-inpaint train`, in this process"
    given = {**SETTINGS, **{k.replace('_','-'):v for k,v in changes.items()}}
    return main(['train', str(folder), '-o', str(run), *(str(o) for k,v in given.items() for o in (f'--{k}',v))])

def end_state(run):
    "What a run has come to: all its tensors, its log, and what it remembers"
    tensors,plain = load_state(run/'last.safetensors')
    about = {k:plain[k] for k in ('position','rows','best','train_iter','pct_train','groups','rng','skipped','recent')}
    return tensors,about,(run/'log.csv').read_bytes(),load_file(run/'model.safetensors'),load_file(run/'best'/'model.safetensors')

def same(a, b):
    def equal(x, y): return set(x)==set(y) and all(torch.equal(x[k], y[k]) for k in x)
    return equal(a[0], b[0]) and a[1:3]==b[1:3] and equal(a[3], b[3]) and equal(a[4], b[4])

class Arena:
    "A folder with pictures and an undisturbed run to compare with"
    def __init__(self, tmp, **changes):
        self.tmp,self.changes = tmp,changes
        self.data,began = pictures(tmp/'data'),time.time()
        assert wait(start(lambda: train(self.data, tmp/'whole', **changes), tmp/'whole.txt'))==0, (tmp/'whole.txt').read_text()
        self.seconds,self.want = time.time()-began,end_state(tmp/'whole')

    def attack(self, run, out, gen, number, **changes):
        "Start the run, send it the signal `number` at a random moment; its exit code and process group"
        pid = start(lambda: train(self.data, run, **{**self.changes, **changes}), out)
        time.sleep(gen.random()*self.seconds)
        try: os.kill(pid, number)
        except ProcessLookupError: pass
        return wait(pid),pid

    def finish(self, run, out, **changes): return wait(start(lambda: train(self.data, run, **{**self.changes, **changes}), out), 300)

class Skipped(Exception): pass

# the checks: each takes (folder, trial numbers, random generator of a trial) and yields (trial, is it fine?, why not)

def kill(tmp, n, rng):
    "kill -9 at a random moment, then go on to the end: the same bits as without"
    arena = Arena(tmp)
    for i in range(n):
        run,out,gen = tmp/f'run{i}',tmp/f'{i}.txt',rng(i)
        arena.attack(run, out, gen, signal.SIGKILL)
        code = arena.finish(run, out)
        yield i, code==0 and same(end_state(run), arena.want), f'exit {code}'

def resume_exact(tmp, n, rng):
    "One or twelve kills, none or two workers: the same bits"
    arena = Arena(tmp)
    for i in range(n):
        run,out,gen = tmp/f'run{i}',tmp/f'{i}.txt',rng(i)
        kills,workers = (1,12)[i%2],(0,2)[i//2%2]
        left = [arena.attack(run, out, gen, signal.SIGKILL, workers=workers)[1] for _ in range(kills)]
        code = arena.finish(run, out, workers=workers)
        stray = [p for g in left for p in orphans(g)]
        yield i, code==0 and same(end_state(run), arena.want) and not stray, f'exit {code}, {kills} kills, {workers} workers, {len(stray)} orphans'

def kill_save(tmp, n, rng):
    "kill -9 while states and weights are written as fast as possible: both can be read"
    nets = [InpaintNet(2) for _ in range(2)]
    def for_ever(run):
        x,k = torch.zeros(300_000),0
        while True:
            k += 1
            keep_previous(run/'last.safetensors', run/'previous.safetensors')
            save_state(run/'last.safetensors', {'x':x+k}, {'k':k})
            save_net(nets[k%2], run/'weights', k=k)
    for i in range(n):
        run,gen = tmp/f'run{i}',rng(i)
        run.mkdir()
        pid = start(lambda: for_ever(run), tmp/f'{i}.txt')
        while not (run/'weights'/'model.safetensors').exists(): time.sleep(.001)
        time.sleep(gen.random()*.1)
        os.kill(pid, signal.SIGKILL); wait(pid)
        try:
            tensors,plain = load_state(run/'last.safetensors')
            load_state(run/'previous.safetensors') if plain['k']>1 else None
            got = load_net(run/'weights').state_dict()
            fine = bool((tensors['x']==plain['k']).all()) and any(all(torch.equal(got[k], v) for k,v in o.state_dict().items()) for o in nets)
            yield i, fine, 'wrong numbers'
        except Exception as e: yield i, False, repr(e)
        shutil.rmtree(run)

def _small_disk(folder, size):
    "Mount a file system of `size` bytes on `folder`, where that is allowed"
    folder.mkdir()
    return subprocess.run(['mount','-t','tmpfs','-o',f'size={size}','tmpfs',folder], capture_output=True).returncode==0

def disk_full(tmp, n, rng):
    "The disk fills up during a run: one sentence with the file, bytes needed and free; what was there can be read"
    folder = pictures(tmp/'data')
    for i in range(n):
        disk,out,gen = tmp/f'disk{i}',tmp/f'{i}.txt',rng(i)
        if not _small_disk(disk, 3_000_000): raise Skipped('no small file system may be mounted here; run as root')
        try:
            code = wait(start(lambda: train(folder, disk/'run', n_joint=1), out))
            last = (disk/'run'/'last.safetensors')
            before = last.read_bytes()
            free = shutil.disk_usage(disk).free
            (disk/'filler').write_bytes(b'x'*max(0, free-int(gen.random()*.9*len(before))))
            code = (code,wait(start(lambda: train(folder, disk/'run', n_joint=2), out)))
            text = Path(out).read_text()
            sentence = [o for o in text.splitlines() if 'bytes are needed' in o]
            load_state(last)
            fine = code==(0,1) and len(sentence)==1 and 'are free there' in sentence[0] and str(disk) in sentence[0] and not traced(out)
            yield i, fine, f'exit {code}, {sentence}'
        except Exception as e: yield i, False, repr(e)
        finally: subprocess.run(['umount', disk], check=True)

def signals(tmp, n, rng):
    "SIGINT or SIGTERM to a run, or to its workers as well, at a random moment: exit 130 or 143, no orphans, and the same bits in the end; or two of them: at once"
    arena = Arena(tmp)
    for i in range(n):
        run,out,gen = tmp/f'run{i}',tmp/f'{i}.txt',rng(i)
        number,workers,twice,send = (signal.SIGINT,signal.SIGTERM)[i%2],(0,2)[i//2%2],i%5==4,(os.killpg,os.kill)[i//4%2]
        pid = start(lambda: train(arena.data, run, workers=workers), out)
        time.sleep(.15+gen.random()*(arena.seconds-.2))
        send(pid, number)
        if twice: time.sleep(.001); send(pid, number)
        began = time.time()
        code,took = wait(pid),time.time()-began
        stray = orphans(pid)
        ended = code in (0,128+number) or (twice and code in (130,143))
        fine = ended and not stray and not traced(out) and took<10 and (code==0 or 'topped by' in Path(out).read_text() or twice or 'stopped.' in Path(out).read_text() or 'terminated.' in Path(out).read_text())
        code2 = arena.finish(run, out)
        yield i, fine and code2==0 and same(end_state(run), arena.want), f'exit {code} after {took:.1f} s, then {code2}, {len(stray)} orphans'

def _spoil(file, kind, gen):
    "Make `file` a bad picture of one of twelve kinds; the last four are unusual but good"
    good = file.read_bytes()
    im = Image.open(file); im.load()
    def save(im, name='.png', **kwargs):
        file.unlink(); new = file.with_suffix(name); im.save(new, **kwargs); return new
    if kind=='truncated': file.write_bytes(good[:len(good)//2])
    elif kind=='empty': file.write_bytes(b'')
    elif kind=='html': file.write_text('<!DOCTYPE html><html>404</html>')
    elif kind=='lfs': file.write_text('version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n')
    elif kind=='crc': i = good.index(b'IDAT')+len(good)//3; file.write_bytes(good[:i]+bytes([good[i]^255])+good[i+1:])
    elif kind=='noise': file.write_bytes(gen.randbytes(2000))
    elif kind=='1x1': save(im.resize((1,1)))
    elif kind=='animation': save(im, '.gif', save_all=True, append_images=[im.rotate(90), im.rotate(180)])
    elif kind=='16-bit': save(Image.fromarray(np.asarray(im.convert('L')).astype(np.uint16)*257))
    elif kind=='cmyk': save(im.convert('CMYK'), '.jpg')
    elif kind=='palette': save(im.convert('P'))
    elif kind=='exif': exif = Image.Exif(); exif[274] = 6; save(im, '.jpg', exif=exif)

BAD = 'truncated','empty','html','lfs','crc','noise','1x1','animation'
ODD = '16-bit','cmyk','palette','exif'

def bad_pictures(tmp, n, rng):
    "`n` pictures, 5 % of them bad or odd, in 12 classes: as many batches as pictures, each bad one named once, odd ones read; with 11 % bad, refused"
    folder = pictures(tmp/'data', n, 2)
    files = sorted((folder/'train').iterdir())
    gen = rng(0)
    chosen = dict(zip(gen.sample(files, max(len(BAD+ODD), n//20)), (BAD+ODD)*n))
    for f,kind in chosen.items(): _spoil(f, kind, gen)
    want = {f.stem:k for f,k in chosen.items() if k in BAD}
    out,run = tmp/'out.txt',tmp/'run'
    code = wait(start(lambda: train(folder, run, n_lbp=1, n_joint=0, workers=2, minutes=5), out), 1500)
    lines = [o.split('\t') for o in (run/'bad_files.tsv').read_text().splitlines()[1:]] if code==0 else []
    named = [Path(o[0]).stem for o in lines]
    step = json.loads((run/'run.json').read_text())['step']
    yield 0, code==0 and step==n and not traced(out), f'exit {code}, {step} batches'
    for i,(name,kind) in enumerate(want.items(), 1): yield i, named.count(name)==1, f'{kind} picture {name} is named {named.count(name)} times'
    yield len(want)+1, set(named)==set(want) and all(len(o)==3 and o[1] and o[2] for o in lines), f'{sorted(set(named)-set(want))} named without need, or lines without reason and remedy'
    for f in sorted((folder/'train').iterdir())[::9]: f.write_bytes(b'')
    code = wait(start(lambda: train(folder, tmp/'run2', n_lbp=1, n_joint=0), out2 := tmp/'out2.txt'), 300)
    yield len(want)+2, code==3 and not (tmp/'run2'/'last.safetensors').exists() and not traced(out2), f'11 % bad: exit {code}'

class Inject(Callback):
    "Put a number that is none into a picture, a loss or a gradient, in one turn of one batch"
    order = 6
    def __init__(self, where, value, at, turn): self.where,self.value,self.at,self.turn_at = where,value,at,turn
    @property
    def now(self): return self.training and self.train_iter==self.at
    def before_batch(self):
        if self.now and self.where=='picture': t = self.yb[0].clone(); t[0,0,0,0] = self.value; self.learn.yb = (t,)
    def before_backward(self):
        if self.now and self.where=='loss' and self.turn.name==self.turn_at: self.learn.loss_grad = self.loss_grad*self.value; self.learn.loss = self.loss*self.value
    def before_step(self):
        if self.now and self.where=='gradient' and self.turn.name==self.turn_at: self.learning[0].grad.view(-1)[0] = self.value

def nan(tmp, n, rng):
    "NaN or infinity in a picture, a loss or a gradient, in any turn of either phase: that turn is skipped and counted, the others are not, all weights stay finite, and the run is saved"
    folder = pictures(tmp/'data')
    for i in range(n):
        gen,joint = rng(i),i%2
        where,value = ('picture','loss','gradient')[i//2%3],(float('nan'),float('inf'))[i//6%2]
        torch.manual_seed(0)
        learn = inpaint_learner(InpaintDataLoaders.from_folder(folder, device='cpu'), nf=1, lambda_p=0, lambda_s=0, lambda_lbp=1,
            cbs=[FiniteSteps(), Checkpoints(tmp/f'run{i}')])
        learn.phase(joint)
        turn = gen.choice(learn.turns).name
        learn.add_cb(Inject(where, value, gen.randrange(5), turn))
        with learn.no_bar(), learn.no_logging(): learn.fit(1)
        skipped = dict(learn.finite_steps.skipped)
        finite = all(p.isfinite().all() for p in learn.model.parameters())
        adam = learn.opt.opt.state
        steps = {n:{int(adam[p]['step']) for p in learn.model[n].parameters()} for t in learn.turns for n in t.players}
        if where=='picture': fine = set(skipped)=={t.name for t in learn.turns} # every turn of a batch looks at the truth
        else: fine = skipped=={turn:1} and all(steps[n]=={4 if t.name==turn else 5} for t in learn.turns for n in t.players)
        saved = load_state(tmp/f'run{i}'/'last.safetensors')[1]['skipped']==skipped
        yield i, fine and finite and saved, f'{where} {value} in {turn}: skipped {skipped}, steps {steps}, finite {finite}, saved {saved}'

CHANGES = [('workers',1,True), ('n-joint',3,True), ('every',7,True), ('minutes',3,True), ('half',None,True), ('moved',None,True),
    *((k,v,False) for k,v in {'nf':2, 'seed':1, 'bs':2, 'size':512, 'lr':1e-3, 'decay':.25, 'precision':'bf16', 'clip':2, 'ema':.99, 'lambda-m':1, 'lambda-r':1, 'lambda-a':1, 'lambda-lbp':0,
        'vgg-size':64, 'vgg-unit':4, 'valid-pct':.5, 'n-lbp':3, 'saturating':None, 'psnr-loss':None, 'smooth-hole':None, 'resize-conv':None, 'data':None, 'pretrained':'small'}.items())]

def config_change(tmp, n, rng):
    "Settings changed between stop and resume: harmless ones go on and are told, harmful ones are refused with both values"
    folder = pictures(tmp/'data')
    code = wait(start(lambda: train(folder, tmp/'run', n_joint=2), tmp/'first.txt')); assert code==0, (tmp/'first.txt').read_text()
    for i in range(n):
        name,value,harmless = CHANGES[i%len(CHANGES)]
        run,out,here,more = tmp/f'run{i}',tmp/f'{i}.txt',folder,{name:value} if value is not None else {}
        shutil.copytree(tmp/'run', run)
        before = (run/'last.safetensors').read_bytes()
        if name=='moved': here = shutil.copytree(folder, tmp/'moved'/'elsewhere')
        if name=='data': here = shutil.copytree(folder, tmp/'data2'); shutil.copy(here/'train'/'0000.png', here/'train'/'zzz.png')
        flags = {'half':['--half'], 'saturating':['--no-saturating'], 'psnr-loss':['--psnr-loss'], 'smooth-hole':['--smooth-hole'], 'resize-conv':['--resize-conv']}.get(name, [])
        given = {**SETTINGS, **more}
        code = wait(start(lambda: main(['train', str(here), '-o', str(run), *(str(o) for k,v in given.items() for o in (f'--{k}',v)), *flags]), out))
        text,key = out.read_text(),{'moved':'folder','half':'half','smooth-hole':'hole_value'}.get(name, name.replace('-','_'))
        changed = f'{key} is now' in text
        refused = code==2 and (run/'last.safetensors').read_bytes()==before and text.count(key)>=(1 if name in ('nf','pretrained','n-lbp','resize-conv') else 2)
        yield i, not traced(out) and (code==0 and changed if harmless else refused), f'{name}: exit {code}, {text.splitlines()[-1:]}'

def workers(tmp, n, rng):
    "0, 1, 2 and 4 workers: the same bits"
    arena = Arena(tmp)
    for i in range(n):
        w,run = (1,2,4)[i%3],tmp/f'run{i}'
        code = arena.finish(run, tmp/f'{i}.txt', workers=w)
        yield i, code==0 and same(end_state(run), arena.want), f'{w} workers: exit {code}'

def soak(tmp, n, rng):
    "`n` tiny steps: memory grows by less than 20 MB after the first tenth; no files, threads or children are left"
    folder,report = pictures(tmp/'data', 50, 1),tmp/'report.json'
    def rss(): return int(next(o for o in Path('/proc/self/status').read_text().splitlines() if o.startswith('VmRSS')).split()[1])/1024
    def long():
        torch.manual_seed(0)
        learn = inpaint_learner(InpaintDataLoaders.from_folder(folder, bs=1, device='cpu'), nf=1, lambda_p=0, lambda_s=0, cbs=FiniteSteps())
        seen = []
        class Watch(Callback):
            def after_epoch(self): seen.append(rss())
        def count(): return len(os.listdir('/proc/self/fd')),threading.active_count(),len(os.listdir('/proc/self/task'))
        with learn.no_bar(), learn.no_logging():
            for joint in (False,True): learn.phase(joint); learn.fit(1) # what either phase starts once
            before = count()
            learn.phase(False); learn.fit(n//100, cbs=Watch())
            learn.phase(True); learn.fit(n//100, cbs=Watch())
        half = len(seen)//2
        grown = max(seen[half-1]-seen[max(0, half//5)], seen[-1]-seen[half+half//5])
        kids = Path(f'/proc/self/task/{os.getpid()}/children').read_text().split()
        report.write_text(json.dumps(dict(grown=grown, before=before, after=count(), children=kids, steps=n)))
        return 0
    code = wait(start(long, tmp/'out.txt'), 3600)
    got = json.loads(report.read_text()) if code==0 else {}
    yield 0, code==0 and got['grown']<20 and all(a<=b for a,b in zip(got['after'], got['before'])) and not got['children'], f'exit {code}, {got}'

# several processes

def torchrun(args, out, env={}, n=2, seconds=240):
    "Start `n` processes of this file's `process` job; the launcher"
    with open(out, 'w') as f: return subprocess.Popen([sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', str(n), '-m', 'tests.reliability', '--process', *map(str, args)],
        stdout=f, stderr=f, cwd=ROOT, env={**os.environ, **env})

def ended(launcher, seconds):
    try: return launcher.wait(seconds)
    except subprocess.TimeoutExpired: launcher.kill(); return 'hang'

class Double(Callback):
    "Arithmetic in float64, where the order of additions does not show"
    def before_batch(self): self.learn.xb,self.learn.yb = (tuple(t.double() for t in o) for o in (self.xb, self.yb))

def ten_steps(folder, bs, out):
    "Ten steps of each phase with `bs` pictures a process, in float64; process 0 writes the weights"
    from fastai.basics import rank_distrib, Recorder
    from lbp_inpaint.training.processes import process_group
    with process_group():
        torch.manual_seed(0)
        learn = inpaint_learner(InpaintDataLoaders.from_folder(folder, bs=bs, device='cpu'), nf=1, lambda_p=0, lambda_s=0, lambda_lbp=1, cbs=[FiniteSteps(), Double()])
        learn.model.double()
        learn.remove_cb(Recorder)
        learn.distrib()
        with learn.no_bar(), learn.no_logging(): learn.fit_phases(1, 1)
        if not rank_distrib(): torch.save([p.detach() for p in learn.model.parameters()], out)

def process(job, *args):
    "What one of several processes does"
    if job=='steps': return ten_steps(Path(args[0]), int(args[1]), args[2])
    from fastai.basics import rank_distrib
    from lbp_inpaint.training import command
    folder,run,rest = Path(args[0]),Path(args[1]),dict(zip(args[2::2], args[3::2]))
    if job in ('dies','raises') and rank_distrib()==1:
        class Fault(Callback):
            order = 7
            def before_step(self):
                if self.train_iter<3: return
                if job=='dies': os.kill(os.getpid(), signal.SIGKILL)
                raise InpaintError('This process cannot go on; it is a test.')
        make = command.inpaint_learner
        def with_fault(*a, **k): l = make(*a, **k); l.add_cb(Fault()); return l
        command.inpaint_learner = with_fault
    return train(folder, run, **rest)

def ddp(tmp, n, rng):
    "Two processes: two halves make a whole; a dead or failing one, bad data on one side, an odd number of pictures, a stop and a resume end in time, with a message"
    even,odd = pictures(tmp/'even', 20),pictures(tmp/'odd', 7)
    def text(i): return (tmp/f'{i}.txt').read_text()
    def halves():
        assert ended(torchrun(('steps', even, 1, tmp/'two.pt'), tmp/'0.txt'), 240)==0, text(0)
        pid = start(lambda: ten_steps(even, 2, tmp/'one.pt') or 0, tmp/'0one.txt'); assert wait(pid)==0
        diff = max((a-b).abs().max().item() for a,b in zip(torch.load(tmp/'two.pt'), torch.load(tmp/'one.pt')))
        return diff<1e-5, f'difference {diff:.1e}'
    def fault(i, job, words):
        began = time.time()
        code = ended(torchrun((job, odd, tmp/f'run{i}', 'n_lbp', 50), tmp/f'{i}.txt'), 240)
        return code not in (0,'hang') and all(w in text(i) for w in words) and 'lbp_inpaint/' not in text(i), f'exit {code} after {time.time()-began:.0f} s'
    def one_sided():
        folder = pictures(tmp/'onesided', 40)
        for f in sorted((folder/'train').iterdir())[:3]: f.write_bytes(b'')
        code = ended(torchrun(('train', folder, tmp/'run3', 'n_lbp', 1, 'n_joint', 1), tmp/'3.txt'), 200)
        return code==0 and len((tmp/'run3'/'bad_files.tsv').read_text().splitlines())==4, f'exit {code}'
    def uneven():
        code = ended(torchrun(('train', odd, tmp/'run4', 'n_lbp', 1, 'n_joint', 1, 'bs', 2), tmp/'4.txt'), 200)
        return code==0 and json.loads((tmp/'run4'/'run.json').read_text())['step']==2, f'exit {code}'
    def stopped():
        args = ('train', odd, tmp/'run5', 'n_lbp', 3, 'n_joint', 3)
        assert ended(torchrun((*args[:2], tmp/'whole5', *args[3:]), tmp/'5w.txt'), 240)==0
        p = torchrun(args, tmp/'5.txt')
        while not (tmp/'run5'/'last.safetensors').exists(): time.sleep(.05)
        time.sleep(.3); p.terminate(); code = ended(p, 60)
        code2 = ended(torchrun(args, tmp/'5.txt'), 240)
        return code not in (0,'hang') and code2==0 and same(end_state(tmp/'run5'), end_state(tmp/'whole5')), f'exit {code}, then {code2}'
    jobs = halves, lambda: fault(1, 'dies', ['has lost another']), lambda: fault(2, 'raises', ['it is a test']), one_sided, uneven, stopped
    for i,job in enumerate(jobs[:n]):
        try: yield i, *job()
        except Exception as e: yield i, False, repr(e)

CHECKS = {'kill':(kill,60,2), 'resume-exact':(resume_exact,20,2), 'kill-save':(kill_save,200,20), 'disk-full':(disk_full,20,2), 'signals':(signals,40,5), 'bad-pictures':(bad_pictures,1000,100),
    'nan':(nan,120,12), 'config-change':(config_change,len(CHANGES),len(CHANGES)), 'workers':(workers,3,2), 'soak':(soak,20000,400), 'ddp':(ddp,6,3)}

def check(name, n=None, seed=0, quick=False):
    "Run a check; the line about it"
    f,full,few = CHECKS[name]
    tmp,began = Path(tempfile.mkdtemp(prefix=f'reliability-{name}-')),time.time()
    warnings.simplefilter('default', UserWarning)
    try: results = list(f(tmp, n or (few if quick else full), lambda i: random.Random(f'{seed} {i}')))
    except Skipped as e: return dict(check=name, seed=seed, trials=0, passed=0, failed=[], skipped=str(e))
    failed = [dict(id=i, why=why) for i,fine,why in results if not fine]
    if not failed: shutil.rmtree(tmp)
    return dict(check=name, seed=seed, trials=len(results), passed=len(results)-len(failed), failed=failed, seconds=round(time.time()-began), **({'files':str(tmp)} if failed else {}))

if __name__=='__main__':
    if sys.argv[1:2]==['--process']: sys.exit(process(*sys.argv[2:]))
    parser = argparse.ArgumentParser('python -m tests.reliability', description=__doc__.splitlines()[0])
    parser.add_argument('name', choices=[*CHECKS,'all'])
    parser.add_argument('--n', type=int); parser.add_argument('--seed', type=int, default=0); parser.add_argument('--quick', action='store_true')
    args,bad = parser.parse_args(),0
    for name in CHECKS if args.name=='all' else [args.name]:
        line = check(name, args.n, args.seed, args.quick)
        bad += len(line['failed'])
        print(json.dumps(line), flush=True)
    sys.exit(bad>0)
