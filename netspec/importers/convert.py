"""netspec convert: a file of another tool as the text of a spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netspec.diagnostics import Diagnostics
from netspec.importers.imported import ImportedNet
from netspec.importers.spec_tree.spec_text import ConvertedSpec, net_of_tree, spec_text


def converted(
    imported: ImportedNet, settings: Mapping[str, Any], diagnostics: Diagnostics
) -> ConvertedSpec | None:
    """The spec of an imported net; None, and diagnostics, where it has errors.

    `settings` are new defaults of the net's parameters.
    """
    net = net_of_tree(imported.file, settings, diagnostics)
    if net is None or diagnostics.failed:
        return None
    text = spec_text(imported.file, net, settings, {}, imported.notes, {})
    return ConvertedSpec(text, net.name, imported.notes)
