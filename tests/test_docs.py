"Every page of the documentation has a title, a description, links that lead somewhere and figures that are described."
import ast, os, re, subprocess, sys
from importlib import import_module
from pathlib import Path
from posixpath import normpath
from types import FunctionType
from urllib.parse import unquote
import pytest, torch, yaml
import lbp_inpaint
from fastcore.nbio import dict2nb, nb_frontmatter, read_nb
from nbdev.config import get_config
from nbdev.process import NBProcessor
from nbdev.processors import hide_
from lbp_inpaint.nets.weights import find_weights, read_about
from check_site import check
from diagrams import PICTURES, architecture
from make_readme import make_readme
from pages import Links, Page, describe_images, entry, parameters, slug, symbols
from project import ROOT, copy_project, project_files

NOTEBOOKS = [p for p in project_files() if p.suffix=='.ipynb']
_fenced = re.compile(r'^(```|~~~).*?^\1[ ]*$|`[^`\n]+`', flags=re.DOTALL|re.MULTILINE)
_code_block = re.compile(r'^(```|~~~).*?^\1[ ]*$', flags=re.DOTALL|re.MULTILINE)
_link = re.compile(r'(?<!!)\[(?:[^][]|!\[[^]]*\]\([^)]*\))*\]\(\s*<?([^)\s>]+)|href="([^"]+)"')
_image = re.compile(r'!\[([^]]*)\]\(\s*<?([^)\s>]+)')
_described = re.compile(r'!\[([^]]*)\]\(\s*<?([^)\s>]+)[^)]*\)(?:\{fig-alt="([^"]*)"\})?')
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
    env = {**os.environ, 'PATH':f"{quarto.parent}{os.pathsep}{os.environ['PATH']}", 'PYTHONPATH':os.pathsep.join([str(copy), str(copy/'tests')])}
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

def anchors(nb):
    "What a link into the page can point to: headings and explicit identifiers, as often as they are there."
    source = _code_block.sub('', '\n'.join(c.source for c in nb.cells if c.cell_type=='markdown'))
    return re.findall(r'\{#([\w.-]+)', source)+[slug(o) for o in re.findall(r'^#{1,6} +([^{\n]*)$', source, flags=re.MULTILINE)]

def test_every_notebook_is_a_page(pages):
    assert {p.relative_to('nbs').as_posix() for p in NOTEBOOKS}==pages.keys()
    assert 'index.ipynb' in pages

def test_imports_stand_alone():
    "Readers see at one glance what a cell needs, as in nbdev's and fastai's notebooks."
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
            bare += [f'{name}, cell {cell}: {src}' for alt,src,said in _described.findall(text) if not alt.strip() or not said.strip()]
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

# ---- Entries

def markdown(nb): return '\n'.join(c.source for c in nb.cells if c.cell_type=='markdown')
def outputs(nb): return [(c.id, t if isinstance(t, str) else ''.join(t)) for c in nb.cells for o in c.get('outputs', [])
    for t in (o.get('text', ''), *(v for k,v in o.get('data', {}).items() if k.startswith('text/')))]

def modules(pages): return {name:m[1] for p in NOTEBOOKS if (m := re.search(r'default_exp ([\w.]+)', '\n'.join(c.source for c in read_nb(ROOT/p).cells)))
    for name in pages if p.relative_to('nbs').as_posix()==name}

def test_every_public_name_has_its_entry(pages):
    missing,everywhere = [],{o for nb in pages.values() for o in anchors(nb)}
    for name,module in modules(pages).items():
        found = everywhere if module=='all' else anchors(pages[name]) # `all` hands on what other pages explain
        module = import_module(f'lbp_inpaint.{module}')
        for o in module.__all__:
            obj = getattr(module, o)
            members = [f'{o}.{k}' for k,v in vars(obj).items() if isinstance(obj, type) and getattr(v, '__module__', '')==module.__name__
                and k[0]!='_' and isinstance(v, FunctionType) and v.__doc__] if isinstance(obj, type) else []
            missing += [f'{name}: {k}' for k in (o, *members) if k.lower() not in found]
    assert not missing, f'no entries: {missing}'

@pytest.mark.parametrize('name', ['Inpainter.from_pretrained', 'InpaintDataLoaders.from_folder'])
def test_how_to_begin_has_its_entry(pages, name): # class methods are no plain functions
    assert any(name.lower() in anchors(nb) for nb in pages.values())

