"""Layers that act while training only."""

from __future__ import annotations

from collections.abc import Callable

from netspec.importers.keras.translate import KerasValue, RuleCall


def _dropout(call: RuleCall) -> KerasValue:
    ratio = call.layer.number("rate", 0.5)
    if not 0 <= ratio < 1:
        raise call.error(f"its rate is {ratio:g}", "out-of-range")
    return call.unary("dropout", call.x, ratio=round(ratio, 6))


def _left_out(call: RuleCall) -> KerasValue:
    """Its input: the spec has no such layer."""
    call.translation.program.left_out[call.layer.kind] += 1
    return call.x


_KINDS = """
    SpatialDropout2D AlphaDropout GaussianDropout GaussianNoise ActivityRegularization
    StochasticDepth RandomFlip RandomRotation RandomZoom RandomTranslation RandomContrast
    RandomBrightness RandomHeight RandomWidth RandomErasing RandomSharpness
"""
OF_TRAINING: dict[str, Callable[[RuleCall], KerasValue]] = {
    "Dropout": _dropout,
    **dict.fromkeys(_KINDS.split(), _left_out),
}
