"""What to write instead, where the wrong token tells what was meant.

Tables of rules, by where the error is. The first rule that applies gives the help; a test parses
each rule's example.
"""

from __future__ import annotations

from collections.abc import Sequence

from netspec.diagnostics.suggest import did_you_mean
from netspec.syntax.lalr import Token
from netspec.syntax.parser.syntax_problem import (
    NOTHING,
    Hint,
    HintRule,
    SyntaxProblem,
    TokenEdit,
    put,
)
from netspec.syntax.parser.token_names import KEYWORDS, STATEMENTS, WORDS


def hint_for(problem: SyntaxProblem) -> Hint:
    """What to write instead; an empty hint where nothing is known."""
    at_top = problem.could_be("NET", "MODULE") and not problem.could_be("NAME")
    in_loop = problem.before_bracket == "FOR"
    word = NOTHING if at_top or problem.in_parameters or in_loop else foreign_word(problem)
    if word is not NOTHING:
        message = f"there is no `{word}` in the language"
        edit = (word, word, "else if") if FOREIGN_WORDS[word] == _ELSE_IF else None
        return Hint((FOREIGN_WORDS[word],), word, message, edit)
    rule = rule_for(problem)
    text = rule.text(problem) if rule is not None else ""
    return Hint((text,), edit=rule.fix(problem)) if rule is not None and text else Hint()


def rule_for(problem: SyntaxProblem) -> HintRule | None:
    """The first rule that applies, in the tables for the place of the problem."""
    if problem.could_be("NET", "MODULE") and not problem.could_be("NAME"):
        tables = [AT_TOP]
    else:
        tables = [ANYWHERE]
        opener = problem.opener.kind if problem.opener is not None else ""
        if problem.could_be("LET"):
            tables.append(IN_BLOCK)
        if opener == "LPAR":
            tables.append(IN_PARAMETERS if problem.in_parameters else IN_ROUND_BRACKETS)
        elif opener == "LBRACE" and not problem.could_be("LET"):
            tables.append(IN_FIELDS)
    return next((rule for table in tables for rule in table if rule.applies(problem)), None)


_ELSE_IF = "write `else if`"
# What begins a statement in other languages.
FOREIGN_WORDS = {
    **dict.fromkeys(("elif", "elseif", "elsif"), _ELSE_IF),
    "return": "outputs are declared by `output x`",
    "assert": "what must hold is stated by `expect ...`",
    "def": "a reusable block is a `module name(parameters) { ... }` above the net",
    "while": "a loop is written `for i in 1..8 { ... }`",
    **dict.fromkeys(("var", "const", "int"), "a constant is written `let k = 3`"),
}


def foreign_word(problem: SyntaxProblem) -> Token:
    """A word in front of the token, on its line, that begins a statement in other languages."""
    for token in reversed(problem.before(12)):
        if token.line != problem.token.line or token.kind == "COLON":
            break
        if token.kind == "NAME" and token in FOREIGN_WORDS:
            return token
    return NOTHING


_COMMENT = "a comment begins with `#`"
_NET = "a network is written `net name { ... }`"
_NET_OR_MODULE = f"{_NET}, a reusable block `module name(parameters) {{ ... }}`"
_IMPORT = '`import name` brings a module of netspec, `import "file.net"` a file of yours'
_TOP_WORDS = {
    **dict.fromkeys(("network", "model", "class", "graph", "name", "layer", "layers"), _NET),
    **dict.fromkeys(("def", "function"), _NET_OR_MODULE),
    **dict.fromkeys(("from", "include", "use"), _IMPORT),
}
_PROTOTXT_WORDS = ("name", "layer", "layers", "input", "input_dim", "input_shape", "force_backward")
_PREFIXES = ("nn", "F", "torch", "tf", "keras", "layers", "L")
_SUMS = {"+": "add", "-": "sub", "*": "mul"}
_CHAIN = "layers are put in a chain by `->`"
_LINK = "a link with a condition stands in round brackets: `-> (relu if condition)`"
_LAYER = "a layer is written `name: op`"
_LOOP = "a loop is written `for i in 1..8 { ... }`"
_NAME = "a name has letters, digits and `_` alone"
_PAIR = "a pair is written `3x3` or `[3, 3]`"
_SHAPE = "a shape is written `3x224x224`"
_UNPACKED = "the parts of an item are named in round brackets: `for (a, b) in table { ... }`"
_STEP = "a step stands behind the range: `0..10 step 2`"
_NUMBERS = ("NUMBER", "SHAPE")


