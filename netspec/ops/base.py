"""What an op is: its attributes, its rules for shapes, tensors and costs, and its traits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple, Self, TypeVar, dataclass_transform

from netspec.lazy_dataclasses import dataclass, field, fields, replace
from netspec.ops.attribute_types import AttributeType, Flag, Multipliers
from netspec.ops.initializers import KAIMING, Init, Initial
from netspec.ops.reads import ReceptiveField

Shape = tuple[int, ...]
"""`(channels, height, width)` or `(features,)`; the batch dimension is implied."""

MAX_ELEMENTS = 2**40
"""Most elements that a value may have."""


class IndexShape(tuple[int, ...]):
    """The shape of indices: each is a place h * W + w in a plane of `plane` = (H, W).

    `windows` are what the places lie in: the bound pooling that made the indices, if it is known.
    """

    plane: tuple[int, int]
    windows: Op | None

    @staticmethod
    def of(shape: Shape, plane: tuple[int, int], windows: Op | None = None) -> IndexShape:
        self = IndexShape(shape)
        self.plane = plane
        self.windows = windows
        return self


def like(shape: Shape, dimensions: Shape) -> Shape:
    """Other dimensions for a shape: indices stay indices."""
    if not isinstance(shape, IndexShape):
        return dimensions
    return IndexShape.of(dimensions, shape.plane, shape.windows)


class ShapeError(Exception):
    """Inputs and attributes do not go together.

    `at` is the name of the attribute that is wrong, or the position of the input, or None where it
    is neither alone. `code` is a diagnostic code, `help` the fix where it is known.
    """

    def __init__(
        self, code: str, message: str, at: str | int | None = None, help: str = ""
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.at = at
        self.help = help


@dataclass(frozen=True)
class Tensor:
    """A tensor that a layer owns.

    `learnable` ones are the layer's parameters; the others are statistics that training keeps.
    `init` says how a fresh model fills it: at random, where None as the net says, or with a number.
    """

    shape: Shape
    learnable: bool = True
    init: Init | float | None = None

    @property
    def size(self) -> int:
        return prod(self.shape)


class Saved(NamedTuple):
    """What PyTorch saves of a layer until its backward pass, beside its parameters.

    Inputs and results by position; `own` are bytes per sample of other tensors, `once` bytes of
    those that do not grow with the batch.
    """

    inputs: tuple[int, ...] = ()
    results: tuple[int, ...] = ()
    own: int = 0
    once: int = 0


class _Required:
    """Marks an attribute without default. Falsy, so that docs can test for it."""

    def __repr__(self) -> str:
        return "required"

    def __bool__(self) -> bool:
        return False


REQUIRED: Any = _Required()


def attr(kind: AttributeType, doc: str, default: Any = REQUIRED, training: bool = False) -> Any:
    """An attribute of an op, as a dataclass field: its kind, a line of documentation, its default.

    A default that is a string starting with `=` names another attribute to take the value of.
    `training` marks one that only says how the op's tensors begin and are trained.
    """
    metadata = {"kind": kind, "doc": doc, "default": default, "training": training}
    if default is REQUIRED:
        return field(metadata=metadata)
    if isinstance(default, str) and default.startswith("="):
        return field(default=None, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Attr:
    """An attribute as the declaration states it."""

    name: str
    kind: AttributeType
    doc: str
    default: Any
    training: bool = False

    @property
    def required(self) -> bool:
        return self.default is REQUIRED


@dataclass(frozen=True)
class Family:
    """A group of ops in the reference and in diagrams.

    `about` is a line for readers. Ops of a family that `follows` are drawn in the box of the layer
    whose only result they take.
    """

    name: str
    about: str
    follows: bool = False


@dataclass(frozen=True)
class Op:
    """A layer's operation with its attributes.

    The subclass docstring documents the op: a paragraph that says what it is, then what else needs
    saying. `keyword` is its name in the language, `foreign_names` are those in Caffe, PyTorch,
    Keras and ONNX where they differ by more than capitals, underscores and a final `2d`.
    `short_name` is what people call a layer that has it, where that is not the keyword.

    `arity` is the least and the greatest number of inputs (None: no limit), `results` the names of
    the results where they do not depend on attributes. `index_inputs` are the positions of inputs
    that must be indices of a pooling; no other input may be. `equal_inputs` says what inputs must
    have in common, for messages; None for nothing. `example` are lines of a spec that use the op,
    on an input x of 64x56x56 unless they begin with an `input` of their own; without, the bare
    keyword is the example.

    All else are traits: what passes, importers and backends need to know of an op. They say what
    holds for all values of its attributes; False states nothing.
    """

    keyword: ClassVar[str]
    family: ClassVar[Family]
    foreign_names: ClassVar[tuple[str, ...]] = ()
    short_name: ClassVar[str] = ""
    arity: ClassVar[tuple[int, int | None]] = (1, 1)
    results: ClassVar[tuple[str, ...]] = ("value",)
    index_inputs: ClassVar[tuple[int, ...]] = ()
    equal_inputs: ClassVar[Literal["shape", "height and width"] | None] = "shape"
    example: ClassVar[str] = ""

    elementwise: ClassVar[bool] = False
    """At inference, each element of the result comes from the elements at its place in the inputs
    and learned numbers, so that it may be written over an input of the same shape."""
    monotone: ClassVar[bool] = False
    """Elementwise and of one input, and never falls where that grows: it may be computed before a
    max pooling as well as after."""
    activation: ClassVar[bool] = False
    """An elementwise function that a layer with weights usually ends with."""
    same_on_vectors: ClassVar[bool] = False
    """Does to a plain vector, if it takes one, what it does to a map of height and width 1."""
    channel_affine: ClassVar[bool] = False
    """At inference, multiplies each channel by a number or adds one to it, or both."""
    passes_input_on: ClassVar[bool] = False
    """The result is the input."""
    training_only: ClassVar[bool] = False
    """At inference, the result is the input."""
    yields_probabilities: ClassVar[bool] = False
    """The channels are probabilities made of scores, which losses take in their place."""
    takes_logits: ClassVar[bool] = False
    """Makes probabilities, or their logarithms, of logits, which losses take in their place."""

    saves: ClassVar[Literal["inputs", "result", "nothing"]] = "inputs"
    """What the backward pass needs of a layer in PyTorch, unless `saved` says it."""
    is_view: ClassVar[bool] = False
    """In PyTorch, the results lie in the memory of the first input (or of the parameter)."""
    hands_gradient_on: ClassVar[bool] = False
    """In PyTorch, the gradient of an input lies in the memory of that of the result."""
    overwritable: ClassVar[bool] = False
    """The result is a new tensor that the layer's backward pass does not need in PyTorch, so that
    the next layer may overwrite it."""
    overwrites: ClassVar[bool] = False
    """The PyTorch model writes the result over the input where it may."""

    @property
    def clip(self) -> tuple[float, float] | None:
        """The bounds, for an op that limits its input to what is between two numbers.

        Backends that compute a layer in parts limit each part as it is made.
        """
        return None

    def __post_init__(self) -> None:
        for a in attributes(type(self)):
            if isinstance(a.default, str) and a.default.startswith("="):
                if getattr(self, a.name) is None:
                    object.__setattr__(self, a.name, getattr(self, a.default[1:]))

    def bind(self, inputs: Sequence[Shape]) -> Self:
        """This op with every attribute that depends on the inputs settled.

        `pad: same` becomes four numbers, `groups: depthwise` a number, an omitted rounding `floor`.
        Raises ShapeError where the inputs leave open what is meant, or don't fit.
        """
        return self

    def with_attributes(self, **values: Any) -> Self:
        """This op with other values for some attributes."""
        return replace(self, **values)

    def doubts(self) -> Sequence[tuple[str, str, str]]:
        """Values that are allowed and hardly meant: the attribute, what is odd, what to write."""
        return ()

    def outputs(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """The shape of each result. Called on a bound op. Raises ShapeError."""
        raise NotImplementedError

    @property
    def result_names(self) -> tuple[str, ...]:
        """The names of the results of a bound op."""
        return self.results

    def tensors(self, inputs: Sequence[Shape]) -> Mapping[str, Tensor]:
        """The tensors that the layer owns, by their name in weight files."""
        return NO_TENSORS

    def macs(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> int:
        """Multiplications of a convolution, transposed convolution or linear layer, for batch 1.

        A bias costs none; every other op counts 0.
        """
        return 0

    def saved(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Saved:
        """What the backward pass needs of a layer in PyTorch. Called on a bound op."""
        if self.saves == "inputs":
            return Saved(tuple(range(len(inputs))))
        return Saved(results=(0,)) if self.saves == "result" else Saved()

    def receptive_field(
        self, inputs: Sequence[Shape], outputs: Sequence[Shape]
    ) -> ReceptiveField | None:
        """The places of its inputs that each place of the result depends on; None for all of them.

        Called on a bound op. The default is each place its own, and all where height and width end.
        """
        return None if len(inputs[0]) != len(outputs[0]) else ReceptiveField()


NO_TENSORS: Mapping[str, Tensor] = MappingProxyType({})


class KeepsShape(Op):
    """An op whose result has the shape of its first input."""

    def outputs(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        return (inputs[0],)


class Elementwise(KeepsShape):
    """An op of one input that computes each element by itself."""

    elementwise: ClassVar[bool] = True
    same_on_vectors: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class Learned(Op):
    """An op with learned tensors: a `weight`, and perhaps a `bias`."""

    init: Init | None = attr(
        Initial(),
        "how fresh weights are drawn; by default as the net's `train` block says, or the op",
        default=None,
        training=True,
    )
    frozen: bool = attr(
        Flag(), "whether training leaves the layer as it is", default=False, training=True
    )
    lr_mult: tuple[float, float] | None = attr(
        Multipliers(),
        "factor of the learning rate; two: of weights, of biases (1)",
        default=None,
        training=True,
    )
    decay_mult: tuple[float, float] | None = attr(
        Multipliers(),
        "factor of the weight decay; two: of weights, of biases (1, or as `decay_all` says)",
        default=None,
        training=True,
    )

    def begun(self, usual: float) -> Init | float:
        """How the weight begins, if the layer does not say it with this number."""
        return usual if self.init is None else self.init


@dataclass(frozen=True, kw_only=True)
class LearnedWithBias(Learned):
    """An op whose learned tensors may have a `bias` among them."""

    bias_init: Init | None = attr(
        Initial(), "how fresh biases are drawn (constant(0))", default=None, training=True
    )

    @property
    def begun_bias(self) -> Init | float:
        """How the bias begins."""
        return 0 if self.bias_init is None else self.bias_init


class Weighted(LearnedWithBias):
    """An op that multiplies its input by a learned `weight`: a convolution or linear layer."""

    default_init: ClassVar[Init] = KAIMING
    """How its weight begins where neither the layer nor the net says so."""

    bias: bool


def attributes(op: type[Op]) -> tuple[Attr, ...]:
    """The declared attributes of an op, in order; those of its training come last."""
    if op not in _ATTRIBUTES:
        found = (
            Attr(
                f.name,
                f.metadata["kind"],
                f.metadata["doc"],
                f.metadata["default"],
                f.metadata["training"],
            )
            for f in fields(op)
        )
        _ATTRIBUTES[op] = tuple(sorted(found, key=lambda a: a.training))
    return _ATTRIBUTES[op]


_ATTRIBUTES: dict[type[Op], tuple[Attr, ...]] = {}


T = TypeVar("T", bound=Op)

DECLARED: dict[str, type[Op]] = {}
"""Every op declared so far by its keyword, also those of other packages, in order."""


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(attr,))
def op(keyword: str, family: Family) -> Callable[[type[T]], type[T]]:
    """Class decorator: declares an op of a family under its keyword in the language.

    Raises ValueError where another class has the keyword already.
    """

    def declare(cls: type[T]) -> type[T]:
        other = DECLARED.get(keyword)
        if other is not None and _place(other) != _place(cls):
            raise ValueError(f"{_place(cls)} can't be the op {keyword}: {_place(other)} is")
        declared = dataclass(frozen=True, kw_only=True)(cls)
        declared.keyword = keyword
        declared.family = family
        DECLARED[keyword] = declared
        return declared

    return declare


def _place(op: type[Op]) -> str:
    return f"{op.__module__}.{op.__qualname__}"


def text(shape: Shape) -> str:
    """A shape as the language writes it: `96x109x109`."""
    return "x".join(str(int(d)) for d in shape)


def nearest_divisor(groups: int, *counts: int) -> str:
    """The number of groups nearest to the one given that would divide all counts, as help."""
    from math import gcd

    common = gcd(*counts)
    divisors = [d for d in range(1, min(common, 4096) + 1) if common % d == 0]
    best = min(divisors, key=lambda d: (abs(d - groups), d))
    both = "both " if len(counts) > 1 else ""
    return f"`groups: {best}` divides {both}{' and '.join(str(int(c)) for c in counts)}"


def group_size(groups: int, channels: int, keyword: str) -> int:
    """The channels of each of so many equal groups. Raises ShapeError where there is a rest."""
    if channels % groups:
        raise ShapeError(
            "groups-mismatch",
            f"{groups} groups do not divide the {channels} channels of {keyword}",
            "groups",
            nearest_divisor(groups, channels),
        )
    return channels // groups


def spatial(shape: Shape, keyword: str, at: int = 0) -> tuple[int, int, int]:
    """Channels, height and width. Raises ShapeError for a plain vector."""
    if len(shape) != 3:
        raise ShapeError(
            "wrong-rank",
            f"{keyword} needs channels x height x width, but its input is {text(shape)}",
            at,
        )
    return shape[0], shape[1], shape[2]
