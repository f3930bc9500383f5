"""DenseBlock, a layer of a fork that stands for many (github.com/Tongcheng/caffe)."""

from __future__ import annotations

from typing import Any

from netspec.importers.caffe.layer_error import LayerError
from netspec.importers.caffe.layer_translation import LayerTranslation
from netspec.importers.caffe.layers.registry import Tops, layer
from netspec.importers.caffe.message_fields import MessageFields
from netspec.importers.caffe.training_facts import trained
from netspec.importers.structure.graph import GraphValue

MAX_TRANSITIONS = 256


@layer("DenseBlock")
def dense_block(use: LayerTranslation) -> Tops:
    """Each transition adds channels, made of all that were there before: norm, ReLU, convolution.

    With `use_BC`, a 1x1 convolution to four times as many channels comes first. Blobs of a kind lie
    one behind the other: 3x3 filters, factors, shifts, means, variances, then the same of the
    1x1 convolutions and the norms behind them; the number that divides statistics is the last.
    """
    p = use.params("denseblock_param")
    channels, height, width = use.spatial()
    count, growth = p.integer("numTransition"), p.integer("growthRate")
    if not 0 < count <= MAX_TRANSITIONS or growth < 1:
        message = f"a DenseBlock has 1 to {MAX_TRANSITIONS} transitions, of 1 channel or more each"
        raise LayerError.invalid("out-of-range", message, p.span)
    if p.maybe_integer("initChannel") not in (None, channels):
        message = f"its initChannel is {p.integer('initChannel')}, but its input has {channels}"
        raise LayerError.invalid("shape-mismatch", message, p.place("initChannel"))
    _require_three_by_three(p)
    bottleneck = p.flag("use_BC")
    block = _DenseBlock(use, p, count, (10 if bottleneck else 5) * count)
    x = use.x.value
    for i in range(count):
        value = block.norm(x, i, 1, f"{i + 1}/norm")
        if bottleneck:
            value = block.conv(value, 5 * count + i, 4 * growth, 1, f"{i + 1}/conv1x1")
            value = block.norm(value, i, 6, f"{i + 1}/norm1x1")
        value = block.conv(value, i, growth, 3, f"{i + 1}/conv")
        if p.flag("use_dropout"):
            ratio = p.placed_number("dropout_amount")
            value = use.emit("dropout", value, part=f"{i + 1}/conv", ratio=ratio)
        x = use.emit("concat", [x, value], part=f"{i + 1}/concat")
    return [use.data(x, (channels + count * growth, height, width))]


def _require_three_by_three(p: MessageFields) -> None:
    """Raise LayerError for other windows than the fork knows."""
    wanted = {"pad_h": 1, "pad_w": 1, "filter_H": 3, "filter_W": 3}
    wanted |= {"conv_verticalStride": 1, "conv_horizentalStride": 1}
    for name, number in wanted.items():
        if p.integer(name) != number:
            reason = "the convolutions of a DenseBlock are 3x3, of stride and pad 1"
            raise LayerError.unsupported(reason, p.place(name))


class _DenseBlock:
    """Adds the nodes of a block, whose statistics the blob `factor` divides."""

    def __init__(self, use: LayerTranslation, p: MessageFields, count: int, factor: int) -> None:
        self.use = use
        self.p = p
        self.count = count
        self.factor = factor

    def norm(self, x: GraphValue, i: int, kind: int, name: str) -> GraphValue:
        """A batch norm and a ReLU; `kind` is where its blobs stand among the kinds of blobs."""
        use, at = self.use, [(kind + k) * self.count + i for k in range(4)]
        blobs = {
            "weight": use.blob(at[0]),
            "bias": use.blob(at[1]),
            "running_mean": use.blob(at[2], "statistic", self.factor),
            "running_var": use.blob(at[3], "statistic", self.factor),
        }
        facts: dict[str, Any] = trained(use, self.p, "BN_Scaler_Filler", "BN_Bias_Filler")
        value = use.emit("batchnorm", x, blobs=blobs, part=name, **facts)
        return use.emit("relu", value, part=name)

    def conv(self, x: GraphValue, blob: int, filters: int, kernel: int, name: str) -> GraphValue:
        facts: dict[str, Any] = trained(self.use, self.p, "Filter_Filler", None)
        return self.use.emit(
            "conv",
            x,
            blobs={"weight": self.use.blob(blob)},
            part=name,
            filters=filters,
            kernel=(kernel, kernel),
            pad=(kernel // 2, kernel // 2),
            bias=False,
            **facts,
        )
