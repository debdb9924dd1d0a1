"Recipes: settings that `train` knows, small enough trainings of each, and weights with a complete card at the end."
import inspect, warnings
from dataclasses import replace
import pytest
from PIL import Image
from lbp_inpaint.evidence import recipes
from lbp_inpaint.training import sets
from lbp_inpaint.training.card import check_card, earlier_trainings
from lbp_inpaint.cli import main
from lbp_inpaint.evidence.evaluate import HOLES
from lbp_inpaint.nets.weights import load_net
from lbp_inpaint.training.command import train
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
    r,known = RECIPES[name],inspect.signature(train).parameters
    assert r.what and r.takes and r.stages and set(r.reached)<=set(HOLES)
    assert set(r.sets)<=set(sets.SETS) and all(set(s)<=set(known) for s in r.stages)
    assert all(k not in inspect.signature(train_recipe).parameters for s in r.stages for k in s), 'what a recipe settles cannot be given'

@pytest.mark.parametrize('name', RECIPES)
def test_each_recipe_takes_a_step_of_each_stage(name, photos, tmp_path, monkeypatch, vgg_file):
    real = RECIPES[name]
    monkeypatch.setitem(RECIPES, name, replace(real, stages=tuple({**s, **{k:min(s[k], 1) for k in ('n_lbp','n_joint')}, **{k:v for k,v in dict(nf=2, judge_nf=2, passes=1).items() if k in s}} for s in real.stages)))
    monkeypatch.setattr(recipes, 'classical', lambda: ['mean'])
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter('always')
        card = train_recipe(name, photos, tmp_path/'run', vgg=vgg_file, device='cpu').read_text()
    assert any('These weights reach' in str(o.message) for o in told)==bool(real.reached), 'one step is far from what was reached'
    check_card(card)
    config = load_net(tmp_path/'run').config
    assert len(earlier_trainings(tmp_path/'run'))==len(real.stages) and config['nf']==2 and (config['hole_value']=='smooth')==any(s.get('smooth_hole') for s in real.stages)
    assert all(sets.SETS[o].credit in card for o in real.sets) and all(o in card for o in real.limits) and f'| {name} |' in card.partition('## Numbers')[0]
    assert all(f'| {h} | run |' in card for h in HOLES) and 'Apache-2.0' in card

def test_a_recipe_settles_its_settings(photos, tmp_path, capsys):
    assert main(['train', str(photos), '--recipe', 'small', '--lr', '1', '--n-lbp', '3', '-o', str(tmp_path/'run')])==1
    err = capsys.readouterr().err
    assert err.count('\n')==1 and '--n-lbp' in err and '--lr' in err and 'without --recipe' in err
    assert main(['train', str(photos), '--recipe', 'huge', '-o', str(tmp_path/'run')])==1
    assert 'no recipe huge; expected one of small, sharp, base' in capsys.readouterr().err
    assert not (tmp_path/'run').exists()
