"""Uses of ops and modules: fields to attributes, inputs to shapes, a node of the IR."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from netspec.diagnostics import Diagnostic
from netspec.diagnostics.source import Span
from netspec.ir import Argument, Block, Instance, Layer, Node, Value
from netspec.ops import REQUIRED, IndexShape, Op, Shape, ShapeError, attributes, find_op, like, text
from netspec.ops.attribute_types import AttributeTypeError, Flag
from netspec.ops.base import MAX_ELEMENTS
from netspec.semantic.elaborate.context import (
    MAX_DEPTH,
    MAX_LAYERS,
    CallNames,
    Operand,
)
from netspec.semantic.elaborate.outer_expressions import outer_shape, outside_of, public
from netspec.semantic.evaluator import (
    EvaluationError,
    Evaluator,
    Known,
    Scope,
    evaluation_error,
    plain,
)
from netspec.semantic.foreign_names import value_help
from netspec.semantic.imports import ModuleDefinition
from netspec.semantic.limits import LimitExceeded
from netspec.semantic.shape_errors import shape_error
from netspec.symbolic.expr import (
    Dim,
    Expr,
    Num,
    Parameter,
    Real,
    Symbol,
    literal,
    symbols,
)
from netspec.syntax.ast import (
    Call,
    Field,
    Input,
    Param,
    Statement,
    Variable,
)

if TYPE_CHECKING:
    from netspec.semantic.elaborate.block_builder import Body


class Calls:
    """Makes the nodes of one block."""

    def __init__(self, body: Body) -> None:
        self.body = body

    def call(self, call: Call, names: CallNames, operands: list[Operand | None]) -> Node | None:
        keyword = call.op.text
        module = self.body.module.find(keyword)
        op = find_op(keyword) if module is None else None
        if op is not None:
            return self._op(call, op, names, operands)
        if module is None or module is self.body.module:
            self.body.failed = True  # said by netspec.resolve
            return None
        return self._instance(call, module, names, operands)

    # --- ops -------------------------------------------------------------------------------------

    def _op(
        self,
        call: Call,
        op: type[Op],
        names: CallNames,
        operands: list[Operand | None],
    ) -> Layer | None:
        name, line, value_name = names
        attrs: dict[str, Any] | None = {}
        declared = {a.name: a for a in attributes(op)}
        for f in call.fields:
            a = declared.get(f.name.text)
            if a is None:
                attrs = None  # said by netspec.resolve
                continue
            try:
                value = self._attribute(f, a.kind, call.op.text)
            except EvaluationError as error:
                self.body.report(error.diagnostic)
                attrs = None
                continue
            if attrs is not None:
                attrs[f.name.text] = value
        if attrs is None or any(a.required and a.name not in attrs for a in declared.values()):
            self.body.failed = True
            return None
        least, most = op.arity
        if not self._arity(call, len(operands), least, most):
            return None
        given = [o for o in operands if o is not None]
        if len(given) != len(operands):
            self.body.failed = True
            return None
        shapes = [o.value.shape for o in given]
        try:
            _indices(op, given)
            bound = op(**attrs).bind(shapes)
            outputs = bound.outputs(shapes)
        except ShapeError as error:
            sides = [(o.value, o.span, o.given) for o in given]
            self.body.report(
                shape_error(error, call, sides, op, attrs, self.body.makers, self.body.places)
            )
            return None
        several = len(outputs) > 1
        values = tuple(
            Value(
                f"{value_name}.{result}" if several and i else value_name,
                self._spatial(shape, call.op.span),
            )
            for i, (shape, result) in enumerate(zip(outputs, bound.result_names, strict=True))
        )
        layer = Layer(name, line, bound, tuple(o.value for o in given), values, call.op.span)
        self._add(layer, 1, call.span)
        return layer

    def _attribute(self, f: Field, kind: Any, keyword: str) -> Any:
        """A field's value as the attribute's kind. Raises Fault."""
        evaluator = self.body.evaluator()
        if isinstance(kind, Flag) and isinstance(f.value, Variable):
            self._no_flag(f, f.value, kind, keyword)
        familiar = partial(value_help, f.name.text)
        converted = evaluator.field(f.value, kind, f"{f.name.text} of {keyword}", familiar)
        self._lost(evaluator.used, converted)
        return converted

    def _no_flag(self, f: Field, word: Variable, kind: Flag, keyword: str) -> None:
        """`bias: no`. Raises Fault for a word that means yes or no elsewhere."""
        if word.name in ("True", "False"):
            return  # the evaluator knows them
        if self.body.scope.find(word.name) is None and word.name not in self.body.lines:
            try:
                kind.convert(word.name)
            except AttributeTypeError as error:
                if error.help:
                    message = f"{f.name.text} of {keyword} takes {kind}, not `{word.name}`"
                    raise evaluation_error(
                        "unknown-value", message, word.span, error.help
                    ) from None

    def _lost(self, used: set[Symbol], converted: Any) -> None:
        """Parameters that made a value without leaving a trace in it decide the structure."""
        kept: set[Symbol] = set()
        for number in converted if isinstance(converted, tuple) else (converted,):
            if isinstance(number, Dim | Real):
                kept.update(symbols(number.expr))
        self.body.settle(used - kept)

    def _arity(self, call: Call, count: int, least: int, most: int | None) -> bool:
        if least <= count and (most is None or count <= most):
            return True
        self.body.failed = True
        needs = f"{least}" if most == least else f"at least {least}"
        if most is not None and most != least:
            needs = f"{least} to {most}"
        how_many = "1 input" if needs == "1" else f"{needs} inputs"
        help_: tuple[str, ...] = ()
        if most == 0:
            how_many, help_ = "no input", (f"begin the module {call.op.text} with `input x`",)
        if call.arguments is None and least > 1:
            help_ = (f"name them: `{call.op.text}(a, b)`",)
        self.body.report(
            Diagnostic(
                "wrong-arity",
                f"{call.op.text} takes {how_many}, but " + _given(call, count),
                call.op.span,
                help=help_,
            )
        )
        return False

    def _spatial(self, shape: Shape, span: Span) -> Shape:
        """Only channels keep the expression they came from; a backend fixes heights and widths."""
        for number in shape[1:]:
            if isinstance(number, Dim):
                self.body.settle(set(symbols(number.expr)))
        return self.bounded(like(shape, (shape[0], *(int(d) for d in shape[1:]))), span)

    def bounded(self, shape: Shape, span: Span) -> Shape:
        elements = 1
        for d in shape:
            elements *= int(d)
        if elements > MAX_ELEMENTS:
            message = f"a value of {text(shape)} has more than {MAX_ELEMENTS:,} numbers"
            raise evaluation_error("too-large", message, span)
        return shape

    def _add(self, node: Node, layers: int, span: Span) -> None:
        self.body.layer_count += layers
        if self.body.layer_count > MAX_LAYERS:
            message = f"this net has more than {MAX_LAYERS:,} layers"
            raise LimitExceeded(Diagnostic("too-large", message, span))
        self.body.nodes.append(node)
        for value in node.outputs:
            self.body.makers[value] = node
            self.body.places[value] = node.span

    # --- modules ---------------------------------------------------------------------------------

    def _instance(
        self,
        call: Call,
        module: ModuleDefinition,
        names: CallNames,
        operands: list[Operand | None],
    ) -> Instance | None:
        name, line, value_name = names
        arguments = self._arguments(call, module)
        wanted = list(inputs_of(module.definition.body))
        if not self._arity(call, len(operands), len(wanted), len(wanted)):
            return None
        given = [o for o in operands if o is not None]
        if arguments is None or len(given) != len(operands):
            self.body.failed = True
            self.body.run.uses.unreached(module, self.body.key, name)
            return None
        if len(self.body.backtrace) >= MAX_DEPTH:
            message = f"modules are nested more than {MAX_DEPTH} deep"
            raise evaluation_error("too-deep", message, call.op.span)
        shapes = [o.value.shape for o in given]
        key = (
            id(module),
            tuple(sorted((k, key_of(v)) for k, v in arguments.items())),
            tuple((tuple(int(d) for d in s), getattr(s, "plane", None)) for s in shapes),
        )
        self.body.run.uses.add(module, key, self.body.key, name)
        if key not in self.body.run.blocks:
            body = self.body.inner_body(module, name, call.op.span, key)
            block: Block | None = None
            try:
                body.module_parameters(arguments)
                block = body.run_block(shapes)
            except EvaluationError as f:
                body.report(f.diagnostic)
            self.body.run.blocks[key] = block
        block = self.body.run.blocks[key]
        if block is None:
            self.body.failed = True
            return None
        defaults = self._defaults(module)
        passed = self._passed_on(call)
        listed = tuple(
            Argument(n, public(v), v.known if isinstance(v, Num) else passed.get(n), defaults[n])
            for n, v in self._complete(module, arguments).items()
        )
        inputs = tuple(o.value for o in operands if o is not None)
        outside = outside_of(listed, block, inputs)
        outputs = tuple(
            Value(
                f"{value_name}.{result}" if result and i else value_name,
                outer_shape(value.shape, outside),
            )
            for i, (value, result) in enumerate(zip(block.outputs, block.output_names, strict=True))
        )
        for symbol in block.static:
            self.body.static.update(symbols(outside.get(symbol, literal(0))))
        for symbol in block.always_static:
            self.body.always_static.update(symbols(outside.get(symbol, literal(0))))
        instance = Instance(name, line, block, listed, inputs, outputs, call.op.span)
        self._add(instance, block.layer_count, call.span)
        return instance

    def _passed_on(self, call: Call) -> dict[str, Expr]:
        """The arguments that are parameters of the block at hand, as they are."""
        found: dict[str, Expr] = {}
        for f in call.fields:
            if isinstance(f.value, Variable):
                parameter = Parameter(f.value.name)
                known, _ = self.body.scope.find(f.value.name) or (None, None)
                if known is not None and known.depends == {parameter}:
                    found[f.name.text] = parameter
        return found

    def _arguments(self, call: Call, module: ModuleDefinition) -> dict[str, Any] | None:
        params = {p.name.text: p for p in module.definition.params}
        arguments: dict[str, Any] | None = {}
        for f in call.fields:
            if f.name.text not in params:
                arguments = None  # said by netspec.resolve
                continue
            evaluator = self.body.evaluator()
            try:
                value = evaluator.constant(f.value)
            except EvaluationError as error:
                self.body.report(quoted(error.diagnostic, f))
                arguments = None
                continue
            if isinstance(value, Num):
                self._lost(evaluator.used, value.real())
            else:
                self.body.settle(evaluator.used)
            if arguments is not None:
                arguments[f.name.text] = value
        if arguments is not None:
            for p in params.values():
                if p.default is None and p.name.text not in arguments:
                    return None
        return arguments

    def _complete(self, module: ModuleDefinition, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """All arguments with the defaults of those that are not given."""
        values: dict[str, Any] = {}
        scope = Scope(budget=self.body.run.budget)
        for param in module.definition.params:
            name = param.name.text
            if name in arguments:
                values[name] = arguments[name]
            elif param.default is not None:
                values[name] = Evaluator(scope, {}).constant(param.default)
            # A later default may use it; what it was computed from outside does not matter then.
            scope.names[name] = (Known(values.get(name)), param.span)
        return values

    def _defaults(self, module: ModuleDefinition) -> dict[str, Any]:
        """The defaults of a module's parameters, REQUIRED where they hang on others."""
        known = self.body.run.defaults
        if id(module) not in known:
            known[id(module)] = {p.name.text: self._default(p) for p in module.definition.params}
        return known[id(module)]

    def _default(self, param: Param) -> Any:
        if param.default is None:
            return REQUIRED
        try:
            scope = Scope(budget=self.body.run.budget)
            return public(Evaluator(scope, {}).constant(param.default))
        except EvaluationError:
            return REQUIRED


