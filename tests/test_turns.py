"The Learner of both phases against loops written out with plain Adams and plain formulas."
import pytest, torch, torch.nn.functional as F
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Recorder
from lbp_inpaint.nets.discriminator import PatchDiscriminator
from lbp_inpaint.nets.generator import InpaintNet
from lbp_inpaint.training.objectives import Objectives
from lbp_inpaint.training.phases import InpaintLearner
from lbp_inpaint.lbp import lbp_map, masked_lbp
from lbp_inpaint.nets.losses import VGGFeatures
from lbp_inpaint.masks import center_mask, irregular_mask

NETWORKS = 'g1','g2','d1','d2'

def samples(n=5):
    gen = torch.Generator().manual_seed(1)
    truth = F.interpolate(torch.rand(n,3,32,32, generator=gen)*2-1, 256, mode='bilinear')
    mask = torch.stack([center_mask(), *(irregular_mask(generator=gen) for _ in range(n-1))])
    return list(zip(torch.where(mask.bool(), 1., truth), mask, truth))

def learner(data, vgg=None, double=False, **weights):
    "Networks of width 2, always the same ones"
    torch.manual_seed(0)
    net,d1,d2 = InpaintNet(2),PatchDiscriminator(1,2),PatchDiscriminator(3,2)
    if double:
        for n in (net,d1,d2,vgg): n.double()
        data = [tuple(o.double() for o in s) for s in data]
    dls = DataLoaders(*(DataLoader(d, bs=1) for d in (data,data[:1])), device='cpu')
    learn = InpaintLearner(dls, net, Objectives(net, d1, d2, vgg, **weights))
    if double: learn.remove_cb(Recorder) # keeps float32 means
    return learn

def fit(learn, joint):
    learn.phase(joint)
    with learn.no_bar(), learn.no_logging(): learn.fit(1)

def parameters(learn): return {n:{k:v.detach().clone() for k,v in learn.model[n].named_parameters()} for n in NETWORKS}

def vgg_by_hand(file, image):
    "ReLU of conv2_1, conv3_1 and conv4_1 of VGG-16, torchvision's layout and normalisation"
    state = {k:v.to(image) for k,v in torch.load(file).items()}
    mean,std = (torch.tensor(o).to(image)[:,None,None] for o in ([.485,.456,.406],[.229,.224,.225]))
    x,res = ((image+1)/2-mean)/std,[]
    for step in (0, 2, 'pool', 5, 7, 'pool', 10, 12, 14, 'pool', 17):
        x = F.max_pool2d(x, 2) if step=='pool' else F.relu(F.conv2d(x, state[f'features.{step}.weight'], state[f'features.{step}.bias'], padding=1))
        if step in (5,10,17): res.append(x)
    return res

def mean_square(a, b): return ((a-b)**2).mean()
def levels(feats, aims): return sum(mean_square(f, a.detach()) for f,a in zip(feats, aims))                   # Eqs. 2 and 6
def judged(real, fake): return -(torch.log(torch.sigmoid(real)).mean() + torch.log(1-torch.sigmoid(fake)).mean()) # Eq. 4
def fooled(fake): return torch.log(1-torch.sigmoid(fake)).mean()
def style(feats, aims):                                                                                        # Eq. 7
    def gram(f): return torch.einsum('bihw,bjhw->bij', f, f)/(f.shape[1]*f.shape[2]*f.shape[3])
    return sum(mean_square(gram(f), gram(a)) for f,a in zip(feats, aims))

def phase_1_by_hand(net, d1, d2, data):
    opt_g,opt_d = (torch.optim.Adam(n.parameters(), lr=2e-4, betas=(.5,.999)) for n in (net.g1,d1))
    for image,mask,truth in data:
        known,hole = masked_lbp(image, mask)
        true_lbp = lbp_map(truth)
        lbp,feats = net.g1(known, hole, features=True)
        opt_d.zero_grad(); judged(d1(true_lbp.to(lbp)), d1(lbp.detach())).backward(); opt_d.step()
        aims = net.g1(true_lbp, hole, features=True)[1]
        loss = .01*levels(feats, aims) + 10*mean_square(lbp, true_lbp) + .2*fooled(d1(lbp))                    # Eq. 5
        opt_g.zero_grad(); loss.backward(); opt_g.step()

