"""Help while a spec is being written.

In:  the path of a spec that changes, or a text with errors.
Out: diagnostics, or what changed in the net, after each save; a text with fewer errors.

watch   checks a spec again whenever it or a file that it imports changes
fixing  carries out the fixes that diagnostics offer
"""
