"""Parameters of a module: fields in which its instances differ.

Numbers that vary together become one parameter; filters that are a multiple of others are
written as such. A depthwise convolution has as many filters as its input has channels.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from netspec.importers.structure.attributes import COUNTS, attribute_values
from netspec.importers.structure.chains import NodeChain
from netspec.importers.structure.graph import ConstantValue, GraphValue
from netspec.importers.structure.instances import ModuleInstance
from netspec.importers.structure.names import UniqueNames
from netspec.lazy_dataclasses import dataclass, field

Place = tuple[int, str]
"""A field: the index of its node in the chain, and its name."""


@dataclass(frozen=True)
class ChannelsOf:
    """The expression `x.channels`, of a value of the first instance."""

    value: GraphValue


@dataclass(frozen=True)
class Scaled:
    """The expression `factor * base`. A string is the name of a parameter."""

    base: str | ChannelsOf
    factor: Fraction | str = Fraction(1)
    """A whole number, or one over it."""


Formula = ConstantValue | Scaled
"""How a field is written."""
Formulas = dict[Place, Formula]


@dataclass
class ModuleParameter:
    """A parameter with its value in each instance; without a default it must be given."""

    name: str
    given: list[ConstantValue]
    default: ConstantValue | None


@dataclass
class ModulePlan:
    """The formula of each field, chain by chain, and the parameters that they use."""

    chains: list[Formulas] = field(default_factory=list)
    parameters: list[ModuleParameter] = field(default_factory=list)

    def find(self, name: str) -> ModuleParameter | None:
        return next((p for p in self.parameters if p.name == name), None)


@dataclass(frozen=True)
class _VaryingField:
    """A field that differs between instances: its chain and node by index, its values."""

    chain: int
    node: int
    name: str
    given: list[ConstantValue]
    source: GraphValue | None = None
    """Of a depthwise convolution: its input, which has as many channels."""


def plan_of(
    instances: Sequence[ModuleInstance],
    bodies: Sequence[Sequence[NodeChain]],
    chain_names: Sequence[str],
) -> ModulePlan:
    """The plan of a module whose instances have these bodies, chain for chain.

    `chain_names` are those of all of its chains, which no parameter may have.
    """
    plan = ModulePlan([{} for _ in bodies[0]])
    varying: list[_VaryingField] = []
    for i, chain in enumerate(bodies[0]):
        for j, node in enumerate(chain.nodes):
            for name in attribute_values(node):
                vector = [attribute_values(body[i].nodes[j])[name] for body in bodies]
                if all(v == vector[0] for v in vector):
                    plan.chains[i][j, name] = vector[0]
                else:
                    depthwise = _takes_from_input(i, j, name, bodies)
                    source = node.inputs[0] if depthwise else None
                    varying.append(_VaryingField(i, j, name, vector, source))
    large = {
        i
        for i, chain in enumerate(bodies[0])
        if _is_large(attribute_values(chain.head).get("kernel"))
    }
    planner = _Planner(
        plan, instances, UniqueNames([*chain_names, "x"]), chain_names, varying, large
    )
    for v in varying:
        plan.chains[v.chain][v.node, v.name] = planner.formula(v)
    plan.parameters.sort(key=lambda p: p.default is not None)
    return plan


class _Planner:
    """Finds formulas for varying fields, and adds parameters to the plan where it needs them."""

    def __init__(
        self,
        plan: ModulePlan,
        instances: Sequence[ModuleInstance],
        names: UniqueNames,
        chain_names: Sequence[str],
        varying: list[_VaryingField],
        large: set[int],
    ) -> None:
        self.large = large
        """The chains with kernels larger than 1x1."""
        self.plan = plan
        self.instances = instances
        self.names = names
        self.chain_names = chain_names
        self.varying = varying
        self.channels: list[ConstantValue] = [Fraction(p.inputs[0].shape[0]) for p in instances]
        self.x = ChannelsOf(instances[0].inputs[0])
        self.found: dict[int, Formula] = {}

    def formula(self, v: _VaryingField) -> Formula:
        """The formula of a field, in terms of channels and parameters where that is possible."""
        if id(v) not in self.found:
            self.found[id(v)] = self._find(v)
        return self.found[id(v)]

    def _find(self, v: _VaryingField) -> Formula:
        known = self._known(v)
        if known is not None:
            return known
        if v.source is not None:
            return Scaled(ChannelsOf(v.source))
        if v.name in COUNTS:
            if v.given == self.channels:
                return Scaled(self.x)
            factor = factor_of(v.given, self.channels)
            if factor:
                return Scaled(self.x, factor)
            base = self._base(v)
            if base is not v:
                self.formula(base)
                return self._known(v) or self._new(v)
            expanded = self._expansion(v)
            if expanded is not None:
                return expanded
        return self._new(v)

    def _known(self, v: _VaryingField) -> Formula | None:
        """The formula of a field in terms of the parameters so far."""
        for parameter in self.plan.parameters:
            if parameter.given == v.given:
                return Scaled(parameter.name)
            if v.name in COUNTS and parameter.name in self._count_names():
                factor = factor_of(v.given, parameter.given)
                share = factor_of(parameter.given, v.given)
                if factor or share:
                    return Scaled(parameter.name, factor or 1 / share)
        return None

    def _count_names(self) -> set[str]:
        return {p.name for p in self.plan.parameters if p.default is None}

    def _base(self, v: _VaryingField) -> _VaryingField:
        """The filters of a larger kernel that these are a multiple of, if any, else itself."""
        counts = [
            o
            for o in self.varying
            if o.name in COUNTS and o.source is None
            if factor_of(v.given, o.given) and o.chain in self.large
        ]
        return max(counts, key=lambda o: factor_of(v.given, o.given), default=v)

    def _expansion(self, v: _VaryingField) -> Formula | None:
        """Filters as a multiple of the input's channels, where the multiple hardly ever differs."""
        ratios: list[ConstantValue] = []
        for value, channels in zip(v.given, self.channels, strict=True):
            assert isinstance(value, Fraction)
            assert isinstance(channels, Fraction)
            ratios.append(value / channels)
        whole = all(isinstance(r, Fraction) and r.denominator == 1 for r in ratios)
        if not whole or len(set(ratios)) > 2 or len(set(v.given)) < 4:
            return None
        default = _default("", ratios)
        if default is None or ratios.count(default) < len(ratios) - 2:
            return None
        name = self.names.free("expansion")
        self.plan.parameters.append(ModuleParameter(name, ratios, default))
        return Scaled(self.x, name)

    def _new(self, v: _VaryingField) -> Formula:
        parameter = ModuleParameter(
            self.names.free(self._wanted(v)), v.given, _default(v.name, v.given)
        )
        self.plan.parameters.append(parameter)
        return Scaled(parameter.name)

    def _wanted(self, v: _VaryingField) -> str:
        """The name of a parameter: the field's, with the chain's where that would be ambiguous."""
        alike = [o for o in self.varying if o.name == v.name and o.source is None]
        if all(self._together(o, v) for o in alike):
            return v.name
        chain = self.chain_names[v.chain]
        if v.name in COUNTS:
            return _count_name(chain, self.chain_names)
        return f"{chain}_{v.name}" if chain else v.name

    def _together(self, a: _VaryingField, b: _VaryingField) -> bool:
        if a.given == b.given:
            return True
        if a.name not in COUNTS:
            return False
        related = factor_of(a.given, b.given) or factor_of(b.given, a.given)
        return bool(related or factor_of(a.given, self.channels) or self._expands(a))

    def _expands(self, v: _VaryingField) -> bool:
        return any(
            isinstance(f, Scaled) and isinstance(f.factor, str)
            for f in [self.plan.chains[v.chain].get((v.node, v.name))]
        )


