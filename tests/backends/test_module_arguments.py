"""An emitted class stands for its module: for any arguments, not only for those of the net's uses."""

from __future__ import annotations

import inspect
import os
import re
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from netspec_torch.backend import TorchBackend
from torch import nn
from torch.testing import assert_close

from netspec.codegen.backend import emit, get, load_model
from netspec.codegen.identifiers import class_name
from netspec.driver import bundled_modules
from netspec.weights import fresh

from ..helpers import checked
from .modules import Module, Use, host, uses
from .nets import net_of
from .random_nets import RandomNet

pytestmark = [
    pytest.mark.slow,
    # PyTorch copies its input for an even kernel, whoever writes the pad; the result is right.
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths"),
]


def emitted_class(module: Module, hosted: list[Use]) -> Any:
    """The class of a module as a net with these uses has it."""
    source = emit(net_of(host(module, hosted)), get("torch"))
    namespace: dict[str, Any] = {"__name__": "emitted"}
    exec(source, namespace)
    return namespace[class_name(module.name, module.definition.doc)]


def constructed(of: Any, module: Module, use: Use) -> Any:
    """The class constructed for a use, with those of its arguments and sizes that it asks for.

    What it does not ask for must not matter, or the result is another than that of the module.
    """
    axes = ("channels", "height", "width")
    given: dict[str, Any] = {}
    for name, shape in zip(("in", *module.inputs), (use.shapes[0], *use.shapes), strict=True):
        given |= {f"{name}_{axis}": size for axis, size in zip(axes, shape, strict=True)}
    given |= use.arguments
    asked = inspect.signature(of).parameters
    return of(**{name: value for name, value in given.items() if name in asked})


def check_class(module: Module, hosted: list[Use], use: Use) -> None:
    """The class, as it is emitted for `hosted`, equals a net of the one instance `use`."""
    check_instance(emitted_class(module, hosted), module, use)


def check_instance(of: Any, module: Module, use: Use) -> None:
    """Keys, shapes and outputs of a class are those of a net of one instance of the module."""
    net = net_of(host(module, [use], "alone"))
    reference = load_model(net, get("torch"))
    get("torch").set_weights(reference, fresh(net.tensors, 1, varied=True))
    wanted = {k.removeprefix("use0."): v for k, v in reference.state_dict().items()}
    model = constructed(of, module, use)
    found = model.state_dict()
    assert [(k, v.shape) for k, v in found.items()] == [(k, v.shape) for k, v in wanted.items()]
    model.load_state_dict(wanted)
    generator = torch.Generator().manual_seed(2)
    inputs = [torch.randn(2, *shape, generator=generator) for shape in use.shapes]
    with torch.no_grad():
        results = [m.eval()(*inputs) for m in (reference, model)]
    expected, result = (r[0] if isinstance(r, tuple) else r for r in results)
    assert torch.equal(expected, result)


# Indices come from a pooling, inputs of different sizes and larger maps are not drawn, and all layers
# of a net would take minutes. Shares that add up may come to more than 1.
LEFT_OUT = {"enet_up", "unet_up", "inception_v3_aux", "efficientnet_features", "efficientnet_stage"}
BUNDLED = {
    name: Module(name, text)
    for path in bundled_modules().values()
    for text in [path.read_text(encoding="utf-8")]
    for name in re.findall(r"^module (\w+)", text, re.MULTILINE)
    if name not in LEFT_OUT
}
# The first failing example is enough, and the same ones are tried at every run.
TRIED = settings(
    max_examples=12,
    report_multiple_bugs=False,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
# Arguments for which the class is made, and others, which decide otherwise.
DECIDING: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "basic_block": (
        {"filters": 4, "stride": 1},
        {"filters": 4, "stride": 2},
    ),
    "bottleneck": (
        {"filters": 2, "stride": 1},
        {"filters": 1, "stride": 1},
    ),
    "dense_block": (
        {"layers": 3, "growth": 2},
        {"layers": 2, "growth": 2},
    ),
    "enet_bottleneck": (
        {"dilation": 1, "asymmetric": 0, "dropout": 0.25},
        {"dilation": 1, "asymmetric": 3, "dropout": 0.25},
    ),
    "enet_down": (
        {"filters": 8, "dropout": 0.25},
        {"filters": 12, "dropout": 0.25},
    ),
    "inverted_residual": (
        {"filters": 4, "expansion": 1, "stride": 1},
        {"filters": 4, "expansion": 2, "stride": 1},
    ),
    "shuffle_unit": (
        {"filters": 4, "stride": 1},
        {"filters": 4, "stride": 2},
    ),
    "squeezenext_block": (
        {"filters": 4, "stride": 1, "tall_first": True},
        {"filters": 4, "stride": 1, "tall_first": False},
    ),
}


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_modules(name: str) -> None:
    module = BUNDLED[name]

    @TRIED
    @given(st.lists(uses(module), min_size=1, max_size=2), uses(module))
    def check(hosted: list[Use], use: Use) -> None:
        check_class(module, hosted, use)

    if name in DECIDING:
        made, other = (Use(arguments, ((4, 4, 8),)) for arguments in DECIDING[name])
        check = example([made], other)(check)
    check()


