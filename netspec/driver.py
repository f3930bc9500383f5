"""The whole way from a spec to a checked net.

`find` finds the text of a spec, `check` makes a checked net of it, `check_each` one of each net of
a file, `convert` a spec of a prototxt. A spec that is built for many values of its parameters is
`prepare`d once, and `build` makes each net.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from io import UnsupportedOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from netspec.diagnostics import Diagnostic, Diagnostics, SpecError, spec_error
from netspec.diagnostics.source import Source, plain
from netspec.diagnostics.suggest import did_you_mean, one_of
from netspec.ir import Net
from netspec.lazy_dataclasses import replace
from netspec.semantic.constants import python_value
from netspec.semantic.elaborate import elaborate
from netspec.semantic.imports import (
    ModuleDefinition,
    Program,
    full_name,
    joined_names,
    load,
    program_of,
    read_source,
)
from netspec.semantic.resolve import resolve
from netspec.semantic.settings import constants_of, texts_of
from netspec.syntax.ast import Variant
from netspec.syntax.cfg_text import may_be_cfg
from netspec.syntax.model_source import MODEL_SUFFIXES, ModelSource, is_model
from netspec.syntax.protobuf_text.detect import may_be_prototxt
from netspec.util.inputs import note_input
from netspec.util.recursion import deep_recursion
from netspec.util.resources import folder

if TYPE_CHECKING:
    from netspec.importers.convert import ConvertedSpec

Origins = Callable[[Net], Mapping[str, Any]]


_NET = re.compile(r"^net (\w+)(?:\(([^{]*)\))? \{|^  variant (\w+)", re.MULTILINE)


def bundled() -> dict[str, Path]:
    """The nets that come with netspec, variants included, by their full names, with their files."""
    return {names[0]: path for names, path in _bundled()}


def _bundled() -> Iterator[tuple[tuple[str, ...], Path]]:
    """What each net that comes with netspec may be called, its full name first, and its file."""
    # They are formatted, and their texts are not parsed for their names.
    for path in sorted(folder("specs").glob("*.net")):
        net = ""
        for name, params, variant in _NET.findall(path.read_text(encoding="utf-8")):
            if variant:
                full = full_name(net, variant)
                others = joined_names(net, variant) if full != variant else ()
                yield tuple(dict.fromkeys((full, *others))), path
            else:
                net = name
                given = re.sub(r"\[[^=]*\]", "", params).split(",")
                if all("=" in p for p in given if p.strip()):
                    yield (net,), path


def bundled_modules() -> dict[str, Path]:
    """The modules that come with netspec, by the names under which they are imported."""
    return {path.stem: path for path in sorted(folder("specs").glob("modules/*.net"))}


STDIN = "<stdin>"
"""What diagnostics call standard input."""


class Place(NamedTuple):
    """A file that was asked for, and the net in it, None where none was named."""

    path: Path
    net: str | None
    is_bundled: bool = False


def place(spec: str) -> Place:
    """The file and the net of `FILE`, `FILE:NET`, or the name of a bundled net or file."""
    front, colon, net = spec.rpartition(":")
    if not (colon and net.isidentifier()) or Path(spec).exists():
        return _place_of_file(spec)
    found = _place_of_file(front)
    family = found.net in (None, found.path.stem)
    return found._replace(net=net) if family else Place(Path(spec), None)


def _place_of_file(spec: str) -> Place:
    """The file of a path, or of the name of a bundled net or file."""
    # A scan of all bundled texts, which paths need not wait for.
    for names, path in _bundled() if spec.isidentifier() else ():
        if spec in names:
            return Place(path, names[0], True)
    path, family = Path(spec), folder("specs") / f"{spec}.net"
    if spec.isidentifier() and not path.exists() and family.is_file():
        return Place(family, None, True)
    return Place(path, None)


class Text(NamedTuple):
    """The text of a spec, the folder that its imports are relative to, and the net that is meant.

    `net` is None where none was named.
    """

    source: Source
    folder: Path
    net: str | None = None


def weights_of(spec: str) -> Path | None:
    """The weights that come with a bundled spec, or a file itself that has weights and net inside.

    None where there are none.
    """
    if spec.endswith(".safetensors") or is_model(Path(spec)):
        return Path(spec)
    found = place(spec)
    weights = folder("specs") / f"{found.net or found.path.stem}.safetensors"
    return weights if found.is_bundled and weights.is_file() else None


def read_stdin() -> str:
    """Standard input as it is. Raises SpecError where it can't be read, or is no text."""
    try:
        with suppress(UnsupportedOperation):  # it may be no file
            note_input(sys.stdin.fileno())
        return sys.stdin.buffer.read().decode("utf-8")
    except OSError as error:
        message = f"standard input can't be read: {error.strerror or error}"
        raise spec_error("unreadable-file", message) from None
    except ValueError:
        raise spec_error("unreadable-file", "standard input is not UTF-8 text") from None


