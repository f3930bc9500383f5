"""Nets with everything that a picture has to cope with."""

from __future__ import annotations

from netspec.diagnostics.source import Source
from netspec.diagram.draw import draw
from netspec.diagram.scene import DiagramOptions
from netspec.ir import Net

from ..helpers import net_of, one_of_each_text

BRANCHES = """
module part(f) {
  input x
  a: conv { filters: f  kernel: 3x3  pad: 1 } -> batchnorm -> relu
  b: conv(x) { filters: f  kernel: 1x1 }
  output concat(a, b)
}
module twice(f) {
  input x
  input skip
  one: part(x) { f: f }
  two: part(one) { f: f }
  both: add(two, one)
  output both, skip
}
module nothing() { input x
  output x }
net branches {
  input left: 4x16x16
  input right: 4x16x16
  hand: nothing(right)
  sum: add(left, hand)
  deep: twice(sum, right) { f: 2 }
  pool: maxpool(deep) { kernel: 2x2 }
  back: maxunpool(pool, pool.indices) { size: [16, 16] }
  same: add(back, back)
  late: add(same, deep.skip)
  output late, pool
}
"""
EVIL = r"""
# </script><script>window.evil = 1</script> <img src=x onerror="window.evil=2">
module word(text = "</script><script>window.evil=3</script>\" \\N &amp; ]]>") {
  input x
  if text == "a" { relu }
  conv { filters: 2  kernel: 1x1 }
}
net evil {
  input data: 3x8x8
  w: word { text: "<b onmouseover=alert(1)>\"];n0->n0[label=\"\\L </script>" }
  v: word
}
"""


def branches() -> Net:
    return net_of(BRANCHES)


def drawn(net: Net, form: str = "svg", text: str = "", **style: object) -> str:
    """A picture as text."""
    return draw(net, Source("test.net", text), form, DiagramOptions(**style)).decode()  # type: ignore[arg-type]


NAMES = sorted(one_of_each_text())
