"""`expect` and `prefer`: what a spec says must hold of it.

In:  a block whose statements have run, and its `expect` and `prefer` statements.
Out: diagnostics for those that do not hold, with what the numbers are made of and where a shape
     departs from what is wanted.

check       whether a contract holds
metrics     `params`, `macs`, `size`, `activations` in a contract, and which layers they are from
provenance  where a shape departs from a contract, and the change that fixes it
"""
