"""Numbers know which value's height or width they came from, also through modules."""

from __future__ import annotations

from netspec.ir import Instance
from netspec.ir.printer import expression_text
from netspec.ir.printer import text as text_of
from netspec.ir.sizes import followed_sizes
from netspec.symbolic.expr import SizeOf

from ..backends.nets import net_of

TEXT = """
module decoder(rows, filters) {
  input x  input skip
  up: conv_transpose(x) { filters: filters  kernel: 2  stride: 2 }
  part: crop { size: [rows - 1, skip.width] }
}
net t(wide = false) {
  input data: 3x32x24
  a: conv { filters: 4  kernel: 3  pad: 1 } -> relu
  b: maxpool { kernel: 2 } -> conv { filters: 6  kernel: 1 }
  d: decoder(b, a) { rows: data.height + 1  filters: 4 }
  e: crop { size: 8x8  offset: 2 }
  if EXTRA { relu }
}
"""


def test_sizes_are_those_of_values_of_the_flat_net() -> None:
    net = net_of(TEXT.replace("EXTRA", "wide"))
    (found,) = followed_sizes(net).values()
    texts = {expression_text(s): expression_text(e) for s, e in found.items()}
    assert texts == {"rows": "data.height + 1", "skip.width": "a.width"}
    assert list(followed_sizes(net)) == ["d.part"]
    flat = {layer.path: layer for layer in net.layers}
    (skip,) = [s.value for s in found.values() if isinstance(s, SizeOf)]
    assert skip is flat["a_relu"].outputs[0]


LISTS = """
module cut(size) { input x  crop { size: [size[1] - 1, size[2]] } }
module both(part, more) { input x  c: cut { size: part }  d: cut(x) { size: more }  output c, d }
net t {
  input data: 3x32x24
  a: maxpool { kernel: 2 }
  b: both(data) { part: a.shape  more: [3, 16, 12] }
}
"""


def test_items_of_lists_know_the_sizes_that_they_follow() -> None:
    net = net_of(LISTS)
    ((path, found),) = followed_sizes(net).items()
    assert path == "b.c.crop_1"
    texts = {expression_text(s): expression_text(e) for s, e in found.items()}
    assert texts == {"size[1]": "a.height", "size[2]": "a.width"}
    (both,) = [node for node in net.body.nodes if isinstance(node, Instance)]
    # Equal numbers, but those of one follow a size: so they are different blocks.
    c, d = (node for node in both.block.nodes if isinstance(node, Instance))
    assert c.arguments[0].value == d.arguments[0].value == (3, 16, 12)
    assert c.block is not d.block
    lines = text_of(net)
    assert "both#1(data) { part: [3, 16<a.height>, 12<a.width>], more: [3, 16, 12] }" in lines
    assert "= cut#1(x) { size: [3, 16<part[1]>, 12<part[2]>] }" in lines
    assert "= crop(x) { size: 15<size[1] - 1>x12<size[2]> }" in lines


def test_an_item_that_decides_the_structure_makes_its_size_static() -> None:
    text = "module m(size) { input x  crop { size: [size[1], 9] }  if size[2] > 9 { relu } }"
    net = net_of(f"{text} net t {{ input data: 3x32x24  m {{ size: data.shape }} }}")
    assert [s.axis for s in net.body.static if isinstance(s, SizeOf)] == [2]


def test_sizes_that_decide_the_structure_are_static() -> None:
    assert not any(isinstance(s, SizeOf) for s in net_of(TEXT.replace("EXTRA", "wide")).body.static)
    net = net_of(TEXT.replace("EXTRA", "data.height > 16"))
    assert SizeOf(net.body.inputs[0], 1) in net.body.static
