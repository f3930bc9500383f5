"""Classes: the Python source of traces.

In:  the trace of a net, and a backend that says how its layers are spelled.
Out: the classes of the net and its modules, inner ones first.

library       what classes of a library look like
spelling      what a backend says of each layer, and what it can ask
emission      what emitters of libraries share
term_source   terms as source
statements    statements as data, written as lines at the end
terms         the names that terms have in the constructor and in `forward`
constructor   the constructor of a class
readers       what reads each value
forward       its `forward` and `predict`
chains        the chains of layers that are an `nn.Sequential`
class_writer  one class
families      variants of one net: the class that they share
classes       all classes of a net, each once
"""
