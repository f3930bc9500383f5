"""A picture as PNG: by a library that draws SVG if one is installed, else by Graphviz."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

from netspec.diagnostics import spec_error
from netspec.diagram.scene import DiagramView

SCALE = 2.0
"""Pixels for each px of the SVG, so that letters are sharp."""
LONGEST = 12_000
"""Most pixels of a side; a longer picture is scaled down."""


def png(svg: str, name: str, view: DiagramView) -> bytes:
    """The picture in pixels. Raises SpecError where nothing that can draw it is installed."""
    size = re.search(r'width="([\d.]+)" height="([\d.]+)"', svg)
    assert size is not None
    scale = min(SCALE, LONGEST / max(map(float, size.groups())))
    resvg = _module("resvg_py")
    if resvg is not None:
        return bytes(resvg.svg_to_bytes(svg_string=svg, zoom=1, width=int(float(size[1]) * scale)))
    cairo = _module("cairosvg")
    if cairo is not None:
        return bytes(cairo.svg2png(bytestring=svg.encode(), scale=scale))
    from netspec.diagram.dot import run, text

    drawn = run(text(name, view), "png")
    if drawn is None:
        message = "a PNG needs resvg-py, CairoSVG or Graphviz, none of which is installed"
        help_ = ("pip install resvg-py", "or write an .svg, which needs nothing")
        raise spec_error("missing-package", message, help=help_)
    return drawn


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except (ImportError, OSError):  # CairoSVG without Cairo raises OSError
        return None
