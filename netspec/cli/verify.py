"""netspec verify: the backends side by side."""

from __future__ import annotations

import argparse

from netspec.cli.common import (
    add_format,
    add_key,
    add_output,
    add_spec,
    given_weights,
    load,
    note,
    print_json,
)
from netspec.diagnostics import SpecError, spec_error


def configure(parser: argparse.ArgumentParser) -> None:
    add_spec(parser)
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="weights to use (default: those of a model's file, else random ones)",
    )
    add_key(parser)
    parser.add_argument(
        "--against",
        metavar="FILE",
        help="say how far the outputs are from those with these weights, such as float32 ones",
    )
    parser.add_argument("--seed", type=int, default=0, help="of random weights and inputs")
    parser.add_argument(
        "--backend",
        action="append",
        dest="backends",
        metavar="NAME",
        help="a backend to compare, the first with each other one (repeatable; "
        "default: torch and numpy, and onnx where onnxruntime is installed)",
    )
    add_format(parser, "text", "json")
    add_output(parser, redirect=True)


def execute(args: argparse.Namespace) -> int:
    from netspec.codegen.backend import get
    from netspec.runtime import verify
    from netspec.weights import fresh, weights_for

    first, *others = [get(name) for name in args.backends or _usual()]
    if not others:
        message = f"--backend {first.name} alone leaves nothing to compare"
        help_ = "name another one, as in `--backend torch --backend numpy`"
        raise spec_error("bad-option", message, help=(help_,))
    net = load(args.spec, args.settings)
    file = given_weights(args)
    if file:
        weights = weights_for(net, args.spec, file, key=args.key).arrays
    else:
        weights = fresh(net.tensors, abs(args.seed), varied=True)
    seed = abs(args.seed)
    if args.against:
        others_weights = weights_for(net, args.spec, args.against, key=args.key).arrays
        found = verify.with_other_weights(net, first, weights, others_weights, seed)
        if args.format == "json":
            print_json([_data(difference) for difference in found])
        for d in found if args.format == "text" else ():
            print(
                f"{net.name}: with {file or 'random weights'} and with {args.against}, "
                f"{d.path} differs by {d.absolute:.2g} at most, {d.relative:.2g} of the largest "
                f"value; {d.same:.0%} of {d.samples} samples have their largest value at one place"
            )
        return 0
    results = []
    for other in others:
        try:
            result, rounding, precise = verify.verified(net, first, other, weights, seed)
        except SpecError as error:
            if args.backends or {d.code for d in error.diagnostics} != {"unsupported-op"}:
                raise
            note(f"note: {error.diagnostics[0].message}, so it is not compared")
            continue
        where = ""
        if rounding is not None:
            how = "in float64" if precise else "in 99% of the values"
            where = f" {how} (in float32, rounding alone parts them at {rounding})"
        results.append(result)
        if args.format == "text":
            worst = result.worst
            print(
                f"{net.name}: {result.first} and {result.second} agree in all "
                f"{len(result.layers)} layers{where}; largest difference {worst.absolute:.2g} "
                f"absolute, {worst.relative:.2g} relative, at {worst.path}"
            )
    if args.format == "json":
        print_json([_data(result) for result in results])
    return 0


def _usual() -> tuple[str, ...]:
    """The backends that are compared where none are named."""
    from importlib.util import find_spec

    third = find_spec("onnx") is not None and find_spec("onnxruntime") is not None
    return ("torch", "numpy", "onnx") if third else ("torch", "numpy")


def _data(result: object) -> object:
    from dataclasses import asdict

    return asdict(result)  # type: ignore[call-overload]
