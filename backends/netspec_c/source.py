"""Writes the C file of a net and its header.

In the file, each fused layer is a call of a kernel and each use of a module one of its function:

    const Blocks pool1 = {m + 1161600, 96, 54, 54};
    max_pool(r, conv1, pool1, WINDOW(3, 2, 0), RELU);
    const Blocks fire2 = {m + 0, 128, 54, 54};
    fire(r, m, w + 1, pool1, fire2, 1441536, 16, 64, 64);
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

from netspec.codegen.header import compiled_from
from netspec.codegen.python_source import FunctionCall, Source, Verbatim, call
from netspec.ir import Layer, Value
from netspec.ops import IndexShape
from netspec.ops.convolution import Conv
from netspec.ops.merging import Concat
from netspec.planning.fusion import FusedLayer
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
from netspec_c.c_file import CFile, PackedWeights
from netspec_c.c_language import RESERVED, CNames, comment, double, language, wrapped
from netspec_c.convolutions import Kernel
from netspec_c.emission import EMITTERS
from netspec_c.files import embedded, header, initialization
from netspec_c.pieces import piece_of, with_needed
from netspec_c.places import floats, kernel_of


def written(
    file: CFile,
    *,
    weights: Mapping[str, Any] | None = None,
    nsz: bool = False,
    compressed: bytes = b"",
    include: str = "",
) -> tuple[str, str]:
    """The C file and its header, which the file includes by that name or else contains.

    `weights` or `compressed` ones are embedded; with `nsz`, the file reads compressed ones.
    """
    functions = _Functions(file).text()
    if nsz:
        file.needed.add("nsz")
    embeds = weights is not None or bool(compressed)
    declared = header(file, nsz, embeds)
    parts = [_head(file), f'#include "{include}"' if include else declared.rstrip()]
    parts += [piece.text for piece in with_needed(file.needed)]
    parts += [functions, *embedded(file, weights, compressed, nsz)]
    parts.append(initialization(file, nsz, embeds))
    return "\n\n".join(parts) + "\n", declared


def _head(file: CFile) -> str:
    """What the file is, and what it includes."""
    said = comment(compiled_from([file.net]))
    doc = comment(file.net.doc.partition("\n\n")[0]) if file.net.doc else []
    system = ("math", "stddef", "stdint", "string")
    return "\n".join([*said, *doc, *(f"#include <{name}.h>" for name in system)])


class _Step:
    """The calls of a fused layer, while they are written."""

    def __init__(
        self, file: CFile, layer: FusedLayer, inputs: Sequence[str], outputs: Sequence[str]
    ) -> None:
        self.file = file
        self.layer = layer
        self.inputs = inputs
        self.outputs = outputs
        self.calls: list[FunctionCall] = []
        self.indices: list[int] = []
        self.base = 0

    @property
    def x(self) -> str:
        return self.inputs[0]

    @property
    def y(self) -> str:
        return self.outputs[0]

    def call(self, kernel: str, *args: str) -> None:
        self.file.needed.add(piece_of(kernel))
        self.calls.append(call(kernel, "r", *args))

    def needs(self, piece: str) -> None:
        self.file.needed.add(piece)

    def scratch(self, floats: int) -> None:
        self.file.scratch = max(self.file.scratch, -(-floats // 16) * 16)

    def convolution(self) -> Kernel:
        is_plain = self.layer.inputs[-1] in self.file.places.plain
        return kernel_of(self.layer, is_plain and isinstance(self.layer.op, Conv))

    def tensor(self, name: str) -> str:
        return self._tensor(self.layer.layer.layer, self.layer.layer.weights, name)

    def _tensor(self, layer: Layer, path: str, name: str) -> str:
        if name not in layer.tensors:
            return "NULL"
        return f"w + {self.file.tensors[layer.key(path, name)][0]}"

    def filters(self) -> tuple[list[str], str, str]:
        weight, bias = self.tensor("weight"), self.tensor("bias")
        norm = self.layer.batch_norm
        if norm is None:
            return [], weight, bias
        self.needs("fold")
        shape = [int(n) for n in self.layer.layer.layer.tensors["weight"].shape]
        filters, each = shape[0], prod(shape[1:])
        self.file.folded = max(self.file.folded, filters * (each + 1))
        of = self.batch_norm(norm)
        fold = f"fold({weight}, {bias}, {of}, {filters}, {each}, t)"
        return [fold], "t", f"t + {filters * each}"

    def batch_norm(self, layer: Any) -> str:
        names = ("weight", "bias", "running_mean", "running_var")
        tensors = (self._tensor(layer.layer, layer.weights, name) for name in names)
        return f"(BatchNorm){{{', '.join(tensors)}, {double(layer.op.eps)}}}"

    def packed(self, floats: int, statements: Sequence[str]) -> str:
        key = tuple(statements)
        file = self.file
        for statement in statements:
            file.needed.update(
                piece_of(name) for name in re.findall(r"\b(?:pack_\w+|fold)(?=\()", statement)
            )
        if key not in file.packed:
            start = file.packed_floats
            made = tuple(s.replace("{p}", f"p + {start}") for s in statements)
            file.packed[key] = PackedWeights(start, made)
            file.packed_floats += -(-floats // 16) * 16
        index = list(file.packed).index(key)
        self.indices.append(index)
        return f"w[{index - self.base}]"


class _Functions:
    """The functions of modules and of the net."""

    def __init__(self, file: CFile) -> None:
        self.file = file
        self.places = file.places
        self.top = regions(file.net, file.places.net)
        self.used = set(file.places.net.uses())
        self.calls: dict[Region, tuple[ModuleFunction, int]] = {}
        self.bases: dict[Region, int] = {}
        own = re.findall(rf"\b{file.prefix}_\w+", header(file, False, False), re.I)
        arrays = ("NSZ", "TENSORS", "WEIGHTS")
        self.taken: tuple[str, ...] = (*RESERVED, *own, *arrays, "network", "pack", "ctx")
        self.free: dict[str, str] = {}  # of each function, which of `m` and `w` it takes

    def text(self) -> str:
        """All functions, those that others call first."""
        self._weigh(self.top)
        sources = self._modules()
        return "\n\n".join([*sources, self._network()])

    def _weigh(self, region: Region) -> list[int]:
        """Number all packed weights in order, and find the first of each region."""
        found: list[int] = []
        for child in region.children:
            if isinstance(child, Region):
                found += self._weigh(child)
                continue
            step = _Step(self.file, child, ["x"] * len(child.inputs), ["y"] * len(child.outputs))
            EMITTERS[type(child.op)](child.op, step)
            found += step.indices
        self.bases[region] = min(found, default=0)
        return found

    # --- modules ---------------------------------------------------------------------------------

    def _modules(self) -> list[str]:
        kinds: dict[tuple[int, str], list[Region]] = {}
        pending = [self.top]
        while pending:
            region = pending.pop()
            inner = [c for c in region.children if isinstance(c, Region)]
            pending += inner[::-1]
            if region is not self.top:
                kinds.setdefault((region.height, region.block.module), []).append(region)
        names = CNames(self.taken)
        sources = []
        c = language()
        for _, found in sorted(kinds.items(), key=lambda item: item[0][0]):
            uses = [self._use(region) for region in found]
            base = names.identifier(found[0].block.module)
            for number, members in enumerate(group(uses, c)):
                some = [uses[i] for i in members]
                unifier = Unifier(some, c, self.taken)
                steps = unifier.steps()
                name = names.numbered(base) if number else base
                function = ModuleFunction(name, some[0], steps, unifier.parameters())
                self.taken = (*self.taken, name)
                for i, use in enumerate(some):
                    self.calls[use.region] = function, i
                sources.append(self._function(function, base * bool(number)))
        return sources

    def _function(self, function: ModuleFunction, other: str) -> str:
        """The source of a module's function."""
        use, region = function.use, function.use.region
        body = list(_lines(function.steps))
        joined = "\n".join(body)
        free = [("m", "float *m"), ("w", "const float *const *w")]
        given = [declared for name, declared in free if _has(joined, name)]
        self.free[function.name] = " ".join(d.rpartition("*")[2] for d in given)
        kinds = ["Plain" if v in self.places.plain else "Blocks" for v in region.inputs]
        kinds += ["Blocks"] * len(region.outputs)
        names = [*use.inputs, *use.result.split(", ")]
        args = ["const Run *r", *given, *map(" ".join, zip(kinds, names, strict=True))]
        args += [f"{_type(p.values)} {p.name}" for p in function.arguments]
        module = region.block.module
        doc = region.block.doc.partition("\n\n")[0] or f"The steps of {module}."
        if other:
            doc = f"The steps of {module} with other layers than `{other}` has."
        head = wrapped(f"static void {function.name}({', '.join(args)}) {{", 0)
        return "\n".join([*comment(doc), *head, *body, "}"])

    def _use(self, region: Region) -> Use:
        scope = _Names(self, region, self.taken)
        inputs = [scope.add(v, region.input_names.get(v, "x")) for v in region.inputs]
        result = ", ".join(scope.add(v, scope.local(v)) for v in region.outputs)
        return Use(region, inputs, self._steps(region, scope), result)

    def _steps(self, region: Region, scope: _Names) -> list[Statement]:
        steps: list[Statement] = []
        for child in region.children:
            if isinstance(child, Region):
                steps += self._module_step(child, region, scope)
            else:
                steps += self._layer_steps(child, region, scope)
        return steps

    def _module_step(self, child: Region, region: Region, scope: _Names) -> list[Statement]:
        function, index = self.calls[child]
        assert child.instance is not None, "only the net has none"
        numbers = call_numbers(child.instance)
        own = child.instance.name if len(child.outputs) == 1 else ""
        found = [s for v in child.outputs for s in scope.declared(v, own, child.inputs)]
        base = self.bases[child] - self.bases[region]
        free = [f"w + {base}" if n == "w" else n for n in self.free[function.name].split()]
        values = [p.values[index] for p in function.arguments]
        args = ["r", *free, *(scope.of[v] for v in (*child.inputs, *child.outputs)), *values]
        return [*found, Statement("", call(function.name, *args), numbers=numbers)]

    def _layer_steps(self, layer: FusedLayer, region: Region, scope: _Names) -> list[Statement]:
        several = any(v in self.used for v in layer.outputs[1:])
        results = layer.outputs if several else layer.outputs[:1]
        found = [s for v in results for s in scope.declared(v, "", layer.inputs)]
        outputs = [scope.of.get(v, "") for v in results]
        inputs = [
            "" if scope.lies_in(layer, i) else scope.of[v] for i, v in enumerate(layer.inputs)
        ]
        step = _Step(self.file, layer, inputs, outputs)
        step.base = self.bases[region]
        EMITTERS[type(layer.op)](layer.op, step)
        numbers = layer_numbers(layer)
        for statement in found:
            statement.numbers = numbers
        return [*found, *(Statement("", c, numbers=numbers) for c in step.calls)]

    # --- the net ---------------------------------------------------------------------------------

    def _network(self) -> str:
        file = self.file
        args, before, after = [], list[Statement](), list[Statement]()
        scope = _Names(self, self.top, (*self.taken, *file.inputs.values()))
        outs = CNames((*self.taken, *file.inputs.values()))
        for value, name in file.inputs.items():
            args.append(f"Plain {name}")
            if value in self.places.plain:
                scope.of[value] = name
            elif value in self.used:
                before += scope.declared(value, value.name)
                before.append(self._converted("to_blocks", name, scope.of[value]))
        targets = [outs.identifier(f"{name}_out") for name, _ in file.outputs]
        scope.names = CNames((*self.taken, *file.inputs.values(), *targets, *scope.of.values()))
        steps = [*before, *self._steps(self.top, scope)]
        for target, (_, value) in zip(targets, file.outputs, strict=True):
            index = isinstance(value.shape, IndexShape)
            args.append(f"int32_t *{target}" if index else f"Plain {target}")
            kernel = "from_indices" if index else "from_blocks"
            after.append(self._converted(kernel, scope.of[value], target))
        body = list(_lines([*steps, *after]))
        given = ["const Run *r", "float *m", "const float *const *w", *args]
        head = wrapped(f"static void network({', '.join(given)}) {{", 0)
        unused = [
            f"  (void){n};" for n in ("m", "w") if not re.search(rf"\b{n}\b", "\n".join(body))
        ]
        unused += [f"  (void){name};" for v, name in file.inputs.items() if v not in self.used]
        said = comment("The steps of the network, on values in `m` and packed weights `w`.")
        return "\n".join([*said, *head, *unused, *body, "}"])

    def _converted(self, kernel: str, x: str, y: str) -> Statement:
        self.file.needed.add(piece_of(kernel))
        return Statement("", call(kernel, "r", x, y))


