"""The peak of live values, found in the hierarchy, is that of the flat net."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.diagnostics.source import Source, Span
from netspec.ir import Block, Instance, Layer, Net, Value
from netspec.ir.liveness import peak_activations
from netspec.metrics.size import activation_bytes
from netspec.ops import OPS
from netspec.report.rows import rows
from netspec.semantic.contracts.metrics import at_peak

from ..helpers import body, calls, net_of, paths


def peak_of_flat_net(net: Net) -> int:
    """By the definition: for each layer, the sum of all values that are alive while it runs."""
    layers = net.layers
    made = dict.fromkeys(net.body.inputs, -1)
    last: dict[Value, int] = {}
    for i, layer in enumerate(layers):
        last.update(dict.fromkeys(layer.inputs, i))
        made.update(dict.fromkeys(layer.outputs, i))
    last.update(dict.fromkeys(net.flat_outputs, len(layers)))
    alive = [
        sum(v.elements for v, end in last.items() if made[v] <= i <= end)
        for i in range(len(layers))
    ]
    return max(alive, default=0)


SPIKE = """
module m { input x
  a: conv { filters: 1 kernel: 1 }
  b: conv { filters: 32 kernel: 1 }
  c: conv { filters: 32 kernel: 1 }
  d: conv { filters: 8 kernel: 1 } }
