"""Ops and modules as arguments: equal to the net that is written out with them."""

from __future__ import annotations

import pytest

from netspec.semantic.settings import SettingText

from ..helpers import checked, codes, net_of

BLOCK = """
module block(filters, act = relu, norm = batchnorm { eps: 1e-3 }) {
  input x
  c: conv { filters: filters  kernel: 1  bias: norm == none } -> norm -> act
  a: act(c)
  if norm == batchnorm { b: norm(a) { momentum: 0.2 } -> act }
}
"""


def layers(spec: str, settings: dict[str, object] | None = None) -> list[object]:
    """Paths and ops of the layers of a net, in order."""
    return [(x.path, x.op) for x in net_of(spec, settings).layers]


def use(fields: str) -> str:
    return f"{BLOCK}\nnet n {{ input x: 3x4x4  o: block {{ {fields} }} }}"


def call(op: str, fields: str, source: str) -> str:
    return f"{op}({source}) {{ {fields} }}" if fields else f"{op}({source})"


@pytest.mark.parametrize(
    ("fields", "act", "norm", "momentum"),
    [
        ("", ("relu", ""), ("batchnorm", "eps: 1e-3"), "momentum: 0.2"),
        ("act: selu", ("selu", ""), ("batchnorm", "eps: 1e-3"), "momentum: 0.2"),
        ("act: none", None, ("batchnorm", "eps: 1e-3"), "momentum: 0.2"),
        ("norm: none", ("relu", ""), None, ""),
        (
            "norm: batchnorm  act: elu { alpha: 2 }",
            ("elu", "alpha: 2"),
            ("batchnorm", ""),
            "momentum: 0.2",
        ),
        ("norm: instancenorm { affine: true }", ("relu", ""), ("instancenorm", "affine: true"), ""),
        (
            "act: (selu if 1 > 2 else tanh)",
            ("tanh", ""),
            ("batchnorm", "eps: 1e-3"),
            "momentum: 0.2",
        ),
    ],
)
def test_what_a_parameter_holds_is_called(
    fields: str,
    act: tuple[str, str] | None,
    norm: tuple[str, str] | None,
    momentum: str,
) -> None:
    bias = "false" if norm else "true"
    lines, last = [f"c: conv {{ filters: 4  kernel: 1  bias: {bias} }}"], "c"

    def add(name: str, op: tuple[str, str] | None, more: str = "") -> None:
        nonlocal last
        if op is not None:
            lines.append(f"{name}: {call(op[0], f'{op[1]} {more}'.strip(), last)}")
            last = name

    add("c_norm", norm)
    add("c_act", act)
    add("a", act)
    if norm and norm[0] == "batchnorm":
        add("b", norm, momentum)
        add("b_act", act)
    text = "\n".join([*lines, f"output {last}"])
    plain = f"module block {{ input x\n{text} }}\nnet n {{ input x: 3x4x4  o: block }}"
    one, other = layers(use(f"filters: 4  {fields}")), layers(plain)
    assert one == other
    assert net_of(use(f"filters: 4  {fields}")).tensors == net_of(plain).tensors


def test_modules_are_arguments_too() -> None:
    spec = """
    module one(filters) { input x  conv { filters: filters  kernel: 1 } }
    module two(filters, act = relu) { input x  conv { filters: filters  kernel: 3  pad: 1 } -> act }
    module stage(block, depth) {
      input x
      for i in 1..depth { b[i]: block { filters: 8 } }
    }
    net n(block = two { act: tanh }) {
      input x: 3x4x4
      a: stage { block: one  depth: 2 }
      b: stage { block: block  depth: 1 }
      for m in [one, two] { m { filters: 2 } }
    }
    """
    net = net_of(spec)
    assert [x.path for x in net.layers] == [
        *("a.b1.conv_1", "a.b2.conv_1", "b.b1.conv_1", "b.b1.act_1"),
        *("m_1.conv_1", "m_2.conv_1", "m_2.act_1"),
    ]
    assert net.params == (3 * 8 + 8) + (64 + 8) + (9 * 64 + 8) + (16 + 2) + (9 * 4 + 2)
    assert [x.op.keyword for x in net.layers if x.path == "b.b1.act_1"] == ["tanh"]
    other = net_of(spec, {"block": "one"})
    assert [x.path for x in other.layers if x.path.startswith("b.")] == ["b.b1.conv_1"]


