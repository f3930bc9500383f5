"""The Deep Compression archive: an encoder's round trip, damage, and the published file."""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.diagnostics import SpecError
from netspec.ops import Tensor
from netspec.weights import check, fresh, read_deep_compression
from netspec.weights.array import Array

from ..helpers import SHARED
from .samples import WANTED, only


def encode(weights: dict[str, Array], codebook: Array) -> bytes:
    """The archive of weights that are zero or in the codebook, whose entry 0 is 0."""
    counts, layers = [], []
    for name in [n for n in weights if n.endswith(".weight")]:
        flat = weights[name].reshape(-1)
        codes, gaps, last = [], [], -1
        for place in np.flatnonzero(flat):
            gap = int(place) - last - 1
            while gap > 15:
                codes.append(0)
                gaps.append(15)
                gap -= 16
            codes.append(int(np.flatnonzero(codebook == flat[place])[0]))
            gaps.append(gap)
            last = int(place)
        bias = weights[name.replace(".weight", ".bias")]
        counts.append(len(codes))
        layers.append(layer(codebook, bias, codes, gaps))
    return struct.pack(f"<{len(counts)}I", *counts) + b"".join(layers)


def layer(codebook: Array, bias: Array, codes: list[int], gaps: list[int]) -> bytes:
    gaps = gaps + [0] * (len(gaps) % 2)
    packed = bytes(low | high << 4 for low, high in zip(gaps[::2], gaps[1::2], strict=True))
    return codebook.astype("<f4").tobytes() + bias.astype("<f4").tobytes() + bytes(codes) + packed


def sparse(seed: int) -> tuple[dict[str, Array], Array]:
    rng = np.random.default_rng(seed)
    codebook = np.concatenate(([0], rng.standard_normal(255))).astype(np.float32)
    weights = fresh(WANTED, seed, varied=True)
    for name in ("a.weight", "b.weight"):
        codes = rng.integers(1, 256, weights[name].shape)
        kept = rng.random(weights[name].shape) < rng.choice([0.02, 0.1, 0.7, 1])
        weights[name] = np.where(kept, codebook[codes], 0).astype(np.float32)
        weights[name].reshape(-1)[rng.integers(weights[name].size)] = codebook[1]
    return weights, codebook


def refused(
    path: Path, data: bytes, match: str | None, tensors: dict[str, Tensor] = WANTED
) -> None:
    path.write_bytes(data)
    with pytest.raises(SpecError, match=match) as error:
        read_deep_compression(path, tensors)
    assert path.name in only(error, "bad-weights").message


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6))
def test_round_trip(seed: int) -> None:
    weights, codebook = sparse(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "w.bin"
        path.write_bytes(encode(weights, codebook))
        found = read_deep_compression(path, WANTED)
    assert list(found) == list(WANTED)
    for name, array in weights.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == np.float32
        assert found[name].flags.writeable


@pytest.mark.parametrize("places", [[0], [107], [15, 31], [0, 17, 107], [16, 50, 51, 52]])
def test_gaps_and_their_bridges(places: list[int], tmp_path: Path) -> None:
    """With one entry and with many, an odd count and an even one, before and after a bridge."""
    codebook = np.arange(256, dtype=np.float32)
    weight = np.zeros(108, np.float32)
    weight[places] = 1 + np.arange(len(places))
    weights = {"a.weight": weight.reshape(4, 3, 3, 3), "a.bias": np.ones(4, np.float32)}
    path = tmp_path / "w.bin"
    path.write_bytes(encode(weights, codebook))
    found = read_deep_compression(path, {n: WANTED[n] for n in weights})
    np.testing.assert_array_equal(found["a.weight"], weights["a.weight"])


def test_the_rest_has_the_value_of_code_zero(tmp_path: Path) -> None:
    codebook = np.full(256, 7, np.float32)
    (tmp_path / "w.bin").write_bytes(
        struct.pack("<I", 1) + layer(codebook, np.zeros(4), [255], [3])
    )
    tensors = {n: WANTED[n] for n in ("a.weight", "a.bias")}
    assert (read_deep_compression(tmp_path / "w.bin", tensors)["a.weight"] == 7).all()


def test_an_archive_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    data = encode(*sparse(1))
    for length in {*range(0, len(data), 37), *range(20), *range(len(data) - 20, len(data))}:
        refused(tmp_path / "w.bin", data[:length], "ends before")


def test_damaged_archives(tmp_path: Path) -> None:
    path = tmp_path / "w.bin"
    weights, codebook = sparse(1)
    data = encode(weights, codebook)
    refused(path, data + b"\0", "1 bytes more than")
    refused(path, data + bytes(10**4), "take at most")
    refused(
        path, struct.pack("<I", 2**32 - 1) + data[4:], "4,294,967,295 entries for a, which has 108"
    )
    refused(path, struct.pack("<I", 0) + data[4:], "0 entries for a")
    refused(path, data[:4] + struct.pack("<I", 9) + data[8:], "9 entries for b, which has 8")
    fine = layer(codebook, weights["b.bias"], [1], [7])
    counts = struct.pack("<II", 108, 1)
    outside = layer(codebook, weights["a.bias"], [1] * 108, [0] * 107 + [1])
    refused(path, counts + outside + fine, "behind the end of a")
    outside = layer(codebook, weights["a.bias"], [1] * 108, [15] * 108)
    refused(path, counts + outside + fine, "behind the end of a")


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 255))
def test_damage_raises_nothing_else(place: int, byte: int) -> None:
    data = bytearray(encode(*sparse(place)))
    data[place % len(data) if place % 2 else place % 8] = byte
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "w.bin"
        path.write_bytes(data)
        try:
            found = read_deep_compression(path, WANTED)
        except SpecError as error:
            codes = [d.code for d in error.diagnostics]
        else:
            codes = ["bad-weights"]
            assert {n: a.shape for n, a in found.items()} == {n: t.shape for n, t in WANTED.items()}
        assert codes == ["bad-weights"]


