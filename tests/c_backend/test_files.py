"""What `netspec compile --backend c` writes: compiled strictly, run by a program in C."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec
from netspec.cli.main import main
from netspec.codegen.backend import get, load_model
from netspec.ir import Net
from netspec.weights import fresh, write
from tests.backends.nets import BODIES, net_of

from .helpers import side_by_side

pytestmark = pytest.mark.slow

NET = """
module two(n) { input x  conv { filters: n  kernel: 3  pad: 1 } -> batchnorm -> relu -> maxpool { kernel: 2 } }
## A net for tests. */ int evil; /* ??/
net small(classes = 4) {
  input data: 3x8x8
  input other: 5
  first: two(data) { n: 6 }
  second: two { n: 2 * classes }
  fc: flatten -> linear { units: classes }
  prob: softmax
  p: maxpool(data) { kernel: 2 }
  output prob, places: p.indices, add(other, relu(other))
}
"""
STRICT = ["-std=c11", "-Wall", "-Wextra", "-Werror"]
SANITIZED = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover"]
DRIVER = """
#include "small.h"
#include <stdio.h>
#include <stdlib.h>
static _Alignas(64) unsigned char memory[SMALL_MEMORY_BYTES], more[SMALL_WORKSPACE_BYTES];
int main(int count, char **names) {
  static unsigned char weights[1 << 20];
  small_context ctx, second;
  size_t size = 0;
  float data[SMALL_DATA_SIZE], other[SMALL_OTHER_SIZE], prob[SMALL_PROB_SIZE], sum[SMALL_OTHER_SIZE];
  int32_t places[SMALL_PLACES_SIZE];
  if (count > 1) {
    FILE *file = fopen(names[1], "rb");
    if (!file) return 10;
    size = fread(weights, 1, sizeof weights, file);
    fclose(file);
  }
  for (size_t i = 0; i < sizeof memory; i++) memory[i] = 255; /* NaN */
  for (size_t i = 0; i < sizeof more; i++) more[i] = 255;
  if (small_init(&ctx, memory + 4, weights, size) != SMALL_BAD_ARGUMENT) return 11;
  if (small_init(NULL, memory, weights, size) != SMALL_BAD_ARGUMENT) return 12;
  const int code = small_init(&ctx, memory, count > 1 ? weights : NULL, size);
  if (code) return code;
  if (small_share(&second, more, &ctx)) return 13;
#ifdef NETSPEC_THREADS
  if (small_start_threads(&ctx, 3)) return 14;
#endif
  if (fread(data, sizeof *data, SMALL_DATA_SIZE, stdin) != SMALL_DATA_SIZE) return 15;
  if (fread(other, sizeof *other, SMALL_OTHER_SIZE, stdin) != SMALL_OTHER_SIZE) return 16;
  for (int i = 0; i < 2; i++) { /* the second time with a context that shares weights */
    if (small_run(i ? &second : &ctx, data, other, prob, places, sum)) return 17;
    fwrite(prob, sizeof *prob, SMALL_PROB_SIZE, stdout);
    for (int k = 0; k < SMALL_PLACES_SIZE; k++) data[k] = (float)places[k];
    fwrite(data, sizeof *data, SMALL_PLACES_SIZE, stdout);
    fwrite(sum, sizeof *sum, SMALL_OTHER_SIZE, stdout);
    fseek(stdin, 0, SEEK_SET);
    if (fread(data, sizeof *data, SMALL_DATA_SIZE, stdin) != SMALL_DATA_SIZE) return 18;
  }
  if (small_run(&ctx, NULL, other, prob, places, sum) != SMALL_BAD_ARGUMENT) return 19;
#ifdef NETSPEC_THREADS
  small_stop_threads(&ctx);
#endif
  return 0;
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("small.net").write_text(NET)
    net = netspec.load("small.net").ir
    write(Path("w.npz"), fresh(net.tensors, 1, varied=True))
    Path("main.c").write_text(DRIVER)
    return tmp_path


def compiled(*options: str) -> None:
    command = ["compile", "small.net", "--backend", "c", "-o", "small.c", *options]
    assert main(command) == 0


def built(compiler: str, *options: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler}")
    command = [compiler, *STRICT, *options, "main.c", "small.c", "-o", "main", "-lm", "-pthread"]
    subprocess.run(command, check=True)


def check(net: Net, *arguments: str) -> None:
    """Compare what the program prints with what the NumPy model gives."""
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal((1, *map(int, v.shape)), np.float32) for v in net.body.inputs]
    Path("in").write_bytes(b"".join(x.tobytes() for x in inputs))
    with open("in", "rb") as file:
        done = subprocess.run(["./main", *arguments], stdin=file, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    backend = get("numpy")
    model = load_model(net, backend)
    model.load("w.npz")
    wanted = np.concatenate([r.reshape(-1) for r in backend.run(model, *inputs)])
    found = np.frombuffer(done.stdout, np.float32)
    np.testing.assert_allclose(found, np.tile(wanted, 2), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        (["--weights", "w.npz"], "small.bin"),
        (["--weights", "w.npz", "--embed"], ""),
        (["--weights", "w.npz", "--nsz"], "small.nsz"),
        (["--weights", "w.npz", "--nsz", "--embed"], ""),
    ],
)
def test_a_program(folder: Path, options: list[str], argument: str) -> None:
    compiled(*options)
    assert sorted(p.name for p in folder.glob("small.*")) == sorted(
        filter(None, ["small.c", "small.h", "small.net", argument])
    )
    built("cc", *(SANITIZED if len(options) == 4 else ["-Os"]), "-DNETSPEC_ONE_TARGET")
    check(netspec.load("small.net").ir, *filter(None, [argument]))


