"""From the net to PyTorch: a class for each module, an attribute for each layer with state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

from netspec.codegen.classes import Classes, NetText
from netspec.codegen.header import class_doc, compiled_from, input_size, title
from netspec.codegen.identifiers import Identifiers, class_name
from netspec.codegen.logits import end_in_logits
from netspec.codegen.preprocess import picture
from netspec.codegen.python_source import (
    WIDTH,
    FunctionCall,
    call,
    docstring,
    list_of,
    statement,
    templates,
    tuple_of,
)
from netspec.codegen.spelling import CannotWrite, ConstructorNumbers, WrittenCall
from netspec.codegen.trace_nodes import Call, LineNode, OpCall, Prediction, Trace
from netspec.codegen.traces import Traces
from netspec.ir import Layer, Net
from netspec.lazy_dataclasses import replace
from netspec.ops import Op, Shape, Weighted, text
from netspec.symbolic.expr import NumberLiteral, expr_of
from netspec_torch.emission import WrittenLayer, check_layer
from netspec_torch.emitters import EMITTERS, WRAPS
from netspec_torch.init_weights import initialization, own_law, usual_laws
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
    ends_in_logits: Sequence[bool] = ()

    def check(self, layer: Layer, used: Sequence[bool]) -> None:
        """Raise Unsupported for layers that PyTorch can't express."""
        check_layer(layer, any(used[1:]))

    def emit(self, net: Net) -> str:
        """The source of the net's file."""
        return self.emit_family([net])

    def emit_family(self, nets: Sequence[Net], *, probabilities: bool = False) -> str:
        """The source of a file with a class for each net."""
        file = _TorchFile(nets, probabilities)
        self.notes = file.classes.notes()
        self.ends_in_logits = [p is not None for p in file.predictions[0]]
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

    def __init__(self, nets: Sequence[Net], traces: Sequence[Trace]) -> None:
        self.usual = [usual_laws(net) for net in nets]
        self.top = {id(c) for trace in traces for c in _calls_at_top(trace)}

    def emit(self, call: OpCall, numbers: ConstructorNumbers, several: bool) -> WrittenCall:
        written = WrittenLayer(call.bound, call.op, call.inputs, call.outputs)
        emission = EMITTERS[type(call.bound)](written, numbers, several)
        if emission.constructor is None or not self.draws_its_own(call, numbers):
            return emission
        assert isinstance(call.op, Weighted)
        assert call.op.init is not None
        law = own_law(call.op.init, numbers)
        head = numbers.support("drawn")
        return replace(emission, constructor=FunctionCall(head, (emission.constructor, law)))

    def draws_its_own(self, call: OpCall, numbers: ConstructorNumbers) -> bool:
        """Whether a layer keeps how its weight begins, as arguments may decide that, or it."""
        op = call.op
        if not isinstance(op, Weighted) or op.init is None:
            return False
        if not numbers.literal(*op.init.numbers):
            return True
        return id(call) not in self.top and any(u.get(type(op)) != op.init for u in self.usual)

    def wraps(self, call: OpCall) -> bool:
        return type(call.bound) in WRAPS


