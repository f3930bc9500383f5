"""Text to tokens, and tokens to a tree, by the tables of a grammar.

The tables are made by Lark (`lark_adapter`) and kept (`table_store`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, TypedDict

Rule = tuple[str, int, str, tuple[int, ...], bool]
"""What a rule makes, of how many symbols, and how: the method of the builder that is called with
the children, the positions of repetitions (their items are put into the children), and whether a
single child stands for itself."""


class Tables(TypedDict):
    """A grammar for the lexer and the parser."""

    terminals: list[tuple[str, str]]
    """Kinds of token and their regular expressions, in the order in which they are tried."""
    words: dict[str, dict[str, str]]
    """For a kind of token: texts that make it another kind."""
    ignored: list[str]
    """Kinds of token that the parser does not see: white space and comments."""
    rules: list[Rule]
    states: list[dict[str, int]]
    """For each state what a kind of token or a finished rule does there: a number of a state goes
    to that, and ~n reduces by rule n."""
    start: int
    end: int


END = "$END"
"""The kind of token behind the last one."""


class Token(str):
    """A word or sign of a text, with its place; lines and columns count from 1."""

    __slots__ = ("column", "end_line", "kind", "line", "start")
    kind: str
    start: int
    line: int
    column: int
    end_line: int

    @staticmethod
    def of(kind: str, text: str, start: int, line: int = 0, column: int = 0) -> Token:
        """A token on one line."""
        token = Token(text)
        token.kind = kind
        token.start = start
        token.line = token.end_line = line
        token.column = column
        return token

    @property
    def end(self) -> int:
        return self.start + len(self)


class UnexpectedCharacter(Exception):
    """At this offset of the text no token begins."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


class Grammar:
    """The tables of a grammar, ready for use."""

    def __init__(self, tables: Tables) -> None:
        self.rules = tables["rules"]
        self.states = tables["states"]
        self.start = tables["start"]
        self.end = tables["end"]
        self._words = tables["words"]
        self._ignored = frozenset(tables["ignored"])
        self._match = re.compile("|".join(f"(?P<{n}>{p})" for n, p in tables["terminals"])).match

    def tokens(
        self, text: str, start: int = 0, comments: list[Token] | None = None
    ) -> Iterator[Token]:
        """The tokens of a text from an offset on; comments are appended to `comments`.

        Raises UnexpectedCharacter.
        """
        match, words, ignored = self._match, self._words, self._ignored
        line, line_start = 1, 0
        while start < len(text):
            found = match(text, start)
            if found is None:
                raise UnexpectedCharacter(start)
            kind = found.lastgroup
            assert kind is not None
            value = found.group()
            if kind not in ignored or (comments is not None and kind == "COMMENT"):
                token = Token.of(kind, value, start, line, start - line_start + 1)
                if kind in words:
                    token.kind = words[kind].get(value, kind)
            else:
                token = None
            end = found.end()
            if "\n" in value:
                line += value.count("\n")
                line_start = start + value.rindex("\n") + 1
                if token is not None:
                    token.end_line = line
            start = end
            if token is not None:
                if kind not in ignored:
                    yield token
                elif comments is not None:
                    comments.append(token)


class Stack:
    """A run of the parser: what it has read so far, as states and as values.

    `builder` has a method for each rule, which is called with the list of its children as soon as
    the rule is complete.
    """

    def __init__(self, grammar: Grammar, builder: object) -> None:
        self.grammar = grammar
        self.states = [grammar.start]
        self.values: list[Any] = []
        self._methods = [getattr(builder, rule[2], None) for rule in grammar.rules]

    def feed(self, token: Token) -> bool:
        """Go on by a token; False where it has no place here."""
        states, values = self.states, self.values
        table, rules, methods = self.grammar.states, self.grammar.rules, self._methods
        kind = token.kind
        while True:
            action = table[states[-1]].get(kind)
            if action is None:
                return False
            if action >= 0:
                states.append(action)
                values.append(token)
                return True
            origin, size, _, repetitions, passes_on = rules[~action]
            children: list[Any] = []
            if size:
                children = values[-size:]
                del states[-size:]
                del values[-size:]
            if repetitions:
                children = _spliced(children, repetitions)
            method = methods[~action]
            if passes_on and len(children) == 1:
                values.append(children[0])
            else:
                # A repetition has no method: it is the list of its items.
                values.append(children if method is None else method(children))
            states.append(table[states[-1]][origin])
            if states[-1] == self.grammar.end and kind == END:
                return True

    def finish(self, end: Token) -> bool:
        """Go on to the end of the text; the tree is then `values[0]`. False where it ends early."""
        assert end.kind == END
        return self.feed(end)

    def kinds(self) -> set[str]:
        """The kinds of token that the state has an entry for; not all need be acceptable."""
        return {kind for kind in self.grammar.states[self.states[-1]] if kind.isupper()}

    def acceptable(self) -> set[str]:
        """The kinds of token that could come next, but for the end."""
        return {kind for kind in self.kinds() - {END} if self._would_accept(kind)}

    def _would_accept(self, kind: str) -> bool:
        """Follow the reductions that a token would bring about, without carrying them out."""
        table, rules = self.grammar.states, self.grammar.rules
        states = list(self.states)
        while True:
            action = table[states[-1]].get(kind)
            if action is None:
                return False
            if action >= 0:
                return True
            origin, size, *_ = rules[~action]
            if size:
                del states[-size:]
            states.append(table[states[-1]][origin])


def _spliced(children: list[Any], repetitions: tuple[int, ...]) -> list[Any]:
    """The children with the items of repetitions in their place.

    A repetition in front is extended, not copied: else a list of n items would be copied n times.
    """
    result: list[Any] = children[0] if repetitions[0] == 0 else [children[0]]
    for i in range(1, len(children)):
        if i in repetitions:
            result += children[i]
        else:
            result.append(children[i])
    return result
