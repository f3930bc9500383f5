"""What nets are trained for: what a target is, the loss, the figures.

In:  a net, the outputs of its PyTorch model, targets of samples.
Out: a loss, sums of what is counted, figures such as the accuracy.

task            what every task says
classification  which class a picture is of
labels          which of several labels a picture has
segmentation    which class each pixel is of
detection       boxes and the class of each
"""

from netspec.ir import Net
from netspec.runtime.placement import makes_planes
from netspec.training.tasks.classification import Classification
from netspec.training.tasks.detection import BoxDetection
from netspec.training.tasks.labels import ManyLabels
from netspec.training.tasks.segmentation import Segmentation
from netspec.training.tasks.task import Judged, Tally, Task

__all__ = ["Classification", "Judged", "ManyLabels", "Tally", "Task", "task_of"]


def task_of(net: Net) -> Task:
    """What a net is trained for."""
    if net.detection is not None:
        return BoxDetection(net)
    if makes_planes(net):
        return Segmentation(net)
    if net.training is not None and net.training.loss == "bce":
        return ManyLabels(net)
    return Classification(net)
