"""How things look: each rule of docs/formatting.md, and texts of unusual form."""

from __future__ import annotations

import pytest

import netspec
from netspec import SpecError
from netspec.syntax.formatter import WIDTH, format_text

from .test_properties import check


def inside(statements: str) -> str:
    """What statements of a net look like, without the indentation of its body."""
    lines = check(f"net n {{\n{statements}\n}}").split("\n")
    assert (lines[0], lines[-2:]) == ("net n {", ["}", ""])
    return "\n".join(line.removeprefix("  ") for line in lines[1:-2])


def same(statements: str) -> None:
    assert inside(statements) == statements


@pytest.mark.parametrize(
    ("written", "formatted"),
    [
        ("a+b*c-d", "a + b * c - d"),
        ("-a**-2", "-a ** -2"),
        ("- -a", "--a"),
        ("(a)*((b))", "(a) * ((b))"),
        ("(a+b)+c", "(a + b) + c"),
        ("((a)+b)[0].c", "((a) + b)[0].c"),
        ("1 / 255", "1/255"),
        ("- 1 / 255*2", "-1/255 * 2"),
        ("2*1/3", "2 * 1 / 3"),
        ("(1)/3", "(1) / 3"),
        ("10%3", "10 % 3"),
        ("10 %3", "10 % 3"),
        ("10% [0]", "10% [0]"),
        ("10%-3", "10% - 3"),
        ("not  a==b  and c", "not a == b and c"),
        ("a not\nin[1,2 ,]", "a not in [1, 2]"),
        ("1<a <=2", "1 < a <= 2"),
        ("a if b else c if d else e", "a if b else c if d else e"),
        ("max( a ,b )", "max(a, b)"),
        ("[ ]", "[]"),
        ("[[1],[?,2]]", "[[1], [?, 2]]"),
        ("1_248_424+1.25M+512KiB+5e-3", "1_248_424 + 1.25M + 512KiB + 5e-3"),
        ('"a  # b" + "\\"\\n"', '"a  # b" + "\\"\\n"'),
        ("3x224x224 == ?x8", "3x224x224 == ?x8"),
    ],
)
def test_expressions(written: str, formatted: str) -> None:
    assert inside(f"let v={written}") == f"let v = {formatted}"


@pytest.mark.parametrize(
    ("written", "formatted"),
    [
        ("input  x", "input x"),
        ("input x:3x8x8{}", "input x: 3x8x8 { }"),
        ("output a , b->relu,c.d", "output a, b -> relu, c.d"),
        ("relu( )", "relu()"),
        ("a [ 1 ] [i+1] :relu", "a[1][i + 1]: relu"),
        (
            'b["3a"]:conv( x.y , relu(z) ){filters:3;}',
            'b["3a"]: conv(x.y, relu(z)) { filters: 3 }',
        ),
        ("c:conv{kernel:3,x3 : 1}", "c: conv { kernel: 3  x3: 1 }"),
        ('expect a==1"m"', 'expect a == 1  "m"'),
        ('expect "a" "m"', 'expect "a"  "m"'),
        ("prefer a :?x3", "prefer a: ?x3"),
        ("for i in 1 .. n-1{}", "for i in 1..n - 1 { }"),
        ("for i in 50% .. 60%{}", "for i in 50% ..60% { }"),
        ("let a = b if c { relu }", "let a = b\nif c { relu }"),
    ],
)
def test_statements(written: str, formatted: str) -> None:
    assert inside(written) == formatted


def test_columns() -> None:
    same(
        "c1:     conv { filters: 8  kernel: 3 } -> relu\n"
        "# A comment leaves the columns as they are.\n"
        "fire2:  fire { s1x1: 4   e1x1: 8    e3x3: 8 }\n"
        "bypass: add(c1, fire2)\n"
        "fire3:  fire { s1x1: 16  e1x1: 128  e3x3: 128 }\n"
        "\n"
        "x: relu\n"
        "let a   = 1\n"
        "let abc = 2\n"
        "y: relu"
    )


def test_columns_end_where_fields_differ() -> None:
    same(
        "conv1: conv { filters: 96   kernel: 11x11  stride: 4 } -> relu\n"
        "norm1: lrn { size: 5  alpha: 0.0001 }\n"
        "conv2: conv { filters: 256  kernel: 5x5  pad: 2  groups: 2 } -> relu\n"
        "conv3: conv { filters: 384  kernel: 3x3    stride: 1 } -> relu\n"
        "conv4: conv { filters: classes  kernel: 3x3  pad: 1 } -> relu\n"
        "conv5: conv(conv4) { filters: 8  kernel: 3x3 }"
    )


