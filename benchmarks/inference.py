"""Measures the emitted NumPy model beside PyTorch and ONNX Runtime.

    python benchmarks/inference.py [--threads 2] [--batch 1 16] [--compile] [--profile] [SPEC ...]

All compute the same network with the same weights, and their results are compared first. They are
measured in rounds, each once a round, so that other load on the machine affects all of them: a
pause, some calls to warm up, and one that is measured. The time of each is the median over the
rounds. ONNX Runtime's threads sleep when they have nothing to do: spinning ones would take time
from what is measured next. `--spin` lets them spin.

All compute with the processor's own instructions: OPENBLAS_CORETYPE, which would bind NumPy alone
to an older processor's, is removed from the environment, unless `--keep-coretype` is given.
"""

from __future__ import annotations

import argparse
import copy
import ctypes
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import netspec  # noqa: E402
from netspec.codegen.backend import get, load_model, model_files  # noqa: E402
from netspec.ir import Net  # noqa: E402
from netspec.ops.convolution import Conv, Linear  # noqa: E402
from netspec.weights import fresh  # noqa: E402

SPECS = ("squeezenet1_0", "squeezenet1_1", "mobilenet_v1", "mobilenet_v2", "resnet18")
TOLERANCE = 1e-4
"""Largest difference of results, relative to the largest value of ONNX Runtime's."""

PAUSE = 0.1
"""Seconds before each measurement: threads of OpenBLAS and OpenMP spin on for tens of milliseconds
after a call, and would take a core from what is measured next."""
WARM = 0.1
"""Seconds of calls before each measurement: it takes some before the system has spread threads that
were asleep over the cores."""

Run = Callable[[], Any]


def session(net: Net, weights: Any, x: Any, threads: int, spin: bool) -> Run:
    """A call of ONNX Runtime on `x`, with all its optimizations."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spin)))
    model = onnxruntime.InferenceSession(
        b"".join(model_files(net, get("onnx"), weights, net.name)[net.name]),
        options,
        providers=["CPUExecutionProvider"],
    )
    feeds = {model.get_inputs()[0].name: x}
    return lambda: model.run(None, feeds)[0]


def runners(net: Net, batch: int, threads: int, compiled: bool, spin: bool) -> dict[str, Run]:
    """The calls that are measured, by name."""
    weights = fresh(net.tensors, 1, varied=True)
    shape = (batch, *(int(d) for d in net.body.inputs[0].shape))
    x = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    numpy, pytorch = get("numpy"), get("torch")
    ours: Any = type(load_model(net, numpy))(threads=threads)
    numpy.set_weights(ours, weights)
    eager: Any = load_model(net, pytorch)
    pytorch.set_weights(eager, weights)
    eager.eval()
    last = copy.deepcopy(eager).to(memory_format=torch.channels_last)
    data = torch.from_numpy(x)
    channels_last_data = data.to(memory_format=torch.channels_last)
    runs: dict[str, Run] = {
        "netspec NumPy": lambda: ours(x),
        "ONNX Runtime": session(net, weights, x, threads, spin),
        "PyTorch eager": lambda: eager(data).numpy(),
        "PyTorch channels_last": lambda: last(channels_last_data).numpy(),
    }
    if compiled:
        fast: Any = torch.compile(eager)
        runs["torch.compile"] = lambda: fast(data).numpy()
    runs["bare products"] = products(net, batch)
    return runs


def products(net: Net, batch: int) -> Run:
    """Only the matrix products of all convolutions and linear layers, by im2col."""
    calls = []
    for layer in net.layers:
        if isinstance(layer.op, Conv | Linear):
            filters, *rest = (int(d) for d in layer.layer.tensors["weight"].shape)
            groups = layer.op.group_count if isinstance(layer.op, Conv) else 1
            places = batch * int(np.prod(layer.outputs[0].shape[1:]))
            inner = int(np.prod(rest))
            a = np.ones((groups, places, inner), np.float32)
            b = np.ones((groups, inner, filters // groups), np.float32)
            out = np.empty((groups, places, filters // groups), np.float32)
            calls.append((a, b, out))

    def run() -> None:
        for a, b, out in calls:
            np.matmul(a, b, out=out)

    return run


def check(runs: dict[str, Run]) -> None:
    """Compare the results of all; exit where one differs from ONNX Runtime's."""
    wanted = runs["ONNX Runtime"]()
    for name, run in runs.items():
        found = run()
        if found is not None:
            difference = float(np.abs(found - wanted).max() / np.abs(wanted).max())
            if not difference <= TOLERANCE:
                sys.exit(
                    f"{name} differs from ONNX Runtime by {difference:.2g} of the largest value"
                )


