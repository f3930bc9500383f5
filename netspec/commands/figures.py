"""What the options of figures mean: columns, counting conventions, compression."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from fractions import Fraction

from netspec.cost import RULE
from netspec.diagnostics import Diagnostic, SpecError
from netspec.figures.compression import FLOAT, Compression, For
from netspec.figures.counting import CONVENTIONS, Convention
from netspec.ir import Net
from netspec.report.columns import COLUMNS
from netspec.suggest import did_you_mean, one_of

_NUMBER = re.compile(r"([0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})(%?)")
ALIASES = {"type": "op", "name": "layer", "%": "params_share"}


def figures(args: argparse.Namespace) -> tuple[Convention | None, Compression | None]:
    """The convention and the compression that were asked for. Raises SpecError."""
    convention = None
    if args.count is not None and args.count != "netspec":
        if args.count not in CONVENTIONS:
            raise _usage(
                f"no counting convention is called {args.count}",
                *did_you_mean(args.count, CONVENTIONS),
                f"there are {one_of(('netspec', *CONVENTIONS))}",
            )
        convention = CONVENTIONS[args.count]
    sparsity = tuple(_rules(args.sparsity, "--sparsity"))
    bits = tuple(_rules(args.bits, "--bits"))
    for rule in sparsity:
        if not 0 <= rule.number <= 1:
            raise _usage(f"a sparsity lies between 0 and 1 (or 0% and 100%): {rule.pattern}")
    for rule in bits:
        if rule.number.denominator != 1 or not 1 <= rule.number <= FLOAT:
            raise _usage(f"a weight has 1 to {FLOAT} bits: {rule.pattern}")
    if args.index_bits > FLOAT:
        raise _usage(f"--index-bits is at most {FLOAT}")
    compression = Compression(sparsity, bits, args.index_bits) if sparsity or bits else None
    return convention, compression


def _rules(texts: Sequence[str], option: str) -> list[For]:
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
            raise _usage(f"{option} {text} has no number: give NUMBER or LAYERS=NUMBER")
        found.append(For(pattern, Fraction(read[1]) / (100 if read[2] else 1)))
    return found


def check_patterns(compression: Compression, nets: Sequence[Net]) -> None:
    """Raises SpecError where a pattern matches no layer with weights."""
    for pattern in compression.unmatched(nets) if nets else ():
        name = pattern.rpartition(":")[2]
        paths = [f.path for net in nets for f in net.layers if f.params]
        raise _usage(
            f"no layer with weights has a path that matches {pattern}", *did_you_mean(name, paths)
        )


def column(name: str) -> str:
    """The key of a column. Raises SpecError."""
    key = ALIASES.get(name, name)
    if key not in COLUMNS:
        raise _usage(
            f"there is no column {name}",
            *did_you_mean(name, COLUMNS),
            f"there are {one_of(COLUMNS, 40)}",
        )
    return key


def listing() -> str:
    """What --columns and --count can be."""
    width = max(map(len, (*COLUMNS, *CONVENTIONS)))
    lines = ["columns", *(f"  {c.key:<{width}}  {c.says}" for c in COLUMNS.values())]
    lines += ["", "counts", f"  {'netspec':<{width}}  {RULE}"]
    lines += [f"  {c.name:<{width}}  {c.unit}: {c.says}" for c in CONVENTIONS.values()]
    return "\n".join(lines)


def _usage(message: str, *help_: str) -> SpecError:
    return SpecError([Diagnostic("bad-option", message, help=help_)])
