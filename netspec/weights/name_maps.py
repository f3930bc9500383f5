"""Name maps: files that say what another library calls the layers of a net.

# comment
conv1 -> features.0            a layer or instance of the net, by its path
fire2 -> features.3            what it contains goes along
[fire]
squeeze -> reduce              a layer of every use of the module fire
scale.weight -> gamma          a tensor, which in weight files stands in the block itself
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from netspec.diagnostics import Diagnostic, Diagnostics, Label, SpecError, spec_error
from netspec.diagnostics.source import Source, Span
from netspec.diagnostics.suggest import did_you_mean, one_of
from netspec.driver import place
from netspec.ir import Block, Instance, Layer, Net
from netspec.ir.names import NameMap
from netspec.ops.constants import LearnedValue
from netspec.passes.rename import CannotRename, RenamedNet, rename
from netspec.semantic.imports import read_source

_PATH = r"[A-Za-z0-9_]{1,200}(?:\.[A-Za-z0-9_]{1,200}){0,20}"
_THEIRS = _PATH.replace("_]", "_-]")
_RULE = re.compile(rf"\s*({_PATH})\s*->\s*({_THEIRS})\s*\Z")
_SECTION = re.compile(r"\s*\[\s*([A-Za-z_][A-Za-z0-9_]*)\s*\]\s*\Z")
MAX_RULES = 100_000


class NameMaps:
    """What other libraries call the layers and tensors of a net: the name maps beside its spec.

    `nin.torchvision.names` beside `nin.net` has the names that torchvision uses, and
    `resnet18.torchvision.names` beside `resnet.net` those for `resnet.net:resnet18`, before those
    of `resnet.torchvision.names`, which are for all nets of the file. `spec` is what commands take.
    """

    def __init__(self, net: Net, spec: str) -> None:
        self.net = net
        found = place(spec)
        self.folder, self.stem = found.path.parent, net.name if found.net else found.path.stem
        self.stems = tuple(dict.fromkeys((self.stem, found.path.stem)))
        self.is_bundled = found.is_bundled
        self.unfitting: dict[str, Diagnostic] = {}
        """What `fitting` left out: why, by the name of the file."""

    def renamed(self, names: str) -> RenamedNet:
        """The net and its tensors under the names of a library, or of a file `FILE.names`.

        Raises SpecError (bad-names) where there is no such file, or it does not fit the net.
        """
        return renamed(self.net, self.file(names))

    def keys(self, names: str) -> Mapping[str, str]:
        """The names of a library, or of a file `FILE.names`, for all tensors by ours.

        Raises SpecError (bad-names) as `renamed` does, but for names of tensors.
        """
        return _keys(self.net, *read_names(self.file(names)))

    def fitting(self) -> dict[str, Mapping[str, str]]:
        """The names of all tensors by ours, by the library.

        A name map that does not fit the net, as it is with these parameters, is left out. Raises
        SpecError (bad-names, unreadable-file) for one that can't be read.
        """
        found: dict[str, Mapping[str, str]] = {}
        for file in (f for stem in reversed(self.stems) for f in self._files(stem, "*")):
            names, places = read_names(file)
            try:
                found[file.name.split(".")[-2]] = _keys(self.net, names, places)
            except SpecError as error:
                self.unfitting[file.name] = error.diagnostics[0]
        return found

    def file(self, names: str) -> Path:
        """The path of the name map of a library, or of `FILE.names`. Raises SpecError."""
        if names.endswith(".names"):
            return Path(names)
        for stem in self.stems if re.fullmatch(r"\w+", names) else ():
            file = self.folder / f"{stem}.{names}.names"
            if file.is_file():
                return file
        known = sorted(
            {f.name.split(".")[-2] for stem in self.stems for f in self._files(stem, "*")}
        )
        help_ = did_you_mean(names, known)
        if known:
            help_ = help_ or (f"known are {one_of(known)}",)
        else:
            others = sorted(p.name.split(".")[0] for p in self._files("*", names))
            some = others and self.is_bundled
            rest = f"; there is one for {one_of(others)}" if some else ""
            help_ = (f"write them into {self.stem}.{names}.names beside the spec{rest}",)
        message = f"{self.stem} has no file of the names that {names} uses"
        raise spec_error("bad-names", message, help=help_)

    def _files(self, stem: str, names: str) -> list[Path]:
        """The name maps of a spec and a library, `*` for all of them."""
        parts = (part if part == "*" else glob.escape(part) for part in (stem, names))
        return sorted(self.folder.glob("{}.{}.names".format(*parts)))


def renamed_each(nets: Sequence[Net], spec: str, names: str) -> list[RenamedNet]:
    """The nets of a spec and their tensors under the names of a library, or of `FILE.names`.

    Raises SpecError as `NameMaps.renamed` does.
    """
    several = len(nets) > 1
    specs = [f"{spec}:{net.name}" if several else spec for net in nets]
    return [NameMaps(n, s).renamed(names) for n, s in zip(nets, specs, strict=True)]


def renamed(net: Net, file: Path) -> RenamedNet:
    """The net under the names of a file. Raises SpecError (bad-names, unreadable-file)."""
    found, tensors = _renamed(net, *_with_bare(net, *read_names(file)))
    for old, (new, span) in tensors.items():
        message = f"a model can't have {new}: it names a single tensor, {old}, and not a layer"
        help_ = ("names of single tensors are for weight files alone",)
        raise spec_error("bad-names", message, span, help=help_)
    return found


def _with_bare(
    net: Net, names: NameMap, places: Mapping[tuple[str, str], Span]
) -> tuple[NameMap, dict[tuple[str, str], Span]]:
    """The name map with learned constants in place of their tensor, where that gets a name.

    `scale.weight -> layer_scale` of a module gives its layer the name, and no name to the tensor.
    """
    modules = {module: dict(rules) for module, rules in names.modules.items()}
    bare: set[tuple[str, str]] = set()
    spans = dict(places)
    for module, rules in names.modules.items():
        for old, new in rules.items():
            layer, dot, tensor = old.partition(".")
            if dot and "." not in new and _tensors(net, module, layer) == {(tensor,)}:
                del modules[module][old]
                modules[module][layer] = new
                bare.add((module, layer))
                spans[module, layer] = places[module, old]
    return NameMap(names.paths, modules, bare=frozenset(bare)), spans


def _tensors(net: Net, module: str, layer: str) -> set[tuple[str, ...]]:
    """The names of a constant's tensors in all uses of a module; none where it is another op."""
    return {
        tuple(node.tensors) if isinstance(node, Layer) and isinstance(node.op, LearnedValue) else ()
        for block in _blocks(net, module)
        for node in block.nodes
        if node.name == layer
    }


