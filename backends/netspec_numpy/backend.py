"""From IR to NumPy: a function for each module, the kernels it needs beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from netspec.ir import Block, Instance, Layer, Net, Node
from netspec.layout import Call, Source, Text, docstring, statement
from netspec.naming import Names, class_name
from netspec.ops import Op, Shape
from netspec.outline import FLOW, outline, shape_comment
from netspec.picture import picture
from netspec_numpy.emitters import EMITTERS, WRAPS
from netspec_numpy.library import kernel_names, reads, with_helpers

_GLOBALS = (
    "np",
    "Any",
    "Array",
    "Weights",
    "SHAPES",
    "FILLS",
    "Path",
    "Callable",
    "self",
    "w",
    "name",
)
_MODULES = ("json", "struct", "math")


class NumpyBackend:
    """Emits a module that needs NumPy and nothing else."""

    name = "numpy"
    emitters: Mapping[type[Op], Any] = EMITTERS
    packages: Sequence[str] = ("numpy",)

    def check(self, layer: Layer, used: Sequence[bool]) -> None:
        """Every attribute of every op here can be expressed."""

    def emit(self, net: Net) -> str:
        return _File(net).source()

    def run(self, model: Any, *inputs: Any) -> tuple[Any, ...]:
        result = model(*inputs)
        return result if isinstance(result, tuple) else (result,)

    def set_weights(self, model: Any, weights: Mapping[str, Any]) -> None:
        wanted = {name: array.shape for name, array in model.weights.items()}
        found = {name: array.shape for name, array in weights.items()}
        if wanted != found:
            raise RuntimeError("emitted model and net differ in their weights")
        model.weights = dict(weights)


class _Function:
    """The scope of one emitted function: its kernels, and how it reaches its weights."""

    def __init__(self, file: _File, prefix: str | None) -> None:
        self.file = file
        self.prefix = prefix
        self.has_weights = False

    def weight(self, layer: Layer, name: str) -> str:
        return f"w[{self.path(f'{layer.name}.{name}')}]"

    def path(self, name: str) -> str:
        """Source of the full name of something in this block."""
        self.has_weights = True
        return f'"{name}"' if self.prefix is None else f'f"{{{self.prefix}}}.{name}"'

    def kernel(self, name: str) -> str:
        self.file.kernels.add(name)
        return name


class _File:
    def __init__(self, net: Net) -> None:
        self.net = net
        self.kernels: set[str] = {"initial", "checked", "load_weights"}
        self.class_name = class_name(net.name, net.doc)
        self.globals = (*_GLOBALS, *_MODULES, *kernel_names(), self.class_name)
        self.function_names = Names((*self.globals, *_variables(net.body)))
        self.functions: dict[tuple[str, str], tuple[str, str, bool]] = {}
        self.by_block: dict[Block, tuple[str, bool]] = {}

    def source(self) -> str:
        scope = _Function(self, None)
        args, result, body = self._body(self.net.body, scope, 8, method=True)
        call_lines = _def("__call__", ["self", *args], result, 4)
        if scope.has_weights:
            call_lines.append("        w = self.weights")
        x = self.net.body.inputs[0].shape
        prepared = picture(self.net, _vector)
        if prepared is not None:
            self.kernels.add("resize_shorter" if prepared.shorter else "resize")
            self.kernels |= {"center_crop"} if prepared.crops else set()
        kernels = with_helpers(self.kernels)
        functions = [source for _, source, _ in self.functions.values()]
        template = _environment().get_template("model.py.j2")
        height, width = (int(x[1]), int(x[2])) if len(x) == 3 else (0, 0)
        rendered = template.render(
            header="\n".join(docstring(self._header(), 0)),
            imports=_imports(list(kernels.values())),
            shapes={n: tuple(int(d) for d in t.shape) for n, t in self.net.tensors.items()},
            fills=_fills(self.net),
            name=self.class_name,
            doc="\n".join(docstring(self._doc(), 4)),
            call="\n".join([*call_lines, body]),
            preprocess=prepared,
            height=height,
            width=width,
            functions=functions,
            kernels=kernels,
        )
        return rendered.rstrip() + "\n"

    def _header(self) -> str:
        title = self.net.doc or f"{self.class_name}."
        file = Path(self.net.file).name
        return f"{title}\n\nCompiled by netspec from {file}: change the spec, not this file."

    def _doc(self) -> str:
        inputs = ", ".join(_batch(v.shape) for v in self.net.body.inputs)
        outputs = ", ".join(_batch(v.shape) for v in self.net.body.outputs)
        return f"{inputs} to {outputs}; {self.net.params:,} parameters."

    # --- functions -------------------------------------------------------------------------------

    def function(self, instance: Instance) -> tuple[str, bool]:
        """The function of an instance's module, and whether it takes weights.

        Uses that come to the same text share one.
        """
        block = instance.block
        if block not in self.by_block:
            scope = _Function(self, "name")
            args, result, body = self._body(block, scope, 4, method=False)
            if scope.has_weights:
                args += ["w: Weights", "name: str"]
            key = (block.module, body)
            if key not in self.functions:
                wanted = f"{block.module}_" if block.module == FLOW else block.module
                name = self.function_names.identifier(wanted)
                source = "\n".join([*_def(name, args, result, 0), body])
                self.functions[key] = (name, source, scope.has_weights)
            name, _, weights = self.functions[key]
            self.by_block[block] = (name, weights)
        return self.by_block[block]

    def _body(
        self, block: Block, scope: _Function, inner: int, method: bool
    ) -> tuple[list[str], str, str]:
        """The arguments, result type and statements of a block's function."""
        # A variable must not hide a function that the block calls.
        called = [self.function(n)[0] for n in block.nodes if isinstance(n, Instance)]
        steps = outline(block, (*self.globals, *called), _wraps)
        used = {v for node in block.nodes for v in node.inputs} | set(block.outputs)
        lines: list[str] = []
        shown: Shape | None = None
        for step in steps.steps:
            inputs: list[Source] = [Text(v) for v in step.inputs]
            for node in step.nodes:
                inputs = [self._apply(node, scope, inputs, used)]
            if step.returns:
                lines += statement("return ", inputs[0], inner)
                continue
            comment, shown = shape_comment(step, shown) if method else ("", None)
            targets = ", ".join(t or "_" for t in step.targets)
            if inputs[0].flat() != targets:
                lines += statement(f"{targets} = ", inputs[0], inner, comment)
        if not steps.steps or not steps.steps[-1].returns:
            lines += statement("return ", Text(", ".join(steps.outputs)), inner)
        doc = docstring(block.doc, inner) if block.doc.strip() and not method else []
        result = "Array"
        if len(block.outputs) > 1:
            result = f"tuple[{', '.join(['Array'] * len(block.outputs))}]"
        args = [f"{v}: Array" for v in steps.inputs]
        return args, result, "\n".join([*doc, *lines])

    def _apply(self, node: Node, scope: _Function, inputs: list[Source], used: set[Any]) -> Source:
        several = any(v in used for v in node.outputs[1:])
        if isinstance(node, Layer):
            return EMITTERS[type(node.op)](node, scope, inputs, several)
        name, weights = self.function(node)
        extra = [Text("w"), Text(scope.path(node.name))] if weights else []
        only_first = node.outputs[1:] and not several
        return Call(name, (*inputs, *extra), tail="[0]" if only_first else "")


