"""An exported program: calls of operators one after the other, tensors by their names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from netspec.importers.tensors.program import ProgramConstant
from netspec.lazy_dataclasses import dataclass, field

MAX_DIMENSIONS = 8
MAX_ELEMENTS = 1 << 40


class ModelError(Exception):
    """What is wrong with a model; `help` says what to do about it."""

    def __init__(self, message: str, *help: str, code: str = "unreadable-file") -> None:
        super().__init__(message)
        self.help = help
        self.code = code


class Ref(NamedTuple):
    """An argument that is a tensor, by its name."""

    name: str


class Other(NamedTuple):
    """An argument of a kind that no operator here takes, such as a graph or a custom object."""

    kind: str


@dataclass
class TensorType:
    """The shape of a tensor, that of the example, and its type such as `float32`.

    `open` are the dimensions that the program leaves open.
    """

    shape: tuple[int, ...]
    dtype: str
    open: tuple[int, ...] = ()


@dataclass(eq=False)
class OperatorCall:
    """One call: `operator` is such as `aten.conv2d`, its arguments are by the schema's names.

    `modules` are the modules that it is made in, the outermost first: paths and classes.
    """

    operator: str
    overload: str
    arguments: Mapping[str, Any]
    results: list[str]
    modules: tuple[tuple[str, str], ...] = ()


@dataclass
class Exported:
    """A program. `stored` are names in `state_dict` and numbers of the tensors that have such.

    `outputs` are results with their keys, where the module returns a dict, else "".
    """

    name: str
    path: Path
    types: dict[str, TensorType]
    inputs: list[str] = field(default_factory=list)
    stored: dict[str, tuple[str, ProgramConstant]] = field(default_factory=dict)
    calls: list[OperatorCall] = field(default_factory=list)
    outputs: list[tuple[str, str]] = field(default_factory=list)


def named_operator(target: str) -> tuple[str, str]:
    """The operator and the overload of a target: `aten.conv2d.default`, with `torch.ops.` or not.

    What is no overload of an operator has none.
    """
    parts = target.removeprefix("torch.ops.").split(".")
    if len(parts) == 3:
        return f"{parts[0]}.{parts[1]}", parts[2]
    return ".".join(parts), ""


def output_keys(tree: Any, count: int) -> list[str]:
    """The keys of results that a module returns as a dict, from the JSON of its tree; else "".

    `tree` is as `torch.utils._pytree.treespec_dumps` writes it.
    """
    none = [""] * count
    try:
        _, spec = json.loads(tree)
        children = spec["children_spec"]
        if not str(spec["type"]).endswith(("dict", "OrderedDict")):
            return none
        context = spec["context"]
        keys = json.loads(context) if isinstance(context, str) else context
        leaves = all(child["type"] is None for child in children)
    except (ValueError, TypeError, LookupError, RecursionError):
        return none
    plain = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
    return keys if plain and leaves and len(keys) == count else none
