"""The extension for VS Code: its parts, in Node, against the real server."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent.parent / "docs" / "editors" / "vscode"


@pytest.mark.exhaustive
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_its_parts(tmp_path: Path) -> None:
    copy = tmp_path / "vscode"
    shutil.copytree(FOLDER, copy, ignore=shutil.ignore_patterns("node_modules", "dist"))
    made = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("npm reaches no registry")
    netspec = tmp_path / "netspec"
    netspec.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m netspec "$@"\n')
    netspec.chmod(0o755)
    env = {**os.environ, "NETSPEC": str(netspec)}
    done = subprocess.run(
        ["npm", "test"], cwd=copy, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# pass 3" in done.stdout
