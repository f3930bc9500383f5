"""A converted spec and its weights: the net of its text, and both as files, all or none."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from netspec.diagnostics import spec_error
from netspec.diagnostics.source import Source
from netspec.importers.convert import ConvertedSpec
from netspec.ir import Net
from netspec.util.atomic_write import replacing
from netspec.weights import check, write
from netspec.weights.trained import spec_metadata


def net_of(converted: ConvertedSpec) -> Net:
    """The net of a converted text."""
    from netspec.driver import check as checked

    return checked(Source(f"{converted.name}.net", converted.text), None, {}).sound()


def arrays_of(converted: ConvertedSpec, net: Net, file: str) -> dict[str, Any]:
    """The weights that a file has for the net of its spec. Raises SpecError."""
    return check(converted.weights, net.tensors, file, net.name)


def write_both(
    spec: Path | None, text: str, weights: Path, arrays: Mapping[str, Any], net: Net
) -> None:
    """Write a spec, unless that has no path, and its weights. Raises SpecError."""
    if spec is not None and spec.resolve() == weights.resolve():
        raise spec_error("bad-option", f"spec and weights can't both be written to {spec}")
    with ExitStack() as stack:
        if spec is not None:
            stack.enter_context(replacing(spec)).write_bytes(text.encode())
        write(weights, arrays, spec_metadata(net))
