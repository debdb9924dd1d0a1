"Every page of the documentation has a title, a description, links that lead somewhere and figures that are described."
import ast, os, re, subprocess, sys
from pathlib import Path
from posixpath import normpath
from urllib.parse import unquote
import pytest
from fastcore.nbio import read_nb, nb_frontmatter
from nbdev.config import get_config
from make_readme import make_readme
from project import ROOT, copy_project, project_files

NOTEBOOKS = [p for p in project_files() if p.suffix=='.ipynb']
_fenced = re.compile(r'^(```|~~~).*?^\1[ ]*$|`[^`\n]+`', flags=re.DOTALL|re.MULTILINE)
_link = re.compile(r'(?<!!)\[(?:[^][]|!\[[^]]*\]\([^)]*\))*\]\(\s*<?([^)\s>]+)|href="([^"]+)"')
_image = re.compile(r'!\[([^]]*)\]\(\s*<?([^)\s>]+)')
_img_tag = re.compile(r'<img\b[^>]*>')
def _attr(tag, name): return (re.search(rf'\b{name}="([^"]*)"', tag) or ['', ''])[1]

@pytest.fixture(scope='module')
def site(tmp_path_factory):
    "Folder of the pages as `nbdev-proc-nbs` hands them to Quarto. It would install Quarto first, so it finds an idle one."
    tmp = tmp_path_factory.mktemp('docs')
    copy = copy_project(tmp/'project')
    quarto = tmp/'bin/quarto'
    quarto.parent.mkdir()
    quarto.write_text('#!/bin/sh\n')
    quarto.chmod(0o755)
    env = {**os.environ, 'PATH':f"{quarto.parent}{os.pathsep}{os.environ['PATH']}", 'PYTHONPATH':str(copy)}
    done = subprocess.run([Path(sys.executable).parent/'nbdev-proc-nbs'], cwd=copy, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode: pytest.fail(f'nbdev-proc-nbs failed: {done.stdout[-3000:]}', pytrace=False)
    return copy/'_proc'

@pytest.fixture(scope='module')
def pages(site): return {p.relative_to(site).as_posix():read_nb(p) for p in sorted(site.rglob('*.ipynb'))}

def html_name(name, nb): return (Path(name).parent/nb_frontmatter(nb)['output-file']).as_posix()

def prose(nb):
    "Each cell's id and the text on it that a reader sees as prose: markdown cells, and outputs in markdown."
    for c in nb.cells:
        if c.cell_type=='markdown': yield c.id,_fenced.sub('', c.source)
        for o in c.get('outputs', []):
            if 'text/markdown' in o.get('data', {}): yield c.id,_fenced.sub('', o.data['text/markdown'])

def slug(heading):
    "The identifier Pandoc gives a heading."
    text = re.sub(r'\[([^]]*)\]\([^)]*\)', r'\1', heading)
    text = re.sub(r'[^\w\s.-]', '', re.sub(r'\{.*\}', '', text)).strip().lower()
    return re.sub(r'^[^a-z]+', '', re.sub(r'\s+', '-', text))

def anchors(nb):
    "What a link into the page can point to: headings, explicit identifiers, documented symbols."
    source = '\n'.join(c.source for c in nb.cells)
    return ({slug(o) for o in re.findall(r'^#{1,6} +(.*)$', source, flags=re.MULTILINE)} | set(re.findall(r'\{#([\w.-]+)', source))
            | {o.lower() for o in re.findall(r'^show_doc\(([\w.]+)', source, flags=re.MULTILINE)})

def test_every_notebook_is_a_page(pages):
    assert {p.relative_to('nbs').as_posix() for p in NOTEBOOKS}==pages.keys()
    assert 'index.ipynb' in pages

def test_imports_stand_alone():
    "The documentation is made by running every cell that imports, and no other cell that is not exported."
    mixed = []
    for p in NOTEBOOKS:
        for c in read_nb(ROOT/p).cells:
            kinds = {isinstance(o, (ast.Import, ast.ImportFrom)) for o in c.parsed_() or []}
            own = c.directives.keys() & {'export','exports','exporti'} or c.directives.get('eval')=='false' or 'nbdev_export()' in c.source
            if not own and kinds=={True,False}: mixed.append(f'{p}, cell {c.id}')
    assert not mixed, f'give these imports a cell of their own: {mixed}'

def test_title_and_description(pages):
    for name,nb in pages.items():
        head = nb_frontmatter(nb)
        assert head.get('title') and head.get('description'), f'{name}: start it with "# Title" and "> description"'

def test_page_names_differ(pages):
    "nbdev drops a notebook's number from its page, so that two could write the same one."
    assert len({html_name(*o) for o in pages.items()})==len(pages)

def leads_nowhere(target, name, site, pages):
    "Whether `target`, found on page `name`, is an internal link without a destination."
    url = get_config(ROOT).doc_url.rstrip('/')+'/'
    html = {html_name(*o):o[1] for o in pages.items()}
    path,_,anchor = unquote(target).partition('#')
    if path.startswith(url): return path!=url and path[len(url):] not in html
    if re.match(r'[a-z]+:', path): return False
    dest = normpath((Path(name).parent/path).as_posix()) if path else name
    page = pages.get(dest, html.get(dest))
    if page is None: return dest.startswith('..') or not (site/dest).is_file()
    return bool(anchor) and anchor not in anchors(page)

def test_links(pages, site):
    broken = []
    for name,nb in pages.items():
        for cell,text in prose(nb):
            targets = [a or b for a,b in _link.findall(text)] + [o for _,o in _image.findall(text)] + [_attr(o, 'src') for o in _img_tag.findall(text)]
            broken += [f'{name}, cell {cell}: {o}' for o in targets if leads_nowhere(o, name, site, pages)]
    assert not broken, f'links that lead nowhere: {broken}'

def test_alt_text(pages):
    bare = []
    for name,nb in pages.items():
        for cell,text in prose(nb):
            bare += [f'{name}, cell {cell}: {src}' for alt,src in _image.findall(text) if not alt.strip()]
            bare += [f'{name}, cell {cell}: {o}' for o in _img_tag.findall(text) if not _attr(o, 'alt').strip()]
        bare += [f'{name}, cell {c.id}: add "#| fig-alt: ..."' for c in nb.cells if shows_figure(c) and not described(c)]
    assert not bare, f'figures without a description: {bare}'

def shows_figure(cell):
    return any(k.startswith('image/') or k=='text/html' and '<img' in v for o in cell.get('outputs', []) for k,v in o.get('data', {}).items())

def described(cell): return re.search(r'^#\|\s*fig-alt:\s*["\']?\w', cell.source, flags=re.MULTILINE)

def test_figures_are_stored(pages):
    "The site shows the outputs that are in the notebook; nothing draws them again."
    missing = [f'{name}, cell {c.id}' for name,nb in pages.items() for c in nb.cells if described(c) and not shows_figure(c)]
    assert not missing, f'described figures that are not stored, run nbdev-test --save and nbdev-clean: {missing}'

@pytest.mark.parametrize('path', NOTEBOOKS, ids=str)
def test_notebook_is_small(path):
    kb = (ROOT/path).stat().st_size/1000
    assert kb<400, f'{path} has {kb:.0f} KB; store smaller or fewer figures'

def test_no_machine_paths():
    "Nothing stored tells where on somebody's machine it was made."
    found = []
    for p in project_files():
        try: text = (ROOT/p).read_text(encoding='utf-8')
        except UnicodeDecodeError: continue
        found += [f'{p}: {m[0]}' for m in re.finditer(r'(?<![\w.:/~-])/(?:work|root|home|Users|tmp)/[\w./-]+', text)]
    assert not found, f'paths of a machine: {found}'

def test_readme_is_current():
    assert (ROOT/'README.md').read_text(encoding='utf-8')==make_readme(), 'README.md does not match nbs/index.ipynb: run make readme'

def test_stored_help_names_the_options_there_are(capsys):
    from lbp_inpaint.cli import main
    def options(text): return set(re.findall(r'--[a-z][a-z-]*', text))
    shown = [''.join(o.text) for c in read_nb(ROOT/'nbs/90_cli.ipynb').cells for o in c.get('outputs', []) if o.output_type=='stream']
    commands = {m[1]:text for text in shown if (m := re.match(r'usage: lbp-inpaint (\w+)', text))}
    assert 'train' in commands
    for name,text in commands.items():
        with pytest.raises(SystemExit): main([name, '--help'])
        assert options(text)==options(capsys.readouterr().out), f'the help of {name} in 20_cli is old: nbdev-test --save nbs/90_cli.ipynb'
