"""Writes the end of a net's constructor: how its weights begin.

A loop fills the weights of all layers by their class, as most of that class begin. The layers that
begin otherwise follow by name:

    for m in self.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight)
    nn.init.normal_(self.conv10.weight, std=0.01)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from netspec.codegen.identifiers import is_plain
from netspec.codegen.python_source import FunctionCall, Verbatim, statement
from netspec.ir import Net
from netspec.lazy_dataclasses import dataclass
from netspec.ops import Init, Weighted
from netspec_torch.emitters import EMITTERS
from netspec_torch.reserved import MODULE_ATTRIBUTES
from netspec_torch.writer import NumberWriter

_MARGIN = 8


@dataclass(frozen=True)
class _Weighted:
    """A layer with weights: its path, its class in PyTorch, how its weights begin."""

    path: str
    type: str
    init: Init
    bias: bool


def initialization(net: Net) -> list[str]:
    """A loop over all layers with the usual law of each class, then the layers with another."""
    layers = list(_weighted(net))
    types = list(dict.fromkeys(x.type for x in layers))
    usual = {t: Counter(x.init for x in layers if x.type == t).most_common(1)[0][0] for t in types}
    alike: dict[Init, list[str]] = {}
    for t in types:
        alike.setdefault(usual[t], []).append(t)
    margin = " " * _MARGIN
    lines = [f"{margin}for m in self.modules():"] if layers else []
    for init, some in alike.items():
        test = f"{'if' if init == usual[types[0]] else 'elif'} isinstance(m, {' | '.join(some)}):"
        # It is written as a call of another name, so the law is added.
        note = f"  # {init}" if init.law == "xavier" and init.fan else ""
        lines += [f"{margin}    {test}{note}", f"{margin}        {_draw('m', init)}"]
        if any(x.bias for x in layers if x.type in some):
            lines.append(f"{margin}        if m.bias is not None:")
            lines.append(f"{margin}            nn.init.zeros_(m.bias)")
    others = [x for x in layers if x.init != usual[x.type]]
    for init in dict.fromkeys(x.init for x in others):
        same = [_attribute(x.path) for x in others if x.init == init]
        if len(same) <= 2:
            lines += [f"{margin}{_draw(layer, init)}" for layer in same]
        else:
            lines += _loop(same, init)
    return lines


def _weighted(net: Net) -> Iterator[_Weighted]:
    for layer in net.layers:
        op = layer.op
        if isinstance(op, Weighted):
            emission = EMITTERS[type(op)](layer.layer, NumberWriter({}, {}, 0), False)
            assert emission.constructor is not None, "a module holds the weights"
            yield _Weighted(layer.path, emission.constructor.head, op.init or net.init, op.bias)


def _draw(layer: str, init: Init) -> str:
    """The call that fills a layer's weight."""
    weight = f"{layer}.weight"
    if init.std is not None:
        return f"nn.init.normal_({weight}, std={init.std!r})"
    if init.law == "xavier" and init.fan is None:
        return f"nn.init.xavier_uniform_({weight})"
    mode = ', mode="fan_out"' if init.fan == "fan_out" else ""
    if init.law == "xavier":
        # Uniform, and of variance 1 / fan.
        return f'nn.init.kaiming_uniform_({weight}{mode}, nonlinearity="linear")'
    return f"nn.init.kaiming_normal_({weight}{mode})"


def _loop(layers: Sequence[str], init: Init) -> list[str]:
    """A loop that fills the weights of these layers."""
    first = statement("for m in ", FunctionCall("", tuple(map(Verbatim, layers)), "()"), _MARGIN)
    first[-1] += ":"
    return [*first, f"{' ' * _MARGIN}    {_draw('m', init)}"]


def _attribute(path: str) -> str:
    """The expression that reaches a layer from `self`."""
    if all(is_plain(p) and p not in MODULE_ATTRIBUTES for p in path.split(".")):
        return f"self.{path}"
    if any(p in MODULE_ATTRIBUTES for p in path.split(".")):
        return f'dict(self.named_modules())["{path}"]'  # self.NAME is not the layer
    return f'self.get_submodule("{path}")'
