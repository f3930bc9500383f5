"""Pooling, with Caffe's rounding and clipping."""

from __future__ import annotations

from netspec.importers.caffe.blob_values import BlobValue
from netspec.importers.caffe.layer_error import LayerError
from netspec.importers.caffe.layer_translation import LayerTranslation
from netspec.importers.caffe.layers.registry import Tops, layer
from netspec.importers.caffe.layers.window_fields import height_width, kernel_size
from netspec.importers.caffe.message_fields import MessageFields
from netspec.importers.structure.graph import Node


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
    op = "maxpool" if kind == "MAX" else "avgpool"
    if p.flag("global_pooling"):
        return _global_pooling(use, p, op)
    kernel, kernel_place = kernel_size(use, p)
    stride, stride_place = height_width(p, "stride", "stride_h", "stride_w", 1)
    pad, pad_place = height_width(p, "pad", "pad_h", "pad_w", 0)
    down = p.word("round_mode") == "FLOOR" or not p.flag("ceil_mode") or p.flag("torch_pooling")
    if min(stride) < 1 or min(kernel) < 1 or min(pad) < 0:
        raise LayerError.invalid("out-of-range", "kernel and stride of a Pooling are at least 1")
    use.require_size(kernel, pad)
    spans = []
    for n, k, s, before in zip(size, kernel, stride, pad, strict=True):
        count = _windows(n, k, s, before, any(pad), down)
        # One window that exceeds the input holds all of it.
        spans.append(min(k, n + 2 * before) if count == 1 else k)
    several = max(stride) > 1
    node = use.emit_node(
        op,
        kernel=((spans[0], spans[1]), kernel_place),
        stride=(stride, stride_place),
        pad=(pad, pad_place) if any(pad) else None,
        round=("floor" if down else "ceil") if several else None,
        count_include_pad=True if any(pad) and op == "avgpool" else None,
    )
    return _tops(use, node)


def _windows(n: int, kernel: int, stride: int, pad: int, clips: bool, down: bool) -> int:
    """The number of windows that Caffe takes along a direction of `n` places.

    `clips` drops a last window behind the input, `down` rounds down. Raises LayerError.
    """
    free = n + 2 * pad - kernel
    count = (free // stride if down else -(-free // stride)) + 1
    if count < 1:
        message = f"the window of {kernel} exceeds the input of {n}" + (
            f" (padded to {n + 2 * pad})" if pad else ""
        )
        raise LayerError.invalid("window-too-large", message)
    if clips and (count - 1) * stride >= n + pad:
        count -= 1
    if not clips and (count - 1) * stride >= n:
        raise LayerError.unsupported(
            f"its last window begins behind the input ({count} windows of {kernel} every {stride} "
            f"on {n}), and Caffe fills it with no value of the input",
            None,
            "give it `round_mode: FLOOR`, or a stride of at most the kernel",
        )
    return count


def _global_pooling(use: LayerTranslation, p: MessageFields, op: str) -> Tops:
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
        node = use.emit_node("maxpool", kernel=((height, width), p.place("global_pooling")))
    node.pools_all = True
    return _tops(use, node)


def _tops(use: LayerTranslation, node: Node) -> Tops:
    """The pooled blob, and for a second top the places of its values. Raises LayerError."""
    tops = [use.data(node.value, tuple(node.value.shape))]
    if len(use.layer.tops) > 1:
        if node.op != "maxpool":
            raise LayerError.invalid(
                "wrong-arity",
                "only a MAX pooling has a second top, for the places of its values",
                use.layer.tops[1].span,
            )
        tops.append(BlobValue(node.outputs[1], tops[0].dims, tops[0].batch, use.layer.place))
    return tops
