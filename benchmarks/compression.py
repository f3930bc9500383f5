"""SqueezeNet's published weights, compressed: bytes, and how far the answers agree.

    python benchmarks/compression.py [--data ../shared/data]

Needs torch and Pillow, and Deep Compression's archive with four pictures beside it. Of each picture
24 crops and the whole are classified; the answers of the net with the archive's weights are what is
compared with. KL is the mean divergence of the probabilities from theirs.
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import netspec
from netspec.compression import Start, compressed
from netspec.metrics.compression import Compression, LayerRule
from netspec.weights import read, read_deep_compression

SPEC = "squeezenet1_0_caffe"
CROPS = 24
SETTINGS: tuple[tuple[int, Start], ...] = (
    *((bits, "density") for bits in (8, 7, 6, 5)),
    *((bits, "linear") for bits in (8, 7, 6, 5)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    data: Path = parser.parse_args().data
    net = netspec.load(SPEC).ir
    arrays = read_deep_compression(data / "squeezenet_v1.0/deep_compression.bin", net.tensors)
    model: Any = netspec.build(SPEC, backend="torch", weights=arrays).eval()
    x = crops(model, sorted((data / "images").iterdir()))
    wanted = answers(model, x)
    whole = slice(CROPS, None, CROPS + 1)
    print(f"archive: whole pictures are {wanted.argmax(1)[whole].tolist()}")
    file = Path("build/compressed.nsz")
    file.parent.mkdir(exist_ok=True)
    for bits, start in SETTINGS:
        plan = Compression((), (LayerRule("*", Fraction(bits)),))
        content = compressed(net, arrays, plan, start).content(net.name)
        file.write_bytes(content)
        model.load_state_dict({n: torch.from_numpy(a) for n, a in read(file).items()})
        found = answers(model, x)
        same = (found.argmax(1) == wanted.argmax(1)).float().mean()
        divergence = (wanted.exp() * (wanted - found)).sum(1).mean()
        print(
            f"{bits} bits, {start:8} {len(content):9,} bytes  same answer {same:.0%}  "
            f"KL {divergence:.3f}  whole pictures {found.argmax(1)[whole].tolist()}"
        )


def crops(model: Any, pictures: list[Path]) -> torch.Tensor:
    """Inputs: squares of 60 to 100% of the shorter side at random places, then the whole."""
    rng = np.random.default_rng(0)
    found = []
    for path in pictures:
        picture = Image.open(path).convert("RGB")
        width, height = picture.size
        for _ in range(CROPS):
            side = rng.uniform(0.6, 1) * min(width, height)
            left, top = rng.uniform(0, width - side), rng.uniform(0, height - side)
            found.append(picture.crop((left, top, left + side, top + side)))
        found.append(picture)
    return torch.cat([model.preprocess(picture) for picture in found])


def answers(model: Any, x: torch.Tensor) -> torch.Tensor:
    """Logarithms of the probabilities."""
    with torch.inference_mode():
        return torch.cat([model(part).flatten(1).log_softmax(1) for part in torch.split(x, 20)])


if __name__ == "__main__":
    main()
