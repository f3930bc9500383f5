"""The classes of modules: one for all uses of a module where that is possible, else several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from netspec.codegen.identifiers import Identifiers
from netspec.codegen.python_source import (
    WIDTH,
    FunctionCall,
    Keyword,
    Source,
    Verbatim,
    docstring,
)
from netspec.ir import Block, Instance
from netspec.lazy_dataclasses import dataclass
from netspec.ops import REQUIRED
from netspec.symbolic.expr import Channels, Parameter, Symbol, constant_source, expr_of, symbols
from netspec_torch.classbody import ClassBody, class_body
from netspec_torch.decided import decided
from netspec_torch.sequence import begins, has_long_loop, numbered, sequence
from netspec_torch.writer import ITERATION, NumberWriter

MOST_VARIANTS = 12
"""Most different classes of one module that are tried on each other."""
MOST_OPERATORS = 8
"""Most operators of an expression that is written in terms of a class's arguments."""

# PyTorch assigns self.training, which it refuses where a layer bears that name.
_TRAIN = [
    "    def train(self, mode: bool = True) -> Self:",
    '        self.__dict__["training"] = mode',
    "        for child in self.children():",
    "            child.train(mode)",
    "        return self",
]


@dataclass(frozen=True)
class Unit:
    """One emitted class. `arguments` are its constructor's, by the symbol they stand for.

    `defaults` are those of arguments that have one. `fixed` are the symbols whose values went into
    the class as plain numbers. `base` is the class that it is derived from. `decided` are the
    spans of the `if`s that the constructor decides.
    """

    name: str
    body: str
    arguments: tuple[tuple[Symbol, str], ...]
    defaults: Mapping[Symbol, Any]
    fixed: frozenset[Symbol] = frozenset()
    base: str = "nn.Module"
    decided: frozenset[object] = frozenset()


@dataclass(frozen=True, eq=False)
class _Draft:
    """The class of some blocks before it has a name."""

    blocks: tuple[Block, ...]
    body: str
    arguments: tuple[tuple[Symbol, str], ...]
    defaults: Mapping[Symbol, Any]
    writers: tuple[NumberWriter, ...]
    base: str = "nn.Module"


_Used = frozenset[Symbol] | None
_Form = Callable[
    [Sequence[Block], Sequence[NumberWriter], Callable[[Instance, NumberWriter], FunctionCall]],
    list[str] | None,
]


@dataclass(frozen=True, eq=False)
class _Scene:
    """What the class of some blocks is written with; `uses` has an instance of each block."""

    blocks: tuple[Block, ...]
    uses: Sequence[Instance]
    symbols: tuple[Symbol, ...]
    arguments: Mapping[Symbol, str]
    writers: list[NumberWriter]


