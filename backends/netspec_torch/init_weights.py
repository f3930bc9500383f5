"""Writes `reset_parameters` of a net: how its weights begin.

A loop fills the weights of all layers by their class, as most of that class begin. Classes whose
own beginning is meant draw it themselves. The layers that begin otherwise follow by name:

    for m in self.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight)
        elif isinstance(m, nn.BatchNorm2d | nn.Linear):
            m.reset_parameters()
    nn.init.normal_(self.conv10.weight, std=0.01)
    self.conv1.requires_grad_(False)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence

from netspec.codegen.identifiers import is_plain
from netspec.codegen.python_source import Source, Verbatim, call, statement, tuple_of
from netspec.codegen.spelling import ConstructorNumbers
from netspec.ir import Net
from netspec.lazy_dataclasses import dataclass
from netspec.ops import UNIFORM, Init, Learned, LearnedWithBias, Op, Weighted
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


def usual_laws(net: Net) -> dict[type[Op], Init]:
    """How most weights of each kind of layer begin."""
    found: dict[type[Op], Counter[Init]] = {}
    for layer in net.layers:
        if isinstance(layer.op, Weighted):
            found.setdefault(type(layer.op), Counter())[net.init_of(layer.op)] += 1
    return {of: laws.most_common(1)[0][0] for of, laws in found.items()}


def own_law(init: Init, numbers: ConstructorNumbers) -> Source:
    """The function that fills a weight as a layer says, for `drawn`."""
    given = [numbers.number(n) for n in init.numbers]
    names = {"uniform": ("a", "b"), "constant": ("val",), "normal": ("std",)}
    if init.numbers:
        by_name = dict(zip(names[init.law], given, strict=True))
        return call("partial", f"nn.init.{init.law}_", **by_name)
    if init.law == "bilinear":
        return Verbatim(numbers.support("bilinear_"))
    head, _, rest = _draw("m", init).partition("(m.weight")
    return call("partial", head, Verbatim(rest[2:-1])) if rest != ")" else Verbatim(head)


def initialization(
    net: Net, written: Sequence[tuple[Op, str]], here: Container[str], drawn: bool
) -> list[str]:
    """A loop over all layers with the usual law of each class, then the layers with another.

    `written` are the ops of all layers that the classes make, for other arguments as well, each
    with its class in PyTorch. `here` are the names of layers that the net's class makes, whatever
    its arguments. `drawn`: others that say how they begin keep that themselves.
    """
    types = {type(op): head for op, head in written}
    layers = [
        _Weighted(layer.path, types[type(layer.op)], net.init_of(layer.op), layer.op.bias)
        for layer in net.layers
        if isinstance(layer.op, Weighted)
    ]
    made = {x.type for x in layers}
    layers += [
        _Weighted("", head, net.init_of(op), op.bias)
        for op, head in written
        if isinstance(op, Weighted) and head not in made
    ]
    usual = {
        t: Counter(x.init for x in layers if x.type == t).most_common(1)[0][0]
        for t in dict.fromkeys(x.type for x in layers)
    }
    alike: dict[Init, list[str]] = {}
    for t, init in usual.items():
        alike.setdefault(init, []).append(t)
    stateful = _resettable(written) + alike.pop(UNIFORM, [])
    margin = " " * _MARGIN
    lines = [f"{margin}for m in self.modules():"] if layers or stateful else []
    for init, heads in alike.items():
        bias = any(x.bias for x in layers if x.type in heads)
        lines += _of_types(heads, len(lines) > 1, _fill("m", init, bias, optional=True), init)
    if stateful:
        lines += _of_types(stateful, len(lines) > 1, ["m.reset_parameters()"])
    kept = {x.path for x in net.layers if isinstance(x.op, Weighted) and x.op.init is not None}
    others = [x for x in layers if x.path and x.init != usual[x.type]]
    others = [x for x in others if x.path in here or x.path not in kept]
    fixed = not any(p.static for p in net.parameters)
    for init in dict.fromkeys(x.init for x in others):
        same = [x for x in others if x.init == init]
        # The loop has zeroed the biases of the other types.
        zeroed = [x.bias and usual[x.type] == UNIFORM for x in same]
        if fixed and len(same) <= 2 and all(_is_attribute(x.path) for x in same):
            for x, bias in zip(same, zeroed, strict=True):
                lines += [margin + s for s in _fill(f"self.{x.path}", init, bias)]
        else:
            lines += _by_name(same, _fill("m", init, any(zeroed), optional=True))
    if drawn:
        lines.append(f"{margin}draw_own(self)")
    return [*lines, *_stated(net, types, fixed)]


def _stated(net: Net, types: Mapping[type[Op], str], fixed: bool) -> list[str]:
    """What layers say beside the `init` of convolutions and linear layers, by name.

    `types` are the classes of ops in PyTorch; `fixed`: the net has the same layers whatever its
    arguments.
    """
    calls: dict[str, list[_Weighted]] = {}
    for layer in net.layers:
        op = layer.op
        if not isinstance(op, Learned):
            continue
        one = _Weighted(layer.path, types[type(op)], UNIFORM, False)
        for name in layer.layer.tensors:
            own = op.bias_init if isinstance(op, LearnedWithBias) and name == "bias" else op.init
            weight = isinstance(op, Weighted) and name == "weight"
            if own is not None and layer.layer.tensors[name].learnable and not weight:
                calls.setdefault(_draw("{}", own, name), []).append(one)
        if op.frozen:
            calls.setdefault("{}.requires_grad_(False)", []).append(one)
    lines: list[str] = []
    for line, layers in calls.items():
        if fixed and len(layers) <= 2 and all(_is_attribute(x.path) for x in layers):
            lines += [f"{' ' * _MARGIN}{line.format(f'self.{x.path}')}" for x in layers]
        else:
            lines += _by_name(layers, [line.format("m")])
    return lines


def _resettable(written: Sequence[tuple[Op, str]]) -> list[str]:
    """The classes of further layers with tensors, which know how theirs begin."""
    found = [
        head
        for op, head in written
        if type(op).tensors is not Op.tensors and not isinstance(op, Weighted)
        if head.startswith("nn.") or head in sources()
    ]
    return list(dict.fromkeys(found))


def _of_types(
    types: Sequence[str], further: bool, body: Sequence[str], init: Init | None = None
) -> list[str]:
    """A branch of the loop over all modules."""
    # Xavier's of one fan is written as a call of another name, so the law is added.
    note = f"  # {init}" if init is not None and init.law == "xavier" and init.fan else ""
    margin = " " * (_MARGIN + 4)
    test = f"{margin}{'elif' if further else 'if'} isinstance(m, {' | '.join(types)}):{note}"
    return [test, *(f"{margin}    {line}" for line in body)]


def _fill(layer: str, init: Init, bias: bool, optional: bool = False) -> list[str]:
    """Statements that fill a layer's weight, and its bias with zeros, which may be optional."""
    lines = [_draw(layer, init)]
    if bias and optional:
        lines += [f"if {layer}.bias is not None:", f"    nn.init.zeros_({layer}.bias)"]
    elif bias:
        lines.append(f"nn.init.zeros_({layer}.bias)")
    return lines


