"""Help while a spec is being written.

In:  the path of a spec that changes.
Out: diagnostics, or what changed in the net, after each save.

watch  checks a spec again whenever it or a file that it imports changes
"""