def _shown(token: Token) -> str:
    return str(token) if len(token) < 30 else "..."


def _touch(first: Token, second: Token) -> bool:
    return first.end == second.start


def _times(p: SyntaxProblem) -> str:
    """What `*28*28` is in a shape."""
    further = range(0, 4, 2)
    return "".join(f"x{p.at(i + 1)}" for i in further if p.at(i) == "*")


def _spaced_shape(p: SyntaxProblem) -> bool:
    """Whether a number is the end of `3 x 3`."""
    return p.kind == "NUMBER" and p.previous == "x" and p.at(-2).kind == "NUMBER"


_PAIRS = frozenset(
    (
        *("kernel", "stride", "pad", "dilation", "size", "scale", "output_pad"),
        *("kernel_size", "pool_size", "strides", "padding"),
    )
)
"""Fields that take pairs, here and in other tools."""


def _is_pair(p: SyntaxProblem) -> bool:
    """Whether `3, 3` stands in a field that takes pairs, and is no `0,5` or `1,024`."""
    return p.at(-4) in _PAIRS and len(p.at(-2)) < 3 and len(p.token) < 3 and p.at(-2) != "0"


def _comparison(p: SyntaxProblem) -> TokenEdit | None:
    """`==` for `=`; `>=` for `=>`, which the lexer takes for two signs."""
    if p.next in ("<", ">") and _touch(p.token, p.next):
        return (p.token, p.next, f"{p.next}=")
    return (p.token, p.token, "==")


def _in_variant(p: SyntaxProblem) -> bool:
    """Whether the innermost braces are those of a variant."""
    return p.bracket > 1 and p.tokens[p.bracket - 2].kind == "VARIANT"


def _names_a_variant(p: SyntaxProblem) -> bool:
    """Whether it stands where a variant's name or its braces should."""
    return "VARIANT" in (p.previous.kind, p.at(-2).kind) and p.previous.line == p.token.line


def _hyphened(p: SyntaxProblem) -> bool:
    """Whether a sign touches names on both sides: `res-1`."""
    touches = _touch(p.previous, p.token) and _touch(p.token, p.next)
    return p.text == "-" and p.previous.kind == "NAME" and p.next.isalnum() and touches


def _in_chain(p: SyntaxProblem) -> bool:
    """Whether the last `if` stands on its line behind an arrow."""
    before = p.before(30)
    start = next((i for i in range(len(before) - 1, -1, -1) if before[i].kind == "IF"), 0)
    line = (t for t in before[:start] if t.line == before[start].line)
    return any(t.kind == "ARROW" for t in line)


def _choice(p: SyntaxProblem) -> str:
    """`16 if big else 8` for `if big then 16 else 8`."""
    words = [t for t in map(p.at, range(1, 30)) if t.line == p.token.line]
    then = next((i for i, t in enumerate(words) if t == "then"), 0)
    other = next((i for i, t in enumerate(words) if t.kind == "ELSE"), 0)
    if not 0 < then < other - 1 or other + 1 >= len(words):
        return "a if condition else b"
    condition, first = words[:then], words[then + 1 : other]
    return " ".join([*first, "if", *condition, "else", words[other + 1]])


