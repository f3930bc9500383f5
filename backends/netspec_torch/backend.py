"""From the net to PyTorch: a class for each module, an attribute for each layer with state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netspec.codegen.backend import summary
from netspec.codegen.classes import Classes
from netspec.codegen.identifiers import class_name
from netspec.codegen.logits import end_in_logits
from netspec.codegen.preprocess import picture
from netspec.codegen.python_source import (
    WIDTH,
    call,
    docstring,
    list_of,
    statement,
    templates,
    tuple_of,
)
from netspec.codegen.spelling import CannotWrite, ConstructorNumbers, WrittenCall
from netspec.codegen.trace_nodes import OpCall, Prediction
from netspec.codegen.traces import Traces
from netspec.ir import Layer, Net
from netspec.ops import Op, Shape, text
from netspec_torch.emission import WrittenLayer, emission_of
from netspec_torch.emitters import EMITTERS, WRAPS
from netspec_torch.init_weights import initialization
from netspec_torch.reserved import MODULE_ATTRIBUTES
from netspec_torch.support import sources

_GLOBALS = (
    *("torch", "nn", "F", "math", "self", "Tensor", "Path", "Any", "Fraction"),
    *("is_zipfile", "model"),
)


_MOST_NAMED = 12
"""Most outputs that a docstring names."""


class TorchBackend:
    """Emits a module that needs torch, numpy and safetensors."""

    name = "torch"
    emitters: Mapping[type[Op], Any] = EMITTERS
    packages: Sequence[str] = ("torch", "numpy", "safetensors")
    notes: Sequence[Any] = ()

    def check(self, layer: Layer, used: Sequence[bool]) -> None:
        """Raise Unsupported for layers that PyTorch can't express."""
        emission_of(layer, any(used[1:]))

    def emit(self, net: Net) -> str:
        """The source of the net's file."""
        return self._source(net, False)

    def emit_probabilities(self, net: Net) -> str:
        """The source with a class whose `forward` gives the net's outputs."""
        return self._source(net, True)

    def ends_in_logits(self, net: Net) -> Sequence[bool]:
        """Whether `forward` gives logits in place of each output of the net."""
        return [p is not None for p in _TorchFile(net).predictions]

    def _source(self, net: Net, probabilities: bool) -> str:
        file = _TorchFile(net, probabilities)
        self.notes = file.classes.notes()
        return file.source()

    def run(self, model: Any, *inputs: Any) -> tuple[Any, ...]:
        """What `predict` gives in inference mode; float64 inputs make it a float64 model."""
        import torch

        model.eval()
        if any(x.dtype == "float64" for x in inputs):
            model.double()
        with torch.inference_mode():
            result = model.predict(*(torch.from_numpy(x) for x in inputs))
        results = result if isinstance(result, tuple) else (result,)
        return tuple(r.numpy() for r in results)

    def set_weights(self, model: Any, weights: Mapping[str, Any]) -> None:
        """Load a model's parameters and buffers; RuntimeError where the names differ."""
        import torch

        state = {name: torch.tensor(array) for name, array in weights.items()}
        missing, unexpected = model.load_state_dict(state, strict=False)
        wrong = [n for n in missing if not n.endswith(".num_batches_tracked")] + unexpected
        if wrong:
            raise RuntimeError(f"emitted model and net differ in {', '.join(wrong)}")


class _Spelling:
    """How PyTorch spells a class."""

    reserved = frozenset(MODULE_ATTRIBUTES)

    def emit(self, call: OpCall, numbers: ConstructorNumbers, several: bool) -> WrittenCall:
        written = WrittenLayer(call.bound, call.op, call.inputs, call.outputs)
        return EMITTERS[type(call.bound)](written, numbers, several)

    def wraps(self, call: OpCall) -> bool:
        return type(call.bound) in WRAPS


