"What people get wrong: one sentence that names the file, an exit code, nothing half written, no traceback."
import json, os, shutil, subprocess, sys, zipfile
from pathlib import Path
from urllib.error import URLError
import numpy as np, pytest, torch
from PIL import Image
from lbp_inpaint.nets import losses
from lbp_inpaint.cli import main
from lbp_inpaint.errors import WeightsError
from lbp_inpaint.nets.generator import InpaintNet
from lbp_inpaint.nets.build import build_net
from lbp_inpaint.nets.weights import find_weights, load_net, load_tensors, read_about, save_net, save_tensors
from older import save_old

USAGE,PICTURE,WEIGHTS = 2,3,4 # exit codes

@pytest.fixture
def work(tmp_path, photographs):
    "A folder with a picture, a mask that fits, and room for an output"
    Image.fromarray(photographs['coffee'][:60,:80]).save(tmp_path/'picture.png')
    hole = np.zeros((60,80), bool); hole[20:40,30:50] = True
    Image.fromarray(hole).save(tmp_path/'mask.png')
    return tmp_path

def one_sentence(err):
    assert 'Traceback' not in err
    assert err.count('\n')==1 and err.startswith('lbp-inpaint: ') and err.endswith('.\n') and '. ' not in err, err

def refused(capsys, code, named, *args):
    "The command ends with `code` and one sentence that holds `named`"
    assert main([str(a) for a in args])==code
    err = capsys.readouterr().err
    one_sentence(err)
    assert str(named) in err
    return err

def fill_refused(capsys, work, named, picture='picture.png', mask='mask.png', out='out.png', code=PICTURE, options=()):
    before = sorted(work.rglob('*'))
    refused(capsys, code, named, 'fill', work/picture, work/mask, '-o', work/out, *options)
    assert sorted(work.rglob('*'))==before, 'files were left'

