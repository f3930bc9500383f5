"""All nodes of a file in order, each by its rule, functions and known branches opened up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto

from netspec.diagnostics import SpecError, spec_error
from netspec.importers.onnx import rules
from netspec.importers.onnx.call import RULES, NodeCall, Refused, refused
from netspec.importers.onnx.folding import FOLDS, FoldError, folded
from netspec.importers.onnx.inputs import has_channels_last, inputs_of
from netspec.importers.onnx.listing import Listing, dimensions, shown
from netspec.importers.onnx.model_file import constant, parse, type_name
from netspec.importers.onnx.names import NodeNames, classes_of, dotted
from netspec.importers.onnx.preparation import preparation
from netspec.importers.onnx.values import NodeValue, of_array, of_constant
from netspec.importers.tensors.program import (
    Operation,
    ProgramConstant,
    ProgramTensor,
    TensorProgram,
)
from netspec.lazy_dataclasses import dataclass, field
from netspec.ops.base import MAX_ELEMENTS

OPSETS = range(6, 26)
MOST_NODES = 30_000
"""Most nodes of a model, functions opened up."""
MOST_INPUTS = 4096
"""Most inputs of a node."""
MOST_DEPTH = 50
"""How deep functions and branches may be inside each other."""
FOLDED = 2**27
"""Most numbers that are computed of constants, beside as many as four times the file's."""

MOST_FILLED = 2**28
"""Most numbers of a constant that is one number throughout."""

FAMILIES = {
    "a recurrent network": {"LSTM", "GRU", "RNN"},
    "control flow": {"If", "Loop", "Scan", "SequenceMap"},
    "a quantized model": {
        *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv"),
        *("QLinearMatMul", "ConvInteger", "MatMulInteger", "QLinearAdd", "QGemm", "QAttention"),
    },
    "boxes picked of many": {"NonMaxSuppression", "TopK", "NonZero"},
}
"""What operators that can't be expressed are a sign of."""

assert rules, "its import fills the table of rules"


