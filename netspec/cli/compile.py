"""netspec compile: write the model as Python source, or as a file with its weights."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netspec.cli.common import (
    add_key,
    add_output,
    add_spec,
    given_weights,
    load,
    load_each,
    note,
    overwrite_error,
    put,
    show,
    trained_net,
    whole_number,
)
from netspec.diagnostics import spec_error

if TYPE_CHECKING:
    from netspec.codegen.backend import Backend, MakesFiles
    from netspec.ir import Net

_OF_FILES = ("opset", "functions", "float16", "preprocess", "labels", "embed")
"""What `MakesFiles.files` may take; each backend has the options that it names."""
_MOST_PICTURES = 200
"""Most pictures that are taken to calibrate."""


def configure(parser: argparse.ArgumentParser) -> None:
    add_spec(parser)
    parser.add_argument(
        "--backend", default="torch", metavar="NAME", help="torch, numpy, c or onnx"
    )
    parser.add_argument(
        "--names",
        metavar="NAMES",
        help="name the weights otherwise: as torchvision does, or as FILE.names says",
    )
    parser.add_argument(
        "--probabilities",
        action="store_true",
        help="let forward give the spec's outputs instead of logits (torch)",
    )
    parser.add_argument(
        "--nsz",
        action="store_true",
        help="let the model load compressed weights too (numpy, torch), or only these (c)",
    )
    add_output(
        parser, "where to write, - for standard output (default: NET.py, NET.onnx or NET.c here)"
    )
    group = parser.add_argument_group("for onnx and c")
    group.add_argument(
        "--weights",
        metavar="FILE",
        help="what to put into the file (default: fresh ones), or into NET.bin beside the C file",
    )
    add_key(group)
    group = parser.add_argument_group("for c")
    group.add_argument(
        "--embed", action="store_true", help="put the weights into the C file, as an array"
    )
    group = parser.add_argument_group("for onnx")
    group.add_argument(
        "--opset", type=whole_number(1, 3), metavar="N", help="17 to 22 (default: 17)"
    )
    group.add_argument(
        "--functions", action="store_true", help="write the modules of the spec as functions"
    )
    group.add_argument(
        "--float16",
        action="store_true",
        help="weights and values in 16 bits; in- and outputs in 32",
    )
    group.add_argument(
        "--preprocess",
        action="store_true",
        help="let the graph take pictures of 0 to 255, RGB: it scales and subtracts the mean",
    )
    group.add_argument(
        "--labels", metavar="FILE", help="names of the classes, one a line, to put into the file"
    )
    group.add_argument(
        "--int8",
        action="store_true",
        help="weights and values in 8-bit integers; needs --calibrate",
    )
    group.add_argument(
        "--calibrate", metavar="FOLDER", help="pictures that show how large the values get"
    )


def execute(args: argparse.Namespace) -> int:
    from netspec.codegen.backend import HasNotes, MakesFiles, emit_family, get
    from netspec.util.atomic_write import write_text

    backend = get(args.backend)
    if isinstance(backend, MakesFiles):
        return _file(args, backend)
    _check_options(args, backend, ())
    nets = load_each(args.spec, args.settings)
    name = nets[0].name if len(nets) == 1 else Path(nets[0].file).stem
    keys: dict[str, str] = {}
    if args.names:
        from netspec.weights import renamed_each

        found = renamed_each(nets, args.spec, args.names)
        nets = tuple(f.net for f in found)
        for renamed in found:
            keys |= renamed.keys
    source = emit_family(nets, backend, args.probabilities, args.nsz)
    if isinstance(backend, HasNotes):
        show(backend.notes)
    if args.output == "-":
        put(source)
    else:
        write_text(_target(args.output, name), source)
    _print_names(keys, args.output)
    return 0


def _check_options(args: argparse.Namespace, backend: Backend, taken: Collection[str]) -> None:
    """Raise SpecError for options that a backend does not take."""
    from netspec.codegen.backend import MakesFiles, QuantizesFiles

    others = () if isinstance(backend, MakesFiles) else ("weights", "key")
    quantizes = () if isinstance(backend, QuantizesFiles) else ("int8", "calibrate")
    for option in (*others, *_OF_FILES, *quantizes):
        if getattr(args, option) and option not in taken:
            raise spec_error("bad-option", f"the {backend.name} backend takes no --{option}")


def _print_names(keys: Mapping[str, str], output: str | None) -> None:
    """Print the new names of weights; not where the result goes to standard output."""
    width = max((len(old) for old in keys), default=0)
    for old, new in keys.items():
        print(f"{old:<{width}}  {new}", file=sys.stderr if output == "-" else sys.stdout)


def _target(output: str | None, name: str) -> Path:
    """The path to write to. Raises SpecError where that would replace what a person wrote.

    A net can be called `setup`, and nobody means to replace a spec by its model.
    """
    from netspec.codegen.header import EMITTED

    path = Path(output or f"{name}.py")
    if path.suffix == ".net" and path.exists():
        message = f"{path} is a spec, which the model would replace"
        raise spec_error("unwritable-file", message, help=("write to a .py file",))
    if output is None and path.is_file():
        try:
            ours = EMITTED.search(path.read_text(encoding="utf-8")) is not None
        except (OSError, UnicodeDecodeError):
            ours = False
        if not ours:
            raise overwrite_error(path, "netspec did not write it")
    return path


# --- files with weights --------------------------------------------------------------------------


def _file(args: argparse.Namespace, backend: MakesFiles) -> int:
    """Write a net and its weights as one file, or as several."""
    from netspec.codegen.backend import QuantizesFiles, model_files
    from netspec.util.atomic_write import unwritable, write_files

    suffix, signature = backend.suffix, backend.signature
    _check_options(args, backend, backend.options)
    if args.nsz and "nsz" not in backend.options:
        raise spec_error("bad-option", f"the {backend.name} backend takes no --nsz")
    if args.embed and not args.weights:
        raise spec_error("bad-option", "--embed needs --weights, which it embeds")
    if args.int8 != bool(args.calibrate):
        message = "--int8 needs --calibrate, a folder of pictures, and nothing else does"
        raise spec_error("bad-option", message)
    if args.int8 and args.float16:
        raise spec_error("bad-option", "--int8 and --float16 don't go together")
    net, weights, labels = _with_weights(args, backend.weights_may_lack)
    path = Path(args.output or f"{net.name}{suffix}")
    if path.suffix == ".net" and path.exists():
        message = f"{path} is a spec, which the model would replace"
        raise spec_error("unwritable-file", message, help=(f"write to a {suffix} file",))
    if args.output is None and path.is_file() and signature not in path.read_bytes()[:64]:
        raise overwrite_error(path, "netspec did not write it")
    pictures = _pictures(args, net) if args.int8 else []
    keys: Mapping[str, str] = {}
    if args.names:
        from netspec.weights import renamed_each

        (renamed,) = renamed_each([net], args.spec, args.names)
        net, keys = renamed.net, renamed.keys
        weights = {keys.get(name, name): array for name, array in weights.items()}
    options: dict[str, Any] = {"labels": labels} if labels else {}
    names = [name for name in _OF_FILES if name != "labels" and getattr(args, name)]
    options |= {name: getattr(args, name) for name in names}
    if args.nsz:
        options["nsz"] = _compressed(args, net, weights)
    if not path.name:
        raise unwritable(path, "it is no regular file")
    files = dict(model_files(net, backend, weights, path.name, **options))
    if len(files) > 1:
        _check_beside(args, path, [*files][1:])
    if args.int8:
        if not isinstance(backend, QuantizesFiles):
            raise spec_error("bad-option", f"the {backend.name} backend takes no --int8")
        content, found = backend.quantized(b"".join(files[path.name]), pictures)
        files = {path.name: [content]}
        _report(path, found, len(pictures), args.output)
    if args.output == "-":
        put(b"".join(files[path.name]))
    else:
        write_files({path.with_name(name): pieces for name, pieces in files.items()})
    _print_names(keys, args.output)
    return 0


def _compressed(args: argparse.Namespace, net: Net, weights: Mapping[str, Any]) -> bytes:
    """The weights as a `.nsz` file: the one that is given, if it has the net's tensors in order."""
    from netspec.weights.nsz_file import as_coded, nsz_bytes, read_nsz_tensors

    if not weights:
        return b""
    file = Path(args.weights)
    if file.suffix == ".nsz" and [*read_nsz_tensors(file)[1]] == [*net.tensors]:
        return file.read_bytes()
    return nsz_bytes(as_coded({name: weights[name] for name in net.tensors}), net.name)


