"""How stages are written as steps of a plan (`kernels/steps.py`).

Ops without a planner, and uses of ops that theirs leaves out, are written as the plain expression
of `emitters.py`, in a step that hands its result on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from netspec.layout import Call, Source, call
from netspec.ops import (
    Add,
    Arithmetic,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    GlobalAvgPool,
    Linear,
    Maximum,
    MaxPool,
    Mul,
    Op,
    Relu,
    Relu6,
    Sub,
)
from netspec.passes.algorithms import choose
from netspec.passes.stages import Stage, can_finish


class Step(Protocol):
    """What a planner needs of the step it writes."""

    at: str
    inputs: list[Source]

    def kernel(self, name: str) -> str:
        """The name of a kernel, which is included in the file."""


Keywords = dict[str, Source | str]
Planner = Callable[[Any, Stage, Step], Source | None]

PLANNERS: dict[type[Op], Planner] = {}


def plans(*ops: type[Op]) -> Callable[[Planner], Planner]:
    """Decorator: the planner of some ops. It returns None for what only the emitter can do."""

    def register(planner: Planner) -> Planner:
        PLANNERS.update(dict.fromkeys(ops, planner))
        return planner

    return register


def _laid(step: Step, kernel: str, *args: Source | str, **keywords: Source | str) -> Call:
    return call(step.kernel(kernel), "p", step.at, *args, **keywords)


def _ending(stage: Stage) -> Keywords:
    """The keywords of a convolution for what comes at its end."""
    keywords = _cut(stage)
    if not stage.biases and not keywords:
        keywords["raw"] = "True"
    return keywords


def _cut(stage: Stage) -> Keywords:
    keywords: Keywords = {}
    if stage.cut is not None:
        keywords["relu"] = "True"
        if isinstance(stage.cut, Relu6):
            keywords["top"] = "6.0"
    return keywords


def _window(op: Conv | MaxPool | AvgPool) -> Keywords:
    keywords: Keywords = {}
    if any(op.pads):
        keywords["pads"] = str(tuple(int(p) for p in op.pads))
    if op.dilation != (1, 1):
        keywords["dilation"] = pair(op.dilation)
    return keywords


def pair(numbers: tuple[int, int]) -> str:
    return str((int(numbers[0]), int(numbers[1])))


def quoted(text: str) -> str:
    return f'"{text}"'


@plans(Conv, Linear)
def weighted(op: Conv | Linear, stage: Stage, step: Step) -> Source:
    algorithm = choose(stage)
    args = [step.inputs[0], quoted(stage.layer.path)]
    if isinstance(op, Linear) or algorithm.kind == "product":
        return _laid(step, "pointwise", *args, **_ending(stage))
    keywords = _window(op)
    if algorithm.kind == "winograd":
        keywords = {} if tuple(op.pads) == (1, 1, 1, 1) else {"pads": str(tuple(op.pads))}
        return _laid(step, "winograd", *args, **keywords, **_ending(stage))
    if op.stride != (1, 1):
        keywords = {"stride": pair(op.stride), **keywords}
    if algorithm.kind == "gather" and op.group_count != 1:
        keywords["groups"] = str(int(op.group_count))
    kernel = "depthwise" if algorithm.kind == "depthwise" else "convolve"
    if kernel == "depthwise":
        kernel = "convolve_depthwise"
    return _laid(step, kernel, *args, **keywords, **_ending(stage))


@plans(MaxPool)
def max_pool(op: MaxPool, stage: Stage, step: Step) -> Source | None:
    if step.at.startswith("["):
        return None  # its indices are wanted too
    keywords = _window(op)
    if op.rounding == "ceil":
        keywords["ceil"] = "True"
    window = (pair(op.kernel), pair(op.stride))
    return _laid(step, "max_pool", step.inputs[0], *window, **keywords, **_cut(stage))


@plans(AvgPool)
def avg_pool(op: AvgPool, stage: Stage, step: Step) -> Source:
    keywords = _window(op)
    if op.rounding == "ceil":
        keywords["ceil"] = "True"
    if any(op.pads) and not op.count_include_pad:
        keywords["count_include_pad"] = "False"
    window = (pair(op.kernel), pair(op.stride))
    return _laid(step, "avg_pool", step.inputs[0], *window, **keywords)


@plans(GlobalAvgPool)
def global_avg_pool(op: Op, stage: Stage, step: Step) -> Source:
    return _laid(step, "global_avg_pool", *step.inputs)


@plans(Concat)
def concat(op: Op, stage: Stage, step: Step) -> Source:
    return _laid(step, "concat", *step.inputs, **_cut(stage))


_FUNCTIONS: dict[type[Op], str] = {
    Add: "np.add",
    Sub: "np.subtract",
    Mul: "np.multiply",
    Maximum: "np.maximum",
}


@plans(*_FUNCTIONS)
def arithmetic(op: Arithmetic, stage: Stage, step: Step) -> Source | None:
    if not can_finish(stage):
        return None  # some inputs spread over the others
    return _laid(step, "arithmetic", _FUNCTIONS[type(op)], *step.inputs, **_cut(stage))


@plans(Relu, Relu6)
def rectify(op: Op, stage: Stage, step: Step) -> Source:
    top: Keywords = {"top": "6.0"} if isinstance(op, Relu6) else {}
    return _laid(step, "rectify", step.inputs[0], relu="True", **top)


@plans(BatchNorm)
def batch_norm(op: BatchNorm, stage: Stage, step: Step) -> Source:
    eps: Keywords = {} if op.eps == 1e-5 else {"eps": repr(float(op.eps))}
    name = quoted(stage.layer.path)
    return _laid(step, "normalize", step.inputs[0], name, **eps, **_cut(stage))


def fold(stage: Stage, step: Step) -> Source | None:
    """The call that multiplies a batch norm into the weights before they are used."""
    if stage.norm is None:
        return None
    op = stage.norm.op
    assert isinstance(op, BatchNorm), "only batch norms are folded"
    eps: Keywords = {} if op.eps == 1e-5 else {"eps": repr(float(op.eps))}
    names = (quoted(stage.layer.path), quoted(stage.norm.path))
    return call(step.kernel("fold"), "p", *names, **eps)
