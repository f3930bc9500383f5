"""The nodes of the tree, one method for each rule of the grammar."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise
from typing import Any, Literal, cast

from netspec.diagnostics import Diagnostic, Diagnostics
from netspec.diagnostics.fixes import Edit, Fix
from netspec.diagnostics.source import Source, Span
from netspec.lazy_dataclasses import replace
from netspec.syntax.ast import (
    Attribute,
    Binary,
    Call,
    Chain,
    Choice,
    Comment,
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
    Pattern,
    Reference,
    Result,
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
from netspec.syntax.lalr import Token
from netspec.syntax.parser.tokens import MAX_NAME, MAX_NESTING, span_of
from netspec.syntax.visitor import walk

MAX_TARGETS = 100
"""Most names that a loop takes its items apart into."""
UNITS = {
    "": Fraction(1),
    "%": Fraction(1, 100),
    **{u: Fraction(1000) ** p for p, u in enumerate(("K", "M", "G", "T"), 1)},
    "B": Fraction(1),
    **{u: Fraction(1000) ** p for p, u in enumerate(("KB", "MB", "GB", "TB"), 1)},
    **{u: Fraction(1024) ** p for p, u in enumerate(("KiB", "MiB", "GiB", "TiB"), 1)},
}
"""The factor of each unit of a number."""
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}


Child = Any
Children = list[Any]


def _nodes(children: Iterable[Child]) -> list[Any]:
    return [c for c in children if not isinstance(c, Token)]


class Builder:
    """Called when a rule is complete; children are nodes and, for punctuation, tokens."""

    def __init__(self, source: Source, comments: list[Comment], diagnostics: Diagnostics) -> None:
        self.source = source
        self.diagnostics = diagnostics
        self.docs = {c.span.line: c for c in comments if c.alone and c.text.startswith("##")}

    def _token(self, token: Token) -> Span:
        return span_of(self.source, token)

    def _span(self, children: Children) -> Span:
        first, last = children[0], children[-1]
        start = first.start if isinstance(first, Token) else first.span.start
        end = last.end if isinstance(last, Token) else last.span.end
        return Span(self.source, start, end)

    # files

    def start(self, c: Children) -> tuple[Import | Default | Definition, ...]:
        return tuple(c)

    def import_(self, c: Children) -> Import:
        return Import(c[1], self._span(c))

    def net(self, c: Children) -> Definition:
        return self._definition("net", c)

    def module(self, c: Children) -> Definition:
        return self._definition("module", c)

    def _definition(self, kind: Literal["net", "module"], c: Children) -> Definition:
        params = next(
            (x.items for x in c if isinstance(x, _BracketedList) and x.kind == "params"), ()
        )
        body = next(x.items for x in c if isinstance(x, _BracketedList) and x.kind == "block")
        span = self._span(c)
        return Definition(kind, c[1], params, body, self._doc(span), span)

    def _doc(self, span: Span) -> str:
        line, column = self.source.position(span.start)
        if self.source.line(line)[: column - 1].strip():
            return ""  # what stands above belongs to what stands in front
        lines: list[str] = []
        while comment := self.docs.get(line - 1 - len(lines)):
            lines.append(comment.text.lstrip("#").strip())
        return "\n".join(reversed(lines))

    def params(self, c: Children) -> _BracketedList:
        return _BracketedList("params", tuple(x for x in c if isinstance(x, Param)), self._span(c))

    def param(self, c: Children) -> Param:
        return Param(c[0], c[2] if len(c) > 2 else None, self._span(c))

    def block(self, c: Children) -> _BracketedList:
        statements: list[Statement] = []
        for child in c[1:-1]:
            # `before_if` brings two statements.
            statements.extend(child.items if isinstance(child, _BracketedList) else (child,))
        return _BracketedList("block", tuple(statements), self._span(c))

    # statements

    def input(self, c: Children) -> Input:
        pattern: Pattern | None = None
        fields: tuple[Field, ...] = ()
        for child in c[2:]:
            if isinstance(child, _BracketedList):
                fields = child.items
            elif not isinstance(child, Token):
                pattern = child
        return Input(c[1], pattern, fields, self._span(c))

    def output(self, c: Children) -> Output:
        return Output(tuple(_nodes(c)), self._span(c))

    def result(self, c: Children) -> Result:
        return Result(c[0] if len(c) > 1 else None, c[-1], self._span(c))

    def let(self, c: Children) -> Let:
        return Let(c[1], c[3], self._span(c))

    def require(self, c: Children) -> ContractStatement:
        pattern: Pattern | None = None
        message: String | None = None
        for before, child in pairwise(c[1:]):
            if isinstance(before, Token) and before.kind == "COLON":
                pattern = child
            elif isinstance(child, String):
                message = child
        return ContractStatement(str(c[0]), c[1], pattern, message, self._span(c))  # type: ignore[arg-type]

    def for_(self, c: Children) -> For:
        if sum(isinstance(node, Name) for node in walk(c[1])) > MAX_TARGETS:
            message = f"a loop has at most {MAX_TARGETS} names"
            self.diagnostics.add(Diagnostic("too-large", message, c[1].span))
        first, *rest = _nodes(c[3:-1])
        last, step = [*rest, None, None][:2]
        return For(c[1], first, last, step, c[-1].items, self._span(c))

    def targets(self, c: Children) -> Target:
        parts = _nodes(c)
        return parts[0] if len(parts) == 1 else Unpacked(tuple(parts), self._span(c))

    def unpacked(self, c: Children) -> Unpacked:
        return Unpacked(tuple(_nodes(c)), self._span(c))

    def net_block(self, c: Children) -> NetBlock:
        word = self._token(c[0])
        return NetBlock(word.text, word, c[1].items, self._span(c))

    def variant(self, c: Children) -> Variant:
        items = tuple(x for x in c[2:] if not isinstance(x, Token))
        span = self._span(c)
        return Variant(self._token(c[0]), c[1], items, self._doc(span), span)

    def default(self, c: Children) -> Default:
        return Default(c[1], c[2].items, self._span(c[:2]), self._span(c))

    def if_branch(self, c: Children) -> _BracketedList:
        return _BracketedList("branch", (c[1], c[2].items), self._span(c))

    def if_rest(self, c: Children) -> _IfRest:
        branches = []
        otherwise: tuple[Statement, ...] = ()
        nodes = iter(_nodes(c))
        for node in nodes:
            if isinstance(node, _BracketedList):
                otherwise = node.items
            else:
                branches.append((node, next(nodes).items))
        return _IfRest(tuple(branches), otherwise, self._span(c) if c else None)

    def _if(self, condition: Expression, block: _BracketedList, rest: _IfRest, start: Span) -> If:
        end = rest.span or block.span
        branches = ((condition, block.items), *rest.branches)
        return If(branches, rest.otherwise, start.to(end))

    def if_(self, c: Children) -> If:
        branch, rest = c
        return If(
            (branch.items, *rest.branches), rest.otherwise, branch.span.to(rest.span or branch.span)
        )

    def before_if(self, c: Children) -> _BracketedList:
        *head, if_token, condition, block, rest = c
        first: Statement
        if str(head[0]) == "let":
            value = self._conditional(head[3:])
            first = Let(head[1], value, self._span(head))
        else:
            value = self._conditional(head[1:])
            kind = cast('Literal["expect", "prefer"]', str(head[0]))
            first = ContractStatement(kind, value, None, None, self._span(head))
        second = self._if(condition, block, rest, self._token(if_token))
        return _BracketedList("statements", (first, second), first.span.to(second.span))

    # layers

    def layer(self, c: Children) -> LayerStatement:
        return LayerStatement(c[0] if len(c) > 1 else None, c[-1], self._span(c))

    def layer_name(self, c: Children) -> LayerName:
        return LayerName(c[0], tuple(_nodes(c[1:])), self._span(c))

    def chain(self, c: Children) -> Chain:
        return Chain(tuple(_nodes(c)), self._span(c))

    def choice(self, c: Children) -> Choice:
        parts = _nodes(c)
        otherwise = parts.pop() if len(parts) % 2 else None
        pairs = tuple(zip(parts[::2], parts[1::2], strict=True))
        return Choice(pairs, otherwise, self._span(c))

    def value_chain(self, c: Children) -> Chain:
        return self.chain(c)

    def call(self, c: Children) -> Call:
        arguments: tuple[Chain | Reference, ...] | None = None
        fields: tuple[Field, ...] = ()
        for group in c[1:]:
            if group.kind == "args":
                arguments = group.items
            else:
                fields = group.items
        op, indices = self._callee(c[0])
        return Call(op, arguments, fields, self._span(c), indices)

    def _callee(self, named: Name | LayerName | Reference) -> tuple[Name, tuple[Expression, ...]]:
        """The name of what is called, and its indices."""
        if isinstance(named, Name):
            return named, ()
        if isinstance(named, LayerName):
            return named.base, named.indices
        indices: list[Expression] = []
        base: Expression = named
        while isinstance(base, Index):
            indices.insert(0, base.index)
            base = base.base
        if isinstance(base, Variable):
            return Name(base.name, base.span), tuple(indices)
        message = f"`{named.span.text}` is no op, module or line that can be used here"
        help_ = ("a line can be used again in the net or module where it stands, by its name",)
        self.diagnostics.add(Diagnostic("syntax", message, named.span, help=help_))
        return Name(named.span.text, named.span), ()

    def bare_call(self, c: Children) -> Call:
        return self.call(c)

    def args(self, c: Children) -> _BracketedList:
        return _BracketedList("args", tuple(_nodes(c)), self._span(c))

    def value(self, c: Children) -> Chain | Reference:
        return cast("Chain | Reference", c[0])

    def reference(self, c: Children) -> Reference:
        base: Reference = Variable(c[0].text, c[0].span)
        if len(c) > 4 * MAX_NESTING:
            self._too_deep("this name has too many parts", c)
            return base
        for before, child in pairwise(c):
            if isinstance(child, Token) and child.kind == "RSQB":
                base = Index(base, before, self._span([c[0], child]))
            elif isinstance(child, Name):
                base = Attribute(base, child, self._span([c[0], child]))
        return base

    def _too_deep(self, message: str, c: Children) -> None:
        self.diagnostics.add(Diagnostic("too-deep", message, self._span(c)))

    def fields(self, c: Children) -> _BracketedList:
        return _BracketedList("fields", tuple(x for x in c if isinstance(x, Field)), self._span(c))

    def field(self, c: Children) -> Field:
        return Field(c[0], c[2], self._span(c))

    # expressions

    def op_literal(self, c: Children) -> OpLiteral:
        return OpLiteral(c[0], c[1].items, self._span(c))

    def expr(self, c: Children) -> Expression:
        return self._conditional(c)

    def _conditional(self, c: Children) -> Expression:
        parts = _nodes(c)
        if len(parts) == 1:
            return cast(Expression, parts[0])
        *cases, otherwise = parts
        pairs = tuple(zip(cases[::2], cases[1::2], strict=True))
        return Conditional(pairs, otherwise, self._span(parts))

    def or_test(self, c: Children) -> Expression:
        return self._logic("or", c)

    def and_test(self, c: Children) -> Expression:
        return self._logic("and", c)

    def _logic(self, operator: Literal["and", "or"], c: Children) -> Expression:
        parts = _nodes(c)
        return parts[0] if len(parts) == 1 else Logic(operator, tuple(parts), self._span(c))

    def not_test(self, c: Children) -> Expression:
        return self._unary(c)

    def unary(self, c: Children) -> Expression:
        return self._unary(c)

    def exponent(self, c: Children) -> _BracketedList:
        return _BracketedList("exponent", tuple(c), self._span(c))

    def _unary(self, c: Children) -> Expression:
        *signs, operand = c
        result: Expression = operand
        for sign in reversed(signs):
            result = Unary(str(sign), result, self._span([sign, result]))
        return result

    def comparison(self, c: Children) -> Expression:
        if len(c) == 1:
            return cast(Expression, c[0])
        pairs = tuple((str(op), operand) for op, operand in zip(c[1::2], c[2::2], strict=True))
        return Comparison(c[0], pairs, self._span([c[0], c[-1]]))

    def comparator(self, c: Children) -> str:
        return " ".join(str(token) for token in c)

    def sum(self, c: Children) -> Expression:
        return self._binary(c)

    def product(self, c: Children) -> Expression:
        return self._binary(c)

    def _binary(self, c: Children) -> Expression:
        result: Expression = c[0]
        if len(c) > 2 * MAX_NESTING:
            self._too_deep(
                f"at most {MAX_NESTING} operators of one precedence may follow each other", c
            )
            return result
        for operator, operand in zip(c[1::2], c[2::2], strict=True):
            result = Binary(str(operator), result, operand, self._span([result, operand]))
        return result

    def power(self, c: Children) -> Expression:
        if len(c) > 2 * MAX_NESTING:
            return self._binary(c)
        if len(c) == 1:
            return cast(Expression, c[0])
        # As in Python, 2 ** -3 ** 4 is 2 ** -(3 ** 4): a sign is for all that stands behind it.
        result: Expression | None = None
        for exponent in reversed(c[2::2]):
            *signs, base = exponent.items
            if result is not None:
                base = Binary("**", base, result, self._span([base, result]))
            result = self._unary([*signs, base])
        assert result is not None
        return Binary("**", c[0], result, self._span([c[0], result]))

    def postfix(self, c: Children) -> Expression:
        result: Expression = c[0]
        for part in c[1:]:
            span = result.span.to(part.span)
            if isinstance(part, Name):
                result = Attribute(result, part, span)
            else:
                result = Index(result, part.items[0], span)
        if len(c) > MAX_NESTING:
            self._too_deep("this name has too many parts", c)
            return cast(Expression, c[0])
        return result

    def index(self, c: Children) -> _BracketedList:
        return _BracketedList("index", (c[1],), self._span(c))

    def attribute(self, c: Children) -> Name:
        return cast(Name, c[1])

    def group(self, c: Children) -> Expression:
        # The brackets belong to the place of what they hold.
        return cast(Expression, replace(c[1], span=self._span(c)))

    def list_(self, c: Children) -> ListLiteral:
        return ListLiteral(tuple(_nodes(c)), self._span(c))

    def wildcard(self, c: Children) -> Wildcard:
        return Wildcard(self._token(c[0]))

    def function(self, c: Children) -> Function:
        return Function(c[0], tuple(_nodes(c[1:])), self._span(c))

    def variable(self, c: Children) -> Variable:
        return Variable(c[0].text, c[0].span)

    def constant(self, c: Children) -> Constant:
        return Constant({"true": True, "false": False}.get(str(c[0])), self._token(c[0]))

    def pattern(self, c: Children) -> Pattern:
        return cast(Pattern, c[0])

    def name(self, c: Children) -> Name:
        if len(c[0]) > MAX_NAME:
            message = f"a name has at most {MAX_NAME} characters"
            self.diagnostics.add(Diagnostic("too-large", message, self._token(c[0])))
        return Name(str(c[0]), self._token(c[0]))

    # literals

    def number(self, c: Children) -> Number:
        text = str(c[0])
        span = self._token(c[0])
        if len(text) < 60 and text.isascii() and text.isdigit():
            return Number(Fraction(int(text)), span)
        match = re.fullmatch(r"([\d_]+(?:\.[\d_]+)?(?:[eE][+-]?\d+)?)(.*)", text)
        assert match, "the lexer's NUMBER is of this form"
        digits, unit = match[1].replace("_", ""), match[2]
        if unit not in UNITS:
            self._bad_number(span, unit)
            return Number(Fraction(1), span)
        exponent = re.search(r"[eE]([+-]?\d+)", digits)
        if len(digits) > 60 or (exponent and (len(exponent[1]) > 4 or abs(int(exponent[1])) > 60)):
            self.diagnostics.add(Diagnostic("too-large", "this number is too long", span))
            return Number(Fraction(1), span)
        return Number(Fraction(digits) * UNITS[unit], span)

    def _bad_number(self, span: Span, unit: str) -> None:
        close = {u.lower(): u for u in UNITS}.get(unit.lower())
        known = "K, M, G, T, B, KB, MB, GB, TB, KiB, MiB, GiB, TiB and %"
        help_ = f"the units are {known}"
        if close:
            instead = span.text.removesuffix(unit) + close
            help_ = Fix(f"did you mean `{close}`?", Edit(span, instead))
        if re.fullmatch(r"X\d+(X\d+)*", unit):
            small = span.text.lower()
            help_ = Fix(f"a shape is written with small letters: `{small}`", Edit(span, small))
        if parts := re.findall(r"x([A-Za-z_?]\w*|\d+)", unit):
            # `3xN` is one word to the lexer.
            digits = span.text.removesuffix(unit)
            if digits + "".join(f"x{p}" for p in parts) == span.text:
                list_ = f"[{', '.join([digits, *parts])}]"
                help_ = Fix(f"a shape with names in it is written `{list_}`", Edit(span, list_))
        self.diagnostics.add(
            Diagnostic("bad-number", f"`{unit}` is no unit of a number", span, help=(help_,))
        )

    def shape(self, c: Children) -> ShapeLiteral:
        span = self._token(c[0])
        parts = str(c[0]).replace("_", "").split("x")
        if len(parts) > 8 or any(len(p) > 12 for p in parts):
            self.diagnostics.add(Diagnostic("too-large", "this shape is too large", span))
            return ShapeLiteral((1,), span)
        return ShapeLiteral(tuple(None if p == "?" else int(p) for p in parts), span)

    def string(self, c: Children) -> String:
        span = self._token(c[0])
        raw = str(c[0])[1:-1]

        def unescape(match: re.Match[str]) -> str:
            char = match[1]
            if char not in _ESCAPES:
                start = span.start + 1 + match.start()
                self.diagnostics.add(
                    Diagnostic(
                        "bad-string",
                        f"`\\{char}` is no escape of a string",
                        Span(self.source, start, start + 2),
                        help=('the escapes are \\n, \\t, \\" and \\\\',),
                    )
                )
                return char
            return _ESCAPES[char]

        return String(re.sub(r"\\(.)", unescape, raw, flags=re.DOTALL), span)


class _BracketedList:
    """The items of a bracketed list, until the node that holds it is made."""

    __slots__ = ("items", "kind", "span")

    def __init__(self, kind: str, items: tuple[Any, ...], span: Span) -> None:
        self.kind = kind
        self.items = items
        self.span = span


class _IfRest:
    __slots__ = ("branches", "otherwise", "span")

    def __init__(
        self,
        branches: tuple[tuple[Expression, tuple[Statement, ...]], ...],
        otherwise: tuple[Statement, ...],
        span: Span | None,
    ) -> None:
        self.branches = branches
        self.otherwise = otherwise
        self.span = span
