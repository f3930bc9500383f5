"""Graphs whose layers have the names and classes that torchvision's models give them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from netspec.importers.structure.graph import Graph, GraphValue

from .graphs import GraphMaker

Activation = str


class NamedMaker(GraphMaker):
    """Adds layers of modules; `classes` has the class of each module that has one."""

    def __init__(self, *shape: int) -> None:
        super().__init__(*shape)
        self.classes: dict[str, str] = {}

    def add(self, op: str, name: str, *inputs: GraphValue, **fields: Any) -> GraphValue:
        value = super().add(op, name, *inputs, **fields)
        node = self.graph.nodes[-1]
        if op in ("conv", "linear", "batchnorm"):
            node.origins = {"weight": name}
        node.pools_all = op == "adaptive_avgpool"
        return value

    def conv(
        self,
        name: str,
        x: GraphValue,
        filters: int,
        kernel: int = 1,
        stride: int = 1,
        **fields: Any,
    ) -> GraphValue:
        """A convolution without a bias that keeps sizes but for its stride."""
        fields.setdefault("bias", False)
        sizes = {"kernel": (kernel, kernel), "stride": (stride, stride)}
        pads = (kernel // 2, kernel // 2)
        pairs = {n: tuple(map(Fraction, v)) for n, v in {**sizes, "pad": pads}.items()}
        return self.add("conv", name, x, filters=filters, **pairs, **fields)

    def conv_norm(
        self,
        name: str,
        x: GraphValue,
        filters: int,
        kernel: int = 1,
        stride: int = 1,
        activation: Activation = "",
        norm: dict[str, Fraction] | None = None,
        **fields: Any,
    ) -> GraphValue:
        """torchvision's Conv2dNormActivation."""
        self.classes[name] = "Conv2dNormActivation"
        x = self.conv(f"{name}.0", x, filters, kernel, stride, **fields)
        x = self.add("batchnorm", f"{name}.1", x, **(norm or {}))
        return self.add(activation, f"{name}.2", x) if activation else x

    def pool(self, op: str, name: str, x: GraphValue, kernel: int, pad: int = 0) -> GraphValue:
        """A pooling with a stride of 2."""
        two = (Fraction(2), Fraction(2))
        sizes = {"kernel": (Fraction(kernel),) * 2, "pad": (Fraction(pad),) * 2}
        return self.add(op, name, x, stride=two, round="floor", **sizes)

    def mean(self, name: str, x: GraphValue) -> GraphValue:
        """The mean of each channel, as a map of 1x1."""
        return self.add("adaptive_avgpool", name, x, size=(Fraction(1), Fraction(1)))

    def squeeze_excitation(
        self, name: str, x: GraphValue, squeezed: int, activation: Activation, gate: str
    ) -> GraphValue:
        """torchvision's SqueezeExcitation."""
        self.classes[name] = "SqueezeExcitation"
        y = self.mean(f"{name}.avgpool", x)
        y = self.conv(f"{name}.fc1", y, squeezed, bias=True)
        y = self.add(activation, f"{name}.activation", y)
        y = self.conv(f"{name}.fc2", y, int(x.shape[0]), bias=True)
        y = self.add(gate, f"{name}.scale_activation", y)
        return self.add("mul", f"{name}.mul", y, x)

    def classes_of(self, x: GraphValue, name: str) -> GraphValue:
        """The end of a classifier, from a map of 1x1 on."""
        return self.add("linear", name, self.add("flatten", "flatten", x), units=1000)

    def net(self, *outputs: GraphValue, with_classes: bool = True) -> Graph:
        """The graph, with the classes of its modules."""
        graph = self.done(*outputs)
        graph.modules = self.classes if with_classes else {}
        return graph


def _stem(make: NamedMaker, prefix: str = "", conv: str = "conv1", norm: str = "bn1") -> GraphValue:
    x = make.conv(f"{prefix}{conv}", make.x, 64, 7, 2)
    x = make.add("relu", f"{prefix}relu", make.add("batchnorm", f"{prefix}{norm}", x))
    return make.pool("maxpool", f"{prefix}maxpool", x, 3, 1)


