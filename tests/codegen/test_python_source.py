"""Source over several lines: as `ruff format` breaks it, and always the same program."""

from __future__ import annotations

import ast
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netspec.codegen.python_source import (
    WIDTH,
    FunctionCall,
    Infix,
    Keyword,
    Lambda,
    Source,
    Verbatim,
    call,
    docstring,
    function_head,
    statement,
)

NAMES = st.text("abcdefgh", min_size=1, max_size=14).map(lambda s: f"v{s}")


def trees(infix: bool) -> st.SearchStrategy[Source]:
    """Calls inside calls with positional and keyword arguments, and operators if asked for."""

    def larger(inner: st.SearchStrategy[Source]) -> st.SearchStrategy[Source]:
        keywords = st.builds(Keyword, NAMES.map(lambda s: f"k{s}"), inner)
        arguments = st.tuples(
            st.lists(inner, max_size=5), st.lists(keywords, max_size=2, unique_by=lambda k: k.name)
        )
        calls = st.builds(FunctionCall, NAMES, arguments.map(lambda a: (*a[0], *a[1])))
        if not infix:
            return calls
        operands = st.lists(calls | NAMES.map(Verbatim), min_size=2, max_size=4).map(tuple)
        sums = st.builds(Infix, st.just("+"), operands)
        functions = st.builds(Lambda, st.just(("x",)), inner)
        return calls | sums | functions

    return st.recursive(NAMES.map(Verbatim), larger, max_leaves=25)


@given(trees(infix=True), st.integers(0, 2))
def test_lines_are_the_same_program(tree: Source, level: int) -> None:
    lines = statement("x = ", tree, 4 * level)
    head = "".join(f"{'    ' * i}if True:\n" for i in range(level))
    found = ast.parse(head + "\n".join(lines))
    assert ast.dump(found) == ast.dump(ast.parse(f"{head}{'    ' * level}x = {tree.flat()}"))


def test_calls_are_broken_as_ruff_breaks_them() -> None:
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent)) or shutil.which("ruff")
    if ruff is None:
        pytest.skip("ruff is not installed")
    chosen = random.Random(0)

    def tree(depth: int) -> Source:
        name = f"v{''.join(chosen.choices('abcdefgh', k=chosen.randint(1, 14)))}"
        if not depth or chosen.random() < 0.3:
            return Verbatim(name)
        keywords = {f"k{i}": tree(depth - 1) for i in range(chosen.randint(0, 2))}
        return call(name, *(tree(depth - 1) for _ in range(chosen.randint(0, 5))), **keywords)

    sources = [tree(3) for _ in range(500)]
    ours = ["\n".join(statement("x = ", source, 0)) for source in sources]
    assert sum("\n" in text for text in ours) > 100
    flat = "\n# next\n".join(f"x = {source.flat()}" for source in sources)
    command = [ruff, "format", "--isolated", "--line-length", str(WIDTH), "-"]
    theirs = subprocess.run(command, input=flat, capture_output=True, text=True, check=True).stdout
    assert theirs.rstrip("\n").split("\n# next\n") == ours


def test_a_comment_stands_behind_what_fits_on_one_line_with_it() -> None:
    short, long = Verbatim("y"), call("f", *["argument"] * 9)
    assert statement("x = ", short, 4, "8x3x3") == ["    x = y  # 8x3x3"]
    assert statement("x = ", short, 4, "c" * WIDTH) == ["    x = y"]
    assert not any("#" in line for line in statement("x = ", long, 4, "8x3x3"))


@pytest.mark.parametrize("end", ["", '"', "\\", "'"])
@pytest.mark.parametrize("indent", [0, 4])
def test_docstrings_of_every_length_are_as_ruff_formats_them(
    end: str, indent: int, tmp_path: Path
) -> None:
    """Those of nearly the width, and longer ones."""
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent)) or shutil.which("ruff")
    if ruff is None:
        pytest.skip("ruff is not installed")
    draw = random.Random(0)
    for length in range(80, 112):
        words = "".join(draw.choice("abcd   e") for _ in range(length))
        text = " ".join(("x" + words).split()).ljust(length, "y")[:length].strip() + end
        body = "\n".join(docstring(text, indent))
        head = "class A:\n" if indent else ""
        path = tmp_path / f"n{length}.py"
        path.write_text(f"{head}{body}\n", encoding="utf-8")
        tree = ast.parse(path.read_text())
        found = ast.get_docstring(tree.body[0] if indent else tree)  # type: ignore[arg-type]
        assert found is not None
        assert " ".join(found.split()) == " ".join(text.split())
    for command in (["format", "--check"], ["check", "--select", "E,W"]):
        done = subprocess.run(
            [ruff, *command, "--isolated", "--line-length", "100", str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


def test_a_call_that_has_no_room_behind_its_target_gets_lines_of_its_own() -> None:
    target, head = "t" * 60, "f" * 60
    for arguments in (["x"], ["a" * 50, "b" * 50]):
        lines = statement(f"{target} = ", call(head, *arguments), indent=4)
        assert max(map(len, lines)) <= WIDTH
        text = "def g():\n" + "\n".join(lines)
        assert ast.dump(ast.parse(text)) == ast.dump(
            ast.parse(f"def g():\n    {target} = {head}({', '.join(arguments)})")
        )


def test_a_long_default_has_an_item_on_each_line() -> None:
    items = ", ".join([*map(str, range(1000, 1018)), '"a, (b"', "(1, 2)"])
    lines = function_head("f", ["self", f"sizes: tuple[Any, ...] = ({items})"], "None", 4)
    assert lines[:5] == [
        "    def f(",
        "        self,",
        "        sizes: tuple[Any, ...] = (",
        "            1000,",
        "            1001,",
    ]
    assert lines[-4:] == [
        '            "a, (b",',
        "            (1, 2),",
        "        ),",
        "    ) -> None:",
    ]
    compile("class A:\n" + "\n".join([*lines, "        pass"]), "a", "exec")
