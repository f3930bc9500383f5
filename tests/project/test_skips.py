"""In CI a test that is skipped fails, unless the list of allowed skips names it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
LINES = [
    re.split(r" {2,}", line, maxsplit=1)
    for line in (TESTS / "allowed_skips.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
SKIPS = """
import pytest

@pytest.mark.skipif(True, reason="no tool")
def test_tool(): pass

def test_data():
    pytest.skip("no data")

def test_listed():
    pytest.skip("no browser")

@pytest.mark.xfail(strict=True)
def test_known(): assert False

def test_sound(): pass
"""


@pytest.mark.parametrize("line", LINES, ids=[line[0] for line in LINES])
def test_each_line_names_a_test_and_says_why(line: list[str]) -> None:
    pattern, reason = line
    path, _, name = pattern.partition("::")
    text = (TESTS.parent / path).read_text()
    assert re.search(rf"^def {name.rstrip('*')}\(", text, re.MULTILINE), "there is no such test"
    assert re.search(r"skip", text), "nothing is skipped in this file"
    assert len(reason.split()) >= 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ci", "outcomes"),
    [
        ("true", {"passed": 1, "skipped": 1, "xfailed": 1, "failed": 1, "errors": 1}),
        ("", {"passed": 1, "skipped": 3, "xfailed": 1}),
    ],
)
def test_a_skip_fails_in_ci(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str, outcomes: dict[str, int]
) -> None:
    monkeypatch.setenv("CI", ci)
    pytester.makeconftest((TESTS / "conftest.py").read_text())
    (pytester.path / "allowed_skips.txt").write_text("test_skips.py::test_listed  needs it\n")
    pytester.makepyfile(test_skips=SKIPS)
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(**outcomes)


@pytest.mark.slow
def test_a_file_that_is_skipped_fails_in_ci(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    pytester.makeconftest((TESTS / "conftest.py").read_text())
    (pytester.path / "allowed_skips.txt").write_text("")
    pytester.makepyfile(test_skips="import pytest\npytest.importorskip('no_such_package')\n")
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    assert done.ret == pytest.ExitCode.INTERRUPTED
    done.stdout.fnmatch_lines(["*allowed_skips.txt does not name it*"])
