"""From IR to PyTorch: a class for each module, an attribute for each layer with state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from netspec.ir import Argument, Block, Instance, Layer, Net, Node
from netspec.layout import Call, Keyword, Source, Text, call, docstring, statement
from netspec.naming import Names, class_name, is_plain
from netspec.ops import BatchNorm, Op, Shape
from netspec.outline import Outline, Step, outline, shape_comment
from netspec.picture import picture
from netspec.symbolic import Channels, Expr, Parameter, expr_of, symbols
from netspec_torch.emitters import EMITTERS, WRAPS, Use
from netspec_torch.reserved import MODULE_ATTRIBUTES
from netspec_torch.support import sources
from netspec_torch.writer import Writer

_GLOBALS = ("torch", "nn", "F", "np", "math", "self", "Tensor", "Path", "Any", "load_file")
_OWN_METHODS = {"load", "preprocess"}
# PyTorch assigns self.training, which it refuses where a layer bears that name.
_TRAIN = [
    "    def train(self, mode: bool = True) -> Self:",
    '        self.__dict__["training"] = mode',
    "        for child in self.children():",
    "            child.train(mode)",
    "        return self",
]


class TorchBackend:
    """Emits a module that needs torch, numpy and safetensors."""

    name = "torch"
    emitters: Mapping[type[Op], Any] = EMITTERS
    packages: Sequence[str] = ("torch", "numpy", "safetensors")

    def check(self, layer: Layer, used: Sequence[bool]) -> None:
        """Raises Unsupported for what PyTorch has no like of."""
        EMITTERS[type(layer.op)](layer, Writer({}, Names(), 0), any(used[1:]))

    def emit(self, net: Net) -> str:
        return _File(net).source()

    def run(self, model: Any, *inputs: Any) -> tuple[Any, ...]:
        import torch

        model.eval()
        with torch.inference_mode():
            result = model(*(torch.from_numpy(x) for x in inputs))
        results = result if isinstance(result, tuple) else (result,)
        return tuple(r.numpy() for r in results)

    def set_weights(self, model: Any, weights: Mapping[str, Any]) -> None:
        import torch

        state = {name: torch.tensor(array) for name, array in weights.items()}
        missing, unexpected = model.load_state_dict(state, strict=False)
        amiss = [n for n in missing if not n.endswith(".num_batches_tracked")] + unexpected
        if amiss:
            raise RuntimeError(f"emitted model and net differ in {', '.join(amiss)}")


@dataclass(frozen=True)
class _Unit:
    """One emitted class. `arguments` are its constructor's, by the symbol they stand for.

    `fixed` are the symbols whose values here went into the class as plain numbers.
    """

    name: str
    body: str
    arguments: tuple[tuple[Parameter | Channels, str], ...]
    fixed: frozenset[Parameter | Channels] = frozenset()


class _File:
    def __init__(self, net: Net) -> None:
        self.net = net
        modules = {n.block.module: n.block for n in _instances(net.body, set())}
        wanted = {m: class_name(m, b.doc) for m, b in modules.items()}
        self.wanted = wanted
        self.net_name = Names((*_GLOBALS, *sources())).numbered(class_name(net.name, net.doc))
        self.taken = (*_GLOBALS, *sources(), *wanted.values(), self.net_name)
        self.class_names = Names((*_GLOBALS, *sources(), self.net_name))
        self.units: dict[tuple[str, str], _Unit] = {}
        self.by_block: dict[Block, _Unit] = {}
        self.uses: dict[Node, Use] = {}
        self.uses_math = False
        self.supports: set[str] = set()

    def source(self) -> str:
        body = self._net_body()
        net_unit = _Unit(self.net_name, body, ())
        x = self.net.body.inputs[0].shape if self.net.body.inputs else ()
        prepared = picture(self.net, _vector)
        bodies = "".join(u.body for u in self.units.values()) + body
        template = _environment().get_template("model.py.j2")
        height, width = (int(x[1]), int(x[2])) if len(x) == 3 else (0, 0)
        rendered = template.render(
            header="\n".join(docstring(self._header(), 0)),
            supports=[source for name, source in sources().items() if name in self.supports],
            modules=list(self.units.values()),
            net=net_unit,
            preprocess=prepared,
            height=height,
            width=width,
            uses_math=self.uses_math,
            typing=[
                n for n in ("Any", "Self") if (prepared and n == "Any") or f"-> {n}:" in bodies
            ],
            uses_functional="F." in bodies or prepared is not None,
            has_counters=any(isinstance(f.op, BatchNorm) for f in self.net.layers),
        )
        return rendered.rstrip() + "\n"

    def _header(self) -> str:
        title = self.net.doc or f"{self.net_name}."
        file = Path(self.net.file).name
        return f"{title}\n\nCompiled by netspec from {file}: change the spec, not this file."

    # --- classes ---------------------------------------------------------------------------------

    def unit(self, instance: Instance) -> _Unit:
        """The class of an instance's module. Uses that come to the same text share one."""
        block = instance.block
        if block in self.by_block:
            return self.by_block[block]
        values: dict[Parameter | Channels, int | float] = {
            Channels(v.name): int(v.shape[0]) for v in block.inputs
        }
        values |= {Parameter(a.name): a.value for a in instance.arguments if a.expr is not None}
        names = Names(self.taken)
        writer = Writer(values, names, most_operators=8)
        declared = [Parameter(a.name) for a in instance.arguments]
        channels = [Channels(v.name) for v in block.inputs]
        init, steps = self._init(block, writer)
        order: list[Parameter | Channels] = [*channels, *declared]
        arguments = tuple((s, writer.used[s]) for s in order if s in writer.used)
        signature = [f"{name}: {_type(values[s])}" for s, name in arguments]
        body = self._class_body(block, docstring(block.doc, 4), signature, init, steps, False)
        self.uses_math = self.uses_math or writer.needs_math
        key = (block.module, body)
        if key not in self.units:
            name = self.class_names.numbered(self.wanted[block.module])
            self.units[key] = _Unit(name, body, arguments, frozenset(writer.refused))
        self.supports |= writer.supports
        self.by_block[block] = self.units[key]
        return self.units[key]

    def _net_body(self) -> str:
        """The net's class. Its parameters are arguments where every use of them can be written."""
        free: dict[Parameter | Channels, int | float] = {
            Parameter(p.name): p.value
            for p in self.net.parameters
            if not p.structural and isinstance(p.value, int | float)
            if not isinstance(p.value, bool)
        }
        block = self.net.body
        while True:
            writer = Writer(dict(free), Names(self.taken), most_operators=1)
            init, steps = self._init(block, writer)
            frozen = writer.refused & set(free)
            if not frozen:
                break
            free = {s: v for s, v in free.items() if s not in frozen}
        self.supports |= writer.supports
        signature = [
            f"{writer.used[s]}: {_type(v)} = {v!r}" for s, v in free.items() if s in writer.used
        ]
        doc = docstring(self._net_doc(), 4)
        return self._class_body(block, doc, signature, init, steps, True)

    def _net_doc(self) -> str:
        inputs = ", ".join(_batch(v.shape) for v in self.net.body.inputs)
        outputs = ", ".join(_batch(v.shape) for v in self.net.body.outputs)
        return f"{inputs} to {outputs}; {self.net.params:,} parameters."

    def _class_body(
        self,
        block: Block,
        doc: list[str],
        signature: list[str],
        init: list[str],
        steps: Outline,
        shapes: bool,
    ) -> str:
        lines = list(doc) if doc and doc[0].strip('" ') else []
        if init:
            if lines:
                lines.append("")
            args = tuple(Text(a) for a in ("self", *signature))
            lines += _def("__init__", args, "None")
            lines.append("        super().__init__()")
            lines += init
        if lines:
            lines.append("")
        result = "Tensor"
        if len(block.outputs) > 1:
            result = f"tuple[{', '.join(['Tensor'] * len(block.outputs))}]"
        inputs = tuple(Text(f"{name}: Tensor") for name in steps.inputs)
        lines += _def("forward", (Text("self"), *inputs), result)
        lines += self._forward(steps, shapes)
        if any('self._modules["training"]' in line for line in init):
            lines += ["", *_TRAIN]
        return "\n".join(lines)

    # --- the constructor -------------------------------------------------------------------------

    def _init(self, block: Block, writer: Writer) -> tuple[list[str], Outline]:
        """The lines that make the block's layers, and the steps of its forward."""
        steps = outline(block, self.taken, _wraps)
        used = {v for node in block.nodes for v in node.inputs} | set(block.outputs)
        lines: list[str] = []
        for node in block.nodes:
            module: Call | None
            several = any(v in used for v in node.outputs[1:])
            if isinstance(node, Instance):
                module = self._construct(node, writer)
                self.uses[node] = Use(module, _first if node.outputs[1:] and not several else _all)
            else:
                use = EMITTERS[type(node.op)](node, writer, several)
                self.uses[node] = use
                module = use.module
            if module is not None:
                lines += statement(f"{_attribute(node.name)} = ", module, 8)
        return lines, steps

    def _construct(self, instance: Instance, writer: Writer) -> Call:
        unit = self.unit(instance)
        outside: dict[Channels, int] = {
            Channels(inner.name): outer.shape[0]
            for inner, outer in zip(instance.block.inputs, instance.inputs, strict=True)
        }
        given: dict[str, Argument] = {a.name: a for a in instance.arguments}
        args: list[Source] = []
        for symbol, name in unit.arguments:
            if isinstance(symbol, Channels):
                args.append(Text(writer.number(outside[symbol])))
            else:
                argument = given[symbol.name]
                expr: Expr = argument.expr or expr_of(argument.value)
                args.append(Keyword(name, Text(writer.number(argument.value, expr))))
        for symbol in unit.fixed:
            if isinstance(symbol, Channels):
                source = expr_of(outside[symbol])
            else:
                source = given[symbol.name].expr or expr_of(0)
            writer.refused |= set(symbols(source))
        return Call(unit.name, tuple(args))

    # --- forward ---------------------------------------------------------------------------------

    def _forward(self, steps: Outline, shapes: bool) -> list[str]:
        lines: list[str] = []
        shown: Shape | None = None
        for step in steps.steps:
            source = self._expression(step)
            if step.returns:
                return lines + statement("return ", source, 8)
            comment, shown = shape_comment(step, shown) if shapes else ("", None)
            targets = ", ".join(t or "_" for t in step.targets)
            lines += statement(f"{targets} = ", source, 8, comment)
        outputs: Source = Text(steps.outputs[0])
        if len(steps.outputs) > 1:
            return lines + statement("return ", Text(", ".join(steps.outputs)), 8)
        return lines + statement("return ", outputs, 8)

    def _expression(self, step: Step) -> Source:
        inputs: list[Source] = [Text(name) for name in step.inputs]
        for node in step.nodes:
            inputs = [self.uses[node].forward(_attribute(node.name), inputs)]
        return inputs[0]


