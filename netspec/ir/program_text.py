"""The text of a program: the templates of a net and of the modules that it uses.

    template module fire(s1x1, e1x1, e3x3) {
      input x
      squeeze: conv { filters: s1x1  kernel: 1 } -> relu
      ...

Statements and expressions are those of the language: without the word `template`, it is a spec.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netspec.ir.nodes import Net
from netspec.ir.template import (
    Binding,
    Branches,
    Flowing,
    LayerLine,
    Link,
    Operand,
    Repetition,
    Requirement,
    Template,
    TemplateCall,
    TemplateChoice,
    TemplateInput,
    TemplateOutput,
    TemplateStatement,
    calls_in,
)
from netspec.syntax.ast import LayerName
from netspec.syntax.unparse import expression, layer_name, loop_head, string

INDENT = "  "


def program_text(net: Net) -> str:
    """The templates, those of modules first, each followed by an empty line.

    Empty for a net that a pass made, of which there is no program.
    """
    if net.body.template is None:
        return ""
    sections = []
    for template in _templates(net.body.template):
        parameters = ", ".join(
            p.name if p.default is None else f"{p.name} = {expression(p.default)}"
            for p in template.parameters
        )
        head = f"template {template.kind} {template.name}" + (
            f"({parameters})" if parameters else ""
        )
        sections.append("\n".join([f"{head} {{", *_body(template.body, INDENT), "}", "", ""]))
    return "".join(sections)


def _templates(top: Template) -> list[Template]:
    """A template and those that it uses, each once and behind all that it uses itself."""
    found: dict[Template, None] = {}
    stack = [(top, False)]
    while stack:
        template, complete = stack.pop()
        if complete:
            found[template] = None
        elif template not in found:
            stack.append((template, True))
            inner = [
                callee
                for c in calls_in(template.body)
                for callee in (c.callee, getattr(c.callee, "otherwise", None))
                if isinstance(callee, Template)
            ]
            inner += (t for t in template.callees.values() if isinstance(t, Template))
            stack += ((t, False) for t in reversed(inner))
    return list(found)


def _body(body: Sequence[TemplateStatement], margin: str) -> Iterator[str]:
    for s in body:
        match s:
            case TemplateInput():
                shape = f": {expression(s.pattern)}" if s.pattern is not None else ""
                yield f"{margin}input {s.name}{shape}"
            case Binding():
                yield f"{margin}let {s.name} = {expression(s.value)}"
            case LayerLine():
                name = f"{layer_name(s.name)}: " if s.name is not None else ""
                yield f"{margin}{name}{_link(s.last)}"
            case TemplateOutput():
                names = [f"{name}: " if name else "" for name in s.names]
                results = (n + _operand(v) for n, v in zip(names, s.values, strict=True))
                yield f"{margin}output {', '.join(results)}"
            case Requirement():
                said = f" {string(s.message)}" if s.message is not None else ""
                yield f"{margin}expect {expression(s.condition)}{said}"
            case Branches():
                word = f"{margin}if"
                for condition, inner in s.cases:
                    yield f"{word} {expression(condition)} {{"
                    yield from _body(inner, margin + INDENT)
                    word = f"{margin}}} else if"
                if s.otherwise:
                    yield f"{margin}}} else {{"
                    yield from _body(s.otherwise, margin + INDENT)
                yield f"{margin}}}"
            case Repetition():
                yield f"{margin}{loop_head(s.target, s.first, s.last, s.step)} {{"
                yield from _body(s.body, margin + INDENT)
                yield f"{margin}}}"


def _link(k: Link) -> str:
    """A link with those before it in its chain."""
    if isinstance(k, TemplateCall):
        return _call(k)
    cases = " else ".join(f"{_call(call)} if {expression(e)}" for e, call in k.cases)
    last = "" if k.otherwise is None else f" else {_call(k.otherwise)}"
    return f"{_link(k.before)} -> ({cases}{last})"


def _call(c: TemplateCall) -> str:
    before = ""
    arguments: tuple[Operand, ...] = c.inputs
    if c.suffix is not None and isinstance(c.inputs[0], TemplateCall | TemplateChoice):
        before, arguments = f"{_link(c.inputs[0])} -> ", c.inputs[1:]
    given = ", ".join(_operand(a) for a in arguments if not isinstance(a, Flowing))
    fields = "  ".join(f"{name}: {expression(value)}" for name, value in c.fields)
    return (
        before
        + (layer_name(c.callee) if isinstance(c.callee, LayerName) else c.keyword)
        + (f"({given})" if given else "")
        + (f" {{ {fields} }}" if fields else "")
    )


def _operand(o: Operand) -> str:
    if isinstance(o, TemplateCall | TemplateChoice):
        return _link(o)
    assert not isinstance(o, Flowing), "only a call takes what flows"
    return expression(o)
