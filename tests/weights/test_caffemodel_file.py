"""caffemodel files: every form that Caffe wrote, broken ones, and the way into our nets and back."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netspec
from netspec.cli.main import main
from netspec.diagnostics import SpecError
from netspec.ir import Net
from netspec.weights import fresh, read, read_caffe, reverse_channels, write_caffe
from netspec.weights.caffemodel_file import CaffemodelLayer, caffemodel, read_layers

from ..helpers import loaded
from .samples import only

SHARED = Path(__file__).parents[3] / "shared" / "data"
Array = np.ndarray[Any, np.dtype[Any]]

# --- the wire format, written here independently of the writer -----------------------------------


def varint(n: int) -> bytes:
    n &= 2**64 - 1
    out = b""
    while n > 127:
        out += bytes([n % 128 + 128])
        n //= 128
    return out + bytes([n])


def message(number: int, content: bytes) -> bytes:
    return varint(number * 8 + 2) + varint(len(content)) + content


def number(field: int, value: int) -> bytes:
    return varint(field * 8) + varint(value)


def floats(field: int, values: Any, kind: str = "f") -> bytes:
    """Packed."""
    return message(field, struct.pack(f"<{len(values)}{kind}", *values))


def shape(*dims: int) -> bytes:
    return message(7, message(1, b"".join(map(varint, dims))))


def layer(name: str, *blobs: bytes, type_: str = "Convolution") -> bytes:
    content = message(1, name.encode()) + message(2, type_.encode())
    return message(100, content + b"".join(message(7, b) for b in blobs))


def v1_layer(name: str, *blobs: bytes) -> bytes:
    content = message(2, b"data") + message(3, b"top") + message(4, name.encode()) + number(5, 4)
    return message(2, content + b"".join(message(6, b) for b in blobs))


def write(path: Path, *parts: bytes) -> Path:
    path.write_bytes(b"".join(parts))
    return path


VALUES = [1.0, -2.0, 0.5, 3.0, 4.0, 5.5]
WANTED = np.array(VALUES, np.float32).reshape(2, 3)
BLOBS = {
    "packed": shape(2, 3) + floats(5, VALUES),
    "shape_last": floats(5, VALUES) + shape(2, 3),
    "in_pieces": floats(5, VALUES[:2]) + shape(2, 3) + floats(5, VALUES[2:]),
    "unpacked": shape(2, 3) + b"".join(varint(5 * 8 + 5) + struct.pack("<f", v) for v in VALUES),
    "unpacked_shape": message(7, number(1, 2) + number(1, 3)) + floats(5, VALUES),
    "double": shape(2, 3) + floats(8, VALUES, "d"),
    "half": shape(2, 3) + number(10, 2) + message(12, np.array(VALUES, "<f2").tobytes()),
    "with_diff": floats(6, [0.0] * 6) + shape(2, 3) + floats(5, VALUES) + floats(9, [1.0], "d"),
}


@pytest.mark.parametrize("kind", BLOBS)
@pytest.mark.parametrize("old", [False, True])
def test_blobs(kind: str, old: bool, tmp_path: Path) -> None:
    make = v1_layer if old else layer
    path = write(tmp_path / "a.caffemodel", message(1, b"net"), make("conv1", BLOBS[kind]))
    (found,) = read_layers(path)
    assert found.name == "conv1"
    np.testing.assert_array_equal(found.blobs[0], WANTED)


def test_legacy_shapes(tmp_path: Path) -> None:
    blob = number(1, 1) + number(2, 1) + number(3, 2) + number(4, 3) + floats(5, VALUES)
    (found,) = read_layers(write(tmp_path / "a.caffemodel", v1_layer("ip", blob)))
    assert found.blobs[0].shape == (1, 1, 2, 3)


def test_layers_without_weights_and_other_fields_are_passed_over(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.caffemodel",
        message(3, b"data") + number(4, 3) + message(6, b"\x08\x01"),
        layer("relu", type_="ReLU"),
        layer("conv1", BLOBS["packed"], BLOBS["double"]),
        varint(999 * 8 + 1) + b"12345678",
    )
    assert [(x.name, len(x.blobs)) for x in read_layers(path)] == [("conv1", 2)]
    assert list(read(path)) == ["conv1.0", "conv1.1"]


def layers_or_error(path: Path) -> list[str]:
    """The names of the layers, or the codes of the errors."""
    try:
        return [x.name for x in read_layers(path)]
    except SpecError as error:
        return [d.code for d in error.diagnostics]


# --- broken files --------------------------------------------------------------------------------

BROKEN = {
    "empty": b"",
    "no_layer": message(1, b"net"),
    "text": b'name: "net"\nlayer { name: "x" }\n',
    "long_field": varint(100 * 8 + 2) + varint(2**40) + b"abc",
    "negative_length": varint(100 * 8 + 2) + varint(-1),
    "endless_number": b"\xff" * 20,
    "group": varint(100 * 8 + 3),
    "number_zero": b"\x00\x01",
    "wrong_count": layer("a", shape(2, 4) + floats(5, VALUES)),
    "negative_name_length": b"\x0a" + varint(-1) + b"abc",
    "negative_backwards": layer("a", BLOBS["packed"]) + b"\x12" + varint(-20),
    "many_blobs_together": layer("a", *[b""] * 100) * 2001,
    "huge_shape": layer("a", shape(2**62, 2**62) + floats(5, VALUES)),
    "negative_shape": layer("a", shape(-2, -3) + floats(5, VALUES)),
    "many_axes": layer("a", shape(*[1] * 40) + floats(5, [1.0])),
    "no_numbers": layer("a", shape(2, 3)),
    "half_number": layer("a", message(5, b"123")),
    "many_blobs": layer("a", *[floats(5, [1.0])] * 200),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", BROKEN)
def test_broken(kind: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.caffemodel", BROKEN[kind])
    with pytest.raises(SpecError) as error:
        read_layers(path)
    assert only(error, "bad-weights")


SOUND = message(1, b"net") + b"".join(
    [layer("conv1", BLOBS["packed"], floats(5, [1, 2])), v1_layer("ip", BLOBS["double"])]
)


@pytest.mark.parametrize("end", range(1, len(SOUND)))
def test_truncated(end: int, tmp_path: Path) -> None:
    """Cut off anywhere: an error, or the layers that are whole."""
    path = write(tmp_path / "a.caffemodel", SOUND[:end])
    assert layers_or_error(path) in (["conv1"], ["bad-weights"])


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Bytes exchanged in a sound file: never anything but an error, and never much memory."""
    content = bytearray(SOUND)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    path = write(tmp_path_factory.mktemp("f") / "a.caffemodel", bytes(content))
    tracemalloc.start()
    layers_or_error(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


# --- into our nets -------------------------------------------------------------------------------

DEPLOY = """
name: "small"
input: "data" input_shape { dim: 1 dim: 3 dim: 6 dim: 7 }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "bn1" type: "BatchNorm" bottom: "conv1" top: "conv1" }
layer { name: "scale1" type: "Scale" bottom: "conv1" top: "conv1" scale_param { bias_term: true } }
layer { name: "up" type: "Deconvolution" bottom: "conv1" top: "up"
  convolution_param { num_output: 2 kernel_size: 2 stride: 2 bias_term: false } }
layer { name: "ip1" type: "InnerProduct" bottom: "up" top: "ip1"
  inner_product_param { num_output: 5 } }
layer { name: "relu" type: "PReLU" bottom: "ip1" top: "ip1" }
layer { name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2"
  inner_product_param { num_output: 3 transpose: true bias_term: false } }
"""


def noise(*dims: int) -> Array:
    return np.random.default_rng(prod_of(dims)).standard_normal(dims).astype(np.float32)


def prod_of(dims: tuple[int, ...]) -> int:
    return int(np.prod(dims))


@pytest.fixture
def net(tmp_path: Path) -> Net:
    path = tmp_path / "deploy.prototxt"
    path.write_text(DEPLOY)
    return loaded(path)


def weights_of_caffe() -> dict[str, list[Array]]:
    return {
        "conv1": [noise(4, 3, 3, 3), noise(4)],
        "bn1": [noise(4) * 3, np.abs(noise(4)) + 9, np.array([3], np.float32)],
        "scale1": [noise(4), noise(4)],
        "up": [noise(4, 2, 2, 2)],
        "ip1": [noise(5, 2 * 8 * 10), noise(5)],
        "relu": [noise(5)],
        "ip2": [noise(5, 3)],
    }


def test_the_net_computes_what_caffe_computes(net: Net, tmp_path: Path) -> None:
    """Caffe's own arithmetic, in loops, on the blobs as they lie in the file."""
    w = weights_of_caffe()
    layers = [CaffemodelLayer(name, "", tuple(blobs)) for name, blobs in w.items()]
    path = write(tmp_path / "a.caffemodel", *caffemodel("small", layers))
    x = noise(1, 3, 6, 7)
    v = np.zeros((4, 4, 5))
    for f in range(4):
        for i in range(4):
            for j in range(5):
                v[f, i, j] = (x[0, :, i : i + 3, j : j + 3] * w["conv1"][0][f]).sum()
                v[f, i, j] += w["conv1"][1][f]
    mean, variance = (b.astype(float) / 3 for b in w["bn1"][:2])
    v = (v - mean[:, None, None]) / np.sqrt(variance[:, None, None] + 1e-5)
    v = v * w["scale1"][0][:, None, None] + w["scale1"][1][:, None, None]
    up = np.zeros((2, 8, 10))
    for i in range(4):
        for j in range(5):
            up[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2] += np.einsum(
                "c,cfij->fij", v[:, i, j], w["up"][0]
            )
    h = w["ip1"][0] @ up.reshape(-1) + w["ip1"][1]
    h = np.where(h > 0, h, w["relu"][0] * h)
    wanted = h @ w["ip2"][0]
    model = netspec.build(net, "numpy", read_caffe(path, net))
    np.testing.assert_allclose(np.asarray(model(x))[0], wanted, rtol=1e-4)


def test_round_trip(net: Net, tmp_path: Path) -> None:
    weights = fresh(net.tensors, 5, varied=True)
    path = tmp_path / "a.caffemodel"
    write_caffe(path, weights, net)
    again = read_caffe(path, net)
    assert list(again) == list(net.tensors)
    for name, array in weights.items():
        np.testing.assert_array_equal(again[name], array)
    # What stands in the file: Caffe's layers, with a factor of 1.
    layers = {x.name: x for x in read_layers(path)}
    assert {n: [b.shape for b in x.blobs] for n, x in layers.items()} == {
        n: [b.shape for b in blobs] for n, blobs in weights_of_caffe().items()
    }
    assert layers["bn1"].type == "BatchNorm"
    assert layers["bn1"].blobs[2] == 1


def test_factor_of_zero(net: Net, tmp_path: Path) -> None:
    """Statistics of a layer that never saw anything are 0."""
    w = weights_of_caffe()
    w["bn1"][2][:] = 0
    layers = [CaffemodelLayer(name, "", tuple(blobs)) for name, blobs in w.items()]
    found = read_caffe(write(tmp_path / "a.caffemodel", *caffemodel("", layers)), net)
    assert not found["conv1_batchnorm.running_var"].any()


def test_legacy_blobs_fit(net: Net, tmp_path: Path) -> None:
    w = weights_of_caffe()
    w["conv1"][1] = w["conv1"][1].reshape(1, 1, 1, 4)
    w["ip1"][0] = w["ip1"][0].reshape(1, 1, 5, 160)
    w["scale1"][0] = w["scale1"][0].reshape(1, 4, 1, 1)
    layers = [CaffemodelLayer(name, "", tuple(blobs)) for name, blobs in w.items()]
    found = read_caffe(write(tmp_path / "a.caffemodel", *caffemodel("", layers)), net)
    np.testing.assert_array_equal(found["ip1.weight"], w["ip1"][0].reshape(5, 160))


def test_what_does_not_fit_is_listed(net: Net, tmp_path: Path) -> None:
    w = weights_of_caffe()
    del w["up"]
    w["conv1"] = [w["conv1"][0].reshape(3, 4, 3, 3)]
    w["ip2"][0][0, 0] = np.nan
    layers = [CaffemodelLayer(name, "", tuple(blobs)) for name, blobs in w.items()]
    path = write(tmp_path / "a.caffemodel", *caffemodel("", layers))
    with pytest.raises(SpecError) as error:
        read_caffe(path, net)
    assert only(error, "weights-mismatch").notes == (
        "conv1.weight is 3x4x3x3 in conv1, the net needs 4x3x3x3",
        "conv1.bias is blob 1 of conv1, which has 1 blob",
        "up.weight is in the layer up, which the file does not have",
        "ip2.weight has elements that are not finite",
    )


def test_rgb(net: Net) -> None:
    weights = fresh(net.tensors, 5)
    found = reverse_channels(weights, net)
    np.testing.assert_array_equal(found["conv1.weight"], weights["conv1.weight"][:, ::-1])
    assert all(found[n] is weights[n] for n in weights if n != "conv1.weight")
    x = noise(1, 3, 6, 7)
    a = netspec.build(net, "numpy", weights)(x)
    b = netspec.build(net, "numpy", found)(x[:, ::-1])
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_a_spec_of_ours_knows_no_blobs(tmp_path: Path) -> None:
    path = write(tmp_path / "a.caffemodel", SOUND)
    with pytest.raises(SpecError) as error:
        read_caffe(path, loaded("squeezenet1_0"))
    assert only(error, "bad-weights").help == ("give the prototxt: `--spec deploy.prototxt`",)


def test_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "d.prototxt").write_text(DEPLOY)
    spec = ["--spec", str(tmp_path / "d.prototxt")]
    model = tmp_path / "a.caffemodel"
    write_caffe(
        model,
        fresh(loaded(tmp_path / "d.prototxt").tensors, 1),
        loaded(tmp_path / "d.prototxt"),
    )
    assert main(["weights", "show", str(model)]) == 0
    assert "conv1.0" in capsys.readouterr().out
    out = tmp_path / "a.safetensors"
    assert main(["weights", "convert", str(model), str(out), *spec, "--rgb"]) == 0
    assert (
        main(["weights", "convert", str(out), str(tmp_path / "b.caffemodel"), *spec, "--rgb"]) == 0
    )
    assert (tmp_path / "b.caffemodel").read_bytes() == model.read_bytes()
    # The converted spec has the same names.
    assert main(["convert", spec[1], "-o", str(tmp_path / "d.net")]) == 0
    plain = tmp_path / "a.npz"
    assert main(["weights", "convert", str(model), str(plain), *spec]) == 0
    assert main(["weights", "show", str(plain), "--spec", str(tmp_path / "d.net")]) == 0
    assert main(["weights", "convert", str(plain), str(model)]) == 1
    assert "add `--spec SPEC`" in capsys.readouterr().err
    assert main(["verify", spec[1], "--weights", str(model)]) == 0


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.exists(), reason="the shared data is not here")
def test_published_classes(tmp_path: Path) -> None:
    """The authors' prototxt and weights, through a caffemodel, name the cat and the cup."""
    from netspec.runtime.classify import guesses, read_picture
    from netspec.weights import read_deep_compression

    folder = SHARED / "squeezenet_v1.0"
    net = loaded(
        folder / "deep_compression_deploy.prototxt",
        mean=[104, 117, 123],
        resize=256,
        crop="center",
    )
    assert (net.params, net.macs) == (1_248_424, 861_339_936)
    path = tmp_path / "a.caffemodel"
    write_caffe(path, read_deep_compression(folder / "deep_compression.bin", net.tensors), net)
    model = netspec.build(net, "numpy", read_caffe(path, net))
    for picture, wanted in (("cat.png", [285, 282, 281]), ("espresso.png", [967])):
        prepared = model.preprocess(read_picture(SHARED / "images" / picture, False))
        found = guesses(np.asarray(model(prepared))[0], 3, None)
        assert [g.index for g in found][: len(wanted)] == wanted
