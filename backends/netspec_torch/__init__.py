"""The PyTorch backend: a file with a class for each module of the spec, and one for the net.

In:  a checked `netspec.ir.Net`.
Out: the source of a module that needs torch, numpy and safetensors.

backend       the file as a whole; its entry point is `TorchBackend`
units         the classes of modules
classbody     the lines of a constructor and of `forward`
variants      the blocks of a module's uses, merged to one class with the `if`s of the spec
flow          which layers share a line of `forward`, and what its variables are called
sequence      modules that are chains, as `nn.Sequential` with loops
decided       which `if`s a class decides by its own arguments
emission      what an emitter says: an op as a function and as a module
emitters      the emitters of netspec's own ops
writer        numbers in terms of the names of a class's arguments
init_weights  how the weights of a net begin
reserved      names that no layer can have as an attribute
support/      modules that PyTorch lacks, copied into the files that need them
"""
