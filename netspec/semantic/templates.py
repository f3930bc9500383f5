"""Definitions as templates: statements with the names of ops and modules looked up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from weakref import WeakKeyDictionary

from netspec.ir.template import (
    Binding,
    Branches,
    Flowing,
    LayerLine,
    Link,
    NamedCallee,
    Operand,
    Repetition,
    Requirement,
    ShapeRequirement,
    Template,
    TemplateCall,
    TemplateChoice,
    TemplateInput,
    TemplateOutput,
    TemplateParameter,
    TemplateStatement,
)
from netspec.ops import OPS, Op, attributes, find_op
from netspec.semantic.constant_names import constant_names
from netspec.semantic.imports import ModuleDefinition
from netspec.syntax.ast import (
    Call,
    Chain,
    ContractStatement,
    For,
    If,
    Input,
    LayerName,
    LayerStatement,
    Let,
    NetBlock,
    OpLiteral,
    Output,
    Reference,
    Statement,
    Variable,
)
from netspec.syntax.visitor import walk


@cache
def _words() -> frozenset[str]:
    """The words that fields of ops take."""
    return frozenset(w for op in OPS.values() for a in attributes(op) for w in a.kind.words)


_KNOWN: WeakKeyDictionary[ModuleDefinition, Template] = WeakKeyDictionary()


def template_of(module: ModuleDefinition) -> Template:
    """The template of a definition whose names are known to be sound."""
    if module not in _KNOWN:
        _KNOWN[module] = _TemplateBuilder(module).template()
    return _KNOWN[module]


class _TemplateBuilder:
    def __init__(self, module: ModuleDefinition) -> None:
        self.module = module
        self.constants = constant_names(module.definition)

    def template(self) -> Template:
        definition = self.module.definition
        return Template(
            definition.kind,
            definition.name.text,
            definition.doc,
            tuple(TemplateParameter(p.name.text, p.default) for p in definition.params),
            tuple(self._statements(definition.body)),
            definition.name.span,
            self._callees(),
        )

    def _callees(self) -> dict[str, type[Op] | Template]:
        """The ops and modules among the names in expressions."""
        found: dict[str, type[Op] | Template] = {}
        nodes = list(walk(self.module.definition))
        # What else has a name is no op of an installed package, which takes time to look for.
        known = {n.base.text for n in nodes if isinstance(n, LayerName)}
        known |= {n.name.text for n in nodes if isinstance(n, Input)}
        apart = [n for n in nodes if isinstance(n, Input | NetBlock | ContractStatement)]
        known |= {n.name for n in walk(*apart) if isinstance(n, Variable)}
        for node in nodes:
            name = ""
            if isinstance(node, Variable):
                name = node.name
            elif isinstance(node, OpLiteral):
                name = node.op.text
            if name and name not in self.constants and name not in found:
                callee: type[Op] | ModuleDefinition | None = OPS.get(name) or self.module.find(name)
                if callee is None and name not in known and name not in _words():
                    callee = self.module.callee(name)
                if callee is not None and callee is not self.module:
                    found[name] = callee if isinstance(callee, type) else template_of(callee)
        return found

    def _statements(self, body: Sequence[Statement]) -> Iterator[TemplateStatement]:
        for s in body:
            match s:
                case LayerStatement():
                    links: list[Link] = []
                    self._chain(s.chain, links)
                    yield LayerLine(s.name, tuple(links), s.span)
                case Input():
                    yield TemplateInput(s.name.text, s.pattern)
                case Output():
                    inner: list[Link] = []
                    values = tuple(self._operand(r.value, inner) for r in s.results)
                    names = tuple(r.name.text if r.name else "" for r in s.results)
                    yield TemplateOutput(values, names, tuple(inner), s.span)
                case Let():
                    yield Binding(s.name.text, s.value)
                case ContractStatement():
                    message = s.message.value if s.message else None
                    if s.kind == "expect" and s.pattern is None:
                        yield Requirement(s.subject, message, s.span)
                    elif s.kind == "expect" and s.pattern is not None:
                        yield ShapeRequirement(s.subject, s.pattern, s.span)
                case If():
                    cases = tuple((c, tuple(self._statements(b))) for c, b in s.branches)
                    yield Branches(cases, tuple(self._statements(s.otherwise)), s.span)
                case For():
                    inside = tuple(self._statements(s.body))
                    yield Repetition(s.target, s.first, s.last, s.step, inside, s.span)

    def _chain(self, chain: Chain, links: list[Link]) -> Link:
        before: Link | None = None
        counts: Counter[str] = Counter()
        for link in chain.links:
            if isinstance(link, Call):
                inputs: tuple[Operand, ...]
                if link.arguments is not None:
                    inputs = tuple(self._operand(a, links) for a in link.arguments)
                else:
                    inputs = (before if before is not None else Flowing(),)
                before = self._call(link, inputs, counts if before is not None else None)
            else:
                assert before is not None, "a chain begins with a call"
                numbers = Counter(counts)
                made = [self._call(c, (Flowing(),), numbers.copy()) for c in link.calls]
                counts.update({c.op.text for c in link.calls})
                cases = zip((condition for _, condition in link.cases), made, strict=False)
                otherwise = made[-1] if link.otherwise is not None else None
                before = TemplateChoice(before, tuple(cases), otherwise)
            links.append(before)
        assert before is not None
        return before

    def _call(
        self, c: Call, inputs: tuple[Operand, ...], counts: Counter[str] | None
    ) -> TemplateCall:
        """A call with its inputs; `counts` are those of the links before it, None for the first."""
        keyword = c.op.text
        op = OPS.get(keyword) if not c.indices else None
        found = None if op is not None or c.indices else self.module.find(keyword)
        if op is None and found is None and not c.indices:
            op = find_op(keyword)
        callee: type[Op] | Template | LayerName = c.callee
        if op is not None:
            callee = op
        elif found is not None:
            callee = template_of(found)
        called: type[Op] | Template | LayerName | NamedCallee = callee
        if keyword in self.constants and not c.indices:
            called = NamedCallee(keyword, callee)
        fields = tuple((f.name.text, f.value) for f in c.fields)
        suffix = None
        if counts is not None:
            counts[keyword] += 1
            suffix = keyword + (f"_{counts[keyword]}" if counts[keyword] > 1 else "")
        return TemplateCall(called, inputs, fields, keyword, suffix, c.span)

    def _operand(self, argument: Chain | Reference, links: list[Link]) -> Operand:
        return self._chain(argument, links) if isinstance(argument, Chain) else argument