def test_columns_of_lists() -> None:
    same("let t = [[1, 16], [6, 160]]")
    rows = [f"[{10**i}, {10 ** (5 - i)}, 3x3]" for i in range(6)]
    assert inside(f"for t in [{','.join(rows)},]{{relu}}") == (
        "for t in [\n"
        "  [1,      100000, 3x3],\n"
        "  [10,     10000,  3x3],\n"
        "  [100,    1000,   3x3],\n"
        "  [1000,   100,    3x3],\n"
        "  [10000,  10,     3x3],\n"
        "  [100000, 1,      3x3]\n"
        "] {\n  relu\n}"
    )
    same("let t = [\n  # a  b\n  [1,  2],\n  [10, 3],  # c\n  [1,  4]\n]")


def test_columns_of_later_links() -> None:
    same(
        "a: conv { filters: 8  kernel: 1 } -> conv { filters: 16   kernel: 3  pad: 1 } -> relu\n"
        "b: conv { filters: 8  kernel: 1 } -> conv { filters: 128  kernel: 3  pad: 1 }\n"
        "c: conv { filters: 8  kernel: 1 } -> linear { filters: 1  kernel: 3  pad: 1 }"
    )


def test_columns_far_apart() -> None:
    same(
        "a: relu\n"
        "a_name_that_is_rather_long: relu\n"
        "b: conv { filters: 1  kernel: 3 }\n"
        "c: conv { filters: something * (somewhat + longer)  kernel: 3 }"
    )


def test_columns_do_not_make_a_line_too_long() -> None:
    long = "x" * 42
    same(
        f"a: conv {{ filters: 1000000000  pad: {long}  stride: 1 }} -> relu\n"
        f"b: conv {{ filters: 1  pad: {long}  stride: 1 }} -> relu -> softmax"
    )


def test_long_chains() -> None:
    conv = "conv { filters: filters  kernel: 3x3  pad: 1  bias: false }"
    same(f"main: {conv} -> batchnorm -> relu\n      -> {conv} -> batchnorm -> maxpool(x)")
    short = "conv { filters: filters  kernel: 3x3  pad: same  stride: stride  dilation: 2 }"
    same(f"main: {short} -> batchnorm\n      -> linear {{ units: 1000 }}")
    same(f"main: {short}\n      -> batchnorm -> relu -> global_avgpool")
    same(f"{conv} -> batchnorm -> relu\n  -> {conv}")
    bare = inside("a:" + "->".join(["batchnorm"] * 20))
    assert max(map(len, bare.split("\n"))) <= WIDTH - 2
    assert len(bare.split("\n")) == 3


def test_rows_of_fields() -> None:
    rows = "input data: 3x8x8 {\n  scale: 1/255  mean: [0.485, 0.456, 0.406]  std: [0.229, 0.224, 0.225]\n  resize: 256  crop: center\n}"
    same(rows)
    column = (
        "input data: 3x8x8 {\n  scale:  1/255\n  mean:   [0.485, 0.456, 0.406]\n"
        "  std:    [0.229, 0.224, 0.225]\n  resize: 256\n  crop:   center\n}"
    )
    same(column)
    assert inside(rows.replace("\n", " ")) == column
    assert inside("c: conv {\n filters: 1,\n kernel: 1\n}") == "c: conv { filters: 1  kernel: 1 }"


def test_blocks() -> None:
    same("for i in [2, 6] { if i == 2 { pool[i]: maxpool { kernel: 3 } } }")
    same("if a { relu } else if b { softmax } else { }")
    same("if a {\n  relu\n}")
    assert inside("if a { relu softmax }") == "if a {\n  relu\n  softmax\n}"
    assert inside("if a { relu } else {\n softmax }") == "if a {\n  relu\n} else {\n  softmax\n}"
    assert inside("if a { relu # c\n}") == "if a {\n  relu  # c\n}"
    long = "a" * 90
    assert inside(f"if {long} {{ relu }}") == f"if {long} {{ relu }}"
    assert inside(f"if {long} {{ softmax }}") == f"if {long} {{\n  softmax\n}}"


def test_empty_lines() -> None:
    assert check(
        "\n\n#a\n\n\n\nimport b\n#c\n##d\nmodule e {\n\n\nrelu\n\n\n\n# f\n\n}\nmodule g{}\n\n\n"
    ) == ("#a\n\nimport b\n\n#c\n##d\nmodule e {\n  relu\n\n  # f\n}\n\nmodule g { }\n")
    assert check("import a import b\n\n\nimport c") == "import a\nimport b\n\nimport c\n"


@pytest.mark.slow
def test_comments_everywhere() -> None:
    words = (
        "net n ( a = [ 1 , - 2 ] ) { c [ 1 ] : conv ( x . y ) { f : max ( a , b ) ; k : 1 } -> relu "
        "if a { } else if not b { relu } else { for i in 1 .. 2 { } } output a -> b , c "
        'let x = a if b else - ( c + 2 ) expect x : 1x2 "m" }'
    )
    for kind in ("# {}\n", "\n# {}\n\n## again {}\n"):
        parts = words.split(" ")
        text = "".join(f"{part} {kind.format(i, i)}" for i, part in enumerate(parts))
        check(text)
        for i in range(len(parts)):
            check(" ".join(parts[:i]) + " " + kind.format(i, i) + " ".join(parts[i:]))


