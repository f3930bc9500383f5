"""Emitted classes are as short as an expert writes them."""

from __future__ import annotations

import ast

import pytest

from netspec.codegen.backend import emit, get

from ..helpers import loaded


def lines_of_classes(source: str) -> int:
    """The lines of all classes without blank ones and without loading and preprocessing."""
    count = 0
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef):
            count += _lines(source, node)
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef) and inner.name in ("load", "preprocess"):
                    count -= _lines(source, inner) + len(inner.decorator_list)
    return count


def _lines(source: str, node: ast.AST) -> int:
    return sum(
        bool(line.strip()) for line in (ast.get_source_segment(source, node) or "").split("\n")
    )


@pytest.mark.parametrize(
    ("spec", "most"),
    [
        ("resnet50", 80),
        ("densenet121", 80),
        ("squeezenet1_0", 59),
    ],
)
def test_classes_are_short(spec: str, most: int) -> None:
    assert lines_of_classes(emit(loaded(spec), get("torch"))) <= most