def _def(name: str, args: tuple[Source, ...], result: str) -> list[str]:
    """A method's first line, broken where it is too long."""
    line = f"    def {name}({', '.join(a.flat() for a in args)}) -> {result}:"
    if len(line) <= 88:
        return [line]
    together = "        " + ", ".join(a.flat() for a in args)
    inner = [together] if len(together) <= 88 else [f"        {a.flat()}," for a in args]
    return [f"    def {name}(", *inner, f"    ) -> {result}:"]


def _instances(block: Block, seen: set[Block]) -> list[Instance]:
    found = []
    for node in block.nodes:
        if isinstance(node, Instance) and node.block not in seen:
            seen.add(node.block)
            found += [node, *_instances(node.block, seen)]
    return found


def _all(name: str, inputs: list[Source]) -> Source:
    return call(name, *inputs)


def _first(name: str, inputs: list[Source]) -> Source:
    return Call(name, tuple(inputs), tail="[0]")


def _wraps(node: Node) -> bool:
    return isinstance(node, Layer) and type(node.op) in WRAPS


def _attribute(name: str) -> str:
    """How a layer is reached from `self`, such that its weights bear its name."""
    if is_plain(name) and name not in MODULE_ATTRIBUTES and name not in _OWN_METHODS:
        return f"self.{name}"
    return f'self._modules["{name}"]'


def _type(value: int | float) -> str:
    return "float" if isinstance(value, float) else "int"


def _batch(shape: tuple[int, ...]) -> str:
    return f"(N, {', '.join(str(int(d)) for d in shape)})"


def _vector(numbers: tuple[float, ...]) -> str:
    return f"torch.tensor({[float(n) for n in numbers]}).view(-1, 1, 1)"


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
