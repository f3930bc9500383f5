"""Kinds of token, and their names in messages."""

from __future__ import annotations

from netspec.syntax.lalr import Token

STATEMENTS = {"INPUT", "OUTPUT", "LET", "REQUIRE", "FOR", "IF"}
KEYWORDS = STATEMENTS | {"ELSE", "IN", "AND", "OR", "NOT", "TRUE", "FALSE", "NONE"}
WORDS = {
    *("input", "output", "let", "expect", "prefer", "for", "if", "else", "in"),
    *("and", "or", "not", "true", "false", "none"),
}

# Names for kinds of token together, in the order in which messages list them.
_GROUPS: tuple[tuple[str, frozenset[str]], ...] = (
    ("a net, a module or an import", frozenset({"NET", "MODULE", "IMPORT"})),
    ("a statement", frozenset({"LET", "FOR", "IF", "INPUT", "OUTPUT", "REQUIRE", "NAME"})),
    ("a value", frozenset({"NUMBER", "STRING", "NAME", "TRUE", "LSQB", "LPAR"})),
    ("a name", frozenset({"NAME"})),
    ("an operator", frozenset({"ADD", "MULTIPLY", "COMPARE", "POWER"})),
    ("a shape", frozenset({"SHAPE"})),
)
_TOKENS = {
    "LPAR": "`(`",
    "RPAR": "`)`",
    "LSQB": "`[`",
    "RSQB": "`]`",
    "LBRACE": "`{`",
    "RBRACE": "`}`",
    "COLON": "`:`",
    "COMMA": "`,`",
    "SEMICOLON": "`;`",
    "DOT": "`.`",
    "EQUAL": "`=`",
    "ARROW": "`->`",
    "RANGE": "`..`",
    "STEP": "`step`",
    "IN": "`in`",
    "ELSE": "`else`",
    "IF": "`if`",
    "AND": "`and`",
    "OR": "`or`",
    "NOT": "`not`",
    "STRING": "a string",
    "NUMBER": "a number",
}


def expected(kinds: set[str]) -> str:
    """The tokens that could come next, in words: `a name or `)``."""
    words = []
    left = set(kinds)
    if left >= {"NET", "MODULE", "IMPORT", "NAME"}:
        left -= {"NET", "MODULE", "IMPORT", "STEP"}
    for words_of, members in _GROUPS:
        if members <= left:
            words.append(words_of)
            left -= members
            if words_of in ("a value", "a statement"):
                left -= {"SHAPE", "FALSE", "NONE", "ADD", "NOT", "QMARK", "STRING", "NUMBER"}
            if words_of == "an operator":
                left -= {"IN", "NOT", "AND", "OR", "IF", "LSQB", "DOT"}
    # Where a value or a statement could begin, what else could come only distracts.
    others: frozenset[str] = frozenset(_TOKENS)
    if "a value" in words:
        others = frozenset({"RPAR", "RSQB", "RBRACE"})
    elif "a statement" in words:
        others = frozenset({"RBRACE", "ARROW"})
    words += [_TOKENS[k] for k in sorted(left & others)]
    if not words:
        return "something else"
    if len(words) == 1:
        return words[0]
    return ", ".join(words[:-1]) + " or " + words[-1]


def describe(token: Token) -> str:
    """A token in a message, shortened where it is long."""
    text = str(token)
    if len(text) > 30:
        text = text[:27] + "..."
    return text if token.kind == "STRING" else f"`{text}`"
