"""Darknet's network files: read as specs, without Darknet.

In:  a `.cfg` file.
Out: a syntax tree with places in the cfg, where its tensors lie in a `.weights` file, notes on what
     is left out.

cfg        sections and their options, with places
translate  the sections as a graph
order      what a .weights file has, in its order
read_cfg   from a cfg to a tree: these, and `importers/structure`
"""

from __future__ import annotations

from netspec.importers.darknet.read_cfg import ImportedCfg, origins, read

__all__ = ["ImportedCfg", "origins", "read"]
