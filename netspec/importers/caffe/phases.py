"""Which layers belong to a net: its phase, level and stages."""

from __future__ import annotations

from netspec.diagnostics import Diagnostic, Diagnostics
from netspec.importers.caffe.message_fields import MessageFields
from netspec.importers.caffe.read_options import ReadOptions
from netspec.lazy_dataclasses import dataclass
from netspec.syntax.protobuf_text.ast import Message, Scalar


@dataclass(frozen=True)
class NetState:
    """The phase, level and stages that are read."""

    phase: str
    level: int
    stages: frozenset[str]


def state_of(fields: MessageFields, options: ReadOptions) -> NetState:
    """The state from the options, else the file, else Caffe\'s default."""
    stated_state = fields.message("state")
    phase = options.phase or stated_state.word("phase")
    level = stated_state.integer("level") if options.level is None else options.level
    stages = options.stages
    if stages is None:
        stated = tuple(text for text, _ in stated_state.texts("stage"))
        # Files for all purposes (those of DIGITS) have the net to be used under this stage.
        stages = stated or (("deploy",) if _knows_deploy(fields) else ())
    return NetState(phase, level, frozenset(stages))


def _knows_deploy(fields: MessageFields) -> bool:
    """Whether a layer has the stage `deploy` in its rules."""
    for f in fields.given("layer") + fields.given("layers"):
        if isinstance(f.value, Message):
            for rule in f.value.fields:
                if rule.name in ("include", "exclude") and isinstance(rule.value, Message):
                    for part in rule.value.fields:
                        if part.name == "stage" and isinstance(part.value, Scalar):
                            if part.value.text == "deploy":
                                return True
    return False


def belongs(fields: MessageFields, state: NetState, diagnostics: Diagnostics) -> bool:
    """Whether a layer is part of the net in this state (Caffe's Net::FilterNet)."""
    include, exclude = fields.messages("include"), fields.messages("exclude")
    if include and exclude:
        message = "a layer has either include rules or exclude rules"
        diagnostics.add(Diagnostic("conflicting-fields", message, exclude[0].span))
    if include:
        return any(_matches(rule, state) for rule in include)
    return not any(_matches(rule, state) for rule in exclude)


def _matches(rule: MessageFields, state: NetState) -> bool:
    if "phase" in rule and rule.word("phase") != state.phase:
        return False
    least, most = rule.maybe_integer("min_level"), rule.maybe_integer("max_level")
    if (least is not None and state.level < least) or (most is not None and state.level > most):
        return False
    stages = {text for text, _ in rule.texts("stage")}
    banned = {text for text, _ in rule.texts("not_stage")}
    return stages <= state.stages and banned.isdisjoint(state.stages)
