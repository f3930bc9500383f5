"""How `netspec.lazy_dataclasses` works."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from operator import attrgetter
from typing import Any

Class = Any
Function = Callable[..., Any]


class _Missing:
    def __repr__(self) -> str:
        return "<missing>"


MISSING: Any = _Missing()


class DeclaredField:
    """A field as it was declared."""

    __slots__ = (
        "compare",
        "default",
        "default_factory",
        "kw_only",
        "metadata",
        "name",
        "repr",
        "type",
    )

    def __init__(
        self, default: Any, default_factory: Any, repr: bool, compare: bool, metadata: Any
    ) -> None:
        self.name = ""
        self.type: Any = None
        self.default = default
        self.default_factory = default_factory
        self.repr = repr
        self.compare = compare
        self.metadata: Mapping[Any, Any] = metadata or {}
        self.kw_only = False


class FrozenInstanceError(AttributeError):
    """A field of a frozen instance was to be set or deleted."""


def field(
    *,
    default: Any = MISSING,
    default_factory: Any = MISSING,
    repr: bool = True,
    compare: bool = True,
    metadata: Mapping[Any, Any] | None = None,
) -> Any:
    """The default of a field, and its other properties."""
    return DeclaredField(default, default_factory, repr, compare, metadata)


def dataclass(
    cls: Class | None = None,
    /,
    *,
    frozen: bool = False,
    slots: bool = False,
    eq: bool = True,
    repr: bool = True,
    kw_only: bool = False,
) -> Any:
    """Class decorator, as that of the standard library."""

    def make(cls: Class) -> Class:
        return _dataclass(cls, frozen, slots, eq, repr, kw_only)

    return make if cls is None else make(cls)


def fields(of: Any) -> tuple[DeclaredField, ...]:
    """The fields of a dataclass or of an instance, in order."""
    found: tuple[DeclaredField, ...] = of.__lazy_fields__
    return found


def replace(instance: Any, /, **changes: Any) -> Any:
    """A copy of an instance with other values for some fields."""
    for f in instance.__lazy_fields__:
        if f.name not in changes:
            changes[f.name] = getattr(instance, f.name)
    return type(instance)(**changes)


def _dataclass(
    cls: Class, frozen: bool, slots: bool, eq: bool, shown: bool, kw_only: bool
) -> Class:
    own = _own_fields(cls, kw_only)
    found: dict[str, DeclaredField] = {}
    for base in reversed(cls.__mro__[1:]):
        found |= {f.name: f for f in base.__dict__.get("__lazy_fields__", ())}
    found |= {f.name: f for f in own}
    all_fields = tuple(found.values())
    if slots:
        cls = _with_slots(cls, [f.name for f in own])
    added: dict[str, Any] = {
        "__match_args__": tuple(f.name for f in all_fields if not f.kw_only),
        "__init__": _first_init(cls, all_fields, frozen),
    }
    if shown:
        added["__repr__"] = _repr
    if eq:
        added |= _comparing(all_fields, frozen)
    if frozen:
        added |= {"__setattr__": _refuse_to_set, "__delattr__": _refuse_to_delete}
    if frozen and slots:
        added |= {"__getstate__": _state, "__setstate__": _set_state}
    for name, value in added.items():
        # A class that has `__eq__` has `__hash__` too, as None.
        if cls.__dict__.get(name) is None:
            setattr(cls, name, value)
    cls.__lazy_fields__ = all_fields
    cls.__lazy_options__ = {"frozen": frozen, "eq": eq}
    cls.__dataclass_fields__ = _FIELDS
    cls.__dataclass_params__ = _PARAMS
    return cls


def _own_fields(cls: Class, kw_only: bool) -> list[DeclaredField]:
    """The fields that the class itself declares; its attributes become their defaults."""
    result = []
    for name, annotation in cls.__annotations__.items():
        written = annotation if isinstance(annotation, str) else repr(annotation)
        if written.startswith(("ClassVar", "typing.ClassVar")):
            continue
        default = cls.__dict__.get(name, MISSING)
        f = (
            default
            if isinstance(default, DeclaredField)
            else DeclaredField(default, MISSING, True, True, None)
        )
        f.name = name
        f.type = annotation
        f.kw_only = kw_only
        if isinstance(default, DeclaredField):
            if f.default is MISSING:
                delattr(cls, name)
            else:
                setattr(cls, name, f.default)
        elif isinstance(default, list | dict | set):
            raise ValueError(f"{cls.__name__}.{name}: use default_factory for a mutable default")
        result.append(f)
    return result


def _with_slots(cls: Class, names: list[str]) -> Class:
    """The class anew: slots can't be added to one that is there."""
    inherited = {name for base in cls.__mro__[1:] for name in base.__dict__.get("__slots__", ())}
    members = {
        name: value
        for name, value in cls.__dict__.items()
        if name not in names and name not in ("__dict__", "__weakref__")
    }
    members["__slots__"] = tuple(name for name in names if name not in inherited)
    made = type(cls)(cls.__name__, cls.__bases__, members)
    made.__qualname__ = cls.__qualname__
    return made


