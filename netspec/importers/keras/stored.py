"""A file of Keras: its config, and its weights, which are read where they are asked for.

After saving_lib.py and legacy_h5_format.py of Keras (github.com/keras-team/keras).
"""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from struct import error as StructError
from struct import unpack
from typing import Any, Protocol

from netspec.diagnostics import spec_error
from netspec.importers.keras.error import KerasError
from netspec.lazy_dataclasses import dataclass
from netspec.util.inputs import note_input

MOST_CONFIG = 1 << 26
"""Most characters of a config."""
MOST_NESTED = 400
"""Most brackets of a config inside each other."""
MOST_EXPANDED = 100
"""How many times larger than the file its weights may be, where it is compressed."""

DEEPEST_GROUP = 50
MOST_GROUPS = 100_000


_BROKEN = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    EOFError,
    UnicodeDecodeError,
    zlib.error,
    StructError,
)
"""What zipfile raises for archives that are none, or of kinds that it does not read."""


@dataclass(frozen=True)
class WeightPlace:
    """Where a layer's weights lie: its path in a `.keras`, names in a `.h5`, its own the last."""

    path: str
    names: tuple[str, ...]


class KerasWeights(Protocol):
    """The weights of a file."""

    def read(
        self, place: WeightPlace, index: int, names: Sequence[str], shape: tuple[int, ...]
    ) -> Any:
        """One tensor: that of an index among those of its layer, or of one of these names.

        Raises SpecError where it is not there, or of another shape.
        """


@dataclass(frozen=True)
class KerasFile:
    """A file: what its config says, the version of Keras that wrote it, its weights."""

    path: Path
    config: Any
    version: tuple[int, ...]
    weights: KerasWeights


