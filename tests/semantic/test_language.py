"""What the language means: one test a rule of docs/language.md."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import netspec
from netspec.ir import Instance
from netspec.ops.convolution import Conv
from netspec.semantic.settings import SettingText

from ..helpers import body, checked, codes, net_of, paths


def output(text: str, settings: dict[str, object] | None = None) -> tuple[int, ...]:
    return tuple(int(d) for d in net_of(text, settings).body.outputs[0].shape)


def filters(expression: str, before: str = "") -> int:
    """The value of an expression of the language."""
    return output(body(f"{before}\nconv {{ filters: {expression}  kernel: 1 }}"))[0]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1_2", 12),
        ("50% * 10", 5),
        ("7 % 4", 3),
        ("7%4", 3),
        ("10%", None),
        ("0.5K", 500),
        ("1KiB", 1024),
        ("2 ** 3 ** 2 // 100", 5),
        ("-2 ** 2 + 9", 5),
        ("1 / 2 ** -3", 8),
        ("2 ** -3 ** 2 * 2 ** 12", 8),
        ("-2 ** --2 + 9", 5),
        ("2 + 3 * 4", 14),
        ("(2 + 3) * 4", 20),
        ("7 // 2", 3),
        ("-7 // 2 + 5", 1),
        ("3 if true else 4", 3),
        ("3 if false else 4 if false else 5", 5),
        ("3 if 1 < 2 < 3 else 4", 3),
        ("3 if 1 < 2 > 3 else 4", 4),
        ("3 if 2 in [1, 2] and not 2 in [3] else 4", 3),
        ("3 if 5 not in [1, 2] or 1 / 0 == 1 else 4", 3),
        ("min(3, 4) + max([3, 4]) + abs(-2)", 9),
        ("round(2.5) + round(3.5)", 6),
        ("floor(2.7) + ceil(2.2)", 5),
        ("sum([1, 2, 3]) + len([4, 5])", 8),
        ("[4, 5, 6][1]", 5),
        ("[[4, 5], [6, 7]][1][0]", 6),
        ("[[4, 5], [6]][1][1]", "out-of-range"),
        ("[[4, 5], [6]][1][0][0]", "wrong-type"),
        ("3x224x225[2]", 225),
        ("data.channels + data.height + data.shape[2]", 67),
        ("0.1 + 0.2 == 0.3", "wrong-type"),
        ("3 if 0.1 + 0.2 == 0.3 else 4", 3),
        ("3 if true == 1 else 4", 4),
    ],
)
def test_expressions(expression: str, value: object) -> None:
    text = body(f"conv {{ filters: {expression}  kernel: 1 }}")
    if isinstance(value, int):
        assert filters(expression) == value
    else:
        assert codes(text) == [value or "not-integral"]


def test_flow_and_names() -> None:
    net = net_of(
        body(
            """
            a: conv { filters: 4 kernel: 1 } -> batchnorm -> relu -> conv { filters: 5 kernel: 1 }
               -> batchnorm -> relu
            conv { filters: 6 kernel: 1 } -> relu
            relu
            b: relu(a)
            concat(b, data)
            """
        )
    )
    assert paths(net) == [
        *("a", "a_batchnorm", "a_relu", "a_conv", "a_batchnorm_2", "a_relu_2"),
        *("conv_1", "relu_1", "relu_2", "b", "concat_1"),
    ]
    # A name stands for the value of its whole line.
    by_path = {layer.path: layer for layer in net.layers}
    assert by_path["b"].inputs == by_path["a_relu_2"].outputs
    assert net.body.outputs[0].shape == (8, 32, 32)


def test_numbers_of_chain_elements_do_not_take_names_that_are_in_use() -> None:
    net = net_of(body("relu_1: relu\nrelu\na_relu: relu\na: conv { filters: 3 kernel: 1 } -> relu"))
    assert paths(net) == ["relu_1", "relu_2", "a_relu", "a", "a_relu_2"]


def test_several_results() -> None:
    net = net_of(
        "module two { input x\n p: relu\n q: softmax(x)\n output p, q }\n"
        + body("m: two\n pool: maxpool { kernel: 2 }\n output m.q, m, pool.indices, m.p")
    )
    shapes = [v.shape for v in net.body.outputs]
    assert shapes == [(3, 32, 32), (3, 32, 32), (3, 16, 16), (3, 32, 32)]
    assert net.body.outputs[1] is net.body.outputs[3]
    assert net.body.output_names == ("q", "m", "indices", "p")


def test_results_take_the_names_before_them() -> None:
    modules = """
      module two { input x
        a: relu
        b: softmax(x)
        output a, b }
      module both { input x
        m: two
        n: two(x)
        output first: m.a, b: n.a, third: add(m.b, x), x }"""
    net = net_of(modules + body("m: both\n output other: m.third, m.b, y: m.first, relu(m.x)"))
    assert net.body.output_names == ("other", "b", "y", "")
    (both,) = (node for node in net.body.nodes if isinstance(node, Instance))
    assert both.block.output_names == ("first", "b", "third", "x")
    third, b, first, _ = net.body.outputs
    assert (first, b, third) == both.outputs[:3]
    _, diagnostics = checked(modules + body("m: both\n output y: m.b, y: m.third"))
    assert [(d.code, d.span and d.span.text) for d in diagnostics] == [("duplicate-name", "y")]
    # The text that helps.
    found = checked(modules + body("m: both\n n: both(data)\n output m.b, n.b"))[1][0]
    assert found.help == ("give it another name: `output other: n.b`",)
    assert checked(modules + body("m: both\n n: both(data)\n output m.b, other: n.b"))[0]


def test_layers_and_constants_have_names_of_their_own() -> None:
    text = """
      module block(squeeze, expand) { input x
        squeeze: conv { filters: squeeze  kernel: 1 }
        for i in 0..1 { expand[i]: conv(squeeze) { filters: expand[i]  kernel: 1 } }
        let x = squeeze.channels + expand[1].channels  # the layers
        expect expand[0]: [expand[0], ?, ?]
        expect params(squeeze) == 4 * squeeze and squeeze < 5
        output concat(squeeze, expand[1]), expand[0], x: conv(x) { filters: x  kernel: 1 } }
      net n(fc = 5, data = 3, conv_1 = 7) { input data: [data, 4, 4]
        block: block { squeeze: data + 1  expand: [6, conv_1] }
        conv { filters: fc  kernel: 1 }
        fc: flatten -> linear { units: fc }
        expect data.shape == [data, 4, 4] and fc.channels == fc
        output fc, block, block.x }"""
    net = net_of(text, {"fc": 2})
    assert [tuple(v.shape) for v in net.body.outputs] == [(2,), (11, 4, 4), (11, 4, 4)]
    assert net.tensors["fc_linear.weight"].shape == (2, 32)
    assert "conv_1.weight" in net.tensors
    # Each alone is what is meant, and is of the wrong kind where the other is needed.
    assert codes("net n(a = 2) { input x: 3x4x4  relu(a) }") == ["wrong-type"]
    assert codes(body("a: relu\n conv { filters: a  kernel: 1 }")) == ["wrong-type"]
    assert codes("net n(a = 2) { input x: 3x4x4  a: relu }") == ["unused-parameter"]
    assert codes("net n(a = 2) { input x: 3x4x4  a: relu  output a }") == ["unused-parameter"]


@pytest.mark.parametrize(
    ("head", "value", "values"),
    [
        ("c in [4, 2]", "c", [4, 2]),
        ("(c, k) in [[4, 1], [2, 3]]", "c * k", [4, 6]),
        ("c, k in [[4, 1], [2, 3]]", "c * k", [4, 6]),
        ("(c,) in [[4], [2]]", "c", [4, 2]),
        ("(a, (b, c)), d in [[[1, [2, 3]], 4]]", "a + 2 * b + 3 * c + 4 * d", [30]),
        ("i, (c, k) in enumerate(table)", "7 * i + c * k", [4, 13]),
        ("i, c in enumerate([5, 6, 7], 2)", "i * c", [10, 18, 28]),
        ("(c, d) in zip([1, 2], [3, 4])", "c + d", [4, 6]),
        ("i, (c, (d, e)) in enumerate(zip([1, 2], table))", "i + c + d * e", [5, 9]),
        ("c in zip([1, 2])", "c[0]", [1, 2]),
        ("i in 1..9 step 4", "i", [1, 5, 9]),
        ("i in 1..8 step 4", "i", [1, 5]),
        ("i in 8..1 step -3", "i", [8, 5, 2]),
        ("i in 8..1 step step", "i", [8, 6, 4, 2]),
        ("i in 3..1", "i", []),
        ("i in 1..3 step -1", "i", []),
        ("i in 2..2 step 7", "i", [2]),
    ],
)
def test_loops_over_items_and_by_steps(head: str, value: str, values: list[int]) -> None:
    text = f"""
      net test(step = -2) {{ input x: 1x2x2
        let table = [[4, 1], [2, 3]]
        conv {{ filters: len(table) - step  kernel: 1 }}
        for {head} {{ conv {{ filters: {value}  kernel: 1 }} }} }}"""
    made = [layer for layer in net_of(text).layers if isinstance(layer.op, Conv)]
    assert [int(layer.op.filters) for layer in made[1:]] == values  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("head", "code", "place"),
    [
        ("(a, b) in [[1, 2], [3], 4]", "wrong-type", "[3]"),
        ("(a, b) in [[1, 2], 4]", "wrong-type", "4"),
        ("i, (a, b) in enumerate([[1, 2], [3, 4, 5]])", "wrong-type", "[3, 4, 5]"),
        ("(i, (a, b)) in zip([7, 8], [[1, 2], [3, 4, 5]])", "wrong-type", "[3, 4, 5]"),
        ("i, (a, (b, c)) in enumerate([[1, [2]]])", "wrong-type", "[2]"),
        ("(a, b) in table", "wrong-type", "[9, [8]]"),
        ("(a, b) in table + table", "wrong-type", "(a, b)"),
        ("(a, b) in 1..3", "wrong-type", "(a, b)"),
        ("(a, a) in [[1, 2]]", "duplicate-name", "a"),
        ("i in 1..3 step 0", "out-of-range", "0"),
        ("i in 1..3 step 1/2", "not-integral", "1/2"),
        ("a in zip([1], [2, 3])", "wrong-type", "zip([1], [2, 3])"),
        ("a in zip(3)", "wrong-type", "zip(3)"),
        ("a in enumerate(3)", "wrong-type", "enumerate(3)"),
        ("a in enumerate([3], 0.5)", "wrong-type", "enumerate([3], 0.5)"),
        ("a in enumerate([3], 1, 2)", "wrong-type", "enumerate([3], 1, 2)"),
        ("i in 1..1_000_000_000 step 2", "too-large", "1..1_000_000_000"),
        (f"({'a,' * 101}) in [[1]]", "too-large", f"({'a,' * 101})"),
    ],
)
def test_errors_of_loops_over_items_and_by_steps(head: str, code: str, place: str) -> None:
    statements = f"let table = [[1, 2, 3], [9, [8]]]\n for {head} {{ relu }} relu"
    if head == "(a, b) in table":
        statements = statements.replace("[1, 2, 3]", "[1, 2]").replace("[9, [8]]", "[9, [8], 7]")
        place = "[9, [8], 7]"
    found = [d for d in checked(body(statements))[1] if d.code != "unused-layer"]
    assert [(d.code, d.span and d.span.text) for d in found] == [(code, place)]


def test_step_is_free_as_a_name() -> None:
    text = """net test(step = 2) { input x: 1x2x2
      for step_ in step..8 step step { step[step_]: relu }
      step: conv(step[8]) { filters: step  kernel: 1 } }"""
    assert paths(net_of(text)) == ["step2", "step4", "step6", "step8", "step"]


def test_named_results_in_an_emitted_class() -> None:
    text = """
      module two { input x
        a: conv { filters: 3  kernel: 1 }
        b: conv(x) { filters: 3  kernel: 1 }
        output RESULTS }
      net n { input x: 3x4x4
        m: two
        OUTPUT }"""
    named = text.replace("RESULTS", "p: b, a: x, q: relu(a)")
    named = named.replace("OUTPUT", "output d: m.q, c: m, m.a")
    plain = text.replace("RESULTS", "b, x, a_relu").replace("b: conv", "a_relu: relu\nb: conv")
    plain = plain.replace("OUTPUT", "output m.a_relu, m, m.x")
    models = [netspec.build(net_of(t), backend="torch") for t in (named, plain)]
    models[1].load_state_dict(models[0].state_dict())
    x = torch.randn(2, 3, 4, 4)
    for one, two in zip(*(model(x) for model in models), strict=True):
        assert torch.equal(one, two)


def test_nested_arguments_and_output_chains() -> None:
    net = net_of(body("output add(relu(data), softmax(data) -> relu), data"))
    assert paths(net) == ["relu_1", "softmax_1", "relu_2", "add_1"]


def test_loops_and_branches() -> None:
    net = net_of(
        "net n(deep = true, count = 3) { input data: 1x8x8\n"
        "for i in 1..count {\n"
        "  let f = 2 * i\n"
        "  c[i]: conv { filters: f kernel: 1 }\n"
        "  if i > 1 and deep { s[i]: add(c[i], conv(c[i - 1]) { filters: f kernel: 1 }) }\n"
        "  else if i == 1 { relu } else { softmax }\n"
        "}\n"
        'for name in ["3a", "3b"] { block[name]: relu }\n'
        "for i in 1..2 { for j in 0..1 { d[i][j]: relu } }\n"
        "for i in 5..4 { nothing: relu } }"
    )
    assert paths(net) == [
        *("c1", "relu_1", "c2", "conv_1", "s2", "c3", "conv_2", "s3", "block3a", "block3b"),
        *("d1_0", "d1_1", "d2_0", "d2_1"),
    ]


def test_lists_of_lists() -> None:
    text = body(
        "let stages = [[4, 1], [8, 2]]\n"
        "for s in 0..1 { for i in 1..stages[s][1] {\n"
        "  c[s][i]: conv { filters: stages[s][0] kernel: 1 } } }\n"
        "expect c1_2.shape[0] == stages[1][0]\n"
        "expect params(c[1][1]) == 40"
    )
    assert [(n.path, n.outputs[0].shape[0]) for n in net_of(text).layers] == [
        ("c0_1", 4),
        ("c1_1", 8),
        ("c1_2", 8),
    ]


def test_lets_are_local_to_their_block() -> None:
    assert codes(body("if true { let a = 1 }\nconv { filters: a kernel: 1 }")) == ["unknown-name"]
    assert codes(body("let a = 1\nfor i in 1..1 { let a = 2 }\nrelu")) == ["duplicate-name"]
    assert filters("a", "let a = 3\nfor i in 1..2 { let b = a + i }") == 3


def test_an_if_behind_an_expression_is_a_statement_or_a_choice() -> None:
    assert filters("a", "let a = 3 if true { relu } else { softmax }") == 3
    assert filters("a", "let a = 3 if false else 4 if true { relu }") == 4
    net = net_of(body("expect data.channels == 3 if true { relu } else if false { softmax }"))
    assert paths(net) == ["relu_1"]


SETTINGS = 'net n(a = 1, b = 50%, c = true, d = "x", e = [1]) { input data: 3x8x8\n'


def test_settings() -> None:
    text = SETTINGS + "conv { filters: a + round(10 * b) + len(e) kernel: 1 bias: c }\n"
    text += 'expect d == "x" or d == "word" }'
    assert output(text) == (7, 8, 8)
    given = {"a": SettingText("2 * 3"), "b": SettingText("10%"), "c": SettingText("false")}
    net = net_of(text, {**given, "d": SettingText("word"), "e": SettingText("[1, 2]")})
    layer = net.layers[0].op
    assert isinstance(layer, Conv)
    assert (layer.filters, layer.bias) == (9, False)
    assert output(text, {"a": 4, "b": 0.2, "e": [3, 4, 5]}) == (9, 8, 8)
    assert codes(text, {"f": 3}) == ["unknown-parameter"]
    assert codes(text, {"a": SettingText("1 }")}) == ["wrong-type"]


def test_settings_keep_numbers_as_they_read() -> None:
    text = "net n(r = 0.5) { input data: 3x8x8\n conv { filters: 30 * r kernel: 1 } }"
    assert output(text, {"r": 0.1}) == (3, 8, 8)


def test_modules_take_what_flows_and_what_is_named() -> None:
    net = net_of(
        "module m(f, g = 2 * f) { input a\n input b: ?x8x8\n concat(a, conv(b) { filters: g kernel: 1 }) }\n"
        "module n(f) { input x\n m(x, x) { f: f }\n relu }\n"
        + body(
            "n { f: 3 }\n two: m(data, data) { f: 1 g: 5 }\n concat(n_1x, two)", "3x8x8"
        ).replace("concat(n_1x, two)", "relu")
    )
    assert paths(net)[0] == "n_1.m_1.conv_1"
    assert net.body.outputs[0].shape == (8, 8, 8)


def test_equal_uses_of_a_module_share_their_block() -> None:
    net = net_of(
        "module m(f) { input x\n conv { filters: f kernel: 1 } }\n"
        + body("a: m { f: 4 }\n b: m { f: 4 }\n c: m { f: 4 }\n d: m { f: 5 }")
    )
    blocks = [node.block for node in net.body.nodes]  # type: ignore[union-attr]
    # The first sees 3 channels, the next two 4.
    assert blocks[1] is blocks[2]
    assert len({id(b) for b in blocks}) == 3


def test_imports_are_relative_to_their_file(tmp_path: Path) -> None:
    (tmp_path / "blocks").mkdir()
    (tmp_path / "blocks" / "a.net").write_text('import "b.net"\nmodule a { input x  b }\n')
    (tmp_path / "blocks" / "b.net").write_bytes(
        b"\xef\xbb\xbfmodule b {\r\n input x\r\n relu }\r\n"
    )
    net = net_of('import "blocks/a.net"\n' + body("a"), base=tmp_path)
    assert paths(net) == ["a_1.b_1.relu_1"]
    # What a file imports is not handed on.
    text = 'import "blocks/a.net"\n' + body("b")
    assert [d.code for d in checked(text, base=tmp_path)[1]] == ["unknown-op"]


def test_metrics() -> None:
    net = net_of(
        "module m { input x\n conv { filters: 2 kernel: 1 }\n relu\n expect params == 8 and macs == 96 }\n"
        + body(
            """
            a: conv { filters: 4 kernel: 3 } -> relu
            b: m(data)
            output a, b
            expect params == 120 and params(a) == 112 and params(b) == 8
            expect macs(a) == 108 * 4 and size == 480 and size(b) == 32
            expect activations(data) == 4 * 48
            # The convolution in b holds its input and output; beside it a waits.
            expect activations(b) == 4 * (48 + 32)
            expect activations == 4 * (48 + 16 + 32)
            expect a: 4x?x2
            expect b: [2, data.height, ?]
            """,
            "3x4x4",
        )
    )
    assert net.params == 120


def test_doc_comments() -> None:
    net = net_of("# other\n\n## One.\n## Two.\nnet n { input data: 1x2x2\n relu }")
    assert net.doc == "One.\nTwo."
    assert net_of("## Lost.\n\nnet n { input data: 1x2x2\n relu }").doc == ""


def test_one_wrong_line_in_a_module_is_one_diagnostic() -> None:
    text = "module m(f) { input x\n conv { filters: f kernel: 9 } }\n"
    text += body("for i in 1..8 { a[i]: m(data) { f: i } }", "3x4x4")
    found = checked(text)[1]
    assert [d.code for d in found] == ["window-too-large"]
    assert [f.instance for f in found[0].backtrace] == ["a1"]


def test_no_error_is_a_mere_consequence_of_another() -> None:
    text = body(
        "a: conv { filters: 0 kernel: 1 }\nb: relu(a)\nc: add(a, b)\nd: relu\nexpect params == 3"
    )
    assert codes(text) == ["out-of-range"]


@pytest.mark.parametrize(
    "text",
    [
        body("relu -> relu(data)"),
        body("relu { a: 1 }"),
        body("output data\noutput data"),
        body("relu(data, data)"),
        body("conv { filters: 3 kernel: ? }"),
        body("expect data: 3"),
        body("let a = 3x?\nrelu"),
        "net n { input data: 3x4x4 { kernel: 3 }\n relu }",
        "module m { input x { mean: 3 }\n relu }\n" + body("m"),
        "net n(a) { input data: 3x4x4\n conv { filters: a kernel: 1 } }",
        "module m(a, a) { input x\n conv { filters: a kernel: 1 } }\n" + body("m { a: 3 }"),
    ],
)
def test_what_the_grammar_accepts_is_done_or_refused(text: str) -> None:
    assert any(d.severity == "error" for d in checked(text)[1])


def test_words_that_start_a_file_are_free_as_names() -> None:
    assert paths(net_of(body("net: relu\nimport: relu\nmodule: relu(net)"))) == [
        *("net", "import", "module"),
    ]


def test_what_a_wrong_block_would_have_made_is_not_missed() -> None:
    assert codes(body("if data.hight > 3 { a: relu b[1]: relu }\nadd(a, b1, b[2])")) == [
        "unknown-name"
    ]
    assert codes(body("for i in 1..n { if true { b[i]: relu } }\nrelu(b2)")) == ["unknown-name"]
    assert codes('import "none.net"\n' + body("block -> other { a: 3 }")) == ["unknown-module"]


def test_contracts_of_sound_values_are_checked_beside_errors() -> None:
    text = body("a: conv { filters: 0 kernel: 1 }\nb: relu(data)\nexpect b: 1x1x1\nexpect a: 3x?x?")
    assert codes(text) == ["out-of-range", "unmet-expect"]


def test_truth_values_are_no_numbers_as_arguments_either() -> None:
    module = "module m(l) { input x if l[0] == 1 { relu } else { softmax } }\n"
    net = net_of(module + body("m { l: [1] } m { l: [true] }"))
    assert paths(net) == ["m_1.relu_1", "m_2.softmax_1"]


def test_fields_of_an_input_may_be_parameters() -> None:
    text = 'net n(order = "bgr", side = 256) { input data: 3x8x8 { channels: order resize: side }\n'
    net = net_of(text + "relu }")
    assert net.preprocessing[0] is not None
    assert (net.preprocessing[0].channels, net.preprocessing[0].resize) == ("bgr", 256)


def test_warnings_of_use_are_not_given_for_a_wrong_net() -> None:
    assert codes(body("a: relu\nconv { filters: 3 kernel: 99 }")) == ["window-too-large"]


def test_a_setting_is_one_expression() -> None:
    text = "net n(a = 1) { input data: 3x8x8\n conv { filters: a kernel: 1 } }"
    for setting in ("1 }\nmodule m {", "1 let b = 2", "", "1 # c\n }", "@", "relu(", "9**9**9"):
        assert "wrong-type" in codes(text, {"a": SettingText(setting)}), setting


LINKS = """
module block(norm = true, kind = "relu") {
  input x
  c: conv { filters: 4  kernel: 1  bias: not norm } -> (batchnorm if norm)
     -> (relu if kind == "relu" else selu if kind == "selu" else elu { alpha: 2 })
  add(c, tanh(x) -> (sigmoid if kind == "elu"))
}
"""


@pytest.mark.parametrize(
    ("arguments", "chain", "more"),
    [
        ("", "conv { filters: 4  kernel: 1  bias: false } -> batchnorm -> relu", ""),
        (
            'norm: false  kind: "selu"',
            "conv { filters: 4  kernel: 1 } -> selu",
            "",
        ),
        (
            'kind: "elu"',
            "conv { filters: 4  kernel: 1  bias: false } -> batchnorm -> elu { alpha: 2 }",
            " -> sigmoid",
        ),
    ],
)
def test_a_link_may_have_a_condition(arguments: str, chain: str, more: str) -> None:
    with_links = net_of(f"{LINKS}\nnet n {{ input x: 4x3x3  b: block {{ {arguments} }} }}")
    plain = net_of(
        f"module block {{\ninput x\nc: {chain}\nadd(c, tanh(x){more})\n}}\n"
        "net n { input x: 4x3x3  b: block }"
    )
    one, other = (
        [(x.path, x.op, [v.name for v in (*x.inputs, *x.outputs)]) for x in net.layers]
        for net in (with_links, plain)
    )
    assert one == other
    assert with_links.tensors == plain.tensors


def test_links_keep_their_names_when_others_are_left_out() -> None:
    text = "net n(a = true) { input x: 4x3x3  c: relu -> (batchnorm if a) -> tanh -> batchnorm }"
    assert paths(net_of(text))[1:] == ["c_batchnorm", "c_tanh", "c_batchnorm_2"]
    assert paths(net_of(text, {"a": False}))[1:] == ["c_tanh", "c_batchnorm_2"]


def test_a_line_whose_last_link_is_left_out_is_the_value_before() -> None:
    text = body("c: relu -> split { parts: 2 } -> (tanh if false)\nconcat(c, c.part2)", "4x8x8")
    assert output(text) == (4, 8, 8)
