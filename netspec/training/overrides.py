"""Fields of a recipe set from outside: `--train batch_size=32`."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.diagnostics import Diagnostic, Diagnostics
from netspec.diagnostics.source import Source
from netspec.ir import Net, Training
from netspec.semantic.evaluator import Evaluator, Scope
from netspec.semantic.train_block import overridden
from netspec.syntax.ast import Definition, Expression, Let
from netspec.syntax.parser import parse


def recipe(net: Net, settings: Sequence[tuple[str, str]]) -> Training:
    """The recipe of a net with fields set, or made of these alone. Raises SpecError."""
    diagnostics = Diagnostics()
    parsed: list[tuple[str, Expression]] = []
    for name, text in settings:
        value = _expression(name, text)
        if value is None:
            message = f"--train {name}={text} is no constant of the language"
            diagnostics.add(Diagnostic("wrong-type", message))
        else:
            parsed.append((name, value))
    diagnostics.raise_if_failed()
    training = net.training
    if settings or training is None:

        def report(diagnostic: Diagnostic | None) -> None:
            if diagnostic is not None:
                diagnostics.add(diagnostic)

        training = overridden(net.training, parsed, Evaluator(Scope(), {}), report)
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


def _expression(name: str, text: str) -> Expression | None:
    source = Source(f"--train {name}", f"module set {{ let value = {text}\n}}")
    file = parse(source, Diagnostics())
    if file is None or len(file.items) != 1 or not isinstance(file.items[0], Definition):
        return None
    body = file.items[0].body
    return body[0].value if len(body) == 1 and isinstance(body[0], Let) else None
