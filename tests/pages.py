"""How a notebook becomes a page of the site. nbdev runs `Page` after its own processors, see `doc_procs` in pyproject.toml.

nbdev would execute each notebook to show what a function takes. Here that comes from the exported module: names are the module's,
and a page takes milliseconds. The source of every exported cell is on its page, open under `#| exports`, else folded.
nbdev is a tool of ours and no part of the package, so this stands beside the tests; spawned workers find it by PYTHONPATH=tests."""
import ast, inspect, re
from collections import namedtuple
from dataclasses import MISSING, fields, is_dataclass
from functools import cached_property, lru_cache
from importlib import import_module
from pathlib import Path
from posixpath import dirname, relpath
from fastcore.basics import listify
from fastcore.docments import docments, docstring
from fastcore.nbio import mk_cell
from nbdev.config import get_config, nbpath2html
from nbdev.doclinks import NbdevLookup, patch_name
from nbdev.process import Processor

EXPORTS = {'export','exports','exporti'}
DEFS = ast.FunctionDef,ast.AsyncFunctionDef,ast.ClassDef
empty = inspect.Parameter.empty

# ---- What has an entry, and where

Symbol = namedtuple('Symbol', 'module name page file line text') # module and name in it; page; source file and line; a constant, as it is written

def page_of(notebook): return nbpath2html(notebook).as_posix()

def assigned(tree):
    "Names that a statement assigns"
    targets = tree.targets if isinstance(tree, ast.Assign) else [tree.target] if isinstance(tree, ast.AnnAssign) else []
    return [o.id for t in targets for o in ast.walk(t) if isinstance(o, ast.Name)]

def defined(tree):
    "(name, where) of all that a statement defines: functions, patched methods, a class and then its methods, constants"
    if not isinstance(tree, DEFS): return [(o, tree) for o in assigned(tree)]
    inner = {f'{tree.name}.{o.name}':o for o in tree.body if isinstance(tree, ast.ClassDef) and isinstance(o, DEFS)}
    return [(o, tree) for o in listify(patch_name(tree))] + [*inner.items()]

def deserves_entry(name, tree, public):
    "A name of `__all__` does; so does a method that says what it does."
    return name in public if '.' not in name else ast.get_docstring(tree) and all(o[0]!='_' or o[:2]=='__' for o in name.split('.'))

@lru_cache
def symbols():
    "(module, name) -> `Symbol` of everything that has an entry, and (module, None) of every module, read from the package's files"
    config,res = get_config(),{}
    for path in sorted(config.lib_path.rglob('[!_]*.py')):
        text,file = path.read_text(encoding='utf-8'),path.relative_to(config.config_path)
        notebook = re.search(r'^# %% (\S+\.ipynb) #', text, flags=re.MULTILINE)
        if not notebook: continue
        page = page_of((path.parent/notebook[1]).resolve().relative_to(config.nbs_path.resolve()))
        module,body = '.'.join(file.with_suffix('').parts),ast.parse(text).body
        public = next((ast.literal_eval(o.value) for o in body if assigned(o)==['__all__']), [])
        res[module,None] = Symbol(module, None, page, file.as_posix(), 1, '')
        for name,tree in (o for t in body for o in defined(t)):
            constant = '' if isinstance(tree, DEFS) else ast.get_source_segment(text, tree)
            if deserves_entry(name, tree, public): res.setdefault((module,name), Symbol(module, name, page, file.as_posix(), tree.lineno, constant))
    return res

def anchor(symbol): return symbol.name.lower() if symbol.name else ''
def source_url(symbol): return f'{github()}{symbol.file}#L{symbol.line}'
def github(): return (c := get_config()).git_url + f'/blob/{c.branch}/'

# ---- Names in backticks lead to their page

