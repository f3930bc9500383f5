"""The Keras 3 backend: a class for each module of the spec, a `keras.Model` for each net.

In:  a checked `netspec.ir.Net`.
Out: the source of a module that needs keras, numpy, safetensors, and one of JAX, TensorFlow and
     PyTorch for Keras to run on. Channels come last.

backend    the file as a whole; its entry point is `KerasBackend`
emitters   how each op is written
weights    what the model calls its weights, how it lays them out, how they begin
support/   functions and layers that Keras lacks, copied into the files that need them
"""
