"""The fields of a net's `train` block, in the manner of Caffe's solver: how it is trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from math import inf
from typing import Any, NamedTuple, get_args

from netspec.diagnostics import Diagnostic
from netspec.diagnostics.fixes import Replacement
from netspec.diagnostics.source import Span
from netspec.diagnostics.suggest import did_you_mean, one_of
from netspec.ir import Training
from netspec.ir.config import Optimizer, Schedule
from netspec.lazy_dataclasses import fields
from netspec.ops import Init, Initial
from netspec.ops.attribute_types import (
    AttributeType,
    ChangesAndMagnitude,
    ClassWeights,
    Flag,
    Integer,
    Interval,
    Multipliers,
    OneOf,
    Places,
    RealNumber,
)
from netspec.semantic.evaluator import Evaluator
from netspec.semantic.fields import Report, read_fields
from netspec.semantic.scope import EvaluationError, evaluation_error
from netspec.syntax.ast import Field, NetBlock


class TrainField(NamedTuple):
    """`of` names a field and the words of it that this field goes with; None: with all."""

    kind: AttributeType
    doc: str
    of: tuple[str, tuple[str, ...]] | None = None


OPTIMIZERS: tuple[str, ...] = get_args(Optimizer)
SCHEDULES: tuple[str, ...] = get_args(Schedule)


def _optimizers_but(*words: str) -> tuple[str, tuple[str, ...]]:
    return "optimizer", tuple(w for w in OPTIMIZERS if w not in words)


_MEANS = ("optimizer", ("adadelta", "rmsprop"))
_PENALIZED = _optimizers_but("adamw")
_MOMENTUM = _optimizers_but("adagrad", "adadelta")
_ADAPTIVE = _optimizers_but("sgd", "nesterov")
_ADAM = _optimizers_but("sgd", "nesterov", "adagrad", *_MEANS[1])

TRAIN_FIELDS: dict[str, TrainField] = {
    "optimizer": TrainField(
        OneOf(OPTIMIZERS),
        "sgd with momentum, that of Nesterov, Adam, Adam with decoupled weight decay, NAdam, "
        "RAdam, AdaMax, AdaGrad, AdaDelta or RMSProp (sgd)",
    ),
    "learning_rate": TrainField(RealNumber(positive=True), "the base learning rate"),
    "schedule": TrainField(OneOf(SCHEDULES), "how the rate falls from there (constant)"),
    "power": TrainField(
        RealNumber(positive=True),
        "poly: the rate is proportional to (1 - done / all iterations) ** power (1); "
        "inv: to (1 + gamma * done) ** -power",
        ("schedule", ("poly", "inv")),
    ),
    "steps": TrainField(
        Places(),
        "step: at which iterations the rate falls; one number: every so many; "
        "sigmoid: at which it is half",
        ("schedule", ("step", "sigmoid")),
    ),
    "gamma": TrainField(
        RealNumber(),
        "step, exp and plateau: the factor by which it falls (0.1); inv and sigmoid: how fast",
        ("schedule", ("step", "plateau", "inv", "exp", "sigmoid")),
    ),
    "wait": TrainField(
        Integer(0),
        "plateau: how many evaluations in a row may bring no smaller held-out loss before the rate "
        "falls (10)",
        ("schedule", ("plateau",)),
    ),
    "final_rate": TrainField(
        RealNumber(0),
        "poly, cosine and one_cycle: the rate at the end (0); plateau: the smallest",
        ("schedule", ("poly", "cosine", "one_cycle", "plateau")),
    ),
    "warmup": TrainField(
        Integer(0),
        "iterations in which the rate first rises linearly (0); in one_cycle as a cosine, from a "
        "25th (30% of all)",
    ),
    "momentum": TrainField(
        RealNumber(0, 1, below=True),
        "of sgd (0.9) and rmsprop (0); the first beta of Adam and its kin (0.9)",
        _MOMENTUM,
    ),
    "beta2": TrainField(
        RealNumber(0, 1, below=True), "the second beta of Adam and its kin (0.999)", _ADAM
    ),
    "weight_decay": TrainField(RealNumber(0), "the factor of the penalty's gradient (0)"),
    "regularization": TrainField(
        OneOf(("l2", "l1")),
        "the penalty: l2, half the sum of squares, or l1, the sum of magnitudes (l2)",
        _PENALIZED,
    ),
    "decay_all": TrainField(
        Flag(), "whether biases, and factors of normalizations, decay as well (true)"
    ),
    "clip_norm": TrainField(RealNumber(positive=True), "largest norm of all gradients (no limit)"),
    "clip_value": TrainField(
        RealNumber(positive=True), "largest magnitude of each number of a gradient (no limit)"
    ),
    "ema": TrainField(
        RealNumber(0, 1, below=True),
        "evaluate and keep a mean of the weights over the iterations, with this share of the past, "
        "for example 0.999 (no mean)",
    ),
    "patience": TrainField(
        Integer(1), "end after so many evaluations in a row without a better one (train to the end)"
    ),
    "batch_size": TrainField(Integer(), "samples of one step, those of all processes together"),
    "iterations": TrainField(Integer(), "steps in all"),
    "epochs": TrainField(
        RealNumber(positive=True), "instead: how often each sample is seen; may be a fraction"
    ),
    "init": TrainField(
        Initial(), "how the weights of layers without an `init` of their own are drawn"
    ),
    "label_smoothing": TrainField(
        RealNumber(0, 1, below=True), "share of a label that is spread over all classes (0)"
    ),
    "mirror": TrainField(Flag(), "flip every other picture from left to right (false)"),
    "random_crop": TrainField(Flag(), "crop anywhere instead of at the centre (false)"),
    "shift": TrainField(Integer(0), "move pictures by up to so many pixels, zeros coming in (0)"),
    "rho": TrainField(
        RealNumber(0, 1),
        "adadelta and rmsprop: the share of the past in the mean of squares (0.9; 0.99)",
        _MEANS,
    ),
    "epsilon": TrainField(
        RealNumber(0),
        "of adaptive optimizers: added to what they divide by (1e-8; adagrad 1e-10, adadelta 1e-6)",
        _ADAPTIVE,
    ),
    "lr_mult": TrainField(
        Multipliers(),
        "factor of the rate of layers that say none; two: of weights, of biases (1)",
    ),
    "resized_crop": TrainField(
        Interval(most=1),
        "cut out a random share of the area, from the first number to the second (1)",
    ),
    "crop_ratio": TrainField(
        Interval(), "of resized_crop: least and largest width / height ([3/4, 4/3])"
    ),
    "rotate": TrainField(
        RealNumber(0, 180), "turn pictures by up to so many degrees, zeros coming in (0)"
    ),
    "brightness": TrainField(RealNumber(0), "change it by up to this share (0)"),
    "contrast": TrainField(RealNumber(0), "change it by up to this share (0)"),
    "saturation": TrainField(RealNumber(0), "change it by up to this share (0)"),
    "hue": TrainField(RealNumber(0, 0.5), "turn it by up to this share of the circle (0)"),
    "randaugment": TrainField(
        ChangesAndMagnitude(),
        "how many random changes a picture gets (2), and their magnitude, up to 30",
    ),
    "erase": TrainField(RealNumber(0, 1), "share of the pictures of which a box becomes 0 (0)"),
    "mixup": TrainField(
        RealNumber(0), "average samples in pairs, by shares of beta(mixup, mixup) (0: no)"
    ),
    "cutmix": TrainField(
        RealNumber(0),
        "put boxes of pictures into others, by shares of beta(cutmix, cutmix) (0: no)",
    ),
    "sampling": TrainField(
        OneOf(("shuffled", "balanced")),
        "shuffled: each sample once an epoch; balanced: as many of each class (shuffled)",
        ("loss", ("cross_entropy",)),
    ),
    "class_weights": TrainField(
        ClassWeights(),
        "how much a class counts in the loss; balanced: the less the more samples it has (1 each)",
        ("loss", ("cross_entropy",)),
    ),
    "loss": TrainField(
        OneOf(("cross_entropy", "bce")),
        "cross entropy of one class a sample, or for any number of labels a sample the binary one",
    ),
}
REQUIRED = ("learning_rate", "batch_size")


def training(statement: NetBlock, evaluator: Evaluator, report: Report) -> Training | None:
    """The recipe of a `train` block; None where it is wrong, and everything that is is reported."""
    values, given = read_fields(statement.fields, partial(_value, evaluator), report)
    if len(values) < len(statement.fields):
        return None
    sound = True
    places = {name: f.name.span for name, f in given.items()}
    for diagnostic in _wrong_together(values, places, statement.word):
        report(EvaluationError(diagnostic))
        sound = False
    return Training(**values) if sound else None


def overridden(
    base: Training | None,
    settings: Sequence[Field],
    evaluator: Evaluator,
    report: Report,
) -> Training | None:
    """A recipe with some fields replaced; None where it is wrong, and that is reported.

    Giving `iterations` takes away `epochs` and the other way round, and a warm-up that leaves
    nothing of them, and one kind of crop the other; a new `schedule` or `optimizer` takes away the
    fields that go with another.
    """
    values: dict[str, Any] = {}
    given: dict[str, Span] = {}
    sound = True
    for f in settings:
        try:
            # Of an option that is given twice, the last counts.
            values[f.name.text] = _value(evaluator, f)
            given[f.name.text] = f.name.span
        except EvaluationError as error:
            report(error)
            sound = False
    if not sound:
        return None
    if base is not None:
        stated = {n: getattr(base, n) for n in TRAIN_FIELDS if getattr(base, n) != _default(n)}
        if "iterations" in values or "epochs" in values:
            stated.pop("iterations", None)
            stated.pop("epochs", None)
        if stated.get("warmup", 0) >= values.get("iterations", inf):
            del stated["warmup"]
        if "resized_crop" in values:
            stated.pop("random_crop", None)
        if values.get("random_crop"):
            stated.pop("resized_crop", None)
            stated.pop("crop_ratio", None)
        merged = {**stated, **values}
        values = {n: v for n, v in merged.items() if n in given or _applies(n, merged)}
    for diagnostic in _wrong_together(values, given, None):
        report(EvaluationError(diagnostic))
        sound = False
    return Training(**values) if sound else None


def _default(name: str) -> Any:
    return next(f.default for f in fields(Training) if f.name == name)


_EXAMPLES = {
    "learning_rate": ("learning_rate", "0.01"),
    "batch_size": ("batch_size", "32"),
    "iterations or epochs": ("epochs", "10"),
}


def _applies(name: str, values: Mapping[str, Any]) -> bool:
    """Whether a field has a meaning beside the others."""
    of = TRAIN_FIELDS[name].of
    return of is None or values.get(of[0], _default(of[0])) in of[1]


def _wrong_together(
    values: Mapping[str, Any], given: Mapping[str, Span], place: Span | None
) -> Iterable[Diagnostic]:
    """What is wrong with the fields together."""
    missing = [name for name in REQUIRED if name not in values]
    if "iterations" not in values and "epochs" not in values:
        missing.append("iterations or epochs")
    if missing:
        *most, last = missing
        message = f"a train block needs {', '.join(most)}{' and ' if most else ''}{last}"
        # Without a block all fields are from options.
        written = "--train {}={}" if place is None else "{}: {}"
        examples = (written.format(*_EXAMPLES[name]) for name in missing)
        gap = " " if place is None else "  "
        help_ = (f"for example `{gap.join(examples)}`",)
        yield Diagnostic("missing-field", message, place, help=help_)
    if "iterations" in values and "epochs" in values:
        message = "training ends after so many iterations or so many epochs, not both"
        yield Diagnostic("conflicting-fields", message, given.get("epochs", place))
    for name in values:
        of = TRAIN_FIELDS[name].of
        if of is not None and not _applies(name, values):
            first, *others = of[1]
            *most, last = (f"`{word}`" for word in (f"{of[0]}: {first}", *others))
            words = f"{', '.join(most)} or {last}" if most else last
            message = f"{name} goes with {words} only"
            yield Diagnostic("conflicting-fields", message, given.get(name, place))
    if values.get("schedule") == "step" and "steps" not in values:
        help_ = ("for example `steps: 100_000`, or `steps: [60_000, 90_000]`",)
        message = "`schedule: step` needs the field steps"
        yield Diagnostic("missing-field", message, given.get("schedule", place), help=help_)
    yield from _wrong_gamma(values, given, place)
    yield from _wrong_changes(values, given, place)
    iterations, warmup = values.get("iterations"), values.get("warmup", 0)
    if iterations is not None and warmup >= iterations:
        message = f"a warm-up of {warmup:,} leaves nothing of {iterations:,} iterations"
        help_ = (f"for example a tenth of them: `warmup: {iterations // 10}`",)
        yield Diagnostic("out-of-range", message, given.get("warmup", place), help=help_)
    if values.get("final_rate", 0) > values.get("learning_rate", float("inf")):
        message = "final_rate is where the rate falls to, but it exceeds learning_rate"
        yield Diagnostic("out-of-range", message, given.get("final_rate", place))


def _wrong_gamma(
    values: Mapping[str, Any], given: Mapping[str, Span], place: Span | None
) -> Iterable[Diagnostic]:
    """What is wrong with the numbers of a schedule that has a gamma."""
    schedule = values.get("schedule")
    if schedule in ("inv", "sigmoid"):
        wanted = ("gamma", "power") if schedule == "inv" else ("gamma", "steps")
        for name in wanted:
            if name not in values:
                message = f"`schedule: {schedule}` needs the field {name}"
                yield Diagnostic("missing-field", message, given.get("schedule", place))
    if schedule == "sigmoid" and len(values.get("steps", (0,))) != 1:
        message = "`schedule: sigmoid` takes one number as steps: where the rate is half"
        yield Diagnostic("wrong-type", message, given.get("steps", place))
    gamma = values.get("gamma", 0.1)
    if schedule in ("step", "exp", "plateau") and not 0 <= gamma <= 1:
        message = f"gamma takes a number from 0 to 1 with `schedule: {schedule}`, not {gamma:g}"
        yield Diagnostic("out-of-range", message, given.get("gamma", place))
    if schedule == "inv" and gamma < 0:
        message = f"gamma takes a number from 0 with `schedule: inv`, not {gamma:g}"
        yield Diagnostic("out-of-range", message, given.get("gamma", place))


def _wrong_changes(
    values: Mapping[str, Any], given: Mapping[str, Span], place: Span | None
) -> Iterable[Diagnostic]:
    """What is wrong with the changes of pictures."""
    if "crop_ratio" in values and "resized_crop" not in values:
        message = "crop_ratio goes with resized_crop only"
        yield Diagnostic("conflicting-fields", message, given.get("crop_ratio", place))
    if "resized_crop" in values and values.get("random_crop"):
        message = "resized_crop cuts pictures itself, so random_crop has nothing to do"
        yield Diagnostic("conflicting-fields", message, given.get("random_crop", place))


def _value(evaluator: Evaluator, f: Field) -> Any:
    """A field's value as a plain Python value. Raises EvaluationError."""
    name = f.name.text
    if name not in TRAIN_FIELDS:
        known = FOREIGN_FIELDS.get(name)
        option = FOREIGN_OPTIONS.get(name)
        if known:
            text = f"what other tools call {name} is `{known}` here"
            help_: tuple[str, ...] = (Replacement(text, name, known),)
        elif name in UNLIKE_FIELDS:
            help_ = (f"here it is `{UNLIKE_FIELDS[name][0]}`: {UNLIKE_FIELDS[name][1]}",)
        elif option:
            help_ = (f"it is an option: `netspec train {option}`",)
        else:
            help_ = did_you_mean(name, TRAIN_FIELDS)
            help_ = help_ or (f"it has {one_of(TRAIN_FIELDS, len(TRAIN_FIELDS))}",)
        raise evaluation_error(
            "unknown-field", f"a train block has no field {name}", f.name.span, *help_
        )
    kind = TRAIN_FIELDS[name].kind

    def foreign(text: str) -> tuple[str, ...]:
        plain = text.strip("\"'").lower().replace("_", "").removesuffix("lr")
        here = FOREIGN_VALUES.get(name, {}).get(plain)
        return (f"write `{name}: {here}`",) if here else ()

    return _plain(evaluator.field(f.value, kind, f"{name} of a train block", foreign))


