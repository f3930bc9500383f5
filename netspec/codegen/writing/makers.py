"""What makes the layer of an op, as an argument: `nn.ReLU`, `partial(nn.GroupNorm, 8)`."""

from __future__ import annotations

from netspec.codegen.backend import Unsupported
from netspec.codegen.tracing.made_ops import Maker, MakerOf
from netspec.codegen.tracing.nodes import CannotTrace, Extent, TraceValue
from netspec.codegen.tracing.numbers import AnyDim, ChannelCount
from netspec.codegen.writing.emission import LibraryEmitters, WrittenLayer
from netspec.codegen.writing.spelling import numbers_alike
from netspec.ops import Op
from netspec.ops.reshaping import Identity
from netspec.symbolic.expr import Channels

_CHANNELS = "\0"


def makers(emitters: LibraryEmitters, identity: str, modules: str = "") -> MakerOf:
    """What says what makes the layer of an op; None of one that is no layer of the library alone.

    `identity` makes one that does nothing; the names of the library's own begin with `modules`.
    """

    def maker_of(op: Op) -> Maker | None:
        if isinstance(op, Identity):
            return Maker("plain", identity)
        x = TraceValue("x", (8, 4, 4))
        x.shape = (ChannelCount(8, Channels("x")), *(AnyDim(4, Extent(x, k)) for k in (1, 2)))
        numbers = numbers_alike(_CHANNELS)
        try:
            layer = WrittenLayer(op, op, (x,), (x,), False)
            emission = emitters[type(op)](layer, numbers)
        except (CannotTrace, Unsupported):
            return None
        module = emission.in_sequence(overwrite=False)
        if module is None or numbers.writer.supports or not module.head.startswith(modules):
            return None
        args = [a.flat() for a in module.args]
        taken = [a for a in args if _CHANNELS in a]
        if taken not in ([], [_CHANNELS]):
            return None
        more = [a for a in args if a not in taken]
        # What stands in front of the channels must be given before them.
        source = f"partial({', '.join([module.head, *more])})" if more else module.head
        return Maker("channels" if taken else "plain", source)

    return maker_of
