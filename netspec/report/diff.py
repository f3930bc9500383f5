"""What differs between two nets, layer by layer.

Layers are paired by the names that people gave them, then in sequence: between two pairs, layers
that are alike come together, then those of one op. So a layer put in between is one addition,
though all later ones that have no name are numbered anew.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Container, Hashable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from netspec.ir import FlatLayer, Net, Preprocessing, Value
from netspec.metrics.size import activation_bytes, sizes
from netspec.report import number_format
from netspec.report.json_output import settings
from netspec.report.rows import describe

MAX_CELLS = 4_000_000
"""Pairs of layers that are compared in search of the longest common sequence."""

Kind = Literal["same", "changed", "added", "removed"]
Pairs = list[tuple[int, int]]


class Change(NamedTuple):
    """A layer of both nets, or of one.

    `what` are the attributes and metrics that differ, before and after.
    """

    kind: Kind
    before: FlatLayer | None
    after: FlatLayer | None
    what: Mapping[str, tuple[Any, Any]]

    @property
    def shape_only(self) -> bool:
        """Whether only the shapes of its inputs and output have changed, and its MACs."""
        passed_on = {"output", "macs", *(name for name in self.what if name.startswith("input"))}
        return self.kind == "changed" and not self.what.keys() - passed_on


class NetDiff(NamedTuple):
    """Two nets, their layers in pairs, and what else differs: inputs, outputs, preprocessing."""

    before: Net
    after: Net
    changes: tuple[Change, ...]
    ends: Mapping[str, tuple[str, str]]

    @property
    def empty(self) -> bool:
        """Whether nothing differs."""
        return not self.ends and all(c.kind == "same" for c in self.changes)

    def data(self) -> dict[str, Any]:
        """The difference as plain data, as `netspec diff --format json` prints it."""
        return data(self)

    def __str__(self) -> str:
        """The difference as `netspec diff` prints it."""
        return text(self).rstrip("\n")


def difference(before: Net, after: Net) -> NetDiff:
    """The differences of two nets; their names and parameters are not compared."""
    old, new = before.layers, after.layers
    pairs = align(old, new)
    partner = dict(pairs)
    paired = set(partner.values())
    sources = _sources(before), _sources(after)
    changes: list[Change] = []
    at = 0
    for i, layer in enumerate(old):
        k = partner.get(i)
        if k is None:
            changes.append(Change("removed", layer, None, {}))
            continue
        while at < k:
            changes.append(Change("added", None, new[at], {}))
            at += 1
        at = k + 1
        what = _compare(layer, new[k])
        if not _same_wiring(layer, new[k], sources, partner, paired):
            what["from"] = _names(layer, sources[0], old), _names(new[k], sources[1], new)
        changes.append(Change("changed" if what else "same", layer, new[k], what))
    changes += [Change("added", None, layer, {}) for layer in new[at:]]
    return NetDiff(before, after, tuple(changes), _ends(before, after, sources, partner))


def align(old: Sequence[FlatLayer], new: Sequence[FlatLayer]) -> Pairs:
    """Corresponding layers of two nets: pairs of positions, both ascending."""
    positions = {layer.path: k for k, layer in enumerate(new) if not _numbered(layer)}
    named = [
        (i, positions[layer.path])
        for i, layer in enumerate(old)
        if layer.path in positions and not _numbered(layer)
    ]
    pairs = _ascending(named)
    for key in (_alike, _by_op):
        pairs = _filled(pairs, old, new, key)
    return pairs


def _numbered(layer: FlatLayer) -> bool:
    """Whether the name is one that a layer without a name gets."""
    name = layer.path.rpartition(".")[2]
    return re.fullmatch(rf"{layer.op.keyword}_[0-9]+", name) is not None


def _alike(layer: FlatLayer) -> Hashable:
    shape = tuple(map(int, layer.outputs[0].shape))
    return layer.op.keyword, repr(settings(layer.op)), shape, int(layer.params)


def _by_op(layer: FlatLayer) -> Hashable:
    return layer.op.keyword


def _ascending(pairs: Pairs) -> Pairs:
    """The most pairs that keep the order of both sides (patience sorting)."""
    tails: list[int] = []
    ends: list[int] = []
    previous: list[int | None] = []
    for n, (_, k) in enumerate(pairs):
        at = bisect_left(tails, k)
        previous.append(ends[at - 1] if at else None)
        tails[at : at + 1] = [k]
        ends[at : at + 1] = [n]
    found: Pairs = []
    n_: int | None = ends[-1] if ends else None
    while n_ is not None:
        found.append(pairs[n_])
        n_ = previous[n_]
    return found[::-1]


def _filled(
    pairs: Pairs,
    old: Sequence[FlatLayer],
    new: Sequence[FlatLayer],
    key: Callable[[FlatLayer], Hashable],
) -> Pairs:
    """The pairs, and between each two the longest common sequence by a key."""
    from difflib import SequenceMatcher

    found: Pairs = []
    i = k = 0
    for end_i, end_k in (*pairs, (len(old), len(new))):
        left, right = old[i:end_i], new[k:end_k]
        if len(left) * len(right) > MAX_CELLS:
            # Too many to try: by name, numbered or not.
            positions = {f.path: n for n, f in enumerate(right)}
            same = [(n, positions[f.path]) for n, f in enumerate(left) if f.path in positions]
            found += [(i + n, k + m) for n, m in _ascending(same)]
        elif left and right:
            keys = [key(f) for f in left], [key(f) for f in right]
            for block in SequenceMatcher(None, *keys, False).get_matching_blocks():
                found += [(i + block.a + n, k + block.b + n) for n in range(block.size)]
        if end_i < len(old) or end_k < len(new):
            found.append((end_i, end_k))
        i, k = end_i + 1, end_k + 1
    return found


def _compare(before: FlatLayer, after: FlatLayer) -> dict[str, tuple[Any, Any]]:
    what: dict[str, tuple[Any, Any]] = {}

    def note(name: str, old: Any, new: Any) -> None:
        if old != new:
            what[name] = old, new

    note("name", before.path, after.path)
    note("op", before.op.keyword, after.op.keyword)
    old, new = settings(before.op), settings(after.op)
    for name in dict.fromkeys((*old, *new)):
        note(name, old.get(name), new.get(name))
    for n, (a, b) in enumerate(zip(before.inputs, after.inputs, strict=False)):
        note(
            "input" if n == 0 else f"input{n + 1}",
            number_format.shape(a.shape),
            number_format.shape(b.shape),
        )
    note(
        "output",
        number_format.shape(before.outputs[0].shape),
        number_format.shape(after.outputs[0].shape),
    )
    note("params", int(before.params), int(after.params))
    note("shares", before.shares, after.shares)
    note("macs", int(before.macs), int(after.macs))
    return what


# --- wiring --------------------------------------------------------------------------------------

Position = tuple[int, int]
"""A layer's position and which of its results; -1 for the inputs of the net."""
Sources = Mapping[Value, Position]


