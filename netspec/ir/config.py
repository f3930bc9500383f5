"""What a net says beside its layers: parameters, preprocessing of inputs, training, detection."""

from __future__ import annotations

from typing import Any, Literal

from netspec.lazy_dataclasses import dataclass
from netspec.ops import Init


@dataclass(frozen=True)
class Preprocessing:
    """How a picture (values 0 to 255) becomes an input: (pixel * scale - mean) / std.

    `resize` is the length of the shorter side or (height, width); `crop` takes the centre.
    `mean` and `std` have one number, or one per channel in the order of `channels`.
    """

    channels: Literal["rgb", "bgr", "gray"] = "rgb"
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    resize: int | tuple[int, int] | None = None
    crop: Literal["center"] | None = None


# fmt: off
Optimizer = Literal[
    "sgd", "nesterov", "adam", "adamw", "nadam", "radam", "adamax", "adagrad", "adadelta", "rmsprop"
]
Schedule = Literal[
    "constant", "poly", "step", "cosine", "one_cycle", "plateau", "inv", "exp", "sigmoid"
]
# fmt: on


@dataclass(frozen=True)
class Training:
    """How a net is trained, as its `train` block says (semantic/train_block.py has the fields).

    Rates are per iteration, an iteration is one step of the optimizer on `batch_size` samples.
    Just one of `iterations` and `epochs` is given. `steps` are the iterations at which the rate
    falls by `gamma`; with one number, all multiples of it. `init` is how weights without a
    distribution of their own are drawn; None leaves that to their ops. `lr_mult` are factors of
    the rate for weights and biases of layers without factors of their own. `rho` and `epsilon` are
    the optimizer's; None leaves them to PyTorch. `resized_crop` is the range of the share of a
    picture's area, `randaugment` how many changes and their magnitude.
    `ema` is the share of the past in the mean of the weights over the iterations. `patience` and
    `wait` count evaluations.
    """

    learning_rate: float
    batch_size: int
    iterations: int | None = None
    epochs: float | None = None
    optimizer: Optimizer = "sgd"
    schedule: Schedule = "constant"
    power: float = 1.0
    steps: tuple[int, ...] = ()
    gamma: float = 0.1
    final_rate: float = 0.0
    warmup: int = 0
    momentum: float | None = None
    beta2: float = 0.999
    weight_decay: float = 0.0
    decay_all: bool = True
    clip_norm: float | None = None
    init: Init | None = None
    label_smoothing: float = 0.0
    mirror: bool = False
    random_crop: bool = False
    shift: int = 0
    rho: float | None = None
    epsilon: float | None = None
    lr_mult: tuple[float, float] | None = None
    regularization: Literal["l2", "l1"] = "l2"
    resized_crop: tuple[float, float] | None = None
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    rotate: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    randaugment: tuple[int, int] | None = None
    erase: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    sampling: Literal["shuffled", "balanced"] = "shuffled"
    class_weights: Literal["balanced"] | tuple[float, ...] | None = None
    loss: Literal["cross_entropy", "bce"] = "cross_entropy"
    clip_value: float | None = None
    ema: float | None = None
    patience: int | None = None
    wait: int | None = None

    @property
    def used_momentum(self) -> float:
        """The momentum, or what its optimizer has where it is not given."""
        return usual_momentum(self.optimizer) if self.momentum is None else self.momentum


def usual_momentum(optimizer: str) -> float:
    """The momentum of an optimizer, or its first beta, where a recipe gives none."""
    return 0.0 if optimizer == "rmsprop" else 0.9


@dataclass(frozen=True)
class Detection:
    """How the planes of a net become boxes, as its `detect` block says (semantic/detect_block.py).

    `anchors` are heights and widths in pixels of the input, the same at each place of the planes.
    The planes are those of SqueezeDet (Wu et al. 2016, arXiv:1612.01051): for each anchor a score
    of every class, then a confidence of each, then the 4 numbers of each that move its box.
    `clip` is the number from which on a factor of a size grows linearly instead of exponentially,
    None for never.
    """

    anchors: tuple[tuple[float, float], ...]
    decode: Literal["squeezedet"] = "squeezedet"
    labels: tuple[str, ...] = ()
    threshold: float = 0.005
    top: int = 64
    nms: float = 0.4
    shown: float = 0.4
    clip: float | None = 1.0
    box_loss: float = 5.0
    object_loss: float = 75.0
    background_loss: float = 100.0
    class_loss: float = 1.0

    def classes(self, planes: int) -> int:
        """The number of classes that so many planes tell apart; 0 where they are not of these."""
        each, rest = divmod(planes, len(self.anchors))
        return 0 if rest else max(each - 5, 0)


@dataclass(frozen=True)
class NetParameter:
    """A parameter of the net: its value, and whether it only sets numbers of layers.

    A `static` one decides what the network is made of (through `if`, `for`, names or input
    shapes).
    """

    name: str
    value: Any
    static: bool
