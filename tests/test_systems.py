"The paper's system and the four that it is compared with, behind one protocol: built, kept, filled with, trained, left and taken up, scored."
import json, warnings
import numpy as np, pytest, torch
from fastai.basics import Callback, set_seed
from PIL import Image
from safetensors.torch import load_file
from lbp_inpaint.cli import main
from lbp_inpaint.errors import InpaintError, UsageError, WeightsError
from lbp_inpaint.evidence.compare import compare, gflop_of, play_once, width_of
from lbp_inpaint.evidence.evaluate import evaluate
from lbp_inpaint.filling.folders import fill
from lbp_inpaint.filling.inpainter import Inpainter
from lbp_inpaint.masks import center_mask
from lbp_inpaint.nets.build import MAP_NAMES, SYSTEMS, build_net, system_of
from lbp_inpaint.nets.weights import load_net, read_about, save_net
from lbp_inpaint.training.command import train
from lbp_inpaint.training.contextual import GradientPenalty, global_critic
from lbp_inpaint.training.data import InpaintDataLoaders
from lbp_inpaint.training.edge_connect import EdgeConnectObjectives
from lbp_inpaint.training.phases import inpaint_learner
from lbp_inpaint.training.runs import Checkpoints
from lbp_inpaint.training.shift_net import ShiftNetObjectives
from lbp_inpaint.training.steps import EMA, FiniteSteps, TurnPrecision

WIDTH = dict(lbp=2, ca=2, sh=2, gc=4, ec=2)
PHASES = {k:(1,2) if k in ('lbp','ec') else (2,) for k in SYSTEMS}
systems = pytest.mark.parametrize('system', list(SYSTEMS))

def blind(system): return dict(lambda_p=0, lambda_s=0) if system in ('lbp','ec') else {} # no VGG at hand

@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    "A folder of untrained weights for each system"
    root = tmp_path_factory.mktemp('weights')
    for k,nf in WIDTH.items(): set_seed(1); save_net(build_net(k, nf=nf), root/k)
    return root

@pytest.fixture(scope='module')
def dls(folder): return InpaintDataLoaders.from_folder(folder, seed=0, device='cpu')

def learner(dls, system, *cbs, **kwargs):
    set_seed(0)
    return inpaint_learner(dls, system=system, nf=WIDTH[system], cbs=list(cbs), **blind(system), **kwargs)

@systems
def test_a_config_is_enough_to_build_it(system):
    net = build_net(system, nf=WIDTH[system])
    config = json.loads(json.dumps(net.config))
    assert system_of(net)==system and build_net(**config).config==net.config and type(net) is SYSTEMS[system]
    assert ('system' in config)==(system!='lbp') # ours is described as before there were others

@systems
def test_saved_and_loaded_it_is_the_same(system, weights):
    set_seed(1)
    net,again = build_net(system, nf=WIDTH[system]).eval(),load_net(weights/system)
    assert read_about(weights/system)['network']==net.config
    for (k,a),b in zip(net.state_dict().items(), again.state_dict().values(), strict=True): assert torch.equal(a, b), k
    image,mask = torch.rand(1,3,256,256)*2-1,center_mask()[None]
    with torch.no_grad(): (lbp,fill),(lbp_2,fill_2) = net(image, mask),again(image, mask)
    assert torch.equal(fill, fill_2) and (lbp is None)==(lbp_2 is None)==(system not in MAP_NAMES)
    assert torch.equal(fill*(1-mask), image*(1-mask))

@systems
def test_weights_of_another_system_do_not_fit(system, weights, tmp_path):
    other = 'gc' if system=='lbp' else 'lbp'
    with pytest.raises(UsageError, match=f'are of the system {other}, but system = {system} came'): learner(None, system, pretrained=weights/other)
    tensors = load_file(weights/system/'model.safetensors')
    class Liar(torch.nn.Module):
        config = build_net(other, nf=WIDTH[other]).config
        def state_dict(self): return tensors
    save_net(Liar(), tmp_path)
    with pytest.raises(WeightsError, match='tensor'): load_net(tmp_path)

