"""Statements that are repeated, with a number in a layer's name that counts up, as loops.

x = bottleneck2(p, x, "layer3_2", 256)        for i in range(2, 4):
x = bottleneck2(p, x, "layer3_3", 256)            x = bottleneck2(p, x, f"layer3_{i}", 256)
x = bottleneck2(p, x, "layer3_4", 256)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from netspec.codegen.python_source import WIDTH
from netspec.lazy_dataclasses import dataclass

LEAST = 3
"""So many iterations are worth a loop."""
LONGEST = 4
"""Most statements of an iteration."""


@dataclass(frozen=True)
class StepLine:
    """A statement on one line, and what it becomes where it stands on several."""

    text: str
    comment: str
    lines: Sequence[str]


def with_loops(steps: Sequence[StepLine], variable: str) -> Iterator[str]:
    """The lines of statements; `variable` is that of loops."""
    done = 0
    while done < len(steps):
        for size in range(1, LONGEST + 1):
            body, first, count = _repeated(steps, done, size)
            if count >= LEAST:
                yield f"    for {variable} in range({first}, {first + count}):"
                for text, step in zip(body, steps[done:], strict=False):
                    source = text.replace(_VARIABLE, f"{{{variable}}}").replace("\0", "")
                    line = f"        {source}"
                    comment = f"  # {step.comment}" if step.comment else ""
                    yield line + comment * (len(line + comment) <= WIDTH)
                done += count * size
                break
        else:
            yield from steps[done].lines
            done += 1


_VARIABLE = "{\0}"
_NAME = re.compile(r'(f?)"([^"]*)"')


def _repeated(steps: Sequence[StepLine], start: int, size: int) -> tuple[list[str], int, int]:
    """The statements of a loop from a place on, its first number, and its iterations."""
    units = [steps[i : i + size] for i in range(start, len(steps) - size + 1, size)]
    if len(units) < LEAST:
        return [], 0, 0
    found = _counting(units[0], units[1])
    if found is None:
        return [], 0, 0
    body, first = found
    count = 0
    for number, unit in enumerate(units, first):
        expected = [_plain(text).replace(_VARIABLE, str(number)) for text in body]
        same = [s.comment for s in unit] == [s.comment for s in units[0]]
        if [s.text for s in unit] != expected or not same:
            break
        count += 1
    return body, first, count


def _plain(text: str) -> str:
    """A statement of a loop with names as they are outside: strings without `f` if need be."""
    return text.replace('\0f"', '"')


def _counting(a: Sequence[StepLine], b: Sequence[StepLine]) -> tuple[list[str], int] | None:
    """The statements of two iterations with a variable for the number that counts up."""
    first: int | None = None
    body = []
    for one, two in zip(a, b, strict=True):
        # What runs later sees the variable's last value, and long lines are not broken here.
        if "lambda" in one.text or len(one.text) > WIDTH - 12:
            return None
        if _NAME.sub('""', one.text) != _NAME.sub('""', two.text):
            return None
        names = zip(_NAME.finditer(one.text), _NAME.finditer(two.text), strict=True)
        text, end = "", 0
        for left, right in names:
            parts, others = (re.split(r"(\d+)", m[2]) for m in (left, right))
            if len(parts) != len(others) or (parts != others and "{" in left[2] and not left[1]):
                return None
            for k, (x, y) in enumerate(zip(parts, others, strict=True)):
                if x == y:
                    continue
                if not (x.isdecimal() and y == str(int(x) + 1) and x == str(int(x))):
                    return None
                if first is not None and int(x) != first:
                    return None
                first, parts[k] = int(x), _VARIABLE
            mark = left[1] or ("\0f" if _VARIABLE in parts else "")
            text += f'{one.text[end : left.start()]}{mark}"{"".join(parts)}"'
            end = left.end()
        body.append(text + one.text[end:])
    return None if first is None else (body, first)
