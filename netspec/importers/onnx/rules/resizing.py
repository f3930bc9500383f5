"""Resize and Upsample."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, floor

from netspec.importers.onnx.call import NodeCall, Refused, rule
from netspec.importers.onnx.values import NodeValue

ROUNDINGS: dict[str, Callable[[float], float]] = {
    "round_prefer_floor": lambda n: ceil(n - 0.5),
    "round_prefer_ceil": lambda n: floor(n + 0.5),
    "floor": floor,
    "ceil": ceil,
}
MODES = {"nearest": "nearest", "linear": "bilinear", "cubic": "bicubic"}


@rule("Resize", "Upsample")
def resize(c: NodeCall) -> NodeValue:
    x = c.input()
    rank = len(x.shape)
    scales, shape = _sizes(c, x)
    factors = scales or (1.0,) * rank
    changed = [i for i in range(rank) if shape[i] != x.shape[i] or factors[i] != 1]
    if not changed:
        return x
    if rank != 4 or changed[0] == 0 or changed[-1] - changed[0] > 1:
        raise Refused("changes other dimensions than height and width")
    if 1 in changed:  # height and width are in front of the channels
        order, back = (0, 3, 1, 2), (0, 2, 3, 1)
        turned = c.transpose(x, order)
        found = _resized(c, turned, tuple(shape[i] for i in order), scales and scales[1:3])
        return c.transpose(found, back)
    return _resized(c, x, shape, scales and scales[2:])


def _sizes(c: NodeCall, x: NodeValue) -> tuple[tuple[float, ...] | None, tuple[int, ...]]:
    """The scale of each axis, None where sizes are given, and the shape of the result."""
    rank = len(x.shape)
    if c.operator == "Upsample" and c.opset < 9:
        given = c.get("scales", [1.0])
    elif c.operator == "Upsample" or c.opset < 11:
        given = c.array(1, "scale").ravel()
    else:
        given = c.array(2, "scale").ravel() if c.has(2) else []
    at = c.get("axes", [*range(rank)])
    scales, shape = [1.0] * rank, [*x.shape]
    if len(given):
        if len(given) != len(at):
            raise Refused("has scales that are not one an axis", "wrong-type")
        for axis, scale in zip(at, given, strict=True):
            if not 0 < scale < 1e6:
                raise Refused(f"scales by {scale:g}", "out-of-range")
            scales[axis] = float(scale)
            shape[axis] = floor(x.shape[axis] * float(scale) + 1e-6)
        return tuple(scales), tuple(shape)
    sizes = c.array(3, "size").ravel()
    if len(sizes) != len(at):
        raise Refused("has sizes that are not one an axis", "wrong-type")
    if c.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise Refused("keeps the ratio of height to width, which can't be expressed")
    for axis, size in zip(at, sizes, strict=True):
        shape[axis] = int(size)
    return None, tuple(shape)


def _resized(
    c: NodeCall, x: NodeValue, shape: tuple[int, ...], scale: tuple[float, ...] | None
) -> NodeValue:
    """A map in another height and width."""
    mode = MODES.get(c.get("mode", "nearest"))
    old = c.operator == "Upsample" or c.opset < 11
    place = c.get("coordinate_transformation_mode", "asymmetric" if old else "half_pixel")
    if mode is None:
        raise Refused(f"resizes by {c.get('mode', 'nearest')}, which can't be expressed")
    size = (shape[2], shape[3])
    lengths = [*zip(x.shape[2:], size, scale or (None, None), strict=True)]
    how: dict[str, object] = {"size": size, "mode": mode, "scale": scale}
    if mode == "nearest":
        rounding = "floor" if old else c.get("nearest_mode", "round_prefer_floor")
        if rounding not in ROUNDINGS:
            raise Refused(f"rounds by {rounding}, which can't be expressed")
        places = [_places(m, n, s, place, ROUNDINGS[rounding]) for m, n, s in lengths]
        plain = [[i * m // n for i in range(n)] for m, n, _ in lengths]
        how["exact"] = places != plain
        if places not in (plain, [_nearest_exact(m, n) for m, n, _ in lengths]):
            raise Refused(f"rounds places by {place} and {rounding}, which can't be expressed")
        return c.emit("resize", x, shape=shape, **how)
    if c.get("antialias", 0) and any(n < m for m, n, _ in lengths):
        raise Refused("smooths what it makes smaller, which can't be expressed")
    if mode == "bicubic" and (
        c.get("cubic_coeff_a", -0.75) != -0.75 or c.get("exclude_outside", 0)
    ):
        raise Refused("has another cubic than that of -0.75, which can't be expressed")
    if place == "align_corners":
        how["align_corners"] = True
    elif place in ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric"):
        # They differ in results of one row, and in scales that leave a part of a place.
        if place == "pytorch_half_pixel" and any(n == 1 < m for m, n, _ in lengths):
            raise Refused("makes one row or column, which can't be expressed")
        how["align_corners"] = False
    else:
        raise Refused(f"takes places by {place}, which can't be expressed for {mode}")
    return c.emit("resize", x, shape=shape, **how)


def _places(
    length: int, size: int, scale: float | None, place: str, rounding: Callable[[float], float]
) -> list[int]:
    """Where each of `size` results of nearest is taken from, by ONNX's formulas."""
    if size > 100_000:
        raise Refused("makes a map that is too large", "too-large")
    by = size / length if scale is None else scale
    found = []
    for i in range(size):
        if place == "asymmetric":
            at = i / by
        elif place == "align_corners":
            at = i * (length - 1) / (size - 1) if size > 1 else 0.0
        elif place == "tf_half_pixel_for_nn":
            at = (i + 0.5) / by
        elif place in ("half_pixel", "half_pixel_symmetric"):
            at = (i + 0.5) / by - 0.5
        elif place == "pytorch_half_pixel":
            at = (i + 0.5) / by - 0.5 if size > 1 else 0.0
        else:
            raise Refused(f"takes places by {place}, which can't be expressed")
        found.append(min(max(int(rounding(at)), 0), length - 1))
    return found


def _nearest_exact(length: int, size: int) -> list[int]:
    """Where PyTorch's `nearest-exact` takes each result from."""
    return [min(int((i + 0.5) * length / size), length - 1) for i in range(size)]
