"""The command line: `netspec COMMAND ...`.

In:  arguments, files, standard input.
Out: results on standard output, diagnostics on standard error, an exit status (0 fine, 1 an input
     is wrong, 2 wrong usage).

main    finds the command, converts errors to an exit status
common  arguments that commands share: SPEC, `--set`, `--partial`; showing diagnostics
Every other file is one command: `configure` adds its arguments, `execute` runs it.
"""
