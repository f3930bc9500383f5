"""Texts of specs that commands rewrite: read as they are, put back whole, or shown as a diff."""

from __future__ import annotations

import os
from pathlib import Path

from netspec.cli.common import put
from netspec.diagnostics import Diagnostics, SpecError, spec_error
from netspec.diagnostics.source import Source
from netspec.driver import STDIN, find, read_stdin
from netspec.lazy_dataclasses import dataclass
from netspec.semantic.imports import read_text
from netspec.syntax.model_source import is_model
from netspec.syntax.protobuf_text.detect import may_be_prototxt


@dataclass(frozen=True)
class SpecText:
    """A text as it is in its file; `path` is that file, None for bundled and standard input."""

    name: str
    content: str
    path: Path | None = None


def read(name: str, done: set[str]) -> SpecText | None:
    """A text, or None if it was read before. Raises SpecError."""
    key = name if name == "-" else os.path.realpath(name)
    if key in done:
        return None
    done.add(key)
    if name == "-":
        result = SpecText(STDIN, read_stdin())
    elif os.path.isdir(name):
        raise spec_error("unreadable-file", f"{name} is a folder without a .net file")
    elif os.path.exists(name):
        if is_model(Path(name)):
            raise _keeps_layout(name, name, "a model's file, which has no text")
        diagnostics = Diagnostics()
        content = read_text(Path(name), diagnostics)
        if content is None:
            raise SpecError(diagnostics)
        result = SpecText(name, content, Path(name))
    else:
        source = find(name).source
        result = SpecText(source.name, source.text)
    if may_be_prototxt(Source(result.name, result.content)):
        raise _keeps_layout(name, result.name, "a prototxt of Caffe, which keeps its layout")
    return result


def _keeps_layout(name: str, shown: str, what: str) -> SpecError:
    """The error of a file that is no text of the language, to be raised."""
    help_ = (f"`netspec convert {name}` makes a spec of it",)
    return spec_error("unreadable-file", f"{shown} is {what}", help=help_)


def write(text: SpecText, changed: str) -> None:
    """Put a text back where it came from. Raises SpecError."""
    from netspec.util.atomic_write import write_text

    if text.name == STDIN:
        put(changed)
    elif text.path is None:
        message = f"{text.name} comes with netspec and is not rewritten"
        help_ = ("`--check` and `--diff` show how it would change",)
        raise spec_error("unwritable-file", message, help=help_)
    elif changed != text.content:
        write_text(text.path, changed, own=True)
        put(f"{text.name}\n")


def diff(text: SpecText, changed: str) -> str:
    """What changes, as `patch` reads it."""
    import difflib

    lines = difflib.unified_diff(
        _lines(text.content), _lines(changed), text.name, text.name, lineterm="\n"
    )
    return "".join(lines)


def _lines(text: str) -> list[str]:
    """Lines as `patch` knows them: only a line feed ends one."""
    *lines, last = text.split("\n")
    end = [f"{last}\n\\ No newline at end of file\n"] if last else []
    return [line + "\n" for line in lines] + end