def find(spec: str) -> Text:
    """The text of a spec: `-` for standard input, a path, or the name of a bundled one.

    `FILE:NET` names one of a file's nets. Raises SpecError where there is no such file, or it
    can't be read.
    """
    path, net, is_bundled = place(spec)
    if str(path) == "-":
        return Text(Source(STDIN, plain(read_stdin())), Path(), net)
    if is_bundled:
        return Text(Source(path.name, _read(path).text), path.parent, net)
    spec = str(path)
    if path.is_dir():
        inside = next((str(p) for p in sorted(path.glob("*.net"))), None)
        if inside is None:
            raise spec_error("unreadable-file", f"{spec} is a folder without a .net file")
        message = f"{spec} is a folder, and this command takes a file"
        raise spec_error("unreadable-file", message, help=(f"such as {inside}",))
    if is_model(path) and path.is_file():
        return Text(ModelSource(path), path.parent, net)
    if path.exists():
        return Text(_read(path), path.parent, net)
    named = bundled()
    plain_name = re.sub(r"\W", "_", spec)
    if plain_name in named and plain_name != spec:
        message = f"there is no file {spec}, and no bundled spec of this name"
        raise spec_error("unreadable-file", message, help=did_you_mean(plain_name, named))
    if not path.suffix:
        message = f"there is no file {spec}, and no bundled spec of this name"
        raise spec_error("unreadable-file", message, help=help_for_unknown_spec(spec, named))
    bundled_file = path.name == spec and (folder("specs") / spec).is_file()
    if bundled_file or (path.name == spec and path.stem in named):
        message = f"there is no file {spec}"
        called = f"{path.stem}:{net}" if net and net != path.stem else path.stem
        help_ = (f"the bundled spec is called `{called}`, without a suffix",)
        raise spec_error("unreadable-file", message, help=help_)
    return Text(_read(path), path.parent, net)


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
    source: Source,
    base: Path | None,
    settings: Mapping[str, Any],
    *,
    net: str | None = None,
    needs_net: bool = True,
    texts: Mapping[Path, str] = {},
) -> Checked:
    """The net of a text, and all that is wrong with it.

    `base` is the folder that its imports are relative to. `settings` are values for the net's
    parameters: Python numbers, bools, strings and lists, or text of the language as `SettingText`.
    `net` names the one that is meant of several. A file of modules only is fine unless
    `needs_net`; it gives no net. `texts` are those of files that may be imported, by their absolute
    paths, whatever lies there.
    """
    diagnostics = Diagnostics()
    given = constants_of(settings, diagnostics)
    with deep_recursion():
        program, given, origins = _program(source, base, given, diagnostics, texts)
        if program is None:
            return Checked(None, diagnostics.sorted())
        chosen = None
        if _is_empty(program) or program.nets or net or needs_net:
            chosen = _choose(program, net, diagnostics)
        made = _elaborated(chosen, given, diagnostics) if chosen is not None else None
    if made is not None:
        made = _with_settings(made, program, settings, origins)
    return Checked(made, diagnostics.sorted(), program.asked)


def _with_settings(
    net: Net, program: Program, settings: Mapping[str, Any], origins: Origins | None
) -> Net:
    """A net that knows its texts, what was set, and where its tensors lie in a caffemodel."""
    net = replace(net, settings=texts_of(settings), texts=program.texts())
    return replace(net, origins=origins(net)) if origins is not None else net


def check_spec(spec: str, settings: Mapping[str, Any]) -> Checked:
    """The net of a spec as commands take it, such as `FILE:NET`. Raises SpecError."""
    source, base, net = find(spec)
    return check(source, base, settings, net=net)


