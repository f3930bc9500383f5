"""The command line.

Exit status: 0 fine, 1 the spec or another input is wrong, 2 wrong usage. Results go to standard
output, diagnostics to standard error.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from netspec.diagnostics import SpecError

COMMANDS = {
    "check": "report everything that is wrong with a spec",
    "table": "show parameters, multiplications and sizes",
    "diff": "show what changed between two specs, or two settings of one",
    "sweep": "tabulate every combination of parameter values",
    "search": "find the best combination of parameter values",
    "graph": "draw a net as svg, png, dot or html",
    "watch": "check a spec on every save, and say what changed",
    "annotate": "write shapes, parameters and MACs behind each line of a spec",
    "compile": "write the model as Python source",
    "ir": "print the intermediate representation of a net",
    "convert": "turn a prototxt of Caffe into a spec",
    "run": "classify pictures",
    "train": "train a net on pictures or arrays",
    "verify": "compare the backends on the same weights and inputs",
    "weights": "show and convert weight files",
    "fmt": "bring specs into canonical layout",
    "specs": "list the bundled specs",
    "ops": "show the reference of the language's ops",
    "explain": "say what a diagnostic means, with an example of the error and its fix",
}


class _Version(argparse.Action):
    """Prints the version of the package, and that of the language."""

    def __call__(self, parser: argparse.ArgumentParser, *args: object, **more: object) -> None:
        from netspec import LANGUAGE, __version__

        print(f"netspec {__version__}\nlanguage {LANGUAGE}")
        parser.exit()


class _Formatter(argparse.HelpFormatter):
    """Finds the width of the terminal as argparse does, but without loading shutil for it."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


def _columns() -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or 80  # type: ignore[union-attr]
    except (AttributeError, ValueError, OSError):  # closed, or no terminal
        return 80


def overview() -> argparse.ArgumentParser:
    """The parser of `netspec --help` and `netspec --version`; it has no options of commands."""
    result = argparse.ArgumentParser(
        prog="netspec",
        description="Say what a convolutional network is, check it, compile it to a model.",
        formatter_class=_Formatter,
    )
    result.add_argument("--version", action=_Version, nargs=0, help="show the versions and exit")
    commands = result.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, help_ in COMMANDS.items():
        commands.add_parser(name, help=help_, add_help=False)
    return result


def parser(command: str) -> argparse.ArgumentParser:
    """The parser of one command."""
    help_ = COMMANDS[command]
    result = argparse.ArgumentParser(
        prog=f"netspec {command}",
        description=f"{help_[0].upper()}{help_[1:]}.",
        formatter_class=_Formatter,
    )
    import_module(f"netspec.cli.{command}").configure(result)
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] not in COMMANDS:
        overview().parse_args(argv)
        overview().error("the command comes first")
    # Parsers of the other commands would take as long to make as a check takes.
    args = parser(argv[0]).parse_args(argv[1:])
    command = import_module(f"netspec.cli.{argv[0]}")
    try:
        status: int = command.execute(args)
        sys.stdout.flush()
        return status
    except SpecError as error:
        from netspec.cli.common import show

        show(error.diagnostics, more=True)
        return 1
    except BrokenPipeError:
        # The reader of our output has seen enough (`netspec table x | head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        print(f"netspec: the output can't be written: {error.strerror}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    sys.exit(main())
