"""One node with its inputs and attributes: what rules ask of it, and what they emit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from netspec.importers.onnx.folding import FoldError, axis_of, numbers
from netspec.importers.onnx.values import NodeValue, of_array, of_constant
from netspec.importers.tensors.program import Operation, ProgramConstant, ProgramTensor
from netspec.ops.base import MAX_ELEMENTS

Rule = Callable[["NodeCall"], "NodeValue | list[NodeValue]"]
RULES: dict[str, Rule] = {}
"""The rule of each operator."""


class Refused(Exception):
    """A node that the language has no words for, or that is not sound."""

    def __init__(self, message: str, code: str = "unsupported-layer") -> None:
        super().__init__(message)
        self.message, self.code = message, code


def rule(*operators: str) -> Callable[[Rule], Rule]:
    """Decorator: register the rule of operators."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(operators, function))
        return function

    return register


class NodeCall:
    """A node: its operator, inputs (None where one is left out) and attributes.

    `results` are the names of its results, "" for those that nothing takes. What it emits is
    collected in `operations`.
    """

    def __init__(
        self,
        operator: str,
        opset: int,
        inputs: list[NodeValue | None],
        attributes: Mapping[str, Any],
        results: list[str],
        path: Path,
    ) -> None:
        self.operator, self.opset = operator, opset
        self.inputs, self.attributes = inputs, attributes
        self.results, self.path = results, path
        self.operations: list[Operation] = []

    # --- what a rule asks ------------------------------------------------------------------------

    def has(self, number: int) -> bool:
        """Whether there is an input at this place."""
        return number < len(self.inputs) and self.inputs[number] is not None

    def input(self, number: int = 0) -> NodeValue:
        """An input that has to be there. Raises Refused."""
        if not self.has(number):
            raise Refused(f"lacks its input {number + 1}", "wrong-arity")
        found = self.inputs[number]
        assert found is not None
        return found

    def known(self, number: int, what: str) -> NodeValue:
        """An input whose numbers are known. Raises Refused."""
        found = self.input(number)
        if not found.known:
            raise Refused(f"has a computed {what}")
        return found

    def array(self, number: int, what: str) -> Any:
        """The numbers of an input. Raises Refused."""
        return self.known(number, what).array

    def number(self, number: int, what: str, default: float | None = None) -> float | None:
        """The one number of an input; `default` where it is left out. Raises Refused."""
        if not self.has(number):
            return default
        found = self.array(number, what)
        if found.size != 1:
            raise Refused(f"has a {what} of {found.size} numbers", "wrong-type")
        return float(np.ravel(found)[0])

    def get(self, name: str, default: Any) -> Any:
        """An attribute, which has to be of its default's type. Raises Refused."""
        found = self.attributes.get(name, default)
        if isinstance(default, float) and isinstance(found, int):
            found = float(found)
        if default is not None and not isinstance(found, type(default)):
            raise Refused(f"has a wrong {name}", "wrong-type")
        return found

    def integers(self, name: str, at: int, what: str = "") -> list[int] | None:
        """Integers that are an attribute or an input, by the opset; None for neither."""
        if name not in self.attributes and self.has(at):
            self.known(at, what or name)
        arrays = [x.array if x is not None and x.known else None for x in self.inputs]
        return numbers(self.attributes, arrays, name, at)

    def axis(self, name: str, default: int, rank: int) -> int:
        """An attribute that is an axis, counted from 0. Raises Refused."""
        return axis_of(self.get(name, default), rank)

    # --- what a rule emits -----------------------------------------------------------------------

    def emit(
        self, kind: str, *inputs: NodeValue | None, shape: tuple[int, ...], **how: Any
    ) -> NodeValue:
        """Emit an operation of one result."""
        return self.emit_all(kind, *inputs, shapes=[shape], **how)[0]

    def emit_all(
        self, kind: str, *inputs: NodeValue | None, shapes: list[tuple[int, ...]], **how: Any
    ) -> list[NodeValue]:
        """Emit an operation with results of these shapes. Raises Refused."""
        for shape in shapes:
            if any(n < 1 for n in shape):
                raise Refused(f"has a result of {'x'.join(map(str, shape))}", "window-too-large")
            if prod(shape) > MAX_ELEMENTS:
                raise Refused(f"has a result of {prod(shape):,} numbers", "too-large")
        if any(v is not None and v.kind == "bool" and not v.known for v in inputs):
            raise Refused("takes a computed condition")
        if any(v is not None and v.put is not None for v in inputs):
            raise Refused("takes what was put to the places of a pooling in no shape of a map")
        outputs = [ProgramTensor("", shape) for shape in shapes]
        tensors = [None if v is None else v.tensor for v in inputs]
        self.operations.append(Operation(kind, tensors, outputs, "", NOWHERE, how))
        return [NodeValue(tensor, "float32") for tensor in outputs]

    def same(self, kind: str, *inputs: NodeValue | None, **how: Any) -> NodeValue:
        """Emit an operation whose result has the shape of its first input."""
        first = inputs[0]
        assert first is not None
        return self.emit(kind, *inputs, shape=first.shape, **how)

    def both(self, kind: str, x: NodeValue, y: NodeValue | float) -> NodeValue:
        """Emit arithmetic of two inputs, which spread as NumPy's."""
        other = self.scalar(y) if isinstance(y, float) else y
        try:
            shape = np.broadcast_shapes(x.shape, other.shape)
        except ValueError:
            texts = " and ".join("x".join(map(str, v.shape)) for v in (x, other))
            raise Refused(f"takes {texts}, which do not go together", "shape-mismatch") from None
        return self.emit(kind, x, other, shape=shape)

    def reshape(self, x: NodeValue, shape: tuple[int, ...]) -> NodeValue:
        """Emit a reshape, unless the shape is that already."""
        if shape == x.shape:
            return x
        if prod(shape) != prod(x.shape):
            raise Refused("changes how many numbers there are", "shape-mismatch")
        if x.constant is not None:
            return of_constant(
                x.constant.changed(shape, lambda a: a.reshape(shape), ("reshape", shape)), x.kind
            )
        # A shape without a batch in between does no harm.
        before = x.before if x.before is not None and x.shape[:1] != shape[:1] else x
        if before.shape == shape:
            return before
        found = self.emit("reshape", before, shape=shape)
        found.kind = x.kind
        found.before = before
        return found

    def transpose(self, x: NodeValue, order: tuple[int, ...]) -> NodeValue:
        """Emit a transpose, unless it changes nothing."""
        if order == tuple(range(len(order))):
            return x
        shape = tuple(x.shape[i] for i in order)
        if x.constant is not None:
            how = ("transpose", order)
            return of_constant(x.constant.changed(shape, lambda a: a.transpose(order), how), x.kind)
        return self.emit("transpose", x, shape=shape, order=order)

    def scalar(self, number: float) -> NodeValue:
        """A single known number."""
        return of_array(np.float32(number), ("number", number), self.path)

    def constant(self, constant: ProgramConstant) -> NodeValue:
        """A weight that was computed of others."""
        return of_constant(constant, "float32")


def refused(error: FoldError) -> Refused:
    """The refusal of a node whose result can't be computed."""
    return Refused(str(error), "bad-arithmetic")


def _nowhere() -> Any:
    from netspec.diagnostics.source import Source, Span

    return Span(Source("", ""), 0, 0)


NOWHERE = _nowhere()
"""The place of what has none yet."""
