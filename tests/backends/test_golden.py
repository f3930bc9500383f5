"""Emitted code, kept to be read: a change of the emitters shows as a diff of these files.

`pytest --update` rewrites them. Of a NumPy file they have the function `network` alone, which is
what is made for a net: the kernels around it are files of the backend, with tests of their own.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from netspec_numpy.kernel_source import kernel_names

from netspec.codegen.backend import emit, get
from netspec.ir import Net

from ..helpers import loaded
from .nets import net_of
from .test_agreement import BRANCHES

FOLDER = Path(__file__).parent / "golden"
NETS: dict[str, Callable[[], Net]] = {
    "squeezenet1_0": lambda: loaded("squeezenet1_0"),
    "branches": lambda: net_of(BRANCHES),
}


def steps(source: str) -> str:
    """The functions of modules and of the network: those that take the plan and call kernels."""
    body = ast.parse(source).body
    functions = [n for n in body if isinstance(n, ast.FunctionDef)]
    own = [n for n in functions if n.name not in kernel_names()]
    return "\n\n\n".join(str(ast.get_source_segment(source, n)) for n in own) + "\n"


@pytest.mark.parametrize("backend", ["torch", "numpy"])
@pytest.mark.parametrize("name", NETS)
def test_emitted_code(name: str, backend: str, update: bool) -> None:
    file = FOLDER / f"{name}_{backend}.py.golden"
    source = emit(NETS[name](), get(backend))
    if backend == "numpy":
        source = steps(source)
    if update:
        file.write_text(source, encoding="utf-8")
    assert source == file.read_text(encoding="utf-8")


def test_the_readme_shows_what_is_emitted() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    shown = readme[readme.index("    class Fire") :].split("\n\nAn `if`")[0]
    lines = [line.removeprefix("    ") for line in shown.splitlines()]
    assert "\n".join(lines) in emit(loaded("squeezenet1_0"), get("torch"))


@pytest.mark.parametrize("page", ["README.md", "docs/pytorch.md"])
def test_the_pages_use_what_is_emitted(page: str) -> None:
    """Their example of logits and probabilities, run."""
    text = (Path(__file__).parents[2] / page).read_text(encoding="utf-8")
    start = text.index("model = SqueezeNet1_0(")
    shown = [line.strip() for line in text[start:].split("\n\n")[0].splitlines()]
    images, labels = torch.randn(2, 3, 64, 64), torch.tensor([3, 7])
    names: dict[str, Any] = {"images": images, "labels": labels}
    exec(emit(loaded("squeezenet1_0"), get("torch")), names)
    exec("\n".join(shown), names)
    logits = names["model"](images)
    wanted = logits.softmax(dim=1)
    torch.testing.assert_close(names["probabilities"], wanted)
    assert names["loss"].requires_grad
    assert not torch.equal(logits, wanted)
