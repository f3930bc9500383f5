"""How a backend spells classes and their layers: what it is asked, and what it can ask."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from netspec.codegen.python_source import FunctionCall, Source
from netspec.codegen.tracing.nodes import Extent, ItemExtent, OpCall, Trace, made_of_sizes
from netspec.codegen.writing.library import ClassStyle
from netspec.lazy_dataclasses import dataclass
from netspec.symbolic.expr import Apply, NumberLiteral, expr_of
from netspec.symbolic.terms import Choose, is_whole

if TYPE_CHECKING:
    from netspec.codegen.writing.terms import Terms


class ConstructorNumbers:
    """Numbers of a layer as source of the constructor; what emitters ask."""

    def __init__(self, writer: Terms, call: OpCall) -> None:
        self.writer = writer
        self.call = call
        self.flags: set[str] = set()
        """The flags that were asked for."""

    def number(self, number: int | float) -> str:
        term = expr_of(number)
        if isinstance(term, NumberLiteral):
            return repr(float(number)) if isinstance(number, float) else repr(int(number))
        return self.writer.printer(term) if isinstance(number, float) else self.writer.whole(term)

    def pair(self, pair: tuple[int, int]) -> str:
        a, b = map(expr_of, pair)
        if (
            isinstance(a, Choose)
            and isinstance(b, Choose)
            and a.condition == b.condition
            and a != b
        ):
            both = [
                f"({self.writer.whole(x)}, {self.writer.whole(y)})"
                for x, y in ((a.then, b.then), (a.otherwise, b.otherwise))
            ]
            return f"{both[0]} if {self.writer.print(a.condition)} else {both[1]}"
        height, width = self.number(pair[0]), self.number(pair[1])
        return height if height == width else f"({height}, {width})"

    def literal(self, *numbers: int | float) -> bool:
        return all(isinstance(expr_of(n), NumberLiteral) for n in numbers)

    def always(self, number: int | float, value: float) -> bool:
        """Whether a number is this one for all arguments."""
        return self.literal(number) and float(number) == value

    def flag(self, name: str) -> str | None:
        """A flag that arguments decide, as source."""
        self.flags.add(name)
        term = self.call.terms.get(name)
        return None if term is None else self.writer.print(term)

    def fixed(self, number: int | float, name: str = "") -> str:
        """A number as source of `forward`; `name` is for an attribute that keeps it."""
        term = expr_of(number)
        if isinstance(term, NumberLiteral):
            return repr(float(number)) if isinstance(number, float) else repr(int(number))
        if not isinstance(number, float) and not is_whole(term):
            match term:
                case Apply("/", operands) if all(map(is_whole, operands)):
                    term = Apply("//", operands)
                case _:
                    term = Apply("int", (term,))
        return self.writer.in_forward(term, name)

    def depends_on_sizes(self, number: int) -> bool:
        """Whether a number is made of heights and widths."""
        return made_of_sizes(expr_of(number))

    @property
    def sizes_are_known(self) -> bool:
        """Whether the layer is written for the heights and widths that its values have."""
        return self.writer.trace.block is not None

    def size_of(self, pair: Sequence[int]) -> str | None:
        """Height and width that are those of a value at hand, as its shape has them."""
        a, b = (expr_of(n) for n in pair)
        if isinstance(a, ItemExtent) and isinstance(b, ItemExtent) and a.value is b.value:
            return self.writer.item(a.value, a.key, "sizes")
        if isinstance(a, Extent) and isinstance(b, Extent) and a.value is b.value:
            if (a.axis, b.axis) == (1, 2):
                return self.writer.spelling.library.plane(self.writer.later(a.value))
        return None

    def fixed_pair(self, pair: tuple[float, float]) -> str:
        height, width = self.fixed(pair[0]), self.fixed(pair[1])
        return height if height == width else f"({height}, {width})"

    def support(self, name: str) -> str:
        self.writer.supports.add(name)
        return name


def numbers_alike(source: str, block: Any = None) -> ConstructorNumbers:
    """Numbers that are all written alike, for a layer that is in no class."""
    writer: Any = SimpleNamespace(
        **dict.fromkeys(("printer", "whole", "print"), lambda term: source),
        in_forward=lambda term, name="": source,
        supports=set(),
        trace=SimpleNamespace(block=block),
    )
    no_call: Any = SimpleNamespace(terms={})
    return ConstructorNumbers(writer, no_call)


class WrittenCall(Protocol):
    """How one layer is written, as a backend's emitter says it.

    `constructor` makes the module that the class keeps, None for a layer without state. `call` is
    the source of the result; with `overwrite` it may overwrite its input. `fresh`: the result is a
    new tensor, which the layer's gradient has no need of: it may be overwritten. `wraps`: it
    reads well around the expression of its input. `one_size`: the attribute of the module with the
    features of the only input that it takes, else "".
    """

    @property
    def constructor(self) -> FunctionCall | None: ...

    @property
    def fresh(self) -> bool: ...

    @property
    def wraps(self) -> bool: ...

    @property
    def one_size(self) -> str: ...

    def call(self, attribute: str, inputs: list[Source], overwrite: bool = False) -> Source: ...

    def in_sequence(self, overwrite: bool) -> FunctionCall | None:
        """The constructor of a module that does it all to one input; None where there is none."""
        ...


@dataclass(frozen=True)
class WrittenInstance:
    """How an instance of a module is written; `first`: only its first result is used."""

    constructor: FunctionCall
    first: bool
    fresh: bool = False
    one_size: str = ""
    wraps: ClassVar[bool] = False

    def call(self, attribute: str, inputs: list[Source], overwrite: bool = False) -> Source:
        return FunctionCall(attribute, tuple(inputs), tail="[0]" if self.first else "")

    def in_sequence(self, overwrite: bool) -> FunctionCall | None:
        return self.constructor


class CannotWrite(Exception):
    """A trace that no class can be written of; the message says why."""

    def __init__(self, trace: Trace, why: str) -> None:
        super().__init__(why)
        self.trace = trace


class Spelling(ClassStyle, Protocol):
    """What a backend says of classes: how its ops are written, and how layers are kept."""

    def emit(self, call: OpCall, numbers: ConstructorNumbers, several: bool) -> WrittenCall: ...


MOST_CLASSES = 60
"""Characters of the longest union of classes that a type says."""


@dataclass(frozen=True)
class ClassArgument:
    """An argument of a constructor: what it is in terms, its name, type and default.

    `classes` are those of the modules that it may make, `type` the beginning of its type then.
    """

    leaf: Any
    name: str
    type: str
    default: str | None
    classes: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        default = "" if self.default is None else f" = {self.default}"
        kinds = " | ".join(self.classes)
        made = f"{kinds if len(kinds) <= MOST_CLASSES else 'Any'}]" if self.classes else ""
        return f"{self.name}: {self.type}{made}{default}"
