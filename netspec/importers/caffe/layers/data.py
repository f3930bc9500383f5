"""Sources of data. Labels, which only losses and measures read, have no value."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.importers.caffe.blob_values import BlobValue, Dims, NoValue
from netspec.importers.caffe.caffe_net import BlobName
from netspec.importers.caffe.layer_error import LayerError
from netspec.importers.caffe.layer_translation import LayerTranslation
from netspec.importers.caffe.layers.registry import Tops, layer
from netspec.importers.caffe.layers.without_counterpart import program_of
from netspec.importers.caffe.message_fields import MessageFields
from netspec.importers.structure.graph import FieldValue


@layer("Input", bottoms=(0, 0), tops=None)
def input_(use: LayerTranslation) -> Tops:
    shapes = [shape.integers("dim") for shape in use.params("input_param").messages("shape")]
    # One shape is for all.
    return _tops(use, [shapes[0] if len(shapes) == 1 else _item(shapes, i) for i in _indices(use)])


@layer("DummyData", bottoms=(0, 0), tops=None)
def dummy(use: LayerTranslation) -> Tops:
    p = use.params("dummy_data_param")
    shapes = [shape.integers("dim") for shape in p.messages("shape")]
    if not shapes:
        sides = [p.integers(n) for n in ("num", "channels", "height", "width")]
        count = max(map(len, sides))
        if all(sides):
            shapes = [[s[min(i, len(s) - 1)] for s in sides] for i in range(count)]
    return _tops(use, [_item(shapes, min(i, len(shapes) - 1)) for i in _indices(use)])


def _indices(use: LayerTranslation) -> range:
    return range(len(use.layer.tops))


def _item(shapes: list[list[int]], i: int) -> list[int] | None:
    return shapes[i] if i < len(shapes) and shapes[i] else None


@layer(
    *("Data", "ImageData", "AnnotatedData", "VideoData", "WindowData", "HDF5Data", "MemoryData"),
    *("ImageSegData", "DenseImageData", "ImageLabelData", "MultiLabelData", "LMDBData"),
    "DetectNetTransformation",
    bottoms=(0, 0),
    tops=None,
)
def pictures(use: LayerTranslation) -> Tops:
    """The file may say the shape of the first top; further ones are labels, or other data.

    Netscope's files have the `input_param` of an Input in a layer Data.
    """
    own = {
        "Data": "data_param",
        "AnnotatedData": "data_param",
        "WindowData": "window_data_param",
        "HDF5Data": "hdf5_data_param",
        "MemoryData": "memory_data_param",
        "DetectNetTransformation": "detectnet_groundtruth_param",
    }.get(use.layer.type, "image_data_param")
    p = use.layer.params(own)
    transform = use.layer.params("transform_param")
    for fields in (transform, p, transform.message("resize_param")):
        fields.warn_of_lost()
    for fields in (transform, p):
        if fields.text("mean_file") if "mean_file" in fields else "":
            use.net.mean_files.append(fields.text("mean_file"))
    stated = [shape.integers("dim") for shape in use.layer.params("input_param").messages("shape")]
    shapes = [_item(stated, i) for i in _indices(use)]
    if use.layer.tops and shapes[0] is None:
        dims = _dims(p, transform)
        shapes[0] = None if dims is None else [0, *dims]
    return _tops(use, shapes, _preprocessing(p, transform), _channels(use, p, transform))


def _tops(
    use: LayerTranslation,
    shapes: Sequence[Sequence[int] | None],
    settings: dict[str, FieldValue] | None = None,
    channels: int | None = None,
) -> Tops:
    """The tops with their shapes, batch first (0: not known); the first has the settings.

    `channels` are those of the first where it has no shape, if they are known.
    """
    tops: list[BlobValue | NoValue] = []
    for i, (top, shape) in enumerate(zip(use.layer.tops, shapes, strict=True)):
        if use.net.labels.holds(top) and top.name not in use.net.options.shapes:
            tops.append(NoValue(False, top.span))
            continue
        dims, batch = (tuple(shape[1:]), shape[0] or None) if shape else (None, None)
        try:
            tops.append(
                _input(
                    use, top, dims, batch, *((settings or {}, channels) if i == 0 else ({}, None))
                )
            )
        except LayerError as error:
            if error.is_unsupported or error.diagnostic is None:
                raise
            # Each input without a shape is reported.
            use.net.diagnostics.add(error.diagnostic)
            tops.append(NoValue(True, top.span))
    return tops


_PICTURES = ("ImageData", "ImageSegData", "DenseImageData", "ImageLabelData", "WindowData")
"""Layers that read files of pictures, in colour unless they say otherwise."""
_PROGRAMS = ("RoIDataLayer", "VOCSegDataLayer", "SBDDSegDataLayer")
"""Public data layers in Python that do: of Fast and Faster R-CNN and their forks, and of FCN."""


def _channels(use: LayerTranslation, p: MessageFields, transform: MessageFields) -> int | None:
    """How many channels the first top has, where the layer says that and no size."""
    if _is_gray(p, transform):
        return 1
    if len(transform.numbers("mean_value")) == 3 or transform.maybe_flag("force_color"):
        return 3
    known = use.layer.type in _PICTURES or any(n in _PROGRAMS for n in program_of(use.layer))
    return 3 if known else None


def _is_gray(p: MessageFields, transform: MessageFields) -> bool:
    own = p.kind == "ImageDataParameter" and not p.flag("is_color")
    return bool(transform.maybe_flag("force_gray")) or own


def _dims(p: MessageFields, transform: MessageFields) -> Dims | None:
    """The shape of the pictures that the layer states itself; None without one."""
    if p.kind == "MemoryDataParameter":
        sizes = tuple(p.maybe_integer(n) or 0 for n in ("channels", "height", "width"))
        return sizes if all(sizes) else None
    if p.kind == "DetectnetGroundtruthParameter":
        height, width = (p.maybe_integer(n) for n in ("image_size_y", "image_size_x"))
        return (3, height, width) if height and width else None
    channels = 1 if _is_gray(p, transform) else 3
    for fields in (transform, p):
        if "crop_size" in fields and fields.integer("crop_size"):
            size = fields.integer("crop_size")
            return channels, size, size
    if "crop_h" in transform and "crop_w" in transform:
        return channels, transform.integer("crop_h"), transform.integer("crop_w")
    resize = transform.message("resize_param")
    for fields, names in (
        (resize, ("height", "width")),
        (p, ("new_height", "new_width")),
        (transform, ("new_height", "new_width")),
    ):
        if all(n in fields for n in names):
            height, width = (fields.integer(n) for n in names)
            if height and width:
                return channels, height, width
    return None


def _preprocessing(p: MessageFields, transform: MessageFields) -> dict[str, FieldValue]:
    """The preprocessing as fields of an input.

    Caffe computes (x - mean) * scale, the language (x * scale - mean) / std.
    """
    settings: dict[str, FieldValue] = {}
    means = transform.numbers("mean_value")
    for fields in (p, transform):
        if "scale" not in fields or not fields.number("scale"):
            continue
        scale = fields.number("scale")
        place = fields.place("scale")
        if any(means) and scale != 1:
            settings["std"] = FieldValue(1 / scale, place)
        elif scale != 1:
            settings["scale"] = FieldValue(scale, place)
    if any(means):
        value = means[0] if len(means) == 1 else tuple(means)
        settings["mean"] = FieldValue(value, transform.place("mean_value"))
    return settings


def _input(
    use: LayerTranslation,
    top: BlobName,
    dims: Dims | None,
    batch: int | None,
    settings: dict[str, FieldValue],
    channels: int | None,
) -> BlobValue:
    """Add a data input for a top; `dims` are without the batch. Raises LayerError."""
    stated = use.net.stated_shape(top.name)
    dims = stated or dims
    mean = settings.get("mean")
    if stated is None and dims is not None and mean is not None and isinstance(mean.value, tuple):
        # As many means as channels, where nothing else tells them.
        if len(mean.value) != dims[0] and len(dims) == 3:
            settings = {n: s for n, s in settings.items() if n != "mean"}
    return use.net.add_input(top, dims, batch, settings, channels)
