"""What an emitter says of a layer: how it is written in PyTorch, as a function and as a module.

    @emits(LeakyRelu)
    def leaky_relu(op: LeakyRelu, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
        return function("F.leaky_relu", "nn.LeakyReLU", Options(w).numbers((op.slope, 0.01)))

An emitter takes the op, the layer that has it, and what writes the layer's numbers. Emitters of
netspec's own ops are in `emitters.py`.
"""

from __future__ import annotations

from collections.abc import Callable

from netspec.codegen.emitters import Emitters
from netspec.codegen.python_source import FunctionCall, Infix, Keyword, Source, Verbatim, call
from netspec.codegen.tracing.nodes import CannotTrace
from netspec.codegen.writing.emission import Forward, Options, WrittenLayer, apply
from netspec.codegen.writing.spelling import ConstructorNumbers
from netspec.lazy_dataclasses import dataclass, replace
from netspec.ops import Op


@dataclass(frozen=True)
class Emission:
    """How a layer is written.

    `constructor` makes the module that the class keeps as an attribute, and `forward` calls it by
    that name; without one the layer is a function, and `module` makes the module that does the
    same to one input, if PyTorch has one. `inplace`: both take `inplace=True`, which overwrites the
    input. `fresh`: the result is a new tensor, which the layer's gradient has no need of, so that
    it may be overwritten. `wraps`: it reads well around the expression of its input. `one_size`:
    the attribute of the module that says how many features it takes, where heights and widths
    decide that, so that `forward` checks it.
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


Emitter = Callable[[WrittenLayer, ConstructorNumbers], Emission]
"""Of a layer, and what writes its numbers."""

EMITTERS: Emitters[Emitter] = Emitters("torch")


def emits(
    op: type[Op], *, wraps: bool = False
) -> Callable[[Callable[..., Emission]], Callable[..., Emission]]:
    """Decorator: register the emitter of an op, a function `(op, layer, w) -> Emission`.

    `wraps` is that of the emission; what it may overwrite, the op says. The emitter raises
    Unsupported (netspec.codegen.backend) for what PyTorch can't express.
    """

    def register(emitter: Callable[..., Emission]) -> Callable[..., Emission]:
        def emission(layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
            made = emitter(layer.op, layer, w)
            inplace = op.overwrites and made.constructor is None
            return replace(made, wraps=wraps, fresh=op.overwritable, inplace=inplace)

        EMITTERS[op] = emission
        return emitter

    return register


def as_module(constructor: FunctionCall, forward: Forward = apply) -> Emission:
    """A layer with a module of its own."""
    return Emission(forward, constructor)


def function(
    head: str,
    module: str = "",
    options: Options | None = None,
    *,
    forward: Forward = apply,
) -> Emission:
    """A function of the inputs and options, or the module, where arguments decide these.

    `forward` prepares the inputs, and calls the function or the module; of an `Infix`, each
    operand is such a call.
    """
    args = () if options is None else options.args
    if options is not None and not options.fixed:
        if options.of_sizes:
            raise CannotTrace("numbers of which some follow sizes, and some arguments")
        return as_module(call(module, *args), forward)

    def with_options(source: Source) -> Source:
        if isinstance(source, Infix):
            return replace(source, operands=tuple(map(with_options, source.operands)))
        assert isinstance(source, FunctionCall)
        return replace(source, args=(*source.args, *args))

    of_sizes = options is not None and options.of_sizes
    alone = call(module, *args) if module and forward is apply and not of_sizes else None
    return Emission(lambda _, inputs: with_options(forward(head, inputs)), module=alone)


def method(value: Source, name: str, *args: str) -> FunctionCall:
    """A call of a tensor's method."""
    return call(f"{value.flat()}.{name}", *args)
