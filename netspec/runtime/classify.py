"""Classes of pictures: read, prepare, run a model, name the best."""

from __future__ import annotations

import glob
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from netspec.codegen.backend import Backend, HasChannelsLast, load_model
from netspec.diagnostics import spec_error
from netspec.ir import Net
from netspec.lazy_dataclasses import dataclass
from netspec.util.inputs import read_input

PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff"}
"""The endings of files that are taken for pictures in a folder."""
MAX_PIXELS = 2**27
"""Most pixels of a picture that is read."""
RUN_OTHERS = ("EPS", "WMF")
"""Formats for which Pillow would start other programs, or ask the system."""
MAX_BYTES = 2**30
"""Longest picture file that is read."""


@dataclass(frozen=True)
class Guess:
    """A class, counted from 0, with the model's score and the label where labels are given."""

    index: int
    score: float
    label: str | None


def is_picture(name: str) -> bool:
    """Whether a file of a folder is taken for a picture; hidden ones are not."""
    return not name.startswith(".") and Path(name).suffix.lower() in PICTURES


def pictures(paths: Iterable[str]) -> Iterator[str]:
    """For a folder the pictures in it and below, hidden ones left out; any other path is itself.

    What is no file may be a pattern of files (`*`, `?`, `[...]`, and `**` for folders). Raises
    SpecError (bad-image) for a folder without pictures.
    """
    for path in paths:
        if glob.has_magic(path) and not os.path.lexists(path):
            matches = sorted(glob.glob(path, recursive=True))
            if not matches:
                raise spec_error("bad-image", f"no picture matches {path}")
            yield from pictures(matches)
            continue
        if not os.path.isdir(path):
            yield path
            continue
        found = False
        for folder, inner, files in os.walk(path):
            inner[:] = sorted(name for name in inner if not name.startswith("."))
            for name in sorted(files):
                if is_picture(name):
                    found = True
                    yield os.path.join(folder, name)
        if not found:
            endings = " ".join(sorted(PICTURES))
            message = f"{path} has no pictures"
            raise spec_error("bad-image", message, help=(f"pictures are files of {endings}",))


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Have Pillow warn of nothing in the block: what netspec can't use is an error.

    Warnings belong to the whole process, so no thread should begin or end such a block.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\b")
        yield


def read_picture(path: Path, gray: bool) -> Any:
    """The picture in a file, as `decode` gives it. Raises SpecError."""
    return decode(picture_bytes(path), path, gray)


