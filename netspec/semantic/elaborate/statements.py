"""Statements, run one after the other: layers, constants, loops, branches and contracts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netspec.ops import Shape
from netspec.ops.attribute_types import describe
from netspec.semantic.detect_block import detection
from netspec.semantic.elaborate.block_builder import BlockBuilder
from netspec.semantic.elaborate.chains import run_chain
from netspec.semantic.elaborate.inputs_outputs import run_input, run_output
from netspec.semantic.elaborate.iterations import iterations
from netspec.semantic.evaluator import Evaluator
from netspec.semantic.scope import (
    POISON,
    EvaluationError,
    Poison,
    Scope,
    TracedConstant,
)
from netspec.semantic.train_block import training
from netspec.syntax.ast import (
    ContractStatement,
    Default,
    For,
    If,
    Input,
    LayerName,
    LayerStatement,
    Let,
    Name,
    NetBlock,
    Output,
    Statement,
)
from netspec.syntax.visitor import statements

MAX_FAILED_ITERATIONS = 20
"""Iterations with errors after which a loop ends: the same few lines have no more to show."""


class StatementRunner:
    """Runs the statements of one block.

    `shapes` are those of the actual inputs of a module; a net's stand in its `input`s.
    """

    def __init__(self, builder: BlockBuilder, shapes: Sequence[Shape]) -> None:
        self.builder = builder
        self.shapes = shapes

    def run(self, body: Iterable[Statement]) -> None:
        """Run statements in order; after one with an error, go on with the next."""
        b = self.builder
        for statement in body:
            b.context.budget.step(statement.span)
            try:
                self._statement(statement)
            except EvaluationError as error:
                b.fail(error)

    def _statement(self, statement: Statement) -> None:
        b = self.builder
        match statement:
            case LayerStatement():
                _layer(b, statement)
            case Input():
                i = len(b.inputs)
                run_input(b, statement, self.shapes[i] if i < len(self.shapes) else None)
            case Output():
                run_output(b, statement)
            case Let():
                _let(b, statement)
            case ContractStatement():
                b.contracts.append((statement, b.scope, b.loops))
            case For():
                self._for(statement)
            case If():
                self._if(statement)
            case NetBlock():
                if statement.kind == "train":
                    b.training = training(statement, b.evaluator(), b.fail)
                else:
                    b.detection = detection(statement, b.evaluator(), b.fail)
                    b.detect_block = statement

    def _inner(
        self, body: Iterable[Statement], constants: Iterable[tuple[Name, TracedConstant]] = ()
    ) -> None:
        """Run the body of `for` or `if` in a scope of its own, a loop's with its variables."""
        b = self.builder
        outer = b.scope
        b.scope = Scope(outer)
        try:
            for name, known in constants:
                b.declare_constant(name, known)
            self.run(body)
        finally:
            b.scope = outer

    # --- loops -----------------------------------------------------------------------------------

    def _for(self, statement: For) -> None:
        b = self.builder
        evaluator = b.evaluator()
        found = b.attempt(iterations, statement, evaluator, b.definition)
        if isinstance(found, Poison):
            _poison(b, statement.body)
            return
        if not _only_contracts(statement):
            b.static |= evaluator.used
        failed, failures, outer = b.failed, 0, b.loops
        used = frozenset(evaluator.used)
        for named in found:
            b.context.budget.step(statement.span)
            b.failed = False
            b.loops = (*outer, ", ".join(f"{n.text} = {describe(v)}" for n, v in named))
            self._inner(statement.body, [(n, TracedConstant(v, used)) for n, v in named])
            b.loops = outer
            failures += b.failed
            failed = failed or b.failed
            if failures > MAX_FAILED_ITERATIONS:
                _poison(b, statement.body)
                break
        b.failed = failed

    # --- branches --------------------------------------------------------------------------------

    def _if(self, statement: If) -> None:
        b = self.builder
        bodies = [*(body for _, body in statement.branches), statement.otherwise]
        evaluator = b.evaluator()
        taken = b.attempt(_branch, statement, evaluator)
        if isinstance(taken, Poison):
            _poison(b, [s for body in bodies for s in body])
            return
        self._inner(bodies[taken])
        if not _only_contracts(statement):
            b.static |= evaluator.used


# --- single statements ---------------------------------------------------------------------------


def _layer(b: BlockBuilder, statement: LayerStatement) -> None:
    name: str | None = None
    span = None
    free = False
    if statement.name is not None:
        found = b.attempt(_layer_name, b, statement.name)
        if isinstance(found, Poison):
            b.names.poison_indices(statement.name.base.text)
            b.current = POISON
            return
        name, span = found, statement.name.span
        free = b.declare_name(name, span)
    line = b.attempt(run_chain, b, statement.chain, name, span)
    if name is not None and free:
        b.names.set(name, line)
    if isinstance(line, Poison):
        b.failed = True
        b.current = POISON
    else:
        b.current = line.value


def _layer_name(b: BlockBuilder, name: LayerName) -> str:
    """`fire[i]` as the name that it makes. Raises EvaluationError."""
    if not name.indices:
        return name.base.text
    evaluator = b.evaluator()
    result = evaluator.joined_name(name.base, name.indices)
    b.static |= evaluator.used
    return result


def _let(b: BlockBuilder, statement: Let) -> None:
    evaluator = b.evaluator()
    value = b.attempt(evaluator.constant, statement.value)
    known = (
        POISON if isinstance(value, Poison) else TracedConstant(value, frozenset(evaluator.used))
    )
    b.declare_constant(statement.name, known)


def _branch(statement: If, evaluator: Evaluator) -> int:
    """The index of the branch that is taken, for `else` the number of conditions.

    Raises EvaluationError.
    """
    for i, (condition, _) in enumerate(statement.branches):
        if evaluator.truth(condition):
            return i
    return len(statement.branches)


def _only_contracts(statement: If | For) -> bool:
    """Whether a statement only decides which contracts there are, and not what the net is."""
    return all(
        isinstance(s, ContractStatement | Default | Let | If | For) for s in statements([statement])
    )


def _poison(b: BlockBuilder, body: Iterable[Statement]) -> None:
    """Poison what these statements would have named or made."""
    for statement in statements(body):
        if not isinstance(statement, LayerStatement):
            continue
        b.current = POISON
        if statement.name is not None:
            base = statement.name.base.text
            if statement.name.indices:
                b.names.poison_indices(base)
            else:
                b.names.poison(base)