AT_TOP: tuple[HintRule, ...] = (
    HintRule(
        lambda p: p.text in _PROTOTXT_WORDS and p.next in (":", "{"),
        "this looks like a file of Caffe: `netspec convert FILE.prototxt` makes a spec of it, "
        "once its name ends so",
        'name: "x" layer { }',
    ),
    HintRule(
        lambda p: any(t.kind == "IMPORT" and t.line == p.token.line for t in p.before(4)),
        _IMPORT,
        "import a, b",
    ),
    HintRule(
        lambda p: p.text.lower() in _TOP_WORDS,
        lambda p: _TOP_WORDS[p.text.lower()],
        "network n { }",
    ),
    HintRule(
        lambda p: p.kind in STATEMENTS or p.text == "{" or p.kind in ("TRAIN", "DETECT", "VARIANT"),
        "layers and what is said of them stand inside a net: `net name { ... }`",
        "input x: 3x8x8",
    ),
    HintRule(
        lambda p: True, lambda p: _near_or(p.text, ("net", "module", "import"), _NET), "nett n {}"
    ),
)


def _near_or(text: str, words: Sequence[str], otherwise: str) -> str:
    """The question whether a near word was meant, where one is near."""
    return next(iter(did_you_mean(text, words)), otherwise)


ANYWHERE: tuple[HintRule, ...] = (
    HintRule(
        lambda p: (
            p.kind == "LBRACE"
            and p.previous.kind == "NAME"
            and p.at(2).kind == "COLON"
            and p.opener is not None
            and p.opener.kind in ("LPAR", "LSQB")
        ),
        lambda p: f"give an op with fields a name before: `let op = {p.previous} {{ ... }}`",
        "let a = (elu { alpha: 2 } if big else relu)",
    ),
    HintRule(
        lambda p: p.at(-2).kind == "DEFAULT" and p.could_be("LBRACE"),
        lambda p: f"fields stand in braces: `default {p.previous} {{ ... }}`",
        "default conv: { bias: false }",
        put(lambda p: p.previous, -1),
    ),
    HintRule(
        lambda p: (
            (_names_a_variant(p) or p.at(-2).kind == "VARIANT")
            and p.could_be("LBRACE")
            and not p.could_be("LET")
        ),
        "a variant is written `variant name { parameter: value }`",
        "variant small = { width: 2 }",
    ),
    HintRule(
        lambda p: _in_variant(p) and p.text != "=" and p.kind not in _NUMBERS,
        "in a variant's braces stand parameters, `name: value`, and contracts: `expect ...`",
        "variant small { conv { filters: 8 } }",
    ),
    HintRule(
        lambda p: p.text == "//" and not p.could_be("MULTIPLY"),
        _COMMENT,
        "conv { // eight\n filters: 8 }",
        put("#"),
    ),
    HintRule(
        lambda p: p.text == "/" and p.next in ("*", "**"),
        "a comment begins with `#`, on each of its lines",
        "/* old */ relu",
    ),
    HintRule(
        lambda p: p.kind == "DOT" and p.previous.kind == "RANGE",
        "a range is written `1..8`, both ends included",
        "for i in 1...8 { relu }",
        put(""),
    ),
    HintRule(
        lambda p: (
            p.kind == "DOT"
            and p.next.kind == "NUMBER"
            and p.could_be("NUMBER")
            and _touch(p.token, p.next)
        ),
        lambda p: f"write `0.{p.next}`",
        "dropout { p: .5 }",
        put(lambda p: f"0.{p.next}", 0, 1),
    ),
    HintRule(
        lambda p: p.kind == "QMARK" and (p.could_be("ADD") or p.could_be("IF")),
        "a choice is written `a if condition else b`",
        "let a = b ? 1 : 2",
    ),
    HintRule(
        lambda p: any(t == "//" and t.line == p.token.line for t in p.before(12)),
        "`//` divides; a comment begins with `#`",
        "let k = 8 // filters: 8",
    ),
    HintRule(
        lambda p: p.kind in _NUMBERS and p.previous.kind == "INPUT",
        lambda p: f"an input has a name: `input x: {_shown(p.token)}`",
        "input 3x8x8",
        put(lambda p: f"x: {p.token}"),
    ),
    HintRule(
        lambda p: p.kind in _NUMBERS and p.at(-2).kind == "INPUT",
        lambda p: f"the shape of an input is written `input {p.previous}: {_shown(p.token)}`",
        "input y 3x8x8",
        put(lambda p: f"{p.previous}: {p.token}", -1),
    ),
    HintRule(
        lambda p: p.kind == "LPAR" and p.previous.kind == "OUTPUT",
        "the results are written without brackets: `output a, b`",
        "output (a, b)",
    ),
    HintRule(
        lambda p: p.text == "=" and p.previous.kind == "COLON" and p.could_be("NAME"),
        "a constant is written `let k = 3`, a layer `name: op`",
        "k := 3",
        put(lambda p: f"let {p.at(-2)} =" if p.next.kind in _NUMBERS else f"{p.at(-2)}:", -2),
    ),
    HintRule(
        lambda p: p.kind == "COLON" and p.previous.kind == "INPUT",
        lambda p: f"an input has a name: `input data: {_shown(p.next)}`",
        "input: 3x8x8",
        put(" data:"),
    ),
    HintRule(
        lambda p: (
            p.kind == "LPAR"
            and p.previous.kind == "COLON"
            and p.could_be("NAME")
            and not p.could_be("NUMBER")
        ),
        "a link with a condition stands behind an arrow; a line with one in `if condition { ... }`",
        "c: (relu if big)",
    ),
    HintRule(
        lambda p: p.kind == "STEP" and p.begins_block,
        "a step is of a range: `0..10 step 2`",
        "for i in [1, 2, 3] step 2 { relu }",
    ),
    HintRule(
        lambda p: p.could_be("IN", "COMMA") and p.text == "=",
        _LOOP,
        "for i = 1..3 { relu }",
    ),
    HintRule(
        lambda p: p.could_be("IN", "COMMA") and p.kind in ("NAME", "LPAR"),
        "names of the parts of an item have commas between them: `for a, b in table { ... }`",
        "for a b in [[1, 2]] { relu }",
    ),
    HintRule(
        lambda p: p.previous.kind == "LPAR" and p.kind == "IF" and p.at(-2).kind == "ARROW",
        "a link with a condition begins with its op: `(relu if condition)`",
        "tanh -> (if big relu)",
    ),
    HintRule(
        lambda p: p.kind == "IF" and p.previous.kind == "ARROW",
        _LINK,
        "tanh -> if big { relu }",
    ),
    HintRule(
        lambda p: p.kind == "IF" and p.could_be("NUMBER"),
        lambda p: f"a choice is written `{_choice(p)}`",
        "let a = if b then 1 else 2",
    ),
    HintRule(
        lambda p: (
            p.kind in KEYWORDS and p.could_be("NAME") and not (p.acceptable & {"LET", "LBRACE"})
        ),
        lambda p: f"`{p.token}` is a word of the language and can't be a name",
        "let for = 3",
    ),
    HintRule(
        lambda p: p.kind == "COLON" and p.previous in WORDS,
        lambda p: f"`{p.previous}` is a word of the language and can't be a name",
        "if: relu",
    ),
    HintRule(
        lambda p: p.could_be("COLON") and _spaced_shape(p),
        lambda p: f"a shape is written without spaces: `{p.at(-2)}x{p.token}`",
        "conv { kernel: 3 x 3 }",
        put(lambda p: f"{p.at(-2)}x{p.token}", -2),
    ),
    HintRule(
        lambda p: p.kind == "LPAR" and p.could_be(*_NUMBERS),
        f"{_SHAPE} or `[3, 224, 224]`",
        "input y: (3, 8, 8)",
    ),
    HintRule(_hyphened, lambda p: f"{_NAME}: `{p.previous}_{p.next}`", "res-1: relu"),
    HintRule(
        lambda p: p.kind == "COLON" and p.previous.kind == "NAME" and p.at(-2).kind == "LET",
        lambda p: f"a constant is written `let {p.previous} = ...`",
        "let k: 3",
        put(lambda p: f"{p.previous} =", -1),
    ),
    HintRule(
        lambda p: p.begins_block and p.kind == "ELSE",
        "a layer is chosen by `if condition { a: relu } else { a: tanh }`, or behind an arrow: "
        "`-> (relu if condition else tanh)`",
        "a: relu if 1 == 1 else tanh",
    ),
    HintRule(
        lambda p: p.begins_block and _in_chain(p),
        _LINK,
        "conv { filters: 8 } -> relu if big\n tanh",
    ),
    HintRule(
        lambda p: p.begins_block and p.kind == "COMMA",
        "a list stands in square brackets: `[1, 2, 3]`",
        "for i in 1, 2, 3 { relu }",
    ),
    HintRule(
        lambda p: (
            p.could_be("STEP", "LBRACE")
            and not p.could_be("NAME")
            and p.kind in ("RANGE", "NUMBER", "NAME")
        ),
        _STEP,
        "for i in 0..10..2 { relu }",
    ),
    HintRule(
        lambda p: (
            p.begins_block and (p.kind in ("COLON", "NAME") or p.token.line != p.previous.line)
        ),
        "a block stands in braces: `{ ... }`",
        "for i in 1..3: relu",
    ),
    HintRule(
        lambda p: p.text == "=" and p.could_be("COMPARE"),
        "to compare, write `==`",
        "if 1 = 2 { relu }",
        _comparison,
    ),
    HintRule(
        lambda p: p.kind == "LSQB" and any(t.kind == "FOR" for t in p.before(3)),
        _UNPACKED,
        "for [a, b] in [[1, 2]] { relu }",
    ),
    HintRule(
        lambda p: p.before_bracket == "FOR" and p.kind in ("NAME", "EQUAL"),
        _LOOP,
        "for (int i = 0; i < 8; i++) { relu }",
    ),
    HintRule(
        lambda p: (
            p.could_be("SHAPE", "LSQB")
            and p.kind == "NAME"
            and p.previous.kind == "COLON"
            and p.at(-3).kind == "REQUIRE"
        ),
        lambda p: f"two shapes are compared by `{p.at(-2)}.shape == {_shown(p.token)}.shape`",
        "expect a: b",
    ),
    HintRule(
        lambda p: p.kind in _NUMBERS and p.previous.kind == "COLON" and p.at(-3).lower() in WORDS,
        lambda p: _near_or(p.at(-3), tuple(WORDS), ""),
        "Input y: 3x8x8",
    ),
)

