"The package that is built is the package that is described, and its modules build on each other in one direction."
import ast, configparser, os, runpy, subprocess, sys, zipfile
from email.parser import Parser
import pytest
from fastcore.nbio import read_nb
from packaging.requirements import Requirement
from project import ROOT, copy_project, project_files
try: import tomllib
except ImportError: import tomli as tomllib

PACKAGE = 'lbp_inpaint'
# Field of [project] for each keyword that setup.py may hand to setuptools
FIELDS = dict(author='authors', license_expression='license', keywords='keywords', classifiers='classifiers', long_description='readme',
    long_description_content_type='readme', install_requires='dependencies', extras_require='optional-dependencies')

@pytest.fixture(scope='module')
def settings():
    parser = configparser.ConfigParser(delimiters=['='], interpolation=None)
    parser.read(ROOT/'settings.ini', encoding='utf-8')
    return parser['DEFAULT']

@pytest.fixture(scope='module')
def pyproject(): return tomllib.loads((ROOT/'pyproject.toml').read_text(encoding='utf-8'))

@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    "The wheel, built from a copy of the project's files so that nothing an earlier build left behind gets in."
    tmp = tmp_path_factory.mktemp('wheel')
    cmd = [sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation', '-w', tmp, copy_project(tmp/'src')]
    subprocess.run(cmd, check=True)
    with zipfile.ZipFile(next(tmp.glob('*.whl'))) as z: return {o:z.read(o) for o in z.namelist()}

def dist_info(wheel, name): return next(v.decode() for k,v in wheel.items() if k.endswith(f'.dist-info/{name}'))

def lines(settings, key): return [o for o in settings[key].splitlines() if o]

def test_doubled_facts(settings, pyproject):
    project = pyproject['project']
    assert project['name']==settings['lib_name'] and project['description']==settings['description']
    assert project['requires-python']==f">={settings['min_python']}"
    assert project['urls']=={'Repository':settings['git_url'], 'Documentation':settings['doc_url']}
    assert settings['lib_path']==PACKAGE and pyproject['tool']['setuptools']['packages']==[PACKAGE]

def test_dynamic_fields(pyproject, monkeypatch):
    "setup.py hands over all that pyproject.toml leaves to it and nothing else."
    given = {}
    monkeypatch.setattr('setuptools.setup', lambda **kw: given.update(kw))
    runpy.run_path(str(ROOT/'setup.py'))
    groups = given.pop('entry_points')
    fields = {FIELDS[o] for o in given} | {'scripts' if o=='console_scripts' else 'entry-points' for o in groups}
    assert fields | {'version'} == set(pyproject['project']['dynamic'])

def test_wheel_metadata(wheel, settings):
    meta = Parser().parsestr(dist_info(wheel, 'METADATA'))
    version = runpy.run_path(str(ROOT/PACKAGE/'__init__.py'))['__version__']
    assert (meta['Name'], meta['Version'], meta['License-Expression']) == (settings['lib_name'], version, settings['license'])
    required = [Requirement(o) for o in meta.get_all('Requires-Dist')]
    plain = {str(o) for o in required if not o.marker}
    dev = {f'{o.name}{o.specifier}' for o in required if o.marker and o.marker.evaluate({'extra':'dev'})}
    assert plain=={str(Requirement(o)) for o in lines(settings, 'requirements')}
    assert dev=={str(Requirement(o)) for o in lines(settings, 'dev_requirements')}
    assert '](nbs/' not in meta.get_payload(), 'the package index cannot show a picture with a relative path'

def test_wheel_entry_points(wheel):
    entries = configparser.ConfigParser(delimiters=['='])
    entries.read_string(dist_info(wheel, 'entry_points.txt'))
    assert dict(entries['console_scripts'])=={'lbp-inpaint':f'{PACKAGE}.cli:main'}
    assert dict(entries['nbdev'])=={PACKAGE:f'{PACKAGE}._modidx:d'}

def test_wheel_files(wheel):
    "Every module and every weight file is in the wheel as it is here; nothing but the package is."
    here = {p.as_posix():(ROOT/p).read_bytes() for p in project_files() if p.parts[0]==PACKAGE}
    built = {k:v for k,v in wheel.items() if '.dist-info/' not in k}
    assert built.keys()==here.keys()
    assert not [k for k in here if built[k]!=here[k]]
    if (ROOT/PACKAGE/'weights/small').exists():
        assert sum(len(v) for k,v in here.items() if '/weights/small/' in k) < 32e6
        kinds = {os.path.splitext(o)[1] for o in here if o.startswith(f'{PACKAGE}/weights/')}
        assert {'.safetensors', '.json', '.md'} <= kinds

# Imports. Order is a notebook's number; `all` gathers everything and belongs to no number.

def notebooks():
    "For each numbered notebook: its module, and the package modules each of its code cells imports."
    res = {}
    for path in sorted((ROOT/'nbs').glob('[0-9]*.ipynb')):
        cells = [c for c in read_nb(path).cells if c.cell_type=='code']
        module = next((c.directives['default_exp'] for c in cells if 'default_exp' in c.directives), path.stem)
        res[path.name] = module,[(bool(c.directives.keys() & {'export','exports','exporti'}), imported(c.parsed_() or [])) for c in cells]
    return res

def imported(body):
    "Names of the package's modules that the statements in `body` import, inside functions too."
    res = set()
    for o in ast.walk(ast.Module(body, [])):
        if isinstance(o, ast.ImportFrom) and o.module==PACKAGE: res |= {a.name for a in o.names}
        elif isinstance(o, ast.ImportFrom) and (o.module or '').startswith(PACKAGE+'.'): res.add(o.module[len(PACKAGE)+1:])
        elif isinstance(o, ast.Import): res |= {a.name[len(PACKAGE)+1:] for a in o.names if a.name.startswith(PACKAGE+'.')}
    return res - {'__version__'}

def test_imports_go_one_way():
    "A notebook's exported cells import from lower numbers only; its examples may import its own module too."
    order = {module:i for i,(module,_) in enumerate(notebooks().values())}
    assert order, 'no numbered notebook found'
    wrong = [f'{name}: {o}' for name,(module,cells) in notebooks().items() for exported,mods in cells for o in mods
             if module!='all' and order.get(o, len(order)) > order[module]-exported]
    assert not wrong, f'imports from the same or a higher number: {wrong}'

def test_inference_needs_no_training():
    "Nothing that filling holes imports, directly or not, trains."
    uses = {module:set().union(*(mods for exported,mods in cells if exported)) for module,cells in notebooks().values()}
    if 'inference' not in uses: pytest.skip('no inference notebook')
    seen,todo = set(),{'inference'}
    while todo: seen,todo = seen|todo, set().union(*(uses.get(o, set()) for o in todo))-seen-todo
    assert not seen & {'learner','turns','losses','discriminator'}
