"""netspec annotate: metrics behind lines, and the original bytes back."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import netspec
from netspec.cli.main import main
from netspec.diagnostics.source import Source
from netspec.driver import bundled, check
from netspec.ir import Net
from netspec.report.annotate import annotate, line_metrics, without_comments
from netspec.report.diff import difference

from ..helpers import bundled_text, net_of, one_of_each_text


def read(text: str) -> tuple[Net, Source]:
    plain = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    source = Source("test.net", plain)
    return check(source, None, {}).sound(), source


def annotated(text: str) -> str:
    return annotate(text, *read(text))


def comments(text: str) -> dict[int, str]:
    """The comments by line, white space evened out."""
    lines = re.split(r"\r\n|\r|\n", annotated(text))
    found = {n: re.search(r"#: (.*?)\s*$", line) for n, line in enumerate(lines, 1)}
    return {n: " ".join(m[1].split()) for n, m in found.items() if m}


def test_layers_chains_modules_and_loops() -> None:
    text = """module block(f) {
  input x
  conv(x) { filters: f kernel: 3 pad: 1 }
    -> relu
  add(x, conv { filters: f kernel: 1 })
}
net n {
  input data: 4x8x8  # the input
  a: block { f: 4 }
  for i in 1..3 { c[i]: conv { filters: 2 * i kernel: 2 stride: 2 } -> relu }  # halves
  b: block { f: 6 } d: flatten
  output d, c1
}
"""
    w = {f: f * f * 9 + f + f * f + f for f in (4, 6)}
    assert comments(text) == {
        3: f"2 of 4x8x8 .. 6x1x1 {148 + 330} params {36 * 4 * 64 + 324:,} MACs",
        4: "2 of 4x8x8 .. 6x1x1",
        5: f"2 of 4x8x8 .. 6x1x1 {20 + 42} params {16 * 64 + 36:,} MACs",
        9: f"4x8x8 {w[4]} params {(9 + 1) * 16 * 64:,} MACs",
        10: f"3 of 2x4x4 .. 6x1x1 {34 + 36 + 102} params {32 * 16 + 32 * 4 + 96:,} MACs",
        11: f"6 {w[6]} params 360 MACs",
    }


def test_shared_blocks_are_counted_as_often_as_they_are_used() -> None:
    doubling = "".join(f"module m{i} {{ input x\n m{i - 1}(m{i - 1}(x)) }}\n" for i in range(1, 12))
    text = f"module m0 {{ input x\n conv(x) {{ filters: 1 kernel: 1 }} }}\n{doubling}"
    net, source = read(text + "net n { input data: 1x2x2\n m11 }")
    assert line_metrics(net, source)[2].uses == 2**11
    assert line_metrics(net, source)[2].params == net.params == 2 * 2**11


@pytest.mark.parametrize("spec", one_of_each_text())
def test_bundled_specs(spec: str) -> None:
    text = bundled_text(spec)
    net, source = read(text)
    found = annotate(text, net, source)
    assert without_comments(found) == text
    assert annotate(found, *read(found)) == found
    assert difference(read(found)[0], net).empty
    assert sum(f.params for f in line_metrics(net, source).values()) == net.params
    assert sum(f.macs for f in line_metrics(net, source).values()) == net.macs


BREAKS = st.sampled_from(["\n", "\r\n", "\r"])
TAILS = st.sampled_from(["", " ", "  \t", "\t", " # said", " # said  ", "  #: not ours", "\f"])
LINES = st.sampled_from(
    [
        "  a: conv { filters: 3 kernel: 1 }",
        "\tb: relu -> relu",
        "  conv { filters: 200 kernel: 3 pad: 1 } -> relu -> relu -> relu -> relu -> relu -> relu -> relu",
        "  prelu -> prelu",
        "",
        "  # \u00e9\u4e2d",
        "  expect params < 10M",
    ]
)


@pytest.mark.slow
@given(st.lists(st.tuples(LINES, TAILS, BREAKS), max_size=6), st.booleans(), st.booleans())
def test_the_original_bytes_come_back(
    lines: list[tuple[str, str, str]], mark: bool, last: bool
) -> None:
    seen: set[str] = set()
    body = ""
    for line, tail, end in lines:
        name = line.strip()[:2]
        if name in ("a:", "b:") and name in seen:
            continue
        seen.add(name)
        body += line + tail + end
    text = ("\ufeff" if mark else "") + "net n { input data: 3x8x8\n" + body + "  relu }"
    text += "\n" if last else ""
    found = annotated(text)
    assert without_comments(found) == text
    assert annotated(found) == found
    assert found.count("#: ") >= text.count("#: ") + 1
    assert difference(read(found)[0], read(text)[0]).empty


def test_comments_stand_in_one_column() -> None:
    text = (bundled()["squeezenet1_0"]).read_text()
    columns = {line.index("#:") for line in annotated(text).splitlines() if "#:" in line}
    assert len(columns) == 1


def test_what_others_wrote_stays() -> None:
    text = "net n { input data: 1x1x1 #: 3 things\n relu #: note\n}\n"
    assert without_comments(text) == text
    assert without_comments(annotated(text)) == text


@pytest.mark.parametrize("comment", [" #: 3", " # was #: 64x2x2", " # #: 3", "#: 3", "\t#: 3"])
def test_a_comment_that_only_looks_alike_stays(comment: str) -> None:
    text = f"net n {{ input data: 1x1x1{comment}\n relu{comment}\n}}\n"
    assert without_comments(text) == text
    assert without_comments(annotated(text)) == text
    assert annotated(annotated(text)) == annotated(text)


def test_a_net_of_no_layers() -> None:
    text = "net n { input data: 1x1x1\n output data }"
    assert annotated(text) == text
    assert net_of(text).params == 0


def run(*arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "netspec", "annotate", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, check=False)


def test_files_and_streams(tmp_path: Path) -> None:
    spec = tmp_path / "n.net"
    original = b"\xef\xbb\xbfnet n(f = 2) {\r\n  input data: 1x4x4 \r\n  conv { filters: f kernel: 1 }\r\n}"
    spec.write_bytes(original)
    shown = run(spec).stdout
    assert b"#: 2x4x4  4 params  32 MACs\r\n" in shown
    assert spec.read_bytes() == original
    assert run("-", stdin=original).stdout == shown
    assert b"8 params" in run(spec, "--set", "f=4").stdout
    assert run(spec, "--write").returncode == 0
    assert spec.read_bytes() == shown
    assert run(spec, "-w", "--strip").returncode == 0
    assert spec.read_bytes() == original


def test_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = tmp_path / "n.net"
    spec.write_text("net n { input data: 1x4x4\n rleu }  #: 1x4x4\n")
    assert main(["annotate", str(spec), "-w"]) == 1
    assert "unknown-op" in capsys.readouterr().err
    assert "#:" in spec.read_text()
    # Off they come, though the text is wrong.
    assert main(["annotate", str(spec), "-w", "--strip"]) == 0
    assert "#:" not in spec.read_text()
    assert main(["annotate", "squeezenet1_0", "--write"]) == 1
    assert main(["annotate", str(tmp_path / "none.net")]) == 1
    assert run("-", stdin=b"\xff").returncode == 1
    assert netspec.load("squeezenet1_0").params == 1_248_424