def _indices(op: type[Op], given: Iterable[Operand]) -> None:
    """Indices of a pooling go where indices belong, and nothing else does. Raises ShapeError."""
    for i, operand in enumerate(given):
        value = operand.value
        if i in op.index_inputs and not isinstance(value.shape, IndexShape):
            raise ShapeError(
                "wrong-indices",
                f"{op.keyword} needs the indices of a pooling here, but {value.name} holds values",
                i,
                "for example `pool1.indices`, of `pool1: maxpool { ... }`",
            )
        if i not in op.index_inputs and isinstance(value.shape, IndexShape):
            raise ShapeError(
                "wrong-indices",
                f"{op.keyword} computes with values, but {value.name} holds the places of values",
                i,
            )


def _given(call: Call, count: int) -> str:
    if call.arguments is None:
        return "one value flows in"
    return f"{count or 'none'} {'are' if count > 1 else 'is'} given"


def key_of(value: Any) -> object:
    # Numbers and truth values are equal in Python, and not in the language.
    if isinstance(value, tuple):
        return tuple(key_of(v) for v in value)
    return (type(value).__name__, plain(value))


def inputs_of(body: Iterable[Statement]) -> Iterable[Input]:
    """The `input` statements of a module; resolve sees to it that none is inside an `if`."""
    return (s for s in body if isinstance(s, Input))


def quoted(diagnostic: Diagnostic | None, f: Field) -> Diagnostic | None:
    """For an unknown bare word as a module's argument: how to pass a word."""
    if diagnostic is None or diagnostic.code != "unknown-name" or diagnostic.help:
        return diagnostic
    if not isinstance(f.value, Variable):
        return diagnostic
    help_ = (f'to pass a word on to a module, write it as a string: `"{f.value.name}"`',)
    return Diagnostic(diagnostic.code, diagnostic.message, diagnostic.span, help=help_)
