"""Measures the C model beside ONNX Runtime, OpenVINO and ncnn, at batch 1.

    python benchmarks/c.py [--threads 1 2] [--rounds 15] [--layers] [SPEC ...]

All compute the same network with the same float32 weights, and their results are compared first.
OpenVINO is measured where `openvino` is installed, ncnn where `ncnn` and `pnnx` are. They are
measured in rounds, each once a round: some calls to warm up, then the fastest of three. Ratios are
medians over the rounds of the time to that of ONNX Runtime in the same round, by the clock and by
CPU time of all threads. Threads of the engines sleep between calls.

`--layers` prints what each convolution and linear layer reaches on one thread, beside the peak of
the processor, which is measured in the same run. Operations are those of the layer's definition:
Winograd's algorithm needs fewer, and may come above the peak.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from netspec_c.compiler import library  # noqa: E402

import netspec  # noqa: E402
from netspec.codegen.backend import get, model_files  # noqa: E402
from netspec.ir import Net  # noqa: E402
from netspec.ops.convolution import Conv, ConvTranspose, Linear  # noqa: E402
from netspec.weights import fresh  # noqa: E402

SPECS = ("squeezenet1_0", "squeezenet1_1", "resnet18", "mobilenet_v1", "mobilenet_v2")
TOLERANCE = 1e-4
"""Largest difference of results, relative to the largest value of ONNX Runtime's."""
WARM = 0.05
"""Seconds of calls before each measurement."""

Run = Callable[[], Any]


def onnx_bytes(net: Net, weights: Any, shape: Sequence[int]) -> bytes:
    """The net as an ONNX file whose input has this shape."""
    import onnx

    files = model_files(net, get("onnx"), weights, net.name)
    model = onnx.load_from_string(b"".join(files[net.name]))
    for dimension, size in zip(model.graph.input[0].type.tensor_type.shape.dim, shape, strict=True):
        dimension.dim_value = size
    return bytes(model.SerializeToString())


def onnx_runtime(model: bytes, x: Any, threads: int) -> Run:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feeds = {session.get_inputs()[0].name: x}
    return lambda: session.run(None, feeds)[0]


def openvino(model: bytes, x: Any, threads: int) -> Run | None:
    try:
        import openvino as ov
    except ImportError:
        return None
    core = ov.Core()
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "ENABLE_CPU_PINNING": False,
    }
    request = core.compile_model(core.read_model(model), "CPU", settings).create_infer_request()
    return lambda: request.infer([x])[0]


def ncnn(model: bytes, x: Any, threads: int) -> Run | None:
    try:
        import ncnn as engine
        import pnnx
    except ImportError:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.onnx")
        path.write_bytes(model)
        shape = ",".join(map(str, x.shape))
        command = [pnnx.EXEC_PATH, str(path), f"inputshape=[{shape}]", "fp16=0"]
        subprocess.run(command, check=True, cwd=folder, capture_output=True)
        net = engine.Net()
        net.opt.num_threads = threads
        for name in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
            setattr(net.opt, f"use_{name}", False)
        net.load_param(str(Path(folder, "net.ncnn.param")))
        net.load_model(str(Path(folder, "net.ncnn.bin")))

    def run() -> Any:
        extractor = net.create_extractor()
        extractor.input("in0", engine.Mat(x[0]))
        return np.array(extractor.extract("out0")[1])[None]

    return run


def runners(net: Net, threads: int) -> dict[str, Run]:
    """The calls that are measured, by name."""
    weights = fresh(net.tensors, 1, varied=True)
    shape = (1, *(int(d) for d in net.body.inputs[0].shape))
    x = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    backend = get("c")
    ours: Any = backend.model(net)  # type: ignore[attr-defined]
    ours.threads = threads
    backend.set_weights(ours, weights)
    model = onnx_bytes(net, weights, shape)
    found = {
        "netspec C": lambda: ours(x),
        "ONNX Runtime": onnx_runtime(model, x, threads),
        "OpenVINO": openvino(model, x, threads),
        "ncnn": ncnn(model, x, threads),
    }
    return {name: run for name, run in found.items() if run is not None}


def check(runs: dict[str, Run]) -> None:
    """Compare the results of all; exit where one differs from ONNX Runtime's."""
    wanted = runs["ONNX Runtime"]()
    for name, run in runs.items():
        difference = float(np.abs(run() - wanted).max() / np.abs(wanted).max())
        if not difference <= TOLERANCE:
            sys.exit(f"{name} differs from ONNX Runtime by {difference:.2g} of the largest value")


