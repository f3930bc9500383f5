"""The tree: a span on every name, field name and value; comments kept; errors survived."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.diagnostics import Diagnostics
from netspec.diagnostics.source import Source, Span
from netspec.driver import bundled
from netspec.syntax.ast import (
    ContractStatement,
    Definition,
    Field,
    LayerStatement,
    Name,
)
from netspec.syntax.parser import parse

TEXT = """import fire  # comment
## Doc.
net n(a = 1, b = [2, 3x4]) {
  input data: 3x8x8 { mean: [1, 2] }
  c[a + 1]: conv(data, fire(x[1].y)) { filters: -a ** 2, kernel: 3x3; } -> relu
  expect c2: 3x?x? "message"
  if a < 2 <= 3 and not true { let z = max(1, 2) if a in [1] else a.b } else { output q, last: w -> e }
}
"""


def nodes(tree: Any) -> list[Any]:
    """All nodes of a tree that have a span."""
    found = []
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, Span | Source):
            continue
        if isinstance(node, tuple):
            stack += node
        elif is_dataclass(node):
            if hasattr(node, "span"):
                found.append(node)
            stack += [getattr(node, f.name) for f in fields(node)]
    return found


def test_spans_are_the_text_of_their_nodes() -> None:
    diagnostics = Diagnostics()
    file = parse(Source("t", TEXT), diagnostics)
    assert file is not None, [d.message for d in diagnostics]
    names = [n for n in nodes(file) if isinstance(n, Name)]
    assert {n.text for n in names} >= {
        "n",
        "data",
        "mean",
        "c",
        "conv",
        "filters",
        "relu",
        "max",
        "last",
    }
    for name in names:
        assert name.span.text == name.text
    for f in (n for n in nodes(file) if isinstance(n, Field)):
        assert f.span.text.startswith(f.name.text)
        assert f.span.text.endswith(f.value.span.text)
    spans = {n.span.text for n in nodes(file)}
    assert {"-a ** 2", "3x3", "a + 1", "x[1].y", "fire(x[1].y)", "3x?x?", '"message"'} <= spans
    assert {"max(1, 2) if a in [1] else a.b", "a < 2 <= 3", "w -> e"} <= spans
    assert [c.text for c in file.comments] == ["# comment", "## Doc."]
    assert [c.alone for c in file.comments] == [False, True]


def test_every_bundled_spec_has_spans_inside_its_text() -> None:
    for path in bundled().values():
        file = parse(Source(str(path), path.read_text()), Diagnostics())
        assert file is not None
        for node in nodes(file):
            assert 0 <= node.span.start < node.span.end <= len(file.source.text)


def test_parsing_goes_on_after_an_error() -> None:
    text = "net n {\n input data: 3x8x8\n a: conv { filters 3 }\n b: relu(,)\n c: ]\n relu\n}\nmodule {\n}"
    diagnostics = Diagnostics()
    assert parse(Source("t", text), diagnostics) is None
    assert [d.span.line for d in diagnostics if d.span] == [3, 4, 5, 8]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["", "x", "{", "}", ":", "\n", "->", "3x3"]))
def test_one_change_gives_a_tree_or_errors_near_it(place: int, inserted: str) -> None:
    place %= len(TEXT)
    text = TEXT[:place] + inserted + TEXT[place + 1 :]
    diagnostics = Diagnostics()
    file = parse(Source("t", text), diagnostics)
    assert (file is None) == diagnostics.failed


def test_white_space_does_not_matter() -> None:
    def shape(text: str) -> list[str]:
        file = parse(Source("t", text), Diagnostics())
        assert file is not None
        (net,) = (i for i in file.items if isinstance(i, Definition))
        return [s.chain.calls[0].op.text for s in net.body if isinstance(s, LayerStatement)]

    text = "net n { input a: 3x4x4 b: conv { filters: 3 kernel: 1 } relu c: relu(b) }"
    assert shape(text) == shape(text.replace(" ", "\n\t ")) == ["conv", "relu", "relu"]


def test_a_condition_is_no_message() -> None:
    file = parse(Source("t", 'net n { expect "a"\nprefer "b" "c" }'), Diagnostics())
    assert file is not None
    contracts = [n for n in nodes(file) if isinstance(n, ContractStatement)]
    assert sorted(p.message.value if p.message else "" for p in contracts) == ["", "c"]


def test_documentation_is_about_what_stands_below_it() -> None:
    text = "## a\nmodule a { } module b { }\nmodule c { relu\n## d\n} net d { }"
    file = parse(Source("t", text), Diagnostics())
    assert file is not None
    assert [i.doc for i in file.items if isinstance(i, Definition)] == ["a", "", "", ""]
