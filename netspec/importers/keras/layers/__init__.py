"""How each class of layers is translated: a rule by the class's name.

convolution    convolutions and Dense
pooling        poolings, with TensorFlow's padding
normalization  normalizations, Rescaling
activation     activations, as layers and as what a layer ends with
merging        layers of several inputs
rearranging    flattening, padding, cutting, resizing
training       what acts while training only
operations     functions of keras.ops and of TensorFlow, which models call between layers
"""

from __future__ import annotations

from collections.abc import Callable

from netspec.importers.keras.config import KerasLayer, shown
from netspec.importers.keras.layers.activation import ACTIVATION_LAYERS
from netspec.importers.keras.layers.convolution import CONVOLUTIONS
from netspec.importers.keras.layers.merging import MERGES
from netspec.importers.keras.layers.normalization import NORMALIZATIONS
from netspec.importers.keras.layers.operations import OPERATIONS, function
from netspec.importers.keras.layers.pooling import POOLINGS
from netspec.importers.keras.layers.rearranging import REARRANGING
from netspec.importers.keras.layers.training import OF_TRAINING
from netspec.importers.keras.translate import KerasValue, RuleCall

Rule = Callable[[RuleCall], KerasValue | list[KerasValue]]

LAYERS: dict[str, Rule] = {
    **ACTIVATION_LAYERS,
    **CONVOLUTIONS,
    **MERGES,
    **NORMALIZATIONS,
    **POOLINGS,
    **REARRANGING,
    **OF_TRAINING,
}
OF_APPLICATIONS = ("CustomScaleLayer", "LayerScale", "StochasticDepth")
"""Classes of keras.applications, which are no layers of Keras's own."""


def rule_of(layer: KerasLayer) -> Rule:
    """The rule of a layer's class. Raises KerasError where there is none."""
    kind, module = layer.kind, layer.module
    if kind in ("Lambda", "TFOpLambda", "SlicingOpLambda"):
        if kind != "Lambda":
            return function
        message = "a Lambda is code, which is not run"
        help_ = "write it with Keras's layers, or leave it out and apply it beside the net"
        raise layer.error(message, "unsupported-layer", help_)
    if layer.is_operation:
        if kind in OPERATIONS:
            return OPERATIONS[kind]
        raise layer.error(f"the function {shown(kind)} can't be expressed")
    known = module.startswith(("keras.layers", "keras.src.layers", "tf_keras", "tensorflow"))
    ours = module.startswith(("keras.src.applications", "keras.applications"))
    if kind in OF_APPLICATIONS and not (known or ours or not module):
        pass
    elif kind in LAYERS and (known or ours or not module):
        return LAYERS[kind]
    if known or not module:
        raise layer.error(f"a {shown(kind)} can't be expressed")
    name = shown(module if ">" in module else f"{module}.{kind}")
    raise layer.error(f"it is of the class {name}, which is code that the file does not hold")
