"""What `netspec.convert` and `netspec.from_torch` do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netspec.conversion.named_modules import find_original
from netspec.diagnostics import spec_error
from netspec.driver import Text, convert_text
from netspec.importers.convert import ConvertedSpec
from netspec.lazy_dataclasses import replace
from netspec.semantic.settings import SettingText
from netspec.syntax.model_source import ModuleSource


def converted_file(
    file: str | Path,
    solver: str | Path | None,
    parameters: Mapping[str, Any],
    reading: Mapping[str, str],
    check: bool,
) -> ConvertedSpec:
    """The spec of a file, or of a module by its name, compared with it where that is asked for.

    `reading` are options that say how to read it. Raises SpecError.
    """
    settings = {**parameters, **{n: SettingText(text) for n, text in reading.items()}}
    text = find_original(str(file))
    result, _ = convert_text(text, settings, None if solver is None else str(solver))
    if not check:
        return result
    from netspec.conversion.comparison import compared_with
    from netspec.conversion.files import arrays_of, net_of

    net = net_of(result)
    found = compared_with(text.source, net, arrays_of(result, net, str(file)))
    return replace(result, check=found)


def converted_module(module: Any, input: Any, name: str | None) -> ConvertedSpec:
    """The spec of a module; arguments as those of `netspec.from_torch`. Raises SpecError."""
    try:
        import torch
    except ImportError:
        help_ = ("pip install 'netspec-compiler[torch]'",)
        raise spec_error("missing-package", "from_torch needs torch", help=help_) from None
    from netspec.importers.torch.traced import example_tensors

    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"from_torch takes a torch.nn.Module, not {type(module).__name__}")
    given = [input] if isinstance(input, torch.Tensor) or _is_shape(input) else list(input)
    if not given or not all(isinstance(g, torch.Tensor) or _is_shape(g) for g in given):
        raise TypeError("an input is a tensor, or a shape such as (3, 224, 224)")
    source = ModuleSource(name or type(module).__name__, module, example_tensors(module, given))
    return convert_text(Text(source, Path()), {})[0]


def _is_shape(value: Any) -> bool:
    return isinstance(value, Sequence) and bool(value) and all(isinstance(n, int) for n in value)
