"""The weights of emitted models: fresh ones, and those of sound and of broken files."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from netspec_numpy import kernels

from .helpers import Array, normal


def test_initial_weights() -> None:
    shapes = {
        "conv.weight": (64, 32, 3, 3),
        "conv.bias": (64,),
        "bn.weight": (64,),
        "bn.running_mean": (64,),
        "bn.running_var": (64,),
        "fc.weight": (500, 200),
    }
    weights = kernels.initial_weights(shapes, 7, kernels.Model.inits)
    assert {n: w.shape for n, w in weights.items()} == shapes
    assert all(w.dtype == np.float32 for w in weights.values())
    for name, fan_in in (("conv.weight", 32 * 9), ("fc.weight", 200)):
        assert weights[name].std() == pytest.approx((2 / fan_in) ** 0.5, rel=0.02)
        assert abs(weights[name].mean()) < 0.002
    for name in ("bn.weight", "bn.running_var"):
        assert (weights[name] == 1).all()
    for name in ("conv.bias", "bn.running_mean"):
        assert (weights[name] == 0).all()
    same, other = (
        kernels.initial_weights(shapes, 7, kernels.Model.inits),
        kernels.initial_weights(shapes, 8, kernels.Model.inits),
    )
    np.testing.assert_array_equal(weights["fc.weight"], same["fc.weight"])
    assert (weights["fc.weight"] != other["fc.weight"]).any()


def test_initial_weights_as_a_net_says() -> None:
    shapes = {"a.weight": (3,), "p.weight": (4,), "a.bias": (30_000,), "c.weight": (60, 40, 5, 5)}
    named: dict[str, Any] = {"p.weight": 0.25, "a.bias": ("normal", 0.5)}
    weights = kernels.initial_weights(shapes, 0, {"*": ("uniform", 1.0, "mean"), **named})
    assert weights["p.weight"].tolist() == [0.25] * 4
    assert weights["a.weight"].tolist() == [1] * 3
    assert weights["a.bias"].std() == pytest.approx(0.5, rel=0.02)
    assert np.abs(weights["a.bias"]).max() > 1.5
    bound = (3 / (50 * 25)) ** 0.5  # of the mean of 40 * 25 and 60 * 25
    assert 0.99 * bound < np.abs(weights["c.weight"]).max() <= bound
    assert weights["c.weight"].std() == pytest.approx(bound / 3**0.5, rel=0.02)
    assert all(w.dtype == np.float32 for w in weights.values())


SHAPES = {"a.weight": (2, 3), "a.bias": (2,)}


@pytest.mark.parametrize("weight", [normal(2, 3), normal(3, 2, dtype=np.float64).T])
def test_checked_weights_are_float32_of_their_own(weight: Array) -> None:
    found = {
        "a.bias": np.arange(2),
        "a.weight": weight,
        "a.num_batches_tracked": np.array(3),
    }
    weights = kernels.check_weights(found, SHAPES)
    assert list(weights) == list(SHAPES)
    for name, array in weights.items():
        assert array.dtype == np.float32
        assert array.flags.c_contiguous
        assert array.flags.writeable
        assert not np.shares_memory(array, found[name])
        np.testing.assert_array_equal(array, found[name].astype(np.float32))


def test_checked_names_all_that_is_amiss() -> None:
    found = {"a.weight": normal(3, 2), "b.weight": normal(1), "c": normal(1)}
    with pytest.raises(ValueError, match="do not fit") as caught:
        kernels.check_weights(found, SHAPES)
    message = str(caught.value)
    for part in (
        "a.bias is missing",
        "b.weight is left over",
        "c is left over",
        "a.weight is float32 of (3, 2), not (2, 3)",
    ):
        assert part in message


@pytest.mark.parametrize("dtype", ["<U3", "S3", np.complex64, object, bool])
def test_checked_wants_numbers(dtype: Any) -> None:
    found = {"a.weight": normal(2, 3), "a.bias": np.zeros(2).astype(dtype)}
    with pytest.raises(ValueError, match=r"a\.bias is .* of \(2,\), not"):
        kernels.check_weights(found, SHAPES)


def arrays() -> dict[str, Array]:
    types = ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?")
    found = {t: (normal(3, 2) * 9).astype(t) for t in types}
    return {**found, "scalar": np.array(2.5, np.float32), "empty": np.zeros((0, 3), np.float32)}


def same(found: dict[str, Array], wanted: dict[str, Array]) -> None:
    assert set(found) == set(wanted)
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        np.testing.assert_array_equal(found[name], array)


def test_npz(tmp_path: Path) -> None:
    named: dict[str, Any] = arrays()
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "w.npz", **named)
        same(kernels.read_weights(tmp_path / "w.npz"), arrays())
    same(kernels.read_weights(str(tmp_path / "w.npz")), arrays())


@pytest.mark.parametrize("metadata", [None, {"format": "np"}])
def test_safetensors(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    safetensors.numpy.save_file(arrays(), tmp_path / "w.safetensors", metadata)
    same(kernels.read_weights(tmp_path / "w.safetensors"), arrays())
    same(kernels.read_weights(str(tmp_path / "w.safetensors")), arrays())


def test_bfloat16(tmp_path: Path) -> None:
    x = torch.tensor([1.0, -2.5, 3e38, math.inf, 1e-40]).to(torch.bfloat16)
    safetensors.torch.save_file({"x": x}, tmp_path / "w.safetensors")
    same(kernels.read_weights(tmp_path / "w.safetensors"), {"x": x.to(torch.float32).numpy()})


def test_types_that_numpy_lacks(tmp_path: Path) -> None:
    x = torch.ones(3).to(torch.float8_e4m3fn)
    safetensors.torch.save_file({"x": x}, tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match="F8_E4M3"):
        kernels.read_weights(tmp_path / "w.safetensors")


def test_other_files(tmp_path: Path) -> None:
    torch.save({"x": torch.ones(3)}, tmp_path / "w.pt")
    refuses(tmp_path / "w.pt", (tmp_path / "w.pt").read_bytes())
    refuses(tmp_path / "w.npz.gz", gzip.compress(b"no weights"))


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_missing_files(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(FileNotFoundError):
        kernels.read_weights(tmp_path / f"none{suffix}")


def refuses(path: Path, data: bytes, reason: str = "") -> None:
    path.write_bytes(data)
    with pytest.raises(ValueError, match="holds no sound weights") as caught:
        kernels.read_weights(path)
    assert reason in str(caught.value)
    assert path.name in str(caught.value)


def test_every_truncation_of_safetensors(tmp_path: Path) -> None:
    data = safetensors.numpy.save({"a": normal(3, 2), "b": normal(4)})
    for end in range(len(data)):
        refuses(tmp_path / "w.safetensors", data[:end])


def test_truncations_of_npz(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    np.savez(path, a=normal(30, 20), b=normal(4))
    data = path.read_bytes()
    for end in range(0, len(data), 29):
        refuses(path, data[:end])


def test_damaged_npz(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    np.savez_compressed(path, a=normal(30, 20))
    data = bytearray(path.read_bytes())
    for place in range(300, 1500, 100):
        refuses(path, bytes(data[:place]) + b"\xff\x00\xff" + bytes(data[place + 3 :]))
    np.save(tmp_path / "one.npy", normal(3))
    refuses(path, (tmp_path / "one.npy").read_bytes())
    refuses(path, b"no archive at all")


def test_pickles_are_never_read(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    np.savez(path, a=np.array([print, len], dtype=object))
    refuses(path, path.read_bytes(), "allow_pickle=False")


def headed(header: Any, body: bytes = b"\0" * 8) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def entry(**changes: Any) -> bytes:
    return headed({"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}})


HOSTILE = {
    "no JSON": (headed(b"{x"), ""),
    "no text": (headed(b"\xff\xfe\xfd"), ""),
    "no header": (headed(b""), ""),
    "deep": (headed(b"[" * 200_000), ""),
    "long number": (headed(b'{"x": ' + b"9" * 5000 + b"}"), ""),
    "list": (headed([1, 2]), ""),
    "number": (headed(7), ""),
    "entry is no object": (headed({"x": 3}), ""),
    "entry is a list": (headed({"x": []}), ""),
    "nothing in it": (headed({"x": {}}), ""),
    "type is a list": (entry(dtype=[]), ""),
    "unknown type": (entry(dtype="F31"), "F31"),
    "offsets swapped": (entry(data_offsets=[8, 0]), ""),
    "negative offsets": (entry(data_offsets=[-8, 0]), ""),
    "offsets beyond the end": (entry(data_offsets=[8, 16]), ""),
    "huge offsets": (entry(data_offsets=[10**30, 10**30]), ""),
    "three offsets": (entry(data_offsets=[0, 4, 8]), ""),
    "text as offsets": (entry(data_offsets=["0", "8"]), ""),
    "fractions as offsets": (entry(data_offsets=[0.0, 8.0]), ""),
    "none as offsets": (entry(data_offsets=None), ""),
    "two negatives": (entry(shape=[-2, -1]), ""),
    "shape too large": (entry(shape=[3]), ""),
    "shape too small": (entry(shape=[1]), ""),
    "shape beyond all": (entry(shape=[10**30]), ""),
    "nothing times all": (entry(shape=[0, 10**30], data_offsets=[0, 0]), ""),
    "many directions": (entry(shape=[1] * 99 + [2]), ""),
    "text as shape": (entry(shape="2"), ""),
    "fraction as shape": (entry(shape=[2.0]), ""),
    "half an element": (entry(data_offsets=[0, 7]), ""),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_headers(case: str, tmp_path: Path) -> None:
    refuses(tmp_path / "w.safetensors", *HOSTILE[case])


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)


json_values = st.recursive(
    scalars,
    lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text(max_size=3), v, max_size=4),
    max_leaves=8,
)


@pytest.mark.slow
@given(
    dtype=st.sampled_from(["F32", "BF16", "U8"]) | json_values,
    shape=st.lists(st.integers(0, 4), max_size=3) | json_values,
    offsets=st.lists(st.integers(-2, 20), max_size=3) | json_values,
    body=st.binary(max_size=16),
)
@settings(max_examples=200, deadline=None)
def test_any_header_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, dtype: Any, shape: Any, offsets: Any, body: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    path.write_bytes(headed({"x": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}, body))
    try:
        weights = kernels.read_weights(path)
    except ValueError:
        return
    # A number is as good as a list of one, and none is the shape as it is.
    sizes = shape if isinstance(shape, list) else [shape]
    assert shape is None or list(weights["x"].shape) == sizes or -1 in sizes


@pytest.mark.parametrize("size", [9, 2**63])
def test_a_header_that_is_cut_off(size: int, tmp_path: Path) -> None:
    """Nothing is missing from the JSON: then the weights are."""
    (tmp_path / "w.safetensors").write_bytes(size.to_bytes(8, "little") + b"{}")
    with pytest.raises(ValueError, match="a.weight is missing"):
        kernels.check_weights(kernels.read_weights(tmp_path / "w.safetensors"), SHAPES)
