"""Writes fused layers as steps of the emitted plan: calls of kernels that work in the arena.

    squeeze = convolve(p, pool1, "fire2.squeeze", 16, then=RELU)

`p` is the plan; the kernels are in `kernels/products.py` and
`kernels/steps.py`. An op has such a step where a planner here writes one. All others are written as
the expression of their emitter (`emitters.py`), in a step that copies its result to its slot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from netspec.codegen.python_source import FunctionCall, Source, Verbatim, call, tuple_of
from netspec.ir import Layer
from netspec.ops import Op, Tensor
from netspec.ops.activation import Relu, Relu6
from netspec.ops.convolution import Conv, Linear
from netspec.ops.merging import Add, Arithmetic, Concat, Div, Maximum, Minimum, Mul, Sub
from netspec.ops.normalization import BatchNorm
from netspec.ops.pooling import AvgPool, GlobalAvgPool, MaxPool
from netspec.ops.resizing import MaxUnpool
from netspec.planning.fusion import CLIPS, FusedLayer
from netspec_numpy.cost_model import choose_algorithm, is_square


class AttributeNumbers(Protocol):
    """What writes the numbers of a layer's attributes."""

    def kernel(self, name: str) -> str:
        """The name of a kernel, which is included in the file."""

    def number(self, number: float) -> str:
        """A number of an attribute, which may follow sizes of values."""

    def differs(self, numbers: tuple[float, ...], default: tuple[float, ...]) -> bool:
        """Whether numbers of an attribute are, or may be at another size, not the default."""


class Step(AttributeNumbers, Protocol):
    """What a planner needs of the step it writes.

    `inputs` are the values that the step reads, `several` says whether more than the first result
    is used, `winograd` whether the file has the kernel of this name, which chooses where it pays.
    """

    inputs: list[Source]
    several: bool
    winograd: bool

    def quoted(self, path: str) -> str:
        """A layer's path as source."""


Keywords = dict[str, Source | str]
Planner = Callable[[Any, FusedLayer, Step], Source | None]

PLANNERS: dict[type[Op], Planner] = {}


def plans(*ops: type[Op]) -> Callable[[Planner], Planner]:
    """Decorator: register the planner of some ops.

    It returns None for uses of the op that only the emitter can write.
    """

    def register(planner: Planner) -> Planner:
        PLANNERS.update(dict.fromkeys(ops, planner))
        return planner

    return register


def planner_of(op: Op) -> Planner | None:
    """The planner of an op; any op may have the bounds of a relu or relu6."""
    return clip if op.clip in CLIPS else PLANNERS.get(type(op))


def _kernel_call(
    step: Step, kernel: str, *args: Source | str, **keywords: Source | str
) -> FunctionCall:
    return call(step.kernel(kernel), "p", *args, **keywords)


def _then(layer: FusedLayer, step: Step) -> Keywords:
    """The keyword for a fused activation, which the kernel applies last."""
    if layer.activation is None:
        return {}
    return {"then": step.kernel(CLIPS[layer.activation.clip])}


def _window(layer: FusedLayer, step: Step) -> FunctionCall:
    """The window of a convolution or pooling: kernel, stride, pads, dilation, rounding."""
    op = layer.op
    assert isinstance(op, Conv | MaxPool | AvgPool)
    keywords: Keywords = {}
    if step.differs(op.stride, (1, 1)):
        keywords["stride"] = numbers(step, op.stride)
    if pads_follow_size(layer.layer.layer):
        keywords["pads"] = same_pads(step, op, f"{step.inputs[0].flat()}.data.shape")
    elif step.differs(op.pads, (0, 0, 0, 0)):
        keywords["pads"] = numbers(step, op.pads)
    if step.differs(op.dilation, (1, 1)):
        keywords["dilation"] = numbers(step, op.dilation)
    if not isinstance(op, Conv) and op.rounding == "ceil":
        keywords["ceil"] = "True"
    return call(step.kernel("Window"), numbers(step, op.kernel), **keywords)


def pads_follow_size(layer: Layer) -> bool:
    """Whether a window has `pad: same` and a stride: then its pads depend on the input's size."""
    op: Any = layer.op
    return getattr(layer.stated, "pad", None) == "same" and tuple(op.stride) != (1, 1)


def same_pads(step: AttributeNumbers, op: Any, size: str) -> FunctionCall:
    """A call that gives the pads of `pad: same`, of the source of height and width."""
    window = [op.kernel, op.stride, *([op.dilation] * step.differs(op.dilation, (1, 1)))]
    return call(step.kernel("same_pads"), size, *(numbers(step, n) for n in window))


def numbers(step: AttributeNumbers, of: Iterable[int]) -> Source:
    """Several numbers of an attribute as source of a tuple."""
    sources = [step.number(n) for n in of]
    if all(source.isdecimal() for source in sources):
        return Verbatim(f"({', '.join(sources)})")
    return tuple_of(sources)


def dimensions(tensor: Tensor) -> list[str]:
    """A tensor's shape, as the arguments of a call."""
    return [str(int(d)) for d in tensor.shape]