class CheckedFile(NamedTuple):
    """The result of checking all nets of a file: those without errors, and all diagnostics."""

    nets: tuple[Net, ...]
    diagnostics: tuple[Diagnostic, ...]
    program: Program | None = None

    def sound(self) -> tuple[Net, ...]:
        """The nets. Raises SpecError with all diagnostics where one has errors or none is there."""
        if not self.nets or any(d.severity == "error" for d in self.diagnostics):
            raise SpecError(self.diagnostics)
        return self.nets


def check_each(spec: str, settings: Mapping[str, Any], *, needs_net: bool = True) -> CheckedFile:
    """Every net of a spec, or the one that it names; a setting is for the nets that have it.

    Raises SpecError where the text can't be read.
    """
    source, base, name = find(spec)
    return check_nets(source, base, settings, net=name, needs_net=needs_net)


def check_nets(
    source: Source,
    base: Path | None,
    settings: Mapping[str, Any],
    *,
    net: str | None = None,
    needs_net: bool = True,
    texts: Mapping[Path, str] = {},
) -> CheckedFile:
    """Every net of a text, or the one that is named; arguments as those of `check`."""
    shared = Diagnostics()
    given = constants_of(settings, shared)
    with deep_recursion():
        program, given, origins = _program(source, base, given, shared, texts)
    if program is None:
        return CheckedFile((), shared.sorted())
    nets = tuple(n for found in program.nets for n in found.nets)
    if net or (not nets and needs_net) or _is_empty(program):
        nets = tuple(n for n in (_choose(program, net, shared),) if n)
    parameters = [{p.name.text for p in n.definition.params} for n in nets]
    # What none of them has is an error in each.
    unknown = given.keys() - set().union(*parameters)
    made: list[Net] = []
    found = list(shared)
    for one, own in zip(nets, parameters, strict=True):
        diagnostics = Diagnostics(shared)
        with deep_recursion():
            of_net = {k: v for k, v in given.items() if k in own or k in unknown}
            result = _elaborated(one, of_net, diagnostics)
        if result is not None:
            theirs = given.keys() - of_net.keys()
            used = {k: v for k, v in settings.items() if k not in theirs}
            made.append(_with_settings(result, program, used, origins))
        found += diagnostics
    return CheckedFile(tuple(made), Diagnostics(found).sorted(), program)


def _elaborated(
    net: ModuleDefinition, given: Mapping[str, Any], diagnostics: Diagnostics
) -> Net | None:
    """The net, and what is wrong with it; where that is in a variant, it says so."""
    if net.variant is None:
        return elaborate(net, given, diagnostics)
    found = Diagnostics()
    found.failed = diagnostics.failed
    made = elaborate(net, given, found)
    for diagnostic in found:
        diagnostics.add(_in_variant(diagnostic, net.variant))
    return made


def _in_variant(diagnostic: Diagnostic, variant: Variant) -> Diagnostic:
    """A diagnostic of a variant's net that says so, unless it stands in the variant itself."""
    span = diagnostic.span
    if (
        span is None
        or span.source is not variant.span.source
        or span.start in range(variant.span.start, variant.span.end)
    ):
        return diagnostic
    values = "  ".join(" ".join(f.span.text.split())[:40] for f in variant.fields[:4])
    note = f"in the variant {variant.name.text}" + (f" ({values})" if values else "")
    help_ = diagnostic.help
    if diagnostic.code in ("unmet-expect", "unmet-prefer"):
        help_ = (*help_, "what holds for one variant alone is expected in its braces")
    return replace(diagnostic, notes=(*diagnostic.notes, note), help=help_)


def _is_empty(program: Program) -> bool:
    """Whether a file defines nothing, which one of modules alone is not."""
    return not (program.nets or program.modules)


