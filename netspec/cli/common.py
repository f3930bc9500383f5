"""What the commands share: the SPEC and `--set` arguments, and how diagnostics are shown."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netspec.cli.terminal import is_colored, is_quiet
from netspec.diagnostics import Diagnostic, SpecError, render, spec_error
from netspec.driver import check_each, check_spec, place, weights_of
from netspec.ir import Net
from netspec.semantic.settings import SettingText
from netspec.syntax.model_source import is_model

if TYPE_CHECKING:
    from netspec.metrics.compression import Compression
    from netspec.weights.trained import TrainedNet

SPEC_HELP = (
    "a path, - for standard input, or a bundled spec; FILE:NAME is one of several nets or variants"
)


def overwrite_error(path: Path, what: str) -> SpecError:
    """The error of a file that would be replaced though `-o` does not name it, to be raised."""
    message = f"{path} is there already, and {what}"
    help_ = (f"`-o {path}` replaces it all the same",)
    return spec_error("unwritable-file", message, help=help_)


def add_spec(parser: argparse.ArgumentParser, several: bool = False) -> None:
    """Add the arguments SPEC, or SPEC..., and --set."""
    if several:
        parser.add_argument("specs", nargs="+", metavar="SPEC", help=SPEC_HELP)
    else:
        parser.add_argument("spec", metavar="SPEC", help=SPEC_HELP)
    add_settings(parser)


def add_settings(parser: argparse.ArgumentParser, prototxt: bool = False) -> None:
    """Add --set, and how to read a prototxt, which the help of a `prototxt` command explains."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=setting,
        metavar="NAME=VALUE",
        dest="settings",
        help="set a parameter of the net (repeatable)",
    )
    add_reading(parser, "settings", prototxt)


def add_format(
    parser: argparse.ArgumentParser, *forms: str, help: str = "how to write the result"
) -> None:
    """Add --format with the forms that there are, of which the first is the default."""
    parser.add_argument("--format", choices=forms, default=forms[0], help=help)


def add_key(parser: argparse._ActionsContainer) -> None:
    """Add --key, which chooses in a PyTorch file."""
    parser.add_argument(
        "--key",
        metavar="KEY",
        help="the dict of tensors in a .pt file that holds several, such as state_dict_ema",
    )


def add_partial(parser: argparse.ArgumentParser, help: str) -> None:
    """Add --partial LAYER, repeatable."""
    parser.add_argument(
        "--partial", action="append", default=[], metavar="LAYER", help=f"{help} (repeatable)"
    )


def add_output(
    parser: argparse.ArgumentParser,
    help: str = "where to write what is shown (default: standard output)",
    metavar: str = "FILE",
    *,
    redirect: bool = False,
) -> None:
    """Add -o, by any of its names; with `redirect` all that the command prints goes there."""
    parser.add_argument(
        *("-o", "--output", "--out"),
        metavar=metavar,
        dest="output",
        help=help,
    )
    parser.set_defaults(redirect=redirect)


def add_compression(parser: argparse._ActionsContainer) -> None:
    """Add --sparsity and --bits."""
    parser.add_argument(
        "--sparsity",
        action="append",
        default=[],
        metavar="[LAYERS=]SHARE",
        help="share of weights that pruning leaves out, of all layers or those whose paths match "
        "a pattern, as in 'fire*.expand3x3=67%%' (repeatable, comma-separated; the last wins)",
    )
    parser.add_argument(
        "--bits",
        action="append",
        default=[],
        metavar="[LAYERS=]N",
        help="bits of a weight after quantization: 1 to 8 for codebooks, 16 or 32 for floats; as "
        "--sparsity",
    )


def add_recipe(parser: argparse._ActionsContainer) -> None:
    """Add --train FIELD=VALUE, repeatable."""
    parser.add_argument(
        "--train",
        action="append",
        default=[],
        type=_field,
        metavar="FIELD=VALUE",
        dest="fields",
        help="set a field of the train block, such as batch_size=32 (repeatable)",
    )


def _field(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip().isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} is not FIELD=VALUE")
    return name.strip(), value.strip()


