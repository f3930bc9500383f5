"""The body of a net or module, run from its parameters to the checks at its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from netspec.ir import Block
from netspec.ops import Shape
from netspec.semantic.elaborate.block_builder import BlockBuilder
from netspec.semantic.elaborate.block_checks import check_contracts, check_detection, warn_of_unused
from netspec.semantic.elaborate.inputs_outputs import finish_outputs
from netspec.semantic.elaborate.parameters import (
    declare_module_parameters,
    declare_net_parameters,
)
from netspec.semantic.elaborate.statements import StatementRunner
from netspec.semantic.limits import LimitExceeded
from netspec.semantic.scope import POISON, EvaluationError, Poison
from netspec.syntax.ast import ContractStatement


def run_net(b: BlockBuilder, settings: Mapping[str, Any]) -> Block | Poison:
    """The block of a net for values of its parameters; poison, and the errors, where it has some.

    Raises LimitExceeded, its diagnostic reported.
    """
    variant = b.module.variant
    # They are about what was published: with other settings it is another net.
    contracts = variant.contracts if variant is not None and not settings else ()
    return _run(b, partial(declare_net_parameters, b, settings), (), contracts)


def run_module(
    b: BlockBuilder, arguments: Mapping[str, Any], shapes: Sequence[Shape]
) -> Block | Poison:
    """The block of a module for its arguments and the shapes of its inputs; else like `run_net`."""
    return _run(b, partial(declare_module_parameters, b, arguments), shapes)


def _run(
    b: BlockBuilder,
    declare: Callable[[], None],
    shapes: Sequence[Shape],
    contracts: Sequence[ContractStatement] = (),
) -> Block | Poison:
    try:
        declare()
        StatementRunner(b, shapes).run((*b.definition.body, *contracts))
        finish_outputs(b)
        block = b.block()
        check_contracts(b, block)
        check_detection(b, block)
    except EvaluationError as error:
        b.fail(error)
        return POISON
    except LimitExceeded as error:
        if error.diagnostic is not None:
            b.note(error.diagnostic)
        raise LimitExceeded from None
    if not isinstance(block, Poison):
        b.context.names[block] = b.names
        warn_of_unused(b, block)
    return block
