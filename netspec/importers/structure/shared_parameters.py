"""Parameters of a module: what its instances differ in, and when they have what is optional."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

from netspec.importers.structure.attributes import COUNTS
from netspec.importers.structure.body_lines import lines_of
from netspec.importers.structure.graph import ConstantValue
from netspec.importers.structure.names import UniqueNames
from netspec.importers.structure.shared_module import (
    BranchTest,
    BranchTests,
    Formula,
    HalfOf,
    Multiple,
    OptionalRun,
    SharedBody,
    SharedModule,
    SharedParameter,
    SlotChannels,
    SlotValue,
    Vector,
)
from netspec.lazy_dataclasses import dataclass
from netspec.ops import OPS

_WORDS = {"pad": "padding", "scale": "factor", "split": "parts"}
"""Other words for parameters that would be called as ops are."""
_ORDER = ["count", "expansion", "groups", "kernel", "stride", "dilation", "pad"]
"""Kinds of fields in the order in which formulas are found for them."""


def shared_module(name: str, body: SharedBody) -> SharedModule | None:
    """The module of a body; None where instances differ in what no parameter can say."""
    module = SharedModule(name, body, lines_of(body, ["x", "y", "z"], is_net=False))
    return module if _ParameterFinder(module).plan() else None


@dataclass(frozen=True, eq=False)
class _VaryingValue:
    """A field whose value differs between instances."""

    slot: int
    name: str
    kind: str
    given: Vector
    takes_input: bool = False
    """Whether it is the filters of a depthwise convolution, as many as its input's channels."""


