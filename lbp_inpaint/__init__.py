"Fill holes in pictures: local binary pattern learning and spatial attention (Wu, Zhou and Li, IEEE TMM 2021)"
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
