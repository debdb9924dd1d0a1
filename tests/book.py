"""The book in figures: `python tests/book.py [words of a file's name]` reports prose, tests and lengths for each notebook, and what is missing.

Missing is an asserting example for a public name, prose between exported cells, or an end to a function's body. tests/test_book.py fails for these."""
import ast, re, sys
from collections import namedtuple
from statistics import median
from fastcore.nbio import read_nb
from project import ROOT
from test_house import LONGEST, body_lines

EXPORTS = {'export','exports','exporti'}
PROSELESS = 3 # so many exported cells in a row want prose between them
FUNCTIONS = ast.FunctionDef,ast.AsyncFunctionDef

Cell = namedtuple('Cell', 'kind source trees images') # kind: 'prose', 'exported', 'example' or 'import'

def kind_of(cell, trees):
    "What a cell of a notebook is for; None for what a reader never sees and nobody tests"
    if cell.cell_type=='markdown': return 'prose'
    if cell.cell_type!='code' or 'default_exp' in cell.directives or 'nbdev_export()' in cell.source: return None
    if trees and all(isinstance(o, (ast.Import,ast.ImportFrom)) for o in trees): return 'import'
    return 'exported' if EXPORTS & cell.directives.keys() else 'example'

def images_of(cell):
    "How many figures a reader sees in a cell: stored outputs, and pictures in prose"
    stored = sum(any(k.startswith('image/') for k in o.get('data', {})) for o in cell.get('outputs', []))
    return stored or len(re.findall(r'!\[', cell.source)) if cell.cell_type=='markdown' or stored else 0

def cells_of(nb):
    "The cells of a notebook that count"
    res = []
    for c in nb.cells:
        trees = (c.parsed_() or []) if c.cell_type=='code' else []
        if kind := kind_of(c, trees): res.append(Cell(kind, c.source, trees, images_of(c)))
    return res

# ---- Is each public name shown at work?

def program_in(node):
    "The program that a string holds, as examples hand one to another process; None for any other node"
    text = getattr(node, 'value', None) if isinstance(node, ast.Constant) else None
    if not isinstance(text, str) or text.count('\n')<3: return None
    try: return ast.parse(text)
    except SyntaxError: return None

def mentioned(tree):
    "Names and attributes that a statement uses, be it in a program within a string"
    nodes = list(ast.walk(tree))
    inner = [mentioned(p) for o in nodes if (p := program_in(o))]
    return {o.id for o in nodes if isinstance(o, ast.Name)}.union({o.attr for o in nodes if isinstance(o, ast.Attribute)}, *inner)

def bound(tree):
    "Names that a statement makes"
    if isinstance(tree, (*FUNCTIONS, ast.ClassDef)): return {tree.name}
    return {o.id for o in ast.walk(tree) if isinstance(o, ast.Name) and isinstance(o.ctx, ast.Store)}

def asserts(trees):
    "Does a cell check anything: `assert`, or a call of `test_...`, `assert_...` or `expect_fail`?"
    calls = {o.func.attr if isinstance(o.func, ast.Attribute) else getattr(o.func, 'id', '') for t in trees for o in ast.walk(t) if isinstance(o, ast.Call)}
    return any(isinstance(o, ast.Assert) for t in trees for o in ast.walk(t)) or any(re.match('test_|assert_|expect_fail|check_', o) for o in calls)

def exported(cells): return [c for c in cells if c.kind=='exported']
def patches(tree): return any('patch' in mentioned(o) for o in tree.decorator_list)

def public_names(cells):
    "Functions and classes without an underscore; a method is shown with its class, and a constant is what is written there"
    names = [o.name for c in exported(cells) for o in c.trees if isinstance(o, (*FUNCTIONS, ast.ClassDef)) and not patches(o)]
    return [o for o in dict.fromkeys(names) if not o.startswith('_')]

def untested(cells):
    "Public names that no asserting example mentions, be it through a variable, a helper or a table of them"
    names,seen = set(public_names(cells)),set()
    tables = [o for c in exported(cells) for o in c.trees if isinstance(o, ast.Assign)]
    reached = {n:mentioned(o) & names for o in tables for n in bound(o)}
    for c in cells:
        if c.kind!='example': continue
        at_work = set()
        for tree in c.trees:
            used = mentioned(tree)
            found = (used & names).union(*(reached.get(o, ()) for o in used))
            for o in bound(tree): reached[o] = reached.get(o, set()) | found
            at_work |= found
        if asserts(c.trees): seen |= at_work
    return [o for o in public_names(cells) if o not in seen]

# ---- Is there prose?

def without_prose(cells):
    "Runs of exported cells that no prose interrupts: the first name of each such run"
    runs = [[]]
    for c in cells:
        if c.kind=='prose': runs.append([])
        elif c.kind=='exported': runs[-1].append(c)
    def first_name(run): return next((n for c in run for t in c.trees for n in bound(t)), run[0].source[:40])
    return [f'{first_name(o)} and {len(o)-1} more' for o in runs if len(o)>=PROSELESS]

# ---- Lengths

def functions(cells): return [o for c in exported(cells) for t in c.trees for o in ast.walk(t) if isinstance(o, FUNCTIONS)]
def too_long(cells): return [f'{o.name} has {body_lines(o)} lines' for o in functions(cells) if body_lines(o)>LONGEST]

def lines_of(cell):
    "Lines of code in an exported cell: no blank ones, no directives"
    return sum(bool(o.strip()) and not o.startswith('#|') for o in cell.source.splitlines())

def figures(cells):
    "One line of the report"
    lengths,prose = [lines_of(c) for c in exported(cells)],[c for c in cells if c.kind=='prose']
    return dict(prose=len(prose), words=sum(len(c.source.split()) for c in prose), exported=len(lengths),
        median=median(lengths) if lengths else 0, longest=max(lengths, default=0), body=max(map(body_lines, functions(cells)), default=0),
        tests=sum(c.kind=='example' and asserts(c.trees) for c in cells), figures=sum(c.images for c in cells))

MISSING = {'no asserting example of':untested, 'no prose around':without_prose, f'more than {LONGEST} lines:':too_long}

def notebooks(words=()):
    "Path of each notebook, below nbs/, and its cells; those whose name has one of `words`, or all"
    for p in sorted((ROOT/'nbs').rglob('*.ipynb')):
        name = p.relative_to(ROOT/'nbs').as_posix()
        if not words or any(o in name for o in words): yield name,cells_of(read_nb(p))

def main(words):
    found,missing = list(notebooks(words)),[]
    print(f'{"notebook":36}', *(f'{o:>8}' for o in figures([])))
    for name,cells in found:
        print(f'{name[:36]:36}', *(f'{o:8g}' for o in figures(cells).values()))
        missing += [f'{name}: {what} {o}' for what,f in MISSING.items() for o in f(cells)]
    counted = [figures(cells) for _,cells in found]
    prose,tests,code = (sum(o[k] for o in counted) for k in ('prose','tests','exported'))
    if code: print(f'For each exported cell there are {prose/code:.2f} cells of prose and {tests/code:.2f} with tests.')
    print(*missing, sep='\n')

if __name__=='__main__': main(sys.argv[1:])
