"""Files that hold a whole model of another tool, its weights inside, read as specs.

Each importer of such a file has a function `read(path, shapes, diagnostics)`, which gives an
`ImportedNet`; the origins of its nodes are `StoredTensor`s. `shapes` are those of inputs by name,
without the batch, "" for any. Its places are in a listing of the model, one line a node.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from netspec.diagnostics import Diagnostics, SpecError
from netspec.importers.shape_options import input_shapes
from netspec.syntax.model_source import ModelSource, ModuleSource

if TYPE_CHECKING:
    from netspec.importers.imported import ImportedNet
    from netspec.ir import Net


class StoredTensor(Protocol):
    """A tensor in a model's file: the origin that its importer gives to a tensor of a node."""

    @property
    def path(self) -> Path:
        """The model's file."""

    def read(self) -> Any:
        """Its numbers as an array of the spec's tensor: float32, its order. Raises SpecError."""


def read(
    source: ModelSource, given: Mapping[str, Any], diagnostics: Diagnostics
) -> tuple[ImportedNet | None, dict[str, Any]]:
    """The tree of a model, None where it can't be expressed, and the settings that are left."""
    shapes, left = input_shapes(given, diagnostics)
    reader = import_module(f"netspec.importers.{source.importer}")
    imported: ImportedNet | None
    if isinstance(source, ModuleSource):
        imported = reader.read_module(source, shapes, diagnostics)
    else:
        imported = reader.read(source.path, shapes, diagnostics)
    return imported, left


def origins(imported: ImportedNet, net: Net) -> dict[str, StoredTensor]:
    """Where each tensor of the checked net is stored."""
    from netspec.importers.imported import tensor_origins

    return {f"{ly.weights}.{name}": origin for ly, name, origin in tensor_origins(imported, net)}


def net_of(path: Path) -> Net:
    """The checked net of a model's file, with its origins. Raises SpecError."""
    from netspec.importers.spec_tree.spec_text import net_of_tree
    from netspec.lazy_dataclasses import replace
    from netspec.util.recursion import deep_recursion

    diagnostics = Diagnostics()
    with deep_recursion():
        imported, _ = read(ModelSource(path), {}, diagnostics)
        net = net_of_tree(imported.file, {}, diagnostics) if imported is not None else None
    diagnostics.raise_if_failed()
    if imported is None or net is None:
        raise SpecError(diagnostics.sorted())
    return replace(net, origins=origins(imported, net))
