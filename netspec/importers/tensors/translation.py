"""A program's graph so far: tensors as views of values, and nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from math import prod
from pathlib import Path
from typing import Any

from netspec.diagnostics import Diagnostic
from netspec.diagnostics.source import Span
from netspec.importers.structure.graph import DataInput, FieldValue, Graph, GraphValue, Node
from netspec.importers.tensors.numbers import fractions
from netspec.importers.tensors.program import (
    Operation,
    ProgramConstant,
    ProgramTensor,
    TensorProgram,
)
from netspec.importers.tensors.views import TensorView
from netspec.ops import ShapeError
from netspec.ops.attribute_types import AttributeTypeError
from netspec.ops.base import MAX_ELEMENTS

NORMS = ("weight", "bias", "running_mean", "running_var")


class Unsayable(Exception):
    """An operation that the language can't say; the message is behind the operation's name."""

    def __init__(self, message: str, *help: str, code: str = "unsupported-layer") -> None:
        super().__init__(message)
        self.message = message
        self.help = help
        self.code = code


class TranslationError(Exception):
    """The first operation that can't be translated."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


class ProgramTranslation:
    """The graph so far; `views` are those of the tensors that are computed."""

    def __init__(self, program: TensorProgram) -> None:
        self.program = program
        self.graph = Graph([], [], [], modules=_modules(program))
        self.views: dict[ProgramTensor, TensorView] = {}
        self.uses = Counter(t for o in program.operations for t in o.inputs if t is not None)
        self.uses.update(program.outputs)
        self.at: Operation | None = None
        self.made_by: dict[ProgramTensor, Operation] = {}
        self.owners: dict[object, Node] = {}
        """The first node with each weight, by the constant's key."""

    def whole(self) -> Span:
        return Span(self.program.source, 0, 0)

    def diagnostic(self, operation: Operation, error: Unsayable) -> Diagnostic:
        name = operation.name or operation.kind
        return Diagnostic(error.code, f"{name}: {error.message}", operation.span, help=error.help)

    def add_input(self, tensor: ProgramTensor) -> None:
        shape = tensor.shape[1:]
        if len(shape) not in (1, 3) or prod(shape) > MAX_ELEMENTS or min(shape) < 1:
            dims = "x".join(map(str, shape)) or "a number"
            message = (
                f"the input {tensor.name} is {dims} behind its batch; an input has 1 or 3 sizes"
            )
            raise TranslationError(Diagnostic("unsupported-layer", message, self.whole()))
        value = GraphValue(None, shape)
        fields = {} if self.graph.inputs or len(shape) != 3 else self.program.prepared
        settings = {name: FieldValue(given, self.whole()) for name, given in fields.items()}
        self.graph.inputs.append(DataInput(value, tensor.name, self.whole(), settings))
        self.views[tensor] = TensorView.of(value)

    def view(self, tensor: ProgramTensor | None) -> TensorView:
        """The view of a tensor that is computed."""
        if tensor is None:
            raise Unsayable("an input is missing")
        found = self.views.get(tensor)
        if found is None:
            raise Unsayable(f"{tensor.name} is a constant where a computed tensor was expected")
        return found

    def constant(self, tensor: ProgramTensor | None) -> ProgramConstant | None:
        """The numbers of a tensor; None without the tensor. One that is computed has none."""
        if tensor is None:
            return None
        if tensor.constant is None:
            raise Unsayable(f"{tensor.name} is computed where a constant was expected")
        return tensor.constant

    def needed(self, tensor: ProgramTensor | None) -> ProgramConstant:
        """The numbers of a tensor that can't be missing."""
        found = self.constant(tensor)
        if found is None:
            raise Unsayable("a weight is missing")
        return found

    def filled(self, number: float, count: int) -> ProgramConstant:
        """A vector of one number."""

        def load() -> Any:
            import numpy as np

            return np.full(count, number, np.float32)

        return ProgramConstant(
            (count,), load, ("filled", number, count), Path(self.program.source.name)
        )

    def is_batched(self, tensor: ProgramTensor) -> bool:
        return bool(tensor.shape) and tensor.shape[0] == self.program.batch

    def set(self, tensor: ProgramTensor, view: TensorView) -> None:
        """Keep what a tensor is, which has to have its shape."""
        if not self.is_batched(tensor):
            raise Unsayable("it moves the batch away from the front, which the language can't say")
        if view.shape != tensor.shape[1:]:
            expected, made = (shape_text(s) for s in (tensor.shape[1:], view.shape))
            raise Unsayable(f"it should give {expected}, and here gives {made}")
        self.views[tensor] = view
        if self.at is not None:
            self.made_by[tensor] = self.at

    @contextmanager
    def moving(self, tensor: ProgramTensor) -> Iterator[None]:
        """Nodes that only move a tensor's numbers belong to the operation that made it."""
        at, self.at = self.at, self.made_by.get(tensor, self.at)
        yield
        self.at = at

    def emit(
        self,
        op: str,
        *inputs: GraphValue,
        weights: dict[str, ProgramConstant] | None = None,
        step: bool = False,
        **settings: Any,
    ) -> Node:
        """A node for the operation at hand. Raises Unsayable where its shapes don't fit.

        Settings that are None are left out.
        """
        at = self.at
        assert at is not None, "nodes are made of operations"
        fields = {n: FieldValue(v, at.span) for n, v in settings.items() if v is not None}
        node = Node(
            op, list(inputs), fields, at.name, at.span, [at.span] * len(inputs), is_step=step
        )
        try:
            node.infer_outputs()
        except (AttributeTypeError, ShapeError) as error:
            raise Unsayable(error.message, code=error.code) from None
        if node.most_elements > MAX_ELEMENTS:
            raise Unsayable("its result is larger than netspec handles", code="too-large")
        node.origins = dict(weights or {})
        if weights:
            self._share(node)
        self.graph.nodes.append(node)
        return node

    def _share(self, node: Node) -> None:
        """Find the earlier node with the same weights."""
        first = next(iter(node.origins.values()))
        key = (node.op, first.key)
        owner = self.owners.setdefault(key, node)
        if owner is not node:
            same = {n: o.key for n, o in owner.origins.items()}
            if same == {n: o.key for n, o in node.origins.items()}:
                node.shares = owner

    def map_of(self, tensor: ProgramTensor | None) -> GraphValue:
        """A tensor of three axes as a value of its shape: channels, height, width."""
        view = self.view(tensor)
        assert tensor is not None, "it has a view"
        if len(view.axes) != 3:
            raise Unsayable(
                f"it takes {shape_text(view.shape)}, where only channels x height x width do"
            )
        return self.spread(tensor).value

    def ordered(self, view: TensorView) -> GraphValue:
        """The value that a view of three axes is, by nodes that move its numbers."""
        shape, value = view.shape, view.value
        if view.in_order:
            return self.emit("reshape", value, step=True, shape=fractions(shape)).value
        layout = view.layout
        if layout is not None and len(value.shape) == 3:
            left = [d for d in range(3) if d not in layout]
            order = [left.pop(0) if d is None else d for d in layout]
            return self.emit("permute", value, step=True, order=fractions(order)).value
        return self.shuffled(view) or self.blocks(view)

    def shuffled(self, view: TensorView) -> GraphValue | None:
        """The value of a view that is a shuffle of channels or pixels; else None."""
        atoms, axes, value = view.atoms, view.axes, view.value
        if len(value.shape) != 3:
            return None
        kinds = [[atoms[i].dimension for i in axis] for axis in axes]
        sizes = [atom.size for atom in atoms]
        if kinds == [[0, 0], *([[a.dimension] for a in atoms[2:]])] and len(atoms) <= 4:
            if view.order[:2] == (1, 0) and view.order[2:] == tuple(range(2, len(atoms))):
                return self.emit("channel_shuffle", value, groups=Fraction(sizes[axes[0][1]])).value
        if kinds in ([[0], [1, 0], [2, 0]], [[], [1, 0], [2, 0]]):
            channel = sum(1 for a in atoms if a.dimension == 0)
            first, second = axes[1][1], axes[2][1]
            if sizes[first] == sizes[second] and second == first + 1:
                if channel == 2 or axes[0][0] == 0:
                    return self.emit("pixel_shuffle", value, factor=Fraction(sizes[first])).value
                # Channels come behind the places, as TensorFlow's depth_to_space has them.
                groups = Fraction(sizes[first] * sizes[second])
                value = self.emit("channel_shuffle", value, groups=groups).value
                return self.emit("pixel_shuffle", value, factor=Fraction(sizes[first])).value
        first_axis = kinds[0]
        if sorted(first_axis) in ([0, 1, 2], [1, 2]) and kinds[1:] == [[1], [2]]:
            inner = [i for i in axes[0] if atoms[i].dimension]
            rows, columns = inner
            if sizes[rows] == sizes[columns] and axes[1][0] < rows < axes[2][0] < columns:
                factor = Fraction(sizes[rows])
                made = self.emit("pixel_unshuffle", value, factor=factor).value
                if first_axis[0] == 0 or len(first_axis) == 2:
                    return made
                return self.emit(
                    "channel_shuffle", made, groups=Fraction(int(value.shape[0]))
                ).value
        return None

    def blocks(self, view: TensorView) -> GraphValue:
        """The value of a view by a reshape, a permutation and a reshape."""
        steps = view.blocks()
        if steps is None:
            raise Unsayable(
                f"its reordering of {shape_text(view.value.shape)} to {shape_text(view.shape)} "
                "takes more than three dimensions"
            )
        blocks, order, shape = steps
        value = view.value
        if tuple(value.shape) != blocks:
            value = self.emit("reshape", value, step=True, shape=fractions(blocks)).value
        if order != (0, 1, 2):
            value = self.emit("permute", value, step=True, order=fractions(order)).value
        if tuple(value.shape) != shape:
            value = self.emit("reshape", value, step=True, shape=fractions(shape)).value
        return value

    def vector_of(self, tensor: ProgramTensor | None) -> GraphValue:
        """All numbers of a tensor as a vector, in the tensor's order."""
        view = self.view(tensor)
        assert tensor is not None, "it has a view"
        with self.moving(tensor):
            if view.in_order:
                value = self.flat(view.value)
            else:
                joined = TensorView(view.value, view.atoms, (view.order, (), ()))
                value = self.flat(self.blocks(joined))
        made = TensorView.of(value).reshaped(view.shape)
        assert made is not None, "a vector has all factors"
        self.views[tensor] = made
        return value

    def flat(self, value: GraphValue) -> GraphValue:
        return value if len(value.shape) == 1 else self.emit("flatten", value, step=True).value

    def settled(self, tensor: ProgramTensor | None) -> TensorView:
        """The view of a tensor in which each axis is one dimension of the value, or 1."""
        view = self.view(tensor)
        if view.layout is None and len(view.axes) == 3:
            self.map_of(tensor)
        elif view.layout is None and len(view.axes) == 1:
            self.vector_of(tensor)
        return self.view(tensor)

    def along(self, tensor: ProgramTensor | None, axis: int, what: str) -> TensorView:
        """The view of a tensor in which an axis is the channels of the value."""
        view = self.settled(tensor)
        assert tensor is not None, "it has a view"
        if not 0 < axis <= len(view.axes):
            raise Unsayable(f"{what} over the batch can't be said")
        if not view.is_along(axis - 1):
            with self.moving(tensor):
                view = self.views[tensor] = self.turned(view, axis - 1)
        return view

    def turned(self, view: TensorView, axis: int) -> TensorView:
        """The view of a value whose channels are an axis, and whose places are all others."""
        size = view.shape[axis]
        order = (axis, *(a for a in range(len(view.axes)) if a != axis))
        others = [view.shape[a] for a in order[1:]]
        places = [*others, 1, 1][:2] if len(others) < 3 else [prod(others), 1]
        first = view.transposed(order).reshaped((size, *places))
        assert first is not None, "whole axes are joined"
        value = first.value if first.is_plain else self.ordered(first)
        made = TensorView.of(value).reshaped((size, *others))
        assert made is not None, "what was joined is split"
        return made.transposed(sorted(range(len(order)), key=lambda a: order[a]))

    def spread(self, tensor: ProgramTensor | None) -> TensorView:
        """The view of a tensor of up to three axes, which are the value's dimensions in order."""
        view = self.view(tensor)
        assert tensor is not None, "it has a view"
        shape = view.shape
        if len(shape) > 3:
            raise Unsayable(f"the order of {len(shape)} axes can't be said")
        three = view.reshaped((*shape, *([1] * (3 - len(shape)))))
        assert three is not None, "axes of 1 change nothing"
        with self.moving(tensor):
            value = three.value if three.is_plain else self.ordered(three)
        made = TensorView.of(value).reshaped(shape)
        assert made is not None, "axes of 1 change nothing"
        self.views[tensor] = made
        return made

    def dimension(
        self, tensor: ProgramTensor | None, axis: int, what: str
    ) -> tuple[TensorView, int | None]:
        """The view of a tensor, and the dimension of its value that an axis is, if it is one."""
        view = self.settled(tensor)
        if not 0 < axis <= len(view.axes):
            raise Unsayable(f"{what} over the batch can't be said")
        atoms = view.axes[axis - 1]
        if len(atoms) == 1:
            atom = view.atoms[atoms[0]]
            if atom.size == int(view.value.shape[atom.dimension]):
                return view, atom.dimension
        return view, None

    def result_of(self, tensor: ProgramTensor) -> GraphValue:
        view = self.view(tensor)
        if view.is_plain:
            return view.value
        if len(view.axes) == 3:
            return self.map_of(tensor)
        if len(view.axes) == 2:
            shape = shape_text(view.shape)
            self.program.notes.append(f"The result {tensor.name} is {shape}; here {shape}x1.")
            return self.spread(tensor).value
        return self.vector_of(tensor)


def _modules(program: TensorProgram) -> Mapping[str, str] | None:
    """The classes of modules; None where names are no paths, so that only repetition says them."""
    return program.modules if any("." in o.name for o in program.operations) else None


def weights_of(**given: ProgramConstant | None) -> dict[str, ProgramConstant]:
    return {name: constant for name, constant in given.items() if constant is not None}


def vector_like(constant: ProgramConstant | None, count: int) -> ProgramConstant | None:
    if constant is None or constant.shape == (count,):
        return constant
    if constant.size != count:
        raise Unsayable(f"a constant of {shape_text(constant.shape)} for {count} channels")
    return constant.changed((count,), lambda c: c.reshape(count), "vector")


def padded(tensors: Sequence[ProgramTensor | None], count: int) -> list[ProgramTensor | None]:
    return [*tensors, *([None] * count)][:count]


def shape_text(shape: Sequence[Any]) -> str:
    return "x".join(str(int(d)) for d in shape) or "a number"
