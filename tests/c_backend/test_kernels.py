"""The kernels in C against PyTorch in float64, at odd sizes, in memory full of NaN."""

from __future__ import annotations

import ctypes
import math
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from netspec_c.convolutions import plan_conv, plan_conv_transpose
from torch.nn import functional as F

KERNELS = Path(__file__).parents[2] / "backends/netspec_c/kernels"
PIECES = (
    "base threads layout windows tiles conv lanes depthwise max_pool avg_pool global_pool "
    "conv_transpose winograd"
)
KINDS = {"conv": 0, "conv_plain": 1, "conv_winograd": 2, "conv_depthwise": 3, "conv_transpose": 4}
FLAGS = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-DNETSPEC_THREADS=3", "-pthread"]
RELU = (0.0, math.inf)
NONE = (-math.inf, math.inf)

Run = Callable[..., np.ndarray[Any, Any]]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("kernels")
    text = "".join((KERNELS / f"{piece}.c").read_text() for piece in PIECES.split())
    text = text.replace(
        "INLINE int cpu_level(void) {\n",
        "static int level = 4;\nINLINE int cpu_level(void) {\n  if (level < 4) return level;\n",
    )
    if "static int level" not in text:
        text += "static int level;\n"
    headers = "".join(f"#include <{name}.h>\n" for name in ("math", "stddef", "stdint", "string"))
    source = folder / "kernels.c"
    source.write_text(headers + text + (Path(__file__).parent / "kernels_driver.c").read_text())
    built = folder / "kernels.so"
    command = [compiler, *FLAGS, "-shared", "-fPIC", str(source), "-o", str(built), "-lm"]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(built))


LEVELS = [4, 3, 1]
"""AVX-512, AVX2, neither; the first is whatever the processor has at most."""


@pytest.fixture(params=LEVELS)
def run(library: ctypes.CDLL, request: pytest.FixtureRequest) -> Run:
    """Runs a kernel; the result as [channels, rows, columns]."""
    library.set_level(_level(request.param))

    def call(
        kind: int,
        x: torch.Tensor,
        shape: Sequence[int],
        window: Sequence[int],
        bounds: tuple[float, float] = NONE,
        weight: torch.Tensor | None = None,
        bias: torch.Tensor | None = None,
        add: torch.Tensor | None = None,
        groups: int = 1,
        more: Sequence[int] = (0, 0, 0),
        packed: int = 0,
        scratch: int = 0,
        threads: int = 1,
    ) -> np.ndarray[Any, Any]:
        def data(t: torch.Tensor | None) -> Any:
            return None if t is None else np.ascontiguousarray(t.numpy().astype(np.float32))

        arrays = [data(t) for t in (x, weight, bias, add)]
        result = np.zeros(shape, np.float32)
        p = (ctypes.c_int * 19)(kind, *x.shape, shape[0], groups, *shape[1:], *window, *more)
        pointers = [a if a is None else ctypes.c_void_p(a.ctypes.data) for a in (*arrays, result)]
        whole = library.run_kernel(
            p, (ctypes.c_float * 2)(*bounds), *pointers, packed, scratch, threads
        )
        assert whole
        return result

    return call


def _level(wanted: int) -> int:
    found = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    if wanted == 3 and not ("avx2" in found and "fma" in found):
        pytest.skip("a processor without AVX2")
    return wanted


def _random(*shape: int) -> torch.Tensor:
    return torch.randn(
        *shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64
    )


def _close(got: np.ndarray[Any, Any], wanted: torch.Tensor) -> None:
    assert got.shape == wanted.shape
    error = np.abs(got - wanted.numpy()).max() / wanted.abs().max().item()
    assert error < 5e-6, error


