"""A graph or function in the making: names of values, nodes, constants and weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from onnx import NodeProto, helper, numpy_helper

from netspec.ir import FlatLayer, Value
from netspec.lazy_dataclasses import dataclass
from netspec.ops import Shape
from netspec.symbolic.expr import Apply, Dim, Expr, NumberLiteral, SizeOf, expr_of, follows
from netspec_onnx.sizes import FreeSizes, SizedLayer

BATCH = "batch"
"""Among dimensions, the number of pictures."""


@dataclass(frozen=True)
class Target:
    """What nodes are written for: an opset, and the type of floating-point numbers."""

    opset: int = 17
    float16: bool = False

    @property
    def float_type(self) -> Any:
        return np.float16 if self.float16 else np.float32

    def array(self, value: Any) -> Any:
        """A floating-point constant; one that float16 has no number for is the nearest that is."""
        array = np.asarray(value, dtype=np.float64)
        if self.float16:
            least, most = 2.0**-24, float(np.finfo(np.float16).max)
            small = (array != 0) & (np.abs(array) < least)
            array = np.where(small, np.copysign(least, array), array)
            array = np.where(np.isfinite(array), np.clip(array, -most, most), array)
        return array.astype(self.float_type)


class Body:
    """The graph of a model, or a function. `prefix` is what the paths in it begin with outside.

    `weights` are the tensors that it takes: their names here by those of weight files, and how many
    dimensions of 1 follow their own.
    """

    def __init__(self, prefix: str = "", reserved: Iterable[str] = ()) -> None:
        self.prefix = prefix
        self.reserved = set(reserved)
        self.names: dict[Value, str] = {}
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, Any] = {}
        self.weights: dict[str, tuple[str, int]] = {}
        self._sizes: dict[Expr, tuple[str, int]] = {}

    def add(self, value: Value, name: str, shape: Shape) -> None:
        """Name a value; its sizes can then be asked for."""
        self.names[value] = name
        for axis, n in enumerate(shape):
            if isinstance(n, Dim):
                self._sizes.setdefault(n.expr, (name, axis + 1))

    def size(self, symbol: Expr) -> tuple[str, int] | None:
        """A value that has a size, and its axis; None where there is none here."""
        return self._sizes.get(symbol)

    def local(self, path: str) -> str:
        """A path as it is called here."""
        return path.removeprefix(self.prefix)

    def weight(self, name: str, here: str, ones: int) -> str:
        """The name here of a tensor of the net, which is called `here` where it is new."""
        return self.weights.setdefault(name, (here, ones))[0]


class LayerGraph:
    """The nodes of one layer, for its emitter.

    `inputs` and `outputs` are shapes without the batch, `used` says of each result whether anything
    reads it. Numbers of these shapes, and of attributes that the emitter declares as free, may
    depend on sizes: `dims` writes them into the graph, `number` fixes the sizes.
    """

    def __init__(
        self,
        body: Body,
        sizes: FreeSizes,
        flat: FlatLayer,
        layer: SizedLayer,
        target: Target,
        used: Sequence[bool],
    ) -> None:
        self.body, self.sizes, self.target, self.used = body, sizes, target, used
        self.opset = target.opset
        self.stated, self.inputs, self.outputs = layer.stated, layer.inputs, layer.outputs
        self.path = body.local(flat.path)
        self._flat = flat
        self._made: dict[str, int] = {}
        self._nodes: list[tuple[str, list[str], list[str], dict[str, Any]]] = []

    @property
    def float_kind(self) -> int:
        """The type of floating-point numbers, as ONNX counts types."""
        return int(helper.np_dtype_to_tensor_dtype(np.dtype(self.target.float_type)))

    # --- what emitters call ----------------------------------------------------------------------

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node of one result."""
        return self.several(kind, 1, *inputs, **attributes)[0]

    def several(self, kind: str, count: int, *inputs: str, **attributes: Any) -> list[str]:
        """Add a node of so many results."""
        name = self._name(kind)
        results = [name, *(f"{name}/{i}" for i in range(1, count))]
        self._nodes.append((kind, list(inputs), results, attributes))
        return results

    def floats(self, value: Any) -> str:
        """A constant of floating-point numbers."""
        return self._constant(self.target.array(value))

    def ints(self, value: Any) -> str:
        """A constant of whole numbers."""
        return self._constant(np.asarray(value, dtype=np.int64))

    def singles(self, value: Any) -> str:
        """A constant of float32 numbers, whatever the type of the model."""
        return self._constant(np.asarray(value, dtype=np.float32))

    def weight(self, name: str, ones: int = 0) -> str:
        """A tensor of the layer; `ones` dimensions of 1 follow its own."""
        return self.body.weight(f"{self._flat.weights}.{name}", f"{self.path}.{name}", ones)

    def weights(self) -> list[str]:
        """All tensors of the layer, in order."""
        return [self.weight(name) for name in self._flat.layer.tensors]

    def per_channel(self, name: str) -> str:
        """A tensor with a number for each channel, to go with the first input."""
        return self.weight(name, len(self.inputs[0]) - 1)

    def number(self, number: Any) -> Any:
        """A plain number; the sizes that it depends on are fixed."""
        return self.sizes.fix(number)

    def dims(self, numbers: Sequence[int | str], batch_of: str = "") -> str:
        """A vector of dimensions. `BATCH` among them is the number of pictures in `batch_of`."""
        parts: list[str] = []
        plain: list[int] = []
        for n in numbers:
            part = self._dim(n, batch_of)
            if isinstance(part, int):
                plain.append(part)
                continue
            parts += [self.ints(plain)] if plain else []
            parts.append(part)
            plain = []
        parts += [self.ints(plain)] if plain or not parts else []
        return parts[0] if len(parts) == 1 else self.node("Concat", *parts, axis=0)

    def reduce(self, kind: str, x: str, axes: Sequence[int], keep: bool = True) -> str:
        """A node such as ReduceMean; since opset 18 the axes of all are an input."""
        if self.opset >= 18 or kind == "ReduceSum":
            return self.node(kind, x, self.ints(axes), keepdims=int(keep))
        return self.node(kind, x, axes=list(axes), keepdims=int(keep))

    # --- what becomes of it ----------------------------------------------------------------------

    def finish(self, results: Sequence[str]) -> None:
        """Add the nodes to the graph; results bear the names of the layer."""
        final: dict[str, str] = {}
        made = {name for _, _, outputs, _ in self._nodes for name in outputs}
        for i, (value, result) in enumerate(zip(self._flat.outputs, results, strict=False)):
            if result in made and result not in final:
                final[result] = self.body.names.get(value) or self._value_name(value, i)
            self.body.add(value, final.get(result, result), self.outputs[i])
        for kind, inputs, outputs, attributes in self._nodes:
            mine = (
                outputs[0] in final and final[outputs[0]] == self.body.names[self._flat.outputs[0]]
            )
            node = helper.make_node(
                kind,
                [final.get(n, n) for n in inputs],
                [final.get(n, n) for n in outputs],
                name=self.path if mine else outputs[0],
                **attributes,
            )
            self.body.nodes.append(node)

    def _value_name(self, value: Value, i: int) -> str:
        name = self.path if not i else f"{self.path}.{value.name.rpartition('.')[2]}"
        return f"{name}/{self._flat.op.keyword}" if name in self.body.reserved else name

    def _name(self, kind: str) -> str:
        self._made[kind] = count = self._made.get(kind, 0) + 1
        return f"{self.path}/{kind}" + (f"_{count}" if count > 1 else "")

    def _constant(self, array: Any) -> str:
        name = self._name("constant")
        self.body.constants[name] = numpy_helper.from_array(np.array(array, order="C"), name)
        return name

    def _dim(self, n: int | str, batch_of: str) -> int | str:
        """A dimension as a plain number, or the name of a vector of it."""
        if isinstance(n, str):
            return self.node("Shape", batch_of, start=0, end=1)
        expr = expr_of(n)
        if not follows(expr):
            return int(n)
        return self._computed(expr) if self._computable(expr) else int(self.number(n))

    def _computable(self, expr: Expr) -> bool:
        match expr:
            case SizeOf():
                return self.body.size(expr) is not None
            case NumberLiteral(value):
                return value.denominator == 1
            case Apply("floor" | "ceil", (Apply("/", operands),)):
                return all(map(self._computable, operands))
            case Apply("+" | "-" | "*" | "//" | "%" | "min" | "max", operands):
                return all(map(self._computable, operands))
        return False

    def _computed(self, expr: Expr) -> str:
        """Nodes that compute an expression of sizes, in whole numbers: a vector of one."""
        match expr:
            case SizeOf():
                name, axis = self.body.size(expr) or ("", 0)
                return self.node("Shape", name, start=axis, end=axis + 1)
            case NumberLiteral(value):
                return self.ints([int(value)])
            case Apply("-", (a,)):
                return self.node("Neg", self._computed(a))
            case Apply("ceil", (Apply("/", (a, b)),)):
                down = self._floor(self.node("Neg", self._computed(a)), self._computed(b))
                return self.node("Neg", down)
            case Apply("floor", (Apply("/", (a, b)),)) | Apply("//", (a, b)):
                return self._floor(self._computed(a), self._computed(b))
            case Apply(operator, operands):
                return self.node(_KINDS[operator], *map(self._computed, operands))
        raise AssertionError("no number")

    def _floor(self, a: str, b: str) -> str:
        """a // b; ONNX divides towards 0."""
        return self.node("Div", self.node("Sub", a, self.node("Mod", a, b)), b)


_KINDS = {"+": "Add", "-": "Sub", "*": "Mul", "%": "Mod", "min": "Min", "max": "Max"}