def test_identifiers_are_unique(pages):
    twice = {name:sorted({o for o in ids if ids.count(o)>1}) for name,nb in pages.items() for ids in [anchors(nb)]}
    assert not any(twice.values()), f'headings of the same name: { {k:v for k,v in twice.items() if v} }'

def test_nothing_of_the_machinery_is_seen(pages):
    marks = '__main__','<factory>','<function ',' object at 0x','#| '
    seen = [f'{name}: {m}' for name,nb in pages.items() for text in (markdown(nb), *(t for _,t in outputs(nb))) for m in marks if m in text]
    assert not seen, f'on these pages: {seen}'

def test_no_frame_of_a_progress_bar(pages):
    frames = [f'{name}, cell {cell}' for name,nb in pages.items() for cell,text in outputs(nb) if re.search(r'<progress|\u2588|\r(?!\n)', text)]
    assert not frames, f'fit without bar and logger (with learn.no_bar(), learn.no_logging()), and show the recorder as a table: {frames}'

def test_each_source_is_open_or_folded_once(pages):
    wrong = [f'{name}, cell {c.id}' for name,nb in pages.items() for c in nb.cells if c.source.count('#| code-fold:')>1]
    assert not wrong
    shown = [''.join(c.source for c in nb.cells if c.cell_type=='code') for nb in pages.values()]
    exported = [c for p in NOTEBOOKS for c in read_nb(ROOT/p).cells if c.cell_type=='code' and c.directives.keys() & {'export','exports','exporti'} and 'hide' not in c.directives]
    lost = [c.id for c in exported if not any(c.source[c.source.rindex('#|'):].partition('\n')[2].strip() in o for o in shown)]
    assert exported and not lost, f'exported cells that are on no page: {lost}'

WIDEST = 110 # characters of a line of code; a page wraps longer ones
def test_lines_fit():
    long = [f'{p}, cell {c.id}: {len(o)}' for p in NOTEBOOKS for c in read_nb(ROOT/p).cells if c.cell_type=='code'
        for o in c.source.splitlines() if len(o)>WIDEST and not o.startswith('#|')]
    assert not long, f'lines of more than {WIDEST} characters: {long}'

def page_in(module): return next(o.page for o in symbols().values() if o.module==module)

def test_names_lead_to_their_page(pages):
    from lbp_inpaint.nets.generator import InpaintNet
    page = page_in(InpaintNet.__module__)
    links = Links('tutorials/tour.html')
    assert links.line('an `InpaintNet` here')==f'an [`InpaintNet`](../{page}#inpaintnet) here'
    assert links.line('`Learner`')=='[`Learner`](https://docs.fast.ai/learner.html#learner)' # fastai's
    for o in ('`requires_grad`', '`nobody`', '[the `InpaintNet`](x.html)', '`lbp-inpaint`'): assert links.line(o)==o
    text = '## `InpaintNet`\n\n```python\n`InpaintNet`\n```\n'
    assert links.text(text)==text.rstrip('\n')
    assert Links(page).line('`InpaintNet`')=='[`InpaintNet`](#inpaintnet)'
    assert any(page in o for o in map(markdown, pages.values()))

def test_a_method_by_its_bare_name_is_one_of_the_page():
    assert Links(page_in('lbp_inpaint.filling.inpainter')).line('`fill`')=='[`fill`](#inpainter.fill)'
    assert '#fill)' in Links(page_in('lbp_inpaint.filling.folders')).line('`fill`')

def test_what_an_entry_says():
    from lbp_inpaint.settings import FillSettings, TrainSettings
    from lbp_inpaint.training.command import train
    from lbp_inpaint.training.watch import GameWatch
    rows = {o[0]:o for o in parameters(train)}
    assert rows['lambda_m'][1:3]==('float','0.01') and 'Eq. 2' in rows['lambda_m'][3] # a setting's note, from the dataclass
    assert 'lambda_m' not in [o[0] for o in parameters(TrainSettings)] and 'bs' in [o[0] for o in parameters(TrainSettings)]
    assert not [o for o in parameters(GameWatch) if o[0].startswith(('after_','before_'))] # fastai's hooks
    said = entry(symbols()['lbp_inpaint.settings','FillSettings'], Links('settings.html'))
    assert said.startswith('### `FillSettings` {#fillsettings}') and 'And the fields of [`MaskSettings`](#masksettings)' in said
    assert '| `overwrite` | `bool` | `False` | Replace results' in said and FillSettings.__doc__ in said
    short = entry(symbols()['lbp_inpaint.settings','FillSettings'], Links('settings.html'), full=False)
    assert '|' not in short and FillSettings.__doc__ in short # the source says it
    assert ') -> ' not in said and 'settings.py#L' in said

