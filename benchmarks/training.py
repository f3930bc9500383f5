"""Measures how fast training gets its samples, beside torchvision's ImageFolder and a DataLoader.

    python benchmarks/training.py [--pictures 640] [--size 500x375] [--batch 64] [--workers 2]
                                  [--epochs 4] [--rounds 5] [--net squeezenet1_1] [--device auto]

Both read the same drawn JPEGs, with the same recipe and as many processes, in turns, so that other
load on the machine affects both alike; a ratio is the median of those of the rounds. `crop` resizes
to 256, crops 227 at random and mirrors; `resized_crop` is RandomResizedCrop and mirrors; `cached`
is `crop` with `--cache`. `train` are whole steps of the net by `crop`, each with the same model.
`arrays` are 32x32 pictures in memory, shifted and mirrored, beside a DataLoader of the same.
torchvision must be installed.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import datasets, transforms

import netspec
from netspec.ir import Net, Training
from netspec.training.datasets import TrainingData, read
from netspec.training.loader import Loader
from netspec.training.sampler import Sampler
from netspec.training.transforms import Preparation

INPUT = "{ scale: 1/255  mean: [0.485, 0.456, 0.406]  std: [0.229, 0.224, 0.225] "
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
CLASSES = 4
Batches = Iterator[tuple[Tensor, Tensor]]


def draw(folder: Path, count: int, width: int, height: int) -> None:
    """JPEGs with detail like that of photographs, in folders of classes."""
    rng = np.random.default_rng(0)
    for i in range(count):
        picture = np.zeros((height, width, 3))
        for cells in (4, 16, 64, 200):
            noise = rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
            layer = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
            picture += np.asarray(layer, np.float64) * (4 / cells) ** 0.5 / 2
        own = folder / str(i % CLASSES)
        own.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(own / f"{i}.jpg", quality=90)


def net_of(fields: str, picture: str) -> Net:
    text = (
        f"net n {{ input data: {picture}\n global_avgpool -> linear {{ units: {CLASSES} }}\n"
        f" train {{ learning_rate: 0.01  batch_size: 1  epochs: 1  {fields} }} }}"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "n.net"
        path.write_text(text, encoding="utf-8")
        return netspec.load(path).ir


def ours(data: TrainingData, args: argparse.Namespace, workers: int) -> Batches:
    """Some epochs of batches as `netspec train` makes them."""
    count = len(data.train.labels)
    order = Sampler(count, args.batch, 0)
    loader = Loader(data.train, 0, workers, args.device, largest=args.batch)
    try:
        yield from loader.training(order.draws(i) for i in range(args.epochs * count // args.batch))
    finally:
        loader.close()


def theirs(data: Dataset[Any], args: argparse.Namespace, workers: int) -> Batches:
    """Some epochs of batches of a DataLoader."""
    cuda = args.device.type == "cuda"
    loader = DataLoader(
        data,
        args.batch,
        shuffle=True,
        num_workers=workers,
        drop_last=True,
        pin_memory=cuda,
        persistent_workers=workers > 0,
    )
    for x, y in (batch for _ in range(args.epochs) for batch in loader):
        yield x.to(args.device, non_blocking=cuda), y.to(args.device, non_blocking=cuda)


def steps(model: nn.Module, batches: Batches) -> Batches:
    """The batches, each trained on."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)
    for x, y in batches:
        optimizer.zero_grad(set_to_none=True)
        loss: Any = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        yield x, y


def measured(batches: Iterable[tuple[Tensor, Tensor]], device: torch.device) -> tuple[float, float]:
    """Pictures a second by the clock, and a second of processors; the start is left out."""
    count, begun, used = 0, 0.0, 0.0
    for number, (x, _) in enumerate(batches):
        if number == 0:  # processes have started
            begun = time.perf_counter()
        else:
            count += len(x)
    if device.type == "cuda":
        torch.cuda.synchronize()
    spent = time.perf_counter() - begun
    used = _processor_time()
    return count / spent, used


