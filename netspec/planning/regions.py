"""Finds the modules of a net among its fused layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netspec.ir import Block, Instance, Layer, Net, Value
from netspec.lazy_dataclasses import dataclass, field
from netspec.planning.fusion import FusedLayer, FusedNet


@dataclass(eq=False)
class Region:
    """The steps of the net or of one use of a module: fused layers, and modules inside.

    Names begin with `prefix`, those of its weights with `weights`.
    """

    block: Block
    instance: Instance | None
    prefix: str
    weights: str
    children: list[Region | FusedLayer]
    input_names: dict[Value, str]
    height: int = 0
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)

    def layers(self) -> Iterator[FusedLayer]:
        """All fused layers, also those of modules inside."""
        for child in self.children:
            if isinstance(child, Region):
                yield from child.layers()
            else:
                yield child


def regions(net: Net, fused: FusedNet) -> Region:
    """The fused net by modules; what has no steps is left out."""
    flat = iter(net.layers)
    by_path = {layer.layer.path: layer for layer in fused.layers}
    position = {v: i for i, layer in enumerate(fused.layers) for v in layer.outputs}
    last = {v: len(fused.layers) for v in fused.outputs}
    for i, layer in reversed(list(enumerate(fused.layers))):
        for value in (*layer.inputs, *layer.sized):
            last.setdefault(value, i)
    done = 0

    def walk(block: Block, outer: dict[Value, Value], into: Region) -> None:
        nonlocal done
        for node in block.nodes:
            if isinstance(node, Layer):
                layer = next(flat)
                outer.update(zip(node.outputs, layer.outputs, strict=True))
                if layer.path in by_path:
                    into.children.append(by_path[layer.path])
                    done += 1
                continue
            inputs = [outer[v] for v in node.inputs]
            inner = dict(zip(node.block.inputs, inputs, strict=True))
            if not node.block.layer_count:
                sources = node.block.forwarding.sources
                outer.update(zip(node.outputs, (inputs[i] for _, i in sources), strict=True))
                continue
            path = f"{into.prefix}{node.name}."
            weights = f"{into.weights}{node.shares or node.name}."
            names = {inner[v]: v.name for v in reversed(node.block.inputs)}
            region = Region(node.block, node, path, weights, [], names)
            start = done
            walk(node.block, inner, region)
            outer.update(
                (v, inner[w]) for v, w in zip(node.outputs, node.block.outputs, strict=True)
            )
            if region.children:
                into.children.append(region)
                into.height = max(into.height, region.height + 1)
                _connect(region, fused.layers[start:done], start, done)

    def _connect(region: Region, layers: Sequence[FusedLayer], start: int, end: int) -> None:
        read = [v for layer in layers for v in (*layer.inputs, *layer.sized)]
        region.inputs = [v for v in dict.fromkeys(read) if position.get(v, -1) < start]
        made = [v for layer in layers for v in layer.outputs if last.get(v, -1) >= end]
        region.outputs = made

    top = Region(net.body, None, "", "", [], {v: v.name for v in net.body.inputs})
    walk(net.body, {v: v for v in net.body.inputs}, top)
    top.inputs, top.outputs = list(fused.inputs), list(fused.outputs)
    return top
