"""The explanations of diagnostic codes: a Markdown file each, in `docs/diagnostics`."""

from __future__ import annotations

import re
from pathlib import Path

from netspec.util.resources import folder


def path_of(code: str) -> Path:
    """The file that explains a code, a key of CODES."""
    return folder("docs/diagnostics") / f"{code}.md"


def explanation(code: str) -> str:
    """What a code means, with a wrong example and its fix, as Markdown."""
    return path_of(code).read_text(encoding="utf-8")


_LINK = re.compile(r"\[([^\]]+)\]\(([^)]+)\)")
_HEADINGS = {
    "net wrong": "Wrong:",
    "net fixed": "Fixed:",
    "console wrong": "Wrong:",
    "console fixed": "Fixed:",
}


def plain(markdown: str) -> str:
    """Markdown as a terminal shows it: no marks, examples indented under a word of heading."""
    lines: list[str] = []
    fence = False
    for line in markdown.splitlines():
        if line.startswith("```"):
            fence = not fence
            info = line.removeprefix("```")
            if fence:
                lines += [_HEADINGS.get(info) or f"{info.rpartition(' ')[2]}:", ""]
        elif fence:
            lines.append(f"    {line}".rstrip())
        else:
            lines.append(_LINK.sub(r"\1", line.removeprefix("# ")))
    return "\n".join(lines).strip("\n") + "\n"
