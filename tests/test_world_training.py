"What the world brings along to training and evaluation: its devices, masks, folders, and the habits of fastai's users."
import contextlib, hashlib, io, json, pickle, shutil, subprocess, sys, warnings
from functools import partial
from pathlib import Path
import numpy as np, pytest, tifffile, torch
from fastai.callback.core import Callback
from fastai.callback.fp16 import MixedPrecision
from fastai.callback.mixup import CutMix, MixUp
from fastai.callback.progress import CSVLogger
from fastai.callback.tracker import EarlyStoppingCallback, ReduceLROnPlateau, SaveModelCallback
from fastai.callback.training import GradientAccumulation, GradientClip
from fastai.learner import AvgMetric
from fastai.metrics import Perplexity, accuracy, mae, mse
from fastai.optimizer import Adam, OptimWrapper, RMSProp
from fastai.interpret import Interpretation
from PIL import Image
from lbp_inpaint.cli import main
from lbp_inpaint.core import PRECISIONS, find_device, find_precision, sample_generator
from lbp_inpaint.errors import InpaintError, MaskError, PictureError, UsageError
from lbp_inpaint.evidence.evaluate import evaluate
from lbp_inpaint.evidence.scores import HoledPictures, deal_masks
from lbp_inpaint.filling.inpainter import Inpainter
from lbp_inpaint.masks import irregular_mask
from lbp_inpaint.nets.weights import read_about
from lbp_inpaint.training.command import data_digest, train
from lbp_inpaint.training.data import FolderMasks, InpaintDataLoaders, picture_files
from lbp_inpaint.training.phases import inpaint_learner
from lbp_inpaint.training.steps import EMA, TurnPrecision

USAGE,PICTURE = 2,3
QUICK = dict(nf=1, lambda_p=0, lambda_s=0, device='cpu')
NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU here')

def quietly(f, *args, **kwargs):
    "What `f` gives, without tables of epochs; and the warnings"
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(record=True) as told:
        warnings.simplefilter('always')
        return f(*args, **kwargs),[str(o.message) for o in told]

def one_sentence(e):
    text = str(e.value if hasattr(e, 'value') else e)
    assert text[-1] in '.?' and '\n' not in text and '. ' not in text, text
    return text

def refused(kind, said, f, *args, **kwargs):
    with pytest.raises(kind) as e, warnings.catch_warnings():
        warnings.simplefilter('ignore')
        f(*args, **kwargs)
    assert said in one_sentence(e), e.value

def command_refused(capsys, code, said, *args):
    assert main([str(o) for o in args])==code
    err = capsys.readouterr().err
    assert said in err and err.count('\n')==1 and 'Traceback' not in err, err

@pytest.fixture
def photos(tmp_path, photographs):
    "A folder of four photographs, and nothing else"
    (tmp_path/'photos').mkdir()
    for k,v in photographs.items(): Image.fromarray(v).resize((300,280)).save(tmp_path/'photos'/f'{k}.png')
    Image.fromarray(np.indices((280,300)).min(0)>250).save(tmp_path/'m.png')
    return tmp_path/'photos'

def loaders(folder, **kwargs): return InpaintDataLoaders.from_folder(folder, **{'device':'cpu', 'seed':1, **kwargs})

# devices

COMMANDS = dict(train=lambda f: ('train',f,'--nf',1,'--lambda-p',0,'--lambda-s',0), evaluate=lambda f: ('evaluate',f,'--methods','mean','--holes','centre'),
    fill=lambda f: ('fill',f/'coffee.png',f.parent/'m.png'), ablate=lambda f: ('ablate','attention','--data',f), demo=lambda f: ('demo',))

@NO_GPU
@pytest.mark.parametrize('device', ('cuda','cuda:7'))
@pytest.mark.parametrize('command', COMMANDS)
def test_a_gpu_that_is_not_there_is_one_sentence_in_every_command(command, device, photos, tmp_path, capsys):
    command_refused(capsys, USAGE, f'no device {device} here; use auto', *COMMANDS[command](photos), '-o', tmp_path/'out.png', '--device', device)
    assert not (tmp_path/'out.png').exists()

def test_auto_trains_on_what_there_is(photos, tmp_path):
    learn,_ = quietly(train, photos, tmp_path/'run', n_lbp=1, n_joint=0, **{**QUICK, 'device':'auto'})
    assert str(learn.dls.device).partition(':')[0]==find_device('auto')

@pytest.mark.parametrize('name', ('tpu','CPU','gpu','cuda:x'))
def test_a_device_that_is_none(name, photos): refused(UsageError, 'use auto, cpu, cuda or mps', loaders, photos, device=name)

