"""Writes a net as a NumPy file: its kernels, the function that lays out its plan, its class.

In the function, `network`, each fused layer and each use of a module is one statement:

    conv1 = convolve(p, data, "conv1", 96, Window((7, 7), stride=(2, 2)))  # 96x109x109
    pool1 = pool(p, conv1, np.maximum, Window((3, 3), stride=(2, 2), ceil=True), then=RELU)
    fire2 = fire(p, pool1, "fire2", 16, 64, 64)  # 128x54x54
"""

from __future__ import annotations

import re
from collections import ChainMap, Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

from netspec.codegen.backend import PlannedMemory, Unsupported
from netspec.codegen.header import class_doc, compiled_from, input_size, title
from netspec.codegen.identifiers import Identifiers, class_name
from netspec.codegen.nsz_source import nsz_reader
from netspec.codegen.preprocess import picture
from netspec.codegen.python_source import (
    WIDTH,
    FunctionCall,
    Lambda,
    Source,
    Verbatim,
    call,
    docstring,
    function_head,
    list_of,
    statement,
    templates,
    tuple_of,
)
from netspec.ir import Layer, Net, Value
from netspec.ir.sizes import blocks
from netspec.ops import KAIMING, Init, Op, Tensor, text
from netspec.ops.convolution import Conv
from netspec.planning.fusion import FusedLayer, fuse
from netspec.planning.module_functions import (
    ModuleFunction,
    Statement,
    Unifier,
    Use,
    call_numbers,
    group,
    layer_numbers,
)
from netspec.planning.regions import Region, regions
from netspec.symbolic.expr import Dim, Expr, Real, SizeOf, Symbol, expr_of, follows
from netspec.symbolic.terms import leaves, substitute
from netspec_numpy.cost_model import choose_algorithm, planned_memory
from netspec_numpy.emitters import EMITTERS
from netspec_numpy.kernel_source import kernel_names, reads, with_helpers
from netspec_numpy.loops import StepLine, with_loops
from netspec_numpy.lowering import (
    PLANNERS,
    dimensions,
    folded_batch_norm,
    planner_of,
)
from netspec_numpy.python_language import python
from netspec_numpy.size_source import size_source

_FROM = {
    "bisect": ("bisect",),
    "collections.abc": ("Callable", "Iterator", "Mapping", "Sequence"),
    "concurrent.futures": ("ThreadPoolExecutor", "wait"),
    "fractions": ("Fraction",),
    "functools": ("cache", "partial", "reduce"),
    "itertools": ("accumulate", "count", "pairwise", "product"),
    "math": ("inf", "prod"),
    "pathlib": ("Path",),
    "typing": ("Any", "NamedTuple"),
    "zlib": ("crc32",),
}
_MODULES = ("ctypes", "json", "math", "os", "threading", "time")
_GLOBALS = (
    *("np", "as_strided", "network", "self"),
    *(name for names in _FROM.values() for name in names),
)
"""Names of the file that no variable may have. `_FROM` and `_MODULES` are what it may import."""
_LOCALS = ("p", "w", "_")
"""Names inside the function of the network."""


class NumpyBackend:
    """Emits a module that needs NumPy and nothing else."""

    name = "numpy"
    emitters: Mapping[type[Op], Any] = ChainMap[type[Op], Any](PLANNERS, EMITTERS)

    def check(self, layer: Layer, used: Sequence[bool]) -> None:
        """Raise Unsupported where a layer bears the name of its tensor."""
        if layer.bare:
            raise Unsupported("one of its tensors would be a layer of its own")

    def emit(self, net: Net) -> str:
        """The source of the net's file."""
        return self.emit_family([net])

    def emit_family(
        self, nets: Sequence[Net], *, probabilities: bool = False, nsz: bool = False
    ) -> str:
        """The source of a file with a class for each net, which gives the spec's outputs."""
        return _NumpyFile(nets).source(nsz)

    def planned_memory(self, net: Net) -> PlannedMemory:
        """Bytes that the model needs for one image in float32, with one thread."""
        return planned_memory(fuse(net))

    def run(self, model: Any, *inputs: Any) -> tuple[Any, ...]:
        """The outputs of a model for a batch of each input."""
        result = model(*inputs)
        return result if isinstance(result, tuple) else (result,)

    def set_weights(self, model: Any, weights: Mapping[str, Any]) -> None:
        """Replace a model's weights; RuntimeError where names or shapes differ."""
        wanted = {name: array.shape for name, array in model.weights.items()}
        found = {name: array.shape for name, array in weights.items()}
        if wanted != found:
            raise RuntimeError("emitted model and net differ in their weights")
        model.weights = dict(weights)


