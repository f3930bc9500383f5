"""Random nets with parameters, for tests of what an emitted class does with its arguments.

`RandomNet(seed)` has a text (a net, and modules that it uses) and draws arguments for it. Most
texts and arguments are sound, not all: whoever uses them asks the checker. Nothing here knows a
backend.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

PARAMETERS: dict[str, tuple[str, Sequence[Any]]] = {
    "n": ("2", (1, 2, 3)),
    "f": ("4", (1, 2, 3, 4, 6)),
    "k": ("3", (1, 2, 3, 4, 5)),
    "s": ("1", (1, 2, 3)),
    "q": ("false", (True, False)),
    "kind": ('"a"', ("a", "b", "c")),
    "w": ("0.5", (0.25, 0.5, 0.545, 0.1, 1, 1.5)),
    "act": ("relu", ("relu", "tanh", None)),
    "norm": ("batchnorm", ("batchnorm", "instancenorm", None)),
    "block": ("unit0", ("unit0", "unit1")),
    "sizes": ("[2, 4, 3]", ([2, 4, 3], [1, 2, 3], [5, 5, 5, 5], [3, 6])),
    "rows": ("[[2, 0.5], [4, 1]]", ([[2, 0.5], [4, 1]], [[3, 0.1]], [[1, 1], [3, 2], [2, 0.545]])),
}
HEADS = (
    *(
        "i, (c, r) in enumerate(rows)",
        "i, (c, r) in enumerate(rows, 1)",
        "(i, c) in [[1, 2], [3, 1]]",
    ),
    *(
        "i, (c, (q1, r)) in enumerate(zip([2, n], rows), n)",
        "i in n..0 step -1",
        "i in 1..f step s",
    ),
    *(
        "i, c in enumerate(sizes)",
        "i, (c, r) in enumerate(zip([3, f], [0.5, 1.5]))",
        "(i, r) in rows",
    ),
)
"""Loops over items and by steps, with names for what their numbers are made of."""
NUMBERS = (
    *("f", "2 * f", "f + n", "round(8 * w)", "floor(6 * w) + 1", "3", "max(f, 3)", "n ** 2 + 1"),
    *("sizes[1]", "sizes[n - 1]", "len(sizes)", "f if q else 2 * f", "ceil(f / 2)", "6 / n"),
    *("sum(sizes)", "f * s", '(2 if kind == "a" else n + 1)', "4 * w", "round(100 * w) // 10 + 1"),
)
CONDITIONS = (
    *("q", "not q", "n > 1", "n == 2 or q", "n in [1, 3]", "w >= 0.5", "w == 0.1", "s > 1"),
    *(
        "norm == none",
        'kind == "a"',
        'kind != "b" and n < 3',
        "f > 3",
        "k % 2 == 0",
        "not (q and n > 2)",
    ),
    *("[n, q] == [2, true]", "sizes[0] > 2", 'kind in ["a", "c"]'),
)
ACTIVATIONS = (
    "relu",
    "tanh",
    "sigmoid",
    "identity",
    "hardswish",
    "elu",
    "leaky_relu { slope: 1 / n }",
)


@dataclass
class _Value:
    """A name, and marks of its channels and of its height and width: equal marks, equal sizes."""

    name: str
    channels: str
    plane: str


@dataclass
class _Line:
    """A line that can be used again: what it takes and makes."""

    name: str
    source: _Value
    channels: str
    plane: str


@dataclass
class _Body:
    """The statements of one definition while they are drawn."""

    random: Random
    modules: Sequence[str]
    values: list[_Value]
    flow: _Value
    loops: list[str] = field(default_factory=list)
    count: int = 0
    depth: int = 0
    lets: list[str] = field(default_factory=list)
    lines: list[_Line] = field(default_factory=list)

    def mark(self) -> str:
        self.count += 1
        return f"m{self.count}"

    def name(self) -> str:
        self.count += 1
        return f"v{self.count}"

    def pick(self, options: Sequence[Any]) -> Any:
        return self.random.choice(options)

    def number(self) -> str:
        own = [*NUMBERS, *self.lets, *(f"{v.name}.channels" for v in self.values[:3])]
        own += [f"{i} + 1" for i in self.loops]
        text: str = self.pick(own)
        return text

    def condition(self) -> str:
        own = [*CONDITIONS, *(f"{v.name}.channels > 3" for v in self.values[:2])]
        own += [f"{self.pick(self.values).name}.channels == {self.flow_name()}.channels"]
        own += [f"{i} == 1" for i in self.loops for _ in range(3)]
        text: str = self.pick(own)
        return text

    def flow_name(self) -> str:
        return self.flow.name or self.values[0].name

    def made(self, chain: str, channels: str, plane: str, source: _Value | None = None) -> str:
        """The statement of a chain, with a name or none; what it makes flows on."""
        weights = any(w in chain for w in ("conv", "linear", "batchnorm", "part", "block"))
        named = self.random.random() < (0.8 if weights else 0.5)
        index = "".join(f"[{i}]" for i in self.loops)
        name = self.name() if named else ""
        self.flow = _Value("" if index else name, channels, plane)
        if name and not index:
            self.values.append(self.flow)
        if name and source is not None:
            self.lines.append(_Line(f"{name}{index}", source, channels, plane))
        return f"{name}{index}: {chain}" if name else chain

    def source(self) -> tuple[str, _Value]:
        """An input in round brackets, or none for what flows."""
        if self.random.random() < 0.7:
            return "", self.flow
        value = self.pick(self.values)
        return f"({value.name})", value

    def activation(self) -> str:
        if self.random.random() < 0.2:
            return self.pick((" -> act", " -> norm -> act", " -> norm -> relu"))  # type: ignore[no-any-return]
        if self.random.random() < 0.25:
            some = f"{self.pick(ACTIVATIONS)} if {self.condition()}"
            last = f" else {self.pick(ACTIVATIONS)}" if self.random.random() < 0.5 else ""
            first = self.pick(("", f" -> (batchnorm if {self.condition()})"))
            return f"{first} -> ({some}{last})"
        return f" -> {self.pick(ACTIVATIONS)}" if self.random.random() < 0.5 else ""

    def statements(self, least: int = 1, most: int = 4) -> list[str]:
        lines: list[str] = []
        for _ in range(self.random.randint(least, most)):
            nested = ("branch", "branch", "loop") if self.depth < 2 else ()
            simple = (
                *(
                    "keep",
                    "keep",
                    "conv",
                    "conv",
                    "merge",
                    "merge",
                    "activation_line",
                    "pool",
                    "let",
                ),
                *("transposed", "parts", "concat", "module", "upsample", "pad", "contract"),
                *("again", "again", "block"),
            )
            lines += getattr(self, self.pick((*simple, *nested)))()
        return lines

    def keep(self) -> list[str]:
        """A convolution that keeps the shape."""
        given, v = self.source()
        channels = f"{v.name}.channels" if given else None
        if channels is None and not v.name:
            return [self.made(f"batchnorm{self.activation()}", v.channels, v.plane)]
        kernel = self.pick(("1", "3  pad: 1", "k  pad: same", "2 * n + 1  pad: n", "3  pad: same"))
        text = f"conv{given} {{ filters: {channels or f'{v.name}.channels'}  kernel: {kernel} }}"
        return [self.made(text + self.activation(), v.channels, v.plane, v)]

    def conv(self) -> list[str]:
        given, v = self.source()
        how = self.pick(
            (
                *(
                    "kernel: 1",
                    "kernel: k  pad: same",
                    "kernel: 3  pad: 1",
                    "kernel: 3  pad: n - 1",
                ),
                *("kernel: k  stride: s  pad: same", "kernel: 3  stride: s  pad: 1"),
                *("kernel: k  pad: k // 2", "kernel: 2  pad: [1, 0, s - 1, 0]", "kernel: 1x3"),
            )
        )
        more = self.pick(("", "", "  bias: false", "  bias: q", "  groups: n"))
        plane = v.plane if how in ("kernel: 1", "kernel: k  pad: same") else self.mark()
        text = f"conv{given} {{ filters: {self.number()}  {how}{more} }}{self.activation()}"
        return [self.made(text, self.mark(), plane, v)]

    def again(self) -> list[str]:
        """A line once more, on what has as many channels; heights and widths may be others."""
        fits = [(a, v) for a in self.lines for v in self.values if v.channels == a.source.channels]
        if not fits:
            return self.conv()
        line, v = self.pick(fits)
        plane = line.plane if v.plane == line.source.plane else self.mark()
        text = f"{line.name}({v.name})"
        if self.random.random() < 0.2:
            text = f"add({text}, {text})"
        return [self.made(text + self.activation(), line.channels, plane, v)]

    def merge(self) -> list[str]:
        v = self.pick(self.values)
        alike = [w for w in self.values if (w.channels, w.plane) == (v.channels, v.plane)]
        if self.loops and self.flow_alike(v):
            op = self.pick(("add", "mul"))
            return [self.made(f"{op}({v.name}, {self.pick(alike).name})", v.channels, v.plane)]
        some = ", ".join(self.pick(alike).name for _ in range(self.pick((2, 2, 3))))
        op = self.pick(("add", "add", "mul"))
        return [self.made(f"{op}({some}){self.activation()}", v.channels, v.plane)]

    def flow_alike(self, v: _Value) -> bool:
        return (self.flow.channels, self.flow.plane) == (v.channels, v.plane)

    def concat(self) -> list[str]:
        v = self.pick(self.values)
        alike = [w for w in self.values if w.plane == v.plane]
        some = ", ".join(self.pick(alike).name for _ in range(2))
        return [self.made(f"concat({some})", self.mark(), v.plane)]

    def activation_line(self) -> list[str]:
        given, v = self.source()
        op, space, rest = self.pick(ACTIVATIONS).partition(" ")
        return [self.made(f"{op}{given}{space}{rest}", v.channels, v.plane, v)]

    def pool(self) -> list[str]:
        op = self.pick(("maxpool", "avgpool"))
        how = self.pick(
            (
                "kernel: 2  round: floor",
                "kernel: 3  stride: s  pad: 1  round: ceil",
                "kernel: 3  stride: 1  pad: 1  round: floor",
                "kernel: k  stride: 2  round: ceil",
            )
        )
        more = "  count_include_pad: q" if op == "avgpool" and "pad" in how else ""
        return [self.made(f"{op} {{ {how}{more} }}", self.flow.channels, self.mark())]

    def let(self) -> list[str]:
        if self.loops or self.depth:
            return [self.made("relu", self.flow.channels, self.flow.plane)]
        name = f"let{self.mark()}"
        line = f"let {name} = {self.number()}"
        self.lets.append(name)
        return [line]

    def contract(self) -> list[str]:
        return [
            self.pick(("expect n < 5", "expect f * n > 0", "expect sizes[0] > 0", "expect w < 2"))
        ]

    def transposed(self) -> list[str]:
        how = self.pick(
            (
                "kernel: 2  stride: 2",
                "kernel: k  stride: s  pad: same",
                "kernel: 3  stride: 2  pad: [0, n - 1, 1, 0]",
                "kernel: 3  stride: 2  pad: 1  output_pad: 1",
            )
        )
        text = f"conv_transpose {{ filters: {self.number()}  {how} }}"
        return [self.made(text, self.mark(), self.mark())]

    def parts(self) -> list[str]:
        if self.loops:
            return self.activation_line()
        name, parts = self.name(), self.pick(("2", "n", "n"))
        other = f"u{name[1:]}"
        self.flow = _Value(other, self.mark(), self.flow.plane)
        self.values.append(self.flow)
        return [
            f"{name}: conv {{ filters: 2 * {parts}  kernel: 1 }} -> split {{ parts: {parts} }}",
            f"{other}: {self.pick(('add', 'concat', 'mul'))}({name}, {name}.part{self.pick((1, 2))})",
        ]

    def upsample(self) -> list[str]:
        if self.random.random() < 0.5:
            target = self.pick(self.values)
            text = f"upsample {{ size: {target.name}.shape  mode: nearest }}"
            return [self.made(text, self.flow.channels, target.plane)]
        text = f"upsample {{ scale: {self.pick(('2', 's'))}  mode: nearest }}"
        return [self.made(text, self.flow.channels, self.mark())]

    def pad(self) -> list[str]:
        how = self.pick(("pads: 1", "pads: [0, n, 1, 0]", "channels: [0, n]", "pads: s  value: w"))
        return [self.made(f"pad {{ {how} }}", self.mark(), self.mark())]

    def module(self) -> list[str]:
        if not self.modules:
            return self.activation_line()
        given = self.random.sample(list(PARAMETERS), self.random.randint(0, 3))
        fields = {
            "n": ("n", "1", "3", "n + 1"),
            "f": ("f", "2 * f", "3", "round(8 * w)"),
            "k": ("k", "1", "3"),
            "s": ("s", "1", "2"),
            "q": ("q", "true", "not q"),
            "kind": ("kind", '"b"', '"c" if q else "a"'),
            "w": ("w", "0.25", "w / 2"),
            "act": ("act", "act", "tanh", "none", "elu { alpha: 2 }", "(relu if q else tanh)"),
            "norm": ("norm", "norm", "none", "batchnorm { eps: 0.1 }", "groupnorm { groups: 1 }"),
            "block": ("block", "unit1", "unit0 { act: tanh }", "(unit0 if q else unit1)"),
            "sizes": ("sizes", "[f, 2, 3]", "[1, n, 2]"),
            "rows": ("rows", "[[f, 0.5], [3, n]]", "[[2, w]]"),
        }
        text = "  ".join(f"{p}: {self.pick(fields[p])}" for p in given)
        source, v = self.source()
        chain = f"{self.pick(self.modules)}{source} {{ {text} }}"
        return [self.made(chain, self.mark(), self.mark(), v)]

    def block(self) -> list[str]:
        """A use of the module that a parameter holds."""
        source, v = self.source()
        chain = f"block{source} {{ f: {self.number()} }}{self.activation()}"
        return [self.made(chain, self.mark(), v.plane, v)]

    def branch(self) -> list[str]:
        """An `if` of one to three conditions; what all branches name alike is there behind it."""
        conditions = [self.condition() for _ in range(self.pick((1, 1, 2, 3)))]
        otherwise = self.random.random() < 0.7
        before, flow, lines = list(self.values), self.flow, list(self.lines)
        shared = self.name() if otherwise and not self.loops and self.random.random() < 0.6 else ""
        mark = (self.mark(), self.mark())
        same = self.random.random() < 0.5
        blocks = []
        ends = []
        for _ in range(len(conditions) + otherwise):
            self.values, self.flow, self.lines = list(before), flow, list(lines)
            self.depth += 1
            inner = self.statements(1, 2)
            if shared:
                given, v = self.source()
                if same and (v.name or given):
                    width = "x.channels"
                    inner.append(f"{shared}: conv{given} {{ filters: {width}  kernel: 1 }}")
                else:
                    inner.append(f"{shared}: {self.pick(('relu', 'identity', 'tanh'))}{given}")
            self.depth -= 1
            ends.append(self.flow)
            blocks.append(" {\n" + "\n".join(inner) + "\n}")
        self.values, self.flow, self.lines = before, _Value("", *mark), lines
        if shared:
            self.flow = _Value(shared, *mark)
            self.values.append(self.flow)
        elif otherwise and len({(e.channels, e.plane) for e in ends}) == 1:
            self.flow = _Value("", ends[0].channels, ends[0].plane)
        text = f"if {conditions[0]}{blocks[0]}"
        for condition, block in zip(conditions[1:], blocks[1:], strict=False):
            text += f" else if {condition}{block}"
        return [text + (f" else{blocks[-1]}" if otherwise else "")]

    def loop(self) -> list[str]:
        variable = "ij"[len(self.loops)] if len(self.loops) < 2 else ""
        if not variable:
            return self.activation_line()
        span = self.pick(("1..n", "1..n", "1..2", "1..len(sizes)", "[1, 3]", "2..n + 1"))
        if not self.loops and span == "1..n" and self.random.random() < 0.4:
            return self.carrying()
        head = f"{variable} in {span}"
        lets = list(self.lets)
        if variable == "i" and self.random.random() < 0.3:
            head, span = self.pick(HEADS), ""
            names = head.partition(" in ")[0]
            self.lets += ["c", "2 * c"] * ("c" in names) + ["round(2 * r) + 1"] * ("r" in names)
        before, flow, outside = list(self.values), self.flow, list(self.lines)
        self.loops.append(variable)
        self.depth += 1
        start = self.count
        inner = self.statements(1, 3)
        self.depth -= 1
        self.loops.pop()
        self.values, self.lets = before, lets
        items = [a for a in self.lines if a not in outside and a.name.endswith(f"[{variable}]")]
        first = "2" if span.startswith("2") else "1"
        items = items if span else []  # else the first index is unknown
        outside += [replace(a, name=f"{a.name.partition('[')[0]}[{first}]") for a in items]
        self.lines = outside if not self.loops else [a for a in outside if a.name.count("[") < 2]
        same = (self.flow.channels, self.flow.plane) == (flow.channels, flow.plane)
        kept = (flow.channels, flow.plane) if same else (self.mark(), self.mark())
        self.flow = _Value("", *kept)
        text = [f"for {head} {{\n" + "\n".join(inner) + "\n}"]
        named = [line.partition("[")[0] for line in inner if f"[{variable}]:" in line]
        named = [
            n for n in named if n.startswith("v") and int(n[1:] or 0) > start and "\n" not in n
        ]
        if named and not self.loops and span not in ("", "2..n + 1") and self.random.random() < 0.5:
            item = f"{self.pick(named)}[{self.pick(('1', '1', 'n'))}]"
            text.append(self.made(f"{self.pick(('relu', 'identity'))}({item})", *self.marks()))
        return text

    def marks(self) -> tuple[str, str]:
        return self.mark(), self.mark()

    def carrying(self) -> list[str]:
        """A loop that hands a value on by its name."""
        cur, new = self.name(), self.name()
        v = self.pick(self.values)
        join = self.pick(("concat", "concat", "add"))
        channels = f"{v.name}.channels" if join == "add" else self.number()
        self.flow = _Value("", self.mark() if join == "concat" else v.channels, v.plane)
        last = self.name()
        if join == "add" and self.random.random() < 0.5:
            self.flow = _Value(last, v.channels, v.plane)
            self.values.append(self.flow)
            return [
                f"{cur}[0]: identity({v.name})",
                f"{cur}[1]: conv({v.name}) {{ filters: {channels}  kernel: 1 }}",
                f"for i in 2..n + 1 {{ {cur}[i]: add(relu({cur}[i - 2]), {cur}[i - 1]) }}",
                f"{last}: sub({cur}[n + 1], {cur}[n])",
            ]
        lines = [
            f"{cur}[0]: identity({v.name})",
            f"for i in 1..n {{\n{new}[i]: conv({cur}[i - 1]) {{ filters: {channels}  kernel: 1 }}"
            f"\n{cur}[i]: {join}({cur}[i - 1], {new}[i])\n}}",
            f"{last}: {self.pick(('relu', 'tanh'))}({cur}[n])",
        ]
        self.flow = _Value(last, self.flow.channels, v.plane)
        self.values.append(self.flow)
        return lines


UNITS = """
module unit0(f, act = relu) {
  input x
  a: conv { filters: f  kernel: 1 } -> act
}
module unit1(f, act = relu) {
  input x
  a: conv { filters: 2 * f  kernel: 1 } -> batchnorm
  if x.channels == 2 * f { act(add(a, x)) }
}
"""
"""Modules that the parameter `block` may hold."""


class RandomNet:
    """A random net: its `text`, and random arguments of it."""

    def __init__(self, seed: int) -> None:
        self.random = random = Random(seed)
        parts: list[str] = []
        names: list[str] = []
        for i in range(random.randint(0, 2)):
            several = random.random() < 0.2
            parts.append(self.definition("module", f"part{i}", names, several))
            names.append(f"part{i}")
        self.text = "\n".join(
            [UNITS, *parts, self.definition("net", "tiny", names, random.random() < 0.3)]
        )

    def definition(self, kind: str, name: str, modules: Sequence[str], several: bool) -> str:
        first = _Value("x", "x", "x")
        body = _Body(self.random, list(modules), [first], first)
        lines = body.statements(2, 6)
        if kind == "net" and self.random.random() < 0.3:
            lines.append("fc: flatten -> linear { units: f }")
        elif several and len(body.values) > 1:
            lines.append(f"output {', '.join(v.name for v in self.random.sample(body.values, 2))}")
        parameters = ", ".join(f"{p} = {default}" for p, (default, _) in PARAMETERS.items())
        given = ": 4x9x8" if kind == "net" else ""
        return f"{kind} {name}({parameters}) {{\ninput x{given}\n" + "\n".join(lines) + "\n}"

    def arguments(self) -> dict[str, Any]:
        """Values for some of the parameters."""
        some = self.random.sample(list(PARAMETERS), self.random.randint(1, 4))
        return {p: self.random.choice(PARAMETERS[p][1]) for p in some}
