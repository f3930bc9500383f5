"""Normalizations, and learned factors and shifts."""

from __future__ import annotations

from fractions import Fraction
from math import prod
from typing import Any

from netspec.importers.caffe.blob_values import dims_text, language_shape
from netspec.importers.caffe.layer_error import LayerError
from netspec.importers.caffe.layer_translation import LayerTranslation
from netspec.importers.caffe.layers.folded import Folded
from netspec.importers.caffe.layers.registry import Tops, layer
from netspec.importers.caffe.message_fields import MessageFields
from netspec.importers.caffe.training_facts import multipliers, trained
from netspec.importers.caffe.weight_blob import WeightBlob
from netspec.importers.structure.graph import GraphValue


@layer("BatchNorm", "CuDNNBatchNorm", "SyncBatchNorm")
def batchnorm(use: LayerTranslation) -> Tops:
    """(x - mean) / sqrt(variance + eps); a Scale layer behind it has factor and shift.

    Statistics are stored as sums, with the number to divide them by as third blob.
    """
    p = use.params("batch_norm_param")
    blobs = {
        "running_mean": use.blob(0, "statistic", 2),
        "running_var": use.blob(1, "statistic", 2),
    }
    affine = p.flag("scale_bias") or "scale_filler" in p or "bias_filler" in p
    facts: dict[str, Any] = {}
    stated = p.maybe_flag("use_global_stats")
    if affine and len(multipliers(use.layer)) == 4:
        # NVIDIA's Caffe 0.15: first what is learned, then the statistics as they are.
        blobs = {"weight": use.blob(0), "bias": use.blob(1)}
        blobs |= {"running_mean": use.blob(2), "running_var": use.blob(3)}
        facts = trained(use, p, "scale_filler", "bias_filler")
    elif affine:
        # NVIDIA's Caffe keeps them in the same layer.
        blobs = {"weight": use.blob(3), "bias": use.blob(4), **blobs}
        facts = trained(use, p, "scale_filler", "bias_filler", 3)
    if stated is False and use.net.phase == "TEST":
        use.warn(
            "ignored-field",
            f"{use.layer.name} has `use_global_stats: false`, so that Caffe normalizes with the "
            "statistics of each batch in tests as well; here it uses the running ones",
        )
    if stated and not affine:
        facts["frozen"] = (True, p.place("use_global_stats"))
    fraction = (1 - p.number("moving_average_fraction"), p.place("moving_average_fraction"))
    value = use.emit(
        "batchnorm",
        blobs=blobs,
        step=p.flag("relu"),
        eps=p.placed_number("eps"),
        momentum=fraction,
        affine=affine,
        **facts,
    )
    return use.same(use.emit("relu", value) if p.flag("relu") else value)


