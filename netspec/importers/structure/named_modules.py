"""The modules of a graph whose names are paths, and what is left to the net."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from netspec.importers.structure.attributes import attribute_values
from netspec.importers.structure.bodies import extend, joined, single
from netspec.importers.structure.body_lines import lines_of
from netspec.importers.structure.graph import Graph, GraphValue, Node
from netspec.importers.structure.names import GENERAL, UniqueNames, identifier, lower_case
from netspec.importers.structure.paths import PathGroup, groups_of, kinds_of
from netspec.importers.structure.shared_module import (
    BodyInstance,
    BodyStep,
    SharedBody,
    SharedModule,
)
from netspec.importers.structure.shared_parameters import shared_module
from netspec.ops import OPS

MAX_INPUTS = 3
"""Most values that an instance may take."""
MAX_STEPS = 200
"""Most steps of an instance."""
MAX_FORMS = 40
"""Most forms that instances of one kind have."""
_WRAPS = 0.6
"""The share of a module's nodes from which on a group inside is all of it but for its ends."""


def named_modules(graph: Graph, net: str) -> tuple[list[SharedModule], SharedModule]:
    """The modules in the order in which they can be written, and the net as one without a name."""
    finder = _ModuleFinder(graph, net)
    finder.find()
    root = finder.instance(finder.root, [g.value for g in graph.inputs], graph.outputs)
    body = single(root)
    names = [identifier(g.name, "data") or "data" for g in graph.inputs]
    whole = SharedModule("", body, lines_of(body, names, is_net=True))
    for s, slot in enumerate(body.slots):
        step = slot[0]
        assert step is not None, "a net has all that is in it"
        whole.formulas |= {(s, name): value for name, value in step.values().items()}
    return _used(finder.modules, whole), whole


def _used(modules: Iterable[SharedModule], net: SharedModule) -> list[SharedModule]:
    """The modules that the net uses, or those that it uses."""
    known = {net}
    for module in reversed([*modules, net]):
        if module in known:
            steps = [s for slot in module.body.slots for s in slot if s is not None]
            known |= {s.module for s in steps if s.module is not None}
    return [m for m in modules if m in known]


class _ModuleFinder:
    """Makes modules of groups of one kind, those inside others first."""

    def __init__(self, graph: Graph, net: str) -> None:
        self.root = groups_of(graph)
        self.names = UniqueNames([*OPS, "net", "module", "import", net])
        self.modules: list[SharedModule] = []
        self.uses: dict[PathGroup, tuple[SharedModule, int]] = {}
        self.users: dict[GraphValue, list[Node]] = graph.uses()
        self.kept = set(graph.outputs)
        self.parents: dict[PathGroup, PathGroup] = {}
        self.height: dict[PathGroup, int] = {}
        for group in (*self.root.groups(), self.root):
            inner = [i for i in group.items if isinstance(i, PathGroup)]
            self.parents |= dict.fromkeys(inner, group)
            self.height[group] = 1 + max((self.height[i] for i in inner), default=0)
        self.kinds = kinds_of(self.root, graph.modules or {})

    def find(self) -> None:
        """Find all modules."""
        by_kind: dict[str, list[PathGroup]] = defaultdict(list)
        for group in self.root.groups():
            by_kind[self.kinds[group]].append(group)
        candidates = [k for k, groups in by_kind.items() if self._may_be_module(k, groups, by_kind)]
        for kind in sorted(candidates, key=lambda k: max(self.height[g] for g in by_kind[k])):
            self._modules_of(kind, by_kind[kind])

    def _may_be_module(
        self, kind: str, groups: list[PathGroup], by_kind: Mapping[str, list[PathGroup]]
    ) -> bool:
        if len(groups) < 2:
            return False
        parents = [self.parents[g] for g in groups]
        kinds = {self.kinds[p] for p in parents}
        if self.root in parents or len(kinds) > 1 or len(by_kind[next(iter(kinds))]) < 2:
            return True
        # Inside modules of one kind it may be all of that, or a list of its layers.
        if any(p.is_list for p in parents):
            return True
        if all(g.is_list for g in groups):
            return False
        sizes = [(len(list(g.nodes())), len(list(self.parents[g].nodes()))) for g in groups]
        return not all(own >= _WRAPS * whole for own, whole in sizes)

    def _modules_of(self, kind: str, groups: list[PathGroup]) -> None:
        bodies: list[SharedBody] = []
        members: list[list[PathGroup]] = []
        forms: dict[object, tuple[int, int]] = {}
        for group in groups:
            instance = self._boundary(group)
            if instance is None:
                continue
            form = instance.signature()
            if form in forms:
                b, first = forms[form]
                extend(bodies[b], instance, first)
                members[b].append(group)
                continue
            if len(forms) == MAX_FORMS:
                continue
            for b, body in enumerate(bodies):
                longer = joined(body, instance)
                if longer is not None:
                    bodies[b] = longer
                    break
            else:
                b = len(bodies)
                bodies.append(single(instance))
                members.append([])
            forms[form] = b, len(members[b])
            members[b].append(group)
        for body, alike in zip(bodies, members, strict=True):
            if len(alike) < 2:
                continue
            module = shared_module("", body)
            is_list = all(g.is_list for g in alike)
            if module is None or not _is_worthwhile(module, is_list):
                continue
            module.name = self.names.free(self._name(kind, body))
            self.modules.append(module)
            self.uses |= {group: (module, i) for i, group in enumerate(alike)}

    def _name(self, kind: str, body: SharedBody) -> str:
        *_, last = kind.split(".")
        name = lower_case(last.replace("#", ""))
        if not name or name in OPS or ("." in kind and name in GENERAL):
            return _kind_of_block(body)
        return name

    def _boundary(self, group: PathGroup) -> BodyInstance | None:
        """A group as an instance, with what it takes and gives; None where that is too much."""
        nodes = list(group.nodes())
        inside = set(nodes)
        made = {v for n in nodes for v in n.outputs}
        inputs = list(dict.fromkeys(v for n in nodes for v in n.inputs if v not in made))
        outputs = [
            v
            for n in nodes
            for v in n.outputs
            if v in self.kept or any(u not in inside for u in self.users.get(v, []))
        ]
        if not (1 <= len(inputs) <= MAX_INPUTS and outputs):
            return None
        if any(n.shares is not None or n.size_of is not None for n in nodes):
            return None
        instance = self.instance(group, inputs, outputs)
        _move_shortcuts(instance)
        return instance if 2 <= len(instance.steps) <= MAX_STEPS else None

    def instance(
        self, group: PathGroup, inputs: list[GraphValue], outputs: list[GraphValue]
    ) -> BodyInstance:
        """A group with its steps: nodes, and uses of modules."""
        steps: list[BodyStep] = []
        self._add_steps(group, len(group.path) + 1 if group.path else 0, steps)
        return BodyInstance(group.path, steps, inputs, outputs)

    def _add_steps(self, group: PathGroup, skipped: int, steps: list[BodyStep]) -> None:
        for item in group.items:
            if isinstance(item, Node):
                steps.append(BodyStep(item.name[skipped:], item.inputs, item.outputs, item))
            elif item in self.uses:
                module, index = self.uses[item]
                own = module.body.instances[index]
                first = next(item.nodes())
                path = item.path[skipped:]
                steps.append(BodyStep(path, own.inputs, own.outputs, first, module, index))
            else:
                self._add_steps(item, skipped, steps)


