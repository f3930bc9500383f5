"""The JSON of an exported program, as torch/_export/serde/schema.py declares it (version 8)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import Any

from netspec.importers.torch.archive import DTYPES, Archive
from netspec.importers.torch.exported import (
    MAX_DIMENSIONS,
    MAX_ELEMENTS,
    Exported,
    ModelError,
    OperatorCall,
    Other,
    Ref,
    TensorType,
    named_operator,
    output_keys,
)

VERSIONS = range(5, 9)
"""The versions of the schema that have been read."""
_SPECIAL_FLOATS = ("Infinity", "-Infinity", "NaN")


def exported(path: Path) -> Exported:
    """The program of a `.pt2` file. Raises ModelError."""
    archive = Archive(path)
    version = _get(_get(archive.program, "schema_version", dict), "major", int)
    if version not in VERSIONS:
        message = (
            f"has version {version} of the schema, and {VERSIONS[0]} to {VERSIONS[-1]} is read"
        )
        raise ModelError(message)
    try:
        return _Schema(archive).read()
    except RecursionError:
        raise ModelError("is damaged: it is nested too deeply") from None


class _Schema:
    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.module = _get(archive.program, "graph_module", dict)
        self.graph = _get(self.module, "graph", dict)
        values = _get(self.graph, "sym_int_values", dict, {})
        self.sizes = {str(name): _sym_int(value)[0] for name, value in values.items()}
        tensors = _get(self.graph, "tensor_values", dict)
        types = {str(name): tensor_type(meta) for name, meta in tensors.items()}
        self.out = Exported(path_stem(archive.path), archive.path, types)

    def read(self) -> Exported:
        signature = _get(self.module, "signature", dict)
        for spec in _get(signature, "input_specs", list):
            self._input(*_only(spec))
        for node in _get(self.graph, "nodes", list):
            self.out.calls.append(self._call(node))
        outputs = []
        for spec in _get(signature, "output_specs", list):
            kind, body = _only(spec)
            argument = self._argument(_get(body, "arg", dict)) if kind == "user_output" else None
            if isinstance(argument, Ref):
                outputs.append(argument.name)
        self.out.outputs = list(zip(self._keys(len(outputs)), outputs, strict=True))
        return self.out

    def _input(self, kind: str, body: Any) -> None:
        if kind == "user_input":
            argument = self._argument(_get(body, "arg", dict))
            if isinstance(argument, Ref):
                self.out.inputs.append(argument.name)
            return
        fields = {
            "parameter": "parameter_name",
            "buffer": "buffer_name",
            "tensor_constant": "tensor_constant_name",
        }
        if kind not in fields:
            return
        name = _get(body, fields[kind], str)
        where = "constants" if kind == "tensor_constant" else "weights"
        constant = self.archive.tensor(where, name, _stored_type)
        self.out.stored[_get(_get(body, "arg", dict), "name", str)] = name, constant

    def _call(self, node: Any) -> OperatorCall:
        operator, overload = named_operator(_get(node, "target", str))
        arguments = {
            _get(i, "name", str): self._argument(_get(i, "arg", dict))
            for i in _get(node, "inputs", list)
        }
        results: list[str] = []
        for output in _get(node, "outputs", list):
            found = self._argument(output) if isinstance(output, dict) else None
            for one in found if isinstance(found, list) else [found]:
                results.append(one.name if isinstance(one, Ref) else "")
        metadata = _get(node, "metadata", dict, {})
        stack = metadata.get("nn_module_stack")
        modules = modules_of(stack) if isinstance(stack, str) else ()
        return OperatorCall(operator, overload, arguments, results, modules)

    def _argument(self, argument: dict[str, Any]) -> Any:
        """An argument as a Python value, its tensors as `Ref`s, its open sizes as the example's."""
        kind, value = _only(argument)
        match kind:
            case "as_none":
                return None
            case "as_tensor":
                return Ref(_get(value, "name", str))
            case "as_tensors":
                return [Ref(_get(v, "name", str)) for v in _list(value)]
            case "as_optional_tensor":
                return self._argument(_dict(value))
            case "as_optional_tensors":
                return [self._argument(_dict(v)) for v in _list(value)]
            case "as_int" | "as_bool" | "as_string":
                return value if isinstance(value, int | str) else Other(kind)
            case "as_float":
                return _float(value)
            case "as_floats":
                return [_float(v) for v in _list(value)]
            case "as_ints" | "as_bools" | "as_strings":
                return [v for v in _list(value) if isinstance(v, int | str)]
            case "as_sym_int":
                return self._size(value)
            case "as_sym_ints":
                return [self._size(v) for v in _list(value)]
            case "as_scalar_type":
                return DTYPES.get(value, ("?", ""))[0] if isinstance(value, int) else "?"
        return Other(kind)

    def _size(self, value: Any) -> int | None:
        """A size: a number, or the name of one that was computed."""
        kind, found = _only(value)
        if kind == "as_int" and isinstance(found, int):
            return found
        return self.sizes.get(str(found))

    def _keys(self, count: int) -> list[str]:
        for entry in _get(self.module, "module_call_graph", list, []):
            if _get(entry, "fqn", str, "?") == "" and isinstance(entry.get("signature"), dict):
                return output_keys(entry["signature"].get("out_spec"), count)
        return [""] * count


