"""Training: the recipe of a spec, carried out on the emitted PyTorch model.

The one room of netspec that imports torch; only `netspec train` enters it.
"""

from netspec.training.trainer import TrainingOptions, TrainingResult, train

__all__ = ["TrainingOptions", "TrainingResult", "train"]