"""
TWO = "module two { input x  input y  add(x, y) }\n"
FEW = "module few { input x  big: conv { filters: 9 kernel: 1 }  small: relu(x)  output small, big }\n"


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        # An input that is still needed after the module stays alive in it: 128 + 2 * 512.
        (SPIKE + body("u: m\nadd(data, u)", "8x4x4"), 1152),
        # It dies in there where it is not.
        (SPIKE + body("u: m", "8x4x4"), 1024),
        # One value for two inputs is one value.
        (TWO + body("two(data, data)", "8x4x4"), 256),
        # What nothing reads is not counted: neither a result of an op nor one of a module.
        (body("maxpool { kernel: 2 }", "8x4x4"), 160),
        (body("p: maxpool { kernel: 2 }\noutput p, p.indices", "8x4x4"), 192),
        (FEW + body("f: few\nrelu", "8x4x4"), 256),
        (FEW + body("f: few\nrelu\noutput relu(f), f.big", "8x4x4"), 400),
        # No layer, nothing runs; an instance that only hands on makes nothing.
        (body("output data", "8x4x4"), 0),
        ("module same { input x  output x }\n" + body("same\nsame\nadd(data, same(data))"), 6144),
        # What a block returns twice is there once.
        (
            "module d { input x a: relu b: relu(x) output a, b }\n"
            "module e { input x d: d output d, d.b }\n" + body("e: e\nadd(e, e.b)", "8x4x4"),
            384,
        ),
    ],
)
def test_peak(text: str, elements: int) -> None:
    net = net_of(text)
    assert peak_activations(net.body) == peak_of_flat_net(net) == elements
    assert activation_bytes(net) == 4 * elements


@st.composite
def nets(draw: st.DrawFn) -> str:
    """Modules that use each other, with several inputs and results, all of one height and width."""
    modules: list[tuple[str, int, list[str]]] = []
    texts = []
    for m in range(draw(st.integers(1, 5))):
        inputs = [f"x{i}" for i in range(draw(st.integers(1, 3)))]
        lines, outputs = _body(draw, modules, list(inputs))
        heads = [f"input {x}" for x in inputs]
        texts.append(f"module m{m} {{\n" + "\n".join(heads + lines) + "\n}")
        modules.append((f"m{m}", len(inputs), outputs))
    lines, _ = _body(draw, modules, ["data", "other"])
    heads = ["input data: 2x3x3", "input other: 5x3x3"]
    return "\n".join([*texts, "net n {", *heads, *lines, "}"])


def _body(
    draw: st.DrawFn, modules: list[tuple[str, int, list[str]]], values: list[str]
) -> tuple[list[str], list[str]]:
    lines, indices = [], []
    for i in range(draw(st.integers(0, 6))):
        name = f"v{i}"
        pick = st.sampled_from(values)
        kind = draw(st.integers(0, 4 if modules else 3))
        values.append(name)
        if kind == 0:
            lines.append(f"{name}: relu({draw(pick)})")
        elif kind == 1:
            filters = draw(st.integers(1, 9))
            lines.append(f"{name}: conv({draw(pick)}) {{ filters: {filters} kernel: 1 }} -> relu")
        elif kind == 2:
            lines.append(
                f"{name}: concat({', '.join(draw(st.lists(pick, min_size=2, max_size=3)))})"
            )
        elif kind == 3:
            lines.append(f"{name}: maxpool({draw(pick)}) {{ kernel: 1 }}")
            indices.append(f"{name}.indices")
        else:
            module, count, results = draw(st.sampled_from(modules))
            given = ", ".join(draw(pick) for _ in range(count))
            lines.append(f"{name}: {module}({given})")
            values += [f"{name}.{result}" for result in results]
    # What holds indices no layer computes with, so that it can't leave a module.
    found = values if "data" not in values else values + indices
    every = st.lists(
        st.sampled_from(found), min_size=1, max_size=3, unique_by=lambda v: v.split(".")[-1]
    )
    outputs = draw(every)
    lines.append("output " + ", ".join(outputs))
    return lines, [o.split(".")[-1] for o in outputs] if len(outputs) > 1 else []


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(nets())
def test_peak_is_that_of_the_flat_net(text: str) -> None:
    net = net_of(text)
    assert peak_activations(net.body) == peak_of_flat_net(net)
    if net.layers:
        path, alive = at_peak(net.body)
        assert path in paths(net)
        assert sum(v.elements for _, v in alive) == peak_activations(net.body)
        known = {"data", "other"}
        for layer in paths(net):
            known |= {layer[:i] for i, c in enumerate(f"{layer}.") if c == "."}
        assert {name.removesuffix(".indices") for name, _ in alive} <= known


def doubled(times: int) -> Block:
    """A block that uses a block twice, which uses one twice, and so on."""
    span = Span(Source("", ""), 0, 0)
    block: Block | None = None
    for _ in range(times + 1):
        x, a, b = (Value(name, (4, 2, 2)) for name in "xab")
        if block is None:
            node: Layer | Instance = Layer("r", None, OPS["relu"](), (x,), (a,), span)
            other: Layer | Instance = Layer("s", None, OPS["add"](), (a, x), (b,), span)
        else:
            node = Instance("i", None, block, (), (x,), (a,), span)
            other = Instance("j", None, block, (), (a,), (b,), span)
        block = Block("module", "m", "", (x,), (node, other), (b,), ("",))
    assert block is not None
    return block


def test_what_doubles_is_not_worked_out_twice() -> None:
    # 2^41 layers.
    assert peak_activations(doubled(40)) == 3 * 16


def test_modules_that_only_hand_on_are_not_walked() -> None:
    text = "module m0 { input x  output x }\n" + "".join(
        f"module m{i} {{ input x  m{i - 1} -> m{i - 1} }}\n" for i in range(1, 50)
    )
    net = net_of(text + body("m49 -> relu", "4x2x2"))
    assert paths(net) == [row.name for row in rows(net)] == ["relu_1"]
    assert net.layers[0].inputs == net.body.inputs
    assert peak_activations(net.body) == 32


@pytest.mark.slow
def test_peak_grows_in_proportion() -> None:
    def spec(layers: int) -> Net:
        lines = [f"b{i}: m\nc{i}: add(b{i}, data)" for i in range(layers // 2)]
        return net_of(SPIKE + body("\n".join(lines), "8x4x4"))

    small, large = spec(500), spec(5_000)
    assert calls(lambda: peak_activations(large.body)) <= 12 * calls(
        lambda: peak_activations(small.body)
    )
