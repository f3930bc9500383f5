"""Paths of modules in flat names: `conv2_block1_1_conv` as `conv2.block1.1_conv`.

Keras has flat names, and authors begin those of a block's layers alike. A beginning is a module
where the layers that have it follow each other, and several of them have weights.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from itertools import groupby

from netspec.importers.keras.config import KerasLayer, KerasModel
from netspec.importers.tensors.program import Operation, TensorProgram
from netspec.lazy_dataclasses import dataclass, replace
from netspec.util.keras_names import lower_case

LEAST_WEIGHTED = 2
"""Fewest operations with weights in a module; else it is a layer with what belongs to it."""
_WEIGHTED = ("conv", "conv_transpose", "linear")


_ENDS = ("add", "mul", "concat", "relu", "relu6", "silu", "gelu", "hardswish", "leaky_relu")
"""What a module may end with though Keras named it."""


@dataclass(eq=False)
class NamedPart:
    """An operation, or those that have one path already: the words of its name, names inside.

    `words` are empty for names that Keras gave.
    """

    words: tuple[str, ...]
    name: str
    operations: list[Operation]
    inner: list[str]

    @property
    def weighted(self) -> int:
        """How many of its operations have weights."""
        return sum(o.kind in _WEIGHTED for o in self.operations)


def other_names(program: TensorProgram, automatic: frozenset[str]) -> Iterator[TensorProgram]:
    """The program with more paths in its names, and with none, where these differ from its own.

    `automatic` are names that Keras gave: these belong where their neighbours do.
    """
    own = [o.name for o in program.operations]
    flat = [name.replace(".", "_") for name in own]
    grouping = _NameGrouping(automatic, dict(program.modules))
    paths = grouping.paths([(o, o.name) for o in program.operations], "")
    for names, modules in ((paths, grouping.modules), (flat, program.modules)):
        if names != own:
            renamed = [replace(o, name=n) for o, n in zip(program.operations, names, strict=True)]
            notes = list(program.notes)
            yield replace(program, operations=renamed, modules=modules, notes=notes)


class _NameGrouping:
    """Finds paths, and the class of each: what a path says beside its numbers."""

    def __init__(self, automatic: frozenset[str], modules: dict[str, str]) -> None:
        self.automatic = automatic
        self.modules = modules

    def paths(self, given: Sequence[tuple[Operation, str]], outside: str) -> list[str]:
        """New names for operations in a row, by their names inside the path `outside`."""
        parts = []
        for path, run in groupby(given, lambda one: one[1].partition(".")[0] * ("." in one[1])):
            inside = list(run)
            if path:
                rest = [(o, name.partition(".")[2]) for o, name in inside]
                inner = self.paths(rest, _joined(outside, path))
                parts.append(self._part(path, [o for o, _ in inside], inner))
            else:
                parts += [self._part(name, [o], [""]) for o, name in inside]
        return list(self._split(parts, _common(parts), outside))

    def _part(self, name: str, operations: list[Operation], inner: list[str]) -> NamedPart:
        words = () if name in self.automatic else tuple(re.findall(r"[^_]+", name))
        return NamedPart(words, name, operations, inner)

    def _split(
        self, parts: Sequence[NamedPart], done: int, outside: str, nested: bool = False
    ) -> Iterator[str]:
        """The paths of parts, whose first words are those of the modules around."""
        i = 0
        with_numbers = {p.words[:c] for p in parts for c, w in enumerate(p.words) if w.isdigit()}
        while i < len(parts):
            end, count = _module(parts, i, done, nested, with_numbers)
            if end:
                words = next(p.words for p in parts[i:end] if p.words)[done:count]
                path = "_".join(words)
                whole = _joined(outside, path)
                plain = (re.sub(r"\d+[a-h]?\Z", "", word) for word in words)
                self.modules.setdefault(whole, "_".join(filter(None, plain)))
                for inner in self._split(parts[i:end], count, whole, nested=True):
                    yield f"{path}.{inner}"
                i = end
                continue
            part = parts[i]
            own = "_".join(part.words[done:]) if part.words else part.name
            for inside in part.inner:
                yield f"{own}.{inside}" if inside else own
            i += 1


def _joined(outside: str, path: str) -> str:
    return f"{outside}.{path}" if outside else path


def _common(parts: Sequence[NamedPart]) -> int:
    """How many words all names begin with, one at least left."""
    named = [part.words for part in parts if part.words]
    count = min((len(words) - 1 for words in named), default=0)
    while count > 0 and len({words[:count] for words in named}) > 1:
        count -= 1
    return max(count, 0)


def _module(
    parts: Sequence[NamedPart],
    first: int,
    done: int,
    nested: bool,
    with_numbers: Collection[tuple[str, ...]],
) -> tuple[int, int]:
    """The end of a module that begins at a part, and how many words name it; 0 where none does.

    `with_numbers` are beginnings that others have with a number behind them.
    """
    words = parts[first].words
    for count in range(done + 1, len(words)):
        # `expanded_conv_project` stands in front of `expanded_conv_1_project`.
        alone = words[:count] in with_numbers and not words[count].isdigit()
        end = members = weighted = so_far = 0
        for i in range(first, len(parts)):
            other = parts[i]
            so_far += other.weighted
            if other.words and (other.words[:count] != words[:count] or len(other.words) == count):
                break
            if alone and other.words and other.words[count].isdigit():
                break
            if other.words:
                end, weighted, members = i + 1, so_far, members + 1
        numbered = alone or re.search(r"\d[a-h]?\Z", words[count - 1])
        if not (numbered or nested) or members < 2 or weighted < LEAST_WEIGHTED:
            continue
        if end - first == len(parts):
            continue
        named = [p.words for p in parts[first:end] if p.words]
        end = _with_ends(parts, first, end)
        while all(len(w) > count + 1 for w in named) and len({w[: count + 1] for w in named}) == 1:
            count += 1
        return end, count
    return 0, 0


def _with_ends(parts: Sequence[NamedPart], first: int, end: int) -> int:
    """The end of a module with what Keras named behind it, such as the sum with its input."""
    made = {t for part in parts[first:end] for o in part.operations for t in o.outputs}
    while end < len(parts) and not parts[end].words:
        operations = parts[end].operations
        takes = any(t in made for o in operations for t in o.inputs)
        if not takes or any(o.kind not in _ENDS for o in operations):
            break
        made |= {t for o in operations for t in o.outputs}
        end += 1
    return end


def automatic_names(model: KerasModel) -> frozenset[str]:
    """The names that Keras gave to layers, such as `conv2d_7`, with those of their activations."""
    return frozenset(
        name
        for layer in model.all_layers()
        if re.fullmatch(rf"{re.escape(lower_case(layer.kind))}(_\d+)?", layer.name)
        for name in (layer.name, *(f"{layer.name}_{a}" for a in _activation(layer)))
    )


def _activation(layer: KerasLayer) -> Iterator[str]:
    word = layer.config.get("activation")
    if isinstance(word, str):
        yield word