class _TorchFile:
    """The file of one net, or of several that share the classes of their modules."""

    def __init__(self, nets: Sequence[Net], probabilities: bool = False) -> None:
        self.nets = nets
        self.probabilities = probabilities
        self.predictions: list[Sequence[Prediction]] = []
        self.classes = self._classes()

    def _classes(self) -> Classes:
        traces = Traces((*_GLOBALS, *sources()))
        while True:
            found = [traces.of_net(net) for net in self.nets]
            for trace in found:
                end_in_logits(trace, self.probabilities)
            spelling = _Spelling(self.nets, found)
            classes = Classes(spelling, (*_GLOBALS, *sources()), class_name)
            try:
                classes.write(list(zip(found, map(_shapes, self.nets), strict=True)))
            except CannotWrite as error:
                if error.trace.block is not None:
                    raise
                traces.refuse(error.trace, str(error))
                continue
            self.predictions = [trace.predictions for trace in found]
            self.here = [
                {c.name.fixed or "" for c in _calls_at_top(t) if c.name is not None} for t in found
            ]
            return classes

    def source(self) -> str:
        """The whole file."""
        names = [c.name for c in self.classes.net_classes()]
        pictures = [picture(net, _vector) for net in self.nets]
        several = len(self.nets) > 1
        base = Identifiers((*_GLOBALS, *sources(), *(t.name for t in self.classes.all)))
        shared = base.numbered("Network") if several else ""
        rendered = list(self.classes.render(self._net_texts(names, shared)))
        supports = self.classes.supports
        if "drawn" in supports:
            supports.add("draw_own")
        if "avg_pool" in supports:
            supports.add("pad_ceil")
        if any("bilinear_(" in code for code in rendered):
            supports.add("bilinear_")
        template = templates(Path(__file__).parent / "templates").get_template("model.py.j2")
        copied = [source for name, source in sources().items() if name in supports]
        code = "\n".join((*rendered, *copied))
        nets = {
            name: {
                "name": name,
                "preprocess": prepared,
                "size": input_size(net),
                "params": f"{net.params:_}",
                "check": _check(
                    [v.shape for v in net.body.inputs], [v.shape for v in net.body.outputs]
                ),
            }
            for name, net, prepared in zip(names, self.nets, pictures, strict=True)
        }
        kinds = [(net["preprocess"], net["size"]) for net in nets.values()]
        written = [text.name for text in self.classes.all]
        result: str = template.render(
            origin=wrap(compiled_from(self.nets), WIDTH - 2, break_on_hyphens=False),
            header="\n".join(docstring(title(self.nets, names), 0)),
            supports=copied,
            shared=shared,
            classes=list(zip(rendered, map(nets.get, written), strict=True)),
            nets=list(nets.values()),
            one_picture=all(kind == kinds[0] for kind in kinds),
            uses_math="math." in code,
            uses_partial="partial(" in code,
            uses_fraction="Fraction(" in code,
            typing=["Any", *(["Self"] if "-> Self:" in code else [])],
            uses_functional="F." in code or any(pictures),
        )
        return result.rstrip() + "\n"

    def _net_texts(self, names: Sequence[str], base: str) -> dict[str, NetText]:
        """What the classes of nets hold besides layers; `base` is the class of all, if any."""
        texts = {}
        of_nets = zip(names, self.nets, self.predictions, self.here, strict=True)
        for name, net, predictions, here in of_nets:
            text = next(t for t in self.classes.all if t.name == name)
            made = [
                (c.op, emission.constructor)
                for c, emission in self.classes.emissions(text)
                if emission.constructor is not None
            ]
            drawn = any(module.head == "drawn" for _, module in made)
            written = [(op, _unwrapped(module).head) for op, module in made]
            doc = class_doc(net, bool(base), _kinds(net, predictions))
            texts[name] = NetText(
                docstring(doc, 4),
                docstring(_outputs(net), 8),
                initialization(net, written, here, drawn),
                base or "nn.Module",
            )
        return texts


def _calls_at_top(trace: Trace) -> Iterator[Call]:
    """The layers of a net's class that it has whatever its arguments, and begin as they say."""
    for node in trace.nodes:
        if isinstance(node, LineNode):
            for c in node.calls:
                init = getattr(c.op, "init", None) if isinstance(c, OpCall) else None
                numbers = init.numbers if init is not None else ()
                if all(isinstance(expr_of(n), NumberLiteral) for n in numbers):
                    yield c


def _unwrapped(module: FunctionCall) -> FunctionCall:
    """The constructor of a layer that keeps how it begins."""
    inner = module.args[0] if module.head == "drawn" else module
    assert isinstance(inner, FunctionCall)
    return inner


def _shapes(net: Net) -> dict[str, str]:
    """The shapes of values with height and width, by the name of their layer or module."""
    return {
        node.name: text(node.outputs[0].shape)
        for node in net.body.nodes
        if len(node.outputs[0].shape) == 3
    }


def _kinds(net: Net, predictions: Sequence[Prediction]) -> list[str]:
    """What each result of `forward` is, in a word."""
    makers = {v: f.op for f in net.layers for v in f.outputs}
    made = [makers.get(v) for v in net.flat_outputs]
    return [
        "logits" if p is not None else f"of {op.keyword}" if op and op.takes_logits else ""
        for p, op in zip(predictions, made, strict=True)
    ]


def _outputs(net: Net) -> str:
    """What `predict` gives."""
    names = [
        f"`{name if name and name != v.name.rpartition('.')[2] else v.name}`"
        for name, v in zip(net.body.output_names, net.body.outputs, strict=True)
    ]
    if len(names) > _MOST_NAMED:
        return "The spec's outputs, in order."
    return f"The spec's output{'s' * (len(names) > 1)} {', '.join(names)}."


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
