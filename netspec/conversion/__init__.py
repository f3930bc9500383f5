"""A file of another tool as a spec with weights, compared with what the tool itself computes.

In:  a file of Caffe, Darknet, ONNX, PyTorch or Keras, as `netspec.driver` finds it.
Out: the text of a spec, its weights in a file, how far the results of both are apart.

originals   models' files run by the tools that they are for
exported_program   a program of PyTorch, run without unpickling anything
comparison  a spec and its original on the same random inputs
files       spec and weights, written both or not at all
"""
