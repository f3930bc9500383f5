"""The picture of a spec that is being watched: a page that loads itself again on every save."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from netspec.diagnostics import render
from netspec.diagnostics.source import Source
from netspec.diagram.draw import view_of
from netspec.diagram.html import Follow, message_page, page
from netspec.diagram.scene import DiagramOptions
from netspec.editing.watch import WatchReport
from netspec.ir import Net
from netspec.util.atomic_write import write_text
from netspec.util.recursion import deep_recursion


class LivePage:
    """Writes the page, and beside it a script that names its version, for each report.

    The last sound net stays in sight while there are errors, which stand over it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.version = path.with_name(f"{path.name}.version.js")
        self._good: tuple[Net, Source] | None = None

    def show(self, report: WatchReport, source: Source) -> None:
        """Write what a report of this text says. Raises SpecError (unwritable-file)."""
        if report.net is not None:
            self._good = report.net, source
        errors = "\n\n".join(render.text(d) for d in report.diagnostics if d.severity == "error")
        follow = Follow(self.version.name, hashlib.sha256(repr(report).encode()).hexdigest()[:16])
        if self._good is None:
            text = message_page(source.name, errors, follow)
        else:
            net, text_of_net = self._good
            with deep_recursion():
                view = view_of(net, DiagramOptions())
                text = page(net, text_of_net, view, message=errors, follow=follow)
        # No input: where editors save by renaming, a new file may get the number of an old one.
        write_text(self.path, text, own=True)
        write_text(self.version, f"netspecVersion({json.dumps(follow.version)});\n", own=True)

    def end(self) -> None:
        """Take the script away: the page stays as it is."""
        self.version.unlink(missing_ok=True)
