"""What is known of one block while its statements run, and the block that comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from netspec.diagnostics import Diagnostic, Frame, Label
from netspec.diagnostics.source import Span
from netspec.ir import Block, Detection, Instance, Node, Preprocessing, Training, Value
from netspec.lazy_dataclasses import replace
from netspec.ops import Shape, like, text
from netspec.ops.base import MAX_ELEMENTS
from netspec.semantic.elaborate.context import MAX_LAYERS, ElaborationContext
from netspec.semantic.elaborate.repeated_errors import Key
from netspec.semantic.elaborate.unknown_values import explained
from netspec.semantic.evaluator import Evaluator
from netspec.semantic.imports import ModuleDefinition
from netspec.semantic.limits import LimitExceeded
from netspec.semantic.scope import (
    POISON,
    EvaluationError,
    Names,
    Poison,
    Scope,
    TracedConstant,
    evaluation_error,
    tell,
)
from netspec.semantic.templates import template_of
from netspec.symbolic.expr import Dim, Real, Symbol, follows_sizes
from netspec.symbolic.terms import leaves
from netspec.syntax.ast import ContractStatement, Name, NetBlock

P = ParamSpec("P")
T = TypeVar("T")


class BlockBuilder:
    """One run of the body of a net or module.

    `key` tells the run from others of the same module; `run_module` runs the body of another
    module, for an instance of it.
    """

    def __init__(
        self,
        context: ElaborationContext,
        module: ModuleDefinition,
        run_module: RunModule,
        backtrace: tuple[Frame, ...] = (),
        key: Key = None,
    ) -> None:
        self.context = context
        self.module = module
        self.definition = module.definition
        self.run_module = run_module
        self.backtrace = backtrace
        self.key = key
        # What the next statement can see.
        self.loops: tuple[str, ...] = ()
        """The variables of the loops that are running, as messages show them."""
        self.scope = Scope(budget=context.budget)
        self.names = Names()
        self.automatic: dict[str, Span] = {}
        """The names of layers that the spec gives none."""
        self.current: Value | Poison | None = None
        """The value that flows into the next layer; None where there is none yet."""
        self._taken: dict[str, Span] = {}
        """The names of inputs and layers, and where they were given."""
        self._counts: dict[str, int] = {}
        # What has been made.
        self.nodes: list[Node] = []
        self.layer_count = 0
        self.inputs: list[Value] = []
        self.outputs: list[tuple[str, Value]] | None = None
        self.modules: dict[Instance, tuple[ModuleDefinition, Mapping[str, Any]]] = {}
        """The module of each instance, and the arguments that it was given."""
        self.makers: dict[Value, Node] = {}
        """The node that each value is an output of."""
        self.places: dict[Value, Span] = {}
        """The places in the text of what makes each value, inputs included."""
        self.preprocessing: list[Preprocessing | None] = []
        self.training: Training | None = None
        self.detection: Detection | None = None
        self.detect_block: NetBlock | None = None
        self.contracts: list[tuple[ContractStatement, Scope, tuple[str, ...]]] = []
        """Each `expect` and `prefer` with its scope and the loops around it."""
        # What decides about the structure.
        self.static: set[Symbol] = set()
        """Parameters, input channels and sizes of values that decide what the block is made of."""
        self.failed = False
        """Whether there was an error, so that no block comes of it."""

    def inner(self, module: ModuleDefinition, name: str, span: Span, key: Key) -> BlockBuilder:
        """The builder for a module of which this block has an instance."""
        frame = Frame(module.definition.name.text, name, span, self.loops)
        return BlockBuilder(self.context, module, self.run_module, (*self.backtrace, frame), key)

    def evaluator(self) -> Evaluator:
        return Evaluator(self.scope, self.names, None, self.module.callee)

    # --- errors ----------------------------------------------------------------------------------

    def attempt(self, make: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | Poison:
        """What a function returns; poison where it raises EvaluationError, which is reported."""
        try:
            return make(*args, **kwargs)
        except EvaluationError as error:
            self.fail(error)
            return POISON

    def fail(self, error: EvaluationError) -> None:
        """Report an error, unless it comes of one that is reported already."""
        self.failed = True
        if error.diagnostic is not None:
            self.note(error.diagnostic)

    def report(self, diagnostic: Diagnostic) -> None:
        """Report an error of which the block fails."""
        self.failed = True
        self.note(diagnostic)

    def note(self, diagnostic: Diagnostic, loops: tuple[str, ...] | None = None) -> None:
        """Report an error or warning that leaves the block as it is.

        `loops` are the iterations of loops that it is about where they are not those running now.
        """
        loops = self.loops if loops is None else loops
        if diagnostic.code == "unknown-name" and diagnostic.span is not None:
            diagnostic = explained(diagnostic, diagnostic.span, self.automatic, self.definition)
        diagnostic = replace(diagnostic, backtrace=self.backtrace, loops=loops)
        self.context.report(diagnostic, self.key)

    # --- names -----------------------------------------------------------------------------------

    def declare_constant(self, name: Name, known: TracedConstant | Poison) -> None:
        """Give a constant its name; an error where another constant has it."""
        earlier = self.scope.find(name.text)
        if earlier is not None:
            self.report(name_given_twice(name.text, name.span, earlier[1]))
            return
        self.scope.names[name.text] = (known, name.span)
        if isinstance(known, TracedConstant):
            tell(name.span, known.value)

    def declare_name(self, name: str, span: Span) -> bool:
        """Reserve the name of a layer or input; False, and an error, where another has it."""
        earlier = self._taken.get(name)
        if earlier is None:
            self._taken[name] = span
            return True
        help_: tuple[str, ...] = ()
        if earlier == span and self.loops:
            help_ = (f"in a loop, make the name different each time: `{name}[i]`",)
        error = name_given_twice(name, span, earlier, help_)
        if name in self.automatic:
            label = Label(earlier, f"this is {name} already, for want of a name of its own")
            error = replace(error, others=(label,))
        self.report(error)
        return False

    def automatic_name(self, base: str, span: Span, numbered: bool) -> str:
        """A free name: `base`, `base_2`, ... or, if `numbered`, `base_1`, `base_2`, ..."""
        while True:
            count = self._counts[base] = self._counts.get(base, 0) + 1
            name = f"{base}_{count}" if numbered or count > 1 else base
            if name not in self._taken:
                self._taken[name] = self.automatic[name] = span
                return name

    def pass_over_name(self, base: str) -> None:
        """Count a link that is left out, so that later ones are called what they are with it."""
        self._counts[base] = self._counts.get(base, 0) + 1

    # --- what decides about the structure --------------------------------------------------------

    def mark_untraced(self, used: set[Symbol], value: Any) -> None:
        """Mark as static what was used for a value and does not occur in the value's expression."""
        traced: set[Symbol] = set()
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, Dim | Real):
                traced.update(leaves(number.expr))
        self.static |= used - traced

    # --- nodes -----------------------------------------------------------------------------------

    def add(self, node: Node, layers: int, span: Span) -> None:
        """Append a node of so many layers. Raises LimitExceeded."""
        self.layer_count += layers
        if self.layer_count > MAX_LAYERS:
            message = f"this net has more than {MAX_LAYERS:,} layers"
            raise LimitExceeded(Diagnostic("too-large", message, span))
        self.nodes.append(node)
        for value in node.outputs:
            self.makers[value] = node
            self.places[value] = node.span

    def output_shape(self, shape: Shape, span: Span) -> Shape:
        """A layer's output shape as the block has it. Raises EvaluationError for one too large.

        Only channels keep the expression they came from.
        """
        shape = self.fixed_channels(like(shape, (shape[0], *(int(d) for d in shape[1:]))))
        check_elements(shape, span)
        return shape

    def fixed_channels(self, shape: Shape) -> Shape:
        """A shape whose channels follow no heights or widths; such are static if they did."""
        channels = shape[0]
        if not isinstance(channels, Dim) or not follows_sizes(channels):
            return shape
        self.static.update(leaves(channels.expr))
        return like(shape, (int(channels), *shape[1:]))

    # --- the block -------------------------------------------------------------------------------

    def block(self) -> Block | Poison:
        """The block of what has been made; poison where there were errors."""
        if self.failed or self.outputs is None:
            return POISON
        d = self.definition
        return Block(
            d.kind,
            d.name.text,
            d.doc,
            tuple(self.inputs),
            tuple(self.nodes),
            tuple(value for _, value in self.outputs),
            tuple(name for name, _ in self.outputs),
            frozenset(self.static),
            template_of(self.module),
        )


RunModule = Callable[[BlockBuilder, Mapping[str, Any], Sequence[Shape]], Block | Poison]
"""The block of a module for its arguments and the shapes of its inputs."""


def check_elements(shape: Shape, span: Span) -> None:
    """Raise EvaluationError for a value of too many numbers."""
    elements = 1
    for d in shape:
        elements *= int(d)
    if elements > MAX_ELEMENTS:
        message = f"a value of {text(shape)} has more than {MAX_ELEMENTS:,} numbers"
        raise evaluation_error("too-large", message, span)


def name_given_twice(
    name: str, span: Span, earlier: Span, help: tuple[str, ...] = ()
) -> Diagnostic:
    others = () if earlier == span else (Label(earlier, "the first one"),)
    return Diagnostic(
        "duplicate-name", f"the name {name} is given twice", span, "", others, (), help
    )