class Links:
    "Links from one page: its own names come before those of other pages, and a method's bare name means one of this page's methods."
    def __init__(self, page):
        self.page,self.names,self.others = page,{},NbdevLookup()
        own = [o for o in symbols().values() if o.page==page and o.name]
        keys = [(o.name, o) for o in own]+[(o.name.rpartition('.')[2], o) for o in own]
        for o in symbols().values(): keys += [(o.name, o), (f'{o.module}.{o.name}', o)] if o.name else [(o.module, o)]
        for k,o in keys: self.names.setdefault(k, o)

    def url(self, name, others):
        "Where `name` leads, to another library's page as well where `others`; or None"
        found = self.names.get(name) or self.names.get(name.rpartition('.')[0]) # a method that says nothing: its class
        if found:
            page = relpath(found.page, dirname(self.page) or '.') if found.page!=self.page or not found.name else ''
            return f'{page}#{anchor(found)}' if found.name else page
        url = self.others.doc(name) if others else None
        return url if url and not url.startswith(get_config().doc_url) else None

    def line(self, text, others=True):
        "Text with its names linked; to other libraries where they are surely meant: classes, and what is written as a call."
        def link(m):
            url = m['name'] and self.url(m['name'], others and (m['call'] or m['name'][0].isupper()))
            return f'[{m[0]}]({url})' if url else m[0]
        return re.sub(r'!?\[(?:[^][]|\[[^]]*\])*\]\([^)]*\)|`(?P<name>[\w.]+)(?P<call>\(\))?`', link, text) # what is a link already stays

    def text(self, markdown):
        "Prose with its names linked; code and headings are left alone."
        fence,res = False,[]
        for o in markdown.splitlines():
            if o.lstrip().startswith(('```','~~~')): fence = not fence
            res.append(o if fence or o.startswith(('#','    ','```','~~~')) else self.line(o))
        return '\n'.join(res)

# ---- What a symbol takes

def find(symbol):
    res = import_module(symbol.module)
    for part in symbol.name.split('.'): res = getattr(res, part)
    return res

def constructor(cls):
    "What the parameters of a class are read from; None where another library wrote it"
    if is_dataclass(cls): return cls
    owner = next(o for o in cls.__mro__ if '__init__' in vars(o) or '__new__' in vars(o))
    return cls.__init__ if '__init__' in vars(owner) and owner.__module__.split('.')[0]==get_config().lib_path.name else None

def _default(value):
    "A default as one would write it"
    if value is empty: return ''
    if isinstance(value, type) or inspect.isroutine(value): return getattr(value, '__name__', '').replace('<lambda>', 'a function')
    return re.sub(r'<(?:[\w.]*\.)?(\w+) object at 0x\w+>', r'\1()', repr(value))

def _type(annotation):
    if annotation in (empty, None, type(None)): return '' # fastcore reads type(None) from a default of None
    if inspect.isroutine(annotation): return annotation.__name__ # `callable` is a function, though often used as a type
    return re.sub(r'\b(?:\w+\.)+(?=\w)', '', annotation if isinstance(annotation, str) else inspect.formatannotation(annotation))

def _result(f):
    "The note at the end of a signature that names no type"
    try: end = re.search(r'^\s*\)\s*:\s*#\s*(.*)$', inspect.getsource(inspect.unwrap(f)), flags=re.MULTILINE)
    except (OSError, TypeError): end = None
    return end[1] if end else ''

def parameters(obj):
    "(name, type, default, note) of each parameter, as texts; a noted result comes last as `returns`"
    f = constructor(obj) if inspect.isclass(obj) else obj
    if f is None: return []
    made = {o.name:o.default_factory() for o in fields(f) if o.default_factory is not MISSING} if is_dataclass(f) else {}
    stars,res = {inspect.Parameter.VAR_POSITIONAL:'*', inspect.Parameter.VAR_KEYWORD:'**'},[]
    notes = docments(f, full=True, args_kwargs=True)
    if is_dataclass(f): notes = {k:notes[k] for k in vars(f).get('__annotations__', {}) if k in notes} # its bases have entries of their own
    result = notes.pop('return', None)
    for name,o in notes.items():
        if name not in ('self','cls'): res.append((stars.get(o.kind, '')+name, _type(o.anno), _default(made.get(name, o.default)), o.docment or ''))
    if not inspect.isclass(obj) and (note := result.docment or _result(f)): res.append(('returns', _type(result.anno), '', note))
    return res