def _move_shortcuts(instance: BodyInstance) -> None:
    """Move what leads from the input to an addition right in front of that, as ResNets have it."""
    steps = instance.steps
    uses = Counter(v for s in steps for v in s.inputs) + Counter(instance.outputs)
    for merge in [s for s in steps if s.module is None and s.node.op == "add"]:
        for value in merge.inputs:
            branch: list[BodyStep] = []
            while (step := next((s for s in steps if value in s.outputs), None)) is not None:
                if len(step.inputs) != 1 or sum(uses[v] for v in step.outputs) != 1:
                    break
                branch.insert(0, step)
                value = step.inputs[0]
            if branch and value in instance.inputs and 2 * len(branch) < steps.index(merge):
                place = steps.index(branch[0])
                if steps[place : place + len(branch)] == branch:
                    del steps[place : place + len(branch)]
                    at = steps.index(merge)
                    steps[at:at] = branch


def _is_worthwhile(module: SharedModule, is_list: bool) -> bool:
    """Whether a module makes the text shorter, or about as long."""
    steps = [module.body.one(s) for s in range(len(module.body.slots))]
    if all(s.module is not None for s in steps):
        return False  # a list of others, which a loop says
    used = Counter(s.module for s in steps if s.module is not None)
    if is_list and max(used.values(), default=0) > 1:
        return False
    # An activation that some instances have is no line that is worth a module.
    uses = len(module.body.instances)
    length = sum(
        not (line.end - line.first == 1 and steps[line.first].activates) for line in module.lines
    )
    return length >= 2 and (uses - 1) * (length - 1) >= 4


def _kind_of_block(body: SharedBody) -> str:
    """What a module without a name of its own is, by its convolutions and its last merge."""
    steps = [body.one(s) for s in range(len(body.slots))]
    nodes = [s.node for s in steps if s.module is None]
    convolutions = [n for n in nodes if n.op == "conv"]
    kernels = [attribute_values(n)["kernel"] for n in convolutions]
    ops = {n.op for n in nodes}
    if "mul" in ops and ops & {"sigmoid", "hardsigmoid"} and len(steps) < 9:
        return "squeeze_excitation"
    if any(attribute_values(n).get("groups") == "depthwise" for n in convolutions):
        return "inverted_residual" if len(convolutions) > 2 else "separable"
    if "add" in ops:
        if kernels[:3] == [(1, 1), (3, 3), (1, 1)]:
            return "bottleneck"
        return "basic_block" if kernels[:2] == [(3, 3), (3, 3)] else "residual"
    if "concat" in ops:
        last = body.wiring[body.results[0][0]] if body.results[0][0] >= 0 else ()
        return "dense_layer" if any(r[0] < 0 for r in last) else "branches"
    return "block"
