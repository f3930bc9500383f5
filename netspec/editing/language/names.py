"""Every name of a text, and what it stands for: constants and values of its definitions, modules of
it and of imported files, ops and their fields."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Literal, NamedTuple

from netspec.diagnostics.source import Span
from netspec.lazy_dataclasses import dataclass
from netspec.ops import OPS, Op, attributes, find_op
from netspec.reference.editor_words import VALUES
from netspec.semantic.imports import ModuleDefinition, Program
from netspec.syntax.ast import (
    Attribute,
    Call,
    Chain,
    Choice,
    ContractStatement,
    Default,
    Definition,
    Expression,
    Field,
    File,
    For,
    Function,
    If,
    Import,
    Input,
    LayerName,
    LayerStatement,
    Let,
    ListLiteral,
    Name,
    NetBlock,
    OpLiteral,
    Output,
    Pattern,
    Statement,
    Unpacked,
    Variable,
    Variant,
)
from netspec.syntax.visitor import children, statements

Kind = Literal[
    "net", "module", "variant", "parameter", "constant", "input", "layer", "output", "op", "field"
]


@dataclass(frozen=True)
class Symbol:
    """What a name stands for; `place` is where it is defined, None for what is the language's.

    `within` is the definition that it belongs to, or the op of a field. `indexed`: its name is only
    the beginning of several.
    """

    kind: Kind
    name: str
    place: Span | None = None
    within: Definition | type[Op] | None = None
    indexed: bool = False

    @property
    def key(self) -> object:
        """Equal for the same thing, also of another reading of the same text."""
        if self.place is None:
            return self.kind, self.name, getattr(self.within, "keyword", None)
        return self.kind, self.place.source.name, self.place.start


class Occurrence(NamedTuple):
    """A place of a text that names something."""

    span: Span
    symbol: Symbol


class _Constants:
    """The constants in sight; a block of `for` or `if` has its own."""

    def __init__(self, outer: _Constants | None = None) -> None:
        self.outer = outer
        self.names: dict[str, Symbol] = {}

    def find(self, name: str) -> Symbol | None:
        return self.names.get(name) or (self.outer.find(name) if self.outer else None)


def names_of(file: File, program: Program | None) -> list[Occurrence]:
    """Every name of a text, in the order of the text, definitions among them.

    Modules of other files are known where there is a program.
    """
    modules = {}
    if program is not None:
        for m in (*program.modules, *program.nets):
            modules[m.definition.name.span.start] = m
    found: list[Occurrence] = []
    for item in file.items:
        if isinstance(item, Definition):
            _Walk(item, modules.get(item.name.span.start), found).definition()
        elif isinstance(item, Default):
            known = next(iter(modules.values()), None)
            _Walk(Definition("net", item.op, (), (), "", item.span), known, found).default(item)
        elif isinstance(item.target, Name):
            name = item.target
            module = _imported(item, program)
            found.append(Occurrence(name.span, module or Symbol("module", name.text)))
    return sorted(found, key=lambda o: (o.span.start, o.span.end))


def symbol_of(module: ModuleDefinition) -> Symbol:
    """The symbol of a module."""
    definition = module.definition
    return Symbol(definition.kind, definition.name.text, definition.name.span, definition)


def _imported(item: Import, program: Program | None) -> Symbol | None:
    """The module that an import is named after."""
    known = [*program.nets, *program.modules] if program is not None else []
    module = known[0].scope.find(item.target.text, 1 << 30) if known else None  # type: ignore[union-attr]
    return symbol_of(module) if module is not None else None


class _Walk:
    """One walk over a definition."""

    def __init__(
        self, definition: Definition, module: ModuleDefinition | None, found: list[Occurrence]
    ) -> None:
        self.own = definition
        self.module = module
        self.found = found
        self.constants = _Constants()
        self.values: dict[str, Symbol] = {}

    def definition(self) -> None:
        d = self.own
        self._add(d.name, Symbol(d.kind, d.name.text, d.name.span, d))
        for param in d.params:
            if param.default is not None:
                self.expression(param.default)
            self._constant("parameter", param.name)
        for s in statements(d.body):
            if isinstance(s, Input):
                self._value("input", s.name)
            elif isinstance(s, LayerStatement) and s.name is not None:
                self._value("layer", s.name.base, bool(s.name.indices))
        self.body(d.body)

    def body(self, body: Iterable[Statement]) -> None:
        for statement in body:
            self.statement(statement)

    def _inner(self, body: Iterable[Statement], *constants: Name) -> None:
        self.constants = _Constants(self.constants)
        for name in constants:
            self._constant("constant", name)
        self.body(body)
        self.constants = self.constants.outer or self.constants

    def statement(self, s: Statement) -> None:
        match s:
            case LayerStatement():
                if s.name is not None:
                    self.line_name(s.name)
                self.chain(s.chain)
            case Input():
                self._name(s.name, self.values)
                self.pattern(s.pattern)
                self.fields(s.fields, None)
            case Output():
                for result in s.results:
                    if result.name is not None:
                        self._add(result.name, self._own("output", result.name))
                    self.argument(result.value)
            case Let():
                self.expression(s.value)
                self._constant("constant", s.name)
            case ContractStatement():
                self.expression(s.subject, values_first=True)
                self.pattern(s.pattern)
            case For():
                for e in (s.first, s.last, s.step):
                    if e is not None:
                        self.expression(e)
                self._inner(s.body, *_targets(s.target))
            case If():
                for condition, body in s.branches:
                    self.expression(condition)
                    self._inner(body)
                self._inner(s.otherwise)
            case NetBlock():
                self.fields(s.fields, None)
            case Variant():
                self._add(s.name, self._own("variant", s.name))
                self.fields(s.fields, self.own)
                for contract in s.contracts:
                    self.statement(contract)
            case Default():
                self.default(s)

    def default(self, s: Default) -> None:
        self._add(s.op, self._callee(s.op))
        self.fields(s.fields, self._fields_of(self._callee(s.op)))

    def chain(self, chain: Chain) -> None:
        for link in chain.links:
            if isinstance(link, Choice):
                for call, condition in link.cases:
                    self.call(call)
                    self.expression(condition)
                if link.otherwise is not None:
                    self.call(link.otherwise)
            else:
                self.call(link)

    def call(self, call: Call) -> None:
        symbol = self._callee(call.op)
        self._add(call.op, symbol)
        for index in call.indices:
            self.expression(index)
        for argument in call.arguments or ():
            self.argument(argument)
        self.fields(call.fields, self._fields_of(symbol))

    def _callee(self, name: Name) -> Symbol | None:
        """What is called: as the language looks it up."""
        held = self.constants.find(name.text)
        if held is not None and self.module and name.text in self.module.op_holders:
            return held
        op = OPS.get(name.text)
        if op is None:
            module = self.module.find(name.text) if self.module is not None else None
            if module is not None:
                return symbol_of(module)
            op = find_op(name.text)
        if op is not None:
            return Symbol("op", op.keyword, within=op)
        return self.values.get(name.text) or held

    def _fields_of(self, symbol: Symbol | None) -> Definition | type[Op] | None:
        """What decides which fields a call may have."""
        return symbol.within if symbol is not None and symbol.kind in ("op", "module") else None

    def argument(self, argument: Chain | Expression) -> None:
        if isinstance(argument, Chain):
            self.chain(argument)
        else:
            self.expression(argument, values_first=True)

    def fields(self, fields: Sequence[Field], of: Definition | type[Op] | None) -> None:
        for f in fields:
            self._add(f.name, field_symbol(of, f.name.text))
            if not (isinstance(f.value, Variable) and f.value.name in _words(of, f.name.text)):
                self.expression(f.value)

    def pattern(self, pattern: Pattern | None) -> None:
        if isinstance(pattern, ListLiteral):
            self.expression(pattern)

    def line_name(self, name: LayerName) -> None:
        self._name(name.base, self.values)
        for index in name.indices:
            self.expression(index)

    def expression(self, e: Expression, values_first: bool = False) -> None:
        match e:
            case Variable():
                constant, value = self.constants.find(e.name), self.values.get(e.name)
                symbol = (value or constant) if values_first else (constant or value)
                self._add(Name(e.name, e.span), symbol)
            case Attribute():
                self.expression(e.base, values_first=True)
            case Function():
                for argument in e.arguments:
                    self.expression(argument, values_first=True)
            case OpLiteral():
                symbol = self._callee(e.op)
                self._add(e.op, symbol)
                self.fields(e.fields, self._fields_of(symbol))
            case _:
                for child in children(e):
                    self.expression(child, values_first)  # type: ignore[arg-type]

    def _constant(self, kind: Kind, name: Name) -> None:
        symbol = self._own(kind, name)
        self.constants.names[name.text] = symbol
        self._add(name, symbol)

    def _value(self, kind: Kind, name: Name, indexed: bool = False) -> None:
        self.values.setdefault(name.text, self._own(kind, name, indexed))

    def _own(self, kind: Kind, name: Name, indexed: bool = False) -> Symbol:
        return Symbol(kind, name.text, name.span, self.own, indexed)

    def _name(self, name: Name, known: dict[str, Symbol]) -> None:
        self._add(name, known.get(name.text))

    def _add(self, name: Name, symbol: Symbol | None) -> None:
        if symbol is not None:
            self.found.append(Occurrence(name.span, symbol))


def field_symbol(of: Definition | type[Op] | None, name: str) -> Symbol | None:
    """A field of an op, or a parameter of a module or net."""
    if isinstance(of, Definition):
        param = next((p for p in of.params if p.name.text == name), None)
        return Symbol("parameter", name, param.name.span, of) if param is not None else None
    if of is not None and any(a.name == name for a in attributes(of)):
        return Symbol("field", name, within=of)
    return None


def _words(of: Definition | type[Op] | None, field: str) -> Collection[str]:
    """The words that a field of an op, or of a block about a net, takes."""
    if of is None:
        return VALUES
    if isinstance(of, Definition):
        return ()
    return next((a.kind.words for a in attributes(of) if a.name == field), ())


def _targets(target: Name | Unpacked) -> list[Name]:
    """The names of a loop's variables."""
    if isinstance(target, Name):
        return [target]
    return [name for part in target.parts for name in _targets(part)]
