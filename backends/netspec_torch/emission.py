"""What an emitter says of a layer: how it is written in PyTorch, as a function and as a module.

    @emits(LeakyRelu)
    def leaky_relu(op: LeakyRelu, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
        return function("F.leaky_relu", "nn.LeakyReLU", Options(w).numbers((op.slope, 0.01)))

An emitter takes the op, the layer that has it, and what writes the layer's numbers. Emitters of
netspec's own ops are in `emitters.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Protocol, Self

from netspec.codegen.emitters import Emitters
from netspec.codegen.python_source import FunctionCall, Keyword, Source, Verbatim, call
from netspec.codegen.spelling import ConstructorNumbers
from netspec.codegen.trace_nodes import CannotTrace
from netspec.ir import Layer
from netspec.lazy_dataclasses import dataclass, replace
from netspec.ops import Op, Shape

Forward = Callable[[str, list[Source]], Source]
"""Of the layer's attribute (`self.conv1`) and the sources of its inputs, that of its result."""


class Shaped(Protocol):
    """A value: of a net, or of the trace of a template."""

    @property
    def shape(self) -> Shape: ...


@dataclass(frozen=True)
class WrittenLayer:
    """A layer as its class is written: its op as settled and as stated, and its values."""

    op: Op
    stated: Any
    inputs: tuple[Shaped, ...]
    outputs: tuple[Shaped, ...]


@dataclass(frozen=True)
class Emission:
    """How a layer is written.

    `constructor` makes the module that the class keeps as an attribute, and `forward` calls it by
    that name; without one the layer is a function, and `module` makes the module that does the
    same to one input, if PyTorch has one. `inplace`: both take `inplace=True`, which overwrites the
    input. `fresh`: the result is a new tensor, which the layer's gradient has no need of, so that
    it may be overwritten. `one_size`: the attribute of the module that says how many features it
    takes, where heights and widths decide that, so that `forward` checks it.
    """

    forward: Forward
    constructor: FunctionCall | None = None
    module: FunctionCall | None = None
    inplace: bool = False
    fresh: bool = False
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


Emitter = Callable[[WrittenLayer, ConstructorNumbers, bool], Emission]
"""Of a layer, what writes its numbers, and whether more than its first result is used."""

EMITTERS: Emitters[Emitter] = Emitters("torch")
WRAPS: set[type[Op]] = set()
"""Ops that read well around the expression of their input."""


def emits(
    op: type[Op], *, wraps: bool = False, fresh: bool = False, several: bool = False
) -> Callable[[Callable[..., Emission]], Callable[..., Emission]]:
    """Decorator: register the emitter of an op, a function `(op, layer, w) -> Emission`.

    With `wraps`, the op reads well around the expression of its input; `fresh` is that of the
    emission. With `several`, the emitter takes as a fourth argument whether more than the first
    result is used; it raises Unsupported (netspec.codegen.backend) for what PyTorch can't express.
    """

    def register(emitter: Callable[..., Emission]) -> Callable[..., Emission]:
        def of_layer(layer: WrittenLayer, w: ConstructorNumbers, more: bool) -> Emission:
            emission = emitter(layer.op, layer, w, *([more] if several else []))
            return replace(emission, fresh=fresh)

        EMITTERS[op] = of_layer
        if wraps:
            WRAPS.add(op)
        return emitter

    return register


class Options:
    """What a layer's module or function takes, without what is PyTorch's default.

    `fixed`: it is the same for all arguments of the class's constructor. `of_sizes`: it follows
    heights and widths, so that it is said in `forward`.
    """

    def __init__(self, w: ConstructorNumbers) -> None:
        self.w = w
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
        if any(map(self.w.depends_on_sizes, pair)):
            self.of_sizes = True
            return self.source(name, self.w.fixed_pair(pair))
        if default is None or not all(self.w.always(n, default) for n in pair):
            self._add(name, self.w.pair(pair), *pair)
        return self

    def flag(self, name: str, value: bool) -> Self:
        """A truth value that is True in PyTorch unless it is said otherwise."""
        decided = self.w.flag(name)
        self.fixed &= decided is None
        return self if value and decided is None else self.source(name, decided or "False")

    def source(self, name: str, source: str) -> Self:
        """Source as it stands."""
        self._add(name, source)
        return self

    def _add(self, name: str, source: str, *numbers: float) -> None:
        self.fixed &= self.w.literal(*numbers)
        self.args.append(Keyword(name, Verbatim(source)) if name else Verbatim(source))


def apply(attribute: str, inputs: list[Source]) -> Source:
    """Forward: call the module that the attribute holds."""
    return call(attribute, *inputs)


def as_module(constructor: FunctionCall, forward: Forward = apply) -> Emission:
    """A layer with a module of its own."""
    return Emission(forward, constructor)


def function(
    head: str,
    module: str = "",
    options: Options | None = None,
    *,
    inplace: bool = False,
    forward: Forward = apply,
) -> Emission:
    """A function of the inputs and options, or the module, where arguments decide these.

    `forward` prepares the inputs, and calls the function or the module.
    """
    args = () if options is None else options.args
    if options is not None and not options.fixed:
        if options.of_sizes:
            raise CannotTrace("numbers of which some follow sizes, and some arguments")
        return as_module(call(module, *args), forward)

    def with_options(_: str, inputs: list[Source]) -> Source:
        source = forward(head, inputs)
        assert isinstance(source, FunctionCall)
        return replace(source, args=(*source.args, *args))

    of_sizes = options is not None and options.of_sizes
    alone = call(module, *args) if module and forward is apply and not of_sizes else None
    return Emission(with_options, module=alone, inplace=inplace)


def method(value: Source, name: str, *args: str) -> FunctionCall:
    """A call of a tensor's method."""
    return call(f"{value.flat()}.{name}", *args)


def check_layer(layer: Layer, several: bool) -> None:
    """Raise Unsupported for a layer that PyTorch can't express."""
    nowhere: Any = SimpleNamespace(
        **dict.fromkeys(("printer", "whole", "print", "in_forward"), lambda term: "0"),
        supports=set(),
        trace=SimpleNamespace(block=layer),
    )
    written = WrittenLayer(layer.op, layer.op, layer.inputs, layer.outputs)
    numbers = ConstructorNumbers(nowhere, SimpleNamespace(terms={}))  # type: ignore[arg-type]
    EMITTERS[type(layer.op)](written, numbers, several)
