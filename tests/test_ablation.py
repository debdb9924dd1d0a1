"Every arm of every study trains, is kept and scored like the others; a study can be stopped and goes on; numbers are what they say."
import json, shutil
from dataclasses import asdict
import numpy as np, pandas as pd, pytest, torch
from fastai.callback.core import Callback
from scipy import stats
from lbp_inpaint.evidence.ablation import STUDIES, Arm, PeakMemory, Study, ablate, arm_fill, fit_arm, make_study, study_arms, study_text
from lbp_inpaint.evidence.scores import paired_interval
from lbp_inpaint.cli import main
from lbp_inpaint.core import composite
from lbp_inpaint.errors import InpaintError, Stopped, UsageError
from lbp_inpaint.nets.build import build_net
from lbp_inpaint.nets.weights import load_net, save_net
from lbp_inpaint.metrics import psnr
from lbp_inpaint.settings import AblateSettings

SHORT = dict(seeds=1, nf=1, n_lbp=2, n_joint=2, pictures=1, holes=['centre'], device='cpu')
ARMS = {f'{study}: {name}':(study,name) for study,arms in STUDIES.items() for name in arms}
UNIQUE = {json.dumps(asdict(STUDIES[s][a])):k for k,(s,a) in reversed(ARMS.items())}.values()

def setup(study, folder, out, **more):
    s = make_study(study, folder, out, AblateSettings(**SHORT | more))
    s.claim_folder()
    return s

class Witness(Callback):
    "What is seen and what changes"
    def __init__(self): self.seen,self.terms = [],{}
    def before_fit(self): self.before = {k:v.detach().clone() for k,v in self.model.state_dict().items()}
    def after_loss(self):
        if self.training: self.terms.update({(self.position['phase'],k):v.item() for k,v in self.learn.terms.items()})
    def after_batch(self):
        if self.training: self.seen.append((self.position['phase'], self.xb[1].sum().item(), self.yb[0].sum().item()))
    def moved(self): return {k.split('.')[0] for k,v in self.model.state_dict().items() if k.endswith('weight') and not torch.equal(v, self.before[k])}

def played(study, name, folder, out, e_lbp=1, e_joint=1, **more):
    s = setup(study, folder, out, **more)
    learn = s.learner(name, 0)
    learn.add_cb(Witness())
    fit_arm(learn, s.arms[name], e_lbp, e_joint, s.ground.decay)
    return learn,s

@pytest.mark.parametrize('key', UNIQUE)
def test_every_arm_builds_steps_in_each_phase_saves_and_loads(key, folder, tmp_path):
    study,name = ARMS[key]
    arm = STUDIES[study][name]
    if arm.weights_of: pytest.skip('has no training of its own')
    learn,s = played(study, name, folder, tmp_path/'out')
    phases = [p for p,*_ in learn.witness.seen]
    assert set(phases)==({2} if arm.joint_from_start or not arm.guidance.completes else {1,2})
    assert learn.witness.moved()=={'g2','d2'} | (set() if arm.frozen or not arm.guidance.completes else {'g1'}) | ({'d1'} if arm.joint.get('lambda_lbp') else set())
    learn.export_inpainter(s.run_folder(name, 0))
    again,item = s.trained_net(name, 0),s.holed['centre'][0]
    learn.net.eval()
    for a,b in zip(*(arm_fill(n, arm, *item) for n in (again,learn.net))): assert torch.equal(a, b)

def test_all_arms_see_the_same_pictures_with_the_same_holes(folder, tmp_path):
    def seen(study, name): return played(study, name, folder, tmp_path/study, 2, 2)[0].witness.seen
    want = seen('guidance', 'lbp')
    assert len(set(want))==len(want)>2
    for name in ('none','true canny','planes'): assert [o[1:] for o in seen('guidance', name) if o[0]==2]==[o[1:] for o in want if o[0]==2]
    assert [o[1:] for o in seen('phases', 'joint from the start')]==[o[1:] for o in want]
    assert seen('attention', 'shift')==want

