"""The functions that emitted models compute with; an emitted file gets copies of those it uses.

In:  arrays (N, C, H, W) or (N, F); in steps of a plan, values (H, W, C) or (F,).
Out: arrays of the type of the input. `pads` are (top, bottom, left, right).

arrays         types, and `Value`: an array with a bias that is still to be added
plan           `Plan`: the calls of a network, divided among threads
products       steps: convolutions and linear layers
steps          steps: poolings, concat, arithmetic, batch norm, and `apply` for all other ops
windows        the window of a convolution or pooling, padding
activation, convolution, normalization, pooling, rearranging, resizing
               functions of arrays, for ops without a step
weights        initial weights, weight files
pictures       scaling pictures
model          `Model`: the base class of emitted models

They are copied one by one, so a kernel may use only NumPy, the standard library and other kernels.
"""

from netspec_numpy.kernels.activation import *  # noqa: F403
from netspec_numpy.kernels.arrays import *  # noqa: F403
from netspec_numpy.kernels.convolution import *  # noqa: F403
from netspec_numpy.kernels.model import *  # noqa: F403
from netspec_numpy.kernels.normalization import *  # noqa: F403
from netspec_numpy.kernels.pictures import *  # noqa: F403
from netspec_numpy.kernels.plan import *  # noqa: F403
from netspec_numpy.kernels.pooling import *  # noqa: F403
from netspec_numpy.kernels.products import *  # noqa: F403
from netspec_numpy.kernels.rearranging import *  # noqa: F403
from netspec_numpy.kernels.resizing import *  # noqa: F403
from netspec_numpy.kernels.steps import *  # noqa: F403
from netspec_numpy.kernels.weights import *  # noqa: F403
from netspec_numpy.kernels.windows import *  # noqa: F403
