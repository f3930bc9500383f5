"""The structure of a flat graph: chains, modules with parameters, and names.

In:  a `Graph` of ops, its places in the imported file, with the names that layers have there.
Out: the same network as chains and `PlannedModule`s, which `spec_tree` writes.

Nothing here knows which tool the graph comes from.

graph              the flat graph: nodes, values, inputs
attributes         the attributes of a node, with defaults, in one form each
simplify           the same network with fewer nodes
chains             nodes that follow each other as one statement of a spec
sharing            chains that are others once more, with their weights
names              names of layers as names of the language, and what several names share
candidates         runs of chains that may be instances of a module
instances          instances of modules, and which of them are alike
repeated_modules   the modules that are worth it, chosen among the candidates
parameters         what the instances of a module differ in
branch_conditions  when an instance has a shortcut, or which
planned_modules    modules with names, parameters and branches, ready to be written
classifier         the layer whose outputs are classes
"""