@pytest.mark.parametrize("compiler", [pytest.param("gcc", marks=pytest.mark.exhaustive), "clang"])
def test_compilers_say_nothing(folder: Path, compiler: str) -> None:
    compiled("--weights", "w.npz", "--embed")
    built(compiler, "-O2", "-DNETSPEC_THREADS=4")
    check(netspec.load("small.net").ir)


@pytest.mark.exhaustive
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_compilers_say_nothing_of_all_kernels(folder: Path, compiler: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler}")
    cases = [case for case in BODIES.values() if "output" not in case[0]]
    Path("every.c").write_text(netspec.compile(net_of(side_by_side(cases)), backend="c"))
    for options in (["-O2"], ["-O0", "-DNETSPEC_ONE_TARGET", "-DNETSPEC_THREADS=2"]):
        subprocess.run([compiler, *STRICT, *options, "-c", "every.c"], check=True)


def test_cpp_takes_the_header(folder: Path) -> None:
    if shutil.which("c++") is None:
        pytest.skip("there is no c++")
    compiled()
    text = '#include "small.h"\nint main() { small_context ctx = {}; return small_run(&ctx, 0, 0, 0, 0, 0) - SMALL_OK; }'
    Path("main.cpp").write_text(text)
    subprocess.run(["c++", "-Wall", "-Wextra", "-Werror", "-c", "main.cpp"], check=True)


@pytest.mark.exhaustive
def test_valgrind_is_silent(folder: Path) -> None:
    if shutil.which("valgrind") is None:
        pytest.skip("there is no valgrind")
    compiled("--weights", "w.npz", "--embed")
    text = DRIVER.replace("memory[i] = 255", "(void)0").replace("more[i] = 255", "(void)0")
    text = re.sub(r"static _Alignas.*\n", "", text)
    allocated = "unsigned char *memory = aligned_alloc(64, SMALL_MEMORY_BYTES + 64), *more = aligned_alloc(64, SMALL_WORKSPACE_BYTES + 64);"
    text = text.replace("char **names) {\n", f"char **names) {{\n  {allocated}\n", 1)
    text = text.replace("sizeof memory", "1").replace("sizeof more", "1")
    Path("main.c").write_text(text.replace("return 0;", "free(memory), free(more);\n  return 0;"))
    built("cc", "-g", "-O1", "-DNETSPEC_ONE_TARGET")
    Path("in").write_bytes(bytes(4 * (3 * 64 + 5)))
    command = ["valgrind", "-q", "--error-exitcode=9", "--leak-check=full", "./main"]
    with open("in", "rb") as file:
        subprocess.run(command, stdin=file, stdout=subprocess.DEVNULL, check=True)


