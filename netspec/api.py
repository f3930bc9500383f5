"""netspec from Python: load a spec, compile it, build a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netspec.diagnostics import SpecError, spec_error
from netspec.driver import check, find
from netspec.ir import Net as CheckedNet

if TYPE_CHECKING:
    from netspec.metrics.compression import LayerRule
    from netspec.report.columns import NetView
    from netspec.report.table import Grid

MOST_SHOWN = 300
"""Most lines of a net that a notebook shows."""
Rules = float | Mapping[str, float]
"""A number for all layers, or numbers by pattern of their paths."""


class Net(CheckedNet):
    """A checked network, with its tables. Printed or in a notebook, it shows itself as one."""

    def table(
        self,
        depth: int | None = None,
        columns: Sequence[str] | None = None,
        sort: str | None = None,
        *,
        count: str = "netspec",
        sparsity: Rules | None = None,
        bits: Rules | None = None,
    ) -> list[dict[str, Any]]:
        """A row for each layer: a dict of its figures, as docs/figures.md defines them.

        `depth` folds modules (1: the lines of the net), `columns` and `sort` are names of columns,
        `count` another tool's counting. `sparsity` and `bits` are a number for all weights, or
        numbers by pattern of layers (`{"fire*.expand3x3": 0.67}`; the last that fits counts).
        Raises SpecError for names that there are not.
        """
        from netspec.report.formats import bare
        from netspec.report.options import column
        from netspec.report.table import grid

        view = _view(self, count, sparsity, bits)
        keys = [column(name) for name in columns] if columns is not None else None
        found = grid(view, depth, keys, column(sort) if sort else None)
        names = [c.key for c in found.columns]
        return [dict(zip(names, map(bare, row), strict=True)) for row in found.cells]

    def to_pandas(self, *args: Any, **options: Any) -> Any:
        """The rows of `table` as a pandas.DataFrame. Raises SpecError without pandas."""
        try:
            import pandas  # type: ignore[import-untyped,import-not-found,unused-ignore]
        except ImportError:
            message = "to_pandas needs the package pandas"
            raise spec_error("missing-package", message) from None
        return pandas.DataFrame(self.table(*args, **options))

    def __str__(self) -> str:
        """The table of the net's lines, as `print(net)` shows it."""
        from netspec.report.formats import text

        return text(self._lines()).rstrip("\n")

    def _repr_html_(self) -> str:
        """The table of the net's lines, for notebooks."""
        from netspec.report.html import html_table

        return html_table(self._lines())

    def _lines(self) -> Grid:
        from netspec.report.columns import NetView
        from netspec.report.table import grid

        few = len(self.body.nodes) <= MOST_SHOWN
        return grid(NetView(self), 1 if few else 0)


def _view(net: Net, count: str, sparsity: Rules | None, bits: Rules | None) -> NetView:
    from netspec.report.columns import NetView
    from netspec.report.options import check_patterns, compression, convention

    plan = compression(_rules(sparsity), _rules(bits))
    if plan is not None:
        check_patterns(plan, [net])
    return NetView(net, convention(count), plan)


def _rules(given: Rules | None) -> list[LayerRule]:
    from netspec.metrics.compression import LayerRule

    if given is None:
        return []
    if not isinstance(given, Mapping):
        given = {"*": given}
    # What a number reads like, not what its binary digits come to.
    return [LayerRule(pattern, Fraction(str(number))) for pattern, number in given.items()]


def load(spec: str | Path, /, **parameters: Any) -> Net:
    """A checked net, from a path, `-` for standard input, or the name of a bundled spec.

    Keyword arguments set the net's parameters. Raises SpecError with all that is wrong.
    """
    net = check(*find(str(spec)), parameters).sound()
    return Net(**{field.name: getattr(net, field.name) for field in fields(net)})


def compile(net: CheckedNet, backend: str = "torch") -> str:
    """The source of a Python module with the net's model. Raises SpecError."""
    from netspec.codegen.backend import emit, get

    return emit(net, get(backend))


def format_text(text: str) -> str:
    """The text of a spec in canonical layout, its comments kept. Raises SpecError."""
    from netspec.syntax.formatter import format_text as format_

    return format_(text)


def build(
    net: CheckedNet, backend: str = "numpy", weights: str | Path | Mapping[str, Any] | None = None
) -> Any:
    """The net's model, ready to call on float32 inputs of shape (N, C, H, W).

    `weights` are a `.npz` or `.safetensors` file, or arrays by name; without, the model is freshly
    initialized. Raises SpecError where the weights are not those of the net.
    """
    from netspec.codegen.backend import get, load_model

    chosen = get(backend)
    model = load_model(net, chosen)
    if weights is not None:
        from netspec.weights import check as check_weights
        from netspec.weights import read

        source = "the given weights"
        arrays = weights
        if not isinstance(arrays, Mapping):
            source = str(arrays)
            arrays = read(Path(arrays))
        chosen.set_weights(model, check_weights(arrays, net.tensors, source, net.name))
    return model


__all__ = ["Net", "SpecError", "build", "compile", "format_text", "load"]