# The body of a module with these parameters, uses of it in a net, and one use more.
KINDS: dict[str, tuple[str, str, list[Use], Use]] = {
    "a branch of which every use has another": (
        "filters, act",
        """
        if filters != x.channels {
          grow: conv { filters: filters  kernel: 1 }
          if act == "hs" { hardswish } else { relu }
        }
        main: conv { filters: filters  kernel: 3  pad: 1 }
        if act == "hs" { hardswish } else { relu }
        """,
        [
            Use({"filters": 16, "act": "relu"}, ((16, 4, 4),)),
            Use({"filters": 32, "act": "hs"}, ((16, 4, 4),)),
            Use({"filters": 32, "act": "hs"}, ((32, 4, 4),)),
        ],
        Use({"filters": 32, "act": "relu"}, ((16, 4, 4),)),
    ),
    "a third branch": (
        "k",
        "if k == 1 { conv { filters: 4  kernel: 1 } } else if k == 2 { relu } else { tanh }",
        [Use({"k": 1}, ((4, 5, 5),)), Use({"k": 2}, ((4, 5, 5),))],
        Use({"k": 3}, ((4, 5, 5),)),
    ),
    "same padding of an even kernel": (
        "k",
        "conv { filters: 3  kernel: k  pad: same }",
        [Use({"k": 3}, ((3, 8, 8),))],
        Use({"k": 4}, ((3, 8, 8),)),
    ),
    "the count of a split": (
        "n",
        "conv { filters: 4 * n  kernel: 1 } -> split { parts: n } -> relu",
        [Use({"n": 2}, ((12, 4, 4),))],
        Use({"n": 3}, ((12, 4, 4),)),
    ),
    "a stride in front of a linear layer": (
        "s",
        "conv { filters: 4  kernel: 3  stride: s  pad: 1 } -> flatten -> linear { units: 10 }",
        [Use({"s": 2}, ((3, 8, 8),))],
        Use({"s": 1}, ((3, 8, 8),)),
    ),
    "a loop of layers without weights": (
        "n",
        "for i in 1..n { a[i]: concat(x, x) }\n output a1",
        [Use({"n": 2}, ((3, 5, 5),)), Use({"n": 3}, ((3, 5, 5),))],
        Use({"n": 4}, ((3, 5, 5),)),
    ),
    "a loop that carries a value": (
        "n",
        "for i in 1..n { c[i]: conv { filters: x.channels  kernel: 1 }  add(c[i], x) }",
        [Use({"n": 2}, ((3, 5, 5),)), Use({"n": 3}, ((3, 5, 5),))],
        Use({"n": 4}, ((3, 5, 5),)),
    ),
    "numbers from a list": (
        "n",
        "for i in 1..n { c[i]: conv { filters: [3, 5, 4, 2][i - 1]  kernel: 1 } }",
        [Use({"n": 2}, ((3, 5, 5),)), Use({"n": 4}, ((3, 5, 5),))],
        Use({"n": 3}, ((3, 5, 5),)),
    ),
    "a loop that changes channels without weights": (
        "n",
        "for i in 1..n { pad { channels: [0, i] } }  conv { filters: 3  kernel: 1 }",
        [Use({"n": 2}, ((3, 5, 5),))],
        Use({"n": 3}, ((3, 5, 5),)),
    ),
    "a name for a number that constructor and forward ask": (
        "n",
        """let p = n + 1
        if p % 2 == 1 { a: conv { filters: 2 * p  kernel: 1 } } else { a: relu }
        for i in 1..p { pad { pads: 1 } }""",
        [Use({"n": 2}, ((3, 5, 5),))],
        Use({"n": 3}, ((3, 5, 5),)),
    ),
    "a condition in exact numbers": (
        "w",
        "if w > 0.1 { relu } else { tanh }  for i in 1..round(w * 10) { add(x, x) }",
        [Use({"w": 0.5}, ((3, 5, 5),))],
        Use({"w": 0.1}, ((3, 5, 5),)),
    ),
    "a parameter that is none": (
        "n = none",
        "if n != none { conv { filters: n  kernel: 1 } }  relu",
        [Use({}, ((3, 5, 5),)), Use({"n": 3}, ((3, 5, 5),))],
        Use({"n": 4}, ((3, 5, 5),)),
    ),
    "uneven crops of a transposed convolution": (
        "k, crop",
        """conv_transpose { filters: 3  kernel: k + 1  stride: 2  pad: [0, crop, 1, 0] }
        conv_transpose { filters: 4  kernel: k  stride: 2  pad: same }""",
        [Use({"k": 3, "crop": 1}, ((3, 5, 5),))],
        Use({"k": 6, "crop": 0}, ((3, 5, 5),)),
    ),
    "fewer parts of a split than the net has": (
        "n",
        "s: conv { filters: 2 * n  kernel: 1 } -> split { parts: n }  add(s, s.part2)",
        [Use({"n": 3}, ((3, 4, 4),))],
        Use({"n": 2}, ((3, 4, 4),)),
    ),
    "two parts of a split": (
        "n",
        "s: split { parts: n }  add(s, s.part2)",
        [Use({"n": 2}, ((12, 4, 4),))],
        Use({"n": 3}, ((12, 4, 4),)),
    ),
    "a division where it has a value": (
        "n",
        """let width = 6 / n if n != 0 else 5
        conv { filters: width  kernel: 1 }
        if n == 0 or 6 % n == 0 { relu } else { tanh }""",
        [Use({"n": 2}, ((3, 5, 5),))],
        Use({"n": 0}, ((3, 5, 5),)),
    ),
    "a gate before what it scales": (
        "f",
        """g: adaptive_avgpool { size: 1 }
        mul(g, x) -> conv { filters: f  kernel: 1 } -> flatten -> linear { units: 3 }""",
        [Use({"f": 2}, ((3, 4, 5),))],
        Use({"f": 3}, ((3, 5, 5),)),
    ),
    "names that Python, PyTorch and the class have other uses of": (
        "n, k = 2",
        """let sum = n + 1
        let round = round(n * 1.5)
        let class = x.channels + 1
        let in_channels = 2 * n
        let layer = k
        a: conv(x) { filters: in_channels + class  kernel: 1 }
        for str in 1..sum { c[str]: conv { filters: max(sum, round) + layer  kernel: 1 } }
        for torch in 1..k { tanh }""",
        [Use({"n": 2}, ((3, 5, 5),))],
        Use({"n": 3, "k": 1}, ((4, 5, 5),)),
    ),
    "a list that is compared and is part of others": (
        "sizes, other = [1, 2]",
        """if sizes == [2, 4] { a: conv { filters: 3  kernel: 1 } } else { relu }
        if sizes == other { tanh }
        if sizes in [[1, 2], [2, 5]] or other != [1, 2] { sigmoid }
        let all = sizes + [3]
        for w in all { c[w]: conv { filters: w  kernel: 1 } }
        let few = [sizes[0], 1] + other
        b: conv { filters: sum(all) + len(all) + sum(few) + few[2]  kernel: 1 }""",
        [Use({"sizes": [2, 5]}, ((3, 5, 5),)), Use({"sizes": [6]}, ((3, 5, 5),))],
        Use({"sizes": [2, 4], "other": [2, 4, 1]}, ((3, 5, 5),)),
    ),
    "layers without names whose number depends on arguments": (
        "n, q",
        """conv { filters: 2  kernel: 1 }
        if q { conv { filters: 3  kernel: 1 } -> conv { filters: 5  kernel: 1 } } else { relu }
        for i in 1..n {
          conv { filters: i  kernel: 1 } -> relu
          for j in 1..2 { conv { filters: j + 1  kernel: 1 } }
        }
        if n > 2 { conv { filters: 3  kernel: 1 } }
        conv { filters: 4  kernel: 1 }""",
        [Use({"n": 2, "q": True}, ((3, 5, 5),))],
        Use({"n": 3, "q": False}, ((3, 5, 5),)),
    ),
    "modules without weights in loops": (
        "n, sizes",
        """for i in 1..n { gate { k: i } }
        for w in sizes { gate { k: w } -> gate { k: 1 } }
        gate { k: n }
        conv { filters: 2  kernel: 1 }""",
        [Use({"n": 2, "sizes": [1, 3]}, ((3, 5, 5),))],
        Use({"n": 4, "sizes": [2]}, ((3, 5, 5),)),
    ),
    "what an iteration reads of those further back": (
        "n",
        """s[0]: conv { filters: 4  kernel: 1 }
        s[1]: conv(x) { filters: 5  kernel: 3  pad: 1 }
        for i in 2..n { s[i]: concat(conv(s[i - 2]) { filters: i  kernel: 1 }, s[i - 1]) -> relu }
        t[1]: relu
        t[2]: conv { filters: 3  kernel: 1 }
        t[3]: tanh
        for i in 4..n + 3 { t[i]: concat(t[i - 3], t[i - 1]) -> conv { filters: 3  kernel: 1 } }
        concat(s[n - 1], t[n + 2], s[n], t[n + 3])""",
        [Use({"n": 3}, ((3, 5, 5),))],
        Use({"n": 5}, ((2, 6, 6),)),
    ),
    "loops that take items apart": (
        "rows, f = 2",
        """for i, (c, k) in enumerate(rows, 1) {
          a[i]: conv { filters: c * f  kernel: k  pad: same }
          if c > 2 { relu }
          conv { filters: c  kernel: 1 } -> dropout { ratio: c / 9 }
        }
        b[0]: identity
        for i, (c, (k, e)) in enumerate([[3, [1, 0.545]], [4, [3, 1]]], 1) {
          b[i]: conv(b[i - 1]) { filters: round(100 * e) + c  kernel: k  pad: same }
        }
        for (c, (k, _)) in zip([f, 5], [[1, 2], [3, 4]]) { d[c]: conv { filters: c * k  kernel: 1 } }
        concat(b[2], d[5])""",
        [Use({"rows": [[2, 1], [3, 3]]}, ((3, 5, 5),))],
        Use({"rows": [[1, 3], [4, 1], [2, 1]], "f": 3}, ((4, 5, 5),)),
    ),
    "loops with a step": (
        "n, s",
        """c[0]: conv { filters: 2  kernel: 1 }
        for i in s..n step s { c[i]: conv(c[i - s]) { filters: i  kernel: 1 } -> relu }
        for i in n..1 step -2 {
          e[i]: conv { filters: i + 1  kernel: 1 }
          conv { filters: 2  kernel: 1 }
        }
        for i in n..1 step -s { if i > 2 { tanh } else { relu } pad { channels: [0, i] } }
        conv { filters: 3  kernel: 1 }""",
        [Use({"n": 4, "s": 2}, ((3, 5, 5),))],
        Use({"n": 7, "s": 3}, ((3, 5, 5),)),
    ),
    "lists of fractions": (
        "widths",
        """for i, w in enumerate(widths) {
          c[i]: conv { filters: round(100 * w)  kernel: 1 }
          if w >= 0.1 { relu } else { tanh }
        }
        dropout { ratio: widths[0] / 2 }
        conv { filters: floor(10 * widths[len(widths) - 1]) + 1  kernel: 1 }""",
        [Use({"widths": [0.5, 0.25]}, ((3, 5, 5),))],
        Use({"widths": [0.545, 1, 0.1]}, ((3, 5, 5),)),
    ),
    "layers without names in a loop over a list": (
        "sizes",
        """for k in sizes { conv { filters: k  kernel: 1 } -> batchnorm }
        conv { filters: 3  kernel: 1 }""",
        [Use({"sizes": [2, 5]}, ((3, 5, 5),))],
        Use({"sizes": [4, 4, 1]}, ((3, 5, 5),)),
    ),
    "layers with the names of parameters": (
        "n, squeeze, expand, relu",
        """squeeze: conv { filters: squeeze  kernel: 1 } -> relu
        for i in 0..1 { expand[i]: conv(squeeze) { filters: expand[i]  kernel: 1 } }
        let x = squeeze.channels
        relu: conv(x) { filters: x + expand[1].channels  kernel: relu }
        for k in 1..n { tanh }
        n: batchnorm""",
        [Use({"n": 2, "squeeze": 2, "expand": [2, 3], "relu": 1}, ((3, 5, 5),))],
        Use({"n": 1, "squeeze": 3, "expand": [4, 2], "relu": 3}, ((4, 5, 5),)),
    ),
    "the size of a value that is overwritten": (
        "f",
        """a: conv { filters: f  kernel: 3  stride: 2 } -> relu
        maxpool { kernel: 2  round: ceil } -> conv { filters: f  kernel: 1 }
        upsample { size: a.shape  mode: nearest }""",
        [Use({"f": 2}, ((3, 9, 9),))],
        Use({"f": 3}, ((3, 11, 8),)),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_structure(kind: str) -> None:
    parameters, statements, hosted, use = KINDS[kind]
    gate = "module gate(k) { input x  if k > 1 { tanh } else { sigmoid } }\n"
    module = Module("part", f"{gate}module part({parameters}) {{\n  input x\n  {statements}\n}}")
    check_class(module, hosted, use)


def check_net(text: str, **arguments: Any) -> None:
    """The net's class with these arguments is the class of the net that is compiled for them."""
    net = net_of(text)
    namespace: dict[str, Any] = {"__name__": "emitted"}
    exec(emit(net, get("torch")), namespace)
    model = namespace[class_name(net.name, "")](**arguments)
    check_model(model, net_of(text, **arguments))


def check_model(model: Any, net: Any) -> None:
    """A model has the keys, shapes and outputs of a net's own class."""
    reference = load_model(net, get("torch"))
    get("torch").set_weights(reference, fresh(net.tensors, 1, varied=True))
    wanted, found = reference.state_dict(), model.state_dict()
    assert [(k, v.shape) for k, v in found.items()] == [(k, v.shape) for k, v in wanted.items()]
    model.load_state_dict(wanted)
    generator = torch.Generator().manual_seed(2)
    inputs = [torch.randn(2, *map(int, v.shape), generator=generator) for v in net.body.inputs]
    with torch.no_grad():
        results = [m.eval()(*inputs) for m in (reference, model)]
    expected, result = (r if isinstance(r, tuple) else (r,) for r in results)
    assert len(expected) == len(result)
    for x, y in zip(expected, result, strict=True):
        # The same bits, but where one cuts a view and the other a copy off: kernels differ there.
        assert_close(y, x, rtol=1e-5, atol=1e-6, equal_nan=True)


NETS: dict[str, tuple[str, dict[str, Any]]] = {
    "a quotient that nothing reads": (
        """
        module part(n) { input x  let q = 6 / n  conv { filters: n  kernel: 1 } }
        net t(n = 2) { input data: 3x5x5  part { n: n } }
        """,
        {"n": 4},
    ),
    "an item whose name could be that of another loop": (
        """
        net t(n = 2) {
          input data: 3x5x5
          for i in 1..n { v2[i]: concat(data, data) }
          for i in 1..2 { v22[i]: conv(data) { filters: 2 * n  kernel: 1 } }
          identity(v22[1])
        }
        """,
        {"n": 3},
    ),
    "a rounded number that a loop's channels begin with, asked for behind it": (
        """
        module m(f) {
          input x
          y: conv { filters: f  kernel: 1 }
          concat(x, y)
        }
        net t(width = 1.0) {
          input data: 3x8x8
          stem: conv { filters: round(6 * width)  kernel: 3 }
          relu
          for i in 1..3 { mix[i]: m { f: round(4 * width) } }
          last: conv { filters: round(6 * width)  kernel: 1 }
        }
        """,
        {"width": 0.5},
    ),
    "channels of a branch that a loop changes, asked for behind it": (
        """
        net t(n = 2) {
          input data: 3x8x8
          if n > 2 { x1: conv { filters: 3  kernel: 1 } }
          else { x1: conv { filters: 4  kernel: 1 } }
          relu
          for i in 1..n { c[i]: conv { filters: 5  kernel: 1 } }
          d: conv(x1) { filters: 7  kernel: 1 }
          concat(x1, d)
        }
        """,
        {"n": 3},
    ),
    "a linear layer behind branches and loops of modules": (
        """
        module stage(f, pool = true) {
          input x
          conv { filters: f  kernel: 3  pad: 1 } -> relu
          if pool { maxpool { kernel: 2  round: floor } }
        }
        module down(n) {
          input x
          for i in 1..n { c[i]: conv { filters: 4  kernel: 3  stride: 2  pad: 1 } }
        }
        net t(last = true, n = 1, k = 3) {
          input data: 3x16x18
          first: conv { filters: 3  kernel: k }
          stage { f: 4 }
          stage { f: 8  pool: last }
          for j in 1..n { s[j]: stage { f: 3  pool: last } }
          down { n: n }
          flatten -> linear { units: 5 }
        }
        """,
        {"last": False, "n": 2, "k": 5},
    ),
    "a list of any length, with a number of the caller": (
        """
        module part(sizes, n = 1) {
          input x
          conv { filters: sum(sizes) + max(sizes)  kernel: n  pad: same }
        }
        net t(n = 2, widths = [1, 2, 4]) {
          input data: 3x9x8
          part { sizes: [n, 3]  n: n + 1 }
          part { sizes: widths }
        }
        """,
        {"n": 3, "widths": [5, 2]},
    ),
    "items of loops, also of the outer one's iteration, and by an argument": (
        """
        net t(n = 3, last = 2) {
          input data: 2x5x5
          for i in 1..n {
            for k in [1, 3] { m[i][k]: conv(data) { filters: i + 1  kernel: k  pad: same } }
            q[i]: add(m[i][3], m[i][1])
          }
          concat(q[last], q[n], m[1][3])
        }
        """,
        {"n": 4, "last": 1},
    ),
    "flags, pads and roundings that arguments decide": (
        """
        net t(q = false, s = 1, k = 3, w = 0.5) {
          input data: 2x9x8
          avgpool { kernel: 3  pad: 1  stride: 2  round: ceil  count_include_pad: q }
          pad { pads: s  value: w }
          maxpool { kernel: k  stride: 3  round: ceil }
          flatten -> linear { units: 3 }
        }
        """,
        {"q": True, "s": 3, "k": 1, "w": 0.25},
    ),
    "items of a loop in the opposite order, whose channels differ": (
        """
        module double(f) { input x  a: conv { filters: f  kernel: 3  pad: 1 } -> relu }
        net t(width = 2, depth = 2) {
          input data: 3x16x16
          for i in 1..depth {
            down[i]: double { f: width * 2 ** i }
            maxpool { kernel: 2  round: floor }
          }
          mid: double { f: width }
          for i in 1..depth {
            up[i]: conv_transpose { filters: width  kernel: 2  stride: 2 }
            concat(up[i], down[depth + 1 - i])
            dec[i]: double { f: width * 2 ** (depth - i) }
          }
        }
        """,
        {"width": 3, "depth": 3},
    ),
    "items of loops over lists in the opposite order": (
        """
        module double(f) { input x  a: conv { filters: f  kernel: 3  pad: 1 } -> relu }
        net t(widths = [2, 3], strides = [2, 1]) {
          input data: 3x16x16
          for i, (w, s) in enumerate(zip(widths, strides)) {
            down[i]: double { f: w }
            maxpool { kernel: s  stride: s }
          }
          mid: double { f: 2 * widths[len(widths) - 1] }
          for i in len(widths) - 1..0 step -1 {
            up[i]: conv_transpose { filters: widths[i]  kernel: strides[i]  stride: strides[i] }
            concat(up[i], down[i])
            dec[i]: double { f: widths[i] }
          }
          for i, s in enumerate(strides) {
            c[i]: conv(down[len(widths) - 1 - i]) { filters: s  kernel: 1 }
          }
          output dec0, c0
        }
        """,
        {"widths": [4, 2, 3], "strides": [1, 2, 2]},
    ),
    "items of iterations further back, behind a condition": (
        """
        net t(widths = [2, 3, 4]) {
          input data: 3x5x5
          for i, w in enumerate(widths) {
            c[i]: conv { filters: w  kernel: 1 } -> relu
            if i >= 2 {
              concat(c[i], c[i - 2])
              d[i]: conv { filters: 3  kernel: 1 }
            }
            for j in 1..2 {
              if i > 0 {
                concat(c[i], c[i - 1])
                e[i][j]: conv { filters: 3  kernel: 1 }
              }
            }
          }
          output e2_1
        }
        """,
        {"widths": [1, 2, 3, 4, 5]},
    ),
    "items whose indices are multiples or quotients": (
        """
        net t(n = 3) {
          input data: 3x5x5
          for i in 1..n {
            c[2 * i]: conv { filters: 2 + i  kernel: 1 }
            if i % 2 == 0 { d[i // 2]: conv { filters: 4  kernel: 1 } }
          }
          for i in 1..n { e[i]: conv(c[2 * i]) { filters: 2  kernel: 1 } }
          output e[n], c4, d1
        }
        """,
        {"n": 5},
    ),
    "layers without names behind conditions in loops": (
        """
        module unit(f) {
          input x
          conv { filters: f  kernel: 1 }
          if f > 2 { relu } else { conv { filters: 3  kernel: 1 } }
        }
        net t(n = 3, cfg = [4, 0, 3], q = true) {
          input data: 3x8x8
          for c in cfg {
            if c == 0 {
              maxpool { kernel: 2  stride: 2 }
            } else {
              conv { filters: c  kernel: 3  pad: 1 } -> relu
            }
          }
          for i in 1..n {
            unit { f: i }
            for j in 1..i {
              if j % 2 == 1 {
                conv { filters: 8  kernel: 1 } -> batchnorm -> conv { filters: j  kernel: 1 }
              } else if j == 2 {
                unit { f: 2 } -> unit { f: 3 }
              }
            }
            conv { filters: 2  kernel: 1 }
          }
          if q {
            for i in 1..n { if i > 1 { conv { filters: i  kernel: 1 } } }
          } else {
            conv { filters: 3  kernel: 1 }
          }
          conv { filters: 2  kernel: 1 }
        }
        """,
        {"n": 4, "cfg": [2, 2, 0], "q": False},
    ),
    "a nested U-Net, whose items several loops make": (
        """
        module block(f) { input x  c: conv { filters: f  kernel: 3  pad: 1 } -> batchnorm -> relu }
        net t(d = 2, w = 2) {
          input data: 3x16x16
          for i in 0..d { x[i][0]: block { f: w * 2 ** i }  maxpool { kernel: 2  round: floor } }
          for j in 1..d {
            for i in 0..d - j {
              concat(x[i][j - 1], upsample(x[i + 1][j - 1]) { scale: 2  mode: nearest })
              x[i][j]: block { f: w * 2 ** i }
            }
          }
          output x[0][d], x[0][1]
        }
        """,
        {"d": 3, "w": 3},
    ),
    "a feature pyramid, whose coarsest item stands before its loop": (
        """
        net t(widths = [2, 3, 4]) {
          input data: 3x16x16
          for i, w in enumerate(widths) { c[i]: conv { filters: w  kernel: 3  stride: 2  pad: 1 } }
          let top = len(widths) - 1
          p[top]: conv(c[top]) { filters: 4  kernel: 1 }
          for i in top - 1..0 step -1 {
            l[i]: conv(c[i]) { filters: 4  kernel: 1 }
            p[i]: add(l[i], upsample(p[i + 1]) { size: c[i].shape  mode: nearest })
          }
          d[0]: identity(p[0])
          for i in 1..top {
            s[i]: conv(d[i - 1]) { filters: 4  kernel: 3  stride: 2  pad: 1 }
            d[i]: add(s[i], p[i]) -> relu
          }
          for i in 0..top { o[i]: conv(p[i]) { filters: 2  kernel: 3  pad: 1 } }
          output o[0], d[top]
        }
        """,
        {"widths": [2, 3, 4, 5]},
    ),
    "stages of layers without names, and an end that branches give other ranks": (
        """
        module block(f) { input x  c: conv { filters: f  kernel: 3  pad: 1 } -> relu }
        net t(depths = [1, 2], aux = true) {
          input data: 3x8x8
          for i, n in enumerate(depths) {
            for j in 1..n { block { f: 2 * 2 ** i }  conv { filters: n + i  kernel: 1 } }
            maxpool { kernel: 2  stride: 2 }
          }
          body: conv { filters: 3  kernel: 1 }
          if aux { head: global_avgpool(body) -> linear { units: 2 } }
          main: conv(body) { filters: 4  kernel: 1 }
        }
        """,
        {"depths": [2, 1, 1], "aux": False},
    ),
    "every second item, of which the first stands before the loop": (
        """
        net t(n = 4) {
          input data: 3x5x5
          s[0]: conv { filters: 4  kernel: 1 }
          for i in 1..n {
            s[i]: conv { filters: 4  kernel: 1 }
            if i % 2 == 0 { t[i]: add(s[i], s[i - 2]) -> relu }
          }
        }
        """,
        {"n": 7},
    ),
    "lines that branches make, used again": (
        """
        net t(n = 2, k = 1) {
          input data: 4x5x5
          for i in 0..n {
            if k > 1 { r[i]: conv { filters: 4  kernel: 1 } -> relu }
            else { r[i]: conv { filters: 4  kernel: 3  pad: 1 } }
          }
          if k == 1 { a: conv { filters: 4  kernel: 1 } -> tanh }
          else if k == 2 { a: batchnorm }
          else { a: tanh }
          again: a(r[0](a))
          for w in [1, "M", 2] { if w == "M" { relu } else { conv { filters: 3 + w  kernel: 1 } } }
        }
        """,
        {"n": 3, "k": 2},
    ),
    "ends of loops that are products of a fraction": (
        """
        net t(n = 4, w = 0.5) {
          input data: 3x5x5
          for i in n * w..n { c[i]: conv { filters: i  kernel: 1 } }
          for i in 1..n * w { d[i]: conv { filters: 2  kernel: 1 } -> relu }
        }
        """,
        {"n": 8, "w": 0.25},
    ),
    "channels that forward asks": (
        """
        module part(f) {
          input x
          a: conv { filters: f  kernel: 1 }
          if f > 2 { b: conv { filters: 5  kernel: 1 } }
          y: relu
          if y.channels > 3 { tanh } else { sigmoid }
        }
        net t(f = 4) {
          input data: 2x5x5
          for i in 1..3 { p[i]: part { f: f - i } }
        }
        """,
        {"f": 6},
    ),
    "sizes of modules that stand in one iteration": (
        """
        module grow(n) { input x  for i in 1..2 { pad { channels: [0, n] } } }
        net t(n = 1) {
          input data: 2x5x5
          for i in 1..2 { a[i]: grow { n: n }  b[i]: grow { n: 2 } }
          conv { filters: 3  kernel: 1 }
        }
        """,
        {"n": 2},
    ),
    "sums inside of other operators": (
        """
        net t(f = 4) {
          input data: 3x8x8
          c: conv(data) { filters: f  kernel: 1 }
          d: conv(data) { filters: f  kernel: 1 }
          output add(c, d) -> global_avgpool, mul(add(d, c), c), add(c, d) -> power { scale: 2 },
                 sub(c, d) -> global_maxpool, sub(c, sub(d, c)), add(add(c, d), c),
                 add(c, d) -> flatten, mul(c, d) -> permute { order: [1, 0, 2] }
        }
        """,
        {"f": 2},
    ),
    "a table of constants, and one that is an argument": (
        """
        module part(f, e = 1) {
          input x
          a: conv { filters: f * e  kernel: 1 } -> relu
          b: conv { filters: f  kernel: 1 }
        }
        net t(rows = [[3, 1, "r"], [4, 3, "t"]], config = [8, "M", 16]) {
          input data: 3x8x8
          let table = [[3, 1], [5, 3]]
          for i in 1..2 { a[i]: conv { filters: table[i - 1][0]  kernel: table[i - 1][1]  pad: same } }
          for r in table { b[r[0]]: conv { filters: r[0]  kernel: r[1]  pad: same } -> relu }
          for i in 1..len(rows) {
            let r = rows[i - 1]
            m[i]: part { f: r[0]  e: r[1] }
            if r[2] == "t" { tanh }
          }
          for i in 1..len(config) {
            if config[i - 1] == "M" { maxpool { kernel: 2  stride: 2 } }
            else { k[i]: conv { filters: config[i - 1]  kernel: 1 } }
          }
        }
        """,
        {"rows": [[2, 3, "t"]], "config": [3, "M"]},
    ),
    "names of layers by a constant of the iteration": (
        """
        net t(depth = 3, f = 4) {
          input data: 3x8x8
          for i in 1..depth {
            let j = depth - i
            up[j]: conv { filters: f * 2 ** j  kernel: 1 }
          }
          for i in 1..depth {
            let k = depth - i
            add[k]: add(up[k], up[k])
          }
        }
        """,
        {"depth": 2, "f": 3},
    ),
    "an item by its index where this is not the number of the iteration": (
        """
        net t(depth = 3, f = 4) {
          input data: 3x8x8
          for i in 1..depth { e[depth - i]: conv(data) { filters: f * i  kernel: 1 } }
          c: conv(e[1]) { filters: 2  kernel: 1 }
        }
        """,
        {"depth": 2, "f": 3},
    ),
    "a pyramid": (
        """
        module pyramid(levels, f) {
          input x
          c[0]: conv(x) { filters: f  kernel: 3  pad: 1 } -> relu
          for i in 1..levels {
            c[i]: conv(c[i - 1]) { filters: f * (i + 1)  kernel: 3  stride: 2  pad: 1 } -> relu
          }
          p[levels]: conv(c[levels]) { filters: f  kernel: 1 }
          for i in 1..levels {
            l[levels - i]: conv(c[levels - i]) { filters: f  kernel: 1 }
            p[levels - i]: add(upsample(p[levels - i + 1]) { size: c[levels - i].shape  mode: nearest }, l[levels - i])
          }
          output p[0], p[levels]
        }
        net t(levels = 2, f = 4) {
          input data: 3x16x16
          a: pyramid { levels: levels  f: f }
          b: pyramid(a.p0) { levels: 1  f: 3 }
        }
        """,
        {"levels": 3, "f": 2},
    ),
    "reshapes by arguments": (
        """
        net t(dim = 8, f = 4, depth = 2) {
          input data: 8x16x16
          a: reshape(data) { shape: [dim, -1, 16] } -> permute { order: [1, 0, 2] }
             -> conv { filters: 3  kernel: 1 }
          b: reshape(data) { shape: [-1, 4, dim] } -> conv { filters: 3  kernel: 1 }
          global_avgpool(data) -> linear { units: f * 16 }
          c: reshape { shape: [f * depth, 16 / 2 ** depth, 2 ** depth / depth] }
             -> conv { filters: 2  kernel: 1 }
          output a, b, c
        }
        """,
        {"dim": 4, "f": 2},
    ),
    "an input whose channels are an argument": (
        """
        net t(channels = 3) {
          input data: [channels, 8, 7]
          c: conv { filters: 2 * channels  kernel: 1 }
          add(c, concat(data, data))
        }
        """,
        {"channels": 1},
    ),
    "as many parts as an argument says": (
        """
        module maxout(units, pieces = 2) {
          input x
          l: linear { units: units * pieces } -> split { parts: pieces }
          if pieces > 1 { m: maximum(l.part1, l.part2) } else { m: identity(l.part1) }
        }
        net t(pieces = 2) {
          input data: 8x1x1
          flatten
          maxout { units: 4  pieces: pieces }
          linear { units: 3 }
        }
        """,
        {"pieces": 1},
    ),
}


BRANCHES: dict[str, tuple[str, list[dict[str, Any]], str]] = {
    "items of a loop that branches make": (
        """
        module block(f) { input x  conv { filters: f  kernel: 3  pad: 1 } -> relu }
        net t(w = 4, d = 2, learned = true) {
          input data: 3x16x16
          stem: block { f: w }
          for i in 1..d {
            maxpool { kernel: 2 }
            down[i]: block { f: w * 2 ** i }
          }
          for i in 1..d {
            if learned { up[i]: conv_transpose { filters: w * 2 ** (d - i)  kernel: 2  stride: 2 } }
            else { up[i]: upsample { scale: 2  mode: nearest } -> conv { filters: w * 2 ** (d - i)  kernel: 1 } }
            dec[i]: block(up[i]) { f: w * 2 ** (d - i) }
          }
        }
        """,
        [{"learned": False}, {"d": 1, "w": 2}, {"d": 3, "learned": False}],
        "",
    ),
    "outputs in branches": (
        """
        module m(c) {
          input x
          y: relu
          if c { output a: y, b: sigmoid(x) } else { output a: x, b: y }
        }
        net t(c = true, n = 1) {
          input data: 4x4x4
          m: m { c: c }
          for i in 1..n { r[i]: m(m.b) { c: i % 2 == 0 } }
          k: conv(r1.b) { filters: 2  kernel: 1 }
          output m.a, m.b, k
        }
        """,
        [{"c": False}, {"c": False, "n": 2}],
        "",
    ),
    "an output in each branch, of another name and size": (
        """
        module m(c, f) {
          input x
          a: conv { filters: f  kernel: 1 }
          b: conv { filters: f + 1  kernel: 3  stride: 2 }
          if c == 1 { output a } else if c == 2 { output b } else { output softmax(b) }
        }
        net t(c = 1, d = 1) {
          input data: 4x9x9
          m: m { c: c  f: 4 }
          n: m { c: d  f: 2 }
          if c == d { output sum: add(m, conv(m) { filters: m.channels  kernel: 1 }) }
          else { output sum: n }
        }
        """,
        [{"c": 2}, {"d": 2}, {"c": 3, "d": 3}],
        "",
    ),
    "an output in one branch only": (
        """
        net t(c = true) {
          input data: 4x9x9
          if c { output relu(data) }
          conv { filters: 2  kernel: 1 }
        }
        """,
        [],
        "branches give other outputs",
    ),
    "a first output that is alone by an argument": (
        """
        module head(n) { input x  global_avgpool -> linear { units: n } }
        net t(aux = true, n = 3) {
          input data: 4x9x9
          a: conv { filters: 5  kernel: 3 } -> relu
          h: head { n: n }
          prob: softmax
          if aux {
            g: head(a) { n: n }
            output prob, other: g
          } else {
            output prob
          }
        }
        """,
        [{"aux": False}, {"aux": False, "n": 2}, {"n": 4}],
        "",
    ),
    "an output in a loop": (
        """
        net t(n = 2) {
          input data: 4x9x9
          for i in 1..n {
            y[i]: conv { filters: 2 * i  kernel: 1 }
            if i == 2 { output y[i] }
          }
        }
        """,
        [],
        "output",
    ),
    "an item by any index of which one stands before the loop": (
        """
        net t(n = 2) {
          input data: 3x8x8
          y[0]: conv { filters: 4  kernel: 1 }
          for i in 1..n { y[i]: conv { filters: 4  kernel: 3  pad: 1 } }
          for i in 1..n { z[i]: add(y[n - i], y[n]) }
        }
        """,
        [{"n": 1}, {"n": 3}],
        "",
    ),
    "a layer that is one of a loop in another branch": (
        """
        net t(c = true, n = 2) {
          input data: 3x8x8
          if c { for i in 1..n { y[i]: conv { filters: 4  kernel: 1 } } }
          else { y[1]: tanh  y[2]: conv { filters: 4  kernel: 3 } }
          conv(y[2]) { filters: 2  kernel: 1 }
        }
        """,
        [{"c": False}, {"n": 3}],
        "",
    ),
    "items of a loop behind it that branches make": (
        """
        net t(c = true, n = 2) {
          input data: 3x8x8
          for i in 1..n {
            if c { y[i]: conv { filters: 4  kernel: 1 } } else { y[i]: conv { filters: 4  kernel: 3  pad: 1 } }
          }
          output add(y[1], y[n])
        }
        """,
        [],
        "an item of a loop",
    ),
}


def check_with_numpy(net: Any) -> None:
    """The class of a net computes what NumPy does, which knows nothing of classes."""
    inputs = [torch.randn(2, *map(int, v.shape)).numpy() for v in net.body.inputs]
    weights = fresh(net.tensors, 1, varied=True)
    results = []
    for name in ("torch", "numpy"):
        model = load_model(net, get(name))
        get(name).set_weights(model, weights)
        results.append(get(name).run(model, *inputs))
    assert len(results[0]) == len(results[1])
    for a, b in zip(*results, strict=True):
        assert_close(torch.as_tensor(a), torch.as_tensor(b), rtol=1e-4, atol=1e-4, equal_nan=True)


@pytest.mark.parametrize("kind", BRANCHES)
def test_what_meets_behind_branches(kind: str) -> None:
    """The class computes what NumPy does, for other arguments too; where it takes none, why."""
    text, others, refused = BRANCHES[kind]
    assert refused in emit(net_of(text), get("torch"))
    for arguments in ({}, *others):
        check_with_numpy(net_of(text, **arguments))
        check_net(text, **arguments)


@pytest.mark.parametrize("kind", NETS)
def test_arguments_of_nets(kind: str) -> None:
    text, arguments = NETS[kind]
    assert "Written for certain" not in emit(net_of(text), get("torch"))
    for use in ({}, arguments):
        check_with_numpy(net_of(text, **use))
        check_net(text, **use)


# So many random nets are tried; a larger number takes about 70 ms a net.
RANDOM_NETS = int(os.environ.get("NETSPEC_RANDOM_NETS", "120"))
CHUNKS = 6


def test_checks_alone_in_a_branch() -> None:
    """What all branches check stands before them, and a branch of nothing else is still one."""
    check_net(
        """
        net t(n = 2, q = false) {
          input data: 3x5x5
          if q { leaky_relu { slope: 1 / n } -> relu } else { relu }
          if n > 1 {
            expect n < 5
          } else {
            expect n < 5
            b: conv { filters: 2  kernel: 1 }
          }
        }
        """,
        n=1,
    )


# What makes the modules of ops that are arguments.
MADE: dict[Any, Any] = {
    None: nn.Identity,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "batchnorm": nn.BatchNorm2d,
    "instancenorm": nn.InstanceNorm2d,
}


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_random_nets(chunk: int) -> None:
    """Random arguments of random nets: the class is that of the net that is compiled for them."""
    compared = 0
    for seed in range(chunk, RANDOM_NETS, CHUNKS):
        random = RandomNet(seed)
        net, _ = checked(random.text)
        if net is None:
            continue
        backend = TorchBackend()
        namespace: dict[str, Any] = {"__name__": "emitted"}
        exec(backend.emit(net), namespace)
        of = namespace[class_name(net.name, "")]
        asked = inspect.signature(of).parameters
        written_out = any("class of tiny" in note.message for note in backend.notes)
        check_with_numpy(net)
        for _ in range(2):
            arguments = random.arguments()
            other, _ = checked(random.text, arguments)
            if other is None or (written_out and not arguments.keys() <= asked.keys()):
                continue
            # What it does not ask for must not matter.
            given = {n: MADE.get(v, v) if n in ("act", "norm") else v for n, v in arguments.items()}
            given = {name: value for name, value in given.items() if name in asked}
            if "block" in given:
                of_block = class_name(given["block"], "")
                if of_block not in namespace:
                    continue  # the file has no other
                given["block"] = namespace[of_block]
            try:
                check_model(of(**given), other)
            except Exception as error:
                error.add_note(f"RandomNet({seed}) with {arguments}")
                raise
            compared += 1
    assert compared > RANDOM_NETS // CHUNKS


# The body of a module with these parameters, arguments that it takes, others that it does not, and
# the argument that the message has to name.
REFUSED: dict[str, tuple[str, str, dict[str, Any], dict[str, Any], str]] = {
    "an item behind the end": (
        "n",
        "conv { filters: [3, 5, 4][n]  kernel: 1 }",
        {"n": 2},
        {"n": 3},
        "n",
    ),
    "an item before the beginning": (
        "n",
        "conv { filters: [3, 5, 4][n]  kernel: 1 }",
        {"n": 2},
        {"n": -1},
        "n",
    ),
    "a window without a middle": (
        "size",
        "lrn { size: size }",
        {"size": 3},
        {"size": 4},
        "size",
    ),
    "a list that is too short": (
        "sizes",
        "for i in 1..3 { c[i]: conv { filters: sizes[i - 1]  kernel: 1 } }",
        {"sizes": [2, 3, 4]},
        {"sizes": [2, 3]},
        "sizes",
    ),
    "a step that goes nowhere": (
        "n, s = 1",
        "relu  for i in 1..n step s { c[i]: conv { filters: 2  kernel: 1 } }",
        {"n": 3, "s": 2},
        {"n": 3, "s": 0},
        "s",
    ),
    "items of another length": (
        "rows",
        "for i, (c, (k, p)) in enumerate(rows) { a[i]: conv { filters: c  kernel: k  pad: p } }",
        {"rows": [[2, [1, 0]], [3, [3, 1]]]},
        {"rows": [[2, [1, 0]], [3, [3, 1, 1]]]},
        "rows",
    ),
    "lists of other lengths": (
        "rows, other",
        "for c, k in zip(rows, other) { a[c]: conv { filters: c  kernel: k } }",
        {"rows": [2, 3], "other": [1, 3]},
        {"rows": [2], "other": [1, 3]},
        "other",
    ),
    "a fraction by name": (
        "w",
        "let k = 3 * w  conv { filters: 2 * k  kernel: 1 }",
        {"w": 0.5},
        {"w": 0.25},
        "w",
    ),
    "a division in a branch": (
        "n, half",
        "if half { conv { filters: n / 2  kernel: 1 } } else { conv { filters: n  kernel: 1 } }",
        {"n": 3, "half": False},
        {"n": 3, "half": True},
        "n",
    ),
    "no filters": (
        "f",
        "conv { filters: 2 * f  kernel: 1 } -> conv { filters: 3  kernel: 1 }",
        {"f": 1},
        {"f": 0},
        "f",
    ),
    "no filters after rounding": (
        "w",
        "conv { filters: round(8 * w)  kernel: 1 }",
        {"w": 0.25},
        {"w": 0.05},
        "w",
    ),
    "a window of nothing": (
        "k",
        "maxpool { kernel: k  pad: k // 2  stride: 1  round: floor }",
        {"k": 3},
        {"k": 0},
        "k",
    ),
    "a stride in a branch": (
        "n, s = 0",
        "if n > 1 { conv { filters: n  kernel: 1  stride: s } } else { relu }",
        {"n": 2, "s": 1},
        {"n": 2, "s": 0},
        "s",
    ),
    "a transposed window that does not span its stride": (
        "k",
        "conv_transpose { filters: 3  kernel: k  stride: 2  pad: same }",
        {"k": 2},
        {"k": 1},
        "k",
    ),
    "a negative pad": (
        "n",
        "conv { filters: 3  kernel: 3  pad: n - 2 }",
        {"n": 2},
        {"n": 1},
        "n",
    ),
    "groups of the input": (
        "g",
        "conv { filters: 6  kernel: 1  groups: g }",
        {"g": 3},
        {"g": 2},
        "g",
    ),
    "groups of the filters": (
        "f",
        "conv { filters: f  kernel: 1  groups: 3 }",
        {"f": 6},
        {"f": 4},
        "f",
    ),
    "a filter for each channel": (
        "f",
        "conv { filters: f  kernel: 1  groups: depthwise }",
        {"f": 6},
        {"f": 4},
        "f",
    ),
    "parts of a split": ("n", "split { parts: n }  relu", {"n": 3}, {"n": 2}, "n"),
    "a division by zero": (
        "n",
        "conv { filters: 6 // n  kernel: 1 }",
        {"n": 2},
        {"n": 0},
        "n",
    ),
    "a division by zero in forward": (
        "n",
        "leaky_relu { slope: 1 / n }",
        {"n": 2},
        {"n": 0},
        "n",
    ),
    "channels of an addition": (
        "f",
        "add(conv(x) { filters: f  kernel: 1 }, x)",
        {"f": 3},
        {"f": 2},
        "f",
    ),
    "a list of another length": (
        "pads",
        "pad { pads: pads }",
        {"pads": [1, 0, 2, 1]},
        {"pads": [1, 0, 2]},
        "pads",
    ),
    "a share above one": ("p", "dropout { ratio: p }", {"p": 0.5}, {"p": 1.5}, "p"),
    "a contract before the loop that it guards": (
        "n",
        """expect n < 4
        for i in 1..n { c[i]: conv { filters: [3, 5, 4][i - 1]  kernel: 1 } }""",
        {"n": 3},
        {"n": 4},
        "n",
    ),
    "a contract in a loop": (
        "sizes",
        "for i in 0..1 { expect sizes[i] > 1  c[i]: conv { filters: sizes[i]  kernel: 1 } }",
        {"sizes": [2, 3]},
        {"sizes": [2, 1]},
        "sizes",
    ),
    "a contract about a fraction in a branch": (
        "w, checked = true",
        """if checked { expect w <= 0.1 }
        conv { filters: round(20 * w)  kernel: 1 }""",
        {"w": 0.1},
        {"w": 0.125},
        "w",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_the_spec_refuses_is_refused(kind: str) -> None:
    """The class raises ValueError where the spec has an error, and names the argument."""
    parameters, statements, sound, unsound, name = REFUSED[kind]
    module = Module("part", f"module part({parameters}) {{\n  input x\n  {statements}\n}}")
    shapes = ((3, 5, 5),)
    check_class(module, [Use(sound, shapes)], Use(sound, shapes))
    assert checked(host(module, [Use(unsound, shapes)]))[0] is None
    of = emitted_class(module, [Use(sound, shapes)])
    with pytest.raises(ValueError, match=rf"\b{name}\b"):
        constructed(of, module, Use(unsound, shapes))


def test_the_check_itself() -> None:
    """It accepts a right class, and refuses other keys, shapes and outputs."""
    fire = BUNDLED["fire"]
    use = Use({"s1x1": 2, "e1x1": 3, "e3x3": 4}, ((3, 5, 5),))
    other = Use({"s1x1": 1, "e1x1": 4, "e3x3": 4}, ((2, 8, 8),))
    check_class(fire, [other], use)
    for right, wrong in (
        ("expand3x3", "expand"),  # another key
        ("kernel: 3x3  pad: 1", "kernel: 1x1"),  # another shape
        ("-> relu", "-> tanh"),  # another output
    ):
        assert right in fire.text
        changed = Module("fire", fire.text.replace(right, wrong))
        with pytest.raises(AssertionError):
            check_instance(emitted_class(changed, [other]), fire, use)
