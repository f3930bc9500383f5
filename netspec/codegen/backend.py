"""The protocol of a backend, finding the installed ones, and emitting and loading a model.

A backend writes a checked net as the source of a Python module. It is a class whose constructor
takes no arguments, behind an entry point of the group `netspec.backends`; netspec's own backends
are found the same way. docs/backends.md shows a complete one.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, Protocol, runtime_checkable

from netspec.diagnostics import Diagnostic, SpecError, spec_error
from netspec.diagnostics.suggest import did_you_mean, one_of
from netspec.ir import Layer, Net
from netspec.lazy_dataclasses import dataclass
from netspec.ops import Op, PluginError, load_entry
from netspec.ops.pooling import AvgPool, MaxPool
from netspec.ops.reshaping import Flatten

GROUP = "netspec.backends"
"""The group of entry points; the name of an entry point is what `--backend` takes."""


class Unsupported(Exception):
    """Raised by `Backend.check` for a layer that the backend can't express; says why.

    The message follows "the NAME backend can't express LAYER: ". Of `Backend.emit` and its like, it
    begins with what can't be expressed.
    """


class MissingTool(Exception):
    """Raised by `MakesFiles.model` where the system lacks a program that it needs.

    `args` are what is missing, and what to do about it.
    """


class Backend(Protocol):
    """What netspec asks of a code generator.

    `name` is the name of its entry point, as messages have it. `emitters` has an entry for each op
    class that the backend can write; only its keys are read here, what they map to is the
    backend's own. Whether each layer has one is checked before `check` and `emit` are called.
    """

    name: str
    emitters: Mapping[type[Op], Any]

    def check(self, layer: Layer, used: Sequence[bool]) -> None:
        """Raise Unsupported if the backend can't express a layer whose op it knows.

        `used` says for each result of the layer whether anything reads it. Called for each line of
        the spec before anything is emitted, so that all errors are reported together.
        """
        ...

    def emit(self, net: Net) -> str:
        """The source of a module whose last class is the model; the same net gives the same text.

        The class can be made without arguments, with fresh weights, and is called
        `class_name(net.name, net.doc)` (codegen/identifiers.py) where that name is free.
        """
        ...

    def run(self, model: Any, *inputs: Any) -> tuple[Any, ...]:
        """The outputs of a model in inference mode, in the order of the net's outputs.

        Inputs and outputs are NumPy arrays with a batch dimension, all float32 or all float64;
        outputs have the type of the inputs, except for indices, which are integers.
        """
        ...

    def set_weights(self, model: Any, weights: Mapping[str, Any]) -> None:
        """Give a model all tensors of the net, float32 arrays by their names in weight files.

        The arrays have been checked against `net.tensors`, so where names or shapes differ from the
        model's, the emitted code is wrong: RuntimeError.
        """
        ...


@runtime_checkable
class HasNotes(Protocol):
    """A backend that has something to say of what it emitted; `netspec compile` prints it."""

    notes: Sequence[Diagnostic]
    """Warnings about the net that was emitted last."""


@runtime_checkable
class EndsInLogits(Protocol):
    """A backend whose models end in logits when called, and whose `predict` gives the outputs."""

    ends_in_logits: Sequence[bool]
    """Of the net that was emitted last: whether its model gives logits in place of each output."""


@runtime_checkable
class EmitsFamilies(Protocol):
    """A backend that writes several nets into one file.

    With `probabilities`, models give the nets' outputs when called; with `nsz`, they load
    compressed weights too.
    """

    def emit_family(
        self, nets: Sequence[Net], *, probabilities: bool = False, nsz: bool = False
    ) -> str:
        """The source of a module with a class for each net, classes of modules once."""
        ...


@runtime_checkable
class MakesFiles(Backend, Protocol):
    """A backend whose models are files with graph and weights, in place of Python source.

    `suffix` is what the files' names end with, `signature` are bytes near their beginning that
    those of other programs lack. `options` are the names of what `files` takes, options of
    `netspec compile`. `emit` of such a backend is the graph as text, or the source.

    Where `weights_may_lack`, there are files without weights too: `files` is then given none.
    """

    suffix: str
    signature: bytes
    options: Collection[str]
    weights_may_lack: bool

    def files(
        self, net: Net, weights: Mapping[str, Any], name: str, **options: Any
    ) -> Mapping[str, Sequence[bytes | memoryview]]:
        """The file called `name`, then those that lie beside it, each in pieces.

        Raises Unsupported where it can't be one of these options.
        """
        ...

    def model(self, net: Net) -> Any:
        """A model that runs, without weights.

        Raises ImportError where a package is missing, MissingTool where a program is.
        """
        ...


@runtime_checkable
class QuantizesFiles(Protocol):
    """A backend that `MakesFiles`, of 8-bit integers too."""

    def quantized(self, content: bytes, inputs: Sequence[Any]) -> tuple[bytes, dict[str, float]]:
        """A file in 8-bit integers, calibrated on inputs, and how it does beside the given one.

        In `size` and `float_size` (bytes), `seconds` and `float_seconds` (for an input),
        `same_best` (share of places where the same channel is the largest) and `difference` (mean,
        of the largest value).
        """
        ...


EXTRAS = {"keras": "keras", "onnx": "onnx", "onnxruntime": "onnx", "torch": "torch"}
"""The extra of netspec that brings a package."""


@runtime_checkable
class HasChannelsLast(Protocol):
    """A backend whose models take and give values with channels last; `run` has them first.

    Their weights have names and layouts of their own, which `weights convert --names` writes.
    """

    def named_weights(self, net: Net, weights: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
        """Tensors as the model has them, each with its name there, by their names of the net."""
        ...

    def own_weights(self, net: Net, given: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
        """Tensors as the net has them, each with its name in `given`, by their names of the net.

        `given` has the names of the model, or the places in a file that its library wrote. What is
        not there, or of another size, is left out.
        """
        ...


@runtime_checkable
class PlansMemory(Protocol):
    """A backend whose models' memory is known before they run; `netspec table` prints it."""

    def planned_memory(self, net: Net) -> PlannedMemory:
        """Bytes that the net's model needs for one image in float32."""
        ...


