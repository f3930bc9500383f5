"""Ops that all libraries of arrays write alike, but for names, axes and who has the functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from netspec.codegen.python_source import FunctionCall, Infix, Source, Verbatim, call, tuple_of
from netspec.codegen.writing.emission import Emission, Register, WrittenLayer, places, sliced
from netspec.codegen.writing.spelling import ConstructorNumbers
from netspec.lazy_dataclasses import dataclass, replace
from netspec.ops import (
    Op,
    activation,
    merging,
    normalization,
    pooling,
    reducing,
    reshaping,
    resizing,
)
from netspec.ops.activation import Exp, Log, Power
from netspec.symbolic.expr import expr_of

NUMBERS: Mapping[type[Op], tuple[tuple[str, float | None], ...]] = {
    activation.HardTanh: (("min", -1), ("max", 1)),
    activation.Threshold: (("threshold", None), ("value", None)),
    activation.HardShrink: (("threshold", 0.5),),
    activation.SoftShrink: (("threshold", 0.5),),
    activation.Celu: (("alpha", 1),),
    activation.Elu: (("alpha", 1),),
    activation.LeakyRelu: (("slope", None),),
    reshaping.ChannelShuffle: (("groups", None),),
    reshaping.PixelShuffle: (("factor", None),),
    reshaping.PixelUnshuffle: (("factor", None),),
}
"""What functions take behind their input: attributes, and their defaults where all have these."""

_SIGNS: Mapping[type[Op], str] = {
    merging.Add: "+",
    merging.Sub: "-",
    merging.Mul: "*",
    merging.Div: "/",
}
_OF_TWO: Mapping[type[Op], str] = {merging.Maximum: "maximum", merging.Minimum: "minimum"}
_REDUCTIONS: Mapping[type[Op], str] = {reducing.Mean: "mean", reducing.Sum: "sum"}


@dataclass(frozen=True)
class ArrayLibrary:
    """What a library calls its functions of arrays.

    `library` is its name in the file, `concat`, `power` and `largest` are what it calls those
    functions, `axis` and `keep` its keywords for axes and for keeping them, `axes` where channels,
    height and width are. `cast` gives an array another type, `resize` scales a picture as PyTorch
    does. `methods`: functions of one array are its methods, else they are the library's. `ends`: an
    array is split at the ends of its parts, else by their sizes, and `parts` makes equal ones.
    """

    library: str
    concat: str
    power: str
    largest: str
    parts: str
    cast: str
    resize: str
    axis: str
    keep: str
    axes: tuple[int, int, int]
    methods: bool
    ends: bool

    def of(self, x: Source, name: str, *args: str, **keywords: str) -> FunctionCall:
        """A function of one array."""
        if self.methods:
            return call(f"{x.flat()}.{name}", *args, **keywords)
        return call(f"{self.library}.{name}", x, *args, **keywords)

    def along(self, *dimensions: int, keep: bool = False) -> dict[str, str]:
        """The keywords for dimensions: 0 is that of channels, then height and width."""
        axes = tuple(self.axes[d] for d in dimensions)
        keywords = {self.axis: str(axes if len(axes) > 1 else axes[0])}
        return keywords | ({self.keep: "True"} if keep else {})

    def laid_out(self, layer: WrittenLayer) -> list[int]:
        """The dimensions of a layer's input, in the order that the library has them."""
        count = len(layer.inputs[0].shape)
        return sorted(range(count), key=lambda d: self.axes[d] % (count + 1))


