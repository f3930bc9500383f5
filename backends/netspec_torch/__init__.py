"""The PyTorch backend: a file with a class for each module of the spec, and one for the net.

In:  a checked `netspec.ir.Net`.
Out: the source of a module that needs torch, numpy and safetensors.

backend       the file as a whole; its entry point is `TorchBackend`
emission      what an emitter says: an op as a function and as a module
emitters      the emitters of netspec's own ops
init_weights  how the weights of a net begin
reserved      names that no layer can have as an attribute
support/      modules that PyTorch lacks, copied into the files that need them
"""
