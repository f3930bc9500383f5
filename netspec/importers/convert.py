"""netspec convert: a file of another tool as the text of a spec, and what was found there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from netspec.diagnostics import Diagnostics
from netspec.importers.imported import ImportedNet
from netspec.importers.spec_tree.spec_text import net_of_tree, spec_text
from netspec.ir import Net
from netspec.lazy_dataclasses import dataclass, field
from netspec.syntax.ast import Definition, For, If, Statement

if TYPE_CHECKING:
    from netspec.importers.model_files import StoredTensor


@dataclass(frozen=True)
class OriginalComparison:
    """How far the outputs of a spec are from those of the file that it was made of.

    `backend` ran the spec, and `original` is the tool that ran the file. `largest` is the largest
    absolute difference of all outputs, `relative` the largest of any over the largest magnitude of
    its output. `agrees` says whether rounding explains that.
    """

    backend: str
    original: str
    largest: float
    relative: float
    agrees: bool


@dataclass(frozen=True)
class ConvertedSpec:
    """The text of a spec, the name of its net, and what was found in the file.

    `notes` say what the spec leaves out. `modules`, `loops` and `layers` are how many the spec has,
    `nodes` how many layers or operations the file, and `left_out` how many of those the spec has no
    layer of, by what they are: `{"unused node": 3}`. `check` is how far its results are from those
    of the file, where that was asked for.
    """

    text: str
    name: str
    notes: tuple[str, ...]
    modules: int
    loops: int
    layers: int
    nodes: int
    left_out: Mapping[str, int]
    stored: Mapping[str, StoredTensor] = field(default_factory=dict)
    check: OriginalComparison | None = None

    @property
    def weights(self) -> dict[str, Any]:
        """The arrays that the file has beside the net, by the spec's names; often none.

        Raises SpecError where they can't be read.
        """
        return {name: tensor.read() for name, tensor in self.stored.items()}


def converted(
    imported: ImportedNet, settings: Mapping[str, Any], diagnostics: Diagnostics
) -> tuple[ConvertedSpec, Net] | None:
    """The spec of an imported net, and its net; None, and diagnostics, where it has errors.

    `settings` are new defaults of the net's parameters.
    """
    net = net_of_tree(imported.file, settings, diagnostics)
    if net is None or diagnostics.failed:
        return None
    text = spec_text(imported.file, net, settings, {}, imported.notes, None)
    return converted_spec(imported, net, text, imported.notes), net


def converted_spec(
    imported: ImportedNet, net: Net, text: str, notes: Iterable[str]
) -> ConvertedSpec:
    """The text with the counts of what is in it, and of what was in the file."""
    definitions = [item for item in imported.file.items if isinstance(item, Definition)]
    statements = [s for d in definitions for s in _all(d.body)]
    return ConvertedSpec(
        text,
        net.name,
        tuple(notes),
        modules=sum(d.kind == "module" for d in definitions),
        loops=sum(isinstance(s, For) for s in statements),
        layers=len(net.layers),
        nodes=imported.found.nodes,
        left_out={what: n for what, n in imported.found.left_out.items() if n},
    )


def _all(body: Iterable[Statement]) -> Iterator[Statement]:
    """Statements, and those inside them."""
    for statement in body:
        yield statement
        if isinstance(statement, For):
            yield from _all(statement.body)
        elif isinstance(statement, If):
            for _, inner in statement.branches:
                yield from _all(inner)
            yield from _all(statement.otherwise)
