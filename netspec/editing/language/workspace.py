"""The texts of an editor: open files and folders; names across files, and new names for them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from netspec.diagnostics.fixes import Edit, edited
from netspec.diagnostics.source import plain
from netspec.editing.language.analysis import Analysis, analyse
from netspec.editing.language.names import Occurrence, Symbol
from netspec.ir import Net
from netspec.reference.editor_words import RESERVED

MAX_FILES = 500
"""Most files of folders that are looked into for a name."""
MAX_BYTES = 2**20
"""Longest file that is looked into for a name."""
RENAMED = {"net", "module", "variant", "parameter", "constant", "input", "layer", "output"}


def _shape(net: Net) -> object:
    """What a net computes, whatever its parts are called."""
    return [
        (layer.op, [v.shape for v in layer.inputs], [v.shape for v in layer.outputs])
        for layer in net.layers
    ]


class RenameRefused(Exception):
    """A name can't be changed so; says why."""


class Workspace:
    """Open texts by their paths, and the folders around them."""

    def __init__(self) -> None:
        self.texts: dict[Path, str] = {}
        self.folders: list[Path] = []
        self._known: dict[Path, tuple[object, Analysis]] = {}
        self._sound: dict[Path, Analysis] = {}
        self._changes = 0

    def open(self, path: Path, text: str) -> None:
        """A text as it is now in an editor."""
        text = plain(text)
        known = self.texts.get(path)
        if known != text:
            self.texts[path] = text
            self._changes += 1
        if known is None:
            self.analysis(path)  # what comes next may have syntax errors

    def close(self, path: Path) -> None:
        """What the file says counts again."""
        if self.texts.pop(path, None) is not None:
            self._known.pop(path, None)
            self._sound.pop(path, None)
            self._changes += 1

    def touch(self) -> None:
        """Files have changed on the disk."""
        self._changes += 1

    def analysis(self, path: Path) -> Analysis:
        """What there is to know of an open text, or a file, as it is now. Raises OSError."""
        text = self.texts.get(path)
        mark: object = self._changes
        if text is None:
            status = path.stat()
            mark = (self._changes, status.st_mtime_ns, status.st_size)
        known = self._known.get(path)
        if known is not None and known[0] == mark:
            return known[1]
        if text is None:
            text = plain(path.read_text(encoding="utf-8"))
        found = analyse(path, text, self.texts)
        self._known[path] = (mark, found)
        if found.file is not None:
            self._sound[path] = found
        return found

    def sound(self, path: Path) -> Analysis:
        """The last analysis of a text without syntax errors; the present one if there is none."""
        present = self.analysis(path)
        return present if present.file is not None else self._sound.get(path, present)

    def files(self) -> Iterator[Path]:
        """The open texts, and the .net files of the folders, each once."""
        seen = set(self.texts)
        yield from self.texts
        count = 0
        for base in self.folders:
            for folder, inner, names in os.walk(base):
                inner[:] = sorted(n for n in inner if not n.startswith(".") and n != "node_modules")
                for name in sorted(names):
                    path = Path(folder, name)
                    if path.suffix == ".net" and path not in seen:
                        seen.add(path)
                        count += 1
                        if count > MAX_FILES:
                            return
                        yield path

    def analyses(self, mentioning: str = "") -> Iterator[Analysis]:
        """Those of all texts that have a word in them; what can't be read is left out."""
        for path in list(self.files()):
            try:
                if path not in self.texts and path.stat().st_size > MAX_BYTES:
                    continue
                text = self.texts.get(path) or path.read_text(encoding="utf-8")
                if mentioning in text:
                    yield self.analysis(path)
            except (OSError, ValueError):
                continue

    def definition(self, path: Path, offset: int) -> Symbol | None:
        """What the name at a place of a text stands for."""
        occurrence = self.analysis(path).at(offset)
        return occurrence.symbol if occurrence is not None else None

    def references(self, path: Path, offset: int) -> list[Occurrence]:
        """Every place that names the same as one of a text, in all texts."""
        symbol = self.definition(path, offset)
        if symbol is None:
            return []
        local = symbol.kind not in ("net", "module", "parameter", "op", "field")
        texts: Iterable[Analysis]
        texts = [self.analysis(path)] if local else self.analyses(symbol.name)
        found = [o for a in texts for o in a.names if o.symbol.key == symbol.key]
        return list({(o.span.source.name, o.span.start): o for o in found}.values())

    def rename(self, path: Path, offset: int, name: str) -> list[Edit]:
        """The edits that give what a name stands for another name, in all texts.

        Raises RenameRefused.
        """
        symbol = self.definition(path, offset)
        if symbol is None or symbol.kind not in RENAMED or symbol.place is None:
            raise RenameRefused("there is no name here that can be changed")
        if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) or name in RESERVED:
            raise RenameRefused(f"`{name}` can't be a name")
        found = self.references(path, offset)
        home = Path(symbol.place.source.name)
        if not any(o.span == symbol.place or o.span.source.name == str(home) for o in found):
            raise RenameRefused(f"{home.name} is not among the files of this workspace")
        by_file: dict[Path, list[Edit]] = {}
        for occurrence in found:
            edit = Edit(occurrence.span, name)
            by_file.setdefault(Path(occurrence.span.source.name), []).append(edit)
        after = dict(self.texts)
        known = {file: self.analysis(file) for file in by_file}
        for file, edits in by_file.items():
            text = edited(known[file].source.text, edits)
            if text is not None:
                after[file] = text
        for file, analysis in known.items():
            made = analyse(file, after[file], after)
            wrong = [d.message for d in made.diagnostics if d.severity == "error"]
            if len(wrong) > sum(d.severity == "error" for d in analysis.diagnostics):
                raise RenameRefused(f"{symbol.name} can't be called {name}: {wrong[0]}")
            if list(map(_shape, made.nets)) != list(map(_shape, analysis.nets)):
                raise RenameRefused(f"with {symbol.name} called {name}, it would be another net")
        return [edit for edits in by_file.values() for edit in edits]
