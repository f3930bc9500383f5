"""Pooling, with Caffe's rounding and clipping."""

from __future__ import annotations

from netspec.importers.caffe.layers.base import Tops, layer, pair
from netspec.importers.caffe.messages import MessageFields
from netspec.importers.caffe.translate import BlobValue, LayerTranslation, UnsupportedLayer


@layer("Pooling", tops=2)
def pooling(use: LayerTranslation) -> Tops:
    """ceil((input + 2 * pad - kernel) / stride) + 1 windows.

    With any pad, a last window that starts behind the input and its first padding is dropped.
    A window that hangs over the end is cut off there, and an average divides by what is left.
    """
    p = use.params("pooling_param")
    kind = p.word("pool")
    if kind == "STOCHASTIC":
        raise UnsupportedLayer("stochastic pooling draws at random", p.place("pool"))
    channels, *size = use.spatial()
    op = "maxpool" if kind == "MAX" else "avgpool"
    if p.flag("global_pooling"):
        return _whole(use, p, op, channels)
    if "kernel_size" not in p and not ("kernel_h" in p and "kernel_w" in p):
        raise use.wrong("missing-field", "Pooling needs kernel_size, or kernel_h and kernel_w")
    kernel, kernel_place = pair(p, "kernel_size", "kernel_h", "kernel_w", 1)
    stride, stride_place = pair(p, "stride", "stride_h", "stride_w", 1)
    pad, pad_place = pair(p, "pad", "pad_h", "pad_w", 0)
    down = p.word("round_mode") == "FLOOR" or not p.flag("ceil_mode") or p.flag("torch_pooling")
    if min(stride) < 1 or min(kernel) < 1 or min(pad) < 0:
        raise use.wrong("out-of-range", "kernel and stride of a Pooling are at least 1")
    spans = []
    for n, k, s, before in zip(size, kernel, stride, pad, strict=True):
        count, k = _windows(use, n, k, s, before, any(pad), down)
        # One window that exceeds the input holds all of it.
        spans.append(min(k, n + 2 * before) if count == 1 else k)
    several = max(stride) > 1
    value = use.emit(
        op,
        kernel=((spans[0], spans[1]), kernel_place),
        stride=(stride, stride_place),
        pad=(pad, pad_place) if any(pad) else None,
        round=("floor" if down else "ceil") if several else None,
        count_include_pad=True if any(pad) and op == "avgpool" else None,
    )
    return _tops(use, value)


def _windows(
    use: LayerTranslation, n: int, kernel: int, stride: int, pad: int, clips: bool, down: bool
) -> tuple[int, int]:
    """How many windows Caffe takes along a direction. Raises Wrong and Unsupported."""
    room = n + 2 * pad - kernel
    count = (room // stride if down else -(-room // stride)) + 1
    if count < 1:
        message = f"the window of {kernel} exceeds the input of {n}" + (
            f" (padded to {n + 2 * pad})" if pad else ""
        )
        raise use.wrong("window-too-large", message)
    if clips and (count - 1) * stride >= n + pad:
        count -= 1
    if not clips and (count - 1) * stride >= n:
        raise UnsupportedLayer(
            f"its last window begins behind the input ({count} windows of {kernel} every {stride} "
            f"on {n}), and Caffe fills it with no value of the input",
            help="give it `round_mode: FLOOR`, or a stride of at most the kernel",
        )
    return count, kernel


def _whole(use: LayerTranslation, p: MessageFields, op: str, channels: int) -> Tops:
    """One window over everything; kept as Cx1x1, which is Caffe's shape of it."""
    pad, _ = pair(p, "pad", "pad_h", "pad_w", 0)
    stride, place = pair(p, "stride", "stride_h", "stride_w", 1)
    if any(pad) or stride != (1, 1):
        message = "global_pooling goes with neither pad nor stride"
        raise use.wrong("conflicting-fields", message, place)
    if op == "avgpool":
        value = use.emit("adaptive_avgpool", size=(1, p.place("global_pooling")))
    else:
        _, height, width = use.spatial()
        value = use.emit("maxpool", kernel=((height, width), p.place("global_pooling")))
    if value.node is not None:
        value.node.whole = True
    return _tops(use, value)


def _tops(use: LayerTranslation, value: object) -> Tops:
    node = use.t.nodes[-1]
    tops = [use.data(node.value, tuple(node.value.shape))]
    if len(use.layer.tops) > 1:
        if node.op != "maxpool":
            raise use.wrong(
                "wrong-arity",
                "only a MAX pooling has a second top, for the places of its values",
                use.layer.tops[1].span,
            )
        tops.append(BlobValue(node.outputs[1], tops[0].dims, tops[0].batch, use.layer.place))
    return tops
