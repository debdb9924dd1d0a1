"`python tests/benchmarks.py`: LBP against a loop over pixels, the attention's two passes, one fill. Free the machine first."
import time
import numpy as np, torch
from skimage import data
from lbp_inpaint.attention import spatial_attention
from lbp_inpaint.inference import Inpainter, best_device
from lbp_inpaint.lbp import lbp_codes
from test_lbp import codes_by_loop

def seconds(f, n=10):
    "The best of `n` calls, after one to warm up"
    f()
    res = []
    for _ in range(n):
        start = time.perf_counter(); f()
        if torch.cuda.is_available(): torch.cuda.synchronize()
        res.append(time.perf_counter()-start)
    return min(res)

def lbp(size=256, bs=32):
    grey = torch.randint(0, 256, (bs,1,size,size), dtype=torch.uint8)
    rows = grey[0,0].tolist()
    fast,slow = seconds(lambda: lbp_codes(grey))/bs,seconds(lambda: codes_by_loop(rows, 'gt', 'zero'), 3)
    print(f'LBP, {bs} pictures of {size}x{size}, cpu: {1000*fast:.2f} ms a picture, the loop {1000*slow:.0f} ms: {slow/fast:.0f} times faster (wanted: 500)')

def attention(size=32, channels=512):
    device = best_device()
    feat,mask = torch.randn(1,channels,size,size, device=device, requires_grad=True),torch.zeros(1,1,size,size, device=device)
    mask[...,8:24,8:24] = 1
    print(f'Attention, {size}x{size} cells of {channels} channels, forward and backward, {device}: {1000*seconds(lambda: spatial_attention(feat, mask).sum().backward()):.1f} ms')

def fill():
    inp,hole = Inpainter.from_pretrained(),np.zeros((256,256), bool)
    hole[68:188,68:188] = True
    print(f"Fill, 256x256 with shipped weights, {inp.device}: {1000*seconds(lambda: inp(data.astronaut()[:256,:256], hole)):.1f} ms")

if __name__=='__main__': lbp(); attention(); fill()