def call(name, rows):
    "How it is called, on one line; nothing where that gets long and a table tells it all"
    text = f'{name}({", ".join(n+(f"={d}" if d else "") for n,_,d,_ in rows if n!="returns")})'
    return f'```python\n{text}\n```' if len(text)<=100 or not any(o[3] for o in rows) else ''

def table(rows, links):
    "Parameters as a table, if anything is noted beside them; a column that would be empty is left out."
    if not any(o[3] for o in rows): return ''
    code = lambda o: f'`{o}`' if o else ''
    cells = [('*returns*' if n=='returns' else code(n), links.line(code(t), others=False), code(d), links.line(' '.join(note.split()))) for n,t,d,note in rows]
    heads = 'parameter','type','default','what it is'
    keep = [i for i in range(4) if i in (0,3) or any(o[i] for o in cells)]
    lines = [[heads[i] for i in keep], ['---']*len(keep)] + [[o[i].replace('|', r'\|') for i in keep] for o in cells]
    return '\n'.join(f'| {" | ".join(o)} |' for o in lines)

# ---- Its entry

def bases(cls):
    "The dataclasses whose fields a dataclass has, too"
    names = [f'`{o.__name__}`' for o in cls.__mro__[1:] if is_dataclass(o)] if is_dataclass(cls) else []
    return f'And the fields of {" and ".join(names)}.' if names else ''

def entry(symbol, links, full=True, level=3):
    "Heading, link to the source, what it does; and where the source is not in sight, what it takes."
    obj = find(symbol)
    as_value = isinstance(obj, (property, cached_property))
    if as_value: obj = obj.fget if isinstance(obj, property) else obj.func
    own = obj.__dict__.get('__doc__') if inspect.isclass(obj) else getattr(obj, '__doc__', None)
    if inspect.isclass(obj) and own and own.startswith(f'{obj.__name__}('): own = None # Python's, for a dataclass
    documented = inspect.isclass(obj) or inspect.isroutine(obj)
    rows = parameters(obj) if full and documented else []
    usage = call(symbol.name, rows) if full and documented and not as_value and not is_dataclass(obj) and (rows or not inspect.isclass(obj)) else ''
    if full and symbol.text and len(symbol.text)<=100: usage = f'```python\n{symbol.text}\n```'
    parts = [f'{"#"*level} `{symbol.name}` {{#{anchor(symbol)}}}', f'::: {{.source-link}}\n[source]({source_url(symbol)})\n:::',
        usage, links.text(inspect.cleandoc(own)) if documented and own else '', table(rows, links), links.line(bases(obj)) if full and inspect.isclass(obj) else '']
    return '\n\n'.join(filter(None, parts))

# ---- The page

def slug(heading):
    "The identifier Pandoc gives a heading."
    text = re.sub(r'\[([^]]*)\]\([^)]*\)', r'\1', heading)
    text = re.sub(r'[^\w\s.-]', '', re.sub(r'\{.*\}', '', text)).strip().lower()
    return re.sub(r'^[^a-z]+', '', re.sub(r'\s+', '-', text))

def describe_images(markdown):
    "Quarto makes a caption of what stands between the brackets, and no `alt`; so it is said twice."
    def plain(o): return re.sub(r'\[([^]]*)\]\([^)]*\)|[`*]', r'\1', o).replace('"', "'")
    return re.sub(r'!\[([^]]+)\]\(([^)]*)\)(?!\{)', lambda m: f'{m[0]}{{fig-alt="{plain(m[1])}"}}', markdown)

