"All cases of the corpus, and some of them through real processes."
import pytest
import corpus, fuzz

@pytest.mark.parametrize('case', corpus.CASES, ids=lambda c: c.name)
def test_case(case, tmp_path):
    problem = corpus.run_case(case, tmp_path).problem
    assert not problem, problem

PROCESSES = 'PNG RGB','picture: truncated by half','mask: swapped sides','weights: a hostile pickle','usage: no device','folder: some are damaged'

@pytest.mark.parametrize('name', PROCESSES)
def test_case_in_a_process(name, tmp_path):
    problem = corpus.run_case(next(c for c in corpus.CASES if c.name==name), tmp_path, corpus.outside).problem
    assert not problem, problem

def test_the_corpus_is_large(): assert len(corpus.CASES)>=120 and len({c.name for c in corpus.CASES})==len(corpus.CASES)

@pytest.mark.parametrize('number', [*range(30), *fuzz.FINDS])
def test_fuzzing(number, tmp_path):
    problem = fuzz.execute(number, tmp_path)
    assert not problem, problem
