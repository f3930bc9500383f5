"""What emitted code needs to know to make an input of a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from netspec.ir import Net, Preprocessing


@dataclass(frozen=True)
class Picture:
    """The preprocessing of a net's input, settled.

    `shorter` is the length that the shorter side is scaled to, or None where the picture is scaled
    to `size`; `crops` whether the centre is cut out then. `constants` are lines of Python that
    `normalized` reads.
    """

    doc: str
    gray: bool
    bgr: bool
    shorter: int | None
    size: tuple[int, int]
    crops: bool
    constants: tuple[str, ...]
    form: str

    def normalized(self, x: str) -> str:
        """The input as an expression of the cropped picture's."""
        return self.form.format(x=x)


def picture(net: Net, vector: Callable[[tuple[float, ...]], str]) -> Picture | None:
    """The preprocessing of a net with one picture as input, else None.

    Without stated preprocessing a picture is scaled to the input's size, values 0 to 255.
    `vector` writes numbers, one per channel, such that they spread over height and width.
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
    kind = "A grey picture (H x W)" if channels == 1 else "An RGB picture (H x W x 3)"
    return Picture(
        doc=f"{kind}, values 0 to 255, as input of the net.",
        gray=channels == 1,
        bgr=p.channels == "bgr",
        shorter=shorter,
        size=size,
        crops=shorter is not None or size != (height, width),
        constants=tuple(constants),
        form=form,
    )


def _arithmetic(
    p: Preprocessing, vector: Callable[[tuple[float, ...]], str]
) -> tuple[list[str], str]:
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