CONVS = [
    # channels, height, width, filters, kernel, stride, pads (t, b, l, r), dilation, groups, plain
    (5, 9, 7, 19, (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1, False),  # small: not Winograd
    (40, 11, 13, 70, (3, 3), (1, 1), (1, 0, 2, 1), (1, 1), 1, False),
    (64, 30, 29, 48, (3, 3), (1, 1), (0, 1, 0, 1), (1, 1), 1, False),  # several pieces of work
    (33, 6, 6, 20, (1, 1), (1, 1), (0, 0, 0, 0), (1, 1), 1, False),
    (20, 7, 9, 33, (1, 1), (2, 3), (0, 0, 0, 0), (1, 1), 1, False),
    (50, 1, 1, 37, (1, 1), (1, 1), (0, 0, 0, 0), (1, 1), 1, False),  # a linear layer
    (17, 10, 12, 24, (5, 3), (2, 1), (2, 3, 0, 2), (1, 2), 1, False),
    (4, 5, 5, 8, (3, 3), (1, 1), (4, 4, 5, 4), (1, 1), 1, False),  # windows of nothing but padding
    (3, 23, 17, 20, (7, 7), (2, 2), (3, 2, 3, 3), (1, 1), 1, True),
    (1, 8, 8, 5, (3, 3), (1, 1), (1, 1, 1, 1), (2, 1), 1, True),
    (24, 9, 9, 36, (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 4, False),
    (64, 5, 6, 64, (3, 3), (2, 2), (1, 1, 1, 1), (1, 1), 2, False),
    (20, 5, 6, 40, (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 20, False),
    (37, 12, 21, 37, (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 37, False),
    (20, 9, 12, 20, (5, 3), (2, 1), (2, 2, 0, 1), (1, 2), 20, False),
]


@pytest.mark.parametrize("case", CONVS, ids=lambda c: "-".join(str(v) for v in c[:5]))
def test_convolutions(run: Run, case: tuple[Any, ...]) -> None:
    channels, h, w, filters, kernel, stride, (top, bottom, left, right), dilation, groups, plain = (
        case
    )
    x, bias = _random(channels, h, w), _random(filters)
    weight = _random(filters, channels // groups, *kernel) / math.sqrt(
        channels // groups * math.prod(kernel)
    )
    padded = F.pad(x[None], (left, right, top, bottom))
    wanted = F.conv2d(padded, weight, bias, stride, 0, dilation, groups)[0]
    plan = plan_conv(channels, filters, kernel, stride, dilation, groups, wanted.shape[1:], plain)
    add = None if plain else _random(*wanted.shape)
    window = (*kernel, *stride, top, left, *dilation)
    memory = {"packed": plan.packed, "scratch": plan.scratch, "groups": groups}
    kind = KINDS[plan.name]
    for threads in (1, 3):
        got = run(kind, x, wanted.shape, window, RELU, weight, bias, add, threads=threads, **memory)
        _close(got, F.relu(wanted if add is None else wanted + add))
    got = run(kind, x, wanted.shape, window, (-1.5, 1.5), weight, None, **memory)
    _close(got, (wanted - bias[:, None, None]).clamp(-1.5, 1.5))


def test_the_cases_try_all_kernels() -> None:
    names = {plan_conv(c[0], c[3], c[4], c[5], c[7], c[8], (c[1], c[2]), c[9]).name for c in CONVS}
    assert names | {"conv_transpose"} == set(KINDS)


TRANSPOSED = [
    # channels, height, width, filters, kernel, stride, pads, output_pad, dilation, groups
    (20, 5, 6, 19, (4, 4), (2, 2), (1, 1), (0, 0), (1, 1), 1),
    (24, 4, 3, 36, (3, 2), (2, 3), (1, 0), (1, 2), (1, 1), 4),
    (5, 6, 5, 7, (3, 3), (2, 3), (2, 1), (0, 1), (2, 2), 1),
    (6, 3, 4, 6, (3, 3), (1, 1), (0, 0), (0, 0), (1, 1), 6),
]


@pytest.mark.parametrize("case", TRANSPOSED, ids=lambda c: "-".join(str(v) for v in c[:5]))
def test_transposed_convolutions(run: Run, case: tuple[Any, ...]) -> None:
    channels, h, w, filters, kernel, stride, pads, output_pad, dilation, groups = case
    x, bias = _random(channels, h, w), _random(filters)
    weight = _random(channels, filters // groups, *kernel) / 4
    wanted = F.conv_transpose2d(x[None], weight, bias, stride, pads, output_pad, groups, dilation)[
        0
    ]
    plan = plan_conv_transpose(channels, filters, kernel, stride, groups)
    window = (*kernel, *stride, *pads, *dilation)
    got = run(
        4, x, wanted.shape, window, RELU, weight, bias, groups=groups, packed=plan.packed, threads=2
    )
    _close(got, F.relu(wanted))


def test_poolings(run: Run) -> None:
    x = _random(21, 10, 13)
    wanted = F.max_pool2d(x[None], (3, 2), (2, 3), (1, 1), (1, 2))[0]
    _close(run(8, x, wanted.shape, (3, 2, 2, 3, 1, 1, 1, 2), threads=2), wanted)
    for include in (False, True):
        wanted = F.avg_pool2d(x[None], 3, 2, 1, ceil_mode=True, count_include_pad=include)[0]
        _close(run(9, x, wanted.shape, (3, 3, 2, 2, 1, 1, 1, 1), more=(include, 1, 1)), wanted)
    _close(run(10, x, (21, 1, 1), (0,) * 8), x.mean((1, 2), keepdim=True))
    _close(run(11, x, (21, 1, 1), (0,) * 8), x.amax((1, 2), keepdim=True))


def test_layouts(run: Run) -> None:
    x = _random(35, 3, 5)
    assert (run(13, x, x.shape, (0,) * 8) == x.numpy().astype(np.float32)).all()
    assert (
        run(12, x, (22, 3, 5), (0,) * 8, more=(9, 0, 0)) == x[9:31].numpy().astype(np.float32)
    ).all()
