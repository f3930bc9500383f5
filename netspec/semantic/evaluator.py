"""Expressions of the language to constants: exact numbers, bounded in size."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from fractions import Fraction
from math import ceil, floor
from typing import Any, Protocol

from netspec.diagnostics import Diagnostic, Label
from netspec.diagnostics.source import Span
from netspec.diagnostics.suggest import did_you_mean
from netspec.ir import Block, Instance, Node, Value
from netspec.lazy_dataclasses import dataclass, replace
from netspec.ops import OPS, text
from netspec.ops.attribute_types import AttributeType, AttributeTypeError, describe
from netspec.semantic.limits import Budget
from netspec.symbolic.expr import Num, Operator, Symbol, apply, expr_of, symbols
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
    ShapeLiteral,
    String,
    Unary,
    Variable,
    Wildcard,
)

MAX_BITS = 512
"""Most binary digits of a numerator or denominator."""
MAX_ITEMS = 10_000
"""Most items of a list, those of lists in it counted."""

SHAPE_ATTRIBUTES = ("channels", "height", "width", "shape")
MEASURES = ("params", "macs", "size", "activations")
_CURRENT = ("_", "x", "input", "prev", "previous", "last", "it", "self")
"""What people write for the value that flows from line to line."""


class EvaluationError(Exception):
    """An expression or statement has no meaning; None: because of an error reported elsewhere."""

    def __init__(self, diagnostic: Diagnostic | None) -> None:
        super().__init__()
        self.diagnostic = diagnostic


def any_index(base: str) -> str:
    """The key in `Evaluator.lines` that says: the making of some `base[i]` failed."""
    return f"{base}[]"


def evaluation_error(
    code: str, message: str, span: Span, *help: str, label: str = ""
) -> EvaluationError:
    return EvaluationError(Diagnostic(code, message, span, label, help=tuple(h for h in help if h)))


@dataclass(frozen=True, eq=False)
class LayerReference:
    """What a name of a layer stands for: the value of its line and the nodes that make it.

    `name` is a path for what stands inside an instance. `head` is the node that bears the name,
    None for an input. `nodes` are in order, those in round brackets included. `within` is the
    block where the line stands if that is not the one at hand.
    """

    name: str
    results: dict[str, Value]
    value: Value
    nodes: tuple[Node, ...]
    span: Span
    head: Node | None = None
    within: Block | None = None


@dataclass(frozen=True)
class Known:
    """A constant in sight, and which parameters and input channels of the block it came from."""

    value: Any
    depends: frozenset[Symbol] = frozenset()


class Scope:
    """The constants in sight; a block of `for` or `if` opens one of its own."""

    def __init__(self, outer: Scope | None = None, budget: Budget | None = None) -> None:
        self.outer = outer
        self.budget: Budget = outer.budget if outer else budget or Budget()
        self.names: dict[str, tuple[Known | None, Span]] = {}

    def find(self, name: str) -> tuple[Known | None, Span] | None:
        """A constant and where it was given; the constant is None where giving it failed."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.outer
        return None

    def all(self) -> list[str]:
        return list(self.names) + (self.outer.all() if self.outer else [])


class Measure(Protocol):
    """What `expect` and `prefer` know beyond constants and shapes."""

    def __call__(self, name: str, line: LayerReference | None) -> int:
        """`params` and the like of a line, or of the block. Raises Fault for a wrong block."""

    def inside(self, line: LayerReference, name: str) -> LayerReference | None:
        """What bears this name inside the instance that a line is; None if there is none."""

    def names_inside(self, line: LayerReference) -> list[str]: ...


