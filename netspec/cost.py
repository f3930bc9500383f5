"""What a net costs: bytes of its parameters and of its activations."""

from __future__ import annotations

from netspec.ir import Net

FORMATS = {"float32": 32, "float16": 16, "int8": 8}
"""Number formats and their bits."""

RULE = "MACs: multiplications of convolutions and linear layers, for one input; biases cost none"


def sizes(net: Net) -> dict[str, int]:
    """Bytes of all learnable parameters in each format."""
    return {name: net.params * bits // 8 for name, bits in FORMATS.items()}


def activation_bytes(net: Net) -> int:
    """Most bytes of values that are alive at once, as float32 and for one input."""
    return 4 * net.body.activations
