"""A file of another tool as a spec with weights, compared with what the tool itself computes.

In:  a file of Caffe, Darknet, ONNX, PyTorch or Keras, as `netspec.driver` finds it, or the name of
     a module of PyTorch in Python.
Out: the text of a spec, its weights in a file, how far the results of both are apart.

convert           what `netspec.convert` and `netspec.from_torch` do
named_modules     modules of PyTorch, imported by name
originals         models run by the tools that they are for
exported_program  a `.pt2` file run by PyTorch, call by call
comparison        a spec and its original on the same random inputs
files             spec and weights, written both or not at all
"""
