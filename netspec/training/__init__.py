"""Training the emitted PyTorch model as the spec's `train` block says.

In:  a `netspec.ir.Net` with its recipe, a folder of pictures or an .npz file.
Out: weights, a checkpoint that a later run goes on from, lines of metrics, a chart of them.

trainer         the training loop
tasks           what nets are trained for: targets, losses, figures
datasets        samples from folders and .npz files
picture_files   samples that are pictures in files
label_files     files that say which labels pictures have
inspection      what is said of the data
augment         random changes of many samples at once
transforms      preprocessing and random changes of a sample
sampler         which samples an iteration sees
optimizers      which parameters are trained, at which rates, by what optimizer
loader          batches, prepared ahead
schedule        the learning rate of each iteration
average         the mean of the weights over the iterations
tensorboard     measurements as event files
checkpoint      files of a run: state, weights, metrics
distributed     several processes and devices
learning_curve  the chart of loss and accuracy
evaluation      loss and accuracy of given weights
judgement       figures of a classifier, of all and of each class
retraining      pruned and quantized weights, trained further
points          nets of a design space, each of them trained
overrides       fields of the recipe set by options (`--train lr=0.01`)

Imports torch; entered only by `netspec train`, `eval` and `compress`.
"""

from netspec.training.trainer import TrainingOptions, TrainingResult, train

__all__ = ["TrainingOptions", "TrainingResult", "train"]