def _check_beside(args: argparse.Namespace, path: Path, beside: Sequence[str]) -> None:
    """Raise SpecError where no files can lie beside the one that is asked for."""
    if args.output == "-":
        message = "its weights are a file beside it, so it can't go to standard output"
        raise spec_error("bad-option", message, help=("name a file with -o",))
    if args.int8:
        raise spec_error("bad-option", "--int8 takes nets of up to 2 GiB of weights")
    for other in map(path.with_name, beside):
        if args.output is None and other.exists() and not path.exists():
            raise overwrite_error(other, "netspec did not write it")


def _with_weights(
    args: argparse.Namespace, may_lack: bool
) -> tuple[Net, Mapping[str, Any], Sequence[str]]:
    """The net, its weights, and the labels that `--labels` or the weights name.

    Without `--weights` they are those of a model's file, else fresh, or none where they `may_lack`.
    """
    from netspec.runtime.classify import class_count, read_labels
    from netspec.weights import fresh

    labels: Sequence[str] = ()
    weights: Mapping[str, Any] = {}
    file = given_weights(args)
    if file:
        net, weights, trained, *_ = trained_net(args, Path(file))
        labels = trained.classes
    else:
        net = load(args.spec, args.settings)
        if not may_lack:
            weights = fresh(net.tensors)
            note("note: without --weights, the file has fresh ones")
    if args.labels:
        labels = read_labels(Path(args.labels), class_count(net))
    return net, weights, labels


