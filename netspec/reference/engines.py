"""Which bundled net runs on which engine, as examples/deploy/engines.py found it.

`specs/engines.json` has the date, of each engine its name and versions, and of each net the shapes
of its inputs and what came of it on each engine: a `state`, for what runs the largest `difference`
from NumPy's results over the largest value, else the `error`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from netspec.util.resources import folder

WORDS = {"runs": "yes", "converts": "converts", "differs": "differs", "fails": "no"}
"""The states of a net on an engine, as tables say them."""
UNTRIED = "-"
_PAGE = """\
# Nets and engines

Which bundled net runs on which engine. `netspec specs --engines` prints this table, and with
`--format json` all that was found. It is measured: `examples/deploy/engines.py` made the files of
each net with random weights, gave it random pictures, as small as it takes, and compared the
results with the NumPy model's. [deploying.md](deploying.md) says how to bring a net to each engine.

- **yes**: results are NumPy's. The largest difference of all is {most} of the largest value.
- **converts**: the engine's file is made, but the engine does not run on the machine that tried
  (Core ML runs on Apple's devices alone).
- **differs**: it runs, and its results are others. **no**: it can't be converted, or does not run.
- **-**: not tried. Variants of one text differ in widths and depths, and mostly do what the first
  of them does.

{table}

Measured on {date}, on Linux on x86-64, with

{versions}
{faults}"""


def measured() -> dict[str, Any]:
    """What was found: `measured` (a date), `engines` and `nets` by name."""
    found: dict[str, Any] = json.loads((folder("specs") / "engines.json").read_bytes())
    return found


def rows(data: dict[str, Any], names: Iterable[str]) -> list[list[str]]:
    """A head with the names of the engines, and a row for each net."""
    found = [["net", *(engine["name"] for engine in data["engines"].values())]]
    for name in names:
        results = data["nets"].get(name, {}).get("engines", {})
        states = [results[e]["state"] if e in results else None for e in data["engines"]]
        found.append([name, *(WORDS[s] if s else UNTRIED for s in states)])
    return found


def versions(data: dict[str, Any]) -> list[str]:
    """A line for each engine: its name, and the packages with their versions."""
    return [
        f"{engine['name']}: {', '.join(f'{n} {v}' for n, v in engine['versions'].items())}"
        for engine in data["engines"].values()
    ]


def page(data: dict[str, Any], names: Iterable[str]) -> str:
    """docs/engines.md."""
    head, *body = rows(data, names)
    lines = [head, ["---"] * len(head), *([f"`{name}`", *cells] for name, *cells in body)]
    faults, most = [], 0.0
    for net, found in data["nets"].items():
        for key, result in found["engines"].items():
            engine = data["engines"][key]["name"]
            if result["state"] in ("fails", "differs"):
                faults.append(f"- `{net}`, {engine}: {_fault(result)}")
            elif "difference" in result and "share" not in result:
                most = max(most, result["difference"])
            elif "share" in result:
                share = f"{result['share']:.1%} of the values are NumPy's"
                faults.append(f"- `{net}`, {engine}: runs; {share}, the others hang on near ties")
    listed = "\n## What does not run\n\n" + "\n".join(faults) + "\n" if faults else ""
    return _PAGE.format(
        most=f"{most:.0e}",
        table="\n".join(f"| {' | '.join(cells)} |" for cells in lines),
        date=data["measured"],
        versions="\n".join(f"- {line}" for line in versions(data)),
        faults=listed,
    )


def _fault(result: dict[str, Any]) -> str:
    """What is wrong with a net on an engine, as Markdown."""
    if result["state"] == "fails":
        return f"`{result['error'].replace('`', chr(39))}`"
    apart = result["difference"]
    how_far = "numbers that are none" if apart is None else f"{apart:.0e} of the largest value"
    return f"differs by {how_far}"
