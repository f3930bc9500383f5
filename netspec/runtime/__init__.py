"""Running compiled models: classification, and comparison of backends.

In:  a checked net, a backend, weights, and pictures or random inputs.
Out: classes with their probabilities; the first layer at which two backends differ.

classify  reads and prepares pictures, runs a model, names the best classes
verify    runs backends side by side and compares every layer's value
"""
