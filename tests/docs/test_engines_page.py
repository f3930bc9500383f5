"""The table of engines: about the nets that there are, and checked in as it is generated."""

from __future__ import annotations

from netspec.driver import bundled
from netspec.reference import engines

from .markdown import DOCS

PAGE = DOCS / "engines.md"


def test_the_page_is_what_was_measured(update: bool) -> None:
    page = engines.page(engines.measured(), bundled())
    if update:
        PAGE.write_text(page, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page, "run `pytest tests/docs --update`"


def test_what_was_measured_is_about_bundled_nets() -> None:
    data = engines.measured()
    nets = bundled()
    assert set(data["nets"]) <= set(nets)
    for net in data["nets"].values():
        for result in net["engines"].values():
            assert result["state"] in engines.WORDS
            assert ("error" in result) == (result["state"] == "fails")
            if result["state"] == "runs" and "share" not in result:
                assert result["difference"] <= 1e-3


def test_a_net_of_each_file_was_tried_on_every_engine() -> None:
    data, files = engines.measured(), bundled()
    assert {e for net in data["nets"].values() for e in net["engines"]} == {*data["engines"]}
    whole = {n for n, net in data["nets"].items() if net["engines"].keys() == {*data["engines"]}}
    assert {files[name] for name in whole} == {*files.values()}


def test_a_page_lists_what_does_not_run() -> None:
    data = {
        "measured": "2026-01-02",
        "engines": {e: {"name": e.upper(), "versions": {e: "1.0"}} for e in ("a", "b")},
        "nets": {
            "one": {
                "inputs": [[3, 8, 8]],
                "engines": {
                    "a": {"state": "runs", "difference": 2e-7},
                    "b": {"state": "fails", "error": "no `op`"},
                },
            },
            "two": {
                "inputs": [[3, 8, 8]],
                "engines": {
                    "a": {"state": "runs", "difference": 0.5, "share": 0.995},
                    "b": {"state": "differs", "difference": None, "share": 0.1},
                },
            },
        },
    }
    page = engines.page(data, ["one", "two", "three"])
    assert "| `one` | yes | no |\n| `two` | yes | differs |\n| `three` | - | - |\n" in page
    assert "difference of all is 2e-07" in page
    assert "- `one`, B: `no 'op'`\n" in page
    assert "- `two`, A: runs; 99.5% of the values" in page
    assert "- `two`, B: differs by numbers that are none" in page