IN_BLOCK: tuple[HintRule, ...] = (
    HintRule(
        lambda p: p.kind == "STRING" and p.previous == "import",
        "an `import` stands at the top of the file",
        'import "blocks.net"',
    ),
    HintRule(
        lambda p: p.kind == "LPAR" and p.previous.kind in ("RBRACE", "RPAR"),
        "inputs stand once, between the op and its fields: `conv(x) { ... }`",
        "conv { filters: 8 kernel: 1 }(x)",
    ),
    HintRule(
        lambda p: _names_a_variant(p) and p.kind in (*_NUMBERS, "STRING"),
        "a variant's name begins with a letter: `variant b0 { ... }`",
        "variant 18 { width: 2 }",
    ),
    HintRule(
        lambda p: p.kind == "LPAR" and p.next.kind == "NAME",
        "a link with a condition stands behind an arrow; a line with one in `if condition { ... }`",
        "(relu if big) -> tanh",
    ),
    HintRule(
        lambda p: p.kind == "ELSE",
        "an `else` stands right behind the block of its `if`",
        "else { }",
    ),
    HintRule(
        lambda p: p.text == "-" and p.previous.line != p.token.line,
        "layers stand below each other, with nothing in front of them",
        "- relu",
    ),
    HintRule(
        lambda p: (
            (p.text == "-" and p.next == ">")
            or (p.text in ("=", ">") and p.next == ">" and _touch(p.token, p.next))
        ),
        _CHAIN,
        "relu => relu",
        put("->", 0, 1),
    ),
    HintRule(
        lambda p: p.text == "=" and p.at(-2).kind == "INPUT",
        lambda p: f"the shape of an input is written `input {p.previous}: 3x224x224`",
        "input y = 3x8x8",
        put(lambda p: f"{p.previous}:", -1),
    ),
    HintRule(
        lambda p: p.text == "=" and p.next.kind in (*_NUMBERS, "LSQB", "STRING"),
        lambda p: f"a constant is written `let {p.previous} = {_shown(p.next)}`",
        "k = 3",
        put(lambda p: f"let {p.previous} =", -1),
    ),
    HintRule(lambda p: p.text == "=", _LAYER, "a = relu", put(lambda p: f"{p.previous}:", -1)),
    HintRule(
        lambda p: p.text == "*" and p.at(-4).kind == "INPUT",
        lambda p: f"a shape is written `{p.previous}{_times(p)}`",
        "input y: 28*28",
    ),
    HintRule(
        lambda p: p.text in _SUMS,
        lambda p: f"values go into an op: `{_SUMS[p.text]}(a, b)`",
        "a + b",
    ),
    HintRule(
        lambda p: p.kind == "COMMA" and p.previous.kind == p.next.kind == "NUMBER",
        _SHAPE,
        "input y: 3, 8, 8",
    ),
    HintRule(
        lambda p: p.kind == "DOT" and p.previous.kind in ("RBRACE", "RPAR"),
        _CHAIN,
        "conv { filters: 8 }.relu",
        put(" -> "),
    ),
    HintRule(
        lambda p: p.kind == "DOT" and p.previous == "self",
        _LAYER,
        "self.c = conv { filters: 8 }",
        put(lambda p: f"{p.next}:", -1, 2),
    ),
    HintRule(
        lambda p: p.kind == "DOT" and p.previous in _PREFIXES,
        "ops have nothing in front of them: `relu`",
        "nn.relu",
        put("", -1),
    ),
    HintRule(
        lambda p: p.kind == "DOT" and p.previous.kind == "NAME" and p.at(2).kind == "LPAR",
        lambda p: f"only a line of this body can be used again, as a whole: `{p.previous}(...)`",
        "tower.conv1(x)",
    ),
    HintRule(
        lambda p: p.kind == "DOT" and p.previous.kind == "NAME" and _touch(p.token, p.next),
        _NAME,
        "conv1.a: relu",
    ),
    HintRule(
        lambda p: p.kind == "DOT" and p.previous.kind == "RSQB" and p.next.kind == "NAME",
        lambda p: f"a name has no dots, and its indices behind it: `{p.next}[i][j]`",
        "stage[1].unit[2]: relu",
    ),
    HintRule(
        lambda p: p.kind == "STRING" and (p.previous == "f" or p.next.kind == "COLON"),
        "a name stands without quotes, joined with a number by `name[i]: op`",
        '"a": relu',
    ),
    HintRule(lambda p: p.kind == "STRING", _COMMENT, 'relu "a comment"'),
    HintRule(
        lambda p: p.kind in _NUMBERS and p.next.kind == "COLON",
        "a name begins with a letter or `_`",
        "1: relu",
    ),
    HintRule(
        lambda p: p.kind in _NUMBERS and p.previous.kind in ("NAME", *_NUMBERS),
        "fields go into braces: `conv { filters: 8  kernel: 3x3 }`",
        "conv 8 3x3",
    ),
    HintRule(
        lambda p: p.kind == "LBRACE" and any(t.kind == "LET" for t in p.before(8)),
        "`let` is for numbers; a layer is written `name: op(x) { ... }`",
        "let c = conv(x) { filters: 8 }",
    ),
)

