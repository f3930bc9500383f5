"""From the net to Keras: a class for each module, a model for each net, channels last."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Container, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from textwrap import wrap
from typing import Any

from netspec.codegen.backend import Unsupported
from netspec.codegen.header import (
    class_doc,
    compiled_from,
    input_size,
    logits_or_not,
    outputs_doc,
    shape_checks,
    title,
)
from netspec.codegen.preprocess import picture
from netspec.codegen.python_source import (
    WIDTH,
    FunctionCall,
    Keyword,
    Source,
    Verbatim,
    call,
    docstring,
    list_of,
    statement,
    templates,
    tuple_of,
)
from netspec.codegen.tracing.made_ops import Maker
from netspec.codegen.tracing.nodes import CannotTrace, OpCall, TraceValue, calls_in
from netspec.codegen.writing.classes import Classes, NetText, classes_of
from netspec.codegen.writing.emission import WrittenLayer
from netspec.codegen.writing.library import Library
from netspec.codegen.writing.spelling import ConstructorNumbers, numbers_alike
from netspec.codegen.writing.terms import OUT_SIZES
from netspec.ir import Layer, Net
from netspec.lazy_dataclasses import replace
from netspec.ops import Init, Learned, LearnedWithBias, Op, Tensor, Weighted
from netspec.ops.convolution import Conv, ConvTranspose, Linear
from netspec.ops.reshaping import Identity
from netspec_keras.emitters import EMITTERS, Written
from netspec_keras.support import sources
from netspec_keras.weights import (
    RESERVED,
    attribute,
    laid_back,
    laid_out,
    law,
    named_tensors,
    places_of,
    variable,
)

_LAYERS = {
    "Conv2D": 'data_format="channels_last"',
    "Conv2DTranspose": 'data_format="channels_last"',
    "Dense": "",
    "BatchNormalization": "momentum=0.9, epsilon=1e-05",
    "LayerNormalization": "epsilon=1e-05",
    "GroupNormalization": "epsilon=1e-05",
    "SpatialDropout2D": 'data_format="channels_last"',
}
"""What is said at the top of a file, once for all layers of a class of Keras."""
_GLOBALS = (
    *("keras", "ops", "layers", "initializers", "math", "np", "self", "Tensor", "Path", "Any"),
    *("Fraction", "model", "partial", "Callable", "dtype", "inputs", "Network", *_LAYERS),
)


class KerasBackend:
    """Emits a module that needs keras, numpy and safetensors."""

    name = "keras"
    emitters: Mapping[type[Op], Any] = EMITTERS
    notes: Sequence[Any] = ()
    ends_in_logits: Sequence[bool] = ()

    def __init__(self) -> None:
        self.nets: dict[str, Net] = {}
        """The nets that were emitted last, by the names of their classes."""

    def check(self, layer: Layer, used: Sequence[bool]) -> None:
        """Raise Unsupported for layers that Keras can't express."""
        written = WrittenLayer(layer.op, layer.op, layer.inputs, layer.outputs, any(used[1:]))
        EMITTERS[type(layer.op)](written, numbers_alike("0", layer))

    def emit(self, net: Net) -> str:
        """The source of the net's file."""
        return self.emit_family([net])

    def emit_family(
        self, nets: Sequence[Net], *, probabilities: bool = False, nsz: bool = False
    ) -> str:
        """The source of a file with a class for each net."""
        if nsz:
            raise Unsupported("models that load .nsz files")
        taken = (*_GLOBALS, *sources())
        spelling = KerasSpelling(nets)
        classes = classes_of(nets, lambda _: spelling, taken, _maker_of, probabilities)
        _check_names(nets, classes)
        self.notes = classes.notes()
        of_nets = classes.net_classes()
        self.nets = {c.name: net for c, net in zip(of_nets, nets, strict=True)}
        given = of_nets[0].trace.predictions[: len(nets[0].body.outputs)]
        self.ends_in_logits = [p is not None for p in given]
        return _source(nets, classes, spelling.usual)

    def run(self, model: Any, *inputs: Any) -> tuple[Any, ...]:
        """The net's outputs, channels first as its inputs. Raises Unsupported for float64."""
        from keras import ops

        if any(x.dtype == "float64" for x in inputs):
            raise Unsupported("Keras computes in float32")
        given = [x.transpose(0, 2, 3, 1) if x.ndim == 4 else x for x in inputs]
        result = model.probabilities(given if len(given) > 1 else given[0])
        results = result if isinstance(result, tuple) else (result,)
        arrays = (ops.convert_to_numpy(r) for r in results)
        return tuple(a.transpose(0, 3, 1, 2) if a.ndim == 4 else a for a in arrays)

    def set_weights(self, model: Any, weights: Mapping[str, Any]) -> None:
        """Give a model its weights; RuntimeError where names or shapes differ."""
        own = model.named_weights()
        given = dict(self.named_weights(self.nets[type(model).__name__], weights).values())
        if {n: tuple(w.shape) for n, w in own.items()} != {n: a.shape for n, a in given.items()}:
            raise RuntimeError("emitted model and net differ in their weights")
        for name, w in own.items():
            w.assign(given[name])

    def named_weights(self, net: Net, weights: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
        """Tensors as the model has them, each with its name there, by their names of the net."""
        named = named_tensors(net).items()
        return {ours: (name, laid_out(weights[ours], layer)) for ours, (name, layer) in named}

    def own_weights(self, net: Net, given: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
        """Tensors as the net has them, each with its name in `given`, by their names of the net.

        `given` has the model's names, or the places in a `.weights.h5` or `.keras` file.
        """
        found = {}
        places = places_of(net, given, _class_of)
        for ours, (name, _) in named_tensors(net).items():
            theirs, shape = name if name in given else places.get(name, ""), net.tensors[ours].shape
            if theirs in given and given[theirs].size == net.tensors[ours].size:
                found[ours] = (theirs, laid_back(given[theirs], shape))
        return found


def choose_engine() -> None:
    """Have Keras run on an engine that is installed, where the one that it would take is not."""
    engines = ("tensorflow", "torch", "jax")
    file = Path("~/.keras/keras.json").expanduser()
    try:
        said = json.loads(file.read_text(encoding="utf-8"))["backend"]
    except (OSError, ValueError, LookupError, TypeError):
        said = engines[0]
    if "KERAS_BACKEND" not in os.environ and said in engines and find_spec(said) is None:
        found = next((name for name in engines if find_spec(name)), None)
        if found is not None:
            os.environ["KERAS_BACKEND"] = found


def _maker_of(op: Op) -> Maker | None:
    """What makes the layer of an op; None where that takes channels or numbers."""
    if isinstance(op, Identity):
        return Maker("plain", "layers.Identity")
    numbers, unknown = numbers_alike("\0"), TraceValue("x", (8, 4, 4))
    try:
        written = EMITTERS[type(op)](WrittenLayer(op, op, (unknown,), (unknown,), False), numbers)
    except (CannotTrace, Unsupported):
        return None
    made = written.constructor
    if made is None:
        source = written.call("", [Verbatim("x")]).flat()
        known = re.fullmatch(
            r"(?:ops|keras\.activations)\.(\w+)\(x(?:, approximate=False)?\)", source
        )
        made = call("layers.Activation", f'"{known[1]}"') if known else call("\0")
    args = [made.head, *(a.flat() for a in made.args)]
    if any("\0" in a for a in args) or numbers.writer.supports:
        return None
    return Maker("plain", f"partial({', '.join(args)})" if made.args else made.head)


def _class_of(layer: Layer) -> str:
    """The class of Keras, or of an emitted file, that a layer is made of."""
    written = WrittenLayer(layer.op, layer.op, layer.inputs, layer.outputs, False)
    made = EMITTERS[type(layer.op)](written, numbers_alike("0", layer)).constructor
    return str(made.head).rpartition(".")[2] if made is not None else ""


def _check_names(nets: Sequence[Net], classes: Classes) -> None:
    """Raise Unsupported for names that can't be an attribute of a layer of Keras."""
    names = {part for net in nets for x in net.layers for part in x.path.split(".")}
    calls = [c for text in classes.all for c in calls_in(text.trace.nodes) if c.name is not None]
    fixed = {c.name.fixed or "" for c in calls if c.name is not None}
    for name in sorted(names):
        if name.startswith("_") or (name not in fixed and attribute(name) != name):
            raise Unsupported(f"a layer called {name}")
    if any("." in name or name.isdecimal() for name in fixed):
        raise Unsupported("names of another library")


class KerasSpelling:
    """How Keras spells a class."""

    library = Library(
        layer="keras.Layer",
        net="keras.Model",
        run="call",
        predict="probabilities",
        sizes="tuple[int, ...]",
        typed=("",),
        rows=1,
        add=("setattr", "self"),
        single="not isinstance({}, tuple)",
        packs=True,
        chains=False,
    )
    reserved = RESERVED | OUT_SIZES

    def __init__(self, nets: Sequence[Net]) -> None:
        ops = [op for op in EMITTERS if issubclass(op, Weighted)]
        laws: list[dict[type[Op], Init]] = [
            {op: (net.training and net.training.init) or op.default_init for op in ops}
            for net in nets
        ]
        if any(own != laws[0] for own in laws):
            raise Unsupported("nets whose weights begin differently, in one file")
        self.usual = laws[0]

    def emit(self, c: OpCall, numbers: ConstructorNumbers, several: bool) -> Written:
        layer = WrittenLayer(c.bound, c.op, c.inputs, c.outputs, several)
        written: Written = EMITTERS[type(c.bound)](layer, numbers)
        made, op = written.constructor, c.op
        if made is None or not isinstance(op, Learned):
            return written
        args = list(made.args)
        for tensor, shape in c.bound.tensors([v.shape for v in c.inputs]).items():
            init = op.bias_init if isinstance(op, LearnedWithBias) and tensor == "bias" else op.init
            if init is None and tensor == "weight":
                usual = self.usual.get(type(op))
                init = usual if usual and not self.at_the_top(type(op)) else None
            if init is not None and shape.learnable:
                begins = law(init, numbers.number, numbers.support)
                args.append(Keyword(f"{variable(type(op), tensor)}_initializer", begins))
        frozen = numbers.flag("frozen")
        if frozen or op.frozen:
            args.append(Keyword("trainable", Verbatim(f"not ({frozen})" if frozen else "False")))
        return replace(written, constructor=replace(made, args=tuple(args)))

    def at_the_top(self, op: type[Op]) -> bool:
        """Whether the usual law is said at the top of the file, where it is a name."""
        return op in (Conv, ConvTranspose, Linear) and _name_of(self.usual[op]) is not None

    def reached(self, name: str) -> str:
        return f"self.{attribute(name)}"

    def assigned(self, name: str, layer: Source) -> tuple[Source, tuple[str, ...]]:
        return layer, (self.reached(name),)

    def holder(self) -> FunctionCall:
        raise CannotTrace("names of another library")

    def built(self, inputs: Sequence[Sequence[str]]) -> Source:
        shapes = [tuple_of([*plane, channels]) for channels, *plane in inputs]
        given = [call("keras.Input", shape) for shape in shapes]
        return call("self", list_of(given) if len(given) > 1 else given[0])

    def methods(self, layers: Container[str]) -> Sequence[str]:
        return ()


def _name_of(init: Init) -> str | None:
    """The name of an initializer, for a law that has one in Keras."""
    source = law(init, repr, str).flat()
    return source if source.startswith('"') else None


def _top(code: str, usual: Mapping[type[Op], Init]) -> list[str]:
    """The lines that say once what holds for all layers of a class of Keras."""
    weighted = {Conv: "Conv2D", ConvTranspose: "Conv2DTranspose", Linear: "Dense"}
    begins = {name: _name_of(usual[op]) for op, name in weighted.items()}
    lines = []
    for name, said in _LAYERS.items():
        if re.search(rf"(?<![\w.]){name}\(", code) or f"partial({name}," in code:
            initial = begins.get(name)
            args = [f"layers.{name}", *([said] if said else [])]
            args += [f"kernel_initializer={initial}"] if initial else []
            lines += statement(f"{name} = ", call("partial", *args), 0)
    return lines


def _source(nets: Sequence[Net], classes: Classes, usual: Mapping[type[Op], Init]) -> str:
    """The file of nets with these classes."""
    names = [c.name for c in classes.net_classes()]
    pictures = [picture(net, _vector) for net in nets]
    shared = "Network" if len(nets) > 1 else ""
    texts = {
        c.name: NetText(
            docstring(
                class_doc(net, bool(shared), logits_or_not(net, c.trace.predictions), True), 4
            ),
            docstring(outputs_doc(net), 8),
            (),
            shared,
            net.variant_of or net.name,
        )
        for net, c in zip(nets, classes.net_classes(), strict=True)
    }
    rendered = list(classes.render(texts))
    supports = classes.supports | {"named_weights"}
    if not supports.isdisjoint(("max_pool", "average_pool", "pad_same")):
        supports |= {"pad", "window_sides"}
    if "flatten" in supports:
        supports.add("reshape")
    copied = [source for name, source in sources().items() if name in supports]
    code = "\n".join((*rendered, *copied))
    in_template = {
        name: {
            "name": name,
            "preprocess": prepared,
            "size": input_size(net),
            "params": f"{sum(t.size for t in learned(net)):_}",
            "check": shape_checks(net, _zeros, channels_last=True, packs=True),
        }
        for name, net, prepared in zip(names, nets, pictures, strict=True)
    }
    written = [c.name for c in classes.all]
    template = templates(Path(__file__).parent / "templates").get_template("model.py.j2")
    result: str = template.render(
        origin=wrap(compiled_from(nets), WIDTH - 2, break_on_hyphens=False),
        header="\n".join(docstring(title(nets, names), 0)),
        top=_top(code, usual),
        supports=copied,
        shared=shared,
        classes=list(zip(rendered, map(in_template.get, written), strict=True)),
        nets=list(in_template.values()),
        code=code,
    )
    return result.rstrip() + "\n"


def learned(net: Net) -> list[Tensor]:
    """The parameters of a net that its model has."""
    return [t for n in named_tensors(net) if (t := net.tensors[n]).learnable]


def _zeros(sizes: Sequence[str]) -> Source:
    return call("np.zeros", tuple_of(sizes), '"float32"')


def _vector(numbers: tuple[float, ...]) -> str:
    return f"ops.convert_to_tensor({[float(n) for n in numbers]})"


choose_engine()
