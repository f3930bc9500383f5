"""Layers that move elements, select some of them, or reduce axes."""

from __future__ import annotations

from itertools import pairwise
from math import prod

from netspec.diagnostics.source import Span
from netspec.importers.caffe.blob_values import BlobValue, Dims, dims_text, language_shape
from netspec.importers.caffe.layer_error import LayerError
from netspec.importers.caffe.layer_translation import LayerTranslation
from netspec.importers.caffe.layers.registry import Tops, layer
from netspec.importers.structure.graph import GraphValue
from netspec.ops.reshaping import DIMENSIONS


@layer("Flatten")
def flatten(use: LayerTranslation) -> Tops:
    p = use.params("flatten_param")
    first = use.axis(*p.placed_integer("axis"))
    last = use.axis(*p.placed_integer("end_axis"))
    if last < first:
        message = "the end_axis of a Flatten comes behind its axis"
        raise LayerError.invalid("out-of-range", message, p.place("end_axis"))
    dims = use.x.dims
    merged = prod(dims[first - 1 : last])
    return [_as(use, (*dims[: first - 1], merged, *dims[last:]))]


def _as(use: LayerTranslation, dims: Dims) -> BlobValue:
    """The first bottom in other dimensions. Raises LayerError for more than three."""
    if len(dims) > 3:
        shape = dims_text(dims)
        raise LayerError.unsupported(
            f"{shape} behind the batch is more dimensions than a value has"
        )
    return use.data(use.reshaped(use.x.value, language_shape(dims), step=False), dims)


