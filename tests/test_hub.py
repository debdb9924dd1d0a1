"Weights on the Hugging Face Hub: found by name, in a cache without a network, refused in one sentence; their card is read by the Hub's own reader."
import json, os, shutil, subprocess, sys
import numpy as np, pytest, torch
from PIL import Image
from lbp_inpaint.cli import main
from lbp_inpaint.errors import UsageError, WeightsError
from lbp_inpaint.filling.inpainter import Inpainter
from lbp_inpaint.nets.generator import InpaintNet
from lbp_inpaint.nets.weights import find_weights, load_net, need_hub, push_weights, save_net
from lbp_inpaint.training.card import card_head, card_text, split_card
from project import ROOT
hub = pytest.importorskip("huggingface_hub")
import huggingface_hub.constants, huggingface_hub.errors
COMMIT,OLDER = 'a'*40,'b'*40

def one_sentence(e):
    assert '. ' not in str(e) and str(e).endswith('.') and '\n' not in str(e), e
    return str(e)

def cached(home, repo, files, commit=COMMIT, ref='main'):
    "Put a repository into a Hub's cache as `snapshot_download` leaves it"
    root = home/'hub'/('models--'+repo.replace('/', '--'))
    for o in ('refs','blobs',f'snapshots/{commit}'): (root/o).mkdir(parents=True, exist_ok=True)
    (root/'refs'/ref).write_text(commit)
    for o in files.iterdir(): shutil.copy(o, root/'snapshots'/commit/o.name)
    return root/'snapshots'/commit

@pytest.fixture
def home(tmp_path, monkeypatch):
    "A cache of its own, and no network: two states of one repository, the newer one under main, the older one under v1"
    home = tmp_path/'home'
    monkeypatch.setattr(hub.constants, 'HF_HUB_CACHE', str(home/'hub'))
    monkeypatch.setattr(hub.constants, 'HF_HUB_OFFLINE', True)
    for nf,commit,ref in ((2,COMMIT,'main'),(1,OLDER,'v1')):
        save_net(InpaintNet(nf), tmp_path/f'net{nf}')
        cached(home, 'anna/scenes', tmp_path/f'net{nf}', commit, ref)
    return home

@pytest.mark.parametrize('revision,nf,commit', ((None,2,COMMIT), ('main',2,COMMIT), ('v1',1,OLDER), (OLDER,1,OLDER)))
def test_from_the_cache(home, revision, nf, commit):
    inp = Inpainter.from_pretrained('anna/scenes', 'cpu', revision=revision)
    assert inp.net.config['nf']==nf and inp.folder.name==commit

