"""Statements as data: what is left out and moved changes nothing of what a program does."""

from __future__ import annotations

import ast
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from netspec.codegen.python_source import Verbatim
from netspec.codegen.writing.statements import (
    Compound,
    Line,
    Refusal,
    Statement,
    if_statement,
    read_by,
    render,
    settled,
)

VARIABLES = ("a", "b", "c")
ARGUMENTS = ("p", "q")
# Only what is read as a string is a variable that statements set.
P, Q = (1, "p"), (2, "q")


@st.composite
def lines(draw: Any) -> Statement:
    target, variable = draw(st.sampled_from(VARIABLES)), draw(st.sampled_from(VARIABLES))
    argument = draw(st.sampled_from(ARGUMENTS))
    word = draw(st.sampled_from(("", "+=")))
    source = Verbatim(f"{variable} + {argument}")
    reads = {variable, argument, *([target] if word else [])}
    return Line(source, (target,), word, optional=True, reads=reads)


@st.composite
def results(draw: Any) -> Statement:
    variable = draw(st.sampled_from(VARIABLES))
    return Line(Verbatim(f"done.append({variable})"), reads={variable})


@st.composite
def refusals(draw: Any) -> Statement:
    name = draw(st.sampled_from((*ARGUMENTS, *VARIABLES)))
    least = draw(st.integers(2, 4))
    reads = {"p": P, "q": Q}.get(name, name)
    return Refusal(f"{name} > {least}", f'"{name} {least}"', frozenset((reads,)))


def bodies(inner: st.SearchStrategy[Statement]) -> st.SearchStrategy[list[Statement]]:
    return st.lists(inner, max_size=3)


@st.composite
def branches(draw: Any, inner: st.SearchStrategy[Statement]) -> Statement:
    argument, twice = draw(st.sampled_from(ARGUMENTS)), draw(st.booleans())
    tests = [f"{argument} > 2", f"{argument} > 0"][: 1 + twice]
    made = if_statement(tests, draw(st.lists(bodies(inner), min_size=1, max_size=3))[: 2 + twice])
    made.bodies += [[] for _ in range(len(tests) + 1 - len(made.bodies))]
    made = if_statement(tests, made.bodies)
    made.reads, made.opposite = {argument}, f"if not {tests[0]}:" * (not twice)
    return made


@st.composite
def loops(draw: Any, inner: st.SearchStrategy[Statement]) -> Statement:
    argument = draw(st.sampled_from(ARGUMENTS))
    return Compound([f"for i in range({argument}):"], [draw(bodies(inner))], reads={argument})


def statements() -> st.SearchStrategy[Statement]:
    simple = lines() | lines() | results() | refusals()
    return st.recursive(simple, lambda inner: branches(inner) | loops(inner), max_leaves=10)


def outcome(body: list[Statement], p: int, q: int) -> Any:
    """What a program appends, or the error that it ends with."""
    done: list[int] = []
    source = "\n".join(["if True:", *(render(body, 4) or ["    pass"])])
    ast.parse(source)
    try:
        exec(source, {"a": 0, "b": 1, "c": 2, "p": p, "q": q, "done": done})
    except ValueError as error:
        return str(error)
    return done


@given(st.lists(statements(), max_size=6), st.integers(0, 5), st.integers(0, 3))
def test_what_is_left_out_and_moved_changes_nothing(body: list[Statement], p: int, q: int) -> None:
    """But that a check of arguments, which all branches make, may refuse before another does."""
    found, expected = outcome(settled(body, read_by(body)), p, q), outcome(body, p, q)
    assert found == expected or (isinstance(found, str) and isinstance(expected, str))


def test_only_what_is_read_stays() -> None:
    chain = [
        Line(Verbatim("1"), ("a",), optional=True),
        Line(Verbatim("a"), ("b",), optional=True, reads={"a"}),
        Line(Verbatim("print(c)"), reads={"c"}),
        Line(Verbatim("b"), ("c",), optional=True, reads={"b"}),
    ]
    assert settled(chain, read_by(chain)) == chain
    assert settled(chain[:2], read_by(chain[:2])) == []


def test_checks_of_all_branches_stand_once_and_above() -> None:
    check = Refusal("p > 2", '"p"', frozenset((P,)))
    made = Line(Verbatim("f(p)"))
    body: list[Statement] = [
        if_statement(["q"], [[check, made], [check, Line(Verbatim("g(p)")), made]]),
        check,
    ]
    assert render(settled(body, read_by(body)), 0) == [
        "if p > 2:",
        '    raise ValueError("p")',
        "if q:",
        "    pass",
        "else:",
        "    g(p)",
        "f(p)",
    ]
