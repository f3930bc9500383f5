"""Caffe's network files: read as specs, without Caffe.

In:  a prototxt (a network or a solver), what `--phase`, `--input`, `--until` say.
Out: a syntax tree with places in the prototxt, where its tensors lie in a caffemodel, notes on
     what is left out.

A text becomes messages (`syntax.protobuf_text`), those a list of layers (`proto`), the layers a
flat graph of our ops (`translate`, `layers/`), the graph a simpler one with modules (`simplify`,
`structure`, `parameters`), and that a tree of the language with places in the prototxt (`tree`).
"""

from __future__ import annotations

from netspec.importers.caffe.read import (
    Converted,
    origins,
    read,
    reading_of,
)

__all__ = ["Converted", "origins", "read", "reading_of"]
