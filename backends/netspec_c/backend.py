"""The C backend: nets as C files, and models that are compiled from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netspec.codegen.backend import Unsupported
from netspec.ir import Layer, Net
from netspec.ops import Op
from netspec_c.c_file import CFile
from netspec_c.emitters import EMITTERS
from netspec_c.source import written


class CBackend:
    """Writes nets as C files that need libm and nothing else; its models are compiled from them."""

    name = "c"
    suffix = ".c"
    signature = b"Compiled by netspec"
    options = frozenset(("embed", "nsz"))
    weights_may_lack = True
    emitters: Mapping[type[Op], Any] = EMITTERS

    def check(self, layer: Layer, used: Sequence[bool]) -> None:
        """Nothing: C can express every layer."""

    def emit(self, net: Net) -> str:
        """The C file of a net, the header inside."""
        return written(CFile(net))[0]

    def files(
        self,
        net: Net,
        weights: Mapping[str, Any],
        name: str,
        *,
        embed: bool = False,
        nsz: bytes | None = None,
    ) -> Mapping[str, Sequence[bytes]]:
        """The C file of this name, its header, and a file of weights if there are any.

        `embed` puts the weights into the C file. With `nsz`, that reads compressed weights, which
        these bytes are. `-` as a name has no header beside it.
        """
        stem = name.removesuffix(self.suffix)
        include = "" if name == "-" else f"{stem}.h"
        file = CFile(net)
        plain = weights if embed and weights and nsz is None else None
        coded = nsz if embed and nsz else b""
        source, header = written(
            file, weights=plain, nsz=nsz is not None, compressed=coded, include=include
        )
        found = {name: [source.encode()]}
        if include:
            found[include] = [header.encode()]
        if weights and not embed:
            suffix, content = (".bin", file.binary(weights)) if nsz is None else (".nsz", nsz)
            found[f"{stem}{suffix}"] = [content]
        return found

    def model(self, net: Net) -> Any:
        """A model without weights. Raises MissingTool where there is no compiler."""
        from netspec_c.runtime import CModel

        return CModel(net)

    def run(self, model: Any, *inputs: Any) -> tuple[Any, ...]:
        """The outputs of a model. Raises Unsupported for float64."""
        if any(x.dtype == "float64" for x in inputs):
            raise Unsupported("its models compute in float32")
        results: tuple[Any, ...] = model.run(*inputs)
        return results

    def set_weights(self, model: Any, weights: Mapping[str, Any]) -> None:
        """Replace a model's weights; RuntimeError where names or shapes differ."""
        model.weights = weights
