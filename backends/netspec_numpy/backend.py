"""From IR to NumPy: a function for each module, the kernels it needs beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from netspec.codegen.backend import PlannedMemory, summary
from netspec.codegen.identifiers import Identifiers, class_name
from netspec.codegen.preprocess import picture
from netspec.codegen.python_source import (
    FunctionCall,
    Lambda,
    Source,
    Verbatim,
    call,
    docstring,
    statement,
    templates,
)
from netspec.ir import Layer, Net, Value
from netspec.ops import Crop, MaxUnpool, Op, Upsample, text
from netspec_numpy.cost_model import memory
from netspec_numpy.emitters import EMITTERS
from netspec_numpy.fusion import FusedLayer, staged
from netspec_numpy.kernel_source import kernel_names, reads, with_helpers
from netspec_numpy.lowering import (
    PLANNERS,
    dimensions,
    fold,
    quoted,
)
from netspec_numpy.memory_plan import place

_FROM = {
    "bisect": ("bisect",),
    "collections.abc": ("Callable", "Iterator", "Sequence"),
    "concurrent.futures": ("ThreadPoolExecutor", "wait"),
    "functools": ("cache", "partial"),
    "itertools": ("count", "pairwise", "product"),
    "math": ("inf", "prod"),
    "pathlib": ("Path",),
    "typing": ("Any", "NamedTuple"),
}
_MODULES = ("ctypes", "json", "math", "os", "sys", "threading", "time")
_GLOBALS = (
    *(
        "np",
        "as_strided",
        "FILLS",
        "network",
        "self",
    ),
    *(name for names in _FROM.values() for name in names),
)
_WIDTH = 100
"""Longest line, as in the kernels."""
_statement = partial(statement, width=_WIDTH)
_LOCALS = ("p", "w", "_")
"""Names inside the function of the network."""
_SIZED = (Crop, MaxUnpool, Upsample)
"""Ops that were written for one size of their input."""


class NumpyBackend:
    """Emits a module that needs NumPy and nothing else."""

    name = "numpy"
    emitters: Mapping[type[Op], Any] = {**EMITTERS, **PLANNERS}
    packages: Sequence[str] = ("numpy",)

    def check(self, layer: Layer, used: Sequence[bool]) -> None:
        """Every attribute of every op here can be expressed."""

    def emit(self, net: Net) -> str:
        return _NumpyFile(net).source()

    def planned_memory(self, net: Net) -> PlannedMemory:
        """Bytes that the model needs for one image in float32, with one thread."""
        return memory(staged(net))

    def run(self, model: Any, *inputs: Any) -> tuple[Any, ...]:
        result = model(*inputs)
        return result if isinstance(result, tuple) else (result,)

    def set_weights(self, model: Any, weights: Mapping[str, Any]) -> None:
        wanted = {name: array.shape for name, array in model.weights.items()}
        found = {name: array.shape for name, array in weights.items()}
        if wanted != found:
            raise RuntimeError("emitted model and net differ in their weights")
        model.weights = dict(weights)


class _StepScope:
    """The scope of one stage: its inputs, where its results go, its kernels and weights."""

    def __init__(self, file: _NumpyFile, stage: FusedLayer, at: str) -> None:
        self.file = file
        self.path = stage.layer.path
        self.at = at
        self.inputs: list[Source] = [Verbatim(file.variables[v]) for v in stage.inputs]

    def weight(self, layer: Layer, name: str) -> str:
        self.file.has_weights = True
        path = quoted(f"{self.path}.{name}")
        return call("w", path, *dimensions(layer.tensors[name])).flat()

    def kernel(self, name: str) -> str:
        self.file.kernels.add(name)
        return name


class _NumpyFile:
    def __init__(self, net: Net) -> None:
        self.net = net
        self.program = staged(net)
        self.arena = place(self.program)
        self.kernels: set[str] = {"Model"}
        self.class_name = class_name(net.name, net.doc)
        self.taken = (*_GLOBALS, *_MODULES, *kernel_names(), self.class_name, *_LOCALS)
        self.variables: dict[Value, str] = {}
        self.waiting = self.program.uses()
        self.has_weights = False

    def source(self) -> str:
        network = self._network()
        x = self.net.body.inputs[0].shape
        prepared = picture(self.net, _vector)
        if prepared is not None:
            self.kernels.add("resize")
        if _fills(self.net):
            self.kernels.add("filled")
        kernels = with_helpers(self.kernels)
        template = templates(Path(__file__).parent / "templates").get_template("model.py.j2")
        height, width = (int(x[1]), int(x[2])) if len(x) == 3 else (0, 0)
        inputs = [v.name for v in self.net.body.inputs]
        names = Identifiers((*_GLOBALS, *_MODULES, *kernel_names(), self.class_name))
        rendered = template.render(
            header="\n".join(docstring(self._header(), 0)),
            imports=_imports(list(kernels.values())),
            fills=_fills(self.net),
            name=self.class_name,
            doc="\n".join(docstring(summary(self.net), 4)),
            made=self._made(),
            call="\n".join(self._call([names.identifier(name) for name in inputs])),
            preprocess=prepared,
            height=height,
            width=width,
            network=network,
            kernels=_joined(kernels.values()),
        )
        return rendered.rstrip() + "\n"

    def _header(self) -> str:
        title = self.net.doc or f"{self.class_name}."
        file = Path(self.net.file).name
        return f"{title}\n\nCompiled by netspec from {file}: change the spec, not this file."

    def _made(self) -> str:
        """The statement that makes a model: its network, for which inputs."""
        sizes = ", ".join(str(tuple(int(d) for d in v.shape)) for v in self.net.body.inputs)
        fixed = self._fixed()
        why = [f'": {fixed}"'] if fixed else []
        made = call("super().__init__", "network", f"[{sizes}]", "seed", "threads", *why)
        return "\n".join(_statement("", made, 8))

    def _call(self, inputs: list[str]) -> list[str]:
        """The method that computes."""
        single = len(self.net.body.outputs) == 1
        result = "Array" if single else "tuple[Array, ...]"
        args = ["self", *(f"{name}: Array" for name in inputs)]
        doc = "In float32, or in float64 if inputs are; ValueError for a wrong shape."
        run = call("self.run", *inputs)
        source = FunctionCall(run.head, run.args, tail="[0]") if single else call("tuple", run)
        body = _statement("return ", source, 8)
        return [*_def("__call__", args, result, 4), *docstring(doc, 8), *body]

    def _fixed(self) -> str:
        """Why inputs of other heights and widths are refused, or nothing."""
        for stage in self.program.stages:
            if isinstance(stage.op, _SIZED):
                return f"{stage.layer.path} is made for this size"
        return ""

    # --- the plan --------------------------------------------------------------------------------

    def _network(self) -> str:
        """The function that writes the network's calls into a plan."""
        lines: list[str] = []
        for value in self.program.inputs:
            self.variables[value] = self._variable(value)
        for stage in self.program.stages:
            lines += self._stage(stage)
        outputs: list[Source | str] = [self.variables[v] for v in self.program.outputs]
        lines += _statement(
            "return ", FunctionCall("", tuple(map(_text, outputs)), brackets="[]"), 4
        )
        args = ["p: Plan", *(f"{self.variables[v]}: Value" for v in self.program.inputs)]
        head = _def("network", args, "list[Value]", 0)
        doc = docstring(
            "The steps of the network, each with the slot of its result and its shape.", 4
        )
        weights = ["    w = p.weight"] if self.has_weights else []
        return "\n".join([*head, *doc, *weights, *self._idle(), *lines])

    def _idle(self) -> list[str]:
        """Statements that name the weights of layers that no result depends on."""
        layers = {layer.path for s in self.program.stages for layer in (s.layer, s.norm) if layer}
        lines: list[str] = []
        for name, tensor in self.net.tensors.items():
            if name.rpartition(".")[0] not in layers:
                lines += _statement("", call("p.weight", quoted(name), *dimensions(tensor)), 4)
        return lines

    def _stage(self, stage: FusedLayer) -> list[str]:
        used = self.program.uses()
        results = [v for v in stage.outputs if v in used]
        several = any(v in used for v in stage.outputs[1:])
        places = [self._at(v) for v in (stage.outputs if several else stage.outputs[:1])]
        step = _StepScope(self, stage, f"[{', '.join(places)}]" if several else places[0])
        for value in stage.inputs:
            self.waiting[value] -= 1
        lines: list[str] = []
        folded = fold(stage, step)
        if folded is not None:
            lines += _statement("", folded, 4)
        planner = PLANNERS.get(type(stage.op))
        source = planner(stage.op, stage, step) if planner else None
        if source is None:
            source = self._plain(stage, step, several)
        targets = []
        for value in stage.outputs if several else stage.outputs[:1]:
            if value in used:
                self.variables[value] = self._variable(value)
            targets.append(self.variables.get(value, "_"))
        comment = text(results[0].shape) if len(results) == 1 else ""
        comment = comment if len(results[0].shape) == 3 else ""
        return lines + _statement(f"{', '.join(targets)} = ", source, 4, comment)

    def _variable(self, value: Value) -> str:
        """A name that no value has that is still needed: the last part of its path."""
        living = [name for v, name in self.variables.items() if self.waiting.get(v)]
        names = Identifiers((*self.taken, *living))
        local = value.name.rpartition(".")[2]
        if re.fullmatch(r"[a-z0-9_]+_\d+", local):
            local = "x"  # the spec gives it no name
        free = names.identifier(local)
        return free if free == local else names.identifier(value.name.replace(".", "_"))

    def _plain(self, stage: FusedLayer, step: _StepScope, several: bool) -> Source:
        """A step that computes the expression of the op's emitter."""
        names = ("x",) if len(stage.inputs) == 1 else _letters(len(stage.inputs))
        inputs: list[Source] = [Verbatim(name) for name in names]
        body = EMITTERS[type(stage.op)](stage.layer.layer, step, inputs, several)
        function: Source = Lambda(names, body)
        if isinstance(body, FunctionCall) and body == call(body.head, *inputs):
            function = Verbatim(body.head)
        kernel = step.kernel("several" if several else "plain")
        return call(kernel, "p", step.at, function, *step.inputs)

    def _at(self, value: Value) -> str:
        """Where a value lies in the arena."""
        place = self.arena.places[value]
        if place.channels is None:
            return str(place.slot)
        return str((place.slot, place.channels, place.first))


