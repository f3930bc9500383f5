"""What rules for operators are given: arguments by name, and how operations are made of them.

Arguments have the names and defaults of the operators' schemas
(aten/src/ATen/native/native_functions.yaml); those that a program leaves out have their default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isinf, isnan
from typing import Any, Protocol, TypeVar

from netspec.diagnostics.source import Span
from netspec.importers.tensors.program import Operation, ProgramConstant, ProgramTensor
from netspec.importers.torch.exported import OperatorCall

Result = ProgramTensor | list[ProgramTensor]


class CallError(Exception):
    """What is wrong with a call, behind the name of its operator."""


class ProgramBuilder(Protocol):
    """What makes a program: `Arguments` ask it."""

    def name_of(self, call: OperatorCall, word: str, inputs: Sequence[ProgramTensor | None]) -> str:
        """The name of an operation."""

    def add(
        self,
        kind: str,
        inputs: Sequence[ProgramTensor | None],
        outputs: list[ProgramTensor],
        name: str,
        span: Span,
        attributes: Mapping[str, Any],
    ) -> None:
        """Add an operation."""

    def made_by(self, tensor: ProgramTensor, kind: str) -> Operation | None:
        """The operation that makes a tensor, if it is of this kind."""

    def number(self, value: float) -> ProgramTensor:
        """A number as a tensor."""

    def constant(self, tensor: ProgramTensor, changed: ProgramConstant) -> ProgramTensor:
        """A tensor with the name of another, of which its numbers are a change."""

    def note(self, text: str) -> None:
        """Keep a note, once."""


class Arguments:
    """A call: what an operator is given, by name, and how operations are made of it."""

    def __init__(
        self,
        program: ProgramBuilder,
        word: str,
        call: OperatorCall,
        values: Mapping[str, Any],
        shapes: Sequence[tuple[int, ...]],
        span: Span,
    ) -> None:
        self._program = program
        self.word = word
        self._call = call
        self.values = values
        self.shapes = shapes
        self.span = span

    # --- arguments -------------------------------------------------------------------------------

    def get(self, name: str, default: Any = None) -> Any:
        """An argument; the default where it is left out."""
        return self.values.get(name, default)

    def tensor(self, *names: str) -> ProgramTensor:
        """The tensor of one of these names: `self` and `input`, if none are given."""
        for name in names or ("self", "input"):
            found = self.values.get(name)
            if isinstance(found, ProgramTensor):
                return found
            if isinstance(found, int | float):
                return self._program.number(found)
        raise CallError(f"it has no {(names or ('input',))[-1]}")

    def optional(self, name: str) -> ProgramTensor | None:
        """The tensor of this name; None where it is left out."""
        found = self.values.get(name)
        return found if isinstance(found, ProgramTensor) else None

    def integer(self, name: str, default: int | None = None) -> int:
        """A whole number."""
        found = self.values.get(name, default)
        if isinstance(found, bool) or not isinstance(found, int):
            raise CallError(f"its {name} is no whole number")
        return found

    def number(self, name: str, default: float | None = None, infinite: bool = False) -> float:
        """A number, which may be infinite only where that is said."""
        found = self.values.get(name)
        found = default if found is None else found
        if isinstance(found, ProgramTensor) and found.constant is not None and found.shape == ():
            found = found.constant.load().item()
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise CallError(f"its {name} is no number")
        if isnan(found) or (isinf(found) and not infinite):
            raise CallError(f"its {name} is {found}")
        return found

    def integers(self, name: str, default: Sequence[int] | None = None) -> list[int]:
        """Whole numbers."""
        found = self.values.get(name, default)
        found = [found] if isinstance(found, int) else found
        if not isinstance(found, Sequence) or not all(isinstance(n, int) for n in found):
            raise CallError(f"its {name} is no list of whole numbers")
        return list(found)

    def pair(self, name: str, default: int | Sequence[int]) -> tuple[int, int]:
        """Two numbers for rows and columns, where one stands for both."""
        given = self.values.get(name)
        found = self.integers(name) if given not in (None, []) else default
        found = [found] if isinstance(found, int) else list(found)
        found = found * 2 if len(found) == 1 else found
        if len(found) != 2:
            raise CallError(f"it is over {len(found)} directions, and only over 2 it can be said")
        return found[0], found[1]

    def pads(self) -> tuple[int, int, int, int]:
        """The padding of a window: top, left, bottom, right."""
        rows, columns = self.pair("padding", 0)
        return rows, columns, rows, columns

    def axes(self, rank: int, name: str = "dim") -> list[int]:
        """Axes, counted from the front; all where none are given."""
        given = self.values.get(name)
        found = self.integers(name) if given not in (None, []) else range(rank)
        if any(not -rank <= a < rank for a in found):
            raise CallError(f"its {name} is none of {rank} axes")
        return [a % rank for a in found]

    def axis(self, rank: int, name: str = "dim", default: int | None = None) -> int:
        """One axis, counted from the front."""
        found = self.integer(name, default)
        if not -rank <= found < rank:
            raise CallError(f"its {name} is none of {rank} axes")
        return found % rank

    # --- operations ------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the first result."""
        if not self.shapes:
            raise CallError("it has no result")
        return self.shapes[0]

    def results(
        self, kind: str, inputs: Sequence[ProgramTensor | None], **attributes: Any
    ) -> list[ProgramTensor]:
        """An operation that gives all results of the call."""
        made = [ProgramTensor(n, s) for n, s in zip(self._call.results, self.shapes, strict=True)]
        self._add(kind, inputs, made, attributes)
        return made

    def last(self, kind: str, *inputs: ProgramTensor | None, **attributes: Any) -> ProgramTensor:
        """An operation that gives the first result of the call."""
        name = self._call.results[0] if self._call.results else self.word
        made = ProgramTensor(name, self.shape)
        self._add(kind, inputs, [made], attributes)
        return made

    def step(
        self,
        kind: str,
        *inputs: ProgramTensor | None,
        shape: Sequence[int] | None = None,
        **attributes: Any,
    ) -> ProgramTensor:
        """An operation on the way, whose result has the shape that inputs spread to, or another."""
        found = (
            tuple(shape)
            if shape is not None
            else _spread(*(i.shape for i in inputs if i is not None))
        )
        made = ProgramTensor(f"{self.word}_{kind}", found)
        if kind in ("reshape", "expand"):
            attributes["shape"] = found
        self._add(kind, inputs, [made], attributes)
        return made

    def constant(self, value: float) -> ProgramTensor:
        """A number as a tensor."""
        return self._program.number(value)

    def reshaped(self, weight: ProgramTensor, shape: tuple[int, ...]) -> ProgramTensor:
        """A constant in another shape."""
        return self.changed(weight, shape, lambda a: a.reshape(shape))

    def changed(
        self, weight: ProgramTensor, shape: tuple[int, ...], change: Callable[[Any], Any]
    ) -> ProgramTensor:
        """A constant after a change of its numbers, which the operator and the shape say."""
        if weight.constant is None:
            raise CallError("its weight is computed")
        changed = weight.constant.changed(shape, change, (self.word, shape))
        return self._program.constant(weight, changed)

    def made_by(self, tensor: ProgramTensor, kind: str) -> Operation | None:
        """The operation that makes a tensor, if it is of this kind."""
        return self._program.made_by(tensor, kind)

    def note(self, text: str) -> None:
        """Keep a note for who reads the spec."""
        self._program.note(text)

    def _add(
        self,
        kind: str,
        inputs: Sequence[ProgramTensor | None],
        outputs: list[ProgramTensor],
        attributes: Mapping[str, Any],
    ) -> None:
        name = self._program.name_of(self._call, self.word.lstrip("_"), inputs)
        self._program.add(kind, inputs, outputs, name, self.span, attributes)


def _spread(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that shapes spread to, after NumPy's rule."""
    rank = max(map(len, shapes), default=0)
    wide = [(1,) * (rank - len(s)) + s for s in shapes]
    return tuple(max(sizes) if 0 not in sizes else 0 for sizes in zip(*wide, strict=True))


Rule = Callable[[Arguments], Result]
RULES: dict[str, Rule] = {}
"""By the operator's name without `aten.`; one that ends with `_` writes its result to its input."""
VIEWS: set[str] = set()
"""Operators whose results show the numbers of their input, where that is written to."""
CASTS = ("to", "type_as")
"""Operators that give their input itself where it has the type already."""


SomeRule = TypeVar("SomeRule", bound=Rule)


def operator(*names: str, view: bool = False) -> Callable[[SomeRule], SomeRule]:
    """Register a rule for the operators of these names."""

    def register(rule: SomeRule) -> SomeRule:
        RULES.update(dict.fromkeys(names, rule))
        if view:
            VIEWS.update(names)
        return rule

    return register
