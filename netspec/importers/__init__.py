"""Networks of other tools, read as specs.

In:  a file of another tool (a prototxt of Caffe, a cfg of Darknet, a model's file).
Out: a syntax tree like that of a spec, its places in the other file, so that checking, tables and
     backends need not know where it came from.

caffe          prototxt files of Caffe: networks and solvers, as a flat graph of ops
darknet        cfg files of Darknet
model_files    files with weights inside: which importer reads which, where a tensor is stored
structure      modules, parameters and names found in a flat graph, of whatever tool
spec_tree      a flat graph with its modules as a syntax tree
imported       what an importer gives: the tree, its nodes, notes
convert        an imported net as the text of a spec
shape_options  shapes of inputs that the user gives

An importer makes a `structure.graph.Graph`, calls `simplify`, and gives the graph to
`spec_tree.tree.structured_tree`; the tree is checked and printed like any other.
"""
