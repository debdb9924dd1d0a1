"Write README.md from nbs/index.ipynb, without Quarto."
import re, sys
from posixpath import normpath
from fastcore.nbio import read_nb
from nbdev.config import get_config
from nbdev.readme_filter import doc_link
from project import ROOT

SOURCE = 'nbs/index.ipynb'
_fence = re.compile(r'(^```.*?^```[ ]*$)', flags=re.DOTALL|re.MULTILINE)
_target = re.compile(r'(\]\(|src=")([^)"\s]+)')

def _retarget(match):
    "Pages become addresses on the documentation site; files beside the notebook become paths from the project's root."
    pre,target = match.groups()
    new = doc_link(target, get_config(ROOT).doc_url)
    if new==target and not re.match(r'[a-z]+:|#|/', target): new = normpath(f'nbs/{target}')
    return pre+new

def _markdown(src):
    src = re.sub(r'^(#\||:::).*\n?', '', src, flags=re.MULTILINE)
    if src.startswith('# '): src = re.sub(r'^- \S+: .*\n?', '', src, flags=re.MULTILINE) # front matter under the title
    return ''.join(o if o.startswith('```') else _target.sub(_retarget, o) for o in _fence.split(src)).strip()

def _output(out, cell_id):
    "Text of one output; standard error is left out, a figure is refused because a README has no place to store it."
    if out.output_type=='stream': return f'```text\n{out.text.rstrip()}\n```' if out.name=='stdout' else ''
    data = out.get('data', {})
    if any(o.startswith('image/') for o in data):
        sys.exit(f'{SOURCE}: cell {cell_id} shows a figure; store it in nbs/images and link it from a markdown cell, or give the cell "#| output: false".')
    if 'text/markdown' in data: return _markdown(data['text/markdown'])
    return f"```text\n{data['text/plain'].rstrip()}\n```" if 'text/plain' in data else ''

def _code(cell):
    d = cell.directives
    cell.remove_directives()
    src = re.sub(r'^.*#\|\s*hide_line\s*$\n?', '', cell.source, flags=re.MULTILINE).strip()
    lang = 'sh' if re.match(r'%%(bash|sh)|!', src) else 'python'
    src = re.sub(r'^%%\w+.*\n|^!', '', src, flags=re.MULTILINE)
    parts = [] if d.get('echo')=='false' else [f'```{lang}\n{src}\n```']
    return parts if d.get('output')=='false' else parts + [_output(o, cell.id) for o in cell.outputs]

def make_readme():
    "The README that belongs to the index notebook."
    parts = [f'<!-- Written by `make readme` from {SOURCE}: edit that file, not this one. -->']
    for cell in read_nb(ROOT/SOURCE).cells:
        d = cell.directives
        if cell.cell_type=='raw' or not cell.source or d.keys() & {'hide','default_exp'} or d.get('include')=='false': continue
        if cell.cell_type=='code' and d.keys() & {'export','exporti'}: continue # exported prose is the package's docstring, and stays here
        parts += [_markdown(cell.source)] if cell.cell_type=='markdown' else _code(cell)
    return '\n\n'.join(filter(None, parts))+'\n'

if __name__=='__main__': (ROOT/'README.md').write_text(make_readme(), encoding='utf-8')
