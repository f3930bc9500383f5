"""Expressions of a template as terms: what `evaluate` is for values, with the source kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from netspec.codegen.tracing.nodes import CannotTrace, Sym, TraceValue
from netspec.codegen.tracing.numbers import constant, plain_value, sym_of
from netspec.codegen.tracing.numbers import item_of as item_sym
from netspec.ir.op_value import OpValue
from netspec.ir.template import Template
from netspec.ops import attributes
from netspec.symbolic.conditions import (
    COMPARISONS,
    MAX_ITEMS,
    Combined,
    Compared,
    ConstantTerm,
    ListTerm,
)
from netspec.symbolic.expr import ZERO, Apply, NumberLiteral, expr_of
from netspec.symbolic.facts import item_of, whole
from netspec.symbolic.terms import OPERATIONS, Choose, Item, decided, folded, is_whole, length
from netspec.syntax import ast


class TermScope:
    """The constants in sight."""

    def __init__(self, outer: TermScope | None = None) -> None:
        self.outer = outer
        self.names: dict[str, Sym] = {}

    def find(self, name: str) -> Sym | None:
        scope: TermScope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.outer
        return None


class TermEvaluator:
    """Evaluates in a scope of one template; `value_of` gives the value that an expression names."""

    def __init__(
        self,
        value_of: Callable[[ast.Expression], TraceValue | None] = lambda e: None,
        need: Callable[[Compared, Sequence[Any]], None] = lambda condition, where: None,
        callees: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.value_of = value_of
        self.need = need
        self.callees = callees
        """The ops and modules that expressions may name."""
        self.ranges: dict[Any, tuple[Any, Any]] = {}
        """The first and last values of loop variables."""
        self.lists: dict[Any, Any] = {}
        """The lists of constants that `let` gave names to."""
        self.lengths: dict[Any, int] = {}
        """The lengths of lists that loops go over."""
        self.where: list[Any] = []
        """The conditions under which what is being evaluated is asked for."""
        self.scope = TermScope()

    @contextmanager
    def inner_scope(self) -> Iterator[dict[str, Sym]]:
        """Have further constants in sight for a while; gives their names."""
        outer, self.scope = self.scope, TermScope(self.scope)
        try:
            yield self.scope.names
        finally:
            self.scope = outer

    @contextmanager
    def unasked(self) -> Iterator[None]:
        """Have nothing required for a while: the statements themselves do."""
        need, self.need = self.need, lambda condition, where: None
        try:
            yield
        finally:
            self.need = need

    def evaluate(self, e: ast.Expression) -> Sym:
        match e:
            case ast.Number():
                return Sym(e.value, NumberLiteral(e.value))
            case ast.String():
                return Sym(e.value, ConstantTerm(e.value))
            case ast.Constant():
                return Sym(e.value, ConstantTerm(e.value))
            case ast.ShapeLiteral():
                items = tuple(
                    Sym(Fraction(d or 0), NumberLiteral(Fraction(d or 0))) for d in e.dims
                )
                return Sym(items, ListTerm(tuple(i.term for i in items)))
            case ast.ListLiteral():
                items = tuple(self.evaluate(i) for i in e.items)
                return Sym(items, ListTerm(tuple(i.term for i in items)))
            case ast.Variable():
                found = self.scope.find(e.name)
                if found is None and e.name in self.callees:
                    return constant(OpValue(e.name, self.callees[e.name]))
                if found is None:
                    raise CannotTrace(f"{e.name} is no constant")
                return found
            case ast.OpLiteral():
                return self._op_literal(e)
            case ast.Index():
                return self._item(e)
            case ast.Attribute():
                return self._attribute(e)
            case ast.Unary("not"):
                inner = self.evaluate(e.operand)
                return Sym(not inner.value, Combined("not", (inner.term,)))
            case ast.Unary():
                inner = self.evaluate(e.operand)
                if e.operator == "+":
                    return inner
                return Sym(-inner.value, folded("-", inner.term))
            case ast.Binary():
                return self._binary(e)
            case ast.Comparison():
                first = self.evaluate(e.first)
                rest = [(op, self.evaluate(o)) for op, o in e.rest]
                first, *others = map(_bare, (first, *(s for _, s in rest)))
                rest = [(op, s) for (op, _), s in zip(rest, others, strict=True)]
                truth, left = True, first
                for op, right in rest:
                    truth = truth and _compare(op, left, right)
                    left = right
                term = Compared(self.items(first), tuple((op, self.items(s)) for op, s in rest))
                return Sym(truth, _elementwise(first, rest) or term)
            case ast.Logic():
                each: list[Sym] = []
                for o in e.operands:
                    before = [s.term for s in each]
                    holds = before if e.operator == "and" else map(opposite, before)
                    each.append(self.evaluate_where(holds, o))
                value = (
                    all(s.value for s in each)
                    if e.operator == "and"
                    else any(s.value for s in each)
                )
                neutral = e.operator == "and"
                terms = tuple(s.term for s in each if decided(s.term) is not neutral)
                if len(terms) > 1:
                    return Sym(value, Combined(e.operator, terms))
                return Sym(value, terms[0] if terms else ConstantTerm(neutral))
            case ast.Conditional():
                return self._conditional(e)
            case ast.Function():
                return self._function(e)
        raise CannotTrace(f"{type(e).__name__} has no source")

    def _op_literal(self, e: ast.OpLiteral) -> Sym:
        """An op or module with its fields, which must be the same for all arguments."""
        base = self.evaluate(ast.Variable(e.op.text, e.op.span))
        if not isinstance(base.value, OpValue):
            base = constant(OpValue(e.op.text, self.callees[e.op.text]))
        callee = base.value.callee
        kinds = {a.name: a.kind for a in attributes(callee)} if isinstance(callee, type) else {}
        found = dict(base.value.fields)
        for f in e.fields:
            words = kinds[f.name.text].words if kinds else ()
            found[f.name.text] = self._word(f.value, words)
        value = OpValue(base.value.name, callee, tuple(found.items()))
        return Sym(value, ConstantTerm(value) if base.known else base.term)

    def _word(self, e: ast.Expression, words: Sequence[str]) -> Any:
        """A word of a field, with what stands in its brackets, or a constant."""
        if isinstance(e, ast.Variable) and e.name in words:
            return e.name
        if isinstance(e, ast.Function) and e.name.text in words:
            return (e.name.text, *(self._word(a, words) for a in e.arguments))
        sym = self.evaluate(e)
        if not sym.known:
            raise CannotTrace(f"{e.span.text} of an op as a value, which arguments decide")
        return python_value(sym)

    def _item(self, e: ast.Index) -> Sym:
        base = self.evaluate(e.base)
        index = self.evaluate(e.index)
        if not isinstance(base.value, tuple):
            raise CannotTrace("an item of what is no list")
        place = int(index.value)
        if not base.value:
            raise CannotTrace("an item of an empty list")
        if not index.known or not (base.known or isinstance(base.term, ListTerm)):
            self.need(whole(index.term), self.where)
            needed = item_of(self.length(base).term, index.term, self.ranges)
            if needed is not None:
                self.need(needed, self.where)
        item: Sym = base.value[min(max(place, 0), len(base.value) - 1)]
        if index.known and item.known:
            return item
        if isinstance(base.term, ListTerm) and index.known:
            return item
        return item_sym(plain_value(base), plain_value(item), Item(base.term, index.term))

    def _attribute(self, e: ast.Attribute) -> Sym:
        value = self.value_of(e.base)
        if value is None:
            raise CannotTrace(f"{e.span.text} is not known")
        name = e.name.text
        places = {"channels": 0, "height": 1, "width": 2}
        if name == "shape":
            items = tuple(Sym(Fraction(int(d)), expr_of(d)) for d in value.shape)
            return Sym(items, ListTerm(tuple(i.term for i in items)))
        d = value.shape[places[name]]
        return Sym(Fraction(int(d)), expr_of(d))

    def _binary(self, e: ast.Binary) -> Sym:
        a, b = self.evaluate(e.left), self.evaluate(e.right)
        if isinstance(a.value, tuple):
            if len(a.value) + len(b.value) > MAX_ITEMS:
                raise CannotTrace(f"a list of more than {MAX_ITEMS:,} items")
            lists = [self.lists.get(s.term, s.term) for s in (a, b)]
            if all(isinstance(x, ListTerm) for x in lists):
                return Sym(a.value + b.value, ListTerm(tuple(i for x in lists for i in x.items)))
            return Sym(a.value + b.value, Apply("joined", (a.term, b.term)))  # type: ignore[arg-type]
        if e.operator in ("/", "//", "%") and not b.known:
            self.need(Compared(b.term, (("!=", ZERO),)), self.where)
        try:
            value = Fraction(OPERATIONS[e.operator](a.value, b.value))
        except (ArithmeticError, TypeError):
            if a.known and b.known:
                raise CannotTrace(f"{e.span.text} has no value") from None
            value = Fraction(1)
        return Sym(value, folded(e.operator, a.term, b.term))

    def items(self, sym: Sym) -> Any:
        """A term as it may be compared: a list is a tuple, whichever of both an argument is."""
        opaque = isinstance(sym.value, tuple) and not isinstance(sym.term, ListTerm)
        return Apply("tuple", (sym.term,)) if opaque else sym.term  # type: ignore[arg-type]

    def length(self, items: Sym) -> Sym:
        """The length of a list."""
        n = Fraction(len(items.value))
        fixed = items.known or self.has_length(items.term)
        return Sym(n, NumberLiteral(n) if fixed else length(items.term))

    def has_length(self, items: Any) -> bool:
        """Whether a list has as many items for all arguments."""
        if isinstance(items, Choose):
            return self.has_length(items.then) and self.has_length(items.otherwise)
        return isinstance(self.lists.get(items, items), ListTerm) or items in self.lengths

    def evaluate_where(self, conditions: Iterable[Any], e: ast.Expression) -> Sym:
        """The value of an expression that is asked for where these conditions hold."""
        before = self.where
        self.where = [*before, *conditions]
        value = self.evaluate(e)
        self.where = before
        return value

    def paired(self, name: str, args: list[Sym]) -> Sym:
        """What `enumerate` or `zip` makes of lists; the term names these."""
        columns = [a.value for a in args]
        if name == "zip":
            first, *others = map(self.length, args)
            for other in others:
                self.need(Compared(other.term, (("==", first.term),)), self.where)
        else:
            start = args[1] if len(args) > 1 else Sym(Fraction(0), ZERO)
            self.need(whole(start.term), self.where)
            numbers = (NumberLiteral(Fraction(k)) for k in range(len(columns[0])))
            sums = ((start.value + n.value, folded("+", start.term, n)) for n in numbers)
            columns, args = [[Sym(*s) for s in sums], columns[0]], [args[0], start]
        rows = [tuple(row) for row in zip(*columns, strict=True)]
        value = tuple(Sym(row, ListTerm(tuple(s.term for s in row))) for row in rows)
        return Sym(value, Apply(name, tuple(a.term for a in args)))  # type: ignore[arg-type]

    def _conditional(self, e: ast.Conditional) -> Sym:
        tests: list[Sym] = []
        choices: list[Sym] = []
        for value, condition in e.cases:
            before = [opposite(t.term) for t in tests]
            tests.append(self.evaluate_where(before, condition))
            choices.append(self.evaluate_where([*before, tests[-1].term], value))
        result = self.evaluate_where([opposite(t.term) for t in tests], e.otherwise)
        for test, chosen in zip(reversed(tests), reversed(choices), strict=True):
            truth = decided(test.term)
            if truth is not None:
                result = chosen if truth else result
                continue
            result = _choose(test, chosen, result)
        return result

    def _function(self, e: ast.Function) -> Sym:
        name = e.name.text
        args = [self.evaluate(a) for a in e.arguments]
        if name == "len":
            return self.length(args[0])
        if name in ("enumerate", "zip"):
            pairs = self.paired(name, args)
            known = [isinstance(self.lists.get(a.term, a.term), ListTerm) for a in args]
            if known[0] and (name == "enumerate" or all(known)):
                return Sym(pairs.value, ListTerm(tuple(row.term for row in pairs.value)))
            return sym_of(pairs.value, pairs.term)
        if len(args) == 1 and isinstance(args[0].value, tuple):
            if not args[0].known and not isinstance(args[0].term, ListTerm):
                # A list of any length.
                numbers = [a.value for a in args[0].value]
                if not all(is_whole(a.term) for a in args[0].value):
                    raise CannotTrace(f"{name} of a list of fractions")
                total = sum(numbers) if name == "sum" else OPERATIONS[name](numbers)
                return Sym(Fraction(total), Apply(name, (args[0].term,)))  # type: ignore[arg-type]
            args = list(args[0].value)
        if name == "sum":
            total = Sym(Fraction(0), ZERO)
            for a in args:
                total = Sym(total.value + a.value, folded("+", total.term, a.term))
            return total
        if name not in OPERATIONS:
            raise CannotTrace(f"{name} is no function of constants")
        value = Fraction(OPERATIONS[name](*(a.value for a in args)))
        if len(args) == 1 and name in ("min", "max"):
            return args[0]
        return Sym(value, folded(name, *(a.term for a in args)))


def completed(template: Template, given: Mapping[str, Sym]) -> dict[str, Sym]:
    """The arguments of a use of a template, with the defaults of those that it leaves out."""
    complete = dict(given)
    evaluator = TermEvaluator(callees=template.callees)
    for p in template.parameters:
        if p.name not in complete and p.default is not None:
            complete[p.name] = evaluator.evaluate(p.default)
        if p.name in complete:
            evaluator.scope.names[p.name] = complete[p.name]
    return complete


def _bare(sym: Sym) -> Sym:
    """A constant as it is compared: of ops, which they are, without their fields."""
    if isinstance(sym.value, OpValue):
        return Sym(sym.value.bare, ConstantTerm(sym.value.bare) if sym.known else sym.term)
    if isinstance(sym.value, tuple) and isinstance(sym.term, ListTerm):
        items = tuple(map(_bare, sym.value))
        return Sym(items, ListTerm(tuple(i.term for i in items)))
    return sym


def python_value(sym: Sym) -> Any:
    """A known constant as Python has it."""
    if isinstance(sym.value, tuple):
        return tuple(map(python_value, sym.value))
    if isinstance(sym.value, Fraction):
        return int(sym.value) if sym.value.denominator == 1 else float(sym.value)
    return sym.value


def opposite(condition: Any) -> Any:
    return Combined("not", (condition,))


def _choose(test: Sym, a: Sym, b: Sym) -> Sym:
    if isinstance(a.value, tuple) and isinstance(b.value, tuple) and len(a.value) == len(b.value):
        items = tuple(_choose(test, x, y) for x, y in zip(a.value, b.value, strict=True))
        return Sym(items, Choose(test.term, a.term, b.term))
    if a.term == b.term:
        return a
    return sym_of(a.value if test.value else b.value, Choose(test.term, a.term, b.term))


def _compare(op: str, a: Sym, b: Sym) -> bool:
    left, right = plain_value(a), plain_value(b)
    try:
        return COMPARISONS[op](left, right)
    except TypeError:
        return False


def _elementwise(first: Sym, rest: Sequence[tuple[str, Sym]]) -> Any:
    """`[a, b] == [1, 2]` as comparisons of the items."""
    if len(rest) != 1 or rest[0][0] != "==":
        return None
    other = rest[0][1]
    if not isinstance(first.term, ListTerm) or not isinstance(other.term, ListTerm):
        return None
    if len(other.value) != len(first.value):
        return None
    return Combined(
        "and",
        tuple(
            Compared(a.term, (("==", b.term),))
            for a, b in zip(first.value, other.value, strict=True)
        ),
    )


def is_float(p: Any, value: Any) -> bool:
    """Whether a parameter need not be a whole number."""
    if isinstance(value, bool | str | tuple) or value is None:
        return False
    if Fraction(repr(value) if isinstance(value, float) else value).denominator != 1:
        return True
    return isinstance(p.default, ast.Number) and not p.default.span.text.replace("_", "").isdigit()
