"Training learns, keeps what it learnt, and is the same each time."
import csv, json, math, multiprocessing, shutil, signal, time
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
import numpy as np, pytest, torch, torch.nn.functional as F
from PIL import Image
from fastai.callback.core import Callback, CancelFitException
from fastai.callback.progress import CSVLogger
from fastai.optimizer import OptimWrapper
from skimage.metrics import peak_signal_noise_ratio
from lbp_inpaint.training import command, duration, sets
from lbp_inpaint.training.card import check_card, earlier_trainings
from lbp_inpaint.errors import InpaintError, PictureError, Stopped, UsageError
from lbp_inpaint.image_files import to_tensor
from lbp_inpaint.settings import TrainSettings
from lbp_inpaint.nets.weights import read_about
from lbp_inpaint.training.data import InpaintDataLoaders, InpaintDataset, InpaintDL
from lbp_inpaint.filling.inpainter import Inpainter
from lbp_inpaint.training.command import train
from lbp_inpaint.training.objectives import hole_crops
from lbp_inpaint.training.phases import inpaint_learner
from lbp_inpaint.masks import center_mask
from lbp_inpaint.metrics import l1
from lbp_inpaint.training.runs import Checkpoints, load_state
from lbp_inpaint.training.steps import EMA, FiniteSteps, TurnPrecision
from lbp_inpaint.training.turns import AdamWrapper
from lbp_inpaint.training.watch import GameWatch

def centre(size, generator): return center_mask(size)

@pytest.fixture(scope='module')
def four(folder): return torch.stack([to_tensor(f) for f in sorted(folder.glob('*.png'))])

@pytest.fixture(scope='module')
def learnt(folder, four, vgg_file):
    "A narrow learner after both phases on four pictures, and the hole's l1 of each before and after"
    torch.manual_seed(0)
    dls = InpaintDataLoaders.from_folder(folder, mask_fn=centre, device='cpu')
    dls.train_ds.augment = False # no mirror images: four pictures and no more
    learn = inpaint_learner(dls, nf=8, vgg=vgg_file, lr=1e-3, lambda_r=100.) # to learn by heart in seconds; random VGG features help little
    mask = center_mask().expand(4,-1,-1,-1)
    def hole_l1():
        with torch.no_grad(): return l1(learn.net(four, mask)[1], four, mask)
    before = hole_l1()
    with learn.no_bar(), learn.no_logging(): learn.fit_phases(4, 45)
    return learn,before,hole_l1()

def test_the_holes_error_falls_by_half_and_more(learnt):
    _,before,after = learnt
    assert (after/before).mean()<.45 and (after<before).all(), (before,after)

def test_every_loss_took_part(learnt):
    sums = learnt[0].turn_losses.sums
    assert set(sums)=={'d2','m2','r2','a2','p','s'} and all(v!=0 and v.isfinite() for v in sums.values())

def test_what_is_exported_fills_as_what_was_trained(learnt, four, tmp_path):
    learn,mask = learnt[0],center_mask().expand(4,-1,-1,-1)
    learn.export_inpainter(tmp_path/'weights')
    inp = Inpainter.from_pretrained(tmp_path/'weights', 'cpu')
    with torch.no_grad():
        for a,b in zip(inp.net(four, mask), learn.net(four, mask)): assert torch.equal(a, b)
    assert {f.suffix for f in (tmp_path/'weights').iterdir()}=={'.safetensors'}

def weights_of_short_run(folder, run, seed): return train(folder, run, n_lbp=1, n_joint=1, nf=2, seed=seed, device='cpu', lambda_p=0., lambda_s=0.).net.state_dict()

def test_a_seed_gives_the_same_weights_again(folder, tmp_path):
    a,b,c = (weights_of_short_run(folder, tmp_path/n, s) for n,s in (('a',1),('b',1),('c',2)))
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not all(torch.equal(a[k], c[k]) for k in a)

def two_epochs(folder, workers):
    dls = InpaintDataLoaders.from_folder(folder, bs=2, seed=3, num_workers=workers, device='cpu')
    res = []
    for dls.train_ds.epoch in (0,1): res += [*dls.train, *dls.valid]
    return res