class _Scope:
    """What a planner or emitter needs to write a step of one function of the file."""

    def __init__(self, file: _NumpyFile, region: Region, variables: Mapping[Value, str]) -> None:
        self.file = file
        self.prefix = region.prefix
        self.weights = region.weights
        self.variables = variables
        self.has_weights = False
        self.path = ""
        self.inputs: list[Source] = []
        self.sizes: Mapping[Symbol, Expr] = {}
        self.asked: set[Symbol] = set()
        self.several = False
        self.winograd = file.winograd

    def begin(self, layer: FusedLayer, several: bool) -> None:
        """Begin the step of a layer."""
        self.path, self.several = layer.layer.weights, several
        self.inputs = [Verbatim(self.variables[v]) for v in layer.inputs]
        self.sizes, self.asked = layer.sizes, set()

    def number(self, number: float) -> str:
        """A number of an attribute, which may follow sizes of values."""
        expr = self._followed(number)
        if expr is None:
            return repr(int(number) if isinstance(number, int) else float(number))
        self.asked.update(leaves(expr_of(number)))
        source, exact = size_source(expr, lambda symbol: self.variables[symbol.value])
        if not isinstance(number, int):
            return f"float({source})"
        return f"{self.kernel('whole_number')}({source})" if exact else source

    def differs(self, numbers: tuple[float, ...], default: tuple[float, ...]) -> bool:
        """Whether numbers of an attribute are, or may be at another size, not the default."""
        return numbers != default or any(self._followed(n) is not None for n in numbers)

    def _followed(self, number: float) -> Expr | None:
        """The expression in sizes that a number follows, if it follows any."""
        if not self.sizes or not isinstance(number, Dim | Real):
            return None
        expr = substitute(number.expr, self.sizes.__getitem__)
        return expr if follows(expr) else None

    def frozen(self) -> bool:
        """Whether the step has a number that follows sizes, and nobody asked for its source."""
        return any(follows(e) and s not in self.asked for s, e in self.sizes.items())

    def quoted(self, path: str) -> str:
        """A path of weights as a string literal; in a module's function, behind its own path."""
        if self.weights and path.startswith(self.weights):
            rest = path[len(self.weights) :].replace("{", "{{").replace("}", "}}")
            return f'f"{{name}}.{rest}"'
        return f'"{path}"'

    def weight(self, layer: Layer, name: str) -> str:
        """Source of one of the layer's tensors."""
        self.has_weights = True
        path = self.quoted(f"{self.path}.{name}")
        return call("w", path, *dimensions(layer.tensors[name])).flat()

    def kernel(self, name: str) -> str:
        """The name of a kernel, which is included in the file."""
        self.file.kernels.add(name)
        return name


