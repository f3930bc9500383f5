"""The weights of Keras's layers: what they are called, how they are laid out, how they begin."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Collection
from typing import Any

from netspec.codegen.identifiers import class_name
from netspec.codegen.module_names import MODULE_ATTRIBUTES
from netspec.codegen.python_source import Source, Verbatim, call
from netspec.ir import FlatLayer, Instance, Layer, Net
from netspec.ops import Init, Op, constants, convolution
from netspec.ops.activation import PRelu
from netspec.util.keras_names import lower_case

_NAMES = """
    activity_regularizer add_loss add_metric add_variable add_weight autocast build
    build_from_config built call call_signature_parameters compile_from_config compiled
    compute_dtype compute_loss compute_mask compute_metrics compute_output_shape
    compute_output_spec count_params dtype dtype_policy evaluate export fit from_config
    get_build_config get_compile_config get_config get_layer get_metrics_result
    get_quantization_layer_structure get_state_tree get_weights input input_dtype input_spec
    jit_compile layers load load_own_variables load_weights loss losses make_predict_function
    make_test_function make_train_function metrics metrics_names metrics_variables name
    named_weights non_trainable_variables non_trainable_weights output path predict
    predict_function predict_on_batch predict_step preprocess probabilities quantization_mode
    quantize quantized_build quantized_call rematerialized_call reset_metrics run_eagerly save
    save_own_variables save_weights set_state_tree set_weights stateless_call
    stateless_compute_loss steps_per_execution summary supports_jit supports_masking
    symbolic_call test_function test_on_batch test_step to_json torch_params train_function
    train_on_batch train_step trainable trainable_variables trainable_weights variable_dtype
    variables weights
"""
RESERVED = MODULE_ATTRIBUTES.union(_NAMES.split())
"""The attributes that every Keras model has, on any engine, or an emitted one: no layer can be one.

A copy, since compiling must not import keras; a test compares it with Keras's own.
"""


def attribute(name: str) -> str:
    """The attribute of a layer: its name in the spec, with a `_` behind it where that can't be."""
    plain = name.rstrip("_")
    return f"{name}_" if plain in RESERVED or keyword.iskeyword(plain) else name


def variable(op: type[Op], tensor: str) -> str:
    """What Keras calls a tensor of a layer."""
    if issubclass(op, convolution.Conv | convolution.ConvTranspose | convolution.Linear):
        return {"weight": "kernel"}.get(tensor, tensor)
    if issubclass(op, PRelu | constants.LearnedValue):
        return "alpha" if issubclass(op, PRelu) else "value"
    names = {"weight": "gamma", "bias": "beta", "running_var": "moving_variance"}
    return names.get(tensor, tensor.replace("running", "moving"))


def named_tensors(net: Net) -> dict[str, tuple[str, FlatLayer]]:
    """Of each tensor that the outputs depend on its name in the Keras model, and its layer.

    Layers that nothing reads get no weights in Keras.
    """
    read, wanted = set(), set(net.flat_outputs)
    for layer in reversed(net.layers):
        if not wanted.isdisjoint(layer.outputs):
            wanted.update(layer.inputs)
            read.add(layer.weights)
    return {
        layer.layer.key(layer.path, tensor): (
            ".".join([*map(attribute, layer.path.split(".")), variable(type(layer.op), tensor)]),
            layer,
        )
        for layer in net.layers
        if layer.path in read
        for tensor in layer.tensors
    }


_ORDERS = {4: (2, 3, 1, 0), 3: (1, 2, 0), 2: (1, 0)}
"""The order of a tensor's dimensions in Keras, by their number."""


def laid_out(array: Any, layer: FlatLayer) -> Any:
    """A tensor of a layer as Keras has it."""
    if array.ndim in _ORDERS:
        return array.transpose(_ORDERS[array.ndim])
    slopes = isinstance(layer.op, PRelu) and len(layer.inputs[0].shape) == 3
    return array.reshape(1, 1, -1) if slopes else array


def laid_back(array: Any, shape: tuple[int, ...]) -> Any:
    """A tensor of Keras's layout as the net has it, of this shape."""
    if len(shape) not in _ORDERS:
        return array.reshape(shape)
    order = _ORDERS[len(shape)]
    return array.transpose([order.index(d) for d in range(len(shape))])


def places_of(
    net: Net, stored: Collection[str], class_of: Callable[[Layer], str]
) -> dict[str, str]:
    """The places of a model's variables in a file that Keras wrote, by their names of the model.

    Keras goes through a model's attributes by the alphabet, and numbers the variables of a layer:
    `fire2/squeeze/vars/0`. At `layers`, the list of all its layers, it writes those it has not
    been to: `layers/conv2d_1`, counted in the order of their making.
    """
    listed: dict[str, list[str]] = {}
    numbered = {
        (m["kind"], int(m["number"] or 0)): m["place"]
        for place in stored
        if (m := re.match(r"layers/(?P<place>(?P<kind>\w+?)(_(?P<number>\d{1,9}))?)/", place))
    }
    for kind, number in sorted(numbered):
        listed.setdefault(kind, []).append(numbered[kind, number])
    named = named_tensors(net).values()
    direct = {place.split("/")[0] for place in stored}
    nodes = {attribute(node.name): node for node in net.body.nodes}
    at: dict[str, str] = {}
    for first in dict.fromkeys(name.split(".")[0] for name, _ in named):
        node = nodes[first]
        if isinstance(node, Instance):
            kind = class_name(node.block.module, node.block.doc)
        else:
            kind = class_of(node)
        waiting = listed.get(lower_case(kind)) if first not in direct else None
        if waiting:
            at[first] = f"layers/{waiting.pop(0)}"
    counts: dict[str, int] = {}
    found = {}
    for name, _ in named:
        layer = name.rpartition(".")[0]
        first, *inner = layer.split(".")
        number = counts[layer] = counts.get(layer, -1) + 1
        found[name] = "/".join([at.get(first, first), *inner, "vars", str(number)])
    return found


_NAMED_LAWS = {
    ("kaiming", None): "he_normal",
    ("xavier", None): "glorot_uniform",
    ("xavier", "fan_in"): "lecun_uniform",
}


def law(init: Init, number: Callable[[float], str], support: Callable[[str], str]) -> Source:
    """What makes fresh numbers of a law: the name of an initializer, or the call that makes one."""
    if init.law == "bilinear":
        return Verbatim(support("bilinear"))
    if (init.law, init.fan) in _NAMED_LAWS:
        return Verbatim(f'"{_NAMED_LAWS[init.law, init.fan]}"')
    numbers = list(map(number, init.numbers))
    if init.law == "normal":
        return call("initializers.RandomNormal", stddev=numbers[0])
    if numbers:
        head = "Constant" if init.law == "constant" else "RandomUniform"
        return call(f"initializers.{head}", *numbers)
    scale = {"uniform": ["1 / 3"], "kaiming": ["2.0"]}.get(init.law, [])
    more = {} if init.law == "uniform" else {"mode": '"fan_out"'}
    more |= {} if init.law == "kaiming" else {"distribution": '"uniform"'}
    return call("initializers.VarianceScaling", *scale, **more)
