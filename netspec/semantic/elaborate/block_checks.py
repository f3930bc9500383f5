"""What is checked of a block when all its statements have run: contracts, and what is unused."""

from __future__ import annotations

from netspec.diagnostics import Diagnostic
from netspec.diagnostics.source import Span
from netspec.ir import Block
from netspec.lazy_dataclasses import replace
from netspec.semantic.contracts.check import Verdict, check_contract
from netspec.semantic.contracts.metrics import BlockMetrics
from netspec.semantic.contracts.provenance import Provenance
from netspec.semantic.detect_block import wrong_planes
from netspec.semantic.elaborate.block_builder import BlockBuilder
from netspec.semantic.elaborate.repeated_errors import listed
from netspec.semantic.evaluator import Evaluator
from netspec.semantic.scope import EvaluationError, Poison

MAX_NOTES = 3
"""Most metrics of a contract whose origin is noted."""
MAX_UNUSED = 8
"""Most layers of one line that a warning names."""


def check_contracts(b: BlockBuilder, block: Block | Poison) -> None:
    """Report the contracts that do not hold; the block is sound all the same.

    In a block with errors (poison), only those about sound values are checked.
    """
    metrics = BlockMetrics(block, b.nodes, b.context.names)
    provenance = Provenance(b.nodes, b.makers, b.places)
    unmet: list[tuple[Verdict, tuple[str, ...]]] = []
    for statement, scope, loops in b.contracts:
        try:
            verdict = check_contract(statement, Evaluator(scope, b.names, metrics, b.module.callee))
        except EvaluationError as f:
            if f.diagnostic is None:
                continue  # it is about something that is poisoned
            verdict = Verdict(f.diagnostic)
        b.context.record_verdict(statement, verdict.diagnostic)
        if verdict.holds is not None:
            provenance.kept.add(verdict.holds.value)
        if verdict.diagnostic is not None:
            unmet.append((verdict, loops))
            provenance.note(verdict.shapes, statement.span)
    for verdict, loops in unmet:
        diagnostic = verdict.diagnostic
        assert diagnostic is not None
        if b.context.is_new(diagnostic):
            notes = dict.fromkeys(metrics.note(*metric) for metric in verdict.metrics)
            some = tuple(note for note in notes if note)[:MAX_NOTES]
            diagnostic = replace(diagnostic, notes=diagnostic.notes + some)
            for wanted in verdict.shapes:
                if b.context.may_explain():
                    diagnostic = provenance.explain(diagnostic, wanted)
        b.note(diagnostic, loops)


def check_detection(b: BlockBuilder, block: Block | Poison) -> None:
    """Report a `detect` block that is not one of the net's planes."""
    if b.detection is None or b.detect_block is None or isinstance(block, Poison):
        return
    ins, outs = ([v.shape for v in values] for values in (block.inputs, block.outputs))
    wrong = wrong_planes(b.detect_block, b.detection, ins, outs)
    if wrong is not None:
        b.fail(EvaluationError(wrong))


def warn_of_unused(b: BlockBuilder, block: Block) -> None:
    """Warn of layers and inputs that no output depends on."""
    needed = set(block.outputs)
    unused = []
    owners = set()
    for node in reversed(block.nodes):
        if needed.isdisjoint(node.outputs):
            unused.append(node)
        else:
            needed.update(node.inputs)
            owners.add(node.shares)
    places: dict[str, Span] = {}
    lent = {node.line or node.name for node in unused if node.name in owners}
    for node in reversed(unused):
        # A chain is one line, whose name is that of its first layer.
        places.setdefault(node.line or node.name, node.span)
    lines: dict[Span, list[str]] = {}
    for name, span in places.items():
        if name in lent:
            message = f"no output depends on the value of {name}, only on its weights"
            help_ = ("make the line where its value is used, and use it again elsewhere",)
            b.note(Diagnostic("unused-layer", message, span, help=help_))
        else:
            lines.setdefault(span, []).append(name)
    for span, names in lines.items():
        them = listed(names[:MAX_UNUSED], len(names))
        message = f"no output depends on {them}"
        b.note(Diagnostic("unused-layer", message, span))
    for value in block.inputs:
        if value not in needed:
            message = f"no output depends on the input {value.name}"
            b.note(Diagnostic("unused-input", message, b.places[value]))
