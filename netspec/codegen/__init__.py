"""What the backends that write Python share.

In:  a checked `netspec.ir.Net`.
Out: the source of a Python module, or a model made from it.

backend        the protocol of a backend; finding the installed ones; emitting and loading a model
checks         checks of arguments, which emitted classes call
copied         what emitted files get copies of, read as text
emitters       the emitters of a backend, also those of packages that add ops
tracing/       what the text of each module does for any arguments
writing/       a class of each of these traces
identifiers    legal, unique Python names for the names of a spec
python_source  source that is broken over lines as `ruff format` does it; docstrings; templates
header         what an emitted file says at its top
preprocess     how emitted code makes an input of a picture
"""