def test_workers_do_not_change_the_data(folder):
    here = two_epochs(folder, 0)
    for workers in (1,2):
        there = two_epochs(folder, workers)
        assert len(here)==len(there)==2*(2+1)
        assert all(torch.equal(a, b) for x,y in zip(here, there) for a,b in zip(x, y))

def test_epochs_differ_in_training_and_not_in_validation(folder):
    batches = two_epochs(folder, 0)
    assert not torch.equal(batches[0][1], batches[3][1]) and all(torch.equal(a, b) for a,b in zip(batches[2], batches[5]))

def test_a_learner_goes_through_new_holes_in_each_epoch_and_phase(folder):
    dls = InpaintDataLoaders.from_folder(folder, device='cpu')
    learn,seen = inpaint_learner(dls, nf=2, lambda_p=0., lambda_s=0.),[]
    predict = type(learn)._do_one_batch
    def watch(self):
        if self.training: seen.append(self.xb[1].clone())
        predict(self)
    learn._do_one_batch = watch.__get__(learn)
    with learn.no_bar(), learn.no_logging(): learn.fit_phases(1, 2)
    irregular = {o.numpy().tobytes() for o in seen if not torch.equal(o[0], center_mask())}
    assert len(seen)==12 and len(irregular)==sum(not torch.equal(o[0], center_mask()) for o in seen)>2

def test_features_in_units_of_training_pictures(folder, vgg_file, tmp_path):
    "A VGG whose features are a hundred times as large weighs the same in the losses, and the run notes the unit."
    state = torch.load(vgg_file)
    loud = tmp_path/'loud.pth'
    torch.save({k:v*100 if k.startswith('features.0.') or k.endswith('bias') else v for k,v in state.items()}, loud)
    dls = InpaintDataLoaders.from_folder(folder, device='cpu')
    def perceptual(file, **kwargs):
        o = inpaint_learner(dls, nf=1, vgg=file, **kwargs).objectives
        with torch.no_grad(): return o.perceptual(*(o.vgg(dls.train_ds[i][2][None]) for i in (0,1))).item()
    plain,louder,unit,louder_unit = (perceptual(f, **k) for k in ({}, dict(vgg_unit=3)) for f in (vgg_file,loud))
    assert louder>1e3*plain and louder_unit==pytest.approx(unit, rel=1e-3)
    train(folder, tmp_path/'run', n_lbp=0, n_joint=1, nf=1, vgg=vgg_file, vgg_unit=3, device='cpu')
    assert read_about(tmp_path/'run')['training']['vgg_unit']==3
    with pytest.raises(InpaintError, match='vgg_unit'): train(folder, tmp_path/'none', n_lbp=0, n_joint=1, nf=1, vgg=vgg_file, vgg_unit=0, device='cpu')

def test_a_run_writes_weights_log_and_pictures(folder, vgg_file, tmp_path):
    run = tmp_path/'run'
    train(folder, run, n_lbp=1, n_joint=2, nf=2, vgg=vgg_file, every=3, device='cpu')
    inp = Inpainter.from_pretrained(run, 'cpu')
    assert inp(folder/'coffee.png', center_mask()[0].numpy()>0).size==(256,256)
    assert read_about(run)['training']['pictures']==4
    rows = list(csv.DictReader((run/'log.csv').read_text().splitlines()))
    assert [(r['phase'],r['epoch']) for r in rows]==[('1','0'),('2','0'),('2','1')]
    terms = [{k for k,v in r.items() if v} - {'phase','epoch','train_loss','valid_loss'} for r in rows]
    assert terms[0]=={'d1','m1','r1','a1'} and terms[1]==terms[2]=={'d2','m2','r2','a2','p','s','picture_psnr','hole_psnr','picture_ssim'}
    pictures = sorted((run/'pictures').iterdir())
    assert sum(p.name.startswith('lbp') for p in pictures)>=2 and sum(p.name.startswith('joint') for p in pictures)>=4
    with Image.open(pictures[0]) as im: assert im.width>=4*256

