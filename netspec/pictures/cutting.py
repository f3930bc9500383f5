"""A part of a picture in the size that is wanted, bytes unless the file has more than 8 bits."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from netspec.diagnostics import spec_error
from netspec.runtime.classify import opened, picture_bytes, scaled_gray

Array = np.ndarray[Any, np.dtype[Any]]
ORIENTATION = 0x0112
"""The tag of EXIF that says how a picture is turned."""


class Form(NamedTuple):
    """What pictures become: so many rows, columns and channels; `deep`: float32, else bytes."""

    height: int
    width: int
    channels: int
    deep: bool

    @property
    def dtype(self) -> type[np.generic]:
        return np.float32 if self.deep else np.uint8

    @property
    def size(self) -> int:
        """The bytes of one."""
        each = 4 if self.deep else 1
        return self.height * self.width * self.channels * each


class Decoded(NamedTuple):
    """A picture, perhaps smaller than its `height` and `width`, as it is to be looked at.

    `deep`: it has more than 8 bits a pixel.
    """

    height: int
    width: int
    deep: bool
    image: Image.Image


class Job(NamedTuple):
    """A box (top, left, bottom, right) of a picture of `height` and `width`, perhaps mirrored.

    The picture is in a file, its sides divided by `scale`; or in a store from `place` on.
    """

    file: str
    place: int
    scale: int
    height: int
    width: int
    box: tuple[float, float, float, float]
    mirror: bool = False


def _orientation(image: Image.Image) -> int:
    found = image.getexif().get(ORIENTATION, 1)
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def decoded(
    content: bytes, path: Path, gray: bool, reduction: Callable[[int, int], int] = lambda *_: 1
) -> Decoded:
    """The picture, grey or RGB, its sides divided by what `reduction` says of height and width.

    That of more than 8 bits is grey floats. Raises SpecError (bad-image).
    """
    with opened(content, path) as image:
        width, height = image.size
        deep = image.mode[0] in "IF"
        turned = _orientation(image)
        if turned >= 5:
            width, height = height, width
        scale = reduction(height, width)
        if scale > 1 and image.format == "JPEG":
            image.draft(None, (max(1, image.width // scale), max(1, image.height // scale)))
            scale = 1
        if turned > 1:
            image = ImageOps.exif_transpose(image)
        if deep:
            image = Image.fromarray(scaled_gray(image))
        else:
            image.load()
            mode = "L" if gray else "RGB"
            image = image if image.mode == mode else image.convert(mode)
        return Decoded(height, width, deep, image.reduce(scale) if scale > 1 else image)


def cut(image: Image.Image, box: tuple[float, float, float, float], form: Form) -> Array:
    """A box of a picture in its form, bilinear and antialiased."""
    top, left, bottom, right = box
    whole = all(side == int(side) for side in box)
    size = form.width, form.height
    if whole and (right - left, bottom - top) == size:
        if (top, left) != (0, 0) or image.size != size:
            image = image.crop((int(left), int(top), int(right), int(bottom)))
    else:
        image = image.resize(size, Image.Resampling.BILINEAR, box=(left, top, right, bottom))
    pixels = np.asarray(image, dtype=form.dtype)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    return np.broadcast_to(pixels, (form.height, form.width, form.channels))


def done(job: Job, form: Form, stored: mmap.mmap | None = None) -> Array:
    """The pixels of a job, (height, width, channels). Raises SpecError (bad-image)."""
    pixels = _done(job, form, stored)
    return pixels[:, ::-1] if job.mirror else pixels


def _done(job: Job, form: Form, stored: mmap.mmap | None) -> Array:
    gray = form.channels == 1
    if stored is not None:
        shape = (job.height, job.width, form.channels)
        pixels = np.ndarray(shape, form.dtype, stored, job.place)
        top, left, bottom, right = map(int, job.box)
        if (
            tuple(job.box) == (top, left, bottom, right)
            and (bottom - top, right - left) == form[:2]
        ):
            return pixels[top:bottom, left:right]
        # Floats of several channels are all the same.
        kept = pixels[..., 0] if gray or form.deep else pixels
        return cut(Image.fromarray(np.ascontiguousarray(kept)), job.box, form)
    path = Path(job.file)
    height, width, _, image = decoded(picture_bytes(path), path, gray, lambda *_: job.scale)
    if (height, width) != (job.height, job.width):
        raise spec_error("bad-image", f"{path} is another picture than when it was looked at")
    return cut(
        image, on(job.box, job.height, job.width, image.height, image.width, job.scale), form
    )


def on(
    box: tuple[float, float, float, float],
    height: int,
    width: int,
    rows: int,
    columns: int,
    scale: int = 0,
) -> tuple[float, float, float, float]:
    """A box of a picture as one of the same picture in another size.

    With a scale, pixels of the smaller picture are squares of that many, those at the end perhaps
    less; without, the whole was resized.
    """
    down = 1 / scale if scale else rows / height
    across = 1 / scale if scale else columns / width
    sides = (box[0] * down, box[1] * across, box[2] * down, box[3] * across)
    top, left, bottom, right = (
        round(side) if abs(side - round(side)) < 1e-6 else side for side in sides
    )
    return max(0, top), max(0, left), min(rows, bottom), min(columns, right)
