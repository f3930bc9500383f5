"""What names stand for inside a net or module, and what stands in for what failed.

An expression that can't be evaluated raises `EvaluationError`. Where a statement would have given a
name to its result, the name is then bound to `POISON`; whatever uses that raises `Poisoned`, which
nobody reports again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar

from netspec.diagnostics import Diagnostic
from netspec.diagnostics.source import Source, Span
from netspec.ir import Block, Node, Value
from netspec.lazy_dataclasses import dataclass
from netspec.ops.attribute_types import describe
from netspec.semantic.limits import Budget
from netspec.symbolic.expr import Symbol

T = TypeVar("T")


class EvaluationError(Exception):
    """An expression or statement can't be evaluated; `diagnostic` says why."""

    def __init__(self, diagnostic: Diagnostic | None) -> None:
        super().__init__()
        self.diagnostic = diagnostic


class Poisoned(EvaluationError):
    """Something that failed before is needed. Its error is reported, so this one has none."""

    def __init__(self) -> None:
        super().__init__(None)


def evaluation_error(
    code: str, message: str, span: Span, *help: str, label: str = ""
) -> EvaluationError:
    """The error of one diagnostic, to be raised."""
    return EvaluationError(Diagnostic(code, message, span, label, help=tuple(h for h in help if h)))


class Poison:
    """Stands for a value, layer or block that could not be made; the error is reported already."""

    def __repr__(self) -> str:
        return "POISON"


POISON = Poison()


def all_sound(items: Iterable[T | Poison]) -> list[T] | Poison:
    """The items as a list; poison where one of them is."""
    found: list[T] = []
    for item in items:
        if isinstance(item, Poison):
            return POISON
        found.append(item)
    return found


@dataclass(frozen=True, eq=False)
class LayerReference:
    """What a name of a layer stands for: the value of its line and the nodes that make it.

    `name` is a path for what stands inside an instance. `head` is the node that bears the name,
    None for an input. `nodes` are in order, those in round brackets included. `within` is the
    block where the line stands if that is not the one at hand.
    """

    name: str
    results: dict[str, Value]
    value: Value
    nodes: tuple[Node, ...]
    span: Span
    head: Node | None = None
    within: Block | None = None


class Names:
    """The names of one block's inputs and layers, as far as its statements have run."""

    def __init__(self) -> None:
        self._found: dict[str, LayerReference | Poison] = {}
        self._poisoned_bases: set[str] = set()

    def find(self, name: str) -> LayerReference | Poison | None:
        """What a name stands for; None where it is unknown."""
        return self._found.get(name)

    def __contains__(self, name: str) -> bool:
        return name in self._found

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def set(self, name: str, line: LayerReference | Poison) -> None:
        self._found[name] = line

    def poison(self, name: str) -> None:
        """A name whose statement was not run, unless it has been given already."""
        self._found.setdefault(name, POISON)

    def poison_indices(self, base: str) -> None:
        """Names `base[i]` whose statement was not run, so that it is unknown which they are."""
        self._poisoned_bases.add(base)

    def has_poisoned_indices(self, base: str) -> bool:
        """Whether an unknown name `base[i]` may be one whose statement was not run."""
        return base in self._poisoned_bases


Observer = Callable[[Source, int, str], None]
"""Is told where a constant is given its name, and its value as text."""
_OBSERVER: ContextVar[Observer | None] = ContextVar("observer", default=None)


@contextmanager
def observed(observer: Observer) -> Iterator[None]:
    """Tell an observer of every constant while the block runs."""
    token = _OBSERVER.set(observer)
    try:
        yield
    finally:
        _OBSERVER.reset(token)


def tell(place: Span, value: Any) -> None:
    """Tell whoever observes of a constant's value."""
    observer = _OBSERVER.get()
    if observer is not None:
        observer(place.source, place.start, describe(value))


@dataclass(frozen=True)
class TracedConstant:
    """A constant, and which parameters, input channels and sizes of the block it came from."""

    value: Any
    depends: frozenset[Symbol] = frozenset()


class Scope:
    """The constants in sight; a block of `for` or `if` opens one of its own."""

    def __init__(self, outer: Scope | None = None, budget: Budget | None = None) -> None:
        self.outer = outer
        self.budget: Budget = outer.budget if outer else budget or Budget()
        self.names: dict[str, tuple[TracedConstant | Poison, Span]] = {}

    def find(self, name: str) -> tuple[TracedConstant | Poison, Span] | None:
        """A constant and where it was given; None where there is none of this name."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.outer
        return None

    def all(self) -> list[str]:
        return list(self.names) + (self.outer.all() if self.outer else [])


class MetricSource(Protocol):
    """What `expect` and `prefer` know beyond constants and shapes."""

    def __call__(self, name: str, line: LayerReference | None) -> int:
        """`params` and the like of a line, or of the block. Raises Poisoned for a wrong block."""

    def inside(self, line: LayerReference, name: str) -> LayerReference | None:
        """What bears this name inside the instance that a line is; None if there is none."""

    def names_inside(self, line: LayerReference) -> list[str]: ...
