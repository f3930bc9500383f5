"""The passes by name, for `netspec ir --after` and for tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from netspec.ir import Net
from netspec.ir.names import NameMap
from netspec.passes.expose_activations import expose_activations
from netspec.passes.rename import rename

PASSES: Mapping[str, Callable[[Net, NameMap], Net]] = {
    "rename": lambda net, names: rename(net, names).net,
    "expose_activations": lambda net, _: expose_activations(net).net,
}
"""What each pass makes of a net, by the name of its file; `rename` alone takes names."""