def test_what_is_noted_of_a_run_keeps_its_names(folder, tmp_path):
    "Runs are taken up by comparing these; another name would refuse every run that was begun before"
    train(folder, tmp_path/'run', n_lbp=1, n_joint=0, nf=1, lambda_p=0., lambda_s=0., device='cpu')
    config,training = json.loads((tmp_path/'run/run.json').read_text()),read_about(tmp_path/'run')
    assert ' '.join(config['config'])==('folder sets data mask_files pictures n_lbp n_joint bs size valid_pct seed workers keep passes duration decay precision clip ema half every minutes '
        'device processes lr network vgg vgg_unit spectral_judges judge_nf pretrained lambda_m lambda_r lambda_a lambda_p lambda_s lambda_lbp vgg_size saturating psnr_loss hinge lambda_f lambda_a1')
    assert config['config']['lambda_a1']==.2 and config['warnings']==[] and config['skipped_turns']=={} and training['training']['steps']==4

@pytest.mark.parametrize('wrong', (dict(n_jiont=1), dict(lambda_q=0), dict(size=200), dict(precision='fp8'), dict(device='tpu')), ids=str)
def test_a_wrong_setting_is_told_before_a_picture_is_read(wrong, tmp_path):
    with pytest.raises(UsageError): train(tmp_path/'nowhere', tmp_path/'run', **wrong)
    assert not (tmp_path/'run').exists()

def test_fastais_loggers_see_every_term(folder, tmp_path):
    learn = inpaint_learner(InpaintDataLoaders.from_folder(folder, device='cpu'), nf=2, lambda_p=0., lambda_s=0., path=tmp_path, cbs=CSVLogger())
    with learn.no_bar(), learn.no_logging(): learn.fit_phases(0, 2)
    rows = list(csv.DictReader((tmp_path/'history.csv').read_text().splitlines()))
    assert len(rows)==2 and {'d2','m2','r2','a2','picture_psnr'}<=set(rows[0]) and all(float(r['r2'])>0 for r in rows)

def test_tensorboard(folder, tmp_path, monkeypatch):
    pytest.importorskip('tensorboard')
    from fastai.callback.tensorboard import TensorBoardCallback
    learn = inpaint_learner(InpaintDataLoaders.from_folder(folder, device='cpu'), nf=2, lambda_p=0., lambda_s=0., cbs=TensorBoardCallback(tmp_path, trace_model=False, log_preds=False))
    with learn.no_bar(), learn.no_logging(): learn.fit_phases(0, 1)
    assert list(tmp_path.glob('events*'))

def test_a_frozen_generator_is_not_trained_and_a_slice_sets_each_rate(folder):
    learn = inpaint_learner(InpaintDataLoaders.from_folder(folder, device='cpu'), nf=2, lambda_p=0., lambda_s=0.)
    before = {k:v.clone() for k,v in learn.model.state_dict().items()}
    def moved(): return {k[:2] for k,v in learn.model.state_dict().items() if not torch.equal(v, before[k])}
    learn.freeze()
    with learn.no_bar(), learn.no_logging(): learn.fit_phases(1, 1)
    assert moved()=={'d1','d2'}
    learn.unfreeze()
    with learn.no_bar(), learn.no_logging(): learn.fit_phases(1, 1, lr=slice(1e-6,1e-3))
    rates = [h['lr'] for h in learn.opt.hypers]
    assert moved()=={'g1','g2','d1','d2'} and rates==pytest.approx([1e-6,1e-5,1e-4,1e-3])

def test_a_picture_set_is_trained_on_with_its_own_split(folder, tmp_path, monkeypatch):
    pictures = sorted(folder.glob('*.png'))
    for part,files in (('paris_train_original',pictures[:3]), ('paris_eval/paris_eval_gt',pictures[3:])):
        (tmp_path/part).mkdir(parents=True)
        for f in files: shutil.copy(f, tmp_path/part)
    monkeypatch.setitem(sets.SETS, 'paris_streetview', replace(sets.SETS['paris_streetview'], n_train=(3,), n_valid=1))
    quick = dict(n_lbp=1, n_joint=0, nf=2, lambda_p=0., lambda_s=0., device='cpu')
    learn = train(tmp_path, tmp_path/'run', sets=['paris_streetview'], **quick)
    assert [[f.name for f in ds.files] for ds in (learn.dls.train_ds, learn.dls.valid_ds)]==[[f.name for f in pictures[:3]], [pictures[3].name]]
    with pytest.raises(InpaintError, match='leave one'): train(tmp_path, tmp_path/'run2', sets=['paris_streetview'], valid_pct=.5, **quick)
    with pytest.raises(InpaintError, match='no picture set'): train(tmp_path, tmp_path/'run3', sets=['paris'], **quick)

