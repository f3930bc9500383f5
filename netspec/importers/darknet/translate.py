"""The sections of a cfg as a graph, one after the other, with the order of their weights.

After parser.c and the layers of Darknet (github.com/pjreddie/darknet, AlexeyAB/darknet).
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import prod
from typing import Any

from netspec.diagnostics.suggest import did_you_mean
from netspec.importers.darknet.cfg import CfgError, CfgSection
from netspec.importers.darknet.order import LayerNumbers
from netspec.importers.structure.graph import DataInput, FieldValue, Graph, GraphValue, Node
from netspec.lazy_dataclasses import dataclass, field
from netspec.ops import ShapeError
from netspec.ops.attribute_types import AttributeTypeError
from netspec.ops.base import MAX_ELEMENTS

ACTIVATIONS: dict[str, tuple[str, Fraction | None]] = {
    "relu": ("relu", None),
    "relu6": ("relu6", None),
    "leaky": ("leaky_relu", Fraction(1, 10)),
    "logistic": ("sigmoid", None),
    "tanh": ("tanh", None),
    "elu": ("elu", None),
    "selu": ("selu", None),
    "swish": ("silu", None),
    "mish": ("mish", None),
    "gelu": ("gelu", None),
    "hardtan": ("hardtanh", None),
}
HEADS = ("yolo", "region", "detection", "Gaussian_yolo")
"""What Darknet decodes boxes with: outside of the net, which ends in front of it."""
TRAINING = ("cost",)
OF_TRAINING = frozenset(
    (
        *("learning_rate", "reverse", "stopbackward", "train_only_bn", "assisted_excitation"),
        *("keep_delta_gpu", "angle", "saturation", "exposure", "shift", "noloss", "coefficient"),
        *("grad_centr", "steps", "burnin_update", "try_fix_nan"),
    )
)
"""Options of sections that say how a net is trained."""
NEUTRAL = {
    "binary": "0",
    "xnor": "0",
    "bin_output": "0",
    "flipped": "0",
    "dontload": "0",
    "dontloadscales": "0",
    "antialiasing": "0",
    "cbn": "0",
    "deform": "0",
    "rotate": "0",
    "stretch": "0",
    "sway": "0",
    "weights_type": "none",
    "weights_normalization": "none",
    "alpha": "1",
    "beta": "1",
    "temperature": "1",
    "maxpool_depth": "0",
    "flatten": "0",
    "extra": "0",
    "scale_wh": "0",
    "stream": "-1",
    "wait_stream": "-1",
}
"""Options that change what a section computes or reads, with the values that change nothing."""


@dataclass
class Translated:
    """The graph so far; `heads` are the sections in front of which the net ends."""

    graph: Graph
    blocks: list[LayerNumbers] = field(default_factory=list)
    heads: list[CfgSection] = field(default_factory=list)
    dropped: list[CfgSection] = field(default_factory=list)


def translate(sections: list[CfgSection]) -> Translated:
    """The graph of a cfg. Raises CfgError."""
    return _Translation(sections).run()


class _Translation:
    def __init__(self, sections: list[CfgSection]) -> None:
        self.net, *self.sections = sections
        self.graph = Graph([], [], [])
        self.out = Translated(self.graph)
        self.made: list[GraphValue] = []
        """The result of each section."""
        self.counts: dict[str, int] = {}
        self.named: CfgSection | None = None
        self.number = 0
        self.upcoming: CfgSection | None = None
        self.decoded: set[int] = set()
        """The sections in front of which the net ends."""

    def run(self) -> Translated:
        net = self.net
        if "inputs" in net.options and "height" not in net.options:
            shape: tuple[int, ...] = (net.integer("inputs", least=1),)
        else:
            height, width = net.integer("height", least=1), net.integer("width", least=1)
            shape = (net.integer("channels", 3, 1), height, width)
        if prod(shape) > MAX_ELEMENTS:
            raise CfgError("too-large", "the input is larger than netspec handles", net.span)
        scale = FieldValue(Fraction(1, 255), net.span)
        settings = {"scale": scale} if len(shape) == 3 and shape[0] in (1, 3) else {}
        self.value = GraphValue(None, shape)
        self.graph.inputs.append(DataInput(self.value, "data", net.span, settings))
        for place, section in enumerate(self.sections):
            rule = _RULES.get(section.name)
            following = iter(self.sections[place + 1 : place + 2])
            if section.name in HEADS:
                self.graph.outputs.append(self.value)
                self.out.heads.append(section)
                self.decoded.add(len(self.made))
            elif section.name in TRAINING:
                self.out.dropped.append(section)
            elif rule is None:
                known = ", ".join(sorted({*_RULES, *HEADS}))
                message = f"[{section.name}] can't be expressed"
                raise CfgError("unsupported-layer", message, section.span, f"these can: {known}")
            else:
                self.upcoming = next(following, None)
                rule(self, section)
                self._refuse_unread(section)
            self.made.append(self.value)
        if not self.graph.outputs or self.made[-1] not in self.graph.outputs:
            if not self.out.heads or self.sections[-1].name not in HEADS:
                self.graph.outputs.append(self.value)
        return self.out

    # --- nodes -----------------------------------------------------------------------------------

    def emit(
        self, op: str, section: CfgSection, *inputs: GraphValue, step: bool = False, **settings: Any
    ) -> GraphValue:
        """A node of an op on these inputs, or on the value at hand."""
        given = list(inputs) or [self.value]
        fields = {
            name: FieldValue(value, section.span)
            for name, value in settings.items()
            if value is not None
        }
        short = {"maxpool": "pool", "add": "res", "concat": "route"}.get(op, op)
        if section is not self.named:  # the ops of a section have its number
            self.named = section
            self.counts[short] = self.counts.get(short, 0) + 1
            self.number = self.counts[short]
        name = f"{short}{self.number}"
        node = Node(
            op, given, fields, name, section.span, [section.span] * len(given), is_step=step
        )
        self.graph.nodes.append(node)
        try:
            node.infer_outputs()
        except (AttributeTypeError, ShapeError) as error:
            message = f"[{section.name}]: {error.message}"
            raise CfgError(error.code, message, section.span) from None
        if node.most_elements > MAX_ELEMENTS:
            message = f"[{section.name}] gives more than netspec handles"
            raise CfgError("too-large", message, section.span)
        self.value = node.outputs[0]
        return self.value

    def activate(self, section: CfgSection, default: str = "linear") -> None:
        """The activation that a section names."""
        word = section.word("activation", default)
        if word == "linear":
            return
        if word not in ACTIVATIONS:
            message = f"the activation {word} can't be expressed"
            help_ = f"these can: linear, {', '.join(ACTIVATIONS)}"
            raise CfgError("unsupported-layer", message, section.place("activation"), help_)
        op, slope = ACTIVATIONS[word]
        self.emit(op, section, slope=slope)

    def earlier(self, section: CfgSection, name: str, number: int) -> GraphValue:
        """The result of a section by its number, from the front or, negative, from here back."""
        place = number if number >= 0 else len(self.made) + number
        if not 0 <= place < len(self.made):
            message = f"there is no section {number} in front of this one"
            raise CfgError("unknown-name", message, section.place(name))
        if place in self.decoded:
            message = f"section {place} decodes boxes, and is no part of the net"
            raise CfgError("unsupported-layer", message, section.place(name))
        return self.made[place]

    def _refuse_unread(self, section: CfgSection) -> None:
        """Raise CfgError for an option that nothing here has looked at."""
        for name, option in section.options.items():
            if name in section.read or name in OF_TRAINING or NEUTRAL.get(name) == option.text:
                continue
            known = did_you_mean(name, section.read)
            message = f"[{section.name}] with {name}={option.text} can't be expressed"
            if name not in NEUTRAL and known:
                message = f"[{section.name}] has no option {name}"
            raise CfgError("unsupported-layer", message, option.span, *known)

    # --- sections --------------------------------------------------------------------------------

    def convolutional(self, section: CfgSection) -> None:
        filters, kernel = section.integer("filters", 1, 1), section.integer("size", 1, 1)
        dilation = section.integer("dilation", 1, 1) if kernel > 1 else 1
        section.read.add("dilation")
        pad = section.integer("padding", 0)
        if section.integer("pad", 0):
            pad = kernel // 2
        pad *= dilation
        normal = bool(section.integer("batch_normalize", 0))
        groups = section.integer("groups", 1, 1)
        channels = self._map(section)[0]
        if channels % groups or filters % groups:
            message = f"{groups} groups do not divide {channels} and {filters} channels"
            raise CfgError("groups-mismatch", message, section.place("groups"))
        conv = self.emit(
            "conv",
            section,
            filters=Fraction(filters),
            kernel=Fraction(kernel),
            stride=self._stride(section),
            pad=_number(pad, 0),
            dilation=_number(dilation, 1),
            groups=_number(groups, 1),
            bias=False if normal else None,
            step=normal,
        )
        shape = (filters, channels // groups, kernel, kernel)
        self._weights(conv, normal, shape, section)
        self.activate(section, "logistic")

    def _stride(self, section: CfgSection) -> Fraction | tuple[Fraction, ...] | None:
        """The stride of a convolution, None for 1."""
        stride = section.integer("stride", 1, 1)
        down, across = (
            section.integer("stride_y", stride, 1),
            section.integer("stride_x", stride, 1),
        )
        return _number(down, 1) if down == across else (Fraction(down), Fraction(across))

    def _weights(
        self, layer: GraphValue, normal: bool, shape: tuple[int, ...], section: CfgSection
    ) -> None:
        """The numbers of a layer in a .weights file: bias or batch norm, then weights."""
        node, norm = layer.node, None
        assert node is not None
        if normal:
            self.emit("batchnorm", section)
            norm = self.value.node
        block = LayerNumbers(
            shape, normal, dense=len(shape) == 2, turned=bool(section.integer("transpose", 0))
        )
        number = len(self.out.blocks)
        self.out.blocks.append(block)
        node.origins["weight"] = (number, "weight")
        if norm is None:
            node.origins["bias"] = (number, "bias")
        else:
            for tensor, part in (
                *(("weight", "scales"), ("bias", "bias")),
                *(("running_mean", "mean"), ("running_var", "variance")),
            ):
                norm.origins[tensor] = (number, part)

    def connected(self, section: CfgSection) -> None:
        units = section.integer("output", 1, 1)
        normal = bool(section.integer("batch_normalize", 0))
        if len(self.value.shape) > 1:
            self.emit("flatten", section, step=True)
        inputs = int(self.value.shape[0])
        linear = self.emit(
            "linear", section, units=Fraction(units), bias=False if normal else None, step=normal
        )
        self._weights(linear, normal, (units, inputs), section)
        self.activate(section, "logistic")

    def maxpool(self, section: CfgSection) -> None:
        """Windows begin half the padding in front of the input; there are (n + p - k) / s + 1."""
        stride = section.integer("stride", 1, 1)
        for name in ("stride_x", "stride_y"):
            if section.integer(name, stride) != stride:
                message = "a pooling of two strides can't be expressed"
                raise CfgError("unsupported-layer", message, section.place(name))
        size = section.integer("size", stride, 1)
        padding = section.integer("padding", size - 1)
        before = padding // 2
        _, height, width = self._map(section)
        pads: list[int] = []
        ends_early = False  # the last rows are in no window
        for length in (height, width):
            count = (length + padding - size) // stride + 1
            behind = (count - 1) * stride + size - length - before
            pads += [before, max(0, behind)]
            ends_early |= behind < 0
        plain = len(set(pads)) == 1
        self.emit(
            "maxpool",
            section,
            kernel=Fraction(size),
            stride=_number(stride, size),
            pad=_number(pads[0], 0) if plain else tuple(map(Fraction, pads)),
            round="floor" if ends_early else None,
        )

    def avgpool(self, section: CfgSection) -> None:
        """A vector, or where a map is needed next, one of 1x1."""
        self._map(section)
        after = self.upcoming.name if self.upcoming is not None else ""
        if after in ("", "softmax", "soft", "connected", "conn", "cost", "dropout"):
            self.emit("global_avgpool", section)
        else:
            self.emit("adaptive_avgpool", section, size=Fraction(1))

    def route(self, section: CfgSection) -> None:
        numbers = section.integers("layers")
        if not numbers:
            raise CfgError("missing-field", "[route] needs layers", section.span)
        values = [self.earlier(section, "layers", n) for n in numbers]
        groups = section.integer("groups", 1, 1)
        if groups > 1:
            part = section.integer("group_id", 0)
            values = [self._part(section, v, groups, part) for v in values]
        self.value = values[0]
        if len(values) > 1:
            self.emit("concat", section, *values)

    def _part(self, section: CfgSection, value: GraphValue, groups: int, part: int) -> GraphValue:
        channels = int(value.shape[0])
        if channels % groups or not 0 <= part < groups:
            message = f"there is no part {part} of {channels} channels in {groups} groups"
            raise CfgError("groups-mismatch", message, section.place("group_id"))
        each = channels // groups
        return self._channels(section, value, part * each, (part + 1) * each)

    def _channels(self, section: CfgSection, value: GraphValue, first: int, end: int) -> GraphValue:
        if (first, end) == (0, int(value.shape[0])):
            return value
        return self.emit("slice", section, value, channels=(Fraction(first), Fraction(end)))

    def shortcut(self, section: CfgSection) -> None:
        """Adds what both have: the channels of the first that the other lacks stay."""
        value = self.value
        for number in self._from(section):
            other = self.earlier(section, "from", number)
            if value.shape[1:] != other.shape[1:]:
                message = "a shortcut of another height and width can't be expressed"
                raise CfgError("unsupported-layer", message, section.span)
            ours, theirs = int(value.shape[0]), int(other.shape[0])
            if theirs > ours:
                other = self._channels(section, other, 0, ours)
            elif theirs < ours:
                more = (Fraction(0), Fraction(ours - theirs))
                other = self.emit("pad", section, other, channels=more)
            value = self.emit("add", section, value, other)
        self.activate(section)

    def _from(self, section: CfgSection) -> list[int]:
        numbers = section.integers("from")
        if not numbers:
            raise CfgError("missing-field", f"[{section.name}] needs from", section.span)
        return numbers

    def upsample(self, section: CfgSection) -> None:
        if section.number("scale", 1) != 1:
            raise CfgError("unsupported-layer", "an upsample with a scale", section.place("scale"))
        stride = section.integer("stride", 2, 1)
        self.emit("upsample", section, scale=Fraction(stride), mode="nearest")

    def reorg(self, section: CfgSection) -> None:
        """Darknet takes the input for a map of fewer channels that is larger by the stride."""
        s = section.integer("stride", 1, 1)
        channels, height, width = self._map(section)
        if section.integer("reverse", 0):
            raise CfgError("unsupported-layer", "a reversed reorg can't be expressed", section.span)
        if channels % (s * s) or height % s or width % s:
            message = f"{s} and its square have to divide {channels}x{height}x{width}"
            raise CfgError("groups-mismatch", message, section.place("stride"))
        depth = channels // (s * s)
        self._reshape(section, depth, height * s, width * s)
        self.emit("pixel_unshuffle", section, factor=Fraction(s), step=True)
        if depth > 1:
            self.emit("channel_shuffle", section, groups=Fraction(depth), step=True)
        self._reshape(section, channels * s * s, height // s, width // s)

    def _reshape(self, section: CfgSection, *dims: int) -> None:
        self.emit("reshape", section, shape=tuple(map(Fraction, dims)), step=True)

    def scale_channels(self, section: CfgSection) -> None:
        """Each channel of an earlier map by a number of this one: squeeze and excitation."""
        (number, *_) = self._from(section)
        gate, other = self.value, self.earlier(section, "from", number)
        if len(gate.shape) == 1:
            dims = tuple(map(Fraction, (gate.shape[0], 1, 1)))
            gate = self.emit("reshape", section, gate, shape=dims)
        self.emit("mul", section, other, gate)
        self.activate(section)

    def sam(self, section: CfgSection) -> None:
        (number, *_) = self._from(section)
        self.emit("mul", section, self.value, self.earlier(section, "from", number))
        self.activate(section)

    def dropout(self, section: CfgSection) -> None:
        ratio = Fraction(str(section.number("probability", 0.5)))
        self.emit("dropout", section, ratio=None if ratio == Fraction(1, 2) else ratio)

    def softmax(self, section: CfgSection) -> None:
        section.read.add("spatial")
        if section.integer("groups", 1) != 1:
            message = "a softmax in groups can't be expressed"
            raise CfgError("unsupported-layer", message, section.place("groups"))
        if len(self.value.shape) > 1 and prod(self.value.shape[1:]) > 1:
            message = "a softmax over a whole map can't be expressed"
            raise CfgError("unsupported-layer", message, section.span)
        self.emit("softmax", section)

    def activation(self, section: CfgSection) -> None:
        self.activate(section)

    def logistic(self, section: CfgSection) -> None:
        self.emit("sigmoid", section)

    def crop(self, section: CfgSection) -> None:
        """When it runs, the middle of the picture, scaled to -1 to 1 unless `noadjust` is set."""
        size = section.integer("crop_height", 1, 1), section.integer("crop_width", 1, 1)
        _, height, width = self._map(section)
        offset = ((height - size[0]) // 2, (width - size[1]) // 2)
        if min(offset) < 0:
            raise CfgError("window-too-large", "the crop is larger than its input", section.span)
        self.emit(
            "crop", section, size=tuple(map(Fraction, size)), offset=tuple(map(Fraction, offset))
        )
        if not section.integer("noadjust", 0):
            self.emit("power", section, scale=Fraction(2), shift=Fraction(-1))

    def _map(self, section: CfgSection) -> tuple[int, int, int]:
        if len(self.value.shape) != 3:
            message = f"[{section.name}] needs a map, and a vector comes in"
            raise CfgError("wrong-rank", message, section.span)
        channels, height, width = (int(d) for d in self.value.shape)
        return channels, height, width


def _number(value: int, default: int) -> Fraction | None:
    """A field's value; None where it is what leaving it out means."""
    return None if value == default else Fraction(value)


_RULES: dict[str, Callable[[_Translation, CfgSection], None]] = {
    "convolutional": _Translation.convolutional,
    "conv": _Translation.convolutional,
    "connected": _Translation.connected,
    "conn": _Translation.connected,
    "maxpool": _Translation.maxpool,
    "max": _Translation.maxpool,
    "avgpool": _Translation.avgpool,
    "avg": _Translation.avgpool,
    "route": _Translation.route,
    "shortcut": _Translation.shortcut,
    "upsample": _Translation.upsample,
    "reorg": _Translation.reorg,
    "scale_channels": _Translation.scale_channels,
    "sam": _Translation.sam,
    "dropout": _Translation.dropout,
    "softmax": _Translation.softmax,
    "soft": _Translation.softmax,
    "activation": _Translation.activation,
    "logistic": _Translation.logistic,
    "crop": _Translation.crop,
}
