"""Graphviz: a view in the language DOT, and the coordinates that the program `dot` gives it.

The picture is drawn by netspec either way; `dot` only says where. Modules are clusters there, and
wires go from layer to layer through their borders.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from netspec.diagnostics import spec_error
from netspec.diagram import style
from netspec.diagram.boxes import OUTSIDE, Box, Sheet
from netspec.diagram.coordinates import title
from netspec.diagram.scene import (
    Curve,
    DiagramView,
    Placed,
    Point,
    Scene,
    WireLabel,
)
from netspec.report import number_format

SECONDS = 20
"""How long `dot` may take."""
INCH = 72
BORDER = 16


class _Node(NamedTuple):
    box: Box
    prefix: str
    level: int


class _Edge(NamedTuple):
    source: int
    target: int
    indices: bool
    label: str


class _Cluster(NamedTuple):
    """An open module: its own nodes, and the clusters in it. The outermost has no box."""

    box: Box | None
    prefix: str
    level: int
    nodes: list[int]
    inner: list[_Cluster]


class _FlatGraph:
    """The boxes that are drawn and the wires between them, through the borders of modules."""

    def __init__(self, view: DiagramView) -> None:
        self.nodes: list[_Node] = []
        self.edges: list[_Edge] = []
        self._labelled: set[tuple[int, int]] = set()
        self.root = _Cluster(None, "", -1, [], [])
        self._sheet(view.sheet, view.depth, self.root, [])

    def _sheet(
        self, sheet: Sheet, depth: int, cluster: _Cluster, given: Sequence[tuple[int, int]]
    ) -> list[tuple[int, int]]:
        """Add what a sheet has; `given` and the result say which node and port each value is."""
        level = cluster.level + 1
        prefix = "" if cluster.box is None else f"{cluster.prefix}{cluster.box.name}."
        taken = [[(0, 0)] * len(box.inputs) for box in sheet.boxes]
        results: dict[tuple[int, int], tuple[int, int]] = {
            (OUTSIDE, i): source for i, source in enumerate(given)
        }
        wires: dict[int, list[Any]] = {}
        for wire in sheet.wires:
            wires.setdefault(wire.target[0], []).append(wire)
        for i, box in enumerate(sheet.boxes):
            for wire in wires.get(i, ()):
                taken[i][wire.target[1]] = results[wire.source]
            if box.sheet is not None and depth > 1:
                inner = _Cluster(box, prefix, level, [], [])
                cluster.inner.append(inner)
                made = self._sheet(box.sheet, depth - 1, inner, taken[i])
                results.update({(i, k): source for k, source in enumerate(made)})
                continue
            node = len(self.nodes)
            cluster.nodes.append(node)
            self.nodes.append(_Node(box, prefix, level))
            results.update({(i, k): (node, k) for k in range(len(box.results))})
            for source, wire in zip(taken[i], wires.get(i, ()), strict=True):
                shown = "" if source in self._labelled else number_format.shape(wire.value.shape)
                self._labelled.add(source)
                self.edges.append(_Edge(source[0], node, wire.indices, shown))
        return [results[wire.source] for wire in wires.get(OUTSIDE, ())]


def text(name: str, view: DiagramView) -> str:
    """The view in DOT. Text of the spec is in quoted strings only."""
    return _text(name, view, _FlatGraph(view))


def _text(name: str, view: DiagramView, flat: _FlatGraph) -> str:
    size = view.size()
    lines = [
        f"digraph {_quoted(name)} {{",
        f"  rankdir={'TB' if view.direction == 'down' else 'LR'}; nodesep=0.3; ranksep=0.3;",
        '  graph [fontname="Helvetica", fontsize=10.5, labeljust=l, style="rounded,filled", '
        'color="#b9c0c9"];',
        '  node [fontname="Helvetica", fontsize=10.5, shape=box, style="rounded,filled", '
        "fixedsize=true, margin=0];",
        '  edge [fontname="Helvetica", fontsize=10, color="#7a828c", fontcolor="#4b535d", '
        "arrowsize=0.6];",
    ]
    counter = iter(range(len(flat.nodes) + 1))

    def cluster(found: _Cluster, indent: str) -> None:
        for i in found.nodes:
            box = flat.nodes[i].box
            width, height = size(box)
            fill, stroke = _colors(box)
            shown = "\\n".join(_escaped(w) for w in _words(box, width))
            lines.append(
                f'{indent}n{i} [label="{shown}", width={width / INCH:.3f}, '
                f'height={height / INCH:.3f}, fillcolor="{fill}", color="{stroke}"];'
            )
        for inner in found.inner:
            assert inner.box is not None
            lines.append(f"{indent}subgraph cluster_{next(counter)} {{")
            lines.append(
                f"{indent}  label={_quoted(title(inner.box))}; "
                f'fillcolor="{style.FRAMES[inner.level % 2]}";'
            )
            cluster(inner, indent + "  ")
            lines.append(f"{indent}}}")

    cluster(flat.root, "  ")
    for i, edge in enumerate(flat.edges):
        words = f'id="e{i}"'
        if edge.label:
            words += f', label="{edge.label}"'
        if edge.indices:
            words += ", style=dashed"
        lines.append(f"  n{edge.source} -> n{edge.target} [{words}];")
    return "\n".join([*lines, "}"]) + "\n"


def _words(box: Box, width: float) -> list[str]:
    space = width - 2 * style.MARGIN + 6
    return [style.fitted(w, style.WORDS, space) for w in style.words(box)]


def _colors(box: Box) -> tuple[str, str]:
    return style.ENDS if box.end else style.parts(box)[0].colors


def _escaped(text: str) -> str:
    """A text for a label: `\\` and `\\"` are all that DOT takes as something else."""
    plain = "".join(c if c >= " " else " " for c in text)
    return plain.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


# --- the program ---------------------------------------------------------------------------------


def run(source: str, form: str) -> bytes | None:
    """The output of `dot` for a text; None where it is not installed, fails or takes too long."""
    program = shutil.which("dot")
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, f"-T{form}"],
            input=source.encode(),
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 and done.stdout else None


def layout(view: DiagramView) -> Scene:
    """The scene as `dot` lays it out. Raises SpecError where it can't."""
    flat = _FlatGraph(view)
    answer = run(_text("net", view, flat), "json0")
    if answer is None:
        message = f"--layout dot: Graphviz gave no layout within {SECONDS} seconds"
        help_ = "leave --layout to netspec"
        if shutil.which("dot") is None:
            message = "--layout dot needs Graphviz, which is not installed"
            help_ = f"install graphviz, or {help_}"
        raise spec_error("missing-package", message, help=(help_,))
    return _scene(json.loads(answer), flat, view)


