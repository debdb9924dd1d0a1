"Recipes: settings that `train` knows, small enough trainings of each, and weights with a complete card at the end."
import inspect, json, warnings
from dataclasses import replace
import pytest
from PIL import Image
from lbp_inpaint.evidence import recipes
from lbp_inpaint.training import sets
from lbp_inpaint.training.card import check_card, earlier_trainings
from lbp_inpaint.cli import main
from lbp_inpaint.errors import PictureError
from lbp_inpaint.settings import HOLES, TrainSettings
from lbp_inpaint.nets.weights import load_net
from lbp_inpaint.evidence.recipes import RECIPES, train_recipe

@pytest.fixture
def photos(photographs, tmp_path, monkeypatch):
    "Stand-ins for every picture set: one photograph to train on, one held out"
    first,second = list(photographs.values())[:2]
    for name,known in sets.SETS.items():
        for part,levels in (('train',first),('valid',second)):
            (tmp_path/'photos'/name/part).mkdir(parents=True)
            Image.fromarray(levels).save(tmp_path/'photos'/name/part/f'{name}.png')
        monkeypatch.setitem(sets.SETS, name, replace(known, n_train=(1,), n_valid=1))
    return tmp_path/'photos'

@pytest.mark.parametrize('name', RECIPES)
def test_a_recipe_says_all_that_train_needs(name):
    r,known = RECIPES[name],inspect.signature(TrainSettings).parameters
    assert r.what and r.takes and r.stages and set(r.reached)<=set(HOLES)
    assert set(r.sets)<=set(sets.SETS) and all(set(s)<=set(known) and TrainSettings(**s) for s in r.stages)
    assert all(k not in inspect.signature(train_recipe).parameters for s in r.stages for k in s), 'what a recipe settles cannot be given'

def short(recipe):
    "A step of each stage, of narrow networks"
    def of(s): return {**s, **{k:min(s[k], 1) for k in ('n_lbp','n_joint')}, **{k:v for k,v in dict(nf=2, judge_nf=2, passes=1).items() if k in s}}
    return replace(recipe, stages=tuple(map(of, recipe.stages)))

@pytest.mark.parametrize('name', RECIPES)
def test_each_recipe_takes_a_step_of_each_stage(name, photos, tmp_path, monkeypatch, vgg_file):
    real = RECIPES[name]
    monkeypatch.setitem(RECIPES, name, short(real))
    monkeypatch.setattr(recipes, 'classical', lambda: ['mean'])
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter('always')
        card = train_recipe(name, photos, tmp_path/'run', vgg=vgg_file, device='cpu').read_text()
    assert any('These weights reach' in str(o.message) for o in told)==bool(real.reached), 'one step is far from what was reached'
    check_card(card)
    config = load_net(tmp_path/'run').config
    assert len(earlier_trainings(tmp_path/'run'))==len(real.stages) and config['nf']==2 and (config['hole_value']=='smooth')==any(s.get('smooth_hole') for s in real.stages)
    assert all(sets.SETS[o].credit in card for o in real.sets) and all(o in card for o in (*real.limits,*real.limits_of_sets)) and f'| {name} |' in card.partition('## Numbers')[0]
    assert all(f'| {h} | run |' in card for h in HOLES) and 'Apache-2.0' in card

def test_a_recipe_settles_its_settings(photos, tmp_path, capsys):
    assert main(['train', str(photos), '--recipe', 'small', '--lr', '1', '--n-lbp', '3', '-o', str(tmp_path/'run')])==2
    err = capsys.readouterr().err
    assert err.count('\n')==1 and '--n-lbp' in err and '--lr' in err and 'without --recipe' in err
    assert main(['train', str(photos), '--recipe', 'huge', '-o', str(tmp_path/'run')])==2
    assert 'no recipe huge; expected one of small, sharp, base' in capsys.readouterr().err
    assert not (tmp_path/'run').exists()

@pytest.fixture
def own(photographs, tmp_path):
    "Somebody's own pictures"
    folder = tmp_path/'holiday'
    folder.mkdir()
    for name,levels in photographs.items(): Image.fromarray(levels[:256,:256]).save(folder/f'{name}.png')
    return folder

def scored(run): return [o['file'] for o in json.loads((run/'evaluation'/'results.json').read_text())['pictures']]

@pytest.mark.parametrize('name', ('small','sharp'))
def test_a_recipe_trains_on_pictures_of_ones_own(name, own, tmp_path, monkeypatch, vgg_file):
    monkeypatch.setitem(RECIPES, name, short(RECIPES[name]))
    monkeypatch.setattr(recipes, 'classical', lambda: ['mean'])
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter('always')
        card = train_recipe(name, own, tmp_path/'run', vgg=vgg_file, device='cpu').read_text()
    assert not [o for o in told if 'These weights reach' in str(o.message)], 'what was reached on other pictures is no measure'
    check_card(card)
    for said in ('No picture set was named for `holiday`','3 photographs for training and 1 held out','made for other pictures','Not stated: whoever passes'): assert said in card
    assert 'studio portraits' not in card and 'Apache' not in card and len(scored(tmp_path/'run'))==1
    assert len({o['data'] for o in earlier_trainings(tmp_path/'run')})==1, 'what is held out is the same in all stages'

def test_a_folder_called_valid_is_held_out(own, tmp_path, monkeypatch):
    monkeypatch.setitem(RECIPES, 'small', short(RECIPES['small']))
    monkeypatch.setattr(recipes, 'classical', lambda: ['mean'])
    (own/'valid').mkdir()
    for o in ('coffee','rocket'): (own/f'{o}.png').rename(own/'valid'/f'{o}.png')
    train_recipe('small', own, tmp_path/'run', device='cpu')
    assert scored(tmp_path/'run')==['valid/coffee.png','valid/rocket.png']

def test_a_damaged_picture_does_not_cost_the_card(own, tmp_path, monkeypatch):
    monkeypatch.setitem(RECIPES, 'small', short(RECIPES['small']))
    monkeypatch.setattr(recipes, 'classical', lambda: ['mean'])
    (own/'valid').mkdir()
    for i in range(12): (own/'valid'/f'{i:02}.png').write_bytes((own/'coffee.png').read_bytes())
    (own/'valid'/'05.png').write_bytes(b'no picture')
    with pytest.warns(UserWarning, match='1 pictures held out could not be read'): card = train_recipe('small', own, tmp_path/'run', device='cpu')
    assert '1 damaged pictures were left out' in card.read_text()

def test_some_of_the_sets_are_a_mistake(photos, tmp_path):
    (photos/'flowers_ccby').rename(photos/'flowers')
    with pytest.raises(PictureError, match='holds some of the picture sets of the recipe small, but not flowers_ccby; add') as e: train_recipe('small', photos, tmp_path/'run', device='cpu')
    assert '. ' not in str(e.value) and not (tmp_path/'run').exists()

def test_other_sets_may_be_named(photos, tmp_path, monkeypatch):
    monkeypatch.setitem(RECIPES, 'small', short(RECIPES['small']))
    monkeypatch.setattr(recipes, 'classical', lambda: ['mean'])
    card = train_recipe('small', photos, tmp_path/'run', sets=['facades_cmp'], device='cpu').read_text()
    assert scored(tmp_path/'run')==['facades_cmp/valid/facades_cmp.png'] and 'Tylecek and Sara' in card and 'Apache' not in card
