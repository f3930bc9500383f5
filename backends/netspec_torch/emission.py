"""What an emitter says of a layer: how it is written in PyTorch, as a function and as a module.

    @emits(LeakyRelu)
    def leaky_relu(op: LeakyRelu, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
        return function("F.leaky_relu", w.number(op.slope), module="nn.LeakyReLU")

An emitter takes the op, the layer that has it, and what writes the layer's numbers. Emitters of
netspec's own ops are in `emitters.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from netspec.codegen.emitters import Emitters
from netspec.codegen.python_source import FunctionCall, Keyword, Source, Verbatim, call
from netspec.codegen.spelling import ConstructorNumbers
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


def apply(attribute: str, inputs: list[Source]) -> Source:
    """Forward: call the module that the attribute holds."""
    return call(attribute, *inputs)


def as_module(constructor: FunctionCall, forward: Forward = apply) -> Emission:
    """A layer with a module of its own."""
    return Emission(forward, constructor)


def function(head: str, *args: str, module: str = "", inplace: bool = False) -> Emission:
    """A function of the inputs and further arguments; `module` takes just those."""
    return Emission(
        lambda _, inputs: call(head, *inputs, *args),
        module=call(module, *args) if module else None,
        inplace=inplace,
    )


def function_of_numbers(
    w: ConstructorNumbers,
    head: str,
    module: str,
    *numbers: float,
    defaults: tuple[float, ...] = (),
    inplace: bool = False,
) -> Emission:
    """A function where its numbers are the same for all settings, else the module.

    The numbers of a module can depend on the arguments of the class's constructor. Numbers that are
    the `defaults` of both are left out.
    """
    args = [w.number(n) for n in numbers]
    if w.literal(*numbers):
        args = [] if numbers == defaults else args
        return function(head, *args, module=module, inplace=inplace)
    return Emission(apply, call(module, *args))


def method(value: Source, name: str, *args: str) -> FunctionCall:
    """A call of a tensor's method."""
    return FunctionCall(f"{value.flat()}.{name}", tuple(Verbatim(a) for a in args))


class _PlainNumbers(ConstructorNumbers):
    """Writes numbers as they are, for a layer that is only looked at."""

    def __init__(self) -> None:
        pass

    def number(self, number: int | float) -> str:
        return repr(float(number)) if isinstance(number, float) else repr(int(number))

    fixed = number

    def literal(self, *numbers: int | float) -> bool:
        return True

    def flag(self, name: str) -> str | None:
        return None

    def size_of(self, pair: Sequence[int]) -> str | None:
        return None

    def depends_on_sizes(self, number: int) -> bool:
        return False

    @property
    def sizes_are_known(self) -> bool:
        return True

    def support(self, name: str) -> str:
        return name


def emission_of(layer: Layer, several: bool = False) -> Emission:
    """How a layer is written by itself, with its numbers as they are. Raises Unsupported."""
    written = WrittenLayer(layer.op, layer.op, layer.inputs, layer.outputs)
    return EMITTERS[type(layer.op)](written, _PlainNumbers(), several)