class _NetClass:
    """The class of one net in the file. `network` is the function that lays out its plan."""

    def __init__(self, net: Net, name: str, network: str) -> None:
        self.net = net
        self.fused = fuse(net)
        self.top = regions(net, self.fused)
        self.name = name
        self.network = network
        self.preprocess = picture(net, _vector)
        self.height, self.width = input_size(net)

    def doc(self, several: bool) -> str:
        """The docstring of the class, in a file of several with the comment of its net."""
        return "\n".join(docstring(class_doc(self.net, several), 4))

    def attributes(self, frozen: Set[Value]) -> str:
        """What the base class asks: the network, the shapes of its inputs, how weights begin.

        `frozen` are results of steps whose numbers would have to follow sizes.
        """
        sizes = [str(tuple(int(d) for d in v.shape)) for v in self.net.body.inputs]
        lines = statement("network = ", call("staticmethod", self.network), 4)
        lines += statement("sizes = ", tuple_of(sizes), 4)
        if fixed := self._fixed_size(frozen):
            lines.append(f'    fixed = ": {fixed}"')
        if inits := _inits(self.net):
            items = tuple(Verbatim(f'"{name}": {init}') for name, init in inits.items())
            of_names = FunctionCall("", items, brackets="{}")
            lines += statement("inits: Mapping[str, Any] = ", of_names, 4)
        return "\n".join(lines)

    def _fixed_size(self, frozen: Set[Value]) -> str:
        """Why inputs of other heights and widths are refused; empty where they are not."""
        for layer in self.fused.layers:
            if layer.output in frozen:
                return f"{layer.layer.path} is made for this size"
        for block in blocks(self.net.body):
            if any(isinstance(s, SizeOf) for s in block.static):
                return f"a height or width decides what {block.module} is made of"
        return ""

    def call(self, names: Identifiers) -> str:
        """The method `__call__`."""
        inputs = [names.identifier(v.name) for v in self.net.body.inputs]
        single = len(self.net.body.outputs) == 1
        result = "Array" if single else "tuple[Array, ...]"
        args = ["self", *(f"{name}: Array" for name in inputs)]
        doc = "In float32, or in float64 if inputs are; ValueError for a wrong shape."
        run = call("self.run", *inputs)
        source = FunctionCall(run.head, run.args, tail="[0]") if single else call("tuple", run)
        body = statement("return ", source, 8)
        return "\n".join([*function_head("__call__", args, result, 4), *docstring(doc, 8), *body])


