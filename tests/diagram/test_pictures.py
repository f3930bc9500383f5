"""Places and formats: nothing overlaps, widths are costs, texts are escaped, bytes are the same."""

from __future__ import annotations

import io
import re
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops

from netspec.cli.main import main
from netspec.diagnostics import SpecError
from netspec.diagram import png, style
from netspec.diagram.boxes import sheet_of
from netspec.diagram.draw import readable, scene, view_of
from netspec.diagram.scene import (
    DiagramOptions,
    DiagramView,
    Placed,
    Scene,
)

from ..helpers import body, loaded, net_of
from .nets import EVIL, NAMES, branches, drawn

NS = "{http://www.w3.org/2000/svg}"
DOT = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")


def placed(net: Any, **asked: Any) -> tuple[DiagramView, Scene]:
    chosen = DiagramOptions(**asked)
    view = view_of(net, chosen)
    return view, scene(view, chosen)


def overlap(a: Placed, b: Placed) -> bool:
    return (
        a.x < b.x + b.width
        and b.x < a.x + a.width
        and a.y < b.y + b.height
        and b.y < a.y + a.height
    )


def check_scene(found: Scene) -> None:
    """Boxes lie apart, inside their frames and the picture; frames hold what is theirs only."""
    for i, a in enumerate(found.boxes):
        assert not any(overlap(a, b) for b in found.boxes[:i])
    for frame in found.frames:
        path = f"{frame.prefix}{frame.box.name}."
        for box in found.boxes:
            inside = box.prefix.startswith(path)
            assert overlap(frame, box) == inside
            if inside:
                assert frame.x <= box.x
                assert box.x + box.width <= frame.x + frame.width
                assert frame.y <= box.y
                assert box.y + box.height <= frame.y + frame.height
    for box in (*found.boxes, *found.frames):
        assert min(box.x, box.y) >= 0
        assert box.x + box.width <= found.width
        assert box.y + box.height <= found.height


@pytest.mark.parametrize("direction", ["down", "right"])
@pytest.mark.parametrize("name", ["googlenet", "enet", "segnet", "shufflenet_v2", "resnet50"])
def test_nothing_overlaps(name: str, direction: str) -> None:
    check_scene(placed(loaded(name), depth=2, direction=direction)[1])


@pytest.mark.parametrize("layout", ["own", pytest.param("dot", marks=DOT)])
def test_nothing_overlaps_with_several_ends(layout: str) -> None:
    for direction in ("down", "right"):
        for depth in range(4):
            check_scene(placed(branches(), depth=depth, direction=direction, layout=layout)[1])


def segments(points: tuple[tuple[float, float], ...]) -> list[tuple[float, float]]:
    """Points along a curve of cubic pieces."""
    found = []
    for i in range(0, len(points) - 1, 3):
        a, b, c, d = points[i : i + 4]
        for k in range(21):
            t, s = k / 20, 1 - k / 20
            found.append(
                tuple(
                    s**3 * a[n] + 3 * s * s * t * b[n] + 3 * s * t * t * c[n] + t**3 * d[n]
                    for n in (0, 1)
                )
            )
    return found  # type: ignore[return-value]


@pytest.mark.parametrize("name", ["googlenet", "resnet18", "enet", "segnet"])
def test_wires_go_around_boxes(name: str) -> None:
    _, found = placed(loaded(name), depth=2)
    for curve in found.curves:
        for x, y in segments(curve.points):
            for box in found.boxes:
                inside = (
                    box.x + 0.2 < x < box.x + box.width - 0.2
                    and box.y + 0.2 < y < box.y + box.height - 0.2
                )
                assert not inside, (name, box.box.name)


@pytest.mark.parametrize("direction", ["down", "right"])
@pytest.mark.parametrize(
    "name", ["squeezenet1_0", "googlenet", "resnet18", "segnet", "shufflenet_v2", "enet"]
)
def test_labels_can_be_read(name: str, direction: str) -> None:
    """No wire passes through the shape of another one or of its own, and none covers a box."""
    _, found = placed(loaded(name), depth=2, direction=direction)
    places = [(k.x, k.y - 4, k.x + style.width(k.text, style.WORDS), k.y + 4) for k in found.labels]
    crossed = 0
    for curve in found.curves:
        points = segments(curve.points)
        for left, top, right, bottom in places:
            crossed += any(left < x < right and top < y < bottom for x, y in points)
    assert crossed == 0
    for left, top, right, bottom in places:
        assert left >= 0
        assert right <= found.width
        for box in found.boxes:
            apart = left >= box.x + box.width or right <= box.x
            assert apart or top >= box.y + box.height - 0.5 or bottom <= box.y + 0.5
    for i, (left, top, right, bottom) in enumerate(places):
        for other in places[:i]:
            apart = left >= other[2] or right <= other[0] or top >= other[3] or bottom <= other[1]
            assert apart