def measure(runs: dict[str, Run], rounds: int) -> dict[str, list[float]]:
    """Seconds of one call of each in each round, with caches and threads warm from calls before."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    with torch.inference_mode():
        check(runs)
        for _ in range(rounds):
            for name, run in runs.items():
                time.sleep(PAUSE)
                begun = start = time.perf_counter()
                while start < begun + WARM:
                    run()
                    start = time.perf_counter()
                run()
                times[name].append(time.perf_counter() - start)
    return times


def table(times: dict[str, list[float]], batch: int) -> None:
    base, eager = (statistics.median(times[n]) for n in ("ONNX Runtime", "PyTorch eager"))
    print(f"  {'batch ' + str(batch):<24}{'median ms':>10}{'least ms':>10}", end="")
    print(f"{'of ONNX RT':>12}{'of eager':>10}")
    for name, seconds in times.items():
        middle = statistics.median(seconds)
        print(f"  {name:<24}{middle * 1e3:>10.2f}{min(seconds) * 1e3:>10.2f}", end="")
        print(f"{middle / base:>12.2f}{middle / eager:>10.2f}")


def profile(net: Net, rounds: int) -> None:
    """Print the time of the NumPy model on one thread: by function, and by step."""
    model: Any = type(load_model(net, get("numpy")))(threads=1)
    x = np.zeros((1, *(int(d) for d in net.body.inputs[0].shape)), np.float32)
    model(x)
    ((plan,),) = model.plans.values()
    functions: dict[str, float] = {}
    steps = [0.0] * len(plan.steps)
    plan.given = (x[0], *plan.outputs)
    threads, set_threads = model.run.__globals__["openblas"]() or (int, int)
    before = threads()
    set_threads(1)
    for _ in range(rounds):
        for i, ((calls, _, _),) in enumerate(plan.steps):
            for call in calls:
                start = time.perf_counter()
                call()
                seconds = (time.perf_counter() - start) / rounds
                name = getattr(call.func, "__name__", "other")
                functions[name] = functions.get(name, 0.0) + seconds
                steps[i] += seconds
    set_threads(before)
    total = sum(steps)
    print(f"  one thread, {total * 1e3:.2f} ms in {len(plan.steps)} steps:")
    for name, seconds in sorted(functions.items(), key=lambda item: -item[1]):
        print(f"    {name:<16}{seconds * 1e3:>8.2f} ms {seconds / total:>6.0%}")
    print("  by step, ms: " + " ".join(f"{s * 1e3:.2f}" for s in steps))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("specs", nargs="*", default=SPECS, metavar="SPEC")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--compile", action="store_true", help="torch.compile too")
    parser.add_argument("--spin", action="store_true", help="let ONNX Runtime's threads spin")
    parser.add_argument("--profile", action="store_true", help="where NumPy's time goes")
    parser.add_argument(
        "--keep-coretype", action="store_true", help="let OPENBLAS_CORETYPE bind NumPy, if set"
    )
    options = parser.parse_args(arguments)
    if not options.keep_coretype:
        without_coretype()
    torch.set_num_threads(options.threads)
    print(f"NumPy {np.__version__}, PyTorch {torch.__version__}, ", end="")
    print(f"ONNX Runtime {onnxruntime.__version__}; {options.threads} threads; ", end="")
    print(f"BLAS kernels: {kernels_of_blas()}; load {os.getloadavg()[0]:.1f}")
    for spec in options.specs:
        net = netspec.load(spec).ir
        print(f"{spec}: {net.macs / 1e6:,.0f} million MACs, {net.params:,} parameters")
        for batch in options.batch:
            runs = runners(net, batch, options.threads, options.compile, options.spin)
            table(measure(runs, options.rounds), batch)
        if options.profile:
            profile(net, options.rounds)


def without_coretype() -> None:
    """Run this script again without OPENBLAS_CORETYPE, if it is set: OpenBLAS has read it."""
    coretype = os.environ.pop("OPENBLAS_CORETYPE", None)
    if coretype is not None:
        print(f"without OPENBLAS_CORETYPE={coretype} (--keep-coretype)", flush=True)
        os.execv(sys.executable, [sys.executable, *sys.argv])


def kernels_of_blas() -> str:
    """The processor type whose instructions OpenBLAS uses."""
    names = ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath")
    module = next(sys.modules[name] for name in names if name in sys.modules)
    library = ctypes.CDLL(str(module.__file__))
    for form in ("scipy_openblas_%s64_", "openblas_%s64_", "scipy_openblas_%s", "openblas_%s"):
        if hasattr(library, form % "get_corename"):
            ask = getattr(library, form % "get_corename")
            ask.restype = ctypes.c_char_p
            return str(ask().decode())
    return "unknown"


if __name__ == "__main__":
    main()
