"""Makes functions of the uses of modules.

    fire2 = fire(p, pool1, "fire2", 16, 64, 64)
    fire3 = fire(p, fire2, "fire3", 16, 64, 64)

Uses whose steps are the same but for numbers and fused activations share a function: what differs
becomes its parameters. A number is a module's parameter, or an expression of them, where the spec
says so for that layer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from netspec.codegen.identifiers import Identifiers
from netspec.codegen.python_source import (
    FunctionCall,
    Infix,
    Keyword,
    Lambda,
    Source,
    Verbatim,
)
from netspec.ir import Instance
from netspec.lazy_dataclasses import dataclass
from netspec.ops import REQUIRED
from netspec.planning.fusion import FusedLayer
from netspec.planning.regions import Region
from netspec.symbolic.expr import (
    Dim,
    Expr,
    NumberLiteral,
    Parameter,
    Symbol,
    evaluate,
    expression_source,
    operators,
)
from netspec.symbolic.terms import leaves

Signature = tuple[tuple[str, ...], dict[str, str]]
"""Names of a function's positional parameters, and the defaults of all, as source."""


@dataclass(frozen=True)
class Language:
    """What is known of the functions that statements call.

    `kernels` are their names, `signature` gives that of one, `words` are others that an argument
    may be made of. `expression` gives an expression of a module's parameters as the language
    computes it, given the values of one use; None where it can't. `extras`: how many parameters
    that the module lacks a function may have; `defaults`: whether parameters may have some.
    """

    kernels: frozenset[str]
    signature: Callable[[str], Signature]
    words: frozenset[str]
    expression: Callable[[Expr, Callable[[Symbol], int]], Expr | None]
    extras: int = 3
    defaults: bool = True


class CannotUnify(Exception):
    """Two uses of a module don't have the same steps."""


@dataclass(eq=False)
class Statement:
    """A statement of a function: what it assigns to, and the numbers that it may hold."""

    targets: str
    source: Source
    comment: str = ""
    numbers: Sequence[tuple[int, Expr]] = ()


@dataclass(eq=False)
class Use:
    """One use of a module as steps, with the names of its inputs and outputs."""

    region: Region
    inputs: list[str]
    steps: list[Statement]
    result: str

    def arguments(self) -> Mapping[str, int]:
        """The module's parameters that are whole numbers."""
        found = self.region.instance.arguments if self.region.instance else ()
        return {
            a.name: int(a.value)
            for a in found
            if isinstance(a.value, int) and not isinstance(a.value, bool)
        }

    def text(self) -> str:
        """The steps as text: equal for uses that are the same but for their weights."""
        steps = [f"{s.targets} = {s.source.flat()}" for s in self.steps]
        return "\n".join([*self.inputs, *steps, self.result])


def layer_numbers(layer: FusedLayer) -> list[tuple[int, Expr]]:
    """The numbers of a layer that come from parameters of its module, with their expressions."""
    op = layer.op
    values: list[object] = [getattr(op, name, None) for name in getattr(op, "__annotations__", {})]
    values += [
        layer.layer.layer.outputs[0].shape,
        *(vars(op).values() if hasattr(op, "__dict__") else ()),
    ]
    values += [t.shape for t in layer.layer.layer.tensors.values()]
    flat = [n for v in values for n in (v if isinstance(v, tuple) else (v,))]
    return [(int(n), n.expr) for n in flat if isinstance(n, Dim)]


def call_numbers(instance: Instance) -> list[tuple[int, Expr]]:
    """The arguments of a module's use that come from parameters of the module around it."""
    return [
        (int(a.value), a.expr)
        for a in instance.arguments
        if a.expr is not None and isinstance(a.value, int) and not isinstance(a.value, bool)
    ]


@dataclass(eq=False)
class FunctionParameter:
    """A parameter of an emitted function: its values in the uses, as source."""

    name: str
    kind: str
    values: list[str]
    default: str | None = None

    def declared(self) -> str:
        """The parameter in the function's head."""
        default = "" if self.default is None else f" = {self.default}"
        return f"{self.name}: {self.kind}{default}"


@dataclass(eq=False)
class ModuleFunction:
    """An emitted function for some uses of a module."""

    name: str
    use: Use
    steps: list[Statement]
    arguments: list[FunctionParameter]

    def call(self, index: int, inputs: Sequence[str], path: str) -> FunctionCall:
        """The call for one of the uses."""
        args: list[Source] = [Verbatim(a) for a in ("p", *inputs, path)]
        for parameter in self.arguments:
            value = parameter.values[index]
            if parameter.default is None:
                args.append(Verbatim(value))
            elif value != parameter.default:
                args.append(Keyword(parameter.name, Verbatim(value)))
        return FunctionCall(self.name, tuple(args))


