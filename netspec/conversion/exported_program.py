"""An exported program of PyTorch, run call by call with PyTorch's own operators.

`torch.export.load` may unpickle what a file holds; here only operators run that the importer knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netspec.importers.torch.exported import Exported, OperatorCall, Other, Ref
from netspec.importers.torch.folding import FOLDS
from netspec.importers.torch.operators import RULES


def results(program: Exported, arrays: Sequence[Any]) -> list[Any]:
    """The outputs of a program as arrays, for its inputs as arrays.

    Raises ValueError for a call of an operator that the importer does not know.
    """
    import torch

    found = {name: constant.load() for name, (_, constant) in program.stored.items()}
    found |= dict(zip(program.inputs, arrays, strict=True))
    tensors: dict[str, Any] = {}
    for name, array in found.items():
        kind = program.types[name].dtype if name in program.types else str(array.dtype)
        tensors[name] = torch.from_numpy(array).to(getattr(torch, kind))
    with torch.inference_mode():
        for call in _needed(program):
            made = _run(call, tensors)
            several = made if isinstance(made, list | tuple) else [made]
            tensors.update(zip(call.results, several, strict=False))
        return [
            t.float().numpy() if t.is_floating_point() else t.numpy()
            for t in (tensors[name] for _, name in program.outputs)
        ]


def _needed(program: Exported) -> list[OperatorCall]:
    """The calls that outputs depend on, or that write to a tensor in place."""
    wanted = {name for _, name in program.outputs}
    kept = []
    for call in reversed(program.calls):
        in_place = call.operator.endswith("_")
        if in_place or not wanted.isdisjoint(call.results):
            kept.append(call)
            wanted.update(ref.name for value in call.arguments.values() for ref in _refs(value))
    return kept[::-1]


def _refs(value: Any) -> list[Ref]:
    if isinstance(value, Ref):
        return [value]
    return [ref for item in value for ref in _refs(item)] if isinstance(value, list) else []


def _run(call: OperatorCall, tensors: Mapping[str, Any]) -> Any:
    import torch

    package, _, name = call.operator.partition(".")
    plain = name.removesuffix("_")
    if package != "aten" or not (plain in RULES or plain in FOLDS):
        raise ValueError(f"{call.operator} is none of the operators that are known")
    operator = getattr(getattr(torch.ops.aten, name), call.overload or "default")
    given = {
        argument.name: _value(argument.name, call.arguments[argument.name], tensors)
        for argument in operator._schema.arguments
        if argument.name in call.arguments and not isinstance(call.arguments[argument.name], Other)
    }
    return operator(**given)


def _value(name: str, value: Any, tensors: Mapping[str, Any]) -> Any:
    import torch

    if isinstance(value, Ref):
        return tensors[value.name]
    if isinstance(value, list):
        return [_value("", v, tensors) for v in value]
    return getattr(torch, value) if name == "dtype" and isinstance(value, str) else value