def _processor_time() -> float:
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def compare(
    name: str,
    mine: Callable[[], Batches],
    other: Callable[[], Batches],
    args: argparse.Namespace,
    samples: int,
) -> None:
    """Print the speeds of both and the median ratio."""
    speeds: list[tuple[float, float]] = []
    costs: list[tuple[float, float]] = []
    for _ in range(args.rounds):
        row, cost = [], []
        for make in (mine, other):
            before = _processor_time()
            speed, after = measured(make(), args.device)
            row.append(speed)
            cost.append((after - before) / samples / args.epochs * 1000)
        speeds.append((row[0], row[1]))
        costs.append((cost[0], cost[1]))
    a, b = (statistics.median(s[i] for s in speeds) for i in range(2))
    c, d = (statistics.median(s[i] for s in costs) for i in range(2))
    ratio = statistics.median(x / y for x, y in speeds)
    work = statistics.median(y / x for x, y in costs)
    print(
        f"{name:14}{a:>12,.0f}{b:>12,.0f}{ratio:>9.2f}{c:>12.2f}{d:>12.2f}{work:>9.2f}", flush=True
    )


class Shifted(Dataset[Any]):
    """Arrays, changed one by one."""

    def __init__(self, x: Any, y: Any) -> None:
        self.x, self.y = torch.from_numpy(x).permute(0, 3, 1, 2), y
        self.change = transforms.Compose(
            [
                transforms.RandomCrop(32, 4),
                transforms.RandomHorizontalFlip(),
                transforms.ConvertImageDtype(torch.float32),
                transforms.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return self.change(self.x[i]), int(self.y[i])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--pictures", type=int, default=640)
    parser.add_argument("--size", default="500x375")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--workers", type=int, default=min(os.cpu_count() or 1, 16))
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--net", default="squeezenet1_1")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--only", nargs="*", help="names of what is to be measured")
    args = parser.parse_args()
    cuda = args.device == "cuda" or (args.device == "auto" and torch.cuda.is_available())
    args.device = torch.device("cuda" if cuda else "cpu")
    width, height = map(int, args.size.split("x"))
    end = [
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
    ]
    recipes = {
        "crop": ("random_crop: true", [transforms.Resize(256), transforms.RandomCrop(227)]),
        "resized_crop": ("resized_crop: 0.08", [transforms.RandomResizedCrop(227)]),
    }
    print(f"{args.pictures} JPEGs of {args.size}, {args.workers} workers, {args.device}")
    print(
        f"{'':14}{'images/s':>12}{'theirs':>12}{'ratio':>9}{'CPU ms':>12}{'theirs':>12}{'ratio':>9}"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "pictures"
        draw(folder, args.pictures, width, height)
        found: dict[str, tuple[TrainingData, Dataset[Any]]] = {}
        for recipe, (fields, first) in recipes.items():
            net = net_of(
                f"mirror: true  {fields}", f"3x227x227 {INPUT} resize: 256  crop: center }}"
            )
            for kept in (False, True):
                keep = Path(name) / "kept" if kept else None
                title = recipe if not kept else "cached" if recipe == "crop" else "cached_resized"
                if args.only and title not in args.only and title != "crop":
                    continue
                data = _read(folder, net, keep)
                plain = datasets.ImageFolder(str(folder), transforms.Compose([*first, *end]))
                found[title] = data, plain
        for title, (data, plain) in found.items():
            if args.only and title not in args.only:
                continue
            compare(
                title,
                lambda data=data: ours(data, args, args.workers),  # type: ignore[misc]
                lambda plain=plain: theirs(plain, args, args.workers),  # type: ignore[misc]
                args,
                args.pictures,
            )
        if not args.only or "train" in args.only:
            built: Any = netspec.build(netspec.load(args.net, classes=CLASSES), backend="torch")
            model = built.to(args.device).train()
            data, plain = found["crop"]
            compare(
                "train",
                lambda: steps(model, ours(data, args, args.workers)),
                lambda: steps(model, theirs(plain, args, args.workers)),
                args,
                args.pictures,
            )
    if not args.only or "arrays" in args.only:
        rng = np.random.default_rng(0)
        x = rng.integers(0, 256, (20_000, 32, 32, 3), dtype=np.uint8)
        y = rng.integers(0, CLASSES, len(x))
        net = net_of("mirror: true  shift: 4", f"3x32x32 {INPUT} }}")
        with tempfile.TemporaryDirectory() as name:
            np.savez(Path(name) / "d.npz", x=x, y=y)
            data = _read(Path(name) / "d.npz", net, None)
        shifted = Shifted(x, y)
        compare(
            "arrays",
            lambda: ours(data, args, 0),
            lambda: theirs(shifted, args, args.workers),
            args,
            len(x),
        )


def _read(path: Path, net: Net, keep: Path | None) -> TrainingData:
    assert isinstance(net.training, Training)
    return read(path, net, Preparation(net, net.training, keep), 0.0)


if __name__ == "__main__":
    main()