def _takes_from_input(i: int, j: int, name: str, bodies: Sequence[Sequence[NodeChain]]) -> bool:
    """Whether these are the filters of a depthwise convolution, as many as its input's channels."""
    nodes = [body[i].nodes[j] for body in bodies]
    return name == "filters" and all(
        attribute_values(n).get("groups") == "depthwise"
        and attribute_values(n)["filters"] == n.inputs[0].shape[0]
        for n in nodes
    )


def _is_large(kernel: ConstantValue | None) -> bool:
    return isinstance(kernel, tuple) and max(kernel) > 1


def factor_of(vector: Sequence[ConstantValue], base: Sequence[ConstantValue]) -> Fraction:
    """The whole number of at least 2 by which `vector` is a multiple of `base`; 0 without one."""
    factors = {
        v / b if isinstance(v, Fraction) and isinstance(b, Fraction) and b else Fraction(0)
        for v, b in zip(vector, base, strict=True)
    }
    factor = factors.pop()
    return factor if not factors and factor.denominator == 1 and factor > 1 else Fraction(0)


def _default(name: str, vector: list[ConstantValue]) -> ConstantValue | None:
    """The value of most instances; None for filters, and where no value has a majority."""
    if name in COUNTS:
        return None
    best = max(vector, key=vector.count)
    if name == "stride" and is_one(best) is False and any(is_one(v) for v in vector):
        return next(v for v in vector if is_one(v))
    return best if vector.count(best) * 2 > len(vector) else None


def is_one(value: ConstantValue) -> bool:
    """Whether a stride is 1, or 1 in both directions."""
    return value == 1 or value == (1, 1)


def _count_name(chain: str, chains: Sequence[str]) -> str:
    """A short name for filters: n1x1 for conv1x1, r3x3 for conv3x3_reduce, s1x1 for squeeze1x1."""
    bare = re.sub(r"^(conv|fc|deconv)_?(?=\d)", "", chain)
    match = re.fullmatch(r"([A-Za-z]*)_?(\d+x\d+)(?:_([A-Za-z]+))?", bare)
    if match:
        letter = (match[1] or match[3] or "n")[0].lower()
        return f"{letter}{match[2]}"
    last = bare.rpartition("_")[2]
    if "_" in bare and len(last) > 2 and last.isalpha() and last not in chains:
        return last
    return f"n{'_' * bare[:1].isalpha()}{bare}" if bare else "filters"
