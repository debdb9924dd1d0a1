"The house stands: a notebook for each module, imports in one direction, nothing heavy where it is not needed, no long function."
import ast, subprocess, sys
from pathlib import Path
import pytest
from fastcore.nbio import read_nb
from project import ROOT, project_files

PACKAGE = 'lbp_inpaint'
LONGEST = 25 # lines of a function's body

def _kinds(cell): return cell.directives.keys() & {'export','exports','exporti'}

def _notebooks():
    "(file, module, [(exported?, statements)]) of each numbered notebook, in order"
    res = []
    for path in sorted((ROOT/'nbs').glob('[0-9]*.ipynb')):
        cells = [c for c in read_nb(path).cells if c.cell_type=='code']
        module = next(c.directives['default_exp'] for c in cells if 'default_exp' in c.directives)
        res.append((path, module, [(bool(_kinds(c)), c.parsed_() or []) for c in cells]))
    return res

NOTEBOOKS = _notebooks()
ORDER = {module:i for i,(_,module,_) in enumerate(NOTEBOOKS)}

def _imported(body):
    "Modules of the package that the statements in `body` import, inside functions too"
    res = set()
    for o in ast.walk(ast.Module(body, [])):
        if isinstance(o, ast.Import): res |= {a.name[len(PACKAGE)+1:] for a in o.names if a.name.startswith(PACKAGE+'.')}
        elif isinstance(o, ast.ImportFrom) and ((name := o.module or '')==PACKAGE or name.startswith(PACKAGE+'.')):
            below = name[len(PACKAGE)+1:]
            names = {f'{below}.{a.name}'.lstrip('.') for a in o.names} & ORDER.keys() # a package is no module: `from lbp_inpaint.nets import build`
            res |= names or ({below} if below in ORDER else set())
    return res

def test_numbers():
    "A notebook's first digit is its wing, its dotted name its place; no number is used twice."
    names = [p.stem for p,*_ in NOTEBOOKS]
    assert names and all(o[:2].isdigit() and o[2]=='_' for o in names) and len({o[:2] for o in names})==len(names)
    assert [o[3:] for o in names]==[module for _,module,_ in NOTEBOOKS]
    wings = {'0':'', '1':'nets.', '2':'nets.', '3':'filling.', '4':'training.', '5':'training.', '6':'evidence.', '9':''}
    assert not [o for o in names if not o[3:].startswith(wings[o[0]]) or not wings[o[0]] and '.' in o]

def test_every_module_has_its_notebook():
    "After a renaming an export leaves the old module behind."
    modules = {'.'.join(p.with_suffix('').parts[1:]) for p in project_files() if p.suffix=='.py' and p.parts[0]==PACKAGE and p.name!='__init__.py'}
    assert modules-{'_modidx','__main__'}==ORDER.keys()

def test_imports_go_one_way():
    "Exported cells import from lower numbers only, examples from anywhere; `all` hands on what is there."
    wrong = [f'{path.name}: {o}' for path,module,cells in NOTEBOOKS for exported,body in cells if exported for o in _imported(body) if ORDER[o]>=ORDER[module]]
    assert not wrong, f'imports from the same or a higher number: {wrong}'

def test_nothing_private_is_borrowed():
    "No room takes a name with an underscore from another."
    wrong = [f'{path.name}: {a.name}' for path,_,cells in NOTEBOOKS for exported,body in cells if exported for o in ast.walk(ast.Module(body, []))
        if isinstance(o, ast.ImportFrom) and (o.module or '').startswith(PACKAGE) for a in o.names if a.name[0]=='_' and a.name[1]!='_']
    assert not wrong, f'private names of other modules: {wrong}'

def _direct(wing): return set().union(*(_imported(body) for _,module,cells in NOTEBOOKS if module.startswith(wing) for exported,body in cells if exported))

def test_who_may_know_whom():
    assert not [o for o in _direct('nets.') if o.startswith(('filling.','training.','evidence.'))]
    assert not [o for o in _direct('filling.') if o.startswith(('training.','evidence.'))]
    assert not [o for o in _direct('training.turns') if o.startswith('nets.')], 'turns knows nothing of this paper'

def _loaded(code, modules):
    "Those of `modules` that are loaded after `code` has run in a process of its own"
    done = subprocess.run([sys.executable, '-c', f'{code}\nimport sys; print(*[o for o in {modules} if o in sys.modules])'], cwd=ROOT, capture_output=True, text=True)
    assert not done.returncode, done.stderr[-2000:]
    return done.stdout.split()

@pytest.mark.parametrize('module', [o for o in ORDER if o.startswith('filling.')])
def test_filling_is_light(module):
    "What fills holes loads nothing that trains, plots or makes tables."
    assert not _loaded(f'import {PACKAGE}.{module}', ['torchvision','fastai','pandas','matplotlib','sklearn'])

@pytest.mark.parametrize('module', [o for o in ORDER if o.startswith('nets.')])
def test_networks_need_no_fastai(module): assert not _loaded(f'import {PACKAGE}.{module}', ['fastai','pandas','matplotlib'])

@pytest.mark.parametrize('module', ['errors','settings','files','cli'])
def test_no_torch(module): assert not _loaded(f'import {PACKAGE}.{module}', ['torch','fastai','PIL','numpy'])

def test_public_face():
    assert not _loaded(f'import {PACKAGE}', ['torch','fastcore','numpy'])
    assert _loaded(f'from {PACKAGE} import Inpainter; assert Inpainter.from_pretrained and Inpainter.explain and Inpainter.export', ['torch','fastai'])==['torch']

def body_lines(f):
    "Lines of a function's body, without its docstring, comments and blank lines"
    body = f.body[1:] if isinstance(f.body[0], ast.Expr) and isinstance(f.body[0].value, ast.Constant) else f.body
    return body[-1].end_lineno-body[0].lineno+1 if body else 0

def test_no_long_function():
    long = [f'{path.name}: {o.name} has {body_lines(o)}' for path,_,cells in NOTEBOOKS for exported,body in cells if exported
        for o in ast.walk(ast.Module(body, [])) if isinstance(o, (ast.FunctionDef,ast.AsyncFunctionDef)) and body_lines(o)>LONGEST]
    assert not long, f'functions of more than {LONGEST} lines: {long}'
