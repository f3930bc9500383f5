"""Editing at random: no question fails, and answers are those of a server that has just begun."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from netspec.diagnostics.fixes import edited
from netspec.editing.language import completion, hover, layout, outline
from netspec.editing.language.analysis import MAX_CHECKED, analyse
from netspec.editing.language.names import names_of
from netspec.editing.language.workspace import RenameRefused, Workspace
from netspec.syntax.formatter import format_text

from ..helpers import bundled_text

PIECES = (
    *("conv { filters: 8 }", "relu", "}", "{", "(", "net ", "module m(a = 1) {\n  relu\n}\n", "\n"),
    *("for i in 1..3 {", "let k = 3", "-> ", ".", ":", "import fire\n", "é", "😀", '"', "x.height"),
)


def answers(workspace: Workspace, path: Path, offset: int) -> list[Any]:
    """What each question about a place of a text comes to, in texts and numbers."""
    present, sound = workspace.analysis(path), workspace.sound(path)
    text = present.source.text
    found: list[Any] = [[(d.code, d.message, d.span and d.span[1:]) for d in present.diagnostics]]
    shown = hover.hover(present, offset)
    found.append(shown and (shown[0][1:], shown[1]))
    found.append(completion.signature_at(sound, text, offset))
    found.append([c.label for c in completion.completions(sound, text, offset)])
    found.append([(o.span[1:], o.symbol.name) for o in workspace.references(path, offset)])
    found.append([e.name for e in outline.symbols(present)])
    found += [outline.folds(present), outline.hints(present), len(outline.tokens(present))]
    found.append([lens.title for lens in outline.lenses(present)])
    found.append(layout.layout(text, (3, 6)))
    try:
        found.append(len(workspace.rename(path, offset, "another")))
    except RenameRefused as error:
        found.append(str(error))
    return found


@pytest.mark.parametrize("spec", ["squeezenet1_1", "unet"])
def test_edits_at_random(spec: str, tmp_path: Path) -> None:
    rng = random.Random(spec)
    path = tmp_path / "edited.net"
    text = original = bundled_text(spec)
    workspace = Workspace()
    for step in range(25):
        start = rng.randrange(len(text) + 1)
        end = min(len(text), start + rng.choice((0, 0, 1, 3, 30)))
        text = text[:start] + rng.choice(("", *PIECES)) + text[end:]
        if step % 6 == 5:
            text = original  # people undo
        workspace.open(path, text)
        offset = rng.randrange(len(text) + 1)
        fresh = Workspace()
        fresh.open(path, text)
        after = answers(workspace, path, offset)
        if workspace.analysis(path).file is not None:
            assert after == answers(fresh, path, offset)
        else:  # what was known of the text before serves completion
            assert after[0] == answers(fresh, path, offset)[0]


def test_names_lead_to_where_they_are_given(tmp_path: Path) -> None:
    text = """module m(a, b = a) {
  input x
  let k = a + x.channels
  for i in 1..k { y[i]: conv(x) { filters: i * b } }
  output y[1]
}
net n {
  input x: 3x8x8
  k: m { a: 2  b: 3 }
  let a = 1
  add(k, k)
}
"""
    analysis = analyse(tmp_path / "n.net", text)
    assert analysis.file is not None
    named: dict[tuple[str, int, str], list[int]] = {}
    for span, symbol in names_of(analysis.file, analysis.program):
        if symbol.place is not None:
            named.setdefault((symbol.kind, symbol.place.line, symbol.name), []).append(span.line)
    assert named == {
        ("module", 1, "m"): [1, 9],
        ("parameter", 1, "a"): [1, 1, 3, 9],
        ("parameter", 1, "b"): [1, 4, 9],
        ("input", 2, "x"): [2, 3, 4],
        ("constant", 3, "k"): [3, 4],
        ("constant", 4, "i"): [4, 4, 4],
        ("layer", 4, "y"): [4, 5],
        ("net", 7, "n"): [7],
        ("input", 8, "x"): [8],
        ("layer", 9, "k"): [9, 11, 11],
        ("constant", 10, "a"): [10],
    }


@pytest.mark.parametrize(
    ("text", "word", "name"),
    [
        ("net n(act = silu) {\n input x: 3x8x8\n conv { filters: 4  kernel: 1 } -> act -> relu\n}", "act", "relu"),
        ("net n {\n input x: 3x8x8\n t: conv { filters: 3  kernel: 1 }\n u: t(x)\n}", "t:", "relu"),
        ("net n {\n input x: 3x8x8\n a: relu\n b: relu(a)\n}", "a:", "b"),
    ],
)  # fmt: skip
def test_names_that_would_make_another_net(text: str, word: str, name: str, tmp_path: Path) -> None:
    workspace = Workspace()
    workspace.open(tmp_path / "n.net", text)
    with pytest.raises(RenameRefused):
        workspace.rename(tmp_path / "n.net", text.index(word), name)


def test_words_of_fields_are_no_names(tmp_path: Path) -> None:
    text = "net n {\n  input x: 4x8x8\n  same: conv { filters: 4  kernel: 3  pad: same }\n}\n"
    workspace = Workspace()
    path = tmp_path / "n.net"
    workspace.open(path, text)
    assert edited(text, workspace.rename(path, text.index("same"), "c1")) == text.replace(
        "same:", "c1:"
    )


def test_lines_are_those_of_editors(tmp_path: Path) -> None:
    text = "net n {\n  input x: 3x8x8\n  # a\u2028b\n  relu\n  tanh   {   }\n  sigmoid\n}\n"
    lines = text.split("\n")
    for edit in reversed(layout.layout(text)):
        lines[edit.first : edit.last] = edit.text.split("\n")[:-1]
    assert "\n".join(lines) == format_text(text)
    assert "sigmoid" in "\n".join(lines)


def test_the_value_of_an_expression(tmp_path: Path) -> None:
    text = "net n(w = 2) {\n  input x: 3x8x8\n  let k = w * 3\n  conv { filters: k + 1  kernel: 1 }\n}\n"
    analysis = analyse(tmp_path / "n.net", text)
    for expression, shown in (("* 3", "k: here `6`"), ("+ 1", "filters: here `7`")):
        found = hover.hover(analysis, text.index(expression))
        assert found is not None
        assert found[1] == shown


def test_a_new_name_gives_the_same_net(tmp_path: Path) -> None:
    path = tmp_path / "n.net"
    text = bundled_text("squeezenet1_1")
    workspace = Workspace()
    workspace.open(path, text)
    before = workspace.analysis(path).nets[0]
    edits = workspace.rename(path, text.index("classes"), "kinds")
    after = edited(text, edits)
    assert after is not None
    assert "classes" not in after.partition("net ")[2].replace("1000 classes", "")
    workspace.open(path, after)
    net = workspace.analysis(path).nets[0]
    assert (net.params, net.macs, net.tensors.keys()) == (
        before.params,
        before.macs,
        before.tensors.keys(),
    )


def test_a_long_text_is_only_parsed(tmp_path: Path) -> None:
    line = "  conv { filters: 8  kernel: 1 }\n"
    text = "net n {\n  input x: 3x8x8\n" + line * (MAX_CHECKED // len(line) + 1) + "}\n"
    analysis = analyse(tmp_path / "n.net", text)
    assert not analysis.nets
    assert not analysis.diagnostics
    assert analysis.names
