"The package that is built is the package that is described."
import configparser, os, runpy, subprocess, sys, zipfile
from email.parser import Parser
from pathlib import Path
import pytest, yaml
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
    assert settings['lib_path']==PACKAGE and pyproject['tool']['setuptools']['packages']['find']['include']==[f'{PACKAGE}*']

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
        assert {'.safetensors', '.md'} <= kinds

def test_wheel_imports(wheel, tmp_path):
    "Installed elsewhere, every module can be imported."
    for name,content in wheel.items():
        if '.dist-info/' in name or '/weights/' in name: continue
        (tmp_path/name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path/name).write_bytes(content)
    modules = ['.'.join(Path(o).with_suffix('').parts).removesuffix('.__init__') for o in wheel if o.endswith('.py')]
    code = f'import importlib, {PACKAGE}; assert {PACKAGE}.__file__.startswith({str(tmp_path)!r})\nfor o in {modules}: importlib.import_module(o)'
    done = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, env={**os.environ, 'PYTHONPATH':str(tmp_path)}, capture_output=True, text=True)
    assert not done.returncode, done.stderr[-2000:]

# manners

def version(): return runpy.run_path(str(ROOT/PACKAGE/'__init__.py'))['__version__']

def test_citation(settings):
    "Whoever cites names this version, under its licence."
    cited = yaml.safe_load((ROOT/'CITATION.cff').read_text(encoding='utf-8'))
    assert (cited['version'],cited['license'],cited['repository-code'],cited['url'])==(version(),settings['license'],settings['git_url'],settings['doc_url'])
    assert [o['name'] for o in cited['authors']]==[settings['author']] and cited['references'][0]['title'].startswith('Deep Generative Model')

def test_a_requirement_is_named_once(settings):
    for k in (o for o in settings if o.endswith('requirements')):
        names = [Requirement(o).name.lower() for o in lines(settings, k)]
        assert len(names)==len(set(names)), f'{k} names one twice'

def test_development_has_every_extra_that_tests_need(settings):
    assert {*lines(settings, 'hub_requirements'), *lines(settings, 'onnx_requirements')} <= {*lines(settings, 'dev_requirements')}

def test_the_release_takes_the_tag_of_this_version_only(tmp_path):
    "The step of the release workflow, run by bash as it stands there."
    steps = yaml.safe_load((ROOT/'.github/workflows/release.yml').read_text(encoding='utf-8'))['jobs']['build']['steps']
    check = next(o['run'] for o in steps if o.get('name')=='The tag is the version')
    env = {**os.environ, 'PATH':f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    def ends(tag): return subprocess.run(['bash', '-c', check], cwd=ROOT, env={**env, 'GITHUB_REF_NAME':tag}).returncode
    assert (ends(f'v{version()}'),ends('v9.9.9'))==(0,1)

def test_files_for_people_and_services_can_be_read():
    for p in (*ROOT.glob('.github/**/*.yml'), ROOT/'.pre-commit-config.yaml'): assert yaml.safe_load(p.read_text(encoding='utf-8')), p
    workflow = yaml.safe_load((ROOT/'.github/workflows/test.yml').read_text(encoding='utf-8'))
    for o in workflow['jobs']['elsewhere']['steps'][-1]['run'].split():
        if o.startswith('tests/'): assert (ROOT/o).is_file(), o
