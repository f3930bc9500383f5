"""Modules of PyTorch by their names in Python, such as `torchvision.models:resnet18`."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

from netspec.diagnostics import SpecError, spec_error
from netspec.diagnostics.suggest import did_you_mean
from netspec.driver import Text, find, place
from netspec.syntax.model_source import MODEL_SUFFIXES, ModuleSource

_NAME = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)")
_SUFFIXES = ("net", "prototxt", "cfg", *(suffix.removeprefix(".") for suffix in MODEL_SUFFIXES))


def find_original(spec: str) -> Text:
    """What is to be converted: a module by its name in Python, else as `driver.find` finds it.

    `PACKAGE.MODULE:NAME` is imported, which runs its code, from the folder at hand too; where NAME
    is no `torch.nn.Module` it is called without arguments to make one. Raises SpecError.
    """
    match = _NAME.fullmatch(spec)
    if match is None or Path(spec).exists() or place(spec).is_bundled:
        return find(spec)
    module, attribute = match.groups()
    ending = module.rpartition(".")[2]
    if ending == "py":
        name = f"{module.removesuffix('.py')}:{attribute}"
        message = f"{spec} is no name of a module: Python's names have no .py"
        raise spec_error("unreadable-file", message, help=(f"`netspec convert {name}`",))
    if ending in _SUFFIXES or Path(module).exists():
        return find(spec)
    return Text(ModuleSource(spec, _called(spec, module, attribute)), Path())


def _called(spec: str, module: str, attribute: str) -> Any:
    """The torch.nn.Module of a name. Raises SpecError."""
    torch = _imported(spec, "torch")
    found = _imported(spec, module)
    for part in attribute.split("."):
        names = [n for n in dir(found) if not n.startswith("_")]
        found = getattr(found, part, None)
        if found is None:
            message = f"{module} has no {attribute}"
            raise spec_error("unreadable-file", message, help=did_you_mean(part, names))
    if not isinstance(found, torch.nn.Module):
        try:
            found = found()
        except Exception as error:  # whatever the code of the name raises
            message = f"{spec} can't be called without arguments: {_reason(error)}"
            help_ = "name a function without arguments that returns the module"
            raise spec_error("unreadable-file", message, help=(help_,)) from None
    if not isinstance(found, torch.nn.Module):
        message = f"{spec} gives a {type(found).__name__}, and no torch.nn.Module"
        raise spec_error("wrong-type", message)
    return found


def _imported(spec: str, name: str) -> Any:
    """A module of Python; the folder at hand is searched last. Raises SpecError."""
    here = str(Path.cwd())
    sys.path.append(here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise _not_found(spec, name, error.name or name) from None
    except Exception as error:  # whatever the code of the module raises
        message = f"{name} can't be imported: {_reason(error)}"
        raise spec_error("unreadable-file", message) from None
    finally:
        sys.path.remove(here)


def _not_found(spec: str, name: str, missing: str) -> SpecError:
    if missing == "torch":
        help_ = ("pip install 'netspec-compiler[torch]'",)
        return spec_error("missing-package", f"{spec} needs the package torch", help=help_)
    if missing == name.partition(".")[0]:
        message = f"there is no file {spec}, and no module {name} that Python can import"
        how = "install the package that has it, or run this in the folder of its file"
        return spec_error("unreadable-file", message, help=(how,))
    message = f"{name} can't be imported: there is no module {missing}"
    return spec_error("unreadable-file", message)


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
