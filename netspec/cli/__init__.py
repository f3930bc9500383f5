"""The command line: `netspec COMMAND ...`.

In:  arguments, files, standard input.
Out: results on standard output, diagnostics on standard error, an exit status (0 fine, 1 an input
     is wrong, 2 wrong usage, 130 Ctrl-C).

main      finds the command, converts errors to an exit status
common    arguments that commands share: SPEC, `--set`, `-o`; showing diagnostics
terminal  what `--color` and `--quiet` ask for
streams   standard streams that are closed, break or have another encoding
Every other file is one command: `configure` adds its arguments, `execute` runs it.
"""
