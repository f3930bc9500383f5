"""Each rule of the hints is the one that its example brings up."""

from __future__ import annotations

import pytest

from netspec.diagnostics import Diagnostic, Diagnostics
from netspec.diagnostics.fixes import edited
from netspec.diagnostics.source import Source
from netspec.syntax.parser import hints, parse
from netspec.syntax.parser.syntax_problem import HintRule, SyntaxProblem

TABLES = {
    "at top": hints.AT_TOP,
    "anywhere": hints.ANYWHERE,
    "in a block": hints.IN_BLOCK,
    "in fields": hints.IN_FIELDS,
    "in parameters": hints.IN_PARAMETERS,
    "in round brackets": hints.IN_ROUND_BRACKETS,
}
RULES = [(table, rule) for table, rules in TABLES.items() for rule in rules]


def problems(text: str) -> list[Diagnostic]:
    found = Diagnostics()
    assert parse(Source("t", text), found) is None, text
    return list(found.sorted())


def whole_text(table: str, rule: HintRule) -> str:
    if table == "at top" or rule.example.startswith("module"):
        return rule.example
    return f"net n {{\n  input x: 3x8x8\n  {rule.example}\n}}"


@pytest.mark.parametrize(("table", "rule"), RULES, ids=[rule.example for _, rule in RULES])
def test_the_example_brings_up_its_rule(
    monkeypatch: pytest.MonkeyPatch, table: str, rule: HintRule
) -> None:
    applied: list[tuple[HintRule | None, SyntaxProblem]] = []
    original = hints.rule_for

    def recorded(problem: SyntaxProblem) -> HintRule | None:
        applied.append((original(problem), problem))
        return applied[-1][0]

    monkeypatch.setattr(hints, "rule_for", recorded)
    text = whole_text(table, rule)
    found = problems(text)
    assert applied, "another error came first"
    first, problem = applied[0]
    assert first is rule, "another rule applies" if first else "no rule applies"
    assert rule.text(problem)
    assert (rule.text(problem),) in [d.help for d in found]


@pytest.mark.parametrize(("table", "rule"), RULES, ids=[rule.example for _, rule in RULES])
def test_its_fix_mends_the_example(table: str, rule: HintRule) -> None:
    text = whole_text(table, rule)
    first = next((d for d in problems(text) if d.fixes), None)
    if first is None:
        assert rule.fix.__name__ == "<lambda>", "this rule has a fix, which is not offered"
        return
    (fix,) = first.fixes
    fixed = edited(text, fix.edits)
    assert fixed is not None
    left = Diagnostics()
    parse(Source("t", fixed), left)
    assert (first.code, first.message) not in [(d.code, d.message) for d in left], fixed
    assert len(left) < len(problems(text)), fixed


@pytest.mark.parametrize("word", hints.FOREIGN_WORDS)
def test_words_of_other_languages(word: str) -> None:
    (found, *_) = problems(f"net n {{\n  input x: 3x8x8\n  {word} (x == 1)\n}}")
    assert found.message == f"there is no `{word}` in the language"
    assert found.span is not None
    assert found.span.text == word
    assert found.help == (hints.FOREIGN_WORDS[word],)
