"""A run of the parser that goes on at the next statement after a syntax error."""

from __future__ import annotations

from typing import cast

from netspec.diagnostics import Diagnostic, Diagnostics, Label, also_in_lines
from netspec.diagnostics.fixes import Edit, Fix
from netspec.diagnostics.source import Source, Span
from netspec.lazy_dataclasses import replace
from netspec.syntax.ast import Comment, Default, Definition, Expression, Import
from netspec.syntax.lalr import END, Grammar, Stack, Token
from netspec.syntax.parser.ast_builder import Builder
from netspec.syntax.parser.token_names import STATEMENTS, describe, expected
from netspec.syntax.parser.tokens import CLOSERS, OPENERS, span_of

MAX_ERRORS = 20
"""Syntax errors after which parsing gives up."""


class RecoveringParser:
    """One run over the tokens of a text; `end` is what messages call the end of the text."""

    def __init__(
        self,
        grammar: Grammar,
        source: Source,
        tokens: list[Token],
        comments: list[Comment],
        diagnostics: Diagnostics,
        end: str = "the end of the file",
    ) -> None:
        self.source = source
        self.tokens = tokens
        self.diagnostics = diagnostics
        self.builder = Builder(source, comments, diagnostics)
        self.stack = Stack(grammar, self.builder)
        self.end = end
        self.starts_line = self._line_starts()
        self.skipped: dict[str, list[Diagnostic]] = {}

    def _line_starts(self) -> list[bool]:
        last = 0
        starts = []
        for token in self.tokens:
            starts.append(token.line != last)
            last = token.end_line
        return starts

    def parse(self) -> tuple[Import | Default | Definition, ...] | None:
        """The items of the file; None where there are syntax errors, which are reported."""
        items = self._items()
        self._report_skipped()
        return items

    def parse_expression(self) -> Expression | None:
        """The expression that the text is; None, and one error reported, where it is none."""
        for position, token in enumerate(self.tokens):
            if not self.stack.feed(token):
                self._report(token, position)
                return None
        return cast("Expression", self.stack.values[0]) if self._finish() else None

    def _items(self) -> tuple[Import | Default | Definition, ...] | None:
        position = errors = 0
        while position < len(self.tokens):
            token = self.tokens[position]
            if self.stack.feed(token):
                position += 1
                continue
            passed = self._skip(token, position)
            if passed is not None:
                errors = max(errors, 1)
                position = passed
                continue
            self._report(token, position)
            errors += 1
            if errors >= MAX_ERRORS:
                return None
            position = self._recover(position)
        if errors or not self._finish():
            return None
        return cast("tuple[Import | Default | Definition, ...]", self.stack.values[0])

    def _finish(self) -> bool:
        """Whether the text may end behind its last token; reported where it may not."""
        end = Token.of(END, "", len(self.source.text.rstrip()))
        if self.stack.finish(end):
            return True
        self._report(end, len(self.tokens))
        return False

    # Signs of other languages that can be skipped: reported once, with all their lines.

    def _skip(self, token: Token, position: int) -> int | None:
        """The position behind a sign of other languages; None where the token is none of these."""
        acceptable = self.stack.acceptable()
        if "LET" not in acceptable and ("NET" not in acceptable or "NAME" in acceptable):
            return None
        follower = self.tokens[position + 1] if position + 1 < len(self.tokens) else None
        if token.kind in ("COMMA", "SEMICOLON"):
            if follower is not None and follower.kind in ("NUMBER", "SHAPE"):
                return None
            imports = position > 1 and self.tokens[position - 2].kind == "IMPORT"
            if imports and token.kind == "COMMA":
                return None  # `import a, b`
            message = f"statements need no `{token}` between them"
            fix = "leave it out"
            if position > 1 and self.tokens[position - 2].kind == "INPUT" and follower is not None:
                fix = f"each input is a statement: `input {follower}`"
            self._skipped(message, token, fix, "" if fix == "leave it out" else None)
            return position + 1
        if str(token) == "//":
            self._skipped("`//` begins no comment", token, "a comment begins with `#`", "#")
            while position < len(self.tokens) and self.tokens[position].line == token.line:
                position += 1
            return position
        return None

    def _skipped(self, message: str, token: Token, help_: str, instead: str | None) -> None:
        span = span_of(self.source, token)
        edits = [Edit(span, instead)] if instead is not None else []
        diagnostic = Diagnostic("syntax", message, span, help=(Fix(help_, *edits),))
        self.skipped.setdefault(message, []).append(diagnostic)

    def _report_skipped(self) -> None:
        for first, *others in self.skipped.values():
            edits = [edit for d in (first, *others) for fix in d.fixes for edit in fix.edits]
            also = also_in_lines(d.span.line for d in others if d.span is not None)
            help_ = (Fix(first.help[0], *edits),)
            self.diagnostics.add(replace(first, help=help_, also=also))

    # The diagnostic of a syntax error.

    def _report(self, token: Token, position: int) -> None:
        span = span_of(self.source, token)
        acceptable = self.stack.acceptable()
        wanted = expected(acceptable) if acceptable else self.end
        others: tuple[Label, ...] = ()
        if token.kind == END:
            found = self.end
            if "RBRACE" in acceptable:
                wanted = "`}`"
            start = max(span.start - 1, 0)
            span = Span(self.source, start, span.start) if self.source.text else span
        else:
            found = describe(token)
        opener = self._innermost_opener()
        if opener is not None:
            closer = {"LPAR": ")", "LSQB": "]", "LBRACE": "}"}[opener.kind]
            if self._misses(OPENERS[opener.kind], closer, opener, token):
                others = (Label(span_of(self.source, opener), f"this `{opener}` is still open"),)
        message = f"expected {wanted}, found {found}"
        help_: tuple[str, ...] = ()
        if token.kind != END:
            from netspec.syntax.parser.hints import hint_for
            from netspec.syntax.parser.syntax_problem import SyntaxProblem

            hint = hint_for(SyntaxProblem(self.tokens, position, acceptable, opener))
            help_ = hint.lines(self.source)
            message = hint.message or message
            if hint.at is not None:
                span = span_of(self.source, hint.at)
        if opener is None and self._ends_early(position):
            last = span_of(self.source, self.tokens[position - 1])
            others = (Label(last, "what stands in front ends with this `}`"),)
            help_ = (Fix("take this `}` away", Edit(last, "")),)
        self.diagnostics.add(Diagnostic("syntax", message, span, others=others, help=help_))

    def _ends_early(self, position: int) -> bool:
        """Whether a brace too many seems to end a net or module in front of this token."""
        if position == 0 or position >= len(self.tokens):
            return False
        kinds = [t.kind for t in self.tokens]
        more = kinds.count("RBRACE") > kinds.count("LBRACE")
        return more and kinds[position - 1] == "RBRACE" and "NET" in self.stack.acceptable()

    def _misses(self, kind: str, closer: str, opener: Token, found: Token) -> bool:
        """Whether it is likely that the bracket should have been closed before this token."""
        if found.kind == END or (found.kind in CLOSERS and str(found) != closer):
            return True
        acceptable = self.stack.acceptable()
        if kind not in acceptable or "LET" in acceptable:  # a block goes over many lines
            return False
        return found.line != opener.line or found.kind in ("LBRACE", "ARROW")

    def _innermost_opener(self) -> Token | None:
        open_: list[Token] = []
        for value in self.stack.values:
            if isinstance(value, Token):
                if value.kind in OPENERS:
                    open_.append(value)
                elif value.kind in CLOSERS and open_:
                    open_.pop()
        return open_[-1] if open_ else None

    # Recovery: give up this statement, go on with the next one.

    def _recover(self, position: int) -> int:
        """Unwind the stack to the enclosing block; return the position to go on at."""
        dropped: list[Token] = []
        self._unwind("LET", dropped)
        in_block = len(self.stack.states) > 1
        first = dropped[-1] if dropped else self.tokens[min(position, len(self.tokens) - 1)]
        indent = next((t.column for t in self.tokens if t.line == first.line), first.column)
        depth = sum(
            (t.kind in OPENERS) - (t.kind in CLOSERS) for t in dropped if isinstance(t, Token)
        )
        while position < len(self.tokens):
            token = self.tokens[position]
            starts_line = self.starts_line[position]
            follower = self.tokens[position + 1] if position + 1 < len(self.tokens) else None
            if starts_line and token.kind in ("NET", "MODULE", "IMPORT") and follower:
                if follower.kind in ("NAME", "STRING") and token.column <= 1:
                    self._unwind("NET", [])
                    return position
            if in_block and starts_line and token is not first:
                outdented = token.column <= indent
                begins = token.kind in STATEMENTS or token.kind in (
                    "NAME",
                    "TRAIN",
                    "DETECT",
                    "VARIANT",
                    "DEFAULT",
                )
                if begins and (depth <= 0 or outdented):
                    return position
            if token.kind in OPENERS:
                depth += 1
            elif token.kind in CLOSERS:
                depth -= 1
                if depth < 0 and token.kind == "RBRACE" and in_block:
                    return position
                depth = max(depth, 0)
            position += 1
        return position

    def _unwind(self, kind: str, dropped: list[Token]) -> None:
        """Drop states until a token of this kind could be shifted: a block, or the file."""
        states, values = self.stack.states, self.stack.values
        table = self.stack.grammar.states
        while len(states) > 1:
            actions = table[states[-1]]
            if actions.get(kind, -1) >= 0:
                # NET, MODULE and IMPORT are names inside a block; LET is shifted in blocks only.
                if kind == "LET" or (
                    "IMPORT" in actions and not actions.keys() & {"LET", "COLON", "NAME"}
                ):
                    return
            states.pop()
            value = values.pop()
            if isinstance(value, Token):
                dropped.append(value)