def spoil(path, how):
    "Make `path` a file that cannot be read"
    if how=='text': path.write_text('no picture')
    if how=='empty': path.write_bytes(b'')
    if how=='truncated': path.write_bytes(path.read_bytes()[:-path.stat().st_size//2])
    if how=='folder': path.unlink(missing_ok=True); path.mkdir()
    if how=='missing': path.unlink()

# pictures and masks

@pytest.mark.parametrize('how', ('text','empty','truncated','missing'))
@pytest.mark.parametrize('which', ('picture','mask'))
def test_a_file_that_is_no_picture(which, how, work, capsys):
    spoil(work/f'{which}.png', how)
    fill_refused(capsys, work, work/f'{which}.png')

@pytest.mark.parametrize('which', ('picture','mask'))
def test_a_truncated_jpeg(which, work, capsys, photographs):
    Image.fromarray(photographs['coffee'][:60,:80]).save(work/f'{which}.jpg')
    spoil(work/f'{which}.jpg', 'truncated')
    fill_refused(capsys, work, work/f'{which}.jpg', **{which:f'{which}.jpg'})

def test_a_folder_given_as_mask(work, capsys):
    (work/'folder').mkdir()
    fill_refused(capsys, work, work/'folder', mask='folder')

@pytest.mark.parametrize('size', ((80,61),(60,80)))
def test_a_mask_of_another_size(size, work, capsys):
    Image.new('L', size, 255).save(work/'mask.png')
    fill_refused(capsys, work, work/'mask.png')

def test_a_hole_that_covers_everything(work, capsys):
    Image.new('L', (80,60), 255).save(work/'mask.png')
    fill_refused(capsys, work, work/'mask.png')

def test_no_hole_gives_a_copy_and_a_note(work, capsys):
    Image.new('L', (80,60), 0).save(work/'mask.png')
    assert main(['fill', str(work/'picture.png'), str(work/'mask.png'), '-o', str(work/'out.png')])==0
    err = capsys.readouterr().err
    one_sentence(err)
    assert str(work/'mask.png') in err and 'no hole' in err
    with Image.open(work/'picture.png') as a, Image.open(work/'out.png') as b: assert a.tobytes()==b.tobytes()

# folders

def test_an_empty_folder(work, capsys):
    (work/'folder').mkdir()
    fill_refused(capsys, work, work/'folder', picture='folder', out='results')

def test_the_good_pictures_of_a_folder_are_filled_and_the_bad_ones_named(work, capsys):
    pictures,masks = work/'pictures',work/'masks'
    pictures.mkdir(); masks.mkdir()
    for n in 'abcd':
        shutil.copy(work/'picture.png', pictures/f'{n}.png')
        if n!='c': shutil.copy(work/'mask.png', masks/f'{n}.png')
    spoil(pictures/'b.png', 'truncated')
    Image.new('L', (80,60), 255).save(masks/'d.png')
    assert main(['fill', str(pictures), str(masks), '-o', str(work/'out')])==PICTURE
    err = capsys.readouterr().err
    assert 'Traceback' not in err and all(str(o) in err for o in (pictures/'b.png', masks/'c.png', masks/'d.png'))
    assert [o.name for o in (work/'out').iterdir()]==['a.png']

def test_masks_without_a_hole_are_each_named(work, capsys):
    pictures,masks = work/'pictures',work/'masks'
    pictures.mkdir(); masks.mkdir()
    for n in 'ab': shutil.copy(work/'picture.png', pictures/f'{n}.png'); Image.new('L', (80,60), 0).save(masks/f'{n}.png')
    assert main(['fill', str(pictures), str(masks), '-o', str(work/'out')])==0
    err = capsys.readouterr().err
    assert all(str(masks/f'{n}.png') in err for n in 'ab')

def test_pictures_that_differ_in_their_ending_alone_do_not_overwrite_each_other(work, capsys, photographs):
    pictures = work/'pictures'
    pictures.mkdir()
    for n,name in (('a.png','coffee'),('a.bmp','rocket')): Image.fromarray(photographs[name][:60,:80]).save(pictures/n)
    code = main(['fill', str(pictures), str(work/'mask.png'), '-o', str(work/'out')])
    assert len(list((work/'out').iterdir()))==2 if code==0 else 'a.' in capsys.readouterr().err

# outputs

@pytest.mark.parametrize('out', ('out','out.txt','out.psd'))
def test_an_output_without_a_format(out, work, capsys): fill_refused(capsys, work, work/out, out=out)

@pytest.mark.parametrize('out', ('picture.png/out.png','mask.png/deep/out.png'))
def test_an_output_below_a_file(out, work, capsys): fill_refused(capsys, work, work/out, out=out)

def test_an_output_that_is_the_input(work, capsys):
    before = (work/'picture.png').read_bytes()
    fill_refused(capsys, work, work/'picture.png', out='picture.png')
    assert (work/'picture.png').read_bytes()==before

def test_an_output_that_is_the_mask(work, capsys):
    before = (work/'mask.png').read_bytes()
    fill_refused(capsys, work, work/'mask.png', out='mask.png')
    assert (work/'mask.png').read_bytes()==before

def test_a_full_disk_leaves_nothing(work, capsys, monkeypatch):
    def full(self, fp, *args, **kwargs): fp.write(b'half'); raise OSError(28, 'No space left on device')
    monkeypatch.setattr(Image.Image, 'save', full)
    fill_refused(capsys, work, work/'out.png')

@pytest.mark.parametrize('out', ('mask.png/demo.png','demo.txt'))
def test_a_demonstration_that_cannot_be_written(out, work, capsys): refused(capsys, PICTURE, work/out, 'demo', '-o', work/out)

# weights

@pytest.fixture
def weights(work):
    save_old(load_net(find_weights('small')), work/'weights', half=True)
    return work/'weights'

def new_config(weights, **network):
    config = json.loads((weights/'config.json').read_text())
    config['network'].update(network)
    (weights/'config.json').write_text(json.dumps(config))

def flip(path): b = bytearray(path.read_bytes()); b[len(b)//2] ^= 1; path.write_bytes(b)

DAMAGES = {
    'a flipped bit': lambda w: flip(w/'model.safetensors'),
    'truncated': lambda w: spoil(w/'model.safetensors', 'truncated'),
    'empty': lambda w: spoil(w/'model.safetensors', 'empty'),
    'no weights': lambda w: spoil(w/'model.safetensors', 'missing'),
    'no config': lambda w: spoil(w/'config.json', 'missing'),
    'config not JSON': lambda w: (w/'config.json').write_text('{"format": 1,'),
    'config not text': lambda w: (w/'config.json').write_bytes(b'\xff\xfe\x00'),
    'config a list': lambda w: (w/'config.json').write_text('[]'),
    'config empty': lambda w: (w/'config.json').write_text('{"format": 1}'),
    'network missing': lambda w: (w/'config.json').write_text(json.dumps({k:v for k,v in json.loads((w/'config.json').read_text()).items() if k!='network'})),
    'another width': lambda w: new_config(w, nf=8),
    'negative width': lambda w: new_config(w, nf=-1),
    'width of zero': lambda w: new_config(w, nf=0),
    'width in words': lambda w: new_config(w, nf='wide'),
    'unknown setting': lambda w: new_config(w, colour='red'),
    'impossible top_t': lambda w: new_config(w, top_t=0),
    'top_t in words': lambda w: new_config(w, top_t='two'),
    'impossible threshold': lambda w: new_config(w, threshold='>'),
    'impossible border': lambda w: new_config(w, border='mirror'),
    'hole_value in words': lambda w: new_config(w, hole_value='white'),
}

@pytest.mark.parametrize('damage', DAMAGES)
def test_damaged_weights(damage, weights, work, capsys):
    DAMAGES[damage](weights)
    fill_refused(capsys, work, weights, code=WEIGHTS, options=('--weights',weights))

def new_head(weights, **network):
    tensors,plain = load_tensors(weights/'model.safetensors')
    plain['network'].update(network)
    save_tensors(weights/'model.safetensors', tensors, plain)

@pytest.mark.parametrize('network', (dict(nf=8), dict(nf=-1), dict(nf='wide'), dict(nf=True), dict(colour='red'), dict(top_t=0), dict(threshold='>'), dict(border='mirror'),
    dict(hole_value='white'), dict(hole_value=2), dict(variant='dream'), dict(attention='self'), dict(layer=8), dict(guidance='sketch')))
def test_a_network_that_cannot_be_or_is_another(network, narrow, tmp_path):
    shutil.copytree(narrow, tmp_path/'w')
    new_head(tmp_path/'w', **network)
    with pytest.raises(WeightsError, match='cannot be used') as e: load_net(tmp_path/'w')
    assert str(e.value).count('; ')==1

@pytest.fixture(scope='module')
def narrow(tmp_path_factory):
    "Weights of the narrowest network"
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp('weights')/'narrow'
    save_net(InpaintNet(1), folder)
    return folder

@pytest.fixture(scope='module')
def older(narrow):
    "The same in the layout of format 1"
    save_old(load_net(narrow), narrow.parent/'older')
    return narrow.parent/'older'

def test_both_formats_say_and_are_the_same(narrow, older, tmp_path):
    a,b = read_about(narrow),read_about(older)
    assert a.keys()==b.keys() and a['network']==b['network'] and (a['format'],b['format'])==(2,1)
    assert b['sha256']==json.loads((older/'config.json').read_text())['sha256']
    for x,y in zip(load_net(narrow).state_dict().values(), load_net(older).state_dict().values()): assert torch.equal(x, y)

def test_weights_are_told_by_their_tensors(narrow, tmp_path):
    "Whatever else is noted, the same tensors have the same checksum, and other ones another"
    net = load_net(narrow)
    save_net(net, tmp_path, training=dict(seed=3))
    assert read_about(tmp_path)['sha256']==read_about(narrow)['sha256'] and read_about(tmp_path)['training']==dict(seed=3)
    save_net(net, tmp_path, half=True)
    assert read_about(tmp_path)['sha256']!=read_about(narrow)['sha256']

def test_older_weights_are_replaced_wholly(narrow, older, tmp_path):
    "Also where the older `config.json` stayed because the write was cut off after the new file"
    shutil.copytree(older, tmp_path/'w')
    stale = (older/'config.json').read_bytes()
    save_net(build_net(nf=2, hole_value='smooth'), tmp_path/'w', note='new')
    assert [o.name for o in (tmp_path/'w').iterdir()]==['model.safetensors']
    (tmp_path/'w'/'config.json').write_bytes(stale)
    assert load_net(tmp_path/'w').config['nf']==2 and read_about(tmp_path/'w')['note']=='new'

@pytest.mark.parametrize('words', ('{"model_type": "bert"}','[1]','no JSON'))
def test_a_config_of_another_program_stays(words, narrow, tmp_path):
    (tmp_path/'config.json').write_text(words)
    save_net(load_net(narrow), tmp_path)
    assert (tmp_path/'config.json').read_text()==words and load_net(tmp_path).config['nf']==1

def test_an_older_write_that_was_cut_off_is_still_read(narrow, older, tmp_path):
    "A `config.json` that names the model it would have replaced"
    shutil.copytree(older, tmp_path/'w')
    config = json.loads((older/'config.json').read_text())
    config.update(sha256='0'*64, replaces=config['sha256']); del config['digest']
    (tmp_path/'w'/'config.json').write_text(json.dumps(config))
    assert load_net(tmp_path/'w').config['nf']==1 and read_about(tmp_path/'w').keys()==read_about(older).keys()

@pytest.mark.parametrize('part', range(10))
@pytest.mark.parametrize('made', ('narrow','older'))
def test_a_flipped_byte_is_refused_or_never_read(made, part, request, tmp_path):
    "500 of 500 in each format, in heads and numbers alike: either the weights are refused, or what is loaded is the same to the last bit"
    source = request.getfixturevalue(made)
    rng,folder,whole = np.random.default_rng(part),tmp_path/'w',load_net(source)
    shutil.copytree(source, folder)
    refused,file = 0,folder/'model.safetensors'
    head = 8+int.from_bytes(file.read_bytes()[:8], 'little')
    for k in range(50):
        name = 'config.json' if made=='older' and k%2 else 'model.safetensors'
        good = (folder/name).read_bytes()
        bad = bytearray(good); bad[rng.integers(head if made=='narrow' and k%2 else len(bad))] ^= rng.integers(1, 256)
        (folder/name).write_bytes(bad)
        try: net = load_net(folder)
        except WeightsError as e: refused += 1; assert str(folder) in str(e) and str(e).count('; ')==1
        else: assert net.config==whole.config and all(torch.equal(v, whole.state_dict()[k]) for k,v in net.state_dict().items())
        (folder/name).write_bytes(good)
    assert refused>=40

def test_a_zip_bomb_is_not_unpacked(narrow, tmp_path):
    "300 MB of zeros in 300 KB, as a model: less than 200 MB more memory, measured in a process of its own"
    shutil.copytree(narrow, tmp_path/'w')
    with zipfile.ZipFile(tmp_path/'w'/'model.safetensors', 'w', zipfile.ZIP_DEFLATED) as z: z.writestr('archive/data.pkl', bytes(300_000_000))
    code = """import resource, sys
from lbp_inpaint.nets.weights import load_net
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
try: load_net(sys.argv[1])
except Exception as e: print(type(e).__name__, peak()-before)"""
    kind,more = subprocess.run([sys.executable, '-W', 'ignore', '-c', code, str(tmp_path/'w')], capture_output=True, text=True).stdout.split()
    assert kind=='WeightsError' and int(more)<200_000

def test_a_folder_called_like_shipped_weights_does_not_take_their_place(narrow, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(narrow, tmp_path/'small')
    assert load_net(find_weights('small')).config['nf']==24 and load_net(find_weights('./small')).config['nf']==1

@pytest.mark.parametrize('name', ('huge','no/such/folder'))
def test_unknown_weights(name, work, capsys): fill_refused(capsys, work, name, code=WEIGHTS, options=('--weights',name))

def test_unknown_weights_name_those_there_are(capsys, work):
    assert 'small' in refused(capsys, WEIGHTS, 'huge', 'demo', '--weights', 'huge', '-o', work/'demo.png')
    assert not (work/'demo.png').exists()

# VGG

def train_refused(capsys, work, folder, code, named, *options):
    err = refused(capsys, code, named, 'train', folder, '-o', work/'run', '--nf', 2, '--n-lbp', 1, '--n-joint', 1, *options)
    assert not (work/'run').exists()
    return err

def vgg_of(**tensors):
    def make(path): torch.save({f'features.{k.replace("_", ".")}':v for k,v in tensors.items()}, path)
    return make

@pytest.mark.parametrize('make', (lambda p: None, lambda p: p.write_text('no weights'), lambda p: p.write_bytes(b''), lambda p: p.mkdir(),
    lambda p: torch.save([1], p), vgg_of(x=torch.zeros(3)),
    lambda p: torch.save({'features.0.weight':torch.zeros(4), 'features.0.bias':torch.zeros(4)}, p),
    lambda p: torch.save({'features.0.weight':torch.zeros(4,3,3,3)}, p),
    lambda p: torch.save({'features.0.weight':torch.zeros(4,1,3,3), 'features.0.bias':torch.zeros(4)}, p)),
    ids=('missing','text','empty','folder','a list','other names','another shape','no bias','grey'))
def test_a_vgg_file_that_is_none(make, work, folder, capsys):
    make(work/'vgg.pth')
    train_refused(capsys, work, folder, WEIGHTS, work/'vgg.pth', '--vgg', work/'vgg.pth')

@pytest.mark.parametrize('why', (URLError('no route to host'), RuntimeError('invalid hash value'), PermissionError(13, 'Permission denied')))
def test_a_vgg_that_cannot_be_downloaded(why, work, folder, capsys, monkeypatch):
    def fail(*args, **kwargs): raise why
    monkeypatch.setattr(losses, 'get_model', fail)
    err = train_refused(capsys, work, folder, WEIGHTS, 'VGG-16')
    assert '--vgg' in err and '--lambda' in err

# training pictures

def test_too_few_pictures(work, capsys):
    (work/'folder').mkdir()
    train_refused(capsys, work, work/'folder', PICTURE, work/'folder', '--lambda-p', 0, '--lambda-s', 0)

def test_a_folder_that_is_not_there(work, capsys): train_refused(capsys, work, work/'nowhere', PICTURE, work/'nowhere', '--lambda-p', 0, '--lambda-s', 0)

@pytest.mark.parametrize('workers', (0,1))
def test_a_picture_to_train_on_that_cannot_be_read(workers, work, capsys):
    (work/'folder'/'valid').mkdir(parents=True)
    for n in ('a','b','valid/c'): shutil.copy(work/'picture.png', work/'folder'/f'{n}.png')
    spoil(work/'folder'/'b.png', 'truncated')
    refused(capsys, PICTURE, work/'folder'/'b.png', 'train', work/'folder', '-o', work/'run', '--nf', 2, '--workers', workers, '--lambda-p', 0, '--lambda-s', 0)

def test_a_run_below_a_file(work, folder, capsys):
    refused(capsys, PICTURE, work/'mask.png', 'train', folder, '-o', work/'mask.png'/'run', '--nf', 2, '--lambda-p', 0, '--lambda-s', 0)

# usage

@pytest.mark.parametrize('args', ((), ('paint',), ('fill',), ('fill','picture.png'), ('fill','picture.png','mask.png','--nonsense','1'), ('train','folder','--nf','wide')))
def test_wrong_usage(args, capsys):
    with pytest.raises(SystemExit) as e: main(list(args))
    assert e.value.code==2
    assert 'usage: lbp-inpaint' in capsys.readouterr().err

def test_an_unknown_device(work, capsys):
    with pytest.raises(SystemExit) as e: main(['fill', str(work/'picture.png'), str(work/'mask.png'), '-o', str(work/'out.png'), '--device', 'abacus'])
    err = capsys.readouterr().err
    assert e.value.code==USAGE and 'abacus' in err and 'cuda' in err and not (work/'out.png').exists()
    fill_refused(capsys, work, 'cuda:77', code=USAGE, options=('--device','cuda:77'))

# through real processes

def run(*args, **env):
    code = 'import sys; from lbp_inpaint.cli import main; sys.exit(main())'
    return subprocess.run([sys.executable, '-W', 'ignore::FutureWarning', '-c', code, *map(str, args)], capture_output=True, text=True, env=os.environ|env)

def test_a_mask_of_another_size_in_a_process(work):
    Image.new('L', (10,10), 255).save(work/'mask.png')
    done = run('fill', work/'picture.png', work/'mask.png', '-o', work/'out.png')
    one_sentence(done.stderr)
    assert done.returncode==PICTURE and not done.stdout and not (work/'out.png').exists()

def test_a_cache_that_cannot_be_written_in_a_process(work, folder):
    done = run('train', folder, '-o', work/'run', '--nf', 2, TORCH_HOME=str(work/'mask.png'/'cache'))
    one_sentence(done.stderr)
    assert done.returncode==WEIGHTS and not (work/'run').exists()

def test_a_fill_that_works_is_silent_on_stderr(work):
    done = run('fill', work/'picture.png', work/'mask.png', '-o', work/'out.png')
    assert (done.returncode,done.stderr,done.stdout)==(0,'',f"{work/'out.png'}\n") and (work/'out.png').exists()

@pytest.mark.parametrize('options', (('--bs',0), ('--size',0), ('--size',200), ('--seed',-1), ('--every',0), ('--decay',2), ('--n-lbp',-1), ('--n-joint',0), ('--valid-pct',7),
    ('--lambda-r','nan'), ('--lambda-m',-1), ('--lr','inf'), ('--duration','inf')), ids=str)
def test_settings_that_cannot_be_trained_with(options, work, folder, capsys):
    given = {'--n-lbp':0, '--n-joint':1, '--lambda-p':0, '--lambda-s':0} | {options[0]:options[1]}
    name = options[0][2:].replace('-', '_')
    refused(capsys, 2, name, 'train', folder, '-o', work/'run', '--nf', 2, *(o for kv in given.items() for o in kv))
    assert not (work/'run').exists()

def test_a_palette_output_is_refused(work, capsys): fill_refused(capsys, work, work/'out.gif', out='out.gif')
