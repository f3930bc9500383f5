"""Which layers patterns are of, and which a training leaves as they are."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from netspec.diagnostics import spec_error
from netspec.diagnostics.suggest import did_you_mean
from netspec.ir import Net
from netspec.ops import Learned


def frozen_layers(net: Net, patterns: Sequence[str]) -> set[str]:
    """The paths of layers that stay as they are: by the spec, or by patterns.

    Raises SpecError (bad-option) for a pattern that no layer with weights matches.
    """
    frozen = {f.path for f in net.layers if isinstance(f.op, Learned) and f.op.frozen}
    return frozen.union(*(layers_matching(net, pattern) for pattern in patterns))


def layers_matching(net: Net, pattern: str) -> set[str]:
    """The paths of layers with weights that a pattern (`*`, `?`, `[...]`) is of.

    It may be of an instance, and then stands for all that is in it. Raises SpecError (bad-option)
    where there is none.
    """
    learned = [f.path for f in net.layers if f.params]
    found = {
        path
        for path in learned
        if any(
            fnmatchcase(".".join(path.split(".")[:n]), pattern)
            for n in range(1, path.count(".") + 2)
        )
    }
    if not found:
        message = f"no layer with weights matches {pattern}"
        names = [*learned, *(node.name for node in net.body.nodes)]
        raise spec_error("bad-option", message, help=did_you_mean(pattern, names))
    return found
