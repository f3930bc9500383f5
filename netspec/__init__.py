"""Say what a convolutional network is, check it, and compile it to a model that runs.

net = netspec.load("squeezenet1_0", classes=10)
net.params, net.macs, net.layers
net.table(depth=1)
source = netspec.compile(net, backend="torch")
model = netspec.build(net, backend="numpy", weights="weights.npz")
text = netspec.format_text(text)
"""

from netspec.api import LoadedNet as Net
from netspec.api import build, compile, format_text, load
from netspec.diagnostics import Diagnostic, SpecError

__all__ = ["LANGUAGE", "Diagnostic", "Net", "SpecError", "build", "compile", "format_text", "load"]

__version__ = "0.2.0"
"""The version of the package."""
LANGUAGE = "1.0"
"""The version of the language of specs; docs/versions.md says what may change when."""
