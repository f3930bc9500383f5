"""Find out which bundled net runs on which engine, and write it into specs/engines.json.

    python examples/deploy/engines.py                    every net on every engine installed here
    python examples/deploy/engines.py 'resnet*' --engine ncnn openvino --again

Nets get random weights, and pictures as small as they take. What was found before with the same
versions is kept, `--again` finds it anew. `netspec specs --engines` prints the table; `pytest
tests/docs --update` writes the page.
"""

from __future__ import annotations

import argparse
import datetime
import json
import multiprocessing
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatch
from importlib.metadata import PackageNotFoundError
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import to_coreml
import to_executorch
import to_litert
import to_ncnn
import to_openvino
import to_web
from common import Arrays, Engine, Net, Run, difference, random_inputs

import netspec
from netspec.driver import bundled
from netspec.util.atomic_write import write_text
from netspec.util.resources import folder
from netspec.weights import fresh

FILE = folder("specs") / "engines.json"
TOLERANCE = 1e-3
"""How far values may be from NumPy's, of the largest one, for a net to run."""
SHARE = 0.99
"""How many values must be so near. Where maxima are nearly equal, indices put some elsewhere."""
SIDES = (64, 96, 128, 160, 192, 224)
"""Lengths of the shorter side of pictures, the first that a net can take is taken."""
LONGEST = 900
"""Seconds for one net on one engine."""
PROCESSES = multiprocessing.get_context("forkserver")
PRELOADED = (
    *("torch", "onnxruntime", "openvino", "ncnn", "coremltools", "executorch.exir"),
    *("executorch.backends.xnnpack.partition.xnnpack_partitioner", "litert_torch"),
)
"""What is imported once for all processes, where it is installed."""


def _built(backend: str) -> Any:
    """What makes the model that `netspec.build` gives."""

    def make(net: Net, inputs: Arrays) -> Run:
        model = netspec.build(net.loaded, backend=backend, weights=net.weights)

        def run(inputs: Any) -> Arrays:
            found = model(*inputs)
            return [*found] if isinstance(found, tuple) else [found]

        return run

    return make


def _keras(net: Net, inputs: Arrays) -> Run:
    """The Keras model, on PyTorch; channels come last there."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    model = netspec.build(net.loaded, backend="keras", weights=net.weights, probabilities=True)

    def run(inputs: Any) -> Arrays:
        last = [np.moveaxis(x, 1, -1) for x in inputs]
        found = model(last if len(last) > 1 else last[0])
        results = [np.asarray(y.detach()) for y in (found if isinstance(found, tuple) else [found])]
        return [np.moveaxis(y, -1, 1) for y in results]

    return run


class CEngine(Engine):
    """C files, and the compiler that is installed."""

    def versions(self) -> dict[str, str]:
        """The version of the compiler. Raises PackageNotFoundError where there is none."""
        if shutil.which("cc") is None:
            raise PackageNotFoundError("a C compiler")
        said = subprocess.run(["cc", "--version"], capture_output=True, text=True, check=True)
        return {"cc": said.stdout.splitlines()[0].split()[-1]}


ENGINES: Mapping[str, Engine] = {
    "onnxruntime": Engine("ONNX Runtime", ("onnxruntime", "onnx"), _built("onnx")),
    "web": to_web.ENGINE,
    "openvino": to_openvino.ENGINE,
    "ncnn": to_ncnn.ENGINE,
    "executorch": to_executorch.ENGINE,
    "litert": to_litert.ENGINE,
    "coreml": to_coreml.ENGINE,
    "keras": Engine("Keras", ("keras", "torch"), _keras),
    "c": CEngine("C", (), _built("c")),
}
FIXED = ("c",)
"""Engines whose models take the sizes that the spec says, and no others."""


class PreparedNet(Net):
    """A net whose folder has random weights, its ONNX file, inputs, and NumPy's results."""

    def prepare(self) -> None:
        """Write what the folder has."""
        netspec.write_weights(self.weights, fresh(self.loaded.tensors, 1, varied=True))
        super().onnx()
        inputs = _small_inputs(self)
        np.savez(self.folder / "inputs.npz", *inputs)
        np.savez(self.folder / "wanted.npz", *self.results(inputs))

    def onnx(self) -> Path:
        """The file that is there."""
        return self.file(".onnx")


def _small_inputs(net: Net) -> Arrays:
    """Random pictures, as small as the net takes where its ONNX file has free sizes."""
    import onnx

    declared = onnx.load(net.onnx()).graph.input
    full = random_inputs(net)
    free = [all(d.dim_param for d in i.type.tensor_type.shape.dim[2:]) for i in declared]
    if all(free) and all(x.ndim == 4 for x in full):
        shorter = min(min(x.shape[2:]) for x in full)
        for side in SIDES:
            if side >= shorter:
                break
            small = [_resized(x, side / shorter) for x in full]
            try:
                found = net.results(small)
            except (ValueError, IndexError):
                continue
            if all(y.size for y in found):
                return small
    return full


