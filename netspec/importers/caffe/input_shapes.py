"""Shapes of inputs that a prototxt leaves to its data: what fits the net, taken or as an example.

Training files name a database, and how large its pictures are stands there. A shape is looked for
with which all layers fit together. Where the file says how many channels there are and no weight
depends on height and width, as in detectors and segmenting nets, it is taken, with a warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import chain

from netspec.diagnostics import Diagnostic, Diagnostics
from netspec.importers.caffe.blob_values import Dims, dims_text
from netspec.importers.caffe.caffe_net import CaffeNet
from netspec.importers.caffe.net_translation import MissingShape
from netspec.importers.caffe.read_options import ReadOptions
from netspec.importers.caffe.translate import Translation, translate
from netspec.importers.structure.graph import Graph
from netspec.lazy_dataclasses import replace
from netspec.ops import ShapeError
from netspec.ops.attribute_types import AttributeTypeError

BY_NAME = (("mnist|lenet", (1, 28, 28)), ("cifar", (3, 32, 32)))
"""Words of a file that say which pictures it is about."""
SIZES = (
    *((224, 224), (227, 227), (256, 256), (299, 299), (300, 300), (321, 321), (368, 368)),
    *((416, 416), (448, 448), (512, 512), (572, 572), (600, 600), (128, 128), (64, 64), (32, 32)),
    *((28, 28), (360, 480), (480, 640), (320, 448), (384, 512), (512, 1024)),
)
MOST_LAYERS = 5_000
"""Most layers that are translated while shapes are tried."""


def settle_shapes(
    net: CaffeNet, options: ReadOptions, missing: Mapping[str, MissingShape], found: Diagnostics
) -> ReadOptions:
    """The options with shapes for inputs that lack one, each with a warning, or with examples."""
    trial = _ShapeTrial(net, options, missing)
    known = {m.channels for m in missing.values()}
    if len(known) == 1 and None not in known:
        taken = trial.independent(known.pop() or 0)
        if taken is not None:
            for given in missing.values():
                found.add(_taken(given, taken))
            return replace(options, shapes={**options.shapes, **dict.fromkeys(missing, taken)})
    fitting = next(filter(trial.fits, trial.candidates()), None)
    examples = {} if fitting is None else dict.fromkeys(missing, fitting)
    return replace(options, examples=examples)


def _taken(given: MissingShape, dims: Dims) -> Diagnostic:
    return Diagnostic(
        "assumed-shape",
        f"the file does not say how large {given.blob.name} is: it is {dims_text(dims)} here",
        given.blob.span,
        notes=("weights do not depend on it, multiplications do",),
        help=(f"another size: `--input {given.option}{dims[0]}x480x640`",),
    )


class _ShapeTrial:
    """Translations with shapes for all inputs that lack one."""

    def __init__(
        self, net: CaffeNet, options: ReadOptions, missing: Mapping[str, MissingShape]
    ) -> None:
        self.net, self.options, self.missing = net, options, missing
        self.left = MOST_LAYERS

    def candidates(self) -> Iterator[Dims]:
        """Shapes to try, likely ones first."""
        text = self.net.source.text
        named = [dims for words, dims in BY_NAME if re.search(words, text, re.IGNORECASE)]
        known = {m.channels for m in self.missing.values() if m.channels is not None}
        counts = [*known] or [*self.sliced(), *(channels for channels, *_ in named), 3, 1]
        squares = ((n, n) for n in range(16, 769, 8))
        for size in chain([(height, width) for _, height, width in named], SIZES, squares):
            yield from ((count, *size) for count in counts)

    def sliced(self) -> Iterator[int]:
        """Channels of inputs that are sliced into equal parts."""
        for layer in self.net.layers:
            if layer.type == "Slice" and any(b.name in self.missing for b in layer.bottoms):
                points = layer.params("slice_param").integers("slice_point")
                if points and 0 < points[0] < 64:
                    yield points[0] * (len(points) + 1)

    def translation(self, dims: Dims) -> Translation | None:
        """The net with inputs of a shape; None where it does not fit, or too much was tried."""
        self.left -= len(self.net.layers)
        if self.left < 0:
            return None
        errors = Diagnostics()
        shapes = {**self.options.shapes, **dict.fromkeys(self.missing, dims)}
        result = translate(self.net, replace(self.options, shapes=shapes), errors)
        return None if result.failed or errors.failed else result

    def fits(self, dims: Dims) -> bool:
        return self.translation(dims) is not None

    def independent(self, channels: int) -> Dims | None:
        """A shape of so many channels that fits; None where weights depend on its size."""
        fitting: list[tuple[Dims, list[Dims]]] = []
        for size in SIZES:
            result = self.translation((channels, *size))
            if result is not None:
                fitting.append(((channels, *size), _weights(result.graph)))
            if len(fitting) == 2:
                (dims, first), (_, second) = fitting
                return dims if first == second else None
        return None


def _weights(graph: Graph) -> list[Dims]:
    """The shapes of all tensors of a graph, in order."""
    found: list[Dims] = []
    for node in graph.nodes:
        try:
            tensors = node.bound().tensors([v.shape for v in node.inputs])
        except (AttributeTypeError, ShapeError):
            continue
        found += (tuple(int(d) for d in tensor.shape) for tensor in tensors.values())
    return found
