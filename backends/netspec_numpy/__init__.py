"""The NumPy backend: a file that needs NumPy and nothing else.

In:  a checked `netspec.ir.Net`.
Out: the source of a module with one model class, callable with batches of NumPy arrays.

backend        the file as a whole; its entry point is `NumpyBackend`
fusion         layers that are computed together
memory_plan    the memory slot of each value; memory_slots finds them
cost_model     how convolutions are computed, and the memory that they need; winograd_choice
lowering       ops that have a step of their own in the plan
module_functions, loops
               modules as functions, repeated steps as loops
size_source    numbers that follow heights and widths
emission       what an emitter is: an op as an expression of its inputs
emitters       the emitters of netspec's own ops
kernel_source  the source of the kernels that a file needs
kernels/       the functions that emitted files compute with

README.md says how a net becomes a plan, and what each optimization gave.
"""
