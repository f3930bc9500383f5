"""Models' files, run by the tools that they are for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from netspec.diagnostics import SpecError, spec_error
from netspec.diagnostics.render import printable
from netspec.diagnostics.source import Source
from netspec.syntax.model_source import ModuleSource

_ONNX_TYPES = {"tensor(float16)": "float16", "tensor(double)": "float64"}
"""Types of inputs that take other numbers than float32."""


class Original(NamedTuple):
    """A model as a function of arrays.

    `tool` is what runs it, `inputs` are the shapes that it takes, batch in front, None where any
    size does.
    """

    tool: str
    inputs: tuple[tuple[int | None, ...], ...]
    run: Callable[[Sequence[Any]], Sequence[Any]]


def original(source: Source) -> Original:
    """The model of a file or a module, which was imported without errors. Raises SpecError."""
    if isinstance(source, ModuleSource):
        return _module(source)
    path = Path(source.name)
    found = _ORIGINALS.get(path.suffix.lower())
    if found is None:
        raise spec_error("bad-option", f"--check can't run {path}")
    return found(path)


@contextmanager
def _loading(path: Path, tool: str, extra: str) -> Iterator[None]:
    """Have all that a tool says against a file as an error of it. Raises SpecError."""
    try:
        yield
    except SpecError:
        raise
    except ModuleNotFoundError as error:
        message = f"--check runs {path} by {tool}, and {error.name} is not installed"
        help_ = (f"pip install 'netspec-compiler[{extra}]'",)
        raise spec_error("missing-package", message, help=help_) from None
    except Exception as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise spec_error("unreadable-file", f"{tool} does not run {path}: {reason}") from None


def _onnx(path: Path) -> Original:
    with _loading(path, "onnxruntime", "onnx"):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        providers = ["CPUExecutionProvider"]
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        initializers = {i.name for i in session.get_overridable_initializers()}
        given = [i for i in session.get_inputs() if i.name not in initializers]

    def run(arrays: Sequence[Any]) -> Sequence[Any]:
        with _loading(path, "onnxruntime", "onnx"):
            named = {
                i.name: array.astype(_ONNX_TYPES.get(i.type, array.dtype))
                for i, array in zip(given, arrays, strict=True)
            }
            results: Sequence[Any] = session.run(None, named)
            return results

    shapes = tuple(tuple(d if isinstance(d, int) else None for d in i.shape) for i in given)
    return Original("onnxruntime", shapes, run)


def _keras(path: Path) -> Original:
    """Keras loads files in its safe mode, and none that name classes of other packages."""
    from netspec.codegen.backend import get
    from netspec.importers.keras.stored import opened

    _refuse_foreign(path, opened(path).config)
    with _loading(path, "keras", "keras"):
        get("keras")  # which has Keras run on an engine that is installed
        import keras

        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        shapes = tuple(tuple(tensor.shape) for tensor in model.inputs)

    def run(arrays: Sequence[Any]) -> Sequence[Any]:
        with _loading(path, "keras", "keras"):
            results = model(list(arrays) if arrays[1:] else arrays[0], training=False)
            several = results if isinstance(results, list | tuple) else [results]
            return [keras.ops.convert_to_numpy(r) for r in several]

    return Original("keras", shapes, run)


def _refuse_foreign(path: Path, config: Any) -> None:
    """Raise SpecError where Keras would import or run what is not its own."""
    left = [config]
    while left:
        found = left.pop()
        left += found.values() if isinstance(found, dict) else found
        left = [v for v in left if isinstance(v, dict | list)]
        if not isinstance(found, dict):
            continue
        module, kind = found.get("module"), found.get("class_name")
        own = module is None or re.match(r"keras(\.|$)", str(module)) is not None
        own |= module == "builtins" and kind == "function"
        if not own or kind in ("Lambda", "__lambda__"):
            what = printable(f"{module}.{kind}" if module else str(kind))[:80]
            message = f"--check does not run {path}: it names {what}, which is not Keras's own"
            raise spec_error("bad-option", message)


def _exported(path: Path) -> Original:
    """The calls of a `.pt2` file one after the other; `torch.export.load` would unpickle."""
    with _loading(path, "torch", "torch"):
        import torch  # noqa: F401

        from netspec.conversion.exported_program import results
        from netspec.importers.torch.schema import exported

        program = exported(path)
        shapes = tuple(program.types[name].shape for name in program.inputs)

    def run(arrays: Sequence[Any]) -> Sequence[Any]:
        with _loading(path, "torch", "torch"):
            return results(program, arrays)

    return Original("torch", shapes, run)


def _module(source: ModuleSource) -> Original:
    """A module in `eval` mode, which it is left in."""
    with _loading(source.path, "torch", "torch"):
        import torch
    like = next((p for p in source.module.parameters() if p.is_floating_point()), torch.zeros(()))

    def run(arrays: Sequence[Any]) -> Sequence[Any]:
        with _loading(source.path, "torch", "torch"), torch.no_grad():
            given = [torch.from_numpy(a).to(like.device, like.dtype) for a in arrays]
            results = torch.utils._pytree.tree_leaves(source.module.eval()(*given))
            return [r.float().cpu().numpy() for r in results if isinstance(r, torch.Tensor)]

    return Original("torch", tuple((None, *x.shape[1:]) for x in source.examples), run)


_ORIGINALS: dict[str, Callable[[Path], Original]] = {
    ".onnx": _onnx,
    ".pt2": _exported,
    ".keras": _keras,
    ".h5": _keras,
    ".hdf5": _keras,
}