def test_a_page_says_where_it_comes_from(pages):
    for name,nb in pages.items(): assert f'/blob/main/nbs/{name})' in markdown(nb), name
    assert '[module](https://github.com/lbp-inpaint/lbp-inpaint/blob/main/lbp_inpaint/nets/attention.py)' in markdown(next(nb for name,nb in pages.items() if 'nets.attention.' in name))

def test_page_of_a_notebook():
    "A hidden installation makes a link to Colab; a directive in prose is obeyed and gone; the author's own fold stands."
    cells = [('markdown','# Tour\n\n> Ten minutes'), ('code','#| hide\n%pip install lbp-inpaint'), ('markdown','#| export\nThe whole of it.\n\n## `Tour`'),
        ('code','#| exports\n#| code-fold: true\ndef _f(): return 1')]
    nb = dict2nb(dict(cells=[dict(cell_type=k, source=o, metadata={}, outputs=[], id=str(i)) for i,(k,o) in enumerate(cells)], metadata={}, nbformat=4, nbformat_minor=5))
    nb.path_ = ROOT/'nbs/tutorials/tour.ipynb'
    NBProcessor(nb=nb, procs=[hide_, Page], rm_directives='quarto').process()
    origin,title,prose,code = [o.source for o in nb.cells]
    assert 'colab.research.google.com/github/lbp-inpaint/lbp-inpaint/blob/main/nbs/tutorials/tour.ipynb)' in origin
    assert prose=='The whole of it.\n\n## `Tour`' and code=='#| code-fold: true\ndef _f(): return 1'

def test_images_are_described_for_those_who_do_not_see_them():
    assert describe_images('![A `cat`, "asleep"](a.jpg)')=='![A `cat`, "asleep"](a.jpg){fig-alt="A cat, \'asleep\'"}'
    assert describe_images('![A cat](a.jpg){fig-alt="A dog"}')=='![A cat](a.jpg){fig-alt="A dog"}'

# ---- The site around the pages

def _listed(contents):
    for o in contents:
        if isinstance(o, str): yield o
        else: yield from [o['href']] if 'href' in o else []; yield from _listed(o.get('contents', []))

def test_sidebar():
    "Every page has its one line in the table of contents, in a part of the book."
    sections = yaml.safe_load((ROOT/'nbs/sidebar.yml').read_text(encoding='utf-8'))['website']['sidebar']['contents']
    assert all(isinstance(o, dict) and o['section'] and o['contents'] for o in sections)
    listed,there = [*_listed(sections)],{p.relative_to('nbs').as_posix() for p in NOTEBOOKS}
    assert not there-set(listed), f'add a line to nbs/sidebar.yml for each of these pages: {sorted(there-set(listed))}'
    assert not set(listed)-there, f'nbs/sidebar.yml names pages that are not there: {sorted(set(listed)-there)}'
    assert len(listed)==len(set(listed)), f'nbs/sidebar.yml names these twice: {sorted(o for o in set(listed) if listed.count(o)>1)}'

def test_every_module_says_what_is_in_it():
    "`help(module)` names what people look for there; llms.txt and the package's docstring list it."
    listing = (ROOT/'nbs/llms.txt').read_text(encoding='utf-8')
    for module in (o.module for o in symbols().values() if not o.name):
        imported,summary = import_module(module),f'`{module}`: '
        first,overview,*_ = imported.__doc__.split('\n\n')
        assert '\n' not in first and summary+first in lbp_inpaint.__doc__ and f'- [{module}](' in listing and f'): {first}\n' in listing, module
        named = [o for o in re.findall(r'`([\w.]+)(?:\([^`]*\))?`', overview) if '.' not in o or o[0].isupper()]
        gone = [o for o in named if not hasattr(imported, o.partition('.')[0]) and o not in ('net','inp')]
        assert named and not gone, f'the overview of {module} names {gone}'