def group(uses: Sequence[Use], language: Language) -> list[list[int]]:
    """The uses of a module, by their positions, that can share a function."""
    alike: dict[str, list[int]] = {}
    for i, use in enumerate(uses):
        alike.setdefault(use.text(), []).append(i)
    groups: list[list[int]] = []
    for members in alike.values():
        for found in groups[:20]:
            try:
                pair = Unifier([uses[found[0]], uses[members[0]]], language)
                pair.steps()
            except CannotUnify:
                continue
            if len(pair.extras) <= language.extras:
                found.extend(members)
                break
        else:
            groups.append(list(members))
    return [sorted(g) for g in groups]


_NUMBER = re.compile(r"(?<![\w.\"'])\d+(?![\w.\"'])")


class Unifier:
    """Makes one list of steps of those of several uses, with parameters where they differ."""

    def __init__(self, uses: Sequence[Use], language: Language, taken: Sequence[str] = ()) -> None:
        self.uses = uses
        self.language = language
        self.arguments = [use.arguments() for use in uses]
        first = uses[0]
        locals_ = [n for s in first.steps for n in re.findall(r"\w+", s.targets)]
        self.names = Identifiers(
            (*language.kernels, *taken, *first.inputs, *locals_, "p", "w", "name", "np")
        )
        self.own: dict[str, FunctionParameter] = {}
        self.extras: dict[tuple[str, ...], FunctionParameter] = {}
        self._renamed: dict[str, str] = {}

    def steps(self) -> list[Statement]:
        """The steps; CannotUnify if they have not the same structure."""
        first = self.uses[0]
        for use in self.uses[1:]:
            same = use.inputs == first.inputs and use.result == first.result
            if not same or [s.targets for s in use.steps] != [s.targets for s in first.steps]:
                raise CannotUnify
        return [
            Statement(steps[0].targets, self.unify([s.source for s in steps], "n", steps[0]))
            for steps in zip(*(use.steps for use in self.uses), strict=True)
        ]

    def parameters(self) -> list[FunctionParameter]:
        """The module's own parameters in their order, then the others."""
        instance = self.uses[0].region.instance
        order = [a.name for a in instance.arguments] if instance else []
        own = [self.own[n] for n in order if n in self.own]
        extras = list(self.extras.values())
        return sorted([*own, *extras], key=lambda p: p.default is not None)

    def unify(self, sources: Sequence[Source], context: str, step: Statement) -> Source:
        """One source for those of all uses."""
        first = sources[0]
        if len({s.flat() for s in sources}) == 1:
            return first
        if all(isinstance(s, FunctionCall) for s in sources):
            return self._calls([s for s in sources if isinstance(s, FunctionCall)], context, step)
        if all(isinstance(s, Infix) for s in sources):
            found = [s for s in sources if isinstance(s, Infix)]
            if len({(s.operator, len(s.operands)) for s in found}) > 1:
                raise CannotUnify
            operands = zip(*(s.operands for s in found), strict=True)
            return Infix(found[0].operator, tuple(self.unify(o, context, step) for o in operands))
        if all(isinstance(s, Lambda) for s in sources):
            lambdas = [s for s in sources if isinstance(s, Lambda)]
            if len({s.parameters for s in lambdas}) > 1:
                raise CannotUnify
            body = self.unify([s.body for s in lambdas], context, step)
            return Lambda(lambdas[0].parameters, body)
        if all(isinstance(s, Verbatim) for s in sources):
            return Verbatim(self._texts([s.flat() for s in sources], context, step))
        return Verbatim(self._extra([s.flat() for s in sources], context, ""))

    def _calls(self, calls: Sequence[FunctionCall], context: str, step: Statement) -> Source:
        first = calls[0]
        if len({c.head for c in calls}) > 1:
            return Verbatim(self._extra([c.flat() for c in calls], context, ""))
        if len({(c.brackets, c.tail) for c in calls}) > 1:
            raise CannotUnify
        names, defaults = self.language.signature(first.head)
        rows = [[a for a in c.args if not isinstance(a, Keyword)] for c in calls]
        keywords = [{a.name: a.value for a in c.args if isinstance(a, Keyword)} for c in calls]
        width = max(map(len, rows))
        for row in rows:
            for name in names[len(row) : width]:
                if name not in defaults:
                    raise CannotUnify
                row.append(Verbatim(defaults[name]))
        if len(set(map(len, rows))) > 1:
            raise CannotUnify
        args: list[Source] = []
        for i, column in enumerate(zip(*rows, strict=True)):
            name = names[i] if i < len(names) else context
            args.append(self.unify(column, name, step))
        given = {n for found in keywords for n in found}
        for name in [*(n for n in defaults if n in given), *sorted(given - {*defaults})]:
            default = defaults.get(name)
            if default is None and any(name not in found for found in keywords):
                raise CannotUnify
            values = [found.get(name, Verbatim(default or "")) for found in keywords]
            args.append(Keyword(name, self.unify(values, name, step)))
        return FunctionCall(first.head, tuple(args), first.brackets, first.tail)

    def _texts(self, texts: Sequence[str], context: str, step: Statement) -> str:
        parts = [_NUMBER.split(t) for t in texts]
        if texts[0].startswith(('"', 'f"')) or any(p != parts[0] for p in parts):
            return self._extra(texts, context, "")
        numbers = zip(*(_NUMBER.findall(t) for t in texts), strict=True)
        result = parts[0][0]
        for values, after in zip(numbers, parts[0][1:], strict=True):
            result += self._number(values, context, step) + after
        return result

    def _number(self, values: Sequence[str], context: str, step: Statement) -> str:
        if len(set(values)) == 1:
            return values[0]
        found = sorted(step.numbers, key=lambda n: operators(n[1]))
        for value, exact in found:
            expr = self._in_python(exact)
            if value == int(values[0]) and expr is not None and self._holds(expr, values):
                return expression_source(expr, self._parameter)
        return self._extra(values, {"n": "size"}.get(context, context), "int")

    def _in_python(self, expr: Expr) -> Expr | None:
        """An expression of the module's parameters in the language; None if it has others."""
        for arguments in self.arguments:
            if not all(isinstance(s, Parameter) and s.name in arguments for s in leaves(expr)):
                return None
        return self.language.expression(expr, partial(_value, self.arguments[0]))

    def _holds(self, expr: Expr, values: Sequence[str]) -> bool:
        """Whether an expression of the module's parameters gives these numbers in Python."""
        for arguments, value in zip(self.arguments, values, strict=True):
            found = evaluate(expr, partial(_value, arguments))
            if not isinstance(found, int) or found != int(value):
                return False
        return not isinstance(expr, NumberLiteral)

    def _parameter(self, symbol: Symbol) -> str:
        assert isinstance(symbol, Parameter), "channels are no parameters"
        values = [str(a[symbol.name]) for a in self.arguments]
        if len(set(values)) == 1:
            return values[0]
        if symbol.name not in self.own:
            name = self.names.identifier(symbol.name)
            parameter = FunctionParameter(name, "int", values)
            instance = self.uses[0].region.instance
            declared = {a.name: a.default for a in instance.arguments} if instance else {}
            default = declared.get(symbol.name, REQUIRED)
            if self.language.defaults and default is not REQUIRED and str(default) in values:
                parameter.default = str(default)
            self.own[symbol.name] = parameter
        return self.own[symbol.name].name

    def _extra(self, texts: Sequence[str], context: str, kind: str) -> str:
        """A parameter that the module does not have."""
        for text in texts:
            bare = re.sub(r'"[^"]*"', "", text)
            words = set(re.findall(r"[A-Za-z_]\w*", bare))
            if not words <= self.language.kernels | self.language.words or text.startswith("f"):
                raise CannotUnify
        key = tuple(texts)
        if key not in self.extras:
            base = context if re.fullmatch(r"[a-z_]+", context) else "value"
            kind = kind or _kind(texts, base)
            parameter = FunctionParameter(self.names.identifier(base), kind, list(texts))
            most, times = Counter(texts).most_common(1)[0]
            number = kind == "int" and base not in ("kernel", "stride", "pads", "dilation")
            called = re.search(r"\w\(", most)  # no default is the result of a call
            may = self.language.defaults and kind != "str" and not number and not called
            if may and 2 * times >= len(texts):
                parameter.default = most
            self.extras[key] = parameter
        return self.extras[key].name


def _value(arguments: Mapping[str, int], symbol: Symbol) -> int:
    assert isinstance(symbol, Parameter), "channels are no parameters"
    return arguments[symbol.name]


def _kind(texts: Sequence[str], context: str) -> str:
    """The type of a parameter with such values."""
    if all(t.startswith('"') for t in texts):
        return "str"
    if all(re.fullmatch(r"True|False", t) for t in texts):
        return "bool"
    if all(re.fullmatch(r"-?\d+", t) for t in texts):
        return "int"
    if all(re.fullmatch(r"-?[\d.e+-]+", t) for t in texts):
        return "float"
    kind = {"then": "Then", "window": "Window", "pads": "Pads"}.get(context, "Any")
    return f"{kind} | None" if kind != "Any" and "None" in texts else kind
