"""netspec from Python: load a spec, compile it, build a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netspec.diagnostics import SpecError, spec_error
from netspec.driver import check_spec
from netspec.ir import FlatLayer, Net
from netspec.lazy_dataclasses import dataclass
from netspec.ops import Tensor

if TYPE_CHECKING:
    from netspec.metrics.compression import LayerRule
    from netspec.report.columns import NetView
    from netspec.report.table import Grid

MOST_SHOWN = 300
"""Most lines of a net that `print` and a notebook show."""
Rules = float | Mapping[str, float]
"""A number for all layers, or numbers by pattern of their paths."""


@dataclass(frozen=True, repr=False)
class LoadedNet:
    """A checked network with its tables, called `netspec.Net`.

    It prints itself, and shows itself in a notebook, as a table of its lines. `ir` is the network
    as passes and backends take it.
    """

    ir: Net

    @property
    def name(self) -> str:
        """The name that the spec gives the net."""
        return self.ir.name

    @property
    def doc(self) -> str:
        """The comment above the net, without its `#`."""
        return self.ir.doc

    @property
    def params(self) -> int:
        """Learnable parameters."""
        return int(self.ir.params)

    @property
    def macs(self) -> int:
        """Multiplications of convolutions and linear layers, for batch 1."""
        return int(self.ir.macs)

    @property
    def layers(self) -> tuple[FlatLayer, ...]:
        """Every layer, in order of execution."""
        return self.ir.layers

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """Every tensor, weights and statistics, by its name in weight files."""
        return self.ir.tensors

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
        """A row for each layer: a dict of its metrics, as docs/figures.md defines them.

        `depth` folds modules (1: the lines of the net), `columns` and `sort` are names of columns,
        `count` another tool's counting. `sparsity` and `bits` are a number for all weights, or
        numbers by pattern of layers (`{"fire*.expand3x3": 0.67}`; the last that fits counts).
        Raises SpecError for names that there are not.
        """
        from netspec.report.formats import python_value
        from netspec.report.options import column
        from netspec.report.table import grid

        view = _view(self.ir, count, sparsity, bits)
        keys = [column(name) for name in columns] if columns is not None else None
        found = grid(view, depth, keys, column(sort) if sort else None)
        names = [c.key for c in found.columns]
        return [dict(zip(names, map(python_value, row), strict=True)) for row in found.cells]

    def to_pandas(self, *args: Any, **options: Any) -> Any:
        """The rows of `table` as a pandas.DataFrame. Raises SpecError without pandas."""
        try:
            import pandas  # type: ignore[import-untyped,import-not-found,unused-ignore]
        except ImportError:
            message = "to_pandas needs the package pandas"
            raise spec_error("missing-package", message) from None
        return pandas.DataFrame(self.table(*args, **options))

    def __repr__(self) -> str:
        """The net in a line: its name, shapes and parameters."""
        from netspec.report.table import shapes

        return f"<netspec.Net {self.name}: {shapes(self.ir)}, {self.params:,} parameters>"

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

        few = len(self.ir.body.nodes) <= MOST_SHOWN
        return grid(NetView(self.ir), 1 if few else 0)


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


def load(spec: str | Path, /, **parameters: Any) -> LoadedNet:
    """A checked net, from a path, `-` for standard input, or the name of a bundled spec.

    `"family.net:resnet34"` is one of the nets of a file. Keyword arguments set the net's
    parameters. Raises SpecError with all that is wrong.
    """
    return LoadedNet(check_spec(str(spec), parameters).sound())


def _ir(net: LoadedNet | Net) -> Net:
    return net.ir if isinstance(net, LoadedNet) else net


def compile(net: LoadedNet | Net, backend: str = "torch", *, probabilities: bool = False) -> str:
    """The source of a Python module with the net's model. Raises SpecError.

    A PyTorch model gives logits when called, and the spec's outputs by `predict`; with
    `probabilities`, the spec's outputs by both.
    """
    from netspec.codegen.backend import emit, get

    return emit(_ir(net), get(backend), probabilities)


def format_text(text: str) -> str:
    """The text of a spec in canonical layout, its comments kept. Raises SpecError."""
    from netspec.syntax.formatter import format_text as format_

    return format_(text)


def build(
    net: LoadedNet | Net,
    backend: str = "numpy",
    weights: str | Path | Mapping[str, Any] | None = None,
    *,
    probabilities: bool = False,
) -> Any:
    """The net's model, ready to call on float32 inputs of shape (N, C, H, W).

    A PyTorch model gives logits when called, and the spec's outputs by `predict`; with
    `probabilities`, the spec's outputs by both. A NumPy model gives the spec's outputs.
    `weights` are a `.npz` or `.safetensors` file, or arrays by name; without, the model is freshly
    initialized. Raises SpecError where the weights are not those of the net.
    """
    from netspec.codegen.backend import get, load_model

    net, chosen = _ir(net), get(backend)
    model = load_model(net, chosen, probabilities)
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


__all__ = ["LoadedNet", "SpecError", "build", "compile", "format_text", "load"]
