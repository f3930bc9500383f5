"""The source of the kernels, to be copied into emitted files: function by function.

A file gets the kernels that its steps name and all that these call, found in the kernels' syntax
trees. So the kernels are ordinary typed modules with tests of their own.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from netspec.planning import memory_slots

FOLDER = Path(__file__).parent / "kernels"
SHARED = [Path(memory_slots.__file__), Path(__file__).with_name("winograd_choice.py")]
"""What compiling uses too, without NumPy."""
SUBJECTS = (
    "arrays",
    "convolution",
    "windows",
    "pooling",
    "activation",
    "normalization",
    "rearranging",
    "resizing",
    "products",
    "steps",
    "plan",
    "weights",
    "model",
    "pictures",
)
"""The files of kernels, in the order in which emitted files have them."""


_added: list[Path] = []


def add_kernels(file: Path) -> None:
    """Let the emitters of another package use the functions of a file.

    They may read `np`, `math`, `Array` and each other. Of functions of one name, the last is
    taken.
    """
    _added.append(file)
    _functions.cache_clear()


@cache
def _functions() -> dict[str, tuple[str, frozenset[str]]]:
    """The source of each function, class and constant of the kernels, and the names it reads."""
    functions = {}
    for path in [*(FOLDER / f"{subject}.py" for subject in SUBJECTS), *SHARED, *_added]:
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                name = node.name
                first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            elif isinstance(node, ast.Assign):
                name, first = ast.unparse(node.targets[0]), node.lineno
            else:
                continue
            functions[name] = ("\n".join(lines[first - 1 : node.end_lineno]), _read(node))
    return functions


def _read(node: ast.AST) -> frozenset[str]:
    """The names that a definition reads and does not itself assign."""
    names = [n for n in ast.walk(node) if isinstance(n, ast.Name)]
    own = {n.id for n in names if isinstance(n.ctx, ast.Store)}
    own |= {a.arg for a in ast.walk(node) if isinstance(a, ast.arg)}
    return frozenset(n.id for n in names) - own


@cache
def signature(name: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """The names of a kernel's positional parameters, and the defaults of all, as source.

    Nothing is known of what is no kernel, and no positions of those that take any number.
    """
    found = _functions().get(name)
    node = ast.parse(found[0]).body[0] if found else None
    if not isinstance(node, ast.FunctionDef | ast.ClassDef):
        return (), {}
    if isinstance(node, ast.ClassDef):  # a named tuple
        fields = [n for n in node.body if isinstance(n, ast.AnnAssign)]
        pairs = [(ast.unparse(n.target), n.value) for n in fields]
        return tuple(n for n, _ in pairs), {n: ast.unparse(v) for n, v in pairs if v}
    args = node.args
    names = [a.arg for a in args.args]
    some = zip(reversed(names), reversed(args.defaults), strict=False)
    defaults = dict(some) | {
        a.arg: v for a, v in zip(args.kwonlyargs, args.kw_defaults, strict=True) if v
    }
    positions = () if args.vararg else tuple(names)
    return positions, {n: ast.unparse(v) for n, v in defaults.items()}


def kernel_names() -> frozenset[str]:
    """The names of all kernels."""
    return frozenset(_functions())


def with_helpers(names: Iterable[str]) -> dict[str, str]:
    """The source of these kernels and of all that they call, in the order of `SUBJECTS`."""
    functions = _functions()
    needed: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in needed:
            needed.add(name)
            pending += [n for n in functions[name][1] if n in functions]
    return {name: source for name, (source, _) in functions.items() if name in needed}


def reads(sources: Iterable[str], name: str) -> bool:
    """Whether any of the sources reads or assigns a name."""
    return any(
        isinstance(n, ast.Name) and n.id == name
        for source in sources
        for n in ast.walk(ast.parse(source))
    )
