"Evaluation: right numbers, the same for any batch, worker or interruption; mistakes in one sentence; complete cards."
import io, json, signal, subprocess, sys, time
from importlib import util
from pathlib import Path
import cv2, numpy as np, pandas as pd, pytest, torch
from PIL import Image
from scipy.ndimage import map_coordinates
from scipy import stats
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from skimage.restoration import inpaint_biharmonic
import lbp_inpaint
from lbp_inpaint.training.card import FACTS, SECTIONS, card_text, check_card, table_text, write_card
from lbp_inpaint.cli import main
from lbp_inpaint.core import sample_generator
from lbp_inpaint.errors import InpaintError, MaskError, PictureError, UsageError
from lbp_inpaint.image_files import read_image
from lbp_inpaint.training.data import InpaintDataset
from lbp_inpaint.evidence.classical import CLASSICAL
from lbp_inpaint.evidence.demo import demo
from lbp_inpaint.evidence.evaluate import evaluate, evaluate_files
from lbp_inpaint.evidence.scores import HoledPictures, gradient_energy, lpips_distance, vgg_distance
from lbp_inpaint.nets.build import build_net
from lbp_inpaint.nets.generator import InpaintNet
from lbp_inpaint.nets.weights import read_about, save_net
from lbp_inpaint.nets.losses import PerceptualLoss, VGGFeatures
from lbp_inpaint.masks import center_mask, irregular_mask
from lbp_inpaint.settings import HOLES, EvaluateSettings

FAST = ['mean','ns']

