"""Many pictures for training: read, cut and scaled in processes of their own, kept on a disk.

In:  files, and for each the box of it that is wanted.
Out: pixels of one size, in memory that is shared.

cutting    a picture of a file, or a part of it, in the size that is wanted
store      pictures kept decoded in a file
readers    processes that cut pictures
worker     what such a process does; needs no torch, so that it starts at once
"""