def test_a_training_writes_its_model_card_with_all_that_came_before(folder, tmp_path):
    quick = dict(nf=2, lambda_p=0., lambda_s=0., device='cpu')
    train(folder, tmp_path/'a', n_lbp=1, n_joint=0, seed=3, **quick)
    learn = train(folder, tmp_path/'b', n_lbp=0, n_joint=1, seed=4, pretrained=tmp_path/'a', **quick)
    check_card(card := (tmp_path/'b'/'README.md').read_text())
    assert [o['seed'] for o in earlier_trainings(tmp_path/'b')]==[3,4]
    record = earlier_trainings(tmp_path/'b')[1]
    assert record['steps']==len(learn.dls.train)==4 and record['held_out']==2 and record['masks'].endswith('(`random_mask`)')
    assert f'picture psnr | {learn.checkpoints.rows[-1]["picture_psnr"]:.4g}' in card and '| seed | 3 | 4 |' in card and 'at width 2' in card

def test_terms_of_no_weight_are_not_computed_and_their_judges_do_not_play(folder):
    "And what is left learns as it would beside terms that are multiplied by 0"
    def moved(**weights):
        torch.manual_seed(0)
        learn = inpaint_learner(InpaintDataLoaders.from_folder(folder, device='cpu', mask_fn=centre), nf=2, lambda_p=0., lambda_s=0., lambda_lbp=1., **weights)
        before = {k:v.clone() for k,v in learn.model.state_dict().items()}
        with learn.no_bar(), learn.no_logging(): learn.fit_phases(0, 1)
        return learn,{k[:2] for k,v in learn.model.state_dict().items() if not torch.equal(v, before[k])}
    alone,who = moved(lambda_a=0., lambda_m=0.)
    assert [(t.name,t.terms) for t in alone.turns]==[('G1 and G2',('r2','r1'))] and who=={'g1','g2'}
    beside,who = moved(lambda_a=1e-30, lambda_m=1e-30)
    assert [t.name for t in beside.turns]==['D1','D2','G1 and G2'] and set(beside.turns[2].terms)=={'m2','r2','a2','m1','r1','a1'} and 'd2' in who
    for term in ('r1','r2'): assert alone.turn_losses.mean(term)==pytest.approx(beside.turn_losses.mean(term), rel=1e-3)

def test_psnr_loss_lowers_minus_the_psnr_of_maps_and_fills_that_scikit_image_measures(folder):
    learn = inpaint_learner(InpaintDataLoaders.from_folder(folder, bs=3, device='cpu'), nf=2, psnr_loss=True, lambda_m=0., lambda_a=0., lambda_p=0., lambda_s=0., lambda_lbp=2.)
    image,mask,truth = learn.dls.one_batch()
    def loss(fills, truths): return 10*(math.log(4) - math.log(10)/10*np.mean([peak_signal_noise_ratio(t.numpy(), f.detach().numpy(), data_range=2) for f,t in zip(fills, truths)]))
    pred = learn.objectives.predict_fill(image, mask)
    terms = learn.objectives.g2_terms(pred, image, mask, truth)
    assert terms['r2'].item()==pytest.approx(loss(pred.fill, truth), rel=2e-3)
    assert terms['r1'].item()==pytest.approx(2*loss(pred.lbp, learn.net.true_lbp(truth)), rel=2e-3)
    plain = F.mse_loss(pred.fill, truth).item()
    assert inpaint_learner(learn.dls, nf=2, lambda_p=0., lambda_s=0.).objectives.reconstruction(pred.fill, truth).item()==pytest.approx(plain), 'Eq. 3 unless asked'

def test_windows_show_the_hole_and_the_same_place_of_every_image():
    torch.manual_seed(0)
    rows,columns = torch.meshgrid(torch.arange(256.), torch.arange(256.), indexing='ij')
    places = torch.stack([rows,columns])[None].expand(6,-1,-1,-1)
    mask = torch.zeros(6, 1, 256, 256)
    for i in range(5): mask[i,:,50*i:50*i+9,255-50*i-9:255-50*i] = 1
    cut,again,hole = hole_crops(mask, 64, places, places, mask) # the last one has no hole at all
    assert cut.shape==(6,2,64,64) and torch.equal(cut, again) and (hole.amax((1,2,3))==torch.tensor([1,1,1,1,1,0])).all()
    assert (cut[:,0].diff(dim=1)==1).all() and (cut[:,1].diff(dim=2)==1).all()
    assert (hole_crops(mask, 256, places)[0]==places).all()

