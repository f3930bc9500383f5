"""Darknet's cfg and weights, against PyTorch and published counts."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import netspec
from netspec.cli.main import main

from . import cfgs
from .cfgs import conv, section


def put(folder: Path, text: str, name: str = "net.cfg") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "params", "lines"),
    [(cfgs.yolov3(), 61_949_149, 80), (cfgs.yolov3_tiny(), 8_852_366, 45)],
    ids=["yolov3", "yolov3_tiny"],
)
def test_published_counts(
    text: str, params: int, lines: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cfg = put(tmp_path, text)
    assert netspec.load(cfg).params == params
    assert main(["convert", str(cfg), "-o", str(tmp_path / "out.net")]) == 0
    assert "ends in front of [yolo]" in capsys.readouterr().err
    written = (tmp_path / "out.net").read_text()
    assert netspec.load(tmp_path / "out.net").params == params
    assert len(written.splitlines()) <= lines
    assert "anchors 10,13, 16,30" in written
    assert main(["fmt", "--check", str(tmp_path / "out.net")]) == 0


def weights_file(path: Path, numbers: list[np.ndarray[Any, Any]], seen: str = "q") -> Path:
    version = (0, 2, 0) if seen == "q" else (0, 1, 0)
    content = struct.pack(f"<3i{seen}", *version, 7)
    path.write_bytes(content + b"".join(n.astype("<f4").tobytes() for n in numbers))
    return path


@pytest.mark.parametrize("seen", ["q", "i"])
def test_outputs_are_those_of_darknets_formulas(seen: str, tmp_path: Path) -> None:
    text = (
        section("net", width=9, height=9, channels=3)
        + conv(8, 3)
        + "[maxpool]\nsize=2\nstride=2\n"
        + conv(4, 1, activation="mish")
        + conv(8, 3, activation="linear", bn=0)
        + "[shortcut]\nfrom=-3\nactivation=leaky\n"
        + section("route", layers="-1", groups=2, group_id=1)
        + section("route", layers="-1,-2")
        + "[shortcut]\nfrom=-2\n"
        + "[connected]\noutput=5\nactivation=linear\n[softmax]\n"
    )
    cfg = put(tmp_path, text)
    rng = np.random.default_rng(1)

    def some(*shape: int) -> np.ndarray[Any, Any]:
        return rng.normal(0, 0.4, shape).astype(np.float32)

    b1, s1, m1, v1, w1 = some(8), some(8) + 1, some(8), some(8) ** 2 + 0.5, some(8, 3, 3, 3)
    b2, s2, m2, v2, w2 = some(4), some(4) + 1, some(4), some(4) ** 2 + 0.5, some(4, 8, 1, 1)
    b3, w3 = some(8), some(8, 4, 3, 3)
    size = 12 * 5 * 5
    b4, w4 = some(5), some(5, size)
    order = [b1, s1, m1, v1, w1, b2, s2, m2, v2, w2, b3, w3, b4, w4]
    file = weights_file(tmp_path / "net.weights", order, seen)
    model = netspec.build(cfg, weights=file)
    picture = rng.random((2, 3, 9, 9)).astype(np.float32)

    def t(array: np.ndarray[Any, Any]) -> torch.Tensor:
        return torch.from_numpy(array)

    def normal(x: torch.Tensor, *stats: np.ndarray[Any, Any]) -> torch.Tensor:
        bias, scales, mean, variance = (t(s)[:, None, None] for s in stats)
        return (x - mean) / torch.sqrt(variance + 1e-5) * scales + bias

    x = F.leaky_relu(normal(F.conv2d(t(picture), t(w1), padding=1), b1, s1, m1, v1), 0.1)
    # Size 2, stride 2: the padding of 1 lies behind; (9 + 1 - 2) / 2 + 1 = 5.
    pooled = F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=-torch.inf), 2, 2)
    y = F.mish(normal(F.conv2d(pooled, t(w2)), b2, s2, m2, v2))
    y = F.conv2d(y, t(w3), t(b3), padding=1)
    y = F.leaky_relu(y + pooled, 0.1)
    half = y[:, 4:]
    both = torch.cat((half, y), 1)
    wider = both.clone()
    wider[:, :4] += half  # a shortcut of fewer channels adds to the first ones
    out = F.softmax(F.linear(wider.flatten(1), t(w4), t(b4)), dim=1)
    np.testing.assert_allclose(model(picture), out.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("size", range(5, 12))
@pytest.mark.parametrize(("kernel", "stride"), [(2, 1), (2, 2), (3, 2), (5, 1), (3, 3)])
def test_poolings_are_as_darknet_counts_them(
    kernel: int, stride: int, size: int, tmp_path: Path
) -> None:
    text = section("net", width=size, height=size, channels=1)
    cfg = put(tmp_path, text + section("maxpool", size=kernel, stride=stride))
    picture = np.random.default_rng(size).normal(size=(size, size)).astype(np.float32)
    padding = kernel - 1
    count = (size + padding - kernel) // stride + 1
    wanted = np.full((count, count), -np.inf)
    for i in range(count):
        for j in range(count):
            for n in range(kernel):
                for m in range(kernel):
                    h, w = i * stride + n - padding // 2, j * stride + m - padding // 2
                    if 0 <= h < size and 0 <= w < size:
                        wanted[i, j] = max(wanted[i, j], picture[h, w])
    found = netspec.build(cfg)(picture[None, None])
    np.testing.assert_array_equal(found[0, 0], wanted.astype(np.float32))


def test_weights_become_a_file_of_names(tmp_path: Path) -> None:
    text = section("net", width=4, height=4, channels=1) + conv(2, 1, activation="linear", bn=0)
    cfg = put(tmp_path, text)
    file = weights_file(tmp_path / "a.weights", [np.arange(2), np.arange(2) + 5])
    out = tmp_path / "a.npz"
    assert main(["weights", "convert", str(file), str(out), "--spec", str(cfg)]) == 0
    found = dict(np.load(out))
    np.testing.assert_array_equal(found["conv1.bias"], [0, 1])
    np.testing.assert_array_equal(found["conv1.weight"].ravel(), [5, 6])
    short = tmp_path / "short.weights"
    short.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(netspec.SpecError, match="3 numbers, and net needs 4"):
        netspec.build(cfg, weights=short)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[net]\nwidth=8\nheight=8\n", "no-net"),
        ("[net]\nwidth=8\n[convolutional]\n", "missing-field"),
        ("[net]\nwidth=8\nheight=8\n[lstm]\noutput=3\n", "unsupported-layer"),
        ("[net]\nwidth=8\nheight=8\n[route]\nlayers=-5\n", "unknown-name"),
        ("[net]\nwidth=8\nheight=8\n[convolutional]\nfilters=x\n", "wrong-type"),
        ("[net]\nwidth=8\nheight=8\n[convolutional]\nsize=99999999\n", "window-too-large"),
        ("[net]\nwidth=99999999\nheight=99999999\n[convolutional]\n", "too-large"),
        ("[net]\nwidth=8\nheight=8\n[convolutional]\nactivation=__import__\n", "unsupported-layer"),
        ("[net]\nwidth=8\nheight=8\nnonsense\n[convolutional]\n", "syntax"),
        ("[net]\nwidth=8\nheight=8\n[convolutional]\ngroups=2\n", "groups-mismatch"),
        ("[net]\nwidth=8\nheight=8\n" + "[dropout]\n" * 6000, "too-large"),
        ("[net]\nwidth=8\nheight=8\n[convolutional]\nfilter=8\n", "unsupported-layer"),
        ("[net]\nwidth=8\nheight=8\n[convolutional]\nantialiasing=1\n", "unsupported-layer"),
        ("[net]\nwidth=8\nheight=8\n[convolutional]\n[shortcut]\n", "missing-field"),
        ("[net]\nwidth=8\nheight=8\n[dropout]\n[yolo]\n[route]\nlayers=1\n", "unsupported-layer"),
        (
            "[net]\nwidth=8\nheight=8\n[convolutional]\n[convolutional]\n[shortcut]\nfrom=-2\nweights_type=per_feature\n",
            "unsupported-layer",
        ),
    ],
)
def test_what_is_wrong_has_a_place(text: str, code: str, tmp_path: Path) -> None:
    found = netspec.check(put(tmp_path, text))
    assert [d.code for d in found][:1] == [code]
    assert found[0].span is not None or code == "no-net"


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"size": 3, "pad": 1, "dilation": 2}, (1, 8, 8)),
        ({"size": 3, "padding": 1, "dilation": 2}, (1, 8, 8)),
        ({"size": 1, "dilation": 2}, (1, 8, 8)),
        ({"size": 3, "pad": 1, "stride_x": 2}, (1, 8, 4)),
        ({"size": 3, "pad": 1, "stride_y": 2, "stride_x": 1}, (1, 4, 8)),
        ({"size": 2, "pad": 1}, (1, 9, 9)),
    ],
)
def test_windows(options: dict[str, int], shape: tuple[int, ...], tmp_path: Path) -> None:
    cfg = put(tmp_path, section("net", width=8, height=8) + section("convolutional", **options))
    assert netspec.load(cfg).ir.body.outputs[0].shape == shape


def test_squeeze_and_excitation(tmp_path: Path) -> None:
    text = section("net", width=8, height=8) + conv(4, 3) + "[avgpool]\n"
    text += conv(4, 1, activation="logistic") + section("scale_channels", **{"from": -3})
    net = netspec.load(put(tmp_path, text)).ir
    assert [layer.op.keyword for layer in net.layers][-1] == "mul"
    assert net.body.outputs[0].shape == (4, 8, 8)
