"""netspec compress: prune and quantize weights into a small file."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netspec.cli.common import (
    add_compression,
    add_format,
    add_key,
    add_output,
    add_recipe,
    add_seed,
    add_spec,
    compression_plan,
    load,
    note,
    packages_for,
    print_json,
    size,
    weight_file,
    whole_number,
)
from netspec.diagnostics import spec_error
from netspec.ir import Net

if TYPE_CHECKING:
    from netspec.metrics.compression import Compression
    from netspec.training.evaluation import Evaluation


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Prune weights by magnitude, store them in few values found by k-means, code these by "
        "their frequencies: the .nsz file that `run`, `verify` and `weights` read."
    )
    add_spec(parser)
    parser.add_argument(
        "--weights", metavar="FILE", help="of the net (default: those that come with its spec)"
    )
    add_key(parser)
    add_compression(parser)
    parser.add_argument(
        "--start",
        choices=("density", "linear"),
        default="density",
        help="where k-means begins: as dense as the weights, or evenly spaced, which takes fewer "
        "bytes and differs more",
    )
    parser.add_argument(
        "--target",
        type=size,
        metavar="SIZE",
        help="prune as much as makes a file of this size, such as 0.47MB",
    )
    parser.add_argument(
        "--sensitivity",
        metavar="DATA",
        help="for --target, look at how each layer's pruning changes the loss on this data",
    )
    parser.add_argument("--exact", action="store_true", help="keep biases and codebooks as float32")
    parser.add_argument(
        "--data", metavar="DATA", help="measure accuracy before and after, and train with --epochs"
    )
    parser.add_argument(
        "--epochs",
        type=whole_number(1),
        metavar="N",
        help="train what is left for so long: pruned weights first, then their shared values",
    )
    add_recipe(parser)
    add_seed(parser, "the training")
    add_format(parser, "text", "markdown", "csv", "json", help="how to show what layers take")
    add_output(parser, "where to write (default: NET.nsz)")


def execute(args: argparse.Namespace) -> int:
    from netspec.compression import BITS, compressed, for_size
    from netspec.compression.table import data, grid
    from netspec.report import formats
    from netspec.util.atomic_write import write_bytes
    from netspec.weights import weights_for

    _refuse(args)
    net = load(args.spec, args.settings)
    file = weight_file(args)
    arrays = weights_for(net, args.spec, str(file), key=args.key).arrays
    plan = compression_plan(args, net, BITS)
    assert plan is not None, "there are bits"
    before = after = None
    evaluation = _evaluation(args, net) if args.data else None
    if evaluation is not None:
        before = evaluation(arrays)
    if args.target is not None:
        sensitivity = _sensitivity(args, net, arrays, plan) if args.sensitivity else None
        plan = for_size(net, arrays, plan, args.target, args.start, sensitivity)
    output = Path(args.output or f"{net.name}.nsz")
    if args.epochs:
        arrays = _trained(args, net, arrays, plan, output)
    made = compressed(net, arrays, plan, args.start, args.exact)
    sizes: dict[str, int] = {}
    content = made.content(net.name, _about(file), sizes)
    write_bytes(output, content)
    found = data(net, made, len(content), sizes)
    if evaluation is not None and before is not None:
        from netspec.weights import read

        after = evaluation(read(output))
        found["accuracy"] = {"before": vars(before), "after": vars(after)}
    if args.format == "json":
        print_json(found)
    else:
        write = formats.WRITERS.get(args.format, formats.text)
        print(formats.csvs([grid(found)]) if args.format == "csv" else write(grid(found)), end="")
    return 0


def _refuse(args: argparse.Namespace) -> None:
    """Raise SpecError (bad-option) for options that would do nothing."""
    reason = ""
    if args.sensitivity and args.target is None:
        reason = "--sensitivity says what to prune for a --target, which is not given"
    elif args.epochs and not args.data:
        reason = "--epochs needs the data to train on: --data DATA"
    elif args.fields and not args.epochs:
        reason = "--train is for the training that --epochs asks for"
    elif Path(args.output or "net.nsz").suffix != ".nsz":
        reason = f"compressed weights are a .nsz file, and {args.output} is none"
    if reason:
        raise spec_error("bad-option", reason)


def _evaluation(args: argparse.Namespace, net: Net, data: str = "") -> Evaluation:
    with packages_for("measuring accuracy"):
        from netspec.training.evaluation import Evaluation
    return Evaluation(net, Path(data or args.data))


def _sensitivity(
    args: argparse.Namespace, net: Net, arrays: Mapping[str, Any], plan: Compression
) -> Mapping[str, Any]:
    """How much each layer's pruning costs on held-out data; it is shown."""
    from netspec.compression.targets import SHARES, scan
    from netspec.util.progress import ProgressBar

    evaluation = _evaluation(args, net, args.sensitivity)
    progress = ProgressBar(1, quiet=args.quiet)

    def watch(done: int, total: int) -> None:
        progress.total = total
        progress.update(done, "densities looked at")

    try:
        found = scan(net, arrays, plan, lambda changed: evaluation(changed).loss, watch)
    finally:
        progress.close()
    width = max(map(len, found))
    heads = "".join(f"{float(share):>9.0%}" for share in SHARES)
    note(f"{'loss added when pruned by':<{width}}\n{'':<{width}}{heads}")
    for path, losses in found.items():
        note(f"{path:<{width}}{''.join(f'{loss:>9.4f}' for loss in losses)}")
    return found


def _trained(
    args: argparse.Namespace, net: Net, arrays: Mapping[str, Any], plan: Compression, output: Path
) -> dict[str, Any]:
    """The weights after training, in a folder beside the file where a run goes on."""
    from netspec.training import TrainingOptions, train
    from netspec.training.overrides import recipe
    from netspec.training.trainer import summary
    from netspec.weights import read

    fields = [("epochs", str(args.epochs)), *args.fields]
    training = recipe(net, fields)
    folder = output.with_name(f"{output.stem}-training")
    options = TrainingOptions(
        data=Path(args.data),
        out=folder,
        seed=args.seed,
        weights=arrays,
        quiet=args.quiet,
        plan=plan,
    )
    result = train(net, training, options)
    note(summary(result))
    best = result.folder.best
    return dict(read(best if best.exists() else result.folder.last))


def _about(file: Path) -> dict[str, str] | None:
    """What the file of weights says that a compressed one keeps: classes and settings."""
    import json

    from netspec.weights.trained import KEY, read_trained

    trained = read_trained(file)
    if not trained.classes and not trained.settings:
        return None
    kept = {"net": trained.net, "settings": dict(trained.settings), "classes": trained.classes}
    return {KEY: json.dumps(kept)}