@pytest.mark.parametrize('precision', ('bf16','fp16'))
def test_lower_precision_learns_nearly_the_same(precision, folder, vgg_file):
    def after(*cbs):
        torch.manual_seed(0)
        learn = inpaint_learner(InpaintDataLoaders.from_folder(folder, device='cpu'), nf=2, vgg=vgg_file, lambda_lbp=1., cbs=[*cbs, FiniteSteps()])
        with learn.no_bar(), learn.no_logging(): learn.fit_phases(1, 1)
        return learn
    full,low = after(),after(TurnPrecision(precision))
    assert all(p.dtype==torch.float32 and p.isfinite().all() for p in low.model.parameters()) and not low.finite_steps.skipped
    a,b = ({t:o.turn_losses.mean(t) for turn in o.turns for t in turn.terms} for o in (full,low))
    assert a!=b and all(b[k]==pytest.approx(a[k], rel=.15, abs=.02) for k in a), (a,b)

# a step that waits for nothing

PLAIN = dict(lambda_p=0., lambda_s=0.)
GAMES = {'paper':{}, 'psnr':dict(lambda_p=0., lambda_s=0., lambda_a=0., lambda_m=0., psnr_loss=True, lambda_lbp=10.),
    'judges':dict(hinge=True, spectral_judges=True, judge_nf=2, lambda_lbp=.5, lambda_f=5., lambda_a1=5., vgg_size=128)}

class Unread(torch.optim.Optimizer):
    "In the place of torch's fused Adam: takes a step and looks at nothing"
    def __init__(self, params, lr=1e-3): super().__init__(params, dict(lr=lr, fused=True))
    @torch.no_grad()
    def step(self):
        for p in (p for g in self.param_groups for p in g['params'] if p.grad is not None): p -= p.grad

class ThreeBatches(Callback):
    "Three batches and no more, since the end of an epoch is told in numbers"
    order = 99
    def before_fit(self): self.taken = 0
    def after_batch(self):
        self.taken += 1
        if self.taken==3: raise CancelFitException

class Reads(Callback):
    def __init__(self, how): self.how = how
    def after_batch(self): self.how(self.learn)

@pytest.fixture
def without_values(monkeypatch):
    "Tensors without values pass for those of a GPU: what asks for a value fails, where on a GPU it would wait"
    monkeypatch.setattr(torch.Tensor, 'is_cuda', property(lambda t: t.device.type=='meta'), raising=False)
    monkeypatch.setattr(torch, 'autocast', lambda *args, **kwargs: nullcontext()) # which knows no such device

def three_steps(folder, vgg_file, joint, *cbs, **game):
    learn = inpaint_learner(InpaintDataLoaders.from_folder(folder, bs=2, device='cpu'), nf=2, vgg=vgg_file, opt_func=partial(OptimWrapper, opt=Unread),
        cbs=[TurnPrecision('fp32'), FiniteSteps(clip=1.), EMA(), GameWatch(), ThreeBatches(), *cbs], **game)
    truth,mask = torch.empty(2, 3, 256, 256, device='meta'),torch.empty(2, 1, 256, 256, device='meta')
    learn.dls.device,learn.dls.loaders[0] = torch.device('meta'),[(truth,mask,truth)]*4
    if learn.objectives.vgg: learn.objectives.vgg.to('meta')
    learn.phase(joint)
    with learn.no_bar(), learn.no_logging(): learn.fit(1)
    return learn

@pytest.mark.parametrize('joint', (False,True), ids=('lbp','joint'))
@pytest.mark.parametrize('game', GAMES)
def test_a_step_asks_for_no_number(game, joint, folder, vgg_file, without_values):
    learn = three_steps(folder, vgg_file, joint, **GAMES[game])
    assert learn.three_batches.taken==3 and len(learn.finite_steps.flags)==3*len(learn.turns) and learn.ema.steps==3

