"""Gives layers and instances other names.

    before: conv1, conv1_relu, pool1, fire2 { squeeze ... }
    after:  features.0, conv1_relu, pool1, features.3 { squeeze ... }
            with conv1 -> features.0, fire2 -> features.3

What has no weights keeps its name. Blocks keep their templates, and know the names that differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from netspec.ir import Block, Instance, Layer, Net, Node
from netspec.ir.names import NameMap, free_name
from netspec.lazy_dataclasses import replace


class CannotRename(Exception):
    """Names that don't fit the net; `rule` is the module (or "") and the old name of the rule."""

    def __init__(self, message: str, rule: tuple[str, str]) -> None:
        super().__init__(message)
        self.message = message
        self.rule = rule


class RenamedNet(NamedTuple):
    """The net with its new names; `keys` are the new names of all tensors by the old ones."""

    net: Net
    keys: Mapping[str, str]


def rename(net: Net, names: NameMap) -> RenamedNet:
    """The net under these names. Raises CannotRename for names that do not fit it."""
    work = _Rename()
    renamed = replace(net, body=work.block(net.body, names, "", ""))
    for module, name in _rules(names):
        if (module, name) not in work.used:
            where = f"the module {module}" if module else net.name
            message = f"{where} has no layer {name} with weights"
            raise CannotRename(message, (module, name))
    return RenamedNet(renamed, dict(zip(net.tensors, renamed.tensors, strict=True)))


def _rules(names: NameMap) -> Iterable[tuple[str, str]]:
    yield from (("", path) for path in names.paths)
    for module, rules in names.modules.items():
        yield from ((module, name) for name in rules)


class _Rename:
    def __init__(self) -> None:
        self.used: set[tuple[str, str]] = set()
        self.done: dict[tuple[Block, NameMap], Block] = {}
        self.weighted: dict[Block, bool] = {}

    def block(self, block: Block, names: NameMap, old: str, new: str) -> Block:
        """A block whose path was `old` and is `new` (both end in a dot, or are empty)."""
        if (block, names) in self.done:
            return self.done[block, names]
        nodes: list[Node] = []
        rules: dict[str, tuple[str, str]] = {}
        """The rule of each new name."""
        for node in block.nodes:
            if node.shares is not None:
                owner = names.name(node.shares)
                if isinstance(node, Instance):
                    inner = names.inside(node.shares, node.block.module)
                    before, after = f"{old}{node.shares}.", f"{new}{owner}."
                    node = replace(node, block=self.block(node.block, inner, before, after))
                nodes.append(replace(node, shares=owner))
                continue
            if not self.has_tensors(node):
                nodes.append(node)
                continue
            name = names.name(node.name)
            of_module = node.name in names.here and node.name not in names.paths
            rule = (names.module, node.name) if of_module else ("", old + node.name)
            if node.name in names.here:
                self.used.add(rule)
            if name in rules:
                rule = rule if node.name in names.here else rules[name]
                raise CannotRename(f"two layers would both be called {name}", rule)
            if "training" in name.split(".")[1:]:
                message = f"{name} can't be a layer, as PyTorch's modules have a flag `training`"
                raise CannotRename(message, rule)
            rules[name] = rule
            if isinstance(node, Layer):
                bare = names.is_bare(node.name)
                same = (name, bare) == (node.name, node.bare)
                nodes.append(node if same else replace(node, name=name, bare=bare))
                continue
            for path, other in names.below.get(node.name, {}).items():
                if not other.startswith(f"{name}."):
                    message = f"what it stands in becomes {new}{name}"
                    path = f"{old}{node.name}.{path}"
                    raise CannotRename(f"{path} can't become {new}{other}: {message}", ("", path))
            inner = names.inside(node.name, node.block.module)
            body = self.block(node.block, inner, f"{old}{node.name}.", f"{new}{name}.")
            same = name == node.name and body is node.block
            nodes.append(node if same else replace(node, name=name, block=body))
        for name in rules:
            for place in (i for i, c in enumerate(name) if c == "."):
                if name[:place] in rules:
                    rule = rules[name[:place]]
                    message = f"{name[:place]} can't be the name of {rule[1]} and contain others"
                    raise CannotRename(f"{message} as well", rule)
        taken = {name.partition(".")[0] for name in rules}
        for i, node in enumerate(nodes):
            name = free_name(node.name, taken) if not self.has_tensors(node) else node.name
            nodes[i] = node if name == node.name else replace(node, name=name)
            taken.add(name)
        same = all(_is_same(a, b) for a, b in zip(nodes, block.nodes, strict=True))
        made = block if same else replace(block, nodes=tuple(nodes), names=names)
        self.done[block, names] = made
        return made

    def has_tensors(self, node: Node) -> bool:
        """Whether a node has tensors of its own."""
        if node.shares is not None:
            return False
        if isinstance(node, Layer):
            return bool(node.tensors)
        block = node.block
        if block not in self.weighted:
            self.weighted[block] = any(map(self.has_tensors, block.nodes))
        return self.weighted[block]


def _is_same(a: Node, b: Node) -> bool:
    """Whether a renamed node is as it was."""
    block = isinstance(a, Instance) and isinstance(b, Instance) and a.block is not b.block
    bare = isinstance(a, Layer) and isinstance(b, Layer) and a.bare != b.bare
    return (a.name, a.shares) == (b.name, b.shares) and not block and not bare