def _choose(
    program: Program, name: str | None, diagnostics: Diagnostics
) -> ModuleDefinition | None:
    """The net of this name, or the only one; None, and a diagnostic, where that is none."""
    file = program.source.name
    nets = [n for net in program.nets for n in net.nets]
    names = [n.names[0] for n in nets]
    # Where none is named, a net with variants is meant itself.
    alone = nets[:1] if len(program.nets) == 1 and (not nets[1:] or not nets[0].variant) else []
    # With `--set`, one that is only its variants may be whole as well.
    meant = [n for n in (*nets, *program.nets) if name in n.names] if name else alone
    if meant:
        return meant[0]
    help_: tuple[str, ...] = ()
    if not names:
        message = f"{file} has no net" + (" and no module" if _is_empty(program) else "")
    elif name is None:
        message = f"{file} has several nets"
        help_ = (
            f"name the one that is meant, as in `{file}:{names[0]}`; there are {one_of(names)}",
        )
    else:
        message = f"{file} has no net called {name}"
        help_ = did_you_mean(name, names) or (f"there are {one_of(names)}",)
    diagnostics.add(Diagnostic("no-net", message, help=help_))
    return None


class PreparedNet(NamedTuple):
    """A net whose text is parsed, its names looked up, with the program that it is part of."""

    program: Program
    net: ModuleDefinition

    @property
    def name(self) -> str:
        """The name of the net."""
        return self.net.definition.name.text


def prepare(
    source: Source,
    base: Path | None,
    reading: Mapping[str, Any] | None = None,
    net: str | None = None,
) -> PreparedNet:
    """A text and its imports, parsed, their names looked up; `build` makes nets of it.

    `base` and `net` are as for `check`; `reading` are the settings that say how to read a
    prototxt. Raises SpecError where the text has errors.
    """
    diagnostics = Diagnostics()
    given = constants_of(reading or {}, diagnostics)
    with deep_recursion():
        program, left, _ = _program(source, base, given, diagnostics)
    _report_prototxt_options(left, source, diagnostics)
    chosen = _choose(program, net, diagnostics) if program is not None else None
    diagnostics.raise_if_failed()
    assert program is not None, "no program and no error"
    assert chosen is not None, "no net and no error"
    return PreparedNet(program, chosen)


def build(prepared: PreparedNet, constants: Mapping[str, Any]) -> Checked:
    """The net for some values of its parameters.

    `constants` are as `netspec.semantic.settings` makes them. A net can be built any number of
    times.
    """
    diagnostics = Diagnostics()
    with deep_recursion():
        net = _elaborated(prepared.net, constants, diagnostics)
    if net is not None:
        settings = {name: python_value(value) for name, value in constants.items()}
        net = _with_settings(net, prepared.program, settings, None)
    return Checked(net, diagnostics.sorted(), prepared.program.asked)


