"""The registry of layer types: `RULES`, which the decorator `layer` fills."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from netspec.importers.caffe.blob_values import BlobValue, NoValue
from netspec.importers.caffe.layer_error import LayerError
from netspec.importers.caffe.layer_translation import LayerTranslation
from netspec.lazy_dataclasses import dataclass

Tops = Sequence[BlobValue | NoValue]
Run = Callable[[LayerTranslation], Tops]


@dataclass(frozen=True)
class Rule:
    """The rule of a layer type: `run` adds its nodes and returns its tops."""

    run: Run
    least: int
    """Fewest bottoms."""
    most: int | None
    """Most bottoms; None for any number."""
    tops: int | None
    """Most tops; None for any number."""

    def check(self, use: LayerTranslation) -> None:
        """Raise LayerError for a number of bottoms or tops that Caffe refuses."""
        count, tops = len(use.bottoms), len(use.layer.tops)
        type_ = use.layer.type
        if count < self.least or (self.most is not None and count > self.most):
            least, most = self.least, self.most
            wanted = f"{least}" if least == most else f"{least} to {most}"
            wanted = f"at least {least}" if most is None else wanted
            message = f"{type_} takes {wanted} bottom{'s' * (wanted != '1')}, but has {count}"
            raise LayerError.invalid("wrong-arity", message)
        if not tops:
            raise LayerError.invalid("wrong-arity", f"this {type_} has no top")
        if self.tops is not None and tops > self.tops:
            message = f"{type_} has at most {self.tops} top{'s' * (self.tops > 1)}, here are {tops}"
            raise LayerError.invalid("wrong-arity", message, use.layer.tops[self.tops].span)


RULES: dict[str, Rule] = {}
"""The rule of every layer type that netspec can express."""


def layer(
    *types: str, bottoms: tuple[int, int | None] = (1, 1), tops: int | None = 1
) -> Callable[[Run], Run]:
    """Decorator that registers the rule of layer types, with how many bottoms and tops they have.

    The docstring of a rule says what Caffe computes.
    """

    def register(run: Run) -> Run:
        for type_ in types:
            RULES[type_] = Rule(run, *bottoms, tops)
        return run

    return register
