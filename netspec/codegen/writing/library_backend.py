"""What backends share that write classes of a library of layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from netspec.codegen.header import class_doc, logits_or_not, outputs_doc
from netspec.codegen.python_source import docstring
from netspec.codegen.tracing.made_ops import MakerOf
from netspec.codegen.tracing.nodes import Trace
from netspec.codegen.writing.class_writer import ClassText
from netspec.codegen.writing.classes import Classes, NetText, classes_of
from netspec.codegen.writing.emission import LibraryEmitters, WrittenLayer
from netspec.codegen.writing.spelling import Spelling, numbers_alike
from netspec.ir import Layer, Net


class LibraryBackend:
    """A backend that has emitters, and emits the file of several nets."""

    emitters: ClassVar[LibraryEmitters]
    notes: Sequence[Any] = ()
    ends_in_logits: Sequence[bool] = ()

    def check(self, layer: Layer, used: Sequence[bool]) -> None:
        """Raise Unsupported for layers that the library can't express."""
        written = WrittenLayer(layer.op, layer.op, layer.inputs, layer.outputs, any(used[1:]))
        self.emitters[type(layer.op)](written, numbers_alike("0", layer))

    def emit(self, net: Net) -> str:
        """The source of the net's file."""
        return self.emit_family([net])

    def emit_family(
        self, nets: Sequence[Net], *, probabilities: bool = False, nsz: bool = False
    ) -> str:
        """The source of a file with a class for each net."""
        raise NotImplementedError

    def classes_of(
        self,
        nets: Sequence[Net],
        spelling: Callable[[Sequence[Trace]], Spelling],
        taken: Sequence[str],
        maker_of: MakerOf,
        probabilities: bool,
    ) -> Classes:
        """The classes of nets (netspec.codegen.writing.classes); says what is to say of them."""
        classes = classes_of(nets, spelling, taken, maker_of, probabilities)
        self.notes = classes.notes()
        given = classes.net_classes()[0].trace.predictions[: len(nets[0].body.outputs)]
        self.ends_in_logits = [p is not None for p in given]
        return classes


def net_texts(
    nets: Sequence[Net],
    classes: Classes,
    base: str,
    weights: Callable[[Net, ClassText], Sequence[str]] = lambda net, own: (),
    channels_last: bool = False,
) -> dict[str, NetText]:
    """What the classes of nets hold besides layers, by their names.

    `base` is the class that all are derived from, if any; `weights` gives the lines of
    `reset_parameters`.
    """
    found = {}
    for net, own in zip(nets, classes.net_classes(), strict=True):
        kinds = logits_or_not(net, own.trace.predictions)
        found[own.name] = NetText(
            docstring(class_doc(net, len(nets) > 1, kinds, channels_last), 4),
            docstring(outputs_doc(net), 8),
            weights(net, own),
            base,
            net.variant_of or net.name,
        )
    return found
