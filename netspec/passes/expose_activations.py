"""Makes every layer's value an output of the net.

    before: conv1 -> pool1 -> fire2, output fire2
    after:  the same layers, output fire2, conv1, pool1, fire2.squeeze, ...

For comparing backends layer by layer: the emitted code stays as it is but for what it returns.
"""

from __future__ import annotations

from netspec.ir import Block, Instance, Net, Node, Value
from netspec.lazy_dataclasses import dataclass, replace
from netspec.ops import Shape, like


@dataclass(frozen=True)
class ExposedNet:
    """A net, and the path of the layer that makes each output; None for outputs it had before."""

    net: Net
    paths: tuple[str | None, ...]


def expose_activations(net: Net) -> ExposedNet:
    """The net with all values as outputs, the original ones first, then in order of execution."""
    block, paths = _block(net.body, {})
    own: list[str | None] = [None] * len(net.body.outputs)
    # Of so many outputs, none are planes of boxes alone.
    return ExposedNet(replace(net, body=block, detection=None), (*own, *paths))


def _numbers(shape: Shape) -> Shape:
    """A shape without the expressions that it came from, which only the inner block knows."""
    return like(shape, tuple(map(int, shape)))


_Done = dict[Block, tuple[Block, tuple[str, ...]]]


def _block(block: Block, done: _Done) -> tuple[Block, tuple[str, ...]]:
    """The block with further outputs, and the local paths of these."""
    if block in done:
        return done[block]
    nodes: list[Node] = []
    extra: list[Value] = []
    paths: list[str] = []
    for node in block.nodes:
        if isinstance(node, Instance):
            inner, inner_paths = _block(node.block, done)
            further = inner.outputs[len(node.outputs) :]
            values = tuple(
                Value(f"{node.name}_{path.replace('.', '_')}", _numbers(v.shape))
                for path, v in zip(inner_paths, further, strict=True)
            )
            nodes.append(replace(node, block=inner, outputs=(*node.outputs, *values)))
            extra += values
            paths += [f"{node.name}.{path}" for path in inner_paths]
        else:
            nodes.append(node)
            extra.append(node.outputs[0])
            paths.append(node.name)
    exposed = replace(
        block,
        nodes=tuple(nodes),
        outputs=(*block.outputs, *extra),
        output_names=(*block.output_names, *("" for _ in extra)),
        template=None,
    )
    done[block] = exposed, tuple(paths)
    return done[block]
