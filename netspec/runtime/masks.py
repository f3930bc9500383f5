"""Masks: the class of every pixel of a picture, and pictures of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from netspec.codegen.backend import Backend, load_model
from netspec.ir import Net
from netspec.lazy_dataclasses import dataclass
from netspec.runtime.classify import prepared
from netspec.runtime.placement import input_axes, output_axes, plane_count, sampled
from netspec.util.atomic_write import write_bytes

IGNORED = 255
"""The number of no class: pixels that don't count, and those that the net does not see."""


@dataclass(frozen=True)
class MaskAnswer:
    """The class of each pixel of a picture, uint8 of shape (H, W), beside the RGB picture."""

    columns = ("class", "share", "label")
    classes: Any
    picture: Any
    labels: Sequence[str] | None
    top: int

    def rows(self) -> list[tuple[Any, ...]]:
        """The classes with the largest shares of the picture, the largest first."""
        counts = np.bincount(self.classes.ravel(), minlength=256)[:IGNORED]
        order = np.argsort(-counts, kind="stable")[: self.top]
        shares = ((int(i), float(counts[i] / self.classes.size)) for i in order if counts[i])
        return [(i, share, self.labels[i] if self.labels else "") for i, share in shares]

    def data(self) -> dict[str, Any]:
        found = self.rows()
        return {"classes": [{"class": i, "share": s, "label": n or None} for i, s, n in found]}

    def lines(self) -> list[str]:
        return [f"{share:8.2%}  {i:4}  {name}" for i, share, name in self.rows()]

    def draw(self, folder: Path, name: str) -> dict[str, str]:
        """Write the mask as a PNG with a palette, and the picture under its colours.

        Gives the paths of both. Raises SpecError.
        """
        from PIL import Image

        mask, overlay = folder / f"{name}.png", folder / f"{name}.overlay.png"
        write_png(mask, paletted(self.classes))
        colors = np.array(palette(), np.float32).reshape(-1, 3)[self.classes]
        mixed = np.where(
            (self.classes == IGNORED)[..., None], self.picture, (self.picture + colors) / 2
        )
        write_png(overlay, Image.fromarray(mixed.round().astype(np.uint8)))
        return {"mask": str(mask), "overlay": str(overlay)}


def paletted(classes: Any) -> Any:
    """Classes of pixels as a picture of Pillow with a palette: its values are the classes."""
    from PIL import Image

    image = Image.fromarray(classes)
    image.putpalette(palette())
    return image


def palette() -> list[int]:
    """The colours of 256 classes as those of PASCAL VOC: red, green and blue of one after another.

    The bits of a class are spread over those of the colours, the lowest becoming the highest.
    """
    return [
        sum((number >> (3 * bit + color) & 1) << (7 - bit) for bit in range(8))
        for number in range(256)
        for color in range(3)
    ]


def write_png(path: Path, image: Any) -> None:
    """Write a picture of Pillow, whole or not at all. Raises SpecError."""
    content = BytesIO()
    image.save(content, "PNG")
    write_bytes(path, content.getvalue())


class Segmenter:
    """A net with weights that tells the class of each pixel."""

    def __init__(
        self,
        net: Net,
        backend: Backend,
        weights: Mapping[str, Any],
        labels: Sequence[str] | None = None,
        top: int = 5,
    ) -> None:
        """`net` makes planes (`makes_planes`). Raises SpecError for one without a picture."""
        plane_count(net)
        self.net, self.backend, self.labels, self.top = net, backend, labels, top
        self.model = load_model(net, backend)
        backend.set_weights(self.model, weights)

    def __call__(self, path: Path) -> MaskAnswer:
        """The mask of a picture, in its size. Raises SpecError where it can't be read."""
        picture, x = prepared(self.net, self.model, self.backend, path)
        scores = self.backend.run(self.model, x)[0][0]
        answer = scores.argmax(0).astype(np.uint8)
        y, x = input_axes(self.net, picture.shape[:2])
        down, across = output_axes(self.net)
        axes = y.then(down), x.then(across)
        classes = sampled(answer, axes, picture.shape[:2], IGNORED)
        return MaskAnswer(classes, as_rgb(picture), self.labels, self.top)


def as_rgb(picture: Any) -> Any:
    """A picture as it was read, grey or RGB, as float32 of shape (H, W, 3)."""
    pixels = np.asarray(picture, np.float32)
    return np.repeat(pixels[..., None], 3, 2) if pixels.ndim == 2 else pixels
