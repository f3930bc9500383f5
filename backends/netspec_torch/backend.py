"""From the net to PyTorch: a class for each module, an attribute for each layer with state."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from netspec.codegen.header import python_file, shape_checks
from netspec.codegen.identifiers import Identifiers, is_plain
from netspec.codegen.module_names import MODULE_ATTRIBUTES
from netspec.codegen.nsz_source import nsz_reader
from netspec.codegen.preprocess import PictureCalls, preprocess_method
from netspec.codegen.python_source import (
    FunctionCall,
    Source,
    Verbatim,
    call,
    templates,
    tuple_of,
)
from netspec.codegen.tracing.nodes import Call, LineNode, OpCall, Trace, parts_of
from netspec.codegen.writing.class_writer import ClassText
from netspec.codegen.writing.classes import Classes
from netspec.codegen.writing.emission import WrittenLayer, tensor_laws
from netspec.codegen.writing.library import Library
from netspec.codegen.writing.library_backend import LibraryBackend, net_texts
from netspec.codegen.writing.makers import makers
from netspec.codegen.writing.spelling import ConstructorNumbers, WrittenCall
from netspec.codegen.writing.terms import OUT_SIZES
from netspec.ir import Net
from netspec.lazy_dataclasses import replace
from netspec.ops import Init, Learned, Op, Weighted
from netspec.symbolic.expr import NumberLiteral, expr_of
from netspec_torch.emission import Emission, method
from netspec_torch.emitters import EMITTERS
from netspec_torch.init_weights import drawing, drawn, initialization, usual_laws
from netspec_torch.reserved import OF_DICTS, OWN_METHODS
from netspec_torch.support import sources

_GLOBALS = (
    *("torch", "nn", "F", "math", "self", "Tensor", "Path", "Any", "Fraction"),
    *("is_zipfile", "model", "partial", "Callable"),
)


class TorchBackend(LibraryBackend):
    """Emits a module that needs torch, numpy and safetensors."""

    name = "torch"
    emitters = EMITTERS
    packages: Sequence[str] = ("torch", "numpy", "safetensors")

    def emit_family(
        self, nets: Sequence[Net], *, probabilities: bool = False, nsz: bool = False
    ) -> str:
        """The source of a file with a class for each net."""
        classes = self.classes_of(
            nets,
            lambda traces: _Spelling(nets, traces),
            (*_GLOBALS, *sources()),
            makers(EMITTERS, "nn.Identity", "nn."),
            probabilities,
        )
        return _source(nets, classes, nsz)

    def run(self, model: Any, *inputs: Any) -> tuple[Any, ...]:
        """What `predict` gives in inference mode; float64 inputs make it a float64 model."""
        import torch

        model.eval()
        if any(x.dtype == "float64" for x in inputs):
            model.double()
        with torch.inference_mode():
            result = model.predict(*(torch.from_numpy(x) for x in inputs))
        results = result if isinstance(result, tuple) else (result,)
        return tuple(r.detach().numpy() for r in results)

    def set_weights(self, model: Any, weights: Mapping[str, Any]) -> None:
        """Load a model's parameters and buffers; RuntimeError where the names differ."""
        import torch

        model.load_state_dict({name: torch.tensor(array) for name, array in weights.items()})


def _bare(op: Any, numbers: ConstructorNumbers) -> Emission:
    """A learned constant that is a parameter of the class itself, with a name of its own."""
    shape = [numbers.number(n) for n in op.shape]
    if op.init is not None and op.init.law == "constant":
        made = call("torch.full", tuple_of(shape), numbers.number(op.init.numbers[0]))
    else:
        zeros = call("torch.zeros", *shape)
        made = zeros if op.init is None else drawing(op.init, zeros, numbers)
    frozen = ("requires_grad=False",) if op.frozen else ()

    def forward(name: str, inputs: list[Source]) -> Source:
        sizes = f"{inputs[0].flat()}.shape[0]", *["-1"] * len(shape)
        return method(Verbatim(name), "expand", *sizes)

    return Emission(forward, call("nn.Parameter", made, *frozen))


