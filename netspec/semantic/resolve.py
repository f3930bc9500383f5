"""Names of ops, modules, fields and parameters: what can be checked before anything runs.

Looks at every definition of a file, also at modules that nothing uses and branches not taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netspec.diagnostics import Diagnostic, Diagnostics, Label
from netspec.diagnostics.fixes import Edit, Fix
from netspec.diagnostics.source import Span
from netspec.lazy_dataclasses import replace
from netspec.ops import Op, attributes, find_op
from netspec.ops.attribute_types import Padding, Pair, Size
from netspec.semantic.evaluator import METRICS
from netspec.semantic.fields import check_fields
from netspec.semantic.imports import ModuleDefinition, Program
from netspec.semantic.limits import MAX_ERRORS, MAX_VARIANTS
from netspec.semantic.unknown_names import UnknownNames
from netspec.syntax.ast import (
    Attribute,
    Binary,
    Call,
    ContractStatement,
    Definition,
    Expression,
    For,
    Function,
    Index,
    Input,
    LayerStatement,
    NetBlock,
    Number,
    Result,
    Statement,
    Variable,
    Variant,
)
from netspec.syntax.visitor import statements, walk


def resolve(program: Program, diagnostics: Diagnostics) -> None:
    """Check all names of calls and fields in the file, and that parameters are used."""
    seen: set[ModuleDefinition] = set()
    unknown = UnknownNames()
    for module in (*program.modules, *program.nets):
        _check_definition(module, diagnostics, seen, unknown)
    for diagnostic in unknown.diagnostics():
        diagnostics.add(diagnostic)


def _check_definition(
    module: ModuleDefinition,
    diagnostics: Diagnostics,
    seen: set[ModuleDefinition],
    unknown: UnknownNames,
) -> None:
    """Check a definition and, once each, those of other files that it uses."""
    if module in seen:
        return
    seen.add(module)
    definition = module.definition
    _check_parameters(definition, diagnostics)
    for call in (node for node in walk(*definition.body) if isinstance(node, Call)):
        if len(diagnostics) + len(unknown) >= MAX_ERRORS:
            return
        if call.indices:
            if not module.lines.has(call.callee):
                unknown.add(call, module)
            continue
        used = module.find(call.op.text)
        if call.op.text in module.op_holders:
            continue  # elaboration knows what it holds
        if used is module:
            message = f"{definition.kind} {call.op.text} uses itself"
            diagnostics.add(
                Diagnostic(
                    "recursion",
                    message,
                    call.op.span,
                    others=(Label(definition.name.span, "inside this definition"),),
                )
            )
        elif used is not None:
            names = [p.name.text for p in used.definition.params]
            required = [p.name.text for p in used.definition.params if p.default is None]
            again = _meant_again(call, module)
            check_fields(call, names, required, "module", diagnostics, again)
            if used.definition.span.source is not definition.span.source:
                _check_definition(used, diagnostics, seen, unknown)
        elif (op := find_op(call.op.text)) is not None:
            declared = attributes(op)
            names = [a.name for a in declared]
            required = [a.name for a in declared if a.required]
            check_fields(call, names, required, "op", diagnostics)
            _check_products(call, op, diagnostics)
        elif not module.lines.has(call.callee):
            unknown.add(call, module)
    _check_ranges(definition, diagnostics)
    _check_on_top(definition.body, diagnostics)
    _check_net_blocks(definition, diagnostics)
    _check_variants(definition, diagnostics)


def _meant_again(call: Call, module: ModuleDefinition) -> str:
    """Help where a line bears the name of the module that is called, without its fields."""
    name = call.op.text
    if call.fields or name not in module.lines.plain:
        return ""
    return f"to use the line {name} again, give it another name than the module's"


def _check_products(call: Call, op: type[Op], diagnostics: Diagnostics) -> None:
    """Warn of `kernel: 3*3`, which is 9x9."""
    pairs = {a.name for a in attributes(op) if isinstance(a.kind, Pair | Padding | Size)}
    for f in call.fields:
        product = f.value
        if f.name.text not in pairs or not isinstance(product, Binary):
            continue
        left, right = product.left, product.right
        if product.operator == "*" and isinstance(left, Number) and isinstance(right, Number):
            one, two = left.span.text, right.span.text
            number = left.value * right.value
            message = f"{f.name.text} is {number}x{number} here, the product of {one} and {two}"
            help_ = (Fix(f"a pair is written `{one}x{two}`", Edit(product.span, f"{one}x{two}")),)
            diagnostics.add(Diagnostic("doubtful-value", message, product.span, help=help_))


def _check_ranges(definition: Definition, diagnostics: Diagnostics) -> None:
    """Warn of `4..0`, in which there are no numbers."""
    for s in statements(definition.body):
        if not isinstance(s, For) or s.step is not None:
            continue
        first, last = s.first, s.last
        if isinstance(first, Number) and isinstance(last, Number) and first.value > last.value:
            written = f"{first.span.text}..{last.span.text}"
            message = f"there are no numbers in {written}: this loop does nothing"
            place = first.span.to(last.span)
            down = f"{written} step -1"
            help_ = (Fix(f"to count down, write `{down}`", Edit(place, down)),)
            diagnostics.add(Diagnostic("doubtful-value", message, place, help=help_))


def _check_parameters(definition: Definition, diagnostics: Diagnostics) -> None:
    """Each has a name of its own and is used."""
    seen: dict[str, Span] = {}
    for param in definition.params:
        name = param.name.text
        if name in seen:
            diagnostics.add(
                Diagnostic(
                    "duplicate-name",
                    f"the name {name} is given twice",
                    param.name.span,
                    others=(Label(seen[name], "the first one"),),
                )
            )
        seen.setdefault(name, param.name.span)
    values = {id(e) for e in _values(definition)}
    used = {e.name for e in walk(definition) if isinstance(e, Variable) and id(e) not in values}
    # A parameter where a layer should be is another error.
    used |= {node.op.text for node in walk(definition) if isinstance(node, Call)}
    for param in definition.params:
        if param.name.text not in used and not param.name.text.startswith("_"):
            diagnostics.add(
                Diagnostic(
                    "unused-parameter",
                    f"{definition.kind} {definition.name.text} never uses its parameter "
                    f"{param.name.text}",
                    param.name.span,
                )
            )


def _values(definition: Definition) -> Iterator[Expression]:
    """The names that mean a layer or an input, also where a constant has the same."""
    named = (s.name for s in statements(definition.body) if isinstance(s, LayerStatement))
    made = {name.base.text for name in named if name is not None}
    made |= {s.name.text for s in definition.body if isinstance(s, Input)}
    for node in walk(*definition.body):
        found: tuple[object, ...] = ()
        match node:
            case Call():
                found = node.arguments or ()
            case Result():
                found = (node.value,)
            case Attribute():
                found = (node.base,)
            case Function() if node.name.text in METRICS:
                found = node.arguments
            case ContractStatement() if node.pattern is not None:
                found = (node.subject,)
        for e in found:
            while isinstance(e, Index):
                e = e.base
            if isinstance(e, Variable) and e.name in made:
                yield e


def _check_on_top(body: Iterable[Statement], diagnostics: Diagnostics) -> None:
    """No `input`, `train`, `detect` or `variant` depends on an `if` or `for`."""
    for outer in body:
        for s in statements([outer]):
            if s is outer or not isinstance(s, Input | NetBlock | Variant):
                continue
            if isinstance(s, Variant):
                what, place, help_ = "a `variant`", s.word, "put it at the top of the net"
            elif isinstance(s, Input):
                what, place, help_ = "an `input`", s.span, "put it at the top of the net or module"
            else:
                what, place = f"a `{s.kind}` block", s.word
                help_ = "a field may depend on a condition: `field: a if condition else b`"
            message = f"{what} can't stand inside `if` or `for`"
            diagnostics.add(Diagnostic("syntax", message, place, help=(help_,)))


def _check_net_blocks(definition: Definition, diagnostics: Diagnostics) -> None:
    """A net has at most one `train` block and one `detect` block, a module none."""
    first: dict[str, NetBlock] = {}
    for s in definition.body:
        if not isinstance(s, NetBlock):
            continue
        others: tuple[Label, ...] = ()
        if definition.kind == "module":
            message = f"a module has no `{s.kind}` block; the net that uses it may have one"
        elif s.kind in first:
            message = f"{definition.name.text} has more than one `{s.kind}` block"
            others = (Label(first[s.kind].word, "the first one"),)
        else:
            first[s.kind] = s
            continue
        diagnostics.add(Diagnostic("syntax", message, s.word, others=others))


def _check_variants(definition: Definition, diagnostics: Diagnostics) -> None:
    """Variants are of nets, and their fields are parameters, each given once.

    What has no default must be given by each.
    """
    found = [s for s in definition.body if isinstance(s, Variant)]
    if definition.kind == "module":
        for s in found[:1]:
            message = "a module has no variants; the net that uses it may have some"
            diagnostics.add(Diagnostic("syntax", message, s.word))
        return
    if len(found) > MAX_VARIANTS:
        message = f"a net has at most {MAX_VARIANTS} variants"
        diagnostics.add(Diagnostic("too-large", message, found[MAX_VARIANTS].name.span))
    names = [p.name.text for p in definition.params]
    required = [p.name.text for p in definition.params if p.default is None]
    for s in found[:MAX_VARIANTS]:
        call = Call(replace(definition.name, span=s.name.span), None, s.fields, s.span)
        check_fields(call, names, required, "net", diagnostics)
