"Draw nbs/images/architecture.svg and nbs/images/turns.svg. They stand on a light card, so that they can be read on a dark page too."
from html import escape
from project import ROOT

INK,EDGE,QUIET = '#1c2733','#8a96a3','#4d5a67'
BLUE,ORANGE,RED,YELLOW,GREY = '#d6e6f5','#fbe3cf','#f8d9dc','#fff0b8','#eef1f4'

class Drawing:
    "An SVG that grows by boxes, words and arrows. Sizes are pixels."
    def __init__(self, width, height, title):
        self.width,self.height,self.title,self.parts = width,height,title,[]

    def box(self, x, y, w, h, text='', fill='white', size=14, bold=False, edge=EDGE):
        "A rectangle with lines of text in its middle; `bold` is for the first line"
        self.parts.append(f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="5" fill="{fill}" stroke="{edge}"/>')
        lines = text.split('\n') if text else []
        for i,o in enumerate(lines):
            self.words(x+w/2, y+h/2+(i-(len(lines)-1)/2)*(size+4)+size*.36, o, size, bold and not i)

    def words(self, x, y, text, size=14, bold=False, anchor='middle', colour=INK):
        weight = ' font-weight="bold"' if bold else ''
        self.parts.append(f'<text x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{anchor}" fill="{colour}"{weight}>{escape(text)}</text>')

    def line(self, *points, head=True, colour=INK, dash=''):
        "A line through points, with the head of an arrow at its end"
        path = 'M'+' L'.join(f'{x:g} {y:g}' for x,y in points)
        extra = (f' stroke-dasharray="{dash}"' if dash else '')+(' marker-end="url(#head)"' if head else '')
        self.parts.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.5"{extra}/>')

    def svg(self):
        head = f'<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="5.5" markerHeight="5.5" orient="auto"><path d="M0 0L8 4L0 8z" fill="{INK}"/></marker>'
        return '\n'.join([f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height}" '
            f'viewBox="0 0 {self.width} {self.height}" role="img" font-family="Helvetica, Arial, sans-serif">',
            f'<title>{escape(self.title)}</title>', f'<defs>{head}</defs>',
            f'<rect width="{self.width}" height="{self.height}" rx="8" fill="#fdfdfb"/>', *self.parts, '</svg>'])+'\n'

# ---- The architecture

DOWN = [(128,64),(64,128),(32,256),(16,512),(8,512),(4,512),(2,512)] # side and filters of Layers 1 to 7
UP = [(256,'(1 or 3)'),(128,64),(64,128),(32,256),(16,512),(8,512),(4,512),(2,512)] # of Layers 15 down to 8

def both_stages(d, y):
    "What goes into G1 and G2, and what comes out"
    d.words(20, y, 'Two stages', 16, True, 'start')
    y += 14
    d.box(20, y, 180, 44, 'picture with a hole\n256×256, 3 channels')
    d.box(220, y, 180, 44, 'mask, 1 = hole; the\nnetworks see M = 1 − mask')
    d.line((110,y+44), (110,y+70))
    d.box(60, y+70, 140, 44, 'LBP of what is\nknown, 1 channel', GREY)
    d.line((130,y+114), (130,y+140))
    d.line((310,y+44), (310,y+152), (266,y+152))
    d.box(60, y+140, 200, 44, 'Stage one: G1\nmap and M: 2 in, 1 out', BLUE, bold=True)
    d.line((160,y+184), (160,y+206))
    d.box(60, y+206, 200, 28, 'completed LBP map', GREY)
    d.line((160,y+234), (160,y+258))
    d.line((36,y+44), (36,y+280), (56,y+280))
    d.line((370,y+44), (370,y+280), (266,y+280))
    d.box(60, y+258, 200, 44, 'Stage two: G2\npicture, map, M: 5 in, 3 out', ORANGE, bold=True)
    d.line((160,y+302), (160,y+324))
    d.box(60, y+324, 200, 28, 'filled picture, 3 channels')
    return y+352