def test_a_folder_of_that_name_wins(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_net(InpaintNet(3), 'anna/scenes')
    assert Inpainter.from_pretrained('anna/scenes', 'cpu').net.config['nf']==3
    with pytest.raises(UsageError, match='leave the revision away') as e: find_weights('anna/scenes', 'v1')
    one_sentence(e.value)

@pytest.mark.parametrize('source,revision,named', (('anna/missing',None,'anna/missing'), ('anna/scenes','v2','at revision v2')))
def test_not_in_the_cache_and_offline(home, source, revision, named):
    with pytest.raises(WeightsError, match=named) as e: Inpainter.from_pretrained(source, revision=revision)
    assert 'not in the cache' in one_sentence(e.value) and 'is no folder' in str(e.value)

def test_damaged_in_the_cache(home, tmp_path):
    (tmp_path/'empty').mkdir(); (tmp_path/'empty'/'README.md').write_text('nothing yet')
    cached(home, 'anna/empty', tmp_path/'empty')
    with pytest.raises(WeightsError, match='model.safetensors is missing') as e: Inpainter.from_pretrained('anna/empty')
    one_sentence(e.value)

def test_without_the_package(home, monkeypatch):
    monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
    with pytest.raises(WeightsError, match=r'lbp-inpaint\[hub\]') as e: Inpainter.from_pretrained('anna/scenes')
    one_sentence(e.value)
    assert find_weights('small').is_dir(), 'what lies here needs no Hub'

def test_on_the_command_line(home, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    levels,hole = np.random.default_rng(0).integers(0, 256, (40,50,3), dtype=np.uint8),np.zeros((40,50), bool)
    hole[10:20,10:30] = True
    Image.fromarray(levels).save('picture.png'); Image.fromarray(hole).save('mask.png')
    assert main(['fill', 'picture.png', 'mask.png', '-o', 'out.png', '--weights', 'anna/scenes'])==0
    assert (np.array(Image.open('out.png'))[~hole]==levels[~hole]).all()
    capsys.readouterr()
    assert main(['fill', 'picture.png', 'mask.png', '-o', 'out2.png', '--weights', 'anna/missing'])==4
    one_sentence(capsys.readouterr().err.strip())
    assert not os.path.exists('out2.png')

def test_the_real_cache_by_its_own_variables(home, tmp_path):
    "HF_HOME and HF_HUB_OFFLINE, as a person sets them, in a process of its own."
    code = "from lbp_inpaint import Inpainter; print(Inpainter.from_pretrained('anna/scenes', revision='v1').net.config['nf'])"
    env = dict(os.environ, HF_HOME=str(home), HF_HUB_OFFLINE='1', PYTHONPATH=str(ROOT))
    for k in ('HF_HUB_CACHE','HUGGINGFACE_HUB_CACHE'): env.pop(k, None)
    done = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.stdout.split()==['1'], done.stderr[-1000:]

# to the Hub

@pytest.mark.parametrize('repo', ('scenes','a/b/c','-a/b','a b/c',''))
def test_no_name_of_a_repository(repo, tmp_path):
    with pytest.raises(UsageError, match='user/name') as e: push_weights(tmp_path, repo)
    one_sentence(e.value)

def test_weights_are_checked_before_they_are_sent(home, tmp_path):
    folder = tmp_path/'net1'
    with pytest.raises(WeightsError, match='no model card') as e: push_weights(folder, 'anna/scenes')
    one_sentence(e.value)
    (folder/'README.md').write_text('a card')
    with pytest.raises(WeightsError, match='not put on the Hugging Face Hub') as e: push_weights(folder, 'anna/scenes') # offline
    one_sentence(e.value)
    whole = bytearray((folder/'model.safetensors').read_bytes()); whole[-1] ^= 1
    (folder/'model.safetensors').write_bytes(whole)
    with pytest.raises(WeightsError, match='not as they were written') as e: push_weights(folder, 'anna/scenes')
    one_sentence(e.value)

def test_a_changed_network_is_not_sent_in_the_name_of_the_stored_one(home):
    inp = Inpainter.from_pretrained('anna/scenes', 'cpu')
    next(inp.net.parameters()).data += 1
    with pytest.raises(WeightsError, match='write both') as e: inp.push_to_hub('anna/scenes')
    one_sentence(e.value)

class Recorder:
    "An upload as far as the wire: what `huggingface_hub` would be asked to send"
    errors = hub.errors
    def create_repo(self, repo, **kwargs): self.made = repo,kwargs
    def upload_folder(self, **kwargs):
        self.sent = kwargs
        return type('Commit', (), dict(commit_url='https://huggingface.co/anna/scenes/commit/1'))

def test_only_weights_and_card_are_sent(home, tmp_path, monkeypatch):
    "No network here, so that the last step is recorded instead; the Hub's own filter says which files it would take."
    folder,recorder = tmp_path/'run',Recorder()
    save_net(InpaintNet(1), folder)
    for o in ('README.md','log.csv','last.safetensors','pictures/1.jpg','best/model.safetensors'): (folder/o).parent.mkdir(exist_ok=True); (folder/o).write_text('x')
    monkeypatch.setattr('lbp_inpaint.nets.weights.need_hub', lambda: recorder)
    assert Inpainter.from_pretrained(folder, 'cpu').push_to_hub('anna/scenes', private=True)=='https://huggingface.co/anna/scenes/commit/1'
    assert recorder.made==('anna/scenes', dict(private=True, exist_ok=True))
    names = [str(o.relative_to(folder)) for o in folder.rglob('*') if o.is_file()]
    taken = sorted(hub.utils.filter_repo_objects(names, allow_patterns=recorder.sent['allow_patterns']))
    assert taken==['README.md','model.safetensors']

# the card

RESULTS = dict(pictures=list('abc'), table=[dict(hole=h, method=m, metric=k, over=o, value=v) for h in ('centre','20-30') for m in ('mine','mean')
    for k,o,v in (('PSNR dB','picture',22.31),('PSNR dB','hole',15.7),('SSIM','picture',.8354),('l1 %','hole',29.05))])

def test_the_head_survives_the_hubs_reader(tmp_path):
    text = card_head('mine', dict(licence='CC BY 4.0'), RESULTS)+'\n# Model card: `mine`\n'
    (tmp_path/'README.md').write_text(text, encoding='utf8')
    card = hub.ModelCard.load(tmp_path/'README.md')
    told = card.data.to_dict()
    assert (told['license'],told['library_name'],told['pipeline_tag'])==('cc-by-4.0','lbp-inpaint','image-to-image')
    assert told['model-index']==split_card(text)[0]['model-index']
    got = {(o.dataset_name,o.metric_type):o.metric_value for o in card.data.eval_results}
    assert got=={(f'3 held-out pictures, hole {h}',k):v for h in ('centre','20-30') for k,v in dict(psnr=22.31, hole_psnr=15.7, ssim=.8354, hole_l1=29.05).items()}
    assert hub.ModelCard(str(card)).data.to_dict()==told, 'written again by the Hub, and read again'

def test_the_shipped_card():
    card = hub.ModelCard.load(find_weights('small')/'README.md')
    assert card.data.license=='apache-2.0' and card.data.model_name=='small' and len(card.data.eval_results)>=5*6
    table = card.text
    for o in card.data.eval_results:
        if o.metric_name=='PSNR dB': assert f'| {o.dataset_name.rpartition(" hole ")[2]} | small | {o.metric_value:.2f} |' in table

@pytest.mark.parametrize('licence,word', (('Apache-2.0','apache-2.0'), ('MIT; see LICENSE','mit'), ("the photographer's own",'other'), (None,'unknown'), ('','unknown')))
def test_licences(licence, word): assert split_card(card_head('mine', dict(licence=licence)))[0]['license']==word
