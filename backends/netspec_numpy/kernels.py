"""The functions that emitted models compute with; a net's are copied into its file.

Arrays are (N, C, H, W) or (N, F); `pads` are (top, bottom, left, right). Results have
the type of the input. Copied one by one, so each stands on its own but for other
functions of this module.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Weights = dict[str, Array]


def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: tuple[int, int] = (1, 1),
    pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> Array:
    """Convolve (N, C, H, W) with filters of shape (F, C / groups, KH, KW)."""
    filters, channels, kh, kw = weight.shape
    x = pad2d(x, pads)
    n = x.shape[0]
    height = (x.shape[2] - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    width = (x.shape[3] - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    if channels == 1 and groups > 1:
        result = depthwise(x, weight, stride, dilation, height, width)
    else:
        result = np.empty((n, filters, height, width), dtype=x.dtype)
        matrix = weight.reshape(groups, filters // groups, channels * kh * kw)
        products = result.reshape(n, groups, filters // groups, height * width)
        if kh == kw == 1:
            # A 1x1 convolution is a plain product; nothing need be gathered.
            columns = x[:, :, :: stride[0], :: stride[1]]
            columns = columns.reshape(n, groups, channels, height * width)
            np.matmul(matrix, columns, out=products)
        else:
            patches = np.empty((x.shape[1], kh, kw, height, width), dtype=x.dtype)
            columns = patches.reshape(groups, channels * kh * kw, height * width)
            for image, product in zip(x, products, strict=True):
                gather(image, patches, stride, dilation)
                np.matmul(matrix, columns, out=product)
    if bias is not None:
        result += bias[:, None, None]
    return result


def gather(
    image: Array,
    patches: Array,
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> None:
    """Fill in (C, KH, KW, height, width) what places of a filter see of (C, H, W)."""
    _, kh, kw, height, width = patches.shape
    for i in range(kh):
        for j in range(kw):
            patches[:, i, j] = seen(image, i, j, stride, dilation, height, width)


def seen(
    x: Array,
    i: int,
    j: int,
    stride: tuple[int, int],
    dilation: tuple[int, int],
    height: int,
    width: int,
) -> Array:
    """The elements that place (i, j) of a window lies on as it moves: a view."""
    top, left = i * dilation[0], j * dilation[1]
    bottom = top + (height - 1) * stride[0] + 1
    right = left + (width - 1) * stride[1] + 1
    return x[..., top : bottom : stride[0], left : right : stride[1]]


def depthwise(
    x: Array,
    weight: Array,
    stride: tuple[int, int],
    dilation: tuple[int, int],
    height: int,
    width: int,
) -> Array:
    """Convolve each channel with filters of its own: weights are (F, 1, KH, KW)."""
    filters, _, kh, kw = weight.shape
    n, channels = x.shape[:2]
    factors = weight.reshape(channels, filters // channels, kh, kw, 1, 1)
    result = np.zeros((n, *factors.shape[:2], height, width), dtype=x.dtype)
    product = np.empty_like(result)
    for i in range(kh):
        for j in range(kw):
            view = seen(x, i, j, stride, dilation, height, width)
            np.multiply(view[:, :, None], factors[:, :, i, j], out=product)
            result += product
    return result.reshape(n, filters, height, width)


def pad2d(x: Array, pads: tuple[int, int, int, int], value: float = 0.0) -> Array:
    """Put elements of one value around height and width."""
    top, bottom, left, right = pads
    if not any(pads):
        return x
    n, channels, height, width = x.shape
    shape = (n, channels, top + height + bottom, left + width + right)
    result = np.full(shape, value, dtype=x.dtype)
    result[:, :, top : top + height, left : left + width] = x
    return result


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """Multiply (N, F) by weights of shape (units, F)."""
    result: Array = x @ weight.T
    if bias is not None:
        result += bias
    return result


def relu(x: Array) -> Array:
    """Replace what is below 0 by 0."""
    result: Array = np.maximum(x, 0)
    return result


def softmax(x: Array) -> Array:
    """Exponentials over the channels, scaled to a sum of 1."""
    powers: Array = np.exp(x - x.max(axis=1, keepdims=True))
    powers /= powers.sum(axis=1, keepdims=True)
    return powers


def batch_norm(
    x: Array,
    mean: Array,
    variance: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
) -> Array:
    """Normalize each channel by its running statistics."""
    factor = 1 / np.sqrt(variance + eps)
    if weight is not None:
        factor = factor * weight
    shift = -mean * factor
    if bias is not None:
        shift = shift + bias
    per_channel = (-1, *(1 for _ in x.shape[2:]))
    factor, shift = factor.reshape(per_channel), shift.reshape(per_channel)
    result: Array = x * factor.astype(x.dtype)
    result += shift.astype(x.dtype)
    return result


def windows(
    size: int, kernel: int, stride: int, before: int, after: int, ceil: bool
) -> int:
    """How many windows a pooling has along one direction.

    A last window that would start behind the input and its first padding is dropped.
    """
    room = size + before + after - kernel
    if not ceil:
        return room // stride + 1
    count = -(-room // stride) + 1
    return count - 1 if (count - 1) * stride >= size + before else count


def window_view(
    x: Array,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pads: tuple[int, int, int, int],
    dilation: tuple[int, int],
    ceil: bool,
    value: float,
) -> tuple[Array, int, int]:
    """The input, padded with `value` as far as the windows reach, and their counts."""
    (kh, kw), (dh, dw) = kernel, dilation
    span_h, span_w = dh * (kh - 1) + 1, dw * (kw - 1) + 1
    height = windows(x.shape[2], span_h, stride[0], pads[0], pads[1], ceil)
    width = windows(x.shape[3], span_w, stride[1], pads[2], pads[3], ceil)
    below = (height - 1) * stride[0] + span_h - x.shape[2] - pads[0]
    right = (width - 1) * stride[1] + span_w - x.shape[3] - pads[2]
    around = (pads[0], max(below, 0), pads[2], max(right, 0))
    return pad2d(x, around, value), height, width


def max_pool2d(
    x: Array,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    ceil: bool = False,
) -> Array:
    """Take the largest element of each window."""
    x, height, width = window_view(x, kernel, stride, pads, dilation, ceil, -np.inf)
    result = seen(x, 0, 0, stride, dilation, height, width).copy()
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            view = seen(x, i, j, stride, dilation, height, width)
            np.maximum(result, view, out=result)
    return result


def max_pool2d_with_indices(
    x: Array,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    ceil: bool = False,
) -> tuple[Array, Array]:
    """Take the largest element of each window, and its place h * W + w in the input.

    The first of equal elements counts; NaN is larger than any number.
    """
    columns = x.shape[3]
    (kh, kw), (dh, dw) = kernel, dilation
    x, height, width = window_view(x, kernel, stride, pads, dilation, ceil, -np.inf)
    down = np.arange(height)[:, None] * stride[0] - pads[0]
    across = np.arange(width) * stride[1] - pads[2]
    result = np.full((*x.shape[:2], height, width), -np.inf, dtype=x.dtype)
    # Which element of its window; where all are -inf, the first that is no padding.
    winner = np.empty(result.shape, dtype=np.int32)
    winner[:] = -(np.minimum(down, 0) // dh) * kw - (np.minimum(across, 0) // dw)
    for element in range(kh * kw):
        i, j = divmod(element, kw)
        view = seen(x, i, j, stride, dilation, height, width)
        larger = (view > result) | np.isnan(view)
        np.maximum(winner, larger * np.int32(element), out=winner)
        np.maximum(result, view, out=result)
    places = [i * dh * columns + j * dw for i in range(kh) for j in range(kw)]
    return result, np.array(places, dtype=np.int64)[winner] + (down * columns + across)


def avg_pool2d(
    x: Array,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    ceil: bool = False,
    count_include_pad: bool = True,
) -> Array:
    """Take the mean of each window; `count_include_pad` says what it is divided by.

    What hangs over the end of the padded input never counts.
    """
    sizes = x.shape[2:]
    x, height, width = window_view(x, kernel, stride, pads, (1, 1), ceil, 0.0)
    result = np.zeros((*x.shape[:2], height, width), dtype=x.dtype)
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            result += seen(x, i, j, stride, (1, 1), height, width)
    counts = []
    for axis, count in enumerate((height, width)):
        first = np.arange(count) * stride[axis] - pads[2 * axis]
        end = first + kernel[axis]
        if count_include_pad:
            end = np.minimum(end, sizes[axis] + pads[2 * axis + 1])
        else:
            first, end = np.maximum(first, 0), np.minimum(end, sizes[axis])
        counts.append((end - first).astype(x.dtype))
    result /= counts[0][:, None] * counts[1]
    return result


def global_avg_pool2d(x: Array) -> Array:
    """Take the mean of each channel: (N, C, H, W) to (N, C)."""
    result: Array = x.mean(axis=(2, 3), dtype=x.dtype)
    return result


def flatten(x: Array) -> Array:
    """Line up the elements of each picture: (N, C, H, W) to (N, F)."""
    return x.reshape(x.shape[0], -1)


def resize(image: Array, height: int, width: int) -> Array:
    """Scale a picture (H, W, C) bilinearly, with antialiasing where it shrinks."""
    kind = np.result_type(image, np.float32)
    rows = triangle_weights(image.shape[0], height).astype(kind)
    columns = triangle_weights(image.shape[1], width).astype(kind)
    result: Array = columns @ np.tensordot(rows, image, axes=1)
    return result


def triangle_weights(size: int, wanted: int) -> Array:
    """How much each of `size` pixels has of each of `wanted` ones: (wanted, size)."""
    scale = size / wanted
    support = max(scale, 1.0)
    centers = (np.arange(wanted)[:, None] + 0.5) * scale
    distance = np.abs(np.arange(size) + 0.5 - centers) / support
    weights: Array = np.maximum(1 - distance, 0)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


def resize_shorter(image: Array, size: int) -> Array:
    """Scale a picture (H, W, C) so that its shorter side has `size` pixels."""
    shorter = min(image.shape[:2])
    height, width = (round(n * size / shorter) for n in image.shape[:2])
    return resize(image, height, width)


def center_crop(image: Array, height: int, width: int) -> Array:
    """Cut the centre out of a picture (H, W, C)."""
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    if top < 0 or left < 0:
        size = f"{image.shape[0]}x{image.shape[1]}"
        raise ValueError(f"no {height}x{width} can be cut out of a picture of {size}")
    return image[top : top + height, left : left + width]


def initial(shapes: dict[str, tuple[int, ...]], seed: int) -> Weights:
    """Make fresh weights: Kaiming-normal filters, factors of 1, shifts of 0."""
    rng = np.random.default_rng(seed)
    weights: Weights = {}
    for name, shape in shapes.items():
        if len(shape) > 1:
            deviation = (2 / np.prod(shape[1:])) ** 0.5
            weights[name] = rng.normal(0, deviation, shape).astype(np.float32)
        else:
            one = name.endswith((".weight", ".running_var"))
            weights[name] = np.full(shape, float(one), dtype=np.float32)
    return weights


def checked(found: Weights, shapes: dict[str, tuple[int, ...]]) -> Weights:
    """Return the wanted weights as float32; ValueError where any is amiss."""
    amiss = [f"{name} is missing" for name in shapes if name not in found]
    for name, array in found.items():
        if name not in shapes:
            if not name.endswith(".num_batches_tracked"):
                amiss.append(f"{name} is left over")
        elif array.shape != shapes[name]:
            amiss.append(f"{name} is {array.shape}, not {shapes[name]}")
        elif array.dtype.kind not in "fiu":
            amiss.append(f"{name} holds {array.dtype}, not real numbers")
    if amiss:
        raise ValueError("these weights do not fit: " + "; ".join(amiss))
    return {name: np.array(found[name], np.float32, order="C") for name in shapes}


def load_weights(path: str | Path) -> Weights:
    """Read a .npz or .safetensors file."""
    if Path(path).suffix == ".npz":
        return read_npz(path)
    if Path(path).suffix == ".safetensors":
        return read_safetensors(path)
    raise ValueError(f"{path} is neither a .npz nor a .safetensors file")


def read_npz(path: str | Path) -> Weights:
    """Read a .npz file, without ever unpickling."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: np.asarray(file[name]) for name in file.files}
    except OSError:
        raise
    except Exception as error:  # of zipfile, zlib and NumPy, by the kind of damage
        raise ValueError(f"{path} is no sound .npz file: {error}") from error