def measure(runs: dict[str, Run], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds by the clock and of CPU time of one call of each in each round."""
    check(runs)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            end = time.perf_counter() + WARM
            while time.perf_counter() < end:
                run()
            found = []
            for _ in range(3):
                start, used = time.perf_counter(), time.process_time()
                run()
                found.append((time.perf_counter() - start, time.process_time() - used))
            clock, cpu = zip(*found, strict=True)
            times[name].append((min(clock), min(cpu)))
    return times


def table(times: dict[str, list[tuple[float, float]]], threads: int) -> None:
    base = times["ONNX Runtime"]
    title = f"{threads} thread" + "s" * (threads > 1)
    print(f"  {title:<16}{'ms':>8}{'CPU ms':>8}{'of ORT':>8}{'CPU':>7}")
    for name, found in times.items():
        print(f"  {name:<16}", end="")
        for i in (0, 1):
            print(f"{statistics.median(t[i] for t in found) * 1e3:>8.2f}", end="")
        ratios = (
            statistics.median(t[i] / b[i] for t, b in zip(found, base, strict=True)) for i in (0, 1)
        )
        print("{:>8.2f}{:>7.2f}".format(*ratios))


# --- layers --------------------------------------------------------------------------------------

CLOCK = """#define _POSIX_C_SOURCE 200809L
#include <time.h>
static double bench_start, bench_least[10000];
int bench_calls;
static double bench_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
static void bench_begin(void) { bench_start = bench_now(); }
static void bench_end(void) {
  const double took = bench_now() - bench_start;
  double *least = &bench_least[bench_calls++ % 10000];
  if (*least == 0 || took < *least) *least = took;
}
double bench_time(int call) { return bench_least[call]; }
"""
CALL = re.compile(r"^  (conv(?:_plain|_winograd|_depthwise|_transpose)?)\(r,[^;]*;", re.M)

PEAK = """
typedef float V __attribute__((vector_size(LANES * 4)));
double bench_peak(int rounds) {
  V sum[SUMS];
  for (int i = 0; i < SUMS; i++) sum[i] = (V){0} + (float)i;
  const V factor = (V){0} + 0.5f;
  const double start = bench_now();
  for (int n = 0; n < rounds; n++) {
    _Pragma("GCC unroll 24") for (int i = 0; i < SUMS; i++) sum[i] = sum[i] * factor + factor;
  }
  const double seconds = bench_now() - start;
  float all = 0;
  for (int i = 0; i < SUMS; i++) all += sum[i][0];
  return all == 0 ? 0 : 2.0 * SUMS * LANES * rounds / seconds * 1e-9;
}
"""
WIDTHS = """#if defined __AVX512F__
enum { LANES = 16, SUMS = 24 };
#elif defined __AVX__
enum { LANES = 8, SUMS = 12 };
#else
enum { LANES = 4, SUMS = 12 };
#endif
"""


@contextmanager
def flags(more: str) -> Iterator[None]:
    """The C compiler with further options."""
    before = os.environ.get("NETSPEC_CFLAGS", "")
    os.environ["NETSPEC_CFLAGS"] = f"{before} {more}"
    yield
    os.environ["NETSPEC_CFLAGS"] = before


def peak() -> float:
    """10^9 float32 operations a second that one core reaches without any memory."""
    with flags("-march=native -ffp-contract=fast -Wno-psabi"):
        found = library(CLOCK + WIDTHS + PEAK)
    found.bench_peak.restype = ctypes.c_double
    return float(max(found.bench_peak(1_000_000) for _ in range(10)))


def layers(net: Net, rounds: int) -> None:
    """Print the time and the speed of each convolution and linear layer, on one thread."""
    kernels: list[str] = []

    def timed(match: re.Match[str]) -> str:
        kernels.append(match[1])
        noted = f"  bench_kernels[bench_calls] = {len(kernels) - 1};"
        return f"{noted}\n  bench_begin();\n{match[0]}\n  bench_end();"

    source = CALL.sub(timed, get("c").emit(net))
    source += "int bench_kernel(int call) { return bench_kernels[call]; }\n"
    backend: Any = get("c")
    model = backend.model(net)
    backend.set_weights(model, fresh(net.tensors, 1, varied=True))
    model._library = timer = library(f"{CLOCK}static int bench_kernels[10000];\n{source}")
    timer.bench_time.restype = ctypes.c_double
    x = np.zeros((1, *(int(d) for d in net.body.inputs[0].shape)), np.float32)
    calls = ctypes.c_int.in_dll(timer, "bench_calls")
    done = 0
    for _ in range(rounds):
        calls.value = 0
        model(x)
        done = calls.value
    found = [layer for layer in net.layers if isinstance(layer.op, Conv | ConvTranspose | Linear)]
    if len(found) != done:
        sys.exit(f"{net.name} has {len(found)} such layers, and {done} calls were timed")
    most = peak()
    title = f"{'layer, one thread':<40}{'kernel':<16}"
    print(f"  {title}{'us':>8}{'GFLOP/s':>9}{'of ' + format(most, '.0f'):>8}")
    for i, layer in enumerate(found):
        seconds = timer.bench_time(i)
        speed = 2e-9 * int(layer.macs) / seconds
        name = f"{layer.outputs[0].name:<40}{kernels[timer.bench_kernel(i)]:<16}"
        print(f"  {name}{seconds * 1e6:>8.1f}{speed:>9.1f}{speed / most:>8.0%}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("specs", nargs="*", default=SPECS, metavar="SPEC")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--layers", action="store_true", help="the speed of each layer")
    options = parser.parse_args(arguments)
    print(f"ONNX Runtime {onnxruntime.__version__}; load {os.getloadavg()[0]:.1f}")
    for spec in options.specs:
        net = netspec.load(spec).ir
        print(f"{spec}: {net.macs / 1e6:,.0f} million MACs, {net.params:,} parameters")
        for threads in options.threads:
            table(measure(runners(net, threads), options.rounds), threads)
        if options.layers:
            layers(net, options.rounds)


if __name__ == "__main__":
    main()
