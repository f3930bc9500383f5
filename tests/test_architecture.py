"""Which package may import which (docs/architecture.md), and other rules of the whole tree."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = [*ROOT.glob("netspec/**/*.py"), *ROOT.glob("backends/**/*.py")]
# Lowest first: a package imports only those above it in this list. What stands in one line does
# not know each other either.
ORDER = (
    ("netspec.lazy_dataclasses",),
    ("netspec.symbolic", "netspec.diagnostics"),
    ("netspec.util", "netspec.ops"),
    ("netspec.syntax",),
    ("netspec.ir",),
    ("netspec.semantic", "netspec.passes", "netspec.metrics", "netspec.codegen"),
    ("netspec.importers", "netspec.report", "netspec.runtime", "netspec.planning"),
    ("netspec.driver",),
    ("netspec.explore", "netspec.reference", "netspec.weights"),
    ("netspec.compression", "netspec.conversion", "netspec.pictures", "netspec.runs"),
    ("netspec.diagram", "netspec.training"),
    ("netspec.api",),
    ("netspec",),
    ("netspec.editing",),
    ("netspec.cli",),
)
LEVEL = {package: level for level, packages in enumerate(ORDER) for package in packages}
# What a package needs not know, though it stands higher.
FORBIDDEN = {
    "netspec.importers": {"netspec.passes", "netspec.metrics", "netspec.codegen"},
    "netspec.ops": {"netspec.diagnostics"},
    "netspec.driver": {"netspec.report", "netspec.runtime", "netspec.codegen"},
}
BACKENDS_MAY = {
    "netspec.codegen",
    "netspec.ir",
    "netspec.lazy_dataclasses",
    "netspec.ops",
    "netspec.passes",
    "netspec.planning",
    "netspec.symbolic",
    "netspec.util",
}
# Constants of `netspec/__init__.py`, which anything may say.
VERSIONS = {"netspec.__version__", "netspec.LANGUAGE"}
FRAMEWORKS = {"torch", "numpy", "PIL", "jinja2", "markupsafe", "safetensors"}
# Packages that are entered only by what needs frameworks.
NEED_FRAMEWORKS = (
    "netspec.importers.onnx",
    "netspec.weights",
    "netspec.compression",
    "netspec.conversion",
    "netspec.training",
    "netspec.runtime",
    "netspec.pictures",
)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[1:] if parts[0] == "backends" else parts
    return ".".join(parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in FILES}


def imports(path: Path, top_level: bool = False) -> set[str]:
    """The modules that a file imports; with `top_level`, only when it is itself imported."""
    tree = tree_of(path)
    found = set()
    for node in tree.body if top_level else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, f"{path}: imports are absolute"
            members = {f"{node.module}.{alias.name}" for alias in node.names} - VERSIONS
            found |= members & MODULES.keys()
            if members - MODULES.keys():
                found.add(node.module)
    return found


def package_of(module: str) -> str:
    """`netspec.ops` for `netspec.ops.base`, `netspec_torch` for `netspec_torch.emitters`."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "netspec" else parts[0]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    package = package_of(module_of(path))
    others = {package_of(m) for m in imports(path) if m in MODULES} - {package}
    if package.startswith("netspec_"):
        assert others <= BACKENDS_MAY
        return
    assert not {o for o in others if o.startswith("netspec_")}, "netspec names no backend"
    if package in ("netspec", "netspec.__main__"):
        return
    assert package in LEVEL, "a new package has its place in ORDER"
    assert not {o for o in others if LEVEL.get(o, len(ORDER)) >= LEVEL[package]}
    assert not others & FORBIDDEN.get(package, set())
    if not module_of(path).startswith(NEED_FRAMEWORKS):
        assert not {n.split(".")[0] for n in imports(path, top_level=True)} & FRAMEWORKS
    if module_of(path) != "netspec.syntax.lark_adapter":
        assert not {n for n in imports(path) if n.split(".")[0] == "lark"}


def test_no_file_imports_itself_by_way_of_others() -> None:
    graph = {m: imports(path) & MODULES.keys() - {m} for m, path in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_dataclasses_are_the_lazy_ones() -> None:
    """Those of the standard library take their time at every start; `asdict` works with both."""
    for path in set(FILES) - set((ROOT / "netspec/lazy_dataclasses").iterdir()):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ImportFrom) and node.module == "dataclasses":
                assert {alias.name for alias in node.names} == {"asdict"}, path
            elif isinstance(node, ast.Import):
                assert "dataclasses" not in {alias.name for alias in node.names}, path


def test_nothing_lies_flat() -> None:
    flat = {p.name for p in ROOT.glob("netspec/*.py")}
    assert flat == {"__init__.py", "__main__.py", "api.py", "driver.py"}


def test_each_package_says_what_goes_in_and_comes_out() -> None:
    for package in [p for p in FILES if p.name == "__init__.py" and p.parent.name != "netspec"]:
        doc = ast.get_docstring(tree_of(package)) or ""
        assert doc, package
        if package.parent.parent.name == "netspec" and package.parent.name != "util":
            assert re.search(r"^In: ", doc, re.M), package
            assert re.search(r"^Out: ", doc, re.M), package


def test_a_class_name_stands_in_one_place() -> None:
    """But for the NumPy kernels, which become parts of emitted files and know nothing of netspec."""
    names = Counter(
        node.name
        for path in FILES
        if path.parent.name != "kernels"
        for node in tree_of(path).body
        if isinstance(node, ast.ClassDef)
    )
    assert not [name for name, count in names.items() if count > 1]


def test_files_are_small() -> None:
    for path in FILES:
        assert len(path.read_text().splitlines()) <= 700, path


def test_no_user_error_is_an_assert() -> None:
    """`assert` states what netspec itself guarantees; it never checks an input."""
    for path in FILES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Assert):
                assert "cli" not in path.relative_to(ROOT).parts or node.msg is not None
