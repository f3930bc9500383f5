"""A syntax error: the token that has no place where it stands, what is around it, rules of help."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from netspec.diagnostics.fixes import Edit, Fix
from netspec.diagnostics.source import Source, Span
from netspec.syntax.lalr import Token

NOTHING = Token.of("", "", -1)
"""Stands where there is no token."""


class SyntaxProblem:
    """A token that has no place where it stands, and what is around it."""

    def __init__(
        self,
        tokens: Sequence[Token],
        position: int,
        acceptable: set[str],
        opener: Token | None,
    ) -> None:
        """`acceptable` are the kinds that could have come, `opener` the innermost open bracket."""
        self.tokens = tokens
        self.position = position
        self.acceptable = acceptable
        self.opener = opener
        self.token = tokens[position]
        self.text = str(self.token)
        self.kind = self.token.kind
        self.previous = self.at(-1)
        self.next = self.at(1)

    def at(self, offset: int) -> Token:
        """The token so far behind the wrong one, or in front of it; NOTHING where there is none."""
        place = self.position + offset
        return self.tokens[place] if 0 <= place < len(self.tokens) else NOTHING

    def before(self, count: int) -> Sequence[Token]:
        """Up to so many tokens in front of the wrong one."""
        return self.tokens[max(self.position - count, 0) : self.position]

    def could_be(self, *kinds: str) -> bool:
        """Whether a token of each of these kinds could have come."""
        return self.acceptable.issuperset(kinds)

    @property
    def bracket(self) -> int:
        """The position of the innermost open bracket; -1 where none is open."""
        places = range(self.position - 1, -1, -1)
        return next((i for i in places if self.tokens[i] is self.opener), -1)

    @property
    def before_bracket(self) -> str:
        """The kind of the token in front of the innermost open bracket."""
        return self.tokens[self.bracket - 1].kind if self.bracket > 0 else ""

    @property
    def in_parameters(self) -> bool:
        """Whether it is among the parameters of a net or module."""
        if self.opener is None or self.opener.kind != "LPAR" or self.bracket < 2:
            return False
        return self.tokens[self.bracket - 2].kind in ("NET", "MODULE")

    @property
    def begins_block(self) -> bool:
        """Whether the braces of a net, module, `for` or `if` are what is to come."""
        if not self.could_be("LBRACE") or self.could_be("LET"):
            return False
        for token in reversed(self.before(30)):
            if token.kind in ("NET", "MODULE", "FOR", "IF", "ELSE"):
                return True
            if token.kind in ("LBRACE", "RBRACE", "COLON"):
                break
        return False


TokenEdit = tuple[Token, Token, str]
"""The first and the last token that a text takes the place of."""


def put(
    text: str | Callable[[SyntaxProblem], str | None], first: int = 0, last: int = 0
) -> Callable[[SyntaxProblem], TokenEdit | None]:
    """The fix that puts a text in place of these tokens, counted from the wrong one."""

    def edit(problem: SyntaxProblem) -> TokenEdit | None:
        tokens = problem.at(first), problem.at(last)
        written = text if isinstance(text, str) else text(problem)
        return None if NOTHING in tokens or written is None else (*tokens, written)

    return edit


class HintRule(NamedTuple):
    """Help for one kind of error. An example that is no whole text is a line of a net.

    Where a fix of the text is known, `fix` gives it.
    """

    applies: Callable[[SyntaxProblem], bool]
    help: str | Callable[[SyntaxProblem], str]
    example: str
    fix: Callable[[SyntaxProblem], TokenEdit | None] = lambda problem: None

    def text(self, problem: SyntaxProblem) -> str:
        return self.help if isinstance(self.help, str) else self.help(problem)


class Hint(NamedTuple):
    """Help for a syntax error; and another place and message where those say more."""

    help: tuple[str, ...] = ()
    at: Token | None = None
    message: str = ""
    edit: TokenEdit | None = None

    def lines(self, source: Source) -> tuple[str, ...]:
        """The help, with the edit that carries it out."""
        if self.edit is None:
            return self.help
        first, last, text = self.edit
        return (Fix(self.help[0], Edit(Span(source, first.start, last.end), text)),)
