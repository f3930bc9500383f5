"""A flat graph as a tree of the language.

In:  a `Graph` (`importers/structure`), and how its net is called.
Out: a `SpecTree`: definitions with their places in the imported file, and the nodes in the order of
     the spec's layers.

tree           the whole file: modules and the net
net_writer     the statements of the net
module_writer  the statements of a module
body_writer    what both share: chains, fields, references to values
expressions    constants as expressions
loops          layers that are equal but for a number, as loops
"""
