"""Layers of Caffe that share weights by name become lines that are used again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import netspec
from netspec.codegen.backend import get, load_model
from netspec.diagnostics import Diagnostic
from netspec.ir import Net
from netspec.weights.caffe import read_caffe, write_caffe
from netspec.weights.caffemodel_file import CaffemodelLayer, caffemodel, read_layers

from .helpers import net_of

SHARED = 'param {{ name: "{0}_w" lr_mult: 1 }} param {{ name: "{0}_b" lr_mult: 2 }}'


def layer(name: str, type_: str, bottom: str, top: str = "", more: str = "") -> str:
    taken = " ".join(f'bottom: "{b}"' for b in bottom.split())
    return f'layer {{ name: "{name}" type: "{type_}" {taken} top: "{top or name}" {more} }}\n'


def conv(name: str, bottom: str, params: str, more: str = "", filters: int = 3) -> str:
    own = f"convolution_param {{ num_output: {filters} kernel_size: 3 {more} }}"
    return layer(name, "Convolution", bottom, more=f"{params} {own}")


def inputs(*names: str, shape: str = "2x8x8") -> str:
    dims = " ".join(f"dim: {d}" for d in ("1", *shape.split("x")))
    return "".join(f'input: "{n}" input_shape {{ {dims} }}\n' for n in names)


def tower(suffix: str, data: str) -> str:
    """As in BVLC's examples/siamese/mnist_siamese.prototxt, with smaller layers."""
    s = suffix
    linear = f"{SHARED.format('ip')} inner_product_param {{ num_output: 4 }}"
    feat = f"{SHARED.format('feat')} inner_product_param {{ num_output: 2 }}"
    return (
        conv(f"conv1{s}", data, SHARED.format("conv1"))
        + layer(
            f"pool1{s}",
            "Pooling",
            f"conv1{s}",
            more="pooling_param { pool: MAX kernel_size: 2 stride: 2 }",
        )
        + layer(f"ip{s}", "InnerProduct", f"pool1{s}", more=linear)
        + layer(f"relu{s}", "ReLU", f"ip{s}", f"ip{s}")
        + layer(f"feat{s}", "InnerProduct", f"ip{s}", more=feat)
    )


SIAMESE = inputs("data", "data_p") + tower("", "data") + tower("_p", "data_p")


def read(tmp_path: Path, text: str) -> tuple[Net, tuple[Diagnostic, ...]]:
    path = tmp_path / "net.prototxt"
    path.write_text(f'name: "net"\n{text}', encoding="utf-8")
    net = netspec.load(path)
    return net.ir, net.ir.warnings


def shares(net: Net) -> dict[str, str]:
    return {f.path: f.shares for f in net.layers if f.shares is not None}


def converted(tmp_path: Path) -> Net:
    """The net of the converted text, which must be the same network."""
    text = netspec.convert(tmp_path / "net.prototxt").text
    (tmp_path / "net.net").write_text(text, encoding="utf-8")
    return netspec.load(tmp_path / "net.net").ir


def test_a_siamese_net(tmp_path: Path) -> None:
    net, warnings = read(tmp_path, SIAMESE)
    assert not warnings
    assert shares(net) == {"conv1_p": "conv1", "ip_p": "ip", "feat_p": "feat"}
    # 3 filters of 2x3x3, 4 units of 3x3x3, 2 units of 4, and biases; MACs of both towers.
    assert net.params == (54 + 3) + (108 + 4) + (8 + 2)
    assert net.macs == 2 * (54 * 36 + 108 + 8)
    again = converted(tmp_path)
    assert (again.params, again.macs, shares(again)) == (net.params, net.macs, shares(net))


def test_caffemodels_have_the_weights_of_both(tmp_path: Path) -> None:
    """One tensor here; files of Caffe have it in each layer, and are read from the first."""
    net, _ = read(tmp_path, SIAMESE)
    rng = np.random.default_rng(1)
    shapes = {"conv1": (3, 2, 3, 3), "ip": (4, 27), "feat": (2, 4)}
    blobs = {
        n: (rng.normal(size=s).astype(np.float32), rng.normal(size=s[:1]).astype(np.float32))
        for n, s in shapes.items()
    }
    types = {"conv1": "Convolution", "ip": "InnerProduct", "feat": "InnerProduct"}
    layers = [
        CaffemodelLayer(n + suffix, types[n], blobs[n]) for suffix in ("", "_p") for n in shapes
    ]
    path = tmp_path / "a.caffemodel"
    path.write_bytes(b"".join(caffemodel("net", layers)))
    weights = read_caffe(path, net)
    assert set(weights) == set(net.tensors)
    model = load_model(net, get("numpy"))
    get("numpy").set_weights(model, weights)
    x = rng.normal(size=(2, 2, 8, 8)).astype(np.float32)
    same, other = model(x, x)
    np.testing.assert_array_equal(same, other)
    written = tmp_path / "b.caffemodel"
    write_caffe(written, weights, net)
    found = {one.name: one for one in read_layers(written)}
    assert set(found) == {one.name for one in layers}
    for one in layers:
        for a, b in zip(found[one.name].blobs, one.blobs, strict=True):
            np.testing.assert_array_equal(a, b)


