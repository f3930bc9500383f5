"""Walks over a syntax tree of any nodes: `children`, `walk`, `statements`, `rewrite`.

A new kind of node needs nothing here: its fields say what stands in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar, get_args

from netspec.lazy_dataclasses import replace
from netspec.syntax.ast import (
    Call,
    Chain,
    Choice,
    Comment,
    Definition,
    Expression,
    Field,
    File,
    For,
    If,
    Import,
    LayerName,
    Name,
    Param,
    Result,
    Statement,
    Unpacked,
)

Node = (
    Expression
    | Statement
    | Name
    | Field
    | Call
    | Choice
    | Chain
    | LayerName
    | Unpacked
    | Param
    | Result
    | Definition
    | Import
    | Comment
    | File
)
NodeT = TypeVar("NodeT", bound=Node)

_NODES: frozenset[type] = frozenset(get_args(Node))
_STATEMENTS: tuple[type, ...] = get_args(Statement)


def children(node: Node) -> Iterator[Node]:
    """The nodes right below a node, in the order of its fields."""
    for name in type(node).__slots__:
        value = getattr(node, name)
        if type(value) in _NODES:
            yield value
        elif type(value) is tuple:
            yield from _among(value)


def _among(values: tuple[Any, ...]) -> Iterator[Node]:
    """The nodes of a field that is a tuple of nodes, or of tuples with nodes in them."""
    for value in values:
        if type(value) in _NODES:
            yield value
        elif type(value) is tuple:
            yield from _among(value)


def walk(*roots: Node) -> Iterator[Node]:
    """Every node of some trees once, each before those below it."""
    stack = list(reversed(roots))
    while stack:
        node = stack.pop()
        yield node
        stack += reversed(list(children(node)))


def statements(body: Iterable[Statement]) -> Iterator[Statement]:
    """All statements, those inside `for` and `if` included, each before those inside it."""
    for statement in body:
        yield statement
        if isinstance(statement, For | If):
            inner: Any = (c for c in children(statement) if isinstance(c, _STATEMENTS))
            yield from statements(inner)


def rewrite(node: NodeT, change: Callable[[Any], Any]) -> NodeT:
    """The tree in which `change` has been at every node, at those below before those above.

    `change` returns another node of a kind that may stand there, or the one it was given.
    """
    found = {}
    for name in type(node).__slots__:
        value = getattr(node, name)
        changed = _rewritten(value, change)
        if changed is not value:
            found[name] = changed
    result: NodeT = change(replace(node, **found) if found else node)
    return result


def _rewritten(value: Any, change: Callable[[Any], Any]) -> Any:
    if type(value) in _NODES:
        return rewrite(value, change)
    if type(value) is tuple:
        items = tuple(_rewritten(item, change) for item in value)
        return items if any(a is not b for a, b in zip(items, value, strict=True)) else value
    return value
