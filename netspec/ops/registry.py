"""Ops by keyword: netspec's own, and those of other installed packages.

A package offers an op by an entry point of the group `netspec.ops` that is called as the op's
keyword and names its class:

    [project.entry-points."netspec.ops"]
    squareplus = "netspec_squareplus:SquarePlus"

Entry points are looked up only where a keyword is none of netspec's own, or all ops are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from netspec.ops import (
    activation,
    constants,
    convolution,
    merging,
    normalization,
    pooling,
    reducing,
    regularization,
    reshaping,
    resizing,
)
from netspec.ops.base import DECLARED, Family, Op

GROUP = "netspec.ops"

FAMILIES: tuple[Family, ...] = (
    activation.ACTIVATION,
    constants.CONSTANT,
    convolution.CONVOLUTION,
    merging.MERGING,
    normalization.NORMALIZATION,
    pooling.POOLING,
    reducing.REDUCING,
    regularization.REGULARIZATION,
    reshaping.RESHAPING,
    resizing.RESIZING,
)
"""Netspec's own families, in the order of the reference."""

OPS: Mapping[str, type[Op]] = MappingProxyType(dict(DECLARED))
"""Netspec's own ops by keyword, in the order of declaration."""


class PluginError(Exception):
    """What an entry point names can't be used; the message says why."""


def find_op(keyword: str) -> type[Op] | None:
    """The op of a keyword: netspec's own, or one of an installed package.

    None where there is none, or where it can't be loaded: `load_problems` says why.
    """
    if keyword in OPS:
        return OPS[keyword]
    try:
        load_entry(GROUP, keyword)
    except PluginError:
        return None
    return DECLARED.get(keyword)


def op_names() -> list[str]:
    """The keywords of all ops, also of those in installed packages that are not loaded yet."""
    return list(dict.fromkeys([*DECLARED, *(e.name for e in _entries(GROUP))]))


def all_ops() -> dict[str, type[Op]]:
    """All ops by keyword, netspec's own first; without those that can't be loaded."""
    found = {name: find_op(name) for name in op_names()}
    return {name: op for name, op in found.items() if op is not None}


def load_problems(keyword: str | None = None) -> list[str]:
    """Why ops that installed packages offer can't be used: all of them, or that of one keyword."""
    names = {e.name for e in _entries(GROUP)} if keyword is None else {keyword}
    problems = []
    for name in sorted(names):
        try:
            load_entry(GROUP, name)
        except PluginError as error:
            problems.append(str(error))
    return problems


def load_entry(group: str, name: str) -> Any:
    """What the entry point of a name in a group stands for; None where there is none.

    Raises PluginError where it can't be loaded, or where packages contradict each other.
    """
    entries = _entries(group, name)
    if not entries:
        return None
    packages = [e.dist.name if e.dist else e.value for e in entries]
    if group == GROUP and name in OPS:
        raise PluginError(
            f"{packages[0]} offers an op {name}, but netspec has one of that name: "
            "netspec's own is used"
        )
    if len(entries) > 1:
        raise PluginError(f"{' and '.join(packages)} both offer {name}: uninstall one of them")
    try:
        found = entries[0].load()
    except Exception as error:  # whatever the package's module raises
        raise PluginError(
            f"{packages[0]} offers {name}, but {entries[0].value} can't be loaded: "
            f"{type(error).__name__}: {error}"
        ) from error
    if group == GROUP and DECLARED.get(name) is not found:
        raise PluginError(
            f"{packages[0]} offers an op {name}, but {entries[0].value} is not declared "
            f'with `@op("{name}", ...)`'
        )
    return found


def _entries(group: str, name: str | None = None) -> list[Any]:
    return [e for e in _group(group) if name is None or e.name == name]


@cache
def _group(group: str) -> tuple[Any, ...]:
    from importlib.metadata import entry_points  # it takes 20 ms, and most specs need none

    return tuple(entry_points(group=group))
