"""Layers that change height and width by interpolation or unpooling."""

from __future__ import annotations

from netspec.importers.caffe.layer_error import LayerError
from netspec.importers.caffe.layer_translation import LayerTranslation
from netspec.importers.caffe.layers.registry import Tops, layer
from netspec.ops import IndexShape


@layer("Interp", bottoms=(1, 2))
def interp(use: LayerTranslation) -> Tops:
    """Bilinear interpolation with aligned corners (DeepLab); negative pads crop before it."""
    p = use.params("interp_param")
    _, *size = use.spatial()
    before, after = p.integer("pad_beg"), p.integer("pad_end")
    if before > 0 or after > 0:
        message = "the pads of an Interp cut off, so they are at most 0"
        raise LayerError.invalid("out-of-range", message, p.place("pad_beg"))
    value = use.x.value
    if before or after:
        size = [n + before + after for n in size]
        if min(size) < 1:
            message = "the pads of this Interp leave nothing"
            raise LayerError.invalid("pad-too-large", message, p.place("pad_beg"))
        offset = ((-before, -before), p.place("pad_beg"))
        value = use.emit("crop", step=True, size=(size[0], size[1]), offset=offset)
    place = use.layer.type_span
    shrink, zoom = p.integer("shrink_factor"), p.integer("zoom_factor")
    if shrink < 1 or zoom < 1:
        raise LayerError.invalid("out-of-range", "the factors of an Interp are at least 1", p.span)
    if len(use.bottoms) == 2:
        wanted = list(use.bottoms[1].dims[-2:])
        use.net.unneeded.add(use.bottoms[1].value)  # only its size is of use
        place = use.layer.bottoms[1].span
    elif "shrink_factor" in p or "zoom_factor" in p:
        wanted = [(n - 1) // shrink + 1 for n in size]
        wanted = [n + (n - 1) * (zoom - 1) for n in wanted]
        place = p.place("zoom_factor" if "zoom_factor" in p else "shrink_factor")
    elif p.integer("height") > 0 and p.integer("width") > 0:
        wanted = [p.integer("height"), p.integer("width")]
        place = p.place("height")
    else:
        raise LayerError.invalid("missing-field", "Interp needs a factor, or height and width")
    if len(wanted) != 2:
        raise LayerError.invalid(
            "wrong-rank", "Interp takes its size from a blob with height and width"
        )
    node = use.emit_node(
        "upsample", value, size=((wanted[0], wanted[1]), place), mode="bilinear", align_corners=True
    )
    if len(use.bottoms) == 2:
        node.size_of = use.bottoms[1].value
    return [use.data(node.value, tuple(node.value.shape))]


@layer("ResizeBilinear", "ResizeNearestNeighbor")
def resize(use: LayerTranslation) -> Tops:
    """TensorFlow's resizings, as a fork has them: places are `i * input / output`."""
    bilinear = use.layer.type == "ResizeBilinear"
    p = use.params("resize_bilinear_param" if bilinear else "resize_nearest_neighbor_param")
    use.spatial()
    height, width = p.integer("output_height"), p.integer("output_width")
    if min(height, width) < 1:
        message = f"{use.layer.type} needs output_height and output_width"
        raise LayerError.invalid("missing-field", message)
    if p.flag("align_corners") != bilinear:
        aligned = "true" if bilinear else "false"
        reason = f"a {use.layer.type} needs `align_corners: {aligned}` to be an upsample"
        raise LayerError.unsupported(reason, p.place("align_corners"))
    size = (height, width), p.place("output_height")
    if bilinear:
        value = use.emit("upsample", size=size, mode="bilinear", align_corners=True)
    else:
        value = use.emit("upsample", size=size, mode="nearest")
    return [use.data(value, tuple(value.shape))]


@layer("Upsample", bottoms=(1, 2))
def upsample(use: LayerTranslation) -> Tops:
    """The inverse of a pooling by its places (SegNet); without places each element repeated."""
    p = use.params("upsample_param")
    _, height, width = use.spatial()
    if len(use.bottoms) == 1:
        name = "stride" if "stride" in p else "scale"
        factor = p.maybe_integer(name) or 2
        value = use.emit("upsample", scale=(factor, p.place(name)), mode="nearest")
        return [use.data(value, tuple(value.shape))]
    mask = use.bottoms[1].value
    if not isinstance(mask.shape, IndexShape):
        raise LayerError.unsupported(
            "an Upsample by places that no pooling found", use.layer.bottoms[1].span
        )
    scale = p.integer("scale")
    high, wide = (
        p.maybe_integer(f"upsample_{side}")
        or n * (p.maybe_integer(f"scale_{side}") or scale) - p.flag(f"pad_out_{side}")
        for side, n in (("h", height), ("w", width))
    )
    plane = mask.shape.plane
    if (high, wide) != tuple(plane):
        raise LayerError.unsupported(
            f"its places are in {plane[0]}x{plane[1]}, but it puts them into {high}x{wide}",
            use.layer.bottoms[1].span,
        )
    value = use.emit("maxunpool", [use.x.value, mask])
    return [use.data(value, tuple(value.shape))]
