"""Whole emitted files, kept to be read: a change of the emitters shows as a diff of these.

`pytest --update` rewrites them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("backend", ["torch", "numpy"])
@pytest.mark.parametrize("name", NETS)
def test_emitted_file(name: str, backend: str, update: bool) -> None:
    file = FOLDER / f"{name}_{backend}.py.golden"
    source = emit(NETS[name](), get(backend))
    if update:
        file.write_text(source, encoding="utf-8")
    assert source == file.read_text(encoding="utf-8")


def test_the_readme_shows_what_is_emitted() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    shown = readme[readme.index("    class Fire") :].split("\n\nAn `if`")[0]
    lines = [line.removeprefix("    ") for line in shown.splitlines()]
    assert "\n".join(lines) in emit(loaded("squeezenet1_0"), get("torch"))
