"""Values while nodes are gone through: tensors of the program with their types of number."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from netspec.importers.tensors.program import ProgramConstant, ProgramTensor
from netspec.lazy_dataclasses import replace


class NodeValue:
    """A tensor of the program, and NumPy's name of its type of number."""

    def __init__(self, tensor: ProgramTensor, kind: str) -> None:
        self.tensor = tensor
        self.kind = kind
        self.above: tuple[NodeValue, float] | None = None
        """Of a condition: what is compared, and the number that it is above."""
        self.before: NodeValue | None = None
        """Of a reshape: what it reshapes."""
        self.put: tuple[NodeValue, NodeValue] | None = None
        """Of a scattering: what is put, and the places of a pooling where it is put."""

    @property
    def shape(self) -> tuple[int, ...]:
        return self.tensor.shape

    @property
    def constant(self) -> ProgramConstant | None:
        return self.tensor.constant

    @property
    def known(self) -> bool:
        """Whether its numbers are known."""
        return self.tensor.constant is not None

    @property
    def whole(self) -> bool:
        """Whether its numbers are integers, or true and false."""
        return not self.kind.startswith(("float", "bfloat"))

    @cached_property
    def uniform(self) -> bool:
        """Whether it is a vector of one number throughout, as weights are that begin with it."""
        if self.constant is None or not 1 < self.constant.size <= 2**16 or self.whole:
            return False
        return bool((self.array == self.array.flat[0]).all())

    def apart(self, number: int) -> NodeValue:
        """The same numbers, told apart from other uses of them."""
        assert self.constant is not None, "asked only of constants"
        return of_constant(replace(self.constant, key=(self.constant.key, number)), self.kind)

    @cached_property
    def array(self) -> Any:
        """The numbers of a constant. Raises SpecError."""
        assert self.constant is not None, "asked only of constants"
        return np.asarray(self.constant.load()).reshape(self.shape)


def of_constant(constant: ProgramConstant, kind: str, name: str = "") -> NodeValue:
    """The value of a constant."""
    return NodeValue(ProgramTensor(name, constant.shape, constant), kind)


def of_array(array: Any, key: object, path: Path, name: str = "") -> NodeValue:
    """The value of known numbers."""
    array = np.asarray(array)
    return of_constant(
        ProgramConstant(array.shape, lambda: array, key, path), array.dtype.name, name
    )