@pytest.mark.parametrize('name,lbp,joint', (('both',True,True),('G1 only',True,False),('G2 only',False,True),('neither',False,False)))
def test_the_multi_level_loss_is_where_the_arm_says(name, lbp, joint, folder, tmp_path):
    terms = played('multi-level', name, folder, tmp_path/'out')[0].witness.terms
    assert (terms.get((1,'m1'), 0)>0)==lbp and (terms.get((2,'m2'), 0)>0)==joint

def quiet(*args, **kwargs): return ablate(*args, **SHORT | kwargs)
def records(out): return {o.parent.name:{k:v for k,v in json.loads(o.read_text()).items() if k in ('arm','rows','curve')} for o in sorted(out.rglob('record.json'))}

class StopAt(Callback):
    order = 89
    def __init__(self, at): self.at = at
    def after_batch(self):
        if self.training and (self.position['phase'],self.train_iter)==self.at: self.learn.stop_asked = 2

@pytest.mark.parametrize('arm', ('G1 frozen','Eq. 5 kept'))
def test_a_study_that_is_stopped_goes_on_to_the_same_numbers(arm, folder, tmp_path, monkeypatch):
    size = dict(arms=[arm], n_lbp=2, n_joint=4)
    quiet('phases', folder, tmp_path/'whole', **size)
    plain = Study.learner
    for at in ((1,1),(2,1),(2,3)):
        def stopping(*args): learn = plain(*args); learn.add_cb(StopAt(at)); return learn
        monkeypatch.setattr(Study, 'learner', stopping)
        with pytest.raises(Stopped, match='runs are finished, and the same command goes on'): quiet('phases', folder, tmp_path/'parts', **size)
    monkeypatch.setattr(Study, 'learner', plain)
    quiet('phases', folder, tmp_path/'parts', **size)
    assert records(tmp_path/'parts')==records(tmp_path/'whole')
    assert not list((tmp_path/'parts').rglob('last.safetensors'))

