"""Published networks as prototxt, written from their papers with the names that Caffe's zoo gave."""

from __future__ import annotations

from collections.abc import Iterable


class Prototxt:
    """Writes layers; each takes what the one before it made, unless `bottoms` say otherwise."""

    def __init__(self, name: str, *dims: int, batch: int = 1) -> None:
        sizes = " ".join(f"dim: {d}" for d in (batch, *dims))
        self.lines = [f'name: "{name}"', 'input: "data"', f"input_shape {{ {sizes} }}"]
        self.top = "data"
        self.pre_name = False

    def layer(
        self,
        name: str,
        type_: str,
        params: str = "",
        bottoms: Iterable[str] | None = None,
        top: str | None = None,
    ) -> str:
        taken = [self.top] if bottoms is None else list(bottoms)
        self.top = top or name
        wiring = "".join(f'  bottom: "{b}"\n' for b in taken) + f'  top: "{self.top}"\n'
        body = f"  {params}\n" if params else ""
        self.lines.append(f'layer {{\n  name: "{name}"\n  type: "{type_}"\n{wiring}{body}}}')
        return self.top

    def conv(
        self,
        name: str,
        filters: int,
        kernel: int,
        stride: int = 1,
        pad: int = 0,
        bottom: str | None = None,
        more: str = "",
    ) -> str:
        params = f"num_output: {filters} kernel_size: {kernel}"
        params += f" stride: {stride}" if stride > 1 else ""
        params += f" pad: {pad}" if pad else ""
        params = f"convolution_param {{ {params} {more} weight_filler {{ type: 'xavier' }} }}"
        return self.layer(name, "Convolution", params, [bottom] if bottom else None)

    def relu(self, name: str) -> str:
        return self.layer(name, "ReLU", "", top=self.top)

    def pool(
        self,
        name: str,
        kind: str,
        kernel: int,
        stride: int,
        pad: int = 0,
        bottom: str | None = None,
    ) -> str:
        params = (
            f"pooling_param {{ pool: {kind} kernel_size: {kernel} stride: {stride} pad: {pad} }}"
        )
        return self.layer(name, "Pooling", params, [bottom] if bottom else None)

    def whole(self, name: str) -> str:
        return self.layer(name, "Pooling", "pooling_param { pool: AVE global_pooling: true }")

    def fc(self, name: str, units: int) -> str:
        return self.layer(name, "InnerProduct", f"inner_product_param {{ num_output: {units} }}")

    def norm(self, name: str) -> str:
        params = "lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }"
        return self.layer(name, "LRN", params)

    def bn_scale(self, bn: str, scale: str, relu: str = "", in_place: bool = True) -> str:
        top = self.top if in_place else None
        self.layer(bn, "BatchNorm", "batch_norm_param { use_global_stats: true }", top=top)
        self.layer(scale, "Scale", "scale_param { bias_term: true }", top=self.top)
        return self.relu(relu) if relu else self.top

    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


def lenet() -> str:
    """LeCun et al. 1998, in Caffe's variant."""
    p = Prototxt("LeNet", 1, 28, 28, batch=64)
    p.conv("conv1", 20, 5)
    p.pool("pool1", "MAX", 2, 2)
    p.conv("conv2", 50, 5)
    p.pool("pool2", "MAX", 2, 2)
    p.fc("ip1", 500)
    p.relu("relu1")
    p.fc("ip2", 10)
    p.layer("prob", "Softmax")
    return p.text()


def cifar10_quick() -> str:
    p = Prototxt("CIFAR10_quick_test", 3, 32, 32)
    p.conv("conv1", 32, 5, pad=2)
    p.pool("pool1", "MAX", 3, 2)
    p.relu("relu1")
    p.conv("conv2", 32, 5, pad=2)
    p.relu("relu2")
    p.pool("pool2", "AVE", 3, 2)
    p.conv("conv3", 64, 5, pad=2)
    p.relu("relu3")
    p.pool("pool3", "AVE", 3, 2)
    p.fc("ip1", 64)
    p.fc("ip2", 10)
    p.layer("prob", "Softmax")
    return p.text()


def alexnet() -> str:
    """Krizhevsky et al. 2012; normalization before pooling, as in bvlc_alexnet."""
    p = Prototxt("AlexNet", 3, 227, 227, batch=10)
    p.conv("conv1", 96, 11, stride=4)
    p.relu("relu1")
    p.norm("norm1")
    p.pool("pool1", "MAX", 3, 2)
    p.conv("conv2", 256, 5, pad=2, more="group: 2")
    p.relu("relu2")
    p.norm("norm2")
    p.pool("pool2", "MAX", 3, 2)
    p.conv("conv3", 384, 3, pad=1)
    p.relu("relu3")
    p.conv("conv4", 384, 3, pad=1, more="group: 2")
    p.relu("relu4")
    p.conv("conv5", 256, 3, pad=1, more="group: 2")
    p.relu("relu5")
    p.pool("pool5", "MAX", 3, 2)
    for i in (6, 7):
        p.fc(f"fc{i}", 4096)
        p.relu(f"relu{i}")
        p.layer(f"drop{i}", "Dropout", "dropout_param { dropout_ratio: 0.5 }", top=p.top)
    p.fc("fc8", 1000)
    p.layer("prob", "Softmax")
    return p.text()


INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
"""#1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5 and pool proj of Table 1."""


def googlenet() -> str:
    """Szegedy et al. 2014 (arXiv:1409.4842, Table 1), with the names of bvlc_googlenet."""
    p = Prototxt("GoogleNet", 3, 224, 224, batch=10)
    p.conv("conv1/7x7_s2", 64, 7, stride=2, pad=3)
    p.relu("conv1/relu_7x7")
    p.pool("pool1/3x3_s2", "MAX", 3, 2)
    p.norm("pool1/norm1")
    p.conv("conv2/3x3_reduce", 64, 1)
    p.relu("conv2/relu_3x3_reduce")
    p.conv("conv2/3x3", 192, 3, pad=1)
    p.relu("conv2/relu_3x3")
    p.norm("conv2/norm2")
    p.pool("pool2/3x3_s2", "MAX", 3, 2)
    for which, (n1, r3, n3, r5, n5, proj) in INCEPTIONS.items():
        block, x = f"inception_{which}", p.top
        tops = [p.conv(f"{block}/1x1", n1, 1)]
        p.relu(f"{block}/relu_1x1")
        p.conv(f"{block}/3x3_reduce", r3, 1, bottom=x)
        p.relu(f"{block}/relu_3x3_reduce")
        tops.append(p.conv(f"{block}/3x3", n3, 3, pad=1))
        p.relu(f"{block}/relu_3x3")
        p.conv(f"{block}/5x5_reduce", r5, 1, bottom=x)
        p.relu(f"{block}/relu_5x5_reduce")
        tops.append(p.conv(f"{block}/5x5", n5, 5, pad=2))
        p.relu(f"{block}/relu_5x5")
        p.pool(f"{block}/pool", "MAX", 3, 1, pad=1, bottom=x)
        tops.append(p.conv(f"{block}/pool_proj", proj, 1))
        p.relu(f"{block}/relu_pool_proj")
        p.layer(f"{block}/output", "Concat", bottoms=tops)
        if which in ("3b", "4e"):
            p.pool(f"pool{which[0]}/3x3_s2", "MAX", 3, 2)
    p.pool("pool5/7x7_s1", "AVE", 7, 1)
    p.layer("pool5/drop_7x7_s1", "Dropout", "dropout_param { dropout_ratio: 0.4 }", top=p.top)
    p.fc("loss3/classifier", 1000)
    p.layer("prob", "Softmax")
    return p.text()


def resnet(blocks: tuple[int, ...] = (3, 4, 6, 3), letters: bool = True) -> str:
    """He et al. 2015 (arXiv:1512.03385, Table 1), with the names of the authors' prototxt.

    Their first convolution has a bias.
    """
    p = Prototxt(f"ResNet-{3 * sum(blocks) + 2}", 3, 224, 224)
    p.conv("conv1", 64, 7, stride=2, pad=3)
    p.bn_scale("bn_conv1", "scale_conv1", "conv1_relu")
    p.pool("pool1", "MAX", 3, 2)
    plain = "bias_term: false"
    for stage, count in enumerate(blocks, 2):
        filters = 64 * 2 ** (stage - 2)
        for i in range(count):
            part = "abcdefghij"[i] if letters or i == 0 else f"b{i}"
            block, x = f"{stage}{part}", p.top
            stride = 2 if stage > 2 and i == 0 else 1
            short = x
            if i == 0:
                short = p.conv(f"res{block}_branch1", 4 * filters, 1, stride, more=plain)
                p.bn_scale(f"bn{block}_branch1", f"scale{block}_branch1")
            p.conv(f"res{block}_branch2a", filters, 1, stride, bottom=x, more=plain)
            p.bn_scale(f"bn{block}_branch2a", f"scale{block}_branch2a", f"res{block}_branch2a_relu")
            p.conv(f"res{block}_branch2b", filters, 3, pad=1, more=plain)
            p.bn_scale(f"bn{block}_branch2b", f"scale{block}_branch2b", f"res{block}_branch2b_relu")
            main = p.conv(f"res{block}_branch2c", 4 * filters, 1, more=plain)
            p.bn_scale(f"bn{block}_branch2c", f"scale{block}_branch2c")
            p.layer(f"res{block}", "Eltwise", bottoms=[short, main])
            p.relu(f"res{block}_relu")
    p.pool("pool5", "AVE", 7, 1)
    p.fc("fc1000", 1000)
    p.layer("prob", "Softmax")
    return p.text()


