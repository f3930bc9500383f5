"""netspec check: all diagnostics; with --fix, the fixes that they offer."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from netspec import __version__
from netspec.cli.common import (
    add_format,
    add_output,
    add_spec,
    note,
    print_json,
    put,
    show,
    spec_files,
)
from netspec.diagnostics import Diagnostic, SpecError, render
from netspec.diagnostics.source import Source, plain
from netspec.driver import check_each, check_nets


def configure(parser: argparse.ArgumentParser) -> None:
    add_spec(parser, several=True)
    parser.add_argument("--strict", action="store_true", help="exit with 1 for warnings as well")
    parser.add_argument(
        "--fix",
        action="store_true",
        help="carry out the fixes that are safe: the only one of an error or warning, which is "
        "gone behind it; then show what is left",
    )
    parser.add_argument(
        "--diff", action="store_true", help="show what --fix would change, and write nothing"
    )
    add_format(
        parser,
        *("text", "json", "github", "sarif"),
        help="text, or what programs, GitHub Actions and code scanning read",
    )
    add_output(parser, redirect=True)


def execute(args: argparse.Namespace) -> int:
    settings = dict(args.settings)
    done: set[str] = set()

    def checked(spec: str) -> tuple[Diagnostic, ...]:
        return check_each(spec, settings, needs_net=False).diagnostics

    def mended(spec: str) -> tuple[Diagnostic, ...]:
        return _fixed(spec, settings, done, only_show=args.diff)

    specs = list(spec_files(args.specs))
    found = _of_each(specs, mended if args.fix or args.diff else checked)
    if args.fix and len(specs) > 1 and "-" not in specs and not args.diff:
        found = _of_each(specs, checked)  # what one imports may have been fixed since
    if args.format == "json":
        print_json(render.as_json(found))
    elif args.format == "github":
        for diagnostic in found:
            print(render.github(diagnostic))
    elif args.format == "sarif":
        print_json(render.sarif(found, __version__))
    elif args.output not in (None, "-"):
        print("\n\n".join(render.text(diagnostic) for diagnostic in found), end="\n" * bool(found))
    else:
        show(found, more=True)
    return int(any(args.strict or d.severity == "error" for d in found))


def _fixed(
    spec: str, settings: Mapping[str, Any], done: set[str], *, only_show: bool
) -> tuple[Diagnostic, ...]:
    """Carry out the fixes of a text; the diagnostics that are left. Raises SpecError."""
    from netspec.cli.spec_text import diff, read, write
    from netspec.editing.fixing import fixed

    text = read(spec, done)
    if text is None:
        return ()
    base = text.path.parent if text.path is not None else Path()

    def check(content: str) -> tuple[Diagnostic, ...]:
        source = Source(text.name, content)
        return check_nets(source, base, settings, needs_net=False).diagnostics

    result = fixed(plain(text.content), check)
    changed = _as_before(text.content, result.text)
    if only_show:
        put(diff(text, changed))
        return result.left
    if result.fixed or spec == "-":
        write(text, changed)
    for d, fix in result.fixed:
        line = d.span.line if d.span is not None else 1
        note(f"fixed in line {line}: {render.printable(d.message)}: {render.printable(fix)}")
    return result.left


def _of_each(specs: Iterable[str], look: Callable[[str], Iterable[Diagnostic]]) -> list[Diagnostic]:
    """The diagnostics that a look at each spec gives, or that say why there is none."""
    found: list[Diagnostic] = []
    for spec in specs:
        try:
            found += look(spec)
        except SpecError as error:
            found += error.diagnostics
    return found


def _as_before(content: str, changed: str) -> str:
    """A changed text with the byte order mark and the line breaks of the one before.

    Where these are mixed, lines keep theirs as far as there are as many as before.
    """
    breaks = re.findall(r"\r\n?|\n", content)
    lines = changed.split("\n")
    if len(breaks) != len(lines) - 1:
        breaks = breaks[:1] * (len(lines) - 1)
    text = "".join(line + end for line, end in zip(lines, [*breaks, ""], strict=True))
    return ("\ufeff" if content.startswith("\ufeff") else "") + text