IN_FIELDS: tuple[HintRule, ...] = (
    HintRule(
        lambda p: p.text == "=" and p.could_be("COLON"),
        "a field is written `name: value`",
        "conv { filters = 8 }",
        put(lambda p: f"{p.previous}:", -1),
    ),
    HintRule(
        lambda p: p.kind in _NUMBERS and p.previous.kind == "COMMA" and p.at(-2).kind == "NUMBER",
        _PAIR,
        "conv { filters: 8 kernel: 3, 3 }",
        put(lambda p: f"{p.at(-2)}x{p.token}" if _is_pair(p) else None, -2),
    ),
    HintRule(
        lambda p: p.kind in _NUMBERS and p.previous.kind == "NAME",
        lambda p: f"a field is written `{p.previous}: {_shown(p.token)}`",
        "conv { filters 8 }",
        put(lambda p: f"{p.previous}: {p.token}", -1),
    ),
    HintRule(
        lambda p: p.kind in _NUMBERS,
        "a field is written `name: value`",
        "conv { 8 }",
    ),
    HintRule(
        lambda p: (
            p.could_be("COLON")
            and p.previous.kind == "NAME"
            and p.kind == "RBRACE"
            and p.next.kind == "COLON"
        ),
        lambda p: f"a name is joined with a number by `name[{p.previous}]: op`",
        "a{i}: relu",
    ),
    HintRule(
        lambda p: (
            p.could_be("COLON")
            and p.previous.kind == "NAME"
            and p.kind in ("LBRACE", "NAME", "RBRACE", "ARROW", "LPAR")
        ),
        "in a layer's braces stand fields, `name: value`, and no layers",
        "branch { conv { filters: 8 } }",
    ),
)

