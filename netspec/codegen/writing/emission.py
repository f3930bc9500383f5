"""What emitters of libraries say: how a layer is written, as a call and as what its class keeps.

    @emits(LeakyRelu)
    def leaky_relu(op: LeakyRelu, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
        return Emission(lambda _, inputs: call("ops.leaky_relu", *inputs, w.fixed(op.slope)))

An emitter takes the op, the layer that has it, and what writes the layer's numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Self

from netspec.codegen.emitters import Emitters
from netspec.codegen.python_source import FunctionCall, Keyword, Source, Verbatim, call
from netspec.codegen.tracing.nodes import TraceValue
from netspec.codegen.writing.spelling import ConstructorNumbers
from netspec.ir import Value
from netspec.lazy_dataclasses import dataclass, replace
from netspec.ops import Init, Learned, LearnedWithBias, Op, Tensor

Forward = Callable[[str, list[Source]], Source]
"""Of the layer's attribute (`self.conv1`) and the sources of its inputs, that of its result."""


@dataclass(frozen=True)
class WrittenLayer:
    """A layer as its class is written: its op as settled and as stated, and its values.

    `several`: more than its first result is used.
    """

    op: Op
    stated: Any
    inputs: tuple[Value | TraceValue, ...]
    outputs: tuple[Value | TraceValue, ...]
    several: bool

    @property
    def of_map(self) -> bool:
        """Whether the first input has height and width."""
        return len(self.inputs[0].shape) == 3


def apply(attribute: str, inputs: list[Source]) -> Source:
    """Forward: call the layer that the attribute holds."""
    return call(attribute, *inputs)


@dataclass(frozen=True)
class Emission:
    """How a layer is written.

    `constructor` makes the module that the class keeps as an attribute, and `forward` calls it by
    that name; without one the layer is a function, and `module` makes the module that does the
    same to one input, if the library has one. `inplace`: both take `inplace=True`, which overwrites
    the input. `fresh`: the result is a new tensor, which the layer's gradient has no need of, so
    that it may be overwritten. `wraps`: it reads well around the expression of its input.
    `one_size`: the attribute of the module that says how many features it takes, where heights and
    widths decide that, so that `forward` checks it.
    """

    forward: Forward
    constructor: FunctionCall | None = None
    module: FunctionCall | None = None
    inplace: bool = False
    fresh: bool = False
    wraps: bool = False
    one_size: str = ""

    def call(self, attribute: str, inputs: list[Source], overwrite: bool = False) -> Source:
        """The source of the result; with `overwrite`, the input may be overwritten."""
        source = self.forward(attribute, inputs)
        if overwrite and self.inplace and isinstance(source, FunctionCall):
            return _in_place(source)
        return source

    def in_sequence(self, overwrite: bool) -> FunctionCall | None:
        """The constructor of a module that does it all to one input; None where there is none."""
        if self.constructor is None:
            if self.module is None or not (overwrite and self.inplace):
                return self.module
            return _in_place(self.module)
        plain = not self.one_size and self.forward("m", [Verbatim("x")]).flat() == "m(x)"
        return self.constructor if plain else None


def _in_place(source: FunctionCall) -> FunctionCall:
    return replace(source, args=(*source.args, Keyword("inplace", Verbatim("True"))))


def as_module(constructor: FunctionCall, forward: Forward = apply) -> Emission:
    """A layer with a module of its own."""
    return Emission(forward, constructor)


Emitter = Callable[[WrittenLayer, ConstructorNumbers], Emission]
"""Of a layer, and what writes its numbers."""
Register = Callable[[Callable[..., Emission]], Callable[..., Emission]]


