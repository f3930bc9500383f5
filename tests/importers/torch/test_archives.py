"""Files that are no archive of PyTorch, are damaged, or mean harm: each gives a diagnostic."""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from netspec.diagnostics import Diagnostic, Diagnostics, SpecError
from netspec.importers.imported import ImportedNet
from netspec.importers.torch import read
from netspec.importers.torch.schema import modules_of
from netspec.importers.torch.traced import traced

Files = dict[str, bytes]


@pytest.fixture(scope="module")
def files() -> Files:
    """The entries of a small archive."""
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
    stream = io.BytesIO()
    torch.export.save(torch.export.export(module, (torch.randn(1, 3, 8, 8),)), stream)
    with zipfile.ZipFile(stream) as file:
        return {name: file.read(name) for name in file.namelist()}


def written(files: Files, path: Path, compression: int = zipfile.ZIP_STORED) -> Path:
    """An archive of these entries."""
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return path


def problem(path: Path) -> Diagnostic:
    """The one error of reading a file, or of reading a weight of it."""
    diagnostics = Diagnostics()
    found = read(path, {}, diagnostics)
    if found is not None:
        with pytest.raises(SpecError) as error:
            _read_all(found)
        return error.value.diagnostics[0]
    errors = [d for d in diagnostics if d.severity == "error"]
    assert len(errors) == 1
    assert str(path) in errors[0].message or errors[0].span is not None
    return errors[0]


def _read_all(found: ImportedNet) -> None:
    for node in found.nodes:
        for origin in node.origins.values():
            origin.read()


def changed_graph(files: Files, change: Callable[[Any], object]) -> Files:
    name = next(n for n in files if n.endswith("models/model.json"))
    program = json.loads(files[name])
    change(program)
    return files | {name: json.dumps(program).encode()}