@pytest.fixture(scope='module')
def pictures(photographs, tmp_path_factory):
    "Six pictures of 64 pixels, in two folders"
    root = tmp_path_factory.mktemp('evaluated')
    for i in range(6):
        levels = list(photographs.values())[i%4][40+20*i:,60:][:90,:120]
        (root/'ab'[i//3]).mkdir(exist_ok=True)
        Image.fromarray(levels).resize((86,64)).save(root/'ab'[i//3]/f'{i}.png')
    return root

@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    "A network of width 2 as `train` leaves it, with records of a training"
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp('weights')/'tiny'
    save_net(InpaintNet(2), folder, training=dict(folder='photos', pictures=1432, held_out=120, n_lbp=1, n_joint=2, bs=4, size=256, seed=0, lr=2e-4, seconds=7200, torch='2.10', lbp_inpaint='0.1.0'))
    return folder

@pytest.fixture(scope='module')
def whole(pictures, weights, tmp_path_factory):
    "An evaluation of the network and a classical method at 256 pixels"
    out = tmp_path_factory.mktemp('whole')/'out'
    return out,evaluate(pictures/'a', out, methods=[weights,'mean'], holes=['centre','20-30'], device='cpu')

def rows(out): return [json.loads(o) for o in (out/'values.jsonl').read_text().splitlines()[1:]]

def numbers(out): return {(r['hole'],r['method'],r['picture']):{k:v for k,v in r.items() if k!='seconds'} for r in rows(out)}

def small(folder, out, methods=FAST, holes=('centre','10-20'), **kwargs): return evaluate(folder, out, methods=methods, holes=holes, size=64, device='cpu', **kwargs)

# methods

def example():
    gen = torch.Generator().manual_seed(0)
    levels = torch.randint(256, (3,8,8), generator=gen).repeat_interleave(8,1).repeat_interleave(8,2)
    return levels/127.5-1,irregular_mask(64, (.2,.3), gen)

def smooth_by_hand(levels, hole):
    "Push and pull in NumPy: means of known pixels on ever coarser grids; back, each cell takes its own mean as far as it is known, else what the coarser grid says there"
    stack = [(np.where(hole[...,None], 0., levels),(~hole)*1.)]
    while min(stack[-1][1].shape)>1:
        x,k = stack[-1]
        h,w = (n//2 for n in k.shape)
        stack.append(tuple(np.array([[o[2*i:2*i+2,2*j:2*j+2].mean((0,1)) for j in range(w)] for i in range(h)]) for o in (x,k)))
    x,k = stack[-1]
    out = np.broadcast_to(x.sum((0,1))/k.sum(), x.shape)
    for x,k in stack[::-1]:
        grid = [np.clip((np.arange(n)+.5)*m/n-.5, 0, m-1) for n,m in zip(k.shape, out.shape)]
        coarse = np.stack([map_coordinates(out[...,c], np.meshgrid(*grid, indexing='ij'), order=1) for c in range(x.shape[2])], -1)
        share = np.minimum(4*k, 1)[...,None]
        out = (1-share)*coarse + share*x/np.maximum(k, 1e-6)[...,None]
    return np.where(hole[...,None], out, levels)

@pytest.mark.parametrize('name', CLASSICAL)
def test_a_classical_method_is_the_librarys_own(name):
    image,mask = example()
    levels,hole = ((image+1)*127.5).round().byte().permute(1,2,0).numpy(),mask[0].numpy()>0
    damaged = np.where(hole[...,None], 128, levels).astype(np.uint8) # OpenCV's fill depends on it a little
    want = dict(mean=lambda: np.broadcast_to((levels[~hole]/127.5-1).mean(0), levels.shape), smooth=lambda: smooth_by_hand(levels/127.5-1, hole), biharmonic=lambda: inpaint_biharmonic(damaged/127.5-1, hole, channel_axis=-1).clip(-1,1),
        telea=lambda: cv2.inpaint(damaged[...,::-1].copy(), hole.astype(np.uint8), 3, cv2.INPAINT_TELEA)[...,::-1]/127.5-1,
        ns=lambda: cv2.inpaint(damaged[...,::-1].copy(), hole.astype(np.uint8), 3, cv2.INPAINT_NS)[...,::-1]/127.5-1)[name]()
    fill = CLASSICAL[name](image, mask).permute(1,2,0).numpy()
    assert np.abs(fill-want)[hole].max()<(.05 if name=='biharmonic' else 1e-5) # split into regions, which is faster, it differs a little
    assert (fill[~hole]==image.permute(1,2,0).numpy()[~hole]).all()

def test_gradient_energy_equals_a_loop():
    image,mask = example()
    image = torch.stack([image, image.flip(1)])[:,:,:20,:24]
    mask = torch.stack([mask, mask.flip(2)])[:,:,:20,:24]
    levels = ((image+1)*127.5).round().numpy()
    for b in range(2):
        diffs = [(levels[b,:,y,x]-levels[b,:,y+v,x+u])**2 for v,u in ((0,1),(1,0)) for y in range(20-v) for x in range(24-u) if mask[b,0,y,x] and mask[b,0,y+v,x+u]]
        assert gradient_energy(image, mask)[b].item()==pytest.approx(np.mean(diffs))
    assert gradient_energy(image, torch.zeros_like(mask)).tolist()==[0,0]

# holes

@pytest.mark.parametrize('hole,ratio', list(zip(HOLES[1:], ((.1,.2),(.2,.3),(.3,.4),(.4,.5)))))
def test_holes_are_those_of_validation_with_the_same_seed(hole, ratio, pictures):
    files = sorted(pictures.rglob('*.png'))
    ours,theirs = HoledPictures(files, hole, 64, 5),InpaintDataset(files, 64, lambda size,gen: irregular_mask(size, ratio, gen), 5)
    for i in (0,3): assert all(torch.equal(a, b) for a,b in zip(ours[i], theirs[i], strict=True))
    assert torch.equal(ours[3][1], irregular_mask(64, ratio, sample_generator(5,0,3)))

def test_the_centre_hole_scales_with_the_picture(pictures):
    files = sorted(pictures.rglob('*.png'))
    assert torch.equal(HoledPictures(files, 'centre', 256)[0][1], center_mask(256,120)) and HoledPictures(files, 'centre', 64)[0][1].sum()==30*30

@pytest.fixture
def masks(tmp_path):
    "Mask files that cover 15, 25, 16, 70 and 17 %, in the order of their names"
    folder = tmp_path/'masks'; folder.mkdir()
    for name,share in zip('abcde', (15,25,16,70,17)):
        levels = np.zeros((100,100), np.uint8); levels[:share] = 255
        Image.fromarray(levels).resize((64,64), 0).save(folder/f'{name}.png')
    return folder

def test_mask_files_are_dealt_out_in_order(masks, pictures, tmp_path):
    small(pictures, tmp_path/'out', ['mean'], ['centre','10-20','20-30'], masks=masks)
    made = [o['holes'] for o in json.loads((tmp_path/'out'/'results.json').read_text())['pictures']]
    assert [o['10-20']['mask'] for o in made]==['a.png','c.png','e.png']*2 and {o['20-30']['mask'] for o in made}=={'b.png'} and {o['centre']['mask'] for o in made}=={'drawn'}
    assert made[1]['10-20']['ratio']==pytest.approx(.16, abs=.02)

def test_masks_that_do_not_serve(masks, pictures, tmp_path):
    with pytest.raises(MaskError, match='None of the 5 masks.*30-40 %'): small(pictures, tmp_path/'out', holes=['30-40'], masks=masks)
    Image.new('L', (65,64)).save(masks/'f.png')
    with pytest.raises(MaskError, match='f.png is 65x64 pixels but its picture is 64x64'): small(pictures, tmp_path/'out', masks=masks)
    with pytest.raises(MaskError, match='not a folder'): small(pictures, tmp_path/'out', masks=masks/'a.png')
    assert not (tmp_path/'out').exists()

@pytest.mark.parametrize('side', (40,96))
def test_dealt_and_drawn_holes_are_of_the_same_pictures(side, masks, pictures, tmp_path):
    Image.open(pictures/'a'/'0.png').resize((side,side)).save(tmp_path/'other.png')
    drawn,dealt = (HoledPictures([tmp_path/'other.png'], '10-20', 64, masks=o)[0] for o in (None,[masks/'a.png']))
    assert torch.equal(drawn[2], dealt[2]) and dealt[2].shape==(3,64,64) and not torch.equal(drawn[1], dealt[1])

# numbers

def test_numbers_are_scikit_images(whole, pictures):
    "From the sheet, which is PNG: the fill as it can be seen is the fill that was scored"
    out,table = whole
    sheet = np.asarray(read_image(out/'sheet.png'))
    files,kept = sorted((pictures/'a').glob('*.png')),numbers(out)
    for k,(hole,i) in enumerate(zip(('centre','20-30'), (0,1))):
        truth,_,_,tiny,mean = (sheet[18+260*k:18+260*k+256, 260*c:260*c+256] for c in range(5))
        inside = HoledPictures(files, hole)[i][1][0].numpy()>0
        for method,fill in (('tiny',tiny),('mean',mean)):
            ssim,full = structural_similarity(truth, fill, win_size=11, channel_axis=2, data_range=255, full=True)
            difference,t = np.abs(truth.astype(float)-fill),truth.astype(float)
            want = {'PSNR dB picture':peak_signal_noise_ratio(truth, fill, data_range=255), 'SSIM picture':ssim, 'l1 % picture':100*difference.sum()/t.sum(),
                'PSNR dB hole':peak_signal_noise_ratio(truth[inside], fill[inside], data_range=255), 'SSIM hole':full[inside].mean(), 'l1 % hole':100*difference[inside].sum()/t[inside].sum()}
            for name,value in want.items(): assert kept[hole,method,i][name]==pytest.approx(value, abs=1e-9), name

def test_the_table_is_the_mean_over_pictures(whole):
    out,table = whole
    df = pd.DataFrame(rows(out)).query('hole=="20-30"')
    def value(method, metric, over='hole'): return table.query(f'hole=="20-30" and method=="{method}" and metric=="{metric}" and over=="{over}"').iloc[0]
    for method in ('tiny','mean'): assert value(method, 'SSIM').value==pytest.approx(df[df.method==method]['SSIM hole'].mean())
    t = df[df.method=='tiny']
    assert value('tiny', 'gradient').value==pytest.approx(t['gradient hole'].sum()/t['truth gradient hole'].sum()) and value('mean', 'gradient').value==0
    lead = t['PSNR dB picture'].to_numpy()-df[df.method=='mean']['PSNR dB picture'].to_numpy()
    row = value('mean', 'PSNR dB', 'picture')
    want = stats.ttest_1samp(lead, 0).confidence_interval()
    assert [row.difference,row.low,row.high]==pytest.approx([lead.mean(),want.low,want.high])
    assert value('tiny', 'SSIM')[['difference','low','high']].tolist()==[0,0,0]
    assert pd.read_csv(out/'table.csv').equals(table) or np.allclose(pd.read_csv(out/'table.csv').value, table.value)

def test_of_one_picture_there_is_no_interval(pictures, tmp_path):
    def no(o): raise ValueError(o)
    (tmp_path/'one').mkdir(); (tmp_path/'one'/'0.png').write_bytes((pictures/'a'/'0.png').read_bytes())
    table = small(tmp_path/'one', tmp_path/'out')
    assert table.low.isna().all() and not table.difference.isna().any()
    assert json.loads((tmp_path/'out'/'results.json').read_text(), parse_constant=no)['table'][0]['low'] is None

def test_chosen_files_are_scored_as_a_folder_of_them_is(pictures, tmp_path):
    table = small(pictures/'b', tmp_path/'out')
    again,refused = evaluate_files(sorted((pictures/'b').glob('*.png')), pictures, tmp_path/'files', EvaluateSettings(methods=FAST, holes=['centre','10-20'], size=64, device='cpu'))
    assert table.equals(again) and not refused
    assert [o['file'] for o in json.loads((tmp_path/'files'/'results.json').read_text())['pictures']]==['b/3.png','b/4.png','b/5.png']

@pytest.mark.parametrize('config,maps', ((dict(guidance='planes'),1), (dict(system='sh'),0)))
def test_every_kind_of_network_is_scored_and_shown(config, maps, pictures, tmp_path):
    "One with a map of eight planes, of which no picture can be made, and one without any"
    save_net(build_net(nf=4, **config), tmp_path/'net')
    evaluate(pictures/'a', tmp_path/'out', methods=[tmp_path/'net'], holes=['centre'], device='cpu')
    assert read_image(tmp_path/'out'/'sheet.png').width==260*(3+maps)-4

def test_a_demonstration_without_a_map(tmp_path):
    save_net(build_net('sh', nf=4), tmp_path/'net')
    demo(tmp_path/'demo.png', tmp_path/'net', 'cpu')
    assert read_image(tmp_path/'demo.png').width==5*260-4 # input, three fills, truth

@pytest.mark.parametrize('bs,workers', ((2,0),(3,2),(1,1)))
def test_batches_and_workers_change_no_number(bs, workers, pictures, weights, whole, tmp_path):
    again = evaluate(pictures/'a', tmp_path/'out', methods=[weights,'mean'], holes=['centre','20-30'], bs=bs, workers=workers, device='cpu')
    for key,row in numbers(whole[0]).items(): assert numbers(tmp_path/'out')[key]=={k:v if isinstance(v, str) else pytest.approx(v, rel=1e-6) for k,v in row.items()}, key
    assert np.allclose(again.value, whole[1].value, rtol=1e-6)

def test_workers_change_no_classical_number(pictures, tmp_path):
    for n in (0,2): small(pictures, tmp_path/str(n), list(CLASSICAL), bs=2, workers=n)
    assert numbers(tmp_path/'0')==numbers(tmp_path/'2')

def test_no_method_sees_under_the_hole(pictures, weights, tmp_path, rng):
    fills = []
    for k in range(2):
        levels = np.asarray(Image.open(pictures/'a'/'0.png').resize((256,256))).copy()
        if k: levels[68:188,68:188] = rng.integers(0, 256, (120,120,3))
        (tmp_path/str(k)).mkdir(); Image.fromarray(levels).save(tmp_path/str(k)/'picture.png')
        evaluate(tmp_path/str(k), tmp_path/f'out{k}', methods=[weights,*CLASSICAL], holes=['centre'], device='cpu')
        fills.append(np.asarray(read_image(tmp_path/f'out{k}'/'sheet.png')))
    assert (fills[0][18:,:256]!=fills[1][18:,:256]).any() and (fills[0][:,260:]==fills[1][:,260:]).all()

def test_perceptual_distance(vgg_file, pictures, tmp_path):
    table = small(pictures, tmp_path/'out', vgg=vgg_file, bs=4)
    assert (table.query('metric=="VGG"').over=='picture').all() and (table.query('metric=="VGG"').value>0).all()
    gen = torch.Generator().manual_seed(0)
    a,b = (torch.rand(3,3,64,64, generator=gen)*2-1 for _ in range(2))
    vgg = VGGFeatures(vgg_file)
    want = torch.stack([PerceptualLoss()(vgg(a[i:i+1]), vgg(b[i:i+1])) for i in range(3)])
    torch.testing.assert_close(vgg_distance(vgg_file, 'cpu')(a, b), want)

def test_lpips_without_a_download(pictures, tmp_path):
    lpips = pytest.importorskip('lpips')
    from torchvision.models import alexnet
    torch.manual_seed(0)
    net = alexnet(weights=None)
    torch.save(net.state_dict(), tmp_path/'alexnet.pth')
    gen = torch.Generator().manual_seed(0)
    a,b = (torch.rand(2,3,64,64, generator=gen)*2-1 for _ in range(2))
    own = lpips.LPIPS(net='alex', pnet_rand=True, verbose=False)
    want,unit = 0,lambda f: f/(f.norm(dim=1, keepdim=True)+1e-10)
    for i,lin in zip((1,4,7,9,11), own.lins): # the ReLUs of AlexNet's five convolutions
        fa,fb = (unit(net.features[:i+1](own.scaling_layer(o))) for o in (a,b))
        want = want+lin((fa-fb)**2).mean((1,2,3))
    torch.testing.assert_close(lpips_distance(tmp_path/'alexnet.pth', 'cpu')(a, b), want)
    assert 'LPIPS' in set(small(pictures, tmp_path/'out', lpips=str(tmp_path/'alexnet.pth')).metric)

# records

def test_results_are_json_with_all_that_they_were_made_from(whole, weights, pictures):
    def no(o): raise ValueError(o)
    results = json.loads((whole[0]/'results.json').read_text(), parse_constant=no)
    assert {'torch','numpy','scikit-image','lbp_inpaint','python'}<=results['versions'].keys() and {'cpu','cores','threads','gpu'}<=results['hardware'].keys()
    assert results['settings']['seed']==0 and results['methods']['tiny']['id'].split()[1]==read_about(weights)['sha256'][:16]
    assert [o['file'] for o in results['pictures']]==['0.png','1.png','2.png'] and all(.2<=o['holes']['20-30']['ratio']<=.3 for o in results['pictures'])
    assert all(o['seconds_a_picture']>0 for o in results['methods'].values()) and str(pictures) not in json.dumps(results)
    assert len(results['table'])==len(whole[1])==2*2*7

def test_the_printed_table(whole):
    lines = table_text(whole[1]).splitlines()
    assert lines[0].startswith('| hole | method | PSNR dB | SSIM | l1 % | hole PSNR dB |') and len(lines)==2+4 and len({o.count('|') for o in lines})==1

def kill_when(out, lines, *args):
    "Run the command and kill it without notice once `lines` are recorded"
    run = subprocess.Popen([sys.executable, '-c', 'import sys; from lbp_inpaint.cli import main; sys.exit(main())', *args], stdout=subprocess.DEVNULL)
    for _ in range(600):
        if (out/'values.jsonl').is_file() and (out/'values.jsonl').read_bytes().count(b'\n')>lines: break
        time.sleep(.05)
    run.send_signal(signal.SIGKILL); run.wait()

def test_killed_and_given_again_it_computes_the_rest_only(pictures, tmp_path):
    args = ['evaluate', str(pictures), '--methods', 'mean', 'biharmonic', '--size', '128', '--holes', *HOLES]
    assert main([*args, '-o', str(tmp_path/'whole')])==0
    kill_when(tmp_path/'out', 5, *args, '-o', str(tmp_path/'out'))
    record = tmp_path/'out'/'values.jsonl'
    assert not (tmp_path/'out'/'results.json').exists()
    before = record.read_text().splitlines()
    record.write_text('\n'.join(before[:-1])+'\n'+before[-1][:25])
    assert main([*args, '-o', str(tmp_path/'out')])==0
    assert record.read_text().splitlines()[:len(before)-1]==before[:-1]
    assert numbers(tmp_path/'out')==numbers(tmp_path/'whole') and len(rows(tmp_path/'out'))==6*2*5
    assert (tmp_path/'out'/'table.csv').read_bytes()==(tmp_path/'whole'/'table.csv').read_bytes() and (tmp_path/'out'/'sheet.png').read_bytes()==(tmp_path/'whole'/'sheet.png').read_bytes()

class Screen(io.StringIO):
    def isatty(self): return True

def test_a_bar_is_drawn_on_a_terminal_and_nowhere_else(pictures, tmp_path, monkeypatch, capsys):
    small(pictures, tmp_path/'piped')
    said = capsys.readouterr()
    assert not said.err and said.out.splitlines()[1].startswith('| hole |') and '\r' not in said.out
    monkeypatch.setattr(sys, 'stderr', screen := Screen())
    for _ in range(2): small(pictures, tmp_path/'watched') # the second time there is nothing to do
    assert '/24' in screen.getvalue() and capsys.readouterr().out.count(said.out)==2

def test_a_finished_evaluation_is_not_computed_again_and_can_grow(pictures, tmp_path):
    first = small(pictures, tmp_path/'out')
    kept = (tmp_path/'out'/'values.jsonl').read_text()
    assert small(pictures, tmp_path/'out').equals(first) and (tmp_path/'out'/'values.jsonl').read_text()==kept
    small(pictures, tmp_path/'out', ['mean','telea'], ['centre','10-20','20-30'])
    assert (tmp_path/'out'/'values.jsonl').read_text().startswith(kept)
    new = [(r['method'],r['hole']) for r in rows(tmp_path/'out')[6*2*2:]]
    assert {o:new.count(o) for o in set(new)}=={('telea','centre'):6, ('telea','10-20'):6, ('mean','20-30'):6, ('telea','20-30'):6}

@pytest.mark.parametrize('change,said', ((dict(seed=1), 'seed 0 there and 1 here'), (dict(size=96), 'size 64 there and 96 here'), (dict(folder='a'), r'pictures 6 \(\w+\) there and 3 \(')))
def test_other_settings_are_refused_with_both_values(change, said, pictures, tmp_path):
    small(pictures, tmp_path/'out', ['mean'])
    before = {o:o.read_bytes() for o in (tmp_path/'out').iterdir()}
    with pytest.raises(InpaintError, match=said) as e: evaluate(pictures/change.pop('folder', ''), tmp_path/'out', methods=['mean'], holes=['centre'], **{'size':64, **change})
    assert '. ' not in str(e.value) and {o:o.read_bytes() for o in (tmp_path/'out').iterdir()}==before

def test_other_weights_of_the_same_name_are_refused(whole, pictures, tmp_path):
    save_net(InpaintNet(2), tmp_path/'tiny')
    with pytest.raises(InpaintError, match='tiny fill .* there and fill .* here'): evaluate(pictures/'a', whole[0], methods=[tmp_path/'tiny'], holes=['centre'], device='cpu')

def test_two_folders_of_one_name_are_told_apart(pictures, tmp_path):
    for o in 'ab': save_net(InpaintNet(2), tmp_path/o/'run')
    table = evaluate(pictures/'a', tmp_path/'out', methods=[tmp_path/'a/run',tmp_path/'b/run'], holes=['centre'], device='cpu')
    assert list(table.method.unique())==[str(tmp_path/'a/run'),str(tmp_path/'b/run')]

# mistakes

def one_sentence(capsys, code, *args):
    assert main(['evaluate', *map(str, args)])==code
    err = capsys.readouterr().err
    assert err.count('\n')==1 and err.startswith('lbp-inpaint: ') and '. ' not in err and 'Traceback' not in err, err
    return err

def test_mistakes_are_one_sentence(pictures, weights, tmp_path, capsys):
    out = ('-o', tmp_path/'out')
    (tmp_path/'empty').mkdir()
    (tmp_path/'broken').mkdir(); (tmp_path/'broken'/'config.json').write_text('{}')
    assert 'holds no pictures' in one_sentence(capsys, 3, tmp_path/'empty', *out, '--methods', 'mean')
    assert 'not a folder' in one_sentence(capsys, 3, tmp_path/'none', *out, '--methods', 'mean')
    assert 'nowhere is no method' in one_sentence(capsys, 4, pictures, *out, '--methods', 'mean', 'nowhere')
    assert 'model.safetensors is missing' in one_sentence(capsys, 4, pictures, *out, '--methods', tmp_path/'broken')
    assert 'no holes 50-20' in one_sentence(capsys, 2, pictures, *out, '--methods', 'mean', '--holes', '50-20')
    assert 'multiple of 256' in one_sentence(capsys, 2, pictures, *out, '--methods', weights, '--size', 128)
    assert 'no VGG file' in one_sentence(capsys, 4, pictures, *out, '--methods', 'mean', '--vgg', tmp_path/'none.pth')
    assert not (tmp_path/'out').exists()
    (tmp_path/'file').write_text('')
    assert 'cannot be written' in one_sentence(capsys, 1, pictures, '-o', tmp_path/'file', '--methods', 'mean', '--size', 64)
    with pytest.raises(UsageError, match='no device moon'): evaluate(pictures, tmp_path/'out', methods=[str(weights)], device='moon')
    with pytest.raises(UsageError, match='workers must be a whole number from 0'): small(pictures, tmp_path/'out', workers=-1)
    with pytest.raises(UsageError, match='did you mean methods'): evaluate(pictures, tmp_path/'out', method=['mean'])

def test_a_damaged_picture_is_left_out_and_named(pictures, tmp_path, capsys):
    for o in ('good','bad'):
        (tmp_path/o).mkdir()
        for f in pictures.rglob('*.png'): (tmp_path/o/f.name).write_bytes(f.read_bytes())
    (tmp_path/'bad'/'1.png').write_bytes(b'no picture')
    small(tmp_path/'good', tmp_path/'whole')
    assert main(['evaluate', str(tmp_path/'bad'), '--methods', *FAST, '--holes', 'centre', '10-20', '--size', '64', '-o', str(tmp_path/'out')])==3
    err = capsys.readouterr().err
    lines = err.splitlines()
    assert len(lines)==2 and lines[0].endswith('5 pictures evaluated, 1 left out:') and lines[1].startswith(f"  {tmp_path/'bad'/'1.png'} is ")
    assert numbers(tmp_path/'out')=={k:v for k,v in numbers(tmp_path/'whole').items() if k[2]!=1}, 'the others keep their holes'
    results = json.loads((tmp_path/'out'/'results.json').read_text())
    assert len(results['left_out'])==1 and len(results['pictures'])==5 and {o['pictures'] for o in results['table']}=={5}
    for f in (tmp_path/'bad').iterdir(): f.write_bytes(b'no picture')
    with pytest.raises(PictureError, match='None of the 6 pictures'): small(tmp_path/'bad', tmp_path/'none')

def test_an_evaluation_does_not_evaluate_itself(pictures, tmp_path):
    folder = tmp_path/'pictures'; folder.mkdir()
    (folder/'0.png').write_bytes((pictures/'a'/'0.png').read_bytes())
    for _ in range(2): assert set(small(folder, folder/'evaluation', ['mean']).pictures)=={1}

def test_without_opencv(pictures, tmp_path, monkeypatch, capsys):
    find = util.find_spec
    monkeypatch.setattr(util, 'find_spec', lambda name, *args: None if name=='cv2' else find(name, *args))
    assert 'pip install' in one_sentence(capsys, 1, pictures, '-o', tmp_path/'out', '--methods', 'mean', 'telea')
    assert main(['evaluate', str(pictures/'a'), '-o', str(tmp_path/'out'), '--holes', 'centre', '--device', 'cpu'])==0
    said = capsys.readouterr()
    assert 'Telea and Navier-Stokes are left out' in said.err and '| biharmonic |' in said.out and 'telea' not in said.out

# model cards

SAID = dict(sets=['facades_ccby','faces_london_ccby'], masks='centre squares and strokes', steps=1074, hardware='two CPU cores', limits=['Hands come out wrong.'], licence='Apache-2.0')

def test_a_card_holds_every_fact_and_number(weights, whole):
    text = write_card(weights, whole[0], **SAID).read_text()
    check_card(text)
    for fact in ('1,432 photographs','facades_ccby | 474 | 50','CC BY 4.0','DeBruine','centre squares and strokes','1074','two CPU cores','2.0 hours','Hands come out wrong.','Apache-2.0','at width 2','torch | 2.10'): assert fact in text
    assert table_text(whole[1]) in text and '3 held-out pictures' in text

@pytest.mark.parametrize('fact', FACTS)
def test_a_missing_fact_is_named(fact, weights, whole):
    results,config = json.loads((whole[0]/'results.json').read_text()),read_about(weights)
    facts = {**config['network'], **config['training'], **SAID}
    assert [card_text('tiny', facts, results).count(f'\n## {o}\n') for o in SECTIONS]==[1]*len(SECTIONS)
    for nothing in (None,''):
        with pytest.raises(InpaintError, match=rf'lacks {fact} \(') as e: card_text('tiny', {**facts, fact:nothing}, results)
    assert '. ' not in str(e.value)

def test_without_sets_licence_or_evaluation_a_card_says_so(weights):
    facts = {**dict(nf=2), **read_about(weights)['training'], 'masks':'squares', 'steps':7, 'hardware':'a core'}
    with pytest.raises(InpaintError, match='lacks numbers'): card_text('tiny', facts)
    text = card_text('tiny', {**facts, 'validation':dict(picture_psnr=23.456)})
    check_card(text)
    for said in ('No picture set was named for `photos`','is not recorded','Not stated:','picture psnr | 23.46','over the 120 held-out pictures'): assert said in text

def test_a_card_credits_the_pictures_of_earlier_trainings(weights, whole):
    config = read_about(weights)
    before = {**config['training'], **SAID, 'sets':['flowers_ccby'], 'n_joint':77}
    text = write_card(weights, whole[0], **{**SAID, 'sets':None}, earlier=[before]).read_text()
    for said in ('flowers_ccby | 800 | 50','Flickr photographers','stage 1 | stage 2','n_joint | 77 | 2','named for `photos`'): assert said in text

def test_a_card_needs_an_evaluation_of_its_weights(weights, whole, tmp_path):
    save_net(InpaintNet(2), tmp_path/'other')
    with pytest.raises(InpaintError, match='checksum differs'): write_card(tmp_path/'other', whole[0], **SAID)
    with pytest.raises(InpaintError, match='not the record of an evaluation'): write_card(weights, tmp_path, **SAID)
    with pytest.raises(InpaintError, match='model.safetensors is missing'): write_card(tmp_path, whole[0], **SAID)
    results = json.loads((whole[0]/'results.json').read_text())
    (tmp_path/'results.json').write_text(json.dumps({**results, 'table':[]}))
    with pytest.raises(InpaintError, match='lacks table'): write_card(weights, tmp_path, **SAID)
    assert not (tmp_path/'other'/'README.md').exists()

@pytest.mark.parametrize('section', SECTIONS)
def test_an_empty_section_is_named(section):
    text = '# Model card\n\n' + '\n\n'.join(f'## {o}\n\n{"" if o==section else "something"}' for o in SECTIONS)
    with pytest.raises(InpaintError, match=f'nothing under {section};'): check_card(text)

def test_the_shipped_cards_are_complete():
    cards = list((Path(lbp_inpaint.__file__).parent/'weights').glob('*/README.md'))
    assert cards
    for o in cards: check_card(o.read_text(encoding='utf8'))
