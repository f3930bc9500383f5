"""netspec mcp: netspec's functions for programs that write specs."""

from __future__ import annotations

import argparse

from netspec.diagnostics import spec_error


def configure(parser: argparse.ArgumentParser) -> None:
    """It takes no options: it speaks on standard input and output."""


def execute(args: argparse.Namespace) -> int:
    try:
        from netspec.editing.mcp_server import main
    except ImportError as error:
        message = f"the MCP server needs the package mcp, which is not installed ({error})"
        raise spec_error(
            "missing-package", message, help=("pip install 'netspec-compiler[mcp]'",)
        ) from None
    main()
    return 0