def opened(path: Path) -> KerasFile:
    """The file of a path. Raises KerasError where it holds no model, or can't be read."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise KerasError("unreadable-file", f"{path} can't be read: {reason}") from None
    note_input(path)
    if start.startswith(b"PK"):
        return _of_archive(path)
    if start == b"\x89HDF\r\n\x1a\n":
        return _of_hdf5(path)
    message = f"{path} is no model of Keras: neither a zip archive nor an HDF5 file"
    raise KerasError("unreadable-file", message)


def _of_archive(path: Path) -> KerasFile:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if "config.json" not in names:
                message = f"{path} is no model of Keras: it has no config.json"
                raise KerasError("unreadable-file", message)
            config = _member(archive, "config.json", path)
            about = _member(archive, "metadata.json", path) if "metadata.json" in names else b"{}"
    except (*_BROKEN, OSError) as error:
        raise KerasError("unreadable-file", f"{path} is no sound zip archive: {error}") from None
    metadata = _json(about, path)
    version = metadata.get("keras_version") if isinstance(metadata, dict) else None
    return KerasFile(path, _json(config, path), _version(version), _ArchiveWeights(path))


def _member(archive: zipfile.ZipFile, name: str, path: Path) -> bytes:
    with archive.open(name) as member:
        found = member.read(MOST_CONFIG + 1)
    if len(found) > MOST_CONFIG:
        raise KerasError("too-large", f"{path}: {name} is larger than netspec handles")
    return found


def _json(text: bytes | str, path: Path) -> Any:
    """What a JSON text says. Raises KerasError."""
    try:
        plain = text.decode() if isinstance(text, bytes) else text
        deep = most = 0
        for bracket in re.findall(r'"(?:[^"\\]|\\.)*"|[\[{\]}]', plain):
            if bracket in ("[", "{"):
                deep += 1
                most = max(most, deep)
            elif bracket in ("]", "}"):
                deep -= 1
        if most > MOST_NESTED:
            raise KerasError("too-deep", f"{path}: brackets of its config are nested too deeply")
        return json.loads(plain)
    except ValueError as error:
        message = f"{path} is no model of Keras: its config is no JSON: {str(error)[:100]}"
        raise KerasError("unreadable-file", message) from None


def _version(text: Any) -> tuple[int, ...]:
    numbers = re.match(r"(\d{1,4})\.(\d{1,4})", text) if isinstance(text, str) else None
    return tuple(map(int, numbers.groups())) if numbers else (3, 0)


def _of_hdf5(path: Path) -> KerasFile:
    with _hdf5(path, path) as file:
        config, version = file.attrs.get("model_config"), file.attrs.get("keras_version")
        if version is None and "model_weights" in file:
            version = _group(file, "model_weights").attrs.get("keras_version")
        has_layers = bool({"layer_names", "layers", "_layer_checkpoint_dependencies"} & {
            *file.attrs, *file
        })  # fmt: skip
    if isinstance(config, bytes):
        config = config.decode(errors="replace")
    if isinstance(version, bytes):
        version = version.decode(errors="replace")
    if not isinstance(config, str):
        what = "weights, and no model" if has_layers else "no model of Keras"
        help_ = (
            "save the whole model: `model.save('model.keras')`",
            f"weights of an emitted model: `netspec weights convert {path} OUT --spec SPEC "
            "--from keras`",
        )
        raise KerasError("unreadable-file", f"{path} holds {what}", None, *help_)
    if len(config) > MOST_CONFIG:
        raise KerasError("too-large", f"{path}: its config is larger than netspec handles")
    return KerasFile(path, _json(config, path), _version(version), _Hdf5Weights(path))


# --- HDF5 ----------------------------------------------------------------------------------------


@contextmanager
def _hdf5(path: Path, file: Any) -> Iterator[Any]:
    """An HDF5 file, open. Raises SpecError for what goes wrong with it."""
    try:
        import h5py
    except ImportError:
        message = f"{path} is read with h5py, which is not installed"
        help_ = ("pip install 'netspec-compiler[hdf5]'",)
        raise spec_error("missing-package", message, help=help_) from None
    try:
        with h5py.File(file, "r") as opened_file:
            yield opened_file
    except (OSError, KeyError, ValueError, RuntimeError, TypeError, AttributeError) as error:
        first = str(error).strip("'\"").split("\n")[0][:200]
        raise spec_error("bad-weights", f"{path} is no sound file of Keras: {first}") from None


def _child(group: Any, name: str) -> Any:
    """What a group holds under a name, itself and not by way of a link. Raises KeyError."""
    import h5py

    if not isinstance(group, h5py.Group) or name not in group:
        raise KeyError(f"there is no {name} in {getattr(group, 'name', '')}")
    if group.get(name, getclass=True, getlink=True) is not h5py.HardLink:
        raise ValueError(f"{name} in {group.name} is a link, which is not followed")
    return group[name]


def _group(group: Any, path: str) -> Any:
    """The group of a path. Raises KeyError."""
    for part in path.split("/"):
        group = _child(group, part)
    return group


def _numbers(dataset: Any, shape: tuple[int, ...] | None) -> Any:
    """The numbers of a dataset. Raises ValueError where it is no plain one, or of another shape."""
    import h5py
    import numpy as np

    if not isinstance(dataset, h5py.Dataset):
        raise ValueError(f"{dataset.name} is no dataset")
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{dataset.name} lies in other files, which are not read")
    if shape is not None and dataset.shape != shape:
        theirs, ours = ("x".join(map(str, s)) or "one number" for s in (dataset.shape, shape))
        raise ValueError(f"{dataset.name} is {theirs}, and the config makes it {ours}")
    if dataset.dtype.kind == "V" and dataset.dtype.itemsize == 2:  # bfloat16
        halves = dataset[()].view(np.uint16).astype(np.uint32) << 16
        return halves.view(np.float32)
    if dataset.dtype.kind not in "fiu":
        raise ValueError(f"{dataset.name} holds no numbers")
    return np.asarray(dataset[()])


def stored_variables(path: Path) -> dict[str, Any]:
    """The variables in a `.weights.h5` or `.keras` file by their places: `fire2/squeeze/vars/0`.

    Raises SpecError.
    """
    archive = zipfile.is_zipfile(path)
    found: dict[str, Any] = {}
    with _ArchiveWeights(path).open() if archive else _hdf5(path, path) as file:
        import h5py

        left = MOST_EXPANDED * max(path.stat().st_size, 1 << 20)
        waiting = [(name, 0, file) for name in sorted(file, reverse=True)]
        while waiting:
            name, depth, group = waiting.pop()
            child = _child(group, name)
            if isinstance(child, h5py.Dataset):
                left -= child.size * child.dtype.itemsize
                if left < 0:
                    raise ValueError("it says that it holds more than it can")
                found[child.name.lstrip("/")] = _numbers(child, None)
            elif isinstance(child, h5py.Group):
                if depth > DEEPEST_GROUP or len(waiting) > MOST_GROUPS:
                    raise ValueError("it has too many groups, or groups that are nested too deeply")
                waiting += [(n, depth + 1, child) for n in sorted(child, reverse=True)]
    return found


class _Part(io.RawIOBase):
    """A part of a file as a file of its own."""

    def __init__(self, file: Any, start: int, size: int) -> None:
        self.file, self.first, self.size, self.at = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.at = max(0, offset + (0, self.at, self.size)[whence])
        return self.at

    def readinto(self, buffer: Any) -> int:
        self.file.seek(self.first + self.at)
        count = max(0, min(len(buffer), self.size - self.at))
        read = self.file.readinto(memoryview(buffer)[:count])
        self.at += read
        return int(read)


class _ArchiveWeights:
    """The weights of a `.keras`: `layers/conv2d_1/vars/0` in its model.weights.h5."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.expanded: bytes | None = None

    def read(
        self, place: WeightPlace, index: int, names: Sequence[str], shape: tuple[int, ...]
    ) -> Any:
        with self.open() as file:
            path = place.path
            if "_layer_checkpoint_dependencies" in file:  # Keras 2.13
                path = path.replace("layers/", "_layer_checkpoint_dependencies/")
            return _numbers(_child(_group(file, f"{path}/vars"), str(index)), shape)

    @contextmanager
    def open(self) -> Iterator[Any]:
        """Its model.weights.h5, open. Raises SpecError."""
        name = "model.weights.h5"
        try:
            with self.path.open("rb") as file, zipfile.ZipFile(file) as archive:
                info = archive.getinfo(name)
                if info.compress_type == zipfile.ZIP_STORED:
                    file.seek(info.header_offset)
                    header = file.read(30)
                    start = info.header_offset + 30 + sum(unpack("<HH", header[26:]))
                    if start + info.file_size > self.path.stat().st_size:
                        raise spec_error("bad-weights", f"{self.path} is cut off")
                    with _hdf5(self.path, _Part(file, start, info.file_size)) as found:
                        yield found
                    return
                if info.file_size > MOST_EXPANDED * max(info.compress_size, 1 << 20):
                    message = f"{self.path}: {name} is compressed more than weights can be"
                    raise spec_error("bad-weights", message)
                if self.expanded is None:
                    self.expanded = archive.read(info)
            with _hdf5(self.path, io.BytesIO(self.expanded)) as found:
                yield found
        except KeyError:
            raise spec_error("bad-weights", f"{self.path} has no {name}") from None
        except _BROKEN as error:
            message = f"{self.path} is no sound zip archive: {error}"
            raise spec_error("bad-weights", message) from None
        except OSError as error:
            message = f"{self.path} can't be read: {error.strerror or error}"
            raise spec_error("bad-weights", message) from None


