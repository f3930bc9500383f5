"""Writes a net as a PyTorch file: a class for each module, an attribute for each layer with state.

The template holds what all files share: imports, `load`, `preprocess`, the check as a script.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netspec.codegen.backend import summary
from netspec.codegen.identifiers import Identifiers, class_name
from netspec.codegen.preprocess import picture
from netspec.codegen.python_source import (
    call,
    docstring,
    list_of,
    statement,
    templates,
    tuple_of,
)
from netspec.ir import Layer, Net
from netspec.lazy_dataclasses import replace
from netspec.ops import Op, Shape
from netspec.symbolic.expr import Parameter, Symbol
from netspec_torch.classbody import class_body
from netspec_torch.decided import undecided
from netspec_torch.emitters import EMITTERS
from netspec_torch.init_weights import initialization
from netspec_torch.support import sources
from netspec_torch.units import Units, class_text, instances, type_name
from netspec_torch.writer import NumberWriter

MOST_OPERATORS = 3
"""Most operators of an expression of the net's parameters: each is written many times."""

_GLOBALS = (
    "torch",
    "nn",
    "F",
    "np",
    "math",
    "self",
    "Tensor",
    "Path",
    "Any",
    "load_file",
    "model",
    "deepcopy",
)


class TorchBackend:
    """Emits a module that needs torch, numpy and safetensors."""

    name = "torch"
    emitters: Mapping[type[Op], Any] = EMITTERS

    def check(self, layer: Layer, used: Sequence[bool]) -> None:
        """Raise Unsupported for layers that PyTorch can't express."""
        EMITTERS[type(layer.op)](layer, NumberWriter({}, {}, 0), any(used[1:]))

    def emit(self, net: Net) -> str:
        """The source of the net's file."""
        return _TorchFile(net).source()

    def run(self, model: Any, *inputs: Any) -> tuple[Any, ...]:
        """The outputs of a model in inference mode; float64 inputs make it a float64 model."""
        import torch

        model.eval()
        if any(x.dtype == "float64" for x in inputs):
            model.double()
        with torch.inference_mode():
            result = model(*(torch.from_numpy(x) for x in inputs))
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


class _TorchFile:
    """The file of one net, while it is written. `taken` are names that no variable may have."""

    def __init__(self, net: Net) -> None:
        self.net = net
        wanted = {
            i.block.module: class_name(i.block.module, i.block.doc) for i in instances(net.body)
        }
        reserved = (*_GLOBALS, *sources())
        self.net_name = Identifiers(reserved).numbered(class_name(net.name, net.doc))
        reserved = (*reserved, self.net_name)
        self.taken = (*reserved, *wanted.values())
        self.units = Units(net.body, wanted, reserved, (p.name for p in net.parameters))

    def source(self) -> str:
        """The whole file."""
        body = self._net_body()
        block = self.net.body
        writers = [*self.units.writers, self.writer]
        supports = {name for w in writers for name in w.supports}
        x = self.net.body.inputs[0].shape if self.net.body.inputs else ()
        prepared = picture(self.net, _vector)
        bodies = "".join(u.body for u in self.units.units) + body
        template = templates(Path(__file__).parent / "templates").get_template("model.py.j2")
        height, width = (int(x[1]), int(x[2])) if len(x) == 3 else (0, 0)
        rendered = template.render(
            file="".join(c if c.isprintable() else " " for c in Path(self.net.file).name),
            header="\n".join(docstring(self.net.doc or f"{self.net_name}.", 0)),
            supports=[source for name, source in sources().items() if name in supports],
            modules=self.units.units,
            name=self.net_name,
            body=body,
            preprocess=prepared,
            height=height,
            width=width,
            uses_math=any(w.needs_math for w in writers),
            typing=[
                n for n in ("Any", "Self") if (prepared and n == "Any") or f"-> {n}:" in bodies
            ],
            uses_functional="F." in bodies or prepared is not None,
            params=f"{self.net.params:_}",
            check=_check([v.shape for v in block.inputs], [v.shape for v in block.outputs]),
        )
        return rendered.rstrip() + "\n"

    def _net_body(self) -> str:
        """The net's class. Its parameters are arguments where every use of them can be written.

        It is written with all of them first, then without those of which a use could not be.
        """
        free: dict[Symbol, int | float] = {
            Parameter(p.name): p.value
            for p in self.net.parameters
            if not p.always_static and isinstance(p.value, int | float)
            if not isinstance(p.value, bool)
        }
        if any(p.static and Parameter(p.name) in free for p in self.net.parameters):
            always_static = undecided(self.net, lambda instance: self.units.of(instance).decided)
            free = {s: v for s, v in free.items() if s not in always_static}
        names = Identifiers(self.taken)
        arguments: dict[Symbol, str] = {
            Parameter(p.name): names.identifier(p.name) for p in self.net.parameters
        }
        block = self.net.body
        while True:
            writer = NumberWriter(dict(free), arguments, MOST_OPERATORS)
            body = class_body([block], [writer], self.units.construct, self.taken, shapes=True)
            if body is None:
                raise AssertionError("no class for the net")
            frozen = writer.refused & set(free)
            if not frozen:
                break
            free = {s: v for s, v in free.items() if s not in frozen}
        self.writer = writer
        signature = [
            f"{writer.arguments[s]}: {type_name(v)} = {v!r}"
            # A whole number that is rounded wherever it is used need not be one.
            for s, v in ((s, v if s in writer.exact else float(v)) for s, v in free.items())
            if s in writer.used
        ]
        body = replace(body, init=[*body.init, *initialization(self.net)])
        return class_text(block, docstring(summary(self.net), 4), signature, body)


def _check(inputs: Sequence[Shape], outputs: Sequence[Shape]) -> list[str]:
    """Lines that assert the output shapes of `model`."""
    zeros = [call("torch.zeros", "1", *(str(int(d)) for d in shape)) for shape in inputs]
    shapes = [tuple_of(["1", *(str(int(d)) for d in shape)]) for shape in outputs]
    run = call("model", *zeros)
    line = f"    assert {run.flat()}.shape == {shapes[0].flat()}"
    if len(shapes) == 1 and len(line) <= 88:
        return [line]
    lines = statement("results = ", run, 4)
    if len(shapes) == 1:
        return [*lines, f"    assert results.shape == {shapes[0].flat()}"]
    lines += statement("shapes = ", list_of(shapes), 4)
    return [*lines, "    assert [tuple(x.shape) for x in results] == shapes"]


def _vector(numbers: tuple[float, ...]) -> str:
    """A tensor of numbers, one for each channel, as source."""
    return f"torch.tensor({[float(n) for n in numbers]}).view(-1, 1, 1)"
