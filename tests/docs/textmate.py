"""A small interpreter of TextMate grammars, after the rules of vscode-textmate.

Text is read line by line, each with its line break. At every place the earliest match counts, of
equally early ones the end of the innermost open rule, then the first in order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

Rule = dict[str, Any]


@dataclass(frozen=True)
class ScopedToken:
    """A piece of text with its scopes, outermost first; `start` is its place in the whole text."""

    start: int
    text: str
    scopes: tuple[str, ...]


class TextMateGrammar:
    def __init__(self, data: Rule) -> None:
        self.data = data
        self.compiled: dict[str, re.Pattern[str]] = {}

    def _regex(self, pattern: str) -> re.Pattern[str]:
        if pattern not in self.compiled:
            self.compiled[pattern] = re.compile(pattern)
        return self.compiled[pattern]

    def _flat(self, patterns: list[Rule]) -> list[Rule]:
        found = []
        for rule in patterns:
            if "include" in rule:
                found += self._flat([self.data["repository"][rule["include"].removeprefix("#")]])
            elif "match" not in rule and "begin" not in rule:
                found += self._flat(rule["patterns"])
            else:
                found.append(rule)
        return found

    def tokens(self, text: str) -> tuple[list[ScopedToken], int]:
        """The tokens, and how many rules are open at the end."""
        found: list[ScopedToken] = []
        stack: list[Rule] = []
        start = 0
        for line in text.splitlines():
            self._line(f"{line}\n", start, stack, found)
            start += len(line) + 1
        return found, len(stack)

    def _line(self, line: str, start: int, stack: list[Rule], found: list[ScopedToken]) -> None:
        place = 0
        steps = 0
        while place <= len(line):
            steps += 1
            assert steps < 10 * len(line) + 100, f"the grammar goes round in circles at {line!r}"
            inside = stack[-1]["patterns"] if stack else self.data["patterns"]
            rules = [(r, self._regex(r.get("match") or r["begin"])) for r in self._flat(inside)]
            options: list[tuple[int, int, re.Match[str], Rule | None]] = []
            if stack and (m := self._regex(stack[-1]["end"]).search(line, place)):
                options.append((m.start(), -1, m, None))
            for i, (candidate, regex) in enumerate(rules):
                if m := regex.search(line, place):
                    options.append((m.start(), i, m, candidate))
            if not options:
                self._add(found, start, line[place:], place, stack, ())
                return
            at, _, m, rule = min(options, key=lambda o: o[:2])
            self._add(found, start, line[place:at], place, stack, ())
            if rule is None:
                self._captured(found, start, m, stack, stack[-1].get("endCaptures", {}))
                stack.pop()
            elif "begin" in rule:
                stack.append(rule)
                self._captured(found, start, m, stack, rule.get("beginCaptures", {}))
            else:
                scope = (rule["name"],) if "name" in rule else ()
                self._captured(found, start, m, stack, rule.get("captures", {}), scope)
                # A match of nothing that changes nothing would be found again and again.
                if not m.group():
                    place = m.end() + 1
                    continue
            place = m.end()
            if place >= len(line):
                return

    def _captured(
        self,
        found: list[ScopedToken],
        start: int,
        m: re.Match[str],
        stack: list[Rule],
        captures: Rule,
        scope: tuple[str, ...] = (),
    ) -> None:
        """The text of a match, divided where its groups have names."""
        place = m.start()
        for group in sorted(int(g) for g in captures):
            if m.start(group) < 0:
                continue
            self._add(found, start, m.string[place : m.start(group)], place, stack, scope)
            name = captures[str(group)]["name"]
            self._add(found, start, m.group(group), m.start(group), stack, (*scope, name))
            place = m.end(group)
        self._add(found, start, m.string[place : m.end()], place, stack, scope)

    @staticmethod
    def _add(
        found: list[ScopedToken],
        start: int,
        text: str,
        place: int,
        stack: list[Rule],
        scope: tuple[str, ...],
    ) -> None:
        if text:
            outer = tuple(r["name"] for r in stack if "name" in r)
            found.append(ScopedToken(start + place, text, (*outer, *scope)))
