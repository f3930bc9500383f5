"""Weights under other names: which array of a file is which tensor of a net."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from netspec.diagnostics import Diagnostic, SpecError, spec_error
from netspec.diagnostics.suggest import did_you_mean
from netspec.lazy_dataclasses import dataclass
from netspec.ops import Tensor
from netspec.weights.array import COUNTERS, Array
from netspec.weights.validate import MOST, check, plain_shape

How = str
"""`name`, `position`, `shape`, or the library whose name map has the names."""


class MatchedArray(NamedTuple):
    """One array of a file that a net takes: the names there and here, and how they were matched."""

    theirs: str
    ours: str
    shape: tuple[int, ...]
    how: How


@dataclass(frozen=True)
class Adapted:
    """The arrays by the net's names, how they were found, and the tensors that stay fresh."""

    arrays: dict[str, Array]
    rows: tuple[MatchedArray, ...]
    fresh: tuple[str, ...]


class _Layer(NamedTuple):
    """What one layer owns: the names of its tensors, and their shapes by local name.

    A layer of one tensor is known by its shape alone, whatever a library calls it.
    """

    owner: str
    names: tuple[str, ...]
    shapes: tuple[tuple[str, tuple[int, ...]], ...]


def adapt(
    found: Mapping[str, Array],
    wanted: Mapping[str, Tensor],
    source: str,
    net: str,
    *,
    ordered: bool = False,
    libraries: Mapping[str, Mapping[str, str]] | None = None,
    partial: Sequence[str] = (),
    by: Literal["names", "anything"] = "anything",
) -> Adapted:
    """The arrays that a net wants, from arrays under its own or other names.

    `libraries` are the names that other libraries use: theirs by ours, by the library. `ordered`
    says whether `found` is in the order in which its layers were defined. `partial` are layers or
    instances, by their paths, that take nothing. What no name decides is paired by position, layer
    by layer with all shapes equal, or by shapes that occur once; unless `by` is `names`.

    Raises SpecError (weights-mismatch) for what does not fit or is ambiguous.
    """
    arrays = {name: array for name, array in found.items() if not name.endswith(COUNTERS)}
    left_out = _left_out(partial, wanted, net)
    rows = _by_library(arrays, wanted, libraries or {})
    if rows is None:
        rows = [
            MatchedArray(name, name, array.shape, "name")
            for name, array in arrays.items()
            if name in wanted
        ]
        if by == "anything":
            rows += _by_position_or_shape(
                arrays, wanted, {r.ours for r in rows}, left_out, ordered, source, net
            )
    used = {row.theirs: row.ours for row in rows}
    # What is not in `used` keeps its name, for `check` to say that it is left over.
    named = {used.get(name, name): array for name, array in arrays.items()}
    kept = {name: tensor for name, tensor in wanted.items() if name not in left_out}
    fitting = check({n: a for n, a in named.items() if n not in left_out}, kept, source, net)
    order = {name: i for i, name in enumerate(wanted)}
    rows = sorted((r for r in rows if r.ours in kept), key=lambda r: order[r.ours])
    return Adapted(fitting, tuple(rows), tuple(n for n in wanted if n in left_out))


def _left_out(partial: Iterable[str], wanted: Mapping[str, Tensor], net: str) -> set[str]:
    """The tensors of the named layers. Raises SpecError where there is no such layer."""
    result: set[str] = set()
    errors = []
    for layer in partial:
        inside = {name for name in wanted if name.startswith(f"{layer}.")}
        if not inside:
            owners = {name.rpartition(".")[0] for name in wanted}
            known = [*owners, *(o.split(".")[0] for o in owners)]
            message = f"{net} has no layer {layer} with weights"
            errors.append(Diagnostic("weights-mismatch", message, help=did_you_mean(layer, known)))
        result |= inside
    if errors:
        raise SpecError(errors)
    return result


def _by_library(
    found: Mapping[str, Array],
    wanted: Mapping[str, Tensor],
    libraries: Mapping[str, Mapping[str, str]],
) -> list[MatchedArray] | None:
    """The rows where the names are those of one library, all of them (but for what is left out)."""
    if found.keys() <= wanted.keys():
        return None
    for library, theirs in libraries.items():
        if found.keys() <= set(theirs.values()):
            return [
                MatchedArray(name, ours, found[name].shape, library)
                for ours, name in theirs.items()
                if name in found
            ]
    return None


