"""Emitted models against the nets of the papers, written by hand in functional PyTorch.

A reference shares nothing with netspec but the names of the weights. It gives what goes into the
last linear layer and the softmax, or the output itself where a net has neither.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from netspec.codegen.backend import get, load_model
from netspec.runtime.verify import random_inputs
from netspec.weights import fresh

from ..helpers import loaded

pytestmark = pytest.mark.slow

Weights = Mapping[str, Tensor]


def conv(
    w: Weights, x: Tensor, name: str, stride: int = 1, dilation: int = 1, pad: int | None = None
) -> Tensor:
    """Keeps the size where it neither strides nor is given a pad; as many groups as can only be."""
    weight = w[f"{name}.weight"]
    height, width = weight.shape[2:]
    pads = (dilation * (height // 2), dilation * (width // 2)) if pad is None else (pad, pad)
    groups = x.shape[1] // weight.shape[1]
    return F.conv2d(x, weight, w.get(f"{name}.bias"), stride, pads, dilation, groups)


def norm(w: Weights, x: Tensor, name: str, eps: float = 1e-5) -> Tensor:
    mean, var = w[f"{name}.running_mean"], w[f"{name}.running_var"]
    return F.batch_norm(x, mean, var, w[f"{name}.weight"], w[f"{name}.bias"], eps=eps)


def conv_norm(w: Weights, x: Tensor, name: str, stride: int = 1) -> Tensor:
    return norm(w, conv(w, x, name, stride), f"{name}_batchnorm")


def conv_relu(w: Weights, x: Tensor, name: str, stride: int = 1) -> Tensor:
    return F.relu(conv(w, x, name, stride))


def conv_norm_relu(w: Weights, x: Tensor, name: str, stride: int = 1) -> Tensor:
    return F.relu(conv_norm(w, x, name, stride))


def resnet(blocks: tuple[int, ...], depth: int, w: Weights, x: Tensor) -> Tensor:
    """`depth` convolutions in a block; with 3, the middle one strides."""
    x = F.relu(norm(w, conv(w, x, "conv1", 2), "bn1"))
    x = F.max_pool2d(x, 3, 2, 1)
    for i, n in enumerate(blocks, 1):
        for j in range(1, n + 1):
            stride = 2 if i > 1 and j == 1 else 1
            y, name = x, f"layer{i}_{j}"
            for k in range(1, depth + 1):
                y = conv(w, y, f"{name}.conv{k}", stride if k == depth - 1 else 1)
                y = norm(w, y, f"{name}.bn{k}")
                if k < depth:
                    y = F.relu(y)
            if f"{name}.downsample.weight" in w:
                x = conv_norm(w, x, f"{name}.downsample", stride)
            x = F.relu(x + y)
    return x.mean((2, 3))


def densenet(w: Weights, x: Tensor) -> Tensor:
    x = F.max_pool2d(F.relu(norm(w, conv(w, x, "conv0", 2), "norm0")), 3, 2, 1)
    for i, layers in enumerate((6, 12, 24, 16), 1):
        features = [x]
        for j in range(1, layers + 1):
            name = f"denseblock{i}.denselayer{j}"
            y = torch.cat(features, 1)
            y = conv(w, F.relu(norm(w, y, f"{name}.norm1")), f"{name}.conv1")
            y = conv(w, F.relu(norm(w, y, f"{name}.norm2")), f"{name}.conv2")
            features.append(y)
        x = torch.cat(features, 1)
        if i < 4:
            x = conv(w, F.relu(norm(w, x, f"transition{i}.norm")), f"transition{i}.conv")
            x = F.avg_pool2d(x, 2)
    return F.relu(norm(w, x, "norm5")).mean((2, 3))


def mobilenet_v1(w: Weights, x: Tensor) -> Tensor:
    x = conv_norm_relu(w, x, "conv1", 2)
    for i, stride in enumerate((1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1), 1):
        x = conv_norm_relu(w, x, f"block{i}.depthwise", stride)
        x = conv_norm_relu(w, x, f"block{i}.pointwise")
    return x.mean((2, 3))


def mobilenet_v2(w: Weights, x: Tensor) -> Tensor:
    x = F.relu6(conv_norm(w, x, "conv1", 2))
    for i, (n, s) in enumerate(((1, 1), (2, 2), (3, 2), (4, 2), (3, 1), (3, 2), (1, 1)), 1):
        for j in range(1, n + 1):
            y, name = x, f"block{i}_{j}"
            if i > 1:
                y = F.relu6(conv_norm(w, y, f"{name}.expand"))
            y = F.relu6(conv_norm(w, y, f"{name}.depthwise", s if j == 1 else 1))
            y = conv_norm(w, y, f"{name}.project")
            x = x + y if j > 1 else y
    return F.relu6(conv_norm(w, x, "conv8")).mean((2, 3))


def shufflenet_v2(w: Weights, x: Tensor) -> Tensor:
    x = F.max_pool2d(conv_norm_relu(w, x, "conv1", 2), 3, 2, 1)
    for i, units in enumerate((4, 8, 4), 2):
        for j in range(1, units + 1):
            name, stride = f"stage{i}_{j}", 2 if j == 1 else 1
            left, right = (x, x) if j == 1 else x.chunk(2, 1)
            if j == 1:
                left = conv_norm(w, left, f"{name}.left_depthwise", 2)
                left = conv_norm_relu(w, left, f"{name}.left_pointwise")
            right = conv_norm_relu(w, right, f"{name}.right.conv1")
            right = conv_norm(w, right, f"{name}.right.conv2", stride)
            right = conv_norm_relu(w, right, f"{name}.right.conv3")
            # Channels of the left and of the right alternate.
            x = torch.stack((left, right), 2).flatten(1, 2)
    return conv_norm_relu(w, x, "conv5").mean((2, 3))


def squeezenext(w: Weights, x: Tensor) -> Tensor:
    x = F.relu(norm(w, conv(w, x, "conv1", 2, pad=0), "conv1_batchnorm"))
    x = F.max_pool2d(x, 3, 2)
    for i, blocks in enumerate((6, 6, 8, 1), 1):
        for j in range(1, blocks + 1):
            y, name = x, f"block{i}_{j}"
            stride = 2 if i > 1 and j == 1 else 1
            tall = w[f"{name}.conv3.weight"].shape[2:] == (3, 1)
            assert tall == (j % 2 == 1)
            for k in range(1, 6):
                y = conv_norm_relu(w, y, f"{name}.conv{k}", stride if k == 1 else 1)
            if j == 1:
                x = conv_norm_relu(w, x, f"{name}.shortcut", stride)
            x = F.relu(x + y)
    return conv_norm_relu(w, x, "conv5").mean((2, 3))


def lrn(x: Tensor) -> Tensor:
    return F.local_response_norm(x, 5, 1e-4, 0.75, 1)


def googlenet(w: Weights, x: Tensor) -> Tensor:
    pool = partial(F.max_pool2d, kernel_size=3, stride=2, ceil_mode=True)
    x = lrn(pool(conv_relu(w, x, "conv1", 2)))
    x = pool(lrn(conv_relu(w, conv_relu(w, x, "conv2_reduce"), "conv2")))
    for name in ("3a", "3b", "", "4a", "4b", "4c", "4d", "4e", "", "5a", "5b"):
        if not name:
            x = pool(x)
            continue
        of = partial(conv_relu, w)
        name = f"inception_{name}"
        x = torch.cat(
            (
                of(x, f"{name}.conv1x1"),
                of(of(x, f"{name}.reduce3x3"), f"{name}.conv3x3"),
                of(of(x, f"{name}.reduce5x5"), f"{name}.conv5x5"),
                of(F.max_pool2d(x, 3, 1, 1), f"{name}.pool_proj"),
            ),
            1,
        )
    return x.mean((2, 3))


def segnet(w: Weights, x: Tensor) -> Tensor:
    convs, found = (2, 2, 3, 3, 3), []
    for i, n in enumerate(convs, 1):
        for j in range(1, n + 1):
            x = conv_norm_relu(w, x, f"conv{i}_{j}")
        size = x.shape
        x, indices = F.max_pool2d(x, 2, 2, ceil_mode=True, return_indices=True)
        found.append((indices, size))
    for i in range(5, 0, -1):
        indices, size = found[i - 1]
        x = F.max_unpool2d(x, indices, [2, 2], [2, 2], output_size=size[2:])
        for j in range(convs[i - 1], 0, -1):
            last = (i, j) == (1, 1)
            x = (conv if last else conv_norm_relu)(w, x, f"conv{i}_{j}_D")
    return x.softmax(1)


def enet(w: Weights, x: Tensor) -> Tensor:
    def bn(x: Tensor, name: str) -> Tensor:
        return norm(w, x, f"{name}_batchnorm", 1e-3)

    def prelu(x: Tensor, name: str) -> Tensor:
        return F.prelu(x, w[f"{name}.weight"])

    def unit(
        x: Tensor, name: str, dilation: int = 1, short: Tensor | None = None, down: bool = False
    ) -> Tensor:
        stride = 2 if down else 1
        y = conv(w, x, f"{name}.reduce", stride, pad=0)
        y = prelu(bn(y, f"{name}.reduce"), f"{name}.reduce_prelu")
        if f"{name}.row.weight" in w:
            y = conv(w, y, f"{name}.row")
        y = conv(w, y, f"{name}.middle", dilation=dilation)
        y = prelu(bn(y, f"{name}.middle"), f"{name}.middle_prelu")
        y = bn(conv(w, y, f"{name}.expand"), f"{name}.expand")
        y = y + (x if short is None else short)
        return prelu(y, f"{name}.out_prelu")

    def halve(x: Tensor, name: str, channels: int) -> tuple[Tensor, Tensor]:
        short, indices = F.max_pool2d(x, 2, 2, return_indices=True)
        short = F.pad(short, (0, 0, 0, 0, 0, channels - x.shape[1]))
        return unit(x, name, short=short, down=True), indices

    def decode(x: Tensor, name: str, indices: Tensor | None = None) -> Tensor:
        y = F.relu(bn(conv(w, x, f"{name}.reduce"), f"{name}.reduce"))
        if indices is None:
            y = conv(w, y, f"{name}.middle")
        else:
            weight, bias = w[f"{name}.middle.weight"], w[f"{name}.middle.bias"]
            y = F.conv_transpose2d(y, weight, bias, stride=2, padding=1, output_padding=1)
            x = bn(conv(w, x, f"{name}.narrow"), f"{name}.narrow")
            x = F.max_unpool2d(x, indices, [2, 2], [2, 2])
        y = F.relu(bn(y, f"{name}.middle"))
        return F.relu(x + bn(conv(w, y, f"{name}.expand"), f"{name}.expand"))

    x = torch.cat((conv(w, x, "conv0", 2), F.max_pool2d(x, 2, 2)), 1)
    x = prelu(bn(x, "initial"), "initial_prelu")
    x, first = halve(x, "bottleneck1_0", 64)
    for j in range(1, 5):
        x = unit(x, f"bottleneck1_{j}")
    x, second = halve(x, "bottleneck2_0", 128)
    for i in (2, 3):
        for j, dilation in enumerate((1, 2, 1, 4, 1, 8, 1, 16), 1):
            x = unit(x, f"bottleneck{i}_{j}", dilation)
    x = decode(x, "bottleneck4_0", second)
    x = decode(decode(x, "bottleneck4_1"), "bottleneck4_2")
    x = decode(decode(x, "bottleneck5_0", first), "bottleneck5_1")
    return F.conv_transpose2d(x, w["fullconv.weight"], w["fullconv.bias"], stride=2).softmax(1)


REFERENCES: dict[str, Callable[[Weights, Tensor], Tensor]] = {
    "resnet18": partial(resnet, (2, 2, 2, 2), 2),
    "resnet34": partial(resnet, (3, 4, 6, 3), 2),
    "resnet50": partial(resnet, (3, 4, 6, 3), 3),
    "resnet101": partial(resnet, (3, 4, 23, 3), 3),
    "resnet152": partial(resnet, (3, 8, 36, 3), 3),
    "densenet121": densenet,
    "mobilenet_v1": mobilenet_v1,
    "mobilenet_v2": mobilenet_v2,
    "shufflenet_v2": shufflenet_v2,
    "squeezenext_23": squeezenext,
    "googlenet": googlenet,
    "segnet": segnet,
    "enet": enet,
}
SMALLER = {
    # 45x60 and 23x30 are odd, as in CamVid's 360x480.
    "segnet": {"height": 90, "width": 120},
    "enet": {"height": 64, "width": 96},
}
LAST = ("fc", "classifier")


@pytest.mark.parametrize("spec", REFERENCES)
def test_emitted_model_is_the_net_of_the_paper(spec: str) -> None:
    net = loaded(spec, **SMALLER.get(spec, {}))
    weights = fresh(net.tensors, 5, varied=True)
    w = {name: torch.from_numpy(array) for name, array in weights.items()}
    (x,) = random_inputs(net, 6)
    with torch.inference_mode():
        expected = REFERENCES[spec](w, torch.from_numpy(x))
        if expected.dim() == 2:
            (last,) = {name.split(".")[0] for name in w} & set(LAST)
            # Scores as wide apart as those of a trained net, where softmax hides nothing.
            weights[f"{last}.weight"] /= float(F.linear(expected, w[f"{last}.weight"]).std())
            expected = F.linear(expected, w[f"{last}.weight"], w.get(f"{last}.bias")).softmax(1)
    backend = get("torch")
    model = load_model(net, backend)
    backend.set_weights(model, weights)
    (found,) = backend.run(model, x)
    assert expected.max() > 1.5 * expected.mean()
    assert (expected > 0.999).float().mean() < 0.01
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-3, atol=1e-6)
