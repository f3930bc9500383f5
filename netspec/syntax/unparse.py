"""The text of a tree that was not parsed from text. `formatter` lays it out.

Brackets are put around operators inside operators; beyond that nothing is optional.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from netspec.syntax.ast import (
    Attribute,
    Binary,
    Call,
    Chain,
    Choice,
    Comparison,
    Conditional,
    Constant,
    ContractStatement,
    Default,
    Definition,
    Expression,
    Field,
    For,
    Function,
    If,
    Import,
    Index,
    Input,
    LayerName,
    LayerStatement,
    Let,
    ListLiteral,
    Logic,
    Name,
    NetBlock,
    Number,
    OpLiteral,
    Output,
    Param,
    ShapeLiteral,
    Statement,
    String,
    Target,
    Unary,
    Unpacked,
    Variable,
    Variant,
    Wildcard,
)

_ROW = 64
"""Most characters of fields that stand beside each other."""
_SHARES = {"ratio"}
"""Fields that read best as percentages."""


def unparse(items: Iterable[Import | Default | Definition], notes: Sequence[str] = ()) -> str:
    """The text of a file; `notes` become comments at the top of its net."""
    listed = list(items)
    lines = []
    for item, following in zip(listed, [*listed[1:], None], strict=True):
        together = isinstance(item, Default) and isinstance(following, Default)
        lines.append(_item(item, notes).rstrip("\n") if together else _item(item, notes))
    return "\n".join(lines)


def _item(item: Import | Default | Definition, notes: Sequence[str]) -> str:
    if isinstance(item, Import):
        target = item.target
        return f"import {target.text if isinstance(target, Name) else string(target.value)}\n"
    if isinstance(item, Default):
        return f"{_statement(item)[0]}\n"
    lines = [f"## {one_line(line)}".rstrip() for line in item.doc.splitlines()]
    params = f"({', '.join(map(_param, item.params))})" if item.params else ""
    lines.append(f"{item.kind} {item.name.text}{params} {{")
    if item.kind == "net":
        lines += [f"  # {one_line(note)}" for note in notes]
    lines += _block(item.body, blank=item.kind == "net")
    return "\n".join([*lines, "}", ""])


def signature(item: Definition) -> str:
    """How a net or module is used: `block(filters, stride = 1)`."""
    return item.name.text + (f"({', '.join(map(_param, item.params))})" if item.params else "")


def one_line(text: str) -> str:
    """A text without anything that ends a line."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _param(param: Param) -> str:
    return param.name.text + (f" = {expression(param.default)}" if param.default else "")


def _block(body: Sequence[Statement], blank: bool = False) -> list[str]:
    lines: list[str] = []
    for i, statement in enumerate(body):
        before = body[i - 1] if i else None
        ends = isinstance(before, Input | NetBlock) != isinstance(statement, Input)
        begins = isinstance(statement, If | ContractStatement) and not isinstance(
            before, If | ContractStatement
        )
        if blank and before is not None and (ends or begins):
            lines.append("")
        lines += [f"  {line}" for line in _statement(statement)]
    return lines


