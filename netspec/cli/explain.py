"""netspec explain: what a diagnostic means, with an example of the error and its fix."""

from __future__ import annotations

import argparse
import sys

from netspec.cli.common import add_output
from netspec.cli.terminal import is_colored
from netspec.diagnostics.codes import CODES, GROUPS
from netspec.diagnostics.suggest import did_you_mean, one_of


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "codes", nargs="*", metavar="CODE", help="such as shape-mismatch; without: lists all"
    )
    add_output(parser, redirect=True)


def execute(args: argparse.Namespace) -> int:
    if not args.codes:
        _list()
        return 0
    from netspec.reference.explanations import explanation, plain

    bold = ("\x1b[1m", "\x1b[0m") if is_colored(sys.stdout) else ("", "")
    texts, status = [], 0
    for word in dict.fromkeys(args.codes):
        # As it stands in a diagnostic: error[shape-mismatch].
        code = word.removeprefix("error").removeprefix("warning").strip("[]:")
        if code in CODES:
            title, _, rest = plain(explanation(code)).partition("\n")
            texts.append(f"{bold[0]}{title}{bold[1]}\n{rest}")
        else:
            inside = [known for known in CODES if code and code.lower() in known]
            near = did_you_mean(code, CODES) or ("`netspec explain` lists them",)
            near = (f"there are {one_of(inside)}",) if inside else near
            print(f"there is no diagnostic code {code}; {near[0]}", file=sys.stderr)
            status = 2
    print("\n".join(texts), end="")
    return status


def _list() -> None:
    width = max(map(len, CODES))
    for i, (group, codes) in enumerate(GROUPS.items()):
        print("" if i == 0 else "\n", end="")
        print(f"{group}:")
        for code, c in codes.items():
            severity = " (a warning)" if c.severity == "warning" else ""
            print(f"  {code:<{width}}  {c.meaning}{severity}")