def add_seed(parser: argparse._ActionsContainer, of: str) -> None:
    """Add --seed."""
    parser.add_argument("--seed", type=whole_number(0, digits=12), default=0, help=f"of {of}")


def add_freeze(parser: argparse._ActionsContainer) -> None:
    """Add --freeze PATTERN, repeatable."""
    parser.add_argument(
        "--freeze",
        action="append",
        default=[],
        metavar="PATTERN",
        help="leave layers as they are whose paths match, such as 'fire*' (repeatable)",
    )


def compression_plan(
    args: argparse.Namespace, net: Net, bits: int | None = None
) -> Compression | None:
    """What the options say of pruning and bits, `bits` where they say none. Raises SpecError."""
    from netspec.report.options import compression_of, rules

    return compression_of(net, rules(args.sparsity, "--sparsity"), rules(args.bits, "--bits"), bits)


def add_reading(parser: argparse.ArgumentParser, dest: str, shown: bool = False) -> None:
    """Add the options that say how to read a prototxt; help names them where they are `shown`."""
    group = parser.add_argument_group("for a prototxt, --input for all") if shown else parser
    for option, metavar, reads, help_ in _CAFFE:
        group.add_argument(
            option,
            action="append",
            default=[],
            type=reads,
            metavar=metavar,
            dest=dest,
            help=help_ if shown else argparse.SUPPRESS,
        )
    if not shown:
        options = ", ".join(option for option, *_ in _CAFFE)
        parser.epilog = f"For a prototxt also {options}: see `netspec convert --help`."


def _phase(text: str) -> tuple[str, SettingText]:
    if text.upper() not in ("TRAIN", "TEST"):
        raise argparse.ArgumentTypeError("give TRAIN or TEST")
    return "phase", SettingText(text.upper())


def _stage(text: str) -> tuple[str, SettingText]:
    return f"stage:{text}", SettingText("true")


def _until(text: str) -> tuple[str, SettingText]:
    return f"until:{text}", SettingText("true")


def _input(text: str) -> tuple[str, SettingText]:
    name, _, shape = text.rpartition("=")
    if not all(d.isdigit() and len(d) < 10 for d in shape.split("x")):
        raise argparse.ArgumentTypeError("give a shape like 3x227x227, or NAME=SHAPE")
    return f"input:{name}", SettingText(shape)


_CAFFE: tuple[tuple[str, str, Callable[[str], tuple[str, SettingText]], str], ...] = (
    ("--phase", "PHASE", _phase, "TRAIN or TEST (default: TEST)"),
    ("--stage", "NAME", _stage, "a stage that layers may ask for (repeatable)"),
    ("--input", "[NAME=]SHAPE", _input, "the shape of an input, such as 3x227x227 (repeatable)"),
    ("--until", "BLOB", _until, "end at this blob, and leave out what comes behind (repeatable)"),
)


def setting(text: str) -> tuple[str, SettingText]:
    """The parameter and the value of a text NAME=VALUE."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip().isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name.strip(), SettingText(value.strip())


def whole_number(least: int, digits: int = 9) -> Callable[[str], int]:
    """The reader of an option's whole number, `least` or greater, of at most so many digits."""

    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or len(text) > digits or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least}")
        return int(text)

    return read


def given_weights(args: argparse.Namespace) -> str | None:
    """The file of --weights, or SPEC itself where that is a model's file; None without either."""
    given: str | None = args.weights
    return given or (args.spec if is_model(Path(args.spec)) else None)


def weight_file(args: argparse.Namespace) -> Path:
    """The file of --weights, or that which comes with the spec. Raises SpecError (bad-option)."""
    file = Path(args.weights) if args.weights else weights_of(args.spec)
    if file is None:
        help_ = ("name a file: `--weights FILE`",)
        raise spec_error("bad-option", f"{args.spec} comes without weights", help=help_)
    return file


