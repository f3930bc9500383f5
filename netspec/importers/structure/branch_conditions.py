"""When a module adds a shortcut, or which: a condition in terms of the module's parameters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from netspec.importers.structure.attributes import COUNTS, values
from netspec.importers.structure.chains import NodeChain
from netspec.importers.structure.graph import ConstantValue
from netspec.importers.structure.instances import ModuleInstance
from netspec.importers.structure.names import UniqueNames
from netspec.importers.structure.parameters import (
    Formula,
    Formulas,
    ModuleParameter,
    ModulePlan,
    Scaled,
    factor_of,
    is_one,
)


@dataclass(frozen=True)
class Condition:
    """When a branch of a module is taken: a parameter is, or shapes and stride say it.

    `stride` is the parameter of the stride, `channels` what the input's channels are compared with.
    """

    flag: str = ""
    stride: str = ""
    channels: Formula | None = None


def fitted(
    plan: ModulePlan, chain: NodeChain, others: Sequence[NodeChain], which: Sequence[int]
) -> Formulas | None:
    """The formulas of a chain that only the instances `which` have, in terms of the plan.

    `others` are the chains of those instances. None where the parameters do not say it.
    """
    formulas: Formulas = {}
    for j, node in enumerate(chain.nodes):
        for name in values(node):
            vector = [values(other.nodes[j])[name] for other in others]
            f = _fit(plan, name, vector, which)
            if f is None:
                return None
            formulas[j, name] = f
    return formulas


def _fit(
    plan: ModulePlan, name: str, vector: list[ConstantValue], which: Sequence[int]
) -> Formula | None:
    if all(v == vector[0] for v in vector) and name not in COUNTS and name != "stride":
        return vector[0]
    for parameter in plan.parameters:
        given = [parameter.given[i] for i in which]
        if given == vector:
            return Scaled(parameter.name)
    if name in COUNTS:
        for parameter in plan.parameters:
            factor = factor_of(vector, [parameter.given[i] for i in which])
            if factor and parameter.default is None:
                return Scaled(parameter.name, factor)
    return vector[0] if all(v == vector[0] for v in vector) else None


def condition(
    plan: ModulePlan,
    instances: Sequence[ModuleInstance],
    changed: Sequence[bool],
    filters: Formula | None,
    flag: str,
    raised: bool,
    taken: Iterable[str] = (),
) -> Condition:
    """What tells the instances that change their input (`changed`) from those that keep it.

    The author's way where it works: the stride is not 1, or the channels are others; else a flag,
    which is added to the parameters and is `raised` for those that change it. `taken` are names
    that it can't have.
    """
    stride = plan.find("stride")
    if filters is not None:
        changes = []
        for i, instance in enumerate(instances):
            count = _evaluate(filters, plan, i)
            strides = stride is not None and not is_one(stride.given[i])
            changes.append(strides or count != instance.inputs[0].shape[0])
        if changes == list(changed):
            return Condition(stride=stride.name if stride else "", channels=filters)
    flag = UniqueNames(["x", *taken, *(p.name for p in plan.parameters)]).free(flag)
    given: list[ConstantValue] = [bool(c) == raised for c in changed]
    plan.parameters.append(ModuleParameter(flag, given, False))
    return Condition(flag=flag)


def _evaluate(f: Formula, plan: ModulePlan, instance: int) -> ConstantValue:
    if not isinstance(f, Scaled):
        return f
    parameter = plan.find(f.base) if isinstance(f.base, str) else None
    value = parameter.given[instance] if parameter else Fraction(0)
    assert isinstance(value, Fraction)
    return value if isinstance(f.factor, str) else value * f.factor
