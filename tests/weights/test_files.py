"""Weight files: round trips, damage, hostile headers."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import tempfile
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.diagnostics import SpecError
from netspec.weights import check, fresh, npz_file, read, write
from netspec.weights.array import Array
from netspec.weights.safetensors_file import write_safetensors

from .samples import WANTED, only

SUFFIXES = (".npz", ".safetensors")


def npy(array: Array) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=False)
    return stream.getvalue()


def with_header(text: str, data: bytes = b"", version: int = 1) -> bytes:
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text.encode() + data


def header(descr: str, shape: str) -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n"


def make_npz(path: Path, *members: tuple[str, bytes], how: int = zipfile.ZIP_STORED) -> Path:
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", how) as archive:
        warnings.simplefilter("ignore")  # zipfile notes on names given twice
        for name, data in members:
            archive.writestr(name, data)
    return path


def make_safetensors(path: Path, entries: dict[str, object], data: bytes) -> Path:
    text = json.dumps(entries).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def refused(path: Path, match: str | None = None) -> None:
    with pytest.raises(SpecError, match=match) as error:
        read(path)
    assert path.name in only(error, "bad-weights").message


# --- Whole files ---------------------------------------------------------------------------------


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
        assert array.flags.writeable
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "array",
    [
        np.array(3),
        np.arange(3, dtype=">f4"),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(10, dtype=np.float16)[::3],
        np.ones((0, 3), np.float32),
        np.array([True, False]),
        np.array([-1, 127], np.int8),
        np.array([2**64 - 1], np.uint64),
    ],
    ids=["scalar", "big-endian", "fortran", "strided", "empty", "bool", "int8", "uint64"],
)
def test_every_shape_and_type_survives(suffix: str, array: Array, tmp_path: Path) -> None:
    write(tmp_path / f"w{suffix}", {"x": array})
    found = read(tmp_path / f"w{suffix}")["x"]
    assert found.shape == array.shape
    assert found.dtype.newbyteorder("=") == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(found, array)


NAMES = ["fire2.squeeze.weight", "", "a.npy", "../x", "/x", "a\\b", "é漢", "file", "x" * 300]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_names_are_kept_as_they_are(suffix: str, tmp_path: Path) -> None:
    weights = {name: np.full(1, i, np.float32) for i, name in enumerate(NAMES)}
    write(tmp_path / f"w{suffix}", weights)
    assert {n: a.item() for n, a in read(tmp_path / f"w{suffix}").items()} == {
        n: a.item() for n, a in weights.items()
    }


def test_numpy_reads_what_is_written_and_the_other_way_round(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    weights = fresh(WANTED, varied=True)
    write(path, weights)
    with np.load(path, allow_pickle=False) as found:
        assert list(found) == list(WANTED)
        for name, array in weights.items():
            np.testing.assert_array_equal(found[name], array)
    for save in (np.savez, np.savez_compressed):
        save(path, **weights)  # type: ignore[arg-type]
        assert list(check(read(path), WANTED, "w", "n")) == list(WANTED)


# --- Damage --------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_cut_off_anywhere_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"w{suffix}"
    write(path, fresh(WANTED, varied=True))
    data = path.read_bytes()
    for length in {*range(0, len(data), 17), *range(20), *range(len(data) - 30, len(data))}:
        path.write_bytes(data[:length])
        refused(path)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(SUFFIXES),
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_damage_raises_nothing_else(
    suffix: str, stored: bool, changes: list[tuple[int, int]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"w{suffix}"
        weights = fresh(WANTED)
        if stored and suffix == ".npz":  # so that the headers of the arrays lie open
            make_npz(path, *((f"{n}.npy", npy(a)) for n, a in weights.items()))
        else:
            write(path, weights)
        data = bytearray(path.read_bytes())
        for place, byte in changes:
            data[place % len(data)] = byte
        path.write_bytes(data)
        try:
            check(read(path), WANTED, "w", "n")
        except SpecError as error:
            found = {d.code for d in error.diagnostics}
        else:
            found = set()
        assert found <= {"bad-weights", "weights-mismatch"}


@settings(max_examples=150, deadline=None)
@given(st.text("{}[]()',:\"'<f4descrshapefortran_order 0123456789-+TrueL\n\0#\\", max_size=120))
def test_headers_of_any_text_raise_nothing_else(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        refused(make_npz(Path(folder) / "w.npz", ("a.npy", with_header(text))))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("data", [b"", b"\0" * 100, b"PK\5\6", b"PK\3\4" * 20, b"{}", b"text\n"])
def test_other_files(suffix: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / f"w{suffix}").write_bytes(data)
    refused(tmp_path / f"w{suffix}")


def test_places_where_no_weight_file_is(tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        refused(tmp_path / f"none{suffix}", "there is no weight file")
        refused(tmp_path / "none" / f"w{suffix}", "there is no weight file")
        refused(tmp_path / ("x" * 300 + suffix), "can't be read")
        (tmp_path / f"f{suffix}").mkdir()
        refused(tmp_path / f"f{suffix}", "is a folder")
        os.mkfifo(tmp_path / f"p{suffix}")
        refused(tmp_path / f"p{suffix}", "is a device or a pipe")
        with pytest.raises(SpecError, match="no name that a file can have"):
            read(Path(f"a\0{suffix}"))
    for name in ("f.txt", "npz", "w.npz.gz"):
        refused(tmp_path / name, "is no .npz, .safetensors, .*.pth")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_without_permission(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"w{suffix}"
    write(path, fresh(WANTED))
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    refused(path, "can't be read")


# --- Hostile .npz files --------------------------------------------------------------------------


def test_python_objects_are_never_read(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "owned",))

    path = tmp_path / "w.npz"
    np.savez(path, **{"a.weight": np.array([Evil()], dtype=object)})  # type: ignore[arg-type]
    refused(path, "Python objects")
    path.write_bytes(pickle.dumps(Evil()))
    refused(path)
    make_npz(path, ("a.npy", pickle.dumps(Evil())))
    refused(path)
    make_npz(path, ("a.pkl", pickle.dumps(Evil())))
    refused(path, "is no array")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("text", "size"),
    [
        (header("'<f4'", f"({2**40},)"), 0),
        (header("'<f4'", f"({10**30},)"), 4),
        (header("'<f4'", "(2,)"), 4),
        (header("'<f4'", "(1,)"), 8),
        (header("'<f4'", "(-1,)"), 40),
        (header("'<f4'", "(-1, -1)"), 4),
        (header("'<f4'", "(True,)"), 4),
        (header("'<f4'", f"(0, {2**70})"), 0),
        (header("'<f4'", "(" + "1," * 70 + ")"), 4),
        (header("'<S0'", f"({2**50},)"), 0),
        (header("'|V0'", "(3,)"), 0),
        (header("'<M8[zz]'", "()"), 8),
        (header("[('a',)]", "(1,)"), 4),
        (header("('<f4', (2, 2))", "(1,)"), 16),
        ("{[1]: 2}\n", 0),
        ("'''abc", 0),
        ("(" * 9000, 0),
        ("-" * 9000 + "1", 0),
        ("{" + " " * 60000 + "}", 0),
        ("", 0),
    ],
)
def test_headers_are_not_believed(text: str, size: int, version: int, tmp_path: Path) -> None:
    data = with_header(text, bytes(size), version)
    refused(make_npz(tmp_path / "w.npz", ("a.weight.npy", data)))


def test_members_are_arrays_that_numpy_wrote(tmp_path: Path) -> None:
    path, one = tmp_path / "w.npz", npy(np.ones(300))
    refused(make_npz(path, ("a.npy", one), ("a.npy", one)), "'a.npy' twice")
    refused(make_npz(path, ("a.txt", b"")), "is no array")
    refused(make_npz(path, ("a/", b"")), "is no array")
    refused(make_npz(path, ("a.npy", one[:6] + b"\x09" + one[7:])), "header of 'a'")
    for how in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        refused(make_npz(path, ("a.npy", one), how=how), "compressed in another way")
    make_npz(path, ("a.npy", one))
    data = path.read_bytes()
    path.write_bytes(data.replace(b"\xf0\x3f", b"\xf1\x3f", 1))
    refused(path, "Bad CRC")
    at = data.index(b"PK\1\2") + 8
    path.write_bytes(data[:6] + b"\1" + data[7:at] + b"\1" + data[at + 1 :])
    refused(path, "encrypted")


def test_a_zip_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(npz_file, "MODEST_BYTES", 2**16)
    path = tmp_path / "w.npz"
    zeros = npy(np.zeros(2**16, np.float32))
    members = (("a.npy", zeros), ("b.npy", zeros))
    make_npz(path, *members)
    assert set(read(path)) == {"a", "b"}
    make_npz(path, *members, how=zipfile.ZIP_DEFLATED)
    refused(path, "claims to unpack to 524,544")
    monkeypatch.setattr(npz_file, "MAX_BYTES", 2**18)
    make_npz(path, *members)
    refused(path, "claims to unpack to 524,544")


# --- Hostile .safetensors files ------------------------------------------------------------------


def entry(kind: str, shape: Sequence[int], end: int, start: int = 0) -> dict[str, object]:
    return {"dtype": kind, "shape": shape, "data_offsets": [start, end]}


@pytest.mark.parametrize(
    ("entries", "size"),
    [
        ({"a": entry("F32", [2**40], 2**42)}, 4),
        ({"a": entry("F32", [2**62, 4], 0)}, 0),
        ({"a": entry("F32", [2], 4)}, 4),
        ({"a": entry("F32", [1], 4)}, 8),
        ({"a": entry("F32", [-1], 4)}, 4),
        ({"a": entry("F32", [1], 4), "b": entry("F32", [1], 4)}, 4),
        ({"a": entry("O", [1], 4)}, 4),
        ({"a": 3}, 0),
    ],
)
def test_safetensors_headers_are_not_believed(
    entries: dict[str, object], size: int, tmp_path: Path
) -> None:
    refused(make_safetensors(tmp_path / "w.safetensors", entries, bytes(size)))


def test_a_safetensors_header_of_hostile_length(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    for length in (2, 3, 10**8, 2**60, 2**64 - 1):
        path.write_bytes(struct.pack("<Q", length) + b"{")
        refused(path)


@pytest.mark.parametrize(("kind", "size"), [("BF16", 2), ("F8_E4M3", 1)])
def test_types_that_numpy_lacks(kind: str, size: int, tmp_path: Path) -> None:
    path = make_safetensors(
        tmp_path / "w.safetensors", {"a.weight": entry(kind, [3], 3 * size)}, bytes(3 * size)
    )
    with pytest.raises(SpecError) as error:
        read(path)
    diagnostic = only(error, "bad-weights")
    assert diagnostic.message == (f"{path} holds 'a.weight' as {kind}, which netspec does not read")
    assert diagnostic.help


# --- Writing -------------------------------------------------------------------------------------


def unwritten(path: Path, arrays: dict[str, Array], match: str) -> None:
    with pytest.raises(SpecError, match=match) as error:
        write(path, arrays)
    only(error, "unwritable-file")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_a_file_can_not_hold(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"w{suffix}"
    one = np.ones(1, np.float32)
    unwritten(path, {"x": one, "a": np.array([None])}, "can't hold 'a'")
    unwritten(path, {"\ud800": one}, "which is no text")
    if suffix == ".npz":
        unwritten(path, {"a\0b": one}, "no name that a member")
        unwritten(path, {"a" * 70_000: one}, r"'a{57}\.\.\.', which is no name")
    else:
        unwritten(path, {"__metadata__": one}, "needs for itself")
        unwritten(path, {"a": np.array(["text"])}, "of type <U4")
        unwritten(path, {"a": np.ones(1, np.complex128)}, "of type complex128")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_places_that_can_not_be_written(suffix: str, tmp_path: Path) -> None:
    weights = fresh(WANTED)
    unwritten(tmp_path / "none" / f"w{suffix}", weights, "can't be written")
    unwritten(tmp_path / f"a\0{suffix}", weights, "no file can have this name")
    (tmp_path / f"f{suffix}").mkdir()
    unwritten(tmp_path / f"f{suffix}", weights, "can't be written")
    unwritten(tmp_path / "w.bin", weights, "not as .bin")
    unwritten(tmp_path / "w", weights, "without suffix")
    assert [p.name for p in tmp_path.iterdir()] == [f"f{suffix}"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_failure_leaves_the_old_file(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"w{suffix}"
    path.write_text("old")

    def fail(source: str, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    unwritten(path, fresh(WANTED), "No space left on device")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_inside_the_library_is_one_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        write_safetensors(str(tmp_path / "none" / "w.safetensors"), fresh(WANTED))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_written_files_have_the_usual_permissions(suffix: str, tmp_path: Path) -> None:
    write(tmp_path / f"w{suffix}", fresh(WANTED))
    (tmp_path / "usual").touch()
    assert (tmp_path / f"w{suffix}").stat().st_mode == (tmp_path / "usual").stat().st_mode
