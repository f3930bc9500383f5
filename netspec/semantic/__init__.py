"""What a syntax tree means: from names and expressions to a checked net.

In:  a `netspec.syntax.ast.File` and values for the net's parameters.
Out: a `netspec.ir.Net`, or diagnostics.

imports                         files and what they import: the program
resolve, unknown_names,         names of ops, modules and fields, looked up before anything runs;
foreign_names                   what was meant by one that is unknown
scope                           what names stand for; poison, for what failed
constants, evaluator,           numbers, strings and lists; expressions to these;
operations                      operators and functions
settings                        values for a net's parameters, such as those of `--set`
limits                          bounds on what one spec may cost
fields, input_block,            reading fields; those of an input and of a `train` block
train_block, detect_block
shape_patterns, shape_errors    shapes with `?`; why shapes do not fit
elaborate/                      runs statements and builds the blocks of the net
contracts/                      `expect` and `prefer`
"""
