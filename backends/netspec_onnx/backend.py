"""The ONNX backend: nets as files with their weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx

from netspec.codegen.backend import Unsupported
from netspec.ir import Layer, Net
from netspec.ops import Op
from netspec_onnx.emitters import EMITTERS, check
from netspec_onnx.model import Buffer, FileOptions, onnx_files, onnx_model

OPSETS = range(17, 23)


class OnnxBackend:
    """Writes nets as ONNX files; its models run in ONNX Runtime."""

    name = "onnx"
    suffix = ".onnx"
    signature = b"\x12\x07netspec"  # the producer, second field of the file
    options = frozenset(("opset", "functions", "float16", "preprocess", "labels"))
    weights_may_lack = False
    emitters: Mapping[type[Op], Any] = EMITTERS

    def check(self, layer: Layer, used: Sequence[bool]) -> None:
        """Raise Unsupported for layers that ONNX can't express."""
        check(layer.op, tuple(used))

    def emit(self, net: Net) -> str:
        """The graph as text, its weights declared and left out."""
        return str(onnx.printer.to_text(onnx_model(net, FileOptions()))) + "\n"

    def files(
        self, net: Net, weights: Mapping[str, Any], name: str, **options: Any
    ) -> dict[str, list[Buffer]]:
        """The files of a net; options are those of `FileOptions`. Raises Unsupported."""
        chosen = FileOptions(**options)
        if chosen.opset not in OPSETS:
            raise Unsupported(f"opset {chosen.opset} is none of {OPSETS[0]} to {OPSETS[-1]}")
        return onnx_files(net, weights, chosen, name)

    def quantized(self, content: bytes, inputs: Sequence[Any]) -> tuple[bytes, dict[str, float]]:
        """The content of a file in 8-bit integers, and how it does beside the given one."""
        from netspec_onnx.quantize import comparison, quantized

        found = quantized(content, inputs)
        return found, comparison(found, content, inputs)

    def model(self, net: Net) -> Any:
        """A model without weights. Raises ImportError where ONNX Runtime is not installed."""
        from netspec_onnx.runtime import OnnxModel

        return OnnxModel(net, self.files)

    def run(self, model: Any, *inputs: Any) -> tuple[Any, ...]:
        """The outputs of a model. Raises Unsupported for float64, which ONNX Runtime lacks."""
        if any(x.dtype == "float64" for x in inputs):
            raise Unsupported("ONNX Runtime computes in float32")
        results: tuple[Any, ...] = model.run(*inputs)
        return results

    def set_weights(self, model: Any, weights: Mapping[str, Any]) -> None:
        """Replace a model's weights; RuntimeError where names or shapes differ."""
        model.weights = weights
