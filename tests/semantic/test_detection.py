"""The `detect` block: what it says, where it may stand, and that its word stays free as a name."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

import netspec
from netspec.ir import Detection
from netspec.semantic.detect_block import DETECT_FIELDS
from netspec.syntax.formatter import format_text

from ..helpers import checked, loaded, net_of, paths


def text(block: str, channels: int = 14) -> str:
    layers = f"conv {{ filters: {channels}  kernel: 3  stride: 8 }}"
    return f"net n(k = 2) {{ input data: 3x32x32\n {layers}\n detect {{ {block} }} }}"


def test_fields() -> None:
    least = net_of(text("anchors: [8x9, [10.5, k * 4]]"), {"k": 3}).detection
    assert least == Detection(((8, 9), (10.5, 12)))
    every = net_of(
        text(
            'decode: squeezedet anchors: [1x2, 3x4] labels: ["a", "b"] threshold: 1% top: 9'
            " nms: 0.5 shown: 0.6 clip: 2 box_loss: 1 object_loss: 2 background_loss: 3"
            " class_loss: 4"
        )
    ).detection
    sizes = ((1, 2), (3, 4))
    assert every == Detection(sizes, "squeezedet", ("a", "b"), 0.01, 9, 0.5, 0.6, 2, 1, 2, 3, 4)
    assert net_of(text("anchors: [8x8, 9x9] labels: none")).detection == Detection(((8, 8), (9, 9)))


def test_squeezedet() -> None:
    """kitti_squeezeDet_config of its authors, whose anchors are width and height."""
    found = loaded("squeezedet").detection
    assert found is not None
    widths = [36, 366, 115, 162, 38, 258, 224, 78, 72]
    heights = [37, 174, 59, 87, 90, 173, 108, 170, 43]
    assert found.anchors == tuple(zip(heights, widths, strict=True))
    assert found.labels == ("car", "pedestrian", "cyclist")
    assert found.classes(72) == 3
    other = loaded("squeezedet", classes=5).detection
    assert other is not None
    assert other.labels == ()


def test_the_word_stays_free_as_a_name() -> None:
    net = net_of(
        "module detect(f = 2) { input x\n conv { filters: f kernel: 1 } }\n"
        "net n(detect = 12) { input data: 3x4x4\n"
        " a: detect { f: detect }\n detect[1]: relu -> detect { f: 6 }\n"
        " relu(detect1)\n detect { anchors: [1x1] } }"
    )
    assert paths(net) == ["a.conv_1", "detect1", "detect1_detect.conv_1", "relu_1"]
    assert net.detection is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (text("top: 3"), "a detect block needs anchors"),
        (text("anchors: 8"), "takes a list of sizes (height x width), not 8"),
        (text("anchors: []"), "takes a list of sizes"),
        (text("anchors: [8x8, 8]"), "and 8 is none"),
        (text("anchors: [8x8x8]"), "is none"),
        (text("anchors: [[0, 8]]"), "number above 0"),
        (text("anchors: [8x8, 8x8] labels: [1, 2]"), "takes a list of texts"),
        (text("anchors: [8x8, 8x8] labels: [\"a\"]"), "there are 1 labels, but 14 channels"),
        (text("anchors: [8x8, 8x8, 8x8]"), "14x4x4 has 14 channels, but 3 anchors take 3 x"),
        (text("anchors: [8x8, 8x8]", 10), "10 channels, but 2 anchors"),
        (text("anchors: [8x8, 8x8] decode: yolo"), "decode of a detect block takes"),
        (text("anchors: [8x8, 8x8] anchor: 1"), "a detect block has no field anchor"),
        (text("anchors: [8x8, 8x8] }\n detect { anchors: [8x8, 8x8]"), "more than one `detect`"),
        (
            "net n { input data: 3x8x8\n flatten -> linear { units: 12 }\n"
            " detect { anchors: [8x8] } }",
            "one picture as input",
        ),
        (
            "net n(k = 1) { input x: 3x8x8\n relu\n if k > 0 { detect { anchors: [8x8] } } }",
            "a `detect` block can't stand inside `if` or `for`",
        ),
        (
            "module m { input x\n relu\n detect { } }\nnet n { input x: 3x8x8\n m }",
            "a module has no `detect` block",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(text: str, message: str) -> None:
    net, found = checked(text)
    assert net is None
    [error] = [d for d in found if message in d.message]
    assert error.severity == "error"
    assert error.span is not None


def test_its_layout_is_that_of_other_fields() -> None:
    written = text("anchors:[8x8,9x9],labels:none;top:3")
    assert "  detect { anchors: [8x8, 9x9]  labels: none  top: 3 }" in format_text(written)


def test_every_field_is_documented() -> None:
    page = (Path(netspec.__file__).parent.parent / "docs" / "language.md").read_text()
    part = page.split("## Detection")[1].split("## Training")[0]
    rows = re.findall(r"^\| ([a-z_0-9, ]+) \|", part, re.MULTILINE)
    documented = {word for row in rows for word in row.split(", ")} - {"field"}
    assert documented == set(DETECT_FIELDS) == {f.name for f in fields(Detection)}