def _plain(value: Any) -> Any:
    """A value without the expression that a number came from, which only layers need."""
    if isinstance(value, tuple):
        return tuple(_plain(v) for v in value)
    if isinstance(value, bool | str | Init):
        return value
    return int(value) if isinstance(value, int) else float(value)


FOREIGN_FIELDS = {
    **dict.fromkeys(("base_lr", "lr", "initial_lr", "max_lr", "lr_base"), "learning_rate"),
    **dict.fromkeys(("lr_policy", "lr_scheduler", "scheduler", "sched"), "schedule"),
    **dict.fromkeys(("max_iter", "max_iters", "max_steps", "total_steps", "T_max"), "iterations"),
    **dict.fromkeys(("num_epochs", "max_epochs", "n_epochs", "nb_epoch"), "epochs"),
    **dict.fromkeys(("iter_size", "batch", "bs"), "batch_size"),
    **dict.fromkeys(("stepsize", "stepvalue", "step_size", "milestones"), "steps"),
    **dict.fromkeys(("decay_steps", "boundaries"), "steps"),
    **dict.fromkeys(("decay_rate", "factor", "lr_gamma"), "gamma"),
    **dict.fromkeys(("min_lr", "eta_min", "end_lr", "end_learning_rate"), "final_rate"),
    **dict.fromkeys(("type", "optim", "solver", "opt"), "optimizer"),
    **dict.fromkeys(("decay", "wd"), "weight_decay"),
    **dict.fromkeys(("regularization_type", "penalty"), "regularization"),
    **dict.fromkeys(("beta_1", "beta1"), "momentum"),
    **dict.fromkeys(("momentum2", "beta_2"), "beta2"),
    **dict.fromkeys(("rms_decay", "alpha"), "rho"),
    **dict.fromkeys(("delta", "eps", "opt_eps"), "epsilon"),
    **dict.fromkeys(("warmup_steps", "warmup_iters", "warmup_t"), "warmup"),
    **dict.fromkeys(("clip_gradients", "clip_grad_norm", "clip_grad", "max_norm"), "clip_norm"),
    **dict.fromkeys(("clipnorm", "global_clipnorm", "max_grad_norm"), "clip_norm"),
    **dict.fromkeys(("clipvalue", "clip_grad_value"), "clip_value"),
    **dict.fromkeys(("model_ema_decay", "ema_decay", "ema_momentum", "average_decay"), "ema"),
    "smoothing": "label_smoothing",
    "flip": "mirror",
    "hflip": "mirror",
    "horizontal_flip": "mirror",
    "RandomHorizontalFlip": "mirror",
    "RandomFlip": "mirror",
    "RandomCrop": "random_crop",
    "RandomResizedCrop": "resized_crop",
    "random_resized_crop": "resized_crop",
    "scale": "resized_crop",
    "zoom_range": "resized_crop",
    "RandomZoom": "resized_crop",
    "ratio": "crop_ratio",
    "RandomTranslation": "shift",
    "width_shift_range": "shift",
    "height_shift_range": "shift",
    "degrees": "rotate",
    "RandomRotation": "rotate",
    "rotation": "rotate",
    "rotation_range": "rotate",
    "color_jitter": "brightness",
    "ColorJitter": "brightness",
    "RandomBrightness": "brightness",
    "brightness_range": "brightness",
    "RandomContrast": "contrast",
    "RandomErasing": "erase",
    "reprob": "erase",
    "random_erasing": "erase",
    "RandAugment": "randaugment",
    "rand_augment": "randaugment",
    "auto_augment": "randaugment",
    "aa": "randaugment",
    "MixUp": "mixup",
    "mixup_alpha": "mixup",
    "CutMix": "cutmix",
    "cutmix_alpha": "cutmix",
    "class_weight": "class_weights",
    "sampler": "sampling",
    "WeightedRandomSampler": "sampling",
    "criterion": "loss",
}
"""What Caffe, PyTorch, torchvision, timm and Keras call a field, and what it is here."""