def emit_array_ops(emits: Callable[..., Register], a: ArrayLibrary) -> None:
    """Register the emitters of the ops that need no more than that."""

    def expression(op: type[Op], write: Callable[..., Source], **traits: bool) -> None:
        emits(op, **traits)(lambda op, layer, w: Emission(lambda _, inputs: write(*inputs)))

    for of, sign in _SIGNS.items():
        expression(of, lambda *xs, sign=sign: Infix(sign, xs))
    for of, name in _OF_TWO.items():
        expression(of, partial(_pairs, f"{a.library}.{name}"))
    expression(merging.Concat, lambda *xs: call(a.concat, tuple_of(xs), **a.along(0)))
    expression(reshaping.Identity, lambda x: x, wraps=True)
    plane = a.along(1, 2)
    around = not a.methods
    expression(pooling.GlobalAvgPool, lambda x: a.of(x, "mean", **plane), wraps=around)
    expression(pooling.GlobalMaxPool, lambda x: a.of(x, a.largest, **plane), wraps=around)

    for of, name in _REDUCTIONS.items():

        @emits(of)
        def reduction(
            op: Any, layer: WrittenLayer, w: ConstructorNumbers, name: str = name
        ) -> Emission:
            over = a.along(*((0,) if op.across == "channels" else (1, 2)), keep=True)
            return Emission(lambda _, inputs: a.of(inputs[0], name, **over))

    @emits(normalization.Normalize)
    def normalize(op: Any, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
        over = a.along(0, keep=True)
        if op.across == "all" and layer.of_map:
            over[a.axis] = "(1, 2, 3)"

        def forward(name: str, inputs: list[Source]) -> Source:
            total: Source = a.of(a.of(inputs[0], "square"), "sum", **over)
            eps = w.fixed(op.eps)
            total = a.of(total, "add", eps) if a.methods else Infix("+", (total, Verbatim(eps)))
            return Infix("/", (inputs[0], a.of(total, "sqrt")))

        return Emission(forward)

    @emits(Power, Exp, Log)
    def affine(op: Any, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
        return Emission(lambda _, inputs: _affine(op, w, inputs[0], a))

    @emits(reducing.ArgMax)
    def argmax(op: reducing.ArgMax, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
        def forward(name: str, inputs: list[Source]) -> Source:
            found = a.of(inputs[0], "argmax", **a.along(0, keep=True))
            return a.of(found, a.cast, f"{inputs[0].flat()}.dtype")

        return Emission(forward)

    @emits(resizing.Upsample)
    def upsample(op: resizing.Upsample, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
        size, more = layer.stated.size, {}
        if size is not None:
            more["size"] = w.size_of(size[-2:]) or f"({w.fixed(size[-2])}, {w.fixed(size[-1])})"
        else:
            # PyTorch's stubs want floats.
            made = float if a.methods else int
            rows, columns = (made(s) if w.literal(s) else s for s in layer.stated.scale)
            more["scale_factor"] = w.fixed_pair((rows, columns))
        if op.mode != "nearest":
            more["mode"] = f'"{op.mode}"'
            if op.align_corners:
                more["align_corners"] = "True"
        head = a.resize if "." in a.resize else w.support(a.resize)
        return Emission(lambda _, inputs: call(head, *inputs, **more))

    @emits(reshaping.Flip)
    def flip(op: reshaping.Flip, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
        return Emission(lambda _, inputs: a.of(inputs[0], "flip", str(a.axes[op.position])))

    @emits(reshaping.Split)
    def split(op: reshaping.Split, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
        tail = "" if layer.several else "[0]"
        stated, sizes = layer.stated.parts, op.sizes
        # Equal for every setting, not just for this one.
        equal = isinstance(stated, int) or len({expr_of(s) for s in sizes}) == 1
        if equal:
            parts = w.fixed(stated) if isinstance(stated, int) else str(len(sizes))
            if layer.several and not parts.isdecimal():
                tail = "[:]"  # as many as there are
        else:
            if a.ends:
                sizes = tuple(sum(sizes[1:n], sizes[0]) for n in range(1, len(sizes)))
            parts = f"[{', '.join(map(w.fixed, sizes))}]"

        def forward(name: str, inputs: list[Source]) -> Source:
            if equal:
                return replace(a.of(inputs[0], a.parts, parts, **a.along(0)), tail=tail)
            # PyTorch's method has no types.
            made = call(f"{a.library}.split", inputs[0], parts, **a.along(0))
            return replace(made, tail=tail)

        return Emission(forward)

    @emits(reshaping.Crop, reshaping.Slice)
    def slice_(op: Any, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
        parts = [places(w, op.sections[d]) for d in a.laid_out(layer)]
        return Emission(lambda _, inputs: sliced(inputs[0], *parts))

    @emits(pooling.RoiPool)
    def roi_pool(op: pooling.RoiPool, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
        args = [tuple_of([*map(w.fixed, op.size)])]
        scale = [] if w.always(op.scale, 1) else [w.fixed(op.scale)]
        head = w.support("roi_pool")
        return Emission(lambda _, inputs: call(head, *inputs, *args, *scale))


def _pairs(head: str, *xs: Source) -> Source:
    """A function of two, of more: brackets are nested no deeper than that needs."""
    while len(xs) > 1:
        pairs = (xs[i : i + 2] for i in range(0, len(xs), 2))
        xs = tuple(call(head, *pair) if len(pair) > 1 else pair[0] for pair in pairs)
    return xs[0]


def _affine(op: Any, w: ConstructorNumbers, x: Source, a: ArrayLibrary) -> Source:
    """The source of Power, Exp or Log, of its input."""
    if not w.always(op.scale, 1):
        x = Infix("*", (Verbatim(w.fixed(op.scale)), x))
    if not w.always(op.shift, 0):
        sign, shift = "-" if op.shift < 0 else "+", w.fixed(op.shift).lstrip("-")
        x = Infix(sign, (x, Verbatim(shift)))
    if isinstance(op, Power):
        if w.always(op.exponent, 1):
            return x
        square = w.always(op.exponent, 2)
        return call(f"{a.library}.square", x) if square else call(a.power, x, w.fixed(op.exponent))
    if isinstance(op, Exp):
        base = None if op.base is None else w.fixed(op.base)
        return call(f"{a.library}.exp", x) if base is None else call(a.power, base, x)
    result = call(f"{a.library}.log", x)
    if op.base is None:
        return result
    length = repr(math.log(op.base)) if w.literal(op.base) else f"math.log({w.fixed(op.base)})"
    return Infix("/", (result, Verbatim(length)))


def sizes_of(op: reshaping.Reshape, layer: WrittenLayer, w: ConstructorNumbers) -> list[str]:
    """The sizes that an array gets.

    One can be left open, so that it need not be the same for every setting.
    """
    left = [i for i, d in enumerate(layer.stated.shape) if w.always(d, -1)]
    open_ = left or [i for i, d in enumerate(op.shape) if not w.literal(d)][:1]
    return ["-1" if i in open_ else w.fixed(d) for i, d in enumerate(op.shape)]


def spreads(op: reshaping.Reshape, layer: WrittenLayer, w: ConstructorNumbers) -> bool:
    """Whether a vector becomes channels of one element each."""
    return not layer.of_map and all(w.always(d, 1) for d in op.shape[1:])
