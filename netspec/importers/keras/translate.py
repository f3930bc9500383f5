"""The layers of a model as operations of a `TensorProgram`, channels in front.

Keras has channels last. A value with height and width is kept in either order, or both: what is
made for a layer that looks at height and width has its channels in front, and only what depends on
Keras's own order, such as a Flatten, gets a transpose.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from typing import Any

from netspec.importers.keras.config import CallResult, KerasCall, KerasLayer, KerasModel, shown
from netspec.importers.keras.error import KerasError
from netspec.importers.keras.stored import KerasFile
from netspec.importers.tensors.program import (
    Operation,
    ProgramConstant,
    ProgramTensor,
    TensorProgram,
)
from netspec.lazy_dataclasses import dataclass
from netspec.ops.base import MAX_ELEMENTS

MOST_CALLS = 8_000
"""Most calls of layers, each in a model that is called several times counted as often."""
BATCH = 1
"""How many pictures the shapes of the program have in front."""
TURN = (0, 3, 1, 2)
"""The axes of Keras's order in that of the language."""
BACK = (0, 2, 3, 1)


@dataclass(eq=False)
class KerasValue:
    """A tensor between layers: its shape in Keras's order, and the tensor in that order, `own`.

    `turned` has its channels, Keras's last axis, behind the batch; values of four axes alone do.
    """

    shape: tuple[int, ...]
    own: ProgramTensor | None
    turned: ProgramTensor | None


def translate(
    model: KerasModel, file: KerasFile, shapes: Mapping[str, tuple[int, ...]], rule_of: RuleOf
) -> TensorProgram:
    """The program of a model by the rules of its layers. Raises KerasError.

    `shapes` are those of inputs by name, without the batch, "" for any.
    """
    return KerasTranslation(model, file, shapes, rule_of).run()


