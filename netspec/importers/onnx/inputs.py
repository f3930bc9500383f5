"""The inputs of a graph, and how large they are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import prod

from onnx import ModelProto, ValueInfoProto

from netspec.diagnostics import SpecError, spec_error
from netspec.importers.onnx.listing import shown
from netspec.importers.onnx.model_file import type_name
from netspec.importers.onnx.values import NodeValue
from netspec.importers.tensors.program import ProgramTensor
from netspec.ops.base import MAX_ELEMENTS

FREE_BATCH = 1009
"""The batch where the file leaves it open: a prime, which is no other size and divides none."""


def inputs_of(
    model: ModelProto, shapes: Mapping[str, tuple[int, ...]]
) -> tuple[list[NodeValue], int]:
    """The inputs that are no weights, and the batch. Raises SpecError.

    `shapes` are those that were asked for, without the batch, by name, "" for any; those of
    pictures have the channels in front, whatever the file says.
    """
    graph = model.graph
    stored = {t.name for t in graph.initializer} | {t.values.name for t in graph.sparse_initializer}
    given = [i for i in graph.input if i.name not in stored]
    names = [i.name for i in given]
    for name in shapes:
        if name and name not in names:
            known = ", ".join(map(shown, names[:10]))
            message = f"there is no input {shown(name)}: the model has {known or 'none'}"
            raise spec_error("bad-option", message)
    if not given:
        raise spec_error("missing-shape", "the model has no input")
    noted = _noted(model)
    dims = {i.name: _dims(i) for i in given}
    fixed = {d[0] for d in dims.values() if d and d[0]}
    if len(fixed) > 1:
        raise spec_error("shape-mismatch", "the inputs of the model have different batches")
    batch = fixed.pop() if fixed else FREE_BATCH
    found = []
    for info in given:
        wanted = shapes.get(info.name, shapes.get(""))
        shape = _shape(info, dims[info.name], wanted or noted.get(info.name))
        kind = type_name(info.type.tensor_type.elem_type)
        if kind is None:
            raise _refused(info, "is of a type of number that netspec does not read")
        found.append(NodeValue(ProgramTensor(info.name, (batch, *shape)), kind))
    return found, batch


def _dims(info: ValueInfoProto) -> list[int | None] | None:
    """The dimensions that the file says, None for those that it leaves open, or for all."""
    kind = info.type.tensor_type
    if info.type.WhichOneof("value") != "tensor_type":
        raise _refused(info, "is no tensor")
    if not kind.HasField("shape"):
        return None
    return [d.dim_value if d.dim_value > 0 else None for d in kind.shape.dim]


def _shape(
    info: ValueInfoProto, dims: list[int | None] | None, given: tuple[int, ...] | None
) -> tuple[int, ...]:
    """The shape of an input without the batch. Raises SpecError."""
    name = shown(info.name)
    if dims is not None and given is not None:
        if len(given) != len(dims) - 1:
            given = None
        elif has_channels_last(dims) and given[-1] != dims[-1]:
            given = (*given[1:], given[0])
    if given is None:
        own = dims[1:] if dims else []
        if dims is None or None in own:
            said = "x".join("?" if n is None else str(n) for n in own) or "no sizes"
            message = f"the file leaves open how large its input {name} is: {said}"
            front = [*own[2:], *own[:2]] if dims and has_channels_last(dims) else own
            like = "x".join("224" if n is None else str(n) for n in front) or "3x224x224"
            raise spec_error("missing-shape", message, help=(f"say it: --input {name}={like}",))
        given = tuple(n for n in own if n is not None)
    if prod(given) > MAX_ELEMENTS or len(given) > 8:
        raise spec_error("too-large", f"the input {name} is said to be {'x'.join(map(str, given))}")
    return given


def has_channels_last(dims: Sequence[int | None]) -> bool:
    """Whether an input's dimensions are those of pictures with their colours in the last place."""
    if len(dims) != 4 or dims[3] is None or dims[3] > 4:
        return False
    return all(n is None or n > 4 for n in dims[1:3])


def _noted(model: ModelProto) -> dict[str, tuple[int, ...]]:
    """The sizes of inputs that netspec noted in a file of its own."""
    for entry in model.metadata_props:
        if entry.key == "netspec.inputs" and len(entry.value) < 100_000:
            try:
                said = json.loads(entry.value)
                items = said.items() if isinstance(said, dict) else ()
                return {str(k): tuple(int(n) for n in v) for k, v in items if isinstance(v, list)}
            except (ValueError, TypeError, RecursionError):
                pass
    return {}


def _refused(info: ValueInfoProto, why: str) -> SpecError:
    return spec_error("wrong-type", f"the input {shown(info.name)} {why}")
