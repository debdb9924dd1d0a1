"Each public name is shown at work, code comes with prose, and no function is long; see tests/book.py for what is counted."
import pytest
from fastcore.nbio import dict2nb
from book import MISSING, cells_of, figures, main, notebooks, too_long, untested, without_prose

# What may be missing, and why: (notebook, name) -> reason
EXCEPTIONS = {}

NOTEBOOKS = dict(notebooks())

@pytest.mark.parametrize('name', NOTEBOOKS)
def test_nothing_is_missing(name):
    missing = [f'{what} {o}' for what,f in MISSING.items() for o in f(NOTEBOOKS[name]) if (name,o) not in EXCEPTIONS]
    assert not missing, missing

def test_exceptions_are_needed():
    "Each has its reason, and is still one."
    assert all(EXCEPTIONS.values())
    gone = [(name,o) for name,o in EXCEPTIONS if o not in sum((f(NOTEBOOKS.get(name, [])) for f in MISSING.values()), [])]
    assert not gone, f'these exceptions are needed no longer: {gone}'

def _cells(*sources):
    "A notebook of these cells; what starts with a letter and has no `=` or bracket is prose"
    def cell(i, o): return dict(cell_type='markdown' if o[0]=='>' else 'code', source=o, metadata={}, id=str(i), **({} if o[0]=='>' else dict(outputs=[])))
    return cells_of(dict2nb(dict(cells=[cell(*o) for o in enumerate(sources)], metadata={}, nbformat=4, nbformat_minor=5)))

TWICE = '#| export\ndef twice(x):\n    "Two of it"\n    return 2*x'

@pytest.mark.parametrize('examples,missing', [
    ([], ['twice']), (['twice(1)'], ['twice']), (['y = 2\nassert y'], ['twice']),
    (['assert twice(1)==2'], []), (['test_eq(twice(1), 2)'], []), (['y = twice(1)', 'assert y==2'], []),
    (['def f(x): return twice(x)', 'y = f(1)', 'assert y==2'], []), (['with expect_fail(TypeError): twice()'], []),
    (['run("""\nimport x\n\nprint(twice(1))\n""")\nassert True'], []), (['#| export\nassert twice(1)==2'], ['twice'])])
def test_what_an_asserting_example_is(examples, missing): assert untested(_cells(TWICE, *examples))==missing

def test_a_table_shows_what_stands_in_it():
    table = '#| export\nALL = dict(twice=twice)'
    assert untested(_cells(TWICE, table, 'for f in ALL.values(): assert f(1)==2'))==[]

def test_what_wants_an_example():
    "Private names, plain constants and methods do not."
    assert untested(_cells('#| export\ndef _f(): return 1\nN = 3\nclass A: pass\n@patch\ndef go(self:A): "Go"'))==['A']

def test_prose_between_exported_cells():
    a,b,c = (f'#| export\n{o} = 1' for o in 'abc')
    assert without_prose(_cells(a, b, c))==['a and 2 more']
    assert without_prose(_cells(a, 'assert a', b, 'assert b', c))==['a and 2 more'] # an example is no prose
    assert not without_prose(_cells(a, b, '> Why', c)) and not without_prose(_cells('#| export\nimport os', a, b))

def test_long_functions():
    def function(n): return '#| export\ndef f():\n    "Says it."\n'+'    x = 1\n'*n
    assert too_long(_cells(function(26)))==['f has 26 lines'] and not too_long(_cells(function(25)))

def test_report(capsys):
    found = figures(_cells('#| default_exp x', '> Two words', TWICE, 'assert twice(1)==2', '> ![A cat](cat.jpg)'))
    assert found==dict(prose=2, words=6, exported=1, median=3, longest=3, body=1, tests=1, figures=1)
    main(['09_metrics'])
    said = capsys.readouterr().out.splitlines()
    assert said[0].split()==['notebook',*found] and said[1].startswith('09_metrics.ipynb') and 'cells of prose' in said[2]
