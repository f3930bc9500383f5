"""Programs over tensors, run by PyTorch one operation after the other: a referee for importers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from netspec.importers.tensors import program as vocabulary

Rule = Callable[..., Any]


def run(program: vocabulary.TensorProgram, inputs: Sequence[Tensor]) -> list[Tensor]:
    """The results of a program on inputs of its shapes; each shape on the way is checked."""
    values: dict[vocabulary.ProgramTensor, Tensor] = dict(zip(program.inputs, inputs, strict=True))

    def value(tensor: vocabulary.ProgramTensor | None) -> Tensor | None:
        if tensor is None:
            return None
        if tensor.constant is not None:
            array = tensor.constant.load()
            assert tuple(array.shape) == tensor.constant.shape == tensor.shape
            return torch.as_tensor(array.copy()).to(torch.float32)
        return values[tensor]

    for operation in program.operations:
        given = [value(t) for t in operation.inputs]
        made = RULES[operation.kind](operation.attributes, *given)
        results = list(made) if isinstance(made, tuple | list) else [made]
        for tensor, result in zip(operation.outputs, results, strict=False):
            assert tuple(result.shape) == tensor.shape, (operation.kind, operation.name)
            values[tensor] = result
    found = [value(t) for t in program.outputs]
    return [f for f in found if f is not None]


def _padded(a: Mapping[str, Any], x: Tensor, value: float = 0) -> Tensor:
    top, left, bottom, right = a["pad"]
    return F.pad(x, (left, right, top, bottom), value=value)


def _conv(a: Mapping[str, Any], x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
    x = _padded(a, x)
    return F.conv2d(x, w, b, a["stride"], dilation=a["dilation"], groups=a["groups"])


def _conv_transpose(a: Mapping[str, Any], x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
    pad, more = a["pad"][:2], a["output_pad"]
    return F.conv_transpose2d(x, w, b, a["stride"], pad, more, a["groups"], a["dilation"])


def _norm(a: Mapping[str, Any], x: Tensor, w: Any, b: Any, m: Any, v: Any) -> Tensor:
    return F.batch_norm(x, m, v, w, b, eps=a["eps"])


def _layernorm(a: Mapping[str, Any], x: Tensor, w: Any, b: Any) -> Tensor:
    assert a["axes"] == list(range(a["axes"][0], x.dim()))
    return F.layer_norm(x, [x.shape[i] for i in a["axes"]], w, b, a["eps"])


def _avgpool(a: Mapping[str, Any], x: Tensor) -> Tensor:
    pad = a["pad"][:2]
    return F.avg_pool2d(x, a["kernel"], a["stride"], pad, a["ceil"], a["count_include_pad"])


def _maxpool(a: Mapping[str, Any], x: Tensor) -> Tensor:
    return F.max_pool2d(x, a["kernel"], a["stride"], a["pad"][:2], a["dilation"], a["ceil"])


def _pad(a: Mapping[str, Any], x: Tensor) -> Tensor:
    pads = [n for pair in zip(a["before"], a["after"], strict=True) for n in pair]
    flat = [n for i in range(x.dim() - 1, -1, -1) for n in pads[2 * i : 2 * i + 2]]
    mode = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}[a["mode"]]
    if mode != "constant":
        return F.pad(x, flat[:4], mode)
    return F.pad(x, flat, mode, a["value"])


def _slice(a: Mapping[str, Any], x: Tensor) -> Tensor:
    index = [slice(None)] * x.dim()
    index[a["axis"]] = slice(a["start"], a["end"], a["step"])
    return x[tuple(index)]


def _resize(a: Mapping[str, Any], x: Tensor) -> Tensor:
    mode = "nearest-exact" if a.get("exact") else a["mode"]
    aligned = a["align_corners"] if mode in ("bilinear", "bicubic") else None
    if "scale" in a:
        made = F.interpolate(x, scale_factor=a["scale"], mode=mode, align_corners=aligned)
    else:
        made = F.interpolate(x, size=a["size"], mode=mode, align_corners=aligned)
    assert tuple(made.shape[2:]) == tuple(a["size"])
    return made


def _of(name: str, **names: str) -> Rule:
    """A function of PyTorch's, and what it calls the fields of the language."""

    def rule(a: Mapping[str, Any], x: Tensor) -> Tensor:
        function = getattr(F, name, None) or getattr(torch, name)
        return function(x, **{names[field]: value for field, value in a.items()})  # type: ignore[no-any-return]

    return rule


