"""Programs for other languages: any number of pictures, known pixels exact, answers near the network's, nothing half-written.
Run as a program, it times ONNX Runtime beside torch on one thread."""
import sys, time
import numpy as np, pytest, torch
from lbp_inpaint.errors import InpaintError, UsageError
from lbp_inpaint.masks import irregular_mask
from lbp_inpaint.nets.build import build_net
from lbp_inpaint.nets.weights import find_weights, load_net
from lbp_inpaint.filling.export import check_program, export_net, onnx_program, record_graph, to_onnx

@pytest.fixture(scope='module')
def graph(small): return record_graph(small.net)

@pytest.fixture(scope='module')
def model(graph): pytest.importorskip('onnx'); return to_onnx(graph, 256)

def pictures(photographs, n):
    "The first `n` photographs `(n,3,256,256)` and a mask for each"
    x = torch.stack([torch.from_numpy(o[:256,:256].copy()).permute(2,0,1)/127.5-1 for o in list(photographs.values())[:n]])
    gen = torch.Generator().manual_seed(n)
    return x,torch.stack([irregular_mask(256, (.2,.5), gen) for _ in x])

@pytest.mark.parametrize('n', (1,2,4))
@pytest.mark.parametrize('kind', ('pt2','onnx'))
def test_any_number_of_photographs(kind, n, graph, model, small, photographs):
    x,m = pictures(photographs, n)
    program = graph.module() if kind=='pt2' else onnx_program(model)
    with torch.no_grad(): (_,fill),(_,wanted) = program(x, m),small.net(x, m)
    assert (fill-wanted).abs().max()<1e-4
    assert torch.equal(fill*(1-m), x*(1-m))
    assert (fill!=x).any(1, keepdim=True)[m>0].float().mean()>.9, 'the hole is as it was'

def test_what_is_under_the_hole_is_not_looked_at(model, photographs):
    x,m = pictures(photographs, 2)
    run = onnx_program(model)
    for a,b in zip(run(x, m), run(torch.where(m>0, -1., x), m)): assert torch.equal(a, b)

def test_a_model_tells_what_it_takes_and_no_path(model, tmp_path):
    onnxruntime = pytest.importorskip('onnxruntime')
    session = onnxruntime.InferenceSession(model)
    told = {o.name:(o.shape,o.type) for o in (*session.get_inputs(), *session.get_outputs())}
    assert told=={k:(['batch',n,256,256],'tensor(float)') for k,n in dict(image=3, mask=1, lbp=1, fill=3).items()}
    assert 'level/127.5-1' in session.get_modelmeta().description
    assert b'.py' not in model and b'/home' not in model and b'site-packages' not in model

@pytest.mark.parametrize('config', (dict(variant='release'), dict(attention='contextual', layer=12)))
def test_other_networks_too(config):
    net = build_net(nf=2, **config).eval()
    check_program(record_graph(net).module(), net, 256, 1e-4)

@pytest.mark.parametrize('guidance', ('canny','rtv'))
def test_what_computes_outside_torch_is_refused(guidance, tmp_path):
    with pytest.raises(InpaintError, match='canny and rtv') as e: export_net(build_net(nf=1, guidance=guidance).eval(), tmp_path/'net.pt2')
    assert '. ' not in str(e.value) and '\n' not in str(e.value) and not list(tmp_path.iterdir())

@pytest.mark.parametrize('name', ('net','net.pth','net.onnx.zip'))
def test_another_ending(name, small, tmp_path):
    with pytest.raises(UsageError, match='neither .onnx'): small.export(tmp_path/name)
    assert not list(tmp_path.iterdir())

@pytest.mark.parametrize('package', ('onnx','onnxscript'))
def test_without_the_packages(package, small, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InpaintError, match=rf'needs {package}, .*lbp-inpaint\[onnx\]'): small.export(tmp_path/'net.onnx')
    assert not list(tmp_path.iterdir())

class Blank(torch.nn.Module):
    "White holes"
    def forward(self, image, mask): return mask,torch.where(mask.bool(), 1., image)

def test_without_onnx_runtime_a_file_is_written_with_a_warning(tmp_path, monkeypatch):
    pytest.importorskip('onnx')
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.warns(UserWarning, match='ONNX Runtime is not installed'): export_net(Blank(), tmp_path/'net.onnx')
    monkeypatch.undo()
    check_program(onnx_program((tmp_path/'net.onnx').read_bytes()), Blank(), 256, 0)

def test_a_file_that_differs_is_not_written_over_an_older_one(tmp_path):
    pytest.importorskip('onnxruntime')
    (tmp_path/'net.onnx').write_bytes(b'older')
    with pytest.raises(InpaintError, match='nothing was written'): export_net(Blank(), tmp_path/'net.onnx', tol=-1)
    assert (tmp_path/'net.onnx').read_bytes()==b'older' and len(list(tmp_path.iterdir()))==1

def timed(n, rounds=12):
    "CPU milliseconds of torch and of ONNX Runtime for `n` pictures, one thread each, by turns"
    import onnxruntime
    torch.set_num_threads(1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    net = load_net(find_weights('small'))
    session = onnxruntime.InferenceSession(to_onnx(record_graph(net), 256), options, providers=['CPUExecutionProvider'])
    x,m = torch.rand(n,3,256,256)*2-1,irregular_mask(generator=torch.Generator().manual_seed(0)).expand(n,-1,-1,-1)
    feed,times = dict(image=x.numpy(), mask=m.numpy()),dict(torch=[], onnx=[])
    with torch.no_grad():
        for _ in range(rounds):
            for k,f in dict(torch=lambda: net(x, m), onnx=lambda: session.run(None, feed)).items():
                start = time.process_time(); f(); times[k].append((time.process_time()-start)*1e3)
    return {k:np.median(v) for k,v in times.items()}

if __name__=='__main__':
    for n in (1,4):
        t = timed(n)
        print(f'{n} at once: torch {t["torch"]:.0f} ms, ONNX Runtime {t["onnx"]:.0f} ms, {t["torch"]/t["onnx"]:.2f} times as fast')
