"""Say what a convolutional network is, check it, and compile it to a model that runs.

net = netspec.load("squeezenet1_0", classes=10)
net.params, net.macs, net.layers
net.table(depth=1)
source = netspec.compile(net, backend="torch")
model = netspec.build(net, backend="numpy", weights="weights.npz")
picture = netspec.graph(net, depth=1)
text = netspec.format_text(text)
"""

TYPE_CHECKING = False  # the whole of typing takes longer than all else that is done here
if TYPE_CHECKING:
    from netspec.api import LoadedNet as Net
    from netspec.api import (
        annotate,
        build,
        check,
        classify,
        compile,
        compress,
        convert,
        diff,
        format_text,
        from_torch,
        graph,
        load,
        load_all,
        match_weights,
        read_weights,
        search,
        sweep,
        train,
        verify,
        write_weights,
    )
    from netspec.diagnostics import Diagnostic, SpecError

__all__ = [
    "LANGUAGE",
    "Diagnostic",
    "Net",
    "SpecError",
    "annotate",
    "build",
    "check",
    "classify",
    "compile",
    "compress",
    "convert",
    "diff",
    "format_text",
    "from_torch",
    "graph",
    "load",
    "load_all",
    "match_weights",
    "read_weights",
    "search",
    "sweep",
    "train",
    "verify",
    "write_weights",
]

__version__ = "0.2.0"
"""The version of the package."""
LANGUAGE = "1.0"
"""The version of the language of specs; docs/versions.md says what may change when."""

_PLACES = {
    "Diagnostic": ("netspec.diagnostics", "Diagnostic"),
    "Net": ("netspec.api", "LoadedNet"),
    "SpecError": ("netspec.diagnostics", "SpecError"),
}
"""Where exports are, with their names there; the others are in netspec.api under their own."""


def __getattr__(name: str) -> object:
    """Load what is exported when it is asked for: the commands need little of it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _PLACES.get(name, ("netspec.api", name))
    globals()[name] = value = getattr(import_module(module), attribute)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
