"""The whole way from a spec to a checked net.

`find` finds the text of a spec, `check` makes a checked net of it. A spec that is built for many
values of its parameters is `prepare`d once, and `build` makes each net.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from netspec.diagnostics import Diagnostic, Diagnostics, SpecError, spec_error
from netspec.diagnostics.source import Source, plain
from netspec.diagnostics.suggest import did_you_mean, one_of
from netspec.ir import Net
from netspec.lazy_dataclasses import replace
from netspec.semantic.elaborate import elaborate
from netspec.semantic.imports import Program, load, program_of, read_source
from netspec.semantic.resolve import resolve
from netspec.semantic.settings import constants_of
from netspec.syntax.protobuf_text.detect import may_be_prototxt
from netspec.util.recursion import deep_recursion
from netspec.util.resources import folder

Origins = Callable[[Net], Mapping[str, Any]]


def bundled() -> dict[str, Path]:
    """The specs that come with netspec, by name."""
    return {path.stem: path for path in sorted(folder("specs").glob("*.net"))}


def bundled_modules() -> dict[str, Path]:
    """The modules that come with netspec, by the names under which they are imported."""
    return {path.stem: path for path in sorted(folder("specs").glob("modules/*.net"))}


STDIN = "<stdin>"
"""What diagnostics call standard input."""


class Text(NamedTuple):
    """The text of a spec, and the folder that its imports are relative to."""

    source: Source
    folder: Path


def read_stdin() -> str:
    """Standard input as it is. Raises SpecError where it is no text."""
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except ValueError:
        raise spec_error("unreadable-file", "standard input is not UTF-8 text") from None


def find(spec: str) -> Text:
    """The text of a spec: `-` for standard input, a path, or the name of a bundled one.

    Raises SpecError where there is none, or it can't be read.
    """
    if spec == "-":
        return Text(Source(STDIN, plain(read_stdin())), Path())
    path = Path(spec)
    named = bundled()
    if spec in named:
        return Text(Source(f"{spec}.net", _read(named[spec]).text), named[spec].parent)
    if not path.suffix and not path.exists():
        message = f"there is no file {spec}, and no bundled spec of this name"
        raise spec_error("unreadable-file", message, help=help_for_unknown_spec(spec, named))
    if path.name == spec and path.stem in named and not path.exists():
        message = f"there is no file {spec}"
        help_ = (f"the bundled spec is called `{path.stem}`, without a suffix",)
        raise spec_error("unreadable-file", message, help=help_)
    return Text(_read(path), path.parent)


def _read(path: Path) -> Source:
    """A file as a source. Raises SpecError."""
    diagnostics = Diagnostics()
    source = read_source(path, diagnostics)
    if source is None:
        raise SpecError(diagnostics)
    return source


def help_for_unknown_spec(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """Help for a name that no bundled spec has: those that begin with it, or one like it."""
    longer = [k for k in known if name and k.startswith(name.lower())]
    if longer:
        return (f"there are {one_of(longer)}",) if longer[1:] else (f"did you mean `{longer[0]}`?",)
    return did_you_mean(name, known) or ("`netspec specs` lists those that are bundled",)


class Checked(NamedTuple):
    """The result of checking a spec.

    `net` is None where the spec has errors, or no net and none was needed. `asked` are the paths
    at which its imports were looked for, found or not.
    """

    net: Net | None
    diagnostics: tuple[Diagnostic, ...]
    asked: frozenset[Path] = frozenset()

    @property
    def failed(self) -> bool:
        """Whether there are errors, and not only warnings."""
        return any(d.severity == "error" for d in self.diagnostics)

    def sound(self) -> Net:
        """The net. Raises SpecError with all diagnostics where there is none."""
        if self.net is None:
            raise SpecError(self.diagnostics)
        return self.net


def check(
    source: Source, base: Path | None, settings: Mapping[str, Any], *, needs_net: bool = True
) -> Checked:
    """The net of a text, and all that is wrong with it.

    `base` is the folder that its imports are relative to. `settings` are values for the net's
    parameters: Python numbers, bools, strings and lists, or text of the language as `SettingText`.
    A file of modules only is fine unless `needs_net`; it gives no net.
    """
    diagnostics = Diagnostics()
    given = constants_of(settings, diagnostics)
    with deep_recursion():
        program, given, origins = _program(source, base, given, diagnostics)
        if program is None:
            return Checked(None, diagnostics.sorted())
        net = None
        if program.net is not None:
            net = elaborate(program, given, diagnostics)
        elif needs_net:
            diagnostics.add(Diagnostic("no-net", f"{source.name} has no net"))
    if net is not None and origins is not None:
        net = replace(net, origins=origins(net))
    return Checked(net, diagnostics.sorted(), program.asked)


def prepare(source: Source, base: Path | None, reading: Mapping[str, Any] | None = None) -> Program:
    """A text and its imports, parsed, their names looked up; `build` makes nets of it.

    `base` is as for `check`; `reading` are the settings that say how to read a prototxt. Raises
    SpecError where the text has errors.
    """
    diagnostics = Diagnostics()
    given = constants_of(reading or {}, diagnostics)
    with deep_recursion():
        program, left, _ = _program(source, base, given, diagnostics)
    _report_prototxt_options(left, source, diagnostics)
    diagnostics.raise_if_failed()
    assert program is not None, "no program and no error"
    return program


def build(program: Program, constants: Mapping[str, Any]) -> Checked:
    """The net of a program for some values of its parameters.

    `constants` are as `netspec.semantic.settings` makes them. A program can be built any
    number of times.
    """
    diagnostics = Diagnostics()
    with deep_recursion():
        net = elaborate(program, constants, diagnostics)
    return Checked(net, diagnostics.sorted(), program.asked)


def _program(
    source: Source, base: Path | None, given: dict[str, Any], diagnostics: Diagnostics
) -> tuple[Program | None, dict[str, Any], Origins | None]:
    """The program of a text, the constants that are left for its net's parameters, and origins.

    The origins say where the tensors of a net from a prototxt lie in a caffemodel.
    """
    origins: Origins | None = None
    if may_be_prototxt(source):
        # Specs of our own should not wait for this.
        from netspec.importers import caffe

        options, given = caffe.read_options(given, diagnostics)
        converted = caffe.read(source, options, diagnostics)
        if converted is None:
            return None, given, None
        program: Program | None = program_of(converted.file, base, diagnostics)
        origins = partial(caffe.origins, converted)
    else:
        _report_prototxt_options([name for name in given if ":" in name], source, diagnostics)
        program = load(source, base, diagnostics)
    if program is not None:
        resolve(program, diagnostics)
    return program, given, origins


def _report_prototxt_options(
    names: Iterable[str], source: Source, diagnostics: Diagnostics
) -> None:
    """Report settings that say how to read a prototxt, given for a text that is none."""
    for name in names:
        option = name.partition(":")[0]
        message = f"--{option} is for a prototxt, and {source.name} is none"
        help_ = "the inputs and layers of a spec are those in its text"
        diagnostics.add(Diagnostic("bad-option", message, help=(help_,)))
