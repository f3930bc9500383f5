"""The class of a trace: its arguments, and the lines of its methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from fractions import Fraction
from typing import Any

from netspec.codegen.python_source import FunctionCall, Verbatim, call
from netspec.codegen.tracing.expressions import TermEvaluator
from netspec.codegen.tracing.made_ops import MadeArgument, MadeOp
from netspec.codegen.tracing.nodes import (
    SIZES,
    Call,
    CannotTrace,
    ChainCall,
    Extent,
    InstanceCall,
    InstanceSize,
    LayerPath,
    LineNode,
    OpCall,
    Sym,
    Trace,
    calls_in,
    made_of_sizes,
)
from netspec.codegen.writing.chains import SEQUENCE, sequential, with_chains, written_chain
from netspec.codegen.writing.constructor import (
    annotate_layers,
    constructor,
    out_sizes,
    tests_of_branches,
)
from netspec.codegen.writing.forward import Forward, only_input
from netspec.codegen.writing.readers import Readers
from netspec.codegen.writing.spelling import (
    ClassArgument,
    ConstructorNumbers,
    Spelling,
    WrittenCall,
    WrittenInstance,
)
from netspec.codegen.writing.statements import Line, Statement, read_by, render, settled, walk
from netspec.codegen.writing.term_source import Printer
from netspec.codegen.writing.terms import Asked, Support, Terms, is_number
from netspec.ir.op_value import OpValue
from netspec.lazy_dataclasses import dataclass, field, replace
from netspec.symbolic.conditions import ConstantTerm
from netspec.symbolic.expr import Channels, Parameter, constant_source
from netspec.symbolic.terms import Choose, FloatParameter, Local
from netspec.syntax.ast import Expression


@dataclass
class ClassText:
    """One class.

    Where it has no `forward`, `base` is a sequence, whose constructor `init` calls.
    `layers` are the ops that it has, `supports` functions of the backend that it calls, `asks` the
    sizes of results that it asks of other classes.
    """

    trace: Trace
    arguments: list[ClassArgument]
    init: list[str]
    layers: list[tuple[OpCall, WrittenCall]]
    base: str
    name: str = ""
    supports: set[str] = field(default_factory=set)
    asks: set[tuple[Trace, str]] = field(default_factory=set)
    parameters: list[str] = field(default_factory=list)
    result_type: str = ""
    forward: list[str] = field(default_factory=list)
    predict: list[str] = field(default_factory=list)


def write_class(
    trace: Trace,
    spelling: Spelling,
    class_of: Callable[[Trace], ClassText],
    taken: Sequence[str],
    comments: Mapping[str, str],
    sizes: Sequence[str],
) -> ClassText:
    """The class of a trace, still without a name. Raises CannotTrace.

    `taken` are names of the file that nothing here may have, `sizes` are those of its results that
    other classes ask for.
    """
    terms = Terms(trace, taken, spelling)
    readers = Readers(trace, terms, {})

    def emit(c: Call) -> tuple[WrittenCall, Asked]:
        before, asked = terms.asked, terms.anew()
        several = readers.several(c)
        written: WrittenCall
        if isinstance(c, InstanceCall):
            of = class_of(c.trace)
            first = len(c.outputs) > 1 and not several
            one_size = _only_features(c, of)
            # Of one that the class has already, nothing is made.
            made = call(of.name) if c.kept is not None else _instance(c, terms, class_of)
            if c.kept is not None and class_of(instances[c.kept].trace) is not of:
                name = f"{c.template.name}, which has other layers for its other use"
                raise CannotTrace(f"an instance of {name}")
            written = WrittenInstance(made, first, one_size=one_size)
        elif isinstance(c, ChainCall):
            written, asked = written_chain(c, emissions)
        elif isinstance(c.op, MadeOp):
            channels = [terms.whole(c.inputs[0].channels)] if c.op.kind == "channels" else []
            written = WrittenInstance(
                call(terms.print(Parameter(c.op.parameter)), *channels), False
            )
        else:
            numbers = ConstructorNumbers(terms, c)
            written = spelling.emit(c, numbers, several)
            for name in c.terms.keys() - numbers.flags:
                raise CannotTrace(f"{name} of {type(c.op).keyword}, which arguments decide")
        terms.asked = before
        return written, asked

    instances: dict[LayerPath | None, InstanceCall] = {}
    """The first use of each instance, by the name that the class keeps it by."""
    for c in calls_in(trace.nodes):
        if isinstance(c, InstanceCall):
            instances.setdefault(c.attribute, c)
    emissions: dict[Call, tuple[WrittenCall, Asked]] = {}
    for c in calls_in(trace.nodes):
        emissions[c] = emit(c)
    layers = [
        (c, written)
        for c, (written, _) in emissions.items()
        if isinstance(c, OpCall) and not isinstance(c.op, MadeOp)
    ]
    chains = spelling.library.chains
    written_calls = {c: w for c, (w, _) in emissions.items()}
    modules = sequential(trace, written_calls) if chains and not sizes else []
    if modules:
        checks = [n for n in trace.nodes if not isinstance(n, LineNode)]
        needs = [Line(Verbatim(""), reads=asked.reads) for _, asked in emissions.values()]
        body = [*terms.exact(), *constructor(checks, terms, emissions, {})]
        read = read_by([*body, *needs])
        body = [*settled(body, read), Line(FunctionCall("super().__init__", tuple(modules)))]
        arguments = _arguments(terms, read, class_of)
        text = ClassText(trace, arguments, render(body, 8), layers, SEQUENCE)
        text.supports = {name for _, asked in emissions.values() for name in asked.supports}
        text.supports |= {x.name for x in read if isinstance(x, Support)}
        return text
    chained = with_chains(trace, emissions, readers) if chains else None
    if chained is not None:
        return write_class(chained, spelling, class_of, taken, comments, sizes)
    again = {
        c: [
            *asked.sizes,
            *(c.inputs[:1] if any((v, "sizes") in terms.items for v in c.outputs) else ()),
            *(only_input(trace) if written.one_size else ()),
        ]
        for c, (written, asked) in emissions.items()
    }
    several = {c: readers.several(c) for c in emissions}
    readers = Readers(trace, terms, again)
    emissions |= {c: emit(c) for c, more in several.items() if more != readers.several(c)}
    tests = tests_of_branches(trace.nodes, terms, emissions)
    asked = terms.anew()
    for c, (written, own) in emissions.items():
        asked.kept += own.kept if c in readers.written else ()
        if c in readers.written or written.constructor is not None:
            asked.supports |= own.supports
    forward = Forward(trace, terms, emissions, readers, tests, emit, comments, taken)
    predict = forward.predict() if trace.predictions else []
    terms.kept.update(asked.kept)
    given = [t for t in terms.attributes if t in terms.arguments]
    apart = (*given, *terms.by_iteration)
    decided = [t for t in terms.attributes if not isinstance(t, Local) and t not in apart]
    for _ in range(2):  # the second time, it is known of which modules in loops sizes are asked
        body = [
            *terms.exact(),
            *terms.keep(given),
            *terms.dicts(),
            *constructor(trace.nodes, terms, emissions, tests, set()),
            *out_sizes(terms, sizes),
            *terms.keep(decided),
        ]
    if trace.template.kind == "net":
        body += _built(trace, terms)
    annotate_layers(body, spelling.library.layer)
    read = read_by(body)
    bound = {t for s in walk(body) for t in s.sets}
    for name in sorted(x for x in read if isinstance(x, str) and x not in bound):
        raise CannotTrace(f"{name}, which only other arguments decide")
    return ClassText(
        trace,
        _arguments(terms, read, class_of),
        render(settled(body, read), 8),
        layers,
        spelling.library.net if trace.template.kind == "net" else spelling.library.layer,
        supports=asked.supports | {x.name for x in read if isinstance(x, Support)},
        asks={
            (t, SIZES[x.axis])
            for x in read
            if isinstance(x, InstanceSize)
            for t in x.instance.traces
        },
        parameters=[f"{name}: Tensor" for name in forward.arguments],
        result_type=forward.result_type,
        forward=render(forward.statements, 8),
        predict=render(predict, 8),
    )


def _built(trace: Trace, terms: Terms) -> list[Statement]:
    """The statement that a net's constructor ends with, if its library has one."""
    asked = terms.anew()
    inputs = (
        [v.channels, *(Extent(v, axis) for axis in range(1, len(v.shape)))] for v in trace.inputs
    )
    built = terms.spelling.built([list(map(terms.whole, sizes)) for sizes in inputs])
    return [] if built is None else [Line(built, reads=asked.reads)]


