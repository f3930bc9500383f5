"""The modules of a net with all that is needed to write them: names, parameters and branches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from netspec.importers.structure.attributes import attribute_values
from netspec.importers.structure.branch_conditions import (
    BranchCondition,
    branch_condition,
    shortcut_formulas,
)
from netspec.importers.structure.chains import NodeChain
from netspec.importers.structure.instances import (
    ModuleInstance,
    RepeatedModule,
    chain_signature,
    signature,
)
from netspec.importers.structure.names import (
    UniqueNames,
    identifier,
    long_stem,
    short_name,
    stem,
    without_label,
)
from netspec.importers.structure.parameters import Formulas, ModulePlan, plan_of
from netspec.lazy_dataclasses import dataclass
from netspec.ops import OPS


@dataclass
class PlannedModule:
    """A module with all that is needed to write it.

    The first instance is the one that is written; it has all chains that any has. `chains` are
    those that all have, `names` the names of all. `plan` says how their fields are written,
    `shortcut` how those of a shortcut that only some instances have, and `branch` when an instance
    has it.
    """

    name: str
    kind: str
    instances: list[ModuleInstance]
    chains: list[NodeChain]
    plan: ModulePlan
    names: dict[NodeChain, str]
    shortcut: Formulas | None = None
    branch: BranchCondition | None = None

    @property
    def results(self) -> list[str]:
        """The names of its results; empty for a single one, which needs none."""
        outputs = self.instances[0].outputs
        made = {v: chain for chain in self.chains for v in chain.outputs}
        if len(outputs) == 1:
            return []
        chains = [made[v] for v in outputs]
        names = UniqueNames()
        return [names.free(identifier(self.names[c], c.head.op)) for c in chains]


def planned_modules(repeated: Sequence[RepeatedModule], net: str) -> list[PlannedModule]:
    """The plans of modules, each with a name of its own that is not that of the net."""
    names = UniqueNames([*OPS, "net", "module", "import", net])
    modules = []
    stems = Counter(stem([i.label for i in r.instances]) for r in repeated)
    for one in sorted(repeated, key=lambda r: -len(r.instances)):
        labels = [i.label for i in one.instances]
        wanted = stem(labels)
        if stems[wanted] > 1:
            longer = long_stem(labels)
            wanted = longer if len(longer) > len(wanted) else wanted
        if wanted in OPS or not identifier(wanted, "block"):
            wanted = _kind_of_block(one.instances[0])
        elif wanted in names.taken:
            wanted = f"{wanted}_{_kind_of_block(one.instances[0])}"
        for part in _by_shortcut(one):
            name = names.free(identifier(wanted, "block"))
            modules.append(_planned(name, part))
    return modules


def _by_shortcut(repeated: RepeatedModule) -> list[RepeatedModule]:
    """The module, or one for each kind of shortcut where they do not follow from its parameters."""
    if repeated.kind != "projecting":
        return [repeated]
    shortcuts = {chain_signature(p.shortcut) for p in repeated.instances if p.shortcut is not None}
    if len(shortcuts) == 1 and _planned("", repeated).shortcut is not None:
        return [repeated]
    by_shape: dict[object, list[ModuleInstance]] = {}
    for instance in repeated.instances:
        key = signature(instance, instance.chains, instance.outputs)
        by_shape.setdefault(key, []).append(instance)
    return [RepeatedModule(instances) for instances in by_shape.values() if len(instances) > 1]


def _planned(name: str, repeated: RepeatedModule) -> PlannedModule:
    """A module with its plan; the first of its instances becomes one that has all chains."""
    full = max(repeated.instances, key=lambda p: (len(p.chains), -p.first))
    instances = [full, *(p for p in repeated.instances if p is not full)]
    bodies = [_body(p, repeated.kind) for p in instances]
    names = _chain_names(instances, bodies)
    if full.shortcut is not None and repeated.kind == "projecting":
        called = [
            without_label(p.shortcut.head.name, p.label)
            for p in instances
            if p.shortcut is not None
        ]
        text = identifier(called[0], "conv") if called.count(called[0]) * 2 > len(called) else ""
        taken = UniqueNames([*names.values(), "x"])
        names[full.shortcut] = taken.free(text or "shortcut")
    plan = plan_of(instances, bodies, list(names.values()))
    module = PlannedModule(name, repeated.kind, instances, bodies[0], plan, names)
    if repeated.kind == "projecting":
        which = [i for i, p in enumerate(instances) if p.shortcut is not None]
        shortcuts = [s for p in instances if (s := p.shortcut) is not None]
        assert full.shortcut is not None, "the fullest instance has the shortcut"
        module.shortcut = shortcut_formulas(plan, full.shortcut, shortcuts, which)
        filters = next(
            (f for (j, n), f in (module.shortcut or {}).items() if j == 0 and n == "filters"), None
        )
        changed = [p.shortcut is not None for p in instances]
        module.branch = branch_condition(
            plan, instances, changed, filters, "project", True, names.values()
        )
    elif repeated.kind == "adding":
        weighted = [i for i, chain in enumerate(bodies[0]) if chain.head.op == "conv"]
        filters = plan.chains[weighted[-1]][0, "filters"] if weighted else None
        changed = [p.merge is None for p in instances]
        module.branch = branch_condition(
            plan, instances, changed, filters, "residual", False, names.values()
        )
    return module


def _body(instance: ModuleInstance, kind: str) -> list[NodeChain]:
    """The chains that all instances of the module have."""
    if kind == "equal":
        return instance.chains
    merges = [instance.merge] if instance.merge is not None and kind == "projecting" else []
    return [*instance.body, *merges]


def _chain_names(
    instances: Sequence[ModuleInstance], bodies: Sequence[Sequence[NodeChain]]
) -> dict[NodeChain, str]:
    """The names of a module's chains: what is left of their layers' without the instance's."""
    names = UniqueNames(["x"])
    wanted: list[str] = []
    for i, chain in enumerate(bodies[0]):
        heads = [body[i].head.name for body in bodies]
        choices = [without_label(h, p.label) for h, p in zip(heads, instances, strict=True)]
        best = max(choices, key=choices.count)
        agreed = choices.count(best) * 2 > len(choices) and not chain.only_steps
        wanted.append(identifier(best, chain.head.op) if agreed else "")
    without_name = [short_name(b.head.op) for b, w in zip(bodies[0], wanted, strict=True) if not w]
    given: Counter[str] = Counter()
    found: dict[NodeChain, str] = {}
    for chain, text in zip(bodies[0], wanted, strict=True):
        if not text:
            text = short_name(chain.head.op)
            given[text] += 1
            text += str(given[text]) if without_name.count(text) > 1 else ""
        found[chain] = names.free(text)
    return found


def _kind_of_block(instance: ModuleInstance) -> str:
    """What an instance without a name of its own is, by its convolutions and its last merge."""
    convolutions = [chain.head for chain in instance.chains if chain.head.op == "conv"]
    merges = [chain for chain in instance.chains if len(chain.inputs) > 1]
    depthwise = any(attribute_values(n).get("groups") == "depthwise" for n in convolutions)
    if depthwise and len(convolutions) == 2:
        return "separable"
    if depthwise and len(convolutions) == 3:
        return "inverted_residual"
    if not merges:
        ops = {node.op for chain in instance.chains for node in chain.nodes}
        return "pyramid_level" if {"avgpool", "upsample"} <= ops else "block"
    if merges[-1].head.op == "concat":
        return "dense_layer" if instance.inputs[0] in merges[-1].inputs else "branches"
    return {"add": "residual", "mul": "gate"}.get(merges[-1].head.op, "block")
