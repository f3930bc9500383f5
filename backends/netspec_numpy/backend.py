"""Writes a net as a NumPy file: its kernels, the function that lays out its plan, its class.

In the function, `network`, each fused layer is one statement, which names the memory slot of its
result and is followed by its shape:

    conv1 = convolve(p, 1, data, "conv1", 96, Window((7, 7), stride=(2, 2)))  # 96x109x109
    pool1 = pool(p, 2, conv1, np.maximum, Window((3, 3), stride=(2, 2), ceil=True), then=relu)
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
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
    function_head,
    list_of,
    statement,
    templates,
)
from netspec.ir import Layer, Net, Value
from netspec.ops import Op, text
from netspec.ops.reshaping import Crop
from netspec.ops.resizing import Upsample
from netspec_numpy.cost_model import planned_memory
from netspec_numpy.emitters import EMITTERS
from netspec_numpy.fusion import FusedLayer, fuse
from netspec_numpy.kernel_source import kernel_names, reads, with_helpers
from netspec_numpy.lowering import (
    PLANNERS,
    dimensions,
    folded_batch_norm,
    planner_of,
    quoted,
)
from netspec_numpy.memory_plan import plan_memory

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
    *("np", "as_strided", "FILLS", "network", "self"),
    *(name for names in _FROM.values() for name in names),
)
"""Names of the file that no variable may have. `_FROM` and `_MODULES` are what it may import."""
"""Longest line, as in the kernels."""
_LOCALS = ("p", "w", "_")
"""Names inside the function of the network."""


class NumpyBackend:
    """Emits a module that needs NumPy and nothing else."""

    name = "numpy"
    emitters: Mapping[type[Op], Any] = ChainMap[type[Op], Any](PLANNERS, EMITTERS)

    def check(self, layer: Layer, used: Sequence[bool]) -> None:
        """Do nothing: every attribute of every op can be expressed."""

    def emit(self, net: Net) -> str:
        """The source of the net's file."""
        return _NumpyFile(net).source()

    def planned_memory(self, net: Net) -> PlannedMemory:
        """Bytes that the model needs for one image in float32, with one thread."""
        return planned_memory(fuse(net))

    def run(self, model: Any, *inputs: Any) -> tuple[Any, ...]:
        """The outputs of a model for a batch of each input."""
        result = model(*inputs)
        return result if isinstance(result, tuple) else (result,)

    def set_weights(self, model: Any, weights: Mapping[str, Any]) -> None:
        """Replace a model's weights; RuntimeError where names or shapes differ."""
        wanted = {name: array.shape for name, array in model.weights.items()}
        found = {name: array.shape for name, array in weights.items()}
        if wanted != found:
            raise RuntimeError("emitted model and net differ in their weights")
        model.weights = dict(weights)


class _StepScope:
    """What a planner or emitter needs to write the step of one fused layer.

    `inputs` are the variables of its inputs, `at` the memory slots of its results, as source.
    """

    def __init__(self, file: _NumpyFile, layer: FusedLayer, at: str) -> None:
        self.file = file
        self.path = layer.layer.path
        self.at = at
        self.inputs: list[Source] = [Verbatim(file.variables[v]) for v in layer.inputs]

    def weight(self, layer: Layer, name: str) -> str:
        """Source of one of the layer's tensors."""
        self.file.has_weights = True
        path = quoted(f"{self.path}.{name}")
        return call("w", path, *dimensions(layer.tensors[name])).flat()

    def kernel(self, name: str) -> str:
        """The name of a kernel, which is included in the file."""
        self.file.kernels.add(name)
        return name