class KerasTranslation:
    def __init__(
        self,
        model: KerasModel,
        file: KerasFile,
        shapes: Mapping[str, tuple[int, ...]],
        rule_of: RuleOf,
    ) -> None:
        formats = [layer.config.get("data_format") for layer in model.all_layers()]
        self.first = "channels_first" in formats and "channels_last" not in formats
        """Whether the channels of all layers are in front."""
        self.model = model
        self.file = file
        self.shapes = shapes
        self.rule_of = rule_of
        source = next(iter(model.layers.values())).span.source
        self.program = TensorProgram(identifier(model.name), source, BATCH, [], [], [])

    def run(self) -> TensorProgram:
        program = self.program
        given = []
        for result in self.model.inputs:
            layer = self.model.layers.get(result.layer)
            if layer is None or layer.kind != "InputLayer":
                raise KerasError("unreadable-file", f"{shown(result.layer)} is no input of it")
            given.append(self.input(layer, alone=len(self.model.inputs) == 1))
        for value in self.call_model(self.model, given):
            program.outputs.append(self.outside(value))
        return program

    def outside(self, value: KerasValue) -> ProgramTensor:
        """A value as the program gives it: with its channels in front."""
        if len(value.shape) == 4 and not self.first:
            return self.turned(value, "output")
        return self.own(value, "output")

    def input(self, layer: KerasLayer, alone: bool) -> KerasValue:
        """An input of the program."""
        said = layer.config.get("batch_shape") or layer.config.get("batch_input_shape")
        dims = said[1:] if isinstance(said, list) else None
        given = self.shapes.get(layer.name, self.shapes.get(""))
        if given is not None and not self.first:
            given = (*given[1:], given[0])
        if dims is None:
            dims = list(given or [None])
        if given is not None:
            if len(given) != len(dims):
                raise layer.error(f"its input has {len(dims)} axes", "shape-mismatch")
            dims = list(given)
        if not all(type(d) is int and 0 < d <= MAX_ELEMENTS for d in dims):
            if any(d is not None and type(d) is not int for d in dims):
                raise layer.error("its shape is no list of numbers", "unreadable-file")
            channels = dims[0 if self.first else -1] if len(dims) == 3 else 3
            example = f"{channels or 3}x224x224" if len(dims) != 1 else "100"
            help_ = f"say its size without the batch: `--input {example}`"
            raise layer.error("the model leaves the size of its input open", "missing-shape", help_)
        shape = (BATCH, *dims)
        name = identifier(layer.name)
        if alone and re.fullmatch(r"input(_layer)?(_?\d+)?_*", name):
            name = "data"
        turn = len(shape) == 4 and not self.first
        tensor = ProgramTensor(name, tuple(shape[i] for i in TURN) if turn else shape)
        self.program.inputs.append(tensor)
        return KerasValue(shape, None if turn else tensor, tensor if turn else None)

    # --- models ----------------------------------------------------------------------------------

    def call_model(self, model: KerasModel, given: Sequence[KerasValue]) -> list[KerasValue]:
        """The outputs of a model for values of its inputs."""
        made: dict[tuple[str, int], list[KerasValue]] = {}
        for result, value in zip(model.inputs, given, strict=True):
            made[result.layer, 0] = [value]
        outputs = []
        for result in model.outputs:
            # Keras lists layers by their depth: here those of a branch follow each other.
            self._callable(model, result, None)
            self._make(model, (result.layer, result.call), made)
            outputs.append(self._result(result, made, model.layers.get(result.layer)))
        return outputs

    def _make(
        self,
        model: KerasModel,
        wanted: tuple[str, int],
        made: dict[tuple[str, int], list[KerasValue]],
    ) -> None:
        """Call a layer, and before it those whose results it takes."""
        begun: dict[tuple[str, int], Iterator[CallResult]] = {}
        stack = [] if wanted in made else [wanted]
        while stack:
            name, number = at = stack[-1]
            layer = model.layers[name]
            if at not in begun:
                begun[at] = layer.calls[number].results()
            for result in begun[at]:
                other = (result.layer, result.call)
                if other in made:
                    continue
                if other in begun:
                    message = "its inputs depend on its result"
                    raise layer.error(message, "unreadable-file")
                self._callable(model, result, layer)
                stack.append(other)
                break
            else:
                call = layer.calls[number]
                inputs = [self._result(r, made, layer) for r in call.results()]
                made[at] = self.call_layer(layer, call, inputs)
                stack.pop()

    def _callable(self, model: KerasModel, result: CallResult, layer: KerasLayer | None) -> None:
        """Raise KerasError where there is no such call."""
        below = model.layers.get(result.layer)
        if below is None or not 0 <= result.call < len(below.calls):
            message = f"there is no call {result.call} of a layer {shown(result.layer)}"
            raise KerasError("unknown-name", message, layer.span if layer else None)

    def _result(
        self,
        result: CallResult,
        made: Mapping[tuple[str, int], list[KerasValue]],
        layer: KerasLayer | None,
    ) -> KerasValue:
        found = made.get((result.layer, result.call), [])
        if not 0 <= result.place < len(found):
            message = f"there is no result {result.place} of {shown(result.layer)}"
            raise KerasError("unknown-name", message, layer.span if layer else None)
        return found[result.place]

    def call_layer(
        self, layer: KerasLayer, call: KerasCall, inputs: list[KerasValue]
    ) -> list[KerasValue]:
        """The results of a layer."""
        self.program.nodes += 1
        if self.program.nodes > MOST_CALLS:
            raise layer.error("the model has more layers than netspec handles", "too-large")
        if layer.model is not None:
            if len(inputs) != len(layer.model.inputs):
                message = f"the model takes {len(layer.model.inputs)} inputs, not {len(inputs)}"
                raise layer.error(message, "wrong-arity")
            self.program_modules()[identifier(layer.path, dots=True)] = layer.model.name
            return self.call_model(layer.model, inputs)
        if layer.kind == "InputLayer":
            raise layer.error("it is no input of its model", "unreadable-file")
        at = RuleCall(self, layer, call, inputs)
        result = self.rule_of(layer)(at)
        return result if isinstance(result, list) else [result]

    def program_modules(self) -> dict[str, str]:
        modules = self.program.modules
        assert isinstance(modules, dict)
        return modules

    # --- tensors ---------------------------------------------------------------------------------

    def own(self, value: KerasValue, name: str, layer: KerasLayer | None = None) -> ProgramTensor:
        """A value in Keras's order."""
        if value.own is None:
            assert value.turned is not None
            value.own = self.transposed(value.turned, BACK, name, layer)
        return value.own

    def turned(
        self, value: KerasValue, name: str, layer: KerasLayer | None = None
    ) -> ProgramTensor:
        """A value of four axes with Keras's last one behind the batch."""
        if value.turned is None:
            assert value.own is not None
            value.turned = self.transposed(value.own, TURN, name, layer)
        return value.turned

    def transposed(
        self, tensor: ProgramTensor, order: Sequence[int], name: str, layer: KerasLayer | None
    ) -> ProgramTensor:
        shape = tuple(tensor.shape[i] for i in order)
        return self.emit(
            "transpose", [tensor], shape, f"{name}_transpose", layer, order=tuple(order)
        )

    def emit(
        self,
        kind: str,
        inputs: Sequence[ProgramTensor | None],
        shape: Sequence[int],
        name: str,
        layer: KerasLayer | None,
        /,
        **attributes: Any,
    ) -> ProgramTensor:
        """The result of an operation."""
        if prod(shape) > MAX_ELEMENTS or min(shape, default=1) < 1:
            span = layer.span if layer else None
            if min(shape) < 1:
                message = f"{shown(name)}: nothing is left of its input"
                raise KerasError("window-too-large", message, span)
            message = f"{shown(name)} gives more than netspec handles"
            raise KerasError("too-large", message, span)
        layer = layer or next(reversed(self.model.layers.values()))
        result = ProgramTensor(name, tuple(shape))
        operation = Operation(kind, list(inputs), [result], name, layer.span, attributes)
        self.program.operations.append(operation)
        return result


def identifier(name: str, dots: bool = False) -> str:
    """A name as one of the language: letters, digits and `_`, and dots between models."""
    found = re.sub(r"[^A-Za-z0-9_.]+" if dots else r"[^A-Za-z0-9_]+", "_", name).strip("_")
    return found or "_"


class RuleCall:
    """One call of a layer, for the rule of its class: its arguments, and how results are made."""

    def __init__(
        self,
        translation: KerasTranslation,
        layer: KerasLayer,
        call: KerasCall,
        inputs: list[KerasValue],
    ) -> None:
        self.translation = translation
        self.layer = layer
        self.inputs = inputs
        self.version = translation.file.version
        parts = [identifier(p) for p in layer.place.names[:-1]]
        self.parent = ".".join(parts)
        self.name = ".".join((*parts, identifier(layer.name)))
        self.suffix = ""
        """What is behind the layer's name in that of its operation, where the layer is a part."""
        given = iter(inputs)
        self.args, self.kwargs = self._filled([call.args, call.kwargs], given)

    def _filled(self, value: Any, given: Iterator[KerasValue]) -> Any:
        """Arguments with values for the results in them."""
        if isinstance(value, CallResult):
            return next(given)
        if isinstance(value, list):
            return [self._filled(v, given) for v in value]
        if isinstance(value, dict):
            return {n: self._filled(v, given) for n, v in value.items()}
        return value

    @property
    def x(self) -> KerasValue:
        """The one input."""
        if len(self.inputs) != 1:
            raise self.error(f"it takes one input, not {len(self.inputs)}", "wrong-arity")
        return self.inputs[0]

    def error(self, message: str, code: str = "unsupported-layer", *help_: str) -> KerasError:
        """An error at the layer, to be raised."""
        return self.layer.error(message, code, *help_)

    def module(self, kind: str) -> None:
        """Say that the layer is a module of several operations, of this class."""
        self.translation.program_modules()[self.name] = kind

    # --- weights ---------------------------------------------------------------------------------

    def weight(self, index: int, names: str, *shape: int) -> ProgramConstant:
        """The layer's tensor of an index among those of its layer, in Keras's order."""
        file, place = self.translation.file, self.layer.place
        options = tuple(names.split())
        if prod(shape) > MAX_ELEMENTS:
            raise self.error("its weights are more than netspec handles", "too-large")

        def load() -> Any:
            return file.weights.read(place, index, options, shape)

        return ProgramConstant(
            shape, load, (str(file.path), place.path, place.names, index), file.path
        )

    def constant(self, numbers: Any) -> ProgramConstant:
        """Numbers that the config says: one, or lists of them."""
        shape = []
        inner = numbers
        while isinstance(inner, list):
            shape.append(len(inner))
            inner = inner[0] if inner else 0.0
        flat = [numbers]
        for _ in shape:
            flat = [n for part in flat for n in (part if isinstance(part, list) else [None])]
        if len(flat) != prod(shape) or not all(type(n) in (int, float, bool) for n in flat):
            raise self.error("an argument that is no number", "wrong-type")
        if not all(abs(n) < 1e30 for n in flat):
            raise self.error("an argument that is out of range", "out-of-range")
        dims = tuple(shape)

        def load() -> Any:
            import numpy as np

            return np.array(flat, np.float32).reshape(dims)

        path = self.translation.file.path
        return ProgramConstant(dims, load, ("numbers", dims, tuple(flat)), path)

    def tensor(
        self, constant: ProgramConstant | None, what: str = "weight"
    ) -> ProgramTensor | None:
        """A constant as an operation takes it."""
        if constant is None:
            return None
        return ProgramTensor(f"{self.name}.{what}", constant.shape, constant)

    # --- operations ------------------------------------------------------------------------------

    def emit(
        self,
        kind: str,
        inputs: Sequence[ProgramTensor | None],
        shape: Sequence[int],
        step: str = "",
        /,
        **attributes: Any,
    ) -> ProgramTensor:
        """The result of an operation; `step` names one that is not the layer itself."""
        name = self.name
        if step:
            dot = "." if name in self.translation.program.modules else "_"
            name = f"{name}{dot}{step}"
        return self.translation.emit(kind, inputs, shape, name, self.layer, **attributes)

    def emit_all(
        self,
        kind: str,
        inputs: list[ProgramTensor | None],
        outputs: list[ProgramTensor],
        **attributes: Any,
    ) -> None:
        """An operation of several results."""
        operation = Operation(kind, inputs, outputs, self.name, self.layer.span, attributes)
        self.translation.program.operations.append(operation)

    @property
    def channels_first(self) -> bool:
        """Whether the layer has channels in front."""
        default = "channels_first" if self.translation.first else "channels_last"
        word = self.layer.word("data_format", default, "channels_last", "channels_first")
        return word == "channels_first"

    def map(self, value: KerasValue | None = None) -> ProgramTensor:
        """An input with height and width, its channels in front."""
        value = value or self.x
        if len(value.shape) != 4:
            axes = len(value.shape) - 1
            raise self.error(
                f"it needs height, width and channels, and {axes} come in", "wrong-rank"
            )
        return self.own(value) if self.channels_first else self.turned(value)

    def of_map(self, tensor: ProgramTensor) -> KerasValue:
        """The value of a tensor with channels in front, in the order of the layer."""
        if self.channels_first:
            return KerasValue(tensor.shape, tensor, None)
        return KerasValue(tuple(tensor.shape[i] for i in BACK), None, tensor)

    def own(self, value: KerasValue) -> ProgramTensor:
        """A value in Keras's order."""
        return self.translation.own(value, self.name, self.layer)

    def turned(self, value: KerasValue) -> ProgramTensor:
        """A value of four axes, the last of Keras's behind the batch."""
        return self.translation.turned(value, self.name, self.layer)

    def either(
        self, value: KerasValue
    ) -> tuple[ProgramTensor, Callable[[int], int], Callable[[ProgramTensor], KerasValue]]:
        """A value in the order that it is there in, its axes by Keras's, and a result's value."""
        if value.turned is not None:
            return value.turned, lambda axis: TURN.index(axis), _of_turned
        return self.own(value), lambda axis: axis, _of_own

    def axis(self, value: KerasValue, axis: Any) -> int:
        """An axis in Keras's order, from 0; of a list with one, that one."""
        rank = len(value.shape)
        if isinstance(axis, list) and len(axis) == 1:
            axis = axis[0]
        if type(axis) is not int or not -rank <= axis < rank:
            raise self.error(f"there is no axis {str(axis)[:40]}", "out-of-range")
        return axis % rank

    def unary(self, kind: str, x: KerasValue, step: str = "", /, **attributes: Any) -> KerasValue:
        """An operation of each element."""
        tensor, _, result = self.either(x)
        return result(self.emit(kind, [tensor], tensor.shape, step, **attributes))

    def elementwise(self, kind: str, x: Any, y: Any, step: str = "") -> KerasValue:
        """An operation of the elements of two, values or numbers, broadcast like NumPy's."""
        rank = max(len(_shape(v)) for v in (x, y))
        turn = any(isinstance(v, KerasValue) and v.turned is not None for v in (x, y)) and rank == 4
        tensors, shapes = [], []
        for operand in (x, y):
            if isinstance(operand, KerasValue):
                if len(operand.shape) < rank:
                    raise self.error("values of different numbers of axes", "shape-mismatch")
                tensors.append(self.turned(operand) if turn else self.own(operand))
                shapes.append(operand.shape)
            else:
                tensors.append(self._constant_operand(operand, rank, turn))
                shapes.append((1,) * (rank - len(operand.shape)) + operand.shape)
        shape = []
        for a, b in zip(*shapes, strict=True):
            if a != b and 1 not in (a, b):
                sizes = " and ".join("x".join(map(str, s[1:])) for s in shapes)
                raise self.error(f"{sizes} do not fit together", "shape-mismatch")
            shape.append(b if a == 1 else a)
        if turn:
            return _of_turned(self.emit(kind, tensors, [shape[i] for i in TURN], step))
        return _of_own(self.emit(kind, tensors, shape, step))

    def _constant_operand(self, constant: ProgramConstant, rank: int, turn: bool) -> ProgramTensor:
        if turn and constant.shape:
            shape = (1,) * (rank - len(constant.shape)) + constant.shape

            def change(numbers: Any) -> Any:
                return numbers.reshape(shape).transpose(TURN)

            turned = tuple(shape[i] for i in TURN)
            constant = constant.changed(turned, change, ("turned", shape))
        return ProgramTensor(f"{self.name}.constant", constant.shape, constant)

    def operand(self, value: Any) -> KerasValue | ProgramConstant:
        """An argument that is a value or a number."""
        if isinstance(value, KerasValue | ProgramConstant):
            return value
        return self.constant(value)


def _shape(operand: KerasValue | ProgramConstant) -> tuple[int, ...]:
    return operand.shape


def _of_own(tensor: ProgramTensor) -> KerasValue:
    return KerasValue(tensor.shape, tensor, None)


def _of_turned(tensor: ProgramTensor) -> KerasValue:
    return KerasValue(tuple(tensor.shape[i] for i in BACK), None, tensor)


RuleOf = Callable[[KerasLayer], Callable[[RuleCall], KerasValue | list[KerasValue]]]
"""What finds the rule of a layer. Raises KerasError where there is none."""
