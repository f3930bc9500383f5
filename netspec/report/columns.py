"""The columns of a table: what each shows of a row, and of the whole net.

Each metric is defined here once, for every format; docs/figures.md says what they mean.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from netspec.ir import Block, FlatLayer, Layer, Net, Value
from netspec.ir.liveness import peak_activations
from netspec.metrics.size import activation_bytes, sizes
from netspec.report import number_format
from netspec.report.rows import Row, pair

if TYPE_CHECKING:  # at run time only where a column needs them: a plain table starts fast
    from netspec.metrics.compression import Compressed, Compression
    from netspec.metrics.counting import Convention
    from netspec.metrics.receptive_field import EffectiveField
    from netspec.metrics.training_memory import TrainingMemory, TrainingPlan

FLOAT_BYTES = 4


class NetView:
    """A net with the metrics that are computed when a column asks for them."""

    def __init__(
        self,
        net: Net,
        convention: Convention | None = None,
        compression: Compression | None = None,
        training: TrainingPlan | None = None,
        stored: Mapping[str, int] | None = None,
    ) -> None:
        self.net = net
        self.stored = stored
        """Bytes of each tensor in a file of weights, by its name, and of the file by ``."""
        self.convention = convention
        self.compression = compression
        self.training = training
        self._uses: dict[Block, Counter[Value]] = {}

    @cached_property
    def _place(self) -> Mapping[str, int]:
        return {layer.path: i for i, layer in enumerate(self.net.layers)}

    @cached_property
    def _fields(self) -> tuple[EffectiveField | None, ...]:
        from netspec.metrics.receptive_field import fields

        return fields(self.net)

    @cached_property
    def _counts(self) -> tuple[int, ...]:
        if self.convention is None:
            return tuple(int(layer.macs) for layer in self.net.layers)
        from netspec.metrics.counting import counts

        return counts(self.net, self.convention)

    @cached_property
    def _used(self) -> frozenset[Value]:
        used = {v for layer in self.net.layers for v in layer.inputs}
        return frozenset(used.union(self.net.flat_outputs))

    def uses(self, block: Block) -> Counter[Value]:
        """How often each value of a block is taken by its nodes, or returned."""
        if block not in self._uses:
            taken = Counter(v for node in block.nodes for v in node.inputs)
            taken.update(block.outputs)
            self._uses[block] = taken
        return self._uses[block]

    @cached_property
    def compressed(self) -> tuple[Compressed, ...]:
        """Each layer after pruning and quantization."""
        from netspec.metrics.compression import Compression

        plan = self.compression or Compression()
        return tuple(plan.of(self.net, layer) for layer in self.net.layers)

    def field(self, row: Row) -> EffectiveField | None:
        """The receptive field of the row's first result."""
        source = row.source
        return None if source is None else self._fields[self._place[source.path]]

    def count(self, row: Row | None = None) -> int:
        """Operations under the convention; of the whole net without a row."""
        if row is None:
            return sum(self._counts)
        return sum(self._counts[self._place[layer.path]] for layer in row.layers)

    def parts(self, row: Row | None = None) -> tuple[Compressed, ...]:
        """The compressed layers of a row, or of the whole net."""
        if row is None:
            return self.compressed
        return tuple(self.compressed[self._place[layer.path]] for layer in row.layers)

    def compressed_size(self, row: Row | None = None) -> int:
        """Bytes of the compressed layers of a row, or of the whole net."""
        from netspec.metrics.compression import size

        return size(self.parts(row))

    def stored_size(self, row: Row | None = None) -> int:
        """Bytes in the file of weights: of the row's tensors, or all."""
        found = self.stored or {}
        if row is None:
            return found.get("", 0)
        names = (f"{f.path}.{name}" for f in row.layers for name in f.tensors)
        return sum(found.get(name, 0) for name in names)

    @cached_property
    def memory(self) -> TrainingMemory:
        """What training takes as planned; without a plan, with a batch of one."""
        from netspec.metrics.training_memory import TrainingPlan, training_memory

        return training_memory(self.net, self.training or TrainingPlan())

    def saved(self, row: Row) -> int:
        """Bytes that the backward pass needs of what the row's layers make."""
        return sum(self.memory.saved[layer.path] for layer in row.layers)

    def made(self, layers: tuple[FlatLayer, ...]) -> int:
        """Bytes of all results that layers make, those that nothing uses left out."""
        return FLOAT_BYTES * sum(
            int(v.elements)
            for layer in layers
            for i, v in enumerate(layer.outputs)
            if i == 0 or v in self._used
        )

    def moved(self, layers: tuple[FlatLayer, ...]) -> int:
        """Bytes that layers read and write, each by itself: inputs, results and parameters."""
        read = sum(
            int(layer.layer.learnable) + sum(int(v.elements) for v in dict.fromkeys(layer.inputs))
            for layer in layers
        )
        return FLOAT_BYTES * read + self.made(layers)

    def intensity(self, layers: tuple[FlatLayer, ...]) -> float:
        """MACs for each byte moved."""
        moved = self.moved(layers)
        return sum(int(layer.macs) for layer in layers) / moved if moved else 0.0


