"""The classes of a net and its modules, inner ones first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from textwrap import wrap
from typing import Any

from netspec.codegen.backend import Unsupported
from netspec.codegen.identifiers import Identifiers, class_name
from netspec.codegen.python_source import WIDTH, docstring, function_head
from netspec.codegen.tracing.logits import end_in_logits
from netspec.codegen.tracing.made_ops import MakerOf
from netspec.codegen.tracing.nodes import SIZES, CannotTrace, InstanceCall, OpCall, Trace, calls_in
from netspec.codegen.tracing.traces import Traces
from netspec.codegen.writing.class_writer import ClassText, write_class
from netspec.codegen.writing.families import variant_class, variant_families
from netspec.codegen.writing.spelling import CannotWrite, Spelling
from netspec.diagnostics import Diagnostic
from netspec.ir import Net
from netspec.lazy_dataclasses import dataclass, field, replace
from netspec.ops import text as shape_text


def classes_of(
    nets: Sequence[Net],
    spelling: Callable[[Sequence[Trace]], Spelling],
    taken: Sequence[str],
    maker_of: MakerOf,
    probabilities: bool = False,
) -> Classes:
    """The classes of nets, written from their text wherever that can be.

    `spelling` is that of these traces, `taken` are names of the file, `maker_of` says what makes
    an op as an argument; with `probabilities`, nothing is taken off the ends. Raises Unsupported.
    """
    traces = Traces(taken, maker_of, len(nets) > 1)
    while True:
        found = [traces.of_net(net) for net in nets]
        for trace in found:
            end_in_logits(trace, probabilities)
        classes = Classes(spelling(found), taken, class_name)
        try:
            classes.write(list(zip(found, map(_shapes, nets), strict=True)))
        except CannotWrite as error:
            if error.trace.block is not None:
                raise Unsupported(f"{error.trace.template.name}: {error}") from None
            traces.refuse(error.trace, str(error))
        else:
            return classes


def _shapes(net: Net) -> dict[str, str]:
    """The shapes of values with height and width, by the name of their layer or module."""
    return {
        node.name: shape_text(node.outputs[0].shape)
        for node in net.body.nodes
        if len(node.outputs[0].shape) == 3
    }


@dataclass(frozen=True)
class NetText:
    """What the class of a net has besides that of a module.

    `doc` and `predict_doc` are docstrings, `weights` the lines of `reset_parameters`, `base` is
    the class of the file that it is derived from, `variant_of` the net that it is a variant of, or
    itself.
    """

    doc: Sequence[str]
    predict_doc: Sequence[str]
    weights: Sequence[str]
    base: str = ""
    variant_of: str = ""


@dataclass
class Classes:
    """The classes of nets and their modules, inner ones first."""

    spelling: Spelling
    taken: Sequence[str]
    class_name: Callable[[str, str], str]
    known: dict[int, ClassText] = field(default_factory=dict)
    all: list[ClassText] = field(default_factory=list)

    def write(self, nets: Sequence[tuple[Trace, Mapping[str, str]]]) -> None:
        """Write all classes, again until each knows what others ask of it.

        `nets` are traces, each with comments for its values.
        """
        asked: set[tuple[Trace, str]] = set()
        while True:
            self.known.clear()
            self.all.clear()
            for trace, comments in nets:
                self.make(trace, comments, asked)
            self.all.sort(key=lambda text: text.trace.template.kind == "net")
            before = len(asked)
            asked = asked.union(*(text.asks for text in self.all))
            # Classes that one argument may be are asked alike.
            made = (m.classes.values() for text in self.all for m in text.trace.made.values())
            asked |= {
                (t, s) for ts in made for o in ts for s in SIZES if (o, s) in asked for t in ts
            }
            if len(asked) == before:
                return

    def make(
        self, trace: Trace, comments: Mapping[str, str], asked: Set[tuple[Trace, str]]
    ) -> ClassText:
        """The class of a trace; equal texts of one module are one class."""
        if id(trace) in self.known:
            return self.known[id(trace)]
        template = trace.template
        for c in calls_in(trace.nodes):  # inner classes first
            for inner in c.traces if isinstance(c, InstanceCall) else ():
                self.make(inner, {}, asked)
        wanted = self.class_name(template.name, template.doc)
        taken = (*self.taken, *(t.name for t in self.all))
        sizes = [size for size in SIZES if (trace, size) in asked]
        try:
            text = write_class(
                trace,
                self.spelling,
                lambda t: self.known[id(t)],
                (*taken, wanted),
                comments,
                sizes,
            )
        except CannotTrace as error:
            raise CannotWrite(trace, str(error)) from None
        for other in self.all:
            of = other.trace.template
            same = of.name == template.name and of.kind == template.kind == "module"
            if same and all(
                getattr(other, part) == getattr(text, part)
                for part in ("arguments", "init", "forward")
            ):
                self.known[id(trace)] = other
                return other
        # What is for one use leaves the plain name to the others.
        text.name = Identifiers((*taken, wanted) if trace.is_single else taken).numbered(wanted)
        self.known[id(trace)] = text
        self.all.append(text)
        return text

    def notes(self) -> list[Diagnostic]:
        """What users of the classes should know.

        That is each module or net whose classes are written for certain arguments, and each result
        whose softmax or sigmoid stays in `forward`.
        """
        written = {t.trace.template: t.trace.restricted for t in self.all}
        staying = [
            Diagnostic(
                "no-logits",
                f"forward gives {v.name or 'a result'} of {t.trace.template.name} as the spec has "
                "it, not logits",
                t.trace.template.span,
                notes=(why,),
                help=("give what goes into it as the module's result, and end in it in the net",),
            )
            for t in self.net_classes()
            for v, why in zip(t.trace.outputs, t.trace.staying, strict=False)
            if why
        ]
        return staying + [
            Diagnostic(
                "written-out",
                f"the class of {t.name} is written for the arguments that it has here",
                t.span,
                notes=(one_line(why),),
            )
            for t, why in written.items()
            if why
        ]

    @property
    def supports(self) -> set[str]:
        """The functions of the backend that classes call."""
        return {name for text in self.all for name in text.supports}

    def net_classes(self) -> list[ClassText]:
        """The classes of nets, in their order."""
        return [text for text in self.all if text.trace.template.kind == "net"]

    def emissions(self, of: Sequence[ClassText]) -> list[tuple[OpCall, Any]]:
        """The ops that classes and those that they use make, each with what is written for it."""
        found: dict[int, ClassText] = {}
        pending = [*of]
        while pending:
            text = pending.pop()
            if id(text) not in found:
                found[id(text)] = text
                inner = (c for c in calls_in(text.trace.nodes) if isinstance(c, InstanceCall))
                pending += [self.known[id(t)] for c in inner for t in c.traces]
        return [layer for text in found.values() for layer in text.layers]

    def render(self, nets: Mapping[str, NetText]) -> Iterator[str]:
        """The source of each class. `nets` has what else those of nets hold, by class.

        In front of the first variant of a net comes the class that all of them are derived from.
        """
        of_nets = {name: (net.variant_of, net.weights) for name, net in nets.items()}
        families = variant_families(self.all, of_nets)
        names = Identifiers(
            (*self.taken, *(t.name for t in self.all), *(n.base for n in nets.values()))
        )
        before: dict[str, tuple[str, str]] = {}
        for family in families:
            base, first = family.base, nets[family.members[0].name]
            source = ""
            if not base.name:
                base.name = names.numbered(self.class_name(first.variant_of, family.doc))
                doc = docstring(family.doc or f"{base.name}.", 4)
                source = "\n".join([*self._class(base, replace(first, doc=doc)), "", "", ""])
            for member in (m for m in family.members if m is not base):
                before[member.name] = source, base.name
                source = ""
        for text in self.all:
            if text.name in before:
                source, base_name = before[text.name]
                yield source + variant_class(text, base_name, nets[text.name].doc)
            else:
                yield "\n".join(self._class(text, nets.get(text.name)))

    def _class(self, text: ClassText, net: NetText | None) -> Iterator[str]:
        """The lines of a class."""
        template, library = text.trace.template, self.spelling.library
        own = bool(text.forward)
        base = text.base
        if net is not None and net.base:
            base = net.base if own else f"{net.base}, {text.base}"
        lines = [f"class {text.name}({base}):"]
        if text.trace.restricted:
            why = one_line(text.trace.restricted)
            lines[:0] = wrapped_comment(f"Written for certain arguments only: {why}.")
        said = [template.doc, "Ends in logits." if text.trace.ends_in_logits else ""]
        of_module = "\n\n".join(filter(None, said))
        doc = net.doc if net else docstring(of_module, 4) if of_module else ()
        lines += [*doc, ""] if doc else []
        arguments = ["self", *(a.source for a in text.arguments)]
        lines += function_head("__init__", arguments, "None", 4)
        lines += ["        super().__init__()"] if own else []
        lines += text.init
        weights = net.weights if net else ()
        lines += ["        self.reset_parameters()"] if weights else []
        for name, doc, body in (
            (library.run, (), text.forward),
            (library.predict, net.predict_doc if net else (), text.predict),
        ):
            if body:
                head = function_head(name, ["self", *text.parameters], text.result_type, 4)
                lines += ["", *head, *doc, *body]
        layers = {c.name.fixed or "" for c in calls_in(text.trace.nodes) if c.name}
        methods = self.spelling.methods(layers)
        lines += ["", *methods] if methods else []
        if weights:
            head = function_head("reset_parameters", ["self"], "None", 4)
            lines += ["", *head, *weights]
        yield from lines


def wrapped_comment(text: str) -> list[str]:
    """The lines of a comment."""
    lines = wrap(text, WIDTH - 2, break_long_words=False, break_on_hyphens=False)
    return [f"# {line}" for line in lines]


def one_line(text: str) -> str:
    """A text as it may stand in a comment."""
    return "".join(c if c.isprintable() else " " for c in text)
