"""Small modules of PyTorch that use what its models use."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Functions(nn.Module):
    """All results of several functions of one map."""

    def __init__(self, *functions: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.functions = functions

    def forward(self, x: Tensor) -> list[Tensor]:
        return [function(x) for function in self.functions]


ACTIVATIONS: tuple[Callable[[Tensor], Tensor], ...] = (
    F.relu,
    F.relu6,
    lambda x: F.hardtanh(x, -0.5, 2.0),
    lambda x: F.leaky_relu(x, 0.2),
    lambda x: F.elu(x, 0.5),
    lambda x: F.celu(x, 0.5),
    F.selu,
    F.silu,
    F.mish,
    F.gelu,
    lambda x: F.gelu(x, approximate="tanh"),
    F.hardswish,
    F.hardsigmoid,
    torch.sigmoid,
    torch.tanh,
    F.softplus,
    lambda x: F.softplus(x, beta=2),
    F.logsigmoid,
    lambda x: F.threshold(x, 0.1, -1.0),
    F.hardshrink,
    F.softshrink,
    lambda x: x.clamp(-0.5, 0.5),
    lambda x: x.clamp_min(0.1),
    lambda x: F.softmax(x, 1),
    lambda x: F.log_softmax(x, 1),
    lambda x: F.glu(x, 1),
)
ARITHMETIC: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda x: x + 2,
    lambda x: x - 0.5,
    lambda x: 1 - x,
    lambda x: 3 * x / 2,
    lambda x: 1 / (x.abs() + 1),
    lambda x: torch.add(x, x.sigmoid(), alpha=2),
    lambda x: torch.rsub(x, x.exp(), alpha=3),
    lambda x: x.sub(x.tanh()),
    lambda x: (x * x).sqrt() ** 3,
    lambda x: x.square() + (x.abs() + 1).rsqrt() - (x.abs() + 1).reciprocal(),
    lambda x: torch.maximum(x, -x) - torch.minimum(x, x * 2),
    lambda x: (x.abs() + 1).log(),
    lambda x: torch.addcmul(x, x, x, value=0.5),
)
REDUCTIONS: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda x: x.mean((2, 3)),
    lambda x: x.mean((-1, -2), keepdim=True),
    lambda x: x.sum(1, keepdim=True),
    lambda x: x.amax((2, 3)),
    lambda x: x.max(1).values,
    lambda x: x.argmax(1).float(),
    lambda x: x.var(1, keepdim=True),
    lambda x: x.std((2, 3), unbiased=False),
    lambda x: torch.cat(torch.var_mean(x, (2, 3)), 1),
    lambda x: x.norm(dim=1, keepdim=True),
    lambda x: F.normalize(x, dim=1),
)
SHAPES: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda x: x.flatten(1),
    lambda x: x.view(x.size(0), -1, x.size(3)),
    lambda x: x.unsqueeze(1).squeeze(1).permute(0, 2, 3, 1).contiguous(),
    lambda x: x.transpose(1, 2).clone(),
    lambda x: torch.movedim(x, 1, -1),
    lambda x: torch.cat([x, x * 2], 1),
    lambda x: torch.stack([x, x + 1], 1).flatten(1, 2),
    lambda x: torch.cat(x.chunk(2, 1)[::-1], 1),
    lambda x: torch.cat(torch.split(x, [1, 3, 4], 1)[::-1], 1),
    lambda x: x.unbind(1)[3] + x[:, 2] - x[:, -1],
    lambda x: x[:, 1:7:2, :, 2:],
    lambda x: x.narrow(2, 1, 3),
    lambda x: torch.roll(x, (1, -2), (2, 3)),
    lambda x: x.flip(3),
    lambda x: F.pad(x, (1, 2, 0, 3), value=0.5),
    lambda x: F.pad(x, (0, 0, 0, 0, 1, 2)),
    lambda x: x.mean((2, 3), keepdim=True).expand(-1, -1, 4, 5),
    lambda x: x.mean(1, keepdim=True).repeat(1, 3, 2, 1),
    lambda x: F.pixel_shuffle(x, 2),
    lambda x: F.pixel_unshuffle(x, 2),
    lambda x: F.channel_shuffle(x, 4),
    lambda x: F.interpolate(x, scale_factor=2),
    lambda x: F.interpolate(x, size=(9, 7), mode="bilinear"),
    lambda x: F.interpolate(x, size=(9, 7), mode="bilinear", align_corners=True),
    lambda x: F.interpolate(x, scale_factor=(2.0, 3.0), mode="bicubic"),
    lambda x: F.interpolate(x, size=(12, 16), mode="nearest-exact"),
    lambda x: F.interpolate(x, scale_factor=1.3, mode="bilinear", align_corners=True),
    lambda x: F.interpolate(x, scale_factor=1.3, mode="bilinear", recompute_scale_factor=True),
    lambda x: F.interpolate(x, scale_factor=(1.5, 0.5), mode="bicubic"),
)
POOLINGS: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda x: F.max_pool2d(x, 2),
    lambda x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True),
    lambda x: F.max_pool2d(x, (2, 3), (1, 2), dilation=(2, 1)),
    lambda x: F.avg_pool2d(x, 3, 2, 1),
    lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    lambda x: F.adaptive_avg_pool2d(x, 1),
    lambda x: F.adaptive_avg_pool2d(x, (2, 3)),
    lambda x: F.adaptive_max_pool2d(x, (2, 3)),
)


def radix_attention(x: Tensor) -> Tensor:
    """Two groups of channels, weighted by a softmax between them: ResNeSt's."""
    gate = x.mean((2, 3)).view(-1, 1, 2, 4).transpose(1, 2)
    gate = F.softmax(gate, 1).reshape(-1, 2, 4, 1, 1)
    return (x.view(-1, 2, 4, *x.shape[2:]) * gate).sum(1)


