"""The whole way from a spec to a checked net, in one function."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from netspec.diagnostics import Diagnostic, Diagnostics
from netspec.diagnostics.source import Source, plain
from netspec.diagnostics.suggest import did_you_mean, one_of
from netspec.ir import Net
from netspec.semantic.elaborate import elaborate
from netspec.semantic.evaluator import EvaluationError, Evaluator, Scope
from netspec.semantic.imports import (
    Program,
    load,
    program_of,
    read_source,
)
from netspec.semantic.limits import LimitExceeded
from netspec.semantic.resolve import resolve
from netspec.symbolic.expr import Num
from netspec.syntax.ast import Let
from netspec.syntax.protobuf_text.detect import may_be_prototxt
from netspec.util.recursion import room_to_work
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


def read_stdin(diagnostics: Diagnostics) -> str | None:
    """Standard input as it is; None, and a diagnostic, where it is no text."""
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except ValueError:
        diagnostics.add(Diagnostic("unreadable-file", "standard input is not UTF-8 text"))
        return None


def find(spec: str, diagnostics: Diagnostics) -> tuple[Source, Path] | None:
    """The text of a spec and the folder of its imports: `-`, a path, or a bundled name."""
    if spec == "-":
        text = read_stdin(diagnostics)
        return None if text is None else (Source(STDIN, plain(text)), Path())
    path = Path(spec)
    named = bundled()
    if spec in named:
        source = read_source(named[spec], diagnostics)
        return (Source(f"{spec}.net", source.text), named[spec].parent) if source else None
    if not path.suffix and not path.exists():
        message = f"there is no file {spec}, and no bundled spec of this name"
        diagnostics.add(Diagnostic("unreadable-file", message, help=alike(spec, named)))
        return None
    if path.name == spec and path.stem in named and not path.exists():
        message = f"there is no file {spec}"
        help_ = (f"the bundled spec is called `{path.stem}`, without a suffix",)
        diagnostics.add(Diagnostic("unreadable-file", message, help=help_))
        return None
    source = read_source(path, diagnostics)
    return (source, path.parent) if source else None


def alike(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """Help for a name that no bundled spec has: those that go on where it ends, or a near one."""
    longer = [k for k in known if name and k.startswith(name.lower())]
    if longer:
        return (f"there are {one_of(longer)}",) if longer[1:] else (f"did you mean `{longer[0]}`?",)
    return did_you_mean(name, known) or ("`netspec specs` lists those that are bundled",)


def check(
    source: Source,
    base: Path | None,
    settings: Mapping[str, Any],
    diagnostics: Diagnostics,
    needs_net: bool = True,
    asked: set[Path] | None = None,
) -> Net | None:
    """The net of a text, checked; None where the text has errors.

    `base` is the folder that its imports are relative to. `settings` are values for the net's
    parameters: Python numbers, bools, strings and lists, or text of the language as `SettingText`.
    A file of modules only is fine unless `needs_net`; it gives None. The paths at which imports
    were looked for are added to `asked`.
    """
    given = constants(settings, diagnostics)
    with room_to_work():
        program, given, origins = _program(source, base, given, diagnostics, asked)
    if program is None:
        return None
    if program.net is None:
        if needs_net:
            diagnostics.add(Diagnostic("no-net", f"{source.name} has no net"))
        return None
    net = build(program, given, diagnostics)
    return replace(net, origins=origins(net)) if net is not None and origins is not None else net


def prepare(
    source: Source,
    base: Path | None,
    diagnostics: Diagnostics,
    reading: Mapping[str, Any] | None = None,
) -> Program | None:
    """A text and its imports, parsed, their names looked up; None where the text has errors.

    `reading` are the settings that say how to read a prototxt.
    """
    given = constants(reading or {}, diagnostics)
    with room_to_work():
        program, left, _ = _program(source, base, given, diagnostics)
    _refuse(left, source, diagnostics)
    return None if left else program


def build(program: Program, constants: Mapping[str, Any], diagnostics: Diagnostics) -> Net | None:
    """The net of a program for some values of its parameters; None where it has errors.

    `constants` are constants of the language, as `parsed` gives them. A program can be built any
    number of times.
    """
    with room_to_work():
        return elaborate(program, constants, diagnostics)


def _program(
    source: Source,
    base: Path | None,
    given: dict[str, Any],
    diagnostics: Diagnostics,
    asked: set[Path] | None = None,
) -> tuple[Program | None, dict[str, Any], Origins | None]:
    """The program of a text, the constants that are left for its net's parameters, and origins.

    Those say of a net from a prototxt where its tensors lie in a caffemodel.
    """
    origins: Origins | None = None
    if may_be_prototxt(source):
        # Specs of our own should not wait for this.
        from netspec.importers import caffe

        reading, given = caffe.reading_of(given, diagnostics)
        converted = caffe.read(source, reading, diagnostics)
        if converted is None:
            return None, given, None
        program: Program | None = program_of(converted.file, base, diagnostics)
        origins = partial(caffe.origins, converted)
    else:
        _refuse([name for name in given if ":" in name], source, diagnostics)
        program = load(source, base, diagnostics, asked)
    if program is not None:
        resolve(program, diagnostics)
    return program, given, origins


def _refuse(names: Iterable[str], source: Source, diagnostics: Diagnostics) -> None:
    """Settings that say how to read a prototxt, given for a text that is none."""
    for name in names:
        option = name.partition(":")[0]
        message = f"--{option} is for a prototxt, and {source.name} is none"
        help_ = "a spec says in its text what its inputs are and what it has"
        diagnostics.add(Diagnostic("bad-option", message, help=(help_,)))


class SettingText(str):
    """A value of `--set`, still as text of the language."""


def constants(settings: Mapping[str, Any], diagnostics: Diagnostics) -> dict[str, Any]:
    """Settings as constants of the language; what is none is reported and left out."""
    found = {}
    for name, value in settings.items():
        constant = (
            parsed(name, value, diagnostics)
            if isinstance(value, SettingText)
            else constant_of(value)
        )
        if constant is not None or value == "none" or value is None:
            found[name] = constant
    return found


def constant_of(value: Any) -> Any:
    """A Python value as a constant of the language. Raises TypeError."""
    from fractions import Fraction

    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | Fraction):
        return Num(Fraction(value))
    if isinstance(value, float):
        # What the number reads like, not what its binary digits come to.
        return Num(Fraction(repr(value)))
    if isinstance(value, list | tuple):
        return tuple(constant_of(v) for v in value)
    raise TypeError(f"a parameter can't be set to {value!r}")


def parsed(name: str, text: str, diagnostics: Diagnostics) -> Any:
    """`10`, `50%`, `3x3`, `true` or a bare word as a constant of the language.

    None, and a diagnostic that names the parameter, for what is none.
    """
    from netspec.syntax.parser import parse

    source = Source(f"--set {name}", f"module set {{ let value = {text}\n}}")
    found = Diagnostics()
    file = parse(source, found)
    alone = file is not None and len(file.items) == 1
    body = file.items[0].body if file and alone and hasattr(file.items[0], "body") else ()
    if len(body) == 1 and isinstance(body[0], Let):
        try:
            return Evaluator(Scope(), {}).constant(body[0].value)
        except (EvaluationError, LimitExceeded):
            if text.isidentifier():
                return str(text)
    message = f"--set {name}={text} is no constant of the language"
    diagnostics.add(Diagnostic("wrong-type", message))
    return None