class Units:
    """The classes of all modules that a net uses, inner ones first.

    `wanted` are their names by module, `reserved` the names that none of them may have, and
    `parameters` those of the net.
    """

    def __init__(
        self,
        net: Block,
        wanted: Mapping[str, str],
        reserved: Sequence[str],
        parameters: Iterable[str] = (),
    ) -> None:
        self.taken = (*reserved, *wanted.values())
        self.wanted = wanted
        self.instances: dict[str, dict[Block, Instance]] = {}
        for instance in instances(net):
            self.instances.setdefault(instance.block.module, {})[instance.block] = instance
        # A class called by a number must not be hidden by an argument.
        uses = [use for some in self.instances.values() for use in some.values()]
        arguments = {a.name for use in uses for a in use.arguments} | set(parameters)
        self.names = Identifiers((*reserved, *(arguments - set(wanted.values()))))
        self.units: list[Unit] = []
        self.by_block: dict[Block, Unit] = {}
        self.writers: list[NumberWriter] = []

    def of(self, instance: Instance) -> Unit:
        """The class of an instance's module."""
        if instance.block not in self.by_block:
            self._classes(instance.block.module)
        return self.by_block[instance.block]

    def _classes(self, module: str) -> None:
        """One class for all blocks of a module, or as few as can be."""
        blocks = tuple(self.instances[module])
        looped = any(map(has_long_loop, blocks))
        draft = self._sequence(blocks, numbered)
        draft = draft or (self._sequence(blocks, sequence) if looped else None)
        draft = draft or self._draft(blocks) or self._sequence(blocks, sequence)
        drafts = [draft] if draft is not None else self._grouped(blocks)
        for d in drafts:
            name = self.names.numbered(self.wanted[module])
            fixed = frozenset(s for w in d.writers for s in w.refused if s != ITERATION)
            unit = Unit(name, d.body, d.arguments, d.defaults, fixed, d.base, decided(d.blocks))
            self.units.append(unit)
            self.writers += d.writers
            self.by_block |= dict.fromkeys(d.blocks, unit)

    def _grouped(self, blocks: Iterable[Block]) -> list[_Draft]:
        """Blocks of equal text together, then what goes together with `if`s."""
        alike: dict[str, list[Block]] = {}
        for block in blocks:
            alike.setdefault(self._sure((block,)).body, []).append(block)
        groups = list(alike.values())
        if len(groups) > MOST_VARIANTS:
            return [self._sure(tuple(g)) for g in groups]
        merged: list[tuple[Block, ...]] = []
        for group in groups:
            for i, other in enumerate(merged):
                if self._draft((*other, *group)) is not None:
                    merged[i] = (*other, *group)
                    break
            else:
                merged.append(tuple(group))
        return [self._sure(g) for g in merged]

    def _sure(self, blocks: tuple[Block, ...]) -> _Draft:
        """The class of blocks that are known to go together: of one, or of equal text."""
        draft = self._draft(blocks)
        if draft is None:
            raise AssertionError(f"no class for {blocks[0].module}")
        return draft

    def _draft(self, blocks: tuple[Block, ...], names: _Used = None) -> _Draft | None:
        scene = self._scene(blocks, names)
        body = class_body(blocks, scene.writers, self.construct, self.taken)
        if body is None:
            return None
        return self._again(scene, names, self._draft) or self._drafted(scene, body)

    def _sequence(
        self, blocks: tuple[Block, ...], form: _Form, names: _Used = None
    ) -> _Draft | None:
        """All blocks as one `nn.Sequential`."""
        scene = self._scene(blocks, names)
        init = form(blocks, scene.writers, self.construct)
        if init is None:
            return None
        again = self._again(scene, names, lambda b, used: self._sequence(b, form, used))
        return again or self._drafted(scene, ClassBody(init, None, ()), "nn.Sequential")

    def _again(
        self,
        scene: _Scene,
        names: _Used,
        draft: Callable[[tuple[Block, ...], _Used], _Draft | None],
    ) -> _Draft | None:
        """The class once more, where a symbol that it has no use for took the name of another."""
        used = frozenset(s for w in scene.writers for s in w.used)
        unused = {n.rstrip("_") for s, n in scene.arguments.items() if s not in used}
        crowded = any(scene.arguments[s].rstrip("_") in unused for s in used)
        return draft(scene.blocks, used) if names is None and crowded else None

    def _scene(self, blocks: tuple[Block, ...], used: _Used) -> _Scene:
        """`used` are the symbols that get a name; None: all."""
        uses = [self.instances[b.module][b] for b in blocks]
        declared = [Parameter(a.name) for a in uses[0].arguments]
        channels = [Channels(v.name) for v in blocks[0].inputs]
        wanted: dict[Symbol, str] = {
            c: "in_channels" if len(channels) == 1 else f"{c.input}_channels" for c in channels
        }
        wanted |= {p: p.name for p in declared}
        wanted[ITERATION] = "i"
        names = Identifiers(self.taken)
        arguments = {s: names.identifier(n) for s, n in wanted.items() if not used or s in used}
        writers = [NumberWriter(_values(u), arguments, MOST_OPERATORS) for u in uses]
        return _Scene(blocks, uses, (*channels, *declared), arguments, writers)

    def _drafted(self, scene: _Scene, body: ClassBody, base: str = "nn.Module") -> _Draft | None:
        arguments, writers = scene.arguments, scene.writers
        used = set().union(*(w.used for w in writers))
        order = [s for s in scene.symbols if s in used]
        kinds = {s: {type_name(w.values[s]) for w in writers} for s in order}
        if any(len(k) > 1 for k in kinds.values()):
            return None
        defaults = _defaults(order, scene.uses[0])
        signature = [
            f"{arguments[s]}: {next(iter(kinds[s]))}"
            + (f" = {constant_source(defaults[s])}" if s in defaults else "")
            for s in order
        ]
        first = scene.blocks[0]
        text = class_text(first, docstring(first.doc, 4), signature, body)
        pairs = tuple((s, arguments[s]) for s in order)
        return _Draft(scene.blocks, text, pairs, defaults, tuple(writers), base)

    def construct(self, instance: Instance, writer: NumberWriter) -> FunctionCall:
        """The call that makes an instance, in terms of the block that it stands in."""
        unit = self.of(instance)
        outside = {
            Channels(inner.name): outer.shape[0]
            for inner, outer in zip(instance.block.inputs, instance.inputs, strict=True)
        }
        given = {a.name: a for a in instance.arguments}
        args: list[Source] = []
        for symbol, name in unit.arguments:
            if isinstance(symbol, Channels):
                args.append(Verbatim(writer.number(outside[symbol])))
                continue
            argument = given[symbol.name]
            if not isinstance(argument.value, int | float) or isinstance(argument.value, bool):
                source = writer.constant(argument.value, argument.expr)
            else:
                expr = argument.expr or expr_of(argument.value)
                source = writer.number(argument.value, expr)
            if symbol not in unit.defaults or source != constant_source(unit.defaults[symbol]):
                args.append(Keyword(name, Verbatim(source)))
        for symbol in unit.fixed:
            if isinstance(symbol, Channels):
                origin = expr_of(outside[symbol])
            else:
                origin = given[symbol.name].expr or expr_of(0)
            writer.refused |= set(symbols(origin)) - {ITERATION}
        return FunctionCall(unit.name, tuple(args))