def read_safetensors(path: str | Path) -> Weights:
    """Read a .safetensors file: the header's length, a JSON header, then the data."""
    data = memoryview(Path(path).read_bytes())
    start = 8 + int.from_bytes(data[:8], "little")
    try:
        if start > len(data):
            raise ValueError("its header is cut off")
        header = json.loads(bytes(data[8:start]))
        header.pop("__metadata__", None)
        return {n: tensor_of(n, entry, data[start:]) for n, entry in header.items()}
    except ValueError as error:
        reason = str(error)
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError):
        reason = "its header is malformed"
    raise ValueError(f"{path} is no sound .safetensors file: {reason}")


def tensor_of(name: str, entry: dict[str, Any], data: memoryview) -> Array:
    """What an entry of a .safetensors header describes; bfloat16 as float32."""
    types = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "BOOL": "?"}
    types |= {"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "<i1"}
    types |= {"U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "<u1"}
    if entry["dtype"] not in types:
        raise ValueError(f"{name} has the type {entry['dtype']}, which NumPy lacks")
    kind = np.dtype(types[entry["dtype"]])
    shape, (first, end) = entry["shape"], entry["data_offsets"]
    if not 0 <= first <= end <= len(data):
        raise ValueError(f"{name} lies outside the file")
    if min(shape, default=0) < 0 or math.prod(shape) * kind.itemsize != end - first:
        raise ValueError(f"{name} has {end - first} bytes, which do not fit its shape")
    array = np.frombuffer(data[first:end], dtype=kind).reshape(shape)
    if entry["dtype"] == "BF16":
        array = (array.astype(np.uint32) << 16).view(np.float32)
    return array