@systems
def test_it_fills_and_tells_what_it_has(system, weights, photographs, tmp_path):
    picture,hole = Image.fromarray(photographs['chelsea'][:280,:300]),np.zeros((280,300), bool)
    hole[100:180,90:200] = True
    picture.save(tmp_path/'in.png'); Image.fromarray(hole).save(tmp_path/'mask.png')
    inp = Inpainter.from_pretrained(weights/system, 'cpu')
    known = np.array(picture)[~hole]
    assert (np.array(inp(picture, hole))[~hole]==known).all()
    maps = dict(lbp=str(tmp_path/'map.png')) if system in MAP_NAMES else {}
    out = fill(tmp_path/'in.png', tmp_path/'mask.png', tmp_path/'out.png', weights=weights/system, device='cpu', **maps)
    assert (np.array(Image.open(out[0]))[~hole]==known).all()
    if maps: assert Image.open(tmp_path/'map.png').size==picture.size
    else:
        with pytest.raises(UsageError, match='complete no map'): fill(tmp_path/'in.png', tmp_path/'mask.png', tmp_path/'out2.png',
            weights=weights/system, device='cpu', lbp=str(tmp_path/'map.png'))
    if system=='lbp': assert inp.explain(picture, hole, 120, 120).sources
    else:
        with pytest.raises(InpaintError, match='no spatial attention'): inp.explain(picture, hole, 120, 120)
        with pytest.raises(UsageError, match="Only weights of the paper's system"): inp.export(tmp_path/'net.pt2')

@pytest.mark.parametrize('system', [k for k in SYSTEMS if k!='lbp'])
def test_what_it_does_not_have_is_refused(system, dls):
    "A setting that only another system has, and a phase that this one does not have"
    for wrong in (dict(lambda_m=0.), dict(smooth_hole=True), dict(net_kwargs=dict(attention='none'))):
        with pytest.raises(UsageError, match=f'system {system} has no'): learner(dls, system, **wrong)
    with pytest.raises(UsageError, match=f'system {system} is trained in phase'): learner(dls, system).fit_phases(1, 0) if system!='ec' else learner(dls, system).enter_phase(3)

@pytest.mark.parametrize('system,side', dict(ca=8, sh=256, gc=8, ec=4).items())
def test_sides_that_do_not_divide_are_told(system, side):
    net,image = build_net(system, nf=WIDTH[system]),torch.zeros(1,3,256,254)
    with pytest.raises(UsageError, match=f'multiples of {side}'): net(image, image[:,:1])

@systems
def test_one_step_in_lower_precision_moves_who_plays(system, dls):
    learn = learner(dls, system, TurnPrecision('bf16'), FiniteSteps(), lr=1e-2)
    for phase in PHASES[system]:
        learn.enter_phase(phase)
        players = {k for t in learn.turns for k in t.players}
        before = {k:v.detach().clone() for k,v in learn.model.named_parameters()}
        with learn.no_bar(), learn.no_logging(): learn.fit(1)
        moved = {k.partition('.')[0] for k,v in learn.model.named_parameters() if not torch.equal(v, before[k])}
        assert moved==players and not learn.finite_steps.skipped
        assert all(v.isfinite().all() for v in learn.model.parameters())

# what a step costs, by hand: backward is twice forward, but nobody asks for the slope of what a network is shown

def conv_gflop(side, kernel, ni, nf): return 2*kernel**2*ni*nf*side**2/1e9

def shown(device):
    truth,mask = torch.rand(1,3,256,256, device=device)*2-1,center_mask()[None].to(device)
    return torch.where(mask>0, 1., truth),mask,truth

def test_a_step_of_shift_net_costs_what_its_passes_cost():
    "At official width: the aim is three layers of the encoder, and the choice of sources has no slope"
    with torch.device('meta'):
        o = ShiftNetObjectives(build_net('sh', nf=64))
        batch = shown('meta')
        got = gflop_of(lambda: play_once(o, 2, batch))
        with torch.no_grad(): g,d = gflop_of(lambda: o.net(*batch[:2])),gflop_of(lambda: o.networks['d'](batch[0]))
    cosines = 2*256*1024**2/1e9
    aim = sum(conv_gflop(side, 4, *n) for side,n in ((128,(4,64)),(64,(64,128)),(32,(128,256))))
    painter = 3*g - 2*cosines - conv_gflop(128, 4, 4, 64)
    judge = 2*(3*d - conv_gflop(128, 4, 3, 64))
    assert (g,d)==(pytest.approx(13.74, abs=.01),pytest.approx(6.29, abs=.01))
    assert got==pytest.approx(painter + aim + judge + 2*d, rel=1e-6)