def _sources(net: Net) -> Sources:
    found: dict[Value, Position] = {v: (-1, n) for n, v in enumerate(net.body.inputs)}
    for i, layer in enumerate(net.layers):
        found.update((v, (i, n)) for n, v in enumerate(layer.outputs))
    return found


def _same_wiring(
    before: FlatLayer,
    after: FlatLayer,
    sources: tuple[Sources, Sources],
    partner: Mapping[int, int],
    paired: Container[int],
) -> bool:
    """Whether inputs come from the same positions, as far as these are in both nets.

    A layer that was added or removed is reported itself; those after it have not changed.
    """
    if len(before.inputs) != len(after.inputs):
        return False
    for a, b in zip(before.inputs, after.inputs, strict=True):
        (i, n), (k, m) = sources[0][a], sources[1][b]
        known = i in partner or i < 0
        if known and (k in paired or k < 0) and (partner.get(i, -1), n) != (k, m):
            return False
    return True


def _names(layer: FlatLayer, sources: Sources, layers: Sequence[FlatLayer]) -> str:
    positions = [sources[v] for v in layer.inputs]
    return ", ".join(
        v.name if i < 0 else layers[i].path
        for v, (i, _) in zip(layer.inputs, positions, strict=True)
    )


def _ends(
    before: Net, after: Net, sources: tuple[Sources, Sources], partner: Mapping[int, int]
) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}

    def note(name: str, old: str, new: str) -> None:
        if old != new:
            found[name] = old, new

    for name, pick in (("inputs", _inputs), ("outputs", _outputs)):
        note(name, pick(before), pick(after))
    note("preprocessing", _preprocessing(before), _preprocessing(after))
    ends = [
        [sources[side][v] for v in net.flat_outputs] for side, net in enumerate((before, after))
    ]
    if "outputs" not in found and len(ends[0]) == len(ends[1]):
        moved = [(partner.get(i, -1), n) != (k, m) for (i, n), (k, m) in zip(*ends, strict=True)]
        if any(moved):
            note("output from", _end_names(before, ends[0]), _end_names(after, ends[1]))
    return found


def _inputs(net: Net) -> str:
    return ", ".join(f"{v.name} {number_format.shape(v.shape)}" for v in net.body.inputs)


def _outputs(net: Net) -> str:
    return ", ".join(number_format.shape(v.shape) for v in net.body.outputs)


def _end_names(net: Net, positions: Sequence[Position]) -> str:
    return ", ".join(net.body.inputs[n].name if i < 0 else net.layers[i].path for i, n in positions)


def _preprocessing(net: Net) -> str:
    return "; ".join("none" if p is None else _steps(p) for p in net.preprocessing)


def _steps(p: Preprocessing) -> str:
    fields = _fields(p)
    channels = fields.pop("channels")
    return " ".join((channels, *(f"{name} {v}" for name, v in fields.items() if v != "none")))


def _fields(p: Preprocessing) -> dict[str, str]:
    return {
        "channels": p.channels,
        "scale": number_format.number(float(p.scale)),
        "mean": ", ".join(number_format.number(float(m)) for m in p.mean),
        "std": ", ".join(number_format.number(float(s)) for s in p.std),
        "resize": str(p.resize or "none"),
        "crop": str(p.crop or "none"),
    }


