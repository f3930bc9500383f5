"""What trainings have left: the files of runs, lists of them, what is handed on.

In:  folders that `netspec train` or a sweep wrote.
Out: their best figures; the spec, code and weights of one, for people without netspec.

folder   the folder of a training and its files
listing  the runs in a folder and below
export   a trained net as files that need no netspec
"""
