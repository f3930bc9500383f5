"""The guides: every snippet is compiled, every session run, every line of a table tried.

In a guide, ```net is a sound spec and ```net wrong one with errors; `file NAME` puts a block into
the folder that the guide's sessions run in. `pytest --update` rewrites what sessions print.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from netspec.diagnostics.codes import CODES
from netspec.diagnostics.source import Source
from netspec.driver import check
from netspec.ops import OPS

from ..helpers import checked
from .markdown import DOCS, FencedBlock, Shell, blocks, rewrite

GUIDES = [
    DOCS / f"{name}.md"
    for name in (
        *(
            "guide",
            "coming-from-prototxt",
            "caffe",
            "ir",
            "architecture",
            "commands",
            "signals",
            "onnx",
            "keras",
            "importing",
        ),
    )
]
EACH = pytest.mark.parametrize("guide", GUIDES, ids=lambda p: p.stem)
KINDS = {"net", "console", "python", "text", "prototxt", "lark"}
# What the lines of tables find: values of 64x56x56, a pooling, and x flowing.
CONTEXT = """net row {{
  input x: 64x56x56
  a: relu(x)
  b: sigmoid(x)
  negative: sub(x, add(x, x))
  pool1: maxpool(x) {{ kernel: 2x2 }}
  identity(x)
  {line}
}}
"""


def write_files(found: list[FencedBlock], folder: Path) -> None:
    for block in found:
        if "file" in block.words:
            path = folder / block.words[block.words.index("file") + 1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")


@EACH
def test_snippets(guide: Path, tmp_path: Path) -> None:
    found = blocks(guide)
    write_files(found, tmp_path)
    assert {b.kind for b in found} <= KINDS
    for block in found:
        if block.kind != "net":
            continue
        checked = check(Source("guide.net", block.text), tmp_path, {}, needs_net=False)
        where = f"{guide.name}:{block.line}"
        if "wrong" in block.words:
            assert checked.failed, where
        else:
            assert not [d.message for d in checked.diagnostics], where


@EACH
def test_what_is_wrong_with_a_wrong_snippet_is_shown(guide: Path) -> None:
    found = blocks(guide)
    for block, following in zip(found, found[1:] + [found[0]], strict=True):
        if "wrong" in block.words:
            assert following.kind == "console", f"{guide.name}:{block.line}"
            assert following.text.startswith(f"$ netspec check {block.words[-1]}\nerror[")


@pytest.mark.slow
@EACH
def test_sessions(guide: Path, tmp_path: Path, update: bool) -> None:
    found = blocks(guide)
    shell = Shell(tmp_path / "work", tmp_path / "tools")
    write_files(found, shell.folder)
    results = [
        FencedBlock(b.info, shell.session(b.text), b.line) if b.kind == "console" else b
        for b in found
    ]
    if update:
        rewrite(guide, results)
    for block, result in zip(blocks(guide), results, strict=True):
        assert block.text == result.text, f"{guide.name}:{block.line}"
        assert "Traceback" not in result.text


def rows(guide: Path) -> list[tuple[str, str]]:
    """Of the tables with a column `netspec`: what is in the first column, and in that one."""
    found = []
    column = None
    for line in guide.read_text(encoding="utf-8").splitlines():
        cells = [c.strip() for c in line.strip("|").split(" | ")] if line.startswith("|") else []
        if not cells:
            column = None
        elif "netspec" in cells:
            column = cells.index("netspec")
        elif column is not None and not cells[0].startswith("---"):
            found.append((cells[0], cells[column]))
    return found


LINES = [(guide, *row) for guide in GUIDES for row in rows(guide)]


@pytest.mark.parametrize(
    ("guide", "foreign", "line"), LINES, ids=[f"{g.stem}-{f}" for g, f, _ in LINES]
)
def test_lines_of_tables(guide: Path, foreign: str, line: str) -> None:
    if line == "none":
        return
    code = re.fullmatch(r"`([^`]+)`", line)
    assert code is not None, line
    spec = CONTEXT.format(line=code[1])
    if code[1].startswith("input"):
        spec = f"net row {{\n  {code[1]}\n  relu\n}}\n"
    net, found = checked(spec)
    assert net is not None, [d.message for d in found]


def test_tables_are_read() -> None:
    for guide in GUIDES[:2]:
        assert len(rows(guide)) > 25


def test_every_layer_of_caffe_is_there() -> None:
    """The layer types of BVLC Caffe's catalogue."""
    page = (DOCS / "coming-from-prototxt.md").read_text()
    types = [
        "AbsVal",
        "Accuracy",
        "ArgMax",
        "BatchNorm",
        "BatchReindex",
        "Bias",
        "BNLL",
        "Clip",
        "Concat",
        "Convolution",
        "Crop",
        "Data",
        "Deconvolution",
        "Dropout",
        "DummyData",
        "ELU",
        "Eltwise",
        "Embed",
        "Exp",
        "Filter",
        "Flatten",
        "HDF5Data",
        "Im2col",
        "ImageData",
        "InnerProduct",
        "Input",
        "Log",
        "LRN",
        "LSTM",
        "MemoryData",
        "MVN",
        "Parameter",
        "Pooling",
        "Power",
        "PReLU",
        "Python",
        "Reduction",
        "ReLU",
        "Reshape",
        "RNN",
        "Scale",
        "Sigmoid",
        "Silence",
        "Slice",
        "Softmax",
        "SoftmaxWithLoss",
        "Split",
        "SPP",
        "Swish",
        "TanH",
        "Threshold",
        "Tile",
    ]
    first = " ".join(foreign for guide, foreign, _ in LINES if guide == GUIDES[1])
    assert [t for t in types if not re.search(rf"\b{t}\b", first)] == []
    assert "round: ceil" in page


@EACH
def test_codes_and_ops_that_are_named_exist(guide: Path) -> None:
    text = guide.read_text(encoding="utf-8")
    assert set(re.findall(r"netspec explain ([a-z-]+)", text)) <= set(CODES)
    assert set(re.findall(r"netspec ops ([a-z_]+)", text)) <= set(OPS)


def test_the_guide_to_the_house_names_files_that_exist() -> None:
    """Paths in docs/architecture.md, from the root or from a package that holds packages."""
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    named = re.findall(r"`((?:[\w.*-]+/)+[\w.*-]*|[\w-]+/[\w./-]+\.\w+)`", text)
    assert len(named) > 60
    root = DOCS.parent
    inner = [f"netspec/{p}" for p in ("syntax", "semantic", "importers")]
    bases = ["", "netspec", "backends", *inner]
    for name in named:
        found = [p for base in bases for p in (root / base).glob(name)]
        assert found, name
