"""Every op is complete: one readable list of what is missing anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from netspec.codegen.backend import backends, get
from netspec.driver import check
from netspec.ops import FAMILIES, OPS, Op, attributes
from netspec.reference.ops import example_source
from tests.backends.nets import BODIES, POOLINGS, of_layers

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGE = (DOCS / "ops.md").read_text(encoding="utf-8")
TABLE = (DOCS / "language.md").read_text(encoding="utf-8").split("\n## Ops and their fields\n")[1]


def missing(op: type[Op], tried: set[type[Op]]) -> Iterator[str]:
    """What an op lacks, each with the file that it belongs in."""
    file = f"{op.__module__.replace('.', '/')}.py"
    about, *_ = (op.__doc__ or "").split("\n\n")
    if not about.strip().endswith("."):
        yield f"a first paragraph of documentation that ends with a full stop ({file})"
    if op.family not in FAMILIES:
        yield "a family that is listed (netspec/ops/registry.py)"
    yield from (f"a line about {a.name} ({file})" for a in attributes(op) if not a.doc)
    checked = check(example_source(op), None, {})
    if checked.net is None or op not in {type(layer.op) for layer in checked.net.layers}:
        yield f"an example that holds and uses it ({file})"
    for backend in backends():
        if op not in get(backend).emitters:
            yield f"an emitter (backends/netspec_{backend}/emitters.py)"
    if op not in tried:
        yield "a net that tries it in all backends (BODIES of tests/backends/nets.py)"
    if f"\n### {op.keyword}\n" not in PAGE:
        yield "a section of docs/ops.md (pytest tests/docs --update writes it)"
    if not re.search(rf"^\| [^|]*\b{op.keyword}\b", TABLE, re.MULTILINE):
        yield "a place in the table of ops of docs/language.md"


def test_no_op_lacks_anything() -> None:
    tried = {
        type(flat.op)
        for case in [*BODIES.values(), *POOLINGS.values()]
        for flat in of_layers(*case).layers
    }
    lacks = [f"{op.keyword}: {what}" for op in OPS.values() for what in missing(op, tried)]
    assert not lacks, "ops that lack something:\n" + "\n".join(lacks)


def test_all_that_an_op_lacks_is_listed() -> None:
    class Nothing(Op):
        keyword = "nothing"
        family = OPS["relu"].family

    listed = "\n".join(missing(Nothing, set()))
    for what in (
        "documentation",
        "example",
        "netspec_torch/",
        "netspec_numpy/",
        "netspec_onnx/",
        "ops.md",
        "language.md",
    ):
        assert what in listed, what