# PyTorch assigns self.training, which it refuses where a layer bears that name.
_TRAIN = [
    "    def train(self, mode: bool = True) -> Self:",
    '        self.__dict__["training"] = mode',
    "        for child in self.children():",
    "            child.train(mode)",
    "        return self",
]


class _Spelling:
    """How PyTorch spells a class."""

    library = Library(
        layer="nn.Module",
        net="nn.Module",
        run="forward",
        predict="predict",
        sizes="torch.Size",
        typed=("F.", "torch."),
        rows=2,
        add=("self.add_module",),
        single="isinstance({}, Tensor)",
    )
    reserved = MODULE_ATTRIBUTES | OWN_METHODS | OUT_SIZES

    def __init__(self, nets: Sequence[Net], traces: Sequence[Trace]) -> None:
        self.usual = [usual_laws(net, (x.op for x in net.layers)) for net in nets]
        self.top = {id(c) for trace in traces for c in _calls_at_top(trace)}

    def emit(self, call: OpCall, numbers: ConstructorNumbers, several: bool) -> WrittenCall:
        written = WrittenLayer(call.bound, call.op, call.inputs, call.outputs, several)
        if call.bare:
            return _bare(call.op, numbers)
        emission = EMITTERS[type(call.bound)](written, numbers)
        module = emission.constructor
        if module is None or not isinstance(call.op, Learned) or id(call) in self.top:
            return emission
        # Arguments may decide whether the layer is there, or how it begins.
        flag = numbers.flag("frozen")
        if flag or call.op.frozen:
            learns = f"not ({flag})" if flag and not flag.isidentifier() else f"not {flag}"
            module = replace(module, tail=f".requires_grad_({learns if flag else False})")
        laws = tensor_laws(call.op, call.bound.tensors([v.shape for v in call.inputs]))
        if "weight" in laws and self.is_usual(call.op, laws["weight"], numbers):
            del laws["weight"]
        module = drawn(module, laws, numbers) if laws else module
        return replace(emission, constructor=module)

    def reached(self, name: str) -> str:
        first, *inner = name.split(".")
        if len(inner) > 1 and not any(self.is_reserved(part, True) for part in (first, *inner)):
            return f'self.get_submodule("{name}")'
        if inner:
            return self.reached(first) + "".join(f'["{part}"]' for part in inner)
        if self.is_reserved(name):
            return f'self.__dict__["_modules"]["{name}"]'
        return f"self.{name}" if is_plain(name) else f'getattr(self, "{name}")'

    def is_reserved(self, name: str, inside: bool = False) -> bool:
        """Whether an attribute of the class, or `inside` an `nn.ModuleDict`, can't be a layer."""
        return name in self.reserved or name.startswith("__") or (inside and name in OF_DICTS)

    def assigned(self, name: str, layer: Source) -> tuple[Source, tuple[str, ...]]:
        holder, _, last = name.rpartition(".")
        owner = self.reached(holder) if holder else "self"
        place = self.reached(name)
        if self.is_reserved(last, bool(holder)):
            place = f'{owner}._modules["{last}"]'
        elif place.startswith(("getattr(self, ", "self.get_submodule(")) and place.endswith(")"):
            return call(f"{owner}.add_module", f'"{last}"', layer), ()
        return layer, (place,)

    def holder(self) -> FunctionCall:
        return call("nn.ModuleDict")

    def built(self, inputs: Sequence[Sequence[str]]) -> None:
        """Nothing: PyTorch's layers are made whole."""

    def methods(self, layers: Container[str]) -> Sequence[str]:
        return _TRAIN if "training" in layers else ()

    def is_usual(self, op: Op, init: Init, numbers: ConstructorNumbers) -> bool:
        """Whether the weights of a kind of layer begin so where nothing else is said."""
        alike = all(usual.get(type(op)) == init for usual in self.usual)
        return isinstance(op, Weighted) and alike and numbers.literal(*init.numbers)


