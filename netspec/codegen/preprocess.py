"""How emitted code makes an input of a picture, for the templates of the backends."""

from __future__ import annotations

from collections.abc import Callable

from netspec.codegen.python_source import Source, statement
from netspec.ir import Net, Preprocessing
from netspec.lazy_dataclasses import dataclass

MOST_ELONGATED = 100
"""How many times as long as the other a side may be where the shorter one is scaled to a size."""


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
        pixels=_pixels(channels, shorter is not None),
        constants=tuple(constants),
        form=form,
    )


@dataclass(frozen=True)
class PictureCalls:
    """How the method of a library's class makes an input of a picture.

    `first` are lines before those that make `pixels`, `then` those behind. `plane` is the height
    and width of what is scaled, `resize` gives that scaled to a size. `crop` has its rows and
    columns as `{}`, `flip` the picture whose channels are turned round. `vector` is that of
    `picture`.
    """

    first: tuple[str, ...]
    then: tuple[str, ...]
    plane: str
    resize: Callable[[str], Source]
    crop: str
    flip: str
    vector: Callable[[tuple[float, ...]], str]


def preprocess_method(net: Net, calls: PictureCalls) -> list[str]:
    """The lines of the method `preprocess` of a net's class; none of nets that take no picture."""
    p = picture(net, calls.vector)
    if p is None:
        return []
    rows, columns = (int(n) for n in net.body.inputs[0].shape[1:])
    x, lines = "x", [f'"""{p.doc}"""', *calls.first, *p.pixels, *calls.then]
    if p.shorter:
        scaled = f"round(n * {p.shorter} / min({calls.plane}))"
        lines.append(f"height, width = ({scaled} for n in {calls.plane})")
    resized = statement("x = ", calls.resize("(height, width)" if p.shorter else f"{p.size}"), 8)
    lines += [line[8:] for line in resized]
    if p.crops:
        places = f"(height - {rows}) // 2, (width - {columns}) // 2"
        if not p.shorter:
            places = f"{(p.size[0] - rows) // 2}, {(p.size[1] - columns) // 2}"
        lines.append(f"top, left = {places}")
        x = calls.crop.format(f"top : top + {rows}", f"left : left + {columns}")
    if p.bgr:
        lines.append(f"x = {calls.flip.format(x)}  # RGB to BGR")
        x = "x"
    lines += [*p.constants, f"return {p.normalized(x)}"]
    head = ["    @staticmethod", "    def preprocess(image: Any) -> Tensor:"]
    return head + [f"        {line}" if line else "" for line in lines]


_DOC = "A PIL image or an array (H x W, or H x W x C, {}) of 0 to 255 as input of the net."


def _pixels(channels: int, bounded: bool) -> tuple[str, ...]:
    """Lines that make float32 `pixels` (H x W x channels) of any `image`; where it is `bounded`, a
    long and narrow one is an error.

    Of 16 bits Pillow's `convert` cuts off what is above 255, so they are divided. Floats of a
    picture may be of 0 to 1, or of no range at all: those are refused, not made black or white.
    """
    if channels == 1:
        mode, few, many = "L", "> 1", "pixels @ np.array([[0.299], [0.587], [0.114]], np.float32)"
    else:
        mode, few, many = "RGB", "== 1", "pixels.repeat(3, axis=2)"
    elongated = (
        f"if max(pixels.shape[:2]) > {MOST_ELONGATED} * min(pixels.shape[:2]):",
        f'    raise ValueError("a side is more than {MOST_ELONGATED} times as long as the other")',
    )
    return (
        'mode = getattr(image, "mode", "")  # of PIL',
        'if mode and mode[0] not in "IF":',
        f'    image = image.convert(mode.replace("a", "A")).convert("{mode}")',
        "pixels = np.array(image)",
        "if pixels.ndim < 2 or pixels.shape[2:] not in ((), (1,), (3,), (4,)) or not pixels.size:",
        '    raise ValueError(f"no picture, which is H x W, or H x W x 1, 3 or 4: {pixels.shape}")',
        'by = 257 if mode[:1] == "I" or pixels.dtype.name == "uint16" else 1  # 16 bits or 8',
        'shares = by > 1 or pixels.dtype.kind in "fb"',
        "pixels = pixels.reshape(*pixels.shape[:2], -1)[..., :3].astype(np.float32) / by",
        "low, high = pixels.min(), pixels.max()",
        "if not 0 <= low <= high <= 255 or (0 < high <= 1 and shares):",
        '    raise ValueError(f"values from {low:g} to {high:g} are not a picture\'s, 0 to 255")',
        f"if pixels.shape[2] {few}:",
        f"    pixels = {many}",
        *(elongated if bounded else ()),
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
