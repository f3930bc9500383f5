"""Normalizations, and learned factors and shifts."""

from __future__ import annotations

from netspec.caffe.layers.base import Tops, layer
from netspec.caffe.messages import Fields
from netspec.caffe.translate import Data, Unsupported, Use


@layer("BatchNorm", "CuDNNBatchNorm", "SyncBatchNorm")
def batchnorm(use: Use) -> Tops:
    """Without factor and shift, which a Scale layer learns; statistics are sums with a divisor."""
    p = use.params("batch_norm_param")
    blobs = {
        "running_mean": use.blob(0, "statistic", 2),
        "running_var": use.blob(1, "statistic", 2),
    }
    affine = p.flag("scale_bias") or "scale_filler" in p or "bias_filler" in p
    if affine:
        # NVIDIA's Caffe keeps them in the same layer.
        blobs = {"weight": use.blob(3), "bias": use.blob(4), **blobs}
    fraction = (1 - p.number("moving_average_fraction"), p.place("moving_average_fraction"))
    value = use.emit(
        "batchnorm",
        blobs=blobs,
        eps=(p.number("eps"), p.place("eps")),
        momentum=fraction if "moving_average_fraction" in p else None,
        affine=affine,
    )
    return use.same(value)


@layer("BN", "BNData")
def bn(use: Use) -> Tops:
    """Two forks have a BN of their own; both keep factor and shift first.

    SegNet's, with `bn_mode: INFERENCE`, has the statistics in factor and shift; PSPNet's keeps the
    statistics behind them.
    """
    p = use.params("bn_param")
    blobs = {"weight": use.blob(0), "bias": use.blob(1)}
    if p.word("bn_mode") == "INFERENCE":
        return use.same(use.emit("scale", blobs=blobs))
    of_segnet = {"bn_mode", "shift_filler", "scale_filler", "var_eps"} & _names(p)
    if not of_segnet or p.flag("moving_average"):
        blobs |= {"running_mean": use.blob(2), "running_var": use.blob(3)}
    eps = None
    for name in ("eps", "var_eps"):
        if name in p:
            eps = (p.number(name), p.place(name))
    return use.same(use.emit("batchnorm", blobs=blobs, eps=eps))


def _names(p: Fields) -> set[str]:
    return {field.name for field in p.all()}


@layer("Scale", bottoms=(1, 2))
def scale(use: Use) -> Tops:
    """A learned factor per channel, or the product with a second bottom."""
    p = use.params("scale_param")
    if len(use.bottoms) == 2:
        if p.flag("bias_term"):
            raise Unsupported("a product of two bottoms with a learned shift", p.place("bias_term"))
        other = _spread(use, p, "Scale")
        return use.same(use.emit("mul", [use.x.value, other.value]))
    _per_channel(use, p, "Scale")
    bias = p.flag("bias_term")
    blobs = {"weight": use.blob(0), **({"bias": use.blob(1)} if bias else {})}
    return use.same(use.emit("scale", blobs=blobs, bias=(bias, p.place("bias_term"))))


@layer("Bias", bottoms=(1, 2))
def bias(use: Use) -> Tops:
    """A learned shift per channel, or the sum with a second bottom."""
    p = use.params("bias_param")
    if len(use.bottoms) == 2:
        other = _spread(use, p, "Bias")
        return use.same(use.emit("add", [use.x.value, other.value]))
    _per_channel(use, p, "Bias")
    return use.same(use.emit("shift", blobs={"bias": use.blob(0)}))


def _per_channel(use: Use, p: Fields, type_: str) -> None:
    """Raises Unsupported where the learned numbers are not one per channel."""
    axis = use.axis(p.integer("axis"), p.place("axis"), least=0)
    count = p.integer("num_axes")
    rank = len(use.x.dims) + 1
    end = rank if count == -1 else axis + count
    # Dimensions of 1 behind the channels change nothing.
    covered = use.x.dims[axis - 1 : end - 1] if axis else ()
    if axis != 1 or end <= 1 or any(d != 1 for d in covered[1:]):
        place = p.place("num_axes" if "num_axes" in p else "axis")
        raise Unsupported(f"a {type_} of other numbers than one per channel", place)


def _spread(use: Use, p: Fields, type_: str) -> Data:
    """The second bottom, made to spread over the first. Raises Wrong and Unsupported.

    Caffe lays its dimensions, the batch included, on those of the first from `axis` on.
    """
    a, b = use.bottoms
    axis = use.axis(p.integer("axis"), p.place("axis"), least=0)
    if b.dims == a.dims:
        return b
    per_channel = b.dims in (a.dims[:1], (a.dims[0], 1, 1)) and len(a.dims) == 3
    if per_channel and (axis == 0 or len(b.dims) == 3):
        dims = (a.dims[0], 1, 1)
        return use.data(use.value_of(b, dims), dims)
    names = [r.name for r in use.layer.bottoms]
    if (axis == 0 and b.dims != a.dims[: len(b.dims)]) or axis > 0:
        shapes = " and ".join("x".join(map(str, d.dims)) or "1" for d in (a, b))
        message = f"{type_} can't lay {names[1]} on {names[0]} from axis {axis} on: {shapes}"
        raise use.wrong("shape-mismatch", message, use.layer.bottoms[1].span)
    raise Unsupported(
        f"a {type_} by other numbers than one per element or channel", use.layer.bottoms[1].span
    )


@layer("LRN")
def lrn(use: Use) -> Tops:
    """Across channels, or over a window of each channel."""
    p = use.params("lrn_param")
    use.spatial()
    size = p.integer("local_size")
    alpha, beta = (p.number("alpha"), p.place("alpha")), (p.number("beta"), p.place("beta"))
    if p.word("norm_region") == "ACROSS_CHANNELS":
        k = (p.number("k"), p.place("k"))
        given = (size, p.place("local_size"))
        return use.same(use.emit("lrn", size=given, alpha=alpha, beta=beta, k=k))
    if size % 2 == 0:
        message = "the local_size of an LRN is odd"
        raise use.wrong("out-of-range", message, p.place("local_size"))
    # As Caffe does: a mean of squares, padding counted, and k is 1 whatever the file says.
    squares = use.emit("power", part=True, exponent=2)
    means = use.emit(
        "avgpool",
        squares,
        part=True,
        kernel=((size, size), p.place("local_size")),
        stride=1,
        pad=size // 2 if size > 1 else None,
        count_include_pad=True if size > 1 else None,
    )
    factor = use.emit("power", means, part=True, exponent=-beta[0], scale=alpha, shift=1)
    return use.same(use.emit("mul", [use.x.value, factor]))


@layer("Normalize")
def normalize(use: Use) -> Tops:
    """x / sqrt(sum of squares + eps), times a learned factor (SSD)."""
    p = use.params("norm_param")
    if p.flag("channel_shared"):
        raise Unsupported(
            "a Normalize whose channels share one learned factor", p.place("channel_shared")
        )
    normal = use.emit(
        "normalize",
        across=("all", p.place("across_spatial")) if p.flag("across_spatial") else None,
        eps=(p.number("eps"), p.place("eps")),
    )
    return use.same(use.emit("scale", normal, blobs={"weight": use.blob(0)}, bias=False))


@layer("MVN")
def mvn(use: Use) -> Tops:
    raise Unsupported("netspec has no normalization of single pictures (MVN)")
