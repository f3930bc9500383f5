"""Files written whole or not at all: what is there stays until the new content is complete."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from netspec.diagnostics import SpecError
from netspec.util.atomic_write import replacing, write_bytes


def test_the_old_content_stays_until_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with replacing(path) as beside:
        beside.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_everything_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    def write(error: Exception) -> None:
        with replacing(path) as beside:
            beside.write_text("half")
            raise error

    with pytest.raises(SpecError, match="can't be written: disk full"):
        write(OSError("disk full"))
    with pytest.raises(KeyError):
        write(KeyError())
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_modes_and_links_are_kept(tmp_path: Path) -> None:
    path, link = tmp_path / "a", tmp_path / "link"
    path.write_text("old")
    path.chmod(0o751)
    link.symlink_to("a")
    write_bytes(link, b"new")
    assert link.is_symlink()
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o751


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="it is no regular file"):
        write_bytes(tmp_path, b"x")
