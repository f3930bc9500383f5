"""Caffe's fillers, which say how weights begin, as the field `init` of a layer."""

from __future__ import annotations

from netspec.diagnostics.source import Span
from netspec.importers.caffe.message_fields import MessageFields
from netspec.ops import Init

_FANS = {"FAN_IN": "fan_in", "FAN_OUT": "fan_out"}


def init_of(p: MessageFields) -> tuple[str, Span] | None:
    """The `init` for a layer's `weight_filler`; None without a filler, or for one of another kind.

    Caffe's xavier is of variance 1 / fan_in unless `variance_norm` says otherwise.
    """
    filler = p.message("weight_filler")
    fan = _FANS.get(filler.word("variance_norm"))
    init: str | None = None
    match filler.text("type"):
        case "xavier":
            init = f"xavier({fan})" if fan else "xavier"
        case "msra" if fan is not None:
            init = "kaiming" if fan == "fan_in" else f"kaiming({fan})"
        case "gaussian" if filler.number("std") > 0 and not filler.number("mean"):
            init = str(Init("normal", std=float(filler.number("std"))))
    return None if init is None else (init, filler.place("type"))