@dataclass(frozen=True)
class PlannedMemory:
    """Bytes that a model needs for one image in float32, as planned before it runs.

    `arena` are the values of the net, `scratch` the intermediate results inside layers, `weights`
    the weights in the form in which the model keeps them.
    """

    arena: int
    scratch: int
    weights: int

    @property
    def total(self) -> int:
        """All of them together, in bytes."""
        return self.arena + self.scratch + self.weights


def planned_memory(net: Net, name: str) -> PlannedMemory | None:
    """What the model of a backend needs; None where it is not installed or is no `PlansMemory`."""
    found = _class(name)
    backend = found() if found is not None else None
    return backend.planned_memory(net) if isinstance(backend, PlansMemory) else None


def backends() -> list[str]:
    """The names of the installed backends."""
    return sorted({e.name for e in entry_points(group=GROUP)})


def get(name: str) -> Backend:
    """The backend of a name. Raises SpecError where none is installed, or it can't be loaded."""
    found = _class(name)
    if found is None:
        help_ = did_you_mean(name, backends()) or (f"installed are {one_of(backends())}",)
        message = f"there is no backend {name}"
        raise spec_error("unknown-backend", message, help=help_)
    return found()


@cache
def _class(name: str) -> Callable[[], Backend] | None:
    try:
        found: Callable[[], Backend] | None = load_entry(GROUP, name)
    except PluginError as error:
        cause, own = error.__cause__, {e.module for e in entry_points(group=GROUP, name=name)}
        if isinstance(cause, ModuleNotFoundError) and cause.name not in own:
            raise _missing_package(name, cause) from None
        raise spec_error("unknown-backend", f"the backend {name} can't be used: {error}") from None
    return found


def emit(net: Net, backend: Backend, probabilities: bool = False, nsz: bool = False) -> str:
    """The source of a net's model; with `probabilities`, one that gives these when called.

    With `nsz`, one that loads compressed weights too.

    Raises SpecError, before anything is emitted, where the backend lacks an op or can't express
    a layer: one diagnostic for each line of the spec.
    """
    _check_ops([net], backend)
    with _reporting(backend):
        if (probabilities or nsz) and isinstance(backend, EmitsFamilies):
            return backend.emit_family([net], probabilities=probabilities, nsz=nsz)
        if nsz:
            message = f"models of the {backend.name} backend load no .nsz files"
            raise spec_error("bad-option", message)
        return backend.emit(net)


def emit_family(
    nets: Sequence[Net], backend: Backend, probabilities: bool = False, nsz: bool = False
) -> str:
    """The source of a file with the models of several nets. Raises SpecError as `emit` does."""
    if len(nets) == 1:
        return emit(nets[0], backend, probabilities, nsz)
    if not isinstance(backend, EmitsFamilies):
        message = f"the {backend.name} backend writes one net a file"
        help_ = (f"name the one that is meant, as in `{nets[0].file}:{nets[0].name}`",)
        raise spec_error("bad-option", message, help=help_)
    _check_ops(nets, backend)
    with _reporting(backend):
        return backend.emit_family(nets, probabilities=probabilities, nsz=nsz)


@contextmanager
def _reporting(backend: Backend) -> Iterator[None]:
    """Raise SpecError for what a backend finds that it can't express while it emits."""
    try:
        yield
    except Unsupported as error:
        message = f"the {backend.name} backend can't express {error}"
        raise spec_error("unsupported-op", message) from None


