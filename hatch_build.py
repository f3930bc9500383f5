"""Puts the parse tables of the grammars into the wheel: no installation has to make them."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ParseTables(BuildHookInterface[Any]):
    """Beside `netspec/grammars/NAME.lark` the files that netspec/syntax/table_store.py reads."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called ahead of the build; in a checkout (`version` is editable) there is a cache."""
        if version == "editable":
            return
        sys.path.insert(0, self.root)
        from netspec.syntax import table_store
        from netspec.syntax.lark_adapter import tables_of

        folder = Path(tempfile.mkdtemp())
        for name, start in table_store.GRAMMARS:
            text = (Path(self.root) / "grammars" / f"{name}.lark").read_text(encoding="utf-8")
            file = folder / table_store.file_name(name, start)
            file.write_bytes(table_store.content(text, tables_of(text, start)))
            build_data["force_include"][str(file)] = f"netspec/grammars/{file.name}"
