"""Helpers for tests of several packages."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import netspec
from netspec.diagnostics import Diagnostic, Diagnostics, render
from netspec.diagnostics.source import Source
from netspec.driver import bundled, check
from netspec.ir import Net
from netspec.semantic.imports import Program, load

SHARED = Path(__file__).parent.parent.parent / "shared" / "data"


def checked(
    text: str, settings: Mapping[str, Any] | None = None, base: Path | None = None
) -> tuple[Net | None, tuple[Diagnostic, ...]]:
    """The net of a text, if it is sound, and all diagnostics."""
    net, diagnostics, _ = check(Source("test.net", text), base, settings or {})
    return net, diagnostics


def net_of(text: str, settings: Mapping[str, Any] | None = None, base: Path | None = None) -> Net:
    """The net of a text; fails with its diagnostics."""
    net, found = checked(text, settings, base)
    assert net is not None, "\n".join(render.text(d) for d in found)
    return net


def loaded(spec: str | Path, **parameters: Any) -> Net:
    """The net of a path or bundled spec as passes and backends take it."""
    if isinstance(spec, str) and not parameters:
        return _bundled(spec)
    return netspec.load(spec, **parameters).ir


@cache
def _bundled(spec: str) -> Net:
    return netspec.load(spec).ir


def bundled_text(spec: str) -> str:
    """The text of a bundled net, of a file of several without the other nets.

    Of a variant it is that of its net, whose defaults are the variant's values.
    """
    program = _program(bundled()[spec])
    net = next(n for n in program.nets if spec in [v.definition.name.text for v in n.nets])
    cut = [n.definition.span for n in program.nets if n is not net]
    cut += [v.variant.span for v in net.variants if v.variant is not None]
    put = dict.fromkeys(cut, "")
    made = next(n.definition for n in net.nets if n.definition.name.text == spec)
    put |= {
        old.span: f"{new.name.text} = {new.default.span.text}"
        for old, new in zip(net.definition.params, made.params, strict=True)
        if new.default is not None
    }
    put[net.definition.name.span] = spec
    text = program.source.text
    for span in sorted(put, key=lambda span: -span.start):
        start = span.start
        if not put[span]:  # the comment above goes along
            start = len(re.sub(r"(\n *##.*)*\n *\Z", "", text[:start]))
        text = text[:start] + put[span] + text[span.end :]
    return text


@cache
def one_of_each_text() -> Mapping[str, Path]:
    """Bundled nets, of those that are variants of one text the first."""
    found: dict[str, Path] = {}
    for path in dict.fromkeys(bundled().values()):
        for net in _program(path).nets:
            found[net.nets[0].definition.name.text] = path
    return found


@cache
def _program(path: Path) -> Program:
    source = Source(str(path), path.read_text(encoding="utf-8"))
    program = load(source, path.parent, Diagnostics())
    assert program is not None
    return program


def body(statements: str, shape: str = "3x32x32") -> str:
    """A net with these statements behind its input `data`."""
    return f"net test {{ input data: {shape}\n{statements}\n}}"


def install_package(
    folder: Path,
    name: str,
    entry_points: Mapping[str, Mapping[str, str]],
    modules: Mapping[str, str] | None = None,
) -> None:
    """Make a package look installed in a folder of the path: its entry points, its modules."""
    lines = []
    for group, points in entry_points.items():
        lines += [f"[{group}]", *(f"{point} = {target}" for point, target in points.items())]
    information = folder / f"{name.replace('-', '_')}-1.dist-info"
    information.mkdir()
    (information / "entry_points.txt").write_text("\n".join(lines) + "\n")
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    for module, text in (modules or {}).items():
        (folder / f"{module}.py").write_text(text)


def codes(text: str, settings: Mapping[str, Any] | None = None) -> list[str]:
    return [d.code for d in checked(text, settings)[1]]


def paths(net: Net) -> list[str]:
    return [layer.path for layer in net.layers]


def calls(function: Callable[[], Any]) -> int:
    """How many calls, Python's own included, a function makes."""
    count = 0

    def profile(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count
