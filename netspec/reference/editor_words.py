"""The words of the language by what they are, for editors: from the lists netspec itself uses."""

from __future__ import annotations

from collections.abc import Iterable

from netspec.ops import OPS, attributes
from netspec.semantic.detect_block import DETECT_FIELDS
from netspec.semantic.evaluator import METRICS, SHAPE_ATTRIBUTES
from netspec.semantic.input_block import INPUT_FIELDS
from netspec.semantic.operations import FUNCTIONS
from netspec.semantic.train_block import TRAIN_FIELDS
from netspec.syntax.parser.ast_builder import UNITS as FACTORS
from netspec.syntax.parser.token_names import WORDS


def _unique(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))


PARTS = ("import", "net", "module", "train", "detect", "variant", "default", "step")
"""What begins a part of a file or a block about a net, or stands behind a range; free as names
inside a body."""
DECLARATIONS = ("input", "output", "let")
CONTRACTS = ("expect", "prefer")
CONTROL = ("for", "if", "else", "in")
OPERATORS = ("and", "or", "not")
CONSTANTS = ("true", "false", "none")
RESERVED = _unique(sorted(WORDS))
"""The words that can't be names: all of the above but PARTS."""

BUILT_IN = tuple(OPS)
FIELDS = _unique(
    [a.name for op in OPS.values() for a in attributes(op)]
    + [*INPUT_FIELDS, *TRAIN_FIELDS, *DETECT_FIELDS]
)
VALUES = _unique(
    [
        word
        for kind in (
            *(a.kind for op in OPS.values() for a in attributes(op)),
            *(f.kind for f in INPUT_FIELDS.values()),
            *(f.kind for f in TRAIN_FIELDS.values()),
            *(f.kind for f in DETECT_FIELDS.values()),
        )
        for word in kind.words
    ]
)
"""The words that enumerated fields take."""
CALLABLE = tuple(FUNCTIONS)
MEASURED = tuple(METRICS)
SIZES = tuple(SHAPE_ATTRIBUTES)
RESULTS = _unique(r for op in OPS.values() for r in op.results if len(op.results) > 1)
UNITS = tuple(u for u in FACTORS if u)