class Page(Processor):
    "Exported cells become entries with their source; names become links, images are described, and a page says where it comes from."
    def __init__(self, nb):
        super().__init__(nb)
        self.installs = any(re.search(r'^[%!] ?pip install', o.source, flags=re.MULTILINE) for o in nb.cells if o.cell_type=='code') # hidden cells go before `begin`

    def begin(self):
        config = get_config()
        self.path = Path(self.nb.path_).resolve().relative_to(config.nbs_path.resolve())
        self.links = Links(page_of(self.path))
        name = next((o.directives_['default_exp'] for o in self.nb.cells if 'default_exp' in o.directives_), None)
        self.module = name and f'{config.lib_path.name}.{name}'
        self.entries = []
        self.nb.cells = [o for c in self.nb.cells for o in self.pieces(c)]
        for o in self.nb.cells:
            if o.cell_type=='markdown': o.source = self.apart(o.source)
        self.nb.cells.insert(next((i+1 for i,o in enumerate(self.nb.cells) if o.cell_type=='raw'), 0), mk_cell(self.origin(), 'markdown'))

    def apart(self, markdown):
        "A heading `## PSNR` would have the identifier of the entry of `psnr`; it gets one of its own."
        def named(m): return f'{m[0]} {{#on-{slug(m[1])}}}' if slug(m[1]) in self.entries else m[0]
        return re.sub(r'^#{1,6} +([^{\n]+)$', named, markdown, flags=re.MULTILINE)

    def origin(self):
        "Links to what the page was made from"
        file = f'{get_config().nbs_path.name}/{self.path.as_posix()}'
        links = [f'[notebook]({github()}{file})']
        if self.module: links.append(f'[module]({github()}{symbols()[self.module,None].file})')
        if self.installs: links.append(f'[open in Colab]({github().replace("github.com", "colab.research.google.com/github")}{file})')
        return '::: {.page-links}\n'+' · '.join(links)+'\n:::'

    def pieces(self, cell):
        "The cells that stand for one cell of the notebook"
        if cell.cell_type=='markdown': cell.source = self.links.text(describe_images(re.sub(r'\A(?:#\|.*\n)+', '', cell.source)))
        for o in cell.get('outputs', []):
            if 'text/markdown' in o.get('data', {}): o['data']['text/markdown'] = self.links.text(''.join(o['data']['text/markdown']))
        if cell.cell_type!='code' or not EXPORTS & cell.directives_.keys(): return [] if {'default_exp','hide'} & cell.directives_.keys() else [cell]
        trees = cell.parsed_() or []
        found = [symbols()[self.module,name] for t in trees for name,*_ in defined(t) if (self.module,name) in symbols()]
        constants = any(map(assigned, trees)) and not any(isinstance(o, DEFS) for o in trees) # these explain themselves
        shown = ('exports' in cell.directives_ or constants) and cell.directives_.get('code-fold')!='true'
        inner = [o for o in found if '.' in o.name and any(o.name.startswith(f'{t.name}.') for t in trees if isinstance(t, ast.ClassDef))]
        self.entries += [anchor(o) for o in found]
        before = [mk_cell(entry(o, self.links, not shown), 'markdown') for o in found if o not in inner]
        return [*before, fold(cell, shown), *(mk_cell(entry(o, self.links, not shown, level=4), 'markdown') for o in inner)]

def fold(cell, shown):
    "An exported cell with its source open or folded; a `code-fold` of its author stands."
    source = re.sub(rf'^#\|\s*(?:{"|".join(EXPORTS)})\b.*\n?', '', cell.source, flags=re.MULTILINE).strip('\n')
    summary = 'Source' if any(defined(o) and not isinstance(o, ast.Try) for o in cell.parsed_() or []) else 'Imports'
    options = '' if 'code-fold' in cell.directives_ else f'#| code-fold: {"show" if shown else "true"}\n#| code-summary: "{summary}"\n'
    cell.source = options+source
    return cell
