"""A solver's file as a `train` block."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from netspec.diagnostics import Diagnostic, Diagnostics
from netspec.diagnostics.source import Source, Span
from netspec.importers.caffe.caffe_net import CaffeLayer, CaffeNet, net_inside
from netspec.importers.caffe.message_fields import MessageFields
from netspec.importers.caffe.training_facts import multipliers
from netspec.importers.structure.graph import ConstantValue, FieldValue
from netspec.lazy_dataclasses import dataclass
from netspec.syntax.protobuf_text.parser import parse_prototxt

_OPTIMIZERS = {"SGD": "sgd", "Nesterov": "nesterov", "Adam": "adam", "AdaGrad": "adagrad"}
_OPTIMIZERS |= {"AdaDelta": "adadelta", "RMSProp": "rmsprop"}
_OLD = {"SGD": "SGD", "NESTEROV": "Nesterov", "ADAM": "Adam", "ADAGRAD": "AdaGrad"}
_OLD |= {"RMSPROP": "RMSProp", "ADADELTA": "AdaDelta"}


_State = Callable[[str, "ConstantValue | int", Span], None]


@dataclass(frozen=True)
class Solver:
    """The fields of a solver's file."""

    source: Source
    fields: MessageFields
    has_net: bool
    """Whether the net stands in the solver's own file."""

    @property
    def net(self) -> str:
        """The path of its net's file; empty where it names none."""
        return self.fields.text("net") or self.fields.text("train_net")


@dataclass(frozen=True)
class SolverRecipe:
    """The fields of a `train` block, and notes on what the block does not say.

    `settings` is empty where there can be no block.
    """

    settings: dict[str, FieldValue]
    notes: list[str]


def read_solver(source: Source, diagnostics: Diagnostics) -> Solver | None:
    """The solver in a file; None, and diagnostics, where the file is none."""
    tree = parse_prototxt(source, diagnostics)
    if tree is None:
        return None
    fields = MessageFields("SolverParameter", (tree,), tree.span, diagnostics)
    if "base_lr" not in fields:
        message = f"{source.name} is no solver: it has no base_lr"
        diagnostics.add(Diagnostic("missing-field", message))
        return None
    fields.check()
    return Solver(source, fields, net_inside(tree) is not None)


def is_solver(source: Source) -> bool:
    """Whether a prototxt, which may have errors, is a solver and no net."""
    tree = parse_prototxt(source, Diagnostics())
    names = {f.name for f in tree.fields} if tree is not None else set()
    return "base_lr" in names and not names & {"layer", "layers"}


def recipe_of(solver: Solver, net: CaffeNet) -> SolverRecipe:
    """How a solver trains its net, as fields of the language's `train` block."""
    p = solver.fields
    notes: list[str] = []
    settings: dict[str, FieldValue] = {}

    def state(name: str, value: ConstantValue | int, place: Span) -> None:
        exact = Fraction(value) if isinstance(value, int) and not isinstance(value, bool) else value
        settings[name] = FieldValue(exact, place)

    kind = p.text("type") or _OLD.get(p.word("solver_type"), "SGD")
    if kind not in _OPTIMIZERS:
        return SolverRecipe({}, [f"The solver's optimizer {kind} has no counterpart."])
    batch = _batch_size(net)
    if batch is None or not p.integer("max_iter"):
        what = "the batch size of training" if batch is None else "max_iter"
        return SolverRecipe({}, [f"There is no train block, since the files do not say {what}."])
    if kind != "SGD":
        state("optimizer", _OPTIMIZERS[kind], p.place("type"))
    state("learning_rate", p.number("base_lr"), p.place("base_lr"))
    notes += _schedule(p, state)
    if kind in ("SGD", "Nesterov", "Adam"):
        state("momentum", p.number("momentum"), p.place("momentum"))
    if kind == "AdaDelta":
        state("rho", p.number("momentum"), p.place("momentum"))
    if kind == "RMSProp":
        rho = p.maybe_number("rms_decay")
        state("rho", Fraction(99, 100) if rho is None else rho, p.place("rms_decay"))
    if kind in ("AdaGrad", "AdaDelta") or (kind in ("Adam", "RMSProp") and "delta" in p):
        epsilon = p.maybe_number("delta")
        state("epsilon", Fraction("1e-8") if epsilon is None else epsilon, p.place("delta"))
    if kind == "Adam":
        beta = p.maybe_number("momentum2")
        state("beta2", Fraction(999, 1000) if beta is None else beta, p.place("momentum2"))
    if p.number("weight_decay"):
        state("weight_decay", p.number("weight_decay"), p.place("weight_decay"))
        if p.text("regularization_type") == "L1":
            state("regularization", "l1", p.place("regularization_type"))
        if no_decay_of_biases(net):
            state("decay_all", False, p.place("weight_decay"))
    if p.number("clip_gradients") > 0:
        state("clip_norm", p.number("clip_gradients"), p.place("clip_gradients"))
    state("batch_size", batch * max(p.integer("iter_size"), 1), p.place("iter_size"))
    state("iterations", p.integer("max_iter"), p.place("max_iter"))
    data = _training_data(net)
    if data is not None:
        transform = data.params("transform_param")
        transform.check()
        for fields in (transform, _source_of(data)):
            if "mirror" in fields and fields.maybe_flag("mirror"):
                state("mirror", True, fields.place("mirror"))
            if "crop_size" in fields and fields.integer("crop_size"):
                state("random_crop", True, fields.place("crop_size"))
    if _learns_behind_fixed_norms(net):
        notes.append(
            "Batch norms with use_global_stats have a Scale that learns: in Caffe their statistics "
            "are fixed in training too, here they are those of each batch."
        )
    return SolverRecipe(settings, notes)


