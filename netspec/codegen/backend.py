"""What a backend is, and how installed ones are found.

A backend turns a checked net into the source of a Python module. It is a class without arguments
behind an entry point of the group `netspec.backends`; netspec's own are no exception.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, Protocol

from netspec.diagnostics import Diagnostic, SpecError, spec_error
from netspec.diagnostics.suggest import did_you_mean, one_of
from netspec.ir import Layer, Net
from netspec.ops import Op

GROUP = "netspec.backends"


class Unsupported(Exception):
    """A layer that the backend can't express; the message says why."""


class Backend(Protocol):
    """A code generator.

    `emitters` has one entry per op class. `check` is called with each layer before anything is
    emitted, and with which of its results are used, and raises Unsupported for what the backend
    can't express. `emit` returns the source of a module with one model class, called
    `netspec.naming.class_name(net.name, net.doc)`; the same net gives the same text. `packages`
    are what emitted code imports.
    """

    name: str
    emitters: Mapping[type[Op], Any]
    packages: Sequence[str]

    def check(self, layer: Layer, used: Sequence[bool]) -> None: ...

    def emit(self, net: Net) -> str: ...

    def run(self, model: Any, *inputs: Any) -> tuple[Any, ...]:
        """Call a model with NumPy arrays in inference mode; NumPy arrays come back."""
        ...

    def set_weights(self, model: Any, weights: Mapping[str, Any]) -> None:
        """Give a model all its tensors, NumPy arrays by their name in weight files."""
        ...


@dataclass(frozen=True)
class PlannedMemory:
    """Bytes that a backend's model needs for one image in float32, as planned before it runs.

    `arena` holds the values, `scratch` is what kernels work with, `weights` are as rearranged.
    """

    arena: int
    scratch: int
    weights: int

    @property
    def total(self) -> int:
        return self.arena + self.scratch + self.weights


def planned_memory(net: Net, name: str) -> PlannedMemory | None:
    """What the model of a backend needs; None where that is not installed or does not plan it.

    A backend that plans its memory has a method `planned_memory(net) -> PlannedMemory`.
    """
    if name not in _installed():
        return None
    plan = getattr(get(name), "planned_memory", None)
    return plan(net) if plan is not None else None


@cache
def _installed() -> dict[str, Any]:
    return {e.name: e for e in entry_points(group=GROUP)}


def backends() -> list[str]:
    """The names of the installed backends."""
    return sorted(_installed())


def get(name: str) -> Backend:
    """The backend of a name. Raises SpecError where there is none."""
    entry = _installed().get(name)
    if entry is None:
        help_ = did_you_mean(name, backends()) or (f"installed are {one_of(backends())}",)
        message = f"there is no backend {name}"
        raise spec_error("unknown-backend", message, help=help_)
    backend: Backend = entry.load()()
    return backend


def emit(net: Net, backend: Backend) -> str:
    """The source of a net's model.

    Raises SpecError, before anything is emitted, where the backend lacks an op or can't express
    a layer: one diagnostic each.
    """
    errors: dict[tuple[Any, int, int], Diagnostic] = {}
    read = {v for flat in net.layers for v in flat.inputs} | set(net.flat_outputs)
    for flat in net.layers:
        layer = flat.layer
        key = (layer.span.source, layer.span.start, layer.span.end)
        if key in errors:
            continue
        if type(layer.op) not in backend.emitters:
            why = f"the {backend.name} backend has no {layer.op.keyword}"
        else:
            try:
                backend.check(layer, [v in read for v in flat.outputs])
                continue
            except Unsupported as error:
                why = f"the {backend.name} backend can't express {flat.path}: {error}"
        errors[key] = Diagnostic("unsupported-op", why, layer.span)
    if errors:
        raise SpecError(errors.values())
    return backend.emit(net)


def load_model(net: Net, backend: Backend) -> Any:
    """A model of the net: the emitted class, executed and instantiated.

    Raises SpecError where the net can't be emitted or a package it needs is missing.
    """
    source = emit(net, backend)
    name = f"<{net.name} emitted by netspec for {backend.name}>"
    module = ModuleType(f"netspec_emitted_{net.name}_{backend.name}")
    module.__file__ = name
    # Tracebacks show the emitted lines, and tools that read a class's source find it.
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    sys.modules[module.__name__] = module
    try:
        exec(compile(source, name, "exec"), module.__dict__)
    except ImportError as error:
        package = error.name or "a package"
        message = f"the {backend.name} backend needs {package}, which is not installed"
        help_ = (f"pip install {package}",)
        raise spec_error("missing-package", message, help=help_) from None
    # Whatever the file defines before, the net's own class comes last.
    classes = [v for v in vars(module).values() if isinstance(v, type)]
    return [c for c in classes if c.__module__ == module.__name__][-1]()


def summary(net: Net) -> str:
    """What an emitted class says of itself: the shapes of a batch in and out, its parameters."""
    ins, outs = (
        ", ".join(f"(N, {', '.join(str(int(d)) for d in v.shape)})" for v in values)
        for values in (net.body.inputs, net.body.outputs)
    )
    return f"{ins} to {outs}; {net.params:,} parameters."