def _draw(layer: str, init: Init, tensor: str = "weight") -> str:
    """The call that fills a layer's tensor; all of its tensors where its class knows how."""
    if init == UNIFORM:
        return f"{layer}.reset_parameters()"
    weight = f"{layer}.{tensor}"
    if init.bounds is not None:
        return f"nn.init.uniform_({weight}, {init.bounds[0]!r}, {init.bounds[1]!r})"
    if init.value is not None:
        return f"nn.init.constant_({weight}, {init.value!r})"
    if init.law == "bilinear":
        return f"bilinear_({weight})"
    if init.std is not None:
        return f"nn.init.normal_({weight}, std={init.std!r})"
    if init.law == "xavier" and init.fan is None:
        return f"nn.init.xavier_uniform_({weight})"
    mode = ', mode="fan_out"' if init.fan == "fan_out" else ""
    if init.law == "xavier":
        # Uniform, and of variance 1 / fan.
        return f'nn.init.kaiming_uniform_({weight}{mode}, nonlinearity="linear")'
    return f"nn.init.kaiming_normal_({weight}{mode})"


def _by_name(layers: Sequence[_Weighted], body: Sequence[str]) -> list[str]:
    """A loop with statements for each of the layers with these names, as `m`."""
    margin = " " * _MARGIN
    names = tuple_of([f'"{x.path}"' for x in layers])
    types = " | ".join(dict.fromkeys(x.type for x in layers))
    tests = statement(f"if isinstance(m, {types}) and name in ", names, _MARGIN + 4)
    start = [f"{margin}for name, m in self.named_modules():", *tests[:-1], f"{tests[-1]}:"]
    return [*start, *(f"{margin}        {s}" for s in body)]


def _is_attribute(path: str) -> bool:
    """Whether `self.PATH` is the layer."""
    return "." not in path and is_plain(path) and path not in MODULE_ATTRIBUTES