class _NumpyFile:
    """The file of one net or several, while it is written.

    `calls` says for each use of a module which function it calls, and as which of its uses.
    """

    def __init__(self, nets: Sequence[Net]) -> None:
        names = Identifiers((*_GLOBALS, *_MODULES, *kernel_names()))
        self.classes: list[_NetClass] = []
        for net in nets:
            name = names.numbered(class_name(net.name, net.doc))
            network = "network" if len(nets) == 1 else names.numbered(f"{net.name}_network")
            self.classes.append(_NetClass(net, name, network))
        self.used = {v for c in self.classes for v in c.fused.uses()}
        self.calls: dict[Region, tuple[ModuleFunction, int]] = {}
        self.kernels: set[str] = {"Model"}
        self.frozen: set[Value] = set()
        convolutions = (x for c in self.classes for x in c.fused.layers if isinstance(x.op, Conv))
        self.winograd = any(choose_algorithm(x).kind == "winograd" for x in convolutions)
        own = [n for c in self.classes for n in (c.name, c.network)]
        self.taken: tuple[str, ...] = (*_GLOBALS, *_MODULES, *kernel_names(), *own, *_LOCALS)

    def source(self, nsz: bool) -> str:
        """The whole file; with `nsz`, its models load compressed weights too."""
        functions = self._functions([c.top for c in self.classes])
        networks = [self._network(c) for c in self.classes]
        if any(c.preprocess for c in self.classes):
            self.kernels.add("resize")
        kernels = with_helpers(self.kernels)
        reader = [nsz_reader()] if nsz else []
        template = templates(Path(__file__).parent / "templates").get_template("model.py.j2")
        own = [c.name for c in self.classes]
        taken = (*_GLOBALS, *_MODULES, *kernel_names(), *own)
        several = len(own) > 1
        rendered = template.render(
            header="\n".join(docstring(self._header(), 0)),
            imports=_imports([*kernels.values(), *reader, *functions, *networks]),
            nsz=nsz,
            classes=[
                {
                    "name": c.name,
                    "doc": c.doc(several),
                    "attributes": c.attributes(self.frozen),
                    "call": c.call(Identifiers(taken)),
                    "preprocess": c.preprocess,
                    "height": c.height,
                    "width": c.width,
                }
                for c in self.classes
            ],
            network="\n\n\n".join([*functions, *networks]),
            kernels=_joined([*kernels.values(), *reader]),
        )
        return rendered.rstrip() + "\n"

    def _header(self) -> str:
        nets = [c.net for c in self.classes]
        return f"{title(nets, [c.name for c in self.classes])}\n\n{compiled_from(nets)}"

    # --- the plan --------------------------------------------------------------------------------

    def _network(self, of: _NetClass) -> str:
        """The function that writes a network's calls into a plan."""
        use, weights = self._use(of.top)
        lines = self._lines(use.steps)
        lines += statement("return ", list_of(use.result.split(", ")), 4)
        head = function_head(of.network, _arguments(use.inputs), "list[Value]", 0)
        doc = docstring("The steps of the network.", 4)
        return "\n".join([*head, *doc, *weights, *_unused_weights(of), *lines])

    def _lines(self, steps: Sequence[Statement]) -> list[str]:
        """The lines of statements, those that are repeated as loops."""
        texts = [
            f"{s.targets} = {s.source.flat()}" if s.targets else s.source.flat() for s in steps
        ]
        used = {word for text in texts for word in re.findall(r"\w+", text)}
        variable = Identifiers((*self.taken, *used)).identifier("i")
        lines = (
            StepLine(text, s.comment, _step_lines(s)) for text, s in zip(texts, steps, strict=True)
        )
        return list(with_loops(list(lines), variable))

    def _functions(self, tops: Sequence[Region]) -> list[str]:
        """The functions of all modules; those that others call come first."""
        kinds: dict[tuple[int, str], list[Region]] = {}
        pending = list(tops[::-1])
        while pending:
            region = pending.pop()
            inner = [c for c in region.children if isinstance(c, Region)]
            pending += inner[::-1]
            if region not in tops:
                kinds.setdefault((region.height, region.block.module), []).append(region)
        names = Identifiers((*self.taken, "name"))
        language, sources = python(), list[str]()
        for _, found in sorted(kinds.items(), key=lambda item: item[0][0]):
            uses = [self._use(region) for region in found]
            base = names.identifier(_lower_case(found[0].block.module))
            for number, members in enumerate(group([use for use, _ in uses], language)):
                some = [uses[i][0] for i in members]
                unifier = Unifier(some, language, self.taken)
                steps = unifier.steps()
                name = names.numbered(base) if number else base
                function = ModuleFunction(name, some[0], steps, unifier.parameters())
                self.taken = (*self.taken, name)
                self.kernels |= {a.kind for a in function.arguments} & language.kernels
                for i, use in enumerate(some):
                    self.calls[use.region] = (function, i)
                sources.append(self._function(function, uses[members[0]][1], base * bool(number)))
        return sources

    def _function(self, function: ModuleFunction, weights: list[str], other: str) -> str:
        """The source of a module's function."""
        use = function.use
        *first, last = function.steps
        lines = self._lines(first)
        if last.targets == use.result:
            lines += statement("return ", last.source, 4)
        else:
            short = f"    return {use.result}"
            wide = statement("return ", tuple_of(use.result.split(", ")), 4)
            lines += [*_step_lines(last), *([short] if len(short) <= WIDTH else wide)]
        args = [*_arguments(use.inputs), "name: str", *(a.declared() for a in function.arguments)]
        several = len(use.region.outputs) > 1
        kind = f"tuple[{', '.join(['Value'] * len(use.region.outputs))}]" if several else "Value"
        head = function_head(function.name, args, kind, 0)
        module = use.region.block.module
        doc = use.region.block.doc.partition("\n\n")[0] or f"The steps of {module}."
        if other:
            doc = f"The steps of {module} with other layers than `{other}` has."
        return "\n".join([*head, *docstring(doc, 4), *weights, *lines])

    def _use(self, region: Region) -> tuple[Use, list[str]]:
        """The steps of the net or of one use of a module, and the statement that they need."""
        names = _Variables(self.taken, region)
        inputs = [names.add(v, region.input_names.get(v, "x")) for v in region.inputs]
        scope = _Scope(self, region, names.of)
        steps: list[Statement] = []
        for child in region.children:
            steps += (
                self._module_step(child, scope, names)
                if isinstance(child, Region)
                else (self._layer_steps(child, scope, names))
            )
        result = ", ".join(names.of[v] for v in region.outputs)
        weights = ["    w = p.weight"] if scope.has_weights else []
        return Use(region, inputs, steps, result), weights

    def _module_step(self, region: Region, scope: _Scope, names: _Variables) -> list[Statement]:
        """The call of a module's function."""
        function, index = self.calls[region]
        inputs = [names.of[v] for v in region.inputs]
        names.read(region.inputs)
        source = function.call(index, inputs, scope.quoted(region.weights[:-1]))
        assert region.instance is not None, "only the net has none"
        own = region.instance.name
        targets = [
            names.add(v, own if len(region.outputs) == 1 else v.name) for v in region.outputs
        ]
        comment = _comment(region.outputs, scope)
        return [Statement(", ".join(targets), source, comment, call_numbers(region.instance))]

    def _layer_steps(self, layer: FusedLayer, scope: _Scope, names: _Variables) -> list[Statement]:
        """The statements that lay out the step of a fused layer."""
        several = any(v in self.used for v in layer.outputs[1:])
        results = layer.outputs if several else layer.outputs[:1]
        scope.begin(layer, several)
        names.read(layer.inputs)
        numbers = layer_numbers(layer)
        planner = planner_of(layer.op)
        source = planner(layer.op, layer, scope) if planner else None
        if source is None:
            source = self._apply(layer, scope, several)
        if scope.frozen():
            self.frozen.add(layer.output)
        own, *more = results  # of several, the further ones bear the name of the first as well
        names_of_more = (v.name.removeprefix(scope.prefix).replace(".", "_") for v in more)
        called = {own: own.name} | dict(zip(more, names_of_more, strict=True))
        targets = [names.add(v, called[v]) if v in self.used else "_" for v in results]
        step = Statement(", ".join(targets), source, _comment(results, scope), numbers)
        folded = folded_batch_norm(layer, scope)
        return [step] if folded is None else [Statement("", folded, "", numbers), step]

    def _apply(self, layer: FusedLayer, step: _Scope, several: bool) -> Source:
        """A step that computes the expression of the op's emitter."""
        taken = {step.variables[v] for v in layer.sized}
        names = _parameters(len(layer.inputs), taken)
        inputs: list[Source] = [Verbatim(name) for name in names]
        body = EMITTERS[type(layer.op)](layer.layer.layer, step, inputs, several)
        function: Source = Lambda(names, body)
        if isinstance(body, FunctionCall) and body == call(body.head, *inputs):
            function = Verbatim(body.head)
        kernel = step.kernel("apply_multiple" if several else "apply")
        return call(kernel, "p", function, *step.inputs)


