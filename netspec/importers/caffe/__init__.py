"""Caffe's network files: read as specs, without Caffe.

In:  a prototxt (a network or a solver), and the options that say how to read it.
Out: a syntax tree with places in the prototxt, where its tensors lie in a caffemodel, notes on
     what is left out.

read_options       `--phase`, `--input`, `--until` and the like
read_prototxt      from a prototxt to a tree: all steps below, and `importers/structure`
caffe_net          a prototxt as a list of layers, in all forms that layers have
oldest_form        layers of the first form as layers of the second
phases             which layers belong to a phase and stage
schema             the messages and fields that caffe.proto declares, as data
message_fields     fields of a message by their declared types
truncate           the part of a net in front of the blobs that `--until` names
translate          the layers as a graph, one after the other; the one place that handles errors
layers/            a rule for each layer type
layer_translation  what a rule works with
net_translation    the graph so far
blob_values        the data between layers
input_shapes       shapes of inputs that the file does not say
layer_error        how a layer fails
weight_blob        where a tensor lies in a caffemodel
training_facts     how a layer's weights begin and are trained
labels             the data that only losses and measures read
convert            a prototxt as the text of a spec
solver             a solver's file as a `train` block
"""

from __future__ import annotations

from netspec.importers.caffe.read_options import read_options
from netspec.importers.caffe.read_prototxt import ImportedPrototxt, origins, read

__all__ = ["ImportedPrototxt", "origins", "read", "read_options"]
