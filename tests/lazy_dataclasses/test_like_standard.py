"""Lazy dataclasses against those of the standard library."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from netspec import lazy_dataclasses
from netspec.lazy_dataclasses import implementation

OPTIONS: list[dict[str, bool]] = [
    dict(zip(("frozen", "slots", "eq", "kw_only"), values, strict=True))
    for values in itertools.product((False, True), repeat=4)
]
STANDARD: Any = dataclasses
OURS: Any = implementation


def point(module: Any, options: dict[str, bool]) -> type[Any]:
    """A class with a base, made by one module or the other."""

    class Base:
        kind: ClassVar[str] = "base"
        x: int
        y: Any = 0

    decorated: Any = module.dataclass(**options)(Base)

    class Point(decorated):  # type: ignore[misc]
        y: Any = 1  # keeps its place
        label: str = module.field(default="", compare=False, metadata={"unit": "m"})
        hidden: Any = module.field(default_factory=list, repr=False)

        def __post_init__(self) -> None:
            self.hidden.append(self.x)

    made: type[Any] = module.dataclass(**options)(Point)
    return made


def outcome(of: Callable[[], Any]) -> Any:
    """What comes out, or that it is refused."""
    try:
        return of()
    except (TypeError, AttributeError):  # for slots the standard library raises either
        return "refused"


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_instances_are_alike(options: dict[str, bool]) -> None:
    def seen(module: Any) -> list[Any]:
        cls = point(module, options)

        def make(**more: Any) -> Any:
            return cls(**{"x": 1, **more})

        def changed() -> Any:
            instance = make()
            instance.label = "new"
            return instance.label

        def deleted() -> Any:
            instance = make()
            del instance.x
            return hasattr(instance, "x")

        def undeclared() -> Any:
            instance = make()
            instance.other = 1
            return instance.other

        def matched() -> Any:
            match make(y=5):
                case cls(x, y):
                    return x, y

        first, second = make(y=2), make(y=2, label="other")
        return [
            repr(first),
            (first == second, first == make(y=3), first == 1, first != second),
            outcome(lambda: hash(make(hidden=(0,))) is None),
            outcome(lambda: {make(): 1} and True),
            outcome(lambda: repr(cls(1, 2, "l"))),
            outcome(lambda: repr(cls())),
            outcome(lambda: repr(make(unknown=1))),
            outcome(changed),
            outcome(deleted),
            outcome(undeclared),
            outcome(matched),
            cls.__match_args__,
            [(f.name, dict(f.metadata), f.repr, f.compare) for f in module.fields(cls)],
            [f.name for f in module.fields(first)],
            repr(module.replace(first, y=7, hidden=[])),
            outcome(lambda: module.replace(first, unknown=7)),
            first.hidden is not second.hidden,
            first.hidden,
            first.kind,
            copy.copy(first) == first or not options["eq"],
            hasattr(first, "__dict__"),
            getattr(cls, "__slots__", None),
        ]

    assert seen(OURS) == seen(STANDARD)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_equal_instances_have_equal_hashes(options: dict[str, bool]) -> None:
    cls = implementation.dataclass(**options)(type("C", (), {"__annotations__": {"a": "int"}}))
    if options["frozen"] and options["eq"]:
        assert hash(cls(a=1)) == hash(cls(a=1))
        assert len({cls(a=1), cls(a=1), cls(a=2)}) == 2


@pytest.mark.parametrize("module", [STANDARD, OURS])
def test_methods_of_the_class_stay(module: Any) -> None:
    class Own:
        a: int = 1

        def __repr__(self) -> str:
            return "own"

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 5

    cls = module.dataclass(frozen=True)(Own)
    assert (repr(cls()), cls(1) == cls(2), hash(cls())) == ("own", True, 5)


def test_a_mutable_default_is_refused() -> None:
    with pytest.raises(ValueError, match="default_factory"):

        @implementation.dataclass
        class Shared:
            a: list[int] = []


@lazy_dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    a: int
    b: Any = None


@lazy_dataclasses.dataclass(frozen=True)
class Plain:
    a: int
    b: Any = lazy_dataclasses.field(default_factory=dict)


@pytest.mark.parametrize("cls", [Slotted, Plain])
def test_instances_go_through_pickle_and_copy(cls: Any) -> None:
    instance = cls(1, [2])
    for copied in (pickle.loads(pickle.dumps(instance)), copy.deepcopy(instance)):
        assert copied == instance
        assert copied.b is not instance.b


def test_the_standard_library_takes_them_for_its_own() -> None:
    assert dataclasses.is_dataclass(Slotted)
    assert not dataclasses.is_dataclass(int)
    instance = Plain(1, {"n": Slotted(2)})
    assert dataclasses.asdict(instance) == {"a": 1, "b": {"n": {"a": 2, "b": None}}}
    assert [f.name for f in dataclasses.fields(instance)] == ["a", "b"]
    assert dataclasses.replace(instance, a=3) == Plain(3, instance.b)

    @dataclasses.dataclass(frozen=True)
    class Derived(Plain):
        c: int = 0

    assert repr(Derived(1, {}, 5)).endswith("Derived(a=1, b={}, c=5)")
    assert dataclasses.replace(Derived(1), c=6).c == 6


def test_the_standard_library_is_not_loaded() -> None:
    code = (
        "import sys; from netspec.lazy_dataclasses import dataclass, field, fields, replace\n"
        "@dataclass(frozen=True, slots=True)\n"
        "class A:\n    a: int = 1\n"
        "assert fields(A)[0].name == 'a' and replace(A(), a=2) != A() and A(3) == A(3)\n"
        "print('dataclasses' in sys.modules, 'inspect' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False"]
