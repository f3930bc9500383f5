"""The figures that `netspec specs` shows are counted once, and anew where they may be others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from netspec.driver import bundled, check_each
from netspec.reference import bundled_nets
from netspec.reference.bundled_nets import FILE, bundled_figures

from ..helpers import loaded


@pytest.mark.slow
def test_figures_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    counted: list[str] = []

    def counting(spec: str, settings: Any) -> Any:
        counted.append(spec)
        return check_each(spec, settings)

    monkeypatch.setattr(bundled_nets, "check_each", counting)
    made = bundled_figures()
    assert list(made) == list(bundled())
    for name in ("squeezenet1_0", "yolov8s", "shufflenet_v2", "resnet34"):
        net = loaded(name)
        assert (made[name]["params"], made[name]["macs"]) == (net.params, net.macs)
    assert made["yolov8s"]["variant"] == "s"
    assert "variant" not in made["squeezenet1_0"]
    first = len(counted)
    assert bundled_figures() == made
    assert len(counted) == first
    file = tmp_path / "netspec" / FILE
    for damage in ("", "[]", '{"key": 1, "nets": {}}', json.dumps({"key": "x", "nets": made})):
        file.write_text(damage)
        monkeypatch.setattr(bundled_nets, "bundled", lambda: {"unet": bundled()["unet"]})
        before = len(counted)
        assert bundled_figures() == {"unet": made["unet"]}
        assert len(counted) > before
