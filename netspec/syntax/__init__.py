"""Text to syntax tree and back.

In:  a `netspec.diagnostics.source.Source`.
Out: a frozen `ast.File` with the place of every part, or diagnostics; canonical text.

ast             the nodes of the tree
lalr            text to tokens, and tokens to a tree, by the tables of a grammar
lark_adapter    those tables, made by Lark
table_store     where the tables are kept
parser/         text to tree, with recovery after syntax errors
formatter/      the canonical layout of a text, its comments kept
unparse         the text of a tree that a program made
edits           edits of a text: a field of a call, an import
visitor         walks over a tree, and rewriting it
protobuf_text/  protobuf's text format (prototxt): its tree, its parser, telling it from a spec
"""
