"""Say what a convolutional network is, check it, and compile it to a model that runs."""
