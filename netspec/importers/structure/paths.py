"""The modules that an author had, by names such as `layer1.0.conv1`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import groupby

from netspec.importers.structure.graph import Graph, GraphValue, Node
from netspec.importers.structure.names import numbers_as_one
from netspec.lazy_dataclasses import dataclass

MAX_DEPTH = 20
"""Most parts of a name that are taken for modules inside each other."""
_CONTAINERS = {"", "Sequential", "ModuleList", "ModuleDict", "Module"}
"""Classes that say nothing of what is inside."""


@dataclass(eq=False)
class PathGroup:
    """Nodes in a row whose names begin with one path, those with a longer one as groups again."""

    path: str
    items: list[Node | PathGroup]

    def nodes(self) -> Iterator[Node]:
        """All nodes, also those of the groups inside."""
        for item in self.items:
            if isinstance(item, PathGroup):
                yield from item.nodes()
            else:
                yield item

    def groups(self) -> Iterator[PathGroup]:
        """All groups inside, those behind which others stand inside last."""
        for item in self.items:
            if isinstance(item, PathGroup):
                yield from item.groups()
                yield item

    @property
    def is_list(self) -> bool:
        """Whether its parts are only numbered."""
        depth = len(self.path.split(".")) if self.path else 0
        parts = [i.path if isinstance(i, PathGroup) else i.name for i in self.items]
        # A concatenation that was moved to the end may have a shorter name.
        inside = ("".join(p.split(".")[depth : depth + 1]) for p in parts if p != self.path)
        return all(part.isdigit() for part in inside)


def parent_path(name: str) -> str:
    """`layer1.0` of `layer1.0.conv1`; empty for a name without dots."""
    return name.rpartition(".")[0]


def groups_of(graph: Graph) -> PathGroup:
    """The whole graph as a group."""
    root = _group("", graph.nodes, 0)
    _take_merges(root, graph)
    return root


def _group(path: str, nodes: list[Node], depth: int) -> PathGroup:
    items: list[Node | PathGroup] = []

    def key(node: Node) -> str:
        parts = node.name.split(".")
        return ".".join(parts[: depth + 1]) if len(parts) > depth + 1 and depth < MAX_DEPTH else ""

    for inner, run in groupby(nodes, key):
        inside = list(run)
        items += [_group(inner, inside, depth + 1)] if inner else inside
    return PathGroup(path, items)


def _take_merges(group: PathGroup, graph: Graph) -> None:
    """Move a concatenation right behind a group, of what that takes and gives, to its end.

    In a DenseNet every layer begins with the concatenation that ends the one before.
    """
    users: Counter[GraphValue] = Counter(v for n in graph.nodes for v in dict.fromkeys(n.inputs))
    users.update(graph.outputs)
    for holder in (*group.groups(), group):
        for i, item in enumerate(holder.items):
            if isinstance(item, PathGroup):
                _take_merge(item, holder, i + 1, users)


def _take_merge(
    group: PathGroup, holder: PathGroup, place: int, users: Mapping[GraphValue, int]
) -> None:
    """Move what stands behind a group into it, if it only ends that."""
    while place < len(holder.items) and isinstance(inner := holder.items[place], PathGroup):
        holder, place = inner, 0
    node = holder.items[place] if place < len(holder.items) else None
    if not isinstance(node, Node) or node.op != "concat" or (place == 0 and len(holder.items) == 1):
        return
    inside = list(group.nodes())
    made = {v for n in inside for v in n.outputs}
    known = made | {v for n in inside for v in n.inputs}
    own = [v for v in node.inputs if v in made]
    alone = all(users[v] == 1 + sum(v in n.inputs for n in inside) for v in own)
    if own and alone and all(v in known for v in node.inputs):
        del holder.items[place]
        group.items.append(node)


def kinds_of(root: PathGroup, classes: Mapping[str, str]) -> dict[PathGroup, str]:
    """What groups of one module have in common: a class, else the path from one, unnumbered."""
    kinds = {root: ""}

    def add(group: PathGroup) -> None:
        for item in group.items:
            if isinstance(item, PathGroup):
                name = classes.get(item.path, "")
                own = numbers_as_one(item.path.rpartition(".")[2])
                kinds[item] = f"{kinds[group]}.{own}" if name in _CONTAINERS else name
                add(item)

    add(root)
    return kinds
