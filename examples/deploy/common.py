"""What the scripts of this folder share: their arguments, the net in other forms, NumPy's results.

A script makes of a net a function from inputs to outputs; `main` calls it on pictures, or where
there are none on random numbers, and prints how far its results are from NumPy's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import netspec

BROWSER = Path(__file__).parent / "browser"
Arrays = list[Any]
Run = Callable[[Sequence[Any]], Arrays]
"""Outputs of inputs: arrays of float32, batch x channels x height x width."""


@dataclass(frozen=True)
class Net:
    """A spec with its weights, and the folder where files of it go."""

    spec: str
    weights: str
    folder: Path

    @cached_property
    def loaded(self) -> netspec.Net:
        """The checked net."""
        return netspec.load(self.spec)

    @cached_property
    def numpy(self) -> Any:
        """The model whose results others are compared with."""
        return netspec.build(self.loaded, backend="numpy", weights=self.weights)

    @cached_property
    def torch(self) -> Any:
        """The PyTorch model; it gives the spec's outputs, and computes in inference mode."""
        return netspec.build(
            self.loaded, backend="torch", weights=self.weights, probabilities=True
        ).eval()

    def traced(self, inputs: Arrays) -> Any:
        """The PyTorch model in TorchScript, for inputs of these shapes."""
        import torch

        trace: Any = torch.jit.trace  # which has no types
        return trace(self.torch, tuple(map(torch.from_numpy, inputs)))

    def file(self, suffix: str) -> Path:
        """The path of a file of this net."""
        return self.folder / f"{self.loaded.name}{suffix}"

    def onnx(self) -> Path:
        """The net as an ONNX file."""
        command = [sys.executable, "-m", "netspec", "compile", self.spec, "--backend", "onnx", "-q"]
        file = self.file(".onnx")
        subprocess.run([*command, "--weights", self.weights, "-o", str(file)], check=True)
        return file

    def results(self, inputs: Sequence[Any]) -> Arrays:
        """What NumPy gives."""
        found = self.numpy(*inputs)
        return [*found] if isinstance(found, tuple) else [found]


def random_inputs(net: Net) -> Arrays:
    """A random picture for each input, the same at every call."""
    draw = np.random.default_rng(0)
    shapes = [tuple(map(int, v.shape)) for v in net.loaded.ir.body.inputs]
    return [draw.standard_normal((1, *shape), dtype=np.float32) for shape in shapes]


def difference(wanted: Sequence[Any], found: Sequence[Any]) -> float:
    """The largest difference of any output from NumPy's, over the largest value of that output.

    Some engines leave out dimensions of 1. Raises ValueError where outputs are of other sizes.
    """
    if len(wanted) != len(found):
        raise ValueError(f"{len(found)} outputs in place of {len(wanted)}")
    most = 0.0
    for ours, theirs in zip(wanted, map(np.asarray, found), strict=True):
        if theirs.size != ours.size:
            raise ValueError(f"an output of shape {theirs.shape} in place of {ours.shape}")
        apart = np.abs(ours.astype(np.float64) - theirs.reshape(ours.shape))
        scale = max(float(np.abs(ours).max()), 1e-30)
        # A value that is no number is as far away as can be.
        most = max(most, float(np.where(np.isfinite(apart), apart, np.inf).max() / scale))
    return most


@dataclass(frozen=True)
class Engine:
    """What runs nets.

    `make` gives the net there for inputs of these shapes, and None where the engine can't be run on
    this machine. `packages` are what it needs, `install` installs them.
    """

    name: str
    packages: Sequence[str]
    make: Callable[[Net, Arrays], Run | None]
    install: str = ""

    def versions(self) -> dict[str, str]:
        """The versions of the packages. Raises PackageNotFoundError, which names a missing one."""
        return {name: _version(name) for name in self.packages}


def _version(package: str) -> str:
    """The version of a package of Python's, or of one that the page in `browser` has."""
    file = BROWSER / "node_modules" / package / "package.json"
    return str(json.loads(file.read_text())["version"]) if file.exists() else version(package)


def main(engine: Engine, text: str) -> None:
    """Carry out a script."""
    parser = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("spec", metavar="SPEC", help="a spec: a file, or the name of a bundled one")
    parser.add_argument("weights", metavar="WEIGHTS", help="weights of the net")
    parser.add_argument("pictures", metavar="PICTURE", nargs="*", help="what to classify")
    parser.add_argument("-o", "--output", metavar="FOLDER", default=".", help="where files go")
    args = parser.parse_args()
    net = Net(args.spec, args.weights, Path(args.output))
    net.folder.mkdir(parents=True, exist_ok=True)
    install = engine.install or f"pip install {' '.join(engine.packages)}"
    try:
        installed = ", ".join(f"{name} {number}" for name, number in engine.versions().items())
        samples = [[_prepared(net, p)] for p in args.pictures] or [random_inputs(net)]
        run = engine.make(net, samples[0])
    except netspec.SpecError as error:
        sys.exit(str(error))
    except ModuleNotFoundError as error:
        sys.exit(f"{engine.name} needs {error.name}, which is not installed: {install}")
    print(f"{net.loaded.name} in {engine.name} ({installed})")
    if run is None:
        print("converted; it does not run on this machine")
        return
    differences = []
    for i, inputs in enumerate(samples):
        wanted, found = net.results(inputs), run(inputs)
        differences.append(difference(wanted, found))
        if args.pictures:
            ours, theirs = (int(np.argmax(results[0])) for results in (wanted, found))
            print(f"{args.pictures[i]}: class {theirs} (NumPy: class {ours})")
    print(f"largest difference from NumPy: {max(differences):.1e} of the largest value")


def _prepared(net: Net, path: str) -> Any:
    """A picture as an input of the net."""
    from PIL import Image

    with Image.open(path) as picture:
        return net.numpy.preprocess(picture)
