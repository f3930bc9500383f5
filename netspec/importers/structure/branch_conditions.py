"""When an instance has a shortcut, or which, in terms of the module's parameters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from netspec.importers.structure.attributes import COUNTS, attribute_values
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
from netspec.lazy_dataclasses import dataclass


@dataclass(frozen=True)
class BranchCondition:
    """When a branch of a module is taken: by a parameter, or by stride and channels."""

    flag: str = ""
    """The parameter that says it; empty where stride and channels do."""
    stride: str = ""
    """The parameter of the stride; empty without one."""
    channels: Formula | None = None
    """What the input's channels are compared with."""


def shortcut_formulas(
    plan: ModulePlan, chain: NodeChain, others: Sequence[NodeChain], which: Sequence[int]
) -> Formulas | None:
    """The formulas of a chain that only the instances `which` (indices) have.

    `others` are their chains. None where the plan's parameters do not suffice.
    """
    formulas: Formulas = {}
    for j, node in enumerate(chain.nodes):
        for name in attribute_values(node):
            vector = [attribute_values(other.nodes[j])[name] for other in others]
            f = _formula_for(plan, name, vector, which)
            if f is None:
                return None
            formulas[j, name] = f
    return formulas


def _formula_for(
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


def branch_condition(
    plan: ModulePlan,
    instances: Sequence[ModuleInstance],
    changed: Sequence[bool],
    filters: Formula | None,
    flag: str,
    flag_value: bool,
    taken: Iterable[str] = (),
) -> BranchCondition:
    """What tells the instances that change their input (`changed`) from those that keep it.

    As authors of networks do: the stride is not 1, or the channels differ. Where that is wrong for
    an instance, a parameter called `flag` is added to the plan, whose value is `flag_value` where
    the input is changed. `taken` are names that it can't have.
    """
    stride = plan.find("stride")
    if filters is not None:
        changes = []
        for i, instance in enumerate(instances):
            count = _value_in(filters, plan, i)
            strides = stride is not None and not is_one(stride.given[i])
            changes.append(strides or count != instance.inputs[0].shape[0])
        if changes == list(changed):
            return BranchCondition(stride=stride.name if stride else "", channels=filters)
    flag = UniqueNames(["x", *taken, *(p.name for p in plan.parameters)]).free(flag)
    given: list[ConstantValue] = [bool(c) == flag_value for c in changed]
    plan.parameters.append(ModuleParameter(flag, given, False))
    return BranchCondition(flag=flag)


def _value_in(f: Formula, plan: ModulePlan, instance: int) -> ConstantValue:
    if not isinstance(f, Scaled):
        return f
    parameter = plan.find(f.base) if isinstance(f.base, str) else None
    value = parameter.given[instance] if parameter else Fraction(0)
    assert isinstance(value, Fraction)
    return value if isinstance(f.factor, str) else value * f.factor
