"""Text to syntax tree: the only user of Lark.

Goes on after a syntax error at the next statement, so that one run shows them all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import cache
from typing import Any, Literal, cast

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from netspec import grammar_cache
from netspec.diagnostics import Diagnostic, Diagnostics, Label
from netspec.resources import folder
from netspec.source import Source, Span
from netspec.syntax import (
    Attribute,
    Binary,
    Call,
    Chain,
    Comment,
    Comparison,
    Conditional,
    Constant,
    Definition,
    Expression,
    Field,
    File,
    For,
    Function,
    If,
    Import,
    Index,
    Input,
    Layer,
    LayerName,
    Let,
    ListLiteral,
    Logic,
    Name,
    Number,
    Output,
    Param,
    Pattern,
    Reference,
    Require,
    ShapeLiteral,
    Statement,
    String,
    Unary,
    Variable,
    Wildcard,
)

MAX_SIZE = 8 * 2**20
"""Longest text that is read, in characters."""
MAX_NESTING = 60
"""Most brackets that may be open at once."""
MAX_REPEATED_SIGNS = 60
"""Most signs or `not`s in front of one operand."""
MAX_ERRORS = 20
"""Syntax errors after which parsing gives up."""

_UNITS = {
    "": Fraction(1),
    "%": Fraction(1, 100),
    **{u: Fraction(1000) ** p for p, u in enumerate(("K", "M", "G", "T"), 1)},
    "B": Fraction(1),
    **{u: Fraction(1000) ** p for p, u in enumerate(("KB", "MB", "GB", "TB"), 1)},
    **{u: Fraction(1024) ** p for p, u in enumerate(("KiB", "MiB", "GiB", "TiB"), 1)},
}
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}


def parse(source: Source, diagnostics: Diagnostics) -> File | None:
    """The tree of a text; None, and diagnostics, where it has syntax errors."""
    if len(source.text) > MAX_SIZE:
        diagnostics.add(
            Diagnostic(
                "too-large",
                f"{source.name} has {len(source.text):,} characters; at most {MAX_SIZE:,} are read",
            )
        )
        return None
    before = len(diagnostics)
    comments: list[Comment] = []
    tokens = _tokens(source, comments, diagnostics)
    if len(diagnostics) > before or not _nesting_is_bounded(source, tokens, diagnostics):
        return None
    items = _Run(source, tokens, comments, diagnostics).parse()
    if items is None or len(diagnostics) > before:
        return None
    return File(source, items, tuple(comments))


# --- tokens --------------------------------------------------------------------------------------


@cache
def _grammar() -> Lark:
    return grammar_cache.load(folder("grammars") / "netspec.lark")


def _span(source: Source, token: Token) -> Span:
    start = token.start_pos or 0
    return Span(source, start, start + len(token))


def _tokens(source: Source, comments: list[Comment], diagnostics: Diagnostics) -> list[Token]:
    def comment(token: Token) -> Token:
        span = _span(source, token)
        line = source.text.rfind("\n", 0, span.start) + 1
        alone = not source.text[line : span.start].strip()
        comments.append(Comment(str(token).rstrip(), alone, span))
        return token

    lark = _grammar()
    lark.lexer_conf.callbacks["COMMENT"] = comment
    tokens: list[Token] = []
    try:
        # Lark's own lexer of these callbacks; the text is lexed once, ahead of the parser.
        tokens.extend(lark.lex(source.text, dont_ignore=False))
    except UnexpectedCharacters as error:
        offset = error.pos_in_stream
        char = source.text[offset]
        message, help_ = f"{char!r} has no place in the language", ()
        if char == '"':
            message = "this string has no end on its line"
            help_ = ('close it with `"`; write `\\n` for a line break',)
        diagnostics.add(Diagnostic("syntax", message, Span(source, offset, offset + 1), help=help_))
    return tokens


def _nesting_is_bounded(source: Source, tokens: list[Token], diagnostics: Diagnostics) -> bool:
    """Whether a recursive walk over the tree is safe. The only rules that nest have brackets."""
    depth = signs = 0
    for token in tokens:
        if token.type in _OPENERS:
            depth += 1
        elif token.type in _CLOSERS:
            depth -= 1
        signs = signs + 1 if token.type in ("ADD", "NOT") else 0
        if depth > MAX_NESTING or signs > MAX_REPEATED_SIGNS:
            what = f"at most {MAX_NESTING} brackets may be open at once"
            if signs:
                what = f"at most {MAX_REPEATED_SIGNS} signs may stand before a value"
            diagnostics.add(
                Diagnostic("too-deep", f"this is nested too deeply: {what}", _span(source, token))
            )
            return False
    return True


_OPENERS = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}
_CLOSERS = {"RPAR", "RSQB", "RBRACE"}

# --- one run of the parser, with recovery --------------------------------------------------------


class _Run:
    def __init__(
        self,
        source: Source,
        tokens: list[Token],
        comments: list[Comment],
        diagnostics: Diagnostics,
    ) -> None:
        self.source = source
        self.tokens = tokens
        self.diagnostics = diagnostics
        lark = _grammar()
        lark.options.transformer = None
        self.builder = _Builder(source, comments, diagnostics)
        self.state: Any = _parser_state(lark, self.builder)
        self.starts_line = self._line_starts()

    def _line_starts(self) -> list[bool]:
        last = 0
        starts = []
        for token in self.tokens:
            starts.append(token.line != last)
            last = token.end_line or 0
        return starts

    def parse(self) -> tuple[Import | Definition, ...] | None:
        position = errors = 0
        while position < len(self.tokens):
            token = self.tokens[position]
            try:
                self.state.feed_token(token)
                position += 1
            except UnexpectedToken:
                self._report(token, position)
                errors += 1
                if errors >= MAX_ERRORS:
                    return None
                position = self._recover(position)
        end = Token("$END", "", start_pos=len(self.source.text.rstrip()))
        if errors:
            return None
        try:
            return cast("tuple[Import | Definition, ...]", self.state.feed_token(end, is_end=True))
        except UnexpectedToken:
            self._report(end, position)
            return None

    # A syntax error: what was found, what was expected, in words.

    def _report(self, token: Token, position: int) -> None:
        span = _span(self.source, token)
        expected = _expected_words(self._acceptable())
        others: tuple[Label, ...] = ()
        help_: tuple[str, ...] = ()
        if token.type == "$END":
            found = "the end of the file"
            start = max(span.start - 1, 0)
            span = Span(self.source, start, span.start) if self.source.text else span
        else:
            found = _describe(token)
        opener = self._innermost_opener()
        if opener is not None:
            closer = {"LPAR": ")", "LSQB": "]", "LBRACE": "}"}[opener.type]
            if token.type == "$END" or token.type in _CLOSERS and str(token) != closer:
                others = (Label(_span(self.source, opener), f"this `{opener}` is still open"),)
        previous = self.tokens[position - 1] if position else None
        if token.type in _KEYWORDS and previous is not None and "NAME" in self._acceptable():
            help_ = (f"`{token}` is a word of the language and can't be a name",)
        elif token.type == "COLON" and previous is not None and str(previous) in _WORDS:
            help_ = (f"`{previous}` is a word of the language and can't be a name",)
        elif str(token) == "=" and "COLON" in self._acceptable():
            help_ = ("a field is written `name: value`",)
        self.diagnostics.add(
            Diagnostic(
                "syntax",
                f"expected {expected}, found {found}",
                span,
                label=f"expected {expected}",
                others=others,
                help=help_,
            )
        )

    def _acceptable(self) -> set[str]:
        """The kinds of token that could come next."""
        state = self.state
        return {
            kind
            for kind in state.parse_conf.parse_table.states[state.position]
            if kind.isupper() or kind == "$END"
            if self._would_accept(kind)
        }

    def _would_accept(self, kind: str) -> bool:
        """Follow the reductions that a token would bring about, without carrying them out."""
        table = self.state.parse_conf.parse_table
        stack = list(self.state.state_stack)
        while True:
            entry = table.states[stack[-1]].get(kind)
            if entry is None:
                return False
            action, argument = entry
            if action.name == "Shift":
                return True
            size = len(argument.expansion)
            if size:
                del stack[-size:]
            target = table.states[stack[-1]].get(argument.origin.name)
            if target is None:
                return kind == "$END"
            stack.append(target[1])

    def _innermost_opener(self) -> Token | None:
        open_: list[Token] = []
        for value in self.state.value_stack:
            if isinstance(value, Token):
                if value.type in _OPENERS:
                    open_.append(value)
                elif value.type in _CLOSERS and open_:
                    open_.pop()
        return open_[-1] if open_ else None

    # Recovery: give up the statement at hand, go on with the next one.

    def _recover(self, position: int) -> int:
        """Unwind to the enclosing block and return the position of the token to go on with."""
        dropped: list[Token] = []
        self._unwind("LET", dropped)
        in_block = len(self.state.state_stack) > 1
        first = dropped[-1] if dropped else self.tokens[min(position, len(self.tokens) - 1)]
        depth = sum(
            (t.type in _OPENERS) - (t.type in _CLOSERS) for t in dropped if isinstance(t, Token)
        )
        while position < len(self.tokens):
            token = self.tokens[position]
            starts_line = self.starts_line[position]
            follower = self.tokens[position + 1] if position + 1 < len(self.tokens) else None
            if starts_line and token.type in ("NET", "MODULE", "IMPORT") and follower:
                if follower.type in ("NAME", "STRING") and (token.column or 0) <= 1:
                    self._unwind("NET", [])
                    return position
            if in_block and starts_line and token is not first:
                outdented = (token.column or 0) <= (first.column or 0)
                begins = token.type in _STATEMENTS or token.type == "NAME"
                if begins and (depth <= 0 or outdented):
                    return position
            if token.type in _OPENERS:
                depth += 1
            elif token.type in _CLOSERS:
                depth -= 1
                if depth < 0 and token.type == "RBRACE" and in_block:
                    return position
                depth = max(depth, 0)
            position += 1
        return position

    def _unwind(self, kind: str, dropped: list[Token]) -> None:
        """Drop states until a token of this kind could be shifted: a block, or the file."""
        state = self.state
        states = state.parse_conf.parse_table.states
        while len(state.state_stack) > 1:
            entry = states[state.state_stack[-1]].get(kind)
            if entry is not None and entry[0].name == "Shift":
                # NET, MODULE and IMPORT are names inside a block; LET is shifted in blocks only.
                if (
                    kind == "LET"
                    or "IMPORT" in states[state.state_stack[-1]]
                    and (
                        "LET" not in states[state.state_stack[-1]]
                        and "COLON" not in states[state.state_stack[-1]]
                        and "NAME" not in states[state.state_stack[-1]]
                    )
                ):
                    return
            state.state_stack.pop()
            value = state.value_stack.pop()
            if isinstance(value, Token):
                dropped.append(value)
            elif isinstance(value, list):
                dropped.extend(v for v in reversed(value) if isinstance(v, Token))


def _parser_state(lark: Lark, builder: _Builder) -> Any:
    """A fresh LALR stack whose reductions build our tree."""
    from lark.parse_tree_builder import ParseTreeBuilder
    from lark.parsers.lalr_parser_state import ParseConf, ParserState

    frontend: Any = lark.parser
    # Bind the callbacks to this run's builder; the parse table is shared by all runs.
    tree_builder = ParseTreeBuilder(lark.rules, list, False, True, False)
    callbacks = tree_builder.create_callback(builder)
    table = frontend.parser._parse_table
    return ParserState(ParseConf(table, callbacks, "start"), None)


_STATEMENTS = {"INPUT", "OUTPUT", "LET", "REQUIRE", "FOR", "IF"}
_KEYWORDS = _STATEMENTS | {"ELSE", "IN", "AND", "OR", "NOT", "TRUE", "FALSE", "NONE"}
_WORDS = {
    *("input", "output", "let", "expect", "prefer", "for", "if", "else", "in"),
    *("and", "or", "not", "true", "false", "none"),
}

# Kinds of token by what a person calls them, in the order in which they are listed.
_SPOKEN: tuple[tuple[str, frozenset[str]], ...] = (
    ("a net, a module or an import", frozenset({"NET", "MODULE", "IMPORT"})),
    ("a statement", frozenset({"LET", "FOR", "IF", "INPUT", "OUTPUT", "REQUIRE", "NAME"})),
    ("a value", frozenset({"NUMBER", "STRING", "NAME", "TRUE", "LSQB", "LPAR"})),
    ("a name", frozenset({"NAME"})),
    ("an operator", frozenset({"ADD", "MULTIPLY", "COMPARE", "POWER"})),
    ("a shape", frozenset({"SHAPE"})),
)
_TOKENS = {
    **{"LPAR": "`(`", "RPAR": "`)`", "LSQB": "`[`", "RSQB": "`]`", "LBRACE": "`{`"},
    **{"RBRACE": "`}`", "COLON": "`:`", "COMMA": "`,`", "SEMICOLON": "`;`", "DOT": "`.`"},
    **{"EQUAL": "`=`", "__ANON_0": "`->`", "__ANON_1": "`..`", "IN": "`in`", "ELSE": "`else`"},
    **{"IF": "`if`", "AND": "`and`", "OR": "`or`", "NOT": "`not`", "$END": "the end of the file"},
    **{"STRING": "a string", "NUMBER": "a number"},
}


def _expected_words(kinds: set[str]) -> str:
    words = []
    left = set(kinds)
    if left >= {"NET", "MODULE", "IMPORT", "NAME"}:
        left -= {"NET", "MODULE", "IMPORT"}
    for spoken, members in _SPOKEN:
        if members <= left:
            words.append(spoken)
            left -= members
            if spoken in ("a value", "a statement"):
                left -= {"SHAPE", "FALSE", "NONE", "ADD", "NOT", "QMARK", "STRING", "NUMBER"}
            if spoken == "an operator":
                left -= {"IN", "NOT", "AND", "OR", "IF", "LSQB", "DOT"}
    if "a value" not in words:
        words += [_TOKENS[k] for k in sorted(left) if k in _TOKENS]
    else:
        words += [_TOKENS[k] for k in sorted(left) if k in ("RPAR", "RSQB", "RBRACE")]
    if not words:
        return "something else"
    if len(words) == 1:
        return words[0]
    return ", ".join(words[:-1]) + " or " + words[-1]


def _describe(token: Token) -> str:
    text = str(token)
    if len(text) > 30:
        text = text[:27] + "..."
    return text if token.type == "STRING" else f"`{text}`"


# --- the tree ------------------------------------------------------------------------------------

Child = Any


def _nodes(children: Iterable[Child]) -> list[Any]:
    return [c for c in children if not isinstance(c, Token)]


class _Builder(Transformer[Token, Any]):
    """Called by the parser as it reduces a rule; children are nodes and, for punctuation, tokens."""

    def __init__(self, source: Source, comments: list[Comment], diagnostics: Diagnostics) -> None:
        super().__init__()
        self.source = source
        self.diagnostics = diagnostics
        self.docs = {c.span.line: c for c in comments if c.alone and c.text.startswith("##")}

    def _token(self, token: Token) -> Span:
        return _span(self.source, token)

    def _span(self, children: list[Child]) -> Span:
        first, last = children[0], children[-1]
        start = (first.start_pos or 0) if isinstance(first, Token) else first.span.start
        end = (last.start_pos or 0) + len(last) if isinstance(last, Token) else last.span.end
        return Span(self.source, start, end)

    # files

    def start(self, c: list[Child]) -> tuple[Import | Definition, ...]:
        return tuple(c)

    def import_(self, c: list[Child]) -> Import:
        return Import(c[1], self._span(c))

    def net(self, c: list[Child]) -> Definition:
        return self._definition("net", c)

    def module(self, c: list[Child]) -> Definition:
        return self._definition("module", c)

    def _definition(self, kind: Literal["net", "module"], c: list[Child]) -> Definition:
        params = next((x.items for x in c if isinstance(x, _Group) and x.kind == "params"), ())
        body = next(x.items for x in c if isinstance(x, _Group) and x.kind == "block")
        span = self._span(c)
        return Definition(kind, c[1], params, body, self._doc(span.line), span)

    def _doc(self, line: int) -> str:
        lines: list[str] = []
        while comment := self.docs.get(line - 1 - len(lines)):
            lines.append(comment.text.lstrip("#").strip())
        return "\n".join(reversed(lines))

    def params(self, c: list[Child]) -> _Group:
        return _Group("params", tuple(x for x in c if isinstance(x, Param)), self._span(c))

    def param(self, c: list[Child]) -> Param:
        return Param(c[0], c[2] if len(c) > 2 else None, self._span(c))

    def block(self, c: list[Child]) -> _Group:
        statements: list[Statement] = []
        for child in c[1:-1]:
            # `before_if` brings two statements.
            statements.extend(child.items if isinstance(child, _Group) else (child,))
        return _Group("block", tuple(statements), self._span(c))

    # statements

    def input(self, c: list[Child]) -> Input:
        pattern: Pattern | None = None
        fields: tuple[Field, ...] = ()
        for child in c[2:]:
            if isinstance(child, _Group):
                fields = child.items
            elif not isinstance(child, Token):
                pattern = child
        return Input(c[1], pattern, fields, self._span(c))

    def output(self, c: list[Child]) -> Output:
        return Output(tuple(_nodes(c)), self._span(c))

    def let(self, c: list[Child]) -> Let:
        return Let(c[1], c[3], self._span(c))

    def require(self, c: list[Child]) -> Require:
        pattern: Pattern | None = None
        message: String | None = None
        for before, child in zip(c[1:], c[2:], strict=False):
            if isinstance(before, Token) and before.type == "COLON":
                pattern = child
            elif isinstance(child, String):
                message = child
        return Require(str(c[0]), c[1], pattern, message, self._span(c))  # type: ignore[arg-type]

    def for_(self, c: list[Child]) -> For:
        last = c[5] if len(c) > 5 and isinstance(c[4], Token) else None
        return For(c[1], c[3], last, c[-1].items, self._span(c))

    def if_arm(self, c: list[Child]) -> _Group:
        return _Group("arm", (c[1], c[2].items), self._span(c))

    def if_rest(self, c: list[Child]) -> _IfRest:
        arms = []
        otherwise: tuple[Statement, ...] = ()
        nodes = _nodes(c)
        while nodes:
            if isinstance(nodes[0], _Group):
                otherwise = nodes.pop(0).items
            else:
                arms.append((nodes.pop(0), nodes.pop(0).items))
        return _IfRest(tuple(arms), otherwise, self._span(c) if c else None)

    def _if(self, condition: Expression, block: _Group, rest: _IfRest, start: Span) -> If:
        end = rest.span or block.span
        arms = ((condition, block.items), *rest.arms)
        return If(arms, rest.otherwise, start.to(end))

    def if_(self, c: list[Child]) -> If:
        arm, rest = c
        return If((arm.items, *rest.arms), rest.otherwise, arm.span.to(rest.span or arm.span))

    def before_if(self, c: list[Child]) -> _Group:
        *head, if_token, condition, block, rest = c
        first: Statement
        if str(head[0]) == "let":
            value = self._conditional(head[3:])
            first = Let(head[1], value, self._span(head))
        else:
            value = self._conditional(head[1:])
            kind = cast('Literal["expect", "prefer"]', str(head[0]))
            first = Require(kind, value, None, None, self._span(head))
        second = self._if(condition, block, rest, self._token(if_token))
        return _Group("statements", (first, second), first.span.to(second.span))

    # layers

    def layer(self, c: list[Child]) -> Layer:
        return Layer(c[0] if len(c) > 1 else None, c[-1], self._span(c))

    def layer_name(self, c: list[Child]) -> LayerName:
        return LayerName(c[0], tuple(_nodes(c[1:])), self._span(c))

    def chain(self, c: list[Child]) -> Chain:
        return Chain(tuple(_nodes(c)), self._span(c))

    def value_chain(self, c: list[Child]) -> Chain:
        return self.chain(c)

    def call(self, c: list[Child]) -> Call:
        arguments: tuple[Chain | Reference, ...] | None = None
        fields: tuple[Field, ...] = ()
        for group in c[1:]:
            if group.kind == "args":
                arguments = group.items
            else:
                fields = group.items
        return Call(c[0], arguments, fields, self._span(c))

    def bare_call(self, c: list[Child]) -> Call:
        return self.call(c)

    def args(self, c: list[Child]) -> _Group:
        return _Group("args", tuple(_nodes(c)), self._span(c))

    def value(self, c: list[Child]) -> Chain | Reference:
        return cast("Chain | Reference", c[0])

    def reference(self, c: list[Child]) -> Reference:
        base: Reference = Variable(c[0].text, c[0].span)
        opening = c[0]
        for child in c[1:]:
            if isinstance(child, Token):
                if child.type == "RSQB":
                    span = Span(self.source, opening.span.start, self._token(child).end)
                    base = Index(base, index, span)
            elif isinstance(child, Name):
                base = Attribute(base, child, self._span([opening, child]))
            else:
                index = child
        return base

    def fields(self, c: list[Child]) -> _Group:
        return _Group("fields", tuple(x for x in c if isinstance(x, Field)), self._span(c))

    def field(self, c: list[Child]) -> Field:
        return Field(c[0], c[2], self._span(c))

    # expressions

    def expr(self, c: list[Child]) -> Expression:
        return self._conditional(c)

    def _conditional(self, c: list[Child]) -> Expression:
        parts = _nodes(c)
        if len(parts) == 1:
            return cast(Expression, parts[0])
        *cases, otherwise = parts
        pairs = tuple(zip(cases[::2], cases[1::2], strict=True))
        return Conditional(pairs, otherwise, self._span(parts))

    def or_test(self, c: list[Child]) -> Expression:
        return self._logic("or", c)

    def and_test(self, c: list[Child]) -> Expression:
        return self._logic("and", c)

    def _logic(self, operator: Literal["and", "or"], c: list[Child]) -> Expression:
        parts = _nodes(c)
        return parts[0] if len(parts) == 1 else Logic(operator, tuple(parts), self._span(c))

    def not_test(self, c: list[Child]) -> Expression:
        return self._unary(c)

    def unary(self, c: list[Child]) -> Expression:
        return self._unary(c)

    def exponent(self, c: list[Child]) -> Expression:
        return self._unary(c)

    def _unary(self, c: list[Child]) -> Expression:
        *signs, operand = c
        result: Expression = operand
        for sign in reversed(signs):
            result = Unary(str(sign), result, self._span([sign, result]))
        return result

    def comparison(self, c: list[Child]) -> Expression:
        if len(c) == 1:
            return cast(Expression, c[0])
        pairs = tuple((str(op), operand) for op, operand in zip(c[1::2], c[2::2], strict=True))
        return Comparison(c[0], pairs, self._span([c[0], c[-1]]))

    def comparator(self, c: list[Child]) -> str:
        return " ".join(str(token) for token in c)

    def sum(self, c: list[Child]) -> Expression:
        return self._binary(c)

    def product(self, c: list[Child]) -> Expression:
        return self._binary(c)

    def _binary(self, c: list[Child]) -> Expression:
        result: Expression = c[0]
        if len(c) > 2 * MAX_NESTING:
            self.diagnostics.add(
                Diagnostic(
                    "too-deep",
                    f"at most {MAX_NESTING} operators of one rank may follow each other",
                    self._span(c),
                )
            )
            return result
        for operator, operand in zip(c[1::2], c[2::2], strict=True):
            result = Binary(str(operator), result, operand, self._span([result, operand]))
        return result

    def power(self, c: list[Child]) -> Expression:
        if len(c) > 2 * MAX_NESTING:
            return self._binary(c)
        result: Expression = c[-1]
        for base in reversed(c[:-1:2]):
            result = Binary("**", base, result, self._span([base, result]))
        return result

    def postfix(self, c: list[Child]) -> Expression:
        result: Expression = c[0]
        for part in c[1:]:
            span = result.span.to(part.span)
            if isinstance(part, Name):
                result = Attribute(result, part, span)
            else:
                result = Index(result, part.items[0], span)
        if len(c) > MAX_NESTING:
            self.diagnostics.add(
                Diagnostic("too-deep", "this name has too many parts", self._span(c))
            )
            return cast(Expression, c[0])
        return result

    def index(self, c: list[Child]) -> _Group:
        return _Group("index", (c[1],), self._span(c))

    def attribute(self, c: list[Child]) -> Name:
        return cast(Name, c[1])

    def group(self, c: list[Child]) -> Expression:
        return cast(Expression, c[1])

    def list(self, c: list[Child]) -> ListLiteral:
        return ListLiteral(tuple(_nodes(c)), self._span(c))

    def wildcard(self, c: list[Child]) -> Wildcard:
        return Wildcard(self._token(c[0]))

    def function(self, c: list[Child]) -> Function:
        return Function(c[0], tuple(_nodes(c[1:])), self._span(c))

    def variable(self, c: list[Child]) -> Variable:
        return Variable(c[0].text, c[0].span)

    def constant(self, c: list[Child]) -> Constant:
        return Constant({"true": True, "false": False}.get(str(c[0])), self._token(c[0]))

    def pattern(self, c: list[Child]) -> Pattern:
        return cast(Pattern, c[0])

    def name(self, c: list[Child]) -> Name:
        return Name(str(c[0]), self._token(c[0]))

    # literals

    def number(self, c: list[Child]) -> Number:
        text = str(c[0])
        span = self._token(c[0])
        match = re.fullmatch(r"([\d_]+(?:\.[\d_]+)?(?:[eE][+-]?\d+)?)(.*)", text)
        assert match, "the lexer's NUMBER is of this form"
        digits, unit = match[1].replace("_", ""), match[2]
        if unit not in _UNITS:
            self._bad_number(span, unit)
            return Number(Fraction(1), span)
        exponent = re.search(r"[eE]([+-]?\d+)", digits)
        if len(digits) > 60 or exponent and (len(exponent[1]) > 4 or abs(int(exponent[1])) > 60):
            self.diagnostics.add(Diagnostic("too-large", "this number is too long", span))
            return Number(Fraction(1), span)
        return Number(Fraction(digits) * _UNITS[unit], span)

    def _bad_number(self, span: Span, unit: str) -> None:
        close = {u.lower(): u for u in _UNITS}.get(unit.lower())
        known = "K, M, G, T, B, KB, MB, GB, TB, KiB, MiB, GiB, TiB and %"
        help_ = f"did you mean `{close}`?" if close else f"the units are {known}"
        self.diagnostics.add(
            Diagnostic("bad-number", f"`{unit}` is no unit of a number", span, help=(help_,))
        )

    def shape(self, c: list[Child]) -> ShapeLiteral:
        span = self._token(c[0])
        parts = str(c[0]).replace("_", "").split("x")
        if len(parts) > 8 or any(len(p) > 12 for p in parts):
            self.diagnostics.add(Diagnostic("too-large", "this shape is too large", span))
            return ShapeLiteral((1,), span)
        return ShapeLiteral(tuple(None if p == "?" else int(p) for p in parts), span)

    def string(self, c: list[Child]) -> String:
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


class _Group:
    """A bracketed list on its way into the node that holds it."""

    __slots__ = ("items", "kind", "span")

    def __init__(self, kind: str, items: tuple[Any, ...], span: Span) -> None:
        self.kind = kind
        self.items = items
        self.span = span


class _IfRest:
    __slots__ = ("arms", "otherwise", "span")

    def __init__(
        self,
        arms: tuple[tuple[Expression, tuple[Statement, ...]], ...],
        otherwise: tuple[Statement, ...],
        span: Span | None,
    ) -> None:
        self.arms = arms
        self.otherwise = otherwise
        self.span = span