@pytest.mark.parametrize('how', (lambda l: float(l.loss), lambda l: l.loss.tolist(), lambda l: l.xb[1].nonzero()))
def test_and_one_that_asks_is_seen(how, folder, vgg_file, without_values):
    with pytest.raises((RuntimeError,NotImplementedError)): three_steps(folder, vgg_file, True, Reads(how), **PLAIN)

@pytest.mark.parametrize('joint', (False,True), ids=('lbp','joint'))
def test_the_profiler_finds_no_number_asked_for(joint, folder, vgg_file):
    "But for those that are a processor's own: its fused Adam reads the step count of each parameter, its attention which cells are missing"
    learn = inpaint_learner(InpaintDataLoaders.from_folder(folder, bs=2, device='cpu'), nf=2, vgg=vgg_file, opt_func=partial(AdamWrapper, betas=(.5,.999), fused=True),
        cbs=[FiniteSteps(), EMA(), ThreeBatches()], **GAMES['judges'])
    batch,seen = learn.dls.one_batch(),[]
    def batches():
        yield batch
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as watched: yield batch
        seen.extend(o.name for o in watched.events())
        yield batch
    class Loader(list):
        def __iter__(self): return batches()
    learn.dls.loaders[0] = Loader([0]*9)
    learn.phase(joint)
    with learn.no_bar(), learn.no_logging(): learn.fit(1)
    players = [p for t in learn.turns for k in t.players for p in learn.model[k].parameters()]
    assert seen.count('aten::_local_scalar_dense')==seen.count('aten::item')==len(players)
    assert seen.count('aten::nonzero')==2*joint # the prediction and the aim of the multi-level loss

@pytest.mark.parametrize('fused', (None,True))
def test_moments_lie_as_their_weights_after_a_resume(fused, folder):
    "Judges that lie channels last, and a file of states that does not tell: a fused Adam would take moments of other weights"
    dls = InpaintDataLoaders.from_folder(folder, bs=2, device='cpu')
    def learner():
        torch.manual_seed(0)
        return inpaint_learner(dls, nf=2, spectral_judges=True, judge_nf=3, opt_func=partial(AdamWrapper, betas=(.5,.999), fused=fused),
            cbs=[FiniteSteps(), EMA(names=('g1','g2','d1','d2'))], **PLAIN, lambda_lbp=1.)
    def go_on(learn, n):
        if not learn.pending: learn.phase(True)
        with learn.no_bar(), learn.no_logging(): learn.fit(n)
        return learn
    whole,half,again = go_on(learner(), 2),go_on(learner(), 1),learner()
    tensors,plain = half.state()
    again.load_run_state({k:v.detach().contiguous().clone() for k,v in tensors.items()}, plain)
    laid_out = [(p,again.opt.opt.state[p]['exp_avg']) for p in again.model.parameters() if p in again.opt.opt.state]
    assert any(not p.is_contiguous() for p,_ in laid_out) and all(p.stride()==m.stride() for p,m in laid_out)
    averaged = list(zip(again.ema.weights, again.ema.average, strict=True))
    assert any(not p.is_contiguous() for p,_ in averaged) and all(p.stride()==a.stride() for p,a in averaged)
    go_on(again, 2)
    for a,b in zip(again.model.parameters(), whole.model.parameters(), strict=True): assert torch.equal(a, b)

def test_the_benchmark_of_steps_takes_steps():
    import benchmarks
    features,mask = torch.randn(2, 16, 8, 8),torch.zeros(2, 1, 8, 8)
    mask[...,2:5,2:5] = 1
    assert torch.allclose(benchmarks.one_hot_attention(features, mask), benchmarks.spatial_attention(features, mask), atol=1e-6)
    jobs = [benchmarks.Row(f, 'cpu', 0, (1e10,1e10), what='x', nf=1, bs=1, precision='fp32') for f in (benchmarks.training, benchmarks.plain_loop, benchmarks.filling)]
    rows = [row for job in jobs for row in job.run()]
    assert [o['what'] for o in rows]==['phase 1','phase 2','x','x'] and not any('skipped' in o for o in rows) and all(o['ms']>0 and o['flops']>0 for o in rows)

