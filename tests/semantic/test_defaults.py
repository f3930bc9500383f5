"""Fields that `default op { ... }` gives: equal to the net in which every call says them."""

from __future__ import annotations

import pytest

from netspec.ir.printer import text

from ..helpers import checked, codes, net_of

WITH = """
default conv { bias: false  kernel: 3 }
module block(filters, small = true) {
  input x
  a: conv { filters: filters  pad: 1 }
  default conv { pad: same }
  for i in 1..2 {
    b[i]: conv { filters: filters }
    default conv { stride: i }
    c[i]: add(conv(b[i]) { filters: filters  stride: 1 }, a)
  }
  if small { default conv { kernel: 1 }  d: conv { filters: filters } } else { d: tanh }
  e: conv { filters: filters  kernel: 5 } -> (conv { filters: 2 } if small)
}
default conv { kernel: 2  bias: true }
net n {
  input data: 3x8x8
  m: block { filters: 4 }
  o: conv { filters: 3 }
}
"""
WITHOUT = """
module block(filters, small = true) {
  input x
  a: conv { filters: filters  pad: 1  bias: false  kernel: 3 }
  for i in 1..2 {
    b[i]: conv { filters: filters  bias: false  kernel: 3  pad: same }
    c[i]: add(conv(b[i]) { filters: filters  stride: 1  bias: false  kernel: 3  pad: same }, a)
  }
  if small { d: conv { filters: filters  bias: false  kernel: 1  pad: same } } else { d: tanh }
  e: conv { filters: filters  kernel: 5  bias: false  pad: same } -> (conv { filters: 2  bias: false  kernel: 3  pad: same } if small)
}
net n {
  input data: 3x8x8
  m: block { filters: 4 }
  o: conv { filters: 3  kernel: 2  bias: true }
}
"""


def test_a_default_is_for_what_stands_behind_it_in_its_block() -> None:
    assert text(net_of(WITH)) == text(net_of(WITHOUT))


def test_layers_know_what_a_default_gave() -> None:
    net = net_of(WITH)
    given = {x.path: [s.text for s in x.layer.defaults] for x in net.layers}
    assert given["m.e"] == ["bias: false", "pad: same"]
    assert given["m.d"] == ["bias: false", "kernel: 1", "pad: same"]
    assert sorted(given["o"]) == ["bias: true", "kernel: 2"]


def test_arguments_reach_defaults() -> None:
    spec = """
    net n(bias = false, k = 3) {
      input data: 3x8x8
      default conv { bias: bias  kernel: k  pad: k // 2 }
      conv { filters: 4 }
    }
    """
    assert net_of(spec).params == 108
    assert net_of(spec, {"bias": True, "k": 5}).params == 304


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("default conv { bias: 3 }", "wrong-type"),
        ("default conv { nothing: 3 }", "unknown-field"),
        ("default conv { bias: true  bias: false }", "duplicate-field"),
        ("default nothing { bias: true }", "unknown-op"),
        ("default conv { filters: nothing }", "unknown-name"),
    ],
)
def test_a_wrong_default_is_one_error(statement: str, code: str) -> None:
    line = "conv { kernel: 1 }" if "filters" in statement else "conv { filters: 2  kernel: 1 }"
    _, found = checked(f"net n {{ input x: 3x4x4  {statement}  {line} -> {line} }}")
    assert [d.code for d in found] == [code]
    assert found[0].span is not None
    assert found[0].span.text in statement


def test_the_word_is_free_as_a_name() -> None:
    assert not codes("""
        module default(default) { input x  conv { filters: default  kernel: 1 } }
        net n(default = 3) {
          input x: 3x4x4
          default: default { default: default } -> relu
          a: default(default) { default: 2 }
          output a
        }
    """)