class _Names:
    """The names of values in one function, and where they lie there."""

    def __init__(self, functions: _Functions, region: Region, taken: Sequence[str]) -> None:
        self.functions = functions
        self.places = functions.places
        self.region = region
        self.names = CNames(taken)
        self.of: dict[Value, str] = {}

    def local(self, value: Value) -> str:
        """What a value is called here: the last part of its path."""
        return value.name.removeprefix(self.region.prefix).replace(".", "_")

    def add(self, value: Value, name: str) -> str:
        """Name a value."""
        if value not in self.of:
            self.of[value] = self.names.identifier(name)
        return self.of[value]

    def declared(self, value: Value, name: str, near: Sequence[Value] = ()) -> Iterator[Statement]:
        """The declaration of a value, if it has none; sizes may be those of a value `near`."""
        if value in self.of or value not in self.places.arena.slots:
            return
        variable = self.add(value, name or self.local(value))
        yield Statement(f"const Blocks {variable}", self._place(value, near))

    def _place(self, value: Value, near: Sequence[Value]) -> Source:
        channels, height, width = _sizes(value)
        if self.region.instance is not None:
            root, start = self.places.root(value)
            for output in self.region.outputs:
                owner, first = self.places.root(output)
                behind, size = start - first, floats(output)
                same = _sizes(output)[1:] == (height, width)
                if owner is root and same and 0 <= behind < size:
                    begin = behind // (height * width)
                    return call("part", self.of[output], str(begin), str(channels))
            for other in near:
                if other in self.of and _sizes(other)[1:] == (height, width):
                    at = self.of[other]
                    return self._record(value, channels, f"{at}.h", f"{at}.w")
        return self._record(value, channels, str(height), str(width))

    def _record(self, value: Value, channels: int, height: str, width: str) -> Source:
        parts = (f"m + {self.places.offset(value)}", str(channels), height, width)
        return FunctionCall("", tuple(map(Verbatim, parts)), brackets="{}")

    def lies_in(self, layer: FusedLayer, i: int) -> bool:
        """Whether input i of a concat lies already where it belongs."""
        if not isinstance(layer.op, Concat):
            return False
        slots = self.places.arena.slots
        start = sum(int(v.shape[0]) for v in layer.inputs[:i])
        x, y = slots.get(layer.inputs[i]), slots[layer.output]
        return x is not None and x.owner is y.owner and x.first == y.first + start


def _sizes(value: Value) -> tuple[int, int, int]:
    """Channels, height and width; a vector has one place."""
    channels, height, width = ([int(n) for n in value.shape] + [1, 1])[:3]
    return channels, height, width


def _lines(steps: Sequence[Statement]) -> Iterator[str]:
    for step in steps:
        source = re.sub(r"\b([mw]) \+ 0\b", r"\1", step.source.flat())
        yield from wrapped(f"{step.targets} = {source};" if step.targets else f"{source};")


def _has(text: str, variable: str) -> bool:
    """Whether a text reads a variable; members of structures are none."""
    return re.search(rf"(?<!\.)\b{variable}\b", text) is not None


def _type(values: Sequence[str]) -> str:
    """The type of a parameter in C, by its values in the uses."""
    kinds = {"int": r"-?\d+", "float": r"-?[\d.e+-]+f?|-?INFINITY", "Clamp": r"NONE|RELU6?"}
    for kind, form in kinds.items():
        if all(re.fullmatch(form, v) for v in values):
            return kind
    return "Window"
