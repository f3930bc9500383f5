"""The lines of `forward`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from netspec.codegen.class_variables import VariableWriter
from netspec.codegen.identifiers import Identifiers
from netspec.codegen.python_source import (
    WIDTH,
    FunctionCall,
    Source,
    Verbatim,
    call,
    refusal,
    statement,
    tuple_of,
)
from netspec.codegen.spelling import ConstructorNumbers
from netspec.codegen.terms import (
    Printer,
    decided,
    folded,
)
from netspec.codegen.trace_nodes import (
    Call,
    CannotTrace,
    Extent,
    ForNode,
    IfNode,
    LayerPath,
    LineNode,
    OpCall,
    PredictChoice,
    Prediction,
    TraceNode,
    TraceValue,
    calls_in,
    computing,
)
from netspec.lazy_dataclasses import replace
from netspec.ops.merging import Add
from netspec.symbolic.conditions import negated
from netspec.symbolic.expr import (
    NumberLiteral,
)


class ForwardWriter(VariableWriter):
    """Writes `forward`: a line for each line of the template, its branches and its loops."""

    def forward(self, nodes: Sequence[TraceNode], indent: int = 8) -> list[str]:
        margin = " " * indent
        lines: list[str] = []
        for node in nodes:
            match node:
                case LineNode():
                    written = self.forward_line(node, indent)
                    lines += [*(self.size_checks(node, indent) if written else ()), *written]
                case IfNode():
                    lines += self.forward_if(node, indent)
                case ForNode():
                    for k in node.carried:
                        lines += self.copied(k.value, k.before, indent)
                    body = self.forward(node.body, indent + 4)
                    for k in node.carried:
                        body += self.copied(k.value, k.after, indent + 4)
                    if body:
                        lines += [f"{margin}{self.loop_head(node, self.forward_printer)}", *body]
        return lines

    def copied(self, target: TraceValue, source: TraceValue, indent: int) -> list[str]:
        if target not in self.variables:
            return []
        a, b = self.variable(target), self.variable(source)
        return [] if a == b else [f"{' ' * indent}{a} = {b}"]

    def only_input(self) -> list[TraceValue]:
        """The input of a net that has one: its size is what an error speaks of."""
        inputs = self.trace.inputs
        return inputs if self.trace.template.kind == "net" and len(inputs) == 1 else []

    def size_checks(self, node: LineNode, indent: int) -> list[str]:
        """The lines that refuse sizes for which a line's layers are not made."""
        lines: list[str] = []
        for c in node.calls:
            for v in c.inputs:
                if v in self.inlined:
                    lines += self.size_checks(self.inlined[v], indent)
            if not self.emissions[c].one_size:
                continue
            wanted = f"{self.reached(c)}.{self.emissions[c].one_size}"
            given = f"{self.variable(c.inputs[0])}.shape[1]"
            message = f"made for {{{wanted}}} features, got {{{given}}}"
            for v in self.only_input():
                sides = [self.resolved(Extent(v, axis)) for axis in (1, 2)]
                sources = map(self.in_forward, sides)
                own = "x".join(s if s.isdecimal() else f"{{{s}}}" for s in sources)
                shape = f"{self.variable(v)}.shape"
                message = f"made for {own}, got {{{shape}[2]}}x{{{shape}[3]}}"
            quote = "'" if '"' in message else '"'
            lines += refusal(f"{given} != {wanted}", f"f{quote}{message}{quote}", indent)
        return lines

    def forward_line(self, node: LineNode, indent: int) -> list[str]:
        if node.value in self.inlined:
            return []
        last = node.calls[-1]
        used = list(filter(self.is_read, last.outputs))
        if not used:
            return []
        if (
            len(self.trace.outputs) == 1
            and used == [last.outputs[0]] == self.trace.outputs
            and self.is_last(node)
        ):
            source = self.expression(node)
            if self.is_typed(source):
                return statement("return ", source, indent)
            name = self.result_name(node)
            given = statement(f"{name}: Tensor = ", source, indent)
            return [*given, f"{' ' * indent}return {name}"]
        outputs = last.outputs if self.reads_several(last) else last.outputs[:1]
        targets = [self.target(v, last) for v in outputs]
        before = []
        for v in last.outputs:
            if v in self.sizes:
                before.append(
                    f"{' ' * indent}{self.sizes[v]}[{self.key(last)}]"
                    f" = {self.variable(last.inputs[0])}.shape[2:]"
                )
        source = self.expression(node)
        if isinstance(source, FunctionCall) and source.tail == f"[:{len(targets)}]":
            # Parts of which there may be fewer: no more than are read.
            while targets[-1] == "_":
                targets.pop()
            source = replace(source, tail=f"[:{len(targets)}]")
        if source.flat() == ", ".join(targets):
            return []
        lines = statement(f"{', '.join(targets)} = ", source, indent, self.shape_comment(node))
        for v in last.outputs:
            if v in self.collected and v in self.uses:
                lines.append(
                    f"{' ' * indent}{self.collected[v]}[{self.key(last)}] = {self.variables[v]}"
                )
        return [*before, *lines]

    def target(self, v: TraceValue, c: Call) -> str:
        if v in self.uses:
            return self.variables.get(v, "_")
        return f"{self.collected[v]}[{self.key(c)}]" if v in self.collected else "_"

    def path_of(self, v: TraceValue) -> LayerPath:
        name = self.call_of(v).name
        if name is None:
            raise CannotTrace("a value without a name is asked for by it")
        return name

    def key(self, c: Call) -> str:
        """What an iteration's value is kept under."""
        assert c.name is not None
        return ", ".join(self.in_forward(s.term) for s in c.name.indices)

    def is_typed(self, source: Source) -> bool:
        """Whether type checkers know that an expression is a Tensor, whatever its inputs are."""
        text: str = source.flat()
        return text.startswith(("F.", "torch."))

    def result_name(self, node: LineNode) -> str:
        """A variable for the result that has no other use."""
        taken = set(self.variables.values())
        name = "logits" if any(self.trace.predictions) else node.value.name
        own = self.plain_variable(name or "result")
        return next(n for n in (own, "result", "y", "value") if n != "x" and n not in taken)

    def shape_comment(self, node: LineNode) -> str:
        last = node.calls[-1]
        if last.name is None or last.name.fixed is None:
            return ""
        text = self.comments.get(last.name.fixed, "")
        if not text or text == self.shown:
            return ""
        self.shown = text
        return text

    def is_last(self, node: LineNode) -> bool:
        found = computing(self.trace.nodes)
        return bool(found) and found[-1] is node

    def forward_if(self, node: IfNode, indent: int) -> list[str]:
        margin = " " * indent
        bodies = []
        for n, body in enumerate(node.bodies):
            lines = self.forward(body, indent + 4)
            for phi in node.phis:
                s = phi.sources[n]
                if s is not None:
                    lines += self.copied(phi.value, s, indent + 4)
            bodies.append(lines)
        if not any(bodies):
            return []
        bodies, after = common_end(bodies, indent + 4)
        result = self.given_before(node, bodies, indent)
        if not any(bodies):
            return [*result, *after]
        if len(bodies) == 2 and not bodies[0]:
            return [*result, f"{margin}if {self.test(node, 1)}:", *bodies[1], *after]
        for i, inside in enumerate(bodies[:-1]):
            result.append(f"{margin}{'elif' if i else 'if'} {self.test(node, i)}:")
            result += inside or [f"{margin}    pass"]
        if bodies[-1]:
            result += [f"{margin}else:", *bodies[-1]]
        return [*result, *after]

    def given_before(self, node: IfNode, bodies: list[list[str]], indent: int) -> list[str]:
        """Lines `out = x` that are all of a branch: put before the `if`, taken out of it."""
        for n in (0, 1) if len(bodies) == 2 else (len(bodies) - 1,):
            values = [(p.value, p.sources[n]) for p in node.phis if p.sources[n] is not None]
            lines = [x for v, s in values for x in self.copied(v, s, indent + 4)]  # type: ignore[arg-type]
            others = [v for k, live in enumerate(self.entered[node]) if k != n for v in live]
            read = {self.variable(v) for v in others}
            tests = " ".join(self.test(node, k) for k in range(len(node.cases)))
            free = all(line.split()[0] not in read for line in lines) and "\x00" not in tests
            if lines and lines == bodies[n] and free:
                bodies[n] = []
                return [line[4:] for line in lines]
        return []

    def returned(self) -> list[str]:
        outputs = self.trace.outputs
        found = computing(self.trace.nodes)
        if (
            len(outputs) == 1
            and found
            and isinstance(found[-1], LineNode)
            and outputs[0] in found[-1].calls[-1].outputs
        ):
            if outputs[0] is found[-1].calls[-1].outputs[0] and not any(
                v in self.uses for v in found[-1].calls[-1].outputs[1:]
            ):
                return []
        sources = [self.variable(v) for v in outputs]
        return [f"        return {', '.join(sources)}"]

    def typed(self, lines: list[str]) -> list[str]:
        """The lines of `forward`, with a type for a result that a module gave."""
        found = re.fullmatch(r" *return (\w+)", lines[-1]) if lines else None
        if found is None or found[1] in map(self.variable, self.trace.inputs):
            return lines
        given = re.compile(rf"( *{found[1]})( = .*)")
        places = [n for n, line in enumerate(lines) if given.fullmatch(line)]
        if any(re.match(r" *\w+ = (self\.|getattr)", lines[n]) for n in places):
            lines[places[0]] = given.sub(r"\1: Tensor\2", lines[places[0]])
        return lines

    def predict(self) -> list[str]:
        """The lines of `predict`, which makes the net's outputs of those of `forward`."""
        predictions = self.trace.predictions
        model = call("self", *(self.variable(v) for v in self.trace.inputs))
        names = Identifiers(("self", *map(self.variable, self.trace.inputs)))
        if len(predictions) == 1:
            source = self.predicted(predictions[0], model)
            if isinstance(source, FunctionCall) and self.is_typed(source):
                return statement("return ", source, 8)
            name = names.identifier("x")
            kind, targets = "Tensor", [name]
        elif not any(predictions):
            name = names.identifier("results")
            kind, targets = self.result_type(), [name]
        else:
            targets = [
                names.identifier(self.plain_variable(n or "x")) for n in self.trace.output_names
            ]
            kind = ""
        annotation = f": {kind}" if kind else ""
        lines = statement(f"{', '.join(targets)}{annotation} = ", model, 8)
        if len(targets) == 1 and not any(predictions):
            return [*lines, f"        return {targets[0]}"]
        sources = [
            self.predicted(p, Verbatim(n)) for p, n in zip(predictions, targets, strict=True)
        ]
        if len(sources) == 1:
            return [*lines, *statement("return ", sources[0], 8)]
        flat = f"        return {', '.join(s.flat() for s in sources)}"
        if len(flat) <= WIDTH:
            return [*lines, flat]
        return [*lines, *statement("return ", tuple_of(sources), 8)]

    def predicted(self, p: Prediction, value: Source) -> Source:
        match p:
            case OpCall():
                emission = self.spelling.emit(p, ConstructorNumbers(self, p), False)
                made = emission.constructor
                return emission.call(made.flat() if made is not None else "", [value])
            case PredictChoice(condition, then, otherwise) if decided(condition) is not None:
                return self.predicted(then if decided(condition) else otherwise, value)
            case PredictChoice(condition, then, otherwise):
                a, b = (self.predicted(x, value).flat() for x in (then, otherwise))
                a = f"({a})" if isinstance(then, PredictChoice) else a
                return Verbatim(f"{a} if {self.in_forward(condition)} else {b}")
        return value

    def result_type(self) -> str:
        """The type of what `forward` returns."""
        count = len(self.trace.outputs)
        if count == 1:
            return "Tensor"
        return "tuple[Tensor, ...]" if count > 6 else f"tuple[{', '.join(['Tensor'] * count)}]"

    def test(self, node: IfNode, index: int) -> str:
        tested = self.attribute_ifs.get(node)
        if tested is not None:
            name, first = tested
            return f"self.{name} is {'not ' if first == (index == 0) else ''}None"
        condition = node.cases[0][0] if index == len(node.cases) else node.cases[index][0]
        if index == len(node.cases):
            condition = negated(condition)
        return self.in_forward(condition, self.condition_name(node))

    def condition_name(self, node: IfNode) -> str:
        """What the attribute is called that keeps a condition: by what its branch does."""
        body = next(filter(None, node.bodies), [])
        calls = list(calls_in(body))
        made = {v for c in calls for v in c.outputs}
        for c in calls:
            if isinstance(c, OpCall) and isinstance(c.bound, Add) and not made.issuperset(c.inputs):
                return "use_residual"
        named = (n.value.name for n in body if isinstance(n, LineNode) and not n.value.flows)
        name = next(filter(str.isidentifier, named), "")
        return f"use_{name}" if name else ""

    def loop_head(self, node: ForNode, printer: Printer) -> str:
        name = node.variable.name
        show = self.in_forward if printer is self.forward_printer else self.print
        if node.last is None:
            return f"for {name} in {show(node.first)}:"
        end = show(folded("+", node.last, NumberLiteral(Fraction(1))))
        start = show(node.first)
        return (
            f"for {name} in range({end}):"
            if start == "0"
            else f"for {name} in range({start}, {end}):"
        )


def common_end(bodies: Sequence[list[Any]], indent: int) -> tuple[list[list[Any]], list[Any]]:
    """Branches without the statements that all end with, and these as they stand behind them."""
    parts = [_statements(b, indent) for b in bodies]
    after: list[Any] = []
    while all(parts) and all(p[-1] == parts[0][-1] for p in parts):
        last = parts[0][-1]
        if not all(isinstance(line, str) for line in last):
            break
        for p in parts:
            p.pop()
        after = [line[4:] for line in last] + after
    return [[line for s in p for line in s] for p in parts], after


def _statements(lines: Sequence[Any], indent: int) -> list[list[Any]]:
    """Lines of a body, those of each of its statements together."""
    found: list[list[Any]] = []
    for line in lines:
        if found and isinstance(line, str) and re.match(rf" {{{indent}}}( |[])]|el)", line):
            found[-1].append(line)
        else:
            found.append([line])
    return found