class _NumpyFile:
    """The file of one net, while it is written.

    `variables` are the names of values inside `network`; `remaining_uses` says how many steps still
    read a value, as a name is free again after the last one.
    """

    def __init__(self, net: Net) -> None:
        self.net = net
        self.fused = fuse(net)
        self.arena = plan_memory(self.fused)
        self.kernels: set[str] = {"Model"}
        self.class_name = class_name(net.name, net.doc)
        self.taken = (*_GLOBALS, *_MODULES, *kernel_names(), self.class_name, *_LOCALS)
        self.variables: dict[Value, str] = {}
        self.remaining_uses = self.fused.uses()
        self.has_weights = False

    def source(self) -> str:
        """The whole file."""
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
            constructor=self._constructor(),
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

    def _constructor(self) -> str:
        """The statement that sets up a model: its network, and the shapes of its inputs."""
        sizes = ", ".join(str(tuple(int(d) for d in v.shape)) for v in self.net.body.inputs)
        fixed = self._fixed_size()
        why = [f'": {fixed}"'] if fixed else []
        source = call("super().__init__", "network", f"[{sizes}]", "seed", "threads", *why)
        return "\n".join(statement("", source, 8))

    def _call(self, inputs: list[str]) -> list[str]:
        """The method `__call__`."""
        single = len(self.net.body.outputs) == 1
        result = "Array" if single else "tuple[Array, ...]"
        args = ["self", *(f"{name}: Array" for name in inputs)]
        doc = "In float32, or in float64 if inputs are; ValueError for a wrong shape."
        run = call("self.run", *inputs)
        source = FunctionCall(run.head, run.args, tail="[0]") if single else call("tuple", run)
        body = statement("return ", source, 8)
        return [*function_head("__call__", args, result, 4), *docstring(doc, 8), *body]

    def _fixed_size(self) -> str:
        """Why inputs of other heights and widths are refused; empty where they are not."""
        for layer in self.fused.layers:
            stated = layer.layer.layer.stated
            if isinstance(layer.op, Crop | Upsample) and not getattr(stated, "scale", None):
                return f"{layer.layer.path} is made for this size"
        return ""

    # --- the plan --------------------------------------------------------------------------------

    def _network(self) -> str:
        """The function that writes the network's calls into a plan."""
        lines: list[str] = []
        for value in self.fused.inputs:
            self.variables[value] = self._variable(value)
        for layer in self.fused.layers:
            lines += self._step(layer)
        outputs = list_of([self.variables[v] for v in self.fused.outputs])
        lines += statement("return ", outputs, 4)
        args = ["p: Plan", *(f"{self.variables[v]}: Value" for v in self.fused.inputs)]
        head = function_head("network", args, "list[Value]", 0)
        doc = docstring(
            "The steps of the network, each with the slot of its result and its shape.", 4
        )
        weights = ["    w = p.weight"] if self.has_weights else []
        return "\n".join([*head, *doc, *weights, *self._unused_weights(), *lines])

    def _unused_weights(self) -> list[str]:
        """Statements that name the weights of layers that no result depends on.

        Weight files hold them too, so the model has to know their shapes.
        """
        layers = {flat.path for x in self.fused.layers for flat in (x.layer, x.batch_norm) if flat}
        lines: list[str] = []
        for name, tensor in self.net.tensors.items():
            if name.rpartition(".")[0] not in layers:
                lines += statement("", call("p.weight", quoted(name), *dimensions(tensor)), 4)
        return lines

    def _step(self, layer: FusedLayer) -> list[str]:
        """The statement that lays out the step of a fused layer."""
        used = self.fused.uses()
        results = [v for v in layer.outputs if v in used]
        several = any(v in used for v in layer.outputs[1:])
        slots = [self._at(v) for v in (layer.outputs if several else layer.outputs[:1])]
        step = _StepScope(self, layer, f"[{', '.join(slots)}]" if several else slots[0])
        for value in layer.inputs:
            self.remaining_uses[value] -= 1
        lines: list[str] = []
        folded = folded_batch_norm(layer, step)
        if folded is not None:
            lines += statement("", folded, 4)
        planner = planner_of(layer.op)
        source = planner(layer.op, layer, step) if planner else None
        if source is None:
            source = self._plain(layer, step, several)
        targets = []
        for value in layer.outputs if several else layer.outputs[:1]:
            if value in used:
                self.variables[value] = self._variable(value)
            targets.append(self.variables.get(value, "_"))
        comment = text(results[0].shape) if len(results) == 1 else ""
        comment = comment if len(results[0].shape) == 3 else ""
        return lines + statement(f"{', '.join(targets)} = ", source, 4, comment)

    def _variable(self, value: Value) -> str:
        """A name for a value, its path's last part, that no value has which is still needed."""
        live = [name for v, name in self.variables.items() if self.remaining_uses.get(v)]
        names = Identifiers((*self.taken, *live))
        local = value.name.rpartition(".")[2]
        if re.fullmatch(r"[a-z0-9_]+_\d+", local):
            local = "x"  # the spec gives it no name
        free = names.identifier(local)
        return free if free == local else names.identifier(value.name.replace(".", "_"))

    def _plain(self, layer: FusedLayer, step: _StepScope, several: bool) -> Source:
        """A step that computes the expression of the op's emitter."""
        names = ("x",) if len(layer.inputs) == 1 else _letters(len(layer.inputs))
        inputs: list[Source] = [Verbatim(name) for name in names]
        body = EMITTERS[type(layer.op)](layer.layer.layer, step, inputs, several)
        function: Source = Lambda(names, body)
        if isinstance(body, FunctionCall) and body == call(body.head, *inputs):
            function = Verbatim(body.head)
        kernel = step.kernel("several" if several else "plain")
        return call(kernel, "p", step.at, function, *step.inputs)

    def _at(self, value: Value) -> str:
        """The memory slot of a value as source, as `Plan.value` takes it."""
        slot = self.arena.slots[value]
        if slot.channels is None:
            return str(slot.number)
        return str((slot.number, slot.channels, slot.first))


def _joined(sources: Iterable[str]) -> str:
    """The kernels, two blank lines between them, none between constants."""
    text, before = "", ""
    for source in sources:
        constants = "\n" not in before + source
        text += ("\n" if constants else "\n\n\n") * bool(before) + source
        before = source
    return text


def _letters(count: int) -> tuple[str, ...]:
    """So many names of parameters."""
    if count <= 8:
        return tuple("abcdefgh"[:count])
    return tuple(f"x{i}" for i in range(count))


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
    """Initial values that the kernel `initial` can't tell from the names of tensors."""
    return {
        name: float(tensor.init)
        for name, tensor in net.tensors.items()
        if isinstance(tensor.init, int | float) and tensor.init not in (0, 1)
    }


def _vector(numbers: tuple[float, ...]) -> str:
    """An array of numbers, one for each channel, as source; channels are last in pictures."""
    return f"np.array({[float(n) for n in numbers]}, dtype=np.float32)"
