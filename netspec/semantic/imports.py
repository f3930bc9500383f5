"""Files and their imports: which modules a definition can see."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from functools import cached_property
from itertools import islice
from pathlib import Path

from netspec.diagnostics import Diagnostic, Diagnostics, Label
from netspec.diagnostics.fixes import Edit, Fix
from netspec.diagnostics.source import Source, Span, plain
from netspec.diagnostics.suggest import did_you_mean
from netspec.lazy_dataclasses import dataclass, replace
from netspec.ops import OPS, Op, find_op
from netspec.semantic.constant_names import op_holders
from netspec.semantic.defaults import with_defaults
from netspec.semantic.limits import MAX_VARIANTS
from netspec.semantic.line_names import LineNames
from netspec.syntax.ast import (
    Call,
    Default,
    Definition,
    File,
    Import,
    Name,
    String,
    Variant,
)
from netspec.syntax.parser import parse
from netspec.syntax.visitor import walk
from netspec.util.inputs import read_input
from netspec.util.resources import folder

MAX_BYTES = 2**25
"""Most bytes of a file that are read: a device may never end."""
MAX_CHAIN = 40
"""Most files of which each imports the next."""
MAX_WRONG = 200
"""Imports that fail, after which no more are looked for."""
MAX_FILES = 200
"""Most files that one spec may import, directly or not."""


@dataclass(frozen=True, eq=False)
class ModuleDefinition:
    """A definition and the modules that its body may use."""

    definition: Definition
    scope: ModuleScope
    position: int
    """How many names its scope had when it was defined; it does not see later ones."""
    variant: Variant | None = None
    """Of a net that is a variant of another: where that is written."""
    variants: tuple[ModuleDefinition, ...] = ()
    variant_of: str = ""

    @property
    def nets(self) -> tuple[ModuleDefinition, ...]:
        """The nets that a net's text gives: itself, and its variants.

        A net of which all variants set a parameter without a default is only these.
        """
        lacking = any(p.default is None for p in self.definition.params)
        return self.variants if self.variants and lacking else (self, *self.variants)

    @property
    def names(self) -> tuple[str, ...]:
        """What a net may be called behind `FILE:`, the shortest first."""
        name = self.definition.name.text
        if self.variant is None:
            return (name,)
        own = self.variant.name.text
        return (name,) if own == name else (own, *joined_names(self.variant_of, own))

    def find(self, name: str) -> ModuleDefinition | None:
        """The module of this name that the body may use; itself, where it would recurse."""
        own = self.definition.kind == "module"
        return self.scope.find(name, self.position + own)

    @cached_property
    def lines(self) -> LineNames:
        """The names of its lines."""
        return LineNames(self.definition)

    @cached_property
    def op_holders(self) -> frozenset[str]:
        """The constants that may hold an op, which the body may call then."""
        return op_holders(self.definition)

    def calls(self, name: str) -> bool:
        """Whether the body calls something of this name."""
        return any(isinstance(n, Call) and n.op.text == name for n in walk(*self.definition.body))

    def callee(self, name: str) -> type[Op] | ModuleDefinition | None:
        """The op, or the module that the body may use, of this name."""
        return OPS.get(name) or self.find(name) or find_op(name)

    def visible(self) -> list[str]:
        return self.scope.names(self.position)


def full_name(net: str, variant: str) -> str:
    """What the net of a variant is called: yolov8n for `n` of yolov8.

    A name of one letter is joined as it is, another by `_`. One that has the first four letters of
    the net's inside stands alone: resnet34, resnext50 and wide_resnet50_2 of resnet.
    """
    if net[:4] in variant if len(net) > 3 else variant.startswith(net):
        return variant
    return joined_names(net, variant)[len(variant) > 1]


def joined_names(net: str, variant: str) -> tuple[str, str]:
    """The names of a net and its variant as one, without and with `_` between them."""
    return f"{net}{variant}", f"{net}_{variant}"


def _variant_of(net: ModuleDefinition, variant: Variant) -> ModuleDefinition:
    """The net of a variant: the same text, with other defaults of its parameters."""
    own = net.definition
    values = {f.name.text: f.value for f in variant.fields}
    params = tuple(
        replace(p, default=values[p.name.text]) if p.name.text in values else p for p in own.params
    )
    name = Name(full_name(own.name.text, variant.name.text), variant.name.span)
    doc = "\n\n".join(filter(None, (variant.doc, own.doc)))
    definition = replace(own, name=name, params=params, doc=doc)
    return ModuleDefinition(definition, net.scope, net.position, variant, variant_of=own.name.text)


class ModuleScope:
    """The modules of a file, imported ones included, in order of appearance."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        """What imports of the file are relative to."""
        self.nets: dict[str, str] = {}
        """The names of imported files' nets, which nothing can use, and those files."""
        self._modules: dict[str, tuple[int, ModuleDefinition, Span]] = {}
        self.incomplete = False
        """Whether an import failed, so that names may be missing."""

    def __len__(self) -> int:
        return len(self._modules)

    def find(self, name: str, before: int) -> ModuleDefinition | None:
        entry = self._modules.get(name)
        return entry[1] if entry and entry[0] < before else None

    def modules(self) -> list[ModuleDefinition]:
        return [module for _, module, _ in self._modules.values()]

    def names(self, before: int) -> list[str]:
        return [name for name, (i, _, _) in self._modules.items() if i < before]

    def declare(
        self, name: str, module: ModuleDefinition, place: Span, diagnostics: Diagnostics
    ) -> None:
        if name in OPS:
            message = f"a module can't be called {name}: that is an op"
            diagnostics.add(Diagnostic("duplicate-name", message, place))
            return
        known = self._modules.get(name)
        if known is None:
            self._modules[name] = (len(self._modules), module, place)
        elif known[1].definition is not module.definition:
            diagnostics.add(
                Diagnostic(
                    "duplicate-name",
                    f"there are two modules called {name}",
                    place,
                    others=(Label(known[2], "the other one"),),
                )
            )