@pytest.mark.skipif(not hasattr(signal, 'alarm'), reason='workers are ended by signals')
def test_a_first_batch_that_fails_leaves_no_process_behind(folder, tmp_path):
    class Fails(InpaintDataset):
        "The first picture, as soon as another process is at its own, which takes an hour"
        def __getitem__(self, i):
            if i: (tmp_path/'begun').touch(); time.sleep(3600)
            while not (tmp_path/'begun').exists(): time.sleep(.01)
            raise PictureError('No picture; add one.')
    before = set(multiprocessing.active_children())
    with pytest.raises(PictureError) as e: # which holds on to the loader, as a traceback does
        next(iter(InpaintDL(Fails(sorted(folder.glob('*.png'))), bs=1, shuffle=False, num_workers=2)))
    for o in set(multiprocessing.active_children())-before: o.join(10)
    assert set(multiprocessing.active_children())<=before and 'add one' in str(e.value)

def test_a_phase_that_was_trained_for_long_enough_leaves_the_next_one_whole(folder, tmp_path):
    "Though more epochs of it have been trained than are asked for now"
    def learner():
        cbs = [FiniteSteps(), Checkpoints(tmp_path)]
        return inpaint_learner(InpaintDataLoaders.from_folder(folder, device='cpu'), nf=1, cbs=cbs, **PLAIN)
    learn = learner()
    with learn.no_bar(), learn.no_logging(): learn.fit_phases(2, 0)
    for n_lbp in (0,1):
        learn = learner()
        learn.resume(tmp_path)
        learn.remove_cb(Checkpoints)
        with learn.no_bar(), learn.no_logging(): learn.fit_phases(n_lbp, 1)
        assert learn.position==dict(phase=2, epoch=1, batch=0, total=3)

class StopAt(Callback):
    "Ask the run to stop at batch `at`"
    order = 89
    def __init__(self, at): self.at = at
    def after_batch(self):
        if self.training and self.train_iter==self.at and hasattr(self.learn, 'checkpoints'): self.learn.stop_asked = signal.SIGTERM

def test_a_duration_that_was_interrupted_ends_as_the_numbers_that_it_came_to(folder, tmp_path, monkeypatch):
    "What the clock says is asked once, and written into the run"
    quick = dict(nf=1, n_lbp=0, lambda_p=0., lambda_s=0., decay=.5, ema=.9, every=10**6, device='cpu')
    monkeypatch.setattr(duration, 'timed', lambda *args: (10., 10.)) # so that the test does not depend on how busy the machine is
    make = command.inpaint_learner
    def stopping(*args, **kwargs): l = make(*args, **kwargs); l.add_cb(StopAt(7)); return l
    monkeypatch.setattr(command, 'inpaint_learner', stopping)
    with pytest.raises(Stopped): train(folder, tmp_path/'parts', n_joint=3, duration=5, **quick)
    monkeypatch.setattr(command, 'inpaint_learner', make)
    monkeypatch.setattr(duration, 'timed', lambda *args: pytest.fail('a run that is resumed is not timed again'))
    train(folder, tmp_path/'parts', n_joint=3, duration=5, **quick)
    config = json.loads((tmp_path/'parts/run.json').read_text())['config']
    assert (config['duration'],config['n_lbp'])==(5,0) and config['n_joint']*config['passes']>2
    train(folder, tmp_path/'whole', **{**quick, 'n_joint':config['n_joint'], 'passes':config['passes']})
    (a,about),(b,other) = (load_state(tmp_path/o/'last.safetensors') for o in ('parts','whole'))
    assert a.keys()==b.keys() and all(torch.equal(a[k], b[k]) for k in a) and about['rows']==other['rows']

def test_the_time_that_listing_the_pictures_takes_belongs_to_a_duration(folder, tmp_path, monkeypatch):
    listed,counted,load = [],[],command.load_pictures
    def noting(*args): listed.append(time.monotonic()); return load(*args)
    def count(run, settings, make, began): counted.append(began); return settings
    monkeypatch.setattr(command, 'load_pictures', noting)
    monkeypatch.setattr(command, 'count_epochs', count)
    command.start_run(folder, tmp_path/'run', TrainSettings(nf=1, duration=5, device='cpu', **PLAIN))
    assert counted[0]<=listed[0]