class LibraryEmitters(Emitters[Emitter]):
    """The emitters of a library; `overwrites`: it has functions that overwrite their inputs."""

    def __init__(self, backend: str, overwrites: bool) -> None:
        super().__init__(backend)
        self.overwrites = overwrites

    def emits(self, *ops: type[Op], wraps: bool = False) -> Register:
        """Decorator: register the emitter of ops, a function `(op, layer, w) -> Emission`.

        `wraps` is that of the emission; what it may overwrite, the op says. The emitter raises
        Unsupported (netspec.codegen.backend) for what the library can't express.
        """

        def register(emitter: Callable[..., Emission]) -> Callable[..., Emission]:
            def emission(layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
                made, op = replace(emitter(layer.op, layer, w), wraps=wraps), type(layer.op)
                if not self.overwrites:
                    return made
                inplace = op.overwrites and made.constructor is None
                return replace(made, fresh=op.overwritable, inplace=inplace)

            self.update(dict.fromkeys(ops, emission))
            return emitter

        return register


class Options:
    """What a layer's module or function takes, without what is the library's default.

    `fixed`: it is the same for all arguments of the class's constructor. `of_sizes`: it follows
    heights and widths, so that it is said in `forward`.
    """

    def __init__(self, w: ConstructorNumbers, in_forward: bool = True) -> None:
        self.w = w
        self.in_forward = in_forward
        """Whether numbers that follow sizes can be said in `forward`."""
        self.args: list[Source] = []
        self.fixed = True
        self.of_sizes = False

    def numbers(self, *numbers: tuple[float, float | None]) -> Self:
        """Numbers by position, each with its default; all are left out where all are that."""
        if any(d is None or not self.w.always(n, d) for n, d in numbers):
            for number, _ in numbers:
                self._add("", self.w.number(number), number)
        return self

    def number(self, name: str, number: float, default: float | None = None) -> Self:
        """A number; one that an argument decides is said, whatever it is by default."""
        if default is None or not self.w.always(number, default):
            self._add(name, self.w.number(number), number)
        return self

    def pair(self, name: str, pair: tuple[int, int], default: int | None = None) -> Self:
        """A number for height and one for width; without a name, by position."""
        if self.in_forward and any(map(self.w.depends_on_sizes, pair)):
            self.of_sizes = True
            return self.source(name, self.w.fixed_pair(pair))
        if default is None or not all(self.w.always(n, default) for n in pair):
            self._add(name, self.w.pair(pair), *pair)
        return self

    def flag(self, name: str, value: bool, *keywords: str) -> Self:
        """A truth value that is True unless it is said otherwise, by its name or by keywords."""
        decided = self.w.flag(name)
        self.fixed &= decided is None
        for keyword in (keywords or (name,)) if decided or not value else ():
            self.source(keyword, decided or "False")
        return self

    def source(self, name: str, source: str) -> Self:
        """Source as it stands."""
        self._add(name, source)
        return self

    def _add(self, name: str, source: str, *numbers: float) -> None:
        self.fixed &= self.w.literal(*numbers)
        self.args.append(Keyword(name, Verbatim(source)) if name else Verbatim(source))


def tensor_laws(op: Learned, tensors: Mapping[str, Tensor]) -> dict[str, Init]:
    """How the learned tensors of a layer begin that the layer says it of."""
    found = {}
    for name in (n for n, tensor in tensors.items() if tensor.learnable):
        law = op.bias_init if isinstance(op, LearnedWithBias) and name == "bias" else op.init
        if law is not None:
            found[name] = law
    return found


def sliced(x: Source, *parts: str) -> Source:
    """A value's parts, along the dimensions behind its batch."""
    kept = [":", *parts]
    while kept[-1] == ":":
        kept.pop()
    return FunctionCall(x.flat(), tuple(map(Verbatim, kept)), "[]")


def places(w: ConstructorNumbers, section: tuple[int, int, int] | None) -> str:
    """Places of a dimension as a slice, in the layout of ruff; None is all of them."""
    if section is None:
        return ":"
    first, end, step = section
    sides = ["" if w.always(first, 0) else w.fixed(first), w.fixed(end)]
    sides += [] if w.always(step, 1) else [w.fixed(step)]
    simple = all(re.fullmatch(r"-?\w*", side) for side in sides)
    return ":".join(sides) if simple else " : ".join(sides).lstrip()
