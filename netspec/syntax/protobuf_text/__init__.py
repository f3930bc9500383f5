"""Protobuf's text format, which Caffe's prototxt files are in.

In:  a `netspec.diagnostics.source.Source`.
Out: a tree of fields and values, each with its place. What fields mean is up to the importer.

detect  whether a text is in this format
ast     the nodes of the tree
parser  text to tree
"""