def _statement(s: Statement) -> list[str]:
    match s:
        case LayerStatement():
            return [(f"{layer_name(s.name)}: " if s.name else "") + _chain(s.chain)]
        case Input():
            pattern = f": {expression(s.pattern)}" if s.pattern is not None else ""
            return [f"input {s.name.text}{pattern}{_fields(s.fields)}"]
        case Output():
            names = [f"{r.name.text}: " if r.name else "" for r in s.results]
            results = (n + _value(r.value) for n, r in zip(names, s.results, strict=True))
            return [f"output {', '.join(results)}"]
        case NetBlock():
            return [f"{s.kind}{_fields(s.fields) or ' { }'}"]
        case Default():
            return [f"default {s.op.text}{_fields(s.fields) or ' { }'}"]
        case Variant():
            inside = [_fields(s.fields).strip(" {}")] if s.fields else []
            inside += [line for c in s.contracts for line in _statement(c)]
            doc = [f"## {one_line(line)}".rstrip() for line in s.doc.splitlines()]
            return [*doc, f"variant {s.name.text} {{", *(f"  {i}" for i in inside), "}"]
        case Let():
            return [f"let {s.name.text} = {expression(s.value)}"]
        case ContractStatement():
            pattern = f": {expression(s.pattern)}" if s.pattern is not None else ""
            message = f" {expression(s.message)}" if s.message is not None else ""
            return [f"{s.kind} {expression(s.subject)}{pattern}{message}"]
        case For():
            head = f"{loop_head(s.target, s.first, s.last, s.step)} {{"
            if len(s.body) == 1 and len(only := _statement(s.body[0])) == 1:
                return [f"{head} {only[0]} }}"]
            return [head, *_block(s.body), "}"]
        case If():
            if len(s.branches) == 1 and len(s.branches[0][1]) == 1 and not s.otherwise:
                ((condition, (single,)),) = s.branches
                if isinstance(single, LayerStatement) and len(only := _statement(single)) == 1:
                    return [f"if {expression(condition)} {{ {only[0]} }}"]
            lines = []
            for i, (condition, body) in enumerate(s.branches):
                lines.append(f"{'} else ' if i else ''}if {expression(condition)} {{")
                lines += _block(body)
            if s.otherwise:
                lines += ["} else {", *_block(s.otherwise)]
            return [*lines, "}"]


def loop_head(
    target: Target, first: Expression, last: Expression | None, step: Expression | None
) -> str:
    """What stands in front of the body of a loop: `for i in 1..9 step 2`."""
    over = expression(first)
    over += f"..{expression(last)}" if last is not None else ""
    over += f" step {expression(step)}" if step is not None else ""
    names = target_text(target)
    if isinstance(target, Unpacked) and any(isinstance(p, Unpacked) for p in target.parts):
        names = names[1:-1]  # no brackets in brackets
    return f"for {names} in {over}"


def target_text(target: Target) -> str:
    """The names for the items of a loop: `i`, `(a, (b, c))`."""
    if isinstance(target, Name):
        return target.text
    return f"({', '.join(map(target_text, target.parts))})"


def layer_name(name: LayerName) -> str:
    """A name of a layer with its indices: `block[i][2]`."""
    return name.base.text + "".join(f"[{expression(i)}]" for i in name.indices)


def _chain(chain: Chain) -> str:
    return " -> ".join(_call(k) if isinstance(k, Call) else _choice(k) for k in chain.links)


def _choice(choice: Choice) -> str:
    cases = " else ".join(f"{_call(c)} if {_inner(e, 2)}" for c, e in choice.cases)
    last = "" if choice.otherwise is None else f" else {_call(choice.otherwise)}"
    return f"({cases}{last})"


def _call(call: Call) -> str:
    given = call.arguments
    arguments = "" if given is None else f"({', '.join(_value(a) for a in given)})"
    return f"{layer_name(call.callee)}{arguments}{_fields(call.fields)}"


def _value(value: Chain | Expression) -> str:
    return _chain(value) if isinstance(value, Chain) else expression(value)


def _fields(fields: Sequence[Field]) -> str:
    if not fields:
        return ""
    rows = [""]
    for f in fields:
        text = f"{f.name.text}: {_field_value(f)}"
        if rows[-1] and len(rows[-1]) + len(text) > _ROW:
            rows.append("")
        rows[-1] += f"  {text}" if rows[-1] else text
    between = "\n"  # where they need several lines
    return f" {{ {between.join(rows)} }}"


def _field_value(field: Field) -> str:
    if field.name.text in _SHARES and isinstance(field.value, Number):
        share = field.value.value * 100
        if share.denominator in (1, 2, 5, 10):
            return f"{number(share)}%"
    return expression(field.value)


