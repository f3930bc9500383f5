"""What to write instead, where the wrong token tells what was meant."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.diagnostics.suggest import did_you_mean
from netspec.lazy_dataclasses import dataclass
from netspec.syntax.lalr import Token
from netspec.syntax.parser.token_names import KEYWORDS, STATEMENTS, WORDS


@dataclass(frozen=True)
class Advice:
    """Help for a syntax error; and another place and message where those say more."""

    help: tuple[str, ...] = ()
    at: Token | None = None
    message: str = ""


# What begins a statement in other languages.
_BLOCK_WORDS = {
    "elif": "write `else if`",
    "elseif": "write `else if`",
    "elsif": "write `else if`",
    "return": "what comes out is said by `output x`",
    "assert": "what must hold is said by `expect ...`",
    "def": "a reusable block is a `module name(parameters) { ... }` above the net",
    "while": "a loop is written `for i in 1..8 { ... }`",
    "var": "a constant is written `let k = 3`",
    "const": "a constant is written `let k = 3`",
    "int": "a constant is written `let k = 3`",
}
_NET = "a network is written `net name { ... }`"
_IMPORT = '`import name` brings a module of netspec, `import "file.net"` a file of yours'
_TOP_WORDS = {
    **dict.fromkeys(("network", "model", "class", "graph", "name", "layer", "layers"), _NET),
    "def": f"{_NET}, a reusable block `module name(parameters) {{ ... }}`",
    "function": f"{_NET}, a reusable block `module name(parameters) {{ ... }}`",
    "from": _IMPORT,
    "include": _IMPORT,
    "use": _IMPORT,
}
_PREFIXES = ("nn", "F", "torch", "tf", "keras", "layers", "L")
_FIELDS = "data goes into round brackets, fields into braces: `conv(x) { filters: 8 }`"
_SHAPE = "a shape is written `3x224x224`"
_IN_BRACES = "fields go into braces: `conv { filters: 8  kernel: 3x3 }`"
_NAME = "a name has letters, digits and `_` alone"
_UNPACKED = (
    "a loop has one name: `for e in [[8, 1], [16, 2]] { ... }`, with `e[0]` and `e[1]` in it"
)
_SUMS = {"+": "add", "-": "sub", "*": "mul"}


def advice(
    tokens: Sequence[Token], position: int, acceptable: set[str], opener: Token | None
) -> Advice:
    """Help for a syntax error at a token; `tokens[position]` may lie behind the end.

    `acceptable` are the kinds that could have come, `opener` is the innermost open bracket.
    """
    if position >= len(tokens):
        return Advice()
    if {"NET", "MODULE"} <= acceptable and "NAME" not in acceptable:
        return Advice(_at_top(tokens, position))
    in_params = _in_params(tokens, position, opener)
    word = None if in_params else _foreign_word(tokens, position)
    if word is not None:
        message = f"there is no `{word}` in the language"
        return Advice((_BLOCK_WORDS[str(word)],), word, message)
    help_ = _general(tokens, position, acceptable)
    if not help_ and "LET" in acceptable:
        help_ = _in_block(tokens, position)
    if not help_ and opener is not None and opener.kind == "LPAR":
        help_ = _in_round_brackets(tokens, position, opener)
    if not help_ and opener is not None and opener.kind == "LBRACE" and "LET" not in acceptable:
        help_ = _in_fields(tokens, position, acceptable)
    return Advice(help_)


def _at_top(tokens: Sequence[Token], position: int) -> tuple[str, ...]:
    token = tokens[position]
    text = str(token)
    if text == "//":
        return ("a comment begins with `#`",)
    if any(t.kind == "IMPORT" and t.line == token.line for t in tokens[max(position - 4, 0) :][:4]):
        return (_IMPORT,)
    if text.lower() in _TOP_WORDS:
        return (_TOP_WORDS[text.lower()],)
    if token.kind in STATEMENTS or text == "{" or token.kind == "TRAIN":
        return ("layers and what is said of them stand inside a net: `net name { ... }`",)
    return did_you_mean(text, ("net", "module", "import")) or (_NET,)


def _foreign_word(tokens: Sequence[Token], position: int) -> Token | None:
    """A word in front of the token, on its line, that begins a statement elsewhere."""
    token = tokens[position]
    for before in reversed(tokens[max(position - 12, 0) : position]):
        if before.line != token.line or before.kind == "COLON":
            break
        if before.kind == "NAME" and str(before) in _BLOCK_WORDS:
            return before
    return None


def _general(tokens: Sequence[Token], position: int, acceptable: set[str]) -> tuple[str, ...]:
    """What is the same in all places."""
    token = tokens[position]
    text = str(token)
    previous = tokens[position - 1] if position else None
    follower = tokens[position + 1] if position + 1 < len(tokens) else None
    if text == "//" and "MULTIPLY" not in acceptable:
        return ("a comment begins with `#`",)
    if text == "/" and follower is not None and str(follower) in ("*", "**"):
        return ("a comment begins with `#`, on each of its lines",)
    if token.kind == "DOT" and previous is not None and previous.kind == "RANGE":
        return ("a range is written `1..8`, both ends included",)
    if token.kind == "DOT" and follower is not None and follower.kind == "NUMBER":
        if "NUMBER" in acceptable and _touch(token, follower):
            return (f"write `0.{follower}`",)
    if token.kind == "QMARK" and {"ADD", "IF"} & acceptable:
        return ("a choice is written `a if condition else b`",)
    if previous is None:
        return ()
    slashes = [t for t in tokens[max(position - 12, 0) : position] if t.line == token.line]
    if any(str(t) == "//" for t in slashes):
        return ("`//` divides; a comment begins with `#`",)
    if token.kind in ("SHAPE", "NUMBER") and previous.kind == "INPUT":
        return (f"an input has a name: `input x: {_shown(token)}`",)
    if token.kind in ("SHAPE", "NUMBER") and _is(tokens, position - 2, "INPUT"):
        return (f"the shape of an input is written `input {previous}: {_shown(token)}`",)
    if token.kind == "LPAR" and previous.kind == "OUTPUT":
        return ("the results are written without brackets: `output a, b`",)
    if text == "=" and previous.kind == "COLON" and "NAME" in acceptable:
        return ("a constant is written `let k = 3`, a layer `name: op`",)
    if token.kind in KEYWORDS and "NAME" in acceptable and "LET" not in acceptable:
        if "LBRACE" not in acceptable:
            return (f"`{token}` is a word of the language and can't be a name",)
    if token.kind == "COLON" and str(previous) in WORDS:
        return (f"`{previous}` is a word of the language and can't be a name",)
    if "COLON" in acceptable and token.kind == "NUMBER" and _spaced_shape(tokens, position):
        return (f"a shape is written without spaces: `{tokens[position - 2]}x{token}`",)
    if token.kind == "LPAR" and {"SHAPE", "NUMBER"} <= acceptable:
        return (f"{_SHAPE} or `[3, 224, 224]`",)
    if text == "-" and _joined(tokens, position):
        name = "_".join((str(previous), str(follower)))
        return (f"{_NAME}: `{name}`",)
    if previous.kind == "NAME" and _is(tokens, position - 2, "LET") and token.kind == "COLON":
        return (f"a constant is written `let {previous} = ...`",)
    if "LBRACE" in acceptable and "LET" not in acceptable and _begins_block(tokens, position):
        if token.kind == "COMMA":
            return ("a list stands in square brackets: `[1, 2, 3]`",)
        if token.kind in ("COLON", "NAME") or token.line != previous.line:
            return ("a block stands in braces: `{ ... }`",)
    if text == "=" and "COMPARE" in acceptable:
        return ("to compare, write `==`",)
    if previous.kind == "FOR" and token.kind in ("LPAR", "LSQB"):
        if token.kind == "LSQB" or _is(tokens, position + 2, "COMMA"):
            return (_UNPACKED,)
        return ("a loop is written `for i in 1..8 { ... }`",)
    if token.kind == "COMMA" and _is(tokens, position - 2, "FOR"):
        return (_UNPACKED,)
    if {"SHAPE", "LSQB"} <= acceptable and token.kind == "NAME" and previous.kind == "COLON":
        if _is(tokens, position - 3, "REQUIRE"):
            other = tokens[position - 2]
            return (f"two shapes are compared by `{other}.shape == {_shown(token)}.shape`",)
    return ()


def _in_block(tokens: Sequence[Token], position: int) -> tuple[str, ...]:
    """Where a statement could begin."""
    token, previous = tokens[position], tokens[position - 1]
    follower = tokens[position + 1] if position + 1 < len(tokens) else None
    text = str(token)
    if token.kind == "ELSE":
        return ("an `else` stands right behind the block of its `if`",)
    after = str(follower) if follower is not None and _touch(token, follower) else ""
    if text == "-" and previous.line != token.line:
        return ("layers stand below each other, with nothing in front of them",)
    spaced = text == "-" and follower is not None and str(follower) == ">"
    if spaced or (text in ("=", ">") and after == ">"):
        return ("layers are put in a chain by `->`",)
    if text == "=" and _is(tokens, position - 2, "INPUT"):
        return (f"the shape of an input is written `input {previous}: 3x224x224`",)
    if text == "=":
        if follower is not None and follower.kind in ("NUMBER", "SHAPE", "LSQB", "STRING"):
            return (f"a constant is written `let {previous} = {_shown(follower)}`",)
        return ("a layer is written `name: op`",)
    if text in _SUMS:
        return (f"values go into an op: `{_SUMS[text]}(a, b)`",)
    if token.kind == "COMMA" and previous.kind == "NUMBER" and _is(tokens, position + 1, "NUMBER"):
        return (_SHAPE,)
    if token.kind == "DOT" and previous.kind in ("RBRACE", "RPAR"):
        return ("layers are put in a chain by `->`",)
    if token.kind == "DOT" and previous.kind == "NAME":
        if str(previous) == "self":
            return ("a layer is written `name: op`",)
        if str(previous) in _PREFIXES:
            return ("ops have nothing in front of them: `relu`",)
        return (_NAME,) if after else ()
    if token.kind == "COLON" and previous.kind == "RBRACE" and _is(tokens, position - 3, "LBRACE"):
        return ("a name is joined with a number by `name[i]: op`",)
    if token.kind == "STRING":
        if str(previous) == "f" or _is(tokens, position + 1, "COLON"):
            return ("a name stands without quotes, joined with a number by `name[i]: op`",)
        return ("a comment begins with `#`",)
    if token.kind in ("NUMBER", "SHAPE"):
        if previous.kind == "COLON" and str(tokens[position - 3]).lower() in WORDS:
            return did_you_mean(str(tokens[position - 3]), WORDS)
        if _is(tokens, position + 1, "COLON"):
            return ("a name begins with a letter or `_`",)
        if previous.kind in ("NAME", "NUMBER", "SHAPE"):
            return (_IN_BRACES,)
    if token.kind == "LBRACE" and any(t.kind == "LET" for t in tokens[max(position - 8, 0) :][:8]):
        return ("`let` is for numbers; a layer is written `name: op(x) { ... }`",)
    return ()


def _in_fields(tokens: Sequence[Token], position: int, acceptable: set[str]) -> tuple[str, ...]:
    token, previous = tokens[position], tokens[position - 1]
    if str(token) == "=" and "COLON" in acceptable:
        return ("a field is written `name: value`",)
    if token.kind in ("NUMBER", "SHAPE"):
        if previous.kind == "COMMA" and _is(tokens, position - 2, "NUMBER"):
            return ("a pair is written `3x3` or `[3, 3]`",)
        if previous.kind == "NAME":
            return (f"a field is written `{previous}: {_shown(token)}`",)
        return ("a field is written `name: value`",)
    if "COLON" in acceptable and previous.kind == "NAME":
        if token.kind == "RBRACE" and _is(tokens, position + 1, "COLON"):
            return (f"a name is joined with a number by `name[{previous}]: op`",)
        if token.kind in ("LBRACE", "NAME", "RBRACE", "ARROW", "LPAR"):
            return ("in a layer's braces stand fields, `name: value`, and no layers",)
    if token.kind == "NUMBER" or (token.kind == "ADD" and previous.kind == "COLON"):
        return ()
    return ()


def _in_round_brackets(tokens: Sequence[Token], position: int, opener: Token) -> tuple[str, ...]:
    start = _place_of(tokens, position, opener)
    before = tokens[start - 1].kind if start else ""
    token = tokens[position]
    if _in_params(tokens, position, opener):
        if token.kind == "COLON":
            return (f"a default is written `{tokens[position - 1]} = ...`",)
        if token.kind == "NAME" and tokens[position - 1].kind == "NAME":
            return (f"a parameter is a name alone: `{token}`",)
        return ()
    if before == "NAME" and (token.kind in ("NUMBER", "SHAPE", "STRING") or str(token) in "=:"):
        return (_FIELDS,)
    if before == "NAME" and token.kind == "LSQB":
        return ("inputs stand side by side: `add(a, b)`",)
    if before == "COLON" and token.kind == "COMMA":
        return ("a pair is written `3x3` or `[3, 3]`",)
    return ()


def _place_of(tokens: Sequence[Token], position: int, opener: Token) -> int:
    return next(i for i in reversed(range(position)) if tokens[i] is opener)


def _in_params(tokens: Sequence[Token], position: int, opener: Token | None) -> bool:
    """Whether the token stands among the parameters of a net or module."""
    if opener is None or opener.kind != "LPAR":
        return False
    start = _place_of(tokens, position, opener)
    return start > 1 and tokens[start - 2].kind in ("NET", "MODULE")


def _spaced_shape(tokens: Sequence[Token], position: int) -> bool:
    """Whether a number is the end of `3 x 3`."""
    before = tokens[max(position - 2, 0) : position]
    return [t.kind for t in before] == ["NUMBER", "NAME"] and str(before[1]) == "x"


def _is(tokens: Sequence[Token], position: int, kind: str) -> bool:
    return 0 <= position < len(tokens) and tokens[position].kind == kind


def _touch(first: Token, second: Token) -> bool:
    return first.start + len(first) == second.start


def _begins_block(tokens: Sequence[Token], position: int) -> bool:
    """Whether the braces of a net, module, `for` or `if` are what is to come."""
    for token in reversed(tokens[max(position - 30, 0) : position]):
        if token.kind in ("NET", "MODULE", "FOR", "IF", "ELSE"):
            return True
        if token.kind in ("LBRACE", "RBRACE", "COLON"):
            break
    return False


def _joined(tokens: Sequence[Token], position: int) -> bool:
    """Whether a sign touches names on both sides: `res-1`."""
    if not _is(tokens, position - 1, "NAME") or position + 1 >= len(tokens):
        return False
    before, sign, after = tokens[position - 1 : position + 2]
    return str(after).isalnum() and _touch(before, sign) and _touch(sign, after)


def _shown(token: Token) -> str:
    return str(token) if len(token) < 30 else "..."
