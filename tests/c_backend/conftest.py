"""Tests of C files need a C compiler, and compile quickly."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from .helpers import QUICK


@pytest.fixture(scope="session", autouse=True)
def _quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    if not any(map(shutil.which, ("cc", "gcc", "clang"))):
        pytest.skip("there is no C compiler")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NETSPEC_CFLAGS", QUICK)
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield
