"""Takes the ops off a net that make probabilities of logits, for `forward` to end in logits.

    before: ... conv10 -> relu -> global_avgpool -> softmax
    after:  ... conv10 -> relu -> global_avgpool      and softmax in `predict`

An op is taken off where nothing but an output of the net reads its result. It may stand in a
branch, which `predict` then chooses by the same condition, and in a module that has no other use.
What a loop makes stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from netspec.codegen.tracing.expressions import completed
from netspec.codegen.tracing.nodes import (
    Call,
    Extent,
    ForNode,
    IfNode,
    InstanceCall,
    LetNode,
    LineNode,
    OpCall,
    Phi,
    PredictChoice,
    Prediction,
    Trace,
    TraceNode,
    TraceValue,
    calls_in,
    walk,
)
from netspec.ops import attributes
from netspec.symbolic.expr import Channels, Parameter, expr_of
from netspec.symbolic.terms import FloatParameter, Local, leaves, substitute

_KNOWN = (Parameter, FloatParameter, Channels, Local)
"""What `predict` knows as `forward` does."""
_UNKNOWN = "it stands in an `if` that asks for sizes which only `forward` knows"


def end_in_logits(trace: Trace, probabilities: bool = False) -> None:
    """Let a net's trace end in logits, and say in `trace.predictions` what makes its outputs.

    `trace.staying` says of each why an op stays that could be taken off by itself. With
    `probabilities`, everything stays.
    """
    if probabilities:
        trace.predictions = [None] * len(trace.outputs)
        return
    end = _OutputEnds(trace, _uses(trace))
    for v in trace.outputs:
        end.stays = ""
        trace.predictions.append(end.of(v))
        trace.staying.append(end.stays)
    calls = {c for p in trace.predictions for c in _calls(p)}
    if calls:
        for t in _traces(trace):
            t.ends_in_logits = not calls.isdisjoint(calls_in(t.nodes))
            _take_off(t, calls)


def _traces(trace: Trace, known: dict[int, Trace] | None = None) -> list[Trace]:
    known = {} if known is None else known
    if id(trace) not in known:
        known[id(trace)] = trace
        for c in calls_in(trace.nodes):
            for inner in c.traces if isinstance(c, InstanceCall) else ():
                _traces(inner, known)
    return list(known.values())


def _uses(trace: Trace) -> Counter[int]:
    """How many calls there are of each trace, by its id."""
    return Counter(
        id(inner)
        for t in _traces(trace)
        for c in calls_in(t.nodes)
        if isinstance(c, InstanceCall)
        for inner in c.traces
    )


def _calls(p: Prediction) -> Iterator[OpCall]:
    match p:
        case OpCall():
            yield p
        case PredictChoice():
            yield from _calls(p.then)
            yield from _calls(p.otherwise)


def _terms(node: TraceNode) -> Iterator[Any]:
    """The terms of a node in which sizes of values may stand."""
    match node:
        case LineNode():
            for c in node.calls:
                if isinstance(c, OpCall):
                    yield from map(expr_of, _numbers(vars(c.op).values()))
                elif isinstance(c, InstanceCall):
                    yield from (a.term for a in c.arguments.values())
        case IfNode():
            yield from (c for c, _ in node.cases)
        case ForNode():
            yield from (node.first, node.last, node.step)


def _numbers(attribute_values: Iterable[Any]) -> Iterator[int | float]:
    for value in attribute_values:
        if isinstance(value, int | float):
            yield value
        elif isinstance(value, tuple):
            yield from _numbers(value)


def _take_off(trace: Trace, calls: set[OpCall]) -> None:
    """Leave calls out; what reads their results reads their inputs."""
    instead = {c.outputs[0]: c.inputs[0] for c in calls}

    def left(nodes: Sequence[TraceNode]) -> Iterator[TraceNode]:
        for node in nodes:
            match node:
                case LineNode():
                    node.calls[:] = [c for c in node.calls if c not in calls]
                    node.value = instead.get(node.value, node.value)
                    if not node.calls:
                        continue
                case ForNode():
                    node.body[:] = left(node.body)
                case IfNode():
                    for body in node.bodies:
                        body[:] = left(body)
                    for phi in node.phis:
                        phi.sources[:] = [instead.get(s, s) if s else None for s in phi.sources]
                        if len(set(phi.sources)) == 1 and phi.sources[0] is not None:
                            instead[phi.value] = phi.sources[0]
                    node.phis[:] = [p for p in node.phis if p.value not in instead]
            yield node

    trace.nodes[:] = left(trace.nodes)
    trace.outputs[:] = [instead.get(v, v) for v in trace.outputs]


class _OutputEnds:
    """Finds what makes the outputs of a trace: the calls that may be taken off."""

    def __init__(self, trace: Trace, uses: Counter[int]) -> None:
        self.trace = trace
        self.uses = uses
        self.reads: Counter[TraceValue] = Counter(trace.outputs)
        self.makers: dict[TraceValue, Call | Phi] = {}
        self.choices: dict[Phi, IfNode] = {}
        self.lets: dict[Any, Any] = {}
        self.stays = ""
        """Why the last op that was asked for stays, where it would be logits that it takes."""
        self.carried: dict[TraceValue, TraceValue] = {}
        """What is left of a loop's value, by that value."""
        self.repeated: dict[TraceValue, Call] = {}
        """The calls of loops, by their results."""
        repeated = {n for x in walk(trace.nodes) if isinstance(x, ForNode) for n in walk(x.body)}
        for node in walk(trace.nodes):
            self._read(node)
            if isinstance(node, ForNode):
                self.carried |= {k.value: k.after for k in node.carried}
            if node in repeated:
                if isinstance(node, LineNode):
                    self.repeated |= {v: c for c in node.calls for v in c.outputs}
                continue
            match node:
                case LineNode():
                    self.makers |= {v: c for c in node.calls for v in c.outputs}
                case IfNode():
                    self.makers |= {p.value: p for p in node.phis}
                    self.choices |= dict.fromkeys(node.phis, node)
                case LetNode():
                    self.lets[node.local] = node.term

        self._forget(list(self.choices))

    def _forget(self, phis: Sequence[Phi]) -> None:
        """Take back what is read for values that nothing reads."""
        pending = [p for p in phis if not self.reads[p.value]]
        while pending:
            phi = pending.pop()
            for s in phi.sources:
                if s is not None:
                    self.reads[s] -= 1
                    behind = self.makers.get(s)
                    if not self.reads[s] and isinstance(behind, Phi):
                        pending.append(behind)

    def _read(self, node: TraceNode) -> None:
        values: list[TraceValue | None] = []
        match node:
            case LineNode():
                values = [v for c in node.calls for v in c.inputs]
            case IfNode():
                values = [v for p in node.phis for v in p.sources]
            case ForNode():
                values = [v for k in node.carried for v in (k.before, k.after)]
        self.reads.update(v for v in values if v is not None)
        # A value whose size is asked for must be there.
        self.reads.update(
            x.value
            for term in _terms(node)
            if term is not None
            for x in leaves(term)
            if isinstance(x, Extent) and x.value not in values
        )

    def of(self, value: TraceValue) -> Prediction:
        """What makes a value of another that `forward` may end with; None: nothing."""
        made = self.makers.get(value)
        last = self.repeated.get(self.carried.get(value, value))
        if isinstance(last, OpCall) and last.bound.takes_logits:
            self.stays = "it is made in a loop"
        if self.reads[value] != 1 or value in self.trace.inputs:
            return None
        match made:
            case OpCall() if made.bound.takes_logits:
                fits = len(made.inputs) == len(made.outputs) == 1 and not made.bound.tensors(
                    [v.shape for v in made.inputs]
                )
                plain = self.trace.template.kind == "net" or not attributes(type(made.bound))
                return made if fits and plain else None
            case InstanceCall(maker=None):
                inner = _OutputEnds(made.trace, self.uses)
                found = inner.of(made.trace.outputs[made.outputs.index(value)])
                self.stays = inner.stays
                if found is not None and self.uses[id(made.trace)] > 1:
                    self.stays = (
                        f"{made.template.name}, which makes it, is used in other places too"
                    )
                    return None
                return self._outside(found, made, inner)
            case Phi():
                return self._chosen(made)
        return None

    def _chosen(self, phi: Phi) -> Prediction:
        node = self.choices[phi]
        ends: list[Prediction] = []
        for s in phi.sources:
            ends.append(self.of(s) if s is not None else None)
        if not any(ends) or None in phi.sources:
            return None
        result = ends[-1]
        for (condition, _), end in reversed(list(zip(node.cases, ends, strict=False))):
            if not self._is_known(condition):
                self.stays = _UNKNOWN
                return None
            result = PredictChoice(condition, end, result)
        return result

    def _is_known(self, term: Any) -> bool:
        """Whether `predict` knows it; the channels of a value that branches make differ by it."""
        return all(
            self._is_known(self.lets[x])
            if x in self.lets
            else isinstance(x, _KNOWN) and x not in self.trace.holders
            for x in leaves(term)
        )

    def _outside(self, p: Prediction, instance: InstanceCall, inner: _OutputEnds) -> Prediction:
        """A prediction with the conditions of a module in terms of its use."""
        if not isinstance(p, PredictChoice):
            return p
        channels = {
            Channels(own.name): v.channels
            for own, v in zip(instance.trace.inputs, instance.inputs, strict=True)
        }

        arguments = completed(instance.template, instance.arguments)

        def known(leaf: Any) -> Any:
            if leaf in inner.lets:
                return substitute(inner.lets[leaf], known)
            if isinstance(leaf, Channels):
                return channels.get(leaf)
            if isinstance(leaf, Parameter | FloatParameter):
                given = arguments.get(leaf.name)
                return None if given is None else given.term
            return None

        condition = substitute(p.condition, known)
        if condition is None or not self._is_known(condition):
            self.stays = _UNKNOWN
            return None
        return PredictChoice(
            condition,
            self._outside(p.then, instance, inner),
            self._outside(p.otherwise, instance, inner),
        )
