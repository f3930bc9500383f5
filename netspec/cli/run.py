"""netspec run: classes, masks or boxes of pictures."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from netspec.cli.common import (
    SPEC_HELP,
    add_format,
    add_key,
    add_output,
    add_settings,
    print_json,
    show,
    trained_net,
    weight_file,
    whole_number,
)
from netspec.diagnostics import SpecError, spec_error
from netspec.diagnostics.render import printable
from netspec.util.atomic_write import made_folder


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "spec",
        metavar="SPEC",
        help=f"{SPEC_HELP}; or the .safetensors file of a training, which has its spec",
    )
    add_settings(parser)
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE", help="a picture, a folder or a pattern of pictures"
    )
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help=".npz, .safetensors or .pt (default: those that come with squeezenet_digits)",
    )
    add_key(parser)
    parser.add_argument(
        "--labels",
        metavar="FILE",
        help="names of the classes, one a line (default: those that the weights were trained on)",
    )
    parser.add_argument(
        "--backend", default="numpy", metavar="NAME", help="numpy, torch, c or onnx"
    )
    parser.add_argument(
        "--top", type=whole_number(1), default=5, metavar="N", help="classes to name"
    )
    parser.add_argument(
        "--draw",
        metavar="FOLDER",
        help="where to write masks and boxes, drawn and as data (default: NET-masks or NET-boxes)",
    )
    parser.add_argument(
        "--threshold",
        type=score,
        metavar="SCORE",
        help="least score of a box (default: `shown` of the detect block)",
    )
    add_format(parser, "text", "json", "jsonl", "csv")
    add_output(parser, redirect=True)


def execute(args: argparse.Namespace) -> int:
    import csv
    import json

    from netspec.codegen.backend import get
    from netspec.runtime.answers import classes_told_apart, reader
    from netspec.runtime.classify import pictures, read_labels

    backend = get(args.backend)
    net, weights, trained, *_ = trained_net(args, weight_file(args))
    count = classes_told_apart(net)
    labels = list(trained.classes) if len(trained.classes) == count else None
    if args.labels:
        labels = read_labels(Path(args.labels), count)
    answer, drawn = reader(net, backend, weights, labels, args.top, args.threshold)
    if args.draw and not drawn:
        message = f"{net.name} names classes of whole pictures: there is nothing to draw"
        raise spec_error("bad-option", message)
    folder = Path(args.draw or f"{net.name}-{drawn}")
    status, results = 0, []
    rows = csv.writer(sys.stdout, lineterminator="\n")
    taken: set[str] = set()
    for path in pictures(args.images):
        try:
            found = answer(Path(path))
        except SpecError as error:
            show(error.diagnostics)
            status = 1
            continue
        files = found.draw(made_folder(folder), _free(Path(path).stem, taken)) if drawn else {}
        results.append({"image": path, **files, **found.data()})
        if args.format == "jsonl":
            print(json.dumps(results[-1]), flush=True)
        elif args.format == "csv":
            if len(results) == 1:
                rows.writerow(["image", *found.columns])
            rows.writerows([path, *row] for row in found.rows())
        elif args.format == "text":
            print(printable(path))
            for line in [*found.lines(), *files.values()]:
                print(f"  {printable(line)}".rstrip())
    if args.format == "json":
        print_json(results)
    return status


def score(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found <= 1:
        raise argparse.ArgumentTypeError("give a number from 0 to 1, such as 0.5")
    return found


def _free(name: str, taken: set[str]) -> str:
    """A name that is not taken, and now is."""
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}-{number}"
    taken.add(found)
    return found
