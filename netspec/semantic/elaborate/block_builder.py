"""The statements of one net or module, run once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, cast

from netspec.diagnostics import Diagnostic, Frame, Label
from netspec.diagnostics.source import Span
from netspec.diagnostics.suggest import did_you_mean, one_of
from netspec.ir import Block, Choice, Layer, Loop, Node, Training, Value
from netspec.lazy_dataclasses import replace
from netspec.ops import OPS, Shape, like, text
from netspec.ops.attribute_types import describe
from netspec.ops.base import MAX_ELEMENTS
from netspec.semantic.elaborate.block_checks import check_contracts, warn_of_unused
from netspec.semantic.elaborate.branch_conditions import condition_of
from netspec.semantic.elaborate.calls import Calls
from netspec.semantic.elaborate.context import ElaborationContext, Operand
from netspec.semantic.elaborate.outer_expressions import as_parameter
from netspec.semantic.elaborate.repeated_errors import Key
from netspec.semantic.elaborate.unnamed_values import explained
from netspec.semantic.evaluator import (
    EvaluationError,
    Evaluator,
    Known,
    LayerReference,
    Scope,
    any_index,
    evaluation_error,
)
from netspec.semantic.imports import ModuleDefinition
from netspec.semantic.input_block import preprocessing
from netspec.semantic.limits import MAX_STEPS, LimitExceeded
from netspec.semantic.shape_patterns import matches, pattern_text, shape_pattern
from netspec.semantic.train_block import training
from netspec.symbolic.expr import (
    Channels,
    Dim,
    Expr,
    Num,
    Parameter,
    Symbol,
    apply,
    literal,
)
from netspec.syntax.ast import (
    Call,
    Chain,
    For,
    If,
    Input,
    LayerName,
    LayerStatement,
    Let,
    Name,
    Output,
    Reference,
    Require,
    Statement,
    Train,
    Variable,
)
from netspec.syntax.visitor import statements


class Body:
    """Runs the body of one net or module once."""

    def __init__(
        self,
        run: ElaborationContext,
        module: ModuleDefinition,
        backtrace: tuple[Frame, ...],
        key: Key,
    ) -> None:
        self.run = run
        self.module = module
        self.definition = module.definition
        self.backtrace = backtrace
        self.key = key
        self.loops: tuple[str, ...] = ()
        """The variables of the loops that are running, as messages say them."""
        self.scope = Scope(budget=run.budget)
        self.lines: dict[str, LayerReference | None] = {}
        self.names: dict[str, Span] = {}
        self.automatic: dict[str, Span] = {}
        """The names of layers that the spec gives none."""
        self.counts: dict[str, int] = {}
        self.nodes: list[Node] = []
        self.inputs: list[Value] = []
        self.outputs: list[tuple[str, Value]] | None = None
        self.current: Value | None = None
        self.current_failed = False
        self.makers: dict[Value, Node] = {}
        self.places: dict[Value, Span] = {}
        self.contracts: list[tuple[Require, Scope, tuple[str, ...]]] = []
        self.static: set[Symbol] = set()
        self.always_static: set[Symbol] = set()
        self.choices: list[Choice] = []
        self.ranges: list[Loop] = []
        self.preprocessing: list[Any] = []
        self.training: Training | None = None
        self.failed = False
        self.layer_count = 0
        self.calls = Calls(self)
        self.depth = 0

    def inner_body(self, module: ModuleDefinition, name: str, span: Span, key: Key) -> Body:
        """The body of a module that this one has an instance of."""
        frame = Frame(module.definition.name.text, name, span, self.loops)
        return Body(self.run, module, (*self.backtrace, frame), key)

    # --- reporting -------------------------------------------------------------------------------

    def report(self, diagnostic: Diagnostic | None) -> None:
        """Report an error (None: one that is reported already). The block has failed."""
        self.failed = True
        if diagnostic is not None:
            self.note(diagnostic)

    def note(self, diagnostic: Diagnostic, loops: tuple[str, ...] | None = None) -> None:
        """Report an error or warning that leaves the block as it is.

        `loops` are the iterations of loops that it is about where they are not those running now.
        """
        loops = self.loops if loops is None else loops
        if diagnostic.code == "unknown-name" and diagnostic.span is not None:
            diagnostic = explained(diagnostic, diagnostic.span, self.automatic, self.definition)
        self.run.report(replace(diagnostic, backtrace=self.backtrace, loops=loops), self.key)

    def evaluator(self) -> Evaluator:
        return Evaluator(self.scope, self.lines)

    # --- parameters ------------------------------------------------------------------------------

    def net_parameters(self, settings: Mapping[str, Any]) -> None:
        for param in self.definition.params:
            name = param.name.text
            value: Any = None
            try:
                if name in settings:
                    value = settings[name]
                elif param.default is not None:
                    value = self.evaluator().constant(param.default)
                else:
                    message = f"the net's parameter {name} needs a default, or `--set {name}=...`"
                    raise evaluation_error("missing-field", message, param.span)
            except EvaluationError as f:
                self.report(f.diagnostic)
                self.declare_constant(param.name, None)
                continue
            self.declare_constant(
                param.name, Known(as_parameter(name, value), frozenset({Parameter(name)}))
            )
        known = [p.name.text for p in self.definition.params]
        for name in settings:
            if name not in known:
                help_ = did_you_mean(name, known)
                if known:
                    help_ = help_ or (f"its parameters are {one_of(known)}",)
                message = f"the net {self.definition.name.text} has no parameter {name}"
                self.report(
                    Diagnostic("unknown-parameter", message, self.definition.name.span, help=help_)
                )

    def module_parameters(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Declare the parameters; returns the value of each, defaults filled in."""
        values: dict[str, Any] = {}
        for param in self.definition.params:
            name = param.name.text
            if name in arguments:
                value = arguments[name]
            elif param.default is not None:
                value = self.evaluator().constant(param.default)
            else:
                raise EvaluationError(None)  # reported where the fields are matched
            values[name] = value
            self.declare_constant(
                param.name, Known(as_parameter(name, value), frozenset({Parameter(name)}))
            )
        return values

    def declare_constant(self, name: Name, known: Known | None) -> None:
        earlier = self.scope.find(name.text)
        if earlier is not None or name.text in self.names:
            place = earlier[1] if earlier else self.names[name.text]
            self.report(twice(name.text, name.span, place))
            return
        self.scope.names[name.text] = (known, name.span)

    def declare_name(self, name: str, span: Span) -> bool:
        """Reserve the name of a layer or input; False, and a diagnostic, where it is taken."""
        earlier = self.scope.find(name)
        if earlier is not None or name in self.names:
            place = earlier[1] if earlier else self.names[name]
            help_: tuple[str, ...] = ()
            if place == span and self.depth:
                help_ = (f"in a loop, make the name different each time: `{name}[i]`",)
            error = twice(name, span, place, help_)
            if name in self.automatic:
                label = Label(place, f"this is {name} already, for want of a name of its own")
                error = replace(error, others=(label,))
            self.report(error)
            return False
        self.names[name] = span
        return True

    def fresh_name(self, base: str, span: Span, always: bool) -> str:
        """`base`, `base_2`, ... or, with `always`, `base_1`, `base_2`, ..."""
        while True:
            count = self.counts[base] = self.counts.get(base, 0) + 1
            name = f"{base}_{count}" if always or count > 1 else base
            if name not in self.names and self.scope.find(name) is None:
                self.names[name] = self.automatic[name] = span
                return name

    # --- the block -------------------------------------------------------------------------------

    def run_block(self, shapes: list[Shape]) -> Block | None:
        """Run all statements, check the contracts; None where anything failed.

        `shapes` are those of the actual inputs of a module; a net's stand in its `input`s.
        """
        self.actual = list(shapes)
        try:
            self.statements(self.definition.body)
            self._finish_outputs()
            block = None if self.failed or self.outputs is None else self._block()
            check_contracts(self, block)
        except LimitExceeded as error:
            if error.diagnostic is not None:
                self.note(error.diagnostic)
            raise LimitExceeded from None
        if self.failed or block is None:
            return None
        self.run.lines[block] = self.lines
        warn_of_unused(self, block)
        return block

    def _block(self) -> Block:
        assert self.outputs is not None
        values = tuple(v for _, v in self.outputs)
        names = tuple(n for n, _ in self.outputs)
        d = self.definition
        return Block(
            d.kind,
            d.name.text,
            d.doc,
            tuple(self.inputs),
            tuple(self.nodes),
            values,
            names,
            frozenset(self.static),
            frozenset(self.always_static),
            tuple(self.choices),
            tuple(self.ranges),
        )

    def _finish_outputs(self) -> None:
        if self.outputs is None and not self.failed:
            if self.current is None or not self.nodes:
                self.report(
                    Diagnostic(
                        "missing-value",
                        f"{self.definition.kind} {self.definition.name.text} has no layers",
                        self.definition.name.span,
                        help=(self._first_layer(),),
                    )
                )
            else:
                self.outputs = [("", self.current)]

    def _first_layer(self) -> str:
        """What an empty body needs."""
        if not self.inputs:
            shape = ": 3x224x224" if self.definition.kind == "net" else ""
            return f"begin with `input x{shape}`, and put layers behind it"
        name = self.inputs[-1].name
        return f"put a layer behind the input; to pass it on as it is, say `output {name}`"

    # --- statements ------------------------------------------------------------------------------

    def statements(self, body: Iterable[Statement]) -> None:
        for statement in body:
            self.run.budget.step(statement.span)
            try:
                self.statement(statement)
            except EvaluationError as f:
                self.report(f.diagnostic)

    def statement(self, statement: Statement) -> None:
        match statement:
            case LayerStatement():
                self.layer(statement)
            case Input():
                self.input(statement)
            case Output():
                self.output(statement)
            case Let():
                self.let(statement)
            case Require():
                self.contracts.append((statement, self.scope, self.loops))
            case For():
                self.for_(statement)
            case If():
                self.if_(statement)
            case Train():
                self.training = training(statement, self.evaluator(), self.report)

    def let(self, statement: Let) -> None:
        evaluator = self.evaluator()
        try:
            known = Known(evaluator.constant(statement.value), frozenset(evaluator.used))
        except EvaluationError as f:
            self.report(f.diagnostic)
            self.declare_constant(statement.name, None)
            return
        self.declare_constant(statement.name, known)

    def inner(self, body: tuple[Statement, ...], constant: tuple[Name, Known] | None) -> None:
        """Run a block of `for` or `if` in a scope of its own."""
        outer = self.scope
        self.scope = Scope(outer)
        try:
            if constant is not None:
                self.declare_constant(*constant)
            self.statements(body)
        finally:
            self.scope = outer

    def settle(self, symbols: Iterable[Symbol]) -> None:
        """These decide what the block is made of, and not through its `if`s."""
        self.static.update(symbols)
        self.always_static.update(symbols)

    def for_(self, statement: For) -> None:
        evaluator = self.evaluator()
        try:
            values, count = self._values(statement, evaluator)
        except EvaluationError as f:
            self.report(f.diagnostic)
            self.poison([statement.body])
            return
        if not _contracts_only(statement):
            self.settle(evaluator.used)
        self.depth += 1
        failed, failures, outer = self.failed, 0, self.loops
        iterations = [len(self.nodes)]
        for value in values:
            self.run.budget.step(statement.span)
            known = Known(value, frozenset(evaluator.used))
            self.failed = False
            self.loops = (*outer, f"{statement.variable.text} = {describe(value)}")
            self.inner(statement.body, (statement.variable, known))
            self.loops = outer
            iterations.append(len(self.nodes))
            failures += self.failed
            failed = failed or self.failed
            if failures > 20:
                self.poison([statement.body])
                break  # the same few lines will not say anything new
        self.failed = failed
        self.depth -= 1
        if not self.depth and count is not None and self.definition.kind == "module":
            self.ranges.append(Loop(count, tuple(iterations)))

    def _values(self, statement: For, evaluator: Evaluator) -> tuple[Iterable[Any], Expr | None]:
        """What a loop runs over, and for a range how often. Raises Fault."""
        if statement.last is None:
            values: Any = evaluator.constant(statement.first)
            if not isinstance(values, tuple):
                raise evaluation_error(
                    "wrong-type",
                    f"`for` runs over a range or a list, not over {describe(values)}",
                    statement.first.span,
                    "a range is written `1..8`, both ends included",
                )
            return values, None
        first = evaluator.integer(statement.first, "the start of a range")
        last = evaluator.integer(statement.last, "the end of a range")
        if last - first >= MAX_STEPS:
            raise evaluation_error(
                "too-large",
                f"this loop runs {last - first + 1:,} times; at most {MAX_STEPS:,} is possible",
                statement.first.span.to(statement.last.span),
            )
        before, end = (evaluator.constant(e).known for e in (statement.first, statement.last))
        further = apply("-", end, before) or literal(last - first)
        count = apply("+", further, literal(1)) or literal(last - first + 1)
        return (Num(Fraction(i)) for i in range(first, last + 1)), count

    def if_(self, statement: If) -> None:
        bodies = [body for _, body in statement.branches] + [statement.otherwise]
        evaluator = self.evaluator()
        chosen, taken = statement.otherwise, len(statement.branches)
        try:
            for i, (condition, body) in enumerate(statement.branches):
                if evaluator.truth(condition):
                    chosen, taken = body, i
                    break
        except EvaluationError as f:
            self.report(f.diagnostic)
            self.poison(bodies)
            return
        contracts_only = _contracts_only(statement)
        if contracts_only or self.definition.kind == "net":
            self.inner(chosen, None)
        else:
            conditions = tuple(condition_of(c, self.evaluator()) for c, _ in statement.branches)
            outer, self.choices = self.choices, []
            start = len(self.nodes)
            self.inner(chosen, None)
            inside, self.choices = tuple(self.choices), outer
            end = len(self.nodes)
            self.choices.append(Choice(statement.span, conditions, taken, start, end, inside))
            if None not in conditions and not contracts_only:
                self.static |= evaluator.used
                return
        if not contracts_only:
            self.settle(evaluator.used)

    def poison(self, bodies: Iterable[Iterable[Statement]]) -> None:
        """Whatever these statements would have named or made is unknown, without a word."""
        for statement in statements(s for body in bodies for s in body):
            if not isinstance(statement, LayerStatement):
                continue
            self.current, self.current_failed = None, True
            if statement.name is not None:
                base = statement.name.base.text
                self.lines.setdefault(any_index(base) if statement.name.indices else base, None)

    # --- inputs and outputs ----------------------------------------------------------------------

    def input(self, statement: Input) -> None:
        name = statement.name.text
        position = len(self.inputs)
        span = statement.name.span
        free = self.declare_name(name, span)
        try:
            if self.definition.kind == "net":
                shape = self._net_input(statement)
            else:
                shape = self._module_input(statement, position)
        except EvaluationError as f:
            self.report(f.diagnostic)
            self.lines[name] = None
            self.current, self.current_failed = None, True
            self.inputs.append(Value(name, (1, 1, 1)))
            return
        value = Value(name, shape)
        self.inputs.append(value)
        self.places[value] = span
        self.current, self.current_failed = value, False
        if free:
            self.lines[name] = LayerReference(name, {}, value, (), span)

    def _net_input(self, statement: Input) -> Shape:
        name = statement.name.text
        if statement.pattern is None:
            raise evaluation_error(
                "missing-shape",
                f"the input {name} of a net needs a shape",
                statement.name.span,
                f"write for example `input {name}: 3x224x224`",
            )
        evaluator = self.evaluator()
        pattern = shape_pattern(statement.pattern, evaluator)
        self.settle(evaluator.used)
        if None in pattern:
            message = f"the input {name} of a net needs a full shape, without `?`"
            raise evaluation_error(
                "missing-shape", message, statement.pattern.span, _batch(pattern)
            )
        shape = tuple(int(d or 0) for d in pattern)
        if len(shape) not in (1, 3) or not all(0 < d < MAX_ELEMENTS for d in shape):
            raise evaluation_error(
                "out-of-range",
                "an input is channels x height x width, or a plain vector, of positive sizes",
                statement.pattern.span,
                _batch(pattern),
            )
        evaluator = self.evaluator()
        self.preprocessing.append(preprocessing(statement.fields, shape, evaluator, self.report))
        self.settle(evaluator.used)
        return self.calls.bounded(shape, statement.pattern.span)

    def _module_input(self, statement: Input, position: int) -> Shape:
        if statement.fields:
            raise evaluation_error(
                "unknown-field",
                "how pictures become an input is said at the input of a net, not of a module",
                statement.fields[0].name.span,
            )
        if position >= len(self.actual):
            raise EvaluationError(None)
        actual = self.actual[position]
        if statement.pattern is not None:
            evaluator = self.evaluator()
            pattern = shape_pattern(statement.pattern, evaluator)
            if not matches(actual, pattern):
                raise EvaluationError(
                    Diagnostic(
                        "shape-mismatch",
                        f"{self.definition.name.text} needs an input {statement.name.text} of "
                        f"{pattern_text(pattern)}, but gets {text(actual)}",
                        statement.pattern.span,
                        label=f"{text(actual)} comes in",
                        others=use_of(self.backtrace),
                    )
                )
        channels = Dim(int(actual[0]), Channels(statement.name.text))
        return like(actual, (channels, *(int(d) for d in actual[1:])))

    def output(self, statement: Output) -> None:
        if self.outputs is not None:
            raise evaluation_error(
                "duplicate-name",
                "the outputs are given already",
                statement.span,
                "name all of them in one `output a, b`",
            )
        outputs: list[tuple[str, Value]] = []
        named: dict[str, Span] = {}
        failed = False
        for item in statement.values:
            operand = self.operand(item)
            if operand is None:
                failed = True
                continue
            name = ""
            if not isinstance(item, Chain):
                name = self._output_name(item)
            if name and name in named:
                self.report(
                    Diagnostic(
                        "duplicate-name",
                        f"two outputs are called {name}",
                        item.span,
                        others=(Label(named[name], "the first one"),),
                        help=(f"name it anew: `other: identity({item.span.text})`",),
                    )
                )
            named.setdefault(name, item.span)
            outputs.append((name, operand.value))
        if failed:
            self.failed = True
            self.outputs = None
            self.current, self.current_failed = None, True
            return
        self.outputs = outputs

    def _output_name(self, item: Reference) -> str:
        if isinstance(item, Variable):
            return item.name
        if hasattr(item, "name"):
            return str(cast(Any, item).name.text)
        return self.evaluator().indexed_name(item)

    # --- layers ----------------------------------------------------------------------------------

    def layer(self, statement: LayerStatement) -> None:
        name: str | None = None
        reserved = True
        line: LayerReference | None = None
        try:
            if statement.name is not None:
                name = self._layer_name(statement.name)
                reserved = self.declare_name(name, statement.name.span)
            place = statement.name.span if statement.name else None
            line = self.chain(statement.chain, name, place)
        except EvaluationError as f:
            self.report(f.diagnostic)
        if name is not None and reserved:
            self.lines[name] = line
        if line is None:
            self.failed = True
            self.current, self.current_failed = None, True
        else:
            self.current, self.current_failed = line.value, False

    def _layer_name(self, name: LayerName) -> str:
        if not name.indices:
            return name.base.text
        evaluator = self.evaluator()
        result = evaluator.joined_name(name.base, name.indices)
        self.settle(evaluator.used)
        return result

    def chain(
        self, chain: Chain, name: str | None, name_span: Span | None
    ) -> LayerReference | None:
        """Run a chain of calls; its line, or None where one of them fails."""
        operands: list[Operand | None] | None = None
        nodes: list[Node] = []
        head: Node | None = None
        node: Node | None = None
        failed = False
        for i, call in enumerate(chain.calls):
            if call.arguments is not None:
                operands = [self.operand(a) for a in call.arguments]
            elif i == 0:
                operands = [self.flowing(call)]
            if i and call.arguments is not None:
                self.report(
                    Diagnostic(
                        "wrong-arity",
                        f"{call.op.text} in a chain takes what flows into it, not inputs in "
                        "brackets",
                        call.op.span,
                        help=("begin a line of its own with it",),
                    )
                )
                failed = True
            if i == 0 and name is not None:
                node_name = name
            elif name is not None:
                node_name = self.fresh_name(f"{name}_{call.op.text}", call.span, always=False)
            else:
                node_name = self.fresh_name(call.op.text, call.span, always=True)
            assert operands is not None
            last = i == len(chain.calls) - 1
            value_name = name if name is not None and last else node_name
            node = self.calls.call(call, (node_name, name, value_name), operands)
            if node is None or failed:
                failed = True
                operands = [None]
                continue
            if i == 0:
                head = node
                nodes += [n for o in operands if o is not None for n in o.nodes]
            nodes.append(node)
            operands = [Operand(node.outputs[0], call.op.span, given=False)]
        if failed or node is None or head is None:
            return None
        names: Iterable[str]
        if isinstance(node, Layer):
            names = node.op.result_names if node.op.result_names != ("value",) else ()
        else:
            names = node.block.output_names
        results = {n: v for n, v in zip(names, node.outputs, strict=False) if n}
        span = name_span or chain.span
        return LayerReference(name or node.name, results, node.outputs[0], tuple(nodes), span, head)

    def flowing(self, call: Call) -> Operand | None:
        if self.current is None:
            if not self.current_failed:
                self.report(
                    Diagnostic(
                        "missing-value",
                        f"nothing flows into {call.op.text} yet",
                        call.op.span,
                        help=("begin with `input`, or name the inputs in round brackets",),
                    )
                )
            self.failed = True
            return None
        return Operand(self.current, call.op.span, given=False)

    def operand(self, argument: Chain | Reference) -> Operand | None:
        """The value of an argument or output; None where it fails, which is reported."""
        if isinstance(argument, Chain):
            line = self.chain(argument, None, None)
            return Operand(line.value, argument.span, True, line.nodes) if line else None
        evaluator = self.evaluator()
        try:
            line = evaluator.line(argument)
        except EvaluationError as f:
            diagnostic = f.diagnostic
            if diagnostic is not None and isinstance(argument, Variable):
                if argument.name in OPS or self.module.find(argument.name):
                    help_ = f"to apply {argument.name} here, write `{argument.name}(...)`"
                    diagnostic = Diagnostic(
                        diagnostic.code,
                        f"no value {argument.name} is in sight here",
                        diagnostic.span,
                        help=(help_,),
                    )
            self.report(diagnostic)
            return None
        self.settle(evaluator.used)
        return Operand(line.value, argument.span, given=True)


def _contracts_only(statement: If | For) -> bool:
    """Which contracts hold for which settings says nothing about the network itself."""
    return all(isinstance(s, Require | Let | If | For) for s in statements([statement]))


def _batch(pattern: tuple[int | None, ...]) -> str:
    """The fix for a shape that begins with the size of a batch."""
    if len(pattern) != 4 or pattern[0] not in (None, 1) or None in pattern[1:]:
        return ""
    return f"leave out the batch, which is implied everywhere: `{pattern_text(pattern[1:])}`"


def twice(name: str, span: Span, earlier: Span, help: tuple[str, ...] = ()) -> Diagnostic:
    others = () if earlier == span else (Label(earlier, "the first one"),)
    return Diagnostic(
        "duplicate-name", f"the name {name} is given twice", span, "", others, (), help
    )


def use_of(backtrace: tuple[Frame, ...]) -> tuple[Label, ...]:
    return (Label(backtrace[-1].span, "used here"),) if backtrace else ()
