"""Convolution, its transpose, and InnerProduct."""

from __future__ import annotations

from math import prod

from netspec.diagnostics.source import Span
from netspec.importers.caffe.layer_error import LayerError
from netspec.importers.caffe.layer_translation import LayerTranslation
from netspec.importers.caffe.layers.folded import Folded
from netspec.importers.caffe.layers.registry import Tops, layer
from netspec.importers.caffe.layers.window_fields import (
    HeightWidth,
    height_width,
    kernel_size,
    pad_field,
    padding,
)
from netspec.importers.caffe.message_fields import MessageFields
from netspec.importers.caffe.training_facts import trained


@layer(
    *("Convolution", "ConvolutionDepthwise", "DepthwiseConvolution", "ConvolutionDepthWise"),
    *("DepthwiseConv", "CuDNNConvolution", "ConvolutionData"),
    bottoms=(1, None),
    tops=None,
)
def convolution(use: LayerTranslation) -> Tops:
    """floor((input + 2 * pad - dilation * (kernel - 1) - 1) / stride) + 1, as ours."""
    return _convolution(use, "conv")


@layer("Deconvolution", "DeconvolutionDepthwise", bottoms=(1, None), tops=None)
def deconvolution(use: LayerTranslation) -> Tops:
    """Weights are input channels x filters of a group x height x width, as ours."""
    return _convolution(use, "conv_transpose")


def _convolution(use: LayerTranslation, op: str) -> Tops:
    p = use.params("convolution_param")
    _one_bottom(use)
    axis = p.integer("axis")
    channels, _, _ = use.spatial()
    if axis not in (1, -3):
        raise LayerError.unsupported(
            "a convolution along other axes than height and width", p.place("axis")
        )
    filters = _required(use, p, "num_output")
    kernel, kernel_place = _kernel(use, p)
    stride, stride_place = height_width(p, "stride", "stride_h", "stride_w", 1)
    pad, pad_place = padding(p)
    dilation, dilation_place = _dilation(p)
    if op == "conv":
        reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
        use.require_size(reach, pad)
    groups: int | str = p.integer("group")
    groups_place = p.place("group")
    if "epthwise" in use.layer.type and "group" not in p:
        groups = channels
    if groups == channels and channels > 1:
        groups = "depthwise"
    blobs = {"weight": use.blob(0)}
    bias = p.flag("bias_term")
    if bias:
        blobs["bias"] = use.blob(1)
    value = use.emit(
        op,
        blobs=blobs,
        filters=(filters, p.place("num_output")),
        kernel=(kernel, kernel_place),
        stride=(stride, stride_place),
        pad=(pad_field(pad), pad_place),
        dilation=(dilation, dilation_place),
        groups=(groups, groups_place),
        bias=(bias, p.place("bias_term")),
        **trained(use, p, bias="bias_filler" if bias else None),
    )
    return [use.data(value, tuple(value.shape))]


def _one_bottom(use: LayerTranslation) -> None:
    """Raise LayerError for a second bottom."""
    if len(use.bottoms) > 1:
        raise LayerError.unsupported(
            f"one {use.layer.type} over several bottoms shares its weights, which a spec can't say",
            use.layer.bottoms[1].span,
        )


def _required(use: LayerTranslation, p: MessageFields, name: str) -> int:
    """A number that must be given. Raises LayerError."""
    value = p.maybe_integer(name)
    if value is None:
        raise LayerError.invalid("missing-field", f"{use.layer.type} needs the field {name}")
    return value


def _kernel(use: LayerTranslation, p: MessageFields) -> tuple[HeightWidth, Span]:
    found = kernel_size(use, p)
    if len(p.integers("kernel_size")) > 2:
        message = f"{use.layer.type} over more than height and width"
        raise LayerError.unsupported(message, p.place("kernel_size"))
    return found


def _dilation(p: MessageFields) -> tuple[HeightWidth, Span]:
    """The dilation, which DeepLab's first Caffe calls `hole`, and its place."""
    if "hole" in p or "hole_h" in p or "hole_w" in p:
        return height_width(p, "hole", "hole_h", "hole_w", 1)
    return height_width(p, "dilation", "", "", 1)


@layer("InnerProduct", bottoms=(1, None), tops=None)
def inner_product(use: LayerTranslation) -> Tops:
    """Everything from `axis` on is one vector, channels outermost, as flatten lays it."""
    p = use.params("inner_product_param")
    _one_bottom(use)
    axis = use.axis(*p.placed_integer("axis"))
    lead, rest = use.x.dims[: axis - 1], use.x.dims[axis - 1 :]
    units = _required(use, p, "num_output")
    bias = p.flag("bias_term")
    transposed = p.flag("transpose")
    blobs = {"weight": use.blob(0, "transposed" if transposed else "as_is")}
    if bias:
        blobs["bias"] = use.blob(1)
    dims = (*lead, units)
    if prod(lead) != 1:
        # The same weights for every place: a convolution whose channels are what is multiplied.
        folded = Folded(use, use.x, axis - 1, len(use.x.dims))
        value = use.emit(
            "conv",
            folded.value,
            step=True,
            blobs=blobs,
            filters=(units, p.place("num_output")),
            kernel=(1, 1),
            bias=(bias, p.place("bias_term")),
            **trained(use, p, bias="bias_filler" if bias else None),
        )
        return [use.data(folded.unfolded(value, (units,), dims), dims)]
    flat = use.reshaped(use.x.value, (prod(rest),))
    value = use.emit(
        "linear",
        flat,
        blobs=blobs,
        units=(units, p.place("num_output")),
        bias=(bias, p.place("bias_term")),
        **trained(use, p, bias="bias_filler" if bias else None),
    )
    return [use.data(use.value_of(use.data(value, (units,)), dims), dims)]
