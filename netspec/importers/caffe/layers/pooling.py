"""Pooling, with Caffe's rounding and clipping."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.importers.caffe.blob_values import BlobValue, dims_text
from netspec.importers.caffe.layer_error import LayerError
from netspec.importers.caffe.layer_translation import LayerTranslation
from netspec.importers.caffe.layers.registry import Tops, layer
from netspec.importers.caffe.layers.window_fields import (
    height_width,
    kernel_size,
    pad_field,
    padding,
)
from netspec.importers.caffe.message_fields import MessageFields
from netspec.importers.structure.graph import GraphValue, Node


@layer("Pooling", tops=2)
def pooling(use: LayerTranslation) -> Tops:
    """ceil((input + 2 * pad - kernel) / stride) + 1 windows along each direction.

    With any pad, a last window that starts behind the input and its first padding is dropped.
    A window that exceeds the padded input is clipped, and an average divides by what remains.
    """
    p = use.params("pooling_param")
    kind = p.word("pool")
    if kind == "STOCHASTIC":
        raise LayerError.unsupported("stochastic pooling draws at random", p.place("pool"))
    _, *size = use.spatial()
    op = "avgpool" if kind.startswith("AVE") else "maxpool"
    # A fork's MIN is the largest of the negative values, negated.
    negative = use.emit("power", step=True, scale=-1) if kind == "MIN" else None
    if p.flag("global_pooling"):
        return _global_pooling(use, p, op, negative)
    kernel, kernel_place = kernel_size(use, p)
    stride, stride_place = height_width(p, "stride", "stride_h", "stride_w", 1)
    pad, pad_place = padding(p)
    down = p.word("round_mode") == "FLOOR" or not p.flag("ceil_mode") or p.flag("torch_pooling")
    if min(stride) < 1 or min(kernel) < 1 or min(pad) < 0:
        raise LayerError.invalid("out-of-range", "kernel and stride of a Pooling are at least 1")
    use.require_size(kernel, pad)
    spans = []
    for i, (n, k, s) in enumerate(zip(size, kernel, stride, strict=True)):
        sides = pad[2 * i : 2 * i + 2]
        count = _windows(n, k, s, sides, any(pad), down)
        # One window that exceeds the input holds all of it.
        spans.append(min(k, n + sum(sides)) if count == 1 else k)
    several = max(stride) > 1
    node = use.emit_node(
        op,
        negative,
        negative is not None,
        kernel=((spans[0], spans[1]), kernel_place),
        stride=(stride, stride_place),
        pad=(pad_field(pad), pad_place) if any(pad) else None,
        round=("floor" if down else "ceil") if several else None,
        # A fork's AVE_EXC_PAD leaves padding out of its averages.
        count_include_pad=kind == "AVE" if any(pad) and op == "avgpool" else None,
    )
    return _tops(use, node, negative is not None)


POOLS_REGIONS = {"ROIPooling", "ROIAlign", "RoIAlign", "PSROIPooling"}
"""Types that pool over regions, which are their second bottom."""


@layer(*sorted(POOLS_REGIONS))
def pool_regions(use: LayerTranslation) -> Tops:
    """A map of fixed size for each region. It becomes an input, and what it pools a result.

    The net in front runs once for a picture, what is behind once for each region.
    """
    channels, _, _ = use.spatial()
    if use.layer.type == "PSROIPooling":
        p = use.params("psroi_pooling_param")
        channels, height = p.integer("output_dim"), p.integer("group_size")
        width = height
    else:
        name = "roi_pooling_param" if use.layer.type == "ROIPooling" else "roi_align_param"
        p = use.params(name)
        height, width = p.integer("pooled_h"), p.integer("pooled_w")
    if min(channels, height, width) < 1:
        raise LayerError.invalid(
            "missing-field", f"{use.layer.type} needs the size that it makes of a region", p.span
        )
    top, source = use.layer.tops[0], use.layer.bottoms[0].name
    use.warn(
        "pooled-regions",
        f"{use.layer.name} pools regions of {source}: its result, {channels}x{height}x{width} for "
        f"each region, is an input of this net, and {source} one of its results",
    )
    use.net.results.append(use.x.value)
    return [use.net.add_input(top, (channels, height, width), None, {})]


@layer("SPP")
def pyramid(use: LayerTranslation) -> Tops:
    """Poolings into 1, 2x2, 4x4, ... parts, flattened and side by side (He et al. 2014)."""
    p = use.params("spp_param")
    kind = p.word("pool")
    if kind == "STOCHASTIC":
        raise LayerError.unsupported("stochastic pooling draws at random", p.place("pool"))
    op = "maxpool" if kind == "MAX" else "avgpool"
    _, *size = use.spatial()
    levels = p.integer("pyramid_height")
    if not 0 < levels < 10:
        raise LayerError.invalid(
            "out-of-range", "an SPP has a pyramid_height of 1 to 9", p.place("pyramid_height")
        )
    parts = []
    for level in range(levels):
        bins = 2**level
        kernel = [-(-n // bins) for n in size]
        pad = [(k * bins - n + 1) // 2 for k, n in zip(kernel, size, strict=True)]
        if any(p >= k for p, k in zip(pad, kernel, strict=True)):
            message = f"{bins} parts of {dims_text(size)} would be padding alone"
            raise LayerError.invalid("out-of-range", message, p.place("pyramid_height"))
        for n, k, before in zip(size, kernel, pad, strict=True):
            _windows(n, k, k, (before, before), any(pad), down=False)
        value = use.emit(
            op,
            step=True,
            kernel=tuple(kernel),
            stride=tuple(kernel) if level else None,
            pad=tuple(pad) if any(pad) else None,
            round="ceil" if level else None,
            count_include_pad=True if any(pad) and op == "avgpool" else None,
        )
        parts.append(use.emit("flatten", value, step=True))
    value = use.emit("concat", parts) if levels > 1 else parts[0]
    return [use.data(value, tuple(value.shape))]


def _windows(n: int, kernel: int, stride: int, pads: Sequence[int], clips: bool, down: bool) -> int:
    """The number of windows that Caffe takes along a direction of `n` places.

    `pads` are in front and behind. `clips` drops a last window behind the input, `down` rounds
    down. Raises LayerError.
    """
    before, behind = pads
    free = n + before + behind - kernel
    count = (free // stride if down else -(-free // stride)) + 1
    if count < 1:
        message = f"the window of {kernel} exceeds the input of {n}" + (
            f" (padded to {n + before + behind})" if any(pads) else ""
        )
        raise LayerError.invalid("window-too-large", message)
    if clips and (count - 1) * stride >= n + before:
        count -= 1
    if not clips and (count - 1) * stride >= n:
        raise LayerError.unsupported(
            f"its last window begins behind the input ({count} windows of {kernel} every {stride} "
            f"on {n}), and Caffe fills it with no value of the input",
            None,
            "give it `round_mode: FLOOR`, or a stride of at most the kernel",
        )
    return count


def _global_pooling(
    use: LayerTranslation, p: MessageFields, op: str, negative: GraphValue | None
) -> Tops:
    """One window over the whole input. The result is Cx1x1, as in Caffe."""
    pad, _ = height_width(p, "pad", "pad_h", "pad_w", 0)
    stride, place = height_width(p, "stride", "stride_h", "stride_w", 1)
    if any(pad) or stride != (1, 1):
        message = "global_pooling goes with neither pad nor stride"
        raise LayerError.invalid("conflicting-fields", message, place)
    if op == "avgpool":
        node = use.emit_node("adaptive_avgpool", size=(1, p.place("global_pooling")))
    else:
        _, height, width = use.spatial()
        kernel = (height, width), p.place("global_pooling")
        node = use.emit_node("maxpool", negative, negative is not None, kernel=kernel)
    node.pools_all = True
    return _tops(use, node, negative is not None)


def _tops(use: LayerTranslation, node: Node, negated: bool) -> Tops:
    """The pooled blob, and for a second top the places of its values. Raises LayerError."""
    value = use.emit("power", node.value, scale=-1) if negated else node.value
    tops = [use.data(value, tuple(value.shape))]
    if len(use.layer.tops) > 1:
        if node.op != "maxpool" or negated:
            raise LayerError.invalid(
                "wrong-arity",
                "only a MAX pooling has a second top, for the places of its values",
                use.layer.tops[1].span,
            )
        tops.append(BlobValue(node.outputs[1], tops[0].dims, tops[0].batch, use.layer.place))
    return tops
