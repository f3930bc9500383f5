"""Traces: what the text of a module does for any arguments.

In:  a `Template`, with the arguments and input shapes of one use.
Out: a `Trace`: its branches, loops and layers, all numbers in terms of parameters and channels.

nodes        what a trace is made of
numbers      the numbers that shape rules and attributes compute with
expressions  expressions of the language to terms
values       what names stand for; the checks of arguments that rules ask for
layers       layers and instances: names, inputs, attributes, results
line_uses    lines that are used again
branches     branches, and what meets behind them
template_parts  lines, names and expressions of a template
loops        loops, and what an iteration hands on
tracer       all other statements
names        names that another library has for the layers
traces       the traces of a net and its modules; single blocks for what can't be traced
referee      holds the trace of a net against the net
logits       takes the softmax off the end of a net's trace
"""
