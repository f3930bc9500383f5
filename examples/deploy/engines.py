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
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from fnmatch import fnmatch
from importlib.metadata import PackageNotFoundError
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


def _built(backend: str) -> Any:
    """What makes the model that `netspec.build` gives."""

    def make(net: Net, inputs: Arrays) -> Run:
        model = netspec.build(net.loaded, backend=backend, weights=net.weights)

        def run(inputs: Any) -> Arrays:
            found = model(*inputs)
            return [*found] if isinstance(found, tuple) else [found]

        return run

    return make


ENGINES: Mapping[str, Engine] = {
    "onnxruntime": Engine("ONNX Runtime", ("onnxruntime", "onnx"), _built("onnx")),
    "web": to_web.ENGINE,
    "openvino": to_openvino.ENGINE,
    "ncnn": to_ncnn.ENGINE,
    "executorch": to_executorch.ENGINE,
    "litert": to_litert.ENGINE,
    "coreml": to_coreml.ENGINE,
}


def prepare(net: Net) -> None:
    """Write random weights into the net's folder, inputs, and what NumPy makes of them."""
    netspec.write_weights(net.weights, fresh(net.loaded.tensors, 1, varied=True))
    inputs = _small_inputs(net)
    np.savez(net.folder / "inputs.npz", *inputs)
    np.savez(net.folder / "wanted.npz", *net.results(inputs))


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


def tried(engine: Engine, net: Net) -> dict[str, Any]:
    """What comes of a net on an engine: `state`, and `difference` or `error`."""
    inputs, wanted = (
        [*np.load(net.folder / f"{name}.npz").values()] for name in ("inputs", "wanted")
    )
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


def in_a_process(name: str, net: str, where: Path) -> dict[str, Any]:
    """`tried` in a process of its own, as engines may crash or take for ever."""
    command = [sys.executable, __file__, net, "--engine", name, "--folder", str(where)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=LONGEST, check=False, env=environment
        )
    except subprocess.TimeoutExpired:
        return {"state": "fails", "error": f"not ready after {LONGEST} seconds"}
    last = (done.stdout.splitlines() or [""])[-1]
    if done.returncode == 0 and last.startswith("{"):
        found: dict[str, Any] = json.loads(last)
        return found
    if done.returncode < 0:
        return {"state": "fails", "error": f"{signal.Signals(-done.returncode).name} in the engine"}
    return {"state": "fails", "error": (done.stderr.splitlines() or ["no message"])[-1][:300]}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("nets", nargs="*", default=["*"], help="patterns (default: every net)")
    parser.add_argument("--engine", nargs="*", choices=[*ENGINES], default=[*ENGINES])
    parser.add_argument("--again", action="store_true", help="also what is known")
    parser.add_argument("--folder", help=argparse.SUPPRESS)  # of a process of its own
    args = parser.parse_args()
    if args.folder:
        net = Net(args.nets[0], f"{args.folder}/weights.npz", Path(args.folder))
        try:
            print(json.dumps(tried(ENGINES[args.engine[0]], net)))
        except Exception as error:
            traceback.print_exc()
            text = " ".join(str(error).split())
            sys.exit(f"{type(error).__name__}: {text}")
        return
    data = json.loads(FILE.read_text()) if FILE.exists() else {"engines": {}, "nets": {}}
    names = [n for n in bundled() if any(fnmatch(n, pattern) for pattern in args.nets)]
    for name in args.engine:
        try:
            versions = ENGINES[name].versions()
        except PackageNotFoundError as error:
            print(f"{ENGINES[name].name} is not tried: {error.name} is not installed")
            continue
        of_engine = {"name": ENGINES[name].name, "versions": versions}
        known = args.again is False and data["engines"].get(name) == of_engine
        data["engines"][name] = of_engine
        if not known and args.nets == ["*"]:
            for results in data["nets"].values():
                results["engines"].pop(name, None)
    wanted = [name for name in ENGINES if name in args.engine and name in data["engines"]]
    for net_name in names:
        known_of = data["nets"].setdefault(net_name, {"inputs": [], "engines": {}})
        todo = [n for n in wanted if args.again or n not in known_of["engines"]]
        if not todo:
            continue
        with tempfile.TemporaryDirectory() as where:
            net = Net(net_name, f"{where}/weights.npz", Path(where))
            prepare(net)
            inputs = [*np.load(net.folder / "inputs.npz").values()]
            known_of["inputs"] = [[*x.shape[1:]] for x in inputs]
            for name in todo:
                known_of["engines"][name] = in_a_process(name, net_name, net.folder)
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
