"""Options of tables as values: columns, counting conventions, compression."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from netspec.diagnostics import spec_error
from netspec.diagnostics.suggest import did_you_mean, one_of
from netspec.ir import Net
from netspec.lazy_dataclasses import replace
from netspec.metrics.compression import FLOAT, Compression, LayerRule
from netspec.metrics.counting import CONVENTIONS, Convention
from netspec.metrics.size import RULE
from netspec.report.columns import COLUMNS

if TYPE_CHECKING:
    from netspec.metrics.training_memory import TrainingPlan

_NUMBER = re.compile(r"([0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})(%?)")
ALIASES = {"type": "op", "name": "layer", "%": "params_share"}


def convention(name: str) -> Convention | None:
    """A counting convention by its name; None for `netspec`. Raises SpecError (bad-option)."""
    if name == "netspec":
        return None
    if name not in CONVENTIONS:
        raise spec_error(
            "bad-option",
            f"no counting convention is called {name}",
            help=(
                *did_you_mean(name, CONVENTIONS),
                f"there are {one_of(('netspec', *CONVENTIONS))}",
            ),
        )
    return CONVENTIONS[name]


def compression(
    sparsity: Sequence[LayerRule], bits: Sequence[LayerRule], index_bits: int = 4
) -> Compression | None:
    """A compression from its rules; None without any. Raises SpecError (bad-option)."""
    for rule in sparsity:
        if not 0 <= rule.number <= 1:
            raise spec_error(
                "bad-option",
                f"a sparsity lies between 0 and 1 (or 0% and 100%), {_written(rule)} does not",
            )
    for rule in bits:
        if rule.number.denominator != 1 or not 1 <= rule.number <= FLOAT:
            raise spec_error("bad-option", f"a weight has 1 to {FLOAT} bits, not {_written(rule)}")
    if not 0 <= index_bits <= FLOAT:
        raise spec_error("bad-option", f"--index-bits is at most {FLOAT}")
    if not sparsity and not bits:
        return None
    return Compression(tuple(sparsity), tuple(bits), index_bits)


def compression_of(
    net: Net,
    sparsity: Sequence[LayerRule],
    bits: Sequence[LayerRule],
    usual: int | None = None,
) -> Compression | None:
    """The compression of a net by rules, with `usual` bits where they say none; None without any.

    Raises SpecError (bad-option), also for a pattern that matches no layer.
    """
    first = [LayerRule("*", Fraction(usual))] if usual is not None else []
    found = compression(sparsity, [*first, *bits])
    if found is not None:
        check_patterns(found, [net])
    return found


def _written(rule: LayerRule) -> str:
    """A rule as an option has it."""
    number = f"{float(rule.number):g}"
    return number if rule.pattern == "*" else f"{rule.pattern}={number}"


def rules(texts: Sequence[str], option: str) -> list[LayerRule]:
    """Rules from texts: `NUMBER`, `LAYERS=NUMBER`, `NET:LAYERS=NUMBER`, separated by commas."""
    found = []
    for text in ",".join(texts).split(","):
        pattern, equals, number = text.strip().rpartition("=")
        if not equals:  # a number for all layers, or for all of one net
            net, colon, number = number.rpartition(":")
            pattern = f"{net}{colon}*"
        if not text.strip():
            continue
        read = _NUMBER.fullmatch(number.strip())
        if read is None:
            raise spec_error(
                "bad-option", f"{option} {text} has no number: give NUMBER or LAYERS=NUMBER"
            )
        found.append(LayerRule(pattern, Fraction(read[1]) / (100 if read[2] else 1)))
    return found


def check_patterns(compression: Compression, nets: Sequence[Net]) -> None:
    """Raise SpecError (bad-option) where a pattern matches no layer with weights."""
    for pattern in compression.unmatched(nets) if nets else ():
        name = pattern.rpartition(":")[2]
        paths = [f.path for net in nets for f in net.layers if f.params]
        raise spec_error(
            "bad-option",
            f"no layer with weights has a path that matches {pattern}",
            help=did_you_mean(name, paths),
        )


def training_plan(
    net: Net,
    batch: int | None = None,
    optimizer: str | None = None,
    momentum: float | None = None,
    freeze: Sequence[str] = (),
) -> TrainingPlan:
    """How a net is trained: as given, else as its `train` block says.

    `freeze` are patterns of the paths of layers that stay as they are. Raises SpecError.
    """
    from netspec.metrics.frozen import frozen_layers
    from netspec.metrics.training_memory import STATES, TrainingPlan

    if optimizer is not None and optimizer not in STATES:
        raise spec_error(
            "bad-option",
            f"there is no optimizer {optimizer}",
            help=(*did_you_mean(optimizer, STATES), f"there are {one_of(STATES, len(STATES))}"),
        )
    block = net.training
    known = (
        TrainingPlan()
        if block is None
        else TrainingPlan(block.batch_size, block.optimizer, block.momentum, block.weight_decay > 0)
    )
    if block is not None and block.regularization == "l1":  # which makes no gradients anew
        known = replace(known, weight_decay=False)
    given: dict[str, Any] = {"batch": batch, "optimizer": optimizer, "momentum": momentum}
    if freeze:
        given["frozen"] = frozenset(frozen_layers(net, freeze))
    return replace(known, **{name: value for name, value in given.items() if value is not None})


def column(name: str) -> str:
    """The key of a column from its name in an option. Raises SpecError (bad-option)."""
    key = ALIASES.get(name, name)
    if key not in COLUMNS:
        raise spec_error(
            "bad-option",
            f"there is no column {name}",
            help=(
                *did_you_mean(name, COLUMNS),
                f"there are {one_of(COLUMNS, 40)}",
            ),
        )
    return key


def listing() -> str:
    """All columns and counting conventions with their meanings, as text."""
    width = max(map(len, (*COLUMNS, *CONVENTIONS)))
    lines = ["columns", *(f"  {c.key:<{width}}  {c.description}" for c in COLUMNS.values())]
    lines += ["", "counts", f"  {'netspec':<{width}}  {RULE}"]
    lines += [f"  {c.name:<{width}}  {c.unit}: {c.says}" for c in CONVENTIONS.values()]
    return "\n".join(lines)
