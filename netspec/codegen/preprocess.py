"""How emitted code makes an input of a picture, for the templates of the backends."""

from __future__ import annotations

from collections.abc import Callable

from netspec.ir import Net, Preprocessing
from netspec.lazy_dataclasses import dataclass


@dataclass(frozen=True)
class PictureInput:
    """The preprocessing of a net's input in the terms of a template, defaults filled in.

    The shorter side is scaled to `shorter` or, where that is None, the whole to `size` (height,
    width); `crops` says whether the centre is then cropped to the input's size. `pixels` are lines
    that make float32 `pixels` (H x W x C) of `image`. `constants` are lines of Python that must
    come before `normalized`; `form` is that expression, with `{x}`.
    """

    doc: str
    bgr: bool
    shorter: int | None
    size: tuple[int, int]
    crops: bool
    pixels: tuple[str, ...]
    constants: tuple[str, ...]
    form: str

    def normalized(self, x: str) -> str:
        """The expression for the input, `x` being the one for the cropped picture."""
        return self.form.format(x=x)


def picture(net: Net, vector: Callable[[tuple[float, ...]], str]) -> PictureInput | None:
    """The preprocessing of a net whose only input is a picture; None for other nets.

    Where the spec states none, a picture is scaled to the input's size, values 0 to 255.
    `vector` writes numbers, one per channel, as an array that is broadcast over height and width.
    """
    if len(net.body.inputs) != 1:
        return None
    shape = net.body.inputs[0].shape
    if len(shape) != 3 or shape[0] not in (1, 3):
        return None
    channels, height, width = (int(d) for d in shape)
    p = net.preprocessing[0] or Preprocessing(channels="gray" if channels == 1 else "rgb")
    shorter = p.resize if isinstance(p.resize, int) else None
    size = p.resize if isinstance(p.resize, tuple) else (height, width)
    constants, form = _arithmetic(p, vector)
    return PictureInput(
        doc=_DOC.format("grey" if channels == 1 else "RGB"),
        bgr=p.channels == "bgr",
        shorter=shorter,
        size=size,
        crops=shorter is not None or size != (height, width),
        pixels=_pixels(channels),
        constants=tuple(constants),
        form=form,
    )


_DOC = "A PIL image or an array (H x W, or H x W x C, {}) of 0 to 255 as input of the net."


def _pixels(channels: int) -> tuple[str, ...]:
    """Lines that make float32 `pixels` (H x W x channels) of any `image`.

    Of 16 bits Pillow's `convert` cuts off what is above 255, so they are divided.
    """
    if channels == 1:
        mode, few, many = "L", "3", "pixels @ np.array([[0.299], [0.587], [0.114]], np.float32)"
    else:
        mode, few, many = "RGB", "1", "pixels.repeat(3, axis=2)"
    return (
        'mode = getattr(image, "mode", None)  # of PIL',
        'if mode and mode[0] not in "IF":',
        f'    image = image.convert("{mode}")',
        "pixels = np.array(image, dtype=np.float32)",
        'if mode and mode[0] == "I":  # 16 bits',
        "    pixels /= 257",
        "pixels = pixels.reshape(*pixels.shape[:2], -1)[..., :3]",
        f"if pixels.shape[2] == {few}:",
        f"    pixels = {many}",
    )


def _arithmetic(
    p: Preprocessing, vector: Callable[[tuple[float, ...]], str]
) -> tuple[list[str], str]:
    """Constants and expression that scale a picture `{x}`, subtract the mean, divide by std."""
    constants: list[str] = []
    x = "{x}"
    if p.scale != 1:
        inverse = 1 / p.scale
        exact = inverse == round(inverse) and 1 / round(inverse) == p.scale
        x = f"{x} / {round(inverse)}" if exact else f"{x} * {float(p.scale)!r}"
    for name, sign, numbers, neutral in (("mean", "-", p.mean, 0), ("std", "/", p.std, 1)):
        if all(n == neutral for n in numbers):
            continue
        operand = name
        if len(set(numbers)) == 1:
            operand = repr(float(numbers[0]))
        else:
            constants.append(f"{name} = {vector(numbers)}")
        x = f"({x}) {sign} {operand}" if sign == "/" and " - " in x else f"{x} {sign} {operand}"
    return constants, x
