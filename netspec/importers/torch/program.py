"""An exported program in the vocabulary of `tensors.program`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from netspec.diagnostics import spec_error
from netspec.diagnostics.source import Span
from netspec.importers.tensors.program import (
    Operation,
    ProgramConstant,
    ProgramTensor,
    TensorProgram,
)
from netspec.importers.torch.arguments import Arguments, CallError
from netspec.importers.torch.exported import (
    Exported,
    ModelError,
    OperatorCall,
    Other,
    Ref,
    TensorType,
)
from netspec.importers.torch.folding import FOLDS
from netspec.importers.torch.listing import listing
from netspec.importers.torch.operators import CASTS, RULES, VIEWS

_WEIGHTS = ("weight", "bias", "running_mean", "running_var")
"""Names of tensors that stand for the module that has them."""
_IGNORED = ("_assert", "sym_", "_operator", "operator.")


class PlaceError(Exception):
    """What is wrong with a call, and its place."""

    def __init__(self, message: str, span: Span) -> None:
        super().__init__(message)
        self.span = span


def tensor_program(exported: Exported) -> TensorProgram:
    """The operations of an exported program. Raises ModelError and PlaceError."""
    return _Building(exported).run()


def is_ignored(call: OperatorCall) -> bool:
    """Whether a call computes no tensor: a check, a size."""
    return call.operator.removeprefix("aten.").startswith(_IGNORED)


class _Building:
    def __init__(self, exported: Exported) -> None:
        self.exported = exported
        self.source, self.spans = listing(exported)
        self.tensors: dict[str, ProgramTensor] = {}
        self.names: dict[ProgramTensor, str] = {}
        """What `state_dict` calls a constant, or the first one that it was computed of."""
        self.makers: dict[ProgramTensor, Operation] = {}
        self.memory: dict[str, str] = {}
        """For views, and what was written in place: the first name of what they show."""
        self.shown: dict[str, list[str]] = {}
        """The names in `memory` by what they show."""
        self.written: dict[str, tuple[str, Span]] = {}
        """Names of what was written to through another view: what did so, and where."""
        types = [exported.types.get(name) for name in exported.inputs]
        batch = next((t.shape[0] for t in types if t is not None and t.shape), 1)
        self.program = TensorProgram(exported.name, self.source, batch, [], [], [])

    def run(self) -> TensorProgram:
        exported, program = self.exported, self.program
        for name, (stored, constant) in exported.stored.items():
            tensor = ProgramTensor(stored, constant.shape, constant)
            self.tensors[name] = tensor
            self.names[tensor] = stored
        for name in exported.inputs:
            found = self._type(name)
            # PyTorch's own modules call it `input`, which is a word of the language.
            self.tensors[name] = ProgramTensor("x" if name == "input" else name, found.shape)
            program.inputs.append(self.tensors[name])
            self._note_open(name, found)
        if not program.inputs:
            raise ModelError("takes no tensor")
        for call, span in zip(exported.calls, self.spans, strict=True):
            self._call(call, span)
        program.modules = {
            path: class_.rpartition(".")[2]
            for call in exported.calls
            for path, class_ in call.modules
            if path
        }
        for key, name in exported.outputs:
            result = self._known(name)
            if result is None:
                raise ModelError(f"is damaged: nothing computes its result {name[:80]}")
            if name in self.written:
                writer, place = self.written[name]
                raise PlaceError(f"{writer}: it writes to a part of a result through a view", place)
            program.outputs.append(result)
            self._call_output(result, key)
        if not program.outputs:
            raise ModelError("gives no tensor")
        program.nodes = len(exported.calls)
        self._note_unused()
        return program

    def _note_unused(self) -> None:
        """Note modules whose weights no operation takes, such as heads of a training."""
        taken = {
            self.names[t] for o in self.program.operations for t in o.inputs if t in self.names
        }
        used = {name.rpartition(".")[0] for name in taken}
        unused: dict[str, int] = {}
        for name, constant in self.exported.stored.values():
            owner, _, last = name.rpartition(".")
            if owner not in used and name not in taken and last != "num_batches_tracked":
                front = _free_front(owner, used)
                unused[front] = unused.get(front, 0) + constant.size
        if unused:
            parts = ", ".join(f"{name} ({size:,} numbers)" for name, size in unused.items())
            self.note(f"No result depends on {parts}.")

    def _type(self, name: str) -> TensorType:
        found = self.exported.types.get(name)
        if found is None:
            raise ModelError(f"is damaged: it says nothing of the tensor {name[:80]}")
        return found

    def _known(self, name: str) -> ProgramTensor | None:
        return self.tensors.get(name)

    def _note_open(self, name: str, found: TensorType) -> None:
        if any(found.open) and len(found.shape) == 4:
            height, width = found.shape[2:]
            self.program.notes.append(
                f"The file leaves sizes of {name} open; they are those of its example, "
                f"{height}x{width}."
            )

    def _call_output(self, tensor: ProgramTensor, key: str) -> None:
        """Name the operation that gives a result by the key that the module returns it under."""
        if not key:
            return
        operation = self.makers.get(tensor)
        if operation is None or operation.name in self.program.modules or "." in operation.name:
            return
        operation.name = key

    # --- calls -----------------------------------------------------------------------------------

    def _call(self, call: OperatorCall, span: Span) -> None:
        if is_ignored(call):
            return
        word = call.operator.removeprefix("aten.")
        in_place = word not in RULES and word.rstrip("_") != word
        word = word.rstrip("_") if in_place else word
        try:
            arguments = {n: self._argument(v) for n, v in call.arguments.items()}
            shapes = [self._type(n).shape if n in self.exported.types else () for n in call.results]
            results = self._folded(word, call, arguments, shapes)
            if results is None:
                results = self._ruled(word, call, arguments, shapes, span)
        except CallError as error:
            raise PlaceError(f"{word}: {error}", span) from None
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            # What the program says of this call does not fit the operator.
            message = f"{word} has arguments that do not fit: {type(error).__name__}: {error}"
            raise PlaceError(message[:300], span) from None
        for name, tensor in zip(call.results, results, strict=False):
            self.tensors[name] = tensor
        first = next((v.name for v in call.arguments.values() if isinstance(v, Ref)), None)
        if first is None:
            return
        if in_place:
            self._overwrite(first, results[0], word, span)
        if in_place or word in VIEWS or self._is_cast_to_itself(word, first, call):
            base = self.memory.get(first, first)
            self.memory.update(dict.fromkeys(call.results, base))
            self.shown.setdefault(base, [base]).extend(call.results)

    def _is_cast_to_itself(self, word: str, first: str, call: OperatorCall) -> bool:
        """Whether a cast gives the tensor that it takes, as it has that type."""
        types = [self.exported.types.get(n) for n in (first, *call.results)]
        return word in CASTS and len({t.dtype for t in types if t is not None}) == 1

    def _argument(self, value: Any) -> Any:
        if isinstance(value, Ref):
            tensor = self._known(value.name)
            if tensor is None:
                raise CallError(f"nothing computes {value.name[:80]} before it")
            if value.name in self.written:
                writer = self.written[value.name][0]
                raise CallError(f"it takes a tensor that {writer} has written to through a view")
            return tensor
        if isinstance(value, list):
            return [self._argument(v) for v in value]
        return value

    def _overwrite(self, first: str, made: ProgramTensor, word: str, span: Span) -> None:
        """Let the tensor that a call writes to be its result from here on."""
        old, base = self.tensors[first], self.memory.get(first, first)
        for name in self.shown.get(base, [base]):
            if self.tensors[name] is old:
                self.tensors[name] = made
            elif old is not made:
                self.written.setdefault(name, (f"{word}_", span))

    def _ruled(
        self,
        word: str,
        call: OperatorCall,
        arguments: Mapping[str, Any],
        shapes: Sequence[tuple[int, ...]],
        span: Span,
    ) -> list[ProgramTensor]:
        given = Arguments(self, word, call, arguments, shapes, span)
        rule = RULES.get(word)
        if rule is None:
            inputs = [t for v in arguments.values() for t in _tensors(v)]
            return given.results(word, inputs)
        made = rule(given)
        return made if isinstance(made, list) else [made]

    def _folded(
        self,
        word: str,
        call: OperatorCall,
        arguments: Mapping[str, Any],
        shapes: Sequence[tuple[int, ...]],
    ) -> list[ProgramTensor] | None:
        """The results of a call of constants alone, as constants; None for another call."""
        fold = FOLDS.get(word)
        taken = [t for v in arguments.values() for t in _tensors(v)]
        if fold is None or not shapes or any(t.constant is None for t in taken):
            return None
        if any(isinstance(v, Other) for v in arguments.values()):
            arguments = {n: v for n, v in arguments.items() if not isinstance(v, Other)}
        key = (word, tuple((n, _key(v)) for n, v in arguments.items()))

        def load(index: int, shape: tuple[int, ...]) -> Any:
            import numpy as np

            ready = {n: _loaded(v) for n, v in arguments.items()}
            try:
                with np.errstate(all="ignore"):
                    made = fold(np, ready, shapes[0])
                one = made[index] if isinstance(made, tuple) else made
                return np.asarray(one).reshape(shape)
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
                message = f"{self.exported.path}: {word} can't be computed: {error}"
                raise spec_error("unreadable-file", message) from None

        results = []
        for index, (name, shape) in enumerate(zip(call.results, shapes, strict=True)):
            ready = _Load(load, index, shape)
            constant = ProgramConstant(shape, ready, (key, index), self.exported.path)
            tensor = ProgramTensor(name, shape, constant)
            first = next((t for t in taken if t in self.names), None)
            if first is not None:
                self.names[tensor] = self.names[first]
            results.append(tensor)
        return results

    # --- what rules ask --------------------------------------------------------------------------

    def name_of(self, call: OperatorCall, word: str, inputs: Sequence[ProgramTensor | None]) -> str:
        """The path of the module that an operation belongs to, or the function's name in one."""
        path, class_ = next(((p, c) for p, c in reversed(call.modules) if p), ("", ""))
        if class_.startswith("torch.nn.modules.") and "container" not in class_:
            return path
        for tensor in inputs:
            name = self.names.get(tensor) if tensor is not None else None
            if name is not None:
                name, _, parametrized = name.partition(".parametrizations.")
                owner, _, last = name.rpartition(".")
                return owner if last in _WEIGHTS and owner and not parametrized else name
        return f"{path}.{word}" if path else word

    def add(
        self,
        kind: str,
        inputs: Sequence[ProgramTensor | None],
        outputs: list[ProgramTensor],
        name: str,
        span: Span,
        attributes: Mapping[str, Any],
    ) -> None:
        """Add an operation."""
        operation = Operation(kind, list(inputs), outputs, name, span, attributes)
        self.program.operations.append(operation)
        self.makers |= dict.fromkeys(outputs, operation)

    def made_by(self, tensor: ProgramTensor, kind: str) -> Operation | None:
        """The operation that makes a tensor, if it is of this kind."""
        found = self.makers.get(tensor)
        return found if found is not None and found.kind == kind else None

    def number(self, value: float) -> ProgramTensor:
        """A number as a tensor."""

        def load() -> Any:
            import numpy as np

            return np.asarray(value)

        constant = ProgramConstant((), load, ("number", value), self.exported.path)
        return ProgramTensor(str(value), (), constant)

    def constant(self, tensor: ProgramTensor, changed: ProgramConstant) -> ProgramTensor:
        """A tensor with the name of another, of which its numbers are a change."""
        made = ProgramTensor(tensor.name, changed.shape, changed)
        if tensor in self.names:
            self.names[made] = self.names[tensor]
        return made

    def note(self, text: str) -> None:
        """Keep a note, once."""
        if text not in self.program.notes:
            self.program.notes.append(text)


def _free_front(path: str, used: set[str]) -> str:
    """The outermost module of a path in which nothing is used."""
    parts = path.split(".")
    for count in range(1, len(parts)):
        front = ".".join(parts[:count])
        if not any(u == front or u.startswith(f"{front}.") for u in used):
            return front
    return path


class _Load:
    """Computes one result of an operator of constants."""

    def __init__(
        self, load: Callable[[int, tuple[int, ...]], Any], index: int, shape: tuple[int, ...]
    ) -> None:
        self.load, self.index, self.shape = load, index, shape

    def __call__(self) -> Any:
        return self.load(self.index, self.shape)


def _tensors(value: Any) -> list[ProgramTensor]:
    if isinstance(value, list):
        return [t for v in value for t in _tensors(v)]
    return [value] if isinstance(value, ProgramTensor) else []


def _loaded(value: Any) -> Any:
    if isinstance(value, list):
        return [_loaded(v) for v in value]
    return value.constant.load() if isinstance(value, ProgramTensor) and value.constant else value


def _key(value: Any) -> object:
    if isinstance(value, list):
        return tuple(_key(v) for v in value)
    return (
        value.constant.key if isinstance(value, ProgramTensor) and value.constant else repr(value)
    )
