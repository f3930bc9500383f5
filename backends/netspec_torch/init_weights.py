"""Writes the end of a net's constructor: how its weights begin.

A loop fills the weights of all layers by their class, as most of that class begin. Classes whose
own beginning is meant draw it themselves. The layers that begin otherwise follow by name:

    for m in self.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight)
        elif isinstance(m, nn.BatchNorm2d | nn.Linear):
            m.reset_parameters()
    nn.init.normal_(self.conv10.weight, std=0.01)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from netspec.codegen.identifiers import is_plain
from netspec.codegen.python_source import FunctionCall, Verbatim, statement
from netspec.ir import Net
from netspec.lazy_dataclasses import dataclass
from netspec.ops import UNIFORM, Init, Op, Weighted
from netspec_torch.emission import emission_of
from netspec_torch.reserved import MODULE_ATTRIBUTES
from netspec_torch.support import sources

_MARGIN = 8


@dataclass(frozen=True)
class _Weighted:
    """A layer with weights: its path, its class in PyTorch, how its weights begin."""

    path: str
    type: str
    init: Init
    bias: bool


def initialization(net: Net, written: Iterable[tuple[Op, str]]) -> list[str]:
    """A loop over all layers with the usual law of each class, then the layers with another.

    `written` are ops of all layers that the classes make, for other arguments as well, each with
    its class in PyTorch.
    """
    layers = list(_weighted(net))
    types = list(dict.fromkeys(x.type for x in layers))
    layers += [
        _Weighted("", head, net.init_of(op), op.bias)
        for op, head in written
        if isinstance(op, Weighted) and head not in types
    ]
    types = list(dict.fromkeys(x.type for x in layers))
    usual = {t: Counter(x.init for x in layers if x.type == t).most_common(1)[0][0] for t in types}
    alike: dict[Init, list[str]] = {}
    for t in types:
        alike.setdefault(usual[t], []).append(t)
    stateful = _resettable(net, types) + alike.pop(UNIFORM, [])
    margin = " " * _MARGIN
    lines = [f"{margin}for m in self.modules():"] if layers or stateful else []
    for init, some in alike.items():
        test = f"{'if' if len(lines) == 1 else 'elif'} isinstance(m, {' | '.join(some)}):"
        # It is written as a call of another name, so the law is added.
        note = f"  # {init}" if init.law == "xavier" and init.fan else ""
        lines += [f"{margin}    {test}{note}", f"{margin}        {_draw('m', init)}"]
        if any(x.bias for x in layers if x.type in some):
            lines.append(f"{margin}        if m.bias is not None:")
            lines.append(f"{margin}            nn.init.zeros_(m.bias)")
    others = [x for x in layers if x.path and x.init != usual[x.type]]
    if stateful:
        test = "elif" if alike else "if"
        lines.append(f"{margin}    {test} isinstance(m, {' | '.join(stateful)}):")
        lines.append(f"{margin}        m.reset_parameters()")
    fixed = not any(p.static for p in net.parameters)
    for init in dict.fromkeys(x.init for x in others):
        same = [x for x in others if x.init == init]
        if fixed and len(same) <= 2 and all(_is_attribute(x.path) for x in same):
            for x in same:
                lines.append(f"{margin}{_draw(f'self.{x.path}', init)}")
                if x.bias and usual[x.type] == UNIFORM:
                    lines.append(f"{margin}nn.init.zeros_(self.{x.path}.bias)")
        else:
            lines += _by_name(same, init)
            if any(x.bias and usual[x.type] == UNIFORM for x in same):
                lines.append(f"{margin}        if m.bias is not None:")
                lines.append(f"{margin}            nn.init.zeros_(m.bias)")
    return lines


def _resettable(net: Net, types: Sequence[str]) -> list[str]:
    """The classes of further layers with tensors, which know how theirs begin."""
    found: dict[str, None] = {}
    for layer in net.layers:
        if layer.layer.tensors and not isinstance(layer.op, Weighted):
            constructor = emission_of(layer.layer).constructor
            known = constructor is not None and (
                constructor.head.startswith("nn.") or constructor.head in sources()
            )
            if constructor is not None and known:
                found[constructor.head] = None
    return [name for name in found if name not in types]


def _weighted(net: Net) -> Iterator[_Weighted]:
    for layer in net.layers:
        op = layer.op
        if isinstance(op, Weighted):
            emission = emission_of(layer.layer)
            assert emission.constructor is not None, "a module holds the weights"
            yield _Weighted(layer.path, emission.constructor.head, net.init_of(op), op.bias)


def _draw(layer: str, init: Init) -> str:
    """The call that fills a layer's weight; all of its tensors where its class knows how."""
    if init == UNIFORM:
        return f"{layer}.reset_parameters()"
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


def _by_name(layers: Sequence[_Weighted], init: Init) -> list[str]:
    """A loop that fills the weights of the layers with these names."""
    margin = " " * _MARGIN
    types = " | ".join(dict.fromkeys(x.type for x in layers))
    names = FunctionCall("", tuple(Verbatim(f'"{x.path}"') for x in layers))
    lines = [f"{margin}for name, m in self.named_modules():"]
    test = statement(f"if isinstance(m, {types}) and name in ", names, _MARGIN + 4)
    test[-1] += ":"
    return [*lines, *test, f"{margin}        {_draw('m', init)}"]


def _is_attribute(path: str) -> bool:
    """Whether `self.PATH` is the layer."""
    return "." not in path and is_plain(path) and path not in MODULE_ATTRIBUTES
