"""Other shapes, orders, parts and sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netspec.importers.tensors.program import ProgramTensor
from netspec.importers.torch.arguments import Arguments, CallError, Result, operator
from netspec.importers.torch.folding import RESHAPES


@operator(*RESHAPES, view=True)
def _reshape(c: Arguments) -> ProgramTensor:
    x = c.tensor()
    before = c.made_by(x, "reshape")
    if before is not None and before.inputs[0] is not None:
        x = before.inputs[0]  # one after the other are one
    return x if x.shape == c.shape else c.last("reshape", x, shape=c.shape)


@operator("permute", view=True)
def _permute(c: Arguments) -> ProgramTensor:
    x = c.tensor("self")
    order = c.axes(len(x.shape), "dims")
    return x if order == list(range(len(order))) else c.last("transpose", x, order=order)


@operator("transpose", "t", "numpy_T", "swapaxes", view=True)
def _transpose(c: Arguments) -> ProgramTensor:
    x = c.tensor("self")
    rank = len(x.shape)
    order = list(range(rank))
    if c.word in ("t", "numpy_T"):
        order.reverse()
    else:
        names = ("axis0", "axis1") if "axis0" in c.values else ("dim0", "dim1")
        one, other = (c.axis(rank, name) for name in names)
        order[one], order[other] = order[other], order[one]
    return x if order == list(range(rank)) else c.last("transpose", x, order=order)


@operator("movedim", view=True)
def _movedim(c: Arguments) -> ProgramTensor:
    x = c.tensor("self")
    rank = len(x.shape)
    sources, targets = c.axes(rank, "source"), c.axes(rank, "destination")
    rest = iter(a for a in range(rank) if a not in sources)
    at = dict(zip(targets, sources, strict=True))
    order = [at[a] if a in at else next(rest) for a in range(rank)]
    return c.last("transpose", x, order=order)


@operator("clone", "lift_fresh_copy", "lift_fresh", "type_as")
def _same(c: Arguments) -> ProgramTensor:
    return c.tensor()


@operator("as_strided", view=True)
def _as_strided(c: Arguments) -> ProgramTensor:
    """The same tensor in rows, where that is all it says."""
    x = c.tensor("self")
    steps, step = c.integers("stride"), 1
    for size, given in zip(reversed(x.shape), reversed(steps), strict=True):
        if size > 1 and given != step:
            raise CallError("its strides can't be said")
        step *= size
    if tuple(c.integers("size")) != x.shape or c.get("storage_offset") not in (None, 0):
        raise CallError("it takes a part of its input")
    return x


@operator("to", "_to_copy")
def _converted(c: Arguments) -> ProgramTensor:
    """A change of type, which is nothing among types of real numbers."""
    x = c.tensor()
    wanted = c.get("dtype")
    if isinstance(wanted, str) and not wanted.startswith(("float", "bfloat", "?")):
        if not wanted.startswith("complex"):
            raise CallError(f"numbers as {wanted} can't be said")
    return x


@operator("expand", "expand_as", view=True)
def _expand(c: Arguments) -> ProgramTensor:
    x = c.tensor("self")
    return x if x.shape == c.shape else c.last("expand", x, shape=c.shape)


@operator("repeat", "tile")
def _repeat(c: Arguments) -> ProgramTensor:
    x = c.tensor("self")
    times = c.integers("repeats")
    x_shape = (1,) * (len(times) - len(x.shape)) + x.shape
    if x_shape != x.shape:
        x = c.step("reshape", x, shape=x_shape)
    for axis, count in enumerate(times):
        if count > 1 and x.shape[axis] == 1:
            shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
            x = c.step("expand", x, shape=shape)
        elif count > 1:
            shape = (*x.shape[:axis], count * x.shape[axis], *x.shape[axis + 1 :])
            x = c.step("concat", *[x] * count, shape=shape, axis=axis)
    return x


@operator("cat", "concat")
def _cat(c: Arguments) -> ProgramTensor:
    tensors = [
        t for t in c.get("tensors") or () if isinstance(t, ProgramTensor) and t.shape != (0,)
    ]
    if not tensors:
        raise CallError("it has no tensors")
    axis = c.axis(len(c.shape), default=0)
    return tensors[0] if len(tensors) == 1 else c.last("concat", *tensors, axis=axis)


@operator("stack")
def _stack(c: Arguments) -> ProgramTensor:
    tensors = [t for t in c.get("tensors") or () if isinstance(t, ProgramTensor)]
    axis = c.axis(len(c.shape), default=0)
    shape = (*c.shape[:axis], 1, *c.shape[axis + 1 :])
    parts = [c.step("reshape", t, shape=shape) for t in tensors]
    return c.last("concat", *parts, axis=axis)


@operator("split", "split_with_sizes", "chunk", "tensor_split", view=True)
def _split(c: Arguments) -> Result:
    x = c.tensor("self")
    axis = c.axis(len(x.shape), default=0)
    sizes = [s[axis] for s in c.shapes]
    if len(sizes) == 1:
        return x
    return c.results("split", [x], axis=axis, sizes=sizes)


@operator("unbind", view=True)
def _unbind(c: Arguments) -> list[ProgramTensor]:
    x = c.tensor("self")
    axis = c.axis(len(x.shape), default=0)
    return [_selected(c, x, axis, i) for i in range(len(c.shapes))]


def _selected(c: Arguments, x: ProgramTensor, axis: int, index: int) -> ProgramTensor:
    shape = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    part = c.step("slice", x, shape=shape, axis=axis, start=index, end=index + 1, step=1)
    rest = (*x.shape[:axis], *x.shape[axis + 1 :])
    return c.step("reshape", part, shape=rest)


@operator("select", view=True)
def _select(c: Arguments) -> ProgramTensor:
    x = c.tensor("self")
    axis = c.axis(len(x.shape))
    index = c.integer("index")
    return _selected(c, x, axis, index % x.shape[axis])


@operator("slice", "narrow", view=True)
def _slice(c: Arguments) -> ProgramTensor:
    x = c.tensor("self")
    axis = c.axis(len(x.shape), default=0)
    size = x.shape[axis]
    if c.word == "narrow":
        start = c.integer("start") % (size + 1)
        end, step = start + c.integer("length"), 1
    else:
        given = c.get("start"), c.get("end"), c.get("step", 1)
        if not all(n is None or isinstance(n, int) for n in given):
            raise CallError("its bounds are no whole numbers")
        start, end, step = slice(*given).indices(size)
    if (start, end, step) == (0, size, 1):
        return x
    return c.last("slice", x, axis=axis, start=start, end=end, step=step)


@operator("roll")
def _roll(c: Arguments) -> ProgramTensor:
    x = c.tensor("self")
    axes = c.axes(len(x.shape), "dims")
    for axis, shift in zip(axes, c.integers("shifts"), strict=True):
        size = x.shape[axis]
        at = size - shift % size
        if at == size:
            continue
        parts = [
            c.step(
                "slice",
                x,
                shape=(*x.shape[:axis], end - start, *x.shape[axis + 1 :]),
                axis=axis,
                start=start,
                end=end,
                step=1,
            )
            for start, end in ((at, size), (0, at))
        ]
        x = c.step("concat", *parts, shape=x.shape, axis=axis)
    return x


@operator("flip")
def _flip(c: Arguments) -> ProgramTensor:
    x = c.tensor("self")
    for axis in c.axes(len(x.shape), "dims"):
        x = c.step("flip", x, axis=axis)
    return x


_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}


@operator("pad", "constant_pad_nd", "reflection_pad2d", "replication_pad2d")
def _pad(c: Arguments) -> ProgramTensor:
    """A padding; PyTorch's numbers begin with the last axis."""
    x = c.tensor("self")
    given = c.integers("pad" if "pad" in c.values else "padding")
    mode = c.get("mode", "constant")
    if c.word.startswith(("reflection", "replication")):
        mode = "reflect" if c.word.startswith("reflection") else "replicate"
    if mode not in _MODES:
        raise CallError(f"its mode {mode} can't be said")
    if not any(given):
        return x
    before, after = [0] * len(x.shape), [0] * len(x.shape)
    for i in range(len(given) // 2):
        before[-1 - i], after[-1 - i] = given[2 * i], given[2 * i + 1]
    value = c.number("value", 0, infinite=True) if mode == "constant" else 0
    return c.last("pad", x, before=before, after=after, mode=_MODES[mode], value=value)


def _resize(mode: str, exact: bool = False) -> Callable[[Arguments], ProgramTensor]:
    def rule(c: Arguments) -> ProgramTensor:
        x = c.tensor("input" if "input" in c.values else "self")
        if len(c.shape) != 4:
            raise CallError(
                f"it is over {len(c.shape) - 2} directions, and only over 2 can be said"
            )
        factors = c.get("scale_factors") or (c.get("scales_h"), c.get("scales_w"))
        plain = [f for f in factors if isinstance(f, int | float) and f > 0]
        more: dict[str, Any] = {"scale": tuple(plain)} if len(plain) == 2 else {}
        if mode == "nearest":
            lengths = zip(x.shape[2:], c.shape[2:], plain, strict=False)
            shift = 0.5 if exact else 0.0
            if any(_nearest(m, n, f, shift) != _nearest(m, n, n / m, shift) for m, n, f in lengths):
                raise CallError(
                    "a factor that leaves a part of a pixel can't be said: give it `size`"
                )
            more["exact"] = exact
        aligned = c.get("align_corners", False) is True
        return c.last(
            "resize", x, size=(c.shape[2], c.shape[3]), mode=mode, align_corners=aligned, **more
        )

    return rule


def _nearest(length: int, size: int, factor: float, shift: float) -> list[int]:
    """Where each of `size` pixels is taken from; a little more keeps whole places whole."""
    if size > 100_000:
        raise CallError("its result is larger than netspec handles")
    return [min(int((i + shift) / factor + 1e-6), length - 1) for i in range(size)]


def _pixel_shuffle(kind: str, name: str) -> Callable[[Arguments], ProgramTensor]:
    return lambda c: c.last(kind, c.tensor("self"), factor=c.integer(name))


@operator("channel_shuffle", "native_channel_shuffle")
def _channel_shuffle(c: Arguments) -> ProgramTensor:
    return c.last("channel_shuffle", c.tensor("self"), groups=c.integer("groups"))


@operator(
    "dropout",
    "native_dropout",
    "feature_dropout",
    "alpha_dropout",
    "feature_alpha_dropout",
    view=True,
)
def _dropout(c: Arguments) -> list[ProgramTensor]:
    x, ratio = c.tensor(), c.number("p", 0.5)
    rest = [ProgramTensor(f"{c.word}_mask", s) for s in c.shapes[1:]]
    if ratio == 0:
        return [x, *rest]
    if c.word.startswith("feature"):
        c.note("Dropout2d drops whole channels in training; dropout in the spec drops elements.")
    return [c.last("dropout", x, ratio=ratio), *rest]


operator("contiguous", "detach", "alias", "positive", view=True)(_same)
operator("upsample_nearest2d")(_resize("nearest"))
operator("_upsample_nearest_exact2d")(_resize("nearest", exact=True))
operator("upsample_bilinear2d")(_resize("bilinear"))
operator("upsample_bicubic2d")(_resize("bicubic"))
operator("pixel_shuffle")(_pixel_shuffle("pixel_shuffle", "upscale_factor"))
operator("pixel_unshuffle")(_pixel_shuffle("pixel_unshuffle", "downscale_factor"))