@pytest.fixture(params=('refuses','stays in float32'))
def poor_device(request, monkeypatch):
    "A device that has no lower precision, in either of the ways in which torch answers"
    class Autocast(contextlib.nullcontext):
        def __init__(self, kind, dtype=None, **kwargs):
            super().__init__()
            if request.param=='refuses' and dtype is not None: raise RuntimeError('Current device does not support bfloat16')
    monkeypatch.setattr(torch, 'autocast', Autocast)

def test_a_device_without_bf16(poor_device, photos, tmp_path):
    refused(UsageError, 'cpu cannot compute in bf16; use fp32', train, photos, tmp_path/'run', precision='bf16', **QUICK)
    assert not (tmp_path/'run').exists()
    refused(UsageError, 'cannot compute in bf16', inpaint_learner(loaders(photos), nf=1, lambda_p=0, lambda_s=0).to_bf16)
    assert find_precision('fp32') is None

# mask functions

def drawn(size, generator): return irregular_mask(size, (.2,.3), generator)
def told(f): return lambda size, generator: f(drawn(size, generator))
PLAIN = dict(float=lambda m: m, bool=lambda m: m.bool(), flat=lambda m: m[0], double=lambda m: m.double(), half=lambda m: m.half(), int64=lambda m: m.long(),
    numpy=lambda m: m.numpy(), numpy_flat=lambda m: m[0].numpy(), numpy_bool=lambda m: m.numpy()>0, levels=lambda m: (m*255).byte(), numpy_levels=lambda m: np.uint8(255)*m[0].byte().numpy(),
    deep_levels=lambda m: m[0].numpy().astype(np.uint16)*65535, float_levels=lambda m: m*255, last=lambda m: m.permute(1,2,0).numpy(), pillow=lambda m: Image.fromarray(m[0].numpy()>0),
    pillow_grey=lambda m: Image.fromarray(m[0].byte().numpy()*255), big_endian=lambda m: m.numpy().astype('>f8'), big_endian_ints=lambda m: m.numpy().astype('>i4'),
    strided=lambda m: m.numpy()[:,::-1][:,::-1], long_double=lambda m: m.numpy().astype(np.longdouble), with_gradient=lambda m: m.requires_grad_())

@pytest.fixture(scope='module')
def plain_batch(folder): return loaders(folder, bs=2, mask_fn=drawn).one_batch()

@pytest.mark.parametrize('how', PLAIN)
def test_a_mask_whose_meaning_is_plain(how, folder, plain_batch):
    for a,b in zip(loaders(folder, bs=2, mask_fn=told(PLAIN[how])).one_batch(), plain_batch): assert a.dtype==b.dtype and torch.equal(a, b)

OBSCURE = dict(soft=(lambda m: m*.7, 'values from 0 to 0.7'), signs=(lambda m: m*2-1, 'from -1 to 1'), labels=(lambda m: m*3, 'from 0 to 3'), nan=(lambda m: m/0, 'nan'), none=(lambda m: None, 'NoneType'),
    words=(lambda m: 'mask.png', 'str, no mask'), list=(lambda m: m.tolist(), 'list, no mask'), small=(lambda m: m[:,:128,:128], '(1,128,128); expected (1,256,256)'), colour=(lambda m: m.expand(3,-1,-1), '(3,256,256)'),
    batch=(lambda m: m[None], '(1,1,256,256)'), all=(lambda m: m*0+1, 'covers the whole picture'), tuple=(lambda m: (m,m), 'tuple'), complex=(lambda m: m.to(torch.complex64), 'no mask'), empty=(lambda m: m[:0], '(0,256,256)'))

@pytest.mark.parametrize('how', OBSCURE)
def test_a_mask_whose_meaning_is_not_plain_is_refused_at_once(how, folder):
    f,said = OBSCURE[how]
    refused(UsageError, said, loaders, folder, mask_fn=told(f))

@pytest.mark.parametrize('f', (lambda: 0, lambda size: 0, lambda a, b, c: 0, lambda *, size, generator: 0), ids=('nothing','size','three','names'))
def test_a_mask_function_that_cannot_be_called(f, folder): refused(UsageError, 'def mask_fn(size, generator)', loaders, folder, mask_fn=f)

def test_a_hole_may_be_empty(folder): assert not loaders(folder, mask_fn=told(lambda m: m*0)).one_batch()[1].any()

def test_a_mask_that_is_wrong_now_and_then_ends_the_fit_in_one_sentence(folder):
    def now_and_then(size, generator): return drawn(size, generator)*(1 if generator.initial_seed()==first.initial_seed() else .5)
    first = sample_generator(1, 0, 0)
    learn = inpaint_learner(loaders(folder, mask_fn=now_and_then), nf=1, lambda_p=0, lambda_s=0)
    with learn.no_bar(), learn.no_logging(): refused(UsageError, 'values from 0 to 0.5', learn.fit, 1)

