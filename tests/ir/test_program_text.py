"""The text of a program says what the spec says."""

from __future__ import annotations

import pytest

from netspec.ir.printer import text
from netspec.ir.program_text import program_text

from ..helpers import loaded, net_of, one_of_each_text

SPEC = """
module part(n, kind = "a", widths = [2, 1 + 2]) {
  input x
  expect n > 0  "n is positive"
  let half = x.channels / 2
  for i in 1..n { c[i]: conv { filters: widths[i - 1] * half  kernel: 1  bias: i != 2 } -> relu }
  if kind == "a" { y: tanh } else if not (kind in ["b", "c"]) { y: relu(x) } else { y: identity }
  c: tanh(x) -> (batchnorm if n == 2) -> (relu if n > 3 else selu if kind == "a" else elu { alpha: 2 })
  p: maxpool(concat(y, relu(y) -> (tanh if n > 1), c)) { kernel: 2  round: floor }
  output p, p.indices
}
module twice(of, act = elu { alpha: 2 }) {
  input x
  let again = of { n: 1 }
  of { n: 2 } -> act
  again(x) -> (act if act != none)
}
net tiny(n = 2) {
  input data: 4x8x8
  other: twice { of: part { kind: "c" } }
  a: part { n: n  kind: "b" }
  maxunpool(a, a.indices)
}
"""


def test_it_is_a_spec_of_the_same_net() -> None:
    net = net_of(SPEC)
    printed = program_text(net)
    assert 'template module part(n, kind = "a", widths = [2, 1 + 2]) {\n' in printed
    assert "  for i in 1..n {\n    c[i]: conv {" in printed
    assert '  if kind == "a" {\n    y: tanh\n  } else if ' in printed
    assert printed.index("template module part") < printed.index("template net tiny")
    again = net_of(printed.replace("template ", ""))
    assert text(again) == text(net)
    assert program_text(again) == printed


@pytest.mark.parametrize("spec", [s for s in one_of_each_text() if not s.startswith("resnet")])
def test_bundled_nets(spec: str) -> None:
    net = loaded(spec)
    again = net_of(program_text(net).replace("template ", ""))
    # A template has no means and no recipe, nor what only these ask for.
    first, second = (
        [
            x
            for x in text(n).splitlines()
            if not x.startswith(("  input", "  train", "  detect", "  static"))
        ]
        for n in (net, again)
    )
    assert first == second
