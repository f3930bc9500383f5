"""From the net to Keras: a class for each module, a model for each net, channels last."""

from __future__ import annotations

import json
import os
from collections.abc import Container, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from netspec.codegen.backend import Unsupported
from netspec.codegen.copied import CHECKS, definitions, with_callees
from netspec.codegen.header import python_file, shape_checks
from netspec.codegen.preprocess import PictureCalls, preprocess_method
from netspec.codegen.python_source import (
    FunctionCall,
    Keyword,
    Source,
    Verbatim,
    call,
    list_of,
    statement,
    tuple_of,
)
from netspec.codegen.tracing.nodes import CannotTrace, OpCall, calls_in
from netspec.codegen.writing.classes import Classes
from netspec.codegen.writing.emission import Emission, WrittenLayer, tensor_laws
from netspec.codegen.writing.library import Library
from netspec.codegen.writing.library_backend import LibraryBackend, net_texts
from netspec.codegen.writing.makers import makers
from netspec.codegen.writing.spelling import ConstructorNumbers, numbers_alike
from netspec.codegen.writing.terms import OUT_SIZES
from netspec.ir import Layer, Net
from netspec.lazy_dataclasses import replace
from netspec.ops import Init, Learned, Op, Weighted
from netspec.ops.convolution import Conv, ConvTranspose, Linear
from netspec_keras.emitters import EMITTERS
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
_WEIGHTED = {Conv: "Conv2D", ConvTranspose: "Conv2DTranspose", Linear: "Dense"}
"""The layers for which that says also how their weights begin, where that law has a name."""
_GLOBALS = (
    *("keras", "ops", "layers", "initializers", "math", "np", "self", "Tensor", "Path", "Any"),
    *("Fraction", "model", "partial", "Callable", "dtype", "inputs", *_LAYERS),
)


SUPPORT = definitions([CHECKS, *sorted((Path(__file__).parent / "support").glob("*.py"))])
"""The source of what emitted files get copies of, by its name; keras is not imported."""
ENGINES = ("tensorflow", "torch", "jax")


class KerasBackend(LibraryBackend):
    """Emits a module that needs keras, numpy and safetensors."""

    name = "keras"
    emitters = EMITTERS

    def __init__(self) -> None:
        self.nets: dict[str, Net] = {}
        """The nets that were emitted last, by the names of their classes."""

    def emit_family(
        self, nets: Sequence[Net], *, probabilities: bool = False, nsz: bool = False
    ) -> str:
        """The source of a file with a class for each net."""
        if nsz:
            raise Unsupported("models that load .nsz files")
        spelling, taken = KerasSpelling(nets), (*_GLOBALS, *SUPPORT)
        maker_of = makers(EMITTERS, "layers.Identity")
        classes = self.classes_of(nets, lambda _: spelling, taken, maker_of, probabilities)
        _check_names(nets, classes)
        self.nets = {c.name: net for c, net in zip(classes.net_classes(), nets, strict=True)}
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
    engines = [*ENGINES]
    try:
        said = Path("~/.keras/keras.json").expanduser().read_text(encoding="utf-8")
        engines.insert(0, json.loads(said)["backend"])
    except (OSError, ValueError, LookupError, TypeError):
        pass
    known = (name for name in engines if name not in ENGINES or find_spec(name) is not None)
    os.environ.setdefault("KERAS_BACKEND", next(known, engines[0]))


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

    def emit(self, c: OpCall, numbers: ConstructorNumbers, several: bool) -> Emission:
        layer = WrittenLayer(c.bound, c.op, c.inputs, c.outputs, several)
        written: Emission = EMITTERS[type(c.bound)](layer, numbers)
        made, op = written.constructor, c.op
        if made is None or not isinstance(op, Learned):
            return written
        laws = tensor_laws(op, c.bound.tensors([v.shape for v in c.inputs]))
        usual = self.usual.get(type(op))
        if usual is not None and not (type(op) in _WEIGHTED and _name_of(usual)):
            laws = {"weight": usual, **laws}
        args = list(made.args)
        for tensor, init in laws.items():
            begins = law(init, numbers.number, numbers.support)
            args.append(Keyword(f"{variable(type(op), tensor)}_initializer", begins))
        frozen = numbers.flag("frozen")
        if frozen or op.frozen:
            args.append(Keyword("trainable", Verbatim(f"not ({frozen})" if frozen else "False")))
        return replace(written, constructor=replace(made, args=tuple(args)))

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


def _top(used: Container[str], usual: Mapping[type[Op], Init]) -> list[str]:
    """The lines that say once what holds for all layers of a class of Keras."""
    begins = {name: _name_of(usual[op]) for op, name in _WEIGHTED.items()}
    lines = []
    for name, said in _LAYERS.items():
        args = [f"layers.{name}", *([said] if said else [])]
        args += [f"kernel_initializer={begins[name]}"] if begins.get(name) else []
        lines += statement(f"{name} = ", call("partial", *args), 0) if name in used else []
    return lines


def _source(nets: Sequence[Net], classes: Classes, usual: Mapping[type[Op], Init]) -> str:
    """The file of nets with these classes."""
    own = dict(zip((c.name for c in classes.net_classes()), nets, strict=True))
    pieces = with_callees({"Network", *classes.supports}, SUPPORT)
    texts = net_texts(nets, classes, "Network", channels_last=True)
    for c, source in zip(classes.all, classes.render(texts), strict=True):
        method = preprocess_method(own[c.name], _PICTURES) if c.name in own else []
        pieces.append("\n".join([source, *([""] if method else []), *method]))
    checks = ['if __name__ == "__main__":']
    for n, (name, net) in enumerate(own.items()):
        count = sum(net.tensors[t].size for t in named_tensors(net) if net.tensors[t].learnable)
        checks += [
            f"    model{': keras.Model' if len(nets) > 1 and not n else ''} = {name}()",
            '    learned = [w for w in model.weights if not w.name.startswith("moving_")]',
            f"    assert sum(int(np.prod(w.shape)) for w in learned) == {count:_}",
            *shape_checks(net, _zeros, channels_last=True, packs=True),
        ]

    def header(used: Container[str]) -> list[str]:
        modules = [m for m in ("initializers", "layers", "ops") if m in used]
        tensor = "Tensor = Any  # of what Keras runs on: JAX, TensorFlow or PyTorch"
        lines = ["import keras", "import numpy as np", f"from keras import {', '.join(modules)}"]
        return [*lines, "", tensor, *_top(used, usual)]

    return python_file(nets, [*own], [*pieces, "\n".join(checks)], header)


def _zeros(sizes: Sequence[str]) -> Source:
    return call("np.zeros", tuple_of(sizes), '"float32"')


_RESIZED = {"antialias": "True", "data_format": '"channels_last"'}
_PICTURES = PictureCalls(
    first=(),
    then=(),
    plane="pixels.shape[:2]",
    resize=lambda size: call("ops.image.resize", "pixels[None]", size, **_RESIZED),
    crop="x[:, {}, {}]",
    flip="ops.flip({}, 3)",
    vector=lambda numbers: f"ops.convert_to_tensor({[float(n) for n in numbers]})",
)

choose_engine()
