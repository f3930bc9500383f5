"""Unknown names of ops and modules: what may have been meant, and where it is."""

from __future__ import annotations

import re
from collections.abc import Iterator

from netspec.diagnostics import Diagnostic, Label, also_in_lines
from netspec.diagnostics.fixes import Edit, Fix
from netspec.diagnostics.source import Span
from netspec.diagnostics.suggest import did_you_mean
from netspec.lazy_dataclasses import dataclass, field, replace
from netspec.ops import OPS, load_problems, op_names
from netspec.semantic.foreign_names import STATEMENTS, op_help
from netspec.semantic.imports import ModuleDefinition
from netspec.syntax.ast import Call, Definition, Input
from netspec.syntax.edits import add_import
from netspec.syntax.visitor import statements
from netspec.util.resources import folder

_OWN_STATEMENTS = {
    **dict.fromkeys(
        ("default", "defaults"),
        "fields for all calls of an op are a statement of their own: `default conv { ... }`",
    ),
    **dict.fromkeys(
        ("variant", "variants"), "a variant is written `variant name { parameter: value }`"
    ),
}
"""What begins a statement of the language, in a place where it is taken for an op."""
MAX_READ = 2**20
"""Longest file that is looked into for a module."""


@dataclass
class _NameUses:
    first: Diagnostic
    lines: list[int] = field(default_factory=list)
    """The lines of the further uses."""


class UnknownNames:
    """Collects the uses of unknown names; each name is one error, however often it is used."""

    def __init__(self) -> None:
        self._found: dict[object, _NameUses] = {}
        self._last_statement: dict[int, Span] = {}
        """In each text, the last word that begins a statement in other languages."""

    def __len__(self) -> int:
        return len(self._found)

    def add(self, call: Call, module: ModuleDefinition) -> None:
        """Keep that a definition calls something unknown."""
        source = call.span.source
        word = self._last_statement.get(id(source))
        if word is not None and word.line == call.span.line and word.end < call.span.start:
            return  # `return x`: what stands behind such a word is no op
        shape = _shape_with_names(call)
        if call.op.text in (*STATEMENTS, *_OWN_STATEMENTS) or shape:
            self._last_statement[id(source)] = call.op.span
        key = (id(source), call.callee.span.text)
        if key in self._found:
            self._found[key].lines.append(call.op.span.line)
            return
        diagnostic = shape or self._diagnostic(call, module)
        if diagnostic is not None:
            self._found[key] = _NameUses(diagnostic)

    def diagnostics(self) -> Iterator[Diagnostic]:
        """One error for each name, at its first use."""
        for uses in self._found.values():
            yield replace(uses.first, also=also_in_lines(uses.lines))

    def _diagnostic(self, call: Call, module: ModuleDefinition) -> Diagnostic | None:
        name = call.op.text
        scope = module.scope
        message = f"there is no op or module {name}"
        if call.indices:
            help_: tuple[str, ...] = did_you_mean(name, module.lines.indexed)
            if name in op_names() or module.find(name):
                help_ = ("only the name of a line that is used again has an index",)
            help_ = _missing_colon(call, module) or help_
            if name in module.lines.plain:
                help_ = (f"the line {name} has no index: `{name}(...)`",)
            message = f"there is no line {call.callee.span.text}"
            return Diagnostic("unknown-op", message, call.callee.span, help=help_)
        others: tuple[Label, ...] = ()
        later = scope.find(name, len(scope))
        if later is not None:
            others = (Label(later.definition.name.span, "it is defined here"),)
            help_ = ("move its definition above this one",)
        elif name == module.definition.name.text:
            help_ = ("a net can't be used as a module",)
        elif name in scope.nets:
            message = f"a net can't be used in another, and {name} of {scope.nets[name]} is a net"
            help_ = ("write a module of what both need",)
        elif name in module.lines.indexed:
            message = f"there is no op or module {name}, and no line without an index"
            help_ = (
                f"the index of the line that is meant stands behind its name: `{name}[i](...)`",
            )
        elif name in _OWN_STATEMENTS:
            help_ = (_OWN_STATEMENTS[name],)
        elif name in _inputs(module.definition):
            message = f"{name} is a value, and no op or module"
            help_ = (f"a value goes into round brackets: `relu({name})`",)
        else:
            help_ = tuple(load_problems(name)) or _imported(call, module) or op_help(name)
            lines = module.lines.plain - {_line_of(call)}
            known = [*op_names(), *module.visible(), *lines]
            help_ = help_ or did_you_mean(name, known)
            help_ = _missing_colon(call, module) or help_
        if not others and scope.incomplete:
            return None  # it may be one of those that a failed import would have brought
        return Diagnostic("unknown-op", message, call.op.span, others=others, help=help_)


def _shape_with_names(call: Call) -> Diagnostic | None:
    """The error of `input x: 3 x size x size`, of which the grammar makes layers."""
    text = call.span.source.text
    start = text.rfind("\n", 0, call.span.start) + 1
    end = text.find("\n", start)
    line = text[start : end if end >= 0 else len(text)]
    found = re.match(r"\s*input\s+\w+\s*:\s*(\w+(?:\s+x\s+\w+)+)", line)
    if found is None or not found.start(1) < call.span.start - start < found.end(1):
        return None
    fix = ", ".join(re.split(r"\s+x\s+", found[1]))
    message = f"a shape is written without spaces: {found[1]} is read as layers"
    place = Span(call.span.source, start + found.start(1), start + found.end(1))
    help_ = (Fix(f"with names in it, it is a list: `[{fix}]`", Edit(place, f"[{fix}]")),)
    return Diagnostic("unknown-op", message, place, help=help_)


def _line_of(call: Call) -> str:
    """The name of the line that a call stands in, if it begins in the same line of the text."""
    text = call.span.source.text
    begun = re.match(r"\s*(\w+)\s*:", text[text.rfind("\n", 0, call.span.start) + 1 :])
    return begun[1] if begun is not None else ""


def _missing_colon(call: Call, module: ModuleDefinition) -> tuple[str, ...]:
    """Help where an op or module stands right behind what is then its name."""
    if call.fields or call.arguments is not None:
        return ()
    text = call.span.source.text[call.span.end : call.span.end + 80]
    word = next(iter(re.findall(r"\A[ \t]*(\w+)", text)), "")
    known = word in OPS or module.find(word)
    if not known:
        return ()
    name = call.callee.span
    colon = Edit(Span(name.source, name.end, name.end), ":")
    return (Fix(f"did you mean `{name.text}: {word}`?", colon),)


def _inputs(definition: Definition) -> set[str]:
    """The names of the inputs."""
    return {s.name.text for s in statements(definition.body) if isinstance(s, Input)}


def _imported(call: Call, module: ModuleDefinition) -> tuple[str, ...]:
    """The import that would bring the module that is called, as a line of help."""
    name, source = call.op.text, call.span.source
    if (folder("specs") / "modules" / f"{name}.net").is_file():
        return (Fix(f"write `import {name}` at the top of the file", add_import(source, name)),)
    base = module.scope.folder
    if base is None:
        return ()
    for written in (f"{name}.net", f"modules/{name}.net"):
        try:
            with (base / written).open(encoding="utf-8") as file:
                text = file.read(MAX_READ)
        except (OSError, ValueError):
            continue
        if re.search(rf"^\s*module\s+{re.escape(name)}\b", text, re.MULTILINE):
            edit = add_import(source, f'"{written}"')
            return (Fix(f'write `import "{written}"` at the top of the file', edit),)
    return ()
