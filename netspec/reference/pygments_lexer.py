"""Highlighting for Pygments, and so for Sphinx, MkDocs and `pygmentize`.

Pygments finds the lexer through its entry point, as `netspec` or by the ending `.net`. netspec
itself never imports this.
"""

from __future__ import annotations

from pygments.lexer import RegexLexer, bygroups, words
from pygments.token import (
    Comment,
    Keyword,
    Name,
    Number,
    Operator,
    Punctuation,
    String,
    Whitespace,
)

from netspec.reference import editor_words as known

_NAME = r"[A-Za-z_]\w*"
_WORDS = f"(?:{'|'.join(known.RESERVED)})"
_UNITS = "|".join(sorted((u for u in known.UNITS if u != "%"), key=len, reverse=True))
# A name of a layer or field: a colon follows, indices in between.
_COLON = r"(?=\s*(?:\[[^\[\]\n]*\]\s*)*:)"


class NetspecLexer(RegexLexer):  # type: ignore[misc]
    """Tokens of `.net` files."""

    name = "netspec"
    aliases = ["netspec", "net"]
    filenames = ["*.net"]
    url = "https://pypi.org/project/netspec-compiler/"

    tokens = {
        "root": [
            (r"\s+", Whitespace),
            (r"##.*$", Comment.Special),
            (r"#.*$", Comment.Single),
            (r'"(?:\\.|[^"\\\n])*"', String.Double),
            (
                rf"\b(import)(\s+)({_NAME})",
                bygroups(Keyword.Namespace, Whitespace, Name.Namespace),
            ),
            (r"\b(import)(?=\s*\")", Keyword.Namespace),
            (
                rf"\b(net|module)(\s+)({_NAME})(?=\s*[({{])",
                bygroups(Keyword.Declaration, Whitespace, Name.Class),
            ),
            (r"\b(train|detect)(?=\s*\{)", Keyword.Declaration),
            (rf"\b(default)(?=\s+{_NAME}\s*\{{)", Keyword.Declaration),
            (rf"\bstep(?=\s+(?!{_WORDS}\b)[-+\w(][^{{}}:\n]*\{{)", Keyword),
            (words(known.DECLARATIONS, prefix=r"\b", suffix=r"\b"), Keyword.Declaration),
            (words((*known.CONTRACTS, *known.CONTROL), prefix=r"\b", suffix=r"\b"), Keyword),
            (words(known.OPERATORS, prefix=r"\b", suffix=r"\b"), Operator.Word),
            (words(known.CONSTANTS, prefix=r"\b", suffix=r"\b"), Keyword.Constant),
            (r"(?<!\w)(?:\d[\d_]*|\?)(?:x(?:\d[\d_]*|\?))+(?!\w)", Number.Integer),
            (
                rf"\d[\d_]*(?:\.\d[\d_]*)?(?:[eE][+-]?\d+)?(?:(?:{_UNITS})(?!\w)|%(?![\w(\[.]))?",
                Number,
            ),
            (words(known.FIELDS, prefix=r"\b", suffix=_COLON), Name.Attribute),
            (_NAME + _COLON, Name.Label),
            (words(known.CALLABLE, prefix=r"\b", suffix=r"(?=\s*\()"), Name.Builtin),
            (words((*known.SIZES, *known.RESULTS), prefix=r"(?<=\.)", suffix=r"\b"), Name.Property),
            (words(known.BUILT_IN, prefix=r"\b", suffix=r"\b"), Name.Function),
            (words(known.MEASURED, prefix=r"\b", suffix=r"\b"), Name.Builtin.Pseudo),
            (words(known.VALUES, prefix=r"\b", suffix=r"\b"), Name.Constant),
            (r"->|==|!=|<=|>=|\*\*|//|\.\.|[-+*/%<>=?]", Operator),
            (r"[{}()\[\],;:.]", Punctuation),
            (_NAME, Name),
        ]
    }
