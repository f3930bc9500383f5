"""The page of a spec that is being watched."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from netspec.cli.main import main
from netspec.editing.live_page import LivePage
from netspec.editing.watch import Watcher

TEXT = "net n {\n  input x: 3x8x8\n  a: conv { filters: 8  kernel: 3 }\n}\n"


def version(page: LivePage) -> str:
    written = page.version.read_text()
    found = re.fullmatch(r'netspecVersion\("(\w+)"\);\n', written)
    assert found is not None
    assert f'data-version="{found[1]}"' in page.path.read_text()
    return found[1]


def test_errors_stand_over_the_last_picture(tmp_path: Path) -> None:
    spec = tmp_path / "n.net"
    page = LivePage(tmp_path / "n.html")
    spec.write_text(TEXT.replace("kernel", "kernal"))
    watcher = Watcher(str(spec), {})

    def saved(text: str) -> str:
        spec.write_text(text)
        reports = (watcher.step() for _ in range(3))
        report = next(r for r in reports if r is not None)
        page.show(report, watcher.source)
        return page.path.read_text()

    first = saved(TEXT.replace("kernel", "kernal"))
    assert "no field kernal" in first
    assert 'id="net"' not in first
    seen = [version(page)]
    good = saved(TEXT)
    assert 'id="net"' in good
    assert 'id="message"' not in good
    seen.append(version(page))
    # What a spec says stays a text: it can't end its element.
    wrong = saved(TEXT.replace("conv", '"</pre><script>alert(1)</script>" conv'))
    assert 'id="net"' in wrong
    assert "<script>alert" not in wrong
    assert "&lt;script&gt;alert" in wrong
    seen.append(version(page))
    assert len(set(seen)) == 3
    page.end()
    assert not page.version.exists()


def test_other_files_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = tmp_path / "n.net"
    spec.write_text(TEXT)
    assert main(["watch", str(spec), "--graph", str(tmp_path / "n.svg")]) == 1
    assert "ends with .html" in capsys.readouterr().err
    assert main(["watch", str(spec), "--graph", str(spec)]) == 1
    assert spec.read_text() == TEXT
