"""The paths of modules that the names of nodes and weights say.

PyTorch's older exporter calls a node `/layer1/layer1.0/conv1/Conv`, its newer one keeps paths and
classes in properties of nodes, TensorFlow's converter writes `model/conv1/Conv2D`, and others name
weights only.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from onnx import NodeProto

SCOPES = "pkg.torch.onnx.name_scopes"
CLASSES = "pkg.torch.onnx.class_hierarchy"
LONGEST = 10_000
"""Most characters of a property that are read."""

_WEIGHTED = {
    "Conv",
    "ConvTranspose",
    "Gemm",
    "MatMul",
    "BatchNormalization",
    "InstanceNormalization",
    "LayerNormalization",
    "GroupNormalization",
    "PRelu",
}
_SILENT = {"Constant", "Shape", "Identity", "Cast", "Unsqueeze", "Squeeze", "Gather"}
"""Operators that mostly serve others, and do not count as what a module does."""
_WEIGHT = re.compile(
    r"^(.+?)[._/](?:weights?|w|W|w_0|kernel|filters?|gamma|scale|beta)(?:[._]?\d+)?$"
)
_GENERIC = re.compile(r"^(?:onnx::|val_|p2o\.|node_|n?\d+$)|^[A-Za-z]+[._:]\d+$|^$")
"""NodeNames that tools make up."""
_FUNCTION = re.compile(r"_(?:fwd|op)$")


class NodeScope(NamedTuple):
    """The path of a module; its class where that is known."""

    path: str
    kind: str = ""


class NodeNames:
    """NodeNames of the nodes of one body, a graph or a function."""

    def __init__(self, nodes: Sequence[NodeProto], prefix: str = "") -> None:
        self._prefix = f"{prefix}." if prefix else ""
        self._shared = _common(nodes)
        self._scopes = [self._scope(n) for n in nodes]
        self._guess(nodes)
        counted = [
            (n, s) for n, s in zip(nodes, self._scopes, strict=True) if n.op_type not in _SILENT
        ]
        self._inside = Counter(s.path for _, s in counted)
        self._weighted = Counter(s.path for n, s in counted if n.op_type in _WEIGHTED)
        self._parents = {
            ".".join(parts[:k])
            for s in set(self._scopes)
            for parts in [s.path.split(".")]
            for k in range(1, len(parts))
        }
        self._users = Counter(name for n in nodes for name in n.input)

    def of(self, node: NodeProto, number: int) -> str:
        """The name of the node at a place of the body."""
        return self._prefix + self._own(node, self._scopes[number])

    def _own(self, node: NodeProto, scope: NodeScope) -> str:
        said = scope.path and not _is_torch_module(scope.kind)
        if node.op_type in _WEIGHTED and not (said and not scope.kind):
            found = self._of_weight(node)
            if found:
                return found
        function = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", node.op_type).lower()
        if not scope.path:
            name = _FUNCTION.sub("", node.name)
            plain = not _GENERIC.match(name) and "/" not in name
            return dotted(name) if plain else function
        is_module = (
            _is_torch_module(scope.kind)
            or self._inside[scope.path] <= 1
            or (node.op_type in _WEIGHTED and self._weighted[scope.path] == 1)
        )
        if is_module and scope.path not in self._parents:
            return scope.path
        return f"{scope.path}.{function}"

    def _of_weight(self, node: NodeProto) -> str:
        """What the name of a weight says, if no other node has it."""
        if len(node.input) < 2 or self._users[node.input[1]] != 1:
            return ""
        found = _WEIGHT.match(node.input[1])
        if not found or _GENERIC.match(found[1]):
            return ""
        return dotted(found[1])

    def _guess(self, nodes: Sequence[NodeProto]) -> None:
        """Take nodes that an exporter's rewriting made for parts of the module that uses them."""
        told = [bool(_said_scopes(n)) for n in nodes]
        if not any(told):
            return
        users: dict[str, list[int]] = {}
        for number, node in enumerate(nodes):
            for name in node.input:
                users.setdefault(name, []).append(number)
        for number in reversed(range(len(nodes))):
            if not told[number] and not self._scopes[number].path:
                taken = {j for n in nodes[number].output for j in users.get(n, ())}
                homes = [_home(self._scopes[j]).split(".") for j in taken]
                shared = [parts[0] for parts in zip(*homes, strict=False) if len({*parts}) == 1]
                self._scopes[number] = NodeScope(".".join(shared))

    def _scope(self, node: NodeProto) -> NodeScope:
        for scope in _said_scopes(node)[-1:]:
            return scope
        if node.name.startswith("/"):
            path: list[str] = []
            for part in node.name.split("/")[1:-1]:
                if path and part.startswith(f"{path[-1]}."):
                    path.pop()
                path.append(part)
            return NodeScope(dotted(".".join(path)))
        parts = node.name.split("/")[self._shared : -1]
        return NodeScope(dotted(".".join(parts)))


def classes_of(nodes: Iterable[NodeProto]) -> dict[str, str]:
    """The classes of modules by their paths, as far as properties of nodes say them."""
    found: dict[str, str] = {}
    for node in nodes:
        for scope in _said_scopes(node):
            if scope.path and scope.kind:
                found.setdefault(scope.path, scope.kind.rpartition(".")[2])
    return found


def _said_scopes(node: NodeProto) -> list[NodeScope]:
    """The modules around a node, the outermost first, from its properties."""
    said = {p.key: p.value for p in node.metadata_props if len(p.value) < LONGEST}
    if SCOPES not in said:
        return []
    paths, kinds = (_words(said.get(key, "")) for key in (SCOPES, CLASSES))
    if len(paths) != len(kinds):
        kinds = [""] * len(paths)
    return [NodeScope(dotted(p), k) for p, k in zip(paths, kinds, strict=True)][:-1]


def _words(text: str) -> list[str]:
    """The strings of a list as Python writes it; none where the text is something else."""
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []
    return found if isinstance(found, list) and all(isinstance(w, str) for w in found) else []


def _is_torch_module(kind: str) -> bool:
    """Whether a class is a layer of PyTorch's own."""
    return kind.startswith("torch.nn.modules.") and ".container." not in kind


def _home(scope: NodeScope) -> str:
    """The module that a node stands in, which is not a layer of PyTorch's own."""
    return scope.path.rpartition(".")[0] if _is_torch_module(scope.kind) else scope.path


def _common(nodes: Sequence[NodeProto]) -> int:
    """How many parts in front all names share that TensorFlow's converter wrote."""
    paths = [n.name.split("/")[:-1] for n in nodes if "/" in n.name]
    if not paths or any(n.name.startswith("/") for n in nodes):
        return 0
    shared = 0
    while all(len(p) > shared + 1 and p[shared] == paths[0][shared] for p in paths):
        shared += 1
    return shared


def dotted(path: str) -> str:
    """A path whose parts are separated by single dots, at no great length."""
    return ".".join(p for p in re.split(r"[./]+", path[:500]) if p)
