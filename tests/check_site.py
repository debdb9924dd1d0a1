"""Check what Quarto built: python tests/check_site.py _docs. Prints what is wrong and ends with 1, or says how much was looked at.

Links and anchors lead somewhere, images are described, every public name has its entry, every page stands in the sidebar, llms.txt is there; nothing
shows a name of `__main__`, a frame of a progress bar or a directive that was to be obeyed."""
import re, sys
from html.parser import HTMLParser
from pathlib import Path
from posixpath import normpath
from urllib.parse import unquote

VOID = {'area','base','br','col','embed','hr','img','input','link','meta','source','track','wbr'}
LEFT_OVER = {'__main__':'a name of `__main__`', '<factory>':'a default without its value', '\u2588':'a frame of a progress bar', '#| ':'a directive'}

class Html(HTMLParser):
    "What a page holds that can be checked: identifiers, links, images, and the text of its main part outside of code"
    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.ids,self.links,self.sidebar,self.images,self.text,self.title,self.progress = [],[],[],[],[],'',False
        self._open = []
        self.feed(text)

    def _within(self, *names): return any(o in names for o in self._open)

    def handle_starttag(self, tag, attrs):
        d = dict(attrs)
        name = 'sidebar' if d.get('id')=='quarto-sidebar' else 'source' if 'sourceCode' in (d.get('class') or '') else tag
        if tag not in VOID: self._open.append(name)
        if d.get('id'): self.ids.append(d['id'])
        if tag=='a' and d.get('href'): (self.sidebar if self._within('sidebar') else self.links).append(d['href'])
        if tag=='img' and self._within('main'): self.images.append((d.get('src', ''), d.get('alt') or ''))
        if tag=='progress': self.progress = True

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID: self._open.pop()

    def handle_endtag(self, tag):
        if tag not in VOID and self._open: self._open.pop()

    def handle_data(self, data):
        if self._open and self._open[-1]=='title' and not self._within('svg'): self.title += data
        if self._within('main') and not self._within('script','style','source'): self.text.append(data)

def _target(page, href, site_url):
    "(page, anchor) that a link within the site leads to; None for a link out of it"
    path,_,anchor = unquote(href).partition('#')
    path = path.partition('?')[0]
    if site_url and path.startswith(site_url): path,page = path[len(site_url):].lstrip('/'),''
    elif re.match(r'[a-z]+:|//', path): return None
    if not path: return page or 'index.html',anchor
    dest = normpath((Path(page).parent/path).as_posix())
    return ('index.html' if dest=='.' else dest+'/index.html' if path.endswith('/') else dest),anchor

def broken_links(site, pages, site_url):
    for name,page in pages.items():
        for href in page.links+page.sidebar:
            target = _target(name, href, site_url)
            if target is None: continue
            file,anchor = target
            if file in pages and anchor and anchor not in pages[file].ids: yield f'{name}: {href} leads to no such place on {file}'
            elif file not in pages and (file.startswith('..') or not (site/file).is_file()): yield f'{name}: {href} leads nowhere'

def blemishes(pages):
    for name,page in pages.items():
        if not page.title.strip(): yield f'{name}: no title'
        twice = sorted({o for o in page.ids if page.ids.count(o)>1})
        if twice: yield f'{name}: the identifiers {twice} are there twice'
        for src,alt in page.images:
            if not alt.strip(): yield f'{name}: the image {src[:80]} is not described'
        text = ''.join(page.text)
        for mark,what in LEFT_OVER.items():
            if mark in text: yield f'{name}: {what}: ...{text[max(0, text.index(mark)-40):text.index(mark)+40]!r}'
        if page.progress: yield f'{name}: a frame of a progress bar'

def strangers(pages, site_url):
    "Pages that the sidebar of the first page does not name"
    listed = {_target('index.html', o, site_url)[0] for o in pages['index.html'].sidebar if _target('index.html', o, site_url)}
    return [f'{o}: not in the sidebar' for o in pages if o not in listed and o!='404.html']

def check(site, entries=(), site_url=''):
    "Everything that is wrong with the built site, a line each. `entries`: (page, anchor) of what has to be there"
    site = Path(site)
    pages = {p.relative_to(site).as_posix():Html(p.read_text(encoding='utf-8')) for p in sorted(site.rglob('*.html')) if 'site_libs' not in p.parts}
    if 'index.html' not in pages: return [f'{site}: there is no index.html']
    if not (site/'llms.txt').is_file(): return [f'{site}: there is no llms.txt']
    missing = [f'{page}: no entry {anchor}' for page,anchor in entries if page not in pages or anchor not in pages[page].ids]
    return [*broken_links(site, pages, site_url), *blemishes(pages), *strangers(pages, site_url), *missing]

def main(site):
    from nbdev.config import get_config
    from pages import anchor, symbols
    entries = [(o.page, anchor(o)) for o in symbols().values() if o.name]
    wrong = check(site, entries, get_config().doc_url)
    print('\n'.join(wrong) or f'{site}: nothing wrong, {len(entries)} entries are in their places')
    return bool(wrong)

if __name__=='__main__': sys.exit(main(sys.argv[1]))