def _end(found: NetDiff, name: str) -> str:
    """What differs at an end of the nets; of preprocessing, the steps that do."""
    pairs = list(zip(found.before.preprocessing, found.after.preprocessing, strict=False))
    if name == "preprocessing" and len(pairs) == 1 and None not in pairs[0]:
        old, new = (_fields(p) for p in pairs[0] if p is not None)
        return "; ".join(f"{k} {old[k]} -> {new[k]}" for k in old if old[k] != new[k])
    return " -> ".join(found.ends[name])


# --- how it looks --------------------------------------------------------------------------------


def totals(found: NetDiff) -> list[tuple[str, int, int]]:
    """Metrics of the whole nets, before and after."""
    sides = found.before, found.after
    metrics: list[tuple[str, Callable[[Net], int]]] = [
        ("layers", lambda n: len(n.layers)),
        ("params", lambda n: int(n.params)),
        ("macs", lambda n: int(n.macs)),
        ("size", lambda n: sizes(n)["float32"]),
        ("activations", activation_bytes),
    ]
    return [(name, *(metric(net) for net in sides)) for name, metric in metrics]  # type: ignore[misc]


def text(
    found: NetDiff,
    everything: bool = False,
    names: tuple[str, str] | None = None,
    width: int | None = None,
) -> str:
    """A line for each layer that differs: `~` changed, `-` gone, `+` new; then the totals.

    Layers that only have other shapes are counted, unless everything is asked for. `names` are
    for nets that bear the same. `width` is that of the terminal.
    """
    names = names or (found.before.name, found.after.name)
    lines = [" -> ".join(names), "", *_wrapped(listed(found, everything), width)]
    if found.empty:
        lines.append("no difference")
    else:
        lines += ["", *_totals(found, names)]
    return "\n".join(lines) + "\n"


def _wrapped(lines: Sequence[str], width: int | None) -> Iterator[str]:
    """Lines broken between words, what follows moved in."""
    for line in lines:
        if width is None or len(line) <= width:
            yield line
        else:
            import textwrap

            yield from textwrap.wrap(
                line, max(width, 20), subsequent_indent=" " * 4, break_on_hyphens=False
            )


def listed(found: NetDiff, everything: bool = False) -> list[str]:
    """The lines of `text` for what differs."""
    changes = [c for c in found.changes if c.kind != "same" and (everything or not c.shape_only)]
    width = max((len(_path(c)) for c in changes), default=0)
    lines = [f"~ {name}: {_end(found, name)}" for name in found.ends]
    lines += [f"{_MARKS[c.kind]} {_path(c):<{width}}  {_line(c)}".rstrip() for c in changes]
    silent = sum(c.kind != "same" for c in found.changes) - len(changes)
    if silent:
        lines.append(f"  {silent} more with other shapes only")
    return lines


_MARKS = {"changed": "~", "added": "+", "removed": "-"}


def _path(change: Change) -> str:
    layer = change.before or change.after
    assert layer is not None
    return layer.path


def _line(change: Change) -> str:
    if change.kind != "changed":
        layer = change.before or change.after
        assert layer is not None
        shown = f"{describe(layer.layer)}  {number_format.shape(layer.outputs[0].shape)}"
        if layer.shares is not None:
            return f"{shown}  shares {layer.shares}"
        return (
            f"{shown}  {number_format.count(int(layer.params))} params" if layer.params else shown
        )
    parts = []
    for name, (old, new) in change.what.items():
        if name == "name":
            parts.append(f"now {new}")
        else:
            parts.append(f"{name} {_value(old)} -> {_value(new)}")
    return "; ".join(parts)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list):
        return ("x" if len(value) < 4 else ",").join(map(_value, value))
    if value is None:
        return "none"
    return number_format.number(value) if isinstance(value, float) else str(value)


def shown(name: str, total: int) -> str:
    """One of the totals as it is written."""
    if name == "macs":
        return number_format.millions(total)
    return number_format.megabytes(total) if name in ("size", "activations") else f"{total:,}"


def _totals(found: NetDiff, names: tuple[str, str]) -> list[str]:
    cells = [("", *names, "change")]
    for name, old, new in totals(found):
        share = f"{100 * (new - old) / old:+.1f}%" if old and new != old else ""
        cells.append((name, shown(name, old), shown(name, new), share))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            f"{cell:<{w}}" if n == 0 else f"{cell:>{w}}"
            for n, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def data(found: NetDiff) -> dict[str, Any]:
    """The difference for JSON; layers that are the same in both are left out."""
    return {
        "before": found.before.name,
        "after": found.after.name,
        "same": found.empty,
        "ends": {name: {"before": a, "after": b} for name, (a, b) in found.ends.items()},
        "layers": [
            {
                "change": c.kind,
                "before": c.before.path if c.before else None,
                "after": c.after.path if c.after else None,
                "what": {name: {"before": a, "after": b} for name, (a, b) in c.what.items()},
            }
            for c in found.changes
            if c.kind != "same"
        ],
        "total": {name: {"before": a, "after": b} for name, a, b in totals(found)},
    }
