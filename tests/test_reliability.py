"Every check of tests/reliability.py at its small size; `make reliability` runs the full ones."
import json, subprocess, sys, pytest
from project import ROOT
from reliability import CHECKS

@pytest.fixture(scope='module')
def lines():
    "What the checks print, run one after the other in a process of their own"
    done = subprocess.run([sys.executable, '-m', 'tests.reliability', 'all', '--quick'], cwd=ROOT, capture_output=True, text=True, timeout=1500)
    return {o['check']:o for o in map(json.loads, filter(lambda o: o.startswith('{"check"'), done.stdout.splitlines()))}, done.stderr

@pytest.mark.parametrize('name', CHECKS)
def test_training_under_attack(name, lines):
    assert name in lines[0], lines[1][-3000:]
    line = lines[0][name]
    if 'skipped' in line: pytest.skip(line['skipped'])
    assert line['trials']>0 and not line['failed'], line
