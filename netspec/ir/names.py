"""Other names for the layers of a net, by their old ones."""

from __future__ import annotations

from collections.abc import Container, Mapping
from functools import cached_property
from typing import Any

from netspec.lazy_dataclasses import dataclass, field


@dataclass(frozen=True, eq=False)
class NameMap:
    """New names of the layers and instances of a net, or of a block of a module.

    `paths` are names by the path there, `modules` names of what stands in a module, by the module's
    name and the old name there; the former win. A new name may have dots, and that of what stands
    in an instance begins with the instance's. `module` is the module whose block it is. `bare` are
    layers, by module and old name there, whose only tensor is called as they are.
    """

    paths: Mapping[str, str]
    modules: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    module: str = ""
    bare: frozenset[tuple[str, str]] = frozenset()
    _known: dict[Any, NameMap] = field(default_factory=dict, repr=False)

    @cached_property
    def here(self) -> Mapping[str, str]:
        """The new names of what stands in the block itself."""
        own = {old: new for old, new in self.paths.items() if "." not in old}
        return {**self.modules.get(self.module, {}), **own}

    def name(self, old: str) -> str:
        """The new name of a layer or instance of the block."""
        return self.here.get(old, old)

    def is_bare(self, old: str) -> bool:
        """Whether the only tensor of a layer of the block is called as the layer."""
        return (self.module, old) in self.bare

    @property
    def is_single(self) -> bool:
        """Whether they are for one instance of a module alone."""
        return bool(self.module and self.paths)

    @cached_property
    def below(self) -> Mapping[str, Mapping[str, str]]:
        """The rules for what stands in an instance, by the instance and the path in it."""
        found: dict[str, dict[str, str]] = {}
        for old, new in self.paths.items():
            instance, dot, rest = old.partition(".")
            if dot:
                found.setdefault(instance, {})[rest] = new
        return found

    def inside(self, instance: str, module: str) -> NameMap:
        """The names in an instance of a module; one object where no rule is for this one only."""
        rules = self.below.get(instance, {})
        key = (module, id(self), instance) if rules else module
        if key not in self._known:
            start = len(self.name(instance)) + 1
            own = {old: new[start:] for old, new in rules.items()}
            self._known[key] = NameMap(own, self.modules, module, self.bare, self._known)
        return self._known[key]


def free_name(name: str, taken: Container[str]) -> str:
    """A name for what has no weights, where others took its own."""
    while name in taken:
        name += "_"
    return name
