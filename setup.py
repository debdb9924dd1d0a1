"Hands settings.ini to setuptools. Standard library only: an isolated build can import nothing else."
import re
from configparser import ConfigParser
from pathlib import Path
from setuptools import setup

root = Path(__file__).resolve().parent
parser = ConfigParser(delimiters=['='], interpolation=None)
parser.read_string((root/'settings.ini').read_text(encoding='utf-8'))
cfg = parser['DEFAULT']

def lines(key): return [o for o in cfg[key].splitlines() if o]

# Relative pictures work on GitHub and in a clone; the package index needs whole addresses
raw = f"{cfg['git_url'].replace('github.com', 'raw.githubusercontent.com')}/{cfg['branch']}/"
readme = (root/'README.md').read_text(encoding='utf-8')
readme = re.sub(r'(!\[[^]]*\]\(|<img [^>]*src=")(?![a-z]+:)', rf'\g<1>{raw}', readme)

setup(
    author=cfg['author'],
    license_expression=cfg['license'],
    keywords=[o.strip() for o in cfg['keywords'].split(',')],
    classifiers=lines('classifiers'),
    long_description=readme,
    long_description_content_type='text/markdown',
    install_requires=lines('requirements'),
    extras_require={o.removesuffix('_requirements'):lines(o) for o in cfg if o.endswith('_requirements')},
    entry_points={o:lines(o) for o in ('console_scripts', 'nbdev')},
)
