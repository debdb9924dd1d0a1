"What the checks share: where the project is, which files belong to it, a copy to work in."
import shutil, subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_made = {'.git','.venv','__pycache__','build','dist','_proc','_docs','.pytest_cache','.ipynb_checkpoints'}

def project_files():
    "Paths, relative to `ROOT`, of the files git tracks or would track; without git, of all that no tool made."
    git = ['git', '-c', f'safe.directory={ROOT}', 'ls-files', '-co', '--exclude-standard', '-z']
    try: names = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split('\0')[:-1]
    except (OSError, subprocess.CalledProcessError): names = [p.relative_to(ROOT) for p in ROOT.rglob('*')]
    return sorted(p for p in map(Path, set(names)) if (ROOT/p).is_file() and not _made & set(p.parts))

def copy_project(dest):
    "Copy the project's files to the new folder `dest`, links as links."
    for p in project_files():
        (dest/p).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT/p, dest/p, follow_symlinks=False)
    return dest
