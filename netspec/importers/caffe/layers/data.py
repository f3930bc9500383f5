"""Sources of data. Labels serve training only, and have no value."""

from __future__ import annotations

from netspec.importers.caffe.blob_values import BlobValue, Dims, NoValue
from netspec.importers.caffe.layer_translation import LayerTranslation
from netspec.importers.caffe.layers.registry import Tops, layer
from netspec.importers.caffe.message_fields import MessageFields
from netspec.importers.structure.graph import FieldValue

_LABELS = ("label", "gt", "seg", "target", "mask", "clip", "sim", "weight")
"""Parts of names of tops that are no inputs of the net."""


@layer("Input", bottoms=(0, 0), tops=None)
def input_(use: LayerTranslation) -> Tops:
    shapes = [shape.integers("dim") for shape in use.params("input_param").messages("shape")]
    tops: list[BlobValue | NoValue] = []
    for i in range(len(use.layer.tops)):
        # One shape is for all.
        dims = shapes[0] if len(shapes) == 1 else shapes[i] if i < len(shapes) else None
        known, batch = (tuple(dims[1:]), dims[0]) if dims else (None, None)
        tops.append(_input(use, i, known, batch, {}))
    return tops


@layer("DummyData", bottoms=(0, 0), tops=None)
def dummy(use: LayerTranslation) -> Tops:
    p = use.params("dummy_data_param")
    shapes = [shape.integers("dim") for shape in p.messages("shape")]
    if not shapes:
        sides = [p.integers(n) for n in ("num", "channels", "height", "width")]
        count = max(map(len, sides))
        if all(sides):
            shapes = [[s[min(i, len(s) - 1)] for s in sides] for i in range(count)]
    tops: list[BlobValue | NoValue] = []
    for i, top in enumerate(use.layer.tops):
        dims = shapes[min(i, len(shapes) - 1)] if shapes else None
        if _is_label(top.name):
            tops.append(NoValue(False, top.span))
        else:
            known = tuple(dims[1:]) if dims else None
            tops.append(_input(use, i, known, dims[0] if dims else None, {}))
    return tops


@layer(
    *("Data", "ImageData", "AnnotatedData", "VideoData", "WindowData", "HDF5Data", "MemoryData"),
    *("ImageSegData", "DenseImageData", "ImageLabelData", "MultiLabelData", "LMDBData"),
    bottoms=(0, 0),
    tops=None,
)
def pictures(use: LayerTranslation) -> Tops:
    """The first top is the data, further ones are labels."""
    own = {
        "Data": "data_param",
        "AnnotatedData": "data_param",
        "WindowData": "window_data_param",
        "HDF5Data": "hdf5_data_param",
        "MemoryData": "memory_data_param",
    }.get(use.layer.type, "image_data_param")
    p = use.layer.params(own)
    transform = use.layer.params("transform_param")
    for fields in (transform, p):
        if fields.text("mean_file") if "mean_file" in fields else "":
            use.net.mean_files.append(fields.text("mean_file"))
    tops: list[BlobValue | NoValue] = []
    for i, top in enumerate(use.layer.tops):
        if i > 0 or _is_label(top.name):
            known = use.net.options.shapes.get(top.name)
            if known is None:
                tops.append(NoValue(False, top.span))
                continue
        dims = _dims(use, p, transform)
        tops.append(_input(use, i, dims, None, _preprocessing(p, transform)))
    return tops


def _is_label(name: str) -> bool:
    return any(word in name.lower() for word in _LABELS) and "data" not in name.lower()


def _dims(use: LayerTranslation, p: MessageFields, transform: MessageFields) -> Dims | None:
    """The shape of the pictures that the layer states itself; None without one."""
    if p.kind == "MemoryDataParameter":
        sizes = tuple(p.maybe_integer(n) or 0 for n in ("channels", "height", "width"))
        return sizes if all(sizes) else None
    gray = transform.maybe_flag("force_gray") or (
        p.kind == "ImageDataParameter" and not p.flag("is_color")
    )
    channels = 1 if gray else 3
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
    index: int,
    dims: Dims | None,
    batch: int | None,
    settings: dict[str, FieldValue],
) -> BlobValue:
    """Add a data input for a top; `dims` are without the batch. Raises LayerError."""
    top = use.layer.tops[index]
    stated = use.net.stated_shape(top.name)
    dims = stated or dims
    mean = settings.get("mean")
    if stated is None and dims is not None and mean is not None and isinstance(mean.value, tuple):
        # As many means as channels, where nothing else tells them.
        if len(mean.value) != dims[0] and len(dims) == 3:
            settings = {n: s for n, s in settings.items() if n != "mean"}
    return use.net.add_input(top, dims, batch, settings)