def _scene(answer: Mapping[str, Any], flat: _FlatGraph, view: DiagramView) -> Scene:
    """Places in the answer are in points, y from below, boxes by their middle."""
    left, bottom, right, top = map(float, answer["bb"].split(","))

    def point(text: str) -> Point:
        x, y = text.split(",")[:2]
        return round(float(x) - left + BORDER, 1), round(top - float(y) + BORDER, 1)

    nodes: dict[int, Point] = {}
    frames: list[Placed] = []
    clusters = list(_clusters(flat.root))
    for found in answer.get("objects", ()):
        name: str = found["name"]
        if name.startswith("cluster_"):
            cluster = clusters[int(name.removeprefix("cluster_"))]
            assert cluster.box is not None
            x0, y0, x1, y1 = map(float, found["bb"].split(","))
            corner = point(f"{x0},{y1}")
            frames.append(
                Placed(cluster.box, cluster.prefix, *corner, x1 - x0, y1 - y0, cluster.level)
            )
        else:
            nodes[int(name.removeprefix("n"))] = point(found["pos"])
    size = view.size()
    boxes = []
    for i, node in enumerate(flat.nodes):
        width, height = size(node.box)
        x, y = nodes[i]
        corner = round(x - width / 2, 1), round(y - height / 2, 1)
        boxes.append(Placed(node.box, node.prefix, *corner, width, height, node.level))
    curves: dict[int, Curve] = {}
    labels: dict[int, WireLabel] = {}
    for found in answer.get("edges", ()):
        i = int(found["id"].removeprefix("e"))
        edge = flat.edges[i]
        curves[i] = Curve(_points(found["pos"], point), edge.indices, True)
        if edge.label:
            x, y = point(found["lp"])
            labels[i] = WireLabel(
                round(x - style.width(edge.label, style.WORDS) / 2, 1), y, edge.label
            )
    frames.sort(key=lambda f: (f.level, f.y, f.x))
    return Scene(
        round(right - left + 2 * BORDER, 1),
        round(top - bottom + 2 * BORDER, 1),
        tuple(frames),
        tuple(boxes),
        tuple(curves[i] for i in sorted(curves)),
        tuple(labels[i] for i in sorted(labels)),
    )


def _points(text: str, point: Any) -> tuple[Point, ...]:
    """A spline of Graphviz: `e,` and the tip of its arrow, then the points up to the arrow."""
    words = text.split()
    tip = None
    if words[0].startswith("e,"):
        tip = point(words.pop(0).removeprefix("e,"))
    points: list[Point] = [point(w) for w in words]
    if tip is not None:
        points += [points[-1], tip, tip]
    return tuple(points)


def _clusters(cluster: _Cluster) -> Sequence[_Cluster]:
    """All clusters inside a cluster, in the order in which they are written."""
    found: list[_Cluster] = []
    for inner in cluster.inner:
        found += [inner, *_clusters(inner)]
    return found
