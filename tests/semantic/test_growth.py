"""Cost grows in proportion to the spec. Counted in function calls, which no clock disturbs."""

from __future__ import annotations

import pytest

from netspec.codegen.backend import emit, get
from netspec.diagnostics import Diagnostics
from netspec.diagnostics.source import Source
from netspec.syntax import table_store
from netspec.syntax.parser.recovery import RecoveringParser
from netspec.syntax.parser.tokens import tokens_of

from ..helpers import calls, net_of

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