def _learns_behind_fixed_norms(net: CaffeNet) -> bool:
    """Whether a BatchNorm with fixed statistics is followed by a Scale that learns."""
    fixed: set[str] = set()
    for layer in net.layers:
        if layer.type == "BatchNorm":
            if layer.params("batch_norm_param").maybe_flag("use_global_stats"):
                fixed.update(top.name for top in layer.tops)
        elif layer.type == "Scale" and len(layer.bottoms) == 1:
            rates = [rate for rate, _, _ in multipliers(layer)]
            if layer.bottoms[0].name in fixed and (not rates or any(rates)):
                return True
    return False


def _source_of(data: CaffeLayer) -> MessageFields:
    """The message that says where a data layer has its data from."""
    names = [f.name for f in data.fields.all() if f.name.endswith("data_param")]
    return data.params(names[0])


def _schedule(p: MessageFields, state: _State) -> list[str]:
    """State the fields of the learning rate's schedule; notes where there is none like it."""
    policy, place = p.text("lr_policy") or "fixed", p.place("lr_policy")
    gamma, power = p.number("gamma"), p.number("power")
    if policy == "poly":
        state("schedule", "poly", place)
        if power > 0:
            state("power", power, p.place("power"))
    elif policy == "inv" and gamma >= 0 and power > 0:
        state("schedule", "inv", place)
        state("gamma", gamma, p.place("gamma"))
        state("power", power, p.place("power"))
    elif policy == "exp" and 0 <= gamma <= 1:
        state("schedule", "exp", place)
        state("gamma", gamma, p.place("gamma"))
    elif policy == "sigmoid" and p.integer("stepsize") > 0:
        state("schedule", "sigmoid", place)
        state("gamma", gamma, p.place("gamma"))
        state("steps", p.integer("stepsize"), p.place("stepsize"))
    elif policy in ("step", "multistep") and 0 <= gamma <= 1:
        state("schedule", "step", place)
        if policy == "step":
            state("steps", p.integer("stepsize"), p.place("stepsize"))
        else:
            values = tuple(Fraction(v) for v in p.integers("stepvalue"))
            state("steps", values if len(values) != 1 else (values[0],), p.place("stepvalue"))
        state("gamma", gamma, p.place("gamma"))
    elif policy != "fixed":
        numbers = f"gamma {float(gamma):g}, power {float(power):g}"
        return [f"The solver's lr_policy {policy} ({numbers}) has no counterpart; it is constant."]
    return []


def _training_data(net: CaffeNet) -> CaffeLayer | None:
    """The data layer for training, whatever phase was read."""
    layers = [*net.layers, *net.left_out]
    sources = [x for x in layers if not x.bottoms and _batch_of(x) is not None]
    for layer in sources:
        if any(rule.word("phase") == "TRAIN" for rule in layer.fields.messages("include")):
            return layer
    tested = [
        x
        for x in sources
        if any(rule.word("phase") == "TEST" for rule in x.fields.messages("include"))
    ]
    return next((x for x in sources if x not in tested), None)


def _batch_size(net: CaffeNet) -> int | None:
    data = _training_data(net)
    return None if data is None else _batch_of(data)


def _batch_of(layer: CaffeLayer) -> int | None:
    for field in layer.fields.all():
        if field.name.endswith("data_param"):
            params = layer.params(field.name)
            if "batch_size" in params:
                return params.maybe_integer("batch_size")
    return None


def no_decay_of_biases(net: CaffeNet) -> bool:
    """Whether the weight decay leaves out biases, the second blob of each layer."""
    without_decay = []
    for layer in net.layers:
        if layer.type not in ("Convolution", "InnerProduct"):
            continue
        decays = [decay for _, decay, _ in multipliers(layer)]
        if len(decays) > 1:
            without_decay.append(decays[1] == 0)
    return bool(without_decay) and all(without_decay)
