"""The structure of a flat graph: chains, modules with parameters, and names.

In:  a `Graph` of ops, its places in the imported file, with the names that layers have there.
Out: the same network as modules with parameters, which `spec_tree` writes.

Nothing here knows which tool the graph comes from. Where names are paths of modules, these are the
author's structure (`paths` and what follows it); where they are not, what repeats is looked for.

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
paths              what names such as `layer1.0.conv1` say: groups of nodes inside each other
shared_module      modules as data: bodies, lines, parameters, conditions
named_modules      groups of one kind as modules, those inside others first
bodies             instances as one body: what each has, how it is wired, what is optional
body_lines         the slots of a body as lines with names
shared_parameters  what instances differ in as parameters, and when they have what is optional
classifier         the layer whose outputs are classes
"""