class _Hdf5Weights:
    """The weights of a `.h5`: a group for each layer of the model, which lists names."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(
        self, place: WeightPlace, index: int, names: Sequence[str], shape: tuple[int, ...]
    ) -> Any:
        with _hdf5(self.path, self.path) as file:
            group = _group(file, "model_weights")
            for part in place.names[0].split("/"):  # a name may have slashes
                group = _child(group, part)
            listed = list(_listed(group, "weight_names"))
            name = _meant(listed, place.names, index, names)
            return _numbers(_group(group, name), shape)


def _listed(group: Any, name: str) -> Iterator[str]:
    """The names in an attribute, or in several with numbers behind their names."""
    parts = [name] if name in group.attrs else []
    while not parts or parts[0] != name:
        if (part := f"{name}{len(parts)}") not in group.attrs:
            break
        parts.append(part)
    for part in parts:
        for found in group.attrs[part]:
            yield found.decode(errors="replace") if isinstance(found, bytes) else str(found)


def _meant(listed: Sequence[str], layer: tuple[str, ...], index: int, names: Sequence[str]) -> str:
    """The name of a layer's tensor among those of a group. Raises KeyError."""

    def is_it(name: str) -> bool:
        return name.rpartition("/")[2].partition(":")[0] in names

    if len(layer) == 1:
        known = [n for n in listed if is_it(n)]
        if len(known) == 1:
            return known[0]
        if index < len(listed):
            return listed[index]
        raise KeyError(f"there is no {names[0]} of {layer[0]}")
    # Keras 2 says the layer alone, Keras 3 the models around it as well.
    own = re.compile(rf"(?:.*/)?{re.escape(layer[-1])}(?:_\d+)?/[^/]*\Z")
    exact = [n for n in listed if f"/{n}".rpartition("/")[0].endswith(f"/{layer[-1]}") and is_it(n)]
    found = exact or [n for n in listed if own.match(n) and is_it(n)]
    whole = "/".join(layer[1:])
    found = [n for n in found if f"/{n}".rpartition("/")[0].endswith(f"/{whole}")] or found
    if len(found) == 1:
        return found[0]
    what = "no" if not found else "more than one"
    raise KeyError(f"there is {what} {names[0]} of {'/'.join(layer)}")
