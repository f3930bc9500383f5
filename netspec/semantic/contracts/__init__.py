"""`expect` and `prefer`: the contracts of a spec.

In:  a block whose statements have run, and its `expect` and `prefer` statements.
Out: diagnostics for those that do not hold, with the layers that a number comes from, and those
     that gave a shape its size.

check       whether a contract holds
metrics     `params`, `macs`, `size`, `activations` in a contract, and which layers they are from
provenance  which layers made a shape what it is, and which change would meet the contract
"""