NORM = 'param {{ name: "{0}_m" }} param {{ name: "{0}_v" }} param {{ name: "{0}_f" }}'


def normed(suffix: str, bottom: str, relu: bool) -> str:
    s = suffix
    made = conv(f"c{s}", bottom, 'param { name: "w" }', "bias_term: false")
    made += layer(f"n{s}", "BatchNorm", f"c{s}", f"c{s}", NORM.format("n"))
    scale = f"{SHARED.format('s')} scale_param {{ bias_term: true }}"
    made += layer(f"s{s}", "Scale", f"c{s}", f"c{s}", scale)
    return made + (layer(f"r{s}", "ReLU", f"c{s}", f"c{s}") if relu else "")


@pytest.mark.parametrize("relus", [(True, True), (True, False), (False, True)])
def test_chains_with_norms(tmp_path: Path, relus: tuple[bool, bool]) -> None:
    """A chain is used again where both are alike, else each layer of it."""
    text = inputs("a", "b") + normed("1", "a", relus[0]) + normed("2", "b", relus[1])
    net, warnings = read(tmp_path, text + layer("end", "Eltwise", "c1 c2"))
    assert not warnings
    assert len(shares(net)) == 2
    assert net.params == 54 + 6
    assert len(net.layers) == 5 + sum(relus)
    assert shares(converted(tmp_path)) == shares(net)


def test_recursion_and_names_of_ops(tmp_path: Path) -> None:
    """A layer that Caffe calls `conv` must not be called as the op when it is used again."""
    pad = "pad: 1"
    params = SHARED.format("conv")
    text = inputs("data", shape="3x8x8") + conv("conv", "data", params, pad)
    for i in range(1, 6):
        text += conv(f"step{i}", f"step{i - 1}" if i > 1 else "conv", params, pad)
    net, warnings = read(tmp_path, text)
    assert not warnings
    assert net.params == 84
    assert net.macs == 6 * 81 * 64
    again = converted(tmp_path)
    assert (again.params, again.macs) == (net.params, net.macs)


def test_v1_layers(tmp_path: Path) -> None:
    one = 'layers {{ name: "{0}" type: CONVOLUTION bottom: "{1}" top: "{0}" param: "w" param: "b" '
    one += "convolution_param {{ num_output: 2 kernel_size: 3 }} }}\n"
    net, warnings = read(tmp_path, inputs("a", "b") + one.format("x", "a") + one.format("y", "b"))
    assert not warnings
    assert shares(net) == {"y": "x"}


UNSHARED = {
    "another stride": (
        conv("x", "a", SHARED.format("c")) + conv("y", "b", SHARED.format("c"), "stride: 2"),
        "y shares its weights with x, but it has another stride; here each has its own",
    ),
    "only the weight": (
        conv("x", "a", SHARED.format("c"))
        + conv("y", "b", 'param { name: "c_w" } param { name: "own" }'),
        "y shares c_w with x, but not all of its weights; here each has its own",
    ),
    "of two layers": (
        conv("x", "a", SHARED.format("c"))
        + conv("z", "a", SHARED.format("d"))
        + conv("y", "b", 'param { name: "c_w" } param { name: "d_b" }'),
        "y shares c_w with x, but not all of its weights; here each has its own",
    ),
}


@pytest.mark.parametrize("kind", UNSHARED)
def test_what_no_spec_can_say_is_warned_of(tmp_path: Path, kind: str) -> None:
    text, message = UNSHARED[kind]
    net, warnings = read(tmp_path, inputs("a", "b") + text)
    assert [d.code for d in warnings] == ["shared-weights"]
    assert warnings[0].message == message
    assert not shares(net)
    assert converted(tmp_path).params == net.params


def test_the_first_layer_may_not_be_needed() -> None:
    """What nothing needs is gone; the next layer has the weights then."""
    text = inputs("a", "b", "c") + "".join(
        conv(name, data, SHARED.format("w")) for name, data in zip("xyz", "abc", strict=True)
    )
    assert shares(net_of(text, until="y,z")) == {"z": "y"}


def test_how_weights_begin_is_said_once(tmp_path: Path) -> None:
    filler = 'weight_filler { type: "gaussian" std: 0.1 }'
    text = inputs("a", "b") + conv("x", "a", SHARED.format("w"), filler)
    net, warnings = read(tmp_path, text + conv("y", "b", SHARED.format("w")))
    assert not warnings
    assert shares(net) == {"y": "x"}
