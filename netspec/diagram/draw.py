"""A net as the bytes of a diagram in one of the formats."""

from __future__ import annotations

from netspec.diagnostics import spec_error
from netspec.diagnostics.source import Source
from netspec.diagram.boxes import Sheet, sheet_of, whole
from netspec.diagram.scene import DiagramOptions, DiagramView, Scene
from netspec.ir import Net
from netspec.util.recursion import deep_recursion

READABLE = 60
"""Most boxes that a picture has if nobody says how deep to go, unless the net itself has more."""
MOST = 20_000
"""Most boxes that are drawn where somebody does."""


def draw(net: Net, source: Source, form: str, options: DiagramOptions) -> bytes:
    """A net in a format: svg, png, dot or html. `source` is the text of its spec.

    Raises SpecError where the depth asked for has too many boxes, or a program is missing.
    """
    with deep_recursion():
        view = view_of(net, options)
        if form == "dot":
            from netspec.diagram.dot import text

            return text(net.name, view).encode()
        if form == "html":
            from netspec.diagram.html import page

            return page(net, source, view).encode()
        from netspec.diagram.svg import svg

        if form == "svg":
            return svg(net.name, view, scene(view, options)).encode()
        if form != "png":
            raise spec_error("bad-option", f"a picture is svg, png, dot or html, not {form}")
        from netspec.diagram.png import png

        return png(svg(net.name, view, scene(view, options)), net.name, view)


def view_of(net: Net, options: DiagramOptions) -> DiagramView:
    """What is drawn: down to the depth asked for, or as deep as stays readable."""
    sheet = sheet_of(net)
    if options.depth == 0:
        return DiagramView(whole(net), 1, options.direction, options.cost)
    if options.depth is None:
        return DiagramView(sheet, readable(sheet), options.direction, options.cost)
    depth = min(options.depth, sheet.levels)
    boxes = sheet.count(depth)
    if boxes > MOST and depth > 1:
        message = f"--depth {options.depth} draws {boxes:,} boxes; at most {MOST:,} are drawn"
        help_ = ("the .html opens modules one by one",)
        raise spec_error("bad-option", message, help=help_)
    return DiagramView(sheet, depth, options.direction, options.cost)


def readable(sheet: Sheet) -> int:
    """The greatest depth with few enough boxes, at least 1."""
    depth = 1
    while depth < sheet.levels and sheet.count(depth + 1) <= READABLE:
        depth += 1
    return depth


def scene(view: DiagramView, options: DiagramOptions) -> Scene:
    """The coordinates of everything, by netspec's own layout or by Graphviz."""
    if options.layout == "dot":
        from netspec.diagram.dot import layout

        return layout(view)
    from netspec.diagram.coordinates import place

    return place(view)
