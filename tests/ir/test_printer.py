"""The text of nets: what it says, and that it follows the grammar of docs/ir.md."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lark import Lark

from netspec.ir import Block, Instance, Net
from netspec.ir.names import NameMap
from netspec.ir.printer import blocks_of, text
from netspec.passes.registry import PASSES

from ..backends.nets import BODIES, of_layers
from ..docs.markdown import DOCS, blocks
from ..helpers import loaded, net_of, one_of_each_text

GRAMMAR = next(b.text for b in blocks(DOCS / "ir.md") if b.kind == "lark")
PARSER = Lark(GRAMMAR, parser="lalr")
EVERYTHING = """
module part(kind, n, slope = 0.5, wide = false) {
  input places
  input x
  for i in 1..n { c[i]: conv { filters: 4  kernel: 1  bias: false } -> leaky_relu { slope: slope } }
  if kind == "a (b)" and not wide {
    if slope > 0 { add(c[n], x) }
  } else if wide { relu } else { tanh }
  if x.height > 3 { maxunpool(x, places) }
  output c[n], x
}
module twice(n) { input x  conv { filters: n  kernel: 1 }  next: conv { filters: n  kernel: 1 } }
net all(n = 2, slope = 1 / 4, sizes = [4, 2], name = "a (b)", other = none) {
  input data: 4x6x6
  input input_2: 3x4x4 { channels: bgr  mean: [1, 2.5, 0] }
  train { learning_rate: 0.1  batch_size: 4  epochs: 2  init: normal(0.01) }
  first: conv(data) { filters: sizes[0]  kernel: 1  groups: 2  init: xavier(fan_in) }
  next: maxpool { kernel: 2 }
  p: part(next.indices, next) { kind: name  n: n  slope: slope * 2 }
  q: part(next.indices, p) { kind: "b"  n: 1  wide: true }
  static: twice { n: round(n * 1.5) }
  loop: pad(q) { pads: [1, 0, 0, 1]  value: slope }
  s: split { parts: [1, 3] }
  output s.part2, q.x, input_2, static
}
"""


def every_net() -> Iterator[Net]:
    yield from map(loaded, one_of_each_text())
    yield from (of_layers(*body) for body in BODIES.values())
    for net in (net_of(EVERYTHING), loaded("shufflenet_v2")):
        yield from (net, *(run(net, NameMap({})) for run in PASSES.values()))


def test_the_text_of_everything(update: bool) -> None:
    file = Path(__file__).parent / "everything.ir"
    found = text(net_of(EVERYTHING))
    if update:
        file.write_text(found, encoding="utf-8")
    assert found == file.read_text(encoding="utf-8")


@pytest.mark.slow
def test_texts_follow_the_documented_grammar() -> None:
    for net in every_net():
        tree = PARSER.parse(text(net))
        found = blocks_of(net.body)
        layers = sum(1 for _ in tree.find_data("layer"))
        assert layers == sum(len(block.nodes) for block in found), net.name
        assert sum(1 for _ in tree.find_data("block")) == len(found) - 1


def test_a_text_names_every_value_once() -> None:
    """Also where a pass calls a layer as an input of its block, and where values share a name."""
    net = net_of(
        "net n { input x: 3x4x4  a: conv { filters: 3  kernel: 1 } -> relu\n"
        "relu(x)  add(a, relu(x)) }"
    )
    renamed = PASSES["rename"](net, NameMap({"a": "x"}))
    lines = text(renamed).splitlines()
    assert lines[1:-1] == [
        "  input x: 3x4x4",
        "  x': 3x4x4 = conv(x) { filters: 3, kernel: 1x1 } of a",
        "  a_relu: 3x4x4 = relu(x') of a",
        "  relu_1: 3x4x4 = relu(x)",
        "  relu_2: 3x4x4 = relu(x)",
        "  add_1: 3x4x4 = add(a_relu, relu_2)",
        "  output add_1",
    ]


def test_blocks_stand_before_their_uses_and_once() -> None:
    net = loaded("shufflenet_v2")
    blocks_ = blocks_of(net.body)
    assert len(set(blocks_)) == len(blocks_)
    seen: set[Block] = set()
    for block in blocks_:
        assert {n.block for n in block.nodes if isinstance(n, Instance)} <= seen
        seen.add(block)
    assert blocks_[-1] is net.body


def test_a_module_that_doubles_itself_is_a_short_text() -> None:
    levels = "\n".join(f"module m{i}() {{ input x  m{i - 1}  m{i - 1} }}" for i in range(1, 15))
    net = net_of(f"module m0() {{ input x  relu }}\n{levels}\nnet n {{ input x: 3  m14 }}")
    assert text(net).count("\n") < 120
