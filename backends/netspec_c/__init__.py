"""The C backend: one C file that needs libm and nothing else.

In:  a checked `netspec.ir.Net`, and its weights where they are to be embedded.
Out: the text of a C file and of its header; a model that is compiled and called from Python.

backend       the protocol's methods; the entry point is `CBackend`
c_file        what a file is made of, and the memory that it takes
source        the file: kernels, functions of modules, the net
files         what surrounds the net: initialization, embedded weights, the header; templates/
places        where each value lies: the layout and the memory of values
emission      what an emitter is: the calls that compute a layer
emitters      the emitters of netspec's own ops
convolutions  which kernel computes a convolution, and the memory that it takes
c_language    names, numbers and comments in C; what functions of modules need to know of it
pieces        the kernels that a file needs
kernels/      the pieces of C that files are made of
compiler      the system's C compiler, and the cache of what it made
runtime       models that are called through ctypes

Values are 16 channels side by side, `[channels / 16][height][width][16]` (`Blocks` in C); inputs
of the net that a convolution reads as they are, and its outputs, are `[channels][height][width]`.
"""
