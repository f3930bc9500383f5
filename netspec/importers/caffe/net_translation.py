"""The graph of a net while its layers are translated."""

from __future__ import annotations

from math import prod

from netspec.diagnostics import Diagnostics
from netspec.importers.caffe.blob_values import BlobValue, Dims, dims_text, language_shape
from netspec.importers.caffe.caffe_net import BlobName
from netspec.importers.caffe.layer_error import LayerError
from netspec.importers.caffe.read_options import ReadOptions
from netspec.importers.structure.graph import DataInput, FieldValue, GraphValue, Node
from netspec.lazy_dataclasses import dataclass
from netspec.ops import ShapeError
from netspec.ops.attribute_types import AttributeTypeError
from netspec.ops.base import MAX_ELEMENTS

USUAL = (3, 224, 224)
"""The shape of pictures in messages where nothing is known of them."""


@dataclass(frozen=True)
class Labels:
    """The data that is no input: tops of sources of data, inputs outside of layers."""

    made: frozenset[BlobName]
    unmade: frozenset[str]
    """The names of blobs that no layer of the net makes, such as those of another phase."""
    read: frozenset[str]
    """The names of blobs that layers take."""
    inputs: int
    """How much data there is beside them."""
    proposing: frozenset[int]
    """The identities of layers without counterpart that only make regions to pool over."""

    def holds(self, top: BlobName) -> bool:
        """Whether a top of a source of data, in this phase or another, is no input."""
        return top in self.made or top.name in self.unmade or top.name not in self.read


@dataclass(frozen=True)
class MissingShape:
    """An input whose shape the file does not say; `channels` where it says these alone.

    `option` is what stands before a shape in `--input`.
    """

    blob: BlobName
    channels: int | None
    option: str


class NetTranslation:
    """The inputs and nodes so far, and what the rules of layers note for the whole net."""

    def __init__(
        self,
        options: ReadOptions,
        labels: Labels,
        phase: str,
        states_multipliers: bool,
        diagnostics: Diagnostics,
    ) -> None:
        self.options = options
        self.labels = labels
        self.phase = phase
        self.states_multipliers = states_multipliers
        """Whether any layer has factors of its learning rate or decay."""
        self.diagnostics = diagnostics
        self.inputs: list[DataInput] = []
        self.nodes: list[Node] = []
        self.unneeded: set[GraphValue] = set()
        """Values that are no result of the net though no node takes them."""
        self.results: list[GraphValue] = []
        """Values that are results of the net though nodes may take them."""
        self.missing: dict[str, MissingShape] = {}
        """Inputs without a shape, by name."""
        self.mean_files: list[str] = []
        """Files of means that Caffe would subtract from the input."""

    def add_input(
        self,
        blob: BlobName,
        dims: Dims | None,
        batch: int | None,
        settings: dict[str, FieldValue],
        channels: int | None = None,
    ) -> BlobValue:
        """Add a data input. Raises LayerError without a shape, or for one no value can have.

        `channels` are those of an input without a shape, if they are known.
        """
        if dims is None:
            which = f"{blob.name}=" if self.labels.inputs > 1 else ""
            self.missing[blob.name] = MissingShape(blob, channels, which)
            example = dims_text(self.options.examples.get(blob.name, USUAL))
            raise LayerError.invalid(
                "missing-shape",
                f"the file does not say what shape the input {blob.name} has",
                blob.span,
                f"say it with `--input`, for example `--input {which}{example}`",
            )
        if not all(0 < d < 2**31 for d in dims) or len(dims) > 3:
            shape = dims_text(dims, "nothing")
            raise LayerError.unsupported(
                f"the input {blob.name} is {shape} behind its batch, which no value can be",
                blob.span,
            )
        value = GraphValue(None, language_shape(dims))
        self.inputs.append(DataInput(value, blob.name, blob.span, settings))
        return BlobValue(value, dims, batch, blob.span)

    def stated_shape(self, name: str) -> Dims | None:
        """The shape that `--input` gives for the input `name`."""
        return self.options.shapes.get(name) or self.options.shapes.get("")

    def without_size(self) -> DataInput | None:
        """The first picture for which the file says 1x1, and no option anything else."""
        return next(
            (
                given
                for given in self.inputs
                if tuple(given.value.shape) in ((1, 1, 1), (3, 1, 1))
                and self.stated_shape(given.name) is None
            ),
            None,
        )

    def add(self, node: Node) -> Node:
        """Add a node and compute its shapes. Raises LayerError where they fail or are too large."""
        self.nodes.append(node)
        try:
            node.infer_outputs()
        except (AttributeTypeError, ShapeError):
            node.outputs = [GraphValue(node, (1,))]
            raise LayerError from None
        if node.most_elements > MAX_ELEMENTS:
            shape = dims_text(max((v.shape for v in node.outputs), key=prod))
            message = f"{node.name or node.op} gives {shape}, which is more than netspec handles"
            raise LayerError.invalid("too-large", message, node.span)
        return node