class Evaluator:
    """Evaluates in one scope of one block.

    `lines` are the values in sight by name (None: its making failed). `measure` gives `params` and
    the like of a line or of the block, in `expect` and `prefer` only. `used` collects the
    parameters and input channels of the block that the results depend on.
    """

    def __init__(
        self, scope: Scope, lines: dict[str, LayerReference | None], measure: Measure | None = None
    ) -> None:
        self.scope = scope
        self.lines = lines
        self.measure = measure
        self.used: set[Symbol] = set()

    # Entry points

    def field(
        self,
        e: Expression,
        kind: AttributeType,
        of: str,
        familiar: Callable[[str], Sequence[str]] = lambda text: (),
    ) -> Any:
        """The value of a field as its kind has it. Raises Fault.

        `of` is how messages call the field, `familiar` the help for a text that other tools know.
        """
        if isinstance(e, Variable) and kind.words and e.name not in kind.words:
            if self.scope.find(e.name) is None and e.name not in self.lines:
                message = f"{of} takes {kind}, not `{e.name}`"
                help_ = familiar(e.name) or did_you_mean(e.name, kind.words)
                raise evaluation_error("unknown-value", message, e.span, *help_)
        try:
            return kind.convert(self.of_kind(e, kind))
        except AttributeTypeError as error:
            help_ = familiar(e.span.text) or (error.help,)
            raise evaluation_error(error.code, f"{of} {error.message}", e.span, *help_) from None

    def of_kind(self, e: Expression, kind: AttributeType) -> Any:
        """A word of the kind, such a word with what stands in its brackets, or a constant."""
        if isinstance(e, Variable) and e.name in kind.words:
            return e.name
        if isinstance(e, Function) and e.name.text in kind.words:
            return (e.name.text, *(self.of_kind(a, kind) for a in e.arguments))
        return self.constant(e)

    def constant(self, e: Expression) -> Any:
        """A number, bool, string, None or tuple of these. Raises Fault."""
        result = self._evaluate(e)
        if isinstance(result, LayerReference) and isinstance(e, Variable) and e.name in MEASURES:
            # A value of the network is no number, so that the measure is meant.
            if self.measure is not None:
                return Num(Fraction(self.measure(e.name, None)))
        if isinstance(result, LayerReference):
            raise evaluation_error(
                "wrong-type",
                f"{result.name} is a value of the network, not a constant",
                e.span,
                f"its sizes are `{result.name}.channels`, `.height`, `.width` and `.shape`",
            )
        if isinstance(result, tuple):
            # Whatever is done with a list takes time in proportion to its length.
            self.scope.budget.spend(_parts(result, MAX_ITEMS), e.span)
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

    def line(self, e: Expression) -> LayerReference:
        """The line that a reference names; for `enc.skip`, narrowed to that result."""
        result = self._evaluate(e)
        if not isinstance(result, LayerReference):
            raise evaluation_error(
                "wrong-type",
                f"a value of the network is needed here, but this is {describe(result)}",
                e.span,
            )
        return result

    # The walk

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
        if _parts(items, MAX_ITEMS) > MAX_ITEMS:
            raise evaluation_error("too-large", f"a list has at most {MAX_ITEMS:,} items", span)
        return items

    def _variable(self, e: Variable) -> Any:
        known = self.scope.find(e.name)
        if known is not None:
            if known[0] is None:
                raise EvaluationError(None)
            self.used |= known[0].depends
            if self.measure is not None and e.name in MEASURES:
                message = f"`{e.name}` may mean the constant of this name or the measure"
                raise EvaluationError(
                    Diagnostic(
                        "ambiguous-name",
                        message,
                        e.span,
                        others=(Label(known[1], "the constant"),),
                        help=(
                            f"for the measure, write `{e.name}()`",
                            f"for the constant, give it another name: `let value = {e.name}`",
                        ),
                    )
                )
            return known[0].value
        if e.name in self.lines:
            line = self.lines[e.name]
            if line is None:
                raise EvaluationError(None)
            return line
        if e.name in MEASURES:
            if self.measure is not None:
                return Num(Fraction(self.measure(e.name, None)))
            message = f"`{e.name}` is known only in expect and prefer"
            raise evaluation_error("unknown-name", message, e.span)
        raise self._unknown(e.name, e.span)

    def _unknown(self, name: str, span: Span) -> EvaluationError:
        if any_index(name.rstrip("0123456789_")) in self.lines:
            return EvaluationError(None)  # it may be one of those whose making failed
        lines = [n for n in self.lines if not n.endswith("]")]
        names = [*self.scope.all(), *lines, *(MEASURES if self.measure else ())]
        if name in ("True", "False", "None"):
            names = [name.lower()]
        near = did_you_mean(name, names)
        if not near and name in _CURRENT:
            near = ("the current value has no name of its own: name the line that makes it",)
        message = f"no value, constant or parameter {name} is in sight here"
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
        if name not in self.lines:
            if any_index(root.name) in self.lines:
                raise EvaluationError(None)
            unknown = self._unknown(name, e.span)
            if root.name in self.lines and unknown.diagnostic:
                sizes = ", ".join(f"`{root.name}.{a}`" for a in SHAPE_ATTRIBUTES)
                help_ = f"the sizes of {root.name} are {sizes}; `[...]` makes another name of it"
                raise EvaluationError(replace(unknown.diagnostic, help=(help_,)))
            raise unknown
        line = self.lines[name]
        if line is None:
            raise EvaluationError(None)
        return line

    def _item(self, root: Expression, steps: Sequence[Index]) -> Any:
        """An item of a list, or of a list in it: `stages[1][0]`, its indices the steps."""
        value = self._evaluate(root)
        for step in steps:
            if not isinstance(value, tuple):
                raise evaluation_error(
                    "wrong-type", f"{describe(value)} is no list", step.base.span
                )
            i = self.integer(step.index, "the place in a list")
            if not 0 <= i < len(value):
                message = f"a list of {len(value)} has no place {i}; places count from 0"
                raise evaluation_error("out-of-range", message, step.index.span)
            value = value[i]
        return value

    def _indexed_inside(self, e: Index) -> LayerReference | None:
        """`enc.fire[2]` in a contract: the name fire2 inside enc."""
        indices: list[Expression] = []
        base: Expression = e
        while isinstance(base, Index):
            indices.append(base.index)
            base = base.base
        if self.measure is None or not isinstance(base, Attribute):
            return None
        if base.name.text in SHAPE_ATTRIBUTES:
            return None
        outer = self._evaluate(base.base)
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
        base = self._evaluate(e.base)
        name = e.name.text
        if not isinstance(base, LayerReference):
            message = f"{describe(base)} has no part called {name}"
            raise evaluation_error("wrong-type", message, e.name.span)
        shape = base.value.shape
        if name not in SHAPE_ATTRIBUTES or name in base.results:
            return self._part(base, e.name)
        if name == "shape":
            self._depend(*shape)
            return tuple(Num.of(d) for d in shape)
        place = SHAPE_ATTRIBUTES.index(name)
        if place >= len(shape):
            message = f"{base.name} is a plain vector ({text(shape)}) and has no {name}"
            raise evaluation_error("wrong-rank", message, e.name.span)
        self._depend(shape[place])
        return Num.of(shape[place])

    def _part(self, base: LayerReference, name: Name) -> LayerReference:
        """`enc.skip`: a result, or in a contract whatever stands inside an instance."""
        inside = self.measure.inside(base, name.text) if self.measure else None
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
        if self.measure is not None:
            known += self.measure.names_inside(base)
        elif isinstance(base.head, Instance) and any(
            n.line == name.text for n in base.head.block.nodes
        ):
            module = base.head.block.module
            help_ = (
                f"only expect and prefer look inside {base.name}; "
                f"for use here, let {module} hand it out: `output ..., {name.text}`",
            )
        message = f"{base.name} has no part called {name.text}"
        help_ = help_ or did_you_mean(name.text, known)
        raise evaluation_error("unknown-name", message, name.span, *help_)

    def _depend(self, *numbers: int) -> None:
        for number in numbers:
            self.used.update(symbols(expr_of(number)))

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
        return self._arithmetic(e, left, right)

    def _arithmetic(self, e: Binary, left: Num, right: Num) -> Num:
        a, b = left.value, right.value
        if e.operator in ("/", "//", "%") and b == 0:
            raise evaluation_error("bad-arithmetic", "this divides by zero", e.right.span)
        if e.operator == "**":
            value = self._power(e, a, b)
        else:
            value = Fraction(_ARITHMETIC[e.operator](a, b))
        bounded(value, e.span)
        expr = apply(e.operator, left.known, right.known)  # type: ignore[arg-type]
        return Num(value, expr)

    def _power(self, e: Binary, a: Fraction, b: Fraction) -> Fraction:
        if b.denominator != 1:
            raise evaluation_error(
                "not-integral", "an exponent must be a whole number", e.right.span
            )
        if a == 0 and b < 0:
            raise evaluation_error("bad-arithmetic", "this divides by zero", e.span)
        digits = max(abs(a.numerator), a.denominator).bit_length()
        if a not in (0, 1, -1) and abs(b) * (digits - 1) > MAX_BITS:
            raise evaluation_error("too-large", "this number is too large", e.span)
        exponent = int(b)
        if a in (0, 1, -1) and exponent:
            exponent = 2 - exponent % 2  # only its parity counts, and it may be huge
        return Fraction(a**exponent)

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
        if name in MEASURES and self.measure is not None:
            if len(e.arguments) > 1:
                message = f"{name}(...) takes the name of one value, or none for the whole block"
                parts = " + ".join(f"{name}({a.span.text})" for a in e.arguments[:3])
                raise evaluation_error("wrong-arity", message, e.span, f"a sum is `{parts}`")
            line = self.line(e.arguments[0]) if e.arguments else None
            return Num(Fraction(self.measure(name, line)))
        if name not in FUNCTIONS:
            help_ = did_you_mean(name, [*FUNCTIONS, *MEASURES])
            if name == "range":
                help_ = ("a range is written `0..2`, both ends included",)
            elif name in OPS:
                help_ = (f"layers are no constants: write `name: {name}(...)`, without `let`",)
            message = f"there is no function {name} for constants"
            raise evaluation_error("unknown-name", message, e.name.span, *help_)
        values = [self.constant(a) for a in e.arguments]
        if name == "len":
            if len(values) != 1 or not isinstance(values[0], tuple):
                raise evaluation_error("wrong-type", "len(...) takes one list", e.span)
            return Num(Fraction(len(values[0])))
        numbers = values
        if len(values) == 1 and isinstance(values[0], tuple) and name in ("min", "max", "sum"):
            numbers = list(values[0])
        for number in numbers:
            if not isinstance(number, Num):
                message = f"{name}(...) takes numbers, not {describe(number)}"
                raise evaluation_error("wrong-type", message, e.span)
        if (not numbers and name != "sum") or (len(numbers) > 1 and name in _OF_ONE):
            needs = "one number" if name in _OF_ONE else "numbers"
            raise evaluation_error("wrong-arity", f"{name}(...) takes {needs}", e.span)
        if name == "sum":
            total = sum((n.value for n in numbers), Fraction(0))
            bounded(total, e.span)
            return Num(total, _sum_expr(numbers))
        result = Fraction(FUNCTIONS[name](*(n.value for n in numbers)))
        symbol: Operator = name  # type: ignore[assignment]
        if len(numbers) == 1 and name in ("min", "max"):
            return numbers[0]
        if name in ("round", "floor", "ceil") and numbers[0].value.denominator == 1:
            # Rounding a whole number is nothing a reader wants to see, but other values of
            # the parameters may need it.
            return Num(result, apply(symbol, numbers[0].known))
        return Num(result, apply(symbol, *(n.known for n in numbers)))

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
    }


