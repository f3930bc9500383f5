"""What makes the module of an op, as an argument: `nn.ReLU`, `partial(nn.GroupNorm, 8)`."""

from __future__ import annotations

from netspec.codegen.backend import Unsupported
from netspec.codegen.tracing.made_ops import Maker
from netspec.codegen.tracing.nodes import CannotTrace, Extent, TraceValue
from netspec.codegen.tracing.numbers import AnyDim, ChannelCount
from netspec.codegen.writing.emission import WrittenLayer
from netspec.codegen.writing.spelling import numbers_alike
from netspec.ops import Op
from netspec.ops.reshaping import Identity
from netspec.symbolic.expr import Channels
from netspec_torch.emitters import EMITTERS

_CHANNELS = "\0"


def maker_of(op: Op) -> Maker | None:
    """What makes the module of an op; None where that is no module of PyTorch alone."""
    if isinstance(op, Identity):
        return Maker("plain", "nn.Identity")
    x = TraceValue("x", (8, 4, 4))
    x.shape = (ChannelCount(8, Channels("x")), *(AnyDim(4, Extent(x, k)) for k in (1, 2)))
    numbers = numbers_alike(_CHANNELS)
    try:
        layer = WrittenLayer(op, op, (x,), (x,), False)
        emission = EMITTERS[type(op)](layer, numbers)
    except (CannotTrace, Unsupported):
        return None
    module = emission.in_sequence(overwrite=False)
    if module is None or numbers.writer.supports or not module.head.startswith("nn."):
        return None
    args = [a.flat() for a in module.args]
    taken = [a for a in args if _CHANNELS in a]
    if taken not in ([], [_CHANNELS]):
        return None
    more = [a for a in args if a not in taken]
    # What stands in front of the channels must be given before them.
    source = f"partial({', '.join([module.head, *more])})" if more else module.head
    return Maker("channels" if taken else "plain", source)