def resnet50() -> NamedMaker:
    make = NamedMaker(3, 224, 224)
    x = _stem(make)
    for i, (width, blocks) in enumerate([(64, 3), (128, 4), (256, 6), (512, 3)], 1):
        for j in range(blocks):
            name = f"layer{i}.{j}"
            make.classes[name] = "Bottleneck"
            stride = 2 if i > 1 and j == 0 else 1
            y = x
            for k, (filters, kernel, step) in enumerate(
                [(width, 1, 1), (width, 3, stride), (4 * width, 1, 1)], 1
            ):
                y = make.conv(f"{name}.conv{k}", y, filters, kernel, step)
                y = make.add("batchnorm", f"{name}.bn{k}", y)
                y = make.add("relu", f"{name}.relu", y) if k < 3 else y
            if j == 0:
                x = make.conv(f"{name}.downsample.0", x, 4 * width, 1, stride)
                x = make.add("batchnorm", f"{name}.downsample.1", x)
            x = make.add("relu", f"{name}.relu", make.add("add", f"{name}.add_", y, x))
    make.classes_of(make.mean("avgpool", x), "fc")
    return make


def squeezenet1_0() -> NamedMaker:
    make = NamedMaker(3, 224, 224)
    x = make.add("conv", "features.0", make.x, filters=96, kernel=_pair(7), stride=_pair(2))
    x = make.add("relu", "features.1", x)
    squeezed = {3: 16, 4: 16, 5: 32, 7: 32, 8: 48, 9: 48, 10: 64, 12: 64}
    for i in range(2, 13):
        name = f"features.{i}"
        if i not in squeezed:
            x = make.add("maxpool", name, x, kernel=_pair(3), stride=_pair(2), round="ceil")
            continue
        make.classes[name] = "Fire"
        x = make.conv(f"{name}.squeeze", x, squeezed[i], bias=True)
        x = make.add("relu", f"{name}.squeeze_activation", x)
        sides = []
        for kernel in (1, 3):
            part = f"{name}.expand{kernel}x{kernel}"
            y = make.conv(part, x, 4 * squeezed[i], kernel, bias=True)
            sides.append(make.add("relu", f"{part}_activation", y))
        x = make.add("concat", f"{name}.cat", *sides)
    x = make.add("dropout", "classifier.0", x)
    x = make.add("conv", "classifier.1", x, filters=1000, kernel=_pair(1))
    x = make.mean("classifier.3", make.add("relu", "classifier.2", x))
    make.add("flatten", "flatten", x)
    return make


def _pair(n: int) -> tuple[Fraction, Fraction]:
    return Fraction(n), Fraction(n)


def mobilenet_v3_large() -> NamedMaker:
    make = NamedMaker(3, 224, 224)
    norm = {"eps": Fraction(1, 1000), "momentum": Fraction(1, 100)}
    x = make.conv_norm("features.0", make.x, 16, 3, 2, "hardswish", norm)
    table = [
        (3, 16, 16, 0, "relu", 1),
        (3, 64, 24, 0, "relu", 2),
        (3, 72, 24, 0, "relu", 1),
        (5, 72, 40, 24, "relu", 2),
        (5, 120, 40, 32, "relu", 1),
        (5, 120, 40, 32, "relu", 1),
        (3, 240, 80, 0, "hardswish", 2),
        (3, 200, 80, 0, "hardswish", 1),
        (3, 184, 80, 0, "hardswish", 1),
        (3, 184, 80, 0, "hardswish", 1),
        (3, 480, 112, 120, "hardswish", 1),
        (3, 672, 112, 168, "hardswish", 1),
        (5, 672, 160, 168, "hardswish", 2),
        (5, 960, 160, 240, "hardswish", 1),
        (5, 960, 160, 240, "hardswish", 1),
    ]
    for i, (kernel, hidden, filters, squeezed, activation, stride) in enumerate(table, 1):
        name = f"features.{i}"
        make.classes[name] = "InvertedResidual"
        y, k = x, 0
        if hidden != x.shape[0]:
            y, k = make.conv_norm(f"{name}.block.0", y, hidden, 1, 1, activation, norm), 1
        y = make.conv_norm(
            f"{name}.block.{k}", y, hidden, kernel, stride, activation, norm, groups="depthwise"
        )
        k += 1
        if squeezed:
            y = make.squeeze_excitation(f"{name}.block.{k}", y, squeezed, "relu", "hardsigmoid")
            k += 1
        y = make.conv_norm(f"{name}.block.{k}", y, filters, norm=norm)
        x = make.add("add", f"{name}.add_", y, x) if x.shape == y.shape else y
    x = make.mean("avgpool", make.conv_norm("features.16", x, 960, 1, 1, "hardswish", norm))
    x = make.add("linear", "classifier.0", make.add("flatten", "flatten", x), units=1280)
    x = make.add("dropout", "classifier.2", make.add("hardswish", "classifier.1", x))
    make.add("linear", "classifier.3", x, units=1000)
    return make


