"""The rooms of the house: which may import which (docs/architecture.md)."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = [*ROOT.glob("netspec/**/*.py"), *ROOT.glob("backends/**/*.py")]
# Of each room, the modules of netspec that it must not know.
FORBIDDEN = {
    "netspec/source.py": ".*",
    "netspec/symbolic.py": ".*",
    "netspec/conditions.py": r"(?!symbolic).*",
    "netspec/codes.py": ".*",
    "netspec/diagnostics.py": r"(?!source|codes).*",
    "netspec/syntax.py": r"(?!source).*",
    "netspec/parser/": r"(?!parser|source|diagnostics|syntax|textformat|resources|suggest).*",
    "netspec/textformat.py": r"(?!source).*",
    "netspec/unparse.py": r"(?!syntax).*",
    "netspec/caffe/": r"(driver|cli|commands|api|backend|weights).*",
    "netspec/formatting/": r"(?!formatting|parser|source|diagnostics|syntax|room).*",
    "netspec/ops/": r"(?!ops|symbolic).*",
    "netspec/ir.py": r"(?!conditions|ops|source|symbolic).*",
    "netspec/passes/": r"(?!passes|ir|ops|symbolic).*",
    "netspec/cost.py": r"(?!ir|ops).*",
    "netspec/figures/": r"(?!ir|ops).*",
    "netspec/report/": r"(?!report|figures|passes|cost|ir|ops).*",
    "netspec/graph/": r"(?!graph|report|ir|ops|source|diagnostics|room|manual\.ops).*",
    "netspec/backend.py": r"(elaborate|driver|cli|commands|api|weights|verify).*",
    "netspec/promises.py": r"(elaborate|lineage|driver|cli|commands|api|backend|passes|weights).*",
    "netspec/measures.py": r"(elaborate|promises|driver|cli|commands|api|backend|passes|weights).*",
    "netspec/lineage.py": r"(elaborate|driver|cli|commands|api|backend|passes|weights).*",
    "netspec/elaborate/": r"(driver|cli|commands|api|backend|passes|weights).*",
    "netspec/annotate.py": r"(?!report|ir|ops|source).*",
    "netspec/space.py": r"(cli|commands|api|backend|weights|report).*",
    "netspec/sweep.py": r"(cli|commands|api|backend|weights|report).*",
    "netspec/driver.py": r"(cli|commands|api|backend|weights|manual).*",
    "netspec/manual/": r"(cli|commands|api|backend|weights|verify|classify).*",
    "backends/": r"(?!conditions|ir|ops|passes|backend|naming|layout|picture|symbolic).*",
}
FRAMEWORKS = {"torch", "numpy", "PIL", "jinja2", "markupsafe", "safetensors"}
# The rooms that are entered only by what needs them.
NEED_FRAMEWORKS = ("netspec/weights/", "netspec/training/")
NEED_NUMPY = {"netspec/classify.py", "netspec/verify.py"}


def imports(path: Path, top_level: bool = False) -> set[str]:
    tree = ast.parse(path.read_text())
    found = set()
    for node in tree.body if top_level else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module}
            if node.module == "netspec":
                found |= {f"netspec.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    place = str(path.relative_to(ROOT))
    for room, pattern in FORBIDDEN.items():
        if place.startswith(room):
            for name in imports(path):
                if name.startswith("netspec.") and not name.startswith("netspec_"):
                    assert not re.fullmatch(pattern, name.removeprefix("netspec.")), name
    if place.startswith("netspec/"):
        assert not {n for n in imports(path) if n.startswith("netspec_")}, (
            "netspec names no backend"
        )
        if not place.startswith(NEED_FRAMEWORKS) and place not in NEED_NUMPY:
            assert not {n.split(".")[0] for n in imports(path, top_level=True)} & FRAMEWORKS
    if not place.startswith("netspec/parser/"):
        assert not {n for n in imports(path) if n.split(".")[0] == "lark"}


def test_files_are_small() -> None:
    for path in FILES:
        assert len(path.read_text().splitlines()) <= 700, path


def test_no_user_error_is_an_assert() -> None:
    """`assert` states what netspec itself guarantees; it never checks an input."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Assert):
                assert "/commands/" not in str(path) or node.msg is not None
