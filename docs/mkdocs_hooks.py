"""Pages of the site from files outside of docs/; links hold on the site as in the repository."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
# Pages of the site by their file in the repository.
OUTSIDE = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "README.md": "overview.md",
    "backends/netspec_numpy/README.md": "numpy-backend.md",
}
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")
_CODE = re.compile(r"^```.*?^```$|^(?: {4}[^\n]*\n)+|`[^`\n]+`", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages from outside of docs/."""
    for source, page in OUTSIDE.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The page with links that lead to pages; a link to a file that is no page becomes its text."""
    own = page.file.src_uri
    sources = {name: ROOT / source for source, name in OUTSIDE.items()}
    source = sources.get(own, DOCS / own)

    def link(found: re.Match[str]) -> str:
        bang, text, target, anchor = found[1], found[2], found[3], found[4] or ""
        if "://" in target or target.startswith("mailto:"):
            return found[0]
        path = (source.parent / target).resolve()
        if path.is_relative_to(DOCS):
            name = path.relative_to(DOCS).as_posix()
        elif path.is_relative_to(ROOT):
            in_repository = path.relative_to(ROOT).as_posix()
            name = OUTSIDE.get(in_repository, "")
            if not name and path.exists():
                return text
        else:
            return found[0]
        return f"{bang}[{text}]({os.path.relpath(name, Path(own).parent)}{anchor})"

    parts, end = [], 0
    for code in _CODE.finditer(markdown):
        parts += [_LINK.sub(link, markdown[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, _LINK.sub(link, markdown[end:])])
