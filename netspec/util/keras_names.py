"""Names that Keras gives what it writes."""

from __future__ import annotations

import re


def lower_case(kind: str) -> str:
    """The name of a class as Keras's files have it: `depthwise_conv2d`."""
    name = re.sub(r"\W+", "", kind)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
