"""The files around the code name only what exists: paths, pages, make targets, versions, hooks."""

from __future__ import annotations

import fnmatch
import importlib
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import netspec
from netspec.cli.main import COMMANDS

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MAKE_TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
PAGES = [
    *ROOT.glob("*.md"),
    *(p for p in DOCS.rglob("*.md") if "node_modules" not in p.parts),
    *ROOT.glob("backends/*/*.md"),
]
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)?(?:#([^)\s]+))?\)")


def loaded(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text())


def prose(page: Path) -> str:
    """The text of a page without its code."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^ {4}.*$|`[^`\n]+`", "", text, flags=re.MULTILINE)


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(prose(page)):
        if "://" in target:
            continue
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), target
        if anchor and path.suffix == ".md":
            assert anchor in anchors(path), f"{target}#{anchor}"


def test_every_page_is_on_the_site() -> None:
    text = (ROOT / "mkdocs.yml").read_text()
    config = yaml.safe_load(text)
    in_nav = set(re.findall(r"[\w/.-]+\.md", text.split("\nnav:")[1]))
    ignored = config["not_in_nav"].split()
    for page in (p for p in DOCS.rglob("*.md") if "node_modules" not in p.parts):
        name = page.relative_to(DOCS).as_posix()
        assert name in in_nav or any(fnmatch.fnmatch(f"/{name}", i) for i in ignored), (
            f"{name} belongs into the nav of mkdocs.yml"
        )


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md", "README.md"])
def test_paths_exist(page: str) -> None:
    """What stands in code marks and looks like a file or folder of the tree."""
    text = (ROOT / page).read_text()
    named = re.findall(
        r"`((?:netspec|backends|tests|docs|specs|grammars|examples)/[\w./*-]*)`", text
    )
    named += re.findall(r"`(\.ci/\w+|[A-Z]+\.md|[a-z]+\.toml|mkdocs\.yml)`", text)
    missing = [name for name in named if not list(ROOT.glob(name.rstrip("/")))]
    assert not missing


def test_changelog_and_versions() -> None:
    log = (ROOT / "CHANGELOG.md").read_text()
    releases = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d|in progress)$", log, re.M)
    assert len(releases) == log.count("\n## ")
    numbers = [tuple(map(int, version.split("."))) for version, _ in releases]
    assert numbers == sorted(set(numbers), reverse=True)
    assert releases[0][0] == netspec.__version__
    assert f"Language {netspec.LANGUAGE}." in log.split("\n## ")[1]
    assert set(re.findall(r"^### (.*)$", log, re.M)) <= {
        *("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"),
    }
    policy = (DOCS / "versions.md").read_text()
    assert f"`netspec.__version__` ({netspec.__version__})" in policy
    assert f"`netspec.LANGUAGE` ({netspec.LANGUAGE})" in policy


def test_workflow() -> None:
    """What it runs are targets and scripts that exist, on the Pythons that the package names."""
    jobs = loaded(".github/workflows/ci.yml")["jobs"]
    steps = [step for job in jobs.values() for step in job["steps"]]
    runs = [step["run"] for step in steps if "run" in step]
    assert all(("uses" in step) != ("run" in step) for step in steps)
    targets = {m for run in runs for m in re.findall(r"\bmake ([a-z-]+)", run)}
    assert targets == {"lint", "coverage", "wheel-smoke", "docs"}
    assert targets <= MAKE_TARGETS
    classifiers = PROJECT["project"]["classifiers"]
    named = {m[1] for c in classifiers if (m := re.search(r":: (3\.\d+)$", c))}
    tested = set(jobs["tests"]["strategy"]["matrix"]["python"])
    assert tested == named
    oldest = min(tested, key=lambda v: int(v.split(".")[1]))
    assert PROJECT["project"]["requires-python"] == f">={oldest}"
    extras = PROJECT["project"]["optional-dependencies"]
    for run in runs:
        for listed in re.findall(r"\.\[([\w,]+)\]", run):
            assert set(listed.split(",")) <= extras.keys()


def test_hooks() -> None:
    hooks = loaded(".pre-commit-hooks.yaml")
    assert {h["id"] for h in hooks} == {"netspec-check", "netspec-fmt"}
    for hook in hooks:
        assert hook["language"] == "python"
        assert hook["entry"].split()[0] in PROJECT["project"]["scripts"]
        assert re.search(hook["files"], "nets/mine.net")
        assert not re.search(hook["files"], "nets/mine.network")
    own = loaded(".pre-commit-config.yaml")["repos"][0]["hooks"]
    assert {"ruff", "ruff-format", "mypy", "netspec-check", "netspec-fmt"} == {h["id"] for h in own}


@pytest.mark.parametrize("name", ["bug", "wrong-figure", "caffe-file"])
def test_issue_forms(name: str) -> None:
    form = loaded(f".github/ISSUE_TEMPLATE/{name}.yml")
    assert {"name", "description", "body"} <= form.keys()
    fields = [f for f in form["body"] if f["type"] != "markdown"]
    assert all(f["attributes"]["label"] and f["validations"]["required"] for f in fields)
    assert any("--version" in str(f["attributes"]) for f in fields)


def test_readme_has_every_command() -> None:
    rows = re.findall(r"^\| (`netspec .*?) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    named = {m for row in rows for m in re.findall(r"`netspec (\w+)", row)}
    assert named == set(COMMANDS)


@pytest.mark.parametrize("what", ["op", "backend", "diagnostic", "command", "importer"])
def test_contributing_has_a_recipe(what: str) -> None:
    """By file names: each names at least four that exist."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    recipe = re.split(r"^### Add an? ", text, flags=re.MULTILINE)
    body = next(part for part in recipe if part.startswith(f"{what}\n"))
    assert len({p for p in re.findall(r"`([\w./]+)`", body) if (ROOT / p).exists()}) >= 4


def test_the_api_page_has_everything_public() -> None:
    """What the page refers to is there, and is what `import netspec` gives."""
    page = (DOCS / "api.md").read_text()
    shown = []
    for path in re.findall(r"^::: (\S+)$", page, re.MULTILINE):
        module, _, name = path.rpartition(".")
        shown.append(getattr(importlib.import_module(module), name))
    for name in netspec.__all__:
        value = getattr(netspec, name)
        assert value in shown or f"`netspec.{name}`" in page, name
