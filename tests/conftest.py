"""Options and rules of all tests.

`--update` rewrites the expectations that are kept in files. Where the environment has `CI=true`, a
skipped test fails unless `tests/allowed_skips.txt` names it.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from netspec.driver import bundled
from netspec.ir import Block, Net
from netspec.ir.verify import verify

# The same examples at every run, so that a change is what makes a test fail. For others:
# `pytest --hypothesis-profile random`.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("random", deadline=None)
settings.load_profile("same")

pytest_plugins = ["pytester"]

if "PYTEST_XDIST_WORKER" in os.environ:
    # Each worker has a processor to itself: threads of PyTorch would wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

ALLOWED_SKIPS = [
    line.partition("  ")[0]
    for line in (Path(__file__).parent / "allowed_skips.txt").read_text().splitlines()
    if line and not line.startswith("#")
]

# Net's `__init__` is made at its first call.
Net("none", "", (), (), Block("net", "none", "", (), (), (), ()))
_create = Net.__init__


def _create_and_verify(net: Net, *args: Any, **fields: Any) -> None:
    """Whatever makes a net in a test, elaboration or a pass, makes one that is well-formed."""
    _create(net, *args, **fields)
    verify(net)


Net.__init__ = _create_and_verify  # type: ignore[assignment, method-assign]


OF_EVERY_KIND = {
    "densenet121",
    "efficientnet_b0",
    "enet",
    "googlenet",
    "mobilenet_v2",
    "resnet18",
    "squeezedet",
    "squeezenet1_0",
    "squeezenet_micro",
    "unet",
    "yolov8n",
}
"""Bundled nets that tests of all nets take in `make check`; the others are for `make test`.

Of tests that run models, they are for `.ci/run`.
"""
RUN_MODELS = ("backends", "keras_backend", "numpy_backend", "onnx_backend", "passes")
"""Folders of such tests."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    nets = bundled()
    kept = OF_EVERY_KIND | {nets[name].stem for name in OF_EVERY_KIND}
    others = {*nets, *(path.stem for path in nets.values())} - kept
    for item in items:
        parameters = (
            item.callspec.params.values()
            if isinstance(item, pytest.Function) and hasattr(item, "callspec")
            else ()
        )
        if any(
            (v.stem if isinstance(v, Path) else v) in others
            for v in parameters
            if isinstance(v, str | Path)
        ):
            item.add_marker(pytest.mark.slow)
            if item.path.parent.name in RUN_MODELS:
                item.add_marker(pytest.mark.exhaustive)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="rewrite expected outputs")


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update"))


def no_skip_in_ci(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Makes a failure of a skip that is not allowed, in CI."""
    if report.outcome != "skipped" or os.environ.get("CI") != "true" or hasattr(report, "wasxfail"):
        return
    if not any(fnmatch(report.nodeid, pattern) for pattern in ALLOWED_SKIPS):
        report.outcome = "failed"
        report.longrepr = (
            f"{report.nodeid} is skipped, and tests/allowed_skips.txt does not name it: "
            f"{report.longrepr}"
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    no_skip_in_ci(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    no_skip_in_ci(report)
    return report
