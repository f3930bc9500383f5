"""The models of a config: layers, their calls, and what flows between them.

Keras 3 writes calls as args and kwargs with tensors in them, Keras 2 as lists of names; both are
`KerasCall`s here. A Sequential is a model whose layers are called one after the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from netspec.diagnostics.render import printable
from netspec.diagnostics.source import Source, Span
from netspec.importers.keras.error import KerasError
from netspec.importers.keras.stored import KerasFile, WeightPlace
from netspec.lazy_dataclasses import dataclass, field
from netspec.ops.base import MAX_ELEMENTS
from netspec.util.keras_names import lower_case

MOST_LAYERS = 20_000
"""Most layers of a file, and most calls."""
DEEPEST = 20
"""Most models inside each other."""
MODELS = ("Functional", "Model", "Sequential")


class CallResult(NamedTuple):
    """A result of a call of a layer: the layer, which of its calls, which of its results."""

    layer: str
    call: int
    place: int


@dataclass(eq=False)
class KerasCall:
    """One call of a layer: its arguments, `CallResult`s among them."""

    args: list[Any]
    kwargs: dict[str, Any]

    def results(self) -> Iterator[CallResult]:
        """The results that it takes, in the order of its arguments."""
        yield from results_in([self.args, self.kwargs])


def results_in(value: Any) -> Iterator[CallResult]:
    """The results in a value, however deep."""
    if isinstance(value, CallResult):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from results_in(item)


@dataclass(eq=False)
class KerasLayer:
    """A layer: its class, what its config says, its calls, where its weights lie.

    `path` are its name and those of the models around it, between dots.
    """

    name: str
    kind: str
    module: str
    config: Mapping[str, Any]
    path: str
    place: WeightPlace
    span: Span
    calls: list[KerasCall] = field(default_factory=list)
    model: KerasModel | None = None

    @property
    def is_operation(self) -> bool:
        """Whether it is a function of keras.ops, and no layer."""
        return self.module.startswith("keras.src.ops")

    # --- what its config says; each raises KerasError where it says something else ----------------

    def error(self, message: str, code: str = "unsupported-layer", *help_: str) -> KerasError:
        """An error at this layer, to be raised."""
        return KerasError(code, f"{shown(self.path)}: {message}", self.span, *help_)

    def _wrong(self, name: str, needed: str) -> KerasError:
        value = printable(repr(self.config.get(name))[:80])
        return self.error(f"{name} has to be {needed}, and is {value}", "wrong-type")

    def integer(self, name: str, default: int | None = None, least: int = 1) -> int:
        value = self.config.get(name, default)
        value = default if value is None else value
        if type(value) is not int or not least <= value <= MAX_ELEMENTS:
            raise self._wrong(name, f"a whole number from {least}")
        return value

    def number(self, name: str, default: float) -> float:
        value = self.config.get(name)
        value = default if value is None else value
        if type(value) not in (int, float) or not abs(value) < 1e30:
            raise self._wrong(name, "a number")
        return float(value)

    def optional(self, name: str) -> float | None:
        """A number, or None where none is said."""
        return None if self.config.get(name) is None else self.number(name, 0)

    def flag(self, name: str, default: bool) -> bool:
        value = self.config.get(name, default)
        value = default if value is None else value
        if type(value) is not bool:
            raise self._wrong(name, "true or false")
        return value

    def word(self, name: str, default: str, *allowed: str) -> str:
        value = self.config.get(name, default)
        value = default if value is None else value
        value = value.lower() if isinstance(value, str) else value
        if value not in allowed:
            raise self._wrong(name, " or ".join(allowed))
        return str(value)

    def pair(self, name: str, default: Any = 1, least: int = 1) -> tuple[int, int]:
        """Two whole numbers; one stands for both."""
        value = self.config.get(name)
        value = default if value is None else value
        items = value if isinstance(value, list | tuple) else [value, value]
        if len(items) != 2 or not all(type(i) is int and least <= i <= MAX_ELEMENTS for i in items):
            raise self._wrong(name, f"one or two whole numbers from {least}")
        return items[0], items[1]

    def integers(self, name: str) -> list[int]:
        value = self.config.get(name)
        items: list[Any] = value if isinstance(value, list) else [value]
        if not all(type(i) is int and abs(i) <= MAX_ELEMENTS for i in items):
            raise self._wrong(name, "whole numbers")
        return items


@dataclass(eq=False)
class KerasModel:
    """A model: its layers by name, in an order of their definition, its inputs and outputs."""

    name: str
    layers: dict[str, KerasLayer]
    inputs: list[CallResult]
    outputs: list[CallResult]

    def all_layers(self) -> Iterator[KerasLayer]:
        """Its layers and those of models in it."""
        for layer in self.layers.values():
            yield layer
            if layer.model is not None:
                yield from layer.model.all_layers()


def shown(name: str) -> str:
    """A name of a file as messages have it: short, and nothing but text."""
    text = printable(name.replace("\n", "\\n"))
    return text if len(text) <= 80 else f"{text[:77]}..."


class _Listing:
    """A text with a line for each layer, which places are in."""

    def __init__(self, path: Path) -> None:
        self.source = Source(str(path), "")
        self.lines: list[str] = []
        self.size = 0

    def add(self, line: str) -> Span:
        span = Span(self.source, self.size, self.size + len(line))
        self.lines.append(line)
        self.size += len(line) + 1
        return span

    def close(self) -> None:
        self.source.text = "".join(f"{line}\n" for line in self.lines)


def model_of(file: KerasFile) -> KerasModel:
    """The model that a file holds. Raises KerasError."""
    listing = _Listing(file.path)
    try:
        return _ConfigReader(file, listing).whole()
    finally:
        listing.close()


class _ConfigReader:
    def __init__(self, file: KerasFile, listing: _Listing) -> None:
        self.file = file
        self.listing = listing
        self.calls = 0

    def whole(self) -> KerasModel:
        data = self.file.config
        if not isinstance(data, dict) or not isinstance(data.get("class_name"), str):
            message = f"{self.file.path} is no model of Keras: its config has no class_name"
            raise KerasError("unreadable-file", message)
        kind = data["class_name"]
        if not is_model(kind, data.get("config")):
            message = f"the model is of the class {shown(kind)}, and its layers are in its code"
            help_ = "what can be read are functional and Sequential models"
            raise KerasError("unsupported-layer", message, None, help_)
        return self.model(data, "", WeightPlace("", ()), 0)

    def model(
        self, data: Mapping[str, Any], path: str, place: WeightPlace, depth: int
    ) -> KerasModel:
        """A model from its config."""
        config = data.get("config")
        if isinstance(config, list):  # a Sequential of Keras before 2.2
            config = {"name": "sequential", "layers": config}
        if not isinstance(config, dict) or not isinstance(config.get("layers"), list):
            raise self._bad("a model has no layers")
        if depth > DEEPEST:
            raise KerasError("too-deep", f"{shown(path)}: models are nested too deeply")
        name = config.get("name")
        model = KerasModel(name if isinstance(name, str) else "model", {}, [], [])
        counts: dict[str, int] = {}
        for item in config["layers"]:
            if len(self.listing.lines) >= MOST_LAYERS:
                raise KerasError("too-large", f"{self.file.path} has too many layers")
            layer = self.layer(item, path, place, counts, depth)
            if layer.name in model.layers:
                message = f"{shown(layer.path)}: two layers have this name"
                raise KerasError("duplicate-name", message, layer.span)
            model.layers[layer.name] = layer
        if data.get("class_name") == "Sequential":
            self._in_a_row(model, data, path, place)
        else:
            for item, layer in zip(config["layers"], model.layers.values(), strict=True):
                layer.calls = [self.call(node, layer) for node in _list(item.get("inbound_nodes"))]
                self.calls += len(layer.calls)
                if self.calls > MOST_LAYERS:
                    raise KerasError("too-large", f"{self.file.path} has too many calls of layers")
                if not layer.calls:
                    layer.calls = [KerasCall([], {})] if layer.kind == "InputLayer" else []
            model.inputs = self._ends(config.get("input_layers"), "input_layers")
            model.outputs = self._ends(config.get("output_layers"), "output_layers")
        if not model.outputs:
            raise self._bad("a model has no outputs")
        return model

    def layer(
        self, data: Any, path: str, place: WeightPlace, counts: dict[str, int], depth: int
    ) -> KerasLayer:
        """A layer, without its calls."""
        if not isinstance(data, dict) or not isinstance(data.get("class_name"), str):
            raise self._bad("a layer has no class_name")
        config = data.get("config")
        kind, module = data["class_name"].rpartition(">")[2], data.get("module")
        if data["class_name"] != kind:  # registered by its package
            module = data["class_name"]
        module = module if isinstance(module, str) else ""
        within = config if isinstance(config, dict) else {}
        name = data.get("name") or within.get("name") or f"{kind.lower()}_{len(counts)}"
        if not isinstance(name, str):
            raise self._bad("the name of a layer is no text")
        lower = lower_case(kind)
        full = f"{path}.{name}" if path else name
        at = place
        if not module.startswith("keras.src.ops"):
            count = counts[lower] = counts.get(lower, -1) + 1
            own = f"{lower}_{count}" if count else lower
            own = f"{place.path}/layers/{own}" if place.path else f"layers/{own}"
            at = WeightPlace(own, (*place.names, name))
        span = self.listing.add(_line(full, data["class_name"], within, data.get("inbound_nodes")))
        layer = KerasLayer(name, kind, module, within, full, at, span)
        if is_model(kind, config):
            layer.model = self.model(data, full, at, depth + 1)
        return layer

    def call(self, node: Any, layer: KerasLayer) -> KerasCall:
        """A call, as Keras 3 or as Keras 2 writes it."""
        if isinstance(node, dict):
            kwargs = node.get("kwargs")
            return KerasCall(
                [self.value(v, layer) for v in _list(node.get("args"))],
                {n: self.value(v, layer) for n, v in kwargs.items()}
                if isinstance(kwargs, dict)
                else {},
            )
        items = _list(node)
        if items and isinstance(items[0], str):
            items = [items]  # the one input of a function
        args: list[Any] = []
        kwargs = {}
        for item in items:
            if not isinstance(item, list) or len(item) < 3:
                raise layer.error("its inputs can't be read", "unreadable-file")
            if item[0] == "_CONSTANT_VALUE":
                args.append(item[2])
            else:
                args.append(self._old_result(item, layer))
            if len(item) > 3 and isinstance(item[3], dict):
                for name, value in item[3].items():
                    kwargs[name] = self._old_value(value, layer)
        takes_list = layer.kind not in ("TFOpLambda", "SlicingOpLambda")
        return KerasCall([args] if takes_list and len(args) > 1 else args, kwargs)

    def _old_value(self, value: Any, layer: KerasLayer) -> Any:
        is_result = (
            isinstance(value, list)
            and len(value) in (3, 4)
            and isinstance(value[0], str)
            and all(type(v) is int for v in value[1:3])
        )
        if is_result:
            return self._old_result(value, layer)
        if isinstance(value, list):
            return [self._old_value(v, layer) for v in value]
        return value

    def _old_result(self, item: Sequence[Any], layer: KerasLayer) -> CallResult:
        name, call, index = item[:3]
        if not isinstance(name, str) or type(call) is not int or type(index) is not int:
            raise layer.error("its inputs can't be read", "unreadable-file")
        return CallResult(name, call, index)

    def value(self, data: Any, layer: KerasLayer) -> Any:
        """An argument: a tensor as `CallResult`, a slice as `slice`, an array as its numbers."""
        if isinstance(data, list):
            return [self.value(v, layer) for v in data]
        if not isinstance(data, dict):
            return data
        kind, config = data.get("class_name"), data.get("config")
        if kind == "__keras_tensor__" and isinstance(config, dict):
            return self._old_result([*_list(config.get("keras_history")), None, None, None], layer)
        if kind == "__slice__" and isinstance(config, dict):
            ends = [config.get(n) for n in ("start", "stop", "step")]
            if all(e is None or type(e) is int for e in ends):
                return slice(*ends)
        if kind in ("__numpy__", "__tensor__") and isinstance(config, dict):
            return config.get("value")
        return {n: self.value(v, layer) for n, v in data.items()}

    def _ends(self, data: Any, name: str) -> list[CallResult]:
        """The inputs or outputs of a model."""
        items = data
        if isinstance(data, list) and len(data) == 3 and isinstance(data[0], str):
            items = [data]
        if isinstance(items, dict):
            items = list(items.values())
        found = []
        for item in _list(items):
            good = isinstance(item, list) and len(item) == 3 and isinstance(item[0], str)
            if not good or type(item[1]) is not int or type(item[2]) is not int:
                raise self._bad(f"{name} can't be read")
            found.append(CallResult(item[0], item[1], item[2]))
        return found

    def _in_a_row(
        self, model: KerasModel, data: Mapping[str, Any], path: str, place: WeightPlace
    ) -> None:
        """The calls of a Sequential, with an input where its config has none."""
        layers = model.layers
        first = next(iter(layers.values()), None)
        if first is None:
            raise self._bad("a Sequential has no layers")
        if first.kind != "InputLayer":
            config = data["config"] if isinstance(data["config"], dict) else {}
            about = data.get("build_config")
            shape = (
                first.config.get("batch_input_shape")
                or first.config.get("batch_shape")
                or config.get("build_input_shape")
                or (about.get("input_shape") if isinstance(about, dict) else None)
            )
            name = "input"
            while name in layers:
                name += "_"
            span = self.listing.add(_line(name, "InputLayer", {"batch_shape": shape}, None))
            full = f"{path}.{name}" if path else name
            added = KerasLayer(name, "InputLayer", "", {"batch_shape": shape}, full, place, span)
            model.layers = layers = {name: added, **layers}
        before: KerasLayer | None = None
        for layer in layers.values():
            layer.calls = [KerasCall([CallResult(before.name, 0, 0)] if before else [], {})]
            before = layer
        names = list(layers)
        model.inputs, model.outputs = [CallResult(names[0], 0, 0)], [CallResult(names[-1], 0, 0)]

    def _bad(self, message: str) -> KerasError:
        return KerasError("unreadable-file", f"{self.file.path} is no sound model: {message}")


def is_model(kind: str, config: Any) -> bool:
    """Whether a config is that of a model with its layers."""
    if kind == "Sequential":
        return isinstance(config, list | dict)
    return isinstance(config, dict) and isinstance(config.get("layers"), list)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


_LEFT_OUT = re.compile(
    r"name|trainable|dtype|sparse|ragged|optional|seed|layers|(input|output)_layers|\w*_(initializer"
    r"|regularizer|constraint)"
)


def _line(path: str, kind: str, config: Mapping[str, Any], nodes: Any) -> str:
    """A layer's line of the listing: `conv1: Conv2D(input) { filters: 8, kernel_size: [3, 3] }`."""
    sources = re.findall(r"'keras_history': \['([^']*)'|\[+'([^']*)', \d", repr(nodes)[:4000])
    taken = ", ".join(a or b for a, b in sources[:8])
    fields = [
        f"{n}: {v}"
        for n, v in config.items()
        if not _LEFT_OUT.fullmatch(str(n)) and isinstance(v, bool | int | float | str | list)
    ]
    line = f"{path}: {kind}({taken})" + (f" {{ {', '.join(fields)} }}" if fields else "")
    text = printable(line.replace("\n", "\\n"))
    return text if len(text) <= 200 else f"{text[:197]}..."
