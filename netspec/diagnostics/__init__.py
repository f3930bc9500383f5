"""What is wrong with an input, as plain data, and how it is shown.

In:  a `Source` (the text of a file) and `Span`s of it, from every part that reads input.
Out: `Diagnostic`s with a code, a message, a place and help; text of them, or JSON, GitHub
     annotations and SARIF.

source      texts, lines and places in them
diagnostic  one thing that is wrong, and its place
errors      collections of diagnostics, and the one exception that carries them
codes       every code with its severity and a line of explanation
render      diagnostics as text, JSON, GitHub annotations and SARIF
suggest     "did you mean"
fixes       help that edits of the text carry out
"""

from netspec.diagnostics.diagnostic import (
    Diagnostic,
    Frame,
    Label,
    also_in_lines,
)
from netspec.diagnostics.errors import Diagnostics, SpecError, spec_error

__all__ = [
    "Diagnostic",
    "Diagnostics",
    "Frame",
    "Label",
    "SpecError",
    "also_in_lines",
    "spec_error",
]
