"""netspec convert: a net of another tool as a spec."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from netspec.cli.common import (
    add_format,
    add_output,
    add_settings,
    note,
    overwrite_error,
    print_json,
    put,
    show,
)
from netspec.diagnostics import Diagnostic, SpecError, spec_error

if TYPE_CHECKING:
    from netspec.importers.convert import ConvertedSpec


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "spec",
        metavar="FILE",
        help="a prototxt of Caffe, a solver that names one, a cfg of Darknet, or a model: .onnx, "
        ".pt2 of torch.export, .keras or .h5 of Keras; or a module of PyTorch by its name in "
        "Python, such as torchvision.models:resnet18, which is imported and called: its code runs; "
        "- for a prototxt or cfg on standard input",
    )
    parser.add_argument(
        "--weights",
        metavar="OUT",
        help="write the weights of a model too, by the spec's names: .safetensors, .npz or .pt",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="run model and spec on the same random input, and say how far they are apart; status "
        "1 where that is more than rounding",
    )
    parser.add_argument(
        "--solver", metavar="FILE", help="a solver of Caffe, for the spec's train block"
    )
    add_settings(parser, prototxt=True)
    add_format(parser, "text", "json", help="how to say what was found")
    add_output(parser, "where to write, - for standard output (default: NET.net here)")


def execute(args: argparse.Namespace) -> int:
    from netspec.conversion.named_modules import find_original
    from netspec.driver import convert_text
    from netspec.lazy_dataclasses import replace
    from netspec.syntax.model_source import ModuleSource
    from netspec.util.atomic_write import write_text

    if args.format == "json" and args.output == "-":
        raise spec_error("bad-option", "--format json and -o - both write to standard output")
    text = find_original(args.spec)
    if isinstance(text.source, ModuleSource):
        note(f"note: {args.spec} was imported and called: this ran its code")
    result, diagnostics = convert_text(text, dict(args.settings), args.solver)
    output = None if args.output == "-" else _output_path(args.output, result.name, result.text)
    if args.weights or args.check:
        from netspec.conversion.comparison import compared_with
        from netspec.conversion.files import arrays_of, net_of, write_both

        if not result.stored:
            raise _without_weights(args)
        net = net_of(result)
        arrays = arrays_of(result, net, args.spec)
        if args.check:
            result = replace(result, check=compared_with(text.source, net, arrays))
        if args.weights:
            write_both(output, result.text, Path(args.weights), arrays, net)
    if output is not None and not args.weights:
        write_text(output, result.text)
    if args.format == "json":
        _print_data(args, result, output, diagnostics)
    else:
        _tell(result, diagnostics)
        if output is None:
            put(result.text)
    if result.check is not None and not result.check.agrees:
        from netspec.conversion.comparison import difference_error

        raise difference_error(result.check, args.spec)
    return 0


def _output_path(output: str | None, name: str, text: str) -> Path:
    """The path to write to: `output`, else that of the net's name.

    Raises SpecError where the latter is a file with another content, which may be somebody's work.
    """
    path = Path(output or f"{name}.net")
    if output is None and path.is_file() and path.read_bytes() != text.encode():
        raise overwrite_error(path, "is another spec")
    return path


def _without_weights(args: argparse.Namespace) -> SpecError:
    """The error of options for models, whose files have weights, of a file that has none."""
    option = "--weights" if args.weights else "--check"
    message = f"{option} is for files that hold weights, which {args.spec} does not"
    kind = ".weights" if args.spec.endswith(".cfg") else ".caffemodel"
    out = args.weights or "OUT.safetensors"
    help_ = f"`netspec weights convert FILE{kind} {out} --spec {args.spec}` converts weights"
    return spec_error("bad-option", message, help=(help_,))


def _tell(result: ConvertedSpec, diagnostics: Iterable[Diagnostic]) -> None:
    """Say on standard error what was found in the file, and what was left out."""
    show(diagnostics)
    for line in result.notes:
        note(f"note: {line}")
    counts = ((result.modules, "module"), (result.loops, "loop"), (result.layers, "layer"))
    parts = ", ".join(_counted(n, noun) for n, noun in counts)
    left = ", ".join(_counted(n, noun) for noun, n in result.left_out.items())
    line = f"{result.name}: {parts} of {_counted(result.nodes, 'node')}"
    note(f"{line}; left out: {left}" if left else line)
    found = result.check
    if found is not None and found.agrees:
        note(
            f"{found.original} and {found.backend} agree; largest difference {found.largest:.2g} "
            f"absolute, {found.relative:.2g} relative"
        )


def _counted(n: int, noun: str) -> str:
    """`1 module`, `2 modules`, `3 layers of boxes`."""
    if n == 1:
        return f"1 {noun}"
    first, space, behind = noun.partition(" of ")
    plural = f"{first[:-1]}ies" if first.endswith("y") else f"{first}s"
    return f"{n:,} {plural}{space}{behind}"


def _print_data(
    args: argparse.Namespace,
    result: ConvertedSpec,
    output: Path | None,
    diagnostics: Iterable[Diagnostic],
) -> None:
    """Print as JSON what was found and written."""
    from netspec.diagnostics import render

    found = result.check
    print_json(
        {
            "name": result.name,
            "output": str(output),
            "weights": args.weights,
            "modules": result.modules,
            "loops": result.loops,
            "layers": result.layers,
            "nodes": result.nodes,
            "left_out": dict(result.left_out),
            "notes": list(result.notes),
            "check": None
            if found is None
            else {
                "backend": found.backend,
                "original": found.original,
                "largest": _finite(found.largest),
                "relative": _finite(found.relative),
            },
            "diagnostics": render.as_json(diagnostics),
        }
    )


def _finite(number: float) -> float | None:
    """A number as JSON has it, which has no infinity."""
    return number if isfinite(number) else None
