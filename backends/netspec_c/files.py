"""What surrounds the net in its C file: header, embedded weights, initialization, the entry."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from math import isnan, prod
from pathlib import Path
from string import Template
from typing import Any

from netspec.codegen.backend import summary
from netspec.codegen.header import compiled_from
from netspec.ir import Value
from netspec.ops import IndexShape
from netspec_c.c_file import CFile
from netspec_c.c_language import WIDTH, comment, number, wrapped

_LANES = 1 << 16
"""Most lanes of a compressed tensor, for each a float of memory (`nsz.c`)."""
_TABLE = 1 << 12
"""Floats of memory for the table of a decoder."""
_POOL = 512
"""Bytes of memory for a pool of threads, beside those for each thread."""
_THREAD = 64
"""Bytes of memory for a thread in the pool."""


def init_floats(file: CFile, nsz: bool) -> int:
    """Floats beside the packed weights that initialization takes."""
    return file.folded + (file.weights + _LANES + _TABLE if nsz else 0)


def memory_bytes(file: CFile, threads: int) -> int:
    """Bytes of memory for a context, where NETSPEC_THREADS is this number."""
    rest = max(workspace_bytes(file, threads), 4 * init_floats(file, False))
    return 4 * file.packed_floats + rest


def workspace_bytes(file: CFile, threads: int) -> int:
    """Bytes of a workspace in a file that is compiled with NETSPEC_THREADS."""
    return 4 * file.values + threads * (4 * file.scratch + _THREAD) + _POOL


_FLOATS = """\
  if (size != {net}_WEIGHTS_BYTES || (uintptr_t)weights % sizeof(float)) return {net}_BAD_WEIGHTS;
  pack(weights, packed, rest);"""

_COMPRESSED = """\
  float *w = rest + {folded};
  if (!nsz_read(weights, size, TENSORS, {tensors}, w, {floats})) return {net}_BAD_WEIGHTS;
  pack(w, packed, rest);"""


@cache
def _template(name: str) -> Template:
    return Template((Path(__file__).parent / "templates" / name).read_text("utf-8").rstrip("\n"))


def header(file: CFile, nsz: bool, embeds: bool) -> str:
    """The header: sizes, error codes, functions."""
    net, upper = file.prefix, file.prefix.upper()
    title = file.net.doc.partition("\n\n")[0]
    about = [*comment(compiled_from([file.net])), *comment(f"{title} {summary(file.net)}")]
    sizes = []
    for name, value in _arguments(file):
        shape = " x ".join(map(str, shape_of(value)))
        sizes.append(f"#define {upper}_{name.upper()}_SIZE {prod(shape_of(value))} /* {shape} */")
    given = (
        "`weights` are a .nsz file of `size` bytes"
        if nsz
        else "`weights` are `size` bytes of floats"
    )
    given += (
        ", or NULL for those in the C file." if embeds else ", which are not needed afterwards."
    )
    return _template("net.h").substitute(
        about="\n".join(about),
        net=net,
        NET=upper,
        sizes="\n".join(sizes),
        weights=4 * file.weights,
        packed=4 * file.packed_floats,
        init=4 * init_floats(file, nsz),
        values=4 * file.values,
        thread=4 * file.scratch + _THREAD,
        pool=_POOL,
        workspace=max(64, 4 * (file.values + file.scratch)),
        layers=max(1, len(file.packed)),
        given=given,
        run=_run(file),
    )


def initialization(file: CFile, nsz: bool, embeds: bool) -> str:
    """The functions of the header."""
    upper = file.prefix.upper()
    body = [line for p in file.packed.values() for s in p.statements for line in wrapped(f"{s};")]
    pack = re.sub(r"\b([wpt]) \+ 0\b", r"\1", "\n".join(body))
    unused = "".join(f"  (void){x};\n" for x in "wpt" if not re.search(rf"\b{x}\b", pack))
    starts = ", ".join(str(p.start) for p in file.packed.values()) or "0"
    array = "NSZ" if nsz else "WEIGHTS"
    read = _COMPRESSED if nsz else _FLOATS
    parameters = (f"!{name}" for name in ("ctx", *(name for name, _ in _arguments(file))))
    check = f"if ({' || '.join(parameters)} || !ctx->workspace) return {upper}_BAD_ARGUMENT;"
    return _template("net.c").substitute(
        net=file.prefix,
        NET=upper,
        pack=(unused + pack).rstrip("\n"),
        starts="\n".join(wrapped(f"static const size_t starts[] = {{{starts}}};")),
        embedded=f"  if (!weights) weights = {array}, size = sizeof {array};\n" * embeds,
        packed=file.packed_floats,
        read=read.format(
            net=upper, folded=file.folded, tensors=len(file.tensors), floats=file.weights
        ),
        layers=max(1, len(file.packed)),
        run=_run(file),
        check="\n".join(wrapped(check)),
        values=file.values,
        call="\n".join(wrapped(f"network(&run, m, ctx->weights, {', '.join(_passed(file))});")),
        pool=_POOL,
        each=_THREAD,
        scratch=file.scratch,
    )


def _run(file: CFile) -> str:
    """The head of the function that runs the net."""
    found = [f"const {file.prefix}_context *ctx"]
    found += [f"const float *{name}" for name in file.inputs.values()]
    for name, value in file.outputs:
        found.append(f"{'int32_t' if isinstance(value.shape, IndexShape) else 'float'} *{name}")
    return "\n".join(wrapped(f"int {file.prefix}_run({', '.join(found)})", 0))


def _passed(file: CFile) -> Iterator[str]:
    """What that passes on to the network."""
    for value, name in file.inputs.items():
        yield f"(Plain){{(float *)(uintptr_t){name}, {_chw(value)}}}"
    for name, value in file.outputs:
        index = isinstance(value.shape, IndexShape)
        yield name if index else f"(Plain){{{name}, {_chw(value)}}}"


def _chw(value: Value) -> str:
    return ", ".join(map(str, [*shape_of(value), 1, 1][:3]))


def shape_of(value: Value) -> list[int]:
    """The shape of a value as plain numbers."""
    return [int(n) for n in value.shape]


def _arguments(file: CFile) -> Iterator[tuple[str, Value]]:
    for value, name in file.inputs.items():
        yield name, value
    yield from file.outputs


def arguments(file: CFile) -> list[tuple[str, list[int], bool]]:
    """Of each input and output its name, its shape, and whether it holds indices."""
    return [(n, shape_of(v), isinstance(v.shape, IndexShape)) for n, v in _arguments(file)]


def embedded(file: CFile, weights: Mapping[str, Any] | None, nsz: bytes, reads: bool) -> list[str]:
    """The arrays of the file: names of tensors for compressed weights, and the weights."""
    found = []
    if reads:
        items = [f"{{{_string(n)}, {prod(shape)}}}" for n, (_, shape) in file.tensors.items()]
        found.append(_array("static const NszTensor TENSORS[]", items or ['{"", 0}']))
    if nsz:
        found.append(_array("static const unsigned char NSZ[]", [str(byte) for byte in nsz]))
    elif weights is not None:
        numbers = (x for name in file.tensors for x in weights[name].reshape(-1).tolist())
        texts = ["NAN" if isnan(x) else number(x) for x in numbers]
        found.append(_array("static const float WEIGHTS[]", texts))
    return found


def _string(name: str) -> str:
    """A name as a string literal, which it can't end."""
    return '"' + re.sub(r"[^\w.-]", lambda m: f"\\{ord(m[0]) & 255:03o}", name, flags=re.A) + '"'


def _array(head: str, items: Sequence[str]) -> str:
    """An array, as many items on a line as there is room for."""
    lines, line = [f"{head} = {{"], " "
    for item in items:
        if len(line) + len(item) > WIDTH - 2:
            lines.append(line)
            line = " "
        line += f" {item},"
    return "\n".join([*lines, line, "};"])
