# Compiled by netspec from densenet121.net: change the spec, not this file.
"""DenseNet-121, which is DenseNet-BC (Huang et al., 2016, arXiv:1608.06993, Table 1).

growth is the k of the paper, compression its theta.
"""

import math
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn


class DenseLayer(nn.Module):
    """Dense layer with a bottleneck, BN-ReLU-Conv(1x1)-BN-ReLU-Conv(3x3): adds `growth`
    channels to its input (Huang et al., 2016, arXiv:1608.06993, section 3, DenseNet-B).
    """

    def __init__(self, in_channels: int, growth: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, 4 * growth, kernel_size=1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, kernel_size=3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.norm1(x), inplace=True)
        out = self.conv1(out)
        out = F.relu(self.norm2(out), inplace=True)
        conv2 = self.conv2(out)
        return torch.cat((x, conv2), dim=1)


class DenseBlock(nn.Sequential):
    """Dense block: every layer sees the outputs of all before it (section 3,
    equation 2).
    """

    def __init__(self, in_channels: int, layers: int, growth: int) -> None:
        super().__init__()
        for i in range(layers):
            self.add_module(
                f"denselayer{i + 1}",
                DenseLayer(in_channels + i * growth, growth=growth),
            )


class Transition(nn.Module):
    """Transition between dense blocks: keeps a share `compression` of the channels and
    halves height and width (section 3, DenseNet-C).
    """

    def __init__(self, in_channels: int, compression: float = 0.5) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(in_channels)
        self.conv = nn.Conv2d(
            in_channels,
            math.floor(compression * in_channels),
            kernel_size=1,
            bias=False,
        )

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(x), inplace=True)
        x = self.conv(x)
        return F.avg_pool2d(x, 2)


class DenseNet121(nn.Module):
    """(N, 3, 224, 224) to (N, 1000); 7,978,856 parameters."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.norm0 = nn.BatchNorm2d(64)
        self.denseblock1 = DenseBlock(64, layers=6, growth=32)
        self.transition1 = Transition(256)
        self.denseblock2 = DenseBlock(128, layers=12, growth=32)
        self.transition2 = Transition(512)
        self.denseblock3 = DenseBlock(256, layers=24, growth=32)
        self.transition3 = Transition(1024)
        self.denseblock4 = DenseBlock(512, layers=16, growth=32)
        self.norm5 = nn.BatchNorm2d(1024)
        self.classifier = nn.Linear(1024, classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(m.weight)
                if m.bias is not None:
                    nn.init.zeros_(m.bias)

    def forward(self, data: Tensor) -> Tensor:
        x = self.conv0(data)  # 64x112x112
        x = F.relu(self.norm0(x), inplace=True)
        x = F.max_pool2d(x, 3, stride=2, padding=1)  # 64x56x56
        x = self.denseblock1(x)  # 256x56x56
        x = self.transition1(x)  # 128x28x28
        x = self.denseblock2(x)  # 512x28x28
        x = self.transition2(x)  # 256x14x14
        x = self.denseblock3(x)  # 1024x14x14
        x = self.transition3(x)  # 512x7x7
        x = self.denseblock4(x)  # 1024x7x7
        x = F.relu(self.norm5(x), inplace=True)
        x = x.mean(dim=(2, 3))
        return self.classifier(x).softmax(dim=1)

    def load(self, path: str | Path) -> None:
        """Load all weights from a .npz or .safetensors file."""
        read = np.load if Path(path).suffix == ".npz" else load_file
        weights = {name: torch.as_tensor(array) for name, array in read(path).items()}
        deepcopy(self).load_state_dict(weights)  # raises before anything is changed
        self.load_state_dict(weights)

    @staticmethod
    def preprocess(image: Any) -> Tensor:
        """An RGB picture (H x W x 3), values 0 to 255, as input of the net."""
        x = torch.from_numpy(np.array(image, dtype=np.float32)).permute(2, 0, 1)[None]
        height, width = (round(n * 256 / min(x.shape[2:])) for n in x.shape[2:])
        x = F.interpolate(x, (height, width), mode="bilinear", antialias=True)
        top, left = (height - 224) // 2, (width - 224) // 2
        mean = torch.tensor([0.485, 0.456, 0.406]).view(-1, 1, 1)
        std = torch.tensor([0.229, 0.224, 0.225]).view(-1, 1, 1)
        return (x[:, :, top : top + 224, left : left + 224] / 255 - mean) / std


if __name__ == "__main__":
    model = DenseNet121().eval()
    assert sum(p.numel() for p in model.parameters()) == 7_978_856
    assert model(torch.zeros(1, 3, 224, 224)).shape == (1, 1000)
