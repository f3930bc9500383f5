"""Fields that `default conv { bias: false }` gives to the calls behind it.

They are put into the calls before anything looks at these: names, elaboration and templates know
nothing of defaults. A field of the call itself wins, then that of the innermost default.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from netspec.diagnostics import Diagnostic, Diagnostics
from netspec.diagnostics.suggest import did_you_mean
from netspec.lazy_dataclasses import replace
from netspec.ops import attributes, find_op, op_names
from netspec.semantic.fields import check_fields
from netspec.semantic.foreign_names import op_help
from netspec.syntax.ast import (
    Call,
    Default,
    Definition,
    Field,
    File,
    For,
    If,
    Import,
    Statement,
)
from netspec.syntax.visitor import rewrite, statements, walk

Item = TypeVar("Item", bound=Import | Definition | Statement)
InSight = Mapping[str, Mapping[str, tuple[Field, Default]]]
"""By op and name, each field that a default gives, and that."""


def with_defaults(file: File, diagnostics: Diagnostics) -> File:
    """The tree in which calls have the fields that defaults give them.

    Defaults of what is no op, and fields that there are none of, are reported; so are defaults
    that no call uses.
    """
    bodies = (s for item in file.items if isinstance(item, Definition) for s in item.body)
    found = [s for s in (*file.items, *statements(bodies)) if isinstance(s, Default)]
    if not found:
        return file
    known = _Defaults({id(s): _fields(s, diagnostics) for s in found})
    items = known.applied(file.items, {})
    for s in found:
        if id(s) not in known.used and known.fields[id(s)] is not None:
            message = f"no {s.op.text} behind this takes anything from it"
            diagnostics.add(
                Diagnostic("unused-default", message, s.head, help=_of_modules(s, file))
            )
    return replace(file, items=tuple(items))


def _of_modules(s: Default, file: File) -> tuple[str, ...]:
    """Help where a default of a body is meant for the modules that it uses."""
    modules = [i for i in file.items if isinstance(i, Definition) and i.kind == "module"]
    calls = (n for m in modules if s not in m.body for n in walk(*m.body) if isinstance(n, Call))
    if s in file.items or all(c.op.text != s.op.text for c in calls):
        return ()
    return ("it does not hold inside of modules; at the top of the file it is for these, too",)


def _fields(s: Default, diagnostics: Diagnostics) -> Mapping[str, Field] | None:
    """The fields of a default by name; None, and a diagnostic, where some are wrong."""
    name = s.op.text
    op = find_op(name)
    if op is None:
        message = f"a default is for an op, and there is no op {name}"
        help_ = op_help(name) or did_you_mean(name, op_names())
        help_ = help_ or ("a module has defaults of its parameters: `module m(filters = 8)`",)
        diagnostics.add(Diagnostic("unknown-op", message, s.op.span, help=help_))
        return None
    before = len(diagnostics)
    declared = [a.name for a in attributes(op)]
    call = Call(s.op, None, s.fields, s.span)
    check_fields(call, declared, (), "op", diagnostics)
    return {f.name.text: f for f in s.fields} if len(diagnostics) == before else None


class _Defaults:
    """Puts fields into calls. `fields` are those of each default, by its identity."""

    def __init__(self, fields: Mapping[int, Mapping[str, Field] | None]) -> None:
        self.fields = fields
        self.used: set[int] = set()
        """The defaults of which a call takes a field."""

    def applied(self, items: Iterable[Item], in_sight: InSight) -> Sequence[Item]:
        """Statements, or the parts of a file, in their order; each default is for those behind."""
        result: list[Item] = []
        for item in items:
            match item:
                case Default():
                    given = {n: (f, item) for n, f in (self.fields[id(item)] or {}).items()}
                    name = item.op.text
                    in_sight = {**in_sight, name: {**in_sight.get(name, {}), **given}}
                case Definition():
                    item = replace(item, body=tuple(self.applied(item.body, in_sight)))
                case For():
                    item = replace(item, body=tuple(self.applied(item.body, in_sight)))
                case If():
                    branches = [(c, tuple(self.applied(b, in_sight))) for c, b in item.branches]
                    otherwise = tuple(self.applied(item.otherwise, in_sight))
                    item = replace(item, branches=tuple(branches), otherwise=otherwise)
                case _ if in_sight:
                    item = rewrite(item, partial(self._complete, in_sight))
            result.append(item)
        return result

    def _complete(self, in_sight: InSight, node: object) -> object:
        """A call with what defaults give it; another node as it is."""
        if not isinstance(node, Call) or node.indices or node.op.text not in in_sight:
            return node
        own = {f.name.text for f in node.fields}
        given = {n: pair for n, pair in in_sight[node.op.text].items() if n not in own}
        self.used |= {id(default) for _, default in given.values()}
        return replace(node, fields=(*node.fields, *(f for f, _ in given.values())))
