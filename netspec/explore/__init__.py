"""Many nets from one spec: values of its parameters tried and compared.

In:  a spec and, for some of its parameters, the values to try (`--set width=1,2,4`).
Out: the metrics of each combination; the best of them under a condition.

search_space  which values parameters take, and every combination of them
sweep         metrics of each combination, computed over several processes
objective     conditions and objectives on results (`params <= 1.25M`)
search        the best results under conditions
"""