def test_names_of_a_spec_are_no_code(folder: Path) -> None:
    """Words of C, functions of libraries, what the file itself has; comments that would end."""
    text = """
## */ int evil; /* ??/
## \\\\
module sqrt(main) { input int
  while: conv(int) { filters: main  kernel: 1 } -> relu
  w: conv { filters: main  kernel: 1 }
  y0: sigmoid
}
module printf_run(while = 2, PRINTF_OK = 3) { input x  conv { filters: while  kernel: PRINTF_OK } }
module WEIGHTS() { input PRINTF_MEMORY_BYTES  tanh -> relu }
## ends with a slash /
net printf(abs = 3) {
  input r: 3x4x4
  input short: 3x4x4
  exp: sqrt(r) { main: abs }
  network: sqrt(exp) { main: abs }
  pack: sqrt(short) { main: 4 }
  conv: concat(network, pack)
  return: softmax
  again: printf_run(short)
  more: printf_run(short) { while: 3  PRINTF_OK: 1 }
  PRINTF_OK: WEIGHTS(short)
  output ctx: return, memory: pack, weights: conv, R: again, more, printf_r_size: PRINTF_OK
}
"""
    Path("x.net").write_text(text)
    assert main(["compile", "x.net", "--backend", "c", "-o", "x.c"]) == 0
    source = Path("x.c").read_text()
    assert not re.search(r"^\s*int evil", source, re.M)
    for options in ([], ["-trigraphs", "-DNETSPEC_THREADS=2"]):
        command = ["cc", *STRICT, "-Os", "-DNETSPEC_ONE_TARGET", *options, "-c", "x.c"]
        subprocess.run(command, check=True)
    net = netspec.load("x.net").ir
    x = np.random.default_rng(0).standard_normal((2, 1, 3, 4, 4), np.float32)
    weights = fresh(net.tensors, 1, varied=True)
    results: list[Any] = []
    for backend in ("c", "numpy"):
        results.append(netspec.build("x.net", backend=backend, weights=weights)(*x))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_the_net_reads_as_the_spec() -> None:
    text = netspec.compile("squeezenet1_0", backend="c")
    assert len(text.splitlines()) < 1200
    assert max(map(len, text.splitlines())) < 180
    (fire,) = re.findall(r"^static void fire\(.*?^}", text, re.M | re.S)
    assert re.findall(r"^  (conv\w*)\(", fire, re.M) == ["conv", "conv", "conv_winograd"]
    network = text[text.index("static void network(") :]
    network = network[: network.index("\n}")]
    calls = re.findall(r"^  (\w+)\(r, .*?(\w+)[,)]", network, re.M)
    assert [name for name, _ in calls].count("fire") == 8
    names = re.findall(r"const Blocks (\w+) =", network)
    assert names == [
        *("conv1", "pool1", "fire2", "fire3", "fire4", "pool4", "fire5", "fire6", "fire7"),
        *("fire8", "pool8", "fire9", "conv10", "pool10", "prob"),
    ]


def test_options(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def fails(*command: str) -> str:
        assert main(["compile", "small.net", *command]) == 1
        return capsys.readouterr().err

    assert "--embed needs --weights" in fails("--backend", "c", "--embed")
    assert "the torch backend takes no --embed" in fails("--embed")
    assert "the c backend takes no --opset" in fails("--backend", "c", "--opset", "17")
    assert "the c backend takes no --int8" in fails("--backend", "c", "--int8")
    assert "standard output" in fails("--backend", "c", "--weights", "w.npz", "-o", "-")
    assert main(["compile", "small.net", "--backend", "c", "-o", "-"]) == 0
    printed = capsys.readouterr().out
    assert "int small_run(" in printed
    assert '#include "' not in printed
    assert not Path("small.c").exists()
    Path("small.c").write_text("mine")
    assert "netspec did not write it" in fails("--backend", "c")


def test_damaged_weights_are_refused(folder: Path) -> None:
    """Bytes of a compressed file changed, its checksums given up: an error code, nothing read beyond."""
    compiled("--weights", "w.npz", "--nsz")
    source = Path("small.c").read_text()
    for check_ in ("nsz_crc(at, bytes) != check", "nsz_crc(begin, length) != nsz_fixed(&head, 4)"):
        assert check_ in source
        source = source.replace(check_, f"0 & ({check_})")
    Path("small.c").write_text(source)
    sound = Path("small.nsz").read_bytes()
    draw = random.Random(0)
    files = [sound, b"", sound[:3], sound[:-1], sound + b"x"]
    for _ in range(400):
        damaged = bytearray(sound)
        # Most of the file are codes; what is at the beginning of it and of layers matters more.
        for _ in range(draw.randint(1, 3)):
            damaged[draw.randrange(draw.choice([40, 400, len(sound)]))] = draw.randrange(256)
        if draw.random() < 0.1:
            del damaged[draw.randrange(len(damaged)) :]
            damaged[4:8] = len(damaged).to_bytes(4, "little")
        files.append(bytes(damaged))
    Path("files").write_bytes(b"".join(len(f).to_bytes(4, "little") + f for f in files))
    Path("main.c").write_text("""
#include "small.h"
#include <stdio.h>
#include <stdlib.h>
static _Alignas(64) unsigned char memory[SMALL_MEMORY_BYTES];
int main(void) {
  uint32_t size;
  while (fread(&size, 1, sizeof size, stdin)) {
    unsigned char *weights = malloc(size + 1);
    small_context ctx;
    if (fread(weights, 1, size, stdin) != size) return 1;
    putchar('0' + small_init(&ctx, memory, weights, size));
    free(weights);
  }
  return 0;
}
""")
    built("cc", *SANITIZED, "-DNETSPEC_ONE_TARGET")
    with open("files", "rb") as file:
        done = subprocess.run(["./main"], stdin=file, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout) == len(files)
    assert done.stdout[:5] == "02222"
    assert done.stdout[5:].count("2") > 100
    assert set(done.stdout) == {"0", "2"}