@plans(Conv, Linear)
def weighted(op: Conv | Linear, layer: FusedLayer, step: Step) -> Source:
    kind = choose_algorithm(layer).kind
    filters = str(int(layer.output.shape[0]))
    inputs = (step.inputs[0], _name(layer, step))
    then = _then(layer, step)
    if isinstance(op, Linear) or kind == "matmul":
        return _kernel_call(step, "convolve", *inputs, filters, **then)
    if isinstance(op, Conv) and is_square(op) and step.winograd:
        return _kernel_call(step, "winograd", *inputs, filters, _window(layer, step), **then)
    window = _window(layer, step)
    if kind == "depthwise":
        return _kernel_call(step, "convolve_depthwise", *inputs, window, **then)
    if op.group_count == 1 and op.dilation == (1, 1):
        return _kernel_call(step, "convolve", *inputs, filters, window, **then)
    groups: Keywords = {} if op.group_count == 1 else {"groups": str(int(op.group_count))}
    return _kernel_call(step, "convolve_grouped", *inputs, filters, window, **groups, **then)


def _name(layer: FusedLayer, step: Step) -> Source | str:
    """A layer's path, in a call that says so where neither it nor a batch norm has a bias."""
    path = step.quoted(layer.layer.weights)
    if layer.batch_norm is not None or "bias" in layer.layer.layer.tensors:
        return path
    return call(step.kernel("without_bias"), "p", path)


@plans(MaxPool)
def max_pool(op: MaxPool, layer: FusedLayer, step: Step) -> Source | None:
    if step.several or op.dilation != (1, 1):
        return None  # its indices are used too, or no step has a dilation
    inputs = (step.inputs[0], "np.maximum", _window(layer, step))
    return _kernel_call(step, "pool", *inputs, **_then(layer, step))


@plans(AvgPool)
def avg_pool(op: AvgPool, layer: FusedLayer, step: Step) -> Source:
    padded = step.differs(op.pads, (0, 0, 0, 0)) or pads_follow_size(layer.layer.layer)
    keywords: Keywords = {}
    if padded and not op.count_include_pad:
        keywords["count_include_pad"] = "False"
    return _kernel_call(step, "avg_pool", step.inputs[0], _window(layer, step), **keywords)


@plans(MaxUnpool)
def max_unpool(op: MaxUnpool, layer: FusedLayer, step: Step) -> Source:
    return _kernel_call(step, "max_unpool", *step.inputs)


@plans(GlobalAvgPool)
def global_avg_pool(op: Op, layer: FusedLayer, step: Step) -> Source:
    return _kernel_call(step, "global_avg_pool", *step.inputs)


@plans(Concat)
def concat(op: Op, layer: FusedLayer, step: Step) -> Source:
    return _kernel_call(step, "concat", *step.inputs, **_then(layer, step))


@plans(Add, Sub)
def arithmetic(op: Add | Sub, layer: FusedLayer, step: Step) -> Source:
    function = "np.add" if isinstance(op, Add) else "np.subtract"
    return _kernel_call(step, "arithmetic", function, *step.inputs, **_then(layer, step))


@plans(Mul, Div, Maximum, Minimum)
def elementwise(op: Arithmetic, layer: FusedLayer, step: Step) -> Source:
    functions = {
        Mul: "np.multiply",
        Div: "np.divide",
        Maximum: "np.maximum",
        Minimum: "np.minimum",
    }
    return _kernel_call(step, "elementwise", functions[type(op)], *step.inputs)


@plans(Relu, Relu6)
def clip(op: Op, layer: FusedLayer, step: Step) -> Source:
    return _kernel_call(step, "clip", step.inputs[0], step.kernel(CLIPS[op.clip]))


@plans(BatchNorm)
def batch_norm(op: BatchNorm, layer: FusedLayer, step: Step) -> Source:
    name, then = step.quoted(layer.layer.weights), _then(layer, step)
    return _kernel_call(
        step, "batch_norm", step.inputs[0], name, **_batch_norm_keywords(op, step), **then
    )


def folded_batch_norm(layer: FusedLayer, step: Step) -> Source | None:
    """The call that multiplies a batch norm into the weights before they are used, if any is."""
    if layer.batch_norm is None:
        return None
    op = layer.batch_norm.op
    assert isinstance(op, BatchNorm), "only batch norms are folded"
    names = (step.quoted(layer.layer.weights), step.quoted(layer.batch_norm.weights))
    tensors = layer.layer.layer.tensors
    bias: Keywords = {"bias": "True"} if "bias" in tensors else {}
    keywords = _batch_norm_keywords(op, step) | bias
    return call(step.kernel("fold_batch_norm"), "p", *names, **keywords)


def _batch_norm_keywords(op: BatchNorm, step: AttributeNumbers) -> Keywords:
    keywords: Keywords = {"eps": step.number(op.eps)} if step.differs((op.eps,), (1e-5,)) else {}
    return keywords if op.affine else keywords | {"affine": "False"}