def _first_init(cls: Class, of: tuple[DeclaredField, ...], frozen: bool) -> Function:
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        made = _init(cls, of, frozen)
        cls.__init__ = made
        made(self, *args, **kwargs)

    return __init__


def _init(cls: Class, of: tuple[DeclaredField, ...], frozen: bool) -> Function:
    names: dict[str, Any] = {"_set": object.__setattr__, "_MISSING": MISSING}
    parameters, body = [], []
    for f in sorted(of, key=lambda f: f.kw_only):
        if f.kw_only and "*" not in parameters:
            parameters.append("*")
        value = f.name
        if f.default_factory is not MISSING:
            names[f"_make_{f.name}"] = f.default_factory
            parameters.append(f"{f.name}=_MISSING")
            value = f"_make_{f.name}() if {f.name} is _MISSING else {f.name}"
        elif f.default is not MISSING:
            names[f"_default_{f.name}"] = f.default
            parameters.append(f"{f.name}=_default_{f.name}")
        else:
            parameters.append(f.name)
        body.append(f"_set(self, {f.name!r}, {value})" if frozen else f"self.{f.name} = {value}")
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    lines = "\n    ".join(body or ["pass"])
    exec(f"def __init__(self, {', '.join(parameters)}):\n    {lines}", names)
    made: Function = names["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made


def _comparing(of: tuple[DeclaredField, ...], frozen: bool) -> dict[str, Any]:
    """`__eq__` and `__hash__`."""
    names = [f.name for f in of if f.compare]
    values: Callable[[Any], Any]
    if len(names) > 1:
        values = attrgetter(*names)
    else:

        def values(instance: Any) -> tuple[Any, ...]:
            return tuple(getattr(instance, name) for name in names)

    def __eq__(self: Any, other: object) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return values(self) == values(other)

    def __hash__(self: Any) -> int:
        return hash(values(self))

    return {"__eq__": __eq__, "__hash__": __hash__ if frozen else None}


def _repr(self: Any) -> str:
    values = (f"{f.name}={getattr(self, f.name)!r}" for f in self.__lazy_fields__ if f.repr)
    return f"{type(self).__qualname__}({', '.join(values)})"


def _refuse_to_set(self: Any, name: str, value: Any) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(self: Any, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[Any]:
    return [getattr(self, f.name) for f in self.__lazy_fields__]


def _set_state(self: Any, state: list[Any]) -> None:
    for f, value in zip(self.__lazy_fields__, state, strict=True):
        object.__setattr__(self, f.name, value)


@cache
def _standard(cls: Class) -> Class:
    """A dataclass of the standard library with the same fields."""
    import dataclasses

    members: dict[str, Any] = {"__annotations__": {f.name: f.type for f in cls.__lazy_fields__}}
    for f in cls.__lazy_fields__:
        defaults = {"default": f.default, "default_factory": f.default_factory}
        given = {name: value for name, value in defaults.items() if value is not MISSING}
        members[f.name] = dataclasses.field(
            **given, repr=f.repr, compare=f.compare, metadata=f.metadata, kw_only=f.kw_only
        )
    return dataclasses.dataclass(**cls.__lazy_options__)(type(cls.__name__, (), members))


class _Standard:
    """What the standard library asks a dataclass for, made when it is asked for."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: Class) -> Any:
        return getattr(_standard(owner), self.name)


_FIELDS = _Standard("__dataclass_fields__")
_PARAMS = _Standard("__dataclass_params__")
