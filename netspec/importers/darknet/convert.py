"""netspec convert: a cfg as the text of a spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netspec.diagnostics import Diagnostics
from netspec.diagnostics.source import Source
from netspec.importers.darknet.read_cfg import ImportedCfg, read
from netspec.importers.spec_tree.spec_text import ConvertedSpec, net_of_tree, spec_text
from netspec.util.recursion import deep_recursion


def convert(
    source: Source, settings: Mapping[str, Any], diagnostics: Diagnostics
) -> ConvertedSpec | None:
    """The spec of a cfg; None, and diagnostics, where it can't be expressed.

    `settings` are new defaults of the net's parameters.
    """
    with deep_recursion():
        imported = read(source, diagnostics)
        if imported is None:
            return None
        net = net_of_tree(imported.file, settings, diagnostics)
        if net is None or diagnostics.failed:
            return None
        notes = _notes(imported)
        text = spec_text(imported.file, net, settings, {}, notes, {})
        return ConvertedSpec(text, net.name, tuple(notes))


def _notes(imported: ImportedCfg) -> list[str]:
    notes = []
    for head in imported.heads:
        options = [(name, head.options.get(name)) for name in ("classes", "mask", "anchors")]
        kept = "; ".join(f"{name} {found.text}" for name, found in options if found is not None)
        line = f"[{head.name}] in line {head.span.line}"
        notes.append(f"The net ends in front of {line}: {kept}.")
    if imported.dropped:
        names = ", ".join(f"[{s.name}]" for s in imported.dropped)
        notes.append(f"Left out, since it serves training: {names}.")
    return notes
