"Fill holes in pictures: local binary pattern learning and spatial attention (Wu, Zhou and Li, IEEE TMM 2021)"
import warnings
warnings.filterwarnings('ignore', message='`torch.jit.script` is deprecated', category=FutureWarning) # fastai's import; a reader can do nothing about it

__version__ = "0.1.0"
