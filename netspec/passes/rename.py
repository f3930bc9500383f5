"""Gives layers and instances other names, and other nesting.

    before: conv1, conv1_relu, pool1, fire2 { squeeze ... }      with conv1 -> features.0,
    after:  features { 0, conv1_relu, pool1, 3 { squeeze ... } }      fire2 -> features.3

What has no weights keeps its name. A name with dots puts the layer into a block of its own, which
the emitted code constructs and calls like a module; so weights bear the new names in every backend.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from netspec.ir import Argument, Block, Choice, Instance, Layer, Net, Node, Value
from netspec.lazy_dataclasses import dataclass, field, fields, replace
from netspec.ops import Op, Shape, like
from netspec.symbolic.expr import (
    Channels,
    Dim,
    Expr,
    Parameter,
    Real,
    SizeOf,
    Symbol,
    substituted,
    symbols,
)


@dataclass(frozen=True)
class NameMap:
    """`paths` are new names for layers and instances by their full paths, `modules` new names for
    what stands in a module, by the module's name and the old name there; the former win.
    """

    paths: Mapping[str, str]
    modules: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class CannotRename(Exception):
    """Names that don't fit the net; `rule` is the module (or "") and the old name of the rule."""

    def __init__(self, message: str, rule: tuple[str, str]) -> None:
        super().__init__(message)
        self.message = message
        self.rule = rule


class RenamedNet(NamedTuple):
    """The net with its new names; `keys` are the new names of all tensors by the old ones."""

    net: Net
    keys: Mapping[str, str]


def rename(net: Net, names: NameMap) -> RenamedNet:
    """The net under these names. Raises CannotRename for names that do not fit it."""
    work = _Rename(names)
    values: dict[Symbol, Any] = {Parameter(p.name): p.value for p in net.parameters}
    body = work.block(net.body, "", "", values)
    for rule in work.rules():
        if rule not in work.used:
            module, name = rule
            where = f"the module {module}" if module else net.name
            message = f"{where} has no layer {name} with weights"
            raise CannotRename(message, rule)
    return RenamedNet(replace(net, body=body), work.keys)


_Values = Mapping[Symbol, Any]


class _Rename:
    def __init__(self, names: NameMap) -> None:
        self.names = names
        self.used: set[tuple[str, str]] = set()
        self.keys: dict[str, str] = {}
        self.done: dict[object, Block] = {}

    def rules(self) -> Iterable[tuple[str, str]]:
        yield from (("", path) for path in self.names.paths)
        for module, rules in self.names.modules.items():
            yield from ((module, name) for name in rules)

    def block(self, block: Block, old: str, new: str, values: _Values) -> Block:
        """A block whose path was `old` and is `new` (both end in a dot, or are empty)."""
        named: _Named = []
        for i, node in enumerate(block.nodes):
            if not _has_tensors(node):
                named.append(_Entry((), node, (i,)))
                continue
            path = self._path(block, node, old, new)
            if isinstance(node, Layer):
                for name in node.tensors:
                    self.keys[f"{old}{node.name}.{name}"] = f"{path}.{name}"
                named.append(_Entry(tuple(path[len(new) :].split(".")), node, (i,)))
                continue
            inner: dict[Symbol, Any] = {Parameter(a.name): a.value for a in node.arguments}
            inner |= {Channels(v.name): int(v.shape[0]) for v in node.block.inputs}
            body = self._shared(node, f"{old}{node.name}.", f"{path}.", inner)
            parts = tuple(path[len(new) :].split("."))
            same = node if body is node.block else replace(node, block=body)
            named.append(_Entry(parts, same, (i,)))
        entries = _nest(named, block.outputs, values, block.module, self._rule_of(block, old))
        nodes = tuple(entry.node for entry in entries)
        in_order = [entry.positions for entry in entries] == [(i,) for i in range(len(block.nodes))]
        if in_order and all(a is b for a, b in zip(nodes, block.nodes, strict=True)):
            return block
        return replace(
            block,
            nodes=nodes,
            choices=_choices(block.choices, entries),
            loops=block.loops if in_order else (),
            template=None,
        )

    def _shared(self, node: Instance, old: str, new: str, values: _Values) -> Block:
        """Instances share the new block as they shared the old one, unless their rules differ."""
        paths = self.names.paths.items()
        own = tuple((path[len(old) :], name) for path, name in paths if path.startswith(old))
        before = len(self.keys)
        key = (node.block, own, new if own else "")
        known = self.done.get(key)
        block = self.block(node.block, old, new, values)  # walked again for its keys
        assert len(self.keys) > before
        return self.done.setdefault(key, block) if known is None else known

    def _path(self, block: Block, node: Node, old: str, new: str) -> str:
        """The new path of a node."""
        full = old + node.name
        if full in self.names.paths:
            rule = ("", full)
            path = self.names.paths[full]
            if not path.startswith(new):
                message = f"{full} can't become {path}: what it stands in becomes {new[:-1]}"
                raise CannotRename(message, rule)
        elif block.kind == "module" and node.name in self.names.modules.get(block.module, {}):
            rule = (block.module, node.name)
            path = new + self.names.modules[block.module][node.name]
        else:
            return new + node.name
        self.used.add(rule)
        return path

    def _rule_of(self, block: Block, old: str) -> Mapping[str, tuple[str, str]]:
        """The rule that names a node of a block, by the node's old name."""
        inside = self.names.modules.get(block.module, {}) if block.kind == "module" else {}
        rules = {name: (block.module, name) for name in inside}
        for path in self.names.paths:
            if path.startswith(old) and "." not in path[len(old) :]:
                rules[path[len(old) :]] = ("", path)
        return rules


