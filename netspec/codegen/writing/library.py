"""What classes of a library look like, besides their layers."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Protocol

from netspec.codegen.python_source import FunctionCall, Source
from netspec.lazy_dataclasses import dataclass


@dataclass(frozen=True)
class Library:
    """What a library calls the parts of classes, and how its tensors are laid out.

    `layer` and `net` are what the classes of modules and of nets are derived from, `run` is the
    method that computes and `predict` the one that gives the net's outputs; `sizes` is the type of
    a height and width, `typed` are beginnings of what type checkers know to be a tensor. `rows` is
    the dimension of rows, `add` the beginning of a call that gives a layer a computed name,
    `single`: whether the result `{}` is a tensor rather than several. `packs`: a net takes several
    inputs as one list. `chains`: layers in a row can be one, named by their places.
    """

    layer: str
    net: str
    run: str
    predict: str
    sizes: str
    typed: tuple[str, ...]
    rows: int
    add: tuple[str, ...]
    single: str
    packs: bool = False
    chains: bool = True

    def side(self, tensor: str, axis: int) -> str:
        """The channels (axis 0), height (1) or width (2) of a tensor, as source."""
        if axis == 0:
            return f"{tensor}.shape[{1 if self.rows == 2 else -1}]"
        return f"{tensor}.shape[{self.rows + axis - 1}]"

    def plane(self, tensor: str) -> str:
        """Height and width of a tensor, as source."""
        return f"{tensor}.shape[{self.rows}:{'' if self.rows == 2 else self.rows + 2}]"


class ClassStyle(Protocol):
    """What a backend says of classes: their library, and how they keep layers."""

    library: Library
    reserved: frozenset[str]
    """Attributes that every class has, so that no variable can be one."""

    def reached(self, name: str) -> str:
        """How a layer is reached from `self`, such that its weights bear its name."""
        ...

    def assigned(self, name: str, layer: Source) -> tuple[Source, tuple[str, ...]]:
        """The statement that gives a class a layer: a source, and what that is assigned to."""
        ...

    def holder(self) -> FunctionCall:
        """The constructor of what keeps layers whose names have dots."""
        ...

    def built(self, inputs: Sequence[Sequence[str]]) -> Source | None:
        """What a net's constructor ends with, of its inputs' channels, heights and widths."""
        ...

    def methods(self, layers: Container[str]) -> Sequence[str]:
        """The lines of further methods of a class with layers of these names."""
        ...
