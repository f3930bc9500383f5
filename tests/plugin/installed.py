"""Makes packages look installed, without pip: modules on the path, entry points in a dist-info."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

from ..helpers import install_package

PACKAGE = Path(__file__).parent / "package"
ROOT = Path(__file__).parent.parent.parent


class Installed:
    """An environment with netspec and other packages; runs Python in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.packages = folder / "packages"
        self.packages.mkdir()
        self.path = [self.packages, ROOT, ROOT / "backends"]

    def add_squareplus(self) -> None:
        """The package in `tests/plugin/package`."""
        project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
        self.path.append(PACKAGE)
        self.add(project["name"], project["entry-points"])

    def add(
        self,
        name: str,
        entry_points: Mapping[str, Mapping[str, str]],
        modules: Mapping[str, str] | None = None,
    ) -> None:
        """A package with entry points by group and the texts of its modules."""
        install_package(self.packages, name, entry_points, modules)

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python; standard output and error together."""
        path = [*map(str, self.path), os.environ.get("PYTHONPATH", "")]
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in path if p)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def netspec(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command."""
        return self.python("-m", "netspec", *arguments)