# --- expressions ---------------------------------------------------------------------------------


def expression(e: Expression) -> str:
    """The text of an expression."""
    match e:
        case Number():
            return number(e.value)
        case ShapeLiteral():
            return "x".join("?" if d is None else str(d) for d in e.dims)
        case String():
            return string(e.value)
        case Constant():
            return {True: "true", False: "false", None: "none"}[e.value]
        case Wildcard():
            return "?"
        case ListLiteral():
            return f"[{', '.join(map(expression, e.items))}]"
        case Variable():
            return e.name
        case Index():
            return f"{_inner(e.base)}[{expression(e.index)}]"
        case Attribute():
            return f"{_inner(e.base)}.{e.name.text}"
        case Function():
            return f"{e.name.text}({', '.join(map(expression, e.arguments))})"
        case Unary():
            inner = _inner(e.operand, 4 if e.operator == "not" else 8)
            return f"{e.operator}{' ' * e.operator.isalpha()}{inner}"
        case Binary():
            numbers = isinstance(e.left, Number) and isinstance(e.right, Number)
            space = "" if e.operator == "/" and numbers else " "
            rank = _rank(e)
            # What has the same rank goes from left to right, but powers do not.
            left, right = (rank + 1, rank) if e.operator == "**" else (rank, rank + 1)
            return f"{_inner(e.left, left)}{space}{e.operator}{space}{_inner(e.right, right)}"
        case Comparison():
            rest = "".join(f" {operator} {_inner(operand, 6)}" for operator, operand in e.rest)
            return f"{_inner(e.first, 6)}{rest}"
        case Logic():
            return f" {e.operator} ".join(_inner(o, _rank(e) + 1) for o in e.operands)
        case OpLiteral():
            return f"{e.op.text}{_fields(e.fields) or ' { }'}"
        case Conditional():
            cases = "".join(f"{_inner(v, 2)} if {_inner(c, 2)} else " for v, c in e.cases)
            return f"{cases}{_inner(e.otherwise, 2)}"


_RANKS = {"or": 2, "and": 3, "not": 4, "+": 6, "-": 6, "**": 9}


def _rank(e: Expression) -> int:
    """The precedence of an expression; inside one of higher precedence it needs brackets."""
    match e:
        case Conditional():
            return 1
        case Comparison():
            return 5
        case Unary():
            return 4 if e.operator == "not" else 8
        case Binary():
            return _RANKS.get(e.operator, 7)
        case Logic():
            return _RANKS[e.operator]
        case _:
            return 10


def _inner(e: Expression, least: int = 10) -> str:
    text = expression(e)
    return text if _rank(e) >= least else f"({text})"


def number(value: Fraction) -> str:
    """The text of a number of 0 or more with a finite decimal: `1_248_424`, `0.0001`, `1e-5`."""
    if value.denominator == 1:
        whole = value.numerator
        if whole >= 10**15 and whole % 10**12 == 0:
            return f"{_decimal(value)}"
        return f"{whole:_}" if whole >= 10_000 else str(whole)
    return _decimal(value)


def _decimal(value: Fraction) -> str:
    places = 0
    while (value * 10**places).denominator != 1:
        places += 1
    digits = str((value * 10**places).numerator)
    stripped = digits.rstrip("0")
    exponent = len(digits) - len(stripped) - places
    if -exponent > 5 + len(stripped) or exponent > 3:
        return _scientific(stripped, exponent)
    if value < Fraction(1, 10_000) and len(stripped) < 4:
        return _scientific(stripped, exponent)
    return f"{digits[:-places] or '0'}.{digits[-places:].rjust(places, '0')}"


def _scientific(digits: str, exponent: int) -> str:
    exponent += len(digits) - 1
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{rest}e{exponent}"


def string(text: str) -> str:
    """A string as the language writes it."""
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"}
    return '"' + "".join(escapes.get(c, c) for c in text) + '"'
