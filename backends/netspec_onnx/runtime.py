"""Sessions of ONNX Runtime, and models that run in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import onnxruntime

from netspec.codegen.backend import get, load_model
from netspec.ir import Net


def session(content: bytes, beside: Mapping[str, bytes] = {}) -> Any:
    """A session of ONNX Runtime on the processor; `beside` are the files that the one names."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if beside:
        names, contents = [*beside], [*beside.values()]
        options.add_external_initializers_from_files_in_memory(
            names, contents, [*map(len, contents)]
        )
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


class OnnxModel:
    """A net in ONNX Runtime: called on arrays (N, C, H, W) of float32, it gives the outputs.

    `files` makes the net's files with weights, each in pieces.
    """

    def __init__(self, net: Net, files: Callable[..., Mapping[str, Any]]) -> None:
        self.net = net
        self._files = files
        self._weights: Mapping[str, Any] = {}
        self._session: Any = None

    @property
    def weights(self) -> Mapping[str, Any]:
        """The tensors by their names in weight files; RuntimeError for those of another net."""
        return self._weights

    @weights.setter
    def weights(self, weights: Mapping[str, Any]) -> None:
        wanted = {name: tuple(map(int, t.shape)) for name, t in self.net.tensors.items()}
        if wanted != {name: array.shape for name, array in weights.items()}:
            raise RuntimeError("model and net differ in their weights")
        self._weights, self._session = dict(weights), None

    @property
    def preprocess(self) -> Callable[[Any], Any]:
        """A function that makes an input of a picture, as the NumPy model does."""
        prepares: Callable[[Any], Any] = load_model(self.net, get("numpy")).preprocess
        return prepares

    def run(self, *inputs: Any) -> tuple[Any, ...]:
        """All outputs, in order."""
        if self._session is None:
            files = self._files(self.net, self._weights, self.net.name)
            content, *beside = (b"".join(pieces) for pieces in files.values())
            self._session = session(content, dict(zip([*files][1:], beside, strict=True)))
        names = (i.name for i in self._session.get_inputs())
        return tuple(self._session.run(None, dict(zip(names, inputs, strict=True))))

    def __call__(self, *inputs: Any) -> Any:
        """The output, or a tuple of several."""
        results = self.run(*inputs)
        return results[0] if len(results) == 1 else results