# sizes and names, at once

@pytest.mark.parametrize('size', (128, 0, -256, '256', 256., 300, None), ids=str)
def test_a_size_that_the_networks_cannot_halve(size, folder): refused(UsageError, 'size must be a multiple of 256', loaders, folder, size=size)

def test_other_networks_have_other_sides(folder):
    dls = loaders(folder, size=64, sides=8)
    refused(UsageError, 'but 64 came; give 256 or 512', inpaint_learner, dls, nf=1, lambda_p=0, lambda_s=0)

@pytest.mark.parametrize('wrong, said', ((dict(bs=0),'bs must be'), (dict(bs=1.5),'bs must be'), (dict(seed=-1),'seed must be'), (dict(num_workers=-1),'workers must be'), (dict(passes=0),'passes must be'),
    (dict(valid_pct=20),'valid_pct must be'), (dict(vald_pct=.2),'did you mean valid_pct?'), (dict(batch_size=4),'use bs'), (dict(item_tfms=1),'cropped to size'), (dict(batch_tfms=1),'cropped to size'),
    (dict(shuffle=False),'always are'), (dict(val_bs=2),'bs holds for validation'), (dict(colour=1),'it takes bs, size')), ids=str)
def test_settings_of_the_loaders(wrong, said, folder): refused(UsageError, said, loaders, folder, **wrong)

@pytest.mark.parametrize('wrong', (dict(lamda_p=0), dict(lambda_P=0), dict(lamda_s=0), dict(lambdas=0)), ids=str)
def test_a_typo_is_told_before_a_download(wrong, folder, tmp_path, monkeypatch):
    def never(*args, **kwargs): raise AssertionError('a download')
    monkeypatch.setattr(torch.hub, 'load_state_dict_from_url', never)
    refused(UsageError, 'did you mean lambda_', inpaint_learner, loaders(folder), **wrong)
    refused(UsageError, 'did you mean lambda_', train, folder, tmp_path/'run', **wrong)

@pytest.mark.parametrize('other', (None, [1,2], 'photos'), ids=str)
def test_data_of_another_kind(other): refused(UsageError, 'make them with InpaintDataLoaders.from_folder', inpaint_learner, other, nf=1, lambda_p=0, lambda_s=0)

# masks of one's own

