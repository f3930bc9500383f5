"""`params`, `macs`, `size` and `activations` in contracts, and the layers with most of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netspec.ir import Block, Instance, Layer, Node, Value
from netspec.ir.liveness import liveness, peak_activations
from netspec.ops import text
from netspec.semantic.scope import LayerReference, Names, Poison, Poisoned

MOST_SHOWN = 3
"""Most layers, or values, that a note on a metric names."""


class BlockMetrics:
    """The metrics of one block (poison: it has errors) and of its lines.

    `nodes` are all that the block has, `inner` the names inside each block that it uses. Each
    metric is computed once, however many contracts are about it.
    """

    def __init__(
        self, block: Block | Poison, nodes: Sequence[Node], inner: Mapping[Block, Names]
    ) -> None:
        self.block = None if isinstance(block, Poison) else block
        self.nodes = nodes
        self.inner = inner
        self._values: dict[tuple[str, str | None], int] = {}
        self._notes: dict[tuple[str, str | None], str] = {}
        self._blocks: dict[str, Block] = {}
        self._users: dict[Block | None, Mapping[Value, list[Node | None]]] = {}

    # --- values ----------------------------------------------------------------------------------

    def __call__(self, name: str, line: LayerReference | None) -> int:
        """The value of a metric. Raises Poisoned for a block with errors."""
        key = (name, line.name if line else None)
        if key not in self._values:
            self._values[key] = self._compute(name, line)
        return self._values[key]

    def _compute(self, name: str, line: LayerReference | None) -> int:
        if line is None and self.block is None:
            raise Poisoned
        if name == "activations":
            block = self._alone(line)
            # An input is in memory, though no layer runs.
            held = line.value.elements if line is not None and not line.nodes else 0
            return 4 * max(peak_activations(block), held)
        return sum(_value(name, node) for node in self._nodes(line))

    def _nodes(self, line: LayerReference | None) -> Sequence[Node]:
        if line is not None:
            return line.nodes
        return self.block.nodes if self.block is not None else ()

    def _alone(self, line: LayerReference | None) -> Block:
        """A line as a block of its own: inputs are what it takes, outputs those that are used."""
        if line is None:
            assert self.block is not None
            return self.block
        if line.name not in self._blocks:
            made = dict.fromkeys(v for n in line.nodes for v in n.outputs)
            taken = dict.fromkeys(v for n in line.nodes for v in n.inputs if v not in made)
            inside = set(line.nodes)
            users = self._users_in(line.within)
            outputs = tuple(
                v for v in made if v is line.value or not inside.issuperset(users.get(v, ()))
            )
            self._blocks[line.name] = Block(
                "module", line.name, "", tuple(taken), line.nodes, outputs, ("",) * len(outputs)
            )
        return self._blocks[line.name]

    def _users_in(self, block: Block | None) -> Mapping[Value, list[Node | None]]:
        """The nodes that use each value in a block, with None where the block returns it.

        `block` is None for the block whose contracts are checked.
        """
        if block not in self._users:
            nodes = self.nodes if block is None else block.nodes
            users: dict[Value, list[Node | None]] = {}
            for node in nodes:
                for value in node.inputs:
                    users.setdefault(value, []).append(node)
            whole = self.block if block is None else block
            for value in whole.outputs if whole is not None else ():
                users.setdefault(value, []).append(None)
            self._users[block] = users
        return self._users[block]

    # --- names inside instances ------------------------------------------------------------------

    def inside(self, line: LayerReference, name: str) -> LayerReference | None:
        """What bears this name inside the instance that a line is; None if there is none."""
        if not isinstance(line.head, Instance):
            return None
        block = line.head.block
        names = self.inner.get(block)
        found = names.find(name) if names is not None else None
        if found is None or isinstance(found, Poison):
            return None
        path = f"{line.name}.{name}"
        return LayerReference(
            path, found.results, found.value, found.nodes, found.span, found.head, block
        )

    def names_inside(self, line: LayerReference) -> list[str]:
        """The names that `inside` knows for a line."""
        return list(self.inner.get(line.head.block, ())) if isinstance(line.head, Instance) else []

    # --- the layers behind a metric --------------------------------------------------------------

    def note(self, name: str, line: LayerReference | None) -> str:
        """A note on where most of a metric comes from; empty where there is none."""
        if line is None and self.block is None:
            return ""
        key = (name, line.name if line else None)
        if key not in self._notes:
            self._notes[key] = self._note(name, line)
        return self._notes[key]

    def _note(self, name: str, line: LayerReference | None) -> str:
        subject = f"{name}({line.name})" if line else name
        if name == "activations":
            return self._at_peak(subject, line)
        total = self(name, line)
        if not total:
            return ""
        prefix = line.name.rpartition(".")[0] if line else ""
        parts = largest(name, self._nodes(line), prefix)
        if len(parts) == 1:
            path, _, node = parts[0]
            return _of_layer(name, path, node) if isinstance(node, Layer) else ""
        shown = [f"{path} {value:,} ({_share(value, total)})" for path, value, _ in parts]
        return f"most of {subject}: " + ", ".join(shown[:MOST_SHOWN])

    def _at_peak(self, subject: str, line: LayerReference | None) -> str:
        block = self._alone(line)
        if not block.layer_count:
            return ""
        prefix = line.name.rpartition(".")[0] if line else ""
        path, values = at_peak(block, f"{prefix}." if prefix else "")
        shown = [f"{name} {text(v.shape)} ({4 * v.elements:,})" for name, v in values]
        rest = f" and {len(shown) - MOST_SHOWN} more" if len(shown) > MOST_SHOWN else ""
        return f"{subject} peaks in {path}, with {', '.join(shown[:MOST_SHOWN])}{rest} alive"


def _value(name: str, node: Node) -> int:
    """A metric of one node, as a plain int without the expression that it came from."""
    if name == "macs":
        return int(node.macs)
    return int(node.params) * (4 if name == "size" else 1)


def largest(
    name: str, nodes: Sequence[Node], prefix: str = ""
) -> list[tuple[str, int, Node | None]]:
    """The lines with most of a metric, the largest first, with their paths.

    A line is one entry while it is less than half of the whole, else its parts stand for it: the
    layers of its chain, and what is inside an instance. The node is None for a line of several.
    """
    parts = _lines(name, nodes, f"{prefix}." if prefix else "")
    total = sum(value for _, value, _ in parts)
    found: list[tuple[str, int, Node | None]] = []
    while True:
        found += [(p, f, ns[0] if len(ns) == 1 else None) for p, f, ns in parts]
        found.sort(key=lambda part: -part[1])
        opened = next((part for part in parts if 2 * part[1] > total and _opens(part[2])), None)
        if opened is None:
            return found
        path, _, inner = opened
        found = [part for part in found if part[0] != path]
        if len(inner) > 1:
            before = path.rpartition(".")[0]
            before = f"{before}." if before else ""
            parts = [(before + n.name, _value(name, n), [n]) for n in inner]
        else:
            node = inner[0]
            assert isinstance(node, Instance)
            parts = _lines(name, node.block.nodes, f"{path}.")
        parts = [part for part in parts if part[1]]


def _opens(nodes: Sequence[Node]) -> bool:
    return len(nodes) > 1 or isinstance(nodes[0], Instance)


def _lines(name: str, nodes: Sequence[Node], prefix: str) -> list[tuple[str, int, list[Node]]]:
    """The lines of a block that have a share in a metric; a chain without a name is its layers."""
    lines: dict[str, list[Node]] = {}
    for node in nodes:
        if _value(name, node):
            lines.setdefault(node.line or node.name, []).append(node)
    return [
        # A line of one node is called as that node is in weight files.
        (
            prefix + (own[0].name if len(own) == 1 else line),
            sum(_value(name, n) for n in own),
            own,
        )
        for line, own in lines.items()
    ]


def _of_layer(name: str, path: str, layer: Layer) -> str:
    """How the metric of a single layer comes about."""
    if name == "macs":
        elements = layer.outputs[0].elements
        if not elements or layer.macs % elements:
            return ""
        each = int(layer.macs) // elements
        return (
            f"{path} makes {text(layer.outputs[0].shape)} results of {each:,} multiplications each"
        )
    tensors = [
        f"{tensor} {text(t.shape)}" + (f" ({t.size:,})" if len(t.shape) > 1 else "")
        for tensor, t in layer.tensors.items()
        if t.learnable
    ]
    return f"{path} has {' and '.join(tensors)}"


def _share(part: int, whole: int) -> str:
    percent = 100 * part / whole
    return f"{percent:.0f}%" if percent >= 0.5 else "less than 1%"


def at_peak(block: Block, prefix: str = "") -> tuple[str, list[tuple[str, Value]]]:
    """The layer during which most is alive, by its path, and what is, the largest first.

    For a block that has layers.
    """
    live, use = liveness(block), liveness(block).alone
    alive: list[tuple[str, Value]] = []
    # Values go by the names that they have outermost.
    outer: dict[Value, str] = {}
    while True:
        peak = live.peak(use)
        moment = next(m for m in live.moments(use) if m.alive == peak)
        # Of a chain, each layer makes a value, and all but the last go by the layer's name.
        makers = {n.outputs[0]: n.name for n in live.nodes if isinstance(n, Layer)}
        names = {v: outer.get(v, prefix + makers.get(v, v.name)) for v in moment.live}
        alive += [(names[v], v) for v in moment.live if v not in moment.passed]
        node = moment.node
        if isinstance(node, Layer) or moment.inside is None:
            alive.sort(key=lambda item: -item[1].elements)
            return prefix + node.name, alive
        outer = {
            inner: names[seen]
            for inner, value in zip(node.block.inputs, node.inputs, strict=True)
            if (seen := live.seen(value, use)) in names
        }
        prefix += f"{node.name}."
        live, use = liveness(node.block), moment.inside
