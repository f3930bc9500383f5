"""What emitters are: they write the calls of kernels that compute a layer.

@emits(LeakyRelu)
def leaky_relu(op: LeakyRelu, s: CStep) -> None:
    s.call("leaky_relu", s.x, s.y, number(op.slope))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from netspec.codegen.emitters import Emitters
from netspec.ops import Op
from netspec.planning.fusion import FusedLayer
from netspec_c.convolutions import Kernel


class CStep(Protocol):
    """The calls that compute a fused layer, while they are written.

    `inputs` and `outputs` are the names of values of the layer's shapes, all of them `Blocks` but
    for the input of a convolution whose kernel is `conv_plain`. An output that nothing reads is "".
    """

    layer: FusedLayer
    inputs: Sequence[str]
    outputs: Sequence[str]

    @property
    def x(self) -> str:
        """The only input, or the first."""

    @property
    def y(self) -> str:
        """The first output."""

    def call(self, kernel: str, *args: str) -> None:
        """Call a kernel, whose first argument is the run."""

    def convolution(self) -> Kernel:
        """The kernel of a convolution."""

    def tensor(self, name: str) -> str:
        """A tensor of the layer in the weights; NULL where it has none of this name."""

    def filters(self) -> tuple[list[str], str, str]:
        """Weights and biases with the batch norm multiplied in, and the statements that do so."""

    def batch_norm(self, layer: Any) -> str:
        """The tensors of a batch norm."""

    def packed(self, floats: int, statements: Sequence[str]) -> str:
        """Weights as a kernel reads them; in the statements that pack them they are `{p}`."""

    def scratch(self, floats: int) -> None:
        """Say what memory a thread needs for the step."""

    def needs(self, piece: str) -> None:
        """Take a piece into the file."""


Emitter = Callable[[Any, CStep], None]
"""Of an op and the step that it is to write."""

EMITTERS: Emitters[Emitter] = Emitters("c")


def emits(*ops: type[Op]) -> Callable[[Emitter], Emitter]:
    """Decorator: register the emitter of some ops."""

    def register(emitter: Emitter) -> Emitter:
        for op in ops:
            EMITTERS[op] = emitter
        return emitter

    return register
