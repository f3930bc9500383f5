"""Expressions of the language to constants: exact numbers, bounded in size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from netspec.diagnostics import Diagnostic, Label
from netspec.diagnostics.source import Span
from netspec.diagnostics.suggest import did_you_mean, meant
from netspec.ir import Instance, Value
from netspec.ir.op_value import OpValue
from netspec.lazy_dataclasses import replace
from netspec.ops import OPS, attributes, op_names, text
from netspec.ops.attribute_types import AttributeType, AttributeTypeError, describe
from netspec.semantic.constants import count_items, plain
from netspec.semantic.operations import FUNCTIONS, arithmetic, call_function, compare
from netspec.semantic.scope import (
    EvaluationError,
    LayerReference,
    MetricSource,
    Names,
    Poison,
    Poisoned,
    Scope,
    evaluation_error,
)
from netspec.symbolic.conditions import MAX_ITEMS
from netspec.symbolic.expr import Num, ParameterItem, SizeOf, Symbol, apply
from netspec.symbolic.terms import leaves
from netspec.syntax.ast import (
    Attribute,
    Binary,
    Comparison,
    Conditional,
    Constant,
    Expression,
    Function,
    Index,
    ListLiteral,
    Logic,
    Name,
    Number,
    OpLiteral,
    ShapeLiteral,
    String,
    Unary,
    Variable,
    Wildcard,
)

SHAPE_ATTRIBUTES = ("channels", "height", "width", "shape")
METRICS = ("params", "macs", "size", "activations")
_CURRENT = ("_", "x", "input", "prev", "previous", "last", "it", "self")
"""What people write for the value that flows from line to line."""


def as_help(error: AttributeTypeError, at: Span) -> str:
    """The help of a value that is not of its kind, which stands at a place."""
    return meant(at.text, error.instead) if error.instead else error.help


class Evaluator:
    """Evaluates in one scope of one block.

    `names` are the inputs and layers in sight. `metrics` gives `params` and the like of a line or
    of the block, in `expect` and `prefer` only. `callee_of` gives the op or module of a name.
    `used` collects the parameters and input channels of the block, and the heights and widths of
    values, that the results depend on.
    """

    def __init__(
        self,
        scope: Scope,
        names: Names | None = None,
        metrics: MetricSource | None = None,
        callee_of: Callable[[str], Any] = lambda name: None,
    ) -> None:
        self.scope = scope
        self.names = names if names is not None else Names()
        self.metrics = metrics
        self.callee_of = callee_of
        self.used: set[Symbol] = set()

    # --- entry points ----------------------------------------------------------------------------

    def field(
        self,
        e: Expression,
        kind: AttributeType,
        of: str,
        foreign: Callable[[str], Sequence[str]] = lambda text: (),
    ) -> Any:
        """The value of a field as its kind has it. Raises EvaluationError.

        `of` is how messages call the field, `foreign` the help for a text that other tools know.
        """
        if isinstance(e, Variable) and kind.words and e.name not in kind.words:
            if self.scope.find(e.name) is None and e.name not in self.names:
                message = f"{of} takes {kind}, not `{e.name}`"
                help_ = foreign(e.name) or did_you_mean(e.name, kind.words)
                raise evaluation_error("unknown-value", message, e.span, *help_)
        try:
            return kind.convert(self.of_kind(e, kind))
        except AttributeTypeError as error:
            help_ = foreign(e.span.text) or (as_help(error, e.span),)
            raise evaluation_error(error.code, f"{of} {error.message}", e.span, *help_) from None

    def of_kind(self, e: Expression, kind: AttributeType) -> Any:
        """A word of the kind, such a word with what stands in its brackets, or a constant."""
        if isinstance(e, Variable) and e.name in kind.words:
            return e.name
        if isinstance(e, Function) and e.name.text in kind.words:
            return (e.name.text, *(self.of_kind(a, kind) for a in e.arguments))
        return self.constant(e)

    def constant(self, e: Expression) -> Any:
        """A number, bool, string, None or tuple of these. Raises EvaluationError."""
        result = self._evaluate(e)
        if isinstance(result, LayerReference) and isinstance(e, Variable) and e.name in METRICS:
            # A value of the network is no number, so that the metric is meant.
            if self.metrics is not None:
                return Num(Fraction(self.metrics(e.name, None)))
        if isinstance(result, LayerReference) and isinstance(e, Variable):
            result = self._op_of(e.name) or result
        if isinstance(result, LayerReference):
            raise evaluation_error(
                "wrong-type",
                f"{result.name} is a value of the network, not a constant",
                e.span,
                f"its sizes are `{result.name}.channels`, `.height`, `.width` and `.shape`",
            )
        if isinstance(result, tuple):
            # Whatever is done with a list takes time in proportion to its length.
            self.scope.budget.spend(count_items(result, MAX_ITEMS), e.span)
        return result

    def truth(self, e: Expression) -> bool:
        result = self.constant(e)
        if not isinstance(result, bool):
            raise evaluation_error(
                "wrong-type", f"a condition must be true or false, not {describe(result)}", e.span
            )
        return result

    def integer(self, e: Expression, what: str) -> int:
        result = self.constant(e)
        if not isinstance(result, Num):
            raise evaluation_error(
                "wrong-type", f"{what} must be a number, not {describe(result)}", e.span
            )
        if result.value.denominator != 1:
            message = f"{what} must be a whole number, but is {describe(result)}"
            raise evaluation_error(
                "not-integral", message, e.span, "`round(...)`, `floor(...)` make one"
            )
        return int(result.value)

    def reference(self, e: Expression) -> LayerReference:
        """The layer that an expression names; for `enc.skip`, narrowed to that result.

        Raises EvaluationError where it names none.
        """
        result = self._value(e)
        if not isinstance(result, LayerReference):
            help_, code = "", "wrong-type"
            if isinstance(result, OpValue):
                help_ = f"to apply {e.span.text} here, write `{e.span.text}(...)`"
                known = isinstance(e, Variable) and self.scope.find(e.name)
                code = "wrong-type" if known else "unknown-name"
            raise evaluation_error(
                code,
                f"a value of the network is needed here, but this is {describe(result)}",
                e.span,
                help_,
            )
        return result

    def _value(self, e: Expression) -> Any:
        """What an expression stands for where a value of the network is meant.

        A layer comes before a constant of its name there.
        """
        root: Expression = e
        while isinstance(root, Index):
            root = root.base
        if isinstance(root, Variable) and self.scope.find(root.name) is not None:
            line = self.names.find(self.indexed_name(e))
            if isinstance(line, Poison):
                raise Poisoned
            if line is not None:
                return line
        return self._evaluate(e)

    # --- kinds of expressions --------------------------------------------------------------------

    def _evaluate(self, e: Expression) -> Any:
        self.scope.budget.spend(1, e.span)
        return self._HANDLERS[type(e)](self, e)

    def _number(self, e: Number) -> Num:
        return Num(e.value)

    def _shape(self, e: ShapeLiteral) -> Any:
        if None in e.dims:
            raise evaluation_error(
                "wrong-type",
                "`?` has a place only in the shape that a value is checked for",
                e.span,
            )
        return tuple(Num(Fraction(d or 0)) for d in e.dims)

    def _string(self, e: String) -> str:
        return e.value

    def _literal(self, e: Constant) -> Any:
        return e.value

    def _wildcard(self, e: Wildcard) -> Any:
        raise evaluation_error(
            "wrong-type", "`?` has a place only in the shape that a value is checked for", e.span
        )

    def _list(self, e: ListLiteral) -> Any:
        return self._bounded_list(tuple(self.constant(item) for item in e.items), e.span)

    def _bounded_list(self, items: tuple[Any, ...], span: Span) -> tuple[Any, ...]:
        """Lists may share their parts, so a few lines could make one of any size."""
        if count_items(items, MAX_ITEMS) > MAX_ITEMS:
            raise evaluation_error("too-large", f"a list has at most {MAX_ITEMS:,} items", span)
        return items

    def _variable(self, e: Variable) -> Any:
        known = self.scope.find(e.name)
        if known is not None:
            constant, place = known
            if isinstance(constant, Poison):
                raise Poisoned
            self.used |= constant.depends
            if self.metrics is not None and e.name in METRICS:
                message = f"`{e.name}` may mean the constant of this name or the metric"
                raise EvaluationError(
                    Diagnostic(
                        "ambiguous-name",
                        message,
                        e.span,
                        others=(Label(place, "the constant"),),
                        help=(
                            f"for the metric, write `{e.name}()`",
                            f"for the constant, give it another name: `let value = {e.name}`",
                        ),
                    )
                )
            return constant.value
        line = self.names.find(e.name)
        if isinstance(line, Poison):
            raise Poisoned
        if line is not None:
            return line
        if e.name in METRICS:
            if self.metrics is not None:
                return Num(Fraction(self.metrics(e.name, None)))
            message = f"`{e.name}` is known only in expect and prefer"
            raise evaluation_error("unknown-name", message, e.span)
        op = self._op_of(e.name)
        if op is not None:
            return op
        raise self._unknown(e.name, e.span)

    def _op_of(self, name: str) -> OpValue | None:
        callee = self.callee_of(name)
        return None if callee is None else OpValue(name, callee)

    def _op_literal(self, e: OpLiteral) -> OpValue:
        """`leaky_relu { slope: 0.1 }`; fields are added to those that a constant's op has."""
        known = self.scope.find(e.op.text)
        base = self._variable(Variable(e.op.text, e.op.span)) if known else None
        if not isinstance(base, OpValue):
            base = self._op_of(e.op.text)
        if base is None:
            help_ = did_you_mean(e.op.text, op_names())
            message = f"there is no op or module {e.op.text}"
            raise evaluation_error("unknown-op", message, e.op.span, *help_)
        found = dict(base.fields)
        kinds: dict[str, Any] = {}
        if isinstance(base.callee, type):
            kinds = {a.name: a.kind for a in attributes(base.callee)}
        else:
            kinds = {p.name.text: None for p in base.callee.definition.params}
        for f in e.fields:
            name = f.name.text
            if name not in kinds:
                help_ = did_you_mean(name, list(kinds))
                message = f"{base.name} has no field {name}"
                raise evaluation_error("unknown-field", message, f.name.span, *help_)
            kind = kinds[name]
            if kind is not None:
                self.field(f.value, kind, f"{name} of {base.name}")
            found[name] = plain(
                self.constant(f.value) if kind is None else self.of_kind(f.value, kind)
            )
        return OpValue(base.name, base.callee, tuple(found.items()))

    def _unknown(self, name: str, span: Span) -> EvaluationError:
        if self.names.has_poisoned_indices(name.rstrip("0123456789_")):
            return Poisoned()
        names = [*self.scope.all(), *self.names, *(METRICS if self.metrics else ())]
        if name in ("True", "False", "None"):
            names = [name.lower()]
        near = did_you_mean(name, names)
        if not near and name in _CURRENT:
            near = ("the current value has no name of its own: name the line that makes it",)
        message = f"there is no value, constant or parameter {name} here"
        return evaluation_error("unknown-name", message, span, *near)

    def _index(self, e: Index) -> Any:
        steps: list[Index] = []
        root: Expression = e
        while isinstance(root, Index):
            steps.append(root)
            root = root.base
        steps.reverse()
        if not isinstance(root, Variable):
            inside = self._indexed_inside(e)
            return self._item(root, steps) if inside is None else inside
        if self.scope.find(root.name):
            return self._item(root, steps)
        name = self.indexed_name(e)
        line = self.names.find(name)
        if line is None:
            if self.names.has_poisoned_indices(root.name):
                raise Poisoned
            unknown = self._unknown(name, e.span)
            if root.name in self.names and unknown.diagnostic:
                sizes = ", ".join(f"`{root.name}.{a}`" for a in SHAPE_ATTRIBUTES)
                help_ = f"the sizes of {root.name} are {sizes}; `[...]` makes another name of it"
                raise EvaluationError(replace(unknown.diagnostic, help=(help_,)))
            raise unknown
        if isinstance(line, Poison):
            raise Poisoned
        return line

    def _item(self, root: Expression, steps: Sequence[Index]) -> Any:
        """An item of a list, or of a list in it: `stages[1][0]`, its indices the steps."""
        before = set(self.used)
        value = self._evaluate(root)
        of_list = self.used - before
        for step in steps:
            if not isinstance(value, tuple):
                raise evaluation_error(
                    "wrong-type", f"{describe(value)} is no list", step.base.span
                )
            i = self.integer(step.index, "the number of an item")
            if not 0 <= i < len(value):
                message = f"there is no item {i}: the list has {len(value)}, counted from 0"
                raise evaluation_error("out-of-range", message, step.index.span)
            value = value[i]
        if isinstance(value, Num):
            own = {s for s in of_list if isinstance(s, ParameterItem)} - set(leaves(value.known))
            self.used -= own - before  # other items do not matter
        return value

    def _indexed_inside(self, e: Index) -> LayerReference | None:
        """`enc.fire[2]` in a contract: the name fire2 inside enc."""
        indices: list[Expression] = []
        base: Expression = e
        while isinstance(base, Index):
            indices.append(base.index)
            base = base.base
        if self.metrics is None or not isinstance(base, Attribute):
            return None
        if base.name.text in SHAPE_ATTRIBUTES:
            return None
        outer = self._value(base.base)
        if not isinstance(outer, LayerReference):
            return None
        return self._part(outer, Name(self.joined_name(base.name, indices[::-1]), e.span))

    def indexed_name(self, e: Expression) -> str:
        """The name that `fire[i - 1]` makes."""
        indices = []
        while isinstance(e, Index):
            indices.append(e.index)
            e = e.base
        if not isinstance(e, Variable):
            raise evaluation_error("wrong-type", "only a name or a list can have an index", e.span)
        return self.joined_name(Name(e.name, e.span), list(reversed(indices)))

    def joined_name(self, base: Name, indices: Sequence[Expression]) -> str:
        """`fire[2]` is fire2, `block[1][2]` is block1_2, `inception["3a"]` is inception3a."""
        parts = []
        for index in indices:
            value = self.constant(index)
            if isinstance(value, str):
                word = value.replace("_", "a")
                if not (word.isascii() and word.isalnum()) or len(word) > 60:
                    message = f"{describe(value)} can't be part of a name"
                    raise evaluation_error("wrong-type", message, index.span)
                parts.append(value)
                continue
            number = self.integer(index, "the number in a name")
            if number < 0:
                raise evaluation_error("out-of-range", f"a name can't end in {number}", index.span)
            parts.append(str(number))
        return base.text + "_".join(parts)

    def _attribute(self, e: Attribute) -> Any:
        base = self._value(e.base)
        name = e.name.text
        if isinstance(base, OpValue) and isinstance(e.base, Variable):
            if self.scope.find(e.base.name) is None:
                raise self._unknown(e.base.name, e.base.span)
        if not isinstance(base, LayerReference):
            message = f"{describe(base)} has no part called {name}"
            raise evaluation_error("wrong-type", message, e.name.span)
        shape = base.value.shape
        if name not in SHAPE_ATTRIBUTES or name in base.results:
            return self._part(base, e.name)
        if name == "shape":
            return tuple(self._size(base.value, axis) for axis in range(len(shape)))
        place = SHAPE_ATTRIBUTES.index(name)
        if place >= len(shape):
            message = f"{base.name} is a plain vector ({text(shape)}) and has no {name}"
            raise evaluation_error("wrong-rank", message, e.name.span)
        return self._size(base.value, place)

    def _part(self, base: LayerReference, name: Name) -> LayerReference:
        """`enc.skip`: a result, or in a contract whatever stands inside an instance."""
        inside = self.metrics.inside(base, name.text) if self.metrics else None
        value = base.results.get(name.text)
        if value is not None:
            # The layers are those that make it, as far as they bear its name.
            nodes, head, within = base.nodes, base.head, base.within
            if inside is not None:
                nodes, head, within = inside.nodes, inside.head, inside.within
            return LayerReference(
                f"{base.name}.{name.text}", {}, value, nodes, base.span, head, within
            )
        if inside is not None:
            return inside
        known = [*SHAPE_ATTRIBUTES, *base.results]
        help_: tuple[str, ...] = ()
        if self.metrics is not None:
            known += self.metrics.names_inside(base)
        elif isinstance(base.head, Instance) and any(
            n.line == name.text for n in base.head.block.nodes
        ):
            module = base.head.block.module
            help_ = (
                f"only expect and prefer look inside {base.name}; "
                f"for use here, let {module} return it: `output ..., {name.text}`",
            )
        message = f"{base.name} has no part called {name.text}"
        help_ = help_ or did_you_mean(name.text, known)
        raise evaluation_error("unknown-name", message, name.span, *help_)

    def _size(self, value: Value, axis: int) -> Num:
        """Channels, height or width of a value, with the expression that it came from."""
        number = value.shape[axis]
        size = Num(Fraction(int(number)), SizeOf(value, axis)) if axis else Num.of(number)
        self.used.update(leaves(size.known))
        return size

    def _unary(self, e: Unary) -> Any:
        if e.operator == "not":
            return not self.truth(e.operand)
        number = self._numeric(e.operand, e.operator)
        if e.operator == "+":
            return number
        return Num(-number.value, apply("-", number.known))

    def _numeric(self, e: Expression, what: str) -> Num:
        value = self.constant(e)
        if not isinstance(value, Num):
            raise evaluation_error(
                "wrong-type", f"`{what}` needs numbers, not {describe(value)}", e.span
            )
        return value

    def _binary(self, e: Binary) -> Any:
        left, right = self.constant(e.left), self.constant(e.right)
        if e.operator == "+" and isinstance(left, tuple) and isinstance(right, tuple):
            return self._bounded_list(left + right, e.span)
        for value, side in ((left, e.left), (right, e.right)):
            if not isinstance(value, Num):
                message = f"`{e.operator}` needs numbers, not {describe(value)}"
                raise evaluation_error("wrong-type", message, side.span)
        return arithmetic(e, left, right)

    def _comparison(self, e: Comparison) -> bool:
        left, at = self.constant(e.first), e.first
        for op, operand in e.rest:
            right = self.constant(operand)
            if not compare(op, left, right, at, operand):
                return False
            left, at = right, operand
        return True

    def _logic(self, e: Logic) -> bool:
        stop = e.operator == "or"
        return stop if any(self.truth(o) == stop for o in e.operands) else not stop

    def _conditional(self, e: Conditional) -> Any:
        before = set(self.used)
        for value, condition in e.cases:
            if self.truth(condition):
                return self._chosen(value, before)
        return self._chosen(e.otherwise, before)

    def _chosen(self, e: Expression, before: set[Symbol]) -> Any:
        """A branch's constant. Where a parameter chose it, no expression can stand for it."""
        decided = self.used - before
        value = self.constant(e)
        return Num(value.value) if decided and isinstance(value, Num) else value

    def _function(self, e: Function) -> Any:
        name = e.name.text
        if name in METRICS and self.metrics is not None:
            if len(e.arguments) > 1:
                message = f"{name}(...) takes the name of one value, or none for the whole block"
                parts = " + ".join(f"{name}({a.span.text})" for a in e.arguments[:3])
                raise evaluation_error("wrong-arity", message, e.span, f"a sum is `{parts}`")
            line = self.reference(e.arguments[0]) if e.arguments else None
            return Num(Fraction(self.metrics(name, line)))
        if name not in FUNCTIONS:
            help_ = did_you_mean(name, [*FUNCTIONS, *METRICS])
            if name == "range":
                help_ = ("a range is written `0..2`, both ends included",)
            elif name in OPS:
                help_ = (f"layers are no constants: write `name: {name}(...)`, without `let`",)
            message = f"there is no function {name} for constants"
            raise evaluation_error("unknown-name", message, e.name.span, *help_)
        result = call_function(name, [self.constant(a) for a in e.arguments], e.span)
        return self._bounded_list(result, e.span) if isinstance(result, tuple) else result

    _HANDLERS: dict[type, Callable[[Evaluator, Any], Any]] = {
        Number: _number,
        ShapeLiteral: _shape,
        String: _string,
        Constant: _literal,
        Wildcard: _wildcard,
        ListLiteral: _list,
        Variable: _variable,
        Index: _index,
        Attribute: _attribute,
        Unary: _unary,
        Binary: _binary,
        Comparison: _comparison,
        Logic: _logic,
        Conditional: _conditional,
        Function: _function,
        OpLiteral: _op_literal,
    }