@dataclass(frozen=True)
class Program:
    """A file, parsed, with all that it imports."""

    source: Source
    nets: tuple[ModuleDefinition, ...]
    """The nets that the file defines; none in a file of modules only."""
    modules: tuple[ModuleDefinition, ...]
    """The modules that the file itself defines."""
    asked: frozenset[Path]
    """The paths at which imports were looked for, found or not."""

    def texts(self) -> tuple[Source, ...]:
        """Every text that the nets may use: their own, and those of the modules they can see."""
        found = {id(self.source): self.source}
        seen: set[int] = set()
        waiting = [*self.nets, *self.modules]
        while waiting:
            module = waiting.pop()
            if id(module) not in seen:
                seen.add(id(module))
                source = module.definition.span.source
                found.setdefault(id(source), source)
                waiting += module.scope.modules()
        return tuple(found.values())


def load(
    source: Source,
    base: Path | None,
    diagnostics: Diagnostics,
    texts: Mapping[Path, str] = {},
) -> Program | None:
    """Parse a text and its imports; relative ones are looked for in the folder `base`.

    `texts` are those of files by their absolute paths, whatever lies there.
    """
    return _Loader(diagnostics, texts).program(source, base)


def program_of(file: File, base: Path | None, diagnostics: Diagnostics) -> Program:
    """A tree with the imports of its file."""
    return _Loader(diagnostics).program_of(file, base)


