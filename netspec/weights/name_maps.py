"""Files of names: what another library calls a net's layers.

# comment
conv1 -> features.0            a layer or instance of the net, by its path
fire2 -> features.3            what it contains goes along
[fire]
squeeze -> reduce              a layer of every use of the module fire
"""

from __future__ import annotations

import glob
import re
from collections.abc import Mapping
from pathlib import Path

from netspec.diagnostics import Diagnostic, Diagnostics, Label, SpecError, spec_error
from netspec.diagnostics.source import Source, Span
from netspec.diagnostics.suggest import did_you_mean, one_of
from netspec.driver import bundled
from netspec.ir import Net
from netspec.passes.rename import CannotRename, NameMap, Renamed, rename
from netspec.semantic.imports import read_source

_PATH = r"[A-Za-z0-9_]{1,200}(?:\.[A-Za-z0-9_]{1,200}){0,20}"
_RULE = re.compile(rf"\s*({_PATH})\s*->\s*({_PATH})\s*\Z")
_SECTION = re.compile(r"\s*\[\s*([A-Za-z_][A-Za-z0-9_]*)\s*\]\s*\Z")
MAX_RULES = 100_000


def find(spec: str, names: str) -> Path:
    """The file of names of a spec: a path, or the word of a file beside the spec.

    For `torchvision` that is `resnet18.torchvision.names` beside `resnet18.net`. Raises SpecError.
    """
    if names.endswith(".names"):
        return Path(names)
    named = bundled()
    place = named[spec] if spec in named else Path(spec)
    folder, stem = place.parent, place.stem
    file = folder / f"{stem}.{names}.names"
    if re.fullmatch(r"\w+", names) and file.is_file():
        return file
    known = sorted(p.name.split(".")[-2] for p in folder.glob(f"{glob.escape(stem)}.*.names"))
    help_ = did_you_mean(names, known)
    if known:
        help_ = help_ or (f"known are {one_of(known)}",)
    else:
        others = sorted(p.name.split(".")[0] for p in folder.glob(f"*.{glob.escape(names)}.names"))
        rest = f"; there is one for {one_of(others)}" if others and spec in named else ""
        help_ = (f"write them into {stem}.{names}.names beside the spec{rest}",)
    message = f"{stem} has no file of the names that {names} uses"
    raise spec_error("bad-names", message, help=help_)


def aliases(spec: str, net: Net) -> dict[str, Mapping[str, str]]:
    """What other libraries call the tensors of a net, as the files of names beside its spec say.

    Theirs by ours, by the library's name. A file that does not fit the net, as it is with these
    parameters, is passed over.
    """
    named = bundled()
    place = named[spec] if spec in named else Path(spec)
    found: dict[str, Mapping[str, str]] = {}
    for file in sorted(place.parent.glob(f"{glob.escape(place.stem)}.*.names")):
        try:
            found[file.name.split(".")[-2]] = renamed(net, file).keys
        except SpecError:
            continue
    return found


def renamed(net: Net, file: Path) -> Renamed:
    """The net under the names of a file. Raises SpecError."""
    diagnostics = Diagnostics()
    source = read_source(file, diagnostics)
    diagnostics.raise_if_failed()
    assert source is not None, "no source and no error"
    source = Source(file.name, source.text)
    names, places = _read(source, diagnostics)
    diagnostics.raise_if_failed()
    try:
        return rename(net, names)
    except CannotRename as error:
        module, name = error.rule
        if module:
            known = _of_module(net, module)
        else:
            known = [f.path for f in net.layers] + [n.name for n in net.body.nodes]
        help_ = did_you_mean(name, known) if name not in known else ()
        diagnostic = Diagnostic("bad-names", error.message, places.get(error.rule), help=help_)
        raise SpecError([diagnostic]) from None


def _of_module(net: Net, module: str) -> list[str]:
    blocks, seen = [net.body], set()
    found = []
    while blocks:
        block = blocks.pop()
        if block in seen:
            continue
        seen.add(block)
        if block.module == module and block.kind == "module":
            found += [n.name for n in block.nodes]
        blocks += [n.block for n in block.nodes if hasattr(n, "block")]
    return found


def _read(source: Source, diagnostics: Diagnostics) -> tuple[NameMap, dict[tuple[str, str], Span]]:
    paths: dict[str, str] = {}
    modules: dict[str, dict[str, str]] = {}
    places: dict[tuple[str, str], Span] = {}
    module, position = "", 0
    for line in source.text.split("\n"):
        start, position = position, position + len(line) + 1
        text = line.partition("#")[0].rstrip()
        if not text.strip():
            continue
        indent = len(text) - len(text.lstrip())
        span = Span(source, start + indent, start + len(text))
        if section := _SECTION.match(text):
            module = section[1]
            continue
        rule = _RULE.match(text)
        if rule is None or len(places) > MAX_RULES:
            message = "a line of names is `ours -> theirs`, with dots in them, or `[module]`"
            diagnostics.add(Diagnostic("bad-names", message, span))
            continue
        old, new = rule[1], rule[2]
        if module and "." in old:
            message = f"{old} is a path, but the rules of a module are for what stands in it itself"
            diagnostics.add(Diagnostic("bad-names", message, span))
        elif (module, old) in places:
            others = (Label(places[module, old], "the first one"),)
            message = f"{old} is given two names"
            diagnostics.add(Diagnostic("bad-names", message, span, others=others))
        else:
            places[module, old] = span
            (modules.setdefault(module, {}) if module else paths)[old] = new
    return NameMap(paths, modules), places
