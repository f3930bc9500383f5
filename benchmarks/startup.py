"""Measures how long `netspec check` takes as a whole process, beside `python -c "import lark"`.

    python benchmarks/startup.py [--runs 21] [--spec squeezenet1_0] [--wheel]

CPU time, user and system. The processes alternate, so that other load on the machine affects all of
them; a ratio is that of the medians. Bytecode and parse tables are there before the first run that
counts. `--wheel` builds the wheel, installs it with Lark into a fresh environment and makes that
read-only; the cache folder can't be written either, so the parse tables must be those of the wheel.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
Process = tuple[Sequence[str], Mapping[str, str]]


def cpu_time(process: Process, folder: Path) -> float:
    """The seconds that a process takes, which must succeed."""
    command, environment = process
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True, cwd=folder, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def installed(folder: Path) -> str:
    """The Python of a fresh environment with the wheel and Lark, all of it read-only."""
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = str(folder / "venv/bin/python")
    pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", folder, ROOT], check=True)
    wheels = list(folder.glob("netspec_compiler-*.whl"))
    subprocess.run([*pip, "install", "--no-deps", *wheels, "lark>=1.2,<2"], check=True)
    for path in (folder / "venv").rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o222)
    return python


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=21)
    parser.add_argument("--spec", default="squeezenet1_0")
    parser.add_argument("--wheel", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        here = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
        here.pop("PYTHONDONTWRITEBYTECODE", None)
        check = ["-m", "netspec", "check", args.spec]
        processes: dict[str, Process] = {
            "python -c pass": ([sys.executable, "-c", "pass"], here),
            "import lark": ([sys.executable, "-c", "import lark"], here),
            "netspec check": ([sys.executable, *check], {**here, "PYTHONPATH": str(ROOT)}),
        }
        if args.wheel:
            python = installed(folder)
            alone = {"PATH": os.defpath, "HOME": "/dev/null", "PYTHONDONTWRITEBYTECODE": "1"}
            processes["wheel: import lark"] = ([python, "-c", "import lark"], alone)
            processes["wheel: netspec check"] = ([python, *check], alone)
        times: dict[str, list[float]] = {what: [] for what in processes}
        for run in range(args.runs + 1):
            for what, process in processes.items():
                seconds = cpu_time(process, folder)
                if run:
                    times[what].append(seconds)
    base = statistics.median(times["import lark"])
    print(f"{'':22}{'CPU time':>10}{'ratio':>8}")
    for what, found in times.items():
        median = statistics.median(found)
        print(f"{what:22}{1000 * median:>7.1f} ms{median / base:>8.2f}")


if __name__ == "__main__":
    main()
