"""Handwritten digits, the whole way: data, training, weights, and a NumPy model without torch.

    pip install -e ".[torch,images,examples]"
    python examples/digits/digits.py

The pictures are scikit-learn's, 1,797 of 8x8 pixels (Alpaydin and Kaynak, 1998, UCI repository,
CC BY 4.0), in its package: nothing is downloaded. `--ship` renews what lies beside this file.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

SPEC = "squeezenet_digits"
HERE = Path(__file__).parent
SAMPLES = (3, 6, 8)
"""The digits of which the first held-out picture is shipped, to try `netspec run` on."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--out", type=Path, default=Path("build/digits"))
    parser.add_argument("--ship", action="store_true", help="renew the files beside this one")
    args = parser.parse_args()
    out: Path = args.out
    out.mkdir(parents=True, exist_ok=True)
    data = out / "digits.npz"
    parts: dict[str, Any] = split(*digits())
    np.savez_compressed(data, **parts)

    begun = time.monotonic()
    netspec("train", SPEC, "--data", data, "--out", out / "run", "--every", 500, "--restart")
    print(f"trained in {time.monotonic() - begun:.0f} seconds")
    weights = out / "run" / "last.safetensors"

    netspec("compile", SPEC, "--backend", "numpy", "-o", out / "digits_numpy.py")
    netspec("compile", SPEC, "--backend", "torch", "-o", out / "digits_torch.py")
    found = [accuracy(out / f"digits_{b}.py", weights, data, b) for b in ("torch", "numpy")]
    print(f"held-out accuracy: {found[0]:.2%} with PyTorch, {found[1]:.2%} with NumPy alone")
    print(f"weights: {weights.stat().st_size:,} bytes")
    if found[0] != found[1] or found[0] < 0.98:
        return 1
    if args.ship:
        ship(weights, data)
    return 0


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Pictures (N, 8, 8) of bytes, and the digits they show."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return np.round(found.images * (255 / 16)).astype(np.uint8), found.target.astype(np.int64)


def split(x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """A fifth is held out, of each digit."""
    rng = np.random.default_rng(0)
    held = np.zeros(len(y), dtype=bool)
    for digit in range(10):
        own = rng.permutation(np.flatnonzero(y == digit))
        held[own[: round(len(own) / 5)]] = True
    return {"x_train": x[~held], "y_train": y[~held], "x_test": x[held], "y_test": y[held]}


def netspec(*arguments: object) -> None:
    """Show a command and run it."""
    words = [str(a) for a in arguments]
    print(f"\n$ netspec {shlex.join(words)}", flush=True)
    if subprocess.run([sys.executable, "-m", "netspec", *words], check=False).returncode:
        sys.exit(1)


# What a program with the emitted file does. It gets no torch where it shall do without.
EVALUATE = """
import runpy, sys
import numpy as np

file, weights, data, backend = sys.argv[1:]
if backend == "numpy":
    sys.modules["torch"] = None
model = runpy.run_path(file)["SqueezeNetDigits"]()
model.load(weights)
if backend == "torch":
    model.eval()
held_out = np.load(data)
hits = 0
for picture, digit in zip(held_out["x_test"], held_out["y_test"]):
    scores = model(model.preprocess(picture))
    hits += int(scores.argmax()) == digit
assert ("torch" in sys.modules and sys.modules["torch"] is not None) == (backend == "torch")
print(hits / len(held_out["y_test"]))
"""


def accuracy(file: Path, weights: Path, data: Path, backend: str) -> float:
    """Of an emitted file on the held-out pictures, in a process of its own."""
    command = [sys.executable, "-c", EVALUATE, str(file), str(weights), str(data), backend]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def ship(weights: Path, data: Path) -> None:
    """Weights, which are the bundled spec's, the held-out pictures, and some of them to look at."""
    from PIL import Image

    (HERE.parent.parent / "specs" / f"{SPEC}.safetensors").write_bytes(weights.read_bytes())
    held_out = np.load(data)
    x, y = held_out["x_test"], held_out["y_test"]
    np.savez_compressed(HERE / "held_out.npz", x_test=x, y_test=y.astype(np.uint8))
    for digit in SAMPLES:
        Image.fromarray(x[np.flatnonzero(y == digit)[0]]).save(HERE / f"{digit}.png")


if __name__ == "__main__":
    sys.exit(main())
