"""A module of PyTorch, traced by torch.export."""

from __future__ import annotations

import logging
import operator
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netspec.importers.tensors.program import ProgramConstant
from netspec.importers.torch.exported import (
    Exported,
    ModelError,
    OperatorCall,
    Other,
    Ref,
    TensorType,
    named_operator,
    output_keys,
)
from netspec.importers.torch.schema import plain_path


def traced(module: Any, inputs: tuple[Any, ...], name: str) -> Exported:
    """The program of a module in `eval` mode, on examples of its inputs. Raises ModelError.

    The module is as it was afterwards.
    """
    import torch

    training = [m for m in module.modules() if m.training]
    module.eval()
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)  # what fails is said once, by the error
    try:
        with torch.no_grad():
            program = torch.export.export(module, inputs, strict=False)
    except Exception as error:  # whatever the module's own code raises
        reason = next((line for line in str(error).splitlines() if line.strip()), "")
        message = f"can't be traced by torch.export: {type(error).__name__}: {reason[:300]}"
        raise ModelError(message) from error
    finally:
        logging.disable(disabled)
        for part in training:
            part.training = True
    return _TracedProgram(program, name).read()


BATCH = 2
"""The batch of examples that are made: one would be taken for a dimension of 1."""


def examples(module: Any, shapes: Mapping[str, tuple[int, ...]]) -> tuple[Any, ...]:
    """Random inputs for a module, of shapes without the batch by the names of its arguments.

    "" stands for the first. Raises ModelError.
    """
    import inspect

    parameters = inspect.signature(module.forward).parameters
    named = {name or next(iter(parameters), ""): shape for name, shape in shapes.items()}
    if not named:
        message = "takes inputs whose shapes it does not say"
        raise ModelError(message, "give them, as in `--input 3x224x224`", code="missing-shape")
    unknown = next((name for name in named if name not in parameters), None)
    if unknown is not None:
        has = ", ".join(parameters)
        raise ModelError(f"has no input {unknown}: it has {has}", code="bad-option")
    order = [name for name in parameters if name in named]
    for name, parameter in parameters.items():
        is_needed = parameter.default is parameter.empty and parameter.kind in (
            parameter.POSITIONAL_ONLY,
            parameter.POSITIONAL_OR_KEYWORD,
        )
        if name not in named and (is_needed or name in [*parameters][: len(order)]):
            message = f"takes {name} too, whose shape is not given"
            raise ModelError(message, f"give it: `--input {name}=3x224x224`", code="missing-shape")
    return example_tensors(module, [named[name] for name in order])


def example_tensors(module: Any, given: Sequence[Any]) -> tuple[Any, ...]:
    """Inputs of a module: tensors as they are, and random ones for shapes without the batch.

    These are of the module's type, on its device, of the tensors' batch.
    """
    import torch

    like = next((p for p in module.parameters() if p.is_floating_point()), torch.zeros(()))
    batch = next((g.shape[0] for g in given if isinstance(g, torch.Tensor) and g.dim()), BATCH)
    return tuple(
        g
        if isinstance(g, torch.Tensor)
        else torch.randn((batch, *g), dtype=like.dtype, device=like.device)
        for g in given
    )


class _TracedProgram:
    def __init__(self, program: Any, name: str) -> None:
        self.program = program
        self.out = Exported(name, Path(name), {})

    def read(self) -> Exported:
        import torch
        from torch.utils._pytree import treespec_dumps

        specs = {s.arg.name: s for s in self.program.graph_signature.input_specs}
        nodes = list(self.program.graph.nodes)
        for node in nodes:
            self._type(node.name, node.meta.get("val"))
            if node.op == "placeholder":
                self._input(node, specs[node.name])
            elif node.op == "call_function" and node.target is not operator.getitem:
                self.out.calls.append(self._call(node))
        outputs = [
            s.arg.name
            for s in self.program.graph_signature.output_specs
            if s.kind is torch.export.graph_signature.OutputKind.USER_OUTPUT
            and isinstance(s.arg, torch.export.graph_signature.TensorArgument)
        ]
        try:
            tree = treespec_dumps(self.program.call_spec.out_spec)
        except Exception:  # of classes that it can't write
            tree = ""
        keys = output_keys(tree, len(outputs))
        self.out.outputs = list(zip(keys, outputs, strict=True))
        return self.out

    def _type(self, name: str, value: Any) -> None:
        import torch

        if isinstance(value, torch.Tensor):
            shape = tuple(_size(n) for n in value.shape)
            free = tuple(i for i, n in enumerate(value.shape) if not isinstance(n, int))
            self.out.types[name] = TensorType(shape, str(value.dtype).removeprefix("torch."), free)

    def _input(self, node: Any, spec: Any) -> None:
        import torch

        kinds = torch.export.graph_signature.InputKind
        if spec.kind is kinds.USER_INPUT:
            if node.name in self.out.types:
                self.out.inputs.append(node.name)
            return
        known = {**self.program.constants, **self.program.state_dict}
        tensor = known.get(spec.target)
        if isinstance(tensor, torch.Tensor):
            constant = _constant(tensor.detach(), self.out.path)
            self.out.stored[node.name] = spec.target, constant

    def _call(self, node: Any) -> OperatorCall:
        import torch

        target = node.target
        if isinstance(target, torch._ops.OpOverload):
            operator_name, overload = named_operator(str(target))
            declared = target._schema.arguments
            arguments = {a.name: _argument(v) for a, v in zip(declared, node.args, strict=False)}
        else:
            operator_name, overload = getattr(target, "__name__", str(target)), ""
            arguments = {str(i): _argument(v) for i, v in enumerate(node.args)}
        arguments |= {name: _argument(v) for name, v in node.kwargs.items()}
        value = node.meta.get("val")
        results = [node.name]
        if isinstance(value, tuple | list):
            taken = {u.args[1]: u.name for u in node.users if u.target is operator.getitem}
            results = [taken.get(i, f"{node.name}[{i}]") for i in range(len(value))]
            for result, one in zip(results, value, strict=True):
                self._type(result, one)
        stack = (node.meta.get("nn_module_stack") or {}).values()
        modules = tuple((plain_path(path), _class_name(kind)) for path, kind in stack)
        return OperatorCall(operator_name, overload, arguments, results, modules)


def _class_name(kind: Any) -> str:
    return kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"


def _size(size: Any) -> int:
    """A size, that of the example where it is open."""
    if isinstance(size, int):
        return size
    hint = getattr(size.node, "hint", None)
    if hint is None:
        raise ModelError("has a size that depends on the numbers of a tensor")
    return int(hint)


def _argument(value: Any) -> Any:
    """An argument as a Python value, its tensors as `Ref`s, its open sizes as the example's."""
    import torch

    if isinstance(value, torch.fx.Node):
        held = value.meta.get("val")
        if isinstance(held, torch.Tensor):
            return Ref(value.name)
        return _size(held) if isinstance(held, int | torch.SymInt) else Other("value")
    if isinstance(value, list | tuple):
        return [_argument(v) for v in value]
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return Other(type(value).__name__)


def _constant(tensor: Any, path: Path) -> ProgramConstant:
    """The numbers of a tensor of the module, which are read when they are asked for."""
    import torch

    def load() -> Any:
        plain = tensor.to("cpu")
        if plain.dtype not in (torch.float32, torch.float64, torch.int64, torch.bool):
            plain = plain.to(torch.float32)
        return plain.numpy()

    shape = tuple(tensor.shape)
    key = (tensor.data_ptr(), tensor.storage_offset(), shape, tuple(tensor.stride()))
    return ProgramConstant(shape, load, key, path)
