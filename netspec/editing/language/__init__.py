"""What an editor shows and offers for a text, as data of netspec's own.

In:  a text as it stands in an editor, those of other open files, and an offset in it.
Out: diagnostics, names and what they stand for, hovers, completions, edits.

analysis    a text with its tree, net and diagnostics
names       every name of a text, and what it stands for
workspace   the texts of the open files and folders; names across files, renaming
hover       what is known of a name, as Markdown
completion  what may be written at a place, and the fields of the call around it
outline     symbols, folds, hints at line ends, kinds of names, lines above nets
layout      the edits of the formatter
"""