def mobilenet() -> str:
    """Howard et al. 2017 (arXiv:1704.04861, Table 1)."""
    p = Prototxt("MOBILENET", 3, 224, 224)
    plain = "bias_term: false"
    p.conv("conv1", 32, 3, stride=2, pad=1, more=plain)
    p.bn_scale("conv1/bn", "conv1/scale", "relu1")
    channels = 32
    rows = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)]
    rows += [(512, 1)] * 5 + [(1024, 2), (1024, 1)]
    names = [
        "2_1",
        "2_2",
        "3_1",
        "3_2",
        "4_1",
        "4_2",
        "5_1",
        "5_2",
        "5_3",
        "5_4",
        "5_5",
        "5_6",
        "6",
    ]
    for which, (filters, stride) in zip(names, rows, strict=True):
        grouped = f"{plain} group: {channels} engine: CAFFE"
        p.conv(f"conv{which}/dw", channels, 3, stride, 1, more=grouped)
        p.bn_scale(f"conv{which}/dw/bn", f"conv{which}/dw/scale", f"relu{which}/dw")
        p.conv(f"conv{which}/sep", filters, 1, more=plain)
        p.bn_scale(f"conv{which}/sep/bn", f"conv{which}/sep/scale", f"relu{which}/sep")
        channels = filters
    p.whole("pool6")
    p.conv("fc7", 1000, 1)
    p.layer("prob", "Softmax")
    return p.text()


def mobilenet_v2() -> str:
    """Sandler et al. 2018 (arXiv:1801.04381, Table 2)."""
    p = Prototxt("MOBILENET_V2", 3, 224, 224)
    plain = "bias_term: false"
    p.conv("conv1", 32, 3, stride=2, pad=1, more=plain)
    p.bn_scale("conv1/bn", "conv1/scale", "relu1")
    channels = 32
    rows = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1)]
    rows += [(6, 160, 3, 2), (6, 320, 1, 1)]
    for i, (expansion, filters, count, first) in enumerate(rows, 2):
        for j in range(1, count + 1):
            stride, block, x = first if j == 1 else 1, f"conv{i}_{j}", p.top
            wide = expansion * channels
            p.conv(f"{block}/expand", wide, 1, more=plain)
            p.bn_scale(f"{block}/expand/bn", f"{block}/expand/scale", f"relu{i}_{j}/expand")
            grouped = f"{plain} group: {wide}"
            p.conv(f"{block}/dwise", wide, 3, stride, 1, more=grouped)
            p.bn_scale(f"{block}/dwise/bn", f"{block}/dwise/scale", f"relu{i}_{j}/dwise")
            p.conv(f"{block}/linear", filters, 1, more=plain)
            p.bn_scale(f"{block}/linear/bn", f"{block}/linear/scale")
            if stride == 1 and channels == filters:
                p.layer(f"block_{i}_{j}", "Eltwise", bottoms=[x, p.top])
            channels = filters
    p.conv("conv9", 1280, 1, more=plain)
    p.bn_scale("conv9/bn", "conv9/scale", "relu9")
    p.whole("pool10")
    p.conv("fc11", 1000, 1)
    p.layer("prob", "Softmax")
    return p.text()


def densenet(blocks: tuple[int, ...] = (6, 12, 24, 16), growth: int = 32) -> str:
    """Huang et al. 2016 (arXiv:1608.06993, Table 1), with the names of a widespread port."""
    p = Prototxt(f"DENSENET_{2 * sum(blocks) + 5}", 3, 224, 224)
    plain = "bias_term: false"
    p.conv("conv1", 2 * growth, 7, stride=2, pad=3, more=plain)
    p.bn_scale("conv1/bn", "conv1/scale", "relu1")
    p.pool("pool1", "MAX", 3, 2, pad=1)
    channels = 2 * growth
    for stage, count in enumerate(blocks, 2):
        for i in range(1, count + 1):
            block, x = f"conv{stage}_{i}", p.top
            p.bn_scale(f"{block}/x1/bn", f"{block}/x1/scale", f"relu{stage}_{i}/x1", in_place=False)
            p.conv(f"{block}/x1", 4 * growth, 1, more=plain)
            p.bn_scale(f"{block}/x2/bn", f"{block}/x2/scale", f"relu{stage}_{i}/x2", in_place=False)
            p.conv(f"{block}/x2", growth, 3, pad=1, more=plain)
            p.layer(f"concat_{stage}_{i}", "Concat", bottoms=[x, p.top])
            channels += growth
        block = f"conv{stage}_blk"
        p.bn_scale(f"{block}/bn", f"{block}/scale", f"relu{stage}_blk", in_place=False)
        if stage < 5:
            channels //= 2
            p.conv(block, channels, 1, more=plain)
            p.pool(f"pool{stage}", "AVE", 2, 2)
    p.whole("pool5")
    p.conv("fc6", 1000, 1)
    p.layer("prob", "Softmax")
    return p.text()