IN_PARAMETERS: tuple[HintRule, ...] = (
    HintRule(
        lambda p: p.kind == "COLON",
        lambda p: f"a default is written `{p.previous} = ...`",
        "module m(a: 3) { relu }",
        put(lambda p: f"{p.previous} =", -1),
    ),
    HintRule(
        lambda p: p.kind == "NAME" and p.previous.kind == "NAME",
        lambda p: f"a parameter is a name alone: `{p.token}`",
        "module m(int a) { relu }",
        put(lambda p: p.text, -1),
    ),
)

IN_ROUND_BRACKETS: tuple[HintRule, ...] = (
    HintRule(
        lambda p: p.before_bracket == "ARROW" and p.kind == "RPAR" and p.could_be("IF"),
        "brackets around a link are for one with a condition: `(relu if condition)`",
        "tanh -> (relu)",
    ),
    HintRule(
        lambda p: p.before_bracket == "ARROW" and p.kind == "ARROW",
        "each link has brackets of its own: `-> (a if condition) -> (b if condition)`",
        "tanh -> (relu -> tanh if big)",
    ),
    HintRule(
        lambda p: p.kind == "IF" and p.before_bracket == "NAME" and p.could_be("COMMA"),
        _LINK,
        "add(relu(x) if big, x)",
    ),
    HintRule(
        lambda p: (
            p.before_bracket == "NAME" and (p.kind in (*_NUMBERS, "STRING") or p.text in "=:")
        ),
        "data goes into round brackets, fields into braces: `conv(x) { filters: 8 }`",
        "conv(x, filters=8)",
    ),
    HintRule(
        lambda p: p.before_bracket == "NAME" and p.kind == "LSQB",
        "inputs stand side by side: `add(a, b)`",
        "add([a, b])",
    ),
    HintRule(
        lambda p: p.before_bracket == "COLON" and p.kind == "COMMA",
        _PAIR,
        "conv { kernel: (3, 3) }",
    ),
    HintRule(
        lambda p: p.kind == "COMMA" and p.before_bracket in ("LSQB", "COMMA", "EQUAL"),
        "rows and lists stand in square brackets: `[[4, 240], [8, 480]]`",
        "let rows = [(4, 240), (8, 480)]",
    ),
)
