"""A tensor as a view of a value of the graph: its dimensions reordered, split and joined.

Reshapes and transposes cost nothing and say little. They are kept as a view until an operation
needs the numbers in its own order: a transpose to channels last is undone by the one back, and a
reshape, transpose and reshape of channels is a shuffle.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from itertools import pairwise
from math import prod
from typing import NamedTuple

from netspec.importers.structure.graph import GraphValue
from netspec.lazy_dataclasses import dataclass


class Atom(NamedTuple):
    """A part of one dimension of the value, larger than 1: the whole of it, or a factor."""

    dimension: int
    size: int


@dataclass(frozen=True)
class TensorView:
    """The axes of a tensor behind its batch, each as atoms of the value's dimensions, outer first.

    `atoms` are in the order of the value, `axes` hold indices of them.
    """

    value: GraphValue
    atoms: tuple[Atom, ...]
    axes: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, value: GraphValue) -> TensorView:
        """The view of a value as it is."""
        dims = [int(d) for d in value.shape]
        atoms = tuple(Atom(i, d) for i, d in enumerate(dims) if d > 1)
        at = {atom.dimension: i for i, atom in enumerate(atoms)}
        return cls(value, atoms, tuple((at[i],) if i in at else () for i in range(len(dims))))

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes."""
        return tuple(prod(self.atoms[i].size for i in axis) for axis in self.axes)

    @property
    def order(self) -> tuple[int, ...]:
        """All atoms in the order in which the tensor has them."""
        return tuple(i for axis in self.axes for i in axis)

    @property
    def in_order(self) -> bool:
        """Whether the tensor has its numbers in the order of the value."""
        return self.order == tuple(range(len(self.atoms)))

    def on(self, value: GraphValue) -> TensorView:
        """The same view of another value, of the same shape."""
        return TensorView(value, self.atoms, self.axes)

    def transposed(self, order: Sequence[int]) -> TensorView:
        """The view with its axes in another order (without the batch)."""
        return TensorView(self.value, self.atoms, tuple(self.axes[i] for i in order))

    def reshaped(self, shape: Sequence[int]) -> TensorView | None:
        """The view with its numbers in other axes; None where they are no factors of these."""
        atoms: list[list[Atom]] = [[a] for a in self.atoms]
        axes: list[list[tuple[int, int]]] = []
        waiting = [(i, 0) for i in self.order][::-1]
        for size in shape:
            axis: list[tuple[int, int]] = []
            left = size
            while left > 1:
                if not waiting:
                    return None
                i, part = waiting.pop()
                atom = atoms[i][part]
                if left % atom.size == 0:
                    left //= atom.size
                elif atom.size % left == 0:
                    # No part of it was taken, so that the parts behind it keep their places.
                    atoms[i][part : part + 1] = [
                        Atom(atom.dimension, left),
                        Atom(atom.dimension, atom.size // left),
                    ]
                    waiting.append((i, part + 1))
                    left = 1
                else:
                    return None
                axis.append((i, part))
            axes.append(axis)
        if waiting:
            return None
        starts = [0]
        for parts in atoms:
            starts.append(starts[-1] + len(parts))
        flat = tuple(a for parts in atoms for a in parts)
        split = tuple(tuple(starts[i] + part for i, part in axis) for axis in axes)
        return TensorView(self.value, flat, split)._joined()

    def _joined(self) -> TensorView:
        """The view with atoms as one that stand beside each other in value and tensor."""
        beside = {pair for axis in self.axes for pair in pairwise(axis)}
        atoms: list[Atom] = []
        now: list[int] = []
        for i, atom in enumerate(self.atoms):
            if (i - 1, i) in beside and self.atoms[i - 1].dimension == atom.dimension:
                atoms[-1] = Atom(atom.dimension, atoms[-1].size * atom.size)
            else:
                atoms.append(atom)
            now.append(len(atoms) - 1)
        axes = tuple(tuple(dict.fromkeys(now[i] for i in axis)) for axis in self.axes)
        return TensorView(self.value, tuple(atoms), axes)

    @property
    def layout(self) -> tuple[int | None, ...] | None:
        """The value's dimension that each axis is, None for axes of 1.

        None at all where an axis is part of a dimension, or several of them.
        """
        if any(len(axis) > 1 for axis in self.axes):
            return None
        dims = [atom.dimension for atom in self.atoms]
        if len(set(dims)) < len(dims):
            return None
        return tuple(dims[axis[0]] if axis else None for axis in self.axes)

    def is_along(self, axis: int) -> bool:
        """Whether an axis is all channels of the value, and nothing else."""
        channels = tuple(i for i, atom in enumerate(self.atoms) if atom.dimension == 0)
        return self.axes[axis] == channels and len(channels) < 2

    def beside(self, axis: int) -> object:
        """What the other axes are: equal for views that differ in their channels alone."""
        others = [axis_ for a, axis_ in enumerate(self.axes) if a != axis]
        return len(self.value.shape), [[self.atoms[i] for i in axis_] for axis_ in others]

    def without(self, gone: Container[int], value: GraphValue) -> TensorView:
        """The view of a value in which the dimensions of some atoms are 1."""
        kept = [i for i in range(len(self.atoms)) if i not in gone]
        axes = tuple(tuple(kept.index(i) for i in axis if i in kept) for axis in self.axes)
        return TensorView(value, tuple(self.atoms[i] for i in kept), axes)

    def resized(self, axis: int, dimension: int, value: GraphValue) -> TensorView:
        """The view of a value that has another size in a dimension, which is this axis."""
        left = self.without(
            [i for i, atom in enumerate(self.atoms) if atom.dimension == dimension], value
        )
        size = int(value.shape[dimension])
        if size == 1:
            return left
        own = sum(atom.dimension < dimension for atom in left.atoms)
        atoms = (*left.atoms[:own], Atom(dimension, size), *left.atoms[own:])
        axes = tuple(
            (own,) if a == axis else tuple(i + (i >= own) for i in axis_)
            for a, axis_ in enumerate(left.axes)
        )
        return TensorView(value, atoms, axes)

    @property
    def is_plain(self) -> bool:
        """Whether the tensor is the value as it is, of the same shape."""
        return self.in_order and self.shape == tuple(int(d) for d in self.value.shape)

    def blocks(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]] | None:
        """A reshape, a permutation and a reshape that make the tensor of the value.

        The shape of up to three blocks that stay together, and the order in which the tensor has
        them; the third is the tensor's shape. None where there are more than three.
        """
        order = self.order
        runs: list[list[int]] = []
        for i in order:
            if runs and runs[-1][-1] + 1 == i:
                runs[-1].append(i)
            else:
                runs.append([i])
        if len(runs) > 3:
            return None
        begun = sorted(runs)
        sizes = [prod(self.atoms[i].size for i in run) for run in begun]
        places = [begun.index(run) for run in runs]
        while len(sizes) < 3:
            places.append(len(sizes))
            sizes.append(1)
        return tuple(sizes), tuple(places), self.shape
