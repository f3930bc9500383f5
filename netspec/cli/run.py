"""netspec run: classify pictures."""

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
from netspec.diagnostics import SpecError
from netspec.diagnostics.render import printable


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
    parser.add_argument("--backend", default="numpy", metavar="NAME", help="numpy or torch")
    parser.add_argument(
        "--top", type=whole_number(1), default=5, metavar="N", help="classes to name"
    )
    add_format(parser, "text", "json", "jsonl", "csv")
    add_output(parser, redirect=True)


def execute(args: argparse.Namespace) -> int:
    import csv
    import json

    from netspec.codegen.backend import get
    from netspec.runtime.classify import Classifier, class_count, pictures, read_labels

    backend = get(args.backend)
    net, weights, trained, *_ = trained_net(args, weight_file(args))
    labels = list(trained.classes) if len(trained.classes) == class_count(net) else None
    if args.labels:
        labels = read_labels(Path(args.labels), class_count(net))
    classify = Classifier(net, backend, weights, labels, args.top)
    status, results = 0, []
    rows = csv.writer(sys.stdout, lineterminator="\n")
    if args.format == "csv":
        rows.writerow(["image", "class", "score", "label"])
    for path in pictures(args.images):
        try:
            found = classify(Path(path))
        except SpecError as error:
            show(error.diagnostics)
            status = 1
            continue
        results.append(
            {
                "image": path,
                "classes": [{"class": g.index, "score": g.score, "label": g.label} for g in found],
            }
        )
        if args.format == "jsonl":
            print(json.dumps(results[-1]), flush=True)
        elif args.format == "csv":
            rows.writerows([path, g.index, g.score, g.label or ""] for g in found)
        elif args.format == "text":
            print(printable(path))
            for g in found:
                print(f"  {g.score:8.4f}  {g.index:4}  {printable(g.label or '')}".rstrip())
    if args.format == "json":
        print_json(results)
    return status
