"""Fields of a recipe set by options: `--train batch_size=32`."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.diagnostics import Diagnostic, Diagnostics
from netspec.ir import Net, Training
from netspec.semantic.evaluator import Evaluator
from netspec.semantic.scope import EvaluationError, Scope
from netspec.semantic.train_block import overridden
from netspec.syntax.parser.options import parse_option


def recipe(net: Net, settings: Sequence[tuple[str, str]]) -> Training:
    """The recipe of a net with fields set, or made of these alone. Raises SpecError."""
    diagnostics = Diagnostics()
    fields = [parse_option("--train", name, text, diagnostics) for name, text in settings]
    diagnostics.raise_if_failed()
    given = [field for field in fields if field is not None]
    training = net.training
    if settings or training is None:

        def report(error: EvaluationError) -> None:
            if error.diagnostic is not None:
                diagnostics.add(error.diagnostic)

        training = overridden(net.training, given, Evaluator(Scope()), report)
    if net.training is None and diagnostics.failed and not settings:
        message = f"{net.name} does not say how it is trained"
        help_ = (
            "write a block `train { learning_rate: 0.01  batch_size: 32  epochs: 10 }` into its "
            "spec, or give these fields: `--train learning_rate=0.01 --train ...`",
        )
        diagnostics = Diagnostics()
        diagnostics.add(Diagnostic("missing-field", message, help=help_))
    diagnostics.raise_if_failed()
    assert training is not None, "no recipe and no error"
    return training
