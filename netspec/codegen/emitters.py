"""A backend's emitters, also those that other packages bring for their own ops.

A package offers the emitter of an op by an entry point of the group `netspec.emitters.BACKEND`
that is called as the op's keyword. Loading it must register the emitter, as the backend's own are
registered. docs/own-op.md shows one.
"""

from __future__ import annotations

from typing import TypeVar

from netspec.ops import OPS, Op, load_entry

E = TypeVar("E")


class Emitters(dict[type[Op], E]):
    """The emitters of a backend by op; those of other packages are loaded when asked for.

    `in` and `[...]` raise PluginError for one that can't be loaded.
    """

    def __init__(self, backend: str) -> None:
        super().__init__()
        self.group = f"netspec.emitters.{backend}"

    def __contains__(self, op: object) -> bool:
        return super().__contains__(op) or self._load(op)

    def __missing__(self, op: type[Op]) -> E:
        if self._load(op):
            return self[op]
        raise KeyError(op)

    def _load(self, op: object) -> bool:
        """Whether the emitter is registered after its entry point, if there is one, is loaded."""
        if isinstance(op, type) and issubclass(op, Op) and OPS.get(op.keyword) is not op:
            load_entry(self.group, op.keyword)
        return super().__contains__(op)
