"""How stages are written as steps of a plan (`kernels/steps.py`).

Ops without a planner, and uses of ops that theirs leaves out, are written as the plain expression
of `emitters.py`, in a step that hands its result on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from netspec.codegen.python_source import FunctionCall, Source, call
from netspec.ops import (
    Add,
    Arithmetic,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    GlobalAvgPool,
    Linear,
    MaxPool,
    Op,
    Relu,
    Relu6,
    Sub,
    Tensor,
)
from netspec_numpy.cost_model import choose
from netspec_numpy.fusion import FusedLayer, can_finish


class Step(Protocol):
    """What a planner needs of the step it writes."""

    at: str
    inputs: list[Source]

    def kernel(self, name: str) -> str:
        """The name of a kernel, which is included in the file."""


Keywords = dict[str, Source | str]
Planner = Callable[[Any, FusedLayer, Step], Source | None]

PLANNERS: dict[type[Op], Planner] = {}


def plans(*ops: type[Op]) -> Callable[[Planner], Planner]:
    """Decorator: the planner of some ops. It returns None for what only the emitter can do."""

    def register(planner: Planner) -> Planner:
        PLANNERS.update(dict.fromkeys(ops, planner))
        return planner

    return register


def _laid(step: Step, kernel: str, *args: Source | str, **keywords: Source | str) -> FunctionCall:
    return call(step.kernel(kernel), "p", step.at, *args, **keywords)


def _then(stage: FusedLayer, step: Step) -> Keywords:
    """The keyword for what comes at the end of a step."""
    if stage.cut is None:
        return {}
    return {"then": step.kernel("relu6" if isinstance(stage.cut, Relu6) else "relu")}


def _window(op: Conv | MaxPool | AvgPool, step: Step) -> FunctionCall:
    """What a filter or pooling sees."""
    keywords: Keywords = {}
    if op.stride != (1, 1):
        keywords["stride"] = pair(op.stride)
    if any(op.pads):
        keywords["pads"] = _numbers(op.pads)
    if op.dilation != (1, 1):
        keywords["dilation"] = pair(op.dilation)
    if not isinstance(op, Conv) and op.rounding == "ceil":
        keywords["ceil"] = "True"
    return call(step.kernel("Window"), pair(op.kernel), **keywords)


def pair(numbers: tuple[int, int]) -> str:
    return str((int(numbers[0]), int(numbers[1])))


def _numbers(numbers: Iterable[int]) -> str:
    return str(tuple(int(n) for n in numbers))


def quoted(text: str) -> str:
    return f'"{text}"'


def dimensions(tensor: Tensor) -> list[str]:
    """A tensor's shape, as the arguments of a call."""
    return [str(int(d)) for d in tensor.shape]


@plans(Conv, Linear)
def weighted(op: Conv | Linear, stage: FusedLayer, step: Step) -> Source:
    kind = choose(stage).kind
    filters = str(int(stage.output.shape[0]))
    inputs = (step.inputs[0], _name(stage, step))
    then = _then(stage, step)
    if isinstance(op, Linear) or kind == "product":
        return _laid(step, "convolve", *inputs, filters, **then)
    if kind == "winograd":
        pads: Keywords = {} if tuple(op.pads) == (1, 1, 1, 1) else {"pads": _numbers(op.pads)}
        return _laid(step, "winograd", *inputs, filters, **pads, **then)
    window = _window(op, step)
    if kind == "depthwise":
        return _laid(step, "convolve_depthwise", *inputs, window, **then)
    if op.group_count == 1 and op.dilation == (1, 1):
        return _laid(step, "convolve", *inputs, filters, window, **then)
    groups: Keywords = {} if op.group_count == 1 else {"groups": str(int(op.group_count))}
    return _laid(step, "convolve_grouped", *inputs, filters, window, **groups, **then)


def _name(stage: FusedLayer, step: Step) -> Source | str:
    """A layer's path, and whether it has no bias of its own nor a batch norm's."""
    path = quoted(stage.layer.path)
    if stage.norm is not None or "bias" in stage.layer.layer.tensors:
        return path
    return call(step.kernel("unbiased"), "p", path)


@plans(MaxPool)
def max_pool(op: MaxPool, stage: FusedLayer, step: Step) -> Source | None:
    if step.at.startswith("[") or op.dilation != (1, 1):
        return None  # its indices are wanted too, or it is a rare one
    inputs = (step.inputs[0], "np.maximum", _window(op, step))
    return _laid(step, "pool", *inputs, **_then(stage, step))


@plans(AvgPool)
def avg_pool(op: AvgPool, stage: FusedLayer, step: Step) -> Source:
    without = any(op.pads) and not op.count_include_pad
    keywords: Keywords = {"count_include_pad": "False"} if without else {}
    return _laid(step, "avg_pool", step.inputs[0], _window(op, step), **keywords)


@plans(GlobalAvgPool)
def global_avg_pool(op: Op, stage: FusedLayer, step: Step) -> Source:
    return _laid(step, "global_avg_pool", *step.inputs)


@plans(Concat)
def concat(op: Op, stage: FusedLayer, step: Step) -> Source:
    return _laid(step, "concat", *step.inputs, **_then(stage, step))


@plans(Add, Sub)
def arithmetic(op: Arithmetic, stage: FusedLayer, step: Step) -> Source | None:
    if not can_finish(stage):
        return None  # some inputs spread over the others
    function = "np.add" if isinstance(op, Add) else "np.subtract"
    return _laid(step, "arithmetic", function, *step.inputs, **_then(stage, step))


@plans(Relu, Relu6)
def rectify(op: Op, stage: FusedLayer, step: Step) -> Source:
    then = step.kernel("relu6" if isinstance(op, Relu6) else "relu")
    return _laid(step, "concat", step.inputs[0], then=then)


@plans(BatchNorm)
def batch_norm(op: BatchNorm, stage: FusedLayer, step: Step) -> Source:
    name, then = quoted(stage.layer.path), _then(stage, step)
    return _laid(step, "normalize", step.inputs[0], name, **_norm(op), **then)


def fold(stage: FusedLayer, step: Step) -> Source | None:
    """The call that multiplies a batch norm into the weights before they are used."""
    if stage.norm is None:
        return None
    op = stage.norm.op
    assert isinstance(op, BatchNorm), "only batch norms are folded"
    names = (quoted(stage.layer.path), quoted(stage.norm.path))
    tensors = stage.layer.layer.tensors
    bias: Keywords = {"bias": "True"} if "bias" in tensors else {}
    return call(
        step.kernel("fold"), "p", *names, *dimensions(tensors["weight"]), **_norm(op), **bias
    )


def _norm(op: BatchNorm) -> Keywords:
    keywords: Keywords = {} if op.eps == 1e-5 else {"eps": repr(float(op.eps))}
    return keywords if op.affine else keywords | {"affine": "False"}