@layer("BN", "BNData")
def bn(use: LayerTranslation) -> Tops:
    """Batch norm with factor and shift as first blobs, as two forks have it.

    SegNet's with `bn_mode: INFERENCE` has the statistics merged into them; PSPNet's has the
    statistics as further blobs.
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
    momentum = None
    for name in ("momentum", "decay"):
        if name in p:
            momentum = (1 - p.number(name), p.place(name))
    scales = "slope_filler" if "slope_filler" in p else "scale_filler"
    shifts = "bias_filler" if "bias_filler" in p else "shift_filler"
    facts = trained(use, p, scales, shifts)
    if p.flag("frozen"):
        facts["frozen"] = (True, p.place("frozen"))
    return use.same(use.emit("batchnorm", blobs=blobs, eps=eps, momentum=momentum, **facts))


def _names(p: MessageFields) -> set[str]:
    return {field.name for field in p.all()}


@layer("Scale", bottoms=(1, 2))
def scale(use: LayerTranslation) -> Tops:
    """A learned factor per channel, or the product with a second bottom."""
    p = use.params("scale_param")
    if len(use.bottoms) == 2:
        if p.flag("bias_term"):
            raise LayerError.unsupported(
                "a product of two bottoms with a learned shift", p.place("bias_term")
            )
        return use.same(_spread(use, p, "Scale", "mul"))
    bias = p.flag("bias_term")
    blobs = {"weight": use.blob(0), **({"bias": use.blob(1)} if bias else {})}
    facts = trained(use, p, "filler", "bias_filler" if bias else None)
    given = (bias, p.place("bias_term"))
    return use.same(_learned(use, p, "Scale", "scale", blobs, bias=given, **facts))


@layer("Bias", bottoms=(1, 2))
def bias(use: LayerTranslation) -> Tops:
    """A learned shift per channel, or the sum with a second bottom."""
    p = use.params("bias_param")
    if len(use.bottoms) == 2:
        return use.same(_spread(use, p, "Bias", "add"))
    facts = trained(use, p, "filler", None)
    return use.same(_learned(use, p, "Bias", "shift", {"bias": use.blob(0)}, **facts))


def _learned(
    use: LayerTranslation,
    p: MessageFields,
    type_: str,
    op: str,
    blobs: dict[str, WeightBlob],
    **settings: Any,
) -> GraphValue:
    """An op with learned numbers, one for each index of `num_axes` dimensions from `axis` on.

    Raises LayerError where the batch is one of them.
    """
    axis = use.axis(*p.placed_integer("axis"), least=0)
    count, dims = p.integer("num_axes"), use.x.dims
    end = len(dims) + 1 if count == -1 else axis + count
    if not axis <= end <= len(dims) + 1:
        message = f"{use.layer.bottoms[0].name} has no {count} axes from axis {axis} on"
        raise LayerError.invalid(
            "out-of-range", message, p.place("num_axes" if "num_axes" in p else "axis")
        )
    if axis == 0 and count != 0:
        raise LayerError.unsupported(
            f"a {type_} along axis 0 mixes the inputs of a batch", p.place("axis")
        )
    # Dimensions of 1 behind the channels change nothing.
    if axis == 1 and end > 1 and all(d == 1 for d in dims[1 : end - 1]):
        return use.emit(op, blobs=blobs, **settings)
    first = max(axis - 1, 0)
    last = max(end - 1, first)
    folded = Folded(use, use.x, first, last)
    value = use.emit(op, folded.value, step=True, blobs=blobs, **settings)
    return folded.unfolded(value, dims[first:last], dims)


def _spread(use: LayerTranslation, p: MessageFields, type_: str, op: str) -> GraphValue:
    """An op of both bottoms, of which the second is broadcast to the first.

    Caffe aligns its dimensions, the batch included, with those of the first from `axis` on. Raises
    LayerError where they do not fit, or where the batch would be aligned with another dimension.
    """
    a, b = use.bottoms
    axis = use.axis(*p.placed_integer("axis"), least=0)
    if b.dims == a.dims:
        return use.emit(op, [a.value, b.value])
    per_channel = b.dims in (a.dims[:1], (a.dims[0], 1, 1)) and len(a.dims) == 3
    if per_channel and (axis == 0 or len(b.dims) == 3):
        return use.emit(op, [a.value, use.value_of(b, (a.dims[0], 1, 1))])
    names = [r.name for r in use.layer.bottoms]
    if axis == 0 and b.dims == a.dims[: len(b.dims)]:
        folded = Folded(use, a, 0, len(b.dims))
        factor = use.reshaped(b.value, (folded.count, 1, 1))
        return folded.unfolded(use.emit(op, [folded.value, factor], step=True), b.dims, a.dims)
    if axis == 0:
        shapes = " and ".join(dims_text(d.dims) for d in (a, b))
        message = f"{type_} can't lay {names[1]} on {names[0]} from axis {axis} on: {shapes}"
        raise LayerError.invalid("shape-mismatch", message, use.layer.bottoms[1].span)
    raise LayerError.unsupported(
        f"a {type_} that lays the batch of {names[1]} on axis {axis}", use.layer.bottoms[1].span
    )


@layer("LRN")
def lrn(use: LayerTranslation) -> Tops:
    """Local response normalization across channels, or over a window of each channel."""
    p = use.params("lrn_param")
    use.spatial()
    size = p.integer("local_size")
    alpha, beta = p.placed_number("alpha"), p.placed_number("beta")
    if p.word("norm_region") == "ACROSS_CHANNELS":
        k = p.placed_number("k")
        given = (size, p.place("local_size"))
        return use.same(use.emit("lrn", size=given, alpha=alpha, beta=beta, k=k))
    if size % 2 == 0:
        message = "the local_size of an LRN is odd"
        raise LayerError.invalid("out-of-range", message, p.place("local_size"))
    # As Caffe does: a mean of squares, padding counted, and k is 1 whatever the file says.
    squares = use.emit("power", step=True, exponent=2)
    means = use.emit(
        "avgpool",
        squares,
        step=True,
        kernel=((size, size), p.place("local_size")),
        stride=1,
        pad=size // 2 if size > 1 else None,
        count_include_pad=True if size > 1 else None,
    )
    factor = use.emit("power", means, step=True, exponent=-beta[0], scale=alpha, shift=1)
    return use.same(use.emit("mul", [use.x.value, factor]))


@layer("Normalize")
def normalize(use: LayerTranslation) -> Tops:
    """x / sqrt(sum of squares + eps), times a learned factor (SSD)."""
    p = use.params("norm_param")
    normal = use.emit(
        "normalize",
        across=("all", p.place("across_spatial")) if p.flag("across_spatial") else None,
        eps=p.placed_number("eps"),
    )
    blobs = {"weight": use.blob(0)}
    facts = trained(use, p, "scale_filler", None)
    if not p.flag("channel_shared"):
        return use.same(use.emit("scale", normal, blobs=blobs, bias=False, **facts))
    dims = use.x.dims
    folded = Folded(use, use.data(normal, dims), 0, 0)
    value = use.emit("scale", folded.value, step=True, blobs=blobs, bias=False, **facts)
    return use.same(folded.unfolded(value, (), dims))


@layer("MVN")
def mvn(use: LayerTranslation) -> Tops:
    """(x - mean) / (sqrt(variance) + eps), of each channel or of all of them."""
    p = use.params("mvn_param")
    dims = use.x.dims
    together = p.flag("across_channels")
    shape = (1, prod(dims[:2]), prod(dims[2:])) if together else (*dims, 1, 1)[:3]
    x = use.reshaped(use.x.value, shape)
    mean = use.emit("adaptive_avgpool", x, step=True, size=1)
    varies = p.flag("normalize_variance")
    result = use.emit("sub", [x, mean], step=varies or together)
    if varies:
        squares = use.emit("power", result, step=True, exponent=2)
        variance = use.emit("adaptive_avgpool", squares, step=True, size=1)
        deviation = use.emit("power", variance, step=True, exponent=Fraction(1, 2))
        eps = p.placed_number("eps")
        factor = use.emit("power", deviation, step=True, exponent=-1, shift=eps)
        result = use.emit("mul", [result, factor], step=together)
    return use.same(use.reshaped(result, language_shape(dims), step=False))
