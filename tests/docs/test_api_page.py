"""The reference of the Python API names objects and members that there are."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

PAGE = (Path(__file__).parent.parent.parent / "docs" / "api.md").read_text(encoding="utf-8")
ENTRIES = re.findall(r"^::: (\S+)((?:\n {4}.*)*)", PAGE, re.M)


@pytest.mark.parametrize(("path", "options"), ENTRIES, ids=[path for path, _ in ENTRIES])
def test_what_the_page_shows_is_there(path: str, options: str) -> None:
    module, _, name = path.rpartition(".")
    found = getattr(import_module(module), name)
    assert found.__doc__
    listed = re.search(r"members: \[(.*)\]", options)
    for member in listed[1].split(", ") if listed else ():
        fields = getattr(found, "__annotations__", {})
        assert member in fields or hasattr(found, member), f"{path}.{member}"