def picture_bytes(path: Path) -> bytes:
    """The content of a picture file. Raises SpecError (bad-image)."""
    try:
        if path.exists() and not path.is_file():
            raise OSError("it is no regular file")
        content = read_input(path, MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise OSError(f"it has more than {MAX_BYTES:,} bytes")
    except FileNotFoundError:
        message = f"there is no picture {path}"
    except (OSError, ValueError) as error:
        message = _unreadable(path, getattr(error, "strerror", None) or str(error))
    else:
        return content
    raise spec_error("bad-image", message)


def decode(content: bytes, path: Path, gray: bool) -> Any:
    """A picture of values 0 to 255, of shape (H, W, 3), RGB, or (H, W) with `gray`.

    They are uint8, or float32 where the file has 16 bits or floats. Floats that do not look like
    0 to 255 are refused. Raises SpecError (missing-package, bad-image).
    """
    with opened(content, path) as image:
        from PIL import ImageOps

        turned = ImageOps.exif_transpose(image)
        if turned.mode[0] not in "IF":
            return np.asarray(turned.convert("L" if gray else "RGB"))
        pixels = scaled_gray(turned)
        return pixels if gray else np.repeat(pixels[..., None], 3, axis=2)


@contextmanager
def opened(content: bytes, path: Path) -> Iterator[Any]:
    """The picture of a file's content as Pillow opens it, to be decoded in the block.

    Raises SpecError (missing-package, bad-image), also for what is found to be wrong in the block.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        message = "reading pictures needs Pillow, which is not installed"
        raise spec_error("missing-package", message, help=("pip install pillow",)) from None
    try:
        with Image.open(BytesIO(content)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError
            if image.format in RUN_OTHERS:
                raise UnidentifiedImageError
            yield image
            return
    except UnidentifiedImageError:
        reason = "it is of no format that Pillow knows" if content else "it is empty"
    except Image.DecompressionBombError:
        reason = f"it has more than {MAX_PIXELS:,} pixels"
    except (OSError, ValueError, SyntaxError) as error:
        reason = str(error)
    raise spec_error("bad-image", _unreadable(path, reason))


def _unreadable(path: Path, reason: str) -> str:
    return f"{path} can't be read as a picture: {reason}"


def scaled_gray(image: Any) -> Any:
    """A grey picture of 16 bits or floats as float32, 0 to 255. Raises ValueError where values go
    beyond that, or where 1 is the highest: the file has another range than its type says."""
    values, steps = np.asarray(image), 1 if image.mode == "F" else 257
    pixels = values.astype(np.float32) / steps
    low, high = pixels.min(), pixels.max()
    if not 0 <= low <= high <= 255 or 0 < high <= 1:
        found = f"its values go from {values.min()} to {values.max()}"
        raise ValueError(f"{found}, where 0 to {255 * steps} is expected")
    return pixels


def read_labels(path: Path, classes: int) -> list[str]:
    """The labels of a text file: line k names class k - 1. Raises SpecError (bad-labels)."""
    try:
        labels = read_input(path).decode("utf-8").splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        message = f"the labels {path} can't be read: {reason}"
        raise spec_error("bad-labels", message) from None
    if len(labels) < classes:
        message = f"{path} has {len(labels)} labels, but the net tells {classes} classes apart"
        raise spec_error("bad-labels", message)
    return labels


def class_count(net: Net) -> int:
    """The number of classes of a classifier. Raises SpecError (wrong-rank) for another net."""
    shape = net.body.outputs[0].shape
    if len(shape) == 3 and shape[1:] != (1, 1):
        from netspec.ops import text

        message = f"{net.name} puts out {text(shape)}, not one score a class"
        raise spec_error("wrong-rank", message)
    return int(shape[0])


class Classifier:
    """A net with weights that tells what pictures show."""

    def __init__(
        self,
        net: Net,
        backend: Backend,
        weights: Mapping[str, Any],
        labels: Sequence[str] | None = None,
        top: int = 5,
    ) -> None:
        """Raises SpecError for a net that is no classifier of one picture."""
        self.backend = backend
        self.labels = labels
        self.top = top
        class_count(net)
        self.net = net
        self.model = load_model(net, backend)
        backend.set_weights(self.model, weights)

    def __call__(self, path: Path) -> list[Guess]:
        """The best guesses for a picture. Raises SpecError where it can't be read."""
        _, x = prepared(self.net, self.model, self.backend, path)
        return guesses(self.backend.run(self.model, x)[0], self.top, self.labels)


def prepared(net: Net, model: Any, backend: Backend, path: Path) -> tuple[Any, Any]:
    """A picture as in its file, and as `backend.run` takes it. Raises SpecError (bad-image)."""
    if not hasattr(model, "preprocess"):
        raise spec_error("bad-image", f"{net.name} does not take one picture")
    with quiet_pillow():
        picture = read_picture(path, net.body.inputs[0].shape[0] == 1)
    try:
        x = np.asarray(model.preprocess(picture))
    except ValueError as error:
        message = f"{path} can't be made an input: {error}"
        raise spec_error("bad-image", message) from None
    return picture, x.transpose(0, 3, 1, 2) if isinstance(backend, HasChannelsLast) else x


def guesses(scores: Sequence[float], top: int, labels: Sequence[str] | None) -> list[Guess]:
    """The `top` classes with the highest scores, the highest first."""
    flat = np.asarray(scores, dtype=np.float64).reshape(-1)
    order = np.argsort(-flat, kind="stable")[:top]
    return [Guess(int(i), float(flat[i]), labels[i] if labels else None) for i in order]
