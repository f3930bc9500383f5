"""netspec from Python: load a spec, compile it, build a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netspec.diagnostics import Diagnostics, SpecError
from netspec.driver import check, find
from netspec.ir import Net


def load(spec: str | Path, /, **parameters: Any) -> Net:
    """A checked net, from a path, `-` for standard input, or the name of a bundled spec.

    Keyword arguments set the net's parameters. Raises SpecError with all that is wrong.
    """
    diagnostics = Diagnostics()
    found = find(str(spec), diagnostics)
    net = check(*found, parameters, diagnostics) if found else None
    diagnostics.raise_if_failed()
    assert net is not None, "no net and no error"
    return net


def compile(net: Net, backend: str = "torch") -> str:
    """The source of a Python module with the net's model. Raises SpecError."""
    from netspec.backend import emit, get

    return emit(net, get(backend))


def format_text(text: str) -> str:
    """The text of a spec in canonical layout, its comments kept. Raises SpecError."""
    from netspec.formatting import format_text as format_

    return format_(text)


def build(
    net: Net, backend: str = "numpy", weights: str | Path | Mapping[str, Any] | None = None
) -> Any:
    """The net's model, ready to call on float32 inputs of shape (N, C, H, W).

    `weights` are a `.npz` or `.safetensors` file, or arrays by name; without, the model is freshly
    initialized. Raises SpecError where the weights are not those of the net.
    """
    from netspec.backend import get, load_model

    chosen = get(backend)
    model = load_model(net, chosen)
    if weights is not None:
        from netspec.weights import check as check_weights
        from netspec.weights import read

        source = "the given weights"
        arrays = weights
        if not isinstance(arrays, Mapping):
            source = str(arrays)
            arrays = read(Path(arrays))
        chosen.set_weights(model, check_weights(arrays, net.tensors, source, net.name))
    return model


__all__ = ["SpecError", "build", "compile", "format_text", "load"]
