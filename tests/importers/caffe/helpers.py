"""What tests of Caffe's files need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netspec.diagnostics import Diagnostic, Diagnostics, render
from netspec.diagnostics.source import Source
from netspec.driver import check
from netspec.importers.caffe.convert import convert
from netspec.ir import Net
from netspec.semantic.settings import constants_of

INPUT = 'input: "data" input_shape { dim: 2 %s }\n'


def checked(text: str, **settings: Any) -> tuple[Net | None, tuple[Diagnostic, ...]]:
    """The net of a prototxt, if it is sound, and all diagnostics."""
    net, diagnostics, _ = check(Source("test.prototxt", text), None, settings)
    return net, diagnostics


def net_of(text: str, **settings: Any) -> Net:
    """The net of a prototxt; fails with its diagnostics."""
    net, found = checked(text, **settings)
    assert net is not None, "\n".join(render.text(d) for d in found)
    return net


def codes(text: str, **settings: Any) -> list[str]:
    return [d.code for d in checked(text, **settings)[1]]


def messages(text: str, **settings: Any) -> list[str]:
    return [d.message for d in checked(text, **settings)[1]]


def spec_of(text: str, name: str = "test.prototxt", **settings: Any) -> str:
    """The converted spec; fails with its diagnostics."""
    diagnostics = Diagnostics()
    result = convert(Source(name, text), constants_of(settings, diagnostics), diagnostics)
    assert result is not None, "\n".join(render.text(d) for d in diagnostics)
    return result.text


def body_of(text: str, **settings: Any) -> list[str]:
    """The statements of the converted net behind its inputs, white space made single."""
    lines = [" ".join(line.split()) for line in spec_of(text, **settings).splitlines()]
    start = max(i for i, line in enumerate(lines) if line.startswith("input "))
    end = next(i for i, line in enumerate(lines[start:], start) if _ends(line))
    return [line for line in lines[start + 1 : end] if line]


def _ends(line: str) -> bool:
    return line == "}" or line.startswith(("expect ", "if classes"))


def after(dims: str, *layers: str) -> str:
    """A net whose input `data` has these dimensions (`3x8x9`), and layers l1, l2, ... behind it.

    A layer is its type and its fields; it takes what the one before gave, unless it says `bottom`.
    """
    sizes = " ".join(f"dim: {d}" for d in dims.split("x"))
    lines = [INPUT % sizes]
    top = "data"
    for i, text in enumerate(layers, 1):
        type_, _, fields = text.partition(" ")
        bottom = "" if "bottom:" in fields else f'bottom: "{top}"'
        top = f"l{i}"
        shown = "" if "top:" in fields else f'top: "{top}"'
        lines.append(f'layer {{ name: "l{i}" type: "{type_}" {bottom} {shown} {fields} }}')
    return "\n".join(lines)


def shapes(net: Net) -> Mapping[str, tuple[int, ...]]:
    """The shape of each layer's result by its path."""
    return {layer.path: tuple(layer.outputs[0].shape) for layer in net.layers}
