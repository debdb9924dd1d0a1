"Data sets by name: the paper's numbers, each layout, and a split that is complete and clean or refused."
from dataclasses import replace
import pytest
from PIL import Image
from lbp_inpaint.training import sets
from lbp_inpaint.cli import main
from lbp_inpaint.errors import InpaintError, PictureError
from lbp_inpaint.training.sets import SETS, files_of

def put(root, *names):
    for o in names:
        (root/o).parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (4,4)).save(root/o)

def shrink(monkeypatch, name, n_train, n_valid): monkeypatch.setitem(sets.SETS, name, replace(SETS[name], n_train=(n_train,), n_valid=n_valid))

def relative(files, root): return [f.relative_to(root).as_posix() for f in files]

def test_the_numbers_are_the_papers():
    assert {k:(SETS[k].n_train[0], SETS[k].n_valid) for k in ('celeba_hq','places','paris_streetview')}=={
        'celeba_hq':(28_000,2_000), 'places':(365*5_000,365*100), 'paris_streetview':(14_900,100)}

@pytest.mark.parametrize('name', SETS)
def test_a_set_is_complete(name):
    r = SETS[name]
    assert r.what and r.source and r.licence and r.credit and r.train and all(n>0 for n in (*r.n_train, r.n_valid))
    assert r.assumed or name not in ('celeba_hq','places','paris_streetview'), 'the paper gives numbers only'
    assert not r.trained or 'CC BY' in r.licence and 'none' not in r.licence and 'research' not in r.licence, 'weights that ship are trained on free pictures only'

@pytest.mark.parametrize('train,valid', (('data_256','val_256'), ('train_256','val_256'), ('data_large_standard','val_large')))
def test_places(train, valid, tmp_path, monkeypatch):
    shrink(monkeypatch, 'places', 4, 2)
    want = [f'{train}/a/airfield/00000001.jpg', f'{train}/a/airfield/00000002.jpg', f'{train}/b/bar/00000001.jpg', f'{train}/f/field/wild/00000001.jpg']
    held = [f'{valid}/Places365_val_00000001.jpg', f'{valid}/Places365_val_00000002.jpg']
    put(tmp_path, *want, *held, 'test_256/Places365_test_00000001.jpg')
    assert [relative(o, tmp_path) for o in files_of('places', tmp_path)]==[want,held]

@pytest.mark.parametrize('name', ('{}.jpg','{:05}.jpg'))
def test_faces_are_split_by_number(name, tmp_path, monkeypatch):
    shrink(monkeypatch, 'celeba_hq', 9, 3)
    put(tmp_path, *[f'CelebA-HQ-img/{name.format(i)}' for i in range(12)], 'CelebAMask-HQ-mask-anno/0/00000_hair.png')
    train,valid = files_of('celeba_hq', tmp_path)
    assert [int(o.stem) for o in train]==list(range(9)) and [int(o.stem) for o in valid]==[9,10,11]
    (tmp_path/'CelebA-HQ-img'/name.format(11)).unlink()
    with pytest.raises(PictureError, match='8 training'): files_of('celeba_hq', tmp_path, train=False) # else a training picture would slip into the held-out ones

def test_names_that_are_no_numbers_are_in_the_order_of_a_folder(tmp_path, monkeypatch):
    "As everywhere else, so that a picture has the same hole whether its set is named or its folder is given"
    shrink(monkeypatch, 'flowers_ccby', 3, 3)
    put(tmp_path, *[f'{part}/{o}.jpg' for part in ('train','valid') for o in ('9a','123','b7')])
    assert files_of('flowers_ccby', tmp_path)[1]==sorted((tmp_path/'valid').iterdir())

def test_paris_has_no_damaged_pictures_in_it(tmp_path, monkeypatch):
    shrink(monkeypatch, 'paris_streetview', 2, 1)
    put(tmp_path, 'paris_train_original/a.JPG', 'paris_train_original/b.JPG', 'paris_eval/paris_eval_gt/001_im.png', 'paris_eval/paris_eval_corrupted/001_im.png')
    assert [relative(o, tmp_path) for o in files_of('paris_streetview', tmp_path)]==[['paris_train_original/a.JPG','paris_train_original/b.JPG'],['paris_eval/paris_eval_gt/001_im.png']]

@pytest.mark.parametrize('above', (True,False))
def test_the_folder_of_a_set_or_the_one_above(above, tmp_path, monkeypatch):
    shrink(monkeypatch, 'flowers_ccby', 2, 1)
    put(tmp_path/'flowers_ccby', 'train/a.jpg', 'train/b.jpg', 'valid/c.jpg')
    train,valid = files_of('flowers_ccby', tmp_path if above else tmp_path/'flowers_ccby')
    assert [o.name for o in (*train,*valid)]==['a.jpg','b.jpg','c.jpg']

@pytest.mark.parametrize('spoil,said', ((('train/b.jpg',None), '1 training pictures where 2'), (('valid/c.jpg',None), '0 validation pictures where 1'),
    (('train/d.jpg','new'), '3 training pictures where 2'), (('train/b.jpg','link'), '1 pictures in both parts')))
def test_a_split_that_is_not_the_sets(spoil, said, tmp_path, monkeypatch):
    shrink(monkeypatch, 'facades_ccby', 2, 1)
    put(tmp_path, 'train/a.jpg', 'train/b.jpg', 'valid/c.jpg')
    path,how = tmp_path/spoil[0],spoil[1]
    path.unlink(missing_ok=True)
    if how=='new': put(tmp_path, spoil[0])
    if how=='link': path.symlink_to(tmp_path/'valid/c.jpg')
    with pytest.raises(PictureError, match=said) as e: files_of('facades_ccby', tmp_path)
    assert 'facades_ccby' in str(e.value) and '. ' not in str(e.value)

def test_only_what_is_wanted_need_be_there(tmp_path, monkeypatch):
    shrink(monkeypatch, 'places', 100, 1)
    put(tmp_path, 'val_256/Places365_val_00000001.jpg')
    train,valid = files_of('places', tmp_path, train=False)
    assert train==[] and len(valid)==1
    with pytest.raises(PictureError, match='none of the folders data_256'): files_of('places', tmp_path)

@pytest.mark.parametrize('name', SETS)
def test_a_set_that_is_absent_is_one_sentence_that_says_where_to_get_it(name, tmp_path, capsys):
    assert main(['evaluate', str(tmp_path), '--sets', name, '--methods', 'mean', '-o', str(tmp_path/'out')])==3
    err = capsys.readouterr().err
    assert err.count('\n')==1 and '. ' not in err and SETS[name].source in err and name in err
    assert not (tmp_path/'out').exists()

def test_an_unknown_name(tmp_path):
    with pytest.raises(InpaintError, match='no picture set imagenet.*celeba_hq'): files_of('imagenet', tmp_path)