def test_a_step_of_edge_connect_costs_what_its_passes_cost():
    "At a quarter of the official width; the edge generator paints once more in phase 2, for nobody to learn from"
    o,batch = EdgeConnectObjectives(build_net('ec', nf=16)),shown('cpu')
    (g1,g2),(d1,d2) = (6.3179,6.6167),(0.40639,0.41499)
    first = [conv_gflop(256, 7, n, 16) for n in (3,4)]
    judge = [2*(3*d - conv_gflop(128, 4, n, 16)) for d,n in ((d1,2),(d2,3))]
    want = 3*g1-first[0]+judge[0]+3*d1, g1+3*g2-first[1]+judge[1]+2*d2 # features of real maps are compared, too
    assert [gflop_of(lambda: play_once(o, n, batch)) for n in (1,2)]==[pytest.approx(v, rel=2e-3) for v in want]

def test_a_slope_is_penalised_in_float32_whatever_comes_in():
    "In half precision a sum of squared slopes would be poor, and that of a flat critic must not be NaN"
    torch.manual_seed(0)
    critic,(real,fake) = global_critic(32, 4),torch.rand(2,2,3,32,32)
    mask = torch.zeros(2,1,32,32); mask[...,8:24,8:24] = 1
    def penalty(lower=False):
        torch.manual_seed(1)
        with torch.autocast('cpu', torch.bfloat16, enabled=lower): loss = GradientPenalty()(critic, real, fake, mask)
        return loss,torch.autograd.grad(loss, list(critic.parameters()), allow_unused=True) # outside, as a step does
    (want,slopes),(got,again) = penalty(),penalty(lower=True)
    assert got.dtype==torch.float32 and torch.equal(got, want)
    assert all(torch.equal(a, b) for a,b in zip(slopes, again) if a is not None)
    with torch.no_grad(): critic.layers[-1][1].weight.zero_()
    loss,slopes = penalty()
    assert loss.item()==pytest.approx(1, abs=1e-5) and all(o.isfinite().all() for o in slopes if o is not None)

@systems
def test_a_comparison_can_have_any_fraction_of_a_width(system):
    for fraction in (1/16,1/8,1/4,1): build_net(system, nf=width_of(system, fraction))

class StopAt(Callback):
    "Ask the run to stop at batch `at` of phase `phase`"
    order = 89
    def __init__(self, phase, at): self.at,self.in_phase = at,phase
    def after_batch(self):
        if self.training and (self.position['phase'],self.train_iter)==(self.in_phase,self.at): self.learn.stop_asked = 2

@systems
def test_left_and_taken_up_it_goes_on_to_the_same_bits(system, dls, tmp_path):
    "With a moving average of the generators, in the middle of an epoch of each phase"
    def run(folder, *cbs):
        names = ('g1','g2') if system in ('lbp','ec') else ('g',)
        learn = learner(dls, system, FiniteSteps(), EMA(.9, names), Checkpoints(folder, best=('picture_psnr','valid_loss')), *cbs)
        assert learn.generator_names==names
        learn.resume(folder)
        with learn.no_bar(), learn.no_logging(): learn.fit_phases(int(1 in PHASES[system]), 1, decay=.5)
        return learn.state()[0]
    want = run(tmp_path/'whole')
    for phase in PHASES[system]: run(tmp_path/'parts', StopAt(phase, 1))
    got = run(tmp_path/'parts')
    assert set(got)==set(want) and not [k for k in want if not torch.equal(want[k], got[k])]

