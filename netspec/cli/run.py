"""netspec run: classify pictures."""

from __future__ import annotations

import argparse
from pathlib import Path

from netspec.cli.common import (
    add_format,
    add_output,
    add_spec,
    hide_warnings_of_size,
    load,
    print_json,
    show,
    whole_number,
)
from netspec.diagnostics import SpecError, spec_error
from netspec.diagnostics.render import printable
from netspec.driver import bundled_weights


def configure(parser: argparse.ArgumentParser) -> None:
    add_spec(parser)
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE", help="a picture, or a folder of pictures"
    )
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help=".npz, .safetensors or .pt (default: those that come with squeezenet_digits)",
    )
    parser.add_argument("--labels", metavar="FILE", help="names of the classes, one a line")
    parser.add_argument("--backend", default="numpy", metavar="NAME", help="numpy or torch")
    parser.add_argument(
        "--top", type=whole_number(1), default=5, metavar="N", help="classes to name"
    )
    add_format(parser, "text", "json")
    add_output(parser, redirect=True)


def execute(args: argparse.Namespace) -> int:
    from netspec.codegen.backend import get
    from netspec.runtime.classify import Classifier, class_count, pictures, read_labels
    from netspec.weights import weights_for

    file = args.weights or bundled_weights(args.spec)
    if file is None:
        help_ = ("name a file: `--weights FILE`",)
        raise spec_error("bad-option", f"{args.spec} comes without weights", help=help_)
    hide_warnings_of_size()
    backend = get(args.backend)
    net = load(args.spec, args.settings)
    labels = read_labels(Path(args.labels), class_count(net)) if args.labels else None
    weights = weights_for(net, args.spec, str(file)).arrays
    classify = Classifier(net, backend, weights, labels, args.top)
    status, results = 0, []
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
        if args.format == "text":
            print(printable(path))
            for g in found:
                print(f"  {g.score:8.4f}  {g.index:4}  {printable(g.label or '')}".rstrip())
    if args.format == "json":
        print_json(results)
    return status