def _has_tensors(node: Node) -> bool:
    if isinstance(node, Layer):
        return bool(node.tensors)
    return any(_has_tensors(n) for n in node.block.nodes)


class _Entry(NamedTuple):
    """A node, the parts of its new name (none, where it keeps its own), and its old positions."""

    parts: tuple[str, ...]
    node: Node
    positions: tuple[int, ...]


_Named = list[_Entry]


def _nest(
    named: _Named,
    outputs: Iterable[Value],
    values: _Values,
    owner: str,
    rules: Mapping[str, tuple[str, str]],
) -> _Named:
    """The nodes under their new names; those with more than one part inside blocks of their own."""
    while True:
        group = next((e.parts[0] for e in named if len(e.parts) > 1), None)
        if group is None:
            break
        members = [e.parts[:1] == (group,) for e in named]
        namesake = next((e.node for e in named if e.parts == (group,)), None)
        first = next(e.node for e in named if e.parts[:1] == (group,))
        if namesake is not None:
            message = f"{group} can't be the name of {namesake.name} and contain others as well"
            raise CannotRename(message, rules.get(namesake.name, ("", namesake.name)))
        before, inside, after = _divide(named, members, group, rules)
        body = [e._replace(parts=e.parts[1:]) for e in inside]
        others = [e.node for e in (*before, *after)]
        used = {v for node in others for v in (*node.inputs, *_sized(node))} | set(outputs)
        instance = _container(group, first, body, used, values, owner, rules)
        positions = tuple(i for e in inside for i in e.positions)
        named = [*before, _Entry((group,), instance, positions), *after]
    taken: set[str] = set()
    for parts, node, _ in named:
        if parts and parts[0] in taken:
            message = f"two layers would both be called {parts[0]}"
            raise CannotRename(message, rules.get(node.name, ("", node.name)))
        taken.update(parts)
    result: _Named = []
    for entry in named:
        parts, node, _ = entry
        name = parts[0] if parts else node.name
        while not parts and name in taken:
            name += "_"
        taken.add(name)
        result.append(entry._replace(node=replace(node, name=name)))
    return result


def _choices(choices: Iterable[Choice], named: _Named) -> tuple[Choice, ...]:
    """The choices of a block with their nodes where they are now; none where they are scattered."""
    result = []
    for choice in choices:
        old = range(choice.start, choice.end)
        inside = [i for i, e in enumerate(named) if any(i in old for i in e.positions)]
        if not all(place in old for i in inside for place in named[i].positions):
            return ()
        start = inside[0] if inside else sum(e.positions[-1] < choice.start for e in named)
        if inside != list(range(start, start + len(inside))):
            return ()
        inner = _choices(choice.inner, named)
        if len(inner) != len(choice.inner):
            return ()
        result.append(replace(choice, start=start, end=start + len(inside), inner=inner))
    return tuple(result)


def _divide(
    named: _Named, members: list[bool], group: str, rules: Mapping[str, tuple[str, str]]
) -> tuple[_Named, _Named, _Named]:
    """What runs before a group, the group itself, and what runs after it.

    What has no weights and stands between members that depend on each other joins the group.
    """
    made: set[Value] = set()
    below = []
    for member, (_, node, _) in zip(members, named, strict=True):
        depends = not made.isdisjoint(node.inputs)
        below.append(depends)
        if member or depends:
            made.update(node.outputs)
    needed: set[Value] = set()
    above = [False] * len(named)
    for i in range(len(named) - 1, -1, -1):
        above[i] = not needed.isdisjoint(named[i].node.outputs)
        if members[i] or above[i]:
            needed.update(named[i].node.inputs)
    before: _Named = []
    inside: _Named = []
    after: _Named = []
    for i, entry in enumerate(named):
        node = entry.node
        if members[i]:
            inside.append(entry)
        elif not below[i]:
            before.append(entry)
        elif not above[i]:
            after.append(entry)
        elif not entry.parts:
            inside.append(entry)
        else:
            message = (
                f"{node.name} runs between layers of {group}, so it can't be outside of {group}"
            )
            raise CannotRename(message, rules.get(node.name, ("", node.name)))
    return before, inside, after