@systems
def test_trained_by_the_command_it_is_weights_like_any(system, folder, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        train(folder, tmp_path/'run', system=system, nf=WIDTH[system], n_lbp=1, n_joint=1, ema=.9, device='cpu', **blind(system))
    run = json.loads((tmp_path/'run/run.json').read_text())
    assert run['config']['n_lbp']==int(1 in PHASES[system]) and run['config']['network'].get('system', 'lbp')==system
    assert 'lambda_a' in run['config'] and (tmp_path/'run/README.md').is_file()
    table = evaluate(folder/'valid', tmp_path/'out', methods=[str(tmp_path/'run'),'mean'], holes=['centre'], device='cpu')
    assert set(table.method)=={'run','mean'} and table.value.notna().all() and (tmp_path/'out/sheet.png').is_file()

def test_a_comparison_is_of_the_same_protocol_for_all(folder, tmp_path, capsys):
    "Two systems in all three tables; taken up again nothing is trained twice; another table shares what is there"
    settings = dict(systems=['gc'], seeds=2, holes=['20-30'], pictures=1, device='cpu')
    table = compare(folder, tmp_path/'out', **settings)
    runs = sorted(o.name for o in (tmp_path/'out/runs').iterdir())
    said = capsys.readouterr().out
    assert set(table.table)=={'width','compute','loss'} and list(table.system.unique())==['lbp','gc','mean','smooth']
    assert said.count('| 20-30 | gc |')==3 and all((tmp_path/'out'/o).is_file() for o in ('table.csv','results.json','report.md','sheet.jpg'))
    results = json.loads((tmp_path/'out/results.json').read_text())
    work = {k:{s:c['step GFLOP']*c['pictures'] for s,c in results['costs'][k].items()} for k in ('width','compute')}
    assert results['costs']['width']['gc']['pictures']==results['costs']['width']['lbp']['pictures']
    assert work['compute']['gc']<work['width']['gc'] and results['costs']['compute']['gc']['pictures']<6 # who is dear sees fewer
    lead = table[(table.system=='gc') & (table.metric=='PSNR dB') & (table.over=='picture')]
    assert (lead.low<lead.difference).all() and (lead.difference<lead.high).all()
    again = compare(folder, tmp_path/'out', tables=['loss'], **settings)
    assert ' s\n' not in capsys.readouterr().out and sorted(o.name for o in (tmp_path/'out/runs').iterdir())==runs
    assert again['mean'].tolist()==table[table.table=='loss']['mean'].tolist()

def test_what_a_comparison_refuses(folder, tmp_path):
    for wrong,said in ((dict(systems=['lama']),'systems must be names out of lbp'), (dict(tables=['depth']),'tables must be'), (dict(budget='huge'),'tiny, short, small, full')):
        with pytest.raises(UsageError, match=said): compare(folder, tmp_path, **wrong)
    with pytest.raises(UsageError, match='lies in the folder of pictures'): compare(folder, folder/'out')
    with pytest.raises(UsageError, match='There is no setting budjet; did you mean budget'): compare(folder, tmp_path, budjet='tiny')

@pytest.mark.parametrize('args,code,said', (
    (('train','--system','lama'), 2, 'system must be one of lbp, ca, sh, gc, ec'),
    (('train','--system','sh','--pretrained','WEIGHTS'), 2, 'are of the system gc, but system = sh came'),
    (('train','--system','gc','--lambda-m','1'), 2, 'The system gc has no setting lambda_m'),
    (('train','--system','ec','--smooth-hole','--lambda-p','0','--lambda-s','0'), 2, 'system ec has no'),
    (('train','--system','gc','--nf','10'), 2, 'multiple of 4'),
    (('train','--system','ca','--nf','3'), 2, 'multiple of 2'),
    (('train','--system','ca','--size','264'), 2, 'multiple of 256'),
    (('train','--system','gc','--size','260'), 2, 'multiple of 256'),
    (('train','--system','sh','--size','264'), 2, 'multiple of 256'),
    (('train','--system','ec','--size','258','--lambda-p','0','--lambda-s','0'), 2, 'multiple of 256'),
    (('compare','--systems','lama'), 2, 'systems must be names out of lbp, ca, sh, gc, ec'),
    (('compare','--tables','depth'), 2, 'tables must be names out of width, compute, loss'),
    (('compare','--budget','huge'), 2, 'budget must be one of tiny, short, small, full'),
    (('compare','--holes','left'), 2, 'range of percent'),
    (('compare','--seeds','0'), 2, 'seeds must be')), ids=lambda o: ' '.join(o) if isinstance(o, tuple) else '')
def test_mistakes_are_one_sentence_and_leave_nothing(args, code, said, folder, weights, tmp_path, capsys):
    command,*rest = (str(weights/'gc') if o=='WEIGHTS' else o for o in args)
    where = [str(folder)] if command=='train' else ['--data',str(folder)]
    assert main([command, *where, '-o', str(tmp_path/'out'), '--device', 'cpu', *rest])==code
    err = [o for o in capsys.readouterr().err.splitlines() if o.startswith('lbp-inpaint: ') and 'threads' not in o]
    assert len(err)==1 and said in err[0] and err[0].endswith('.') and '. ' not in err[0][:-1], err
    assert not (tmp_path/'out').exists()

def test_a_map_that_is_not_there_is_missed_before_anything_is_written(photographs, tmp_path):
    save_net(build_net('sh', nf=1), tmp_path/'w')
    Image.fromarray(photographs['coffee'][:64,:64]).save(tmp_path/'p.png')
    for share in (0,200):
        Image.fromarray(np.full((64,64), 0, np.uint8) if not share else np.pad(np.full((20,20), 255, np.uint8), 22)).save(tmp_path/'m.png')
        with pytest.raises(UsageError, match='complete no map'): fill(tmp_path/'p.png', tmp_path/'m.png', tmp_path/'out.png', weights=str(tmp_path/'w'), lbp=str(tmp_path/'map.png'), device='cpu')
        assert not (tmp_path/'out.png').exists() and not (tmp_path/'map.png').exists()
