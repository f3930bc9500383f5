"""The diagnostic of shapes that don't fit: where each was made, and which change would fix it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from netspec.diagnostics import Diagnostic, Label
from netspec.diagnostics.fixes import Edit, Fix
from netspec.diagnostics.source import Span
from netspec.ir import Instance, Layer, Node, Value
from netspec.ops import Op, Shape, ShapeError, Windowed, attributes, text
from netspec.ops.constants import LearnedValue
from netspec.ops.convolution import ConvTranspose, Linear
from netspec.ops.merging import Add
from netspec.ops.pooling import AvgPool, GlobalAvgPool, MaxPool
from netspec.ops.resizing import Upsample
from netspec.ops.window import extent
from netspec.syntax.ast import Call
from netspec.syntax.edits import other_field, set_fields

MAX_FOLLOWED = 10_000
"""Most layers that are looked at to see whether one depends on another."""

_REFERENCE = re.compile(r"\w+(\[[^\]\n]*\]|\.\w+)*")
"""The text of a value that can stand in an expression."""

Side = tuple[Value, Span, bool]
"""A value, its place, and whether it was named there (and did not just flow in)."""


def shape_error(
    error: ShapeError,
    call: Call,
    operands: Sequence[Side],
    op: type[Op],
    attrs: Mapping[str, Any],
    makers: Mapping[Value, Node],
    places: Mapping[Value, Span],
) -> Diagnostic:
    """The diagnostic of a shape error: its place, and where the inputs were made."""
    span = call.op.span
    label = ""
    if isinstance(error.at, str):
        at = next((f for f in call.fields if f.name.text == error.at), None)
        span = at.span if at else span
    elif isinstance(error.at, int):
        value, place, given = operands[error.at]
        span = place if given else span
        label = text(value.shape)
    help_ = [error.help] if error.help else []
    message = error.message
    values = [v for v, _, _ in operands]
    if error.code == "shape-mismatch" and isinstance(error.at, int):
        values = _sides(error, op, values)
        message = _compare(op, values) or message
        texts = {v: s for v, s, given in operands if given and _REFERENCE.fullmatch(s.text)}
        help_ += _as_map(op, values) or _fixes(op, values, makers, texts, places)
    elif error.code == "wrong-rank" and not help_:
        help_ += _kept_as_map(operands[0][0], makers)
    elif error.code == "window-too-large":
        help_ += _smaller_window(op, attrs, operands[0][0].shape)
    return Diagnostic(
        error.code,
        message,
        span,
        label,
        others=_origins(values, makers, places, span) + _sizes(values, makers),
        help=tuple(help_),
    )


def _sides(error: ShapeError, op: type[Op], values: Sequence[Value]) -> list[Value]:
    """The input that does not fit and the one that it has to fit to, in order."""
    odd = values[error.at] if isinstance(error.at, int) else values[-1]
    other = values[0]
    if op.equal_inputs == "shape":
        rest = [v for v in values if v is not odd] or [odd]
        other = max(rest, key=lambda v: (len(v.shape), v.elements))
    return [v for v in dict.fromkeys(values) if v in (other, odd)]


def _compare(op: type[Op], values: Sequence[Value]) -> str:
    """Name the two sides of a mismatch."""
    if len(values) < 2:
        return ""
    equal = "equal shapes" if op.equal_inputs == "shape" else f"equal {op.equal_inputs}"
    if len({len(v.shape) for v in values}) > 1:
        equal = "inputs of equally many dimensions"
    first, second = (f"{v.name} is {text(v.shape)}" for v in values)
    return f"{op.keyword} needs {equal}, but {first} and {second}"


def _origins(
    values: Sequence[Value],
    makers: Mapping[Value, Node],
    places: Mapping[Value, Span],
    primary: Span,
) -> tuple[Label, ...]:
    """Where each input got its shape, and from which attributes."""
    labels = []
    for value in dict.fromkeys(values):
        node = made_by(value, makers)
        place = node.span if node else places.get(value)
        if place is None or place == primary:
            continue
        how = settings_of(node)
        label = f"{value.name} is {text(value.shape)} from here"
        labels.append(Label(place, label + (f": {how}" if how else "")))
    return tuple(labels)


def _sizes(values: Sequence[Value], makers: Mapping[Value, Node]) -> tuple[Label, ...]:
    """Where heights and widths that differ were made, if that is further up."""
    if len(values) != 2 or any(len(v.shape) != 3 for v in values):
        return ()
    if values[0].shape[1:] == values[1].shape[1:]:
        return ()
    labels = []
    for value in values:
        node = _resizing_layer(value, makers)
        if node is not None and node is not made_by(value, makers):
            before, size = text(node.inputs[0].shape), text(value.shape[1:])
            label = f"the {size} of {value.name} is from here: {settings_of(node)}, on {before}"
            labels.append(Label(node.span, label))
    return tuple(labels)


def _resizing_layer(value: Value, makers: Mapping[Value, Node]) -> Layer | None:
    """The layer that gave a value its height and width; None for those of an input."""
    node = makers.get(value)
    while node is not None and len(node.inputs) == 1:
        before = node.inputs[0]
        if before.shape[1:] != value.shape[1:]:
            resizes = isinstance(node, Layer) and isinstance(node.op, Windowed | Upsample)
            return node if isinstance(node, Layer) and resizes else None
        if isinstance(node, Layer) and getattr(node.op, "stride", (1, 1)) != (1, 1):
            return None
        node = makers.get(before)
    return None


def made_by(value: Value, makers: Mapping[Value, Node]) -> Node | None:
    """The node that gave a value its shape; layers that keep the shape are skipped.

    None for an input's.
    """
    node = makers.get(value)
    while isinstance(node, Layer) and len(node.inputs) == 1:
        if node.inputs[0].shape != value.shape or isinstance(node.op, Windowed):
            break
        before = makers.get(node.inputs[0])
        if before is None:
            break
        node = before
    return node


def settings_of(node: Node | None) -> str:
    """What decides about the output shape of a node, in words: `kernel 3x3, stride 2, pad 0`."""
    if isinstance(node, Instance):
        return f"an instance of {node.block.module}"
    if node is None:
        return ""
    if isinstance(node.stated, Upsample) and node.stated.scale is not None:
        return f"scale {_pair(node.stated.scale)}"
    if not isinstance(node.op, Windowed):
        return ""
    op = node.op
    parts = [f"kernel {text(op.kernel)}"]
    if op.stride != (1, 1):
        parts.append(f"stride {_pair(op.stride)}")
    top, bottom, left, right = op.pads
    equal = top == bottom == left == right
    parts.append(f"pad {top}" if equal else f"pad {top}, {bottom}, {left}, {right}")
    if op.dilation != (1, 1):
        parts.append(f"dilation {_pair(op.dilation)}")
    return ", ".join(parts)


def _pair(pair: tuple[int, int]) -> str:
    return str(pair[0]) if pair[0] == pair[1] else text(pair)


# --- fixes ---------------------------------------------------------------------------------------


def _as_map(op: type[Op], values: Sequence[Value]) -> list[str]:
    """How a vector of the channels of a map becomes a gate for it."""
    if op.equal_inputs != "shape" or sorted(len(v.shape) for v in values) != [1, 3]:
        return []
    vector, whole = sorted(values, key=lambda v: len(v.shape))
    if vector.shape[0] != whole.shape[0]:
        return []
    return [
        f"`reshape {{ shape: [-1, 1, 1] }}` behind {vector.name} makes it "
        f"{int(vector.shape[0])}x1x1, which {op.keyword} spreads over height and width; so does "
        "`adaptive_avgpool { size: 1 }` with 1x1 convolutions behind it"
    ]


def _kept_as_map(value: Value, makers: Mapping[Value, Node]) -> list[str]:
    """What keeps height and width where an op needs them and a vector comes in."""
    node = made_by(value, makers)
    if len(value.shape) != 1 or not isinstance(node, Layer):
        return []
    if isinstance(node.op, GlobalAvgPool):
        place = f"global_avgpool in line {node.span.line}"
        pool = "adaptive_avgpool { size: 1 }"
        own = [Edit(node.span, pool)] if node.span.text == "global_avgpool" else []
        return [Fix(f"`{pool}` in place of {place} keeps height and width", *own)]
    if isinstance(node.op, Linear):
        return ["`reshape { shape: [-1, 1, 1] }` in front makes a map of it"]
    return []


def _fixes(
    op: type[Op],
    values: Sequence[Value],
    makers: Mapping[Value, Node],
    texts: Mapping[Value, Span],
    places: Mapping[Value, Span],
) -> list[str]:
    """A field of one layer that would make the shapes equal, if there is one."""
    best: dict[int, str] = {}
    for value in reversed(values):
        targets = {v.shape for v in values if v.shape != value.shape}
        if len(targets) != 1:
            continue
        target = targets.pop()
        node = made_by(value, makers)
        if value.shape[1:] != target[1:]:
            node = _resizing_layer(value, makers) or node
        if not isinstance(node, Layer) or len(value.shape) != 3 or len(target) != 3:
            continue
        if any(_feeds(node, v, makers) for v in values if v.shape == target):
            continue  # the other side would change as well
        fix = _fix(op, node, value.shape, target)
        place = f" at {node.line or node.name} (line {node.span.line})"
        if fix:
            # What belongs to the op is likelier than a pad, and that than another stride.
            rank = {"pad": 1, "stride": 2}.get(next(iter(fix)), 0)
            how = "  ".join(f"{name}: {written}" for name, written in fix.items())
            edits = set_fields(node.span, **fix)
            best.setdefault(rank, Fix(f"`{how}`{place} makes them equal", *edits))
        elif isinstance(node.op, Upsample):
            other = next((v for v in values if v.shape == target and v in texts), None)
            if other is not None and _stands_before(other, node, places):
                size = f"size: {texts[other].text}.shape"
                what = "scale" if node.stated and getattr(node.stated, "scale", None) else "size"
                how = f"`{size}` in place of the {what}{place} makes them equal"
                best.setdefault(0, Fix(how, *other_field(node.span, what, size)))
    if best:
        return [best[min(best)]]
    return _projection(op, values, makers, texts)


def _projection(
    op: type[Op],
    values: Sequence[Value],
    makers: Mapping[Value, Node],
    texts: Mapping[Value, Span],
) -> list[str]:
    """The 1x1 convolution that gives an input of the block, as it is added, other channels."""
    if op is not Add or len(values) != 2 or any(len(v.shape) != 3 for v in values):
        return []
    plain = [v for v in values if made_by(v, makers) is None]
    if len(plain) != 1:
        return []
    (value,) = plain
    (other,) = (v for v in values if v is not value)
    (channels, *size), (wanted, *target) = ([int(n) for n in v.shape] for v in (value, other))
    strides = {-(-n // m) for n, m in zip(size, target, strict=True)}
    stride = strides.pop()
    fits = not strides and stride <= 4 and [-(-n // stride) for n in size] == target
    if channels == wanted or not fits:
        return []
    step = f"  stride: {stride}" if stride > 1 else ""
    name = texts[value].text if value in texts else value.name
    conv = f"conv({name}) {{ filters: {wanted}  kernel: 1{step} }}"
    edits = [Edit(texts[value], conv)] if value in texts else []
    return [Fix(f"`{conv}` in place of {name} makes them equal", *edits)]


def _stands_before(value: Value, node: Node, places: Mapping[Value, Span]) -> bool:
    """Whether a value can be named where a node stands."""
    place = places.get(value)
    return place is not None and place.start < node.span.start


def _feeds(node: Node, value: Value, makers: Mapping[Value, Node]) -> bool:
    """Whether a value depends on a node, or on too many for it to be known."""
    seen: set[Node] = set()
    waiting = [value]
    while waiting:
        maker = makers.get(waiting.pop())
        if maker is node or len(seen) > MAX_FOLLOWED:
            return True
        if maker is not None and maker not in seen:
            seen.add(maker)
            waiting += maker.inputs
    return False


def _fix(op: type[Op], node: Layer, shape: Shape, target: Shape) -> dict[str, str]:
    """The fields of a layer that would give it the target shape; empty where there are none.

    `op` is the one whose inputs have to be equal.
    """
    channels_matter = op.equal_inputs == "shape"
    if isinstance(node.op, LearnedValue):
        dims = (1 if n == 1 else int(whole) for n, whole in zip(shape, target, strict=True))
        return {"shape": f"[{', '.join(map(str, dims))}]"}
    if shape[1:] != target[1:]:
        if channels_matter and shape[0] != target[0]:
            return {}
        inputs = [v.shape for v in node.inputs]
        others = [(op, {name: written}) for name, op, written in variants(_as_written(node))]
        for candidate, fields in (*_resized(node.op, shape, target), *others):
            try:
                if candidate.bind(inputs).outputs(inputs)[0][1:] == target[1:]:
                    return fields
            except ShapeError:
                continue
        return {}
    if channels_matter and any(a.name == "filters" for a in attributes(type(node.op))):
        return {"filters": str(target[0])}
    return {}


def _resized(op: Op, shape: Shape, target: Shape) -> list[tuple[Op, dict[str, str]]]:
    """A transposed convolution with the output pad, or the pads, of a height and width."""
    if not isinstance(op, ConvTranspose):
        return []
    found: list[tuple[Op, dict[str, str]]] = []
    more = [int(wanted) - int(size) for wanted, size in zip(target[1:], shape[1:], strict=True)]
    extra = [now + m for now, m in zip(op.output_pad, more, strict=True)]
    if min(extra) >= 0:
        changed = op.with_attributes(output_pad=tuple(extra))
        found.append((changed, {"output_pad": _pair((extra[0], extra[1]))}))
    top, bottom, left, right = map(int, op.pads)
    height, width = (p - m for p, m in zip((top + bottom, left + right), more, strict=True))
    pads = [max(0, n) for n in (height // 2, height - height // 2, width // 2, width - width // 2)]
    fields = {"pad": str(pads[0]) if len(set(pads)) == 1 else str(pads)}
    short = (max(0, -height), max(0, -width))
    if any(short):
        fields["output_pad"] = _pair(short)
    found.append((op.with_attributes(pad=tuple(pads), output_pad=short), fields))
    return found


def _as_written(node: Layer) -> Op:
    """The op with the fields that a person would change."""
    return node.stated if isinstance(node.stated, Upsample) else node.op


def variants(op: Op) -> list[tuple[str, Op, str]]:
    """The op with another pad or stride, the likeliest first: field, op and the field's text."""
    variants: list[tuple[str, Op, str]] = []
    if isinstance(op, Upsample) and op.scale is not None:
        factors = (op.with_attributes(scale=(k, k)) for k in range(1, 33))
        return [("scale", candidate, str(k)) for k, candidate in enumerate(factors, 1)]
    if not isinstance(op, Windowed):
        return []
    if isinstance(op, ConvTranspose):
        for extra in range(1, max(*op.stride, *op.dilation)):
            variants.append(("output_pad", op.with_attributes(output_pad=(extra,) * 2), str(extra)))
    if isinstance(op, MaxPool | AvgPool):
        other = "floor" if op.round == "ceil" else "ceil"
        variants.append(("round", op.with_attributes(round=other), other))
    largest = min(max(op.kernel), 16)
    for pad in range(largest):
        variants.append(("pad", op.with_attributes(pad=(pad,) * 4), str(pad)))
    height, width = (k // 2 for k in op.kernel)
    pads = (height, height, width, width)
    variants.append(("pad", op.with_attributes(pad=pads), f"[{height}, {width}]"))
    for stride in (1, 2, 4):
        variants.append(("stride", op.with_attributes(stride=(stride, stride)), str(stride)))
    return variants


def _smaller_window(op: type[Op], attrs: Mapping[str, Any], shape: Shape) -> list[str]:
    """The least pad with which a convolution fits, or the largest kernel."""
    kernel, dilation = attrs["kernel"], attrs.get("dilation", (1, 1))
    spans = [extent(k, d) for k, d in zip(kernel, dilation, strict=True)]
    pad = max(-(-(span - size) // 2) for span, size in zip(spans, shape[1:], strict=True))
    # A pooling gains nothing from windows that are mostly padding.
    if "filters" in attrs and 2 * pad < min(spans):
        return [f"`pad: {pad}` makes room for it"]
    if dilation == (1, 1):
        fitting = [min(k, size) for k, size in zip(kernel, shape[1:], strict=True)]
        return [f"the largest kernel that fits without padding is {fitting[0]}x{fitting[1]}"]
    return []
