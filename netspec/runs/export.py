"""A trained net as files that need no netspec: spec, weights, code, an example."""

from __future__ import annotations

import ast
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from netspec import __version__
from netspec.codegen.backend import emit, get
from netspec.diagnostics import SpecError, spec_error
from netspec.diagnostics.render import printable
from netspec.ir import Net
from netspec.runs.folder import Folder
from netspec.runtime.classify import class_count
from netspec.runtime.placement import makes_planes
from netspec.syntax.protobuf_text.detect import may_be_prototxt
from netspec.weights.trained import story, texts_of, trained_net

WEIGHTS = "weights.safetensors"


def export(
    run: Path, last: bool = False, spec: str | None = None, settings: Mapping[str, Any] = {}
) -> tuple[str, dict[str, bytes]]:
    """The name of a run's net, and its files by their paths in a folder.

    `run` is the folder of a training, of which the best weights are taken, or with `last` the last
    ones; or a file of these. `spec` is for weights that do not say of which spec they are. Raises
    SpecError.
    """
    file = _weights(run, last)
    said = story(file)
    net, _, about, *_ = trained_net(spec or str(file), settings, file)
    text, imports = texts_of(net)
    files = {_spec_name(net): text.encode(), WEIGHTS: file.read_bytes()}
    if all(map(_is_below, imports)):
        files |= {place: text.encode() for place, text in imports.items()}
    classes = {}
    for backend in ("torch", "numpy"):
        source = emit(net, get(backend))
        files[f"model_{backend}.py"] = source.encode()
        classes[backend] = _last_class(source)
    count = _classes(net)
    example = _CLASSIFY if count else _PREDICT
    name = "classify.py" if count else "predict.py"
    if count:
        labels = about.classes if len(about.classes) == count else tuple(map(str, range(count)))
        files["labels.txt"] = "".join(f"{_line(label)}\n" for label in labels).encode()
    code = _EXAMPLE.replace("TORCH_MODEL", classes["torch"]).replace(
        "NUMPY_MODEL", classes["numpy"]
    )
    files[name] = (code + example).encode()
    files["README.md"] = _readme(net, said, name).encode()
    return net.name, files


def zipped(files: Mapping[str, bytes], folder: str) -> bytes:
    """Files as a zip, in a folder; the same files give the same bytes."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for place, data in files.items():
            entry = zipfile.ZipInfo(f"{folder}/{place}")
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
    return content.getvalue()


def _weights(run: Path, last: bool) -> Path:
    """The file of weights of a run. Raises SpecError (bad-weights)."""
    if run.suffix == ".safetensors" and not run.is_dir():
        return run
    folder = Folder(run)
    wanted = [folder.last] if last else [folder.best, folder.last]
    for file in wanted:
        if file.is_file():
            return file
    names = " or ".join(file.name for file in wanted)
    message = f"{run} is no folder of a training: it has no {names}"
    raise spec_error("bad-weights", message, help=("`netspec runs` lists those that there are",))


def _is_below(place: str) -> bool:
    """Whether a path leads to a spec inside the folder that it is relative to."""
    path = PurePosixPath(place)
    plain = not path.is_absolute() and ".." not in path.parts and path.suffix == ".net"
    return plain and "\\" not in place and ":" not in place and place.isprintable()


def _last_class(source: str) -> str:
    """The name of the model's class in an emitted module."""
    return [n.name for n in ast.parse(source).body if isinstance(n, ast.ClassDef)][-1]


def _classes(net: Net) -> int | None:
    """The number of classes that pictures are told apart by; None for a net that does other."""
    if net.detection is not None or makes_planes(net):
        return None
    try:
        return class_count(net)
    except SpecError:
        return None


def _line(text: Any) -> str:
    """A text of a file in one line of text, without what could end it or be markup."""
    return printable(" ".join(str(text).split())).replace("`", "'")[:200]


def _readme(net: Net, said: Mapping[str, Any], example: str) -> str:
    figure = said.get("figure", "accuracy")
    value = said.get(figure) if isinstance(figure, str) else None
    good = f", held-out {_line(figure)} {value:.2%}" if isinstance(value, float) else ""
    set_ = [f"{name}={value}" for name, value in net.settings.items()]
    with_ = f" with `{_line(' '.join(set_))}`" if set_ else ""
    iteration, seed = (_line(said.get(name, "?")) for name in ("iteration", "seed"))
    labels = "`labels.txt` has the names of the classes, one a line. " * (example == "classify.py")
    lines = (
        f"# {net.name}",
        "",
        f"{net.params:,} parameters{good}; iteration {iteration}, seed {seed}.",
        f"Written by netspec {__version__}; nothing here needs it.",
        "",
        "    pip install numpy pillow",
        f"    python {example} PICTURE...",
        "",
        "`model_numpy.py` needs NumPy, `model_torch.py` PyTorch and safetensors "
        f"(`python {example} --torch PICTURE...`). Each has a class with `load(path)` and "
        "`preprocess(picture)`. Called, the one of NumPy gives what the spec says; that of PyTorch "
        "may give logits, and has `predict` then.",
        f"`{WEIGHTS}` are the weights by the names of the spec. {labels}"
        f"`{_spec_name(net)}` is the spec{with_}, for `netspec`.",
    )
    return "".join(f"{line}\n" for line in lines)


def _spec_name(net: Net) -> str:
    prototxt = net.texts and may_be_prototxt(net.texts[0])
    return f"{net.name}{'.prototxt' if prototxt else '.net'}"


_EXAMPLE = '''"""What the net says of pictures: python FILE [--torch] PICTURE..."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

HERE = Path(__file__).resolve().parent


def reader(torch_: bool) -> Callable[[str], Any]:
    """A function that gives the net's output for the picture in a file."""
    model: Any
    if torch_:
        import torch
        from model_torch import TORCH_MODEL

        model = TORCH_MODEL().eval()
        model.load(HERE / "weights.safetensors")

        def run(x: Any) -> Any:
            with torch.no_grad():
                return getattr(model, "predict", model)(x)

    else:
        from model_numpy import NUMPY_MODEL

        run = model = NUMPY_MODEL()
        model.load(HERE / "weights.safetensors")

    def read(path: str) -> Any:
        with Image.open(path) as picture:
            return np.asarray(run(model.preprocess(ImageOps.exif_transpose(picture))))[0]

    return read


'''
_CLASSIFY = """def main() -> None:
    read = reader("--torch" in sys.argv)
    labels = (HERE / "labels.txt").read_text(encoding="utf-8").splitlines()
    for path in sys.argv[1:]:
        if path != "--torch":
            scores = read(path).reshape(-1)
            print(path)
            for i in np.argsort(-scores, kind="stable")[:5]:
                print(f"  {scores[i]:8.4f}  {labels[i]}")


if __name__ == "__main__":
    main()
"""
_PREDICT = """def main() -> None:
    read = reader("--torch" in sys.argv)
    for path in sys.argv[1:]:
        if path != "--torch":
            print(path, *read(path).shape)


if __name__ == "__main__":
    main()
"""
