"""Image inpainting with local binary patterns and spatial attention

Take a cable, a scratch or a caption out of a photograph, and fill the hole. `lbp-inpaint` is an independent implementation of Wu, Zhou and Li's *Deep Generative Model for Image Inpainting with Local Binary Pattern Learning and Spatial Attention* (IEEE TMM 2021) in PyTorch and fastai. It is a command, a Python package with small weights, and a book: the notebooks that explain the method are the source code.

Modules:

- `lbp_inpaint.all`: `from lbp_inpaint.all import *`, beside `from fastai.vision.all import *`.
- `lbp_inpaint.cli`: `lbp-inpaint fill`, `train`, `evaluate`, `ablate`, `compare`, `convert`, `demo` and `serve`: thin shells over documented functions.
- `lbp_inpaint.core`: One range for pixels, one meaning of a mask, one source of randomness: what every other notebook takes for granted.
- `lbp_inpaint.errors`: What a user can get wrong, and how the package answers.
- `lbp_inpaint.evidence.ablation`: The paper's own experiments as named studies, one command each, on any folder of pictures, with seeds and error bars.
- `lbp_inpaint.evidence.classical`: Five ways to fill a hole without learning anything, and how good they can be.
- `lbp_inpaint.evidence.compare`: The paper's system and the four that it compares itself with, trained alike on any folder of pictures: one command, three tables, with costs and intervals.
- `lbp_inpaint.evidence.demo`: Does it work on this machine, and is it any better than filling without learning?
- `lbp_inpaint.evidence.evaluate`: One command: method by hole by metric, all methods on the same holes, in a table that can be stopped, resumed and repeated.
- `lbp_inpaint.evidence.recipes`: Which pictures, which settings, how long it takes and what came of it; from photographs to weights with their model card in one command.
- `lbp_inpaint.evidence.scores`: The same holes for everybody, all numbers of a fill, and intervals from paired scores.
- `lbp_inpaint.files`: Completely or not at all; and what an unreadable file really is.
- `lbp_inpaint.filling.detail`: A soft fill knows which colours belong where, and the rest of the picture knows what sharp looks like: detail copied from one to the other, patch by patch, as far as it can be trusted.
- `lbp_inpaint.filling.explain`: The patches that a hole pixel borrowed from, and the structure that guided it.
- `lbp_inpaint.filling.export`: A fill as a program that needs none of this package's code.
- `lbp_inpaint.filling.folders`: One picture or ten thousand: every file that can be filled is, every one that cannot is named, and nothing that was there is lost.
- `lbp_inpaint.filling.inpainter`: Any picture, any size, three lines: what lies under the hole is never looked at, what lies around it is never changed.
- `lbp_inpaint.filling.painting`: A colour for every hole pixel: what the network answers in each window, put together.
- `lbp_inpaint.filling.seams`: Where a fill touches the picture it has to agree with it: shifted to meet what is around the hole, and near the border led by how that goes on.
- `lbp_inpaint.filling.serve`: Paint over what should go, see what comes in its place, and keep every other pixel as it was.
- `lbp_inpaint.filling.windows`: Which part of a picture the network looks at to fill a hole: geometry, and nothing learned.
- `lbp_inpaint.image_files`: Pixels as they are stored, or a sentence that says what is wrong with the file.
- `lbp_inpaint.lbp`: Eight comparisons a pixel: what is left of a picture when only the order of neighbouring grey levels is kept, and why to complete that first.
- `lbp_inpaint.mask_files`: Where the hole is, in whatever way it was drawn.
- `lbp_inpaint.masks`: The two kinds of hole that the paper trains on, a square in the centre and random strokes, and what makes a hole hard.
- `lbp_inpaint.metrics`: l1, PSNR and SSIM as in the paper's tables, over the whole picture and over the hole alone, and what they do not see.
- `lbp_inpaint.nets.attention`: A missing patch borrows from the patches most similar to it, among the known ones *and* among the other missing ones.
- `lbp_inpaint.nets.build`: `build_net` makes the network of any variant and of any system from a plain config.
- `lbp_inpaint.nets.contextual`: A first network guesses; a second one refines the guess with patches copied from the known region.
- `lbp_inpaint.nets.convert`: How to use the authors' weight files here, a test against a slow reference, and a table of all differences between paper, published code and this package.
- `lbp_inpaint.nets.discriminator`: PatchGAN: a network that looks at the patches of a picture and says of each whether it looks real.
- `lbp_inpaint.nets.edge_connect`: Edges first, then colours: a first network completes edges, a second one paints with them.
- `lbp_inpaint.nets.gated`: The system that Tables I and II call GC: each layer learns, for each place and channel, how much to pass on.
- `lbp_inpaint.nets.generator`: The paper's network, built up step by step: an hourglass, a U-Net, G1 that completes the LBP map, G2 that paints, both joined; and what stage one cannot know.
- `lbp_inpaint.nets.guidance`: What stage one could complete instead of an LBP map, how to compute it without looking under the hole, and how much of a picture it holds.
- `lbp_inpaint.nets.layers`: The building blocks of all networks in the paper's Table V: a convolution that halves the sides of a picture, one that doubles them, and how their weights begin.
- `lbp_inpaint.nets.losses`: Equations 2 to 8 of the paper: reconstruction, adversarial, multi-level, perceptual and style loss.
- `lbp_inpaint.nets.parts`: What the systems that the paper compares itself with do, and the parts they share: TensorFlow's zero padding, and one builder for six discriminators.
- `lbp_inpaint.nets.release`: Where the authors' code, called the release here, differs from the paper: its attention, its missing cells, its known map.
- `lbp_inpaint.nets.shift_net`: A U-Net that copies known encoder features to where the decoder's guess resembles them.
- `lbp_inpaint.nets.variants`: A smooth hole, doubling without a grid, stricter discriminators, feature matching: four differences from the paper, with the reason for each.
- `lbp_inpaint.nets.weights`: One safetensors file with numbers and a description, checked when it is read; by name, by folder, or from the Hugging Face Hub.
- `lbp_inpaint.pictures`: A network sees 8-bit RGB. What a person gets back is their own picture: its mode, its depth, its transparency, its colour profile, and every pixel that was not a hole.
- `lbp_inpaint.settings`: What each command can be asked for, and a sentence for what it cannot.
- `lbp_inpaint.training.card`: What weights were made from, how, how good they are and where they fail: one page, written from the records, and refused where a fact is missing.
- `lbp_inpaint.training.command`: From a folder of pictures to weights with their model card.
- `lbp_inpaint.training.contextual`: Two Wasserstein critics, and a loss that counts less in the middle of a hole.
- `lbp_inpaint.training.data`: A folder of pictures becomes batches of (picture with a hole, mask, truth), the same in every run.
- `lbp_inpaint.training.duration`: How many epochs fit into so many minutes?
- `lbp_inpaint.training.edge_connect`: First G1 learns to complete edges, then G2 to paint with them.
- `lbp_inpaint.training.gated`: Two l1 losses and a hinge loss: the simplest training of all systems here.
- `lbp_inpaint.training.habits`: What fastai's users try out of habit works, or says in one sentence what does it here.
- `lbp_inpaint.training.objectives`: Who plays in each phase of the training, and which losses each side lowers.
- `lbp_inpaint.training.phases`: Stage one learns structure, then both stages learn to paint: the paper's training as turns of a fastai Learner.
- `lbp_inpaint.training.processes`: Each process plays a part of every batch; the gradients of each turn are averaged, and all take the same step.
- `lbp_inpaint.training.recording`: A whole batch as one CUDA graph, recorded once and replayed.
- `lbp_inpaint.training.runs`: Checkpoints from which a training goes on as if nothing had happened: on a processor to the same bits.
- `lbp_inpaint.training.sets`: The paper's sets and ours by name: what lies where, how many pictures there are, and under which licence.
- `lbp_inpaint.training.shift_net`: Three losses: absolute differences, a discriminator, and a guidance loss that teaches the decoder what to look for.
- `lbp_inpaint.training.steps`: What happens to a gradient before it becomes a step, and an average of the weights behind the steps.
- `lbp_inpaint.training.turns`: A batch is a list of turns, and each turn has its own players and its own loss.
- `lbp_inpaint.training.watch`: Pictures of its progress, and a warning when the game is over."""

import warnings
warnings.filterwarnings('ignore', message='`torch.jit.script` is deprecated', category=FutureWarning) # fastai's import; a reader can do nothing about it

__version__ = "0.1.0"
__all__ = ['Inpainter']

def __getattr__(name):
    "`Inpainter`, imported when it is asked for: a network costs seconds that `lbp_inpaint.__version__` does not need."
    if name!='Inpainter': raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from .filling.inpainter import Inpainter
    return Inpainter

def __dir__(): return [*globals(), *__all__]
