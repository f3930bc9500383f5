"""netspec lsp: the language server, for editors."""

from __future__ import annotations

import argparse

from netspec.diagnostics import spec_error


def configure(parser: argparse.ArgumentParser) -> None:
    """It takes no options: it speaks on standard input and output."""


def execute(args: argparse.Namespace) -> int:
    try:
        from netspec.editing.server import main
    except ImportError as error:
        message = f"the language server needs pygls, which is not installed ({error})"
        help_ = ("pip install 'netspec-compiler[editor]'",)
        raise spec_error("missing-package", message, help=help_) from None
    main()
    return 0
