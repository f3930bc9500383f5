"""Modules with random arguments: what a module takes, and uses of it.

A `Module` is a name and the text that defines it. `uses(module)` draws arguments and input shapes
that are sound for it, and `host(module, uses)` is the text of a net with these uses side by side.
Nothing here knows a backend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hypothesis import reject
from hypothesis import strategies as st

from netspec.diagnostics import Diagnostics
from netspec.diagnostics.source import Source
from netspec.syntax.ast import (
    Comparison,
    Constant,
    Definition,
    Input,
    Number,
    Param,
    String,
    Variable,
)
from netspec.syntax.parser import parse
from netspec.syntax.visitor import walk

from ..helpers import checked

Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass(frozen=True)
class Module:
    """A module by its name, and the text that defines it and all that it uses."""

    name: str
    text: str

    @cached_property
    def definition(self) -> Definition:
        file = parse(Source(f"{self.name}.net", self.text), Diagnostics())
        assert file is not None
        items = [i for i in file.items if isinstance(i, Definition)]
        return next(i for i in items if i.name.text == self.name)

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """The names of its inputs, in order."""
        return tuple(s.name.text for s in self.definition.body if isinstance(s, Input))


@dataclass(frozen=True)
class Use:
    """Arguments for all parameters of a module, and the shapes of its inputs."""

    arguments: Mapping[str, Any]
    shapes: tuple[tuple[int, ...], ...]


def constant(value: object) -> str:
    """A Python value as text of the language."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(constant, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def host(module: Module, uses: Iterable[Use], name: str = "host") -> str:
    """A net with an input for each input of each use, and the first result of each as an output."""
    lines, outputs = [], []
    for i, use in enumerate(uses):
        inputs = [f"{x}_of_{i}" for x in module.inputs]
        for x, shape in zip(inputs, use.shapes, strict=True):
            lines.append(f"input {x}: {'x'.join(map(str, shape))}")
        fields = "  ".join(f"{n}: {constant(v)}" for n, v in use.arguments.items())
        lines.append(f"use{i}: {module.name}({', '.join(inputs)}) {{ {fields} }}")
        outputs.append(f"use{i}")
    body = "\n  ".join([*lines, f"output {', '.join(outputs)}"])
    return f"{module.text}\nnet {name} {{\n  {body}\n}}\n"


def values(module: Module, param: Param) -> st.SearchStrategy[Any]:
    """Values for a parameter, by its default and by the words that the module compares it with."""
    words = {
        term.value
        for node in walk(module.definition)
        if isinstance(node, Comparison)
        for terms in [(node.first, *(t for _, t in node.rest))]
        if any(isinstance(t, Variable) and t.name == param.name.text for t in terms)
        for term in terms
        if isinstance(term, String)
    }
    if isinstance(param.default, String):
        words |= {param.default.value}
    if words:
        return st.sampled_from(sorted(words))
    match param.default:
        case Constant(bool()):
            return st.booleans()
        case Number(value, span) if value.denominator != 1 or not span.text.isdigit():
            return st.sampled_from([0.25, 0.5, 0.75])
        case Number(value) if not value:
            return st.integers(0, 5)
    return st.sampled_from([1, 2, 3, 4, 8])


@st.composite
def uses(draw: Draw, module: Module) -> Use:
    """A use of a module that is sound."""

    def one() -> Use:
        channels = draw(st.sampled_from([4, 2, 8, 3, 1, 16]))
        sizes = draw(st.sampled_from([(4, 8), (8, 8), (6, 4), (5, 7)]))
        arguments = {p.name.text: draw(values(module, p)) for p in module.definition.params}
        return Use(arguments, ((channels, *sizes),) * len(module.inputs))

    for _ in range(20):
        found = one()
        if checked(host(module, [found]))[0] is not None:
            return found
    reject()
