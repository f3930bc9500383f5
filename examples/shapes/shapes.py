"""Nets that learn from scratch on drawn shapes: the pictures, the trainings, a chart of them.

    pip install -e ".[torch]"
    python examples/shapes/shapes.py                                # the pictures alone
    python examples/shapes/shapes.py squeezenet1_1 squeezenet1_0    # and nets trained on them

The pictures are 5,000 of 64x64 pixels, a fifth of them held out, in build/shapes/shapes.npz; the
same come out each time. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from netspec.report.chart import COLORS, Panel, Series, chart, linear

Array = np.ndarray[Any, np.dtype[Any]]

SIZE = 64
SHAPES = (
    *("disc", "ring", "square", "triangle", "star"),
    *("cross", "crescent", "half", "bar", "pair"),
)
FINE = 3
"""Points in each direction that a pixel is the mean of."""
OWN_SIZE = ("squeezenet_cifar",)
"""Nets without the parameter size."""
PAPER = {
    "optimizer": "sgd",
    "learning_rate": "0.04",
    "schedule": "poly",
    "warmup": "0",
    "momentum": "0.9",
    "weight_decay": "0.0002",
    "decay_all": "true",
    "init": "xavier(fan_in)",
}
"""SqueezeNet's solver.prototxt, but for the numbers of samples."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("nets", nargs="*", metavar="NET", help="bundled nets that are trained")
    parser.add_argument("--out", type=Path, default=Path("build/shapes"))
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--paper", action="store_true", help="by the recipe of SqueezeNet's paper")
    parser.add_argument("--chart", type=Path, help="draw all runs that are there into this SVG")
    args = parser.parse_args()
    out: Path = args.out
    out.mkdir(parents=True, exist_ok=True)
    data = out / "shapes.npz"
    if not data.exists():
        x, y = draw(4000, SIZE, seed=0)
        x_test, y_test = draw(1000, SIZE, seed=1)
        np.savez_compressed(data, x_train=x, y_train=y, x_test=x_test, y_test=y_test)
    for net in args.nets:
        command = ["train", net, "--set", "classes=10", "--data", data, "--every", 25]
        command += [] if net in OWN_SIZE else ["--set", f"size={SIZE}"]
        fields = {"epochs": args.epochs, **(PAPER if args.paper else {})}
        command += [w for name, value in fields.items() for w in ("--train", f"{name}={value}")]
        command += ["-o", out / (f"{net}, the paper's recipe" if args.paper else net)]
        words = [str(word) for word in command]
        print(f"\n$ netspec {shlex.join(words)}", flush=True)
        if subprocess.run([sys.executable, "-m", "netspec", *words], check=False).returncode:
            return 1
    if args.chart:
        args.chart.write_text(curves(out), encoding="utf-8")
    return 0


def inside(shape: str, u: Array, v: Array) -> Array:
    """Which points are in a shape, which lies within the unit circle."""
    r = np.hypot(u, v)
    if shape == "disc":
        found = r < 0.9
    elif shape == "ring":
        found = (r < 1) & (r > 0.55)
    elif shape == "square":
        found = np.maximum(abs(u), abs(v)) < 0.75
    elif shape == "triangle":
        found = (v > -0.5) & (v + 3**0.5 * abs(u) < 1)
    elif shape == "star":
        wedge = abs((np.arctan2(v, u) / (2 * np.pi) * 5) % 1 - 0.5) * 2
        found = r < 0.4 + 0.6 * wedge**1.5
    elif shape == "cross":
        found = (np.minimum(abs(u), abs(v)) < 0.28) & (np.maximum(abs(u), abs(v)) < 0.95)
    elif shape == "crescent":
        found = (r < 1) & (np.hypot(u - 0.5, v) > 0.75)
    elif shape == "half":
        found = (np.hypot(u, v + 0.4) < 1) & (v > -0.4)
    elif shape == "bar":
        found = (abs(u) < 0.95) & (abs(v) < 0.3)
    else:
        found = np.hypot(abs(u) - 0.55, v) < 0.42
    return np.asarray(found)


def draw(count: int, size: int, seed: int) -> tuple[Array, Array]:
    """Pictures (N, size, size, 3) of bytes, and the numbers of the shapes that they show.

    Each shape has a place, a size, a tilt and a bright colour of its own, before a dark background
    that changes from one side to the other, under noise.
    """
    rng = np.random.default_rng(seed)
    axis = (np.arange(size * FINE) + 0.5) / (size * FINE)
    labels = rng.permutation(np.arange(count) % len(SHAPES))
    pictures = np.empty((count, size, size, 3), np.uint8)
    for i, label in enumerate(labels):
        radius = rng.uniform(0.25, 0.45)
        x, y = rng.uniform(radius, 1 - radius, 2)
        angle = rng.uniform(-0.4, 0.4)
        du, dv = (axis[None, :] - x) / radius, (axis[:, None] - y) / radius
        u = du * np.cos(angle) + dv * np.sin(angle)
        v = dv * np.cos(angle) - du * np.sin(angle)
        share = inside(SHAPES[label], u, v).reshape(size, FINE, size, FINE).mean((1, 3))[..., None]
        back, front = rng.uniform(0, 110, 3), rng.uniform(145, 255, 3)
        slope = rng.uniform(-40, 40, 3) * (axis[::FINE] - 0.5)[:, None]
        ground = back + (slope[:, None] if rng.random() < 0.5 else slope[None, :])
        picture = ground * (1 - share) + front * share + rng.normal(0, 12, (size, size, 3))
        pictures[i] = picture.clip(0, 255)
    return pictures, labels


def curves(out: Path) -> str:
    """An SVG of loss and accuracy on held-out pictures over the iterations, of each run there."""
    runs = {}
    for file in sorted(out.glob("*/metrics.jsonl")):
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        runs[file.parent.name] = [row for row in rows if row["kind"] == "held-out"]
    panels = []
    for metric, label, factor in (("loss", "loss", 1), ("accuracy", "accuracy, %", 100)):
        lines = []
        for i, (name, rows) in enumerate(runs.items()):
            points = [(float(row["iteration"]), factor * float(row[metric])) for row in rows]
            lines.append(Series(name, points, COLORS[i % len(COLORS)], width=1.8))
        places = [point for line in lines for point in line.points]
        across = linear([0, *(x for x, _ in places)], tight=True)
        panels.append(Panel(lines, across, linear([y for _, y in places]), "iterations", label))
    title = "1,000 drawn shapes that were held out"
    return chart(title, panels, columns=1, width=720, height=320)


if __name__ == "__main__":
    sys.exit(main())