def _sum_expr(numbers: list[Num]) -> Any:
    expr = None
    for i, number in enumerate(numbers):
        if i == 0:
            expr = number.known
            continue
        if expr is None:
            return None
        expr = apply("+", expr, number.known)
    return expr


def _parts(items: tuple[Any, ...], most: int) -> int:
    """How many items a list has in all; counting stops behind `most`."""
    count = len(items)
    for item in items:
        if count > most:
            break
        if isinstance(item, tuple):
            count += _parts(item, most - count)
    return count


def bounded(value: Fraction, span: Span) -> None:
    """Raises Fault for a number with too many digits."""
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        raise evaluation_error("too-large", "this number is too large", span)


_ARITHMETIC: dict[str, Callable[[Fraction, Fraction], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}
_OF_ONE = ("abs", "round", "floor", "ceil")
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "min": min,
    "max": max,
    "abs": abs,
    "round": round,
    "floor": floor,
    "ceil": ceil,
    "sum": sum,
    "len": len,
}
_ORDER: dict[str, Callable[[Fraction, Fraction], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def plain(value: Any) -> Any:
    """A constant without the expressions that its numbers came from."""
    if isinstance(value, Num):
        return value.value
    if isinstance(value, tuple):
        return tuple(plain(v) for v in value)
    return value


def compare(op: str, left: Any, right: Any, at: Expression, operand: Expression) -> bool:
    """One comparison of a chain. Raises Fault where the two can't be compared."""
    if op in ("in", "not in"):
        if not isinstance(right, tuple):
            raise evaluation_error(
                "wrong-type", f"`{op}` needs a list, not {describe(right)}", operand.span
            )
        found = any(_equal(plain(left), plain(item)) for item in right)
        return found == (op == "in")
    if op in ("==", "!="):
        return _equal(plain(left), plain(right)) == (op == "==")
    for value, side in ((left, at), (right, operand)):
        if not isinstance(value, Num):
            raise evaluation_error(
                "wrong-type", f"`{op}` needs numbers, not {describe(value)}", side.span
            )
    return _ORDER[op](left.value, right.value)


def _equal(a: Any, b: Any) -> bool:
    # In Python, True == 1; in the language it is not.
    return isinstance(a, bool) == isinstance(b, bool) and bool(a == b)
