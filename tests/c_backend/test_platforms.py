"""The same numbers on other processors: ARM by emulators, WebAssembly in Node."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import netspec
from netspec.cli.main import main
from netspec.weights import fresh, write
from tests.backends.nets import BODIES, net_of

from .helpers import side_by_side

pytestmark = [pytest.mark.slow, pytest.mark.exhaustive]

TARGETS = {
    "aarch64": (["aarch64-linux-gnu-gcc"], ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"]),
    "armv7": (
        ["arm-linux-gnueabihf-gcc", "-mfpu=neon-vfpv4"],
        ["qemu-arm", "-L", "/usr/arm-linux-gnueabihf"],
    ),
    "wasm": (
        [sys.executable, "-m", "ziglang", "cc", "-target", "wasm32-wasi", "-msimd128"],
        ["node"],
    ),
}
OPS = (
    *("conv", "conv_pads", "conv_grouped", "conv_depthwise", "transposed_strided", "linear"),
    *("silu", "gelu", "softmax", "layernorm", "lrn", "upsample_bicubic", "roi_pool", "unpool"),
    *("batchnorm", "prelu", "adaptive_uneven", "mul_gate", "slice", "pixel_shuffle"),
)
RUN = """
import { readFileSync, writeSync } from "node:fs";
import { WASI } from "node:wasi";
const wasi = new WASI({ version: "preview1", args: ["main"], returnOnExit: true });
const program = await WebAssembly.compile(readFileSync("main"));
process.exit(wasi.start(await WebAssembly.instantiate(program, wasi.getImportObject())));
"""


@pytest.mark.parametrize("target", TARGETS)
def test_the_same_numbers(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler, runner = TARGETS[target]
    lacks = [c for c in (compiler[0], runner[0]) if shutil.which(c) is None]
    if target == "wasm" and importlib.util.find_spec("ziglang") is None:
        lacks.append("ziglang")
    if lacks:
        pytest.skip(f"there is no {' and no '.join(lacks)}")
    monkeypatch.chdir(tmp_path)
    three = "w: conv { filters: 40  kernel: 3  pad: 1 } -> relu -> conv { filters: 33  kernel: 3  pad: 1 }"
    text = side_by_side([*(BODIES[name] for name in OPS), (three, "24x17x19")])
    Path("every.net").write_text(text)
    net = net_of(text)
    weights = fresh(net.tensors, 1, varied=True)
    write(Path("w.npz"), weights)
    command = ["compile", "every.net", "--backend", "c", "--weights", "w.npz", "--embed"]
    assert main([*command, "-o", "every.c"]) == 0
    ins = [v.name for v in net.body.inputs]
    outs = [n.removeprefix("EVERY_").removesuffix("_SIZE").lower() for n in _sizes()][len(ins) :]
    Path("main.c").write_text(_driver(ins, outs))
    options = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "main.c", "every.c", "-o", "main"]
    subprocess.run([*compiler, *options, "-lm"], check=True)
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal((1, *map(int, v.shape)), np.float32) for v in net.body.inputs]
    Path("in").write_bytes(b"".join(x.tobytes() for x in inputs))
    if target == "wasm":
        Path("run.mjs").write_text(RUN)
        runner = ["node", "--no-warnings", "run.mjs"]
    else:
        runner = [*runner, "./main"]
    with open("in", "rb") as file:
        done = subprocess.run(runner, stdin=file, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    found = np.frombuffer(done.stdout, np.float32)
    for wanted in netspec.build("every.net", weights=weights)(*inputs):
        part, found = found[: wanted.size], found[wanted.size :]
        apart = np.abs(part - wanted.reshape(-1)).max()
        assert apart <= 1e-5 * np.abs(wanted).max()
    assert not found.size


def _sizes() -> list[str]:
    lines = Path("every.h").read_text().splitlines()
    return [
        line.split()[1] for line in lines if line.startswith("#define EVERY_") and "_SIZE " in line
    ]


def _driver(ins: list[str], outs: list[str]) -> str:
    """A program that reads all inputs and writes all outputs."""
    numbers = [f"static float {n}[EVERY_{n.upper()}_SIZE];" for n in (*ins, *outs)]
    reads = [
        f"if (fread({n}, 4, EVERY_{n.upper()}_SIZE, stdin) != EVERY_{n.upper()}_SIZE) return 1;"
        for n in ins
    ]
    writes = [f"fwrite({n}, 4, EVERY_{n.upper()}_SIZE, stdout);" for n in outs]
    lines = [
        '#include "every.h"',
        "#include <stdio.h>",
        *numbers,
        "static _Alignas(64) unsigned char memory[EVERY_MEMORY_BYTES];",
        "int main(void) {",
        "every_context net;",
        "if (every_init(&net, memory, NULL, 0)) return 2;",
        *reads,
        f"if (every_run(&net, {', '.join((*ins, *outs))})) return 3;",
        *writes,
        "return 0;",
        "}",
    ]
    return "\n".join(lines) + "\n"