def _by_position_or_shape(
    found: Mapping[str, Array],
    wanted: Mapping[str, Tensor],
    named: set[str],
    left_out: set[str],
    ordered: bool,
    source: str,
    net: str,
) -> list[MatchedArray]:
    """Pairs of what no name decides; none where nothing fits together, which `check` reports."""
    theirs = _layers({n: a.shape for n, a in found.items() if n not in named})
    ours = _layers({n: tuple(map(int, t.shape)) for n, t in wanted.items() if n not in named})
    free = {layer.owner for layer in ours if layer.names[0] in left_out}
    if len(theirs) != len(ours):
        ours = [layer for layer in ours if layer.owner not in free]
    if not theirs or len(theirs) != len(ours):
        return []
    pairs = list(zip(theirs, ours, strict=True))
    how = "position"
    misfits = [(a, b) for a, b in pairs if a.shapes != b.shapes and b.owner not in free]
    if not ordered or misfits:
        by_shape = _by_shape(theirs, [layer for layer in ours if layer.owner not in free])
        if by_shape is None:
            raise _ambiguous(ordered, misfits, source, net)
        pairs, how = by_shape, "shape"
    else:
        _check_names(pairs, source)
    return [
        MatchedArray(theirs, ours, found[theirs].shape, how)
        for a, b in pairs
        for theirs, ours in zip(a.names, b.names, strict=False)
    ]


def _layers(shapes: Mapping[str, tuple[int, ...]]) -> list[_Layer]:
    """Tensors by the layer that owns them, layers in the order of their first tensors.

    A tensor that stands in a block beside layers is a layer of its own.
    """
    owners = {name.rpartition(".")[0] for name in shapes}
    blocks = {owner[:i] for owner in owners for i, c in enumerate(owner) if c == "."}
    owned: dict[str, list[tuple[str, str]]] = {}
    for name in shapes:
        owner, _, local = name.rpartition(".")
        owned.setdefault(name if owner in blocks or not owner else owner, []).append((local, name))
    found = []
    for owner, tensors in owned.items():
        tensors.sort()
        alone = len(tensors) == 1
        found.append(
            _Layer(
                owner,
                tuple(name for _, name in tensors),
                tuple(
                    ("" if alone else local, plain_shape(shapes[name])) for local, name in tensors
                ),
            )
        )
    return found


def _by_shape(
    theirs: Sequence[_Layer], ours: Sequence[_Layer]
) -> list[tuple[_Layer, _Layer]] | None:
    """Pairs of layers of equal shapes; None where shapes repeat or have no counterpart."""
    by_shape = {layer.shapes: layer for layer in theirs}
    if len(by_shape) != len(theirs) or len({layer.shapes for layer in ours}) != len(ours):
        return None
    if not all(layer.shapes in by_shape for layer in ours):
        return None
    return [(by_shape[layer.shapes], layer) for layer in ours]


def _check_names(pairs: Sequence[tuple[_Layer, _Layer]], source: str) -> None:
    """Raise SpecError where position pairs what names distinguish: expand1x1 with expand3x3."""
    alike: dict[object, list[tuple[_Layer, _Layer]]] = {}
    for a, b in pairs:
        alike.setdefault(a.shapes, []).append((a, b))
    for same in alike.values():
        ends = {_last_name(b.owner): b.owner for _, b in reversed(same)}
        for a, b in same:
            end = _last_name(a.owner)
            if not end.isdigit() and end != _last_name(b.owner) and end in ends:
                message = (
                    f"{source} is ambiguous: by position {a.owner} is {b.owner}, by its name it is "
                    f"rather {ends[end]}"
                )
                raise _mismatch(message)


def _last_name(owner: str) -> str:
    return owner.rpartition(".")[2]


def _ambiguous(
    ordered: bool, misfits: Sequence[tuple[_Layer, _Layer]], source: str, net: str
) -> SpecError:
    notes = [f"{_text(a)} stands where the net has {_text(b)}" for a, b in misfits[:MOST]]
    if len(misfits) > MOST:
        notes.append(f"and {len(misfits) - MOST} more")
    if ordered:
        message = f"{source} does not fit {net}, neither by names nor by position"
        return _mismatch(message, *notes)
    message = (
        f"{source} is ambiguous: its names are not those of {net}, layers of equal shapes repeat, "
        "and a .safetensors file has no order"
    )
    return _mismatch(message)


def _text(layer: _Layer) -> str:
    names = (name.rpartition(".")[2] for name in layer.names)
    shapes = ", ".join(
        f"{name} {'x'.join(map(str, shape)) or 'a number'}"
        for name, (_, shape) in zip(names, layer.shapes, strict=True)
    )
    return f"{layer.owner} ({shapes})"


def _mismatch(message: str, *notes: str) -> SpecError:
    help_ = ("a file of names tells which is which: `--from FILE.names`",)
    return spec_error("weights-mismatch", message, notes=notes, help=help_)
