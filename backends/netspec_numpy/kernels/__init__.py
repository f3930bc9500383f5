"""The functions that emitted models compute with; a net's are copied into its file.

Arrays are (N, C, H, W) or (N, F), in steps of a plan (H, W, C) or (F,); `pads` are (top, bottom,
left, right). Results have the type of the input. Copied one by one, so each stands on its own but
for other functions of this package.
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