def _joined(sources: Iterable[str]) -> str:
    """Kernels below each other, constants that follow each other without blank lines."""
    text, before = "", ""
    for source in sources:
        constants = "\n" not in before + source
        text += ("\n" if constants else "\n\n\n") * bool(before) + source
        before = source
    return text


def _letters(count: int) -> tuple[str, ...]:
    if count <= 8:
        return tuple("abcdefgh"[:count])
    return tuple(f"x{i}" for i in range(count))


def _text(source: Source | str) -> Source:
    return Verbatim(source) if isinstance(source, str) else source


def _def(name: str, args: list[str], result: str, indent: int) -> list[str]:
    margin = " " * indent
    line = f"{margin}def {name}({', '.join(args)}) -> {result}:"
    if len(line) <= _WIDTH:
        return [line]
    together = f"{margin}    {', '.join(args)}"
    inner = [together] if len(together) <= _WIDTH else [f"{margin}    {a}," for a in args]
    return [f"{margin}def {name}(", *inner, f"{margin}) -> {result}:"]


def _imports(sources: list[str]) -> tuple[list[str], list[str]]:
    """Import lines for what the kernels read: of the standard library, and of NumPy."""
    lines = [f"import {m}" for m in sorted(_MODULES) if reads(sources, m)]
    for module, names in _FROM.items():
        found = [n for n in names if reads(sources, n)]
        if found:
            lines.append(f"from {module} import {', '.join(found)}")
    numpy = ["import numpy as np"]
    if reads(sources, "as_strided"):
        numpy.append("from numpy.lib.stride_tricks import as_strided")
    return lines, numpy


def _fills(net: Net) -> dict[str, float]:
    """What tensors begin with that the kernel `initial` does not see in their names."""
    return {
        name: float(tensor.init)
        for name, tensor in net.tensors.items()
        if isinstance(tensor.init, int | float) and tensor.init not in (0, 1)
    }


def _vector(numbers: tuple[float, ...]) -> str:
    return f"np.array({[float(n) for n in numbers]}, dtype=np.float32)"
