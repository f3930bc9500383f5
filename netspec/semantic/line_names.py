"""The names of the lines of a definition, which a call can use again."""

from __future__ import annotations

import re
from collections.abc import Iterator

from netspec.syntax.ast import Definition, LayerName, LayerStatement
from netspec.syntax.visitor import statements


class LineNames:
    """The names that lines of a definition have, or may have: an index gives a name its end."""

    def __init__(self, definition: Definition) -> None:
        named = [
            s.name
            for s in statements(definition.body)
            if isinstance(s, LayerStatement) and s.name is not None
        ]
        self.plain = {name.base.text for name in named if not name.indices}
        self.indexed = {name.base.text for name in named if name.indices}

    def __iter__(self) -> Iterator[str]:
        """The names that stand in the text."""
        yield from self.plain
        yield from self.indexed

    def has(self, called: LayerName) -> bool:
        """Whether a name in front of round brackets, or in a chain, can be that of a line."""
        name = called.base.text
        if called.indices:
            return name in self.indexed or any(map(re.compile(rf"{name}\d").match, self.plain))
        ends = (name[len(base) :] for base in self.indexed if name.startswith(base))
        return name in self.plain or any(end[:1].isdecimal() for end in ends)