def _pictures(args: argparse.Namespace, net: Net) -> list[Any]:
    """The pictures of a folder as the graph takes them."""
    import numpy as np

    from netspec.codegen.backend import get, load_model
    from netspec.lazy_dataclasses import replace
    from netspec.runtime.classify import pictures, quiet_pillow, read_picture

    said = net.preprocessing[0] if len(net.preprocessing) == 1 else None
    if args.preprocess and said is not None:
        order: Any = "gray" if said.channels == "gray" else "rgb"
        plain = replace(said, channels=order, scale=1.0, mean=(0.0,), std=(1.0,))
        net = replace(net, preprocessing=(plain,))
    model = load_model(net, get("numpy"))
    if not hasattr(model, "preprocess"):
        raise spec_error("bad-image", f"{net.name} does not take one picture")
    gray = net.body.inputs[0].shape[0] == 1
    paths = sorted(pictures([args.calibrate]))[:_MOST_PICTURES]
    with quiet_pillow():
        return [np.asarray(model.preprocess(read_picture(Path(p), gray))) for p in paths]


def _report(path: Path, found: Mapping[str, float], pictures: int, output: str | None) -> None:
    """Print how a file in 8-bit integers does."""
    size, float_size = (f"{found[n] / 1e6:.2f} MB" for n in ("size", "float_size"))
    time, float_time = (f"{1e3 * found[n]:.2f} ms" for n in ("seconds", "float_seconds"))
    print(
        f"{path}: {size} ({float_size} in float32), {time} a picture ({float_time}); "
        f"the same class is best in {found['same_best']:.1%} of {pictures} pictures, and outputs "
        f"differ by {found['difference']:.2%} of the largest value",
        file=sys.stderr if output == "-" else sys.stdout,
    )