class _ParameterFinder:
    """Finds formulas for all fields, and adds parameters where it needs them."""

    def __init__(self, module: SharedModule) -> None:
        self.module = module
        self.body = module.body
        self.names = UniqueNames(["x", "y", "z"])
        self.line_of = {s: line for line in module.lines for s in range(line.first, line.end)}
        self.x: Vector = [Fraction(p.inputs[0].shape[0]) for p in self.body.instances]
        self.input: SlotValue = (-len(self.body.instances[0].inputs), 0)
        self.varying: list[_VaryingValue] = []
        self.made_by: dict[str, list[_VaryingValue]] = {}
        """The fields that each parameter is for."""

    def plan(self) -> bool:
        """Complete the module; whether that is possible."""
        for s in range(len(self.body.slots)):
            if not self._collect(s):
                return False
        self._choose_ops()
        for v in sorted(self.varying, key=lambda v: (_rank(v.kind), None in v.given, v.slot)):
            if (v.slot, v.name) not in self.module.formulas:
                self.module.formulas[v.slot, v.name] = self._formula(v)
        self._shorten()
        for run in self.body.optional:
            self._follow(run)
            self.module.conditions[run.first] = self._condition(run)
        for parameter in self.module.parameters:
            _complete(parameter)
        self.module.parameters.sort(key=lambda p: (p.default is not None, _rank(p.kind)))
        return True

    def _shorten(self) -> None:
        """Let many counts have short names: b1, b2_0 for branch1, branch2_0."""
        counts = [p for p in self.module.parameters if p.kind == "count"]
        match = re.match(r"[a-z]{3,}", counts[0].name) if len(counts) > 4 else None
        if match is None or not all(re.match(rf"{match[0]}_?\d", p.name) for p in counts):
            return
        short = {p.name: p.name.replace(match[0], match[0][0], 1) for p in counts}
        if not set(short.values()) & {p.name for p in self.module.parameters}:
            for p in counts:
                self.made_by[short[p.name]] = self.made_by.pop(p.name)
                p.name = short[p.name]
            for place, f in self.module.formulas.items():
                if isinstance(f, Multiple) and isinstance(f.base, str) and f.base in short:
                    self.module.formulas[place] = Multiple(short[f.base], f.factor)

    def _collect(self, s: int) -> bool:
        """Note the fields of a slot that vary, and the formulas of those that do not."""
        steps = self.body.slots[s]
        fields = [None if step is None else step.values() for step in steps]
        names = list(dict.fromkeys(n for f in fields if f is not None for n in f))
        kinds = {}
        module = self.body.one(s).module
        if module is not None:
            kinds = {p.name: p.kind for p in module.parameters}
        for name in names:
            if any(f is not None and name not in f for f in fields):
                if name not in ("round", "count_include_pad", "align_corners"):
                    return False
            given: Vector = [None if f is None else f.get(name) for f in fields]
            present = [v for v in given if v is not None]
            if all(v == present[0] for v in present):
                self.module.formulas[s, name] = present[0]
                continue
            kind = kinds.get(name) or ("count" if name in COUNTS else name)
            given = _scalars(given)
            if len({type(v) for v in given if v is not None}) > 1 or _lengths(given) > 1:
                return False
            self.varying.append(_VaryingValue(s, name, kind, given, self._takes_input(s, name)))
        return True

    def _takes_input(self, s: int, name: str) -> bool:
        return name == "filters" and all(
            step is None
            or (
                step.module is None
                and step.values().get("groups") == "depthwise"
                and step.values()["filters"] == step.inputs[0].shape[0]
            )
            for step in self.body.slots[s]
        )

    def _choose_ops(self) -> None:
        """Parameters for activations that differ."""
        for s, slot in enumerate(self.body.slots):
            ops: Vector = [None if step is None else step.node.op for step in slot]
            if self.body.one(s).activates and len({o for o in ops if o is not None}) > 1:
                known = self._known(ops, "op")
                self.module.ops[s] = known or self._add("act", "op", ops, None)

    def _known(self, given: Vector, kind: str) -> str | None:
        """The parameter of a kind that has these values."""
        for p in self.module.parameters:
            if p.kind == kind and _agree(p.given, given):
                p.given = [a if b is None else b for a, b in zip(p.given, given, strict=True)]
                return p.name
        return None

    def _add(self, wanted: str, kind: str, given: Vector, v: _VaryingValue | None) -> str:
        wanted = _WORDS.get(wanted, wanted)
        name = self.names.free(wanted if wanted not in OPS else f"{wanted}_")
        self.module.parameters.append(SharedParameter(name, kind, list(given)))
        self.made_by[name] = [v] if v is not None else []
        return name

    def _formula(self, v: _VaryingValue) -> Formula:
        found = self._find(v)
        if isinstance(found, Multiple | HalfOf):
            for word in (getattr(found, "base", ""), getattr(found, "factor", "")):
                if isinstance(word, str) and word in self.made_by:
                    self.made_by[word].append(v)
        return found

    def _find(self, v: _VaryingValue) -> Formula:
        if v.kind in ("count", "groups"):
            found = self._count(v)
            if found is not None:
                return found
        elif (known := self._known(v.given, v.kind)) is not None:
            return Multiple(known)
        if v.kind == "pad":
            for p in self.module.parameters:
                halves: Vector = [
                    Fraction(k // 2) if isinstance(k, Fraction) else None for k in p.given
                ]
                if p.kind == "kernel" and _agree(halves, v.given):
                    return HalfOf(p.name)
                if p.kind == "dilation" and _agree(p.given, v.given):
                    return Multiple(p.name)
        return Multiple(self._add(self._wanted(v), v.kind, v.given, v))

    def _count(self, v: _VaryingValue) -> Formula | None:
        """A count in terms of the input's channels, or of parameters; None where it is new."""
        if (known := self._known(v.given, v.kind)) is not None:
            return Multiple(known)
        for p in self.module.parameters:
            if p.kind == "expansion":
                product: Vector = [_times(a, b) for a, b in zip(p.given, self.x, strict=True)]
                if _agree(product, v.given):
                    return Multiple(SlotChannels(self.input), p.name)
        for factor in self._factors(v.given, self.x):
            return Multiple(SlotChannels(self.input), factor)
        if (multiple := self._of_parameter(v)) is not None:
            return multiple
        if v.takes_input and self.body.run_of(self.body.wiring[v.slot][0][0]) is None:
            return Multiple(SlotChannels(self.body.wiring[v.slot][0]))
        if v.kind == "groups":
            return None
        base = self._base(v)
        if base is not v:
            if (base.slot, base.name) not in self.module.formulas:
                self.module.formulas[base.slot, base.name] = self._formula(base)
            return self._of_parameter(v)
        ratios: Vector = [_over(a, b) for a, b in zip(v.given, self.x, strict=True)]
        distinct = {r for r in ratios if r is not None}
        whole = all(isinstance(r, Fraction) and r.denominator == 1 for r in distinct)
        is_output = any(_agree(o.given, v.given) for o in self._outputs())
        if whole and len(distinct) <= 3 < len(set(v.given)) and not is_output:
            return Multiple(
                SlotChannels(self.input), self._add("expansion", "expansion", ratios, v)
            )
        return None

    def _of_parameter(self, v: _VaryingValue) -> Formula | None:
        """A count as a multiple of a parameter."""
        for p in self.module.parameters:
            factors = self._factors(v.given, p.given) if p.kind == "count" else []
            for factor in factors:
                return Multiple(p.name, factor)
        return None

    def _factors(self, given: Vector, base: Vector) -> list[Fraction]:
        """The whole number by which counts are a multiple of others, or they of them."""
        ratios = {_over(a, b) for a, b in zip(given, base, strict=True)} - {None}
        if len(ratios) != 1 or any(
            a is not None and b is None for a, b in zip(given, base, strict=True)
        ):
            return []
        (ratio,) = ratios
        assert isinstance(ratio, Fraction)
        return [ratio] if 1 in (ratio.numerator, ratio.denominator) else []

    def _base(self, v: _VaryingValue) -> _VaryingValue:
        """The smallest filters of a larger kernel that these are a multiple of, else itself."""
        found = [
            o
            for o in self.varying
            if o.kind == "count" and not o.takes_input and self._is_large(o.slot)
            if None not in o.given and any(f > 1 for f in self._factors(v.given, o.given))
        ]
        return max(found, key=lambda o: self._factors(v.given, o.given)[0], default=v)

    def _is_large(self, slot: int) -> bool:
        kernel = self.body.one(slot).values().get("kernel")
        return isinstance(kernel, tuple) and max(kernel) > 1

    def _outputs(self) -> list[_VaryingValue]:
        """The counts of the one layer that makes the channels of what the module gives."""
        ref = self.body.results[0]
        while ref[0] >= 0:
            counts = [v for v in self.varying if v.slot == ref[0] and v.kind == "count"]
            step = self.body.one(ref[0])
            if counts or step.module is not None or step.node.op in ("conv", "linear", "concat"):
                return counts if step.node.op != "concat" else []
            inner = [r for r in self.body.wiring[ref[0]] if r[0] >= 0]
            if not inner:
                break
            ref = inner[0]
        return []

    def _wanted(self, v: _VaryingValue) -> str:
        """The name of a parameter: the field's, with the line's where that says too little."""
        line = self.line_of[v.slot]
        if v.kind != "count":
            alike = [o for o in self.varying if o.kind == v.kind and not _agree(o.given, v.given)]
            own = v.name if v.name != "ratio" else "dropout"
            return f"{line.name}_{own}" if alike and v.kind != "expansion" else own
        new = [o for o in self.varying if o.kind == "count" and not self._follows(o, v)]
        if not new or v in self._outputs():
            return "filters" if v.name != "units" else "units"
        if "squeeze" in line.name and self.body.one(v.slot).module is not None:
            return "squeezed"
        if line.name in ("expand", "depthwise"):
            return "hidden"
        same = [o for o in self.varying if o.kind == "count" and o.given == v.given]
        words = {re.sub(r"\d.*$", "", self.line_of[o.slot].name) for o in same}
        return words.pop() if len(same) > 1 == len(words) and "" not in words else line.name

    def _follows(self, o: _VaryingValue, v: _VaryingValue) -> bool:
        """Whether a count needs no parameter beside that of `v`."""
        related = self._factors(o.given, v.given) or self._factors(o.given, self.x)
        return o.takes_input or _agree(o.given, v.given) or bool(related)

    # --- conditions ---

    def _condition(self, run: OptionalRun) -> BranchTests:
        present = list(run.present)
        adds = run.merges or any(self._is(s, "add") for s in range(run.first, run.end))
        stride = next((p for p in self.module.parameters if p.kind == "stride"), None)
        shapes = [t for f in self._counts() if (t := self._has_channels(f))]
        missing = [not p for p in present]
        for instances in (missing, present) if run.merges else (present, missing):
            for holds, test in shapes if adds else ():
                tests, both = [test], holds
                if stride is not None:
                    ones = [v is None or v == 1 for v in stride.given]
                    tests = [BranchTest(stride.name, Fraction(1)), test]
                    both = [a and b for a, b in zip(ones, holds, strict=True)]
                if both == instances and instances is present:
                    return BranchTests(tuple(tests))
                if both == instances:
                    return BranchTests(tuple(_negated(t) for t in tests), every=False)
        for p in self.module.parameters:
            if p.kind == "expansion" and (found := _when(p, Fraction(1), present)):
                return found
            if p.kind == "flag" and p.given == present:
                return BranchTests((BranchTest(p.name),))
        for p in self.module.parameters:
            inside = all(run.first <= v.slot < run.end for v in self.made_by[p.name])
            numbers = all(isinstance(v, Fraction | None) for v in p.given)
            lacking = [v is not None for v in p.given] == present
            if p.kind in ("count", "squeezed") and inside and numbers and lacking:
                p.given = [Fraction(0) if v is None else v for v in p.given]
                p.default = Fraction(0)
                return BranchTests((BranchTest(p.name, Fraction(0), holds=">"),))
        for holds, test in shapes:
            if holds == present:
                return BranchTests((test,))
            if holds == [not p for p in present]:
                return BranchTests((_negated(test),))
        if stride is not None and (found := _when(stride, Fraction(1), present)):
            return found
        first = self.line_of[run.first]
        wanted = "residual" if self._is(run.first, "add") else first.name
        given: Vector = list(present)
        return BranchTests((BranchTest(self._add(f"with_{wanted}", "flag", given, None)),))

    def _follow(self, run: OptionalRun) -> None:
        """Let a shortcut have the stride and the filters of the module where these agree."""
        if not run.merges:
            return
        formulas = self.module.formulas
        for s in range(run.first, run.end):
            stride = next((p for p in self.module.parameters if p.kind == "stride"), None)
            for name in ("stride", "filters"):
                own = formulas.get((s, name))
                if isinstance(own, tuple) and own[0] == own[-1]:
                    own = own[0]
                if not isinstance(own, Fraction) or own == 1:
                    continue
                given: Vector = [own if there else None for there in run.present]
                if name == "stride" and stride is not None and _agree(stride.given, given):
                    formulas[s, name] = Multiple(stride.name)
                for f in self._counts() if name == "filters" else ():
                    values = self._values(f)
                    if values and not isinstance(f, Fraction) and _agree(values, given):
                        formulas[s, name] = f

    def _counts(self) -> list[Formula]:
        found = [
            f
            for (s, name), f in self.module.formulas.items()
            if name in COUNTS
            and self.body.one(s).module is None
            and not (isinstance(f, Multiple) and isinstance(f.base, SlotChannels))
        ]
        return list(dict.fromkeys(found))

    def _values(self, f: Formula) -> Vector:
        """A count in each instance; empty where it depends on more than a parameter."""
        if isinstance(f, Fraction):
            return [f] * len(self.x)
        if isinstance(f, Multiple) and isinstance(f.base, str) and isinstance(f.factor, Fraction):
            given = next(p.given for p in self.module.parameters if p.name == f.base)
            return [_times(v, f.factor) for v in given]
        return []

    def _has_channels(self, f: Formula) -> tuple[list[bool], BranchTest] | None:
        """In which instances the input has as many channels, and the test."""
        values = self._values(f)
        if not values or None in values:
            return None
        return [a == b for a, b in zip(values, self.x, strict=True)], BranchTest(channels=f)

    def _is(self, slot: int, op: str) -> bool:
        step = self.body.one(slot)
        return step.module is None and step.node.op == op


def _rank(kind: str) -> int:
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER) + (kind == "flag")


