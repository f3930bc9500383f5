"""The class of a trace: the lines of its constructor and of its `forward`.

In:  a `Trace`, a backend's spelling of ops, the classes of inner modules.
Out: a `ClassText`: arguments, lines of the constructor, lines of `forward`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from netspec.codegen.class_forward import ForwardWriter, common_end
from netspec.codegen.class_terms import Guard
from netspec.codegen.identifiers import is_plain
from netspec.codegen.python_source import WIDTH, FunctionCall, Verbatim, call, refusal, statement
from netspec.codegen.sequential import sequential
from netspec.codegen.spelling import (
    ClassText,
    ConstructorNumbers,
    WrittenCall,
    WrittenInstance,
)
from netspec.codegen.terms import (
    Choose,
    FloatParameter,
    Local,
    is_whole,
    leaves,
)
from netspec.codegen.trace_nodes import (
    SIZES,
    Call,
    CannotTrace,
    ChannelsNode,
    CheckNode,
    Extent,
    ForNode,
    IfNode,
    InstanceCall,
    LetNode,
    LineNode,
    PositiveNode,
    TraceNode,
    calls_in,
    walk,
)
from netspec.symbolic.conditions import Compared, ConstantTerm, ListTerm, negated
from netspec.symbolic.expr import (
    Apply,
    Channels,
    NumberLiteral,
    Parameter,
    constant_source,
)


class ClassWriter(ForwardWriter):
    """Writes the class of one trace."""

    def text(self) -> ClassText:
        self.find_readers()
        self.emit_calls(self.trace.nodes)
        modules = sequential(self.trace, self.emissions)
        if modules is not None and not self.asked_sizes():
            init = statement("", FunctionCall("super().__init__", tuple(modules)), 8)
            checks = [n for n in self.trace.nodes if not isinstance(n, LineNode)]
            init = [*self.settled(self.init(checks, 8)), *init]
            self.variables = dict.fromkeys(self.trace.inputs, "x")
            return ClassText("", [], init, [], self.supports, "nn.Sequential")
        self.trace.nodes[:] = self.split_lines(self.trace.nodes)
        self.choose_tests(self.trace.nodes)
        self.allocate()
        forward = self.forward(self.trace.nodes)
        forward = self.typed(self.unmarked([*forward, *self.returned()]))
        kinds = {
            **dict.fromkeys(self.collected.values(), "Tensor"),
            **dict.fromkeys(self.sizes.values(), "torch.Size"),
        }
        depth = {
            name: len(self.path_of(v).indices)
            for some in (self.collected, self.sizes)
            for v, name in some.items()
        }
        key_types = ("int", "tuple[int, ...]")
        forward = [
            f"        {name}: dict[{key_types[depth[name] > 1]}, {kind}] = {{}}"
            for name, kind in kinds.items()
        ] + forward
        predict = self.predict() if self.trace.predictions else []
        while True:
            # What is written at the end may read variables that were left out before.
            before = set(self.used_locals), dict(self.instances)
            lines = self.init(self.trace.nodes, 8)
            for size in self.asked_sizes():
                lines.append(f"        self.out_{size} = {self.out_size(size)}")
            lines += self.settled_for_forward()
            settled = self.settled(lines)
            if (self.used_locals, self.instances) == before:
                break
        self.check_bound(settled)
        stored = [
            f"        self.{name} = {source}"
            for name, source in self.stored.items()
            if source in self.argument_names.values()
        ]
        text = ClassText("", [], [*stored, *settled], forward, self.supports)
        text.predict = predict
        return text

    def check_bound(self, lines: Sequence[str]) -> None:
        """Refuse to write a constructor that reads a variable which it does not bind."""
        for name in sorted(self.used_locals):
            bound = re.compile(rf"\s*(for {name} in |{name} [-+]?= )")
            if not any(map(bound.match, lines)):
                raise CannotTrace(f"{name}, which only other arguments decide")

    def settled_for_forward(self) -> list[Any]:
        """The lines that keep what `forward` can't decide in floats."""
        lines: list[Any] = []
        for term, name in self.settled_terms.items():
            source = self.whole(term) if is_whole(term) else self.printer(term)
            lines += statement(f"self.{name} = ", source, 8)
        return lines

    def asked_sizes(self) -> list[str]:
        """Which of channels, height and width of the results other classes ask."""
        return [size for size in SIZES if (self.trace, size) in self.needs_out]

    def out_size(self, size: str) -> str:
        axis = SIZES.index(size)
        sources = []
        for v in self.trace.outputs:
            if not axis:
                sources.append(self.whole(v.channels))
            elif v.static is not None and axis > len(v.static):
                sources.append("1")  # a vector
            else:
                sources.append(self.whole(Extent(v, axis)))
        return sources[0] if len(sources) == 1 else f"({', '.join(sources)})"

    def assigned(self, name: str, module: FunctionCall, indent: int) -> list[str]:
        """The lines that make a layer."""
        place = self.attribute(name)
        if place.startswith("getattr"):
            added = FunctionCall("self.add_module", (Verbatim(f'"{name}"'), module))
            return statement("", added, indent)
        return statement(f"{place} = ", module, indent)

    def init(self, nodes: Sequence[TraceNode], indent: int) -> list[Any]:
        margin = " " * indent
        lines: list[Any] = []
        for node in nodes:
            match node:
                case LineNode():
                    for c in node.calls:
                        lines += self.made(c, indent)
                case LetNode() | ChannelsNode():
                    lines.append((node, indent))
                case CheckNode():
                    lines += self.checked(node, indent)
                case PositiveNode():
                    self.supports.add("check_positive")
                    self.used |= set(node.arguments)
                    names = [self.argument_names[a.name] for a in node.arguments]
                    source = call("check_positive", **{n: n for n in names})
                    lines += statement("", source, indent)
                case IfNode():
                    lines += self.init_if(node, indent)
                case ForNode():
                    body = self.init(node.body, indent + 4)
                    if self.settled(body):
                        head = self.loop_head(node, self.printer)
                        lines += [f"{margin}{head}", *body]
        return lines

    def checked(self, node: CheckNode, indent: int) -> list[tuple[Guard, int]]:
        """The line that refuses arguments for which something does not hold."""
        name = self.argument_in(node.condition)
        if name is None:
            return []
        if node.message is None:
            return [(self.rule(node.condition, node.where), indent)]
        message = node.message
        if not re.search(rf"\b{re.escape(name)}\b", message):
            message = f"{name}: {message}"
        return [(Guard(negated(node.condition), constant_source(message)), indent)]

    def settled(self, lines: list[Any]) -> list[str]:
        """Lines of `let` and of channels where something reads them."""
        # Backwards, so that what only unread lines read is left out too.
        text: list[str | tuple[Guard, int]] = []
        for line in reversed(lines):
            if isinstance(line, str):
                text.append(line)
                continue
            node, indent = line
            if isinstance(node, Guard):
                self.print(node.refused)  # what it needs
                text.append(line)
                continue
            name = node.local.name
            if name not in self.used_locals and not (
                name in self.stored and node.local in self.lets
            ):
                continue
            if isinstance(node, LetNode):
                exact = node.local.float_
                source = (
                    self.print(node.term, 0, exact)
                    if exact or not _number(node.term)
                    else self.whole(node.term)
                )
                argument = self.argument_in(node.term) if node.positive else None
                if argument:
                    self.supports.add("positive")
                    source = f'positive({source}, "{argument}")'
                if isinstance(node.term, ListTerm):
                    source = f"[{source[1:-1].rstrip(',')}]"
                kept = name in self.stored and node.local in self.lets
                number = "float({})" if exact else "{}"
                if kept and name not in self.used_locals:
                    source = number.format(source)
                    text += reversed(self.given(f"self.{name} = ", node.term, source, indent))
                    continue
                if kept:
                    text.append(f"{' ' * indent}self.{name} = {number.format(name)}")
                text += reversed(self.given(f"{name} = ", node.term, source, indent))
            else:
                source = self.whole(node.term)
                if source != name:
                    text.append(f"{' ' * indent}{name} = {source}")
        return self.guarded(text[::-1])

    def guarded(self, text: Sequence[str | tuple[Guard, int]]) -> list[str]:
        """The lines with each guard once, where the same is not checked before on every way."""
        lines: list[str] = []
        known: list[tuple[int, Guard]] = []
        for line in text:
            if isinstance(line, str):
                indent = len(line) - len(line.lstrip())
                known = [(i, g) for i, g in known if i <= indent]
                before = lines[-1] if lines else ""
                if before.endswith(":") and indent <= len(before) - len(before.lstrip()):
                    lines.append(f"{before[: -len(before.lstrip())]}    pass")
                lines.append(line)
                continue
            guard, indent = line
            known = [(i, g) for i, g in known if i <= indent]
            if any(g == guard for _, g in known):
                continue
            known.append((indent, guard))
            lines += refusal(self.refused_source(guard), guard.message, indent)
        return lines

    def refused_source(self, guard: Guard) -> str:
        """The condition of a guard; a remainder is true by itself."""
        match guard.refused:
            case Compared(Apply("%") as remainder, (("!=", NumberLiteral()),)):
                whole = all(map(is_whole, remainder.operands))
                return self.print(remainder, 0, not whole)
        return self.print(guard.refused)

    def given(self, prefix: str, term: Any, source: str, indent: int) -> list[str]:
        """The lines that give a number its name."""
        flat = f"{' ' * indent}{prefix}{source}"
        if len(flat) <= WIDTH or not isinstance(term, Choose):
            call_ = _as_call(source)
            return statement(prefix, call_ if call_ is not None else source, indent)
        inner = re.sub(r" (if|else) ", r"\n\1 ", source).split("\n")
        margin = " " * indent
        return [f"{margin}{prefix}(", *(f"{margin}    {x}" for x in inner), f"{margin})"]

    def made(self, c: Call, indent: int) -> list[str]:
        emission = self.emissions[c]
        if emission.constructor is None:
            return []
        if c.name is None:
            raise CannotTrace("a layer with weights that has no name of its own")
        fixed = c.name.fixed
        if fixed is not None:
            if isinstance(c, InstanceCall):
                self.instances[c] = self.attribute(fixed)
            return self.assigned(fixed, emission.constructor, indent)
        source = self.path_source(c.name, self.printer)
        added = FunctionCall("self.add_module", (Verbatim(source), emission.constructor))
        lines = statement("", added, indent)
        place = self.instances[c] if isinstance(c, InstanceCall) else ""
        if len(lines) == 1 and not place:
            return lines
        name = place or ("block" if isinstance(c, InstanceCall) else "layer")
        lines = statement(f"{name} = ", emission.constructor, indent)
        return [*lines, f"{' ' * indent}self.add_module({source}, {name})"]

    def init_if(self, node: IfNode, indent: int) -> list[str]:
        margin = " " * indent
        bodies = [self.init(b, indent + 4) for b in node.bodies]
        if node.otherwise:
            bodies, after = common_end(bodies, indent + 4)
        else:
            after = []
        lines: list[Any] = []
        for guard, _ in [x for x in bodies[0] if isinstance(x, tuple) and isinstance(x[0], Guard)]:
            # What all branches check is checked before them.
            arguments_only = not any(isinstance(x, Local) for x in leaves(guard.refused))
            if arguments_only and all((guard, indent + 4) in b for b in bodies):
                lines.append((guard, indent))
        tested = self.attribute_ifs.get(node)
        if tested is not None:
            lines.append(f"{margin}self.{tested[0]}: nn.Module | None = None")
        useful = [
            any(
                isinstance(x, str) or isinstance(x[0], Guard) or x[0].local.name in self.used_locals
                for x in b
            )
            for b in bodies
        ]
        if not any(useful):
            return [*lines, *after]
        word = "if"
        if len(node.cases) == 1 and not useful[0]:
            opposite = self.print(negated(node.cases[0][0]))
            return [*lines, f"{margin}if {opposite}:", *bodies[1], *after]
        tests = [self.print(condition) for condition, _ in node.cases]
        for test, body, use in zip(tests, bodies, useful, strict=False):
            lines.append(f"{margin}{word} {test}:")
            lines += body if use else [f"{margin}    pass"]
            word = "elif"
        if useful[-1]:
            lines += [f"{margin}else:", *bodies[-1]]
        return [*lines, *after]

    def emit_calls(self, nodes: Sequence[TraceNode]) -> None:
        for node in walk(nodes):
            if isinstance(node, ForNode):
                self.loop_variables.add(node.variable)
        self._lets(nodes, False)
        for c in calls_in(nodes):
            self.asked = []
            if isinstance(c, InstanceCall):
                self.emissions[c] = self.construct(c)
                if c.name is not None:
                    fixed = c.name.fixed
                    self.instances[c] = self.attribute(fixed) if fixed is not None else ""
            else:
                numbers = ConstructorNumbers(self, c)
                self.emissions[c] = self.spelling.emit(c, numbers, self.reads_several(c))
                for name in c.terms:
                    if name not in numbers.flags:
                        raise CannotTrace(f"{name} of {type(c.op).keyword}, which arguments decide")
            if self.emissions[c].one_size:
                self.asked += self.only_input()
            self.sized[c] = self.asked
            for v in self.asked:
                self.uses.setdefault(v, []).append(c)

    def split_lines(self, nodes: Sequence[TraceNode]) -> list[TraceNode]:
        """Nodes in which no call that names its input twice stands around an expression."""
        result: list[TraceNode] = []
        for node in nodes:
            if isinstance(node, ForNode):
                node.body[:] = self.split_lines(node.body)
            elif isinstance(node, IfNode):
                for body in node.bodies:
                    body[:] = self.split_lines(body)
            if not isinstance(node, LineNode):
                result.append(node)
                continue
            start = 0
            for n in range(1, len(node.calls)):
                if self.repeats_its_input(node.calls[n]):
                    before = node.calls[start:n]
                    for v in before[-1].outputs:
                        self.within.pop(v, None)
                    result.append(LineNode(before, before[-1].outputs[0]))
                    start = n
            result.append(LineNode(node.calls[start:], node.value) if start else node)
        return result

    def _lets(self, nodes: Sequence[TraceNode], inside: bool) -> None:
        for node in nodes:
            match node:
                case LetNode():
                    (self.loop_lets if inside else self.lets)[node.local] = node.term
                case ForNode():
                    self._lets(node.body, True)
                case IfNode():
                    for b in node.bodies:
                        self._lets(b, inside)

    def construct(self, c: InstanceCall) -> WrittenCall:
        unit = self.class_of(c)
        args: list[str] = []
        keywords: dict[str, str] = {}
        for leaf, name, *_ in unit.arguments:
            if isinstance(leaf, Channels):
                value = next(
                    v
                    for own, v in zip(c.trace.inputs, c.inputs, strict=True)
                    if own.name == leaf.input
                )
                args.append(self.whole(value.channels))
            elif isinstance(leaf, Extent):
                value = next(
                    v for own, v in zip(c.trace.inputs, c.inputs, strict=True) if own is leaf.value
                )
                args.append(self.whole(Extent(value, leaf.axis)))
            elif leaf.name in c.arguments:
                sym = c.arguments[leaf.name]
                exact = isinstance(leaf, FloatParameter) or not _number(sym.term)
                keywords[name] = self.printer(sym.term) if exact else self.whole(sym.term)
        module = call(unit.name, *args, **keywords)
        return WrittenInstance(module, len(c.outputs) > 1 and not self.reads_several(c))

    def choose_tests(self, nodes: Sequence[TraceNode]) -> None:
        """Find the `if`s of two branches of which one has an attribute that the other has not."""
        repeated = {n for loop in walk(nodes) if isinstance(loop, ForNode) for n in walk(loop.body)}
        for node in walk(nodes):
            if not isinstance(node, IfNode) or len(node.cases) != 1 or node in repeated:
                continue
            sets = [self.attributes(b) for b in node.bodies]
            for i in (0, 1):
                own = [a for a in sets[i] if a not in sets[1 - i]]
                if own:
                    self.attribute_ifs[node] = (own[0], i == 0)
                    break

    def attributes(self, nodes: Sequence[TraceNode]) -> list[str]:
        found = []
        for n in nodes:
            if isinstance(n, LineNode):
                for c in n.calls:
                    if (
                        self.emissions[c].constructor is not None
                        and c.name is not None
                        and c.name.fixed is not None
                        and is_plain(c.name.fixed)
                        and self.attribute(c.name.fixed).startswith("self.")
                    ):
                        if not self.attribute(c.name.fixed).startswith("self._modules"):
                            found.append(c.name.fixed)
        return found


def _number(term: Any) -> bool:
    """Whether a term is a number rather than a word, a truth or a list."""
    match term:
        case ConstantTerm() | ListTerm():
            return False
        case Choose(_, a, _):
            return _number(a)
        case NumberLiteral() | Apply() | Local() | FloatParameter() | Channels() | Parameter():
            return True
    return not hasattr(term, "rest") and not hasattr(term, "operands")


def _as_call(source: str) -> FunctionCall | None:
    """Source that ends with a call as one, so that it breaks at the call's arguments."""
    if not source.endswith(")"):
        return None
    depth, ends = 0, []
    for i in range(len(source) - 1, -1, -1):
        c = source[i]
        depth += (c == ")") - (c == "(")
        if c == "," and depth == 1:
            ends.append(i)
        if depth == 0:
            bounds = [i, *reversed(ends), len(source) - 1]
            args = [source[a + 1 : b].strip() for a, b in pairwise(bounds)]
            return FunctionCall(source[:i], tuple(map(Verbatim, args))) if i else None
    return None
