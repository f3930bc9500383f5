"""Training: the protocol of a spec, carried out on the emitted PyTorch model.

The one room of netspec that imports torch; only `netspec train` enters it.
"""

from netspec.training.loop import Options, Result, train

__all__ = ["Options", "Result", "train"]
