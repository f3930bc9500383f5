"""From a net to an ONNX model: layers in order, modules as functions, inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np
from onnx import FunctionProto, ModelProto, TensorProto, helper, numpy_helper

from netspec import __version__
from netspec.codegen.backend import Unsupported
from netspec.ir import Block, FlatLayer, Instance, Layer, Net, Preprocessing, Value
from netspec.lazy_dataclasses import dataclass
from netspec.ops import IndexShape, Shape
from netspec.symbolic.expr import Dim, SizeOf, expr_of
from netspec_onnx.emitters import EMITTERS
from netspec_onnx.graph import Body, LayerGraph, Target
from netspec_onnx.metadata import metadata
from netspec_onnx.sizes import FreeSizes

FLOAT = TensorProto.FLOAT
DOMAIN = "netspec"
"""The domain of functions, one a module."""
MOST_BYTES = 2**31 - 2**20
"""Most bytes of a protobuf file; weights that are more go into a file beside."""
PAGE = 4096
"""Where a tensor may begin in the file beside, so that it can be mapped into memory."""
Weights = Mapping[str, Any]
Buffer = bytes | memoryview


@dataclass(frozen=True)
class FileOptions:
    """What a file is to be like; docs/onnx.md says what each is."""

    opset: int = 17
    functions: bool = False
    float16: bool = False
    preprocess: bool = False
    labels: Sequence[str] = ()


def onnx_model(net: Net, options: FileOptions) -> ModelProto:
    """The model of a net, whose tensors are declared and have no numbers."""
    writer = _written(net, options)
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(writer.target.float_type))
    return writer.model(
        TensorProto(name=name, data_type=kind, dims=shape) for name, shape in writer.tensors()
    )


def onnx_files(
    net: Net, weights: Weights, options: FileOptions, name: str
) -> dict[str, list[Buffer]]:
    """The file of a net called `name` and, of more than 2 GiB of weights, one of these beside.

    Raises Unsupported where it can't be a file of these options.
    """
    writer = _written(net, options)
    arrays = writer.arrays(weights)
    pieces: list[Buffer] = []
    if sum(array.nbytes for array in arrays.values()) <= MOST_BYTES:
        tensors = [numpy_helper.from_array(array, tensor) for tensor, array in arrays.items()]
    else:
        tensors, end = [], 0
        for tensor, array in arrays.items():
            start = -(-end // PAGE) * PAGE
            pieces += [bytes(start - end), array.data]
            end = start + array.nbytes
            made = TensorProto(name=tensor, dims=array.shape, data_location=TensorProto.EXTERNAL)
            made.data_type = helper.np_dtype_to_tensor_dtype(array.dtype)
            place = {"location": f"{name}.data", "offset": start, "length": array.nbytes}
            for key, value in place.items():
                made.external_data.add(key=key, value=str(value))
            tensors.append(made)
    files: dict[str, list[Buffer]] = {name: [writer.model(tensors).SerializeToString()]}
    return files | ({f"{name}.data": pieces} if pieces else {})


def _written(net: Net, options: FileOptions) -> _Writer:
    """A net that was written, as many of its sizes fixed as its layers ask for."""
    fixed: set[SizeOf] = set()
    while True:
        before = len(fixed)
        found = _Writer(net, fixed, options)
        found.write()
        if len(found.sizes.fixed) == before:
            return found
        fixed = found.sizes.fixed


class _Writer:
    """One try at a net, some of whose sizes are fixed."""

    def __init__(self, net: Net, fixed: set[SizeOf], options: FileOptions) -> None:
        self.net, self.options = net, options
        self.sizes = FreeSizes(net, set(fixed))
        self.target = Target(options.opset, options.float16)
        self.functions: dict[str, FunctionProto] = {}
        self.read = {v for layer in net.layers for v in layer.inputs} | set(net.flat_outputs)
        inputs = [v.name for v in net.body.inputs]
        self.outputs = [*_output_names(net, inputs)]
        self.graph = Body("", (*inputs, *self.outputs))
        self.shapes: dict[str, tuple[Value, Shape]] = {}
        self.places: dict[SizeOf, int] = {}
        self.flat: Iterator[FlatLayer] = iter(net.layers)

    def write(self) -> None:
        """Write all layers and outputs."""
        graph, net = self.graph, self.net
        for value, said in zip(net.body.inputs, net.preprocessing, strict=True):
            graph.add(value, value.name, self.sizes.shapes[value])
            graph.names[value] = self._prepared(value, said)
        made = set(net.body.inputs)
        for value, name in zip(net.flat_outputs, self.outputs, strict=True):
            if value not in made and not self.target.float16:
                graph.names[value] = name  # so that what makes it gives it this name
            made.add(value)
        self._block(net.body, {v: v for v in net.body.inputs}, graph)
        for value, name in zip(net.flat_outputs, self.outputs, strict=True):
            if graph.names[value] == name:
                continue
            if self.target.float16 and not isinstance(value.shape, IndexShape):
                made = helper.make_node("Cast", [graph.names[value]], [name], to=FLOAT)
            else:
                made = helper.make_node("Identity", [graph.names[value]], [name])
            made.name = f"{name}/{made.op_type}"
            graph.nodes.append(made)

    def _prepared(self, value: Value, said: Preprocessing | None) -> str:
        """An input as the layers take it: pictures prepared, in the model's type."""
        graph, name = self.graph, value.name

        def node(kind: str, *inputs: str, **attributes: Any) -> str:
            result = f"{value.name}/{kind}"
            graph.nodes.append(helper.make_node(kind, [*inputs], [result], result, **attributes))
            return result

        def constant(what: str, array: Any) -> str:
            full = f"{value.name}/{what}"
            graph.constants[full] = numpy_helper.from_array(np.asarray(array), full)
            return full

        if self.options.preprocess and said is not None:
            if said.channels == "bgr":
                how = {"starts": [-1], "ends": [-(2**31)], "axes": [1], "steps": [-1]}
                name = node("Slice", name, *(constant(k, n) for k, n in how.items()))
            scale, shift = _affine(said)
            name = node("Mul", name, constant("scale", scale))
            name = node("Add", name, constant("shift", shift))
        if self.target.float16:
            name = node("Cast", name, to=TensorProto.FLOAT16)
        return name

    # --- layers ----------------------------------------------------------------------------------

    def _block(
        self, block: Block, values: dict[Value, Value], body: Body, prefix: str = ""
    ) -> None:
        """Write a block; `values` maps its values to those of the flat net, and is completed."""
        for node in block.nodes:
            inputs = tuple(values[v] for v in node.inputs)
            if isinstance(node, Layer):
                flat = next(self.flat)
                self._layer(flat, body)
                results = flat.outputs
            elif not node.block.layer_count:
                results = tuple(inputs[i] for _, i in node.block.forwarding.sources)
            else:
                results = self._instance(node, inputs, body, f"{prefix}{node.name}")
            values.update(zip(node.outputs, results, strict=True))

    def _layer(self, flat: FlatLayer, body: Body) -> None:
        layer = self.sizes.layer(flat)
        for tensor in flat.layer.op.tensors(layer.inputs).values():
            for n in tensor.shape:
                self.sizes.fix(n)
        if layer.op.equal_inputs:
            self._fix_equal(layer.inputs, layer.op.equal_inputs == "shape")
        emitter = EMITTERS[type(layer.op)]
        used = [v in self.read for v in flat.outputs]
        graph = LayerGraph(body, self.sizes, flat, layer, self.target, used)
        op = self.sizes.plain(layer.op, emitter.free)
        written = emitter.write(op, graph, [body.names[v] for v in flat.inputs])
        graph.finish([written] if isinstance(written, str) else written)
        if body is self.graph:
            for value, shape in zip(flat.outputs, layer.outputs, strict=True):
                if value in body.names:
                    self.shapes[body.names[value]] = value, shape

    def _fix_equal(self, shapes: Sequence[Shape], channels: bool) -> None:
        """Fix sizes that must be equal to a plain number; a 1 spreads."""
        for together in [*zip(*shapes, strict=True)][not channels :]:
            if any(not isinstance(n, Dim) and n != 1 for n in together):
                for n in together:
                    self.sizes.fix(n)

    def _instance(
        self, node: Instance, inputs: tuple[Value, ...], body: Body, path: str
    ) -> tuple[Value, ...]:
        """A use of a module: the call of a function, or its layers where it can be none."""
        values = dict(zip(node.block.inputs, inputs, strict=True))
        if not (self.options.functions and self._is_closed(node, path)):
            self._block(node.block, values, body, f"{path}.")
            return tuple(values[v] for v in node.block.outputs)
        inner = Body(f"{path}.")
        formal = [v.name for v in node.block.inputs]
        for value, name in zip(inputs, formal, strict=True):
            inner.add(value, name, self.sizes.shapes[value])
        self._block(node.block, values, inner, f"{path}.")
        outputs = [*dict.fromkeys(values[v] for v in node.block.outputs)]
        outputs = [v for v in outputs if v not in inputs]
        aliases = _aliases(inner, outputs, formal)
        results = [aliases.get(v, inner.names[v]) for v in outputs]
        function = self._function(node.block, inner, formal, results)
        called = [body.names[v] for v in inputs]
        for name, (here, ones) in inner.weights.items():
            called.append(body.weight(name, f"{body.local(path)}.{here}", ones))
        names = dict(zip(node.block.outputs, node.block.output_names, strict=True))
        own = {values[v]: name or v.name for v, name in names.items()}
        for i, value in enumerate(outputs):
            name = body.names.get(value) or body.local(path) + (f".{own[value]}" if i else "")
            if name in body.reserved and value not in body.names:
                name += "/value"
            body.add(value, name, self.sizes.shapes[value])
            if body is self.graph:
                self.shapes[name] = value, self.sizes.shapes[value]
        made = [body.names[v] for v in outputs]
        call = helper.make_node(function, called, made, name=body.local(path), domain=DOMAIN)
        body.nodes.append(call)
        return tuple(values[v] for v in node.block.outputs)

    def _is_closed(self, node: Instance, path: str) -> bool:
        """Whether a module needs to know nothing of values outside but its inputs."""
        if any(isinstance(v.shape, IndexShape) for v in (*node.inputs, *node.outputs)):
            return False
        return not self.sizes.follows(f"{path}.")

    def _function(
        self, block: Block, inner: Body, formal: Sequence[str], results: Sequence[str]
    ) -> str:
        """The name of the function that a body is; equal bodies of a module are one function."""
        constants = [
            helper.make_node("Constant", [], [name], name=name, value=tensor)
            for name, tensor in inner.constants.items()
        ]
        imports = [*_opsets(self.options.opset, True)]
        inputs = [*formal, *(here for here, _ in inner.weights.values())]
        nodes = [*constants, *inner.nodes]
        for number in count(1):
            name = block.module if number == 1 else f"{block.module}_{number}"
            made = helper.make_function(
                DOMAIN, name, inputs, list(results), nodes, imports, doc_string=block.doc
            )
            if self.functions.setdefault(name, made) == made:
                return name
        raise AssertionError

    # --- the model -------------------------------------------------------------------------------

    def model(self, tensors: Iterable[TensorProto]) -> ModelProto:
        """The model of what was written, with these as its weights."""
        graph, net = self.graph, self.net
        made = helper.make_graph(
            graph.nodes,
            net.name,
            [self._info(v.name, v, self.sizes.shapes[v], i) for i, v in enumerate(net.body.inputs)],
            [
                self._info(name, v, self.sizes.shapes[v])
                for name, v in zip(self.outputs, net.flat_outputs, strict=True)
            ],
            [*tensors, *graph.constants.values()],
            doc_string=net.doc,
            value_info=[
                self._info(name, value, shape, kept=False)
                for name, (value, shape) in self.shapes.items()
                if name not in self.graph.reserved
            ],
        )
        opsets = [*_opsets(self.options.opset, bool(self.functions))]
        model = helper.make_model(
            made,
            opset_imports=opsets,
            functions=[*self.functions.values()],
            producer_name="netspec",
            producer_version=__version__,
            doc_string=net.doc,
            ir_version=max(8, helper.find_min_ir_version_for(opsets[:1])),
        )
        helper.set_model_props(model, metadata(net, self.options.labels, self.options.preprocess))
        return model

    def tensors(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """The net's tensors that the graph takes, with their shapes there."""
        for name, (_, ones) in self.graph.weights.items():
            yield name, (*map(int, self.net.tensors[name].shape), *([1] * ones))

    def arrays(self, weights: Weights) -> dict[str, Any]:
        """The weights as the graph takes them. Raises Unsupported for what float16 can't hold."""
        found = {}
        for name, shape in self.tensors():
            array = np.asarray(weights[name], dtype=np.float32)
            if self.target.float16 and np.abs(array).max(initial=0) > np.finfo(np.float16).max:
                raise Unsupported(f"{name} has values beyond 65504, the largest of float16")
            kept = array.reshape(shape).astype(self.target.float_type, copy=False)
            found[name] = np.ascontiguousarray(kept).reshape(shape)
        return found

    def _info(
        self, name: str, value: Value, shape: Shape, number: int = 0, kept: bool = True
    ) -> Any:
        """The type and shape of a value; free sizes have names."""
        floats = TensorProto.FLOAT16 if self.target.float16 and not kept else FLOAT
        kind = TensorProto.INT64 if isinstance(value.shape, IndexShape) else floats
        dims: list[int | str] = ["batch"]
        for n in shape:
            symbol = expr_of(n)
            if not (isinstance(n, Dim) and isinstance(symbol, SizeOf)):
                dims.append(int(n))
                continue
            word = ("channels", "height", "width")[symbol.axis]
            first = symbol.value is self.net.body.inputs[0]
            # Values of one line have the same name.
            place = self.places.setdefault(symbol, len(self.places) + 1)
            dims.append(word if first else f"{word}_{place}")
        info = helper.make_tensor_value_info(name, kind, dims)
        if kept and len(shape) == 3 and value in self.net.body.inputs:
            said = self.net.preprocessing[number]
            if said is not None:
                info.type.denotation = "IMAGE"
        return info


def _output_names(net: Net, taken: Iterable[str]) -> Iterator[str]:
    """The spec's names of the outputs, each once."""
    used = set(taken)
    for own, value in zip(net.body.output_names, net.body.outputs, strict=True):
        wanted = name = own or value.name
        number = 2
        while name in used:
            name, number = f"{wanted}_{number}", number + 1
        used.add(name)
        yield name


def _aliases(inner: Body, outputs: Sequence[Value], formal: Sequence[str]) -> dict[Value, str]:
    """Names for results of a function that would be an input, or another result."""
    taken, found = set(formal), {}
    for value in outputs:
        name = inner.names[value]
        if name in taken:
            found[value] = f"{name}/{len(taken)}"
            node = helper.make_node("Identity", [name], [found[value]], name=found[value])
            inner.nodes.append(node)
        taken.add(found.get(value, name))
    return found


def _opsets(opset: int, functions: bool) -> Iterator[Any]:
    yield helper.make_opsetid("", opset)
    if functions:
        yield helper.make_opsetid(DOMAIN, 1)


def _affine(said: Preprocessing) -> tuple[Any, Any]:
    """Factor and summand that make an input of values 0 to 255, channel by channel."""
    mean, std = (np.array(n, dtype=np.float64).reshape(-1, 1, 1) for n in (said.mean, said.std))
    return (said.scale / std).astype(np.float32), (-mean / std).astype(np.float32)
