"""A `.pt2` file: a zip of JSON and of tensors as plain bytes."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

from netspec.diagnostics import spec_error
from netspec.importers.tensors.program import ProgramConstant
from netspec.importers.torch.exported import ModelError

MOST_JSON = 1 << 26
"""Most bytes of a graph or a list of tensors."""
DTYPES = {
    1: ("uint8", "u1"),
    2: ("int8", "i1"),
    3: ("int16", "i2"),
    4: ("int32", "i4"),
    5: ("int64", "i8"),
    6: ("float16", "f2"),
    7: ("float32", "f4"),
    8: ("float64", "f8"),
    12: ("bool", "?"),
    13: ("bfloat16", "u2"),
}
"""PyTorch's number of a type: its name, and the type of its bytes in NumPy."""
SAVE_AGAIN = (
    "save it with PyTorch 2.9 or later: `torch.export.save(torch.export.export(model, (x,)), FILE)`"
)
DIRECTLY = "or read the module itself: `netspec.from_torch(model, x)`"


_BROKEN = (
    zipfile.BadZipFile,
    NotImplementedError,
    EOFError,
    RuntimeError,
    UnicodeDecodeError,
    zlib.error,
    struct.error,
)
"""What zipfile raises for archives that are none, or of kinds that it does not read."""


class Archive:
    """An opened `.pt2` file: its one model, its tensors by name. Raises ModelError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with zipfile.ZipFile(path) as file:
                entries = file.infolist()
                self._entries = {_inside(e.filename): e for e in entries}
                self._refuse_pickles()
                self.model = self._only_model()
                self.program = self._json(file, f"models/{self.model}.json")
                self._payload = {
                    kind: self._config(file, kind) for kind in ("weights", "constants")
                }
        except _BROKEN as error:
            raise ModelError(f"is no archive of PyTorch: {error}") from None
        except OSError as error:
            raise ModelError(f"can't be read: {error.strerror or error}") from None

    def _refuse_pickles(self) -> None:
        """Refuse the layouts of PyTorch 2.1 to 2.8, whose tensors are pickled."""
        if "serialized_exported_program.json" in self._entries or any(
            n.startswith(("data/weights/", "data/constants/")) and n.endswith(".pt")
            for n in self._entries
        ):
            message = "has pickled weights, as PyTorch before 2.9 wrote them, which are not read"
            raise ModelError(message, SAVE_AGAIN, DIRECTLY)

    def _only_model(self) -> str:
        names = [
            n.removeprefix("models/").removesuffix(".json")
            for n in self._entries
            if n.startswith("models/") and n.endswith(".json")
        ]
        if not names:
            message = "has no exported program inside"
            raise ModelError(message, SAVE_AGAIN)
        if names[1:]:
            raise ModelError(f"has {len(names)} models inside, and one can be read")
        return names[0]

    def _json(self, file: zipfile.ZipFile, name: str) -> Any:
        entry = self._entries[name]
        if entry.file_size > MOST_JSON:
            raise ModelError(f"has a {name} of {entry.file_size:,} bytes, more than is read")
        with file.open(entry) as stream:
            content = stream.read(MOST_JSON + 1)
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            raise ModelError(f"is damaged: {name}: {error}") from None

    def _config(self, file: zipfile.ZipFile, kind: str) -> dict[str, Any]:
        """What the archive says of its tensors; versions of PyTorch name that file differently."""
        front = f"data/{kind}/{self.model}_"
        name = next((n for n in self._entries if n.startswith(front) and n.endswith(".json")), None)
        if name is None:
            return {}
        config = self._json(file, name)
        found = config.get("config") if isinstance(config, dict) else None
        if not isinstance(found, dict):
            raise ModelError(f"is damaged: {name} lists no tensors")
        return found

    def tensor(
        self, kind: str, name: str, type_of: Callable[[Any], tuple[str, tuple[int, ...]]]
    ) -> ProgramConstant:
        """A tensor of the `weights` or `constants` by its name. Raises ModelError.

        `type_of` reads what the archive says of a tensor: its type and its shape.
        """
        meta = self._payload[kind].get(name)
        if meta is None and kind == "weights":  # buffers that no state_dict has
            return self.tensor("constants", name, type_of)
        if not isinstance(meta, dict):
            raise ModelError(f"is damaged: {name} is not among its {kind}")
        if meta.get("use_pickle") is not False:
            message = f"has a pickled tensor, {name}, which is not read"
            raise ModelError(message, "tensors of plain types are not pickled", DIRECTLY)
        dtype, shape = type_of(meta.get("tensor_meta"))
        found = meta["tensor_meta"]
        given = found.get("strides")
        strides = tuple(map(_whole, given)) if isinstance(given, list) else ()
        offset = _whole(found.get("storage_offset", {"as_int": 0}))
        if len(strides) != len(shape) or not all(0 <= n < 1 << 48 for n in (*strides, offset)):
            raise ModelError(f"is damaged: {name} has no places in its bytes")
        entry = self._entries.get(f"data/{kind}/{meta.get('path_name')}")
        if entry is None:
            raise ModelError(f"is damaged: the bytes of {name} are missing")
        if entry.compress_type != zipfile.ZIP_STORED:
            raise ModelError(f"is damaged: the bytes of {name} are compressed")
        code = next(c for n, c in DTYPES.values() if n == dtype)
        size = int(code[1:]) if code != "?" else 1
        last = sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) + offset
        count = entry.file_size // size
        if 0 not in shape and (last >= count or prod(shape) > count):
            raise ModelError(f"is damaged: {name} has {entry.file_size:,} bytes, too few")
        load = _StoredBytes(
            self.path, entry.header_offset, entry.file_size, code, shape, strides, offset
        )
        key = (meta["path_name"], kind, dtype, shape, strides, offset)
        return ProgramConstant(shape, load, key, self.path)


class _StoredBytes:
    """Reads a tensor whose place in the file is known."""

    def __init__(
        self,
        path: Path,
        header: int,
        size: int,
        code: str,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        offset: int,
    ) -> None:
        self.path, self.header, self.size, self.code = path, header, size, code
        self.shape, self.strides, self.offset = shape, strides, offset

    def __call__(self) -> Any:
        import numpy as np

        try:
            with self.path.open("rb") as file:
                file.seek(self.header)
                header = file.read(30)
                if len(header) < 30 or header[:4] != b"PK\3\4":
                    raise OSError("it was changed meanwhile")
                file.seek(sum(struct.unpack("<HH", header[26:30])), 1)
                content = file.read(self.size)
        except OSError as error:
            message = f"{self.path} can't be read: {error.strerror or error}"
            raise spec_error("unreadable-file", message) from None
        if len(content) < self.size:
            raise spec_error("unreadable-file", f"{self.path} is cut short")
        if 0 in self.shape:
            return np.zeros(self.shape, np.float32)
        item = np.dtype("<" + self.code).itemsize
        flat = np.frombuffer(content, "<" + self.code, count=self.size // item)
        if self.code == "u2":  # bfloat16, the upper half of a float32
            flat = (flat.astype("<u4") << 16).view("<f4")
        steps = tuple(s * flat.itemsize for s in self.strides)
        view = np.lib.stride_tricks.as_strided(flat[self.offset :], self.shape, steps)
        return np.array(view)


def _whole(size: Any) -> int:
    """A number of the JSON, `{"as_int": 3}`; -1 where it is none."""
    found = size.get("as_int") if isinstance(size, dict) else None
    return found if isinstance(found, int) and not isinstance(found, bool) else -1


def _inside(name: str) -> str:
    """The name of an entry without the folder that all of the archive's are in."""
    return name.partition("/")[2] or name
