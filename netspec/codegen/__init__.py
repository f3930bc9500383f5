"""What the backends that write Python share.

In:  a checked `netspec.ir.Net`.
Out: the source of a Python module, or a model made from it.

backend        the protocol of a backend; finding the installed ones; emitting and loading a model
emitters       the emitters of a backend, also those of packages that add ops
identifiers    legal, unique Python names for the names of a spec
python_source  source that is broken over lines as `ruff format` does it; docstrings; templates
A class is written of a trace, which is what the text of a module does for any arguments:

terms          numbers and conditions of a class, and their source
trace_nodes    what a trace is made of
tracer         traces a template: its branches, loops and names
template_expressions, trace_layers   its expressions and its layers
trace_branches      its branches, and what meets behind them
traces         the traces of a net and its modules; blocks for what can't be traced
spelling       what a backend says of each layer
statements     statements as data, written as lines at the end
class_terms, class_constructor, class_readers, class_forward, class_writer   write one class
chains         the classes that are an `nn.Sequential`, or keep one
classes        all classes of a net, and the source of each

header         what an emitted file says at its top
preprocess     how emitted code makes an input of a picture
"""
