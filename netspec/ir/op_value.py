"""An op or module as a value: the argument of a parameter that is called."""

from __future__ import annotations

from typing import Any

from netspec.lazy_dataclasses import dataclass, replace
from netspec.ops.attribute_types import decimal
from netspec.symbolic.expr import Num


@dataclass(frozen=True)
class OpValue:
    """An op or module, and the fields that came with it: `leaky_relu { slope: 0.1 }`.

    `callee` is the class of an op, else the template of a module; while a spec is elaborated, the
    definition of that. Values of fields are as the language has them.
    """

    name: str
    callee: Any
    fields: tuple[tuple[str, Any], ...] = ()

    @property
    def bare(self) -> OpValue:
        """The op or module alone: what comparisons look at."""
        return replace(self, fields=())

    def __str__(self) -> str:
        words = isinstance(self.callee, type)
        inner = "  ".join(f"{name}: {_text(value, words)}" for name, value in self.fields)
        return f"{self.name} {{ {inner} }}" if inner else self.name


def _text(value: Any, words: bool) -> str:
    """A constant; strings are words in the fields of ops."""
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case str():
            return value if words else f'"{value}"'
        case tuple():
            return f"[{', '.join(_text(v, words) for v in value)}]"
        case Num():
            return decimal(value.value)
    return str(value)