def test_it_is_read_as_it_is(files: Files, tmp_path: Path) -> None:
    """An archive that was packed again by another tool is the same."""
    older = {n.replace("_weights_config", "_model_param_config"): c for n, c in files.items()}
    for entries in (files, older):
        found = read(written(entries, tmp_path / "m.pt2"), {}, Diagnostics())
        assert found is not None
        assert [n.op for n in found.nodes] == ["conv", "batchnorm", "relu"]
        assert found.nodes[0].origins["weight"].read().shape == (4, 3, 3, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no archive of PyTorch"),
        (b"no zip", "is no archive of PyTorch"),
        (b"PK\3\4" + bytes(100), "is no archive of PyTorch"),
    ],
)
def test_other_files(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "m.pt2"
    path.write_bytes(content)
    assert message in problem(path).message


def test_cut_files(files: Files, tmp_path: Path) -> None:
    """A file that was cut anywhere is an error, not a crash."""
    whole = written(files, tmp_path / "m.pt2").read_bytes()
    for size in range(0, len(whole), len(whole) // 9):
        path = tmp_path / "cut.pt2"
        path.write_bytes(whole[:size])
        assert "is no archive" in problem(path).message


def test_names_that_are_no_text(files: Files, tmp_path: Path) -> None:
    """An entry's name that is said to be UTF-8 and is not: in the directory, and in front of it."""
    name = next(n for n in files if n.endswith("models/model.json"))
    path = written(
        {n.replace("model.json", "mödel.json"): c for n, c in files.items()}, tmp_path / "m.pt2"
    )
    content, text = path.read_bytes(), name.replace("model.json", "mödel.json").encode()
    first, last = content.index(text), content.rindex(text)
    assert first != last
    for at in (first, last):
        place = at + text.index(b"\xc3") + 1
        path.write_bytes(content[:place] + b"o" + content[place + 1 :])
        assert problem(path).code == "unreadable-file"


def test_pickled_weights_are_refused(files: Files, tmp_path: Path) -> None:
    """Both older layouts, whose tensors are pickles, and single pickled tensors."""
    plain = {n: c for n, c in files.items() if "data/weights" not in n}
    older = written(plain | {"archive/data/weights/model.pt": b""}, tmp_path / "a.pt2")
    oldest = written({"serialized_exported_program.json": b"{}"}, tmp_path / "b.pt2")
    for path in (older, oldest):
        found = problem(path)
        assert "has pickled weights" in found.message
        assert "torch.export.save" in found.help[0]
        assert "netspec.from_torch" in found.help[1]
    config = next(n for n in files if n.endswith("weights_config.json"))
    one = files | {config: files[config].replace(b'"use_pickle": false', b'"use_pickle": true', 1)}
    assert "has a pickled tensor, 0.weight" in problem(written(one, tmp_path / "c.pt2")).message


def test_graphs_that_make_no_sense(files: Files, tmp_path: Path) -> None:
    """Each damage to the graph has a message; none is taken for a net."""

    def node(program: Any, number: int = 0) -> Any:
        return program["graph_module"]["graph"]["nodes"][number]

    def graph(program: Any) -> Any:
        return program["graph_module"]["graph"]

    def size(program: Any, name: str, sizes: Any) -> None:
        graph(program)["tensor_values"][name]["sizes"] = sizes

    def argument(program: Any, number: int, name: str, value: Any) -> None:
        given = node(program, number)["inputs"]
        given[:] = [one for one in given if one["name"] != name]
        given.append({"name": name, "arg": value})

    damages: list[tuple[Callable[[Any], object], str]] = [
        (lambda p: p.clear(), "does not follow the schema"),
        (lambda p: p["schema_version"].update(major=99), "version 99 of the schema"),
        (lambda p: p.update(graph_module=[]), "does not follow the schema at graph_module"),
        (lambda p: graph(p).update(nodes={"a": 1}), "does not follow the schema at nodes"),
        (lambda p: node(p).update(target=7), "does not follow the schema at target"),
        (lambda p: node(p).update(inputs=[3]), "does not follow the schema"),
        (lambda p: node(p).update(outputs=[]), "it has no result"),
        (lambda p: graph(p)["nodes"].reverse(), "nothing computes"),
        (
            lambda p: argument(p, 1, "input", {"as_tensor": {"name": "batch_norm"}}),
            "nothing computes",
        ),
        (lambda p: argument(p, 0, "stride", {"as_ints": [0, 0]}), "0: "),
        (lambda p: argument(p, 0, "stride", {"as_ints": [1, 1, 1]}), "over 3 directions"),
        (lambda p: argument(p, 0, "stride", {"as_string": "x"}), "its stride is no list"),
        (lambda p: argument(p, 0, "weight", {"as_tensor": {"name": "input"}}), "0: "),
        (lambda p: argument(p, 1, "eps", {"as_string": "x"}), "its eps is no number"),
        (lambda p: argument(p, 1, "eps", {"as_float": "NaN"}), "its eps is nan"),
        (lambda p: node(p).update(target="torch.ops.evil.run.default"), "evil.run"),
        (lambda p: size(p, "conv2d", [{"as_int": -1}]), "impossible shape"),
        (lambda p: size(p, "conv2d", [{"as_int": 1 << 60}] * 4), "impossible shape"),
        (lambda p: size(p, "conv2d", [{"as_int": 1}] * 40), "40 dimensions"),
        (lambda p: size(p, "input", [{"as_int": 1}]), "x is a number"),
        (lambda p: size(p, "conv2d", [{"as_int": 1}] * 4), "0: it should give 1x1x1"),
        (lambda p: size(p, "input", [{"as_expr": {"expr_str": "s0"}}]), "leaves a size open"),
        (lambda p: p["graph_module"]["signature"].update(input_specs=[]), ""),
        (lambda p: p["graph_module"]["signature"].update(output_specs=[]), "gives no tensor"),
    ]
    for number, (damage, message) in enumerate(damages):
        harmed = changed_graph(files, damage)
        found = problem(written(harmed, tmp_path / f"{number}.pt2"))
        assert message in found.message, (number, found.message)


def test_bytes_that_are_not_there(files: Files, tmp_path: Path) -> None:
    """Sizes, places and files of tensors that the archive does not have."""
    config = next(n for n in files if n.endswith("weights_config.json"))

    def harmed(change: Callable[[Any], object]) -> Files:
        found = json.loads(files[config])
        change(found["config"]["0.weight"])
        return files | {config: json.dumps(found).encode()}

    huge = [{"as_int": 1 << 12}] * 3
    damages: list[tuple[Callable[[Any], object], str]] = [
        (lambda w: w.update(path_name="../../../etc/passwd"), "bytes of 0.weight are missing"),
        (lambda w: w.update(path_name="weight_99"), "bytes of 0.weight are missing"),
        (lambda w: w.update(tensor_meta=None), "does not follow the schema"),
        (lambda w: w["tensor_meta"].update(sizes=huge, strides=huge), "too few"),
        (lambda w: w["tensor_meta"].update(sizes=huge, strides=[{"as_int": 0}] * 3), "too few"),
        (lambda w: w["tensor_meta"].update(strides=[{"as_int": -1}] * 4), "no places"),
        (lambda w: w["tensor_meta"].update(storage_offset={"as_int": 1 << 40}), "too few"),
        (lambda w: w["tensor_meta"].update(storage_offset={"as_int": True}), "no places"),
        (lambda w: w["tensor_meta"].update(storage_offset=3), "no places"),
        (lambda w: w["tensor_meta"].update(strides=[1, None, "x", {}]), "no places"),
        (lambda w: w["tensor_meta"].update(sizes=[{"as_int": True}] * 4), "leaves a size open"),
        (lambda w: w["tensor_meta"].update(dtype=9), "type that is not read"),
    ]
    for number, (damage, message) in enumerate(damages):
        found = problem(written(harmed(damage), tmp_path / f"{number}.pt2"))
        assert message in found.message, (number, found.message)
    packed = written(files, tmp_path / "packed.pt2", zipfile.ZIP_DEFLATED)
    assert "are compressed" in problem(packed).message


def test_json_that_is_no_json(files: Files, tmp_path: Path) -> None:
    name = next(n for n in files if n.endswith("models/model.json"))
    for content in (b"{", b"[" * 100_000, b"\xff", b'{"a": ' + b"9" * 5000 + b"}"):
        found = problem(written(files | {name: content}, tmp_path / "m.pt2"))
        assert "is damaged: models/model.json" in found.message
    two = files | {name.replace("model.json", "other.json"): files[name]}
    assert "has 2 models inside" in problem(written(two, tmp_path / "m.pt2")).message
    none = {n: c for n, c in files.items() if n != name}
    assert "no exported program" in problem(written(none, tmp_path / "m.pt2")).message


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Each dict or list inside of JSON with each of its keys."""
    keys = [*value] if isinstance(value, dict) else range(len(value))
    found = []
    for key in keys:
        found.append((value, key))
        if isinstance(value[key], dict | list):
            found += _places(value[key])
    return found


def test_changes_at_random(files: Files, tmp_path: Path) -> None:
    """JSON with other values in it is a net, or has a diagnostic; nothing else is raised."""
    chance = random.Random(5)
    values = [None, 0, -1, 3, 10**20, 1.5, "", "x", [], {}, [1, 2], True, {"as_int": -5}]
    nets = 0
    for number in range(60):
        name = chance.choice([n for n in files if n.endswith(".json")])
        changed = json.loads(files[name])
        places = _places(changed)
        for inside, key in chance.sample(places, min(2, len(places))):
            inside[key] = chance.choice(values)
        path = written(files | {name: json.dumps(changed).encode()}, tmp_path / f"{number}.pt2")
        diagnostics = Diagnostics()
        found = read(path, {}, diagnostics)
        if found is None:
            assert diagnostics.failed
            continue
        nets += 1
        with suppress(SpecError):
            _read_all(found)
    assert 5 < nets < 55


def test_names_are_kept_out_of_texts(files: Files, tmp_path: Path) -> None:
    """A name of the file that has line breaks and code in it stays a name."""
    evil = 'x": import os\n"""\n}'
    harmed = {
        n: c.replace(b"0.weight", json.dumps(evil)[1:-1].encode()) if n.endswith(".json") else c
        for n, c in files.items()
    }
    harmed = changed_graph(
        harmed,
        lambda p: p["graph_module"]["graph"]["nodes"][0]["metadata"].update(
            nn_module_stack=f"L,{evil},torch.nn.modules.conv.Conv2d"
        ),
    )
    diagnostics = Diagnostics()
    found = read(written(harmed, tmp_path / "m.pt2"), {}, diagnostics)
    assert found is not None
    assert '\n"""' not in found.file.items[0].span.source.text


def test_no_torch_is_needed(files: Files, tmp_path: Path) -> None:
    """A file is read, its weights too, where PyTorch is not installed."""
    path = written(files, tmp_path / "m.pt2")
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from netspec.diagnostics import Diagnostics\n"
        "from netspec.importers.torch import read\n"
        f"found = read(Path({str(path)!r}), {{}}, Diagnostics())\n"
        "print(found.nodes[0].origins['weight'].read().shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "(4, 3, 3, 3)\n", done.stderr


def test_paths_of_modules() -> None:
    """The text of a stack of modules, with later calls of one and an empty one."""
    stack = "L__self__,,a.B;L__self___x,x,torch.nn.C;L__self___x.1@1,x.1@1,d.E"
    assert modules_of(stack) == (("", "a.B"), ("x", "torch.nn.C"), ("x.1", "d.E"))
    assert modules_of("_empty_nn_module_stack_x,_empty,_empty") == ()
    assert modules_of("") == ()


def test_what_torch_cannot_trace() -> None:
    """A module whose own code fails gives the reason."""

    class Fails(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if x.sum() > 0:
                return x
            raise ValueError

    with pytest.raises(Exception, match=r"can't be traced by torch\.export: "):
        traced(Fails(), (torch.randn(1, 3),), "Fails")
