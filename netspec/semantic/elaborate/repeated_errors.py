"""Where the same error recurs: one diagnostic, which lists the uses and iterations that have it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from netspec.diagnostics import Diagnostic
from netspec.lazy_dataclasses import dataclass, field, replace
from netspec.semantic.imports import ModuleDefinition

MAX_LISTED = 4
"""Most uses of a module, or iterations of a loop, that a diagnostic lists."""

Key = object
"""What makes a run of a body: module, arguments and shapes. None is that of the net."""


@dataclass
class RepeatedDiagnostic:
    """A diagnostic as first seen, and the runs of bodies in which it was seen."""

    diagnostic: Diagnostic
    key: Key
    keys: dict[Key, None] = field(default_factory=dict)
    loops: dict[tuple[str, ...], None] = field(default_factory=dict)
    """The iterations of loops in which the first run had it."""

    def add(self, key: Key, loops: tuple[str, ...]) -> None:
        self.keys[key] = None
        if key == self.key:
            self.loops[loops] = None


class Uses:
    """Which runs of modules' bodies are used by which, in order."""

    def __init__(self) -> None:
        self._outer: dict[Key, list[tuple[Key, str]]] = {None: []}
        self._keys: dict[ModuleDefinition, dict[Key, None]] = {}
        self._module: dict[Key, ModuleDefinition] = {}
        self._counts: dict[Key, int] = {None: 1}
        self._unreached: set[_Unreached] = set()

    def add(self, module: ModuleDefinition, key: Key, outer: Key, name: str) -> None:
        """Record that the run `outer` has an instance of this name, whose body is the run `key`."""
        self._outer.setdefault(key, []).append((outer, name))
        self._keys.setdefault(module, {})[key] = None
        self._module[key] = module

    def unreached(self, module: ModuleDefinition, outer: Key, name: str) -> None:
        """Record that the run `outer` uses a module that is not run, as its inputs are unknown."""
        key = _Unreached(module)
        self._unreached.add(key)
        self.add(module, key, outer, name)

    def count(self, key: Key) -> int:
        """How often the net as a whole uses a run, directly or not."""
        if key not in self._counts:
            self._counts[key] = sum(self.count(outer) for outer, _ in self._outer[key])
        return self._counts[key]

    def paths(self, key: Key) -> Iterator[str]:
        """The paths of the instances that use a run, in order."""
        for outer, name in self._outer[key]:
            if outer is None:
                yield name
            else:
                yield from (f"{path}.{name}" for path in self.paths(outer))

    def describe(self, keys: Iterable[Key]) -> str:
        """`in 3 of 8 uses of fire: fire2, fire3, fire4`; empty for a module used once."""
        keys = [key for key in keys if key is not None]
        if not keys:
            return ""
        module = self._module[keys[0]]
        every = self._keys[module]
        total = sum(map(self.count, every))
        if total == 1:
            return ""
        found = sum(map(self.count, keys))
        word = f"uses of {module.definition.name.text}"
        if any(key.module is not module for key in self._unreached):
            word += " so far"  # another module, not looked at, may use this one
        if found == total:
            return f"in {'both' if total == 2 else f'all {total:,}'} {word}"
        text = f"in {found:,} of {total:,} {word}"
        if found > 1:
            paths = islice((p for key in keys for p in self.paths(key)), MAX_LISTED)
            text += f": {listed(paths, found)}"
        unknown = sum(self.count(key) for key in every if isinstance(key, _Unreached))
        return text + (f" ({unknown:,} can't be checked yet)" if unknown else "")


@dataclass(frozen=True)
class _Unreached:
    module: ModuleDefinition


def listed(words: Iterable[str], total: int) -> str:
    """`a`, `a and b`, `a, b, c and 5 more`."""
    words = list(words)
    rest = total - len(words)
    if rest:
        return ", ".join(words) + f" and {rest:,} more"
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def finished(report: RepeatedDiagnostic, uses: Uses | None) -> Diagnostic:
    """The diagnostic with where it recurs; `uses` are None where they are not complete."""
    also = []
    if uses is not None:
        also.append(uses.describe(report.keys))
    iterations = [", ".join(iteration) for iteration in report.loops if iteration][1:]
    if iterations:
        also.append(f"also where {listed(iterations[:MAX_LISTED], len(iterations))}")
    return replace(report.diagnostic, also=tuple(a for a in also if a))
