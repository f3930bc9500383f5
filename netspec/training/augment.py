"""Random changes of many samples at once, on whatever device they are.

Each is a function of tensors of shape (N, C, H, W) and of the `Rolls` of the samples; those of
colours take values of 0 to 255, RGB or grey.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log, pi

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from netspec.ir import Training
from netspec.ops.attribute_types import MAX_MAGNITUDE
from netspec.training.sampler import Array, Rolls

ERASED = (0.02, 0.33)
"""Least and largest share of a picture that is erased (Zhong et al. 2017, arXiv:1708.04896)."""
ERASED_RATIO = (0.3, 3.3)
TRIES = 10
"""How often a box of a picture is drawn until one fits into it."""


def on(x: Tensor, numbers: Array) -> Tensor:
    """Numbers, one for each sample, to be multiplied with `x`."""
    found = torch.from_numpy(np.ascontiguousarray(numbers))
    found = found.to(x.dtype if found.is_floating_point() else found.dtype)
    return found.to(x.device, non_blocking=True).view(-1, *[1] * (x.ndim - 1))


# --- boxes ---------------------------------------------------------------------------------------


def boxes(
    sizes: Array, share: tuple[float, float], ratio: tuple[float, float], rolls: Rolls, what: str
) -> Array:
    """Random boxes of pictures: of a share of the area, and of a ratio of width to height.

    `sizes` has heights and widths, (N, 2); the result is (N, 4): top, left, bottom, right, whole
    numbers, drawn for `what`. Where nothing fits into a picture in some tries, it is the middle,
    of the ratio that is nearest to the picture's (torchvision's RandomResizedCrop).
    """
    height, width = sizes[:, 0].astype(np.float64), sizes[:, 1].astype(np.float64)
    own = width / height
    nearest = np.clip(own, *ratio)
    h = np.where(own < nearest, np.rint(width / nearest), height)
    w = np.where(own > nearest, np.rint(height * nearest), width)
    top, left = (height - h) // 2, (width - w) // 2
    open_ = np.ones(len(sizes), bool)
    for i in range(TRIES):
        area = height * width * rolls.between(f"{what} area {i}", *share)
        shape = np.exp(rolls.between(f"{what} ratio {i}", log(ratio[0]), log(ratio[1])))
        wide, high = np.rint(np.sqrt(area * shape)), np.rint(np.sqrt(area / shape))
        fits = open_ & (wide >= 1) & (high >= 1) & (wide <= width) & (high <= height)
        h, w = np.where(fits, high, h), np.where(fits, wide, w)
        top = np.where(fits, np.floor(rolls.uniform(f"{what} top") * (height - high + 1)), top)
        left = np.where(fits, np.floor(rolls.uniform(f"{what} left") * (width - wide + 1)), left)
        open_ &= ~fits
        if not open_.any():
            break
    h, w = np.maximum(h, 1), np.maximum(w, 1)
    return np.stack([top, left, top + h, left + w], 1)


def cut(x: Tensor, found: Array, size: Sequence[int]) -> Tensor:
    """A box of each picture, scaled to a size as Pillow does: bilinear, and antialiased."""
    rows = _filters(found[:, 0], found[:, 2], x.shape[2], size[0])
    columns = _filters(found[:, 1], found[:, 3], x.shape[3], size[1])
    down = on(x, rows).view(len(x), 1, size[0], -1)
    across = on(x, columns).view(len(x), 1, size[1], -1)
    return down @ x @ across.transpose(2, 3)


def _filters(first: Array, last: Array, length: int, size: int) -> Array:
    """What each pixel has of each of a line of `length`: (N, size, length)."""
    scale = (last - first) / size
    reach = np.maximum(scale, 1.0)[:, None, None]
    middles = first[:, None] + (np.arange(size) + 0.5) * scale[:, None]
    away = np.arange(length) + 0.5 - middles[:, :, None]
    weights = np.maximum(1 - np.abs(away / reach), 0)
    found: Array = (weights / weights.sum(2, keepdims=True)).astype(np.float32)
    return found


def windows(x: Tensor, top: Array, left: Array, size: Sequence[int]) -> Tensor:
    """A window of this size of each picture; zeros come in where it reaches beyond."""
    if x.device.type == "cpu":  # one copy each is several times as fast as a gather
        given = x.numpy()
        found = np.zeros((*x.shape[:2], *size), given.dtype)
        for made, picture, y, z in zip(found, given, top.tolist(), left.tolist(), strict=True):
            up, before = max(0, -y), max(0, -z)
            part = picture[:, max(0, y) : max(0, y + size[0]), max(0, z) : max(0, z + size[1])]
            made[:, up : up + part.shape[1], before : before + part.shape[2]] = part
        return torch.from_numpy(found)
    return gathered(x, top, left, size)


def gathered(x: Tensor, top: Array, left: Array, size: Sequence[int]) -> Tensor:
    """What `windows` gives, for devices that compute it all at once."""
    height, width = x.shape[2:]
    rows = on(x, top).view(-1, 1) + torch.arange(size[0], device=x.device)
    columns = on(x, left).view(-1, 1) + torch.arange(size[1], device=x.device)
    known = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[
        :, None
    ]
    rows, columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    samples = torch.arange(len(x), device=x.device).view(-1, 1, 1)
    found = x.permute(0, 2, 3, 1)[samples, rows[:, :, None], columns[:, None, :]]
    return found.permute(0, 3, 1, 2) * known[:, None]


# --- colours -------------------------------------------------------------------------------------


def gray(x: Tensor) -> Tensor:
    """The brightness of each pixel, (N, 1, H, W)."""
    if x.shape[1] == 1:
        return x
    red, green, blue = x.unbind(1)
    return (0.299 * red + 0.587 * green + 0.114 * blue)[:, None]


def brightness(x: Tensor, factors: Tensor) -> Tensor:
    return (x * factors).clamp(0, 255)


def contrast(x: Tensor, factors: Tensor) -> Tensor:
    mean = gray(x).mean((1, 2, 3), keepdim=True)
    return (mean + (x - mean) * factors).clamp(0, 255)


def saturation(x: Tensor, factors: Tensor) -> Tensor:
    plain = gray(x)
    return (plain + (x - plain) * factors).clamp(0, 255)


def sharpness(x: Tensor, factors: Tensor) -> Tensor:
    """Away from, or towards, a blurred picture whose edges are as they were, as Pillow does."""
    if min(x.shape[2:]) < 3:
        return x
    kernel = torch.tensor([[1.0, 1, 1], [1, 5, 1], [1, 1, 1]], device=x.device) / 13
    blurred = x.clone()
    weight = kernel.expand(x.shape[1], 1, 3, 3)
    blurred[:, :, 1:-1, 1:-1] = F.conv2d(x, weight, groups=x.shape[1])
    return (blurred + (x - blurred) * factors).clamp(0, 255)


def hue(x: Tensor, turns: Tensor) -> Tensor:
    """Colours turned around the circle of hues by shares of it (as of HSV)."""
    if x.shape[1] == 1:
        return x
    high, low = x.amax(1, keepdim=True), x.amin(1, keepdim=True)
    span = (high - low).clamp_min(1e-6)
    red, green, blue = x[:, :1], x[:, 1:2], x[:, 2:]
    sixth = torch.where(
        high == red,
        ((green - blue) / span) % 6,
        torch.where(high == green, (blue - red) / span + 2, (red - green) / span + 4),
    )
    sixth = sixth + 6 * turns
    # Each colour falls from the highest to the lowest and back with the distance from its own hue.
    steps = torch.tensor([5.0, 3.0, 1.0], device=x.device).view(1, 3, 1, 1)
    place = (sixth + steps) % 6
    return high - (high - low) * torch.minimum(place, 4 - place).clamp(0, 1)


def posterize(x: Tensor, bits: Tensor) -> Tensor:
    step = 2 ** (8 - bits)
    return (x / step).floor() * step


def solarize(x: Tensor, threshold: Tensor) -> Tensor:
    return torch.where(x >= threshold, 255 - x, x)


def autocontrast(x: Tensor) -> Tensor:
    low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
    stretched = (x - low) * (255 / (high - low).clamp_min(1e-6))
    return torch.where(high > low, stretched.clamp(0, 255), x)


def equalize(x: Tensor) -> Tensor:
    """Values so that all are about as frequent in each channel, as Pillow's ImageOps does."""
    n, channels = x.shape[:2]
    values = x.clamp(0, 255).long().flatten(2)
    planes = torch.arange(n * channels, device=x.device).view(n, channels, 1) * 256
    counts = torch.bincount((values + planes).flatten(), minlength=n * channels * 256)
    counts = counts.view(n, channels, 256)
    places = torch.arange(256, device=x.device)
    last = counts.gather(2, (places * (counts > 0)).amax(2, keepdim=True))
    step = (counts.sum(2, keepdim=True) - last) // 255
    before = counts.cumsum(2) - counts
    table = ((before + step // 2) // step.clamp_min(1)).clamp(0, 255)
    table = torch.where(step == 0, places.expand_as(table), table)
    return table.gather(2, values).view_as(x).to(x.dtype)


def jitter(x: Tensor, training: Training, rolls: Rolls) -> Tensor:
    """Brightness, contrast, saturation and hue, each changed at random, in this order."""
    if training.brightness or training.contrast or training.saturation or training.hue:
        x = x.to(torch.float32)
    for name, change in (
        ("brightness", brightness),
        ("contrast", contrast),
        ("saturation", saturation),
    ):
        by = getattr(training, name)
        if by:
            x = change(x, on(x, rolls.between(name, max(0.0, 1 - by), 1 + by)))
    if training.hue:
        x = hue(x, on(x, rolls.between("hue", -training.hue, training.hue)))
    return x


# --- places --------------------------------------------------------------------------------------


def warp(x: Tensor, matrices: Array) -> Tensor:
    """Pictures of which the pixel at p comes from matrix @ p; zeros come in.

    `matrices` are (N, 2, 3), of places (x, y, 1) in pixels from the centre of a picture.
    """
    height, width = x.shape[2:]
    sides = np.array([width / 2, height / 2])
    scaled = matrices * np.array([width / 2, height / 2, 1.0]) / sides[:, None]
    theta = torch.from_numpy(scaled.astype(np.float32)).to(x.device, non_blocking=True)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)


def _matrices(count: int) -> Array:
    return np.tile(np.eye(2, 3), (count, 1, 1))


def turned(degrees: Array) -> Array:
    """The matrices of pictures turned counterclockwise."""
    made, angle = _matrices(len(degrees)), degrees * pi / 180
    made[:, 0, 0] = made[:, 1, 1] = np.cos(angle)
    made[:, 0, 1], made[:, 1, 0] = -np.sin(angle), np.sin(angle)
    return made


def rotated(x: Tensor, most: float, rolls: Rolls) -> Tensor:
    """Pictures turned by up to so many degrees to either side."""
    return warp(x, turned(rolls.between("rotate", -most, most)))


def flips(rolls: Rolls) -> Array:
    """Which pictures are flipped: about every other."""
    found: Array = rolls.uniform("mirror") < 0.5
    return found


def mirrored(x: Tensor, rolls: Rolls) -> Tensor:
    """About every other picture flipped from left to right."""
    chosen = flips(rolls)
    if x.device.type == "cpu":
        given, found = x.numpy(), np.empty(tuple(x.shape), x.numpy().dtype)
        found[chosen], found[~chosen] = given[chosen, ..., ::-1], given[~chosen]
        return torch.from_numpy(found)
    return torch.where(on(x, chosen), x.flip(3), x)


def shifted(x: Tensor, by: int, rolls: Rolls) -> Tensor:
    """Pictures moved by up to so many pixels, zeros coming in."""
    top, left = shifts(by, rolls)
    return windows(x, top - by, left - by, x.shape[2:])


def shifts(by: int, rolls: Rolls) -> tuple[Array, Array]:
    """Where pictures begin that have a margin of `by`: top, left."""
    return rolls.below("shift top", 2 * by + 1), rolls.below("shift left", 2 * by + 1)


def inside(x: Tensor, found: Array) -> Tensor:
    """Where a box of each picture is: (N, 1, H, W)."""
    top, left, bottom, right = (on(x, found[:, i]).view(-1, 1) for i in range(4))
    rows = torch.arange(x.shape[2], device=x.device)
    columns = torch.arange(x.shape[3], device=x.device)
    down = (rows >= top) & (rows < bottom)
    across = (columns >= left) & (columns < right)
    return (down[:, :, None] & across[:, None, :])[:, None]


def erased(x: Tensor, share: float, rolls: Rolls) -> Tensor:
    """A box of some pictures made 0."""
    sizes = np.tile(np.array(x.shape[2:]), (len(x), 1))
    found = boxes(sizes, ERASED, ERASED_RATIO, rolls, "erase")
    found[rolls.uniform("erase") >= share] = 0
    return x.masked_fill(inside(x, found), 0)


# --- RandAugment ---------------------------------------------------------------------------------


def _sheared(by: Array, axis: int) -> Array:
    made = _matrices(len(by))
    made[:, axis, 1 - axis] = by
    return made


def _moved(by: Array, axis: int) -> Array:
    made = _matrices(len(by))
    made[:, axis, 2] = by
    return made


Change = Callable[[Tensor, Array], Tensor]
CHANGES: dict[str, tuple[bool, Change]] = {
    "identity": (False, lambda x, m: x),
    "shear x": (True, lambda x, m: warp(x, _sheared(0.3 * m, 0))),
    "shear y": (True, lambda x, m: warp(x, _sheared(0.3 * m, 1))),
    "translate x": (True, lambda x, m: warp(x, _moved(150 / 331 * x.shape[3] * m, 0))),
    "translate y": (True, lambda x, m: warp(x, _moved(150 / 331 * x.shape[2] * m, 1))),
    "rotate": (True, lambda x, m: warp(x, turned(30 * m))),
    "brightness": (True, lambda x, m: brightness(x, on(x, 1 + 0.9 * m))),
    "saturation": (True, lambda x, m: saturation(x, on(x, 1 + 0.9 * m))),
    "contrast": (True, lambda x, m: contrast(x, on(x, 1 + 0.9 * m))),
    "sharpness": (True, lambda x, m: sharpness(x, on(x, 1 + 0.9 * m))),
    "posterize": (False, lambda x, m: posterize(x, on(x, 8 - np.rint(4 * m)))),
    "solarize": (False, lambda x, m: solarize(x, on(x, 255 * (1 - m)))),
    "autocontrast": (False, lambda x, m: autocontrast(x)),
    "equalize": (False, lambda x, m: equalize(x)),
}
"""The changes of RandAugment for strengths of 0 to 1; whether these may be negative too."""


def randaugment(x: Tensor, count: int, magnitude: int, rolls: Rolls) -> Tensor:
    """So many changes of each picture, drawn from CHANGES, as strong as the magnitude of 30."""
    strength = magnitude / MAX_MAGNITUDE
    for i in range(count):
        chosen = rolls.below(f"change {i}", len(CHANGES))
        signs = np.where(rolls.uniform(f"sign {i}") < 0.5, -1.0, 1.0)
        made = x.clone()
        for number, (signed, change) in enumerate(CHANGES.values()):
            own = np.flatnonzero(chosen == number)
            if len(own):
                at = torch.from_numpy(own).to(x.device, non_blocking=True)
                made[at] = change(x[at], strength * (signs[own] if signed else np.ones(len(own))))
        x = made
    return x


# --- mixing --------------------------------------------------------------------------------------


def mixed(x: Tensor, targets: Tensor, training: Training, rolls: Rolls) -> tuple[Tensor, Tensor]:
    """Each sample mixed with the one that is as far from the end as it is from the beginning.

    `targets` are (N, classes). Mixup (Zhang et al. 2017, arXiv:1710.09412) averages both, cutmix
    (Yun et al. 2019, arXiv:1905.04899) puts a box of the other in; where both are wanted, either
    is done to half of the batches. The share is the same in the whole batch.
    """
    rng = rolls.of_all()
    cuts = training.cutmix > 0 and x.ndim == 4 and (not training.mixup or rng.random() < 0.5)
    alpha = training.cutmix if cuts else training.mixup
    if not alpha:
        return x, targets
    share = float(rng.beta(alpha, alpha))
    other = x.flip(0)
    if cuts:
        height, width = x.shape[2:]
        high, wide = (round(side * (1 - share) ** 0.5) for side in (height, width))
        row, column = int(rng.integers(height)), int(rng.integers(width))
        top, bottom = max(row - high // 2, 0), min(row - high // 2 + high, height)
        left, right = max(column - wide // 2, 0), min(column - wide // 2 + wide, width)
        x = x.clone()
        x[:, :, top:bottom, left:right] = other[:, :, top:bottom, left:right]
        share = 1 - (bottom - top) * (right - left) / (height * width)
    else:
        x = share * x + (1 - share) * other
    return x, share * targets + (1 - share) * targets.flip(0)
