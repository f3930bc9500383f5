"""Compiles C files to libraries, and keeps these in the user's cache folder.

A library's name is a hash of its source, its compiler and the options. It is written whole or not
at all, into a folder that is the user's alone; one that others could have written is not loaded.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shlex
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

from netspec.codegen.backend import MissingTool
from netspec.util.cache import cache_folder, store

OPTIONS = ("-std=c11", "-O3", "-fPIC", "-shared", "-pthread")
MOST_THREADS = 64
"""Threads that a run may use."""
VARIABLE = "NETSPEC_CFLAGS"
"""Environment variable: options for the compiler behind netspec's own."""


def compiler() -> list[str]:
    """The command of the C compiler: `$CC`, or cc, gcc or clang. Raises MissingTool."""
    given = shlex.split(os.environ.get("CC", ""))
    for command in [given] if given else [["cc"], ["gcc"], ["clang"]]:
        path = shutil.which(command[0])
        if path:
            return [path, *command[1:]]
    looked = f"$CC is {given[0]}" if given else "neither cc nor gcc nor clang is on the path"
    message = f"models of the c backend are compiled, and there is no C compiler: {looked}"
    raise MissingTool(message, "install gcc or clang, or set CC")


def library(source: str) -> ctypes.CDLL:
    """A C file as a loaded library. Raises MissingTool where it can't be compiled."""
    command = compiler()
    options = [*OPTIONS, f"-DNETSPEC_THREADS={MOST_THREADS}"]
    options += shlex.split(os.environ.get(VARIABLE, ""))
    about = os.stat(command[0])
    parts = [*command, str(about.st_mtime_ns), str(about.st_size), os.uname().machine, *options]
    key = hashlib.sha256("\0".join([*parts, source]).encode()).hexdigest()
    folder = cache_folder()
    kept = Path(folder, "c", f"{key}.so") if folder else None
    if kept is not None and _is_ours(kept):
        try:
            return ctypes.CDLL(str(kept))
        except OSError:
            pass  # damaged, or in a folder whose code may not run: made anew
    with tempfile.TemporaryDirectory(prefix="netspec-") as made:
        path = Path(made, "net.so")
        _compile([*command, *options], source, path)
        if kept is not None:
            old = os.umask(0o077)
            try:
                store(str(kept), path.read_bytes())
            finally:
                os.umask(old)
        return ctypes.CDLL(str(path))


def _compile(command: list[str], source: str, path: Path) -> None:
    """Compile a source to a library."""
    call = [*command, "-x", "c", "-", "-o", str(path), "-lm"]
    done = subprocess.run(call, input=source.encode(), capture_output=True, check=False)
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        said = next((line for line in lines if "error" in line), lines[-1] if lines else "")
        message = f"the C compiler {command[0]} failed: {said[:300]}"
        raise MissingTool(message, f"the options are `{' '.join(command[1:])}`")


def _is_ours(path: Path) -> bool:
    """Whether a file and its folder are the user's, and nobody else can write them."""
    try:
        found = [os.lstat(path), os.lstat(path.parent)]
    except OSError:
        return False
    return stat.S_ISREG(found[0].st_mode) and all(
        about.st_uid == os.getuid() and not about.st_mode & 0o022 for about in found
    )
