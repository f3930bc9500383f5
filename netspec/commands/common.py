"""What the commands share: the SPEC and `--set` arguments, and how diagnostics are shown."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from netspec import render
from netspec.diagnostics import Diagnostic, Diagnostics, SpecError
from netspec.driver import Setting, check, find
from netspec.ir import Net

if TYPE_CHECKING:
    from netspec.weights import Adapted

SPEC_HELP = "a path, - for standard input, or the name of a bundled spec"


def add_spec(parser: argparse.ArgumentParser, several: bool = False) -> None:
    """SPEC, or SPEC..., and --set."""
    if several:
        parser.add_argument("specs", nargs="+", metavar="SPEC", help=SPEC_HELP)
    else:
        parser.add_argument("spec", metavar="SPEC", help=SPEC_HELP)
    add_settings(parser)


def add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=_setting,
        metavar="NAME=VALUE",
        dest="settings",
        help="set a parameter of the net (repeatable)",
    )


def add_partial(parser: argparse.ArgumentParser, help: str) -> None:
    """--partial LAYER, repeatable."""
    parser.add_argument(
        "--partial", action="append", default=[], metavar="LAYER", help=f"{help} (repeatable)"
    )


def _setting(text: str) -> tuple[str, Setting]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip().isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name.strip(), Setting(value.strip())


def load(spec: str, settings: Iterable[tuple[str, Setting]]) -> Net:
    """A checked net; its warnings are shown. Raises SpecError."""
    diagnostics = Diagnostics()
    found = find(spec, diagnostics)
    net = check(*found, dict(settings), diagnostics) if found else None
    diagnostics.raise_if_failed()
    assert net is not None, "no net and no error"
    show(diagnostics.sorted())
    return net


def weights_of(
    net: Net,
    spec: str,
    file: str,
    partial: Sequence[str] = (),
    by: Literal["names", "anything"] = "names",
    names: str | None = None,
) -> Adapted:
    """The weights of a net from a file, under its own names or those of a library that the spec
    has a file of names for; with `names`, of that file.

    Raises SpecError.
    """
    from netspec import profiles
    from netspec.weights import adapt, read
    from netspec.weights.files import KEEP_ORDER

    path = Path(file)
    arrays = read(path)
    if names:
        known = {names: profiles.renamed(net, profiles.find(spec, names)).keys}
    else:
        known = profiles.aliases(spec, net)
    ordered = path.suffix in KEEP_ORDER
    return adapt(
        *(arrays, net.tensors, file, net.name),
        ordered=ordered,
        aliases=known,
        partial=partial,
        by=by,
    )


def show(diagnostics: Iterable[Diagnostic]) -> None:
    """Print diagnostics to standard error."""
    color = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    for diagnostic in diagnostics:
        print(render.text(diagnostic, color), file=sys.stderr, end="\n\n")


def every(specs: Iterable[str], settings: Iterable[tuple[str, Setting]]) -> tuple[list[Net], int]:
    """The nets of all specs that are sound, and the exit status; diagnostics are shown."""
    nets, status = [], 0
    for spec in specs:
        try:
            nets.append(load(spec, settings))
        except SpecError as error:
            show(error.diagnostics)
            status = 1
    return nets, status


def print_json(data: Any) -> None:
    import json

    print(json.dumps(data, indent=2))