class FormattedCell(NamedTuple):
    """A cell that is written in another way than its column."""

    value: Any
    show: Callable[[Any], str]


class Column(NamedTuple):
    """One metric of rows: its heading, how to get it, how to write it.

    `value` gives None where a row has none of it; `total` is the same for the net. A column that
    the net can't be summed up in has no total; one whose cells do not come from rows, no value.
    """

    key: str
    heading: str
    description: str
    value: Callable[[NetView, Row], Any] | None = None
    show: Callable[[Any], str] = str
    total: Callable[[NetView], Any] | None = None
    left: bool = False
    zero: bool = False
    """Whether 0 is worth writing."""
    joined: bool = False
    """Whether it belongs to the column before, and is not separated from it."""

    def of(self, view: NetView, row: Row) -> Any:
        """The metric of a row."""
        return None if self.value is None else self.value(view, row)

    def text(self, value: Any) -> str:
        """A cell as it is written; empty for None, and for 0 unless `zero`."""
        if isinstance(value, FormattedCell):
            return value.show(value.value)
        return "" if value is None or (not value and not self.zero) else self.show(value)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _alive(view: NetView, row: Row) -> int:
    """Most bytes alive while the row's layers run: the language's `activations(x)`.

    The row as a block of its own: it takes what its layers take, and returns what is used.
    """
    made = dict.fromkeys(v for node in row.nodes for v in node.outputs)
    taken = Counter(v for node in row.nodes for v in node.inputs)
    uses, value = view.uses(row.block), row.nodes[-1].outputs[0]
    outputs = tuple(v for v in made if v is value or uses[v] > taken[v])
    inputs = tuple(v for v in taken if v not in made)
    if len(row.nodes) == 1 and isinstance(row.nodes[0], Layer):  # most rows; all is alive at once
        return FLOAT_BYTES * sum(v.elements for v in (*inputs, *outputs))
    names = ("",) * len(outputs)
    alone = Block("module", row.name, "", inputs, row.nodes, outputs, names)
    return FLOAT_BYTES * int(peak_activations(alone))


def _field_size(view: NetView, row: Row) -> str | None:
    found = view.field(row)
    if found is None:
        return None
    return "all" if found.size is None else number_format.shape(found.size)


def _field_stride(view: NetView, row: Row) -> str | None:
    found = view.field(row)
    return None if found is None or found.stride is None else pair(found.stride)


def _one(values: set[Any]) -> Any:
    """The only value of a set; None where there are several."""
    return values.pop() if len(values) == 1 else None


def _left_out(parts: tuple[Compressed, ...]) -> float | None:
    weights = sum(p.weights for p in parts)
    return 1 - sum(p.kept_weights for p in parts) / weights if weights else None


