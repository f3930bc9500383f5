"""Numbers about a checked net.

In:  a `netspec.ir.Net`.
Out: bytes, counts under other tools' conventions, receptive fields, sizes after compression.

size             bytes of parameters and activations; how MACs are counted
counting         parameters and operations as other tools count them
receptive_field  which part of the input each layer's result depends on
compression      sizes after pruning and quantization
"""