def trained_net(args: argparse.Namespace, file: Path) -> TrainedNet:
    """The net of SPEC with the weights of a file, prepared for as they were trained.

    Its warnings are shown, and a note where pictures are prepared otherwise than the spec says.
    Raises SpecError.
    """
    from netspec.weights.trained import trained_net as found_in

    found = found_in(args.spec, dict(args.settings), file, args.key)
    show(found.diagnostics)
    if found.prepares_otherwise:
        note(f"note: pictures are prepared as {file} says, which is not as the spec does")
    return found


@contextmanager
def packages_for(what: str) -> Iterator[None]:
    """Have a package that the imports of the block lack named as what `what` needs.

    Raises SpecError (missing-package).
    """
    try:
        yield
    except ImportError as error:
        package = error.name or "a package"
        message = f"{what} needs {package}, which is not installed"
        help_ = (f"pip install {package}",)
        raise spec_error("missing-package", message, help=help_) from None


def size(text: str) -> int:
    """Bytes that an option names: `470000`, `0.47MB`, `450KiB`."""
    from netspec.diagnostics import Diagnostics
    from netspec.semantic.constants import python_value
    from netspec.semantic.evaluator import Evaluator
    from netspec.semantic.scope import EvaluationError, Scope
    from netspec.syntax.parser.options import parse_option

    field = parse_option("size", "size", text, Diagnostics())
    try:
        found = python_value(Evaluator(Scope()).constant(field.value)) if field else None
    except EvaluationError:
        found = None
    if isinstance(found, bool | str) or not isinstance(found, int | float) or found < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 0.47MB")
    return int(found)


def load(spec: str, settings: Iterable[tuple[str, SettingText]]) -> Net:
    """A checked net; its warnings are shown. Raises SpecError."""
    checked = check_spec(spec, dict(settings))
    net = checked.sound()
    show(checked.diagnostics)
    return net


def load_each(spec: str, settings: Iterable[tuple[str, SettingText]]) -> tuple[Net, ...]:
    """All nets of a spec, checked; their warnings are shown. Raises SpecError."""
    checked = check_each(spec, dict(settings))
    nets = checked.sound()
    show(checked.diagnostics)
    return nets


def show(diagnostics: Iterable[Diagnostic], more: bool = False) -> None:
    """Print diagnostics to standard error; `more` adds the command that explains their codes.

    With `--quiet` only errors are shown.
    """
    color = is_colored(sys.stderr)
    codes: dict[str, None] = {}
    for diagnostic in diagnostics:
        if diagnostic.severity == "error" or not is_quiet():
            print(render.text(diagnostic, color), file=sys.stderr, end="\n\n")
            codes[diagnostic.code] = None
    if more and codes and not is_quiet():
        print(f"For more: netspec explain {' '.join(codes)}", file=sys.stderr)


def note(text: str) -> None:
    """Print a line to standard error that is good to know, unless `--quiet` is given."""
    if not is_quiet():
        print(text, file=sys.stderr)


def every(
    specs: Iterable[str], settings: Iterable[tuple[str, SettingText]]
) -> tuple[list[Net], int]:
    """The nets of all specs without errors, and the exit status; diagnostics are shown."""
    nets: list[Net] = []
    status = 0
    for spec in specs:
        try:
            nets += load_each(spec, settings)
        except SpecError as error:
            show(error.diagnostics, more=True)
            status = 1
    return nets, status


def print_json(data: Any) -> None:
    import json

    print(json.dumps(data, indent=2))


def put(content: str | bytes) -> None:
    """Write the content of a file to standard output as it is: UTF-8 in any locale."""
    sys.stdout.flush()
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogateescape")
    sys.stdout.buffer.write(content)


def spec_files(specs: Iterable[str]) -> Iterator[str]:
    """For a folder its .net files, those in hidden folders left out; anything else is itself.

    A folder without one is itself as well.
    """
    for spec in specs:
        found = False
        if spec != "-" and os.path.isdir(spec) and not place(spec).is_bundled:
            for folder, inner, files in os.walk(spec):
                inner[:] = sorted(name for name in inner if not name.startswith("."))
                for name in sorted(files):
                    path = Path(folder, name)
                    if path.suffix == ".net" and path.is_file():
                        found = True
                        yield str(path)
        if not found:
            yield spec
