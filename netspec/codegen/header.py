"""What an emitted file says of itself and its nets: its origin, docstrings, the size of inputs."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

from netspec import __version__
from netspec.codegen.backend import summary
from netspec.codegen.copied import names_in
from netspec.codegen.python_source import (
    WIDTH,
    Infix,
    Source,
    call,
    docstring,
    list_of,
    statement,
    tuple_of,
)
from netspec.ir import Net
from netspec.lazy_dataclasses import replace

EMITTED = re.compile(r"Compiled by netspec (?:[\w.+]+ )?from\s")
"""Emitted files have it at their top; those of netspec 0.1 without a version."""
_MOST_NAMED = 12
"""Most outputs that a docstring names."""
_LONGEST = 60
"""Most characters that are shown of a file's name or a value."""


def compiled_from(nets: Sequence[Net]) -> str:
    """The sentence at the top of the file of these nets of one spec.

    `Compiled by netspec 0.2.0 from squeezenet1_0.net with classes=10: change the spec, ...`
    """
    settings = {name: text for net in nets for name, text in net.settings.items()}
    given = ", ".join(f"{_shown(name)}={_shown(text)}" for name, text in settings.items())
    variant = f":{nets[0].variant}" if nets[0].variant and len(nets) == 1 else ""
    spec = spec_file(nets[0]) + variant + (f" with {given}" if given else "")
    origin = f"Compiled by netspec {__version__} from {spec}"
    # Python takes `coding:` and `coding=` in a comment for the encoding of the file.
    return re.sub(r"coding(?=[:=])", "coding ", f"{origin}: change the spec, not this file.")


def title(nets: Sequence[Net], names: Sequence[str]) -> str:
    """The docstring of the file of these nets, whose classes have these names."""
    if len(nets) > 1:
        return f"The nets of {spec_file(nets[0])}: {', '.join(names)}."
    return nets[0].doc or f"{names[0]}."


_STANDARD = {
    "collections.abc": ("Callable", "Iterator"),
    "fractions": ("Fraction",),
    "functools": ("partial",),
    "math": ("prod",),
    "pathlib": ("Path",),
    "typing": ("Any", "NamedTuple", "Self"),
    "zipfile": ("is_zipfile",),
    "zlib": ("crc32",),
}


def python_file(
    nets: Sequence[Net],
    names: Sequence[str],
    pieces: Sequence[str],
    header: Callable[[Container[str]], Sequence[str]],
) -> str:
    """The file of these pieces of source, with its origin, docstring and imports.

    `names` are the classes of the nets. `header` gives the lines behind the imports of Python's own
    modules, of the names that the pieces use.
    """
    body = "\n\n\n".join(pieces)
    used = names_in(body)
    behind = header(used)
    lines = [
        *(f"# {line}" for line in wrap(compiled_from(nets), WIDTH - 2, break_on_hyphens=False)),
        *docstring(title(nets, names), 0),
        *("", *_standard_imports(used | names_in("\n".join(behind))), ""),
        *behind,
    ]
    return "\n".join(lines) + f"\n\n\n{body}\n"


def _standard_imports(used: Container[str]) -> list[str]:
    """The lines that import what is used of Python's own modules, in the order of ruff."""
    lines = [f"import {module}" for module in ("json", "math") if module in used]
    for module, names in _STANDARD.items():
        found = [name for name in names if name in used]
        lines += [f"from {module} import {', '.join(found)}"] if found else []
    return lines


def class_doc(
    net: Net, several: bool, kinds: Sequence[str] = (), channels_last: bool = False
) -> str:
    """The docstring of a net's class, in a file of several with the comment of the net.

    `kinds` say of each output what it is, in a word; shapes have `channels_last` where values do.
    """
    said = summary(net, kinds, channels_last)
    return f"{net.doc}\n\n{said}" if several and net.doc else said


def input_size(net: Net) -> tuple[int, int]:
    """Height and width of the first input; zeros where it has none."""
    shape = net.body.inputs[0].shape if net.body.inputs else ()
    return (int(shape[1]), int(shape[2])) if len(shape) == 3 else (0, 0)


def logits_or_not(net: Net, predictions: Sequence[Any]) -> list[str]:
    """What each result of an emitted model is, in a word; `predictions` as its trace has them."""
    makers = {v: f.op for f in net.layers for v in f.outputs}
    made = [makers.get(v) for v in net.flat_outputs]
    return [
        "logits" if p is not None else f"of {op.keyword}" if op and op.takes_logits else ""
        for p, op in zip(predictions[: len(made)], made, strict=True)
    ]


def outputs_doc(net: Net) -> str:
    """The docstring of what gives the spec's outputs."""
    names = [
        f"`{name if name and name != v.name.rpartition('.')[2] else v.name}`"
        for name, v in zip(net.body.output_names, net.body.outputs, strict=True)
    ]
    if len(names) > _MOST_NAMED:
        return "The spec's outputs, in order."
    return f"The spec's output{'s' * (len(names) > 1)} {', '.join(names)}."


def shape_checks(
    net: Net,
    zeros: Callable[[Sequence[str]], Source],
    channels_last: bool = False,
    packs: bool = False,
) -> list[str]:
    """Lines that assert the output shapes of `model`; `zeros` makes an input of these sizes.

    With `packs`, the model takes several inputs as one list.
    """
    inputs, outputs = (
        [
            ["1", *(str(int(d)) for d in (*v.shape[1:], v.shape[0]))]
            if channels_last
            else ["1", *(str(int(d)) for d in v.shape)]
            for v in values
        ]
        for values in (net.body.inputs, net.body.outputs)
    )
    given = [zeros(sizes) for sizes in inputs]
    run = call("model", *([list_of(given)] if packs and len(given) > 1 else given))
    shapes = [tuple_of(sizes) for sizes in outputs]
    if len(shapes) == 1:
        return statement("assert ", Infix("==", (replace(run, tail=".shape"), *shapes)), 4)
    return [
        *statement("results = ", run, 4),
        *statement("shapes = ", list_of(shapes), 4),
        "    assert [tuple(x.shape) for x in results] == shapes",
    ]


def spec_file(net: Net) -> str:
    """The name of a net's file, without its folder."""
    return _shown(Path(net.file).name)


def _shown(text: str) -> str:
    """A text on one line, cut where it is long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."
