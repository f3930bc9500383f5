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
from collections.abc import Callable, Container, Iterable, Mapping, Sequence

from netspec.codegen.identifiers import is_plain
from netspec.codegen.module_names import MODULE_ATTRIBUTES
from netspec.codegen.python_source import (
    FunctionCall,
    Keyword,
    Source,
    Verbatim,
    call,
    statement,
    tuple_of,
)
from netspec.codegen.writing.emission import tensor_laws
from netspec.codegen.writing.spelling import ConstructorNumbers
from netspec.ir import FlatLayer, Net
from netspec.ops import UNIFORM, Init, Learned, Op, Weighted
from netspec_torch.support import sources

_INDENT = 8


def usual_laws(net: Net, ops: Iterable[Op]) -> dict[type[Op], Init]:
    """How most weights of each kind of layer begin."""
    found: dict[type[Op], Counter[Init]] = {}
    for op in ops:
        if isinstance(op, Weighted):
            found.setdefault(type(op), Counter())[net.init_of(op)] += 1
    return {of: laws.most_common(1)[0][0] for of, laws in found.items()}


def drawn(
    module: FunctionCall, laws: Mapping[str, Init], numbers: ConstructorNumbers
) -> FunctionCall:
    """The constructor of a layer that keeps how its tensors begin."""
    made: dict[str, Source] = {}
    for name, init in laws.items():
        head, keywords = _law(init, numbers.number)
        for support in ("draw_own", *({head} & sources().keys())):
            numbers.support(support)
        made[name] = call("partial", head, **keywords) if keywords else Verbatim(head)
    first = (made.pop("weight"),) if "weight" in made else ()
    rest = tuple(Keyword(name, law) for name, law in made.items())
    return FunctionCall(numbers.support("drawn"), (module, *first, *rest))


def drawing(init: Init, tensor: FunctionCall, numbers: ConstructorNumbers) -> FunctionCall:
    """A tensor, filled as it begins."""
    head, keywords = _law(init, numbers.number)
    return call(head, tensor, **keywords)


def initialization(
    net: Net, made: Sequence[tuple[Op, FunctionCall]], here: Container[str]
) -> list[str]:
    """The lines of `reset_parameters`: a loop with the usual law of each class, then the others.

    `made` are the ops of all layers that the classes make, for other arguments as well, each with
    its constructor. `here` are the names of layers that the net's class makes, whatever its
    arguments; others that say how they begin keep that themselves (`drawn`), as do frozen ones.
    """
    heads = [(op, _own(module).head) for op, module in made]
    types = {type(op): head for op, head in heads}
    usual = usual_laws(net, (x.op for x in net.layers))
    further = usual_laws(net, (op for op, _ in made))
    usual |= {of: init for of, init in further.items() if of not in usual}
    lines = _loop(usual, heads)
    if any(module.head == "drawn" for _, module in made):
        lines.append("draw_own(self)")
    fixed = not any(p.static for p in net.parameters)
    for (line, zeroed), layers in _unusual(net, usual, here).items():
        if fixed and len(layers) <= 2 and all(_is_attribute(x.path) for x in layers):
            for name in (f"self.{x.path}" for x in layers):
                lines += [line.format(name), *([f"nn.init.zeros_({name}.bias)"] if zeroed else [])]
            continue
        names = tuple_of([f'"{x.path}"' for x in layers])
        of = " | ".join(dict.fromkeys(types[type(x.op)] for x in layers))
        test = statement(f"if isinstance(m, {of}) and name in ", names, _INDENT + 4)
        test[-1] += ":"
        lines += ["for name, m in self.named_modules():", *(line[_INDENT:] for line in test)]
        lines += [f"        {s}" for s in (line.format("m"), *(_ZEROS if zeroed else []))]
    return [" " * _INDENT + line for line in lines]


_ZEROS = ("if m.bias is not None:", "    nn.init.zeros_(m.bias)")


def _own(module: FunctionCall) -> FunctionCall:
    """The constructor of a layer that keeps how it begins, or of any other."""
    inner = module.args[0] if module.head == "drawn" else module
    assert isinstance(inner, FunctionCall)
    return inner


