"""What backends plan that write a net as calls of kernels: fused layers, memory, functions.

In:  a `Net`, after all passes.
Out: a `FusedNet`, its layers merged where they are computed together; an `Arena`, where each value
     lies in one block of memory; a `Region` for each use of a module, and what of the statements of
     several uses can be one function.

fusion            merges layers that are computed together
memory_slots      which values share memory; NumPy models have a copy of it
memory_plan       the memory of a net's values
regions           the parts of a fused net that uses of modules come to
module_functions  one function for several uses, with parameters where they differ
"""