def _unused_weights(of: _NetClass) -> list[str]:
    """Statements that name the weights of layers that no result depends on.

    Weight files hold them too, so the model has to know their shapes.
    """
    layers = {flat.weights for x in of.fused.layers for flat in (x.layer, x.batch_norm) if flat}
    lines: list[str] = []
    for name, tensor in of.net.tensors.items():
        if name.rpartition(".")[0] not in layers:
            lines += statement("", call("p.weight", f'"{name}"', *dimensions(tensor)), 4)
    return lines


class _Variables:
    """The names of values in one function: each has one that no value has which is still needed."""

    def __init__(self, taken: Sequence[str], region: Region) -> None:
        self.names = Identifiers(taken)
        self.of: dict[Value, str] = {}
        self.remaining: dict[Value, int] = dict.fromkeys(region.outputs, 1)
        for child in region.children:
            for value in child.inputs:
                self.remaining[value] = self.remaining.get(value, 0) + 1
            if isinstance(child, FusedLayer):  # also asked when the plan runs: never read for good
                for value in child.sized:
                    self.remaining[value] = self.remaining.get(value, 0) + 1
        self.prefix = region.prefix

    def read(self, values: Iterable[Value]) -> None:
        """Note that a step has read some values."""
        for value in values:
            self.remaining[value] -= 1
            if not self.remaining[value]:
                self.names.release(self.of[value])

    def add(self, value: Value, name: str) -> str:
        """Name a value, by the last part of its path or else all of that."""
        local = name.rpartition(".")[2]
        if re.fullmatch(r"[a-z0-9_]+_\d+", local):
            local = "x"  # the spec gives it no name
        free = self.names.identifier(local)
        if free != local:
            taken = free
            free = self.names.identifier(value.name.removeprefix(self.prefix).replace(".", "_"))
            self.names.release(taken)
        self.of[value] = free
        return free


def _comment(values: Sequence[Value], scope: _Scope) -> str:
    """The shape of a single result; in modules it is another for each use."""
    if scope.prefix or len(values) != 1 or len(values[0].shape) != 3:
        return ""
    return text(values[0].shape)


