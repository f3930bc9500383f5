"""`--update` rewrites the expectations that are kept in files."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# The same examples at every run, so that a change is what makes a test fail. For others:
# `pytest --hypothesis-profile random`.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("random", deadline=None)
settings.load_profile("same")

if "PYTEST_XDIST_WORKER" in os.environ:
    # Each worker has a processor to itself: threads of PyTorch would wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="rewrite expected outputs")


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update"))