def tensor_type(meta: Any) -> TensorType:
    """The type of a tensor as the JSON has it: open sizes are those of the example."""
    found = [_sym_int(size) for size in _get(meta, "sizes", list)]
    if len(found) > MAX_DIMENSIONS:
        raise ModelError(f"has a tensor of {len(found)} dimensions")
    if any(size is None for size, _ in found):
        message = "leaves a size open without that of an example"
        raise ModelError(message, "export it with an example that has a size for each dimension")
    shape = tuple(size for size, _ in found if size is not None)
    if any(n < 0 for n in shape) or prod(shape) > MAX_ELEMENTS:
        raise ModelError("is damaged: a tensor has an impossible shape")
    number = meta.get("dtype")
    dtype = DTYPES.get(number, ("?", ""))[0] if isinstance(number, int) else "?"
    return TensorType(shape, dtype, tuple(i for i, (_, is_open) in enumerate(found) if is_open))


def _stored_type(meta: Any) -> tuple[str, tuple[int, ...]]:
    found = tensor_type(meta)
    if found.dtype == "?":
        raise ModelError("has tensors of a type that is not read")
    return found.dtype, found.shape


def modules_of(stack: str) -> tuple[tuple[str, str], ...]:
    """The modules of a stack, `key,path,class` between semicolons; the outermost has no path."""
    found = []
    for part in stack.split(";"):
        key, _, rest = part.partition(",")
        path, comma, class_ = rest.rpartition(",")
        if comma and not key.startswith("_empty_nn_module_stack"):
            found.append((plain_path(path), class_))
    return tuple(found)


def plain_path(path: str) -> str:
    """The path of a module without `@1`, by which later calls of one module are told apart."""
    return re.sub(r"@\d+", "", path)


def path_stem(path: Path) -> str:
    """What a model is called: the name of its file."""
    return path.stem


def _sym_int(value: Any) -> tuple[int | None, bool]:
    """A size, that of the example where it is open, and whether it is open."""
    kind, found = _only(value)
    if kind == "as_int" and _is_whole(found):
        return found, False
    hint = found.get("hint") if isinstance(found, dict) else None
    number = hint.get("as_int") if isinstance(hint, dict) else None
    return (number if _is_whole(number) else None), True


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _float(value: Any) -> float:
    if isinstance(value, int | float) or value in _SPECIAL_FLOATS:
        return float(value)
    raise ModelError("is damaged: a number is none")


def _only(value: Any) -> tuple[str, Any]:
    """The kind and the content of one of several kinds of things: a dict of one key."""
    present = [(k, v) for k, v in value.items()] if isinstance(value, dict) else []
    if len(present) != 1:
        raise ModelError("is damaged: its JSON does not follow the schema")
    return present[0]


def _list(value: Any) -> list[Any]:
    return _get({"": value}, "", list)  # type: ignore[no-any-return]


def _dict(value: Any) -> dict[str, Any]:
    return _get({"": value}, "", dict)  # type: ignore[no-any-return]


_NOTHING: Iterable[Any] = ()


def _get(value: Any, name: str, kind: type, default: Any = _NOTHING) -> Any:
    """What a dict has by a name, of a kind. Raises ModelError."""
    found = value.get(name) if isinstance(value, dict) else None
    if found is None and default is not _NOTHING:
        return default
    if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
        raise ModelError(f"is damaged: its JSON does not follow the schema at {name or 'a list'}")
    return found
