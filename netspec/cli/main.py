"""The command line.

Exit status: 0 fine, 1 the spec or another input is wrong, 2 wrong usage, 130 Ctrl-C. Results go to
standard output, diagnostics to standard error.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from netspec.cli import terminal
from netspec.cli.common import show
from netspec.cli.streams import discard_output
from netspec.diagnostics import SpecError
from netspec.diagnostics.suggest import did_you_mean
from netspec.util.inputs import protected_inputs

COMMANDS = {
    "check": "report everything that is wrong with a spec",
    "table": "show parameters, multiplications and sizes",
    "diff": "show what changed between two specs, or two settings of one",
    "sweep": "tabulate every combination of parameter values",
    "search": "find the best combination of parameter values",
    "graph": "draw a net as svg, png, dot or html",
    "watch": "check a spec on every save, and say what changed",
    "lsp": "serve editors: diagnostics, hovers, completion and more as one types",
    "mcp": "serve programs that write specs: netspec's functions as tools",
    "annotate": "write shapes, parameters and MACs behind each line of a spec",
    "compile": "write the model as Python source",
    "ir": "print the intermediate representation of a net",
    "convert": "turn a model of another tool into a spec",
    "run": "classify pictures",
    "train": "train a net on pictures or arrays",
    "runs": "list trainings with their best figures",
    "export": "write a trained net as files that need no netspec",
    "eval": "judge a trained net on labelled data",
    "verify": "compare the backends on the same weights and inputs",
    "weights": "show and convert weight files",
    "compress": "prune and quantize weights into a small file",
    "fmt": "bring specs into canonical layout",
    "specs": "list the bundled specs",
    "ops": "show the reference of the language's ops",
    "explain": "say what a diagnostic means, with an example of the error and its fix",
    "completion": "print a script with which a shell completes commands",
}


class _Version(argparse.Action):
    """Prints the version of the package, and that of the language."""

    def __call__(self, parser: argparse.ArgumentParser, *args: object, **more: object) -> None:
        from netspec import LANGUAGE, __version__

        print(f"netspec {__version__}\nlanguage {LANGUAGE}")
        parser.exit()


class _Formatter(argparse.HelpFormatter):
    """Help that says defaults, as wide as the terminal, which shutil is not loaded for."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)

    def _get_help_string(self, action: argparse.Action) -> str | None:
        nothing = action.default is False or action.default in (None, argparse.SUPPRESS, [])
        if nothing or not action.help or "(default:" in action.help:
            return action.help
        return f"{action.help} (default: %(default)s)"


def _columns() -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or 80  # type: ignore[union-attr]
    except (AttributeError, ValueError, OSError):  # closed, or no terminal
        return 80


class _Parser(argparse.ArgumentParser):
    """A parser that offers what was meant by an option, command or choice that there is not.

    A command may register ("instead", "option"): what it says of an option that it has not.
    """

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        # A subcommand is asked itself, so that it is its own options that are offered.
        found, left = super().parse_known_args(args, namespace)
        if left:
            known = [name for name in self._option_string_actions if name.startswith("--")]
            wrong = [word.partition("=")[0] for word in left if word.startswith("--")]
            instead = self._registries.get("instead", {}).get("option", lambda word: ())
            help_ = [line for word in wrong for line in instead(word) or did_you_mean(word, known)]
            self.error("; ".join([f"unrecognized arguments: {' '.join(left)}", *help_[:1]]))
        return found, left

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            help_ = did_you_mean(str(value), map(str, action.choices or ()))
            error.message = "; ".join([error.message, *help_])
            raise


def _add_common(parser: argparse.ArgumentParser) -> None:
    """Add what every command takes, also ahead of its name."""
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="show no warnings, notes and progress"
    )
    parser.add_argument(
        "--color", choices=terminal.WHEN, default="auto", help="whether to colour what is shown"
    )


def overview() -> argparse.ArgumentParser:
    """The parser of `netspec --help` and `netspec --version`; it has no options of commands."""
    return _of_all(lambda parser, command: None)


def whole_parser() -> argparse.ArgumentParser:
    """The parser of everything, for what completes command lines."""
    return _of_all(_configure)


def _of_all(
    configure: Callable[[argparse.ArgumentParser, str], None],
) -> argparse.ArgumentParser:
    result = _Parser(
        prog="netspec",
        description="Say what a convolutional network is, check it, compile it to a model.",
        epilog="`netspec COMMAND --help` has the options of a command.",
        formatter_class=_Formatter,
    )
    result.add_argument(
        "-V", "--version", action=_Version, nargs=0, help="show the versions and exit"
    )
    _add_common(result)
    commands = result.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, help_ in COMMANDS.items():
        configure(commands.add_parser(name, help=help_, add_help=False), name)
    return result


def parser(command: str) -> argparse.ArgumentParser:
    """The parser of one command."""
    help_ = COMMANDS[command]
    result = _Parser(
        prog=f"netspec {command}",
        description=f"{help_[0].upper()}{help_[1:]}.",
        formatter_class=_Formatter,
    )
    _configure(result, command)
    return result


def _configure(parser: argparse.ArgumentParser, command: str) -> None:
    import_module(f"netspec.cli.{command}").configure(parser)
    _add_common(parser)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    status = 0
    try:
        try:
            status = _run(list(sys.argv[1:] if argv is None else argv))
        finally:  # help and versions end with SystemExit
            sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output has seen enough (`netspec table x | head`).
        discard_output()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EBADF, errno.EIO):
            raise
        print(f"netspec: the output can't be written: {error.strerror}", file=sys.stderr)
        discard_output()
        status = 1
    return status


def _run(argv: list[str]) -> int:
    """Run a command. Raises SystemExit for wrong usage and for help."""
    if not argv:
        overview().print_help()
        return 0
    first = _common_options(argv)
    if len(argv) == first or argv[first] not in COMMANDS:
        overview().parse_args(argv)
        overview().error("the command comes first")
    # Parsers of the other commands would take as long to make as a check takes.
    args = parser(argv[first]).parse_args([*argv[:first], *argv[first + 1 :]])
    terminal.ask(args.color, args.quiet)
    command = import_module(f"netspec.cli.{argv[first]}")
    try:
        with protected_inputs():
            if getattr(args, "redirect", False) and args.output not in (None, "-"):
                return _redirected(command.execute, args)
            status: int = command.execute(args)
            return status
    except SpecError as error:
        show(error.diagnostics, more=True)
        return 1


def _common_options(argv: Sequence[str]) -> int:
    """How many words stand ahead of the command that say what every command takes."""
    count = 0
    while argv[count:]:
        if argv[count] == "--color":
            count += 2
        elif argv[count] in ("-q", "--quiet") or argv[count].startswith("--color="):
            count += 1
        else:
            break
    return count


def _redirected(execute: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    """Run a command, and write what it prints to a file, unless it fails and prints nothing."""
    from io import BytesIO, TextIOWrapper

    from netspec.util.atomic_write import write_bytes

    content, before = BytesIO(), sys.stdout
    sys.stdout = TextIOWrapper(content, encoding="utf-8", errors="backslashreplace", newline="\n")
    try:
        status = execute(args)
        sys.stdout.flush()
        if not status or content.getvalue():
            write_bytes(Path(args.output), content.getvalue())
    finally:
        sys.stdout = before
    return status
