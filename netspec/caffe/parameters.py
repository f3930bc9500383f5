"""What the instances of a module differ in, as its parameters.

Numbers that vary together become one parameter; filters that are a multiple of others are written as
such. A depthwise convolution takes its filters from its input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from netspec.caffe.attributes import COUNTS, values
from netspec.caffe.graph import Constant, Value
from netspec.caffe.names import Names
from netspec.caffe.structure import Part

Place = tuple[int, int, str]
"""A field: of which line, which node in it, and its name."""


@dataclass(frozen=True)
class ChannelsOf:
    """`x.channels` of a value of the first instance."""

    value: Value


@dataclass(frozen=True)
class Scaled:
    """`factor * base`: a parameter by its name, or channels."""

    base: str | ChannelsOf
    factor: int = 1


Formula = Constant | Scaled


@dataclass
class Parameter:
    """`given` is its value in each instance; `default` is None where it must be given."""

    name: str
    given: list[Constant]
    default: Constant | None


@dataclass
class Plan:
    """How the body of a module is written: the formula of each field, and the parameters."""

    formulas: dict[Place, Formula] = field(default_factory=dict)
    parameters: list[Parameter] = field(default_factory=list)


def plan_of(instances: Sequence[Part], line_names: Sequence[str]) -> Plan:
    """The plan of a module. `line_names` are those of its lines, which no parameter may have."""
    plan = Plan()
    names = Names([*line_names, "x"])
    varying: list[tuple[Place, list[Constant]]] = []
    for i, line in enumerate(instances[0].lines):
        for j, node in enumerate(line.nodes):
            for name in values(node):
                vector = [values(p.lines[i].nodes[j])[name] for p in instances]
                if any(v != vector[0] for v in vector):
                    varying.append(((i, j, name), vector))
                else:
                    plan.formulas[i, j, name] = vector[0]
    wanted = _wanted_names(varying, line_names)
    for place, vector in varying:
        plan.formulas[place] = _formula(place, vector, instances, plan, names, wanted)
    return plan


def _formula(
    place: Place,
    vector: list[Constant],
    instances: Sequence[Part],
    plan: Plan,
    names: Names,
    wanted: dict[Place, str],
) -> Formula:
    i, j, name = place
    if _takes_from_input(place, instances):
        return Scaled(ChannelsOf(instances[0].lines[i].nodes[j].inputs[0]))
    count = name in COUNTS
    for parameter in plan.parameters:
        if parameter.given == vector:
            return Scaled(parameter.name)
        factor = _factor(vector, parameter.given) if count else 0
        if factor:
            return Scaled(parameter.name, factor)
    if count:
        channels: list[Constant] = [Fraction(p.inputs[0].shape[0]) for p in instances]
        factor = _factor(vector, channels)
        if factor:
            return Scaled(ChannelsOf(instances[0].inputs[0]), factor)
    parameter = Parameter(names.free(wanted[place]), vector, _default(name, vector))
    plan.parameters.append(parameter)
    return Scaled(parameter.name)


def _takes_from_input(place: Place, instances: Sequence[Part]) -> bool:
    """Whether it is the filters of a depthwise convolution, as many as channels come in."""
    i, j, name = place
    nodes = [p.lines[i].nodes[j] for p in instances]
    return name == "filters" and all(
        values(n).get("groups") == "depthwise" and values(n)["filters"] == n.inputs[0].shape[0]
        for n in nodes
    )


def _factor(vector: Sequence[Constant], base: Sequence[Constant]) -> int:
    """The whole number from 2 that makes `vector` of `base` everywhere; 0 where there is none."""
    factors = {
        v / b if isinstance(v, Fraction) and isinstance(b, Fraction) and b else Fraction(0)
        for v, b in zip(vector, base, strict=True)
    }
    factor = factors.pop()
    return int(factor) if not factors and factor.denominator == 1 and factor > 1 else 0


def _default(name: str, vector: list[Constant]) -> Constant | None:
    """What most instances have, unless it is a number of filters."""
    if name in COUNTS:
        return None
    best = max(vector, key=vector.count)
    return best if vector.count(best) * 2 > len(vector) else None


def _wanted_names(
    varying: Sequence[tuple[Place, list[Constant]]], line_names: Sequence[str]
) -> dict[Place, str]:
    """What parameters are best called: their field, with the line where several are of one field."""
    found: dict[Place, str] = {}
    for place, vector in varying:
        i, _, name = place
        alike = [v for (_, _, other), v in varying if other == name]
        same = all(v == vector or (name in COUNTS and _related(v, vector)) for v in alike)
        if same:
            found[place] = name
        elif name in COUNTS:
            found[place] = _count_name(line_names[i])
        else:
            found[place] = f"{line_names[i]}_{name}" if line_names[i] else name
    return found


def _related(a: Sequence[Constant], b: Sequence[Constant]) -> bool:
    return bool(_factor(a, b) or _factor(b, a))


def _count_name(line: str) -> str:
    """A number of filters: n1x1 for conv1x1, n_reduce for reduce."""
    for word in ("conv", "fc"):
        rest = line.removeprefix(word)
        if rest != line and rest[:1].isdigit():
            return f"n{rest}"
    return f"n_{line}" if line else "filters"
