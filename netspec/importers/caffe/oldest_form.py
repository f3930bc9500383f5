"""Layers of Caffe's oldest form, a `layer` inside of `layers`, as layers of the form after it.

What Caffe's upgrade_net_proto_text does (UpgradeV0Net): types and fields have other names, a
layer's own fields stand in messages, and layers that only pad are part of what they pad.
"""

from __future__ import annotations

from collections.abc import Sequence

from netspec.diagnostics.source import Span
from netspec.syntax.protobuf_text.ast import Message, MessageField, Scalar

TYPES = {
    "conv": "CONVOLUTION",
    "innerproduct": "INNER_PRODUCT",
    "pool": "POOLING",
    "images": "IMAGE_DATA",
}
"""The types whose names are not those of today in small letters."""
_OF_DATA = {
    "source": "source",
    "batchsize": "batch_size",
    "rand_skip": "rand_skip",
    "shuffle_images": "shuffle",
    "new_height": "new_height",
    "new_width": "new_width",
    "det_fg_threshold": "fg_threshold",
    "det_bg_threshold": "bg_threshold",
    "det_fg_fraction": "fg_fraction",
    "det_context_pad": "context_pad",
    "det_crop_mode": "crop_mode",
}
_OF_LAYERS = {"name", "blobs", "blobs_lr", "weight_decay"}
_WINDOW = {"pad": "pad", "kernelsize": "kernel_size", "stride": "stride"}
_LEARNED = {
    "num_output": "num_output",
    "biasterm": "bias_term",
    "weight_filler": "weight_filler",
    "bias_filler": "bias_filler",
}
_TRANSFORM = {
    "scale": "scale",
    "meanfile": "mean_file",
    "cropsize": "crop_size",
    "mirror": "mirror",
}
FIELDS: dict[str, tuple[str, dict[str, str]]] = {
    "conv": ("convolution_param", {**_WINDOW, **_LEARNED, "group": "group"}),
    "innerproduct": ("inner_product_param", _LEARNED),
    "pool": ("pooling_param", {**_WINDOW, "pool": "pool"}),
    "dropout": ("dropout_param", {"dropout_ratio": "dropout_ratio"}),
    "lrn": ("lrn_param", {n: n for n in ("local_size", "alpha", "beta", "k")}),
    "concat": ("concat_param", {"concat_dim": "concat_dim"}),
    "data": ("data_param", _OF_DATA),
    "images": ("image_data_param", _OF_DATA),
    "hdf5_data": ("hdf5_data_param", _OF_DATA),
    "window_data": ("window_data_param", _OF_DATA),
}
"""The message that a type's fields stand in today, and what they are called there."""


def upgraded(layers: Sequence[Message]) -> list[Message]:
    """The layers, each of the oldest form as one of the form after it; others as they are."""
    result: list[Message] = []
    pads: dict[str, tuple[MessageField, MessageField]] = {}
    """What a padding makes: what it takes, and by how much."""
    for message in layers:
        inner = _inner(message)
        if inner is None:
            result.append(message)
        elif _word(inner, "type") == "padding":
            bottoms = [f for f in message.fields if f.name == "bottom"]
            amounts = [f for f in inner.fields if f.name == "pad"]
            for top in message.fields:
                if top.name == "top" and isinstance(top.value, Scalar) and bottoms and amounts:
                    pads[top.value.text] = bottoms[0], amounts[0]
        else:
            result.append(_upgraded(message, inner, pads))
    return result


def _inner(message: Message) -> Message | None:
    """The `layer` inside of a layer of the oldest form; None for another form."""
    if any(f.name == "type" for f in message.fields):
        return None
    found = (f.value for f in message.fields if f.name == "layer")
    return next((v for v in found if isinstance(v, Message)), None)


def _word(message: Message, name: str) -> str:
    found = (f.value for f in message.fields if f.name == name)
    return next((v.text for v in found if isinstance(v, Scalar)), "")


def _upgraded(
    message: Message, inner: Message, pads: dict[str, tuple[MessageField, MessageField]]
) -> Message:
    type_ = _word(inner, "type")
    name, own = FIELDS.get(type_, ("", {}))
    outer: list[MessageField] = []
    params: list[MessageField] = []
    transform: list[MessageField] = []
    for f in inner.fields:
        if f.name == "type" and isinstance(f.value, Scalar):
            word = TYPES.get(type_, type_.upper())
            outer.append(_renamed(f, "type", Scalar("word", word, f.value.span)))
        elif f.name in own:
            params.append(_renamed(f, own[f.name], f.value))
        elif f.name in _TRANSFORM and name.endswith("data_param"):
            transform.append(_renamed(f, _TRANSFORM[f.name], f.value))
        elif f.name in _OF_LAYERS or not name:
            outer.append(f)
        else:
            params.append(f)  # which is reported there
    for f in message.fields:
        bottom = f.value.text if f.name == "bottom" and isinstance(f.value, Scalar) else ""
        padded = pads.get(bottom)
        if padded is not None:
            params.append(padded[1])
        if f.name != "layer":
            outer.append(f if padded is None else padded[0])
    for called, fields in ((name, params), ("transform_param", transform)):
        if fields:
            outer.append(_made(called, fields, inner.span))
    return Message(tuple(outer), message.span)


def _renamed(field: MessageField, name: str, value: Scalar | Message) -> MessageField:
    return MessageField(name, field.name_span, value, field.span)


def _made(name: str, fields: Sequence[MessageField], span: Span) -> MessageField:
    return MessageField(name, span, Message(tuple(fields), span), span)
