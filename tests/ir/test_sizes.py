"""Numbers know which value's height or width they came from, also through modules."""

from __future__ import annotations

from netspec.ir.printer import expression_text
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


def test_sizes_that_decide_the_structure_are_static() -> None:
    assert not any(isinstance(s, SizeOf) for s in net_of(TEXT.replace("EXTRA", "wide")).body.static)
    net = net_of(TEXT.replace("EXTRA", "data.height > 16"))
    assert SizeOf(net.body.inputs[0], 1) in net.body.static
