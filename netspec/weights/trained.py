"""What a file of trained weights says of itself, in the metadata of a `.safetensors` file.

`net` and `spec` are the net's name and the text of its spec, `imports` the texts of the files that
it imports, by their paths from its folder, `settings` what was set of it, `classes` the names of
the classes in order, `preprocessing` how pictures become inputs; `train` are the fields of the
recipe, `seed` that of the training, `iteration` (of `iterations`) when the weights were written,
`loss` and `accuracy`, or what else `figure` names, how they did on held-out data; `version` is
netspec's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from netspec import __version__
from netspec.diagnostics import Diagnostic, spec_error
from netspec.diagnostics.source import Source, plain
from netspec.driver import Checked, check, convert, find
from netspec.ir import Net, Preprocessing, Training
from netspec.lazy_dataclasses import fields, replace
from netspec.semantic.settings import SettingText
from netspec.syntax.model_source import is_model
from netspec.util.resources import folder
from netspec.weights.array import Array
from netspec.weights.files import read_metadata
from netspec.weights.loading import weights_for

KEY = "netspec"
"""Where in the metadata it stands, as JSON."""
MOST_TEXT = 1 << 20
"""Most characters of a spec and what it imports that are kept."""
MOST_READ = 1 << 24
"""Most characters that are read as such metadata."""


class TrainedWeights(NamedTuple):
    """The metadata of a file of weights, as far as it has them."""

    net: str = ""
    spec: str = ""
    settings: Mapping[str, str] = {}
    classes: tuple[str, ...] = ()
    preprocessing: Preprocessing | None = None
    accuracy: float | None = None
    imports: Mapping[str, str] = {}
    several: bool = False
    """Whether a picture may have any number of labels."""


def metadata(
    net: Net,
    classes: Sequence[str],
    iteration: int,
    figures: Mapping[str, float],
    about: Mapping[str, Any] = {},
) -> dict[str, str]:
    """What a file of weights says of a net that was trained, with figures on held-out data.

    `about` is what else is to be said of the training, as plain data. As one text: the library
    writes several in random order, and equal runs give equal bytes.
    """
    found: dict[str, Any] = {"net": net.name, "iteration": iteration, **about}
    found |= _about_spec(net)
    if classes:
        found["classes"] = list(classes)
    if net.preprocessing and net.preprocessing[0] is not None:
        said = net.preprocessing[0]
        found["preprocessing"] = {field.name: getattr(said, field.name) for field in fields(said)}
    found |= {name: round(value, 6) for name, value in figures.items()}
    return {KEY: json.dumps(found)}


def spec_metadata(net: Net) -> dict[str, str]:
    """What a file of weights that netspec did not train says of its net."""
    return {KEY: json.dumps({"net": net.name, **_about_spec(net)})}


def _about_spec(net: Net) -> dict[str, Any]:
    found: dict[str, Any] = {"version": __version__}
    spec, imports = texts_of(net)
    if spec and len(spec) + sum(map(len, imports.values())) <= MOST_TEXT:
        found["spec"] = spec
        if imports:
            found["imports"] = imports
    # How a model's file was read says nothing of the text of its spec.
    settings = {n: text for n, text in net.settings.items() if ":" not in n or not _is_model(net)}
    if settings:
        found["settings"] = settings
    return found


def _is_model(net: Net) -> bool:
    return bool(net.body.nodes) and is_model(Path(net.body.nodes[0].span.source.name))


def texts_of(net: Net) -> tuple[str, dict[str, str]]:
    """The text of a net's spec, and those that it imports by their paths from its folder.

    No bundled ones; they are found by their names. Of a model's file it is the converted text.
    """
    if not net.body.nodes:
        return "", {}
    if _is_model(net):
        reading = {n: SettingText(text) for n, text in net.settings.items() if ":" in n}
        return convert(net.body.nodes[0].span.source.name, reading)[0].text, {}
    own = net.body.nodes[0].span.source
    bundled, base = f"{folder('specs').resolve()}{os.sep}", os.path.dirname(own.name)
    found = {}
    for source in net.texts[1:]:
        if source is not own and not source.name.startswith(bundled):
            place = os.path.relpath(source.name, os.path.realpath(base or os.curdir))
            found[place.replace(os.sep, "/")] = source.text
    return own.text, found


def story(path: Path) -> dict[str, Any]:
    """All that a file says of its weights as the module says, unchecked; {} where it says nothing.

    Raises SpecError where the file can't be read.
    """
    try:
        text = read_metadata(path).get(KEY, "{}")
        found = json.loads(text) if len(text) <= MOST_READ else {}
    except (ValueError, RecursionError):
        found = {}
    return found if isinstance(found, dict) else {}


def read_trained(path: Path) -> TrainedWeights:
    """What a file says of its weights; nothing where it has no metadata, or others'.

    Raises SpecError where the file can't be read.
    """
    found = story(path)

    def one(name: str, right: Callable[[Any], bool], default: Any) -> Any:
        value = found.get(name)
        return value if right(value) else default

    return TrainedWeights(
        one("net", _is_text, ""),
        one("spec", _is_text, ""),
        one("settings", lambda v: isinstance(v, dict) and all(map(_is_text, v.values())), {}),
        tuple(one("classes", lambda v: isinstance(v, list) and all(map(_is_text, v)), [])),
        _preprocessing(found.get("preprocessing")),
        one("accuracy", _is_number, None),
        one("imports", lambda v: isinstance(v, dict) and all(map(_is_text, v.values())), {}),
        one("train", _tells_labels, None) is not None,
    )


def _tells_labels(recipe: Any) -> bool:
    return isinstance(recipe, dict) and recipe.get("loss") == "bce"


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e30


def _preprocessing(data: Any) -> Preprocessing | None:
    """The preprocessing that JSON says; None where it says none that could be a spec's."""
    if not isinstance(data, dict) or data.get("channels") not in ("rgb", "bgr", "gray"):
        return None
    mean: Any
    std: Any
    scale: Any
    mean, std, scale = data.get("mean"), data.get("std"), data.get("scale")
    resize: Any
    resize, crop = data.get("resize"), data.get("crop")
    pair = isinstance(resize, list) and len(resize) == 2 and all(map(_is_size, resize))
    if not (_numbers(mean) and _numbers(std) and _numbers([scale]) and crop in (None, "center")):
        return None
    if not (resize is None or _is_size(resize) or pair) or 0 in std:
        return None
    size: Any = tuple(resize) if isinstance(resize, list) else resize
    return Preprocessing(data["channels"], float(scale), tuple(mean), tuple(std), size, crop)


