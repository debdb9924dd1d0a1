"What a first fill costs before it fills: nothing is loaded that it does not need."
import subprocess, sys
import numpy as np, pytest
from PIL import Image
from project import ROOT

HEAVY = 'torch._dynamo','torchvision','fastai','pandas','matplotlib','sklearn','onnx','huggingface_hub'

@pytest.mark.parametrize('weights', ('small','old'))
def test_a_fill_loads_nothing_that_it_does_not_need(weights, tmp_path):
    "On the command line, with the shipped weights, and with ones whose network has transposed convolutions."
    if weights=='old':
        from lbp_inpaint.nets.build import build_net
        from lbp_inpaint.nets.weights import save_net
        save_net(build_net(nf=1), tmp_path/'old')
    levels,hole = np.full((256,256,3), 90, np.uint8),np.zeros((256,256), bool)
    hole[80:170,90:180] = True
    Image.fromarray(levels).save(tmp_path/'picture.png'); Image.fromarray(hole).save(tmp_path/'mask.png')
    args = ['fill', 'picture.png', 'mask.png', '-o', 'out.png', '--weights', weights, '--device', 'cpu']
    code = f'import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom lbp_inpaint.cli import main\nassert main({args})==0\nprint("loaded:", *[o for o in {HEAVY} if o in sys.modules])'
    done = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode==0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1].strip()=='loaded:'