@pytest.fixture(scope='module')
def leak(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp('leak')/'out'
    return ablate('leak', folder, out, **SHORT | dict(seeds=3, pictures=2, holes=['centre','20-30'])),out

def test_a_run_that_was_trained_but_not_scored_is_not_trained_again(leak, folder, tmp_path):
    out = shutil.copytree(leak[1], tmp_path/'out')
    want,weights = records(out),(out/'runs/leaky_1/model.safetensors').read_bytes()
    (out/'runs/leaky_1/record.json').unlink()
    ablate('leak', folder, out, **SHORT | dict(seeds=3, pictures=2, holes=['centre','20-30']))
    assert records(out)==want and (out/'runs/leaky_1/model.safetensors').read_bytes()==weights

def test_what_a_study_writes(leak):
    table,out = leak
    assert {o.name for o in out.iterdir()}=={'study.json','table.csv','results.json','curves.jpg','sheet.jpg','runs'}
    results = json.loads((out/'results.json').read_text())
    assert results['seeds']==3 and set(results['costs'])==set(STUDIES['leak']) and results['settings']['n_joint']==2
    assert pd.read_csv(out/'table.csv')['mean'].round(4).tolist()==pd.DataFrame(results['table'])['mean'].tolist()==table['mean'].round(4).tolist()
    text = study_text(results['table'], results['costs'])
    assert all(f'| {o} |' in text for o in STUDIES['leak'])

def test_the_table_is_made_of_the_records(leak):
    table,out = leak
    found = {}
    for f in out.rglob('record.json'):
        r = json.loads(f.read_text())
        for row in r['rows']: found[f.parent.name,row['hole'],row['picture']] = row
    for arm,slug in (('hole-blind','hole-blind'),('leaky, hole unknown','leaky-hole-unknown')):
        for hole in ('centre','20-30'):
            v = np.array([[found[f'{slug}_{s}',hole,p]['PSNR dB hole'] for p in range(2)] for s in range(3)])
            ref = np.array([[found[f'hole-blind_{s}',hole,p]['PSNR dB hole'] for p in range(2)] for s in range(3)])
            row = table.query('arm==@arm and hole==@hole and metric=="PSNR dB" and over=="hole"').iloc[0]
            assert np.allclose([row['mean'],row.spread,row.difference], [v.mean(), v.mean(1).std(ddof=1), (v-ref).mean()])
            assert np.allclose([row.low,row.high], paired_interval(v-ref)[1:])

def test_records_are_scores_of_the_weights(leak, folder):
    out = leak[1]
    s = setup('leak', folder, out, seeds=3, pictures=2, holes=['centre','20-30'])
    image,mask,truth = s.holed['20-30'][1]
    with torch.no_grad(): fill = load_net(out/'runs/hole-blind_2')(image[None], mask[None])[1]
    got = json.loads((out/'runs/hole-blind_2/record.json').read_text())['rows'][3]
    assert (got['hole'],got['picture'])==('20-30',1) and np.isclose(got['PSNR dB hole'], psnr(fill, truth[None], mask[None]).item())

def test_the_leak_is_shut_where_the_hole_is_unknown(leak, folder):
    s = setup('leak', folder, leak[1], seeds=3, pictures=2, holes=['centre','20-30'])
    image,mask,truth = s.holed['centre'][0]
    for name,blind in (('hole-blind',True),('leaky',False),('leaky, hole unknown',True),('leaky, honest map',True)):
        net,other = s.trained_net(name, 0),composite(-torch.ones_like(truth), truth, mask)
        a,b = (arm_fill(net, s.arms[name], image, mask, t)[1] for t in (truth,other))
        assert torch.equal(a, b)==blind, name
    assert not [o for o in leak[1].rglob('model.safetensors') if 'unknown' in str(o) or 'honest' in str(o)]

# numbers

def test_interval_is_students_where_pictures_or_seeds_agree():
    d = np.array([.3,-.1,.5,.2])[:,None].repeat(6, 1)
    want = stats.ttest_1samp(d[:,0], 0).confidence_interval()
    for throws in (d, d.T): assert np.allclose(paired_interval(throws), [d.mean(),want.low,want.high]) # four seeds; four pictures

def test_interval_of_a_vector_is_students_over_pictures(rng):
    d = rng.normal(.3, 1, 60)
    want = stats.ttest_1samp(d, 0).confidence_interval()
    assert np.allclose(paired_interval(d), [d.mean(),want.low,want.high]) and np.isnan(paired_interval(d[:1])[1:]).all()

def test_interval_of_one_seed_is_not_made_up():
    mean,low,high = paired_interval(np.array([[1.,2.]]))
    assert mean==1.5 and np.isnan([low,high]).all()

def test_interval_covers(rng):
    for sd in ((1,0,0),(1,1,1),(.2,1,.5)):
        miss = 0
        for _ in range(1000):
            _,low,high = paired_interval(sd[0]*rng.standard_normal((3,1))+sd[1]*rng.standard_normal((1,12))+sd[2]*rng.standard_normal((3,12)))
            miss += not low<=0<=high
        assert miss<70

def test_peak_memory_counts_views_once_and_the_dead_not_at_all():
    x = torch.zeros(1000, requires_grad=True)
    with PeakMemory() as l:
        y = (x*2).view(10,100)[::2] # 4000 bytes
        z = y.clone()               # 2000
        del z
        y.sum().backward()
    assert l.now>=4000+4000 and l.peak<4000*6

# mistakes

def told(capsys, code, *args):
    assert main([str(o) for o in args])==code
    err = [o for o in capsys.readouterr().err.splitlines() if 'Warning' not in o]
    assert len(err)==1 and err[0].startswith('lbp-inpaint: ') and err[0].endswith('.')
    return err[0]

@pytest.mark.parametrize('args,code,words', (
    (('size','--data','FOLDER'), 2, 'multi-level'), (('attention','--data','FOLDER','--arms','theirs'), 2, 'not itself'), (('attention','--data','FOLDER','--budget','huge'), 2, 'small'),
    (('attention','--data','nowhere'), 3, 'nowhere'), (('attention','--data','FOLDER','--seeds',0), 2, 'seeds'), (('attention','--data','FOLDER','--n-joint',-1), 2, 'n_joint'),
    (('attention','--data','FOLDER','--holes','left'), 2, 'left')), ids=str)
def test_mistakes_are_one_sentence_and_cost_nothing(args, code, words, folder, tmp_path, capsys):
    assert words in told(capsys, code, 'ablate', *[folder if o=='FOLDER' else o for o in args], '-o', tmp_path/'out', '--device', 'cpu')
    assert not (tmp_path/'out').exists()

def test_plain_ground_has_no_game_and_a_smooth_hole(folder, tmp_path):
    plain,paper = (played('multi-level', 'both', folder, tmp_path/str(o), 1, 4, plain=o)[0] for o in (True,False))
    assert not [k for _,k in plain.witness.terms if k[0] in 'ad'] and {(1,'m1'),(1,'r1'),(2,'m2'),(2,'r2')}<=set(plain.witness.terms)
    assert plain.witness.moved()=={'g1','g2'} and paper.witness.moved()=={'g1','g2','d2'}
    assert (plain.net.config['hole_value'],paper.net.config['hole_value'])==('smooth',1.)
    assert plain.recorder.lrs[-1]<.5*plain.recorder.lrs[0] and len(set(paper.recorder.lrs))==1
    assert plain.witness.seen==paper.witness.seen # the same pictures and holes

def test_arms_on_plain_ground_load(folder, tmp_path):
    table = quiet('leak', folder, tmp_path/'out', plain=True, precision='bf16')
    assert set(table.arm)==set(STUDIES['leak'])
    for name in ('hole-blind','leaky'): assert load_net(tmp_path/f'out/runs/{name}_0').config['hole_value']=='smooth'
    with pytest.raises(InpaintError, match='plain = True, but now plain = False'): quiet('leak', folder, tmp_path/'out', precision='bf16')

def test_arms_begin_with_the_weights_given(folder, tmp_path):
    net = build_net(nf=2, hole_value='smooth')
    save_net(net, tmp_path/'weights')
    s = setup('attention', folder, tmp_path/'out', plain=True, pretrained=str(tmp_path/'weights'), lr=3e-4)
    assert s.budget.nf==2 and s.budget.lr==3e-4 and s.noted['pretrained']=='weights'
    for name in ('ours','none','contextual','not itself'):
        learn = s.learner(name, 0)
        for k,v in learn.net.state_dict().items(): assert torch.equal(v, net.state_dict()[k])
        assert learn.lr==3e-4 and learn.net.config.get('attention', 'ours')==STUDIES['attention'][name].net.get('attention', 'ours')
    for name in ('shift','release'):
        with pytest.raises(UsageError, match=f'The arm {name} has other layers'): s.learner(name, 0)
    with pytest.raises(InpaintError, match="pretrained = 'weights', but now pretrained = None"): setup('attention', folder, tmp_path/'out', plain=True, nf=2, lr=3e-4)

def test_arms_keep_the_kind_of_hole_and_map_of_the_weights_given(folder, tmp_path):
    save_net(build_net(nf=2, hole_value='smooth', threshold='ge'), tmp_path/'weights')
    s = setup('leak', folder, tmp_path/'out', pretrained=str(tmp_path/'weights'))
    for name in ('hole-blind','leaky'):
        config = s.learner(name, 0).net.config
        assert (config['hole_value'],config['threshold'])==('smooth','ge')

def test_a_resumed_run_does_not_begin_anew(folder, tmp_path):
    net = build_net(nf=2, hole_value='smooth')
    save_net(net, tmp_path/'weights')
    def learner():
        return setup('multi-level', folder, tmp_path/'out', plain=True, pretrained=str(tmp_path/'weights')).learner('both', 0)
    learn = learner()
    fit_arm(learn, STUDIES['multi-level']['both'], 1, 1, .7)
    after = learner().net.state_dict()
    assert all(torch.equal(v, after[k]) for k,v in learn.net.state_dict().items()) and any(not torch.equal(v, after[k]) for k,v in net.state_dict().items())

def test_an_output_among_the_pictures_is_refused(folder, capsys):
    before = sorted(folder.rglob('*'))
    assert 'another place' in told(capsys, 2, 'ablate', 'leak', '--data', folder, '-o', folder/'out')
    assert sorted(folder.rglob('*'))==before

def test_another_study_in_the_folder_is_refused(leak, folder, tmp_path):
    out = shutil.copytree(leak[1], tmp_path/'out')
    before = {o:o.read_bytes() for o in out.rglob('*') if o.is_file()}
    for study,change in (('phases',{}),('leak',dict(nf=2)),('leak',dict(holes=['centre']))):
        with pytest.raises(InpaintError, match='holds another study'): ablate(study, folder, out, **SHORT | dict(pictures=2, holes=['centre','20-30']) | change)
    assert {o:o.read_bytes() for o in out.rglob('*') if o.is_file()}==before

def test_what_is_noted_of_a_study_has_its_old_names(leak):
    "So that a study which an earlier version began can be taken up."
    noted = json.loads((leak[1]/'study.json').read_text())
    assert list(noted)==['study','data','trained_on','holes','plain','precision','pretrained','vgg','lbp_inpaint','name','nf','bs','n_lbp','n_joint','lr','points','pictures','steps','e_lbp','e_joint']
    arm = json.loads((leak[1]/'runs/leaky_0/record.json').read_text())['arm']
    assert arm==dict(net=dict(guidance='leaky lbp'), lbp={}, joint={}, first='lbp', frozen=False, weights_of=None, intact=None)

def test_a_study_of_one_seed_can_be_told_from_its_file(folder, tmp_path):
    quiet('phases', folder, tmp_path/'out', arms=['G1 frozen'])
    results = json.loads((tmp_path/'out/results.json').read_text())
    assert results['table'][0]['low'] is None and '| G1 frozen |' in study_text(results['table'])

def test_a_damaged_record_is_named(leak, folder, tmp_path):
    out = shutil.copytree(leak[1], tmp_path/'out')
    (out/'runs/hole-blind_0/record.json').write_text('{"arm": ')
    with pytest.raises(InpaintError, match='record.json is damaged; remove it'): ablate('leak', folder, out, **SHORT | dict(pictures=2, holes=['centre','20-30']))

def test_an_arm_that_was_redefined_is_refused(leak, folder, tmp_path, monkeypatch):
    out = shutil.copytree(leak[1], tmp_path/'out')
    monkeypatch.setitem(STUDIES['leak'], 'leaky', Arm(dict(guidance='leaky lbp', top_t=3)))
    with pytest.raises(InpaintError, match='defined otherwise'): ablate('leak', folder, out, **SHORT | dict(pictures=2, holes=['centre','20-30']))

def test_on_the_command_line(folder, tmp_path, capsys):
    assert main(['ablate','attention','--data',str(folder),'--arms','none','--holes','centre','--seeds','1','--nf','1','--n-lbp','1','--n-joint','1','--pictures','1','--device','cpu','-o',str(tmp_path/'out')])==0
    said = capsys.readouterr().out
    assert '2/2 none, seed 0' in said and '| centre | none |' in said and list(study_arms('attention', ['none']))==['ours','none']