def _numbers(value: Any) -> bool:
    return isinstance(value, list) and len(value) in (1, 3) and all(map(_is_number, value))


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 < value <= 1 << 20


def checked(
    spec: str, settings: Mapping[str, Any], weights: Path, found: TrainedWeights
) -> Checked:
    """The net of a spec for its weights: what was set at the training is set again.

    `found` is what the file says of itself, and `spec` may be that file, which then says what net
    it is of. Raises SpecError.
    """
    net: str | None
    help_ = (f"name the spec, and the file with `--weights {weights}`",)
    within = Path(spec) == weights and not is_model(weights)
    if within:
        if not found.spec:
            message = f"{weights} does not say of which spec its weights are"
            raise spec_error("bad-weights", message, help=help_)
        source, base, net = Source(f"{weights}", plain(found.spec)), weights.parent, found.net
    else:
        source, base, net = find(spec)
    texts = _beside(base, found.imports) if within else {}
    made = check(source, base, settings, net=net, texts=texts)
    if within and any(d.code == "unknown-module" for d in made.diagnostics):
        message = f"{weights} holds the text of its spec, but not what that imports"
        raise spec_error("bad-weights", message, help=help_)
    if made.net is None or made.net.name != found.net or not found.settings:
        return made
    again = {name: SettingText(text) for name, text in found.settings.items()}
    return check(source, base, {**again, **settings}, net=net, texts=texts)


def _beside(base: Path, imports: Mapping[str, str]) -> dict[Path, str]:
    """Texts by the absolute paths of their files, which need not be there."""
    return {(base / place).resolve(): text for place, text in imports.items() if "\0" not in place}


class TrainedNet(NamedTuple):
    """A net with weights by its names, and what their file says of them.

    `net` prepares pictures as the training did, which may be otherwise than its spec says.
    """

    net: Net
    arrays: dict[str, Array]
    about: TrainedWeights
    diagnostics: tuple[Diagnostic, ...]
    prepares_otherwise: bool


def trained_net(
    spec: str, settings: Mapping[str, Any], file: Path, key: str | None = None
) -> TrainedNet:
    """The net of a spec, or of the file itself, with the weights of a file.

    `key` is as for `read`. Raises SpecError.
    """
    about = read_trained(file)
    made = checked(spec, settings, file, about)
    stated = made.sound()
    net = as_trained(stated, about)
    otherwise = net.preprocessing != stated.preprocessing
    arrays = weights_for(net, spec, str(file), key=key).arrays
    return TrainedNet(net, arrays, about, made.diagnostics, otherwise)


def as_trained(net: Net, found: TrainedWeights) -> Net:
    """The net with the loss and the preprocessing that its weights were trained with."""
    if found.several and found.net == net.name:
        net = replace(net, training=Training(1.0, 1, loss="bce"))
    if found.preprocessing is None or found.net != net.name or len(net.preprocessing) != 1:
        return net
    channels = len(found.preprocessing.mean), len(found.preprocessing.std)
    if any(n not in (1, net.body.inputs[0].shape[0]) for n in channels):
        return net
    return replace(net, preprocessing=(found.preprocessing,))
