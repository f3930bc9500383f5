"""A flat graph as a tree of the language.

In:  a `Graph` (`importers/structure`), and how its net is called.
Out: a `SpecTree`: definitions with their places in the imported file, and the nodes in the order of
     the spec's layers; its text.

tree           the whole file: modules and the net
net_writer     the statements of the net
module_writer  the statements of a module
body_writer    what both share: chains, fields, references to values
expressions    constants as expressions
loops          layers that are equal but for a number, as loops
shared_writer  the statements of a module or net whose names are paths
call_loops     uses of a module in a row, as loops over rows of what they are given
shared_fields  fields that most layers have alike, as `default`
spec_text      the text of a tree, which is checked to be the same network
shared_training  how layers begin and are trained, stated once in the `train` block
"""
