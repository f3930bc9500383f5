"""The classes of a net and its modules, inner ones first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from netspec.codegen.class_writer import ClassWriter
from netspec.codegen.identifiers import Identifiers
from netspec.codegen.python_source import docstring, function_head
from netspec.codegen.spelling import (
    CannotWrite,
    ClassText,
    Spelling,
)
from netspec.codegen.template_expressions import TermEvaluator
from netspec.codegen.terms import (
    FloatParameter,
    Printer,
)
from netspec.codegen.trace_nodes import (
    CannotTrace,
    Extent,
    InstanceCall,
    OpCall,
    Trace,
    calls_in,
)
from netspec.diagnostics import Diagnostic
from netspec.ir.template import Template
from netspec.lazy_dataclasses import dataclass, field
from netspec.symbolic.expr import (
    Channels,
    Parameter,
    constant_source,
)
from netspec.syntax.ast import Expression


@dataclass(frozen=True)
class NetText:
    """What the class of a net has besides that of a module.

    `doc` and `predict_doc` are docstrings, `weights` the lines of `reset_parameters`, `base` is
    the class that it is derived from.
    """

    doc: Sequence[str]
    predict_doc: Sequence[str]
    weights: Sequence[str]
    base: str = "nn.Module"


@dataclass
class Classes:
    """The classes of nets and their modules, inner ones first."""

    spelling: Spelling
    taken: Sequence[str]
    class_name: Callable[[str, str], str]
    known: dict[int, ClassText] = field(default_factory=dict)
    all: list[tuple[ClassText, Trace, ClassWriter]] = field(default_factory=list)
    needs_out: set[tuple[Trace, str]] = field(default_factory=set)
    refused: Mapping[Template, str] = field(default_factory=dict)
    """Why the class of a template could not be written."""

    def write(self, nets: Sequence[tuple[Trace, Mapping[str, str]]]) -> None:
        """Write all classes, again until each knows what others ask of it.

        `nets` are traces, each with comments for its values.
        """
        while True:
            before = set(self.needs_out)
            self.known.clear()
            self.all.clear()
            for trace, comments in nets:
                self.make(trace, comments)
            if self.needs_out == before:
                return

    def of(self, c: InstanceCall) -> ClassText:
        return self.make(c.trace, {})

    def make(self, trace: Trace, comments: Mapping[str, str]) -> ClassText:
        """The class of a trace; equal texts of one module are one class."""
        if id(trace) in self.known:
            return self.known[id(trace)]
        template = trace.template
        for c in calls_in(trace.nodes):  # inner classes first
            if isinstance(c, InstanceCall):
                self.of(c)
        wanted = self.class_name(template.name, template.doc)
        taken = (*self.taken, *(t.name for t, _, _ in self.all))
        writer = ClassWriter(
            trace, self.spelling, self.of, (*taken, wanted), comments, self.needs_out
        )
        try:
            text = writer.text()
        except CannotTrace as error:
            raise CannotWrite(trace, str(error)) from None
        text.arguments = self.arguments(trace, writer)
        for other, known, _ in self.all:
            if (
                known.template.name == template.name
                and known.template.kind == template.kind == "module"
            ):
                if (other.arguments, other.init, other.forward) == (
                    text.arguments,
                    text.init,
                    text.forward,
                ):
                    self.known[id(trace)] = other
                    return other
        text.name = Identifiers(taken).numbered(wanted)
        self.known[id(trace)] = text
        self.all.append((text, trace, writer))
        return text

    def arguments(
        self, trace: Trace, writer: ClassWriter
    ) -> list[tuple[Any, str, str, str | None]]:
        found: list[tuple[Any, str, str, str | None]] = []
        if trace.template.kind == "module":
            for v in trace.inputs:
                if Channels(v.name) in writer.used:
                    found.append(
                        (Channels(v.name), writer.argument_names[Channels(v.name)], "int", None)
                    )
                for axis in (1, 2):
                    if Extent(v, axis) in writer.used:
                        found.append((Extent(v, axis), writer.extent_name(v, axis), "int", None))
        for p in trace.template.parameters:
            if p.name not in trace.sample:
                continue  # it decided what the block is made of
            value = trace.sample[p.name]
            for leaf in (Parameter(p.name), FloatParameter(p.name)):
                if leaf in writer.used:
                    default = None
                    if trace.template.kind == "net":
                        default = _value_source(value, isinstance(leaf, FloatParameter))
                    elif p.default is not None:
                        default = _default(p.default, isinstance(leaf, FloatParameter))
                    kind = "float" if isinstance(leaf, FloatParameter) else _type(value)
                    found.append((leaf, writer.argument_names[p.name], kind, default))
        # Python wants those with a default last.
        return sorted(found, key=lambda a: a[3] is not None)

    def notes(self) -> list[Diagnostic]:
        """A warning for each module or net whose classes are written for certain arguments."""
        written = {trace.template for _, trace, _ in self.all if trace.block is not None}
        return [
            Diagnostic(
                "written-out",
                f"the class of {t.name} is written for the arguments that it has here",
                t.span,
                notes=(one_line(why),),
            )
            for t, why in self.refused.items()
            if t in written
        ]

    def net_classes(self) -> list[ClassText]:
        """The classes of nets, in their order."""
        return [text for text, trace, _ in self.all if trace.template.kind == "net"]

    def emissions(self, of: ClassText) -> list[tuple[OpCall, Any]]:
        """The ops that a class and those that it uses make, each with what is written for it."""
        writers = {id(text): (trace, writer) for text, trace, writer in self.all}
        found: list[tuple[OpCall, Any]] = []
        seen: set[int] = set()
        pending = [of]
        while pending:
            text = pending.pop()
            if id(text) in seen:
                continue
            seen.add(id(text))
            trace, writer = writers[id(text)]
            found += [(c, e) for c, e in writer.emissions.items() if isinstance(c, OpCall)]
            pending += [self.of(c) for c in calls_in(trace.nodes) if isinstance(c, InstanceCall)]
        return found

    def render(self, nets: Mapping[str, NetText]) -> Iterator[str]:
        """The source of each class. `nets` has what else those of nets hold, by class."""
        for text, trace, writer in self.all:
            net = nets.get(text.name)
            own = text.base != "nn.Sequential"
            base = text.base
            if net is not None and net.base != "nn.Module":
                base = net.base if own else f"{net.base}, {text.base}"
            lines = [f"class {text.name}({base}):"]
            why = self.refused.get(trace.template)
            if trace.block is not None and why is not None:
                lines.insert(0, f"# Written for certain arguments only: {one_line(why)}.")
            doc = docstring(trace.template.doc, 4) if trace.template.doc else []
            doc = list(net.doc) if net else doc
            lines += [*doc, ""] if doc else []
            args = [
                f"{n}: {t}" + (f" = {d}" if d is not None else "") for _, n, t, d in text.arguments
            ]
            lines += function_head("__init__", ["self", *args], "None", 4)
            lines += ["        super().__init__()"] if own else []
            lines += [
                f"        exact_{n} = Fraction(str({writer.argument_names[n]}))"
                for n in sorted(writer.exact)
            ]
            lines += [
                *text.init,
                *(["        self.reset_parameters()"] if net and net.weights else []),
            ]
            params = [f"{writer.variables[v]}: Tensor" for v in trace.inputs]
            result = writer.result_type()
            if own:
                head = function_head("forward", ["self", *params], result, 4)
                lines += ["", *head, *text.forward]
            if text.predict:
                head = function_head("predict", ["self", *params], result, 4)
                lines += ["", *head, *(net.predict_doc if net else ()), *text.predict]
            if "training" in writer.layer_names():
                lines += ["", *_TRAIN]
            if net and net.weights:
                head = function_head("reset_parameters", ["self"], "None", 4)
                lines += ["", *head, *net.weights]
            yield "\n".join(lines)


# PyTorch assigns self.training, which it refuses where a layer bears that name.
_TRAIN = [
    "    def train(self, mode: bool = True) -> Self:",
    '        self.__dict__["training"] = mode',
    "        for child in self.children():",
    "            child.train(mode)",
    "        return self",
]


def one_line(text: str) -> str:
    """A text as it may stand in a comment."""
    return "".join(c if c.isprintable() else " " for c in text)


def _default(e: Expression, real: bool) -> str:
    """A parameter's default as source."""
    default = TermEvaluator(lambda e: None).evaluate(e)
    if real:
        return repr(float(default.value))
    return Printer(lambda leaf, exact: leaf.name)(default.term)


def _value_source(value: Any, real: bool) -> str:
    """A parameter's value as source."""
    if isinstance(value, tuple):
        inner = ", ".join(_value_source(v, real) for v in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return constant_source(float(value) if real else value)


def _type(value: Any) -> str:
    if value is None:
        return "int | None"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "str"
    if isinstance(value, tuple):
        return "tuple[int, ...]"
    return "int"