def program_of(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> TensorProgram:
    """The program of a file, for inputs of these shapes. Raises SpecError."""
    model = parse(path)
    return _OnnxTranslation(model, path).program(shapes)


@dataclass
class _Body:
    """What is gone through: nodes, the values they see, and what of them is asked for."""

    nodes: Sequence[NodeProto]
    values: dict[str, NodeValue | None]
    """What names stand for; None for inputs of a function that are left out."""
    wanted: Sequence[str]
    opset: int
    names: NodeNames
    depth: int = 0
    attributes: Mapping[str, AttributeProto] = field(default_factory=dict)
    """Attributes of the function that the nodes are in."""
    taken: set[str] = field(default_factory=set)
    """The names that needed nodes take, or that are wanted."""


class _OnnxTranslation:
    def __init__(self, model: ModelProto, path: Path) -> None:
        self.model, self.path = model, path
        self.listing = Listing(path.name)
        self.functions = {(f.domain, f.name, f.overload): f for f in model.functions}
        self.batch = 0
        self.budget = FOLDED
        self.program_ = TensorProgram(path.stem, self.listing.source, 0, [], [], [])

    def program(self, shapes: Mapping[str, tuple[int, ...]]) -> TensorProgram:
        """The program. Raises SpecError."""
        graph, program = self.model.graph, self.program_
        opset = self._opset(self.model.opset_import)
        if not graph.output:
            raise spec_error("missing-value", f"{self.path.name} has no outputs")
        inputs, self.batch = inputs_of(self.model, shapes)
        values: dict[str, NodeValue | None] = {v.tensor.name: v for v in inputs}
        program.batch, program.inputs = self.batch, [self._given(v.tensor) for v in inputs]
        is_turned = any(has_channels_last(v.shape) for v in inputs)
        values |= self._initializers(graph)
        program.modules = classes_of(graph.node)
        program.prepared = preparation(self.model)
        outputs = [o.name for o in graph.output]
        body = _Body(graph.node, values, outputs, opset, NodeNames(graph.node))
        try:
            self._run(body)
            self._outputs(values, outputs, is_turned)
        finally:
            self.listing.finish()
        return program

    def _outputs(
        self, values: Mapping[str, NodeValue | None], names: Sequence[str], is_turned: bool
    ) -> None:
        """Give the program its outputs. Raises SpecError."""
        for name in names:
            value = self._value(values, name)
            if value.known:
                raise spec_error("missing-value", f"the output {shown(name)} is a constant")
            value.tensor.name = value.tensor.name or name
            tensor = value.tensor
            if is_turned and len(tensor.shape) == 4:
                tensor = self._turned(tensor, (0, 3, 1, 2), name)
            self.program_.outputs.append(tensor)

    def _given(self, tensor: ProgramTensor) -> ProgramTensor:
        """An input as the spec has it, with the channels of pictures in front."""
        if not has_channels_last(tensor.shape):
            return tensor
        batch, height, width, channels = tensor.shape
        given = ProgramTensor(tensor.name, (batch, channels, height, width))
        self._turned(given, (0, 2, 3, 1), tensor.name, tensor)
        return given

    def _turned(
        self,
        x: ProgramTensor,
        order: tuple[int, ...],
        name: str,
        result: ProgramTensor | None = None,
    ) -> ProgramTensor:
        """A tensor with its axes in another order."""
        made = result or ProgramTensor(name, tuple(x.shape[i] for i in order))
        span = self.listing.add(f"{shown(name)}: {'channels last' if result else 'channels first'}")
        turned = Operation("transpose", [x], [made], dotted(name), span, {"order": order})
        self.program_.operations.append(turned)
        return made

    def _opset(self, imports: Iterable[Any], default: int = 0) -> int:
        """The opset of ONNX's own operators. Raises SpecError."""
        opset = next((o.version for o in imports if o.domain in ("", "ai.onnx")), default)
        if opset not in OPSETS:
            known = f"{OPSETS[0]} to {OPSETS[-1]}"
            message = f"{self.path.name} is of opset {opset}, and netspec reads {known}"
            help_ = ("onnx.version_converter.convert_version changes a file's opset",)
            raise spec_error("unsupported-layer", message, help=help_)
        return opset

    def _initializers(self, graph: GraphProto) -> dict[str, NodeValue]:
        """The stored tensors by name. Raises SpecError."""
        found = {}
        for tensor in graph.initializer:
            kept, kind = constant(tensor, self.path, tensor.name)
            self.budget += 4 * prod(kept.shape)
            found[tensor.name] = of_constant(kept, kind, tensor.name)
        for sparse in graph.sparse_initializer:
            raise spec_error("bad-weights", f"{shown(sparse.values.name)} is stored sparse")
        return found

    # --- bodies ----------------------------------------------------------------------------------

    def _run(self, body: _Body) -> None:
        """Go through the nodes that are needed; their results are put among the values."""
        if body.depth > MOST_DEPTH:
            message = f"{self.path.name} has functions inside each other, {MOST_DEPTH} deep"
            raise spec_error("too-deep", message)
        needed, body.taken = _needed(body.nodes, body.wanted)
        for number, node in enumerate(body.nodes):
            self.program_.nodes += 1
            if not needed[number]:
                self.program_.left_out["unused node"] += 1
                continue
            if self.program_.nodes > MOST_NODES:
                message = f"{self.path.name} has more than {MOST_NODES:,} nodes"
                raise spec_error("too-large", message)
            if len(node.input) > MOST_INPUTS:
                message = f"{self.path.name} has a node with more than {MOST_INPUTS:,} inputs"
                raise spec_error("too-large", message)
            name = body.names.of(node, number)
            first = len(self.program_.operations)
            inputs: list[NodeValue | None] = []
            try:
                inputs += self._inputs(node, body)
                results = self._results(node, name, inputs, body)
            except FoldError as error:
                raise self._error(node, name, inputs, refused(error)) from None
            except Refused as error:
                raise self._error(node, name, inputs, error) from None
            except (ValueError, TypeError, IndexError, OverflowError, MemoryError):
                # Rules take what operators are declared to have, and files may say anything.
                wrong = Refused("has inputs or attributes that it can't have", "wrong-type")
                raise self._error(node, name, inputs, wrong) from None
            for output, value in zip(node.output, results, strict=False):
                if output in body.values:
                    again = Refused(f"computes {shown(output)} once more", "duplicate-name")
                    raise self._error(node, name, inputs, again)
                if output:
                    body.values[output] = value
            if results and all(v.known for v in results):
                self.program_.left_out["constant"] += 1
            elif node.op_type == "Identity":
                self.program_.left_out["identity"] += 1
            made = [o for o in self.program_.operations[first:] if not o.name]
            if made:  # and not the nodes inside of it, which have their names
                span = self.listing.add(self._line(node, name, inputs, results))
                for operation in made:
                    operation.name, operation.span = name, span

    def _line(
        self,
        node: NodeProto,
        name: str,
        inputs: Sequence[NodeValue | None],
        results: Sequence[NodeValue] = (),
    ) -> str:
        """`layer1.0.conv1: Conv(%x, 64x3x7x7) -> Nx64x112x112`."""
        words = []
        for said, value in zip(node.input, inputs, strict=False):
            if value is not None and value.known:
                words.append(f"{shown(said)} {dimensions(value.shape, 0)}")
            elif said:
                words.append(f"%{shown(said)}")
        line = f"{shown(name)}: {shown(node.op_type)}({', '.join(words[:50])})"
        if results:
            line += " -> " + ", ".join(dimensions(v.shape, self.batch) for v in results[:50])
        return line

    def _error(
        self, node: NodeProto, name: str, inputs: Sequence[NodeValue | None], error: Refused
    ) -> SpecError:
        """The error of a node that was refused, with its line as the place."""
        span = self.listing.add(self._line(node, name, inputs))
        return spec_error(error.code, f"{shown(node.op_type)} {error.message}", span)

    def _value(self, values: Mapping[str, NodeValue | None], name: str) -> NodeValue:
        found = values.get(name)
        if found is None:
            raise spec_error("unknown-name", f"nothing computes {shown(name)}")
        return found

    def _inputs(self, node: NodeProto, body: _Body) -> list[NodeValue | None]:
        """The inputs of a node. Raises Refused.

        Exporters store equal tensors once, such as the ones and zeros that norms begin with: that
        is no reason to take two layers for one.
        """
        found = [self._input(body.values, n) for n in node.input]
        weights = [v for v in found if v is not None and v.known]
        if not weights or not all(v.uniform for v in weights):
            return found
        number = self.program_.nodes
        return [v.apart(number) if v is not None and v.known else v for v in found]

    def _input(self, values: Mapping[str, NodeValue | None], name: str) -> NodeValue | None:
        if name and name not in values:
            message = f"takes {shown(name)}, which nothing in front of it computes"
            raise Refused(message, "unknown-name")
        return values[name] if name else None

    # --- nodes -----------------------------------------------------------------------------------

    def _results(
        self, node: NodeProto, name: str, inputs: list[NodeValue | None], body: _Body
    ) -> Sequence[NodeValue]:
        """The results of a node. Raises Refused and FoldError."""
        attributes = {}
        for given in node.attribute:
            resolved = self._attribute(given, body)
            if resolved is not None:
                attributes[given.name] = resolved
        domain = "" if node.domain == "ai.onnx" else node.domain
        function = self.functions.get((node.domain, node.op_type, node.overload))
        if function is not None:
            return self._opened(function, node, name, inputs, body)
        kind = node.op_type
        if domain and not (domain == "com.microsoft" and kind == "Gelu"):
            raise Refused(f"is an operator of {shown(domain)}, which the language lacks")
        if kind == "If" and inputs and inputs[0] is not None and inputs[0].known:
            return self._branch(attributes, inputs[0], name, body)
        if kind == "Constant":
            return [self._constant(attributes, node)]
        if kind in ("Shape", "Size"):
            return [self._shape(kind, attributes, inputs)]
        if kind == "Identity" and inputs and inputs[0] is not None:
            return [inputs[0]]
        if kind == "ConstantOfShape" and inputs and inputs[0] is not None and inputs[0].known:
            return [self._filled(attributes, inputs[0], node)]
        used = [n if n in body.taken else "" for n in node.output]
        if kind in FOLDS and inputs and all(v is None or v.known for v in inputs):
            return self._folded(node, {**attributes, "outputs": len(node.output)}, inputs, body)
        if kind not in RULES:
            family = next((f for f, members in FAMILIES.items() if kind in members), "")
            raise Refused("can't be expressed" + (f": {family}" if family else ""))
        call = NodeCall(kind, body.opset, inputs, attributes, used, self.path)
        results = RULES[kind](call)
        found = results if isinstance(results, list) else [results]
        if any(used[len(found) :]):
            raise Refused(f"has a result {len(found) + 1}, which can't be expressed")
        for value, output in zip(found, node.output, strict=False):
            value.tensor.name = value.tensor.name or output
        self.program_.operations += call.operations
        return found

    def _attribute(self, given: AttributeProto, body: _Body) -> Any:
        """The value of an attribute; None for one of a function that was not given."""
        if given.ref_attr_name:
            outer = body.attributes.get(given.ref_attr_name)
            return None if outer is None else self._attribute(outer, body)
        kind = given.type
        if kind == AttributeProto.FLOAT:
            return given.f
        if kind == AttributeProto.INT:
            return given.i
        if kind == AttributeProto.STRING:
            return given.s.decode("utf-8", "replace")
        if kind == AttributeProto.FLOATS:
            return list(given.floats)
        if kind == AttributeProto.INTS:
            return list(given.ints)
        if kind == AttributeProto.TENSOR:
            return given.t
        if kind == AttributeProto.GRAPH:
            return given.g
        return ()

    def _constant(self, attributes: Mapping[str, Any], node: NodeProto) -> NodeValue:
        """The value of a Constant. Raises Refused."""
        name = node.output[0] if node.output else ""
        for key, value in attributes.items():
            if key == "value" and isinstance(value, TensorProto):
                # Functions may have constants of one name.
                kept, kind = constant(value, self.path, ("constant", id(value)))
                return of_constant(kept, kind, name)
            if key in ("value_float", "value_floats", "value_int", "value_ints"):
                made = np.asarray(value, np.float32 if "float" in key else np.int64)
                return of_array(made, (key, str(value)), self.path, name)
        raise Refused("has no numbers")

    def _shape(
        self, kind: str, attributes: Mapping[str, Any], inputs: Sequence[NodeValue | None]
    ) -> NodeValue:
        if not inputs or inputs[0] is None:
            raise Refused("lacks its input", "wrong-arity")
        shape = inputs[0].shape
        if kind == "Size":
            return of_array(np.int64(prod(shape)), ("size", prod(shape)), self.path)
        part = shape[attributes.get("start", 0) : attributes.get("end", len(shape))]
        return of_array(np.array(part, np.int64), ("shape", part), self.path)

    def _filled(
        self, attributes: Mapping[str, Any], shape: NodeValue, node: NodeProto
    ) -> NodeValue:
        """A constant of one number, which is made when it is asked for. Raises FoldError."""
        given = attributes.get("value")
        value = np.zeros(1, np.float32)
        if isinstance(given, TensorProto):
            value = np.asarray(constant(given, self.path, "")[0].load()).reshape(-1)[:1]
        number = value[0]
        sizes = tuple(int(n) for n in shape.array.ravel())
        if any(n < 0 for n in sizes) or prod(sizes) > MAX_ELEMENTS:
            raise FoldError("has a result of no possible shape")

        def load() -> Any:
            if prod(sizes) > MOST_FILLED:
                raise spec_error("too-large", f"a constant of {prod(sizes):,} numbers")
            return np.full(sizes, number, value.dtype)

        key = ("filled", float(number), node.output[0], self.program_.nodes)
        made = ProgramConstant(sizes, load, key, self.path)
        return of_constant(made, value.dtype.name, node.output[0])

    def _folded(
        self,
        node: NodeProto,
        attributes: dict[str, Any],
        inputs: Sequence[NodeValue | None],
        body: _Body,
    ) -> list[NodeValue]:
        """The results of a node of known inputs. Raises FoldError."""
        kind = node.op_type
        for key, value in attributes.items():
            if isinstance(value, TensorProto):
                attributes[key] = constant(value, self.path, "")[0].load()
        if kind == "Cast":
            attributes["to"] = type_name(attributes.get("to", 0)) or "?"
        arrays = [None if v is None else v.array for v in inputs]
        results = folded(kind, attributes, body.opset, arrays)
        self.budget -= sum(x.size for x in results)
        if self.budget < 0:
            raise spec_error("too-large", f"{self.path.name} computes too many constants")
        keys = tuple(v.constant.key if v and v.constant else None for v in inputs)
        how = tuple(sorted((k, str(v)) for k, v in attributes.items()))
        names = [*node.output, *[""] * len(results)]
        return [
            of_array(x, (kind, how, keys, i), self.path, names[i]) for i, x in enumerate(results)
        ]

    def _branch(
        self, attributes: Mapping[str, Any], condition: NodeValue, name: str, body: _Body
    ) -> list[NodeValue]:
        """The results of the branch that a known condition takes. Raises Refused."""
        if condition.array.size != 1:
            raise Refused("has a condition of several values", "wrong-type")
        key = "then_branch" if condition.array.reshape(()).item() else "else_branch"
        graph = attributes.get(key)
        if not isinstance(graph, GraphProto):
            raise Refused("lacks a branch", "wrong-arity")
        outputs = [o.name for o in graph.output]
        values = {**body.values, **self._initializers(graph)}
        inner = _Body(
            graph.node,
            values,
            outputs,
            body.opset,
            NodeNames(graph.node),
            body.depth + 1,
            body.attributes,
        )
        self._run(inner)
        return [self._value(values, n) for n in outputs]

    def _opened(
        self,
        function: FunctionProto,
        node: NodeProto,
        name: str,
        inputs: Sequence[NodeValue | None],
        body: _Body,
    ) -> list[NodeValue]:
        """The results of a function for these inputs. Raises Refused."""
        given = {a.name: a for a in function.attribute_proto} | {a.name: a for a in node.attribute}
        values: dict[str, NodeValue | None] = dict.fromkeys(function.input)
        values.update(zip(function.input, inputs, strict=False))
        opset = self._opset(function.opset_import, body.opset)
        names = NodeNames(function.node, name)
        inner = _Body(
            function.node, values, list(function.output), opset, names, body.depth + 1, given
        )
        self._run(inner)
        return [self._value(values, n) for n in function.output]


def _needed(nodes: Sequence[NodeProto], wanted: Iterable[str]) -> tuple[list[bool], set[str]]:
    """Which nodes what is wanted depends on, and the names that these take, or that are wanted."""
    taken, found = set(wanted), [False] * len(nodes)
    for number in reversed(range(len(nodes))):
        if any(n in taken for n in nodes[number].output if n):
            found[number] = True
            taken |= _taken(nodes[number])
    return found, taken


def _taken(node: NodeProto, depth: int = 0) -> set[str]:
    """The names that a node takes, those inside of its graphs included."""
    found = set(node.input)
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH and depth < MOST_DEPTH:
            found.update(o.name for o in attribute.g.output)
            for inner in attribute.g.node:
                found |= _taken(inner, depth + 1)
    return found
