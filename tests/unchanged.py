"Run one of nbdev's commands and fail if it changed a file: `python tests/unchanged.py nbdev-export`."
import subprocess, sys
from hashlib import sha256
from pathlib import Path
from project import ROOT, project_files

def contents(): return {str(p):sha256((ROOT/p).read_bytes()).hexdigest() for p in project_files()}

def main(command):
    before = contents()
    subprocess.run([Path(sys.executable).parent/command], cwd=ROOT, check=True)
    after = contents()
    changed = sorted(o for o in before.keys()|after.keys() if before.get(o)!=after.get(o))
    if changed: sys.exit(f"{command} changed {', '.join(changed)}: look at the changes, keep them, and run the check again.")
    print(f'{command}: nothing changed')

if __name__=='__main__': main(sys.argv[1])
