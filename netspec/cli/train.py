"""netspec train: train a net on pictures or arrays."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import Any

from netspec.cli.common import (
    add_compression,
    add_freeze,
    add_key,
    add_output,
    add_partial,
    add_recipe,
    add_seed,
    add_spec,
    compression_plan,
    load,
    packages_for,
    whole_number,
)
from netspec.diagnostics import spec_error
from netspec.util.cache import cache_folder
from netspec.util.interrupt import on_interrupt


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Train a net as its train block says. The same command goes on where it was killed. "
        "With several processes: torchrun --nproc-per-node 2 -m netspec train SPEC ..."
    )
    add_spec(parser)
    parser.register("instead", "option", _field_instead)
    add = parser.add_argument
    add(
        "--data",
        required=True,
        metavar="DATA",
        help="a folder with a folder of pictures for each class or with labels.csv (or train and "
        "val with these in them), or a .npz file with x and y (or x_train, y_train, x_test, "
        "y_test); for nets that make planes of classes, folders images and masks in place of those "
        "of classes, for nets that detect, images and boxes as KITTI or COCO has them",
    )
    add_output(parser, "for weights, metrics and checkpoints (default: NET-training)", "FOLDER")
    add("--weights", metavar="FILE", help="start from these instead of fresh weights")
    add_key(parser)
    add_partial(parser, "leave these layers fresh, whatever --weights has for them")
    add_recipe(parser)
    add_seed(parser, "weights, order, changes and dropout")
    add_training(parser)
    add(
        "--accumulate",
        type=whole_number(1),
        default=1,
        metavar="N",
        help="divide each batch into N parts",
    )
    add(
        "--cache",
        nargs="?",
        const="",
        metavar="FOLDER",
        help="keep decoded pictures in this folder (default: netspec/pictures in the user's cache "
        "folder), and take at most half of its free space",
    )
    add("--compile", action="store_true", help="compile the model by torch.compile")
    add_freeze(parser)
    add(
        "--lr-mult",
        action="append",
        default=[],
        type=_factor,
        metavar="PATTERN=FACTOR",
        help="multiply the rate of layers whose paths match, such as 'fire*=0.1' (repeatable; of "
        "several that match, the last counts)",
    )
    add("--tensorboard", metavar="FOLDER", help="write event files for TensorBoard")
    add_compression(parser)


def add_training(parser: argparse._ActionsContainer) -> None:
    """Add the options of `training_options`."""
    add = parser.add_argument
    add(
        "--held-out",
        type=_share,
        default=0.1,
        metavar="SHARE",
        help="share of each class to test on, where the data has no part for it",
    )
    add(
        "--every",
        type=whole_number(1),
        metavar="N",
        help="evaluate after so many iterations (default: an epoch)",
    )
    add(
        "--workers",
        type=whole_number(0),
        metavar="N",
        help="processes that read pictures (default: one a processor, at most 16)",
    )
    add("--device", default="auto", help="cpu, cuda, cuda:1, ...; auto is cuda where there is one")
    add(
        "--precision",
        choices=("auto", "float32", "bfloat16", "float16"),
        default="auto",
        help="of the forward pass; auto is mixed on CUDA, else float32",
    )
    add(
        "--on-bad",
        choices=("error", "skip"),
        default="error",
        help="what to do about pictures that can't be read",
    )
    add("--restart", action="store_true", help="begin anew, although there is a checkpoint")


def training_options(args: argparse.Namespace) -> dict[str, Any]:
    """The fields of TrainingOptions that `add_training` has options for."""
    names = ("held_out", "every", "workers", "device", "precision", "on_bad", "restart")
    return {name: getattr(args, name) for name in names}


def _field_instead(option: str) -> tuple[str, ...]:
    """Of an option that other tools have and that is a field here: how it is set."""
    from netspec.semantic.train_block import FOREIGN_FIELDS, TRAIN_FIELDS, UNLIKE_FIELDS

    name = option.lstrip("-").replace("-", "_")
    unlike = UNLIKE_FIELDS.get(name, ("", ""))[0]
    field = name if name in TRAIN_FIELDS else FOREIGN_FIELDS.get(name, unlike)
    return (f"`--train {field}=VALUE` sets {field}",) if field else ()


def _stopped() -> None:
    print("\nstopped; the same command goes on from the last checkpoint", flush=True)


def _factor(text: str) -> tuple[str, float]:
    pattern, _, value = text.rpartition("=")
    if not pattern or not re.fullmatch(r"[0-9]{0,9}\.?[0-9]{1,9}", value):
        number = re.fullmatch(r"[0-9.e-]+", text)  # behind `--lr`, which argparse completes
        help_ = f"; `--train learning_rate={text}` sets the rate" if number else ""
        message = f"{text!r} is not PATTERN=FACTOR, such as 'fire*=0.1'{help_}"
        raise argparse.ArgumentTypeError(message)
    return pattern, float(value)


def _share(text: str) -> float:
    match = re.fullmatch(r"([0-9]*\.?[0-9]+)(%?)", text)
    share = float(match[1]) / (100 if match[2] else 1) if match else 1.0
    if share >= 1:
        raise argparse.ArgumentTypeError("give a share from 0 to below 1, such as 10%")
    return share


def _cache(given: str | None) -> Path | None:
    """The folder of decoded pictures; without a name that in the user's cache folder."""
    if given == "":
        folder = cache_folder()
        if folder is None:
            raise spec_error("bad-option", "there is no cache folder: give `--cache FOLDER`")
        return Path(folder) / "pictures"
    return None if given is None else Path(given)


def execute(args: argparse.Namespace) -> int:
    net = load(args.spec, args.settings)
    if args.partial and not args.weights:
        message = "--partial says which layers take nothing from --weights, which is not given"
        raise spec_error("bad-weights", message)
    with packages_for("training"):
        from netspec.training import TrainingOptions, train
        from netspec.training.overrides import recipe
        from netspec.training.trainer import summary
        from netspec.weights import weights_for
    training = recipe(net, args.fields)
    is_main = os.environ.get("RANK", "0") == "0"  # of several processes of torchrun one prints
    weights: dict[str, Any] = {}
    if args.weights:
        found = weights_for(net, args.spec, args.weights, partial=args.partial, key=args.key)
        weights = found.arrays
        for name in found.fresh if is_main else ():
            print(f"fresh: {name}")
    options = TrainingOptions(
        data=Path(args.data),
        out=Path(args.output or f"{net.name}-training"),
        seed=args.seed,
        weights=weights,
        accumulate=args.accumulate,
        **training_options(args),
        quiet=args.quiet,
        plan=compression_plan(args, net),
        freeze=tuple(args.freeze),
        cache=_cache(args.cache),
        compile=args.compile,
        lr_mult=tuple(args.lr_mult),
        tensorboard=Path(args.tensorboard) if args.tensorboard else None,
    )
    with on_interrupt(_stopped if is_main else lambda: None):
        result = train(net, training, options)
    if is_main:
        print(summary(result))
    return 0
