"""The ONNX backend: a net and its weights as one file, which other engines run.

backend    the backend
model      from the net to a model: layers in order, modules as functions, inputs and outputs
graph      a graph or function in the making: names, nodes, constants, weights
sizes      which heights and widths are free, and what else depends on them
emitters   how each op is written, for every opset that there is
metadata   what a file says of itself: spec, labels, how pictures become inputs
runtime    models that ONNX Runtime runs
quantize   files of 8-bit integers, calibrated on pictures
"""
