"""How other tools count operations: each tool's rules, op by op.

A convention is what a tool reports for the net written as torchvision writes its own: one
`nn.Module` a layer, batch 1, in evaluation mode. A softmax at the net's end counts nothing under
any of them, since torchvision's nets end before it. The rules were measured with the versions
named in CONVENTIONS, op by op and on whole nets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

from netspec.ir import FlatLayer, Net
from netspec.lazy_dataclasses import dataclass, field


@dataclass(frozen=True)
class Sizes:
    """What rules are made of: elements of a layer's first input, first result and parameters."""

    layer: FlatLayer

    @property
    def macs(self) -> int:
        return self.layer.macs

    @property
    def params(self) -> int:
        return self.layer.layer.learnable

    @property
    def inputs(self) -> int:
        return self.layer.inputs[0].elements

    @property
    def outputs(self) -> int:
        return self.layer.outputs[0].elements

    @property
    def places(self) -> int:
        """Places of the result, channels apart."""
        return prod(self.layer.outputs[0].shape[1:])

    @property
    def bias(self) -> int:
        """One addition for each element of the result, if the layer has a bias."""
        return self.outputs if "bias" in self.layer.layer.tensors else 0

    @property
    def window(self) -> int:
        return prod(self.layer.layer.tensors["weight"].shape[2:])

    def has(self, attribute: str, value: object = True) -> bool:
        return getattr(self.layer.op, attribute, None) == value


Rule = Callable[[Sizes], int]


@dataclass(frozen=True)
class Convention:
    """How a tool counts: a rule for each op, by keyword; an op without one counts 0.

    `says` is the rule in a line, for under a table.
    """

    name: str
    says: str
    rules: Mapping[str, Rule] = field(repr=False)
    unit: str = "MACs"


def _macs(s: Sizes) -> int:
    return s.macs


def _with_bias(s: Sizes) -> int:
    return s.macs + s.bias


def _outputs(s: Sizes) -> int:
    return s.outputs


def _twice_inputs(s: Sizes) -> int:
    top, bottom, left, right = getattr(s.layer.op, "pads", (0, 0, 0, 0))
    if (top, left) == (bottom, right):
        return 2 * s.inputs
    # PyTorch pads unevenly in a layer of its own, whose result is then the input.
    channels, height, width = s.layer.inputs[0].shape
    return 2 * channels * (top + height + bottom) * (left + width + right)


def _twice_outputs(s: Sizes) -> int:
    return 2 * s.outputs


def _params(s: Sizes) -> int:
    return s.params


def _everywhere(s: Sizes) -> int:
    return s.places * s.params


def _affine(factor: int, without: int) -> Rule:
    return lambda s: (factor if s.has("affine") else without) * s.outputs


def _resized(nearest: int, bilinear: int, bicubic: int) -> Rule:
    factors = {"nearest": nearest, "bilinear": bilinear, "bicubic": bicubic}
    return lambda s: factors[getattr(s.layer.op, "mode", "nearest")] * s.outputs


def _times(factor: int) -> Rule:
    return lambda s: factor * s.outputs