class _Loader:
    def __init__(self, diagnostics: Diagnostics, texts: Mapping[Path, str] = {}) -> None:
        self.diagnostics = diagnostics
        self.texts = texts
        self.asked: set[Path] = set()
        self.loaded: dict[Path, tuple[ModuleDefinition, ...]] = {}
        self.nets: dict[Path, dict[str, str]] = {}
        self.open: list[Path] = []
        self.bundled: dict[str, Path] = {}
        """Where the bundled files are that were asked for."""
        self.errors = 0

    def program(self, source: Source, base: Path | None) -> Program | None:
        file = parse(source, self.diagnostics)
        return self.program_of(file, base) if file else None

    def program_of(self, file: File, base: Path | None) -> Program:
        file = with_defaults(file, self.diagnostics)
        scope = ModuleScope(base)
        modules: list[ModuleDefinition] = []
        nets: list[ModuleDefinition] = []
        for item in file.items:
            if isinstance(item, Import):
                imported = self._import(item, base, scope)
                scope.incomplete |= not imported
                for module in imported:
                    name = module.definition.name.text
                    scope.declare(name, module, item.target.span, self.diagnostics)
                continue
            if isinstance(item, Default):
                continue
            module = ModuleDefinition(item, scope, len(scope))
            if item.kind == "net":
                found = [s for s in item.body if isinstance(s, Variant)]
                variants = tuple(_variant_of(module, v) for v in found[:MAX_VARIANTS])
                nets.append(replace(module, variants=variants))
            else:
                modules.append(module)
                scope.declare(item.name.text, module, item.name.span, self.diagnostics)
        self._check_names(nets)
        return Program(file.source, tuple(nets), tuple(modules), frozenset(self.asked))

    def _check_names(self, nets: list[ModuleDefinition]) -> None:
        """Report nets and variants that bear a name that is taken."""
        known: dict[str, Name] = {}
        for net in nets:
            for one in (net, *net.variants):
                written = one.variant.name if one.variant is not None else one.definition.name
                for name in dict.fromkeys((written.text, one.definition.name.text)):
                    other = known.setdefault(name, written)
                    if other is not written:
                        self._two_nets(name, written, other)

    def _two_nets(self, name: str, at: Name, other: Name) -> None:
        others = (Label(other.span, "the other one"),)
        message = f"there are two nets called {name}"
        self.diagnostics.add(Diagnostic("duplicate-name", message, at.span, others=others))

    def _import(
        self, item: Import, base: Path | None, scope: ModuleScope
    ) -> tuple[ModuleDefinition, ...]:
        target = item.target
        if self.errors >= MAX_WRONG:
            return ()  # looking for files takes time
        path = self._locate(item, base)
        if path is None:
            return ()
        if path in self.loaded:
            scope.nets.update(self.nets.get(path, {}))
            return self.loaded[path]
        if path in self.open:
            circle = [p.name for p in self.open[self.open.index(path) :]] + [path.name]
            self._error("import-cycle", f"files import each other: {' -> '.join(circle)}", target)
            return ()
        if len(self.loaded) + len(self.open) >= MAX_FILES:
            self._error("too-large", f"at most {MAX_FILES} files may be imported", target)
            return ()
        if len(self.open) >= MAX_CHAIN:
            message = f"files that import each other are at most {MAX_CHAIN} deep"
            self._error("too-deep", message, target)
            return ()
        given = self.texts.get(path)
        if given is not None:
            source: Source | None = Source(str(path), plain(given))
        else:
            source = read_source(path, self.diagnostics, target.span)
        if source is None:
            return ()
        self.open.append(path)
        program = self.program(source, path.parent)
        self.open.pop()
        self.loaded[path] = program.modules if program else ()
        if program and program.nets:
            self.nets[path] = {n.definition.name.text: path.name for n in program.nets}
            scope.nets.update(self.nets[path])
        if program and not program.modules:
            help_ = ("a net can't be used in another: write a module of what both need",)
            message = f"{path.name} defines no module"
            self._error("unknown-module", message, target, help_ if program.nets else ())
        return self.loaded[path]

    def _locate(self, item: Import, base: Path | None) -> Path | None:
        target = item.target
        help_: tuple[str, ...]
        if isinstance(target, Name):
            path = folder("specs") / "modules" / f"{target.text}.net"
            if target.text not in self.bundled and path.is_file():
                self.bundled[target.text] = path.resolve()
            if target.text in self.bundled:
                return self.bundled[target.text]
            bundled = sorted(p.stem for p in path.parent.glob("*.net"))
            help_ = did_you_mean(target.text, bundled)
            help_ += (f'for a file of yours, write `import "{target.text}.net"`',)
            self._error(
                "unknown-module", f"no module {target.text} comes with netspec", target, help_
            )
            return None
        written = Path(target.value)
        if written.suffix != ".net" or written.is_absolute() or "\0" in target.value:
            message = "an import names a .net file by its path relative to this one"
            help_ = ()
            if _is_bundled(target.value):
                help_ = (_of_netspec(target.value, target.span),)
            elif not (written.suffix or written.is_absolute()) and written.name:
                name = f'"{target.value}.net"'
                help_ = (Fix(f"write `import {name}`", Edit(target.span, name)),)
            self._error("unknown-module", message, target, help_)
            return None
        path = (base or Path()) / written
        self.asked.add(path)
        try:
            if (self.texts and path.resolve() in self.texts) or path.is_file():
                return path.resolve()
        except OSError:
            pass
        message = f"there is no file {target.value} to import"
        self._error("unknown-module", message, target, _near_file(path, target))
        return None

    def _error(
        self, code: str, message: str, at: Name | String, help_: tuple[str, ...] = ()
    ) -> None:
        self.errors += 1
        self.diagnostics.add(Diagnostic(code, message, at.span, help=help_))


def _is_bundled(name: str) -> bool:
    return name.isidentifier() and (folder("specs") / "modules" / f"{name}.net").is_file()


def _of_netspec(name: str, at: Span) -> Fix:
    return Fix(f"for the module of netspec, write `import {name}`", Edit(at, name))


def _near_file(path: Path, target: String) -> tuple[str, ...]:
    """What was meant by the path of a file that is not there, as it was written."""
    written = Path(target.value)
    try:
        beside = [p.name for p in islice(path.parent.glob("*.net"), MAX_FILES)]
    except OSError:
        beside = []
    help_ = did_you_mean(path.name, beside)
    if help_ or not _is_bundled(written.stem):
        return help_
    return (_of_netspec(written.stem, target.span),)


def read_source(path: Path, diagnostics: Diagnostics, at: Span | None = None) -> Source | None:
    """A file as a source; None, and a diagnostic, where it can't be read."""
    text = read_text(path, diagnostics, at)
    return None if text is None else Source(str(path), plain(text))


def read_text(path: Path, diagnostics: Diagnostics, at: Span | None = None) -> str | None:
    """The text of a file as it is; None, and a diagnostic, where it can't be read."""
    try:
        content = read_input(path, MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            message = f"{path} is too large for a spec"
            diagnostics.add(Diagnostic("unreadable-file", message, at))
            return None
        return _decoded(content, path)
    except OSError as error:
        message = f"{path} can't be read: {error.strerror or error}"
        diagnostics.add(Diagnostic("unreadable-file", message, at))
        return None
    except ValueError:
        diagnostics.add(Diagnostic("unreadable-file", f"{path} is not UTF-8 text", at))
        return None


def _decoded(content: bytes, path: Path) -> str:
    """The text of a file. Raises ValueError.

    UTF-16 has a byte order mark, as Windows' editors write it under the name Unicode. Comments of
    old prototxt files are in whatever encoding their author had.
    """
    if content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8")
    except ValueError:
        if path.suffix == ".prototxt" and b"\0" not in content:
            return content.decode("latin-1")
        raise
