"""How boxes look: their words, sizes and colours. Lengths are in px of 1/96 inch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from netspec.diagram.boxes import Box
from netspec.ir import Layer
from netspec.report import number_format
from netspec.report.rows import describe
from netspec.syntax.unparse import one_line

NAME, WORDS = 12, 10.5
"""Sizes of letters: of names, and of everything else."""
HEAD, TAIL, PILL = 36, 15, 24
"""Heights: of a box, of each further layer of a stack, of an input or output."""
NARROWEST, WIDEST = 84, 170
"""Bounds of a box without what its cost adds."""
GROWTH = 140
"""What the box of the greatest cost is wider than one of no cost."""
MARGIN = 10
"""Between words and the border."""

# Fill, and border and bar. Hues of Okabe and Ito 2008: people with any kind of colour vision can
# tell them apart.
COLORS = {
    "convolution": ("#d7e8f6", "#0072b2"),
    "pooling": ("#d5f0e6", "#009e73"),
    "activation": ("#fdeccb", "#e69f00"),
    "normalization": ("#f6e3ee", "#b8588f"),
    "merging": ("#fbe0d0", "#d55e00"),
    "reshaping": ("#ebebeb", "#666666"),
    "regularization": ("#f7f5c6", "#a89b00"),
    "resizing": ("#e4ddf3", "#6a3d9a"),
    "shared weights": ("#ffffff", "#222222"),
}
OTHER = ("#ffffff", "#555555")
MODULE = ("#eef0f3", "#556070")
ENDS = ("#ffffff", "#222222")
FRAMES = ("#f8f9fb", "#f1f3f6")
"""Ground of open modules, alternating, so that one inside another is seen."""

# Widths of printable ASCII in Helvetica, in thousandths of the size of letters.
WIDTHS = (
    *(278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278),
    *(556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556),
    *(1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778),
    *(667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556),
    *(333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556),
    *(556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584),
)


def width(text: str, size: float, bold: bool = False) -> float:
    """About how wide a text is in Helvetica or a face of its measures."""
    thousandths = sum(
        WIDTHS[ord(c) - 32] if " " <= c <= "~" else 600 if ord(c) < 0x1100 else 1000 for c in text
    )
    return round(thousandths * size * (1.07 if bold else 1) / 1000, 2)


def fitted(text: str, size: float, space: float, bold: bool = False) -> str:
    """The text, with its middle left out where there is not enough space."""
    found, length = text, len(text)
    while width(found, size, bold) > space and length > 5:
        length -= 1
        found = number_format.shortened(text, length)
    return found


class BoxPart(NamedTuple):
    """A layer of a box: its `words`, in the colours of its family."""

    words: str
    family: str

    @property
    def colors(self) -> tuple[str, str]:
        return COLORS.get(self.family, MODULE if self.family == "module" else OTHER)


def parts(box: Box) -> tuple[BoxPart, ...]:
    """The layers of a box, or the one part of a module; none for an input or output.

    Where its weights are those of another box, that is the last.
    """
    found = [BoxPart(describe(layer), layer.op.family.name) for layer in box.layers]
    if box.instance is not None:
        found.append(BoxPart(describe(box.instance), "module"))
    if box.shares is not None:
        found.append(BoxPart(f"weights of {box.shares}", "shared weights"))
    return tuple(found)


def families(boxes: Iterable[Box]) -> list[str]:
    """The families of ops that occur, in the order of the legend."""
    found = {part.family for box in boxes for part in parts(box)}
    return [name for name in (*COLORS, "module") if name in found] + sorted(
        found - {*COLORS, "module"}
    )


def words(box: Box) -> list[str]:
    """The lines of text in a box: its name, then one for each layer."""
    return [box.name, *(part.words for part in parts(box))]


def natural(box: Box) -> float:
    """The width that a box needs for its words."""
    name, *rest = words(box)
    return max(width(name, NAME, bold=True), *(width(w, WORDS) for w in rest), 0.0) + 2 * MARGIN


def base_width(boxes: Iterable[Box]) -> float:
    """The width of all boxes of no cost."""
    widest = max((natural(box) for box in boxes if not box.end), default=0.0)
    return round(min(max(widest, NARROWEST), WIDEST))


def height(box: Box) -> float:
    """The height of a box."""
    return PILL if box.end else HEAD + TAIL * (len(parts(box)) - 1)


def tooltip(box: Box, path: str) -> str:
    """The text that a browser shows at a box: each layer with its shapes and metrics."""
    if box.end:
        shapes = [number_format.shape(v.shape) for v in (*box.inputs, *box.results)]
        return f"{box.end} {box.name}: {', '.join(shapes)}"
    return "\n".join(_node_tooltip(node, path) for node in box.nodes)


def _node_tooltip(node: object, prefix: str) -> str:
    from netspec.ir import Instance

    assert isinstance(node, Layer | Instance)
    taken, made = (
        ", ".join(number_format.shape(v.shape) for v in values)
        for values in (
            node.inputs,
            node.outputs if isinstance(node, Instance) else node.outputs[:1],
        )
    )
    metrics = [f"{int(node.params):,} params"] if node.params else []
    metrics += [f"weights of {node.shares}"] if node.shares else []
    metrics += [f"{number_format.millions(int(node.macs))} MACs"] if node.macs else []
    lines = [", ".join([f"{prefix}{node.name}: {describe(node)}", f"{taken} -> {made}", *metrics])]
    if isinstance(node, Layer):
        lines += [f"{one_line(s.text)} by the default in line {s.line}" for s in node.defaults]
    return "\n".join(lines)
