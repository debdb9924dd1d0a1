"What several tests need: photographs that scikit-image bundles, a folder of them, thin VGG weights, the shipped model."
import os, signal, threading
os.environ['OMP_NUM_THREADS'] = '1' # threads that wait for each other on a busy machine make narrow nets up to 50 times slower
if threading.current_thread() is threading.main_thread(): signal.signal(signal.SIGINT, signal.default_int_handler) # a job in the background ignores it, and so would the programs that tests interrupt
import numpy as np, pytest, torch
from PIL import Image
from skimage import data
from lbp_inpaint.filling.inpainter import Inpainter

PHOTOGRAPHS = 'astronaut','chelsea','coffee','rocket'

@pytest.fixture(scope='session')
def photographs(): return {name: getattr(data, name)() for name in PHOTOGRAPHS}

@pytest.fixture(scope='session')
def folder(photographs, tmp_path_factory):
    "Four pictures to train on, two of them again to validate on."
    root = tmp_path_factory.mktemp('pictures')
    (root/'valid').mkdir()
    for i,(name,levels) in enumerate(photographs.items()):
        im = Image.fromarray(levels[:300,-300:]).resize((256,256), Image.Resampling.LANCZOS)
        im.save(root/f'{name}.png')
        if i<2: im.save(root/'valid'/f'{name}.png')
    return root

@pytest.fixture(scope='session')
def vgg_file(tmp_path_factory):
    "VGG-16 up to conv4_1 in torchvision's layout, thin and random."
    gen,n_in,state = torch.Generator().manual_seed(0),3,{}
    for i,n in ((0,4),(2,4),(5,6),(7,6),(10,8),(12,8),(14,8),(17,8)):
        state[f'features.{i}.weight'] = torch.randn(n, n_in, 3, 3, generator=gen)*(2/(9*n_in))**.5
        state[f'features.{i}.bias'] = torch.randn(n, generator=gen)*.1
        n_in = n
    path = tmp_path_factory.mktemp('vgg')/'thin.pth'
    torch.save(state, path)
    return str(path)

@pytest.fixture(scope='session')
def small(): return Inpainter.from_pretrained('small', 'cpu')

@pytest.fixture
def rng(): return np.random.default_rng(0)
