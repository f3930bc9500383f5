"""The page to try netspec: what its worker answers, and the built page in a real browser."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent.parent.parent / "docs" / "site"
TEXT = "net n {\n  input x: 3x8x8\n  a: conv { filters: 8  kernel: 3 } -> relu\n}\n"


@pytest.fixture(scope="module")
def worker() -> Any:
    spec = importlib.util.spec_from_file_location("site_worker", FOLDER / "worker.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_answers(worker: Any) -> None:
    def ask(*question: Any) -> Any:
        answer = json.loads(worker.answer(json.dumps(question)))
        assert "error" not in answer, answer
        return answer["ok"]

    found = ask("check", TEXT)
    assert found["nets"] == ["n"]
    assert found["hints"]["3"] == "8x6x6"
    wrong = TEXT.replace("kernel", "kernal")
    (error,) = [d for d in ask("check", wrong)["diagnostics"] if d["fixes"]]
    (edit,) = error["fixes"][0]["edits"]
    assert wrong[: edit["from"]] + edit["text"] + wrong[edit["to"] :] == TEXT
    assert ask("picture", TEXT, "n").startswith("<svg")
    table = ask("table", TEXT, "")
    assert [cell for cell in table["rows"][0] if cell == "224"] == ["224"]
    assert "nn.Conv2d" in ask("source", TEXT, "n", "torch")
    assert "def network" in ask("source", TEXT, "n", "numpy")
    assert "stride" in [c["label"] for c in ask("complete", TEXT, TEXT.index("kernel"))]
    assert "conv" in ask("about", TEXT, TEXT.index("conv"))["text"]
    assert ask("laid_out", TEXT.replace("  a", " a")) == TEXT
    assert "squeezenet1_0" in [s["name"] for s in ask("specs")]


def test_what_is_wrong_is_an_answer(worker: Any) -> None:
    for text in ("", "}", "net n { input x: 3x8x8  conv }", 'net n { a: "' + "é" * 10):
        for question in (["check", text], ["picture", text, "n"], ["source", text, "n", "torch"]):
            assert json.loads(worker.answer(json.dumps(question)))
    # Nothing is called but what is there to be asked.
    assert "error" in json.loads(worker.answer(json.dumps(["eval", "1"])))


@pytest.mark.exhaustive
@pytest.mark.skipif(
    shutil.which("npm") is None or shutil.which("chromium") is None,
    reason="npm or chromium is not installed",
)
def test_the_page(tmp_path: Path) -> None:
    root = FOLDER.parent.parent
    copy = tmp_path / "docs" / "site"
    shutil.copytree(FOLDER, copy, ignore=shutil.ignore_patterns("node_modules"))
    for part in ("netspec", "backends", "grammars", "specs", "docs/diagnostics"):
        (tmp_path / part).parent.mkdir(exist_ok=True)
        (tmp_path / part).symlink_to(root / part)

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PYTHON": sys.executable, "CHROMIUM": str(shutil.which("chromium"))}
        return subprocess.run(
            command, cwd=copy, env=env, capture_output=True, text=True, check=False
        )

    if run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund").returncode:
        pytest.skip("npm reaches no registry")
    built = run("npm", "run", "build")
    assert built.returncode == 0, built.stderr
    done = run("npm", "test")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# pass 5" in done.stdout
