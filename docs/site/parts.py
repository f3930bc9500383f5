"""What the page needs of Python besides netspec's own files, as JSON: names and content in base64.

The tables of the parser, the packages that netspec imports, its entry points, and the words that
the editor colours.
"""

from __future__ import annotations

import base64
import json
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from netspec.reference import editor_words
from netspec.syntax import table_store
from netspec.syntax.lark_adapter import tables_of
from netspec.util.resources import folder as folder_of

PACKAGES = ("jinja2", "markupsafe")
WORDS = {
    "keyword": (
        *editor_words.PARTS,
        *editor_words.DECLARATIONS,
        *editor_words.CONTRACTS,
        *editor_words.CONTROL,
        *editor_words.OPERATORS,
    ),
    "op": editor_words.BUILT_IN,
    "number": editor_words.CONSTANTS,
}


def main() -> None:
    found: dict[str, bytes] = {"words.json": json.dumps(WORDS).encode()}
    for name in PACKAGES:
        spec = find_spec(name)
        assert spec is not None, f"{name} is not installed"
        assert spec.origin is not None, f"{name} is no package of files"
        folder = Path(spec.origin).parent
        for path in folder.rglob("*.py"):
            found[f"{name}/{path.relative_to(folder).as_posix()}"] = path.read_bytes()
    for grammar, start in table_store.GRAMMARS:
        text = (folder_of("grammars") / f"{grammar}.lark").read_text(encoding="utf-8")
        file = f"netspec/grammars/{table_store.file_name(grammar, start)}"
        found[file] = table_store.content(text, tables_of(text, start))
    points = metadata.distribution("netspec-compiler").read_text("entry_points.txt") or ""
    kept = "".join(line + "\n" for line in points.splitlines() if "onnx" not in line)
    about = "Metadata-Version: 2.1\nName: netspec-compiler\nVersion: 0\n"
    found["netspec_compiler-0.dist-info/METADATA"] = about.encode()
    found["netspec_compiler-0.dist-info/entry_points.txt"] = kept.encode()
    encoded = {name: base64.b64encode(content).decode() for name, content in found.items()}
    json.dump(encoded, sys.stdout)


if __name__ == "__main__":
    main()
