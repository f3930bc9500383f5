"""Nets with a `detect` block: decoding and choosing boxes, and what is written of them."""

from __future__ import annotations

import json
from math import exp
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from netspec.cli.main import main
from netspec.ir import Net
from netspec.runtime.boxes import Boxes, anchors_of, decoded, filtered, overlaps

from ..helpers import net_of

HEAD = 'detect { anchors: [8x10, 20x14]  labels: ["a", "b", "c"] FIELDS }'


def head(fields: str = "") -> Net:
    layers = "conv { filters: 16  kernel: 8  stride: 8 }"
    return net_of(f"net n {{ input x: 3x24x32\n {layers}\n {HEAD.replace('FIELDS', fields)} }}")


# --- boxes ---------------------------------------------------------------------------------------


def iou(a: Any, b: Any) -> float:
    """Of two boxes, by counting on their edges."""
    wide = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    high = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    return float(wide * high / max(sum(areas) - wide * high, 1e-12))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_decoding_is_what_the_paper_says(seed: int) -> None:
    """One box after the other, planes in the order of the authors' `_add_interpretation_graph`."""
    net = head()
    rng = np.random.default_rng(seed)
    planes = (2 * rng.standard_normal((16, 3, 4))).astype(np.float32)
    found = decoded(planes, net, anchors_of(net))
    place = 0
    for i in range(3):
        for j in range(4):
            for k, (height, width) in enumerate(((8, 10), (20, 14))):
                scores = [exp(n) for n in planes[3 * k : 3 * k + 3, i, j]]
                best = int(np.argmax(scores))
                confidence = 1 / (1 + exp(-planes[6 + k, i, j]))
                dx, dy, dw, dh = (float(n) for n in planes[8 + 4 * k : 12 + 4 * k, i, j])
                grow = [exp(d) if d <= 1 else exp(1) * d for d in (dw, dh)]
                x, y = (j + 1) * 32 / 5 + width * dx, (i + 1) * 24 / 4 + height * dy
                half = width * grow[0] / 2, height * grow[1] / 2
                box = [
                    *(min(max(x - half[0], 0), 32), min(max(y - half[1], 0), 24)),
                    *(min(max(x + half[0], 0), 32), min(max(y + half[1], 0), 24)),
                ]
                assert found.places[place] == pytest.approx(box, abs=1e-4)
                assert found.classes[place] == best
                score = confidence * scores[best] / sum(scores)
                assert found.scores[place] == pytest.approx(score, rel=1e-5)
                place += 1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_the_best_boxes_stay(seed: int) -> None:
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, 20, (30, 2))
    places = np.concatenate([corners, corners + rng.integers(1, 12, (30, 2))], 1).astype(float)
    boxes = Boxes(places, rng.random(30), rng.integers(0, 2, 30))
    stated = head("top: 20  nms: 0.3  threshold: 0.1").detection
    assert stated is not None
    found = filtered(boxes, stated)
    best = [i for i in np.argsort(-boxes.scores) if boxes.scores[i] >= 0.1][:20]
    stays: list[int] = []
    for i in best:
        others = [j for j in stays if boxes.classes[j] == boxes.classes[i]]
        if all(iou(places[i], places[j]) <= 0.3 for j in others):
            stays.append(int(i))
    assert found.scores.tolist() == boxes.scores[stays].tolist()
    assert found.places.tolist() == places[stays].tolist()
    a, b = rng.integers(0, 30, 2)
    assert overlaps(places[a : a + 1], places[b : b + 1])[0, 0] == pytest.approx(
        iou(places[a], places[b])
    )


def test_boxes_of_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A net that sees one box, where the picture is bright, at the picture's own size."""
    spec = tmp_path / "n.net"
    spec.write_text(
        "net n { input x: 3x16x16 { scale: 1/255 }\n c: conv { filters: 7  kernel: 8  stride: 8 }\n"
        ' detect { anchors: [8x6]  labels: ["<x>", "b"] } }'
    )
    weight = np.zeros((7, 3, 8, 8), np.float32)
    weight[2] = 1  # the confidence
    bias = np.array([2, 0, -100, 0, 0, 0, 0], np.float32)
    np.savez(tmp_path / "w.npz", **{"c.weight": weight, "c.bias": bias})  # type: ignore[arg-type]
    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[:16, 32:] = 255  # the cell at the top and right
    Image.fromarray(pixels).save(tmp_path / "p.png")
    command = ["run", str(spec), str(tmp_path / "p.png"), "--weights", str(tmp_path / "w.npz")]
    command += ["--draw", str(tmp_path / "drawn")]
    # The anchor's middle is at a third from the top and two thirds from the left.
    x, y, score = 64 * 2 / 3, 32 / 3, 1 / (1 + exp(-2))
    for backend in ("numpy", "torch"):
        assert main([*command, "--format", "json", "--backend", backend]) == 0
        [found] = json.loads(capsys.readouterr().out)
        [box] = found["boxes"]
        assert (box["class"], box["label"]) == (0, "<x>")
        assert box["score"] == pytest.approx(score, rel=1e-5)
        assert box["box"] == pytest.approx([x - 12, y - 8, x + 12, y + 8], abs=0.01)
        assert json.loads(Path(found["json"]).read_text())["boxes"] == found["boxes"]
    with Image.open(found["picture"]) as picture:
        drawn = np.array(picture)
    assert drawn.shape == pixels.shape
    assert (drawn[15, [round(x - 12), round(x + 12) - 1]] == (128, 0, 0)).all()
    assert (drawn[15, round(x)] == pixels[15, round(x)]).all()
    assert main([*command, "--format", "csv"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "image,class,score,label,left,top,right,bottom"
    assert len(out) == 2
    assert main([*command, "--threshold", "0.9"]) == 0
    assert "<x>" not in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([*command, "--threshold", "2"])
