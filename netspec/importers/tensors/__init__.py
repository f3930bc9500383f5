"""Programs over batched tensors, such as ONNX's and PyTorch's graphs, as graphs of the language.

In:  a `TensorProgram`: operations in one vocabulary, tensors with shapes, constants, places.
Out: a `structure.graph.Graph`, whose values have no batch and are vectors or maps.

program      the program: its vocabulary, its tensors and constants
patterns     several operations that are one of the vocabulary
translate    the operations as nodes of the graph, one after the other
translation  the graph so far: tensors as views of values
rules/       a rule for each kind of operation
views        a tensor as a value of the graph, its dimensions reordered, split and joined
numbers      numbers as exact decimals
imported     a program as a tree of the language: all of these, and `importers/structure`
"""