def _softmax(s: Sizes) -> int:
    channels = s.layer.inputs[0].shape[0]
    return (3 * channels - 1) * (s.inputs // channels)


def _transposed_torchprofile(s: Sizes) -> int:
    # It tells a transposed convolution from one that isn't by its channels alone.
    into, per_group, *_ = s.layer.layer.tensors["weight"].shape
    same = into == s.layer.outputs[0].shape[0]
    return s.outputs * (per_group if same else into) * s.window


def _transposed_thop(s: Sizes) -> int:
    groups = getattr(s.layer.op, "group_count", 1)
    return s.outputs * (s.layer.inputs[0].shape[0] // groups) * s.window


def _lrn_ptflops(s: Sizes) -> int:
    size = getattr(s.layer.op, "size", 1)
    channels = s.layer.inputs[0].shape[0]
    return 3 * s.inputs + (channels + size - 1) * (s.inputs // channels)


_WEIGHED = ("conv", "conv_transpose", "linear")
_ADAPTIVE = ("global_avgpool", "adaptive_avgpool")
_POOLS = ("maxpool", "avgpool", "global_maxpool", "adaptive_maxpool", *_ADAPTIVE)
_NORMS = ("batchnorm", "groupnorm", "instancenorm")

CONVENTIONS: Mapping[str, Convention] = {
    c.name: c
    for c in (
        Convention(
            "torchprofile",  # 0.1.0
            "multiplications; no biases; 1 for each result of an average or affine norm",
            {
                **dict.fromkeys(("conv", "linear"), _macs),
                "conv_transpose": _transposed_torchprofile,
                **dict.fromkeys(_NORMS, _affine(1, 0)),
                **dict.fromkeys(("layernorm", "scale", "leaky_relu", "avgpool", "mean"), _outputs),
                **dict.fromkeys(_ADAPTIVE, _outputs),
                "mul": lambda s: s.outputs * (len(s.layer.inputs) - 1),
                "lrn": _times(3),
                "upsample": _resized(0, 4, 0),
            },
        ),
        Convention(
            "fvcore",  # 0.1.5.post20221221
            "multiplications; no biases; 1 for each input of an adaptive average, 2 of a norm",
            {
                **dict.fromkeys(_WEIGHED, _macs),
                "batchnorm": _affine(2, 1),
                **dict.fromkeys(("groupnorm", "instancenorm"), _affine(5, 4)),
                "layernorm": _times(5),
                **dict.fromkeys(_ADAPTIVE, lambda s: s.inputs),
                "upsample": _resized(1, 4, 0),
            },
        ),
        Convention(
            "thop",  # 0.1.1.post2209072238
            "multiplications; no biases; additions and divisions of averages, norms and softmax",
            {
                **dict.fromkeys(("conv", "linear"), _macs),
                "conv_transpose": _transposed_thop,
                **dict.fromkeys(("batchnorm", "instancenorm"), _affine(4, 2)),
                "layernorm": _times(4),
                **dict.fromkeys(("prelu", "avgpool"), _outputs),
                **dict.fromkeys(_ADAPTIVE, lambda s: s.inputs + s.outputs),
                "softmax": _softmax,
                "upsample": _resized(1, 11, 259),
            },
        ),
        Convention(
            "torchinfo",  # 1.8.0
            "parameters of a layer, biases too, times the places of its result; elsewhere once",
            {
                **dict.fromkeys(("conv", "conv_transpose"), _everywhere),
                **dict.fromkeys((*_NORMS, "linear", "layernorm", "scale", "prelu"), _params),
                "parameter": _params,
            },
        ),
        Convention(
            "ptflops",  # 0.7.5, its default backend (pytorch)
            "multiplications and biases; relu and pooling count twice, as module and as function",
            {
                **dict.fromkeys(_WEIGHED, _with_bias),
                **dict.fromkeys(_NORMS, _affine(2, 1)),
                **dict.fromkeys(("relu", "prelu", "elu", "gelu", "upsample"), _twice_outputs),
                **dict.fromkeys(("relu6", "leaky_relu", "silu", "softmax", "layernorm"), _outputs),
                **dict.fromkeys(_POOLS, _twice_inputs),
                "lrn": _lrn_ptflops,
            },
        ),
        Convention(
            "flopcounter",  # torch.utils.flop_counter.FlopCounterMode of torch 2.13
            "FlopCounterMode: multiplications and additions of convolutions and linear layers; "
            "no biases",
            dict.fromkeys(_WEIGHED, lambda s: 2 * s.macs),
            "FLOPs",
        ),
    )
}
"""The conventions by name; the comments name the versions measured."""


def counts(net: Net, convention: Convention) -> tuple[int, ...]:
    """The count of each of `net.layers` under the convention."""
    ends = set(net.flat_outputs)
    found = []
    for layer in net.layers:
        rule = convention.rules.get(layer.op.keyword)
        at_end = layer.op.yields_probabilities and not ends.isdisjoint(layer.outputs)
        if rule is None or at_end:
            found.append(0)
        else:
            found.append(int(rule(Sizes(layer))))
    return tuple(found)