def inside(d, y):
    "The U-Net that both generators are, layer by layer"
    h,row = 23,36
    d.words(20, y, 'Inside a generator: a U-Net of 15 layers', 16, True, 'start')
    d.words(20, y+20, 'layer: side × side × channels, at the width of the paper', 13, anchor='start', colour=QUIET)
    y += 32
    def at(i): return y+i*row+(52 if i>2 else 0) # a row; the attention stands between the third and the fourth
    def left(i): return 14+5*i
    w = 130
    d.box(left(0), at(0), w, h, 'in: 256×256×(2 or 5)', GREY, 13)
    for i,(side,n) in enumerate(DOWN, 1): d.box(left(i), at(i), w, h, f'{i}: {side}×{side}×{n}', GREY, 13)
    for i,(side,n) in enumerate(UP): d.box(420-left(i)-w, at(i), w, h, f'{15-i}: {side}×{side}×{n}', GREY, 13)
    for i in range(7): d.line((left(i)+20,at(i)+h), (left(i)+20,at(i+1)))
    for i in range(1, 8):
        x = 400-left(i)
        if i!=3: d.line((x,at(i)), (x,at(i-1)+h)); d.line((left(i)+w,at(i)+h/2), (420-left(i)-w,at(i)+h/2), colour=EDGE)
    d.words(210, at(1)+h/2-5, 'skips', 13, colour=QUIET)
    a = at(2)+h+13
    x = 400-left(3)
    d.box(220, a, 186, 42, 'spatial attention, in G2\n32×32×512, and the mask', YELLOW, 13, True, '#c9a227')
    d.line((left(3)+w,at(3)+h/2), (252,at(3)+h/2), (252,a+42), colour=EDGE)
    d.line((x,at(3)), (x,a+42))
    d.line((x,a), (x,at(2)+h))
    bottom = at(8)
    d.box(159, bottom, 102, h, '8: 1×1×512', GREY, 13)
    d.line((left(7)+20,at(7)+h), (left(7)+20,bottom+h/2), (157,bottom+h/2))
    d.line((261,bottom+h/2), (400-left(7),bottom+h/2), (400-left(7),at(7)+h))
    return bottom+h

def architecture():
    "G1 and G2, and the layers of either"
    d = Drawing(420, 846, 'The architecture: G1 completes the LBP map, G2 paints the picture; both are U-Nets of 15 layers')
    inside(d, both_stages(d, 30)+40)
    return d.svg()

# ---- Turns

def a_turn(d, y, name, who, says, fill, terms):
    "One turn as a card: who learns, from what, by which losses"
    h = 36+18*len(says+terms)
    d.box(20, y, 380, h, fill=fill)
    d.words(32, y+22, name, 15, True, 'start')
    d.words(388, y+22, f'learns: {who}', 14, True, 'end')
    for i,o in enumerate(says+terms): d.words(32, y+42+18*i, o, 14, anchor='start', colour=INK if i<len(says) else QUIET)
    return y+h

def a_phase(d, y, title, forward, turns):
    d.words(20, y, title, 16, True, 'start')
    d.box(20, y+14, 380, 30, forward, 'white')
    y += 44
    for o in turns:
        d.line((210,y), (210,y+18))
        y = a_turn(d, y+18, *o)
    return y

def turns():
    "Who learns when, in a batch of phase 1 and in one of phase 2"
    d = Drawing(420, 574, 'The turns of a batch: in phase 1 D1, then G1; in phase 2 D2, then G1 and G2 together')
    y = a_phase(d, 30, 'A batch of phase 1: structure', 'G1 completes the LBP maps, once', [
        ('Turn 1', 'D1', ['Which maps are true, which completed?'], RED, ['d1 (Eq. 4, as D1 sees it)']),
        ('Turn 2', 'G1', ['Be near the true map, and convince D1.'], BLUE, ['m1 (Eq. 2) + r1 (Eq. 3) + a1 (Eq. 4) = Eq. 5'])])
    y = a_phase(d, y+46, 'A batch of phase 2: the picture', 'G1 completes the maps, G2 paints, once', [
        ('Turn 1', 'D2', ['Which are photographs, which fills?'], RED, ['d2 (Eq. 4, as D2 sees it)']),
        ('Turn 2', 'G1 and G2', ['Be near the photograph, and convince D2.'], ORANGE, [
            'm2 (Eq. 2) + r2 (Eq. 3) + a2 (Eq. 4)', '+ p (Eq. 6) + s (Eq. 7) = Eq. 8', 'with lambda_lbp: Eq. 5 too, and a turn of D1 first'])])
    return d.svg()

PICTURES = {'architecture':architecture, 'turns':turns}
if __name__=='__main__':
    for name,draw in PICTURES.items(): (ROOT/f'nbs/images/{name}.svg').write_text(draw(), encoding='utf-8')
