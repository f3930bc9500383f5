"""Lexer and parser against Lark's own, on the same grammars."""

from __future__ import annotations

import marshal
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import lark
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netspec.driver import bundled, bundled_modules
from netspec.syntax import lark_adapter, table_store
from netspec.syntax.lalr import END, Stack, Token, UnexpectedCharacter
from netspec.util.resources import folder

STARTS = (("netspec", "start"), ("netspec", "expr"), ("prototxt", "start"))
SPECS = (*bundled().values(), *bundled_modules().values())
WORDS = {
    "netspec": "net n { } input x : 3x8x8 let = 4 if else ( ) conv -> [ ] , + not in 1.5K",
    "prototxt": "layer { } name : 'x' type < > 1.5 [ ] , ; - TRAIN",
}


@cache
def theirs(name: str, start: str) -> lark.Lark:
    text = (folder("grammars") / f"{name}.lark").read_text()
    options: dict[str, Any] = {"keep_all_tokens": True, "maybe_placeholders": False}
    return lark.Lark(text, start=start, parser="lalr", lexer="basic", **options)


class Trees:
    """Makes a tuple of a rule's name and its children."""

    def __getattr__(self, name: str) -> Callable[[list[Any]], Any]:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda children: (name, *children)


def tree(name: str, start: str, text: str) -> Any:
    """What the text is, as Trees says; None for a syntax error."""
    grammar = table_store.grammar(name, start)
    stack = Stack(grammar, Trees())
    try:
        accepted = all(stack.feed(token) for token in grammar.tokens(text))
    except UnexpectedCharacter:
        return None
    return stack.values[0] if accepted and stack.finish(Token.of(END, "", len(text))) else None


def their_tree(name: str, start: str, text: str) -> Any:
    try:
        return plain(theirs(name, start).parse(text))
    except lark.UnexpectedInput:
        return None


def plain(node: Any) -> Any:
    if isinstance(node, lark.Token):
        return str(node)
    return (str(node.data), *(plain(child) for child in node.children))


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_tokens_and_their_places_are_those_of_lark(path: Path) -> None:
    text = path.read_text()
    comments: list[Token] = []
    ours = table_store.grammar("netspec").tokens(text, 0, comments)
    assert [(t.kind, str(t), t.start, t.end, t.line, t.column, t.end_line) for t in ours] == [
        (t.type, str(t), t.start_pos, t.end_pos, t.line, t.column, t.end_line)
        for t in theirs("netspec", "start").lex(text)
    ]
    assert all(text[c.start :].startswith("#") for c in comments)
    assert len(comments) == sum(line.lstrip().startswith("#") for line in text.splitlines()) + sum(
        "#" in line and not line.lstrip().startswith("#") for line in text.splitlines()
    )


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_trees_of_specs_are_those_of_lark(path: Path) -> None:
    text = path.read_text()
    expected = their_tree("netspec", "start", text)
    assert expected is not None
    assert tree("netspec", "start", text) == expected


def texts() -> Iterator[Any]:
    for name, start in STARTS:
        words = st.lists(st.sampled_from(WORDS[name].split()), max_size=12)
        yield words.map(lambda w, n=name, s=start: (n, s, " ".join(w)))  # type: ignore[misc]


@given(st.one_of(*texts()))
def test_random_texts_are_read_as_by_lark(given: tuple[str, str, str]) -> None:
    assert tree(*given) == their_tree(*given)


@pytest.mark.parametrize(
    "text", ["1 + 2 * x", "a if b else c", "[1, [?, 3x4]]", "-a ** -b.c[2]", "not a in b and c"]
)
def test_expressions_are_read_as_by_lark(text: str) -> None:
    expected = their_tree("netspec", "expr", text)
    assert expected is not None
    assert tree("netspec", "expr", text) == expected


def test_acceptable_kinds_are_those_that_are_accepted() -> None:
    grammar = table_store.grammar("netspec")
    tokens = list(grammar.tokens(SPECS[0].read_text()))
    for length in range(0, len(tokens), 7):
        kinds = set()
        for kind in {kind for state in grammar.states for kind in state if kind.isupper()} - {END}:
            stack = Stack(grammar, Trees())
            assert all(stack.feed(token) for token in tokens[:length])
            if stack.acceptable() >= {kind}:
                kinds.add(kind)
                assert stack.feed(Token.of(kind, "", 0))
            else:
                assert not stack.feed(Token.of(kind, "", 0))
        assert kinds


def test_tables_of_another_grammar_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    text = (folder("grammars") / "netspec.lark").read_text()
    made = table_store.grammar.__wrapped__("netspec")
    file = tmp_path / "netspec" / table_store.file_name("netspec", "start")
    kept = file.read_bytes()
    assert table_store.grammar.__wrapped__("netspec").states == made.states
    assert file.read_bytes() == kept, "what was there was read"
    for damaged in (b"", kept[:-9], kept.replace(text.encode(), text.upper().encode())):
        file.write_bytes(damaged)
        assert table_store.grammar.__wrapped__("netspec").states == made.states
        assert marshal.loads(file.read_bytes()) == marshal.loads(kept)


def test_tables_beside_the_grammar_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a wheel brings them: neither Lark nor a cache folder is needed."""
    monkeypatch.setattr(table_store, "folder", lambda name: tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    for name, start in table_store.GRAMMARS:
        text = (folder("grammars") / f"{name}.lark").read_text()
        (tmp_path / f"{name}.lark").write_text(text)
        made = table_store.content(text, lark_adapter.tables_of(text, start))
        (tmp_path / table_store.file_name(name, start)).write_bytes(made)

    def refuse(grammar: str, start: str) -> None:
        pytest.fail("the tables were made anew")

    monkeypatch.setattr(lark_adapter, "tables_of", refuse)
    for name, start in table_store.GRAMMARS:
        found = table_store.grammar.__wrapped__(name, start)
        assert found.states == table_store.grammar(name, start).states
