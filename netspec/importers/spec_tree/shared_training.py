"""How layers begin and are trained: stated once in the `train` block, or nowhere without one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

from netspec.importers.structure.attributes import TRAINING_FIELDS
from netspec.importers.structure.graph import FieldValue
from netspec.lazy_dataclasses import replace
from netspec.ops import OPS, Learned, Weighted
from netspec.syntax.ast import Call, Constant, Definition, Field, Number, Variable
from netspec.syntax.unparse import expression
from netspec.syntax.visitor import Node, rewrite, walk

Recipe = dict[str, FieldValue]

OfTraining = Mapping[tuple[str, str], Fraction]
"""The values of fields, by op and name, that are of use in training only."""


def with_shared_training(
    definitions: Sequence[Definition], training: Mapping[str, FieldValue]
) -> tuple[list[Definition], Recipe]:
    """The definitions and the `train` block, which says what most layers have in common."""
    recipe = dict(training)
    calls = list(_learned(definitions))
    gone = {
        **_init(calls, recipe),
        **_lr_mult(calls, recipe),
        **_decay_mult(calls, recipe),
    }
    return _without(definitions, lambda call, f: id(f) in gone), recipe


def without_training(
    definitions: Sequence[Definition], of_training: OfTraining
) -> list[Definition]:
    """The definitions without all that is of use in training only.

    Parameters of modules that said nothing else go as well.
    """

    def leaves(call: Call, f: Field) -> bool:
        if call.op.text not in OPS:
            return False
        name = f.name.text
        value = f.value.value if isinstance(f.value, Number) else None
        known = of_training.get((call.op.text, name))
        return name in TRAINING_FIELDS or (known is not None and value == known)

    bare = _without(definitions, leaves)
    unused: dict[str, set[str]] = {}
    for before, after in zip(definitions, bare, strict=True):
        unused[after.name.text] = _variables(before) - _variables(after)
    result = []
    for d in bare:
        names = unused[d.name.text] if d.kind == "module" else set()
        kept = tuple(p for p in d.params if p.name.text not in names)
        result.append(replace(d, params=kept))
    return _without(result, lambda call, f: f.name.text in unused.get(call.op.text, ()))


def _variables(definition: Definition) -> set[str]:
    return {n.name for s in definition.body for n in walk(s) if isinstance(n, Variable)}


def _learned(definitions: Iterable[Definition]) -> Iterator[Call]:
    """All calls of ops with learned tensors."""
    for node in walk(*definitions):
        if isinstance(node, Call) and issubclass(OPS.get(node.op.text, object), Learned):
            yield node


def _without(
    definitions: Iterable[Definition], leaves: Callable[[Call, Field], bool]
) -> list[Definition]:
    """The definitions without some fields of calls."""

    def change(node: Node) -> Node:
        if not isinstance(node, Call):
            return node
        return replace(node, fields=tuple(f for f in node.fields if not leaves(node, f)))

    return [rewrite(d, change) for d in definitions]


def _field(call: Call, name: str) -> Field | None:
    return next((f for f in call.fields if f.name.text == name), None)


def _is(call: Call, name: str, value: bool) -> bool:
    """Whether a field is stated, and is `true` or `false`."""
    f = _field(call, name)
    return f is not None and isinstance(f.value, Constant) and f.value.value is value


def _has_bias(call: Call) -> bool:
    if call.op.text == "batchnorm":
        return not _is(call, "affine", False)
    return call.op.text not in ("prelu", "shift") and not _is(call, "bias", False)


def _is_weighted(call: Call) -> bool:
    return issubclass(OPS[call.op.text], Weighted)


# Each returns the fields that go, by their identity, and completes the recipe.


def _init(calls: Iterable[Call], recipe: Recipe) -> dict[int, Field]:
    inits = [f for c in calls if _is_weighted(c) and (f := _field(c, "init")) is not None]
    counts = Counter(expression(f.value) for f in inits)
    most = max(counts, key=lambda text: counts[text], default=None)
    if most is None or counts[most] < 2:
        return {}
    alike = [f for f in inits if expression(f.value) == most]
    recipe["init"] = FieldValue(most, alike[0].span)
    return {id(f): f for f in alike}


def _lr_mult(calls: Iterable[Call], recipe: Recipe) -> dict[int, Field]:
    """Frozen layers need no factor, and layers without biases none of those."""
    stated = [(c, f) for c in calls if (f := _field(c, "lr_mult")) is not None]
    gone = {id(f): f for c, f in stated if _is(c, "frozen", True)}
    rest = [(c, f, expression(f.value)) for c, f in stated if id(f) not in gone]
    counts = Counter(text for c, _, text in rest if _has_bias(c))
    counts = counts or Counter(text for _, _, text in rest)
    most = max(counts, key=lambda text: counts[text], default="1")
    numbers = [_number(part) for part in most.strip("[]").split(", ")]
    if None in numbers or counts[most] < 2:
        most, numbers = "1", [Fraction(1)]
    alone = most.strip("[]").split(", ")[0]
    alike = {id(f): f for c, f, t in rest if t == (most if _has_bias(c) else alone)}
    if most != "1":
        given = tuple(n for n in numbers if n is not None)
        place = next(iter(alike.values())).span
        recipe["lr_mult"] = FieldValue(given if len(given) > 1 else given[0], place)
    return gone | alike


def _number(text: str) -> Fraction | None:
    """A number as it is written; None for anything else, such as a parameter of a module."""
    try:
        return Fraction(text.replace("_", ""))
    except ValueError:
        return None


def _decay_mult(calls: Iterable[Call], recipe: Recipe) -> dict[int, Field]:
    stated = [(c, f) for c in calls if (f := _field(c, "decay_mult")) is not None]
    if "weight_decay" not in recipe:
        return {id(f): f for _, f in stated}
    every = "decay_all" not in recipe
    gone = {}
    for c, f in stated:
        usual = "1" if every else "0"
        if not every and _is_weighted(c):
            usual = "[1, 0]" if _has_bias(c) else "1"
        if expression(f.value) == usual or (every and _is(c, "frozen", True)):
            gone[id(f)] = f
    return gone
