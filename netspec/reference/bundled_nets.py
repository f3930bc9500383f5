"""The figures of the nets that come with netspec.

To count them, each net is checked, which takes seconds for all. So they are kept in the user's
cache folder, with a hash of the specs and of netspec's own files: another text or another version
counts anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from netspec import __version__
from netspec.driver import bundled, check_each
from netspec.util.cache import cache_folder, store
from netspec.util.resources import folder

FILE = "bundled-nets.json"


def bundled_figures() -> dict[str, dict[str, Any]]:
    """Of each bundled net by its name: `doc`, `params`, `macs`, and of a variant `variant`.

    Raises SpecError where one is wrong.
    """
    key, cache = _key(), cache_folder()
    file = os.path.join(cache, FILE) if cache else ""
    names = bundled()
    try:
        known = json.loads(Path(file).read_bytes())
        if known["key"] == key and known["nets"].keys() == names.keys():
            found: dict[str, dict[str, Any]] = known["nets"]
            return found
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    made = {
        net.name: {
            "doc": net.doc.split("\n")[0],
            "params": int(net.params),
            "macs": int(net.macs),
            **({"variant": net.variant} if net.variant else {}),
        }
        for path in dict.fromkeys(names.values())
        for net in check_each(str(path), {}).sound()
    }
    made = {name: made[name] for name in names}
    if file:
        store(file, json.dumps({"key": key, "nets": made}).encode())
    return made


def _key() -> str:
    """A text that is another where the figures may be others."""
    parts: list[Mapping[str, Any] | str | list[Any]] = [__version__]
    specs = folder("specs")
    parts += [[path.name, path.read_text("utf-8")] for path in sorted(specs.glob("**/*.net"))]
    package = Path(__file__).parent.parent
    for path in sorted(package.glob("**/*.py")):
        state = path.stat()
        parts.append([str(path), state.st_size, state.st_mtime_ns])
    return sha256(json.dumps(parts).encode()).hexdigest()