COLUMNS: Mapping[str, Column] = {
    c.key: c
    for c in (
        Column(
            "layer",
            "layer",
            "its path, as in weight names",
            lambda v, r: r.name,
            left=True,
            total=lambda v: "total",
        ),
        Column(
            "op", "type", "the op, or the module with its arguments", lambda v, r: r.op, left=True
        ),
        Column(
            "kernel",
            "kernel/stride",
            "window, stride, dilation and groups, where not 1",
            lambda v, r: r.kernel or None,
            left=True,
        ),
        Column(
            "input",
            "input",
            "shape of the first input",
            lambda v, r: r.input,
            number_format.shape,
            left=True,
        ),
        Column(
            "output",
            "output",
            "shape of the first result",
            lambda v, r: r.output,
            number_format.shape,
            left=True,
        ),
        Column(
            "params",
            "params",
            "learnable parameters",
            lambda v, r: r.params,
            number_format.count,
            lambda v: int(v.net.params),
        ),
        Column(
            "params_share",
            "%",
            "params, of the net's",
            lambda v, r: _share(r.params, int(v.net.params)),
            number_format.percent,
        ),
        Column(
            "shares",
            "weights",
            "whose weights it has, where these are not its own",
            lambda v, r: r.shares and f"shares {r.shares}",
            left=True,
        ),
        Column(
            "macs",
            "MACs",
            "multiplications of convolutions and linear layers, batch 1",
            lambda v, r: r.macs,
            number_format.millions,
            lambda v: int(v.net.macs),
        ),
        Column(
            "macs_share",
            "%",
            "macs, of the net's",
            lambda v, r: _share(r.macs, int(v.net.macs)),
            number_format.percent,
        ),
        Column(
            "count",
            "count",
            "operations as --count says",
            lambda v, r: v.count(r),
            number_format.millions,
            lambda v: v.count(),
        ),
        Column(
            "count_share",
            "%",
            "count, of the net's",
            lambda v, r: _share(v.count(r), v.count()),
            number_format.percent,
        ),
        Column(
            "activations",
            "activations",
            "most bytes alive while it runs: inputs and results, float32",
            _alive,
            number_format.megabytes,
            lambda v: activation_bytes(v.net),
        ),
        Column(
            "results",
            "results",
            "bytes of all that its layers make, float32",
            lambda v, r: v.made(r.layers),
            number_format.megabytes,
            lambda v: v.made(v.net.layers),
        ),
        Column(
            "saved",
            "saved",
            "bytes that are kept for the backward pass, --batch samples, float32 (--training)",
            lambda v, r: v.saved(r),
            number_format.megabytes,
            lambda v: v.memory.activations,
        ),
        Column(
            "size",
            "size",
            "bytes of parameters, float32",
            lambda v, r: FLOAT_BYTES * r.params,
            number_format.megabytes,
            lambda v: sizes(v.net)["float32"],
        ),
        Column(
            "intensity",
            "MACs/byte",
            "MACs for each byte read or written, float32",
            lambda v, r: v.intensity(r.layers),
            lambda n: f"{n:,.1f}",
            lambda v: v.intensity(v.net.layers),
        ),
        Column(
            "field",
            "field",
            "receptive field: the part of the net's input that a place of the result depends on",
            _field_size,
        ),
        Column(
            "stride",
            "stride",
            "effective stride: how far apart the fields of neighbours are",
            _field_stride,
        ),
        Column(
            "sparsity",
            "zero %",
            "share of weights left out, by --sparsity",
            lambda v, r: _left_out(v.parts(r)),
            lambda share: f"{100 * share:.1f}",
            lambda v: _left_out(v.parts()),
        ),
        Column(
            "bits",
            "bits",
            "bits of a weight, by --bits",
            lambda v, r: _one({p.bits for p in v.parts(r) if p.weights}),
        ),
        Column(
            "kept",
            "kept",
            "parameters kept after pruning",
            lambda v, r: sum(p.kept for p in v.parts(r)),
            number_format.count,
            lambda v: sum(p.kept for p in v.parts()),
        ),
        Column(
            "compressed",
            "compressed",
            "bytes after pruning and quantization",
            lambda v, r: v.compressed_size(r),
            number_format.megabytes,
            lambda v: v.compressed_size(),
        ),
        Column(
            "stored",
            "in file",
            "bytes in a file of weights (--weights)",
            lambda v, r: v.stored_size(r),
            number_format.megabytes,
            lambda v: v.stored_size(),
        ),
    )
}
"""Every column by its key; in CSV and `--columns` these are their names, else their headings."""


def usual(view: NetView) -> tuple[str, ...]:
    """The columns that a table has by default."""
    operations = "macs" if view.convention is None else "count"
    shown = ["layer", "op", "kernel", "output", "params", "params_share"]
    memory = "activations" if view.training is None else "saved"
    shown += [operations, f"{operations}_share", memory]
    if any(layer.shares for layer in view.net.layers):
        shown.insert(6, "shares")
    if view.compression is not None:
        shown[6:6] = ["sparsity", "bits", "kept", "compressed"]
    if view.stored is not None:
        shown.append("stored")
    return tuple(shown)
