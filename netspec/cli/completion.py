"""netspec completion: a script with which a shell completes commands, options and names."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from netspec.cli.common import add_output, put
from netspec.diagnostics import spec_error
from netspec.diagnostics.codes import CODES
from netspec.driver import bundled, bundled_modules

SHELLS = ("bash", "zsh", "fish")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Print a script that completes commands, options and names. For example, in "
        '~/.bashrc: eval "$(netspec completion bash)"; in ~/.zshrc, behind compinit: '
        'eval "$(netspec completion zsh)"; for fish: netspec completion fish '
        "> ~/.config/fish/completions/netspec.fish"
    )
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash, zsh or fish")
    add_output(parser, redirect=True)


def execute(args: argparse.Namespace) -> int:
    try:
        import shtab
    except ImportError:
        message = "completion needs shtab, which is not installed"
        raise spec_error("missing-package", message, help=("pip install shtab",)) from None
    from netspec.cli.main import whole_parser

    parser = whole_parser()
    completers: dict[str, Any] = dict.fromkeys(
        ("FILE", "IMAGE", "DATA", "OUT", "PROTOTXT", "FILE.svg", "RUN"), shtab.FILE
    )
    completers["FOLDER"] = shtab.DIRECTORY
    functions = []
    for metavar, words in _words().items():
        name = f"_netspec_{metavar}"
        completers[metavar] = {"bash": name, "zsh": name, "fish": f"({name})"}
        functions.append(_function(args.shell, name, " ".join(words), metavar in _FILES))
    _tell(parser, completers)
    text = shtab.complete(parser, shell=args.shell, preamble="\n".join(functions))
    put(text)
    return 0


def _words() -> dict[str, list[str]]:
    """The words that an argument may be, by its metavar."""
    from netspec.ops import op_names

    nets = sorted(bundled())
    names = sorted([*nets, *bundled_modules()])
    return {
        "SPEC": nets,
        "A": nets,
        "B": nets,
        "NAME": names,
        "OP": [*op_names()],
        "CODE": [*CODES],
    }


_FILES = ("SPEC", "A", "B")
"""What may be a file as well."""


def _function(shell: str, name: str, words: str, files: bool) -> str:
    """A function of a shell that completes some words, or files as well."""
    if shell == "bash":
        return f'{name}() {{ compgen -W "{words}" -- "$1"{"; compgen -f -- $1" * files}; }}'
    if shell == "zsh":
        return f"{name}() {{ compadd {words}{'; _files' * files}; }}"
    path = "; __fish_complete_path (commandline -ct)" * files
    return f"function {name}; printf '%s\\n' {words}{path}; end"


def _tell(parser: argparse.ArgumentParser, completers: Mapping[str, Any]) -> None:
    """Tell shtab for each argument of a parser and its commands what completes it."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                _tell(sub, completers)
        elif isinstance(action.metavar, str) and action.metavar in completers:
            # As an option's, NAME is that of a backend or of a stage.
            if action.metavar != "NAME" or not action.option_strings:
                action.complete = completers[action.metavar]  # type: ignore[attr-defined]