def _loop(usual: Mapping[type[Op], Init], heads: Sequence[tuple[Op, str]]) -> list[str]:
    """A loop over all modules, in which each class begins as usual.

    `heads` are ops, each with its class in PyTorch.
    """
    types = {type(op): head for op, head in heads}
    alike: dict[Init, list[str]] = {}
    for of, init in usual.items():
        alike.setdefault(init, []).append(types[of])
    # Further layers with tensors know how theirs begin.
    resettable = [
        head
        for op, head in heads
        if type(op).tensors is not Op.tensors and not isinstance(op, Weighted)
        if head.startswith("nn.") or head in sources()
    ]
    begun = [*dict.fromkeys(resettable), *alike.pop(UNIFORM, [])]
    alike |= {UNIFORM: begun} if begun else {}
    biased = {head for op, head in heads if isinstance(op, Weighted) and op.bias}
    lines = ["for m in self.modules():"] if alike else []
    for init, classes in alike.items():
        branch = "elif" if len(lines) > 1 else "if"
        # Xavier's of one fan is written as a call of another name, so the law is added.
        note = f"  # {init}" if init.law == "xavier" and init.fan else ""
        lines.append(f"    {branch} isinstance(m, {' | '.join(classes)}):{note}")
        zeros = _ZEROS if init != UNIFORM and not biased.isdisjoint(classes) else ()
        lines += [f"        {s}" for s in (_draw("m", init), *zeros)]
    return lines


def _unusual(
    net: Net, usual: Mapping[type[Op], Init], here: Container[str]
) -> dict[tuple[str, bool], list[FlatLayer]]:
    """What layers say beside the usual, each with the layers that say it.

    That is a statement, with `{}` for the layer, and whether it begins with a bias of zeros.
    """
    found: dict[tuple[str, bool], list[FlatLayer]] = {}
    own = [x for x in net.layers if x.weights == x.path and not x.layer.bare]
    for x in own:
        if isinstance(x.op, Weighted) and (x.path in here or x.op.init is None):
            init, others = net.init_of(x.op), usual[type(x.op)]
            if init != others:
                # The loop has zeroed the biases of the other types.
                zeroed = x.op.bias and others == UNIFORM
                found.setdefault((_draw("{}", init), zeroed), []).append(x)
    for x in own:
        op = x.op
        if not isinstance(op, Learned) or x.path not in here:
            continue
        for name, law in tensor_laws(op, x.layer.tensors).items():
            if not (isinstance(op, Weighted) and name == "weight"):
                found.setdefault((_draw("{}", law, name), False), []).append(x)
        if op.frozen:
            found.setdefault(("{}.requires_grad_(False)", False), []).append(x)
    return found


def _draw(layer: str, init: Init, tensor: str = "weight") -> str:
    """The call that fills a layer's tensor; all of its tensors where its class knows how."""
    if init == UNIFORM:
        return f"{layer}.reset_parameters()"
    head, keywords = _law(init, repr)
    plain = [v if name in ("a", "b", "val") else f"{name}={v}" for name, v in keywords.items()]
    return call(head, f"{layer}.{tensor}", *plain).flat()


def _law(init: Init, number: Callable[[float], str]) -> tuple[str, dict[str, str]]:
    """The function that fills a tensor, and its further arguments, with numbers written so."""
    names = {"uniform": ("a", "b"), "constant": ("val",), "normal": ("std",)}.get(init.law)
    if names is not None:
        given = dict(zip(names, map(number, init.numbers), strict=True))
        return f"nn.init.{init.law}_", given
    if init.law == "bilinear":
        return "bilinear_", {}
    if init.law == "xavier" and init.fan is None:
        return "nn.init.xavier_uniform_", {}
    mode = {"mode": '"fan_out"'} if init.fan == "fan_out" else {}
    if init.law == "xavier":
        # Uniform, and of variance 1 / fan.
        return "nn.init.kaiming_uniform_", {**mode, "nonlinearity": '"linear"'}
    return "nn.init.kaiming_normal_", mode


def _is_attribute(path: str) -> bool:
    """Whether `self.PATH` is the layer."""
    return "." not in path and is_plain(path) and path not in MODULE_ATTRIBUTES
