"""A program over tensors as a graph of the language, one operation after the other."""

from __future__ import annotations

from math import prod

from netspec.diagnostics import Diagnostic
from netspec.diagnostics.suggest import did_you_mean
from netspec.importers.structure.graph import Graph
from netspec.importers.tensors.numbers import NumberError
from netspec.importers.tensors.program import Operation, TensorProgram
from netspec.importers.tensors.rules import RULES
from netspec.importers.tensors.rules.elementwise import activation
from netspec.importers.tensors.rules.pooling import settle_rounding
from netspec.importers.tensors.translation import ProgramTranslation, TranslationError, Unsayable
from netspec.ops import OPS
from netspec.ops.base import MAX_ELEMENTS, Elementwise


def translate(program: TensorProgram) -> Graph:
    """The graph of a program. Raises TranslationError for the first operation that has none."""
    to = ProgramTranslation(program)
    for tensor in program.inputs:
        to.add_input(tensor)
    for operation in program.operations:
        to.at = operation
        try:
            _translate(to, operation)
        except Unsayable as error:
            raise TranslationError(to.diagnostic(operation, error)) from None
        except NumberError as error:
            found = Unsayable(str(error), code="out-of-range")
            raise TranslationError(to.diagnostic(operation, found)) from None
    for tensor in program.outputs:
        try:
            to.graph.outputs.append(to.result_of(tensor))
        except Unsayable as error:
            span = to.at.span if to.at is not None else to.whole()
            message = f"{tensor.name}: {error.message}"
            raise TranslationError(Diagnostic(error.code, message, span)) from None
    settle_rounding(to.graph)
    return to.graph


def _translate(to: ProgramTranslation, operation: Operation) -> None:
    if any(prod(tensor.shape) > MAX_ELEMENTS for tensor in operation.outputs):
        raise Unsayable("its result is larger than netspec handles", code="too-large")
    kind = operation.kind
    if kind in RULES:
        RULES[kind](to, operation)
    elif kind in OPS and issubclass(OPS[kind], Elementwise):
        activation(to, operation)
    else:
        help_ = did_you_mean(kind, RULES) if kind in OPS else ()
        raise Unsayable(f"{kind} has no counterpart in the language", *help_)
