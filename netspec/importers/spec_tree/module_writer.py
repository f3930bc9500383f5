"""The statements of a module."""

from __future__ import annotations

from fractions import Fraction

from netspec.diagnostics.source import Span
from netspec.importers.spec_tree.body_writer import BodyWriter
from netspec.importers.spec_tree.expressions import field_value
from netspec.importers.spec_tree.loops import with_loops
from netspec.importers.structure.attributes import attribute_values
from netspec.importers.structure.branch_conditions import BranchCondition
from netspec.importers.structure.chains import NodeChain
from netspec.importers.structure.graph import GraphValue
from netspec.importers.structure.names import identifier
from netspec.importers.structure.parameters import ChannelsOf, Formula, Formulas, Scaled
from netspec.importers.structure.planned_modules import PlannedModule
from netspec.syntax.ast import (
    Attribute,
    Call,
    Chain,
    Comparison,
    Definition,
    Expression,
    If,
    Input,
    LayerStatement,
    Logic,
    Name,
    Number,
    Output,
    Param,
    Result,
    Statement,
    Variable,
)


class ModuleWriter(BodyWriter):
    """Writes a module by its first instance, which has all chains that any instance has."""

    def __init__(self, module: PlannedModule) -> None:
        super().__init__()
        self.module = module
        self.instance = module.instances[0]

    def definition(self) -> Definition:
        """The module with its parameters."""
        module, span = self.module, self.instance.chains[0].head.span
        statements = self._statements(span)
        params = tuple(
            Param(
                Name(p.name, span),
                None if p.default is None else field_value(p.default, p.name, span),
                span,
            )
            for p in module.plan.parameters
        )
        return Definition("module", Name(module.name, span), params, tuple(statements), "", span)

    def _statements(self, span: Span) -> list[Statement]:
        module, instance = self.module, self.instance
        self.names.taken |= {p.name for p in module.plan.parameters}
        for i, value in enumerate(instance.inputs):
            name = self.names.free("x" if len(instance.inputs) == 1 else "xyz"[i])
            self.name_of[value] = name
            self.statements.append(Input(Name(name, span), None, (), span))
            self.current = value
        needed = _needed_names(module)
        for chain, formulas in zip(module.chains, module.plan.chains, strict=True):
            if chain is instance.merge and module.branch is not None:
                self._branches(module.branch, chain)
                continue
            last = chain is module.chains[-1] and module.branch is None
            merges = last and not any(n.origins for n in chain.nodes) and len(chain.inputs) > 1
            without_name = chain.value not in needed and (chain.only_steps or merges)
            name = "" if without_name else identifier(module.names[chain], chain.head.op)
            self.chain(chain, name, chain.value in needed, _by_node(formulas, chain))
        if module.kind == "adding" and module.branch is not None and instance.merge is not None:
            self._branches(module.branch, instance.merge)
        if len(instance.outputs) > 1:
            given = zip(module.results, instance.outputs, strict=True)
            results = tuple(self._result(name, value, span) for name, value in given)
            self.statements.append(Output(results, span))
        elif instance.output is not self.current:
            result = self.reference(instance.output, span)
            self.statements.append(Output((Result(None, result, span),), span))
        return with_loops(self.statements)

    def _result(self, name: str, value: GraphValue, span: Span) -> Result:
        """A result, whose name stands in front of the value where that is called otherwise."""
        reference = self.reference(value, span)
        alike = isinstance(reference, Variable) and reference.name == name
        return Result(None if alike else Name(name, span), reference, span)

    def _branches(self, branch: BranchCondition, merge: NodeChain) -> None:
        """Write the `if` that chooses a shortcut, or whether there is one."""
        module, instance = self.module, self.instance
        span, x = merge.head.span, instance.inputs[0]
        main = next(v for v in merge.inputs if v in self.name_of and v is not x)
        outer = self.statements
        branches: list[tuple[Statement, ...]] = []
        for short in (instance.shortcut, None):
            self.statements = []
            value = x
            if short is not None:
                assert module.shortcut is not None, "a shortcut has formulas"
                name = identifier(module.names[short], short.head.op)
                self.chain(short, name, True, _by_node(module.shortcut, short))
                value = short.value
            first, second = (value, main) if merge.inputs[1] is main else (main, value)
            arguments = (self.reference(first, span), self.reference(second, span))
            add = Call(Name("add", span), arguments, (), span)
            self.statements.append(LayerStatement(None, Chain((add,), span), span))
            branches.append(tuple(self.statements))
        self.statements = outer
        condition = self._condition(branch, span)
        otherwise = branches[1] if module.kind == "projecting" else ()
        self.statements.append(If(((condition, branches[0]),), otherwise, span))
        if len(merge.nodes) > 1:
            calls = tuple(
                Call(Name(n.op, n.span), None, self.fields(n, attribute_values(n)), n.span)
                for n in merge.nodes[1:]
            )
            self.statements.append(LayerStatement(None, Chain(calls, span), span))
        self.current = merge.value

    def _condition(self, branch: BranchCondition, span: Span) -> Expression:
        if branch.flag:
            return Variable(branch.flag, span)
        x = self.module.instances[0].inputs[0]
        assert branch.channels is not None, "without a flag, channels are compared"
        projects = self.module.kind == "projecting"
        differs = "!=" if projects else "=="
        channels = Attribute(self.reference(x, span), Name("channels", span), span)
        count = self.formula(branch.channels, "filters", span)
        shapes = Comparison(channels, ((differs, count),), span)
        if not branch.stride:
            return shapes
        one = Number(Fraction(1), span)
        strides = Comparison(Variable(branch.stride, span), ((differs, one),), span)
        return Logic("or" if projects else "and", (strides, shapes), span)


def _by_node(formulas: Formulas, chain: NodeChain) -> list[dict[str, Formula]]:
    return [
        {name: formulas[j, name] for name in attribute_values(n)} for j, n in enumerate(chain.nodes)
    ]


def _needed_names(module: PlannedModule) -> set[GraphValue]:
    """The values that need a name, since not only the next statement takes them."""
    instance = module.instances[0]
    needed: set[GraphValue] = set()
    current = instance.inputs[-1]
    for chain in module.chains:
        if chain.inputs != [current]:
            needed.update(chain.inputs)
        current = chain.value
    if instance.merge is not None:
        needed.update(instance.merge.inputs)
    if instance.outputs != [current]:
        needed.update(instance.outputs)
    formulas = [f for chain in module.plan.chains for f in chain.values()]
    formulas += (module.shortcut or {}).values()
    for f in formulas:
        if isinstance(f, Scaled) and isinstance(f.base, ChannelsOf):
            needed.add(f.base.value)
    return needed | {v.node.value for v in needed if v.node is not None}