def _instance(
    c: InstanceCall, terms: Terms, class_of: Callable[[Trace], ClassText]
) -> FunctionCall:
    """The call of an instance's class, or of what makes it. Raises CannotTrace."""
    for every in (False, True):
        calls = [_made(c, t, terms, class_of, every) for t in c.traces]
        if all(x.args == calls[0].args for x in calls):
            made = None if c.maker is None else terms.print(Parameter(c.maker.parameter))
            return calls[0] if made is None else replace(calls[0], head=made)
    raise CannotTrace(f"{c.maker.parameter}, modules whose classes take other arguments")


def _made(
    c: InstanceCall,
    trace: Trace,
    terms: Terms,
    class_of: Callable[[Trace], ClassText],
    every: bool,
) -> FunctionCall:
    """The call of the class of a trace; with `every`, what it has by default is given too."""
    args: list[str] = []
    keywords: dict[str, str] = {}
    given = dict(zip((v.name for v in trace.inputs), c.inputs, strict=True))
    of = class_of(trace)
    for a in of.arguments:
        match a.leaf:
            case Extent(own, axis):
                args.append(terms.whole(Extent(given[own.name], axis)))
            case Channels(own):
                args.append(terms.whole(given[own].channels))
            case leaf if leaf.name in c.arguments:
                term = c.arguments[leaf.name].term
                if leaf.name in trace.made:
                    source = _maker(term, trace.made[leaf.name], terms.print, class_of)
                else:
                    exact = isinstance(leaf, FloatParameter) or not is_number(term)
                    source = terms.printer(term) if exact else terms.whole(term)
                if source != a.default or every:
                    keywords[a.name] = source
            case leaf if every:
                keywords[a.name] = a.default or ""
    return call(of.name, *args, **keywords)


