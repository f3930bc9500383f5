"""Reference pages made from the declarations: ops, diagnostics, words for editors.

In:  the ops of `netspec.ops`, the pages in docs/diagnostics, the words of the grammar.
Out: `netspec ops`, docs/ops.md, `netspec explain`, lists of words for syntax highlighting.

ops              one op as data: fields, shapes, tensors, counts, in symbols
pages            ops as text, Markdown and JSON
explanations     the page of a diagnostic code
bundled_nets     the parameters and multiplications of the nets that come with netspec
engines          which bundled net runs on which engine
editor_words     keywords, ops, fields and functions, by kind
pygments_lexer   highlighting with Pygments
"""
