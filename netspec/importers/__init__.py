"""Networks of other tools, read as specs.

In:  a file of another tool (a prototxt of Caffe).
Out: a syntax tree like that of a spec, its places in the other file, so that checking, tables and
     backends need not know where it came from.

caffe  prototxt files: networks and solvers
"""