def _maker(
    term: Any,
    made: MadeArgument,
    show: Callable[[Any], str],
    class_of: Callable[[Trace], ClassText],
) -> str:
    """What makes an op or module as source: one, an argument of the class, a choice of these."""
    match term:
        case Choose(condition, then, otherwise):
            first, second = (_maker(t, made, show, class_of) for t in (then, otherwise))
            return f"{first} if {show(condition)} else {second}"
        case ConstantTerm(value) if made.kind != "module":
            return made.source(value)
        case ConstantTerm(value):
            trace = made.classes[value.callee]
            of, fields = class_of(trace), dict(value.fields)
            keywords: dict[str, str] = {}
            for a in of.arguments:
                name = getattr(a.leaf, "name", "")
                if name in trace.made and name in fields:
                    own = ConstantTerm(fields[name])
                    keywords[a.name] = _maker(own, trace.made[name], show, class_of)
                elif name in fields:
                    keywords[a.name] = _value_source(fields[name], a.type == "float")
            return call("partial", of.name, **keywords).flat() if keywords else of.name
    return show(term)


def _only_features(c: InstanceCall, of: ClassText) -> str:
    """The argument of an instance that is how many features it takes, where sizes decide that."""
    given = c.inputs[0] if c.inputs else None
    named = c.name is not None and c.name.fixed is not None and c.kept is None
    if given is None or not named or len(given.shape) != 1:
        return ""
    leaf = Channels(c.trace.inputs[0].name)
    asked = next((a.name for a in of.arguments if a.leaf == leaf), "")
    return asked if made_of_sizes(given.channels) else ""


def _arguments(
    terms: Terms, read: Set[Any], class_of: Callable[[Trace], ClassText]
) -> list[ClassArgument]:
    """The arguments of a class, of which its constructor reads what is `read`."""
    template, sample = terms.trace.template, terms.trace.sample
    defaults = {p.name: p.default for p in template.parameters}
    found = []
    for leaf, name in terms.arguments.items():
        if leaf not in read:
            continue
        if isinstance(leaf, Channels | Extent):
            found.append(ClassArgument(leaf, name, "int", None))
        elif leaf.name in terms.trace.made:
            made, default = terms.trace.made[leaf.name], None
            if made.has_default and (made.kind != "module" or made.default.callee in made.classes):
                default = _maker(ConstantTerm(made.default), made, terms.print, class_of)
            takes = {"channels": "[int]", "plain": "[]", "module": "..."}[made.kind]
            layer = f"{terms.spelling.library.layer}]" if made.kind != "module" else ""
            classes = tuple(class_of(t).name for t in made.classes.values())
            found.append(ClassArgument(leaf, name, f"Callable[{takes}, {layer}", default, classes))
        elif leaf.name in sample:  # else it decided what the block is made of
            real, default = isinstance(leaf, FloatParameter), None
            if template.kind == "net":
                default = _value_source(sample[leaf.name], real)
            elif (e := defaults[leaf.name]) is not None:
                default = _default(e, real)
            found.append(
                ClassArgument(leaf, name, "float" if real else _type(sample[leaf.name]), default)
            )
    # Python wants those with a default last.
    return sorted(found, key=lambda a: a.default is not None)


def _default(e: Expression, real: bool) -> str:
    """A parameter's default as source."""
    default = TermEvaluator(lambda e: None).evaluate(e)
    if real:
        return repr(float(default.value))
    return Printer(lambda leaf, exact: leaf.name)(default.term)


def _value_source(value: Any, real: bool) -> str:
    """A parameter's value as source."""
    if isinstance(value, OpValue):
        raise CannotTrace(f"{value.name} as a value")
    if isinstance(value, tuple):
        inner = ", ".join(_value_source(v, real) for v in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return constant_source(float(value) if real else value)


def _type(value: Any) -> str:
    match value:
        case Sym(inner):
            return _type(inner)
        case None:
            return "int | None"
        case tuple():
            kinds = {_type(v) for v in value} or {"int"}
            kinds -= {"int"} if kinds == {"int", "float"} else set()
            return f"tuple[{kinds.pop() if len(kinds) == 1 else 'Any'}, ...]"
        case float() | Fraction() if value % 1:
            return "float"
    return type(value).__name__ if isinstance(value, bool | str) else "int"