def test_comments_in_place() -> None:
    same(
        "a: conv {  # begins\n"
        "  filters: 96  # number\n"
        "  # size\n"
        "  kernel:  7x7\n"
        "} -> relu  # behind\n"
        "   # between\n"
        "   -> softmax  # last"
    )
    assert inside("let a = [1, # one\n2 # two\n, # three\n]") == (
        "let a = [\n  1,  # one\n  2   # two\n  # three\n]"
    )
    assert inside("a # one\n:relu{ # two\n }") == "a:  # one\n    relu {  # two\n    }"


def test_comments_behind_lines() -> None:
    same("relu             # a\nsoftmax -> relu  # b")
    far = "# " + "c" * 80
    same(f"relu  {far}\nconv {{ filters: 1  kernel: 3 }}  # d")


def test_long_headers() -> None:
    names = [f"parameter_number_{i}" for i in range(7)]
    params = ", ".join(f"{n} = 1" for n in names)
    assert check(f"net n({params},) {{ }}") == (
        "net n(\n" + ",\n".join(f"  {n} = 1" for n in names) + "\n) { }\n"
    )
    listed = ", ".join(names)
    assert inside(f"concat({listed})") == (
        f"concat(\n  {', '.join(names[:5])},\n  {', '.join(names[5:])}\n)"
    )


def test_documentation_stays_with_its_definition() -> None:
    text = "## a\n\n## b\nnet n { }\n"
    assert check(text) == text
    assert check("module m { ## c\n} ## d\nnet n { }") == "module m {  ## c\n}  ## d\n\nnet n { }\n"
    # What stands above two definitions on one line is about the first.
    assert check("## a\nmodule m { } net n { }") == "## a\nmodule m { }\n\nnet n { }\n"


@pytest.mark.parametrize(
    ("text", "formatted"),
    [
        ("", ""),
        ("\n \n\t\n", ""),
        ("# only", "# only\n"),
        ("\ufeffimport a", "import a\n"),
        ("\ufeff# größer → \u2028 x\n\n\n\n#\n", "# größer → \u2028 x\n\n#\n"),
        ("import a\r\nimport b", "import a\r\nimport b\r\n"),
        ("import a\rimport b\r", "import a\nimport b\n"),
        ("import a\nimport b\r\n", "import a\nimport b\n"),
        ("import\ta \x0c# x\ty\n", "import a  # x\ty\n"),
    ],
)
def test_unusual_texts(text: str, formatted: str) -> None:
    check(text)
    assert format_text(text) == formatted
    assert format_text(formatted) == formatted


@pytest.mark.slow
def test_deep_and_long() -> None:
    for opener, closer in (("(", ")"), ("[", "]"), ("-(", ")"), ("max(1, ", ")")):
        check("net n { let a = " + opener * 57 + "1" + closer * 57 + " }")
    check("net n {" + "if a {" * 58 + "relu" + "}" * 59)
    check("net n { let a = " + "not (" * 50 + "-" * 50 + "1 ** 2 + 3" + ")" * 50 + " }")
    check("net n { relu" + " -> relu" * 3000 + "}")
    check("net n { let a = [" + "1, " * 3000 + "] }")
    check("net n { " + "if a { } else " * 500 + "if b { relu } }")
    check("net n { a: relu # " + "c" * 5000 + "\n}")


def test_errors_are_diagnostics() -> None:
    with pytest.raises(SpecError) as error:
        netspec.format_text("net n { relu( }")
    assert [d.code for d in error.value.diagnostics] == ["syntax"]
    assert netspec.format_text("net n{relu}") == "net n { relu }\n"


def test_links_defaults_and_ops_as_values() -> None:
    assert inside("a:relu->( batchnorm  if n==2 )->(tanh if b  else elu{alpha:2})") == (
        "a: relu -> (batchnorm if n == 2) -> (tanh if b else elu { alpha: 2 })"
    )
    same("default conv { bias: false  init: kaiming(fan_out) }")
    same("a: block { act: leaky_relu { slope: 0.1 }  norm: none }")
    same("let act = elu { alpha: 2 }")
    assert format_text("default  conv{bias:false}\nmodule m(a=elu{alpha:2},b) {}") == (
        "default conv { bias: false }\n\nmodule m(a = elu { alpha: 2 }, b) { }\n"
    )
    long = inside(
        "c: conv { filters: filters  kernel: 3  pad: 1  bias: not norm } -> (batchnorm if norm)"
        ' -> (relu if kind == "relu" else hardswish if kind == "hs" else leaky_relu { slope: 0.2 })'
    )
    assert long.splitlines()[1:] == [
        "   -> (batchnorm if norm)",
        '   -> (relu if kind == "relu" else hardswish if kind == "hs" else leaky_relu { slope: 0.2 })',
    ]