def _resized(x: Any, factor: float) -> Any:
    """The corner of a picture."""
    height, width = (-(-round(n * factor) // 32) * 32 for n in x.shape[2:])
    return np.ascontiguousarray(x[:, :, :height, :width])


def tried(engine: Engine, net: Net, full: bool = False) -> dict[str, Any]:
    """What comes of a net on an engine: `state`, and `difference` or `error`.

    With `full`, inputs are as large as the spec says.
    """
    inputs, wanted = (
        [*np.load(net.folder / f"{name}.npz").values()] for name in ("inputs", "wanted")
    )
    if full:
        inputs = random_inputs(net)
        wanted = net.results(inputs)
    run = engine.make(net, inputs)
    if run is None:
        return {"state": "converts"}
    found = run(inputs)
    apart = difference(wanted, found)
    result: dict[str, Any] = {"state": "runs", "difference": float(f"{apart:.2g}")}
    if not apart <= TOLERANCE:
        scales = [max(float(np.abs(w).max()), 1e-30) for w in wanted]
        near = [
            np.abs(w - np.reshape(f, w.shape)) <= TOLERANCE * scale
            for w, f, scale in zip(wanted, found, scales, strict=True)
        ]
        share = float(np.concatenate([n.ravel() for n in near]).mean())
        result |= {"state": "runs" if share >= SHARE else "differs", "share": round(share, 4)}
    if not np.isfinite(result["difference"]):
        result["difference"] = None
    return result


def in_a_process(name: str, net: Net) -> dict[str, Any]:
    """`tried` in a process of its own, as engines may crash or take for ever."""
    here, there = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=_send, args=(there, name, replace(net)))
    process.start()
    there.close()
    try:
        if here.poll(LONGEST):
            found: dict[str, Any] = here.recv()
            return found
        return {"state": "fails", "error": f"not ready after {LONGEST} seconds"}
    except EOFError:
        process.join()
        return {"state": "fails", "error": f"the engine crashes ({process.exitcode})"}
    finally:
        process.kill()


def _send(there: Connection, name: str, net: Net) -> None:
    """Send what comes of a net on an engine, from a process of its own."""
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    try:
        there.send(tried(ENGINES[name], net, name in FIXED))
    except Exception as error:
        if isinstance(error, netspec.SpecError):
            error = ValueError(error.diagnostics[0].message)
        text = re.sub(r"\S*/site-packages/", "", " ".join(str(error).split()))
        there.send({"state": "fails", "error": f"{type(error).__name__}: {text}"[:300]})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("nets", nargs="*", default=["*"], help="patterns (default: every net)")
    parser.add_argument("--engine", nargs="*", choices=[*ENGINES], default=[*ENGINES])
    parser.add_argument("--again", action="store_true", help="also what is known")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    PROCESSES.set_forkserver_preload(["common", *PRELOADED])
    data = json.loads(FILE.read_text()) if FILE.exists() else {"engines": {}, "nets": {}}
    names = [n for n in bundled() if any(fnmatch(n, pattern) for pattern in args.nets)]
    wanted = []
    for name in args.engine:
        try:
            versions = ENGINES[name].versions()
        except PackageNotFoundError as error:
            print(f"{ENGINES[name].name} is not tried: {error.name} is not installed")
            continue
        of_engine = {"name": ENGINES[name].name, "versions": versions}
        known = args.again is False and data["engines"].get(name) == of_engine
        data["engines"][name] = of_engine
        wanted.append(name)
        if not known and args.nets == ["*"]:
            for results in data["nets"].values():
                results["engines"].pop(name, None)
    for net_name in names:
        known_of = data["nets"].setdefault(net_name, {"inputs": [], "engines": {}})
        todo = [n for n in wanted if args.again or n not in known_of["engines"]]
        if not todo:
            continue
        with tempfile.TemporaryDirectory() as where:
            net = PreparedNet(net_name, f"{where}/weights.npz", Path(where))
            net.prepare()
            inputs = [*np.load(net.folder / "inputs.npz").values()]
            known_of["inputs"] = [[*x.shape[1:]] for x in inputs]
            for name in todo:
                known_of["engines"][name] = in_a_process(name, net)
                print(net_name, name, known_of["engines"][name], flush=True)
        data["measured"] = datetime.date.today().isoformat()
        write_text(FILE, _text(data))


def _text(data: Mapping[str, Any]) -> str:
    """The content of the file, nets and engines in order, a line for each result."""
    order = [*bundled()]
    nets = sorted(data["nets"].items(), key=lambda item: order.index(item[0]))
    lines = []
    for name, found in nets:
        engines = ",\n".join(
            f"      {json.dumps(e)}: {json.dumps(found['engines'][e])}"
            for e in ENGINES
            if e in found["engines"]
        )
        head = f'    {json.dumps(name)}: {{"inputs": {json.dumps(found["inputs"])}, "engines": {{'
        lines.append(f"{head}\n{engines}\n    }}}}")
    about = ",\n".join(
        f"    {json.dumps(e)}: {json.dumps(data['engines'][e])}"
        for e in ENGINES
        if e in data["engines"]
    )
    return (
        f'{{\n  "measured": {json.dumps(data["measured"])},\n  "engines": {{\n{about}\n  }},\n'
        f'  "nets": {{\n' + ",\n".join(lines) + "\n  }\n}\n"
    )


if __name__ == "__main__":
    main()