UNLIKE_FIELDS = {
    **dict.fromkeys(
        ("warmup_epochs", "warmup_ratio", "pct_start"),
        ("warmup", "a number of iterations"),
    ),
    "warmup_lr": ("warmup", "iterations in which the rate rises from near 0"),
    **dict.fromkeys(("decay_epochs", "decay_milestones"), ("steps", "numbers of iterations")),
    **dict.fromkeys(("betas", "opt_betas"), ("momentum", "the first beta; `beta2` is the second")),
    **dict.fromkeys(("model_ema", "use_ema"), ("ema", "the share of the past, such as 0.999")),
    **dict.fromkeys(
        ("early_stopping", "EarlyStopping", "early_stop"),
        ("patience", "a number of evaluations, each after `netspec train --every N` iterations"),
    ),
    **dict.fromkeys(("patience_epochs", "decay_patience"), ("wait", "a number of evaluations")),
}
"""Fields of other tools that are stated otherwise here, and how."""

FOREIGN_OPTIONS = {
    "seed": "--seed N",
    "random_seed": "--seed N",
    "workers": "--workers N",
    "num_workers": "--workers N",
    "device": "--device DEVICE",
    "amp": "--precision bfloat16",
    "precision": "--precision bfloat16",
    "grad_accum_steps": "--accumulate N",
    "gradient_accumulation_steps": "--accumulate N",
    "validation_split": "--held-out SHARE",
    "validation_freq": "--every N",
    "test_interval": "--every N",
    "freeze": "--freeze PATTERN",
    "frozen": "--freeze PATTERN",
    "pretrained": "--weights FILE",
    "checkpoint": "--weights FILE",
    "resume": "-o FOLDER",
    "output": "-o FOLDER",
    "tensorboard": "--tensorboard FOLDER",
}
"""What is no field but an option of `netspec train`."""

FOREIGN_VALUES = {
    "schedule": {
        **dict.fromkeys(("fixed", "none", "const"), "constant"),
        **dict.fromkeys(("linear", "polynomial", "polynomialdecay", "linearschedule"), "poly"),
        **dict.fromkeys(("multistep", "piecewiseconstantdecay"), "step"),
        **dict.fromkeys(("exponential", "exponentialdecay"), "exp"),
        **dict.fromkeys(("cosineannealing", "cosinedecay", "cos"), "cosine"),
        **dict.fromkeys(("onecycle", "1cycle"), "one_cycle"),
        **dict.fromkeys(("reducelronplateau", "reduceonplateau"), "plateau"),
        **dict.fromkeys(("inversetimedecay",), "inv"),
        "step": "step",
    },
    "optimizer": {
        **dict.fromkeys(("momentum", "sgdmomentum"), "sgd"),
        **dict.fromkeys(("nag", "sgdnesterov"), "nesterov"),
        **dict.fromkeys(("rmsproptf", "rms"), "rmsprop"),
    },
}
"""Values of fields in other tools, without capitals, underscores and `LR` behind them."""
