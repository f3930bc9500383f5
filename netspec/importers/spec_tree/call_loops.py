"""Uses of one module in a row, as loops over rows of what they are given."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from netspec.diagnostics.source import Span
from netspec.importers.spec_tree.loops import comparable_value
from netspec.importers.structure.names import UniqueNames, joined_name, use_place
from netspec.lazy_dataclasses import dataclass
from netspec.syntax.ast import (
    Binary,
    Call,
    Chain,
    Comparison,
    Conditional,
    Expression,
    Field,
    For,
    Function,
    LayerName,
    LayerStatement,
    ListLiteral,
    Logic,
    Name,
    Number,
    Reference,
    Statement,
    Target,
    Unpacked,
    Variable,
)
from netspec.syntax.unparse import expression

MIN_USES = 3
"""From how many uses on a loop is written."""
MAX_WIDTH = 90
"""Most characters of a list that stands on one line."""


@dataclass(frozen=True)
class UseLine:
    """A line that uses a module; `path` is what it is called in the imported file.

    `fields` are all that the module has; those in `usual` need not be written, and those in
    `counts` are numbers of channels.
    """

    name: str
    path: str
    module: str
    arguments: tuple[Reference, ...] | None
    fields: tuple[Field, ...]
    usual: frozenset[str]
    counts: frozenset[str]
    span: Span

    def statement(self) -> LayerStatement:
        """The line alone."""
        name = LayerName(Name(self.name, self.span), (), self.span)
        fields = tuple(f for f in self.fields if f.name.text not in self.usual)
        call = Call(Name(self.module, self.span), self.arguments, fields, self.span)
        return LayerStatement(name, Chain((call,), self.span), self.span)

    def place(self) -> tuple[str, tuple[int, ...]] | None:
        """Its name in front of its numbers, and these; None where it has none."""
        found = use_place(self.path, self.module)
        if found is None or self.name != joined_name(*found):
            return None
        return found


def with_call_loops(
    statements: Sequence[Statement | UseLine], constants: Sequence[str]
) -> list[Statement]:
    """The statements, with loops for uses of a module in a row.

    `constants` are names that no variable of a loop can have.
    """
    result: list[Statement] = []
    i = 0
    while i < len(statements):
        first = statements[i]
        if not isinstance(first, UseLine):
            result.append(first)
            i += 1
            continue
        run = [first]
        for other in statements[i + 1 :]:
            if not isinstance(other, UseLine) or not _follows(run[-1], other):
                break
            run.append(other)
        i += len(run)
        if first.arguments is not None:
            result.append(first.statement())
            run = run[1:]
        result += _loops(run, constants)
    return result


def _follows(a: UseLine, b: UseLine) -> bool:
    """Whether a use may be in one loop with the one before."""
    return a.module == b.module and b.arguments is None


def _loops(run: list[UseLine], constants: Sequence[str]) -> list[Statement]:
    """The uses of one module in a row as loops, as far as their names count up."""
    result: list[Statement] = []
    while run:
        taken = _nested(run, constants) or _flat(run, constants)
        if taken is None:
            result.append(run[0].statement())
            run = run[1:]
        else:
            count, loop = taken
            result.append(loop)
            run = run[count:]
    return result


def _flat(run: list[UseLine], taken: Sequence[str]) -> tuple[int, For] | None:
    """How many uses at the beginning count up, and the loop of them."""
    place = run[0].place()
    if place is None:
        return None
    base, numbers = place
    count = 1
    while count < len(run):
        expected = base, (*numbers[:-1], numbers[-1] + count)
        if run[count].place() != expected:
            break
        count += 1
    if count < MIN_USES:
        return None
    uses = run[:count]
    span = uses[0].span
    index = Variable("i" if len(numbers) == 1 else "j", span)
    fixed = [Number(Fraction(n), span) for n in numbers[:-1]]
    name = LayerName(Name(base, span), (*fixed, index), span)
    names = UniqueNames(["i", "j", *taken])
    columns = _columns([[u] for u in uses], names, (index.name, numbers[-1]), 0)
    assert columns is not None, "each row has one use"
    return count, _loop(uses[0], name, [index], numbers[-1], columns, None, count)


def _nested(run: list[UseLine], taken: Sequence[str]) -> tuple[int, For] | None:
    """How many uses at the beginning are `name[i][j]` for numbers that count up, and the loops."""
    rows: list[list[UseLine]] = []
    start: tuple[str, int, int] | None = None
    for use in run:
        place = use.place()
        if place is None or len(place[1]) != 2:
            break
        base, (i, j) = place
        start = start or (base, i, j)
        if base != start[0]:
            break
        if rows and i == start[1] + len(rows) - 1 and j == start[2] + len(rows[-1]):
            rows[-1].append(use)
        elif i == start[1] + len(rows) and j == start[2]:
            rows.append([use])
        else:
            break
    if start is None or len(rows) < 2 or sum(map(len, rows)) < MIN_USES + 1:
        return None
    if all(len(r) == 1 for r in rows):
        return None
    names = UniqueNames(["i", "j", *taken])
    columns = _columns(rows, names, ("i", start[1]), start[2])
    if columns is None:
        return None
    span = rows[0][0].span
    index = [Variable("i", span), Variable("j", span)]
    lengths = [len(r) for r in rows]
    count = sum(lengths)
    name = LayerName(Name(start[0], span), tuple(index), span)
    return count, _loop(rows[0][0], name, index, start[1], columns, (start[2], lengths), count)


@dataclass
class _LoopColumns:
    """The fields of a loop's call, and the columns that they take, by name."""

    fields: list[Field]
    columns: dict[str, list[Expression]]


