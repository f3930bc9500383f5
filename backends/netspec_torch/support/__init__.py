"""Modules that PyTorch lacks, a file each; emitted files get copies.

`NumberWriter.support` asks for one; `add_modules` adds files of other packages.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from netspec.codegen.copied import CHECKS, definitions

_added: list[Path] = []


def add_modules(file: Path) -> None:
    """Let the emitters of another package use the classes of a file.

    They may read `torch`, `nn` and `Tensor`. Of classes of one name, the last is taken.
    """
    _added.append(file)
    sources.cache_clear()


@cache
def sources() -> dict[str, str]:
    """The source of each class, by its name, read as text: torch is not imported."""
    own = [*Path(__file__).parent.glob("*.py"), CHECKS]
    return definitions([*sorted(own, key=lambda path: path.name), *_added])