def test_the_list_for_machines_is_on_the_site(site): assert (site/'llms.txt').is_file()

def test_the_command_says_what_it_is_in_one_line(capsys):
    from lbp_inpaint.cli import main
    with pytest.raises(SystemExit): main(['--help'])
    said = capsys.readouterr().out
    assert lbp_inpaint.__doc__.split('\n')[0] in said and 'Modules' not in said

def test_site_settings():
    config = yaml.safe_load((ROOT/'_quarto.yml').read_text(encoding='utf-8'))
    web,html = config['website'],config['format']['html']
    assert [o['href'] for o in web['navbar']['right']]==[get_config(ROOT).git_url]
    for file in (web['favicon'], web['image'], html['css']): assert (ROOT/'nbs'/file).is_file(), file

def _page(body, sidebar='<a href="index.html">Home</a><a href="./core.html">Core</a>', title='A page'):
    return f'<html><head><title>{title}</title></head><body><nav id="quarto-sidebar">{sidebar}</nav><main>{body}</main></body></html>'

GOOD = {'index.html':_page('<a href="core.html#lbp">LBP</a><a href="https://x.org/docs/core.html">again</a><a href="https://elsewhere.org">out</a><img src="a.png" alt="A cat">'),
    'core.html':_page('<h3 id="lbp">lbp</h3><pre class="sourceCode"><code>if __name__=="__main__": main()</code></pre><a href="#lbp">up</a>'), 'a.png':'', 'llms.txt':''}

@pytest.mark.parametrize('changes,said', [({}, None), ({'index.html':_page('<a href="cor.html">x</a>')}, 'leads nowhere'), ({'index.html':_page('<a href="core.html#lpb">x</a>')}, 'no such place'),
    ({'index.html':_page('<img src="a.png">')}, 'not described'), ({'index.html':_page('__main__.Inpainter')}, '__main__'), ({'index.html':_page('<progress value="3"></progress>')}, 'progress'),
    ({'index.html':_page('epoch 3 \u2588\u2588')}, 'progress'), ({'core.html':_page('')}, 'no entry lbp'), ({'new.html':_page('')}, 'not in the sidebar'), ({'core.html':_page('<i id="lbp"></i><i id="lbp"></i>')}, 'twice'),
    ({'index.html':_page('', title='')}, 'no title'), ({'index.html':_page('', sidebar='<a href="core.html"></a><a href="index.html"></a><a href="old.html"></a>')}, 'old.html leads nowhere'),
    ({'index.html':_page('<p>#| export: true</p>')}, 'directive'), ({'index.html':_page('<a href="https://x.org/docs/gone.html">x</a>')}, 'leads nowhere')])
def test_what_quarto_built_is_checked(tmp_path, changes, said):
    for name,text in {**GOOD, **changes}.items(): (tmp_path/name).write_text(text, encoding='utf-8')
    wrong = check(tmp_path, [('core.html','lbp')], 'https://x.org/docs')
    assert any(said in o for o in wrong) if said else not wrong, wrong

def test_a_site_without_llms_txt(tmp_path):
    (tmp_path/'index.html').write_text(GOOD['index.html'], encoding='utf-8')
    assert check(tmp_path)==[f'{tmp_path}: there is no llms.txt']

# ---- Numbers that stand on more than one page

def tables(text):
    "Rows of the tables in Markdown, as lists of cells, one table after the other"
    for block in re.findall(r'(?:^\|.*\|[ ]*\n?)+', text, flags=re.MULTILINE):
        yield [[o.strip() for o in line.strip().strip('|').split('|')] for line in block.strip().splitlines()]

def of_card(card):
    "(hole, name on the pages, metric) -> number, of the table that `lbp-inpaint evaluate` wrote into a card"
    named = {'small':'lbp-inpaint `small`', 'mean':'mean colour', 'smooth':'smooth (push-pull)', 'telea':'Telea', 'ns':'Navier-Stokes'}
    names,_,*rows = next(o for o in tables(card) if o[0][:2]==['hole','method'])
    return {(r[0], named.get(r[1], r[1]), m):float(v) for r in rows for m,v in zip(names[2:], r[2:])}