def _columns(
    rows: Sequence[Sequence[UseLine]], names: UniqueNames, outer: tuple[str, int], begin: int
) -> _LoopColumns | None:
    """What the uses in rows are given; None where it does not follow from row and place.

    `outer` is the variable of the rows and its first value, `begin` the first number in a row.
    """
    uses = [u for row in rows for u in row]
    found = _LoopColumns([], {})
    for i, field in enumerate(f.name.text for f in uses[0].fields):
        if all(field in u.usual for u in uses):
            continue
        cells = [[u.fields[i].value for u in row] for row in rows]
        first = [row[0] for row in cells]
        rest = [row[1:] for row in cells]
        if any(not _same(v, row[0]) for row in rest for v in row):
            return None
        column = _LoopColumn(field, names, outer, uses[0].span, found)
        later = [row[0] for row in rest if row]
        if all(not row or _same(f, row[0]) for f, row in zip(first, rest, strict=True)):
            value = column.value(first, switches=field not in uses[0].counts)
        elif all(_same(v, later[0]) for v in later):
            value = column.at_first(first, later[0], begin)
        else:
            others = [row[0] if row else f for f, row in zip(first, rest, strict=True)]
            at_first = column.value(first, switches=False)
            column.name = f"next_{field}"
            value = column.where([column.test("j", "==", begin)], at_first, column.value(others))
        found.fields.append(Field(Name(field, uses[0].span), value, uses[0].span))
    return found


