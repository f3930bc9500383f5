"""The NumPy backend: a file that needs NumPy and nothing else.

In:  a checked `netspec.ir.Net`.
Out: the source of a module with one model class, callable with batches of NumPy arrays.

backend        the file as a whole; its entry point is `NumpyBackend`
cost_model     how convolutions are computed, and the memory that they need; winograd_choice
lowering       ops that have a step of their own in the plan
python_language
               what functions of modules are written in; loops: repeated steps as loops
size_source    numbers that follow heights and widths
emission       what an emitter is: an op as an expression of its inputs
emitters       the emitters of netspec's own ops
kernel_source  the source of the kernels that a file needs
kernels/       the functions that emitted files compute with

netspec/planning has what is not particular to NumPy: layers that are computed together, the memory
of values, modules as functions. README.md says how a net becomes a plan, and what each optimization
gave.
"""