def _lower_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _step_lines(step: Statement) -> list[str]:
    lines = statement(f"{step.targets} = " if step.targets else "", step.source, 4, step.comment)
    targets = statement("", tuple_of(step.targets.split(", ")), 4)
    if len(lines[0]) <= WIDTH or len(targets) == 1:
        return lines
    return [*targets[:-1], *statement(") = ", step.source, 4)]


def _arguments(inputs: Iterable[str]) -> list[str]:
    return ["p: Plan", *(f"{name}: Value" for name in inputs)]


def _joined(sources: Iterable[str]) -> str:
    """The kernels, two blank lines between them, none between constants."""
    text, before = "", ""
    for source in sources:
        constants = "\n" not in before + source
        text += ("\n" if constants else "\n\n\n") * bool(before) + source
        before = source
    return text


def _parameters(number: int, taken: Set[str]) -> tuple[str, ...]:
    """So many names of parameters that are not taken."""
    short = "x" if number == 1 else "abcdefgh" if number <= 8 else ""
    free = (name for name in chain(short, (f"x{i}" for i in count())) if name not in taken)
    return tuple(islice(free, number))


def _imports(sources: list[str]) -> tuple[list[str], list[str]]:
    """Import lines for what the kernels read: of the standard library, and of NumPy."""
    lines = [f"import {m}" for m in sorted(_MODULES) if reads(sources, m)]
    for module, names in _FROM.items():
        found = [n for n in names if reads(sources, n)]
        if found:
            lines.append(f"from {module} import {', '.join(found)}")
    numpy = ["import numpy as np"]
    if reads(sources, "as_strided"):
        numpy.append("from numpy.lib.stride_tricks import as_strided")
    return lines, numpy


def _inits(net: Net) -> dict[str, str]:
    """How weights begin: as most filters do for `*`, and the others by their names.

    What the kernels know without is left out: Kaiming's law, 1 for factors, 0 for shifts.
    """
    inits = {name: _init(tensor) for name, tensor in net.tensors.items()}
    filters = [inits[name] for name, tensor in net.tensors.items() if len(tensor.shape) > 1]
    usual = Counter(filters or [_law_of(KAIMING)]).most_common(1)[0][0]
    found = {"*": usual}
    for name, tensor in net.tensors.items():
        factor = name.endswith((".weight", ".running_var"))
        known = usual if len(tensor.shape) > 1 else "1.0" if factor else "0.0"
        if inits[name] != known:
            found[name] = inits[name]
    return {} if found == {"*": _law_of(KAIMING)} else found


def _init(tensor: Tensor) -> str:
    """How a tensor begins, as `initial_weights` takes it: numbers, or what `draw` takes."""
    init = tensor.init
    if isinstance(init, Init) and init.law == "bilinear":
        rows, columns = (_bilinear(int(n)) for n in tensor.shape[-2:])
        return f"np.outer({rows}, {columns})"
    return _law_of(init or KAIMING) if isinstance(init, Init | None) else repr(float(init))


def _bilinear(size: int) -> str:
    """`netspec.ops.bilinear_row` of a size, as source."""
    half = (size + 1) // 2
    return f"1 - abs(np.arange({size}) / {half} - {(2 * half - 1 - half % 2) / (2 * half)!r})"


def _law_of(init: Init) -> str:
    if init.value is not None:
        return repr(init.value)
    if init.bounds is not None:
        low, high = init.bounds
        return f'("uniform", {(high - low) / 12**0.5!r}, "", {(low + high) / 2!r})'
    law, number, fan = init.law, init.std, (init.fan or "").removeprefix("fan_")
    if number is None:
        number = {"kaiming": 2**0.5, "xavier": 1.0}.get(law, 3**-0.5)
        fan = fan or ("mean" if law == "xavier" else "in")
    kind = "uniform" if law in ("xavier", "uniform") else "normal"
    return str((kind, float(number), fan) if fan else (kind, float(number))).replace("'", '"')


def _vector(numbers: tuple[float, ...]) -> str:
    """An array of numbers, one for each channel, as source; channels are last in pictures."""
    return f"np.array({[float(n) for n in numbers]}, dtype=np.float32)"
