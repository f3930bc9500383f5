"""What a net costs: bytes of its parameters and of its activations."""

from __future__ import annotations

from netspec.ir import Net
from netspec.ir.liveness import peak_activations

FORMATS = {"float32": 32, "float16": 16, "int8": 8}
"""Number formats and their bits."""

RULE = "MACs: multiplications of convolutions and linear layers, batch 1; biases cost none"
"""How MACs are counted, as tables say it."""

UNIT = "MB: 10^6 bytes"
"""What tables print sizes in."""


def size(net: Net, bits: int) -> int:
    """Bytes of all learnable parameters at so many bits each; a last, partial byte is whole."""
    return int(-(-net.params * bits // 8))


def sizes(net: Net) -> dict[str, int]:
    """Bytes of all learnable parameters in each format."""
    return {name: size(net, bits) for name, bits in FORMATS.items()}


def activation_bytes(net: Net) -> int:
    """Most bytes of values that are alive at once, as float32 and for batch 1."""
    return int(4 * peak_activations(net.body))