class _TorchFile:
    """The file of one net."""

    def __init__(self, net: Net, probabilities: bool = False) -> None:
        self.net = net
        self.probabilities = probabilities
        self.predictions: Sequence[Prediction] = ()
        self.classes = self._classes()

    def _classes(self) -> Classes:
        traces = Traces(self.net)
        shapes = {
            node.name: text(node.outputs[0].shape)
            for node in self.net.body.nodes
            if len(node.outputs[0].shape) == 3
        }
        while True:
            classes = Classes(_Spelling(), (*_GLOBALS, *sources()), class_name)
            classes.refused = traces.refused
            try:
                trace = traces.of_net()
                end_in_logits(trace, self.probabilities)
                classes.write(trace, shapes)
            except CannotWrite as error:
                if error.trace.block is not None:
                    raise
                traces.refuse(error.trace.template, str(error))
                continue
            self.refused = traces.refused
            self.predictions = trace.predictions
            return classes

    def _kinds(self) -> list[str]:
        """What each result of `forward` is, in a word."""
        makers = {v: f.op for f in self.net.layers for v in f.outputs}
        made = [makers.get(v) for v in self.net.flat_outputs]
        return [
            "logits" if p is not None else f"of {op.keyword}" if op and op.takes_logits else ""
            for p, op in zip(self.predictions, made, strict=True)
        ]

    def _outputs(self) -> str:
        """What `predict` gives."""
        names = [f"`{v.name}`" for v in self.net.body.outputs]
        if len(names) > _MOST_NAMED:
            return "The spec's outputs, in order."
        return f"The spec's output{'s' * (len(names) > 1)} {', '.join(names)}."

    def source(self) -> str:
        """The whole file."""
        net_class = self.classes.all[-1][0]
        written = [
            (c.op, emission.constructor.head)
            for _, _, writer in self.classes.all
            for c, emission in writer.emissions.items()
            if isinstance(c, OpCall) and emission.constructor is not None
        ]
        begin = initialization(self.net, written)
        doc = docstring(summary(self.net, self._kinds()), 4)
        rendered = list(self.classes.render(doc, docstring(self._outputs(), 8), begin))
        supports = {name for _, _, w in self.classes.all for name in w.supports}
        if "avg_pool" in supports:
            supports.add("pad_ceil")
        bodies = "\n".join(rendered)
        block = self.net.body
        x = block.inputs[0].shape if block.inputs else ()
        prepared = picture(self.net, _vector)
        template = templates(Path(__file__).parent / "templates").get_template("model.py.j2")
        height, width = (int(x[1]), int(x[2])) if len(x) == 3 else (0, 0)
        copied = [source for name, source in sources().items() if name in supports]
        code = bodies + "".join(copied)
        result: str = template.render(
            file="".join(c if c.isprintable() else " " for c in Path(self.net.file).name),
            header="\n".join(docstring(self.net.doc or f"{net_class.name}.", 0)),
            supports=copied,
            classes=rendered,
            name=net_class.name,
            preprocess=prepared,
            height=height,
            width=width,
            uses_math="math." in code,
            uses_fraction="Fraction(" in code,
            typing=["Any", *(["Self"] if "-> Self:" in code else [])],
            uses_functional="F." in code or prepared is not None,
            params=f"{self.net.params:_}",
            check=_check([v.shape for v in block.inputs], [v.shape for v in block.outputs]),
        )
        return result.rstrip() + "\n"


def _check(inputs: Sequence[Shape], outputs: Sequence[Shape]) -> list[str]:
    """Lines that assert the output shapes of `model`."""
    zeros = [call("torch.zeros", "1", *(str(int(d)) for d in shape)) for shape in inputs]
    shapes = [tuple_of(["1", *(str(int(d)) for d in shape)]) for shape in outputs]
    run = call("model", *zeros)
    line = f"    assert {run.flat()}.shape == {shapes[0].flat()}"
    if len(shapes) == 1 and len(line) <= WIDTH:
        return [line]
    lines = statement("results = ", run, 4)
    if len(shapes) == 1:
        return [*lines, f"    assert results.shape == {shapes[0].flat()}"]
    lines += statement("shapes = ", list_of(shapes), 4)
    return [*lines, "    assert [tuple(x.shape) for x in results] == shapes"]


def _vector(numbers: tuple[float, ...]) -> str:
    return f"torch.tensor({[float(n) for n in numbers]}).view(-1, 1, 1)"
