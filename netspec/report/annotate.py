"""A spec with the metrics of each line as a comment behind it, and without these comments.

    conv1:  conv { filters: 96  kernel: 7x7  stride: 2 } -> relu   #: 96x109x109  14,208 params ...

Works on the text alone, line by line, so that everything else in it stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from netspec.diagnostics.source import Source
from netspec.ir import Block, Instance, Layer, Net, Node
from netspec.ops import Shape
from netspec.report import number_format
from netspec.syntax.unparse import one_line

FARTHEST = 84
"""Column up to which comments are brought into line; behind longer lines they follow at once."""

_SHAPE = r"\d+(?:x\d+)*"
# Two spaces at least: `annotate` writes no less, and who writes `# was #: 3` means a comment.
_COMMENT = re.compile(
    rf"[ ]{{2,}}#: (?:\d+ of )?{_SHAPE}(?: \.\. {_SHAPE})?"
    r"(?: +[\d,]+ params)?(?: +[\d,.]+(?: M)? MACs)?(?: +by default .*?)?(?P<tail>\s*)\Z"
)
_LINE = re.compile(r"([^\r\n]*)(\r\n|\r|\n|\Z)")


def annotate(text: str, net: Net, source: Source) -> str:
    """The text with a comment behind each line that makes layers of the net.

    `source` is what the net was read from: the same text, but for its line breaks. Comments of an
    earlier time are replaced. White space at the end of a line stays at its end.
    """
    comments = _aligned(line_metrics(net, source))
    lines = list(_lines(without_comments(text)))
    code = {n: lines[n - 1][0].rstrip() for n in comments if n <= len(lines)}
    widths = [len(c.expandtabs()) for c in code.values()]
    column = max((w for w in widths if w <= FARTHEST), default=0)
    result = []
    for n, (line, end) in enumerate(lines, 1):
        if n in code:
            space = max(column - len(code[n].expandtabs()), 0) + 2
            tail = line[len(code[n]) :]
            line = f"{code[n]}{' ' * space}{comments[n]}{tail}"
        result.append(line + end)
    return "".join(result)


def without_comments(text: str) -> str:
    """The text without the comments that `annotate` wrote."""
    return "".join(_COMMENT.sub(r"\g<tail>", line) + end for line, end in _lines(text))


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Each line and its line break."""
    for found in _LINE.finditer(text):
        if found[0]:
            yield found[1], found[2]


class LineMetrics:
    """The metrics of the layers of one line, summed over all its uses."""

    def __init__(self) -> None:
        self.shapes: list[Shape] = []
        self.uses = 0
        self.params = 0
        self.macs = 0
        self.defaults: dict[str, None] = {}
        """The fields that defaults give to the layers."""


def line_metrics(net: Net, source: Source) -> dict[int, LineMetrics]:
    """The metrics of each line of a text that makes layers, by its number."""
    found: dict[int, LineMetrics] = {}
    owned = _uses(net.body, owned=True)
    for block, uses in _uses(net.body).items():
        ends: dict[int, Node] = {}
        here = [(node.span.line, node) for node in block.nodes if node.span.source is source]
        for line, node in here:
            ends[line] = node  # what the line comes to is what it makes last
        for line, node in here:
            metrics = found.setdefault(line, LineMetrics())
            metrics.params += owned[block] * int(node.params)
            metrics.macs += uses * int(node.macs)
            if isinstance(node, Layer):
                metrics.defaults |= dict.fromkeys(one_line(span.text) for span in node.defaults)
            if node.span == ends[line].span:
                # A loop makes the same line several times.
                metrics.uses += uses
                metrics.shapes.append(node.outputs[0].shape)
    return found


def _uses(body: Block, owned: bool = False) -> Mapping[Block, int]:
    """How often each block is used in all, or with weights of its own."""
    order: list[Block] = []
    seen: set[Block] = set()

    def visit(block: Block) -> None:
        if block not in seen:
            seen.add(block)
            for node in reversed(block.nodes):
                if isinstance(node, Instance):
                    visit(node.block)
            order.append(block)

    visit(body)
    uses = dict.fromkeys(reversed(order), 0)
    uses[body] = 1
    for block in uses:
        for node in block.nodes:
            if isinstance(node, Instance) and not (owned and node.shares):
                uses[node.block] += uses[block]
    return uses


def _aligned(found: Mapping[int, LineMetrics]) -> dict[int, str]:
    """The comments by line, their metrics in columns."""
    cells = {line: _cells(f) for line, f in found.items()}
    widths = [max(map(len, column)) for column in zip(*cells.values(), strict=True)]
    rows = {line: _comment(row, widths) for line, row in cells.items()}
    given = {
        line: f"  by default {'  '.join(f.defaults)}" for line, f in found.items() if f.defaults
    }
    return {line: row + given.get(line, "") for line, row in rows.items()}


def _comment(row: Sequence[str], widths: Sequence[int]) -> str:
    shape, *rest = row
    parts = [f"{shape:<{widths[0]}}"]
    parts += [f"{cell:>{w}}" for cell, w in zip(rest, widths[1:], strict=True) if w]
    return f"#: {'  '.join(parts)}".rstrip()


def _cells(f: LineMetrics) -> tuple[str, str, str]:
    shapes = list(dict.fromkeys(number_format.shape(s) for s in f.shapes))
    shape = shapes[0] if len(shapes) == 1 else f"{shapes[0]} .. {shapes[-1]}"
    return (
        f"{f.uses} of {shape}" if f.uses > 1 else shape,
        f"{f.params:,} params" if f.params else "",
        f"{number_format.millions(f.macs)} MACs" if f.macs else "",
    )
