"""The `.nsz` file: round trips, how near it comes to the entropy, damage, emitted readers."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netspec
from netspec.diagnostics import SpecError
from netspec.weights import fresh, read, read_deep_compression, write
from netspec.weights.array import Array
from netspec.weights.deep_compression import read_coded
from netspec.weights.deep_compression import write as write_deep_compression
from netspec.weights.files import read_metadata, read_with_sizes, write_coded
from netspec.weights.nsz_file import (
    CodedTensor,
    _number,
    coded,
    nsz_bytes,
    read_nsz_tensors,
)

from ..helpers import SHARED, loaded
from .samples import only


def tensors(seed: int) -> dict[str, Array | CodedTensor]:
    """Coded tensors of any number of values, used as unevenly as may be; floats between."""
    rng = np.random.default_rng(seed)
    found: dict[str, Array | CodedTensor] = {}
    for i in range(rng.integers(1, 5)):
        shape = tuple(int(d) for d in rng.integers(1, 12, rng.integers(1, 5)))
        kinds = int(rng.choice([1, 2, 3, 15, 16, 17, 64, 255, 256]))
        share = rng.dirichlet(np.full(kinds, rng.choice([0.02, 0.3, 5])))
        codes = rng.choice(kinds, shape, p=share).astype(np.uint8)
        codebook = np.append(0, rng.standard_normal(kinds - 1)).astype(np.float32)
        found[f"block{i // 2}.conv_{i}.weight"] = CodedTensor(codebook, codes)
        found[f"block{i // 2}.conv_{i}.bias"] = rng.standard_normal(shape[0]).astype(np.float32)
    pruned = rng.standard_normal((5, 6)).astype(np.float32)
    pruned[rng.random((5, 6)) < 0.6] = 0
    return {**found, "ä.gamma": pruned, "scalar": np.array(rng.standard_normal(), np.float32)}


def written(
    found: Mapping[str, Array | CodedTensor], path: Path, halves: frozenset[str] = frozenset()
) -> bytes:
    content = nsz_bytes(found, "net", halves=halves)
    path.write_bytes(content)
    return content


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_round_trip(seed: int) -> None:
    given_ = tensors(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "w.nsz"
        content = written(given_, path)
        about, found = read_nsz_tensors(path)
        assert sum(read_with_sizes(path)[1].values()) > len(content)
    assert content == nsz_bytes(given_, "net")
    assert about == {"net": "net"}
    assert list(found) == list(given_)
    for name, tensor in given_.items():
        other = found[name]
        if isinstance(tensor, CodedTensor):
            assert isinstance(other, CodedTensor)
            np.testing.assert_array_equal(other.codebook, tensor.codebook)
            np.testing.assert_array_equal(other.codes, tensor.codes)
        else:
            assert isinstance(other, np.ndarray)
            np.testing.assert_array_equal(other, tensor)
            assert other.dtype == np.float32


def test_halves_are_float16_where_that_is_precise(tmp_path: Path) -> None:
    given_ = {"a.bias": np.array([1.5, 1e-3, 70000], np.float32), "b.bias": np.ones(3, np.float32)}
    given_["c.bias"] = np.full(3, 1e-7, np.float32)
    content = written(given_, tmp_path / "w.nsz", frozenset(given_))
    found = read(tmp_path / "w.nsz")
    np.testing.assert_array_equal(found["a.bias"], given_["a.bias"])  # too large for float16
    np.testing.assert_array_equal(found["c.bias"], given_["c.bias"])  # too small
    exact = nsz_bytes(given_, "net")
    assert len(exact) - len(content) == 3 * 2


@pytest.mark.parametrize("kinds", [2, 16, 256])
def test_a_tensor_takes_little_more_than_its_entropy(kinds: int) -> None:
    rng = np.random.default_rng(kinds)
    share = rng.dirichlet(np.full(kinds, 0.5))
    codes = rng.choice(kinds, (64, 64, 3, 3), p=share).astype(np.uint8)
    counts = np.bincount(codes.reshape(-1), minlength=kinds)
    used = counts[counts > 0]
    entropy = -(used * np.log2(used / codes.size)).sum() / 8
    sizes: dict[str, int] = {}
    tensor = CodedTensor(np.arange(kinds, dtype=np.float32), codes)
    nsz_bytes({"a.weight": tensor}, sizes=sizes)
    table = 5 * kinds
    assert entropy < sizes["a.weight"] < 1.003 * entropy + table + 60


def test_few_values_are_coded_exactly() -> None:
    weight = np.array([0.0, -0.0, 1.5, -2, 1.5], np.float32)
    found = coded(weight)
    assert found is not None
    assert found.codebook[0] == 0
    assert found.values.tobytes() == weight.tobytes()
    assert coded(np.arange(256, dtype=np.float32)) is not None
    assert coded(np.arange(1, 257, dtype=np.float32)) is None


# --- other formats -------------------------------------------------------------------------------


def test_the_archive_of_deep_compression_and_back(tmp_path: Path) -> None:
    net = loaded("squeezenet_digits")
    rng = np.random.default_rng(0)
    codebook = np.append(0, rng.standard_normal(255)).astype(np.float32)
    arrays: dict[str, Array | CodedTensor] = {}
    for name, array in fresh(net.tensors, 0).items():
        kept = rng.random(array.shape) < 0.06
        codes = np.where(kept, rng.integers(0, 256, array.shape), 0)
        is_weight = array.ndim > 1
        arrays[name] = CodedTensor(codebook, codes.astype(np.uint8)) if is_weight else array
    write_deep_compression(tmp_path / "a.bin", arrays)
    content = (tmp_path / "a.bin").read_bytes()
    found = read_coded(tmp_path / "a.bin", net.tensors)
    write_coded(tmp_path / "b.nsz", found, net.name)
    write_coded(tmp_path / "c.bin", read_nsz_tensors(tmp_path / "b.nsz")[1], "")
    assert (tmp_path / "c.bin").read_bytes() == content
    plain = read_deep_compression(tmp_path / "a.bin", net.tensors)
    for name, tensor in arrays.items():
        values = tensor.values if isinstance(tensor, CodedTensor) else tensor
        np.testing.assert_array_equal(plain[name], values)


def test_what_no_archive_can_hold(tmp_path: Path) -> None:
    def refused(tensors: dict[str, Array | CodedTensor], match: str) -> None:
        with pytest.raises(SpecError, match=match) as error:
            write_deep_compression(tmp_path / "a.bin", tensors)
        only(error, "unwritable-file")
        assert not (tmp_path / "a.bin").exists()

    many = np.arange(300, dtype=np.float32).reshape(3, 100)
    few, bias = np.zeros((3, 2), np.float32), np.zeros(3, np.float32)
    refused({"a.weight": many, "a.bias": bias}, "at most 256 values of a tensor, and a.weight")
    refused({"a.weight": few}, "a.weight has none")
    refused({"a.weight": few, "a.bias": bias, "b.running_mean": bias}, "no b.running_mean")


def test_the_published_weights(tmp_path: Path) -> None:
    path = SHARED / "squeezenet_v1.0" / "deep_compression.bin"
    if not path.exists():
        pytest.skip("the published weights are not here")
    net = loaded("squeezenet1_0_caffe")
    write_coded(tmp_path / "w.nsz", read_coded(path, net.tensors), net.name)
    assert (tmp_path / "w.nsz").stat().st_size <= 565_000
    write_coded(tmp_path / "w.bin", read_nsz_tensors(tmp_path / "w.nsz")[1], "")
    assert (tmp_path / "w.bin").read_bytes() == path.read_bytes()


# --- damage --------------------------------------------------------------------------------------


def refused(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(SpecError) as error:
        read(path)
    return only(error, "bad-weights").message


def test_every_change_of_a_byte_is_found(tmp_path: Path) -> None:
    content = written(tensors(3), tmp_path / "w.nsz")
    for i in range(0, len(content), 1 + len(content) // 120):
        changed = bytearray(content)
        changed[i] ^= 1 + i % 255
        assert "w.nsz is no sound .nsz file" in refused(tmp_path / "w.nsz", bytes(changed))
    for length in {*range(0, len(content), 29), len(content) - 1}:
        assert "no sound" in refused(tmp_path / "w.nsz", content[:length])
    assert "longer than it says" in refused(tmp_path / "w.nsz", content + b"\0")


def test_a_file_that_claims_too_much(tmp_path: Path) -> None:
    def of(*shape: int) -> bytes:
        """A tensor of zeros that this shape is claimed of, all of it in two bytes."""
        data = b"\1\0"
        sizes = b"".join(_number(n) for n in shape)
        layer = b"\0\1a" + _number(len(data)) + crc32(data).to_bytes(4, "little") + b"\1"
        head = b"\0\0\1" + layer + bytes((16, len(shape))) + sizes
        head = b"nsz\1" + (12 + len(head) + len(data)).to_bytes(4, "little") + head
        return head + crc32(head).to_bytes(4, "little") + data

    path = tmp_path / "w.nsz"
    path.write_bytes(of(3, 5))
    assert read(path)["a.weight"].shape == (3, 5)
    assert "claims to unpack to 8,589,934,592 bytes" in refused(path, of(2**16, 2**15))
    assert "impossible tensor" in refused(path, of(*[1] * 9))
    refused(path, of(0, 5))


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_damage_behind_sound_checksums_raises_nothing_else(seed: int) -> None:
    """As of a file that is made to do harm."""
    rng = np.random.default_rng(seed)
    tensor = tensors(seed % 50)
    name = next(iter(tensor))
    content = bytearray(nsz_bytes({name: tensor[name]}))
    sizes: dict[str, int] = {}
    nsz_bytes({name: tensor[name]}, sizes=sizes)
    begin = len(content) - sizes[name]
    for _ in range(rng.integers(1, 4)):
        content[rng.integers(begin, len(content))] = rng.integers(256)
    check = crc32(bytes(content[begin:])).to_bytes(4, "little")
    old = crc32(nsz_bytes({name: tensor[name]})[begin:]).to_bytes(4, "little")
    place = bytes(content).index(old)
    content[place : place + 4] = check
    content[begin - 4 : begin] = crc32(bytes(content[: begin - 4])).to_bytes(4, "little")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "w.nsz"
        path.write_bytes(content)
        found: Mapping[str, Any] = {}
        with suppress(SpecError):
            found = read(path)
        assert all(array.shape == tensor[name].shape for array in found.values())


# --- use -----------------------------------------------------------------------------------------


def emitted(backend: str, nsz: bool) -> ModuleType:
    module = ModuleType(f"emitted_{backend}")
    source = netspec.compile("squeezenet_digits", backend, nsz=nsz)
    exec(compile(source, backend, "exec"), module.__dict__)
    return module


@pytest.mark.parametrize("backend", ["torch", "numpy"])
def test_emitted_files_read_it_where_they_are_compiled_for_it(backend: str, tmp_path: Path) -> None:
    arrays = fresh(loaded("squeezenet_digits").tensors, 1)
    path = tmp_path / "w.nsz"
    write(path, arrays)
    model: Any = emitted(backend, True).SqueezeNetDigits()
    model.load(path)
    own = model.weights if backend == "numpy" else model.state_dict()
    for name, array in arrays.items():
        np.testing.assert_array_equal(np.asarray(own[name]), array)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="cut off"):
        model.load(path)
    with pytest.raises((ValueError, RuntimeError), match="--nsz"):
        emitted(backend, False).SqueezeNetDigits().load(path)


def test_models_and_commands_take_it(tmp_path: Path) -> None:
    arrays = fresh(loaded("squeezenet_digits").tensors, 1)
    write(tmp_path / "w.nsz", arrays)
    assert read_metadata(tmp_path / "w.nsz") == {"net": ""}
    model = netspec.build("squeezenet_digits", weights=tmp_path / "w.nsz")
    for name, array in arrays.items():
        np.testing.assert_array_equal(model.weights[name], array)
