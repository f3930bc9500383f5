"""Running compiled models: classes, masks and boxes of pictures, and comparison of backends.

In:  a checked net, a backend, weights, and pictures or random inputs.
Out: classes with their probabilities, masks, boxes; the first layer at which two backends differ.

classify   reads and prepares pictures, runs a model, names the best classes
placement  where the places of a picture are in a net's input and output
masks      the class of every pixel, and pictures of that
boxes      boxes of what a net detects, and pictures of them
answers    what a net says of a picture, whatever its task
verify     runs backends side by side and compares every layer's value
"""
