"""Passes: functions from one checked net to another, one file each.

In:  a `netspec.ir.Net`.
Out: a new `netspec.ir.Net`; nets are frozen, and a pass shares what it does not change.

expose_activations  makes every layer's value an output, for comparing backends
rename              gives layers other names and nesting
registry            the passes by name
"""
