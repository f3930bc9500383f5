"""netspec specs: what is bundled, nets with their parameters and multiplications."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from netspec.cli.common import add_format, add_output, print_json, put
from netspec.diagnostics import Diagnostics, spec_error
from netspec.driver import bundled, bundled_modules, help_for_unknown_spec, place
from netspec.report.number_format import count, millions
from netspec.semantic.imports import read_source
from netspec.syntax.ast import Definition
from netspec.syntax.parser import parse
from netspec.syntax.unparse import signature


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="print the text of a net or module (default: list)"
    )
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument(
        "--modules", action="store_true", help="list the modules, for `import`, with parameters"
    )
    kinds.add_argument(
        "--engines", action="store_true", help="which net runs on which engine, as it was measured"
    )
    add_format(parser, "text", "json")
    add_output(parser, redirect=True)


def execute(args: argparse.Namespace) -> int:
    modules = bundled_modules()
    if args.engines:
        return _engines(args.name, args.format)
    if args.name is not None:
        return _print(args.name, modules, args.format)
    if args.modules:
        found = [(name, path, _definition(path, "module", name)) for name, path in modules.items()]
        if args.format == "json":
            print_json([_row(*entry) for entry in found])
            return 0
        # Their first lines go on behind a colon, over as many lines as they need.
        rows = [(signature(i), _headline(i).partition(": ")[0]) for _, _, i in found if i]
    else:
        from netspec.reference.bundled_nets import bundled_figures

        nets = bundled()
        if args.format == "json":
            print_json(
                [{"name": n, "file": str(nets[n]), **row} for n, row in bundled_figures().items()]
            )
            return 0
        rows = []
        for name, row in bundled_figures().items():
            sizes = f"{count(row['params']):>11} params  {millions(row['macs']):>11} MACs"
            rows.append((name, f"{sizes}  {row['doc']}"))
    width = max((len(name) for name, _ in rows), default=0)
    for name, doc in rows:
        print(f"{name:<{width}}  {doc}".rstrip())
    return 0


def _engines(name: str | None, form: str) -> int:
    """Print which nets run where: all, or one. Raises SpecError."""
    from netspec.reference import engines

    data = engines.measured()
    names = [*bundled()] if name is None else [name]
    if name is not None and name not in bundled():
        message = f"no bundled net is called {name}"
        raise spec_error("bad-option", message, help=help_for_unknown_spec(name, bundled()))
    if form == "json":
        found = {n: data["nets"][n] for n in names if n in data["nets"]}
        print_json({**data, "nets": found})
        return 0
    rows = engines.rows(data, names)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    print(f"\nmeasured on {data['measured']}, with random weights, beside NumPy:")
    for line in engines.versions(data):
        print(f"  {line}")
    return 0


def _print(name: str, modules: Mapping[str, Path], form: str) -> int:
    """Print a text, or with JSON its name, documentation, file and text. Raises SpecError."""
    net = place(name) if name.isidentifier() else None
    path = net.path if net is not None and net.is_bundled else modules.get(name)
    if path is None:
        message = f"no bundled net or module is called {name}"
        known = [*bundled(), *modules]
        raise spec_error("bad-option", message, help=help_for_unknown_spec(name, known))
    diagnostics = Diagnostics()
    source = read_source(path, diagnostics)
    diagnostics.raise_if_failed()
    assert source is not None, "no text and no error"
    if form == "json":
        if net is not None and net.is_bundled and net.net is not None:
            from netspec.reference.bundled_nets import bundled_figures

            row = {"name": net.net, "file": str(path), **bundled_figures()[net.net]}
        else:
            kind = "net" if net is not None and net.is_bundled else "module"
            row = _row(name, path, _definition(path, kind, name))
        print_json({**row, "text": source.text})
    else:
        put(source.text)
    return 0


def _definition(path: Path, kind: str, name: str) -> Definition | None:
    """The net or module of this name in a file, else the first one."""
    diagnostics = Diagnostics()
    source = read_source(path, diagnostics)
    file = parse(source, diagnostics) if source else None
    found = [i for i in file.items if isinstance(i, Definition)] if file else []
    found = [i for i in found if i.kind == kind]
    return next((i for i in found if i.name.text == name), found[0] if found else None)


def _row(name: str, path: Path, item: Definition | None) -> dict[str, object]:
    return {"name": name, "doc": _headline(item), "file": str(path)}


def _headline(item: Definition | None) -> str:
    return item.doc.split("\n")[0] if item else ""