def selective_kernel(x: Tensor) -> Tensor:
    """Two maps, weighted by a softmax between them: SKNet's."""
    both = torch.stack([x, x.sigmoid()], 1)
    gate = both.sum(1).mean((2, 3), keepdim=True)
    gate = F.softmax(torch.cat([gate, gate * 2], 1).view(-1, 2, 8, 1, 1), 1)
    return (both * gate).sum(1)


def global_context(x: Tensor) -> Tensor:
    """The mean over places, weighted by a softmax over them: GCNet's."""
    weight = F.softmax(x.mean(1, keepdim=True).flatten(2), -1).unsqueeze(-1)
    return x + torch.matmul(x.flatten(2).unsqueeze(1), weight).view(-1, 8, 1, 1)


GATES: tuple[Callable[[Tensor], Tensor], ...] = (
    radix_attention,
    selective_kernel,
    global_context,
    lambda x: x * x.mean((2, 3), keepdim=True).sigmoid().expand_as(x),
    lambda x: x.mean(1, keepdim=True).expand(-1, 8, -1, -1) - x,
    lambda x: x.view(-1, 2, 4, 6, 8).amax(1),
    lambda x: x.view(-1, 2, 4, 6, 8).mean(1),
)
OUTSIDE: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda x: x.floor(),
    lambda x: x.round(),
    torch.erf,
    lambda x: torch.div(x, 0.3, rounding_mode="floor"),
    lambda x: F.pad(x, (1, 2, 2, 1), mode="reflect"),
    lambda x: F.pad(x, (1, 2, 2, 1), mode="replicate"),
    lambda x: F.interpolate(x, size=(9, 7), mode="nearest-exact"),
    lambda x: F.interpolate(x, scale_factor=1.1, mode="bilinear"),
)
"""What the language has no op for."""


def layers() -> nn.Sequential:
    """Every layer with weights, one after the other."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding="same"),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.Conv2d(8, 8, (2, 4), padding="same", dilation=2, bias=False),
        nn.BatchNorm2d(8, affine=False, momentum=0.03, eps=1e-3),
        nn.PReLU(8),
        nn.Sequential(
            nn.Conv2d(8, 12, 3, stride=2, padding=1, groups=4),
            nn.GroupNorm(3, 12),
            nn.SiLU(inplace=True),
        ),
        nn.ConvTranspose2d(12, 6, 3, stride=2, padding=1, output_padding=1, groups=2),
        nn.InstanceNorm2d(6, affine=True),
        nn.Dropout2d(0.2),
        nn.PReLU(),
        nn.utils.parametrizations.weight_norm(nn.Conv2d(6, 4, 1)),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.4),
        nn.Linear(16, 10),
        nn.LayerNorm(10),
        nn.Dropout(0.0),
        nn.Linear(10, 5, bias=False),
    )


class StandardizedConv(nn.Conv2d):
    """A convolution whose weight is standardized first, as those of ResNetV2 are."""

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.reshape(1, self.out_channels, -1)
        weight = F.batch_norm(weight, None, None, training=True, momentum=0.0, eps=1e-6)
        return F.conv2d(x, weight.reshape_as(self.weight), self.bias, padding=1)


class Bottleneck(nn.Module):
    """A residual block with squeeze-and-excitation, and one relu for two places."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = StandardizedConv(channels, channels, 3)
        self.fc = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv2(self.relu(self.bn1(self.conv1(x))))
        out = out * self.fc(out.mean((2, 3), keepdim=True)).sigmoid()
        out += x
        return self.relu(out)  # type: ignore[no-any-return]


class Branches(nn.Module):
    """Two inputs, shared weights, a buffer, a parameter of its own and named outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.blocks = nn.Sequential(Bottleneck(4), Bottleneck(4))
        self.gamma = nn.Parameter(torch.linspace(0.5, 2, 4))
        self.register_buffer("shift", torch.linspace(-1, 1, 4).reshape(4, 1, 1))
        self.shift: Tensor
        self.head = nn.Linear(4, 3)

    def forward(self, a: Tensor, b: Tensor) -> dict[str, Tensor]:
        a, b = self.blocks(self.stem(a)), self.stem(b)
        both = a * self.gamma[:, None, None] + b + self.shift * 2
        both = torch.relu_(both)
        return {"out": self.head(both.mean((2, 3))), "aux": self.head(a.mean((2, 3)))}
