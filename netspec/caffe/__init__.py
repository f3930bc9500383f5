"""Caffe's network files: read as specs, without Caffe.

prototxt --parse--> messages --net--> layers --layers/--> flat graph --simplify--> --structure-->
syntax tree of the language, whose places are in the prototxt
"""

from __future__ import annotations

from netspec.caffe.read import Converted, origins, read, reading_of

__all__ = ["Converted", "origins", "read", "reading_of"]
