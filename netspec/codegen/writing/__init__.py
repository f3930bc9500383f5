"""Classes: the Python source of traces.

In:  the trace of a net, and a backend that says how its layers are spelled.
Out: the classes of the net and its modules, inner ones first.

library       what classes of a library look like
spelling      what a backend says of each layer, and what it can ask
emission      what emitters say: how a layer is written
array_ops     ops that all libraries of arrays write alike
makers        what makes the layer of an op, as an argument
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
library_backend  what backends share that write classes of a library
"""