@pytest.mark.parametrize(
    ("setting", "keyword", "slope"),
    [
        ("selu", "selu", None),
        (SettingText("leaky_relu { slope: 0.3 }"), "leaky_relu", 0.3),
        ("leaky_relu", "leaky_relu", 0.01),
    ],
)
def test_a_net_is_set_to_ops(setting: str, keyword: str, slope: float | None) -> None:
    net = net_of("net n(act = relu) { input x: 3x4x4  act }", {"act": setting})
    (layer,) = net.layers
    assert (layer.path, layer.op.keyword) == ("act_1", keyword)
    assert getattr(layer.op, "slope", None) == slope


def test_none_may_become_an_op() -> None:
    spec = "net n(act = none) { input x: 3x4x4  conv { filters: 2  kernel: 1 } -> act }"
    assert [x.op.keyword for x in net_of(spec).layers] == ["conv"]
    net = net_of(spec, {"act": "hardswish"})
    assert [x.op.keyword for x in net.layers] == ["conv", "hardswish"]


def test_a_line_that_is_left_out_is_its_input() -> None:
    net = net_of(
        "net n(act = none) { input x: 3x4x4  a: tanh  b: act(a)  c: act -> relu  output b, c, a }"
    )
    assert [x.path for x in net.layers] == ["a", "c_relu"]
    assert [v.name for v in net.body.outputs] == ["a", "c", "a"]


def test_texts_stay_texts() -> None:
    """A parameter whose default is a string holds strings, also those that name ops."""
    spec = 'net n(kind = "relu") { input x: 3x4x4  relu -> (tanh if kind == "tanh") }'
    assert len(net_of(spec, {"kind": "tanh"}).layers) == 2


def test_a_misspelt_op_has_help() -> None:
    spec = "net n(act = {}) {{ input x: 3x4x4  act }}"
    for text, settings in ((spec.format("rleu"), {}), (spec.format("relu"), {"act": "rleu"})):
        (found,) = checked(text, settings)[1]
        assert found.help == ("did you mean `relu`?",)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("net n(act = 3) { input x: 3x4x4  act }", "unknown-op"),
        ('net n(act = "relu") { input x: 3x4x4  act }', "unknown-op"),
        ("net n(act = rleu) { input x: 3x4x4  act }", "unknown-name"),
        ("net n(act = leaky_relu { slop: 1 }) { input x: 3x4x4  act }", "unknown-field"),
        ("net n(act = leaky_relu { slope: relu }) { input x: 3x4x4  act }", "wrong-type"),
        ("net n(act = relu) { input x: 3x4x4  act { slope: 1 } }", "unknown-field"),
        ("net n(act = conv { filters: 3 }) { input x: 3x4x4  act }", "missing-field"),
        ("net n(act = relu) { input x: 3x4x4  conv { filters: act  kernel: 1 } }", "wrong-type"),
        ("net n(act = relu) { input x: 3x4x4  if act { tanh } }", "wrong-type"),
        (
            "net n(act = relu) { input x: 3x4x4  let b = act + 1  conv { filters: b  kernel: 1 } }",
            "wrong-type",
        ),
        ("net n(act = relu) { input x: 3x4x4  tanh(act) }", "wrong-type"),
        ("net n(act = add) { input x: 3x4x4  act }", "wrong-arity"),
        ("net n(act = none) { input x: 3x4x4  act(x, x) }", "wrong-arity"),
        ("net n(act = nothing { a: 1 }) { input x: 3x4x4  act }", "unknown-op"),
        (
            "module a(f) { input x  f { f: f } }\nnet n { input x: 3x4x4  a { f: a } }",
            "recursion",
        ),
    ],
)
def test_what_is_wrong_about_them(text: str, code: str) -> None:
    assert codes(text) == [code]