@pytest.fixture
def scratches(tmp_path):
    "Mask files of several kinds and sizes, of which each has its hole in the upper left corner"
    folder = tmp_path/'scratches'; (folder/'below').mkdir(parents=True)
    def corner(h, w):
        m = np.zeros((h,w), bool); m[:h//5,:w//5] = True
        return m
    Image.fromarray(corner(256,256)).save(folder/'same.png')
    Image.fromarray(np.uint8(255)*corner(60,90)).save(folder/'small.jpg', quality=95)
    Image.fromarray(np.uint8(255)*corner(900,500)).save(folder/'tall.bmp')
    tifffile.imwrite(folder/'below/deep.tif', corner(300,300).astype(np.uint16)*65535)
    rgba = np.zeros((200,320,4), np.uint8); rgba[corner(200,320)] = 255
    Image.fromarray(rgba).save(folder/'strokes.png')
    return folder

def flat(dls): return [torch.cat([o.float().flatten() for o in b]) for b in dls.train]

@pytest.mark.parametrize('workers, keep', ((1,False),(2,False),(0,True)))
def test_own_holes_are_keyed_like_drawn_ones(workers, keep, folder, scratches):
    def of(n, keep):
        dls = loaders(folder, mask_fn=FolderMasks(scratches), num_workers=n)
        if keep: dls.keep()
        return flat(dls)
    for a,b in zip(of(0, False), of(workers, keep), strict=True): assert torch.equal(a, b)

def test_all_masks_are_dealt_out_in_all_their_ways(scratches):
    own = FolderMasks(scratches)
    got = [own(256, sample_generator(0, 0, i)) for i in range(60)]
    assert len(own.files)==5
    for m in got: assert m.shape==(1,256,256) and m.dtype==torch.float32 and m.unique().tolist()==[0,1] and 0<m.mean()<.2
    sides = [(m[0,:,:128].sum()>m[0,:,128:].sum()).item() for m in got]
    assert 15<sum(sides)<45, 'half of them are mirrored'
    assert len({m.numpy().tobytes() for m in got})>10
    assert all(torch.equal(a, pickle.loads(pickle.dumps(own))(256, sample_generator(0, 0, i))) for i,a in enumerate(got[:5]))

def test_what_a_large_mask_touches_stays_a_hole(tmp_path):
    hair = np.zeros((2560,2560), bool); hair[1000] = True # a tenth of a pixel
    Image.fromarray(hair).save(tmp_path/'hair.png')
    assert FolderMasks(tmp_path)(256, sample_generator(0,0,0))[0].any(0).all()

def test_a_crop_without_a_hole_moves_to_it(tmp_path):
    wide = np.zeros((100,2000), bool); wide[40:60,1900:1950] = True
    Image.fromarray(wide).save(tmp_path/'wide.png')
    own = FolderMasks(tmp_path)
    for i in range(30): assert own(256, sample_generator(0,0,i)).any()

def test_a_crop_that_is_all_hole_moves_to_where_something_is_known(tmp_path, folder):
    "As half of a wide picture that is missing; a hole without anything around it would end the training"
    half = np.zeros((100,400), bool); half[:,:300] = True
    Image.fromarray(half).save(tmp_path/'half.png')
    own = FolderMasks(tmp_path)
    for i in range(30): assert 0<own(64, sample_generator(0,0,i)).mean()<1
    for _,mask,_ in loaders(folder, mask_fn=own, passes=3).train: assert 0<mask.mean()<1

def test_a_mask_that_leaves_nothing_known_at_the_size_of_crops_is_named(tmp_path, folder):
    lines = np.ones((2560,2560), bool); lines[::40] = False # a fortieth is known, and a tenth of a pixel wide
    Image.fromarray(lines).save(tmp_path/'lines.png')
    refused(MaskError, 'lines.png leaves nothing known when it is scaled to 256 pixels', loaders, folder, mask_fn=FolderMasks(tmp_path))

def test_masks_that_do_not_serve_are_left_out_with_a_note(scratches):
    Image.new('L', (64,64)).save(scratches/'black.png')
    Image.new('L', (64,64), 255).save(scratches/'white.png')
    (scratches/'page.png').write_bytes(b'<!DOCTYPE html>')
    own,notes = quietly(FolderMasks, scratches)
    assert len(own.files)==5 and len(notes)==1 and '3 of the 8 masks' in notes[0] and 'black.png has no hole' in notes[0]

@pytest.mark.parametrize('spoil, said', ((lambda f: None, 'None of the 0 files'), (lambda f: Image.new('L', (9,9)).save(f/'black.png'), 'black.png has no hole'), (lambda f: f.rmdir(), 'is not a folder')), ids=('empty','black','none'))
def test_a_folder_without_a_usable_mask(spoil, said, photos, tmp_path):
    (tmp_path/'own').mkdir(); spoil(tmp_path/'own')
    refused(MaskError, said, train, photos, tmp_path/'run', masks=tmp_path/'own', **QUICK)
    assert not (tmp_path/'run').exists()

def test_training_with_own_masks_is_recorded_and_taken_up_with_the_same_ones_only(photos, scratches, tmp_path, capsys):
    options = ('--masks',scratches,'--nf',1,'--lambda-p',0,'--lambda-s',0,'--n-joint',0,'--device','cpu','-o',tmp_path/'run')
    assert main([str(o) for o in ('train',photos,*options,'--n-lbp',1)])==0
    record = read_about(tmp_path/'run')['training']
    assert record['masks']=='5 mask files of the folder scratches, scaled, cropped and mirrored' and str(tmp_path) not in json.dumps(record)
    assert record['masks'] in (tmp_path/'run/README.md').read_text()
    assert main([str(o) for o in ('train',photos,*options,'--n-lbp',2)])==0
    refused(UsageError, 'mask_files = ', train, photos, tmp_path/'run', n_lbp=3, n_joint=0, **QUICK)
    (scratches/'same.png').unlink()
    refused(UsageError, 'mask_files = ', train, photos, tmp_path/'run', n_lbp=3, n_joint=0, masks=scratches, **QUICK)

def test_masks_below_the_pictures_are_no_pictures(photos, scratches):
    shutil.move(scratches, photos/'scratches')
    assert len(loaders(photos, mask_fn=FolderMasks(photos/'scratches')).train_ds.files)==3

def test_photographs_are_no_masks(photos, tmp_path):
    for masks in (photos,photos/'..'/'photos'): refused(UsageError, 'a photograph is no mask', train, photos, tmp_path/'run', masks=masks, **QUICK)
    refused(UsageError, 'a photograph is no mask', evaluate, photos, tmp_path/'ev', methods=['mean'], masks=photos, device='cpu')

# runs and evaluations among the photographs

def test_a_run_in_the_folder_of_its_photographs_goes_on(photos, monkeypatch):
    monkeypatch.chdir(photos)
    kwargs = dict(n_joint=0, every=1, **QUICK)
    quietly(train, '.', 'run', n_lbp=1, **kwargs)
    assert list(Path('run/pictures').iterdir())
    learn,notes = quietly(train, '.', 'run', n_lbp=2, **kwargs)
    assert learn.position['epoch']==2 and any('were written by a training or an evaluation (in run/pictures)' in o for o in notes)
    other,_ = quietly(train, '.', 'elsewhere/run', n_lbp=1, **kwargs)
    assert [f.name for f in other.dls.train_ds.files]==[f.name for f in learn.dls.train_ds.files]
    assert data_digest(other.dls)==data_digest(learn.dls)
    table,notes = quietly(evaluate, '.', 'ev', methods=['mean'], holes=['centre'], device='cpu')
    assert table.pictures.max()==4
    table,notes = quietly(evaluate, '.', 'ev2', methods=['mean'], holes=['centre'], device='cpu')
    assert table.pictures.max()==4 and any('ev, run/pictures' in o or 'ev,' in o for o in notes)

def test_a_run_whose_folder_is_that_of_the_photographs(photos, monkeypatch):
    monkeypatch.chdir(photos)
    for n in (1,2): learn,_ = quietly(train, '.', '.', n_lbp=n, n_joint=0, every=1, **QUICK)
    assert len(learn.dls.train_ds.files)==3 and learn.position['epoch']==2

@pytest.mark.parametrize('run_json', (None, '{', '[]', '{"distance":5}', '{"status":"finished"}'), ids=str)
def test_a_folder_called_pictures_is_none_of_ours_by_its_name(run_json, photos):
    (photos/'pictures').mkdir()
    if run_json: (photos/'run.json').write_text(run_json)
    for o in ('sheet.png','lbp_0000500.png'): shutil.copy(photos/'coffee.png', photos/'pictures'/o)
    files,notes = quietly(picture_files, photos)
    assert len(files)==6 and not notes

@pytest.mark.parametrize('beside, names', (('values.jsonl',('sheet.png',)), ('results.json',('sheet.jpg','curves.jpg'))))
def test_sheets_are_left_out_and_what_lies_beside_them_is_not(beside, names, photos):
    (photos/'ev').mkdir(); (photos/'ev'/beside).touch()
    for o in names: Image.open(photos/'coffee.png').save(photos/'ev'/o)
    shutil.copy(photos/'coffee.png', photos/'ev/mine.png')
    files,notes = quietly(picture_files, photos)
    assert len(files)==5 and len(notes)==1 and f'{len(names)} of the pictures' in notes[0]

def test_the_digest_of_data_is_as_it_was(folder):
    "Runs that were begun before can be taken up"
    dls = loaders(folder)
    lines = [f'{part} {f.relative_to(folder)} {f.stat().st_size}' for part,ds in (('train',dls.train_ds),('valid',dls.valid_ds)) for f in ds.files]
    assert data_digest(dls)==hashlib.sha256('\n'.join(lines).encode()).hexdigest()[:16]

# threads

def scans(folder, n=24, bad=6):
    folder.mkdir()
    for i in range(n): tifffile.imwrite(folder/f'{i:02}.tif', np.random.default_rng(i).integers(0, 65536, (32,40,3)).astype(np.uint16), photometric='rgb')
    for i in range(bad): (folder/f'{i:02}.tif').write_bytes((folder/f'{i:02}.tif').read_bytes()[:3000])

def test_checking_pictures_switches_nothing(tmp_path):
    scans(tmp_path/'scans')
    for _ in range(3):
        before = list(warnings.filters),warnings.showwarning
        dls = loaders(tmp_path/'scans', bad_pictures=tmp_path/'bad.tsv')
        with pytest.raises(PictureError, match='6 of 24'): dls.check_pictures()
        assert (list(warnings.filters),warnings.showwarning)==before

def test_a_training_that_fails_says_why_each_time(tmp_path):
    scans(tmp_path/'scans')
    code = f"""from lbp_inpaint.cli import main
import sys
for i in range(3): print(main(['train', {str(tmp_path/'scans')!r}, '--nf', '1', '--lambda-p', '0', '--lambda-s', '0', '--device', 'cpu', '-o', {str(tmp_path)!r}+f'/run{{i}}']), flush=True)"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.stdout.split()==['3']*3 and done.stderr.count('6 of 24 pictures cannot be used')==3, done.stderr

# masks for an evaluation

def test_evaluation_masks_of_another_size(photos, tmp_path, capsys):
    (tmp_path/'masks').mkdir()
    m = np.zeros((300,400), bool); m[100:200,100:280] = True # 15 %, and more of what is cropped in the middle
    Image.fromarray(m).save(tmp_path/'masks/wide.png')
    args = 'evaluate',photos,'--methods','mean','--holes','20-30','--masks',tmp_path/'masks','--device','cpu','-o',tmp_path/'ev'
    command_refused(capsys, PICTURE, 'its proportions differ', *args)
    assert main([str(o) for o in (*args,'--resize-mask')])==0
    ratio = json.loads((tmp_path/'ev/results.json').read_text())['pictures'][0]['holes']['20-30']['ratio']
    assert ratio==pytest.approx(m[:,50:350].mean(), abs=.01)

def test_a_square_mask_of_another_size_names_the_option_that_there_is(photos, tmp_path):
    (tmp_path/'masks').mkdir()
    m = np.zeros((64,64), bool); m[:16] = True
    Image.fromarray(m).save(tmp_path/'masks/small.png')
    refused(MaskError, 'give --resize-mask', deal_masks, tmp_path/'masks', ['20-30'], 256)
    dealt = deal_masks(tmp_path/'masks', ['20-30'], 256, resize_mask=True)['20-30']
    mask = HoledPictures(sorted(photos.iterdir()), '20-30', masks=dealt, resize_mask=True)[0][1]
    assert mask[0,:64].all() and not mask[0,66:].any()

def test_masks_below_the_evaluated_pictures_are_none_of_them(photos):
    (photos/'masks').mkdir()
    m = np.zeros((256,256), bool); m[:64] = True
    Image.fromarray(m).save(photos/'masks/m.png')
    table,_ = quietly(evaluate, photos, photos/'ev', methods=['mean'], holes=['20-30'], masks=photos/'masks', device='cpu')
    assert table.pictures.max()==4

# habits of fastai's users

@pytest.fixture(scope='module')
def dls(folder): return InpaintDataLoaders.from_folder(folder, bs=2, device='cpu')

def learner(dls, **kwargs): return inpaint_learner(dls, nf=1, lambda_p=0, lambda_s=0, **kwargs)

def fit(learn, how='fit', *args, **kwargs):
    "What moved"
    before = {k:v.clone() for k,v in learn.model.state_dict().items()}
    with learn.no_bar(), learn.no_logging(): getattr(learn, how)(*(args or (1,)), **kwargs)
    return {k.partition('.')[0] for k,v in learn.model.state_dict().items() if not torch.equal(v, before[k])}

@pytest.mark.parametrize('how', ('fit','fit_one_cycle','fit_flat_cos'))
def test_fits_train_the_phase_that_the_learner_is_in(how, dls):
    learn = learner(dls)
    assert fit(learn, how)=={'g1','d1'} and learn.opt.hypers[0]['mom']==.5
    learn.phase(True)
    assert fit(learn, how)=={'g1','g2','d2'} and learn.opt.hypers[0]['mom']==.5

def test_fine_tuning_lets_the_discriminators_catch_up_at_the_learners_own_rate(dls):
    learn = learner(dls)
    learn.phase(True)
    seen = []
    class Rate(Callback):
        def after_batch(self): seen.append(self.opt.hypers[-1]['lr'])
    fit(learn, 'fine_tune', 1, cbs=Rate())
    assert max(seen)<=2e-4+1e-9 and all(p.requires_grad for p in learn.model.parameters())

def test_an_untrained_g2_is_named_wherever_fills_are_shown(dls, photographs):
    learn = learner(dls)
    fit(learn)
    mask = np.zeros((512,512), bool); mask[100:150,100:150] = True
    for f in (learn.show_results, learn.inpainter, learn.get_preds, lambda: learn.predict(photographs['astronaut'], mask)):
        assert any('G2 has not been trained yet' in o for o in quietly(f)[1]), f
    learn.phase(True); fit(learn)
    for f in (learn.show_results, learn.inpainter, learn.get_preds): assert not quietly(f)[1]

def test_what_was_trained_before_is_not_called_untrained(dls, tmp_path):
    learn = learner(dls, path=tmp_path)
    learn.phase(True); fit(learn); learn.save('all')
    again = learner(dls, path=tmp_path).load('all')
    assert not again.untrained() and not inpaint_learner(dls, pretrained='small', lambda_p=0, lambda_s=0).untrained()
    learn.export_inpainter(tmp_path/'w')
    assert not learner(dls, pretrained=tmp_path/'w').untrained()

@pytest.mark.parametrize('ema', (False,True))
def test_an_inpainter_is_what_would_be_exported_and_no_more_changes(ema, dls, tmp_path):
    learn = learner(dls, cbs=[EMA()] if ema else [])
    learn.phase(True); fit(learn)
    inp,_ = quietly(learn.inpainter)
    assert isinstance(inp, Inpainter) and learn.net.g1.training==learn.model.training
    learn.export_inpainter(tmp_path/'w')
    before = Inpainter.from_pretrained(tmp_path/'w', 'cpu').net.state_dict()
    fit(learn)
    for k,v in inp.net.state_dict().items(): assert torch.equal(v, before[k])

def test_predict_fills_any_size_and_keeps_what_is_known(dls, photographs):
    learn,image = learner(dls),photographs['rocket'][:301,:200]
    mask = np.zeros(image.shape[:2], bool); mask[50:90,60:120] = True
    filled,_ = quietly(learn.predict, image, mask)
    a = np.asarray(filled)
    assert (a[~mask]==image[~mask]).all() and (a[mask]!=image[mask]).any()
    refused(UsageError, 'give predict(image, mask)', learn.predict, image)

def test_get_preds_are_the_networks_fills(dls):
    learn = learner(dls)
    ((image,mask),fills,truths),_ = quietly(learn.get_preds, with_input=True)
    with torch.no_grad(): want = torch.cat([learn.net.eval()(*(o[i:i+2] for o in (image,mask)))[1] for i in range(0, len(image), 2)])
    assert torch.equal(fills, want) and len(fills)==len(dls.valid_ds)
    assert torch.equal(truths*(1-mask), fills*(1-mask))
    assert len(quietly(learn.get_preds, 0)[0][0])==len(dls.train_ds)
    for wrong in ('with_loss','with_decoded','act','with_inputs'): refused(UsageError, f'get_preds takes no {wrong}', learn.get_preds, **{wrong:True})

@pytest.mark.parametrize('as_folder', (False,True))
def test_other_pictures_by_test_dl(as_folder, dls, photos):
    dl = dls.test_dl(photos if as_folder else [str(o) for o in sorted(photos.iterdir())], bs=3)
    fills,truths = quietly(learner(dls).get_preds, dl=dl)[0]
    assert fills.shape==(4,3,256,256) and [len(b[0]) for b in dl]==[3,1]
    again = dls.test_dl(sorted(photos.iterdir()), bs=1)
    assert torch.equal(torch.cat([b[1] for b in dl]), torch.cat([b[1] for b in again]))

def test_test_dl_of_nothing(dls, tmp_path):
    refused(PictureError, 'give paths', dls.test_dl, [])
    refused(PictureError, 'give paths', dls.test_dl, tmp_path)
    refused(UsageError, 'the pictures themselves', dls.test_dl, [], with_labels=True)

def test_pictures_that_are_open_already_can_be_tested_with(dls, photographs):
    assert torch.equal(dls.test_dl([Image.fromarray(photographs['coffee'])]).one_batch()[2], dls.test_dl([photographs['coffee']]).one_batch()[2])

@pytest.mark.parametrize('joint', (False,True))
def test_validation_before_a_fit_is_that_after_loading(joint, dls):
    learn = learner(dls)
    learn.phase(joint)
    with learn.no_bar(), learn.no_logging(): first,again = learn.validate(),learn.validate()
    assert np.isfinite(first[0]) and first[0]==again[0]
    if joint: assert np.isfinite(first[-3:]).all()

def test_a_summary_counts_what_there_is(dls):
    learn = learner(dls)
    text = str(learn.summary())
    for name,net in learn.model.named_children(): assert f'{sum(p.numel() for p in net.parameters()):,}' in text and name in text
    assert 'D1 (d1) lowers d1' in text and '256x256' in text and learn.opt is None
    learn.freeze()
    assert learn.summary()!=text

@pytest.mark.parametrize('lambda_a, epochs', ((.2,2), (0.,1)))
def test_fine_tuning_spends_no_epoch_in_which_nobody_trains(lambda_a, epochs, dls):
    learn = learner(dls, lambda_a=lambda_a)
    with learn.no_bar(), learn.no_logging(): learn.fine_tune(1)
    assert learn.position['total']==epochs

@pytest.mark.parametrize('how, said', (('export','export_inpainter'), ('tta','get_preds'), ('lr_find','2e-4')))
def test_what_has_no_place_here(how, said, dls):
    refused(InpaintError, said, getattr(learner(dls), how))

def test_interpretation(dls): refused(UsageError, "use evaluate in place of fastai's Interpretation", Interpretation.from_learner, learner(dls))

@pytest.mark.parametrize('name', ('fp16','bf16'))
def test_precision_by_fastais_methods(name, dls):
    learn = getattr(learner(dls), f'to_{name}')()
    assert fit(learn)=={'g1','d1'} and learn.turn_precision.dtype==PRECISIONS[name]
    getattr(learn, 'to_fp32')()
    assert not [o for o in learn.cbs if isinstance(o, TurnPrecision)] and fit(learn)

@pytest.mark.parametrize('callback, said', ((MixedPrecision,'use learn.to_bf16()'), (MixUp,'no labels'), (CutMix,'no labels'), (GradientAccumulation,'a larger batch size')))
@pytest.mark.parametrize('when', ('made','fitted'))
def test_callbacks_that_do_not_fit_turns(callback, said, when, dls):
    def go():
        learn = learner(dls, cbs=callback() if when=='made' else None)
        with learn.no_bar(), learn.no_logging(): learn.fit(1, cbs=callback() if when=='fitted' else None)
    refused(InpaintError, said, go)

@pytest.mark.parametrize('callback', (lambda: EarlyStoppingCallback(patience=3), lambda: SaveModelCallback(), lambda: GradientClip(.1), lambda: CSVLogger(), lambda: ReduceLROnPlateau()), ids=('early','save','clip','csv','plateau'))
def test_callbacks_that_do(callback, dls, tmp_path): assert fit(learner(dls, path=tmp_path), 'fit', 2, cbs=callback())=={'g1','d1'}

@pytest.mark.parametrize('metric', (mse, mae, lambda a, b: (a-b).abs().mean((1,2,3)), AvgMetric(mse)), ids=('mse','mae','per-picture','avg'))
def test_metrics_compare_fills_in_phase_2(metric, dls):
    learn = learner(dls, metrics=[metric])
    n = len(learn.metrics)
    learn.phase(True)
    with learn.no_bar(), learn.no_logging(): values = learn.validate()
    fills,truths = quietly(learn.get_preds)[0]
    f = metric.func if isinstance(metric, AvgMetric) else metric
    assert values[-1]==pytest.approx(float(f(fills, truths).mean()), rel=1e-4)
    learn.phase(False)
    assert len(learn.metrics)==n

@pytest.mark.parametrize('metric', (accuracy, 'mse', lambda x: 0, Perplexity()), ids=('accuracy','a name','one argument','a class'))
def test_metrics_that_cannot(metric, dls): refused(UsageError, 'cannot compare pictures', learner, dls, metrics=metric)

@pytest.mark.parametrize('opt_func', (torch.optim.AdamW, torch.optim.RMSprop, partial(OptimWrapper, opt=torch.optim.SGD)), ids=('AdamW','RMSprop','SGD'))
def test_optimisers_of_torch(opt_func, dls):
    learn = learner(dls, opt_func=opt_func, wd=.01)
    learn.phase(True)
    assert fit(learn)=={'g1','g2','d2'} and learn.opt.hypers[0]['wd']==.01 and not learn.untrained()

@pytest.mark.parametrize('opt_func', (Adam, RMSProp, partial(Adam, mom=.5)), ids=('Adam','RMSProp','partial'))
def test_optimisers_of_fastai_move_who_does_not_play(opt_func, dls): refused(UsageError, 'torch.optim', learner, dls, opt_func=opt_func)

@pytest.mark.parametrize('wrong', (dict(loss_func=mse), dict(moms=(.9,.9,.9)), dict(splitter=None), dict(train_bn=False), dict(arch=None), dict(n_out=3), dict(normalize=True), dict(bs=2), dict(size=256), dict(pretrained=True)), ids=str)
def test_arguments_of_a_learner_that_have_no_place(wrong, dls): refused(UsageError, next(iter(wrong)), learner, dls, **wrong)

def test_model_dir_and_path(dls, tmp_path):
    assert learner(dls, path=tmp_path, model_dir='mine').save('a')==tmp_path/'mine/a.pth'

def test_batches_are_shown_in_rows(folder):
    dl = InpaintDataLoaders.from_folder(folder, device='cpu').train
    heights = [dl.show_batch(show=False, **o).height for o in ({}, dict(nrows=3), dict(max_n=3))]
    assert heights==[18+256, 18+3*260-4, 18+256]
    for wrong in (dict(ncols=2), dict(unique=True), dict(nrows=2, ncols=2)): refused(UsageError, 'use nrows', dl.show_batch, **wrong)
    dl.show_batch(nrows=2, figsize=(3,3))

def test_results_are_shown_in_rows(dls, photos):
    learn = learner(dls)
    rows = []
    learn.results_grid = lambda dl, n: rows.append((len(dl.one_batch()[0]), n)) or type(learn).results_grid(learn, dl, n)
    quietly(learn.show_results, nrows=1, figsize=(3,3))
    quietly(learn.show_results, dl=dls.test_dl(photos), nrows=3)
    assert rows==[(1,1),(3,3)]
    refused(UsageError, 'use nrows', learn.show_results, ncols=2)

def test_results_are_those_of_the_moving_average(dls):
    "Which is what is exported and used for fills"
    learn = learner(dls, lr=1e-2, cbs=EMA(.9))
    learn.phase(True)
    with learn.no_bar(), learn.no_logging(): learn.fit(1)
    def shown(): return np.asarray(learn.results_grid(dls.valid))
    drawn = shown()
    with learn.ema.swapped(): averaged = shown()
    learn.remove_cb(EMA)
    assert (drawn==averaged).all() and (drawn!=shown()).any()
