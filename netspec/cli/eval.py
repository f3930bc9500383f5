"""netspec eval: how good a trained net is on labelled data."""

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
    note,
    packages_for,
    print_json,
    trained_net,
    weight_file,
)
from netspec.diagnostics import spec_error


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Loss, right answers, precision and recall of each class, and which is taken for which, on "
        "labelled pictures or arrays."
    )
    parser.add_argument(
        "spec",
        metavar="SPEC",
        help=f"{SPEC_HELP}; or the .safetensors file of a training, which has its spec",
    )
    add_settings(parser)
    add = parser.add_argument
    add("--weights", metavar="FILE", help="of the net (default: those that come with its spec)")
    add_key(parser)
    add(
        "--data",
        required=True,
        metavar="DATA",
        help="a folder with a folder of pictures for each class, or with train, val or test that "
        "have these; images and masks or boxes; or a .npz file, as for `netspec train`",
    )
    add(
        "--split",
        choices=("train", "val", "valid", "validation", "test"),
        help="the part of the data (default: test, or what is held out, or all there is)",
    )
    add("--backend", default="torch", metavar="NAME", help="torch, numpy, c or onnx")
    add(
        "--on-bad",
        choices=("error", "skip"),
        default="error",
        help="what to do about pictures that can't be read",
    )
    add(
        "--picture",
        metavar="FILE",
        help="draw the confusion matrix, or precision and recall of boxes, as .svg",
    )
    add_format(
        parser,
        "text",
        "markdown",
        "json",
        "csv",
        help="csv is the confusion matrix; of boxes the classes",
    )
    add_output(parser, redirect=True)


def execute(args: argparse.Namespace) -> int:
    from netspec.util.atomic_write import write_text

    with packages_for("reading data"):
        from netspec.training.evaluation import judge
    from netspec.report import formats

    if args.picture and Path(args.picture).suffix != ".svg":
        raise spec_error("bad-option", f"the picture is an .svg file, and {args.picture} is none")
    net, weights, trained, *_ = trained_net(args, weight_file(args))
    skip = args.on_bad == "skip"
    part, found, seconds = judge(
        net, weights, Path(args.data), args.backend, args.split, trained.classes, skip
    )
    speed = found.samples / seconds
    if args.picture:
        write_text(Path(args.picture), found.picture(net.name))
    for remark in found.remarks():
        note(f"warning: {remark}")
    if args.format == "json":
        about = {"net": net.name, "split": part, "backend": args.backend}
        print_json({**about, **found.data(), "images_per_second": round(speed, 1)})
    elif args.format == "csv":
        import csv

        csv.writer(sys.stdout, lineterminator="\n").writerows(found.csv())
    else:
        title = f"{net.name}   {part} of {args.data}"
        table = found.grid(title, {"speed": f"{speed:,.0f} images/s, {args.backend}"})
        write = formats.WRITERS.get(args.format, formats.text)
        print(write(table), end="")
    return 0