@layer("Reshape")
def reshape(use: LayerTranslation) -> Tops:
    """Another shape for the dimensions that `axis` and `num_axes` name.

    0 copies a dimension, -1 stands for the remaining elements.
    """
    p = use.params("reshape_param")
    wanted = p.message("shape").integers("dim")
    place = p.place("shape")
    batch = use.x.batch
    # The batch stands for itself: 0 where its size is not known.
    full = [0 if batch is None else batch, *use.x.dims]
    rank = len(full)
    start = p.integer("axis")
    start = start + rank + 1 if start < 0 else start
    count = p.integer("num_axes")
    end = rank if count == -1 else start + count
    if not 0 <= start <= end <= rank or any(d < -1 for d in wanted) or wanted.count(-1) > 1:
        raise LayerError.invalid(
            "out-of-range", "this Reshape replaces axes that do not exist", place
        )
    copied = [full[start + i] if d == 0 and start + i < rank else d for i, d in enumerate(wanted)]
    if any(d == 0 and start + i >= rank for i, d in enumerate(wanted)):
        raise LayerError.invalid(
            "out-of-range", "this Reshape copies an axis that does not exist", place
        )
    shape = full[:start] + copied + full[end:]
    if start > 0:
        lead, rest = True, shape[1:]
    else:
        lead, rest = _keeps_batch(wanted, shape, batch, use.x.dims), shape[1:]
    if not lead:
        raise LayerError.unsupported("a Reshape that mixes the inputs of a batch", place)
    known = prod(d for d in rest if d != -1)
    elements = prod(use.x.dims)
    if -1 in rest:
        if known == 0 or elements % known:
            raise _wrong_size(elements, rest, place)
        rest = [elements // known if d == -1 else d for d in rest]
    if prod(rest) != elements:
        raise _wrong_size(elements, rest, place)
    return [_as(use, tuple(rest))]


def _keeps_batch(wanted: list[int], shape: list[int], batch: int | None, dims: Dims) -> bool:
    """Whether the first dimension stays the batch."""
    if not wanted:
        return False
    if wanted[0] == 0:
        return True
    rest = shape[1:]
    if wanted[0] == -1:
        return prod(rest) == prod(dims)
    if -1 in rest:
        return wanted[0] == (batch or 1)
    # A number that fits any batch of one input, or that is the batch of the file.
    return prod(rest) == prod(dims) and wanted[0] in (1, batch)


def _wrong_size(elements: int, rest: list[int], place: Span) -> LayerError:
    message = f"Reshape can't make {dims_text(rest)} of {elements:,} elements"
    return LayerError.invalid("shape-mismatch", message, place)


@layer("Permute", "Transpose")
def permute(use: LayerTranslation) -> Tops:
    """Other forks call it Transpose, and its order `dim`."""
    of_fork = use.layer.type == "Transpose"
    p = use.params("transpose_param" if of_fork else "permute_param")
    order = p.integers("dim" if of_fork else "order")
    rank = len(use.x.dims) + 1
    if len(set(order)) != len(order) or any(not 0 <= i < rank for i in order):
        message = f"the order of a {use.layer.type} names each axis once"
        raise LayerError.invalid("out-of-range", message, p.span)
    order += [i for i in range(rank) if i not in order]
    if order[0] != 0:
        raise LayerError.unsupported(f"a {use.layer.type} that moves the batch", p.span)
    inner = [i - 1 for i in order[1:]]
    dims = tuple(use.x.dims[i] for i in inner)
    inner += range(len(inner), 3)
    if len(dims) == 1:
        return use.same(use.emit("identity"))
    value = use.permuted(use.x.value, inner, step=False)
    return [use.data(value, dims)]


@layer("Slice", tops=None)
def slice_(use: LayerTranslation) -> Tops:
    p = use.params("slice_param")
    name = "slice_dim" if "slice_dim" in p else "axis"
    axis = use.axis(*p.placed_integer(name))
    tops = len(use.layer.tops)
    length = use.x.dims[axis - 1]
    points = p.integers("slice_point")
    if points:
        if len(points) != tops - 1:
            message = f"a Slice with {tops} tops has {tops - 1} slice points, not {len(points)}"
            raise LayerError.invalid("wrong-arity", message, p.place("slice_point"))
        bounds = [0, *points, length]
    elif length % tops:
        message = f"a Slice can't make {tops} equal parts of {length}"
        raise LayerError.invalid("groups-mismatch", message)
    else:
        bounds = [i * (length // tops) for i in range(tops + 1)]
    sizes = [b - a for a, b in pairwise(bounds)]
    if min(sizes) < 1:
        message = f"the slice points cut an empty part out of {length}"
        raise LayerError.invalid("out-of-range", message, p.place("slice_point"))
    values = _parts(use, axis, bounds, sizes)
    tops_found = []
    for value, size in zip(values, sizes, strict=True):
        dims = list(use.x.dims)
        dims[axis - 1] = size
        tops_found.append(use.data(value, tuple(dims)))
    return tops_found


def _parts(
    use: LayerTranslation, axis: int, bounds: list[int], sizes: list[int]
) -> list[GraphValue]:
    if len(sizes) == 1:
        return [use.x.value]
    if axis == 1:
        equal = len(set(sizes)) == 1
        return use.emit_node("split", parts=len(sizes) if equal else tuple(sizes)).outputs
    values = []
    for start, size in zip(bounds, sizes, strict=False):
        extent, offset = list(use.x.value.shape[1:]), [0, 0]
        extent[axis - 2], offset[axis - 2] = size, start
        values.append(use.emit("crop", size=tuple(extent), offset=tuple(offset)))
    return values


@layer("Crop", bottoms=(2, 2))
def crop(use: LayerTranslation) -> Tops:
    """The first bottom, cropped to the size of the second from `axis` on."""
    p = use.params("crop_param")
    a, b = use.bottoms
    axis = use.axis(*p.placed_integer("axis"))
    if len(a.dims) != len(b.dims):
        names = [r.name for r in use.layer.bottoms]
        message = f"Crop needs two bottoms of equal rank, but {names[0]} and {names[1]} differ"
        raise LayerError.invalid("wrong-rank", message)
    rank = len(a.dims) + 1
    offsets = p.integers("offset") or [0]
    if len(offsets) == 1:
        offsets *= rank - axis
    if len(offsets) != rank - axis:
        message = f"a Crop from axis {axis} on has 1 or {rank - axis} offsets"
        raise LayerError.invalid("wrong-arity", message, p.place("offset"))
    use.net.unneeded.add(b.value)  # only its size is of use
    dims = (*a.dims[: axis - 1], *b.dims[axis - 1 :])
    starts = [0] * (axis - 1) + offsets
    for size, start, whole in zip(dims, starts, a.dims, strict=True):
        if start < 0 or start + size > whole:
            message = f"Crop can't cut {size} from {start} on out of {whole}"
            raise LayerError.invalid("out-of-range", message, p.place("offset"))
    value = a.value
    if dims[0] != a.dims[0]:
        first, size = starts[0], dims[0]
        parts = [first, size, a.dims[0] - first - size]
        split = use.emit_node("split", step=True, parts=tuple(n for n in parts if n))
        value = split.outputs[1 if first else 0]
    if len(dims) == 1:
        return [use.data(value, dims)]
    height, width = language_shape(dims)[1:]
    top, left = [*starts[1:], 0][:2]
    place = p.place("offset")
    node = use.emit_node("crop", value, size=(height, width), offset=((top, left), place))
    if axis == 2:
        node.size_of = b.value
    value = node.value
    return [use.data(value, dims)]


@layer("ShuffleChannel", "ChannelShuffle")
def shuffle(use: LayerTranslation) -> Tops:
    p = use.params("shuffle_channel_param")
    return use.same(use.emit("channel_shuffle", groups=p.placed_integer("group")))


@layer("Reverse")
def reverse(use: LayerTranslation) -> Tops:
    """The elements along each of the axes in the opposite order."""
    p = use.params("reverse_param")
    value = use.x.value
    axes = [use.axis(number, p.place("axis")) for number in p.integers("axis") or [0]]
    for i, axis in enumerate(dict.fromkeys(axes)):
        step = i + 1 < len(set(axes))
        value = use.emit("flip", value, step=step, axis=DIMENSIONS[axis - 1])
    return use.same(value)


@layer("Reorg", "ReorgYolo")
def reorg(use: LayerTranslation) -> Tops:
    """Elements of `stride` rows and columns as channels, or back with `reverse`, as darknet does.

    Darknet takes the input for a map of fewer channels that is larger by the stride, whatever its
    shape is, and its result for one as large as the input.
    """
    p = use.params("reorg_param")
    s, place = p.placed_integer("stride")
    channels, height, width = use.spatial()
    back = p.flag("reverse")
    sides = [("channels", channels, s * s), ("height", height, s), ("width", width, s)]
    for name, length, by in sides[:1] if back else sides:
        if s < 1 or length % by:
            message = f"a Reorg by {s} needs {name} that {by} divides, not {length}"
            raise LayerError.invalid("groups-mismatch", message, place)
    depth = channels // (s * s)
    value = use.x.value
    if not back:
        value = use.reshaped(value, (depth, height * s, width * s))
        value = use.emit("pixel_unshuffle", value, step=True, factor=(s, place))
    if depth > 1:
        groups = s * s if back else depth
        value = use.emit("channel_shuffle", value, step=True, groups=groups)
    if back:
        value = use.emit("pixel_shuffle", value, factor=(s, place))
    else:
        value = use.reshaped(value, (channels * s * s, height // s, width // s), step=False)
    return [use.data(value, tuple(value.shape))]


@layer("Reduction")
def reduction(use: LayerTranslation) -> Tops:
    """The sum, the sum of magnitudes or squares, or the mean over all axes from `axis` on."""
    p = use.params("reduction_param")
    axis = use.axis(*p.placed_integer("axis"))
    lead, tail = use.x.dims[: axis - 1], use.x.dims[axis - 1 :]
    operation = p.word("operation")
    value = use.x.value
    if operation == "ASUM":
        value = use.emit("abs", value, step=True)
    elif operation == "SUMSQ":
        value = use.emit("power", value, step=True, exponent=2)
    if axis != 2 or len(use.x.dims) != 3:
        value = use.reshaped(value, (prod(lead), prod(tail), 1))
    factor = p.number("coeff") * (1 if operation == "MEAN" else prod(tail))
    value = use.emit("global_avgpool", value, step=factor != 1)
    if factor != 1:
        value = use.emit("power", value, scale=(factor, p.place("coeff")))
    return [use.data(use.reshaped(value, language_shape(lead), step=False), lead)]
