"""Cost grows in proportion to the spec. Counted in function calls, which no clock disturbs."""

from __future__ import annotations

import pytest

from netspec.codegen.backend import emit, get
from netspec.diagnostics import Diagnostics
from netspec.diagnostics.source import Source
from netspec.syntax import table_store
from netspec.syntax.parser.recovery import RecoveringParser
from netspec.syntax.parser.tokens import tokens_of

from ..helpers import calls, checked, net_of

pytestmark = pytest.mark.slow

BLOCK = (
    "module block(f) { input x\n a: conv { filters: f kernel: 3 pad: 1 } -> relu\n add(a, x) }\n"
)


def spec(layers: int) -> str:
    lines = [
        f"b{i}: block {{ f: 8 }}"
        if i % 2
        else f"c{i}: conv {{ filters: 8 kernel: 1 }} -> batchnorm -> relu"
        for i in range(layers // 3)
    ]
    return BLOCK + "net big { input data: 8x16x16\n" + "\n".join(lines) + "\n}"


def test_checking_grows_in_proportion() -> None:
    net_of(spec(30))  # the grammar is loaded once
    small, large = (calls(lambda n=n: net_of(spec(n))) for n in (1_000, 10_000))  # type: ignore[misc]
    assert large <= 12 * small


def test_lines_used_again_grow_in_proportion() -> None:
    def text(uses: int) -> str:
        loop = f"for i in 1..{uses} {{ r[i]: r[0](r[i - 1]) }}"
        first = "r[0]: conv { filters: 4  kernel: 3  pad: 1 } -> relu"
        return f"net n {{ input x: 4x8x8\n{first}\n{loop} }}"

    net_of(text(3))
    small, large = (calls(lambda n=n: net_of(text(n))) for n in (100, 1_000))  # type: ignore[misc]
    assert large <= 12 * small


@pytest.mark.parametrize(
    "line",
    [
        "l[0]: e(x) -> e",  # instances without layers
        "l[0]: conv { filters: 3  kernel: 1 } -> relu",
    ],
)
def test_lines_that_double_end(line: str) -> None:
    text = f"""
    module e {{ input x  output x }}
    net n {{
      input x: 3x8x8
      {line}
      for i in 1..60 {{ l[i]: l[i - 1](l[i - 1](x)) }}
    }}
    """
    net, found = checked(text)
    assert net is None
    assert [d.code for d in found] == ["too-large"]


def test_a_line_that_takes_a_value_twice() -> None:
    """Each value is looked at once, however often it is taken."""
    nested = "m(" * 40 + "x" + ")" * 40
    net = net_of(f"net n {{ input x: 3x8x8\n m: add(x, x)\n l: {nested}\n l(l) }}")
    assert len(net.layers) == 1 + 40 + 40


def test_emitting_grows_in_proportion() -> None:
    for name in ("torch", "numpy"):
        backend = get(name)
        small_net, large_net = net_of(spec(300)), net_of(spec(3_000))
        emit(net_of(spec(30)), backend)  # what is read once
        small = calls(lambda b=backend, n=small_net: emit(n, b))  # type: ignore[misc]
        large = calls(lambda b=backend, n=large_net: emit(n, b))  # type: ignore[misc]
        assert large <= 12 * small


def test_a_body_is_not_copied_at_each_statement() -> None:
    # A copied list is no function call.
    grammar = table_store.grammar("netspec")
    source = Source("t", "net n { input x: 3x8x8 " + "relu " * 20 + "}")
    tokens = tokens_of(grammar, source, [], Diagnostics())
    run = RecoveringParser(grammar, source, tokens, [], Diagnostics())
    bodies = []
    for token in tokens[:-1]:
        run.stack.feed(token)
        bodies += [v for v in run.stack.values if isinstance(v, list) and len(v) > 1]
    assert len(bodies[-1]) > 15
    assert len({id(b) for b in bodies}) == 1