def _def(name: str, args: list[str], result: str, indent: int) -> list[str]:
    margin = " " * indent
    line = f"{margin}def {name}({', '.join(args)}) -> {result}:"
    if len(line) <= 88:
        return [line]
    together = f"{margin}    {', '.join(args)}"
    inner = [together] if len(together) <= 88 else [f"{margin}    {a}," for a in args]
    return [f"{margin}def {name}(", *inner, f"{margin}) -> {result}:"]


def _imports(sources: list[str]) -> list[str]:
    """Import lines of the standard library for what the kernels read."""
    lines = [f"import {m}" for m in sorted(_MODULES) if reads(sources, m)]
    if reads(sources, "Callable"):
        lines.append("from collections.abc import Callable")
    return [*lines, "from pathlib import Path", "from typing import Any"]


def _variables(net: Block) -> set[str]:
    """What values are called in any block: variables must not hide functions."""
    names: set[str] = set()
    seen: set[Block] = set()
    waiting = [net]
    while waiting:
        block = waiting.pop()
        if block not in seen:
            seen.add(block)
            names |= {v.name.replace(".", "_") for n in block.nodes for v in n.outputs}
            names |= {v.name for v in block.inputs}
            waiting += [n.block for n in block.nodes if isinstance(n, Instance)]
    return names


def _fills(net: Net) -> dict[str, float]:
    """What tensors begin with that the kernel `initial` does not see in their names."""
    return {
        name: float(tensor.init)
        for name, tensor in net.tensors.items()
        if tensor.init not in ("kaiming", 0, 1)
    }


def _wraps(node: Node) -> bool:
    return isinstance(node, Layer) and type(node.op) in WRAPS


def _batch(shape: tuple[int, ...]) -> str:
    return f"(N, {', '.join(str(int(d)) for d in shape)})"


def _vector(numbers: tuple[float, ...]) -> str:
    return f"np.array({[float(n) for n in numbers]}, dtype=np.float32)"


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
