"""Markdown files whose examples are run: their fenced blocks, and shell sessions in a folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"

# A fence of its own line, its info string, the text between the fences.
_BLOCK = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass
class FencedBlock:
    """A fenced block: its info string, its text, and the line of the file that it begins at."""

    info: str
    text: str
    line: int

    @property
    def kind(self) -> str:
        return self.info.split(" ")[0]

    @property
    def words(self) -> list[str]:
        return self.info.split(" ")[1:]


def blocks(path: Path) -> list[FencedBlock]:
    text = path.read_text(encoding="utf-8")
    return [
        FencedBlock(m[1], m[2], text.count("\n", 0, m.start()) + 1) for m in _BLOCK.finditer(text)
    ]


def rewrite(path: Path, found: Iterable[FencedBlock]) -> None:
    """Put other texts into the blocks of a file."""
    texts = iter(found)
    text = path.read_text(encoding="utf-8")
    new = _BLOCK.sub(lambda m: f"```{m[1]}\n{next(texts).text}```", text)
    if new != text:
        path.write_text(new, encoding="utf-8")


class Shell:
    """Runs sessions (`$ command` lines with their output) in a folder, where netspec is installed.

    `hidden` packages look as if they were not installed until `pip install` is called.
    """

    def __init__(self, folder: Path, tools: Path, hidden: Iterable[str] = ()) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        tools.mkdir(parents=True, exist_ok=True)
        self.packages = tools / "packages"
        self.packages.mkdir()
        masks = tools / "masks"
        masks.mkdir()
        for package in hidden:
            message = f"raise ModuleNotFoundError('No module named {package}', name='{package}')\n"
            (masks / f"{package}.py").write_text(message)
        _script(tools / "netspec", f'exec "{sys.executable}" -m netspec "$@"')
        _script(tools / "python", f'exec "{sys.executable}" "$@"')
        _script(tools / "pip", f'rm -f "{masks}"/*.py')
        folders = (masks, self.packages, ROOT, ROOT / "backends")
        path = [*map(str, folders), os.environ.get("PYTHONPATH", "")]
        self.environment = os.environ | {
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(p for p in path if p),
            "PYTHONDONTWRITEBYTECODE": "1",
            "COLUMNS": "110",
        }

    def session(self, text: str) -> str:
        """The session with the output that its commands really give."""
        parts = []
        for line in text.splitlines():
            if not line.startswith("$ "):
                continue
            done = subprocess.run(
                ["bash", "-c", line.removeprefix("$ ")],
                cwd=self.folder,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            output = done.stdout.rstrip("\n")
            parts.append(line + "\n" + (output + "\n" if output else ""))
        return "".join(parts)


def _script(path: Path, command: str) -> None:
    path.write_text(f"#!/bin/sh\n{command}\n")
    path.chmod(0o755)