def test_nets_that_the_format_has_no_place_for(tmp_path: Path) -> None:
    data = encode(*sparse(1))
    path = tmp_path / "w.bin"
    refused(path, data, "also has a.running_mean", {**WANTED, "a.running_mean": Tensor((4,))})
    refused(path, data, "c.weight and no c.bias", {**WANTED, "c.weight": Tensor((4, 4))})
    refused(path, data, "c.bias and no c.weight", {**WANTED, "c.bias": Tensor((4,))})


def test_places_where_no_archive_is(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.bin", Path("a\0.bin")):
        with pytest.raises(SpecError) as error:
            read_deep_compression(path, WANTED)
        only(error, "bad-weights")


# --- The published archive -----------------------------------------------------------------------


def squeezenet() -> dict[str, Tensor]:
    """The tensors of SqueezeNet v1.0."""
    tensors: dict[str, Tensor] = {}

    def conv(name: str, filters: int, channels: int, kernel: int) -> None:
        tensors[f"{name}.weight"] = Tensor((filters, channels, kernel, kernel))
        tensors[f"{name}.bias"] = Tensor((filters,), init=0)

    conv("conv1", 96, 3, 7)
    channels = 96
    for i, squeeze in enumerate((16, 16, 32, 32, 48, 48, 64, 64), start=2):
        conv(f"fire{i}.squeeze", squeeze, channels, 1)
        conv(f"fire{i}.expand1x1", 4 * squeeze, squeeze, 1)
        conv(f"fire{i}.expand3x3", 4 * squeeze, squeeze, 3)
        channels = 8 * squeeze
    conv("conv10", 1000, channels, 1)
    return tensors


def decode(data: bytes, tensors: dict[str, Tensor]) -> dict[str, list[float]]:
    """The archive's weights and biases by the letter of its description, entry by entry."""
    names = [n.removesuffix(".weight") for n in tensors if n.endswith(".weight")]
    counts = struct.unpack_from(f"<{len(names)}I", data)
    at = 4 * len(names)
    found = {}
    for name, n in zip(names, counts, strict=True):
        out = tensors[f"{name}.bias"].size
        codebook = struct.unpack_from("<256f", data, at)
        found[f"{name}.bias"] = list(struct.unpack_from(f"<{out}f", data, at + 1024))
        codes = at + 1024 + 4 * out
        gaps = codes + n
        weight = [codebook[0]] * tensors[f"{name}.weight"].size
        total = 0
        for k in range(n):
            total += data[gaps + k // 2] >> 4 * (k % 2) & 15
            weight[total + k] = codebook[data[codes + k]]
        found[f"{name}.weight"] = weight
        at = gaps + (n - 1) // 2 + 1
    assert at == len(data)
    return found


def test_the_published_archive(tmp_path: Path) -> None:
    path = SHARED / "squeezenet_v1.0" / "deep_compression.bin"
    if not path.is_file():
        pytest.skip("the published weights are not there")
    tensors = squeezenet()
    assert sum(t.size for t in tensors.values()) == 1_248_424
    data = path.read_bytes()
    assert np.frombuffer(data, "<u4", 26).sum() == 422_083
    weights = check(read_deep_compression(path, tensors), tensors, "w", "n")
    kept = sum(int(np.count_nonzero(a)) for n, a in weights.items() if n.endswith(".weight"))
    # Entries that only bridge a gap hold 0.
    assert 0.95 * 422_083 < kept <= 422_083
    for name, expected in decode(data, tensors).items():
        np.testing.assert_array_equal(
            weights[name].reshape(-1), np.array(expected, np.float32), name
        )
    refused(tmp_path / "w.bin", data[:-1], "ends before the end of the gaps of conv10", tensors)
    refused(tmp_path / "w.bin", data + b"\0", "1 bytes more", tensors)
    del tensors["conv10.weight"], tensors["conv10.bias"]
    refused(tmp_path / "w.bin", data, None, tensors)