def _values(instance: Instance) -> dict[Symbol, Any]:
    """What the symbols of an instance's block are."""
    values: dict[Symbol, Any] = {Channels(v.name): int(v.shape[0]) for v in instance.block.inputs}
    for argument in instance.arguments:
        if not isinstance(argument.value, tuple):
            values[Parameter(argument.name)] = argument.value
    return values


def _defaults(order: Sequence[Symbol], instance: Instance) -> dict[Symbol, Any]:
    """The defaults of the last arguments, as far as they go without a gap."""
    known = {Parameter(a.name): a.default for a in instance.arguments}
    defaults: dict[Symbol, Any] = {}
    for symbol in reversed(order):
        default = known.get(symbol, REQUIRED) if isinstance(symbol, Parameter) else REQUIRED
        if default is REQUIRED or isinstance(default, tuple):
            break
        defaults[symbol] = default
    return defaults


def type_name(value: Any) -> str:
    """The annotation of an argument."""
    return "None" if value is None else type(value).__name__


def instances(block: Block) -> list[Instance]:
    """An instance for each block that a block is made of, itself not counted."""
    found: dict[Block, Instance] = {}
    pending = [block]
    while pending:
        for node in pending.pop().nodes:
            if isinstance(node, Instance) and node.block not in found:
                found[node.block] = node
                pending.append(node.block)
    return list(found.values())


def class_text(block: Block, doc: list[str], signature: Sequence[str], body: ClassBody) -> str:
    """The lines of a class below its first."""
    lines = list(doc) if doc and doc[0].strip('" ') else []
    if body.init:
        if lines:
            lines.append("")
        lines += _def("__init__", ("self", *signature), 0)
        if not begins(body.init):
            lines.append("        super().__init__()")
        lines += body.init
    if body.forward is None:
        return "\n".join(lines)
    if lines:
        lines.append("")
    lines += _def("forward", ("self", *(f"{n}: Tensor" for n in body.inputs)), len(block.outputs))
    lines += body.forward
    if any('self._modules["training"]' in line for line in body.init):
        lines += ["", *_TRAIN]
    return "\n".join(lines)


def _def(name: str, args: Sequence[str], results: int) -> list[str]:
    """A method's first line, broken where it is too long; `results` 0 gives None."""
    tensors = ["Tensor"] * results
    result = {0: "None", 1: "Tensor"}.get(results, f"tuple[{', '.join(tensors)}]")
    line = f"    def {name}({', '.join(args)}) -> {result}:"
    if len(line) <= WIDTH:
        return [line]
    together = "        " + ", ".join(args)
    inner = [together] if len(together) <= WIDTH else [f"        {a}," for a in args]
    last = [f"    ) -> {result}:"]
    if len(last[0]) > WIDTH:
        last = ["    ) -> tuple[", *(f"        {t}," for t in tensors), "    ]:"]
    return [f"    def {name}(", *inner, *last]