def _source(nets: Sequence[Net], classes: Classes, nsz: bool) -> str:
    """The file of nets with these classes, which share those of their modules."""
    own = {c.name: net for c, net in zip(classes.net_classes(), nets, strict=True)}
    taken = Identifiers((*_GLOBALS, *sources(), *(c.name for c in classes.all)))
    shared = taken.numbered("Network") if len(nets) > 1 else ""
    rendered = list(
        classes.render(net_texts(nets, classes, shared, partial(_begins, nets, classes)))
    )
    supports = classes.supports
    if any("bilinear_(" in code for code in rendered):
        supports.add("bilinear_")
    template = templates(Path(__file__).parent / "templates").get_template("load.py.j2")
    load = template.render(nsz=nsz).rstrip()
    pictures = ["\n".join(preprocess_method(net, _PICTURES)) for net in nets]
    one_picture = pictures[0] if len({*pictures}) == 1 else ""
    pieces = [source for name, source in sources().items() if name in supports]
    if shared:
        head = f"class {shared}(nn.Module):"
        doc = '    """Loads weights and prepares pictures, for all nets of the file."""'
        pieces.append("\n".join([head, doc, *_methods(load, one_picture)]))
    methods = [load * (not shared), "" if shared and one_picture else "{}"]
    for source, text in zip(rendered, classes.all, strict=True):
        more = []
        if text.name in own:
            more = _methods(*(m.format(pictures.pop(0)) if m == "{}" else m for m in methods))
        pieces.append("\n".join([source, *more]))
    checks = ['if __name__ == "__main__":']
    for n, (name, net) in enumerate(own.items()):
        checks += [
            f"    model{': nn.Module' if shared and not n else ''} = {name}().eval()",
            f"    assert sum(p.numel() for p in model.parameters()) == {net.params:_}",
            *shape_checks(net, lambda sizes: call("torch.zeros", *sizes)),
        ]

    def header(used: Container[str]) -> list[str]:
        functional = ["import torch.nn.functional as F"] if "F" in used else []
        lines = ["import torch", *functional, "from torch import Tensor, nn"]
        if not nsz:
            return lines
        array = "Array = np.ndarray[Any, np.dtype[Any]]"
        return ["import numpy as np", *lines, "", array, "", nsz_reader().rstrip()]

    return python_file(nets, [*own], [*pieces, "\n".join(checks)], header)


def _methods(*sources: str) -> list[str]:
    """Methods behind others of a class; empty ones are none."""
    return [part for source in sources if source for part in ("", source)]


def _begins(nets: Sequence[Net], classes: Classes, net: Net, own: ClassText) -> list[str]:
    """The lines of `reset_parameters` of a net's class."""
    # The modules of one variant may be arguments of another.
    pairs = zip(nets, classes.net_classes(), strict=True)
    variants = [c for n, c in pairs if (n.variant_of or n.name) == (net.variant_of or net.name)]
    made = [
        (c.op, emission.constructor)
        for c, emission in classes.emissions(variants)
        if emission.constructor is not None and not c.bare
    ]
    here = {c.name.fixed or "" for c in _calls_at_top(own.trace) if c.name is not None}
    return initialization(net, made, here)


def _calls_at_top(trace: Trace) -> Iterator[Call]:
    """The layers of a net's class that it has whatever its arguments, and begin as they say."""
    lines = [node for node in trace.nodes if isinstance(node, LineNode)]
    for c in (part for line in lines for whole in line.calls for part in parts_of(whole)):
        numbers: list[float] = []
        if isinstance(c, OpCall) and isinstance(c.op, Learned):
            if "frozen" in c.terms:
                continue
            laws = (c.op.init, getattr(c.op, "bias_init", None))
            numbers = [n for law in laws if law is not None for n in law.numbers]
        if all(isinstance(expr_of(n), NumberLiteral) for n in numbers):
            yield c


_PICTURES = PictureCalls(
    first=("import numpy as np", ""),
    then=("x = torch.from_numpy(pixels).permute(2, 0, 1)[None]",),
    plane="x.shape[2:]",
    resize=lambda size: call("F.interpolate", "x", size, mode='"bilinear"', antialias="True"),
    crop="x[:, :, {}, {}]",
    flip="{}.flip(1)",
    vector=lambda numbers: f"torch.tensor({[float(n) for n in numbers]}).view(-1, 1, 1)",
)
