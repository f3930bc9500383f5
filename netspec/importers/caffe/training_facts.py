"""How a layer's weights begin and are trained, as fields of the layer.

Caffe says it with fillers, and with factors of the learning rate and of the decay for each blob.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from netspec.diagnostics.source import Span
from netspec.importers.caffe.caffe_net import CaffeLayer
from netspec.importers.caffe.layer_translation import LayerTranslation
from netspec.importers.caffe.message_fields import MessageFields

_FANS = {"FAN_IN": "fan_in", "FAN_OUT": "fan_out"}

Multiplier = tuple[Fraction, Fraction, Span]
"""Factors of the rate and of the decay of a blob, and their place."""


def multipliers(layer: CaffeLayer) -> list[Multiplier]:
    """The factors of each blob that the layer states, in either form that layers have."""
    fields = layer.fields
    if "blobs_lr" in fields or "weight_decay" in fields:
        place = fields.place("blobs_lr")
        rates, decays = fields.numbers("blobs_lr"), fields.numbers("weight_decay")
        count = max(len(rates), len(decays))
        one = Fraction(1)
        rates += [one] * (count - len(rates))
        decays += [one] * (count - len(decays))
        return [(r, d, place) for r, d in zip(rates, decays, strict=True)]
    if fields.kind != "LayerParameter":
        return []
    specs = fields.messages("param")
    return [(s.number("lr_mult"), s.number("decay_mult"), s.span) for s in specs]


def states_multipliers(layers: Sequence[CaffeLayer]) -> bool:
    """Whether any of the layers states a factor."""
    names = ("lr_mult", "decay_mult")
    return any(
        any(n in s for s in layer.fields.messages("param") for n in names)
        if layer.fields.kind == "LayerParameter" and "blobs_lr" not in layer.fields
        else bool(multipliers(layer))
        for layer in layers
    )


def trained(
    use: LayerTranslation,
    p: MessageFields,
    weight: str = "weight_filler",
    bias: str | None = "bias_filler",
    first: int = 0,
) -> dict[str, Any]:
    """The fields `init`, `bias_init`, `frozen`, `lr_mult` and `decay_mult` of a layer.

    `weight` and `bias` are the fields of `p` that have the fillers; `bias` is None for a layer
    without biases. `first` is the number of the first blob that is learned.
    """
    found: dict[str, Any] = {"init": _init(use, p, weight)}
    begun = _init(use, p, bias) if bias is not None else None
    if begun is not None and begun[0] != "constant(0)":
        found["bias_init"] = begun
    if not use.net.states_multipliers:
        return found
    usual = (Fraction(1), Fraction(1), use.layer.type_span)
    given = [*multipliers(use.layer)[first:], usual, usual]
    (rate, decay, place), (bias_rate, bias_decay, _) = given[:2]
    if bias is None:
        bias_rate, bias_decay = rate, decay
    if rate == bias_rate == 0:
        found["frozen"] = (True, place)
        rate = bias_rate = Fraction(1)
    found["lr_mult"] = ((rate, bias_rate), place)
    found["decay_mult"] = ((decay, bias_decay), place)
    return found


def _init(use: LayerTranslation, p: MessageFields, name: str) -> tuple[str, Span] | None:
    """The `init` for a filler; None without one, or for one that can't be said.

    Caffe's xavier is of variance 1 / fan_in unless `variance_norm` says otherwise.
    """
    if name not in p:
        return None
    filler = p.message(name)
    filler.check()
    kind, place = filler.text("type") or "constant", filler.place("type")
    mean = filler.number("mean")
    fan = _FANS.get(filler.word("variance_norm"))
    match kind:
        case "constant":
            return f"constant({_text(filler.number('value'))})", place
        case "uniform":
            bounds = f"{_text(filler.number('min'))}, {_text(filler.number('max'))}"
            return f"uniform({bounds})", place
        case "xavier":
            return f"xavier({fan})" if fan else "xavier", place
        case "msra" if fan is not None:
            return "kaiming" if fan == "fan_in" else f"kaiming({fan})", place
        case "gaussian" if filler.number("std") == 0:
            return f"constant({_text(mean)})", place
        case "gaussian" if filler.number("std") > 0 and not mean:
            return f"normal({_text(filler.number('std'))})", place
        case "bilinear":
            return "bilinear", place
    how = f"{kind} with a mean" if kind == "gaussian" else kind
    use.warn(
        "ignored-field",
        f"{name}: nothing begins as Caffe's filler {how} says; {use.layer.name} begins as usual",
    )
    return None


def _text(number: Fraction) -> str:
    return f"{float(number):.15g}"
