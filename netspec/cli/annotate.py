"""netspec annotate: a spec with the shape, parameters and MACs of each line behind it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netspec.cli.common import SPEC_HELP, add_output, add_settings, put, show
from netspec.diagnostics import spec_error
from netspec.diagnostics.source import Source, plain
from netspec.driver import STDIN, as_spec, check, find, place, read_stdin
from netspec.syntax.model_source import is_model


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", metavar="SPEC", help=SPEC_HELP)
    add_settings(parser)
    parser.add_argument("--strip", action="store_true", help="take the comments off again")
    parser.add_argument("-w", "--write", action="store_true", help="change the file itself")
    add_output(parser, redirect=True)


def execute(args: argparse.Namespace) -> int:
    from netspec.report.annotate import annotate, without_comments

    path = place(args.spec)
    if args.write and (args.spec == "-" or path.is_bundled or is_model(path.path)):
        message = f"--write changes a file of yours, which {args.spec} is not"
        raise spec_error("bad-option", message)
    if args.write and args.output is not None:
        raise spec_error("bad-option", "--write changes the file itself: it takes no --output")
    text, source, base, name, settings = _read(args.spec, dict(args.settings))
    if args.strip:
        result = without_comments(text)
    else:
        checked = check(source, base, settings, net=name)
        net = checked.sound()
        show(checked.diagnostics)
        result = annotate(text, net, source)
    if not args.write:
        put(result)
    elif result != text:
        from netspec.util.atomic_write import write_text

        write_text(place(args.spec).path, result, own=True)
    return 0


def _read(
    spec: str, settings: Mapping[str, Any]
) -> tuple[str, Source, Path, str | None, Mapping[str, Any]]:
    """A text as it is to the byte, the same as a source, the folder of its imports, and the net.

    Last come the settings that are left to make of it; a model's text has them as defaults.
    """
    if spec == "-":
        text = read_stdin()
        return text, Source(STDIN, plain(text)), Path(), None, settings
    given = find(spec)
    found, path = as_spec(given, settings), place(spec).path
    if found is not given:
        return found.source.text, *found, {}
    # A pipe has nothing left.
    text = path.read_bytes().decode("utf-8") if path.is_file() else found.source.text
    return text, *found, settings