def model_files(
    net: Net, backend: Backend, weights: Mapping[str, Any], name: str, **options: Any
) -> Mapping[str, Sequence[bytes | memoryview]]:
    """The files of a net of a backend that `MakesFiles`. Raises SpecError as `emit` does."""
    assert isinstance(backend, MakesFiles)
    _check_ops([net], backend)
    try:
        return backend.files(net, weights, name, **options)
    except Unsupported as error:
        message = f"{net.name} can't be such a file: {error}"
        raise spec_error("bad-option", message) from None


def _check_ops(nets: Sequence[Net], backend: Backend) -> None:
    """Raise SpecError for layers that a backend can't express."""
    errors: dict[tuple[Any, int, int], Diagnostic] = {}
    for net in nets:
        read = {v for flat in net.layers for v in flat.inputs} | set(net.flat_outputs)
        for flat in net.layers:
            layer = flat.layer
            key = (layer.span.source, layer.span.start, layer.span.end)
            if key in errors:
                continue
            why = f"the {backend.name} backend has no {layer.op.keyword}"
            try:
                if type(layer.op) in backend.emitters:
                    backend.check(layer, [v in read for v in flat.outputs])
                    continue
            except PluginError as error:
                why += f": {error}"
            except Unsupported as error:
                why = f"the {backend.name} backend can't express {flat.path}: {error}"
            errors[key] = Diagnostic("unsupported-op", why, layer.span)
    if errors:
        raise SpecError(errors.values())


def load_model(net: Net, backend: Backend, probabilities: bool = False) -> Any:
    """A model of the net with fresh weights: the emitted module is executed, its class called.

    One that is a file has none yet. Raises SpecError where the net can't be emitted, or what it
    needs is not installed.
    """
    if isinstance(backend, MakesFiles):
        _check_ops([net], backend)
        try:
            with _reporting(backend):
                return backend.model(net)
        except ImportError as error:
            raise _missing_package(backend.name, error) from None
        except MissingTool as error:
            message, *help_ = map(str, error.args)
            raise spec_error("missing-package", message, help=tuple(help_)) from None
    source = emit(net, backend, probabilities)
    name = f"<{net.name} emitted by netspec for {backend.name}>"
    module = ModuleType(f"netspec_emitted_{net.name}_{backend.name}")
    module.__file__ = name
    # Tracebacks show the emitted lines, and tools that read a class's source find it.
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    sys.modules[module.__name__] = module
    try:
        exec(compile(source, name, "exec"), module.__dict__)
    except ImportError as error:
        raise _missing_package(backend.name, error) from None
    # The net's own class comes last, whatever else the file defines.
    classes = [v for v in vars(module).values() if isinstance(v, type)]
    return [c for c in classes if c.__module__ == module.__name__][-1]()


def _missing_package(backend: str, error: ImportError) -> SpecError:
    package = error.name or "a package"
    message = f"the {backend} backend needs {package}, which is not installed"
    extra = f"'netspec-compiler[{EXTRAS[package]}]'" if package in EXTRAS else package
    return spec_error("missing-package", message, help=(f"pip install {extra}",))


def summary(net: Net, kinds: Sequence[str] = (), channels_last: bool = False) -> str:
    """The docstring of an emitted class: the shapes of its inputs and outputs, its parameters.

    It says so where other sizes of input meet a rounding that the spec leaves open.

    `kinds` say of each output what it is, in a word.
    """
    ins, outs = (
        [_with_batch((*v.shape[1:], v.shape[0]) if channels_last else v.shape) for v in values]
        for values in (net.body.inputs, net.body.outputs)
    )
    outs = [
        f"{out} {kind}".rstrip() for out, kind in zip(outs, kinds or [""] * len(outs), strict=True)
    ]
    shapes = f"{', '.join(ins)} to {', '.join(outs)}; {net.params:,} parameters."
    return shapes + _ROUNDING if _leaves_rounding_open(net) else shapes


def _with_batch(shape: Sequence[int]) -> str:
    return f"(N, {', '.join(str(int(d)) for d in shape)})"


_ROUNDING = "\n\nAt other sizes poolings round down, which the spec leaves open."


def _leaves_rounding_open(net: Net) -> bool:
    """Whether a pooling says nothing of rounding, as it makes no difference for the sizes given.

    False where a vector is made of all places, which fixes the sizes.
    """
    open_ = False
    for layer in net.layers:
        if isinstance(layer.op, Flatten) and layer.inputs[0].shape[1:] not in ((), (1, 1)):
            return False
        stated = layer.layer.stated
        if isinstance(stated, MaxPool | AvgPool) and stated.round is None:
            open_ = open_ or (stated.stride != (1, 1) and stated.pad != "same")
    return open_
