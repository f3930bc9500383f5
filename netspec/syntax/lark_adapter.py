"""Parse tables of a grammar, made by Lark: the only file that imports it.

`netspec.syntax.lalr` works with these tables; they hold plain tuples, dicts, strings and numbers,
so that they can be stored. Lark's own parser is not used: to load it takes longer than to check a
net.
"""

from __future__ import annotations

from typing import Any

from lark import Lark
from lark.lexer import UnlessCallback
from lark.parsers.lalr_analysis import Shift

from netspec.syntax.lalr import Rule, Tables


def tables_of(grammar: str, start: str) -> Tables:
    """The tables of a grammar in Lark's notation; `start` is the rule for a whole text."""
    lark = Lark(
        grammar,
        start=start,
        parser="lalr",
        lexer="basic",
        keep_all_tokens=True,
        maybe_placeholders=False,
    )
    # None of this is Lark's public interface, so pyproject.toml bounds its version.
    frontend: Any = lark.parser
    lexer: Any = frontend.lexer
    terminals = [(str(t.name), t.pattern.to_regexp()) for t in lexer.scanner.terminals]
    words = {
        str(name): {str(t.pattern.value): str(t.name) for t in callback.scanner.terminals}
        for name, callback in sorted(lexer.callback.items())
        if isinstance(callback, UnlessCallback)
    }
    table: Any = frontend.parser._parse_table
    order = _order(table.states, table.start_states[start])
    # Rules that differ in kinds of token alone are one to the parser.
    rules = sorted(
        {_rule(a) for s in order for action, a in table.states[s].values() if action is not Shift}
    )
    numbers = {state: i for i, state in enumerate(order)}
    reductions = {rule: ~i for i, rule in enumerate(rules)}
    return Tables(
        terminals=terminals,
        words=words,
        ignored=[str(kind) for kind in sorted(lexer.ignore_types)],
        rules=rules,
        states=[
            {
                str(symbol): numbers[a] if action is Shift else reductions[_rule(a)]
                for symbol, (action, a) in sorted(table.states[state].items())
            }
            for state in order
        ],
        start=numbers[table.start_states[start]],
        end=numbers[table.end_states[start]],
    )


def _order(states: Any, start: int) -> list[int]:
    """The states in the order in which they are met, so that a grammar always has equal tables."""
    order = {start: None}
    for state in (todo := [start]):
        for _, (action, argument) in sorted(states[state].items()):
            if action is Shift and argument not in order:
                order[argument] = None
                todo.append(argument)
    return list(order)


def _rule(rule: Any) -> Rule:
    spliced = [i for i, s in enumerate(rule.expansion) if not s.is_term and s.name.startswith("_")]
    return (
        str(rule.origin.name),
        len(rule.expansion),
        str(rule.alias or rule.origin.name),
        tuple(spliced),
        bool(rule.options.expand1 and not rule.alias),
    )
