"""A spec that is checked again whenever it, or a file that it imports, changes.

`Watcher.step` does what there is to do at one moment and returns what there is to say. It holds no
clock and never waits, so that whoever drives it decides about time.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from netspec.diagnostics import Diagnostic, SpecError
from netspec.diagnostics.source import Source
from netspec.driver import Checked, check, find, place
from netspec.ir import Net
from netspec.semantic.imports import MAX_BYTES

MOST_CHANGES = 12
"""Most layers that a report lists."""


class WatchReport(NamedTuple):
    """The result of a change: the net, None where the spec has errors, and its diagnostics."""

    net: Net | None
    diagnostics: tuple[Diagnostic, ...]
    before: Net | None
    """The last net without errors before, if there was one."""


_Mark = tuple[int, ...] | None
"""What a file looks like from outside; None where there is none that can be read."""
State = Mapping[Path, str | None]
"""The contents of files, as digests."""


class Watcher:
    """Watches one spec. `settings` are those of `check`."""

    def __init__(self, spec: str, settings: Mapping[str, Any]) -> None:
        self.spec = spec
        self.settings = settings
        self.good: Net | None = None
        self.source = Source(spec, "")
        """The text that was checked last."""
        self._files: set[Path] = {place(spec).path}
        self._seen: dict[Path, tuple[_Mark, str | None]] = {}
        self._pending: State | None = None
        self._checked: State | None = None

    def step(self) -> WatchReport | None:
        """Look at the files; a report if they have changed since the last one, else None.

        A change is looked into when the files are the same for two steps, so that a file which is
        just being written is not judged by its first half. The first step reports at once.
        """
        state = self._state()
        if state == self._checked:
            self._pending = None
            return None
        if self._checked is not None and state != self._pending:
            self._pending = state
            return None
        return self._check()

    def _check(self) -> WatchReport:
        before = self._state()
        try:
            found = find(self.spec)
            self.source = found.source
            checked = check(self.source, found.folder, self.settings, net=found.net)
        except SpecError as error:
            checked = Checked(None, error.diagnostics)
        if checked.failed:
            # The imports behind an error may not have been looked for: go on watching all.
            self._files |= checked.asked
        else:
            self._files = {place(self.spec).path, *checked.asked}
        # What changed while the check ran counts as changed since.
        self._checked = {path: before.get(path, self._digest(path)) for path in self._files}
        self._pending = None
        report = WatchReport(checked.net, checked.diagnostics, self.good)
        self.good = checked.net or self.good
        return report

    def _state(self) -> State:
        return {path: self._digest(path) for path in self._files}

    def _digest(self, path: Path) -> str | None:
        """The content of a file in short; read only if the file looks different from outside."""
        mark = _mark(path)
        known = self._seen.get(path)
        if known is None or known[0] != mark:
            self._seen[path] = known = mark, _read(path) if mark else None
        return known[1]


def _mark(path: Path) -> _Mark:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_mode


def _read(path: Path) -> str | None:
    try:
        if not path.is_file():
            return None  # to read a pipe would wait for its writer
        with path.open("rb") as file:
            return hashlib.sha256(file.read(MAX_BYTES + 1)).hexdigest()
    except OSError:
        return None


# --- reports as text ----------------------------------------------------------------------------


def summary(report: WatchReport) -> list[str]:
    """The net's totals or its number of errors, and the changes since the last valid net."""
    from netspec.report.table import title

    if report.net is None:
        errors = sum(d.severity == "error" for d in report.diagnostics)
        line = f"{errors} error{'s' if errors != 1 else ''}"
        if report.before is not None:
            line += f"; when it was sound: {_in_short(report.before)}"
        return [line]
    lines = [title(report.net), ""]
    if report.before is None:
        return lines + _table(_totals(report.net, report.net))
    from netspec.report.diff import difference, listed

    found = difference(report.before, report.net)
    lines += _table(_totals(report.before, report.net))
    if found.empty:
        return [*lines, "", "no layer has changed"]
    changes = listed(found)
    lines += ["", *changes[:MOST_CHANGES]]
    if len(changes) > MOST_CHANGES:
        lines.append(f"  and {len(changes) - MOST_CHANGES} more")
    return lines


def _in_short(net: Net) -> str:
    from netspec.report import number_format

    return f"{int(net.params):,} parameters, {number_format.millions(int(net.macs))} MACs"


def _totals(before: Net, after: Net) -> Iterable[tuple[str, str, str]]:
    """Each metric by name, as it is written, with its change."""
    from netspec.report.diff import NetDiff, shown, totals

    for name, old, new in totals(NetDiff(before, after, (), {})):
        change = ""
        if old != new:
            share = f" ({100 * (new - old) / old:+.1f}%)" if old else ""
            sign = "+" if new > old else "-"
            change = f"{sign}{shown(name, abs(new - old))}{share}"
        yield name, shown(name, new), change


def _table(rows: Iterable[tuple[str, str, str]]) -> list[str]:
    cells = list(rows)
    widths = [max(len(row[i]) for row in cells) for i in range(3)]
    return [
        f"{name:<{widths[0]}}  {value:>{widths[1]}}  {change:>{widths[2]}}".rstrip()
        for name, value, change in cells
    ]