def test_modules_fold_where_there_are_many() -> None:
    names = ("squeezenet1_0", "googlenet", "densenet121")
    depths = {name: readable(sheet_of(loaded(name))) for name in names}
    assert depths["squeezenet1_0"] == 2
    assert depths["googlenet"] == depths["densenet121"] == 1


@pytest.mark.parametrize("cost", ["macs", "params"])
def test_width_is_cost(cost: str) -> None:
    view, found = placed(loaded("alexnet"), cost=cost)
    boxes = [b for b in found.boxes if not b.box.end]
    base = min(b.width for b in boxes)
    most = max(getattr(b.box, cost) for b in boxes)
    assert max(b.width for b in boxes) == base + style.GROWTH
    for b in boxes:
        assert b.width == pytest.approx(base + style.GROWTH * getattr(b.box, cost) / most, abs=0.51)
    assert view.most() == most
    legend = {"macs": "the more MACs", "params": "the more parameters"}[cost]
    assert legend in drawn(loaded("alexnet"), cost=cost)


@pytest.mark.parametrize("name", NAMES)
def test_svg_of_every_bundled_net(name: str) -> None:
    net = loaded(name)
    text = drawn(net)
    root = ET.fromstring(text)
    shown = [t.text for t in root.iter(f"{NS}text")]
    assert "data" in shown
    assert "x".join(map(str, net.body.inputs[0].shape)) in shown
    assert text == drawn(loaded(name))
    assert len(text) < 300_000


def test_svg_says_what_a_layer_costs() -> None:
    text = drawn(loaded("squeezenet1_0"))
    assert "fire2.squeeze: conv 1x1, 96x54x54 -&gt; 16x54x54, 1,552 params, 4.5 M MACs" in text


def test_depth() -> None:
    net = loaded("squeezenet1_0")
    for depth, count in ((0, 3), (1, 18), (2, 42), (9, 42)):
        assert len(placed(net, depth=depth)[1].boxes) == count


def test_more_boxes_than_can_be_drawn() -> None:
    modules = "module m0() { input x\n relu }\n"
    modules += "\n".join(
        f"module m{i}() {{ input x\n {'m' + str(i - 1)} -> m{i - 1} }}" for i in range(1, 16)
    )
    net = net_of(modules + body("m15"))
    assert len(placed(net)[1].boxes) <= 60
    with pytest.raises(SpecError) as error:
        placed(net, depth=20)
    (found,) = error.value.diagnostics
    assert found.code == "bad-option"
    assert "draws 32,770 boxes" in found.message


@pytest.mark.slow
def test_a_long_net_is_drawn() -> None:
    text = body("for i in 1..3000 { conv { filters: 3 kernel: 1x1 } }")
    assert len(placed(net_of(text))[1].boxes) == 3002


def test_a_net_without_layers_is_drawn() -> None:
    for depth in (None, 0, 1):
        assert "data" in drawn(net_of(body("output data")), depth=depth)


def test_texts_of_the_spec_are_no_markup() -> None:
    for text in (drawn(net_of(EVIL)), drawn(net_of(EVIL), depth=1)):
        root = ET.fromstring(text)
        assert {element.tag.removeprefix(NS) for element in root.iter()} <= {
            *("svg", "title", "defs", "marker", "path", "rect", "g", "text")
        }
        assert not any(key.startswith("on") for element in root.iter() for key in element.attrib)


# --- dot -----------------------------------------------------------------------------------------


def test_dot_text_is_quoted() -> None:
    text = drawn(net_of(EVIL), "dot", depth=1)
    plain = re.sub(r'"(?:[^"\\]|\\.)*"', '""', text)
    assert set(re.findall(r"[a-zA-Z_]+\w*", plain)) <= {
        *("digraph", "rankdir", "TB", "nodesep", "ranksep", "graph", "node", "edge", "fontname"),
        *("fontsize", "labeljust", "l", "style", "color", "margin", "shape", "box", "fixedsize"),
        *("true", "fontcolor", "arrowsize", "label", "width", "height", "fillcolor", "id"),
        *("n0", "n1", "n2", "n3"),
    }