def _when(p: SharedParameter, value: Fraction, present: Sequence[bool]) -> BranchTests | None:
    holds = [v == value for v in p.given]
    if None in p.given:
        return None
    if holds == list(present):
        return BranchTests((BranchTest(p.name, value),))
    if holds == [not p for p in present]:
        return BranchTests((BranchTest(p.name, value, holds="!="),))
    return None


def _negated(test: BranchTest) -> BranchTest:
    return BranchTest(test.parameter, test.value, test.channels, "!=")


def _agree(a: Vector, b: Vector) -> bool:
    return all(x is None or y is None or x == y for x, y in zip(a, b, strict=True)) and any(
        x is not None and y is not None for x, y in zip(a, b, strict=True)
    )


def _times(a: ConstantValue | None, b: ConstantValue | None) -> ConstantValue | None:
    return a * b if isinstance(a, Fraction) and isinstance(b, Fraction) else None


def _over(a: ConstantValue | None, b: ConstantValue | None) -> ConstantValue | None:
    return a / b if isinstance(a, Fraction) and isinstance(b, Fraction) and b else None


def _scalars(given: Vector) -> Vector:
    """Pairs of equal numbers as one number, if all are such."""
    pairs = [v for v in given if v is not None]
    if all(isinstance(v, tuple) and len(v) == 2 and v[0] == v[1] for v in pairs):
        return [v[0] if isinstance(v, tuple) else None for v in given]
    return given


def _lengths(given: Vector) -> int:
    return len({len(v) for v in given if isinstance(v, tuple)})


def _complete(p: SharedParameter) -> None:
    """Give a parameter a default, and a value where nothing asks for it."""
    known = [v for v in p.given if v is not None]
    best, count = Counter(known).most_common(1)[0]
    if p.default is None and (p.kind != "count" or len(known) < len(p.given)):
        if p.kind == "stride" and Fraction(1) in known:
            p.default = Fraction(1)
        elif 2 * count > len(known) or len(known) < len(p.given):
            p.default = best
    p.given = [p.default if v is None else v for v in p.given]
