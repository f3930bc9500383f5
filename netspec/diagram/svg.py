"""A scene as SVG, with attributes of elements and no style sheet, so that every program reads it.

Text of the spec is only in the text of elements, escaped.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from netspec.diagram import style
from netspec.diagram.coordinates import title
from netspec.diagram.scene import (
    Curve,
    DiagramView,
    Placed,
    Scene,
)
from netspec.report import number_format

FONT = 'font-family="Helvetica, Arial, sans-serif"'
LINE = "#7a828c"
INK = "#1b1f24"
SOFT = "#4b535d"


def svg(name: str, view: DiagramView, scene: Scene) -> str:
    """The picture of a net of this name, with its legend."""
    legend, high, wide = _legend(view)
    width, height = max(scene.width, wide), scene.height + high
    shift = round((width - scene.width) / 2, 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_n(width)} {_n(height)}" '
        f'width="{_n(width)}" height="{_n(height)}" {FONT} font-size="{style.WORDS}" '
        f'fill="{INK}">',
        f"<title>{escape(_clean(name))}</title>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="8" '
        'markerHeight="8" markerUnits="userSpaceOnUse" orient="auto">'
        f'<path d="M0 0.8L8 4L0 7.2z" fill="{LINE}"/></marker></defs>',
        f'<rect width="{_n(width)}" height="{_n(height)}" fill="#fff"/>',
        f'<g transform="translate({_n(shift)} 0)">',
        *(_frame(frame) for frame in scene.frames),
        f'<g fill="none" stroke="{LINE}" stroke-width="1.2">',
        *map(_curve, scene.curves),
        "</g>",
        f'<g fill="{SOFT}" stroke="#fff" stroke-width="3" stroke-linejoin="round" '
        'paint-order="stroke">',
        *(f'<text x="{_n(k.x)}" y="{_n(k.y + 3.5)}">{escape(k.text)}</text>' for k in scene.labels),
        "</g>",
        *(_box(box) for box in scene.boxes),
        *(_title(frame) for frame in scene.frames),
        "</g>",
        f'<g transform="translate(0 {_n(scene.height)})">',
        *legend,
        "</g>",
    ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _clean(text: str) -> str:
    """The text without the characters that XML does not allow."""
    return "".join(
        c if c >= " " or c in "\n\t" else "?" for c in text if not 0xD7FF < ord(c) < 0xE000
    )


def _n(number: float) -> str:
    """A length, as short as it can be written."""
    return f"{number:.1f}".removesuffix(".0")


def _curve(curve: Curve) -> str:
    first, *rest = curve.points
    steps = "".join(
        f"C{' '.join(f'{_n(x)},{_n(y)}' for x, y in rest[i : i + 3])}"
        for i in range(0, len(rest), 3)
    )
    dashes = ' stroke-dasharray="4 3"' if curve.indices else ""
    head = ' marker-end="url(#head)"' if curve.head else ""
    return f'<path d="M{_n(first[0])},{_n(first[1])}{steps}"{dashes}{head}/>'


def _tooltip(placed: Placed) -> str:
    return f"<title>{escape(_clean(style.tooltip(placed.box, placed.prefix)))}</title>"


def _frame(placed: Placed) -> str:
    ground = style.FRAMES[placed.level % 2]
    return (
        f'<rect x="{_n(placed.x)}" y="{_n(placed.y)}" width="{_n(placed.width)}" '
        f'height="{_n(placed.height)}" rx="6" fill="{ground}" stroke="#b9c0c9">'
        f"{_tooltip(placed)}</rect>"
    )


def _title(placed: Placed) -> str:
    space = placed.width - 2 * style.MARGIN
    text = style.fitted(title(placed.box), style.WORDS, space, bold=True)
    return (
        f'<text x="{_n(placed.x + 8)}" y="{_n(placed.y + 14)}" font-weight="600" fill="{SOFT}" '
        f'stroke="{style.FRAMES[placed.level % 2]}" stroke-width="6" paint-order="stroke">'
        f"{escape(_clean(text))}</text>"
    )


def _box(placed: Placed) -> str:
    box, x, y, width, height = placed.box, placed.x, placed.y, placed.width, placed.height
    middle = _n(x + width / 2)
    space = width - 2 * style.MARGIN + 6
    if box.end:
        fill, stroke = style.ENDS
        return (
            f"<g>{_tooltip(placed)}{_rect(x, y, width, height, fill, stroke, height / 2)}"
            f'<text x="{middle}" y="{_n(y + height / 2 + 4)}" text-anchor="middle" '
            f'font-size="{style.NAME}">{_cut(box.name, style.NAME, space)}</text></g>'
        )
    shown = style.parts(box)
    found = [_tooltip(placed)]
    top = y + height - style.TAIL * (len(shown) - 1)
    fill, stroke = shown[0].colors
    found.append(_rect(x, y, width, height, fill, stroke, 4))
    for i, part in enumerate(shown[1:]):
        # A further layer has its own ground; the last one keeps the corners of the box.
        fill_, stroke_ = part.colors
        at = top + style.TAIL * i
        last = i == len(shown) - 2
        found.append(_segment(x, at, width, style.TAIL, fill_, stroke_, last))
        found.append(
            f'<text x="{middle}" y="{_n(at + 11)}" text-anchor="middle" fill="{SOFT}">'
            f"{_cut(part.words, style.WORDS, space)}</text>"
        )
    if box.instance is not None:
        found.append(_rect(x + 2.5, y + 2.5, width - 5, height - 5, "none", stroke, 2.5))
    found.append(
        f'<text x="{middle}" y="{_n(y + 15)}" text-anchor="middle" font-weight="600" '
        f'font-size="{style.NAME}">{_cut(box.name, style.NAME, space, True)}</text>'
    )
    found.append(
        f'<text x="{middle}" y="{_n(y + 29)}" text-anchor="middle">'
        f"{_cut(shown[0].words, style.WORDS, space)}</text>"
    )
    return f"<g>{''.join(found)}</g>"


def _cut(text: str, size: float, space: float, bold: bool = False) -> str:
    return escape(_clean(style.fitted(text, size, space, bold)))


def _rect(
    x: float, y: float, width: float, height: float, fill: str, stroke: str, radius: float
) -> str:
    return (
        f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}" '
        f'rx="{_n(radius)}" fill="{fill}" stroke="{stroke}"/>'
    )


def _segment(
    x: float, y: float, width: float, height: float, fill: str, stroke: str, last: bool
) -> str:
    r = 4 if last else 0
    corner = (
        f"a{r},{r} 0 0 1 -{r},{r}h-{_n(width - 2 * r)}a{r},{r} 0 0 1 -{r},-{r}"
        if last
        else (f"h-{_n(width)}")
    )
    down = f"v{_n(height - r)}"
    return (
        f'<path d="M{_n(x)},{_n(y)}h{_n(width)}{down}{corner}z" fill="{fill}" stroke="{stroke}"/>'
    )


def _legend(view: DiagramView) -> tuple[list[str], float, float]:
    """The legend of colours and widths; its height and width."""
    parts: list[str] = []
    x = 16.0
    boxes = view.boxes()
    for name in style.families(boxes):
        fill, stroke = style.BoxPart("", name).colors
        parts.append(_rect(x, 6, 12, 12, fill, stroke, 2))
        parts.append(f'<text x="{_n(x + 17)}" y="16">{name}</text>')
        x += 17 + style.width(name, style.WORDS) + 14
    wide = x
    y = 36
    for sentence in sentences(view):
        parts.append(f'<text x="16" y="{y}" fill="{SOFT}">{escape(sentence)}</text>')
        wide = max(wide, 16 + style.width(sentence, style.WORDS) + 16)
        y += 16
    return parts, float(y - 2), round(wide, 1)


def sentences(view: DiagramView) -> Iterator[str]:
    """Sentences that explain the widths of boxes."""
    most = view.most()
    if most:
        unit = "MACs" if view.cost == "macs" else "parameters"
        shown = number_format.millions(most)
        yield f"The wider a box, the more {unit} it has; the widest drawn has {shown}."
