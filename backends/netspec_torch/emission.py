"""What emitters of PyTorch use (netspec/codegen/writing/emission.py): functions and modules.

    @emits(LeakyRelu)
    def leaky_relu(op: LeakyRelu, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
        return function("F.leaky_relu", "nn.LeakyReLU", Options(w).numbers((op.slope, 0.01)))

Emitters of netspec's own ops are in `emitters.py`.
"""

from __future__ import annotations

from netspec.codegen.python_source import FunctionCall, Infix, Source, call
from netspec.codegen.tracing.nodes import CannotTrace
from netspec.codegen.writing.emission import (
    Emission,
    Forward,
    LibraryEmitters,
    Options,
    apply,
    as_module,
)
from netspec.lazy_dataclasses import replace

__all__ = ["EMITTERS", "Emission", "as_module", "emits", "function", "method"]

EMITTERS = LibraryEmitters("torch", overwrites=True)
emits = EMITTERS.emits


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