@DOT
@pytest.mark.parametrize("name", ["squeezenet1_0", "segnet", "enet"])
def test_dot_takes_what_is_written(name: str) -> None:
    from netspec.diagram.dot import run

    text = drawn(loaded(name), "dot")
    answer = run(text, "svg")
    assert answer is not None
    root = ET.fromstring(answer)
    nodes = [g for g in root.iter(f"{NS}g") if g.get("class") == "node"]
    assert len(nodes) == len(placed(loaded(name))[1].boxes)
    assert run(drawn(net_of(EVIL), "dot"), "svg") is not None


@DOT
def test_dot_draws_no_broad_margin() -> None:
    from netspec.diagram.dot import run

    answer = run(drawn(loaded("squeezenet1_0"), "dot"), "png")
    assert answer is not None
    picture = Image.open(io.BytesIO(answer)).convert("RGB")
    drawn_part = ImageChops.invert(picture).getbbox()
    assert drawn_part is not None
    left, top, right, bottom = drawn_part
    assert max(left, top, picture.width - right, picture.height - bottom) < 40


@DOT
def test_layout_of_dot_keeps_words() -> None:
    own, theirs = (drawn(branches(), depth=3, layout=k) for k in ("own", "dot"))
    words = [sorted(str(t.text) for t in ET.fromstring(k).iter(f"{NS}text")) for k in (own, theirs)]
    assert set(words[0]) == set(words[1])
    assert theirs == drawn(branches(), depth=3, layout="dot")


def test_without_graphviz(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SpecError) as error:
        drawn(branches(), layout="dot")
    assert error.value.diagnostics[0].code == "missing-package"
    assert drawn(branches()).startswith("<svg")
    (tmp_path / "dot").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "dot").chmod(0o755)
    with pytest.raises(SpecError, match="gave no layout"):
        drawn(branches(), layout="dot")


# --- png -----------------------------------------------------------------------------------------


def test_png_needs_something_that_draws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(png, "_module", lambda name: None)
    with pytest.raises(SpecError) as error:
        drawn(branches(), "png")
    assert error.value.diagnostics[0].code == "missing-package"
    assert "resvg-py" in error.value.diagnostics[0].help[0]


def test_png_by_a_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """The libraries get the picture with the number of its pixels."""
    from netspec.diagnostics.source import Source
    from netspec.diagram.draw import draw

    class Cairo:
        @staticmethod
        def svg2png(bytestring: bytes, scale: float) -> bytes:
            assert bytestring.startswith(b"<svg")
            return f"{scale}".encode()

    monkeypatch.setattr(png, "_module", lambda name: Cairo if name == "cairosvg" else None)
    assert draw(branches(), Source("t", ""), "png", DiagramOptions()) == b"2.0"
    assert float(draw(loaded("vgg16"), Source("t", ""), "png", DiagramOptions())) == 2.0


@pytest.mark.parametrize("library", ["resvg_py", "cairosvg", "dot"])
def test_png(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    from PIL import Image

    from netspec.diagnostics.source import Source
    from netspec.diagram.draw import draw

    module = None
    if library != "dot":
        module = pytest.importorskip(library)
    elif shutil.which("dot") is None:
        pytest.skip("Graphviz is not installed")
    monkeypatch.setattr(png, "_module", lambda name: module if name == library else None)
    picture = Image.open(io.BytesIO(draw(branches(), Source("t", ""), "png", DiagramOptions())))
    assert min(picture.size) > 200
    colors = {color for _, color in picture.convert("RGB").getcolors(1 << 24) or ()}
    assert {(0xD5, 0xF0, 0xE6), (0xFB, 0xE0, 0xD0)} <= colors  # pooling, combining


def test_the_picture_in_the_readme_is_what_the_command_draws(tmp_path: Path, update: bool) -> None:
    kept = Path(__file__).parent.parent.parent / "docs" / "squeezenet_digits.svg"
    drawn = tmp_path / kept.name
    assert main(["graph", "squeezenet_digits", "--direction", "right", "-o", str(drawn)]) == 0
    if update:
        shutil.copyfile(drawn, kept)
    assert kept.read_bytes() == drawn.read_bytes(), "run `pytest tests/diagram --update`"
