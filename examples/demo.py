"""The whole way of a net: check, tabulate, compile, run, compare, classify.

Every step is the command that a person would type; it is shown before it runs.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

PICTURES = ("cat.png", "espresso.png", "flower.jpg", "temple.jpg")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("build/demo"))
    args = parser.parse_args()
    out, data = args.out, args.data
    out.mkdir(parents=True, exist_ok=True)

    say("Check a spec that comes with netspec, and one with an error")
    netspec("check", "squeezenet1_0")
    wrong = out / "wrong.net"
    wrong.write_text(WRONG, encoding="utf-8")
    netspec("check", wrong, fails=True)

    say("What does it cost?")
    netspec("table", "squeezenet1_0", "--depth", "1")

    say("Compile it to PyTorch and to NumPy")
    for backend in ("torch", "numpy"):
        file = out / f"squeezenet1_0_{backend}.py"
        netspec("compile", "squeezenet1_0", "--backend", backend, "-o", file)
        print(f"{file}: {len(file.read_text(encoding='utf-8').splitlines())} lines")

    say("Run both on the same weights and the same input")
    netspec("verify", "squeezenet1_0")

    say("Classify handwritten digits with the weights that come with netspec")
    for backend in ("numpy", "torch"):
        pictures = sorted((Path(__file__).parent / "digits").glob("*.png"))
        netspec("run", "squeezenet_digits", "--backend", backend, "--top", "1", *pictures)

    say("Classify photographs with the weights of Deep Compression (Han et al. 2016)")
    archive = data / "squeezenet_v1.0" / "deep_compression.bin"
    images = [data / "images" / name for name in PICTURES]
    if not archive.is_file():
        print(f"Left out: {archive} is not there. `make demo DATA=FOLDER` says where it is.")
        return 0
    weights = out / "squeezenet1_0.npz"
    spec = "squeezenet1_0_caffe"
    netspec("weights", "convert", archive, weights, "--spec", spec)
    for backend in ("numpy", "torch"):
        labels = ("--labels", data / "imagenet_labels.txt", "--top", "3")
        present = [image for image in images if image.is_file()]
        netspec("run", spec, "--weights", weights, "--backend", backend, *labels, *present)
    return 0


WRONG = """\
module fire(s1x1, e1x1, e3x3) {
  input x
  squeeze:   conv { filters: s1x1  kernel: 1x1 } -> relu
  expand1x1: conv(squeeze) { filters: e1x1  kernel: 1x1 } -> relu
  expand3x3: conv(squeeze) { filters: e3x3  kernel: 3x3 } -> relu
  output concat(expand1x1, expand3x3)
}

net wrong {
  input data: 3x224x224
  conv1: conv { filters: 96  kernel: 7x7  stride: 2 } -> relu
  pool1: maxpool { kernel: 3x3  stride: 2  round: ceil }
  fire2: fire { s1x1: 16  e1x1: 64  e3x3: 64 }
  conv3: conv(conv1) { filterz: 10  kernel: 1x1 }
}
"""


def say(text: str) -> None:
    print(f"\n--- {text}", flush=True)


def netspec(*arguments: str | Path, fails: bool = False) -> None:
    """Show and run a command; stop the demo where its result is not the expected one."""
    words = [str(a) for a in arguments]
    print(f"\n$ netspec {shlex.join(words)}", flush=True)
    status = subprocess.run([sys.executable, "-m", "netspec", *words], check=False).returncode
    if (status != 0) != fails:
        sys.exit(f"netspec ended with status {status}")


if __name__ == "__main__":
    sys.exit(main())
