"""Random texts of the language: sound by its grammar, wild in their layout."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

NAMES: tuple[str, ...] = (
    "a",
    "x1",
    "data",
    "conv",
    "relu",
    "filters",
    "kernel",
    "fire",
    "import",
    "net",
    "module",
    "train",
    "detect",
    "default",
    "step",
)
NAMES = (
    *NAMES,
    "e",
    "x",
    "K",
    "a_rather_long_name",
    "an_even_longer_name_than_that_one",
    "M2",
    "_",
)
LITERALS: tuple[str, ...] = (
    "0",
    "7",
    "1_248_424",
    "0.125",
    "1.25M",
    "512KiB",
    "50%",
    "1e-5",
    "3x3",
    "?x13x13",
)
LITERALS = (
    *LITERALS,
    '"3a"',
    '"# no comment"',
    '"a \\"b\\" \\\\"',
    '"größer → 2"',
    "true",
    "false",
    "none",
)
OPERATORS = (
    "+",
    "-",
    "*",
    "/",
    "//",
    "%",
    "**",
    "==",
    "!=",
    "<",
    "<=",
    "in",
    "not in",
    "and",
    "or",
)
SPACES = (" ", " ", " ", "  ", "\t", "\n", "\n", "\n\n", "\n\n\n\n", "\r\n", " \n\t ", "\f")
MARKS = ("#", "# ", "## ", "#: ", "## größer → ", "#\t\x85")
# In front of or behind these, words need no space between.
LOOSE = {*"{}()[]:;,.", "==", "!=", "<", "<=", "+", "*", "/", "//", "**", "->", ".."}

Words = list[str]


class RandomText:
    """Draws the words of a text, one method a rule."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def chance(self, percent: int) -> bool:
        return self.random.randrange(100) < percent

    def some(self, rule: Callable[[], Words], most: int, separator: Words | None = None) -> Words:
        """None to `most` of a rule; with a separator also one behind the last, now and then."""
        words: Words = []
        count = self.random.randint(0, most)
        for i in range(count):
            words += rule()
            if separator and (i < count - 1 or self.chance(20)):
                words += separator
        return words

    def name(self) -> Words:
        return [self.random.choice(NAMES)]

    # files

    def file(self) -> Words:
        return self.some(self.item, 3)

    def item(self) -> Words:
        if self.chance(25):
            return ["import", *(self.name() if self.chance(50) else ['"a/b.net"'])]
        if self.chance(15):
            return self.default()
        words = [self.random.choice(["net", "module"]), *self.name()]
        if self.chance(60):
            words += ["(", *self.some(self.param, 4, [","]), ")"]
        return words + self.block(2)

    def param(self) -> Words:
        return self.name() + (["=", *self.given(1)] if self.chance(60) else [])

    def default(self) -> Words:
        return ["default", *self.name(), *self.fields()]

    def block(self, depth: int) -> Words:
        return ["{", *self.some(lambda: self.statement(depth), 5), "}"]

    # statements

    def statement(self, depth: int) -> Words:
        rules = [self.layer] * 6 + [self.input, self.output, self.let, self.let, self.require]
        rules.append(lambda: [self.random.choice(("train", "detect")), *self.fields()])
        rules.append(self.default)
        if depth:
            rules += [lambda: self.for_(depth), lambda: self.if_(depth), lambda: self.if_(depth)]
        return self.random.choice(rules)()

    def layer(self) -> Words:
        words: Words = []
        if self.chance(70):
            words = self.name()
            while self.chance(25):
                words += ["[", *self.expression(1), "]"]
            words.append(":")
        chain = self.chain(2)
        if not words and (chain[:2] in (["train", "{"], ["detect", "{"]) or chain == ["default"]):
            words = ["a", ":"]  # else it is the block of that name, which no arrow follows
        return words + chain

    def chain(self, depth: int) -> Words:
        words = self.call(depth)
        while self.chance(35):
            words += ["->", *(self.choice(depth) if self.chance(20) else self.call(depth))]
        return words

    def choice(self, depth: int) -> Words:
        words = ["(", *self.call(depth), "if", *self.operands(2)]
        while self.chance(25):
            words += ["else", *self.call(depth), "if", *self.operands(2)]
        return [*words, *(["else", *self.call(depth)] if self.chance(40) else []), ")"]

    def call(self, depth: int) -> Words:
        words = self.name()
        if self.chance(30):
            words += ["(", *self.some(lambda: self.value(depth - 1), 3, [","]), ")"]
        return words + (self.fields() if self.chance(60) else [])

    def value(self, depth: int) -> Words:
        if depth > 0 and self.chance(40):
            return [*self.name(), *self.fields(), "->", *self.chain(depth)]
        words = self.name()
        while self.chance(25):
            words += [".", *self.name()] if self.chance(50) else ["[", *self.expression(1), "]"]
        return words

    def fields(self) -> Words:
        def field() -> Words:
            end = self.random.choice([[], [], [","], [";"]])
            return [*self.name(), ":", *self.given(2), *end]

        return ["{", *self.some(field, 5), "}"]

    def input(self) -> Words:
        words = ["input", *self.name()]
        if self.chance(60):
            words += [":", *self.pattern()]
        return words + (self.fields() if self.chance(40) else [])

    def pattern(self) -> Words:
        return self.random.choice([["3x224x224"], ["?x8x8"], ["12"], ["[", "n", ",", "?", "]"]])

    def output(self) -> Words:
        words = ["output", *self.result()]
        while self.chance(40):
            words += [",", *self.result()]
        return words

    def result(self) -> Words:
        return [*((*self.name(), ":") if self.chance(25) else ()), *self.value(2)]

    def let(self) -> Words:
        return ["let", *self.name(), "=", *self.given(3)]

    def given(self, depth: int) -> Words:
        if depth and self.chance(10):
            return [*self.name(), "{", *self.name(), ":", *self.given(depth - 1), "}"]
        return self.expression(depth)

    def require(self) -> Words:
        words = [self.random.choice(["expect", "prefer"]), *self.expression(3)]
        words += [":", *self.pattern()] if self.chance(30) else []
        return words + (['"a message"'] if self.chance(40) else [])

    def for_(self, depth: int) -> Words:
        end = ["..", *self.expression(1)] if self.chance(60) else []
        if end and self.chance(30):
            end += ["step", *self.expression(1)]
        names = self.target(2)
        while self.chance(20):
            names += [",", *self.target(2)]
        return ["for", *names, "in", *self.expression(1), *end, *self.block(depth - 1)]

    def target(self, depth: int) -> Words:
        if not depth or self.chance(80):
            return self.name()
        return ["(", *self.target(depth - 1), *self.some(self.further, 2), ")"]

    def further(self) -> Words:
        return [",", *self.target(0)]

    def if_(self, depth: int) -> Words:
        words = ["if", *self.operands(2), *self.block(depth - 1)]
        while self.chance(25):
            words += ["else", "if", *self.operands(2), *self.block(depth - 1)]
        return words + (["else", *self.block(depth - 1)] if self.chance(40) else [])

    # expressions

    def expression(self, depth: int) -> Words:
        if depth and self.chance(10):
            words = self.operands(depth - 1)
            while self.chance(60):
                words += ["if", *self.operands(depth - 1), "else", *self.operands(depth - 1)]
            return words
        return self.operands(depth)

    def operands(self, depth: int) -> Words:
        words = self.operand(depth)
        while depth and self.chance(40):
            operator = self.random.choice(OPERATORS).split()
            words += [*operator, *self.operand(depth)]
            depth -= 1
        return words

    def operand(self, depth: int) -> Words:
        words: Words = []
        while self.chance(10):
            words.append(self.random.choice("+-"))
        kind = self.random.randrange(8) if depth else self.random.randrange(2)
        if kind == 0:
            words += self.name()
        elif kind in (1, 2):
            words.append(self.random.choice(LITERALS))
        elif kind in (3, 4):
            words += ["(", *self.expression(depth - 1), ")"]
        elif kind == 5:
            element = lambda: ["?"] if self.chance(10) else self.expression(depth - 1)  # noqa: E731
            words += ["[", *self.some(element, 4, [","]), "]"]
        elif kind == 6:
            words += ["max", "(", *self.expression(depth - 1), ",", *self.expression(0), ")"]
        else:
            words += [*self.name(), "[", *self.expression(depth - 1), "]", ".", *self.name()]
        if self.chance(5):
            words += ["[", *self.expression(0), "]"]
        return words


class Layout:
    """Puts spaces, line breaks and comments between words."""

    def __init__(self, random: Random, comments: int = 8) -> None:
        self.random = random
        self.comments = comments
        """How many gaps of a hundred hold a comment."""

    def text(self, words: Words) -> str:
        result = self.gap(must=False)
        for before, word in zip([*words[:-1]], words[1:], strict=True):
            result += before
            # A percent sign belongs to a number or not by what touches it.
            touching = before in LOOSE or (word in LOOSE and not before.endswith("%"))
            result += self.gap(must=not touching)
        return result + "".join(words[-1:]) + self.gap(must=False)

    def gap(self, must: bool) -> str:
        if not must and self.random.randrange(3) == 0:
            return ""
        result = self.random.choice(SPACES)
        while self.random.randrange(100) < self.comments:
            mark = self.random.choice(MARKS)
            result += f"{mark}{self.random.randrange(1000)}{self.random.choice(['', '  '])}\n"
            result += self.random.choice(("", *SPACES))
        return result
