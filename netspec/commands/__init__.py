"""The commands, one file each.

Each has `configure(parser)`, which adds its arguments, and `execute(args)`, which returns the exit
status. They import what costs time to import only when they run.
"""
