"""Going through trees: every node once, in the order of the text, and trees rewritten."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netspec.diagnostics import Diagnostics
from netspec.diagnostics.source import Source
from netspec.syntax.ast import Comment, File, Let, Name, Number, Statement, Variable
from netspec.syntax.parser import parse
from netspec.syntax.visitor import children, rewrite, statements, walk

from ..formatter.test_properties import meaning
from ..formatter.texts import Layout, RandomText
from .test_tree import TEXT, nodes


def parsed(text: str) -> File:
    file = parse(Source("t", text), Diagnostics())
    assert file is not None
    return file


trees = st.randoms(use_true_random=False).map(
    lambda random: parsed(Layout(random, 2).text(RandomText(random).file()))
)
MANY = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.slow
@MANY
@given(trees)
def test_walk_reaches_every_node_once(tree: File) -> None:
    found = [id(node) for node in walk(tree) if node is not tree]
    assert len(found) == len(set(found))
    # `nodes` of the tests asks the dataclasses, and not the visitor.
    assert set(found) == {id(node) for node in nodes(tree)}


@pytest.mark.slow
@MANY
@given(trees)
def test_what_is_inside_comes_after_and_in_the_order_of_the_text(tree: File) -> None:
    for node in walk(*tree.items):
        assert not isinstance(node, File)
        inside = [child.span for child in children(node) if not isinstance(child, File)]
        assert inside == sorted(inside, key=lambda span: span.start)
        for span in inside:
            assert node.span.start <= span.start <= span.end <= node.span.end
    order = {id(node): i for i, node in enumerate(walk(tree))}
    assert all(order[id(n)] < order[id(c)] for n in walk(tree) for c in children(n))


@MANY
@given(trees)
def test_statements_are_those_of_the_walk(tree: File) -> None:
    for item in tree.items:
        body: tuple[Statement, ...] = getattr(item, "body", ())
        found = list(map(id, statements(body)))
        kinds = Statement.__args__
        assert found == [id(node) for node in walk(*body) if isinstance(node, kinds)]


@MANY
@given(trees)
def test_nothing_changed_is_the_same_tree(tree: File) -> None:
    assert rewrite(tree, lambda node: node) is tree


@pytest.mark.slow
@MANY
@given(trees, st.randoms(use_true_random=False))
def test_every_node_is_offered_once_and_the_rest_stays(tree: File, random: Random) -> None:
    offered: list[Any] = []

    def change(node: Any) -> Any:
        offered.append(node)
        return Number(node.value + 1, node.span) if isinstance(node, Number) else node

    changed = rewrite(tree, change)
    assert len(offered) == sum(1 for _ in walk(tree))
    before, after = ([n for n in walk(t) if isinstance(n, Number)] for t in (tree, changed))
    assert [n.value + 1 for n in before] == [n.value for n in after]

    def back(node: Any) -> Any:
        return Number(node.value - 1, node.span) if isinstance(node, Number) else node

    assert meaning(rewrite(changed, back)) == meaning(tree)


def test_a_name_is_rewritten_wherever_it_stands() -> None:
    def change(node: Any) -> Any:
        return Name(node.text.upper(), node.span) if isinstance(node, Name) else node

    file = rewrite(parsed(TEXT), change)
    names = {node.text for node in walk(file) if isinstance(node, Name)}
    assert {"FIRE", "N", "DATA", "FILTERS", "MAX", "Y"} <= names
    assert {node.name for node in walk(file) if isinstance(node, Variable)} >= {"a", "q"}


@pytest.mark.parametrize(
    ("text", "below"),
    [
        ("let a = b if c else d", ["a", "b", "c", "d"]),
        ("let a = b < c < d", ["a", "b", "c", "d"]),
        ("let a = [b, f(c)[d].e]", ["a", "b", "f", "c", "d", "e"]),
    ],
)
def test_the_order_of_a_walk(text: str, below: list[str]) -> None:
    (module,) = parsed(f"module m {{ {text} }} # comment").items
    (let,) = (node for node in walk(module) if isinstance(node, Let))
    found = [node for node in walk(let) if isinstance(node, Name | Variable)]
    assert [n.text if isinstance(n, Name) else n.name for n in found] == below


def test_comments_are_nodes_of_their_file() -> None:
    file = parsed("net n { relu # a\n} # b")
    assert [n.text for n in walk(file) if isinstance(n, Comment)] == ["# a", "# b"]