def phase_2_by_hand(net, d1, d2, data, vgg_file):
    opt_g = torch.optim.Adam([*net.g1.parameters(), *net.g2.parameters()], lr=2e-4, betas=(.5,.999))
    opt_d = torch.optim.Adam(d2.parameters(), lr=2e-4, betas=(.5,.999))
    for image,mask,truth in data:
        lbp = net.g1(*masked_lbp(image, mask))
        fill,feats = net.g2(image, lbp, mask, features=True)
        opt_d.zero_grad(); judged(d2(truth), d2(fill.detach())).backward(); opt_d.step()
        aims = net.g2(truth, lbp_map(truth), mask, features=True)[1]
        seen,wanted = vgg_by_hand(vgg_file, fill),vgg_by_hand(vgg_file, truth)
        loss = (.01*levels(feats, aims) + 10*mean_square(fill, truth) + .2*fooled(d2(fill))
                + 1*levels(seen, wanted) + 10*style(seen, wanted))                                             # Eq. 8
        opt_g.zero_grad(); loss.backward(); opt_g.step()

@pytest.mark.parametrize('joint', (False,True))
def test_equals_a_loop_written_out(joint, vgg_file):
    # In float64: instance norm takes the gradient of the biases before it down to rounding noise, which Adam scales up to whole steps
    data = [tuple(o.double() for o in s) for s in samples()]
    ours,hand = (learner(data, VGGFeatures(vgg_file), double=True) for _ in range(2))
    before = parameters(ours)
    fit(ours, joint)
    batches = [[o[None] for o in s] for s in data]
    nets = hand.net,hand.objectives.d1,hand.objectives.d2
    if joint: phase_2_by_hand(*nets, batches, vgg_file)
    else: phase_1_by_hand(*nets, batches)
    for (n,a),b in zip(parameters(ours).items(), parameters(hand).values()):
        for k in a: assert (a[k]-b[k]).abs().max()<1e-6, f'{n}.{k}'
    moved = max((v-before['g1'][k]).abs().max() for k,v in parameters(ours)['g1'].items())
    assert moved>3e-4 # several steps of 2e-4, so that 1e-6 means something

@pytest.mark.parametrize('joint,players', ((False,('g1','d1')), (True,('g1','g2','d2'))))
def test_all_weights_of_the_players_move_and_nothing_else(joint, players, vgg_file):
    learn = learner(samples(1), VGGFeatures(vgg_file))
    before = parameters(learn)
    fit(learn, joint)
    for n,after in parameters(learn).items():
        for k,v in after.items():
            same = torch.equal(v, before[n][k])
            if n not in players: assert same, f'{n}.{k} moved, but it is not its turn'
            elif k.endswith('weight'): assert not same, f'{n}.{k} did not move'

def test_those_who_rest_after_having_played_do_not_move():
    learn = learner(samples(1), lambda_p=0., lambda_s=0.)
    fit(learn, False) # gives D1 a momentum
    before = parameters(learn)
    fit(learn, True)
    after = parameters(learn)
    assert all(torch.equal(v, before['d1'][k]) for k,v in after['d1'].items())
    assert not all(torch.equal(v, before['g2'][k]) for k,v in after['g2'].items())

def test_adam_is_the_papers():
    learn = learner(samples(1))
    fit(learn, False)
    opt = learn.opt.opt
    assert type(opt) is torch.optim.Adam
    for g in opt.param_groups: assert (g['lr'],tuple(g['betas']),g['eps'],g['weight_decay'])==(2e-4,(.5,.999),1e-8,0)

def test_lambda_lbp_keeps_phase_1s_loss_and_judge_in_phase_2():
    learn = learner(samples(1), lambda_p=0., lambda_s=0., lambda_lbp=1.)
    before = parameters(learn)
    fit(learn, True)
    assert not torch.equal(parameters(learn)['d1']['0.weight'], before['d1']['0.weight'])
    assert {'m1','r1','a1'} <= set(learn.turn_losses.sums)