def _container(
    name: str,
    first: Node,
    named: _Named,
    used: set[Value],
    values: _Values,
    owner: str,
    rules: Mapping[str, tuple[str, str]],
) -> Instance:
    """An instance of a new block around nodes. `used` are the values that others take."""
    module = f"{owner}_{name}" if name.isdigit() else name
    made = {v for e in named for v in e.node.outputs}
    taken = dict.fromkeys(v for e in named for v in e.node.inputs if v not in made)
    given = dict.fromkeys(v for e in named for v in e.node.outputs if v in used)
    found = dict.fromkeys(s for v in taken for s in _of_shape(v.shape))
    found |= dict.fromkeys(s for e in named for s in _symbols(e.node))
    channels = [s for s in found if isinstance(s, Channels)]
    known = {s.name for s in found if isinstance(s, Parameter)}
    inner: dict[Symbol, Expr] = {}
    for symbol in found:
        match symbol:
            case Channels(input):
                wanted = "in_channels" if len(channels) == 1 else f"{input}_channels"
            case SizeOf(value, axis) if value not in made and value not in taken:
                wanted = f"{value.name.replace('.', '_')}_{'height' if axis == 1 else 'width'}"
            case _:
                inner[symbol] = symbol
                continue
        while wanted in known:
            wanted += "_"
        known.add(wanted)
        inner[symbol] = Parameter(wanted)
    # An input is called as the value that it takes: `one.a` would be no name.
    names = {v: v.name.replace(".", "_") for v in taken}
    inside = {v: Value(names.get(v, v.name), _shape(v.shape, inner)) for v in (*taken, *made)}
    for symbol in found:
        if isinstance(symbol, SizeOf) and symbol.value in inside:
            inner[symbol] = SizeOf(inside[symbol.value], symbol.axis)
    moved = [e._replace(node=_moved(e.node, inside, inner)) for e in named]
    results = tuple(inside[v] for v in given)
    arguments = tuple(
        Argument(p.name, int(s.value.shape[s.axis]) if isinstance(s, SizeOf) else values.get(s), s)
        for s, p in inner.items()
        if isinstance(p, Parameter)
    )
    environment: dict[Symbol, Any] = {Parameter(a.name): a.value for a in arguments}
    several = len(results) > 1
    block = Block(
        "module",
        module,
        "",
        tuple(inside[v] for v in taken),
        tuple(e.node for e in _nest(moved, results, environment, module, rules)),
        results,
        tuple(v.name.rpartition(".")[2] for v in results) if several else ("",) * len(results),
    )
    return Instance(name, None, block, arguments, tuple(taken), tuple(given), first.span)


# --- numbers in terms of the new block -----------------------------------------------------------


def _symbols(node: Node) -> Iterable[Symbol]:
    if isinstance(node, Layer):
        for op in filter(None, (node.op, node.stated)):
            for f in fields(op):
                yield from _of(getattr(op, f.name))
    else:
        for argument in node.arguments:
            if argument.expr is not None:
                yield from symbols(argument.expr)
    for value in node.outputs:
        yield from _of_shape(value.shape)


def _sized(node: Node) -> Iterable[Value]:
    """The values whose heights and widths a node's numbers follow."""
    return (s.value for s in _symbols(node) if isinstance(s, SizeOf))


def _of(value: Any) -> Iterable[Symbol]:
    if isinstance(value, tuple):
        for item in value:
            yield from _of(item)
    elif isinstance(value, Dim | Real):
        yield from symbols(value.expr)


def _of_shape(shape: Shape) -> Iterable[Symbol]:
    return _of(tuple(shape))


def _moved(node: Node, inside: Mapping[Value, Value], inner: Mapping[Symbol, Expr]) -> Node:
    inputs = tuple(inside[v] for v in node.inputs)
    outputs = tuple(inside[v] for v in node.outputs)
    if isinstance(node, Layer):
        stated = node.stated and _op(node.stated, inner)
        op = _op(node.op, inner)
        return replace(node, op=op, stated=stated, inputs=inputs, outputs=outputs)
    arguments = tuple(
        replace(a, expr=None if a.expr is None else substituted(a.expr, inner.__getitem__))
        for a in node.arguments
    )
    return replace(node, arguments=arguments, inputs=inputs, outputs=outputs)


def _op(op: Op, inner: Mapping[Symbol, Expr]) -> Op:
    old = {f.name: getattr(op, f.name) for f in fields(op)}
    return replace(op, **{name: _number(value, inner) for name, value in old.items()})


def _number(value: Any, inner: Mapping[Symbol, Expr]) -> Any:
    if type(value) is tuple:
        return tuple(_number(v, inner) for v in value)
    if isinstance(value, Dim):
        return Dim(int(value), substituted(value.expr, inner.__getitem__))
    if isinstance(value, Real):
        return Real(float(value), substituted(value.expr, inner.__getitem__))
    return value


def _shape(shape: Shape, inner: Mapping[Symbol, Expr]) -> Shape:
    return like(shape, tuple(_number(d, inner) for d in shape))