@pytest.mark.parametrize('page,metrics', [('nbs/index.ipynb',['PSNR dB']), ('README.md',['PSNR dB']), ('nbs/explanations/how_good.ipynb',['PSNR dB','VGG'])])
def test_scores_are_those_of_the_card(page, metrics):
    "The card was written by the command that measured; pages repeat it to two digits."
    file = ROOT/page
    text = '\n'.join(c.source for c in read_nb(file).cells if c.cell_type=='markdown') if file.suffix=='.ipynb' else file.read_text(encoding='utf-8')
    card = of_card((ROOT/'lbp_inpaint/weights/small/README.md').read_text(encoding='utf-8'))
    called = {'PSNR dB':'PSNR, dB', 'VGG':'VGG distance'}
    for metric in metrics:
        (_,*holes),_,*rows = next(o for o in tables(text) if o[0][0]==called[metric] and o[0][1]=='centre')
        got = {(h.removesuffix(' %'),name,metric):float(v) for name,*values in rows for h,v in zip(holes, values, strict=True)}
        assert got.keys()=={k for k in card if k[2]==metric}
        assert not {k:(v,card[k]) for k,v in got.items() if abs(v-card[k])>.00501}

def test_what_the_first_page_says_of_the_weights():
    "How long on a GPU, how long on a processor, 31 MB"
    text = (ROOT/'README.md').read_text(encoding='utf-8')
    made = read_about(find_weights('small'))['training']
    assert 'less than seven minutes on one GPU' in text and 6*60<sum(o['seconds'] for o in made['earlier'])<7*60
    assert f'{made["seconds"]/60:.0f} minutes on one CPU core' in text and made['hardware'].endswith('1 thread')
    size = sum(p.stat().st_size for p in (ROOT/'lbp_inpaint/weights/small').iterdir())
    assert f'The weights ({size/1e6:.0f} MB)' in text

# ---- What is stored

def test_no_machine_paths():
    "Nothing stored tells where on somebody's machine it was made."
    found = []
    for p in project_files():
        try: text = (ROOT/p).read_text(encoding='utf-8')
        except UnicodeDecodeError: continue
        found += [f'{p}: {m[0]}' for m in re.finditer(r'(?<![\w.:/~-])/(?:work|root|home|Users|tmp)/[\w./-]+', text)]
    assert not found, f'paths of a machine: {found}'

def test_diagrams_are_current():
    for name,draw in PICTURES.items(): assert (ROOT/f'nbs/images/{name}.svg').read_text(encoding='utf-8')==draw(), f'{name}.svg does not match tests/diagrams.py: run python tests/diagrams.py'

def test_the_architecture_is_that_of_the_networks():
    "Sides and channels on the picture are those of the 16 layer outputs, at the width of the paper."
    from lbp_inpaint.nets.generator import UNet
    x = torch.zeros(1, 5, 256, 256)
    with torch.no_grad(): feats = UNet(5, 3)(x)[1]
    said = re.findall(r'>(\d+): (\d+)×\2×(\d+|\(1 or 3\))<', architecture())
    layers = [*range(1,9), *range(8,16)]
    assert sorted((int(i),int(side),n) for i,side,n in said)==sorted((i, f.shape[2], '(1 or 3)' if i==15 else str(f.shape[1])) for i,f in zip(layers, feats))

def test_readme_is_current():
    assert (ROOT/'README.md').read_text(encoding='utf-8')==make_readme(), 'README.md does not match nbs/index.ipynb: run make readme'

def test_stored_help_is_what_the_command_says(capsys, monkeypatch):
    "Word by word; how options and their values are set out depends on Python."
    from lbp_inpaint.cli import main
    monkeypatch.setenv('COLUMNS', '80')
    def options(text): return set(re.findall(r'--[a-z][a-z-]*', text))
    def words(text): return [o for o in text.split() if re.match(r'[a-z(`\']', o)]
    shown = [''.join(o.text) for c in read_nb(ROOT/'nbs/90_cli.ipynb').cells for o in c.get('outputs', []) if o.output_type=='stream']
    commands = {m[1]:text for text in shown if (m := re.match(r'usage: lbp-inpaint (\w+)', text))}
    assert {'fill','train'}<={*commands}
    for name,text in commands.items():
        with pytest.raises(SystemExit): main([name, '--help'])
        now = capsys.readouterr().out
        assert (options(text),sorted(words(text)))==(options(now),sorted(words(now))), f'the help of {name} in 90_cli is old: nbdev-test --save nbs/90_cli.ipynb'