def densenet121() -> NamedMaker:
    make = NamedMaker(3, 224, 224)
    x = _stem(make, "features.", "conv0", "norm0")
    for i, layers in enumerate([6, 12, 24, 16], 1):
        block = f"features.denseblock{i}"
        make.classes[block] = "_DenseBlock"
        values = [x]
        for j in range(1, layers + 1):
            name = f"{block}.denselayer{j}"
            make.classes[name] = "_DenseLayer"
            y = make.add("concat", f"{name}.cat", *values) if j > 1 else x
            for k, (filters, kernel) in enumerate([(128, 1), (32, 3)], 1):
                y = make.add("batchnorm", f"{name}.norm{k}", y)
                y = make.conv(
                    f"{name}.conv{k}", make.add("relu", f"{name}.relu{k}", y), filters, kernel
                )
            values.append(y)
        x = make.add("concat", f"{block}.cat", *values)
        if i < 4:
            name = f"features.transition{i}"
            make.classes[name] = "_Transition"
            x = make.add("relu", f"{name}.relu", make.add("batchnorm", f"{name}.norm", x))
            x = make.conv(f"{name}.conv", x, int(x.shape[0]) // 2)
            x = make.pool("avgpool", f"{name}.pool", x, 2)
    x = make.add("relu", "relu", make.add("batchnorm", "features.norm5", x))
    make.classes_of(make.mean("adaptive_avg_pool2d", x), "classifier")
    return make


def efficientnet_b0() -> NamedMaker:
    make = NamedMaker(3, 224, 224)
    x = make.conv_norm("features.0", make.x, 32, 3, 2, "silu")
    table = [
        (1, 3, 1, 16, 1),
        (6, 3, 2, 24, 2),
        (6, 5, 2, 40, 2),
        (6, 3, 2, 80, 3),
        (6, 5, 1, 112, 3),
        (6, 5, 2, 192, 4),
        (6, 3, 1, 320, 1),
    ]
    for i, (expansion, kernel, stride, filters, blocks) in enumerate(table, 1):
        for j in range(blocks):
            name = f"features.{i}.{j}"
            make.classes[name] = "MBConv"
            hidden, y, k = expansion * int(x.shape[0]), x, 0
            if expansion > 1:
                y, k = make.conv_norm(f"{name}.block.0", y, hidden, 1, 1, "silu"), 1
            step = stride if j == 0 else 1
            y = make.conv_norm(
                f"{name}.block.{k}", y, hidden, kernel, step, "silu", groups="depthwise"
            )
            squeezed = int(x.shape[0]) // 4
            y = make.squeeze_excitation(f"{name}.block.{k + 1}", y, squeezed, "silu", "sigmoid")
            y = make.conv_norm(f"{name}.block.{k + 2}", y, filters)
            x = make.add("add", f"{name}.add_", y, x) if x.shape == y.shape else y
    x = make.mean("avgpool", make.conv_norm("features.8", x, 1280, 1, 1, "silu"))
    x = make.add("dropout", "classifier.0", make.add("flatten", "flatten", x))
    make.add("linear", "classifier.1", x, units=1000)
    return make


NETS: dict[str, tuple[Callable[[], NamedMaker], int, int]] = {
    "resnet50": (resnet50, 25_557_032, 45),
    "squeezenet1_0": (squeezenet1_0, 1_248_424, 63),
    "mobilenet_v3_large": (mobilenet_v3_large, 5_483_032, 60),
    "densenet121": (densenet121, 7_978_856, 45),
    "efficientnet_b0": (efficientnet_b0, 5_288_548, 70),
}
"""Each net with its published number of parameters, and how many lines its text may have."""