def read_names(file: Path) -> tuple[NameMap, dict[tuple[str, str], Span]]:
    """The name map of a file, and the place of each rule by its module and old name.

    Raises SpecError (bad-names, unreadable-file).
    """
    diagnostics = Diagnostics()
    source = read_source(file, diagnostics)
    diagnostics.raise_if_failed()
    assert source is not None, "no source and no error"
    found = _read(Source(file.name, source.text), diagnostics)
    diagnostics.raise_if_failed()
    return found


def _keys(net: Net, rules: NameMap, places: Mapping[tuple[str, str], Span]) -> Mapping[str, str]:
    found, tensors = _renamed(net, rules, places)
    return {**found.keys, **{old: new for old, (new, _) in tensors.items()}}


def _renamed(
    net: Net, rules: NameMap, places: Mapping[tuple[str, str], Span]
) -> tuple[RenamedNet, dict[str, tuple[str, Span]]]:
    """The net under the names of a map, and those of single tensors with their places.

    Raises SpecError (bad-names) where the map does not fit the net.
    """
    of_tensors = {path for path in rules.paths if path in net.tensors}
    layers = {path: name for path, name in rules.paths.items() if path not in of_tensors}
    modules = {
        module: {old: new for old, new in names.items() if "." not in old}
        for module, names in rules.modules.items()
    }
    try:
        kept = {m: names for m, names in modules.items() if names}
        found = rename(net, NameMap(layers, kept, bare=rules.bare))
    except CannotRename as error:
        module, name = error.rule
        if module:
            known = _of_module(net, module)
        else:
            known = [f.path for f in net.layers] + [n.name for n in net.body.nodes]
        help_ = did_you_mean(name, known) if name not in known else ()
        diagnostic = Diagnostic("bad-names", error.message, places.get(error.rule), help=help_)
        raise SpecError([diagnostic]) from None
    tensors = {path: (rules.paths[path], places["", path]) for path in of_tensors}
    for module, names in rules.modules.items():
        for old, new in names.items():
            if "." not in old:
                continue
            uses = [f"{path}." for path in _uses(net.body, module, "")]
            fitting = [use for use in uses if f"{use}{old}" in net.tensors]
            if not fitting:
                message = f"the module {module} has no tensor {old}"
                raise spec_error("bad-names", message, places[module, old])
            for use in fitting:
                block = found.keys[f"{use}{old}"].removesuffix(old)
                tensors[f"{use}{old}"] = (f"{block}{new}", places[module, old])
    return found, tensors


def _uses(block: Block, module: str, path: str) -> Iterator[str]:
    """The paths of all uses of a module."""
    for node in block.nodes:
        if isinstance(node, Instance):
            here = f"{path}{node.name}"
            if node.block.module == module:
                yield here
            yield from _uses(node.block, module, f"{here}.")


def _of_module(net: Net, module: str) -> list[str]:
    """The names of the layers and instances in all blocks of a module."""
    return [node.name for block in _blocks(net, module) for node in block.nodes]


def _blocks(net: Net, module: str) -> Iterator[Block]:
    """All blocks of a module."""
    blocks, seen = [net.body], set()
    while blocks:
        block = blocks.pop()
        if block in seen:
            continue
        seen.add(block)
        if block.module == module and block.kind == "module":
            yield block
        blocks += [n.block for n in block.nodes if isinstance(n, Instance)]


def _read(source: Source, diagnostics: Diagnostics) -> tuple[NameMap, dict[tuple[str, str], Span]]:
    """The name map of a text, and the place of each rule by its module and old name."""
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
            message = "a line of names is `ours -> theirs`, such as `a.conv -> b.0`, or `[module]`"
            diagnostics.add(Diagnostic("bad-names", message, span))
            continue
        old, new = rule[1], rule[2]
        if module and old.count(".") > 1:
            message = f"{old} is a path; below `[{module}]` stand names of that module alone"
            diagnostics.add(Diagnostic("bad-names", message, span))
        elif (module, old) in places:
            others = (Label(places[module, old], "the first one"),)
            message = f"{old} is given two names"
            diagnostics.add(Diagnostic("bad-names", message, span, others=others))
        else:
            places[module, old] = span
            (modules.setdefault(module, {}) if module else paths)[old] = new
    return NameMap(paths, modules), places
