"""Small helpers that know nothing of networks.

atomic_write  files that are written whole or not at all
inputs        files that are read; what a command may not write over
interrupt     what Ctrl-C does
resources     where the files are that come with netspec
keras_names   names that Keras gives what it writes
recursion     Python's settings for a walk over a large or deep tree
progress      a progress bar
"""