def _program(
    source: Source,
    base: Path | None,
    given: dict[str, Any],
    diagnostics: Diagnostics,
    texts: Mapping[Path, str] = {},
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
    elif may_be_cfg(source):
        from netspec.importers import darknet

        of_cfg = darknet.read(source, diagnostics)
        if of_cfg is None:
            return None, given, None
        program = program_of(of_cfg.file, base, diagnostics)
        origins = partial(darknet.origins, of_cfg)
    elif isinstance(source, ModelSource):
        from netspec.importers import model_files

        of_model, given = model_files.read(source, given, diagnostics)
        if of_model is None:
            return None, given, None
        program = program_of(of_model.file, base, diagnostics)
        origins = partial(model_files.origins, of_model)
    else:
        _report_prototxt_options([name for name in given if ":" in name], source, diagnostics)
        program = load(source, base, diagnostics, texts)
    if program is not None:
        resolve(program, diagnostics)
    return program, given, origins


def _report_prototxt_options(
    names: Iterable[str], source: Source, diagnostics: Diagnostics
) -> None:
    """Report settings that say how to read a prototxt, given for a text that is none."""
    for name in names:
        option = name.partition(":")[0]
        kind = "a prototxt or a model's file" if option == "input" else "a prototxt"
        message = f"--{option} is for {kind}, and {source.name} is none"
        help_ = "the inputs and layers of a spec are those in its text"
        diagnostics.add(Diagnostic("bad-option", message, help=(help_,)))


# --- files of other tools to specs ---------------------------------------------------------------


def convert(
    spec: str, settings: Mapping[str, Any], solver: str | None = None
) -> tuple[ConvertedSpec, tuple[Diagnostic, ...]]:
    """A file of another tool as the text of a spec, and warnings.

    `spec` is a path of a net or of a solver that names one, or `-`; `solver` that of a solver.
    `settings` are values for the net's parameters, and how to read the prototxt. Raises SpecError.
    """
    return convert_text(find(spec), settings, solver)


def convert_text(
    text: Text, settings: Mapping[str, Any], solver: str | None = None
) -> tuple[ConvertedSpec, tuple[Diagnostic, ...]]:
    """The spec of a text that was found; as for `convert`."""
    from netspec.importers.caffe import convert as converted
    from netspec.importers.caffe.solver import is_solver

    diagnostics = Diagnostics()
    source, base, _ = text
    if isinstance(source, ModelSource) or may_be_cfg(source):
        _report_prototxt_options(["solver"] * bool(solver), source, diagnostics)
        return _converted(source, constants_of(settings, diagnostics), diagnostics)
    if not may_be_prototxt(source):
        known = ", ".join(MODEL_SUFFIXES)
        message = f"{source.name} is no prototxt of Caffe, no cfg of Darknet, and no {known} file"
        raise spec_error("unreadable-file", message)
    recipe = read_source(Path(solver), diagnostics) if solver else None
    if is_solver(source):
        recipe, source = source, _net_of_solver(source, base, diagnostics)
    diagnostics.raise_if_failed()
    given = constants_of(settings, diagnostics)
    result = converted.convert(source, given, diagnostics, recipe)
    diagnostics.raise_if_failed()
    if result is None:
        raise SpecError(diagnostics.sorted())
    return result, diagnostics.sorted()


def as_spec(text: Text, settings: Mapping[str, Any]) -> Text:
    """A text that can be read: itself, or of a model's file the text of its spec.

    `settings` are new defaults there. Raises SpecError.
    """
    if not isinstance(text.source, ModelSource):
        return text
    result, _ = convert_text(text, settings)
    return Text(Source(f"{result.name}.net", result.text), text.folder)


def _converted(
    source: Source, settings: dict[str, Any], diagnostics: Diagnostics
) -> tuple[ConvertedSpec, tuple[Diagnostic, ...]]:
    """A cfg of Darknet, or a model's file, as the text of a spec."""
    from netspec.importers import darknet, model_files
    from netspec.importers.convert import converted

    settings.pop("phase", None)  # is for prototxt
    made = None
    with deep_recursion():
        if isinstance(source, ModelSource):
            imported, settings = model_files.read(source, settings, diagnostics)
        else:
            imported = darknet.read(source, diagnostics)
        _report_prototxt_options([name for name in settings if ":" in name], source, diagnostics)
        if imported is not None and not diagnostics.failed:
            made = converted(imported, settings, diagnostics)
    diagnostics.raise_if_failed()
    if imported is None or made is None:
        raise SpecError(diagnostics.sorted())
    result, net = made
    if isinstance(source, ModelSource):
        result = replace(result, stored=model_files.origins(imported, net))
    return result, diagnostics.sorted()


_SUFFIXES = {".prototxt", ".pt", ".pbtxt", ".prototext", ".proto", ".txt", ".cfg", ".conf"}
"""How the name of a net's file ends. A solver may be anybody's, and other files hold secrets."""


def _net_of_solver(solver: Source, folder: Path, diagnostics: Diagnostics) -> Source:
    """The prototxt that a solver names, by its path from the solver's folder, or in that folder.

    Itself where the net is inside. Caffe takes the path from the folder that it runs in. Raises
    SpecError.
    """
    from netspec.importers.caffe.solver import read_solver

    read = read_solver(solver, diagnostics)
    diagnostics.raise_if_failed()
    assert read is not None, "no solver and no error"
    if read.has_net:
        return solver
    name = Path(read.net)
    if name.suffix in _SUFFIXES and not name.is_absolute() and "\0" not in read.net:
        for path in (folder / name, folder / name.name):
            if path.is_file():
                source = read_source(path, diagnostics)
                diagnostics.raise_if_failed()
                assert source is not None, "no text and no error"
                return source
    message = f"{solver.name} is a solver, and its net {read.net or '(none)'} is not beside it"
    help_ = (f"name both: `netspec convert NET --solver {solver.name}`",)
    raise spec_error("unreadable-file", message, help=help_)