@dataclass
class _LoopColumn:
    """One field in all rows of a loop, as an expression of the row's number or a new column."""

    name: str
    names: UniqueNames
    outer: tuple[str, int]
    span: Span
    found: _LoopColumns

    def value(self, values: list[Expression], switches: bool = False) -> Expression:
        """The value that all rows have, or before and after a row, else a column's name."""
        if all(_same(v, values[0]) for v in values):
            return values[0]
        at = self._switch(values) if switches else None
        if at is not None:
            return self.where([self._before(at)], values[0], values[-1])
        name = self.names.free(self.name)
        self.found.columns[name] = values
        return Variable(name, self.span)

    def at_first(self, first: list[Expression], later: Expression, begin: int) -> Expression:
        """The values of the first use of each row, where all others have another."""
        begins = self.test("j", "==", begin)
        at = self._switch(first)
        if at is not None and _same(first[0], later):
            variable, start = self.outer
            return self.where([self.test(variable, ">", start + at - 1), begins], first[-1], later)
        if at is not None and _same(first[-1], later):
            return self.where([self._before(at), begins], first[0], later)
        return self.where([begins], self.value(first), later)

    def _switch(self, values: list[Expression]) -> int | None:
        """The row from which on all have the last value, where all before have the first."""
        at = next((i for i, v in enumerate(values) if not _same(v, values[0])), len(values))
        after = values[at:]
        alike = len(values) > 2 and after and all(_same(v, after[0]) for v in after)
        return at if alike else None

    def _before(self, at: int) -> Expression:
        variable, start = self.outer
        if at == 1:
            return self.test(variable, "==", start)
        return self.test(variable, "<", start + at)

    def test(self, variable: str, operator: str, value: int) -> Comparison:
        """A comparison of a loop's variable with a number."""
        number = Number(Fraction(value), self.span)
        return Comparison(Variable(variable, self.span), ((operator, number),), self.span)

    def where(self, tests: list[Expression], a: Expression, b: Expression) -> Expression:
        """`a` where all tests hold, else `b`."""
        test = tests[0] if len(tests) == 1 else Logic("and", tuple(tests), self.span)
        return Conditional(((a, test),), b, self.span)


def _same(a: Expression | None, b: Expression | None) -> bool:
    if a is None or b is None:
        return a is b
    return comparable_value(a) == comparable_value(b)


def _loop(
    first: UseLine,
    name: LayerName,
    index: list[Variable],
    start: int,
    found: _LoopColumns,
    inner: tuple[int, list[int]] | None,
    count: int,
) -> For:
    """The loop over rows, with one over the uses of a row inside where `inner` says so.

    `inner` is the first number there, and how many uses each row has.
    """
    span = first.span
    call = Call(Name(first.module, span), None, tuple(found.fields), span)
    body: Statement = LayerStatement(name, Chain((call,), span), span)
    columns = dict(found.columns)
    rows = count
    if inner is not None:
        begin, lengths = inner
        rows = len(lengths)
        length: Expression = Number(Fraction(lengths[0]), span)
        if len(set(lengths)) > 1:
            counts: list[Expression] = [Number(Fraction(n), span) for n in lengths]
            own = UniqueNames(["i", "j", *columns]).free("blocks")
            columns[own] = counts
            length = Variable(own, span)
        last = _shifted(length, begin - 1, span)
        one = Number(Fraction(begin), span)
        body = For(Name(index[-1].name, span), one, last, None, (body,), span)
    outer = Name(index[0].name, span)
    if not columns:
        ends = (Number(Fraction(start), span), Number(Fraction(start + rows - 1), span))
        return For(outer, *ends, None, (body,), span)
    target: Target = Unpacked(tuple(Name(n, span) for n in columns), span)
    if len(columns) == 1:
        target = Name(next(iter(columns)), span)
    arguments: list[Expression] = [_table(list(columns.values()), span)]
    if start:
        arguments.append(Number(Fraction(start), span))
    table = Function(Name("enumerate", span), tuple(arguments), span)
    return For(Unpacked((outer, target), span), table, None, None, (body,), span)


def _table(columns: list[list[Expression]], span: Span) -> Expression:
    """Rows of what a loop runs over, or its columns where these take fewer lines."""
    if len(columns) == 1:
        return ListLiteral(tuple(columns[0]), span)
    by_row = ListLiteral(tuple(ListLiteral(row, span) for row in zip(*columns, strict=True)), span)
    lists = tuple(ListLiteral(tuple(c), span) for c in columns)
    many = len(columns) + 2 < len(columns[0]) and len(expression(by_row)) > MAX_WIDTH
    if many and all(len(expression(c)) <= MAX_WIDTH for c in lists):
        return Function(Name("zip", span), lists, span)
    return by_row


def _shifted(length: Expression, by: int, span: Span) -> Expression:
    if isinstance(length, Number):
        return Number(length.value + by, span)
    if by == 0:
        return length
    return Binary("-" if by < 0 else "+", length, Number(Fraction(abs(by)), span), span)
