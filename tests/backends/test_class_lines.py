"""Emitted classes are as short as an expert writes them."""

from __future__ import annotations

import ast
import re

import pytest

from netspec.codegen.backend import emit, get

from ..helpers import loaded
from .nets import BUNDLED


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
        ("mobilenet_v2", 85),
        ("densenet121", 80),
        ("squeezenet1_0", 59),
    ],
)
def test_classes_are_short(spec: str, most: int) -> None:
    assert lines_of_classes(emit(loaded(spec), get("torch"))) <= most


@pytest.mark.parametrize("spec", BUNDLED)
def test_variables_have_names_that_people_write(spec: str) -> None:
    """No counted x but where the spec has one, and no copy of what has a name already."""
    own = {x.layer.line for x in loaded(spec).layers}
    for node in ast.walk(ast.parse(emit(loaded(spec), get("torch")))):
        if isinstance(node, ast.FunctionDef) and node.name == "forward":
            stored = [n for n in ast.walk(node) if isinstance(n, ast.Name)]
            names = {n.id for n in stored if isinstance(n.ctx, ast.Store)}
            assert not any(re.fullmatch(r"(x|out)\d+|.+_", n) for n in names - own), names
            assigned = [n for n in ast.walk(node) if isinstance(n, ast.Assign)]
            # An item that a later loop reads is a copy of its own.
            kept = [n for n in assigned if isinstance(n.targets[0], ast.Name)]
            copied = [n for n in kept if isinstance(n.value, ast.Name)]
            assert all(ast.unparse(n) in ("x = data", "out = x") for n in copied)
