"""One run of the LALR parser. After a syntax error it goes on at the next statement."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from lark import Lark, Token
from lark.exceptions import UnexpectedToken

from netspec.diagnostics import Diagnostic, Diagnostics, Label, also_in_lines
from netspec.diagnostics.source import Source, Span
from netspec.syntax.ast import Comment, Definition, Import
from netspec.syntax.parser.ast_builder import Builder
from netspec.syntax.parser.hints import advice
from netspec.syntax.parser.token_names import STATEMENTS, describe, expected
from netspec.syntax.parser.tokens import CLOSERS, OPENERS, span_of

MAX_ERRORS = 20
"""Syntax errors after which parsing gives up."""


class RecoveringParser:
    def __init__(
        self,
        lark: Lark,
        source: Source,
        tokens: list[Token],
        comments: list[Comment],
        diagnostics: Diagnostics,
    ) -> None:
        self.source = source
        self.tokens = tokens
        self.diagnostics = diagnostics
        self.builder = Builder(source, comments, diagnostics)
        self.state: Any = _parser_state(lark, self.builder)
        self.starts_line = self._line_starts()
        self.habits: dict[str, tuple[Diagnostic, list[int]]] = {}

    def _line_starts(self) -> list[bool]:
        last = 0
        starts = []
        for token in self.tokens:
            starts.append(token.line != last)
            last = token.end_line or 0
        return starts

    def parse(self) -> tuple[Import | Definition, ...] | None:
        """The items of the file; None where there are syntax errors, which are reported."""
        items = self._items()
        self._report_habits()
        return items

    def _items(self) -> tuple[Import | Definition, ...] | None:
        position = errors = 0
        while position < len(self.tokens):
            token = self.tokens[position]
            try:
                self.state.feed_token(token)
                position += 1
            except UnexpectedToken:
                passed = self._pass_over(token, position)
                if passed is not None:
                    errors = max(errors, 1)
                    position = passed
                    continue
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

    # Habits of other languages that can be passed over: said once, with all their lines.

    def _pass_over(self, token: Token, position: int) -> int | None:
        """Where to go on behind a sign that means nothing here; None where it is no habit."""
        acceptable = self._acceptable()
        if "LET" not in acceptable and ("NET" not in acceptable or "NAME" in acceptable):
            return None
        follower = self.tokens[position + 1] if position + 1 < len(self.tokens) else None
        if token.type in ("COMMA", "SEMICOLON"):
            if follower is not None and follower.type in ("NUMBER", "SHAPE"):
                return None
            imports = position > 1 and self.tokens[position - 2].type == "IMPORT"
            if imports and token.type == "COMMA":
                return None  # `import a, b`
            message = f"statements need no `{token}` between them"
            self._habit(message, token, "leave it out")
            return position + 1
        if str(token) == "//":
            self._habit("`//` begins no comment", token, "a comment begins with `#`")
            while position < len(self.tokens) and self.tokens[position].line == token.line:
                position += 1
            return position
        return None

    def _habit(self, message: str, token: Token, help_: str) -> None:
        if message not in self.habits:
            span = span_of(self.source, token)
            self.habits[message] = Diagnostic("syntax", message, span, help=(help_,)), []
        else:
            self.habits[message][1].append(token.line or 0)

    def _report_habits(self) -> None:
        for diagnostic, lines in self.habits.values():
            self.diagnostics.add(replace(diagnostic, also=also_in_lines(lines)))

    # A syntax error: what was found, what was expected, in words.

    def _report(self, token: Token, position: int) -> None:
        span = span_of(self.source, token)
        wanted = expected(self._acceptable())
        others: tuple[Label, ...] = ()
        if token.type == "$END":
            found = "the end of the file"
            if "RBRACE" in self._acceptable():
                wanted = "`}`"
            start = max(span.start - 1, 0)
            span = Span(self.source, start, span.start) if self.source.text else span
        else:
            found = describe(token)
        opener = self._innermost_opener()
        if opener is not None:
            closer = {"LPAR": ")", "LSQB": "]", "LBRACE": "}"}[opener.type]
            if self._misses(OPENERS[opener.type], closer, opener, token):
                others = (Label(span_of(self.source, opener), f"this `{opener}` is still open"),)
        told = advice(self.tokens, position, self._acceptable(), opener)
        if told.at is not None:
            span = span_of(self.source, told.at)
        message = told.message or f"expected {wanted}, found {found}"
        help_ = told.help
        if opener is None and self._ends_early(position):
            last = span_of(self.source, self.tokens[position - 1])
            others = (Label(last, "what stands in front ends with this `}`"),)
            help_ = ("take this `}` away",)
        self.diagnostics.add(Diagnostic("syntax", message, span, others=others, help=help_))

    def _ends_early(self, position: int) -> bool:
        """Whether a brace too many seems to end a net or module in front of this token."""
        if position == 0 or position >= len(self.tokens):
            return False
        kinds = [t.type for t in self.tokens]
        more = kinds.count("RBRACE") > kinds.count("LBRACE")
        return more and kinds[position - 1] == "RBRACE" and "NET" in self._acceptable()

    def _misses(self, kind: str, closer: str, opener: Token, found: Token) -> bool:
        """Whether it is likely that the bracket should have been closed before this token."""
        if found.type == "$END" or (found.type in CLOSERS and str(found) != closer):
            return True
        acceptable = self._acceptable()
        if kind not in acceptable or "LET" in acceptable:  # a block goes over many lines
            return False
        return found.line != opener.line or found.type in ("LBRACE", "ARROW")

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
                if value.type in OPENERS:
                    open_.append(value)
                elif value.type in CLOSERS and open_:
                    open_.pop()
        return open_[-1] if open_ else None

    # Recovery: give up the statement at hand, go on with the next one.

    def _recover(self, position: int) -> int:
        """Unwind to the enclosing block and return the position of the token to go on with."""
        dropped: list[Token] = []
        self._unwind("LET", dropped)
        in_block = len(self.state.state_stack) > 1
        first = dropped[-1] if dropped else self.tokens[min(position, len(self.tokens) - 1)]
        indent = next(
            (t.column or 0 for t in self.tokens if t.line == first.line), first.column or 0
        )
        depth = sum(
            (t.type in OPENERS) - (t.type in CLOSERS) for t in dropped if isinstance(t, Token)
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
                outdented = (token.column or 0) <= indent
                begins = token.type in STATEMENTS or token.type == "NAME"
                if begins and (depth <= 0 or outdented):
                    return position
            if token.type in OPENERS:
                depth += 1
            elif token.type in CLOSERS:
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
                if kind == "LET" or (
                    "IMPORT" in states[state.state_stack[-1]]
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


def _parser_state(lark: Lark, builder: Builder) -> Any:
    """A fresh LALR stack whose reductions build our tree."""
    from lark.parse_tree_builder import ParseTreeBuilder
    from lark.parsers.lalr_parser_state import ParseConf, ParserState

    frontend: Any = lark.parser
    # Bind the callbacks to this run's builder; the parse table is shared by all runs.
    # (Lark has no types for these.) Not `ambiguous`, with which a list of n statements would be
    # copied n times.
    tree_builder: Any = cast(Any, ParseTreeBuilder)(lark.rules, list, False, False, False)
    callbacks = tree_builder.create_callback(builder)
    table = frontend.parser._parse_table
    return ParserState(ParseConf(table, callbacks, "start"), cast(Any, None))
