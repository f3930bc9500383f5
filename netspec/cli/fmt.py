"""netspec fmt: canonical layout, comments kept."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from netspec.cli.common import add_output, put, show, spec_files
from netspec.diagnostics import Diagnostics, SpecError, spec_error
from netspec.diagnostics.source import Source
from netspec.driver import STDIN, find, read_stdin
from netspec.lazy_dataclasses import dataclass
from netspec.semantic.imports import read_text
from netspec.syntax.protobuf_text.detect import may_be_prototxt


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "specs",
        nargs="+",
        metavar="SPEC",
        help="a path, a folder to search for .net files, - for standard input, "
        "or with --check or --diff the name of a bundled spec",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; list the files that would change, and exit with 1 if there are any",
    )
    parser.add_argument("--diff", action="store_true", help="write nothing; show what would change")
    add_output(
        parser,
        "where to write the text of the one SPEC, which stays as it is, or with --check or --diff "
        "what they show",
        redirect=True,
    )


def execute(args: argparse.Namespace) -> int:
    """Files that change are listed on standard output; standard input goes there formatted."""
    from netspec.syntax.formatter import format_text

    status = 0
    done: set[str] = set()
    elsewhere = args.output is not None and not (args.check or args.diff)
    if elsewhere and (args.specs[1:] or os.path.isdir(args.specs[0])):
        raise spec_error("bad-option", "--output takes the text of one SPEC, and these are several")

    def one(name: str) -> bool:
        """Whether a text that is not in its layout was only looked for."""
        text = _read(name, done)
        if text is None:
            return False
        formatted = format_text(text.content, text.name)
        changes = formatted != text.content
        if args.diff:
            put(_diff(text, formatted))
        elif args.check:
            put(f"{text.name}\n" if changes else "")
        elif elsewhere:
            put(formatted)
        else:
            _write(text, formatted)
        return bool(args.check and changes)

    for name in spec_files(args.specs):
        try:
            status |= one(name)
        except SpecError as error:
            show(error.diagnostics)
            status = 1
    return int(status)


@dataclass(frozen=True)
class _Text:
    """A text to format; `path` is the file that it came from, if it is no bundled one."""

    name: str
    content: str
    path: Path | None = None


def _read(name: str, done: set[str]) -> _Text | None:
    """A text, or None if it was read before. Raises SpecError."""
    key = name if name == "-" else os.path.realpath(name)
    if key in done:
        return None
    done.add(key)
    if name == "-":
        result = _Text(STDIN, read_stdin())
    elif os.path.isdir(name):
        raise spec_error("unreadable-file", f"{name} is a folder without a .net file")
    elif os.path.exists(name):
        diagnostics = Diagnostics()
        content = read_text(Path(name), diagnostics)
        if content is None:
            raise SpecError(diagnostics)
        result = _Text(name, content, Path(name))
    else:
        source = find(name).source
        result = _Text(source.name, source.text)
    if may_be_prototxt(Source(result.name, result.content)):
        message = f"{result.name} is a prototxt of Caffe, which keeps its layout"
        help_ = (f"`netspec convert {name}` makes a spec of it",)
        raise spec_error("unreadable-file", message, help=help_)
    return result


def _write(text: _Text, formatted: str) -> None:
    """Put a text back where it came from. Raises SpecError."""
    from netspec.util.atomic_write import write_text

    if text.name == STDIN:
        put(formatted)
    elif text.path is None:
        message = f"{text.name} comes with netspec and is not rewritten"
        help_ = ("`--check` and `--diff` show how it would change",)
        raise spec_error("unwritable-file", message, help=help_)
    elif formatted != text.content:
        write_text(text.path, formatted, own=True)
        put(f"{text.name}\n")


def _diff(text: _Text, formatted: str) -> str:
    import difflib

    lines = difflib.unified_diff(
        _lines(text.content), _lines(formatted), text.name, text.name, lineterm="\n"
    )
    return "".join(lines)


def _lines(text: str) -> list[str]:
    """Lines as `patch` knows them: only a line feed ends one."""
    *lines, last = text.split("\n")
    end = [f"{last}\n\\ No newline at end of file\n"] if last else []
    return [line + "\n" for line in lines] + end