RULES: dict[str, Rule] = {
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "linear": lambda a, x, w, b=None: F.linear(x, w, b),
    "matmul": lambda a, x, y: x @ y,
    "batchnorm": _norm,
    "layernorm": _layernorm,
    "groupnorm": lambda a, x, w, b: F.group_norm(x, a["groups"], w, b, a["eps"]),
    "instancenorm": lambda a, x, w, b: F.instance_norm(x, weight=w, bias=b, eps=a["eps"]),
    "prelu": lambda a, x, w: F.prelu(x, w),
    "maxpool": _maxpool,
    "avgpool": _avgpool,
    "adaptive_avgpool": lambda a, x: F.adaptive_avg_pool2d(x, a["size"]),
    "adaptive_maxpool": lambda a, x: F.adaptive_max_pool2d(x, a["size"]),
    "mean": lambda a, x: x.mean(a["axes"], a["keepdims"]),
    "sum": lambda a, x: x.sum(a["axes"], a["keepdims"]),
    "max": lambda a, x: x.amax(a["axes"], a["keepdims"]),
    "min": lambda a, x: x.amin(a["axes"], a["keepdims"]),
    "argmax": lambda a, x: x.argmax(a["axis"], a["keepdims"]),
    "add": lambda a, x, y: x + y,
    "sub": lambda a, x, y: x - y,
    "mul": lambda a, x, y: x * y,
    "div": lambda a, x, y: x / y,
    "pow": lambda a, x, y: x**y,
    "maximum": lambda a, x, y: torch.maximum(x, y),
    "minimum": lambda a, x, y: torch.minimum(x, y),
    "concat": lambda a, *xs: torch.cat(xs, a["axis"]),
    "split": lambda a, x: torch.split(x, a["sizes"], a["axis"]),
    "slice": _slice,
    "flip": lambda a, x: x.flip(a["axis"]),
    "reshape": lambda a, x: x.reshape(a["shape"]),
    "transpose": lambda a, x: x.permute(tuple(a["order"])),
    "expand": lambda a, x: x.expand(a["shape"]),
    "pad": _pad,
    "resize": _resize,
    "pixel_shuffle": lambda a, x: F.pixel_shuffle(x, a["factor"]),
    "pixel_unshuffle": lambda a, x: F.pixel_unshuffle(x, a["factor"]),
    "channel_shuffle": lambda a, x: F.channel_shuffle(x, a["groups"]),
    "softmax": lambda a, x: F.softmax(x, a["axis"]),
    "log_softmax": lambda a, x: F.log_softmax(x, a["axis"]),
    "dropout": lambda a, x: x,
    "clamp": lambda a, x: torch.clamp(x, a.get("min"), a.get("max")),
    "hardtanh": lambda a, x: F.hardtanh(x, a["min"], a["max"]),
    "leaky_relu": _of("leaky_relu", slope="negative_slope"),
    "elu": _of("elu", alpha="alpha"),
    "celu": _of("celu", alpha="alpha"),
    "threshold": lambda a, x: F.threshold(x, a["threshold"], a["value"]),
    "hardshrink": _of("hardshrink", threshold="lambd"),
    "softshrink": _of("softshrink", threshold="lambd"),
    "logsigmoid": _of("logsigmoid"),
    **{
        name: _of(name)
        for name in (
            "relu",
            "relu6",
            "silu",
            "mish",
            "selu",
            "hardswish",
            "hardsigmoid",
            "gelu",
            "softplus",
        )
    },
    **{
        name: _of(name)
        for name in (
            "sigmoid",
            "tanh",
            "sqrt",
            "reciprocal",
            "neg",
            "exp",
            "log",
            "floor",
            "round",
            "erf",
            "abs",
        )
    },
}
