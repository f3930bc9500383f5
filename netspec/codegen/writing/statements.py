"""Statements of Python as data: what they read is known, and lines are written at the end.

render([Line(call("f", "x"), ("y",)), Line(Verbatim("y"), word="return")], 4)
["    y = f(x)", "    return y"]
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence, Set
from textwrap import dedent
from typing import Any, ClassVar

from netspec.codegen.python_source import Source, Verbatim, call, statement
from netspec.lazy_dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Refusal:
    """`if test: raise ValueError(message)`."""

    test: str
    message: str
    reads: Set[Any] = field(default=frozenset(), compare=False)
    sets: ClassVar[Sequence[str]] = ()

    @property
    def local(self) -> bool:
        """Whether it reads variables."""
        return any(isinstance(x, str) for x in self.reads)


@dataclass
class Line:
    """`targets: annotation = source`, or `word source`; `word` may also be another assignment.

    `reads` are the variables that it reads, and what else its writer wants to know. One that is
    `optional` is left out where nothing reads its target.
    """

    source: Source
    targets: tuple[str, ...] = ()
    word: str = ""
    annotation: str = ""
    comment: str = ""
    optional: bool = False
    reads: Set[Any] = field(default=frozenset(), compare=False)

    @property
    def sets(self) -> Sequence[str]:
        """The variables that it sets."""
        return self.targets


@dataclass
class Compound:
    """Bodies with the line above each; the last one's may be `else:`, and the body empty.

    `opposite` is the line for the second body where the first is empty, `declared` stands above
    all. A loop `sets` its variables; of one that counts, `opposite` is the line for where only the
    count is read, `uncounted` for where it is not.
    """

    heads: Sequence[str]
    bodies: list[list[Statement]]
    opposite: str = ""
    declared: str = ""
    uncounted: str = ""
    sets: Sequence[str] = ()
    reads: Set[Any] = field(default=frozenset(), compare=False)


Statement = Line | Compound | Refusal


def if_statement(tests: Sequence[str], bodies: list[list[Statement]]) -> Compound:
    """An `if` of these tests; the last of more bodies is for where none of them holds."""
    heads = [f"{'el' if n else ''}if {test}:" for n, test in enumerate(tests)]
    return Compound([*heads, "else:"][: len(bodies)], bodies)


def walk(body: Sequence[Statement]) -> Iterator[Statement]:
    """All statements, those of inner bodies too, the last one first."""
    for s in reversed(body):
        for inner in reversed(s.bodies) if isinstance(s, Compound) else ():
            yield from walk(inner)
        yield s


def read_by(body: Sequence[Statement]) -> set[Any]:
    """What statements read, but for those that are optional and that nothing reads."""
    read: set[Any] = set()
    count = -1
    while count < len(read):  # a loop's first line may read what its last one sets
        count = len(read)
        for s in walk(body):
            if not _is_left_out(s, read):
                read |= s.reads
    return read


def _is_left_out(s: Statement, read: Set[Any]) -> bool:
    match s:
        case Line(optional=True):
            return s.targets[0] not in read
        case Compound():
            return all(_is_left_out(x, read) for b in s.bodies for x in b)
    return False


def settled(
    body: Sequence[Statement], read: Set[Any], known: Set[Refusal] = frozenset()
) -> list[Statement]:
    """The statements that are read; each check once, where none before it is the same.

    What all branches check is checked before them, and what all end with stands behind them.
    """
    result: list[Statement] = []
    known = set(known)
    for s in body:
        if _is_left_out(s, read) or (isinstance(s, Refusal) and s in known):
            continue
        after: list[Statement] = []
        if isinstance(s, Refusal):
            known.add(s)
        elif isinstance(s, Compound):
            bodies = [settled(b, read, known) for b in s.bodies]
            common = [c for c in bodies[0] if isinstance(c, Refusal) and len(bodies) > 1]
            common = [c for c in common if all(c in b for b in bodies) and not c.local]
            known.update(common)
            bodies = [[x for x in b if x not in common] for b in bodies]
            after = common_end(bodies)
            result += common
            s = _plain(replace(s, bodies=bodies))
        result += [s, *after] if not isinstance(s, Compound) or any(s.bodies) else after
    return result


def _plain(s: Compound) -> Statement:
    """An `if` without what is empty; a check alone in one as a check of both conditions."""
    if s.opposite and not s.sets and not s.bodies[0]:
        s = replace(s, heads=[s.opposite], bodies=s.bodies[1:], opposite="")
    match [(h, b) for h, b in zip(s.heads, s.bodies, strict=True) if b or h != "else:"]:
        case [(head, [Refusal(test, message, reads)])] if head.startswith("if "):
            tests = (head[3:-1], test)
            joined = (f"({t})" if " or " in t or " if " in t else t for t in tests)
            return Refusal(" and ".join(joined), message, reads | s.reads)
    return s


def common_end(bodies: Sequence[list[Statement]]) -> list[Statement]:
    """Take off branches the statements that all end with; returns these."""
    after: list[Statement] = []
    while len(bodies) > 1 and all(bodies) and all(b[-1] == bodies[0][-1] for b in bodies):
        after.insert(0, bodies[0][-1])
        for b in bodies:
            b.pop()
    return after


def render(body: Sequence[Statement], indent: int) -> list[str]:
    """The lines of statements."""
    margin = " " * indent
    lines: list[str] = []
    for s in body:
        match s:
            case Line():
                annotation = f": {s.annotation}" if s.annotation else ""
                head = ", ".join(s.targets) + annotation + " " * bool(s.targets)
                word = s.word or "=" * bool(s.targets)
                lines += statement(f"{head}{word} " if word else "", s.source, indent, s.comment)
            case Refusal():
                lines += statement("if ", Verbatim(f"{s.test}:"), indent)
                lines += statement("raise ", call("ValueError", s.message), indent + 4)
            case Compound(heads, bodies):
                lines += [margin + s.declared] if s.declared else []
                for head, inner in zip(heads, bodies, strict=True):
                    if inner or head != "else:":
                        text = render(inner, indent + 4) or [f"{margin}    pass"]
                        lines.append(f"{margin}{_loop_head(s, text) or head}")
                        lines += text
    return lines


def _loop_head(s: Compound, body: Sequence[str]) -> str:
    """The first line of a loop that takes items apart, without the names that nothing reads."""
    if not s.sets:
        return ""
    # Strings may have the names in them: f"c{i}".
    read = {n.id for n in ast.walk(ast.parse(dedent("\n".join(body)))) if isinstance(n, ast.Name)}
    unread = [n for n in s.sets if n not in read]
    if s.opposite and unread == list(s.sets[1:]):
        return s.opposite
    head = s.uncounted if s.uncounted and s.sets[0] in unread else s.heads[0]
    target, joint, over = head.partition(" in ")
    for name in unread:
        target = re.sub(rf"\b{name}\b", "_", target)
    while (shorter := re.sub(r"\((_, )*_,?\)", "_", target)) != target:
        target = shorter
    return target + joint + over
