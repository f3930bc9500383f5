"""Weight files: round trips, damage, hostile headers, and the Deep Compression archive."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netspec
from netspec.diagnostics import SpecError
from netspec.ops import Tensor
from netspec.weights import check, fresh, read, read_deep_compression, write
from netspec.weights.files import Array

from ..helpers import SHARED

WANTED = {
    "a.weight": Tensor((4, 3, 3, 3)),
    "a.bias": Tensor((4,), init="zeros"),
    "b.weight": Tensor((2, 4, 1, 1)),
    "b.bias": Tensor((2,), init="zeros"),
}
SUFFIXES = (".npz", ".safetensors")


def code(error: pytest.ExceptionInfo[SpecError]) -> str:
    (diagnostic,) = error.value.diagnostics
    return diagnostic.code


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_round_trip(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"w{suffix}"
    weights = fresh(WANTED, varied=True)
    write(path, weights)
    once = path.read_bytes()
    write(path, weights)
    assert path.read_bytes() == once
    found = read(path)
    assert set(found) == set(weights)
    for name, array in check(found, WANTED, "w", "n").items():
        np.testing.assert_array_equal(array, weights[name])
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", [0, 0.01, 0.3, 0.6, 0.9, 0.99])
def test_truncated_files(suffix: str, share: float, tmp_path: Path) -> None:
    path = tmp_path / f"w{suffix}"
    write(path, fresh(WANTED))
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(SpecError) as error:
        read(path)
    assert code(error) == "bad-weights"
    assert path.name in str(error.value)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(SUFFIXES), st.integers(0, 10**6), st.integers(0, 255))
def test_damaged_files(suffix: str, place: int, byte: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"w{suffix}"
        write(path, fresh(WANTED))
        data = bytearray(path.read_bytes())
        data[place % len(data)] = byte
        path.write_bytes(data)
        try:
            check(read(path), WANTED, "w", "n")
        except SpecError:
            pass


def test_python_objects_are_never_read(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "owned",))

    path = tmp_path / "w.npz"
    np.savez(path, **{"a.weight": np.array([Evil()], dtype=object)})  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="Python objects"):
        read(path)
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(SpecError):
        read(path)
    assert not (tmp_path / "owned").exists()


def test_declared_sizes_are_not_believed(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (2**40,)}
    )
    path = tmp_path / "w.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.weight.npy", header.getvalue())
    with pytest.raises(SpecError, match="cut off"):
        read(path)
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", 2**60) + b"{}")
    with pytest.raises(SpecError):
        read(path)


def test_missing_file_folder_and_unknown_suffix(tmp_path: Path) -> None:
    for name in ("none.npz", "none.safetensors"):
        with pytest.raises(SpecError, match="there is no weight file"):
            read(tmp_path / name)
    (tmp_path / "f.npz").mkdir()
    (tmp_path / "f.safetensors").mkdir()
    for name in ("f.npz", "f.safetensors", "f.txt"):
        with pytest.raises(SpecError):
            read(tmp_path / name)
    with pytest.raises(SpecError):
        write(tmp_path / "w.pt", fresh(WANTED))
    with pytest.raises(SpecError) as error:
        write(tmp_path / "none" / "w.npz", fresh(WANTED))
    assert code(error) == "unwritable-file"


def test_everything_amiss_is_listed_at_once() -> None:
    found = fresh(WANTED)
    found["c.weight"] = found.pop("b.weight")
    found["a.bias"] = found["a.bias"][:3]
    found["b.bias"] = np.array([1, np.nan], dtype=np.float32)
    found["x.num_batches_tracked"] = np.array(3)
    with pytest.raises(SpecError) as error:
        check(found, WANTED, "w.npz", "net")
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.message == (
        "w.npz does not hold the weights of net: 1 missing, 1 left over, 2 misshapen"
    )
    assert diagnostic.notes == (
        "b.weight is missing",
        "c.weight is left over",
        "a.bias is 3, the net needs 4",
        "b.bias has elements that are not finite",
    )
    assert diagnostic.help == ("did you mean `c.weight`?",)


# --- Deep Compression ----------------------------------------------------------------------------


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
        counts.append(len(codes))
        if len(gaps) % 2:
            gaps.append(0)
        packed = bytes(low | high << 4 for low, high in zip(gaps[::2], gaps[1::2], strict=True))
        bias = weights[name.replace(".weight", ".bias")]
        layers.append(
            codebook.astype("<f4").tobytes() + bias.astype("<f4").tobytes() + bytes(codes) + packed
        )
    return struct.pack(f"<{len(counts)}I", *counts) + b"".join(layers)


def sparse(seed: int) -> tuple[dict[str, Array], Array]:
    rng = np.random.default_rng(seed)
    codebook = np.concatenate(([0], rng.standard_normal(255))).astype(np.float32)
    weights = fresh(WANTED, seed, varied=True)
    for name in ("a.weight", "b.weight"):
        codes = rng.integers(1, 256, weights[name].shape)
        kept = rng.random(weights[name].shape) < rng.choice([0.02, 0.1, 0.7])
        weights[name] = np.where(kept, codebook[codes], 0).astype(np.float32)
        weights[name].reshape(-1)[-1] = codebook[1]
    return weights, codebook


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_archive_round_trip(seed: int) -> None:
    import tempfile

    weights, codebook = sparse(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "w.bin"
        path.write_bytes(encode(weights, codebook))
        found = read_deep_compression(path, WANTED)
    assert list(found) == list(WANTED)
    for name, array in weights.items():
        np.testing.assert_array_equal(found[name], array)


def test_damaged_archives(tmp_path: Path) -> None:
    weights, codebook = sparse(1)
    data = encode(weights, codebook)
    path = tmp_path / "w.bin"
    hostile = struct.pack("<I", 2**32 - 1) + data[4:]
    for bad in (b"", data[:3], data[:500], data[:-1], data + b"\0", hostile):
        path.write_bytes(bad)
        with pytest.raises(SpecError) as error:
            read_deep_compression(path, WANTED)
        assert code(error) == "bad-weights"
    path.write_bytes(data)
    with pytest.raises(SpecError, match="also has a.running_mean"):
        read_deep_compression(path, {**WANTED, "a.running_mean": Tensor((4,))})


def test_the_published_archive() -> None:
    path = SHARED / "squeezenet_v1.0" / "deep_compression.bin"
    if not path.is_file():
        pytest.skip("the published weights are not there")
    net = netspec.load("squeezenet1_0_caffe")
    weights = read_deep_compression(path, net.tensors)
    kept = sum(int(np.count_nonzero(a)) for n, a in weights.items() if n.endswith(".weight"))
    counts = np.frombuffer(path.read_bytes(), "<u4", 26)
    assert counts.sum() == 422_083
    # Entries that only bridge a gap hold 0.
    assert 0.95 * 422_083 < kept <= 422_083
    assert check(weights, net.tensors, "w", "n")
