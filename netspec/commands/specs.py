"""netspec specs: what is bundled."""

from __future__ import annotations

import argparse

from netspec.commands.common import print_json
from netspec.diagnostics import Diagnostics
from netspec.driver import bundled
from netspec.parser import parse
from netspec.program import read_source
from netspec.syntax import Definition


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=("text", "json"), default="text")


def execute(args: argparse.Namespace) -> int:
    rows = []
    for name, path in bundled().items():
        diagnostics = Diagnostics()
        source = read_source(path, diagnostics)
        file = parse(source, diagnostics) if source else None
        nets = [i for i in file.items if isinstance(i, Definition)] if file else []
        doc = next((i.doc for i in nets if i.kind == "net"), "")
        rows.append({"name": name, "doc": doc.split("\n")[0], "file": str(path)})
    if args.format == "json":
        print_json(rows)
        return 0
    width = max((len(r["name"]) for r in rows), default=0)
    for row in rows:
        print(f"{row['name']:<{width}}  {row['doc']}".rstrip())
    return 0
