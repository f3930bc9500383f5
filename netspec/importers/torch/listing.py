"""An exported program as a text, a line for each call, which diagnostics point into."""

from __future__ import annotations

from typing import Any

from netspec.diagnostics.source import Source, Span
from netspec.importers.torch.exported import Exported, OperatorCall, Ref

MOST_LISTED = 8
"""Most arguments of a call, and most elements of one, that a line has."""
MOST_CHARACTERS = 100
"""Most characters of a name."""


def listing(exported: Exported) -> tuple[Source, list[Span]]:
    """The text of a program, and the place in it of each call: the name of its operator.

    `layer1.0.conv1: conv2d(%x, layer1.0.conv1.weight 64x3x7x7, stride [2, 2]) -> 1x64x112x112`
    """
    lines: list[str] = []
    places: list[tuple[int, int]] = []
    offset = 0
    for call in exported.calls:
        path = next((p for p, _ in reversed(call.modules) if p), "")
        word = _plain(call.operator.removeprefix("aten."))
        front = f"{_plain(path)}: " if path else ""
        line = f"{front}{word}({_arguments(exported, call)}) -> {_results(exported, call)}"
        places.append((offset + len(front), offset + len(front) + len(word)))
        lines.append(line)
        offset += len(line) + 1
    source = Source(str(exported.path), "\n".join(lines) + "\n")
    return source, [Span(source, start, end) for start, end in places]


def _arguments(exported: Exported, call: OperatorCall) -> str:
    shown = []
    for name, value in call.arguments.items():
        if isinstance(value, Ref):
            shown.append(_tensor(exported, value))
        elif value is not None:
            shown.append(f"{_plain(name)} {_value(exported, value)}")
    rest = ["..."] if shown[MOST_LISTED:] else []
    return ", ".join(shown[:MOST_LISTED] + rest)


def _tensor(exported: Exported, ref: Ref) -> str:
    if ref.name in exported.stored:
        name, constant = exported.stored[ref.name]
        return f"{_plain(name)} {_shape(constant.shape)}".rstrip()
    return f"%{_plain(ref.name)}"


def _value(exported: Exported, value: Any) -> str:
    if isinstance(value, list):
        rest = ["..."] if value[MOST_LISTED:] else []
        return f"[{', '.join([_value(exported, v) for v in value[:MOST_LISTED]] + rest)}]"
    return _tensor(exported, value) if isinstance(value, Ref) else _plain(str(value))


def _results(exported: Exported, call: OperatorCall) -> str:
    found = [exported.types.get(name) for name in call.results]
    shapes = [_shape(t.shape) or "number" for t in found if t is not None]
    return ", ".join(shapes[:MOST_LISTED]) or "nothing"


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _plain(text: str) -> str:
    """A name of a file in one line, of characters that can be shown."""
    return "".join(c if c.isprintable() else "?" for c in text[:MOST_CHARACTERS])
