"""Highlighting agrees with the parser: in VS Code's grammar, in Pygments, in Vim's list of words."""

from __future__ import annotations

import importlib.util
import json
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import Any

import pytest
from pygments.token import Comment, Error, Keyword, Name, Number, Operator, String

from netspec import driver
from netspec.diagnostics import Diagnostics
from netspec.diagnostics.source import Source
from netspec.ops import OPS, attributes
from netspec.reference import editor_words
from netspec.reference.pygments_lexer import NetspecLexer
from netspec.semantic.input_block import INPUT_FIELDS
from netspec.semantic.train_block import TRAIN_FIELDS
from netspec.syntax.ast import Call, Field, LayerName
from netspec.syntax.parser import parse
from netspec.syntax.parser.token_names import WORDS
from netspec.syntax.visitor import walk
from netspec.util.resources import folder

from .markdown import DOCS, blocks
from .textmate import TextMateGrammar

FOLDER = DOCS / "editors"
GRAMMAR = FOLDER / "vscode" / "syntaxes" / "netspec.tmLanguage.json"


@cache
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_editors", FOLDER / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_checked_in_is_what_the_lists_give(update: bool) -> None:
    for path, text in build().files().items():
        if update:
            path.write_text(text, encoding="utf-8")
        assert path.read_text(encoding="utf-8") == text, f"{path}: python docs/editors/build.py"


@cache
def grammar() -> TextMateGrammar:
    return TextMateGrammar(json.loads(GRAMMAR.read_text()))


# --- words ---------------------------------------------------------------------------------------


def test_the_lists_hold_every_word_of_the_grammar() -> None:
    lark = (folder("grammars") / "netspec.lark").read_text()
    rules = "\n".join(line for line in lark.splitlines() if not line.startswith("//"))
    literal = set(re.findall(r'"([a-z]+)"', rules)) | {"expect", "prefer"}
    listed = {
        *editor_words.PARTS,
        *editor_words.DECLARATIONS,
        *editor_words.CONTRACTS,
        *editor_words.CONTROL,
        *editor_words.OPERATORS,
        *editor_words.CONSTANTS,
    }
    assert literal == listed
    assert set(editor_words.RESERVED) == WORDS == listed - set(editor_words.PARTS)


def scopes_of(text: str, wanted: str) -> list[str]:
    """The innermost scope of each token of a text that reads so."""
    tokens, _ = grammar().tokens(text)
    return [t.scopes[-1] if t.scopes else "" for t in tokens if t.text == wanted]


def in_body(line: str) -> str:
    return f"net n {{\n  input x: 3x8x8\n  {line}\n}}\n"


@pytest.mark.parametrize("op", OPS)
def test_every_op_is_covered(op: str) -> None:
    for line in (op, f"{op} {{ kernel: 3 }}", f"a: {op}(x)", f"concat(x, {op}(x))", f"x -> {op}"):
        assert scopes_of(in_body(line), op)[-1] == "support.type.op.netspec"
    # A name of a layer is one, whatever the word.
    assert scopes_of(in_body(f"{op}: relu"), op)[0] == "entity.name.function.layer.netspec"


def test_every_field_and_value_is_covered() -> None:
    kinds: list[tuple[str, Any]] = [
        *((a.name, a.kind) for op in OPS.values() for a in attributes(op)),
        *((name, f.kind) for name, f in INPUT_FIELDS.items()),
        *((name, f.kind) for name, f in TRAIN_FIELDS.items()),
    ]
    for name, kind in kinds:
        text = in_body(f"conv {{ {name}: 3 }}")
        assert scopes_of(text, name) == ["support.type.property-name.netspec"]
        for value in kind.words:
            found = scopes_of(in_body(f"conv {{ {name}: {value} }}"), value)
            assert found[-1] == "support.constant.netspec"


def test_every_other_word_is_covered() -> None:
    for name in editor_words.CALLABLE:
        text = in_body(f"let a = {name}(3)")
        assert scopes_of(text, name) == ["support.function.netspec"]
    for name in editor_words.MEASURED:
        assert scopes_of(in_body(f"expect {name} < 3"), name) == [
            "support.variable.measure.netspec"
        ]
    for name in editor_words.SIZES:
        assert scopes_of(in_body(f"expect x.{name} == 3"), name) == [
            "support.variable.property.netspec"
        ]
    for name in editor_words.CONSTANTS:
        assert scopes_of(in_body(f"let a = {name}"), name) == ["constant.language.netspec"]
    for name in editor_words.OPERATORS:
        assert scopes_of(in_body(f"let a = 1 {name} 2"), name) == ["keyword.operator.word.netspec"]
    for unit in editor_words.UNITS:
        assert scopes_of(in_body(f"let a = 1.5{unit}"), unit) == ["keyword.other.unit.netspec"]


SAMPLE = """\
import fire  # a module
import "blocks/mine.net"
default batchnorm { eps: 1e-3 }

## Doc.
module block(filters, stride = 1) {
  input x: 64x?x?
  prefer filters < 2 * x.channels  "no \\"more\\" \\q"
  default conv_transpose { bias: false }
  default batchnorm { momentum: 0.2 }
  main: conv { filters: filters, kernel: [1, 3]  pad: same } -> batchnorm
        -> relu
  half: relu -> (maxpool { kernel: 2 } if stride == 2 else tanh) -> relu6
  if stride != 1 or not x.channels in [1, 2] { short: mine(x) { filters: 3 } } else { relu }
  output add(main, relu(x)), main.indices
}

net n(classes = 10%3, act = leaky_relu { slope: 0.1 }, share = 50%) {
  input data: 3x227x227 { channels: bgr  mean: [104, 117]
                          crop: center }
  for i in 2..9 { fire[i + 1]: fire { s1x1: 16 } }
  r[0]: conv(data) { filters: 3 } -> relu
  again: add(r[0](data), r[0](data))
  r[0](again)
  let e = round(0.5 * i) if i > 2 else 3
  for i, (c, s) in enumerate(table) { conv { filters: c  stride: s } }
  for i in 8..0 step -2 { conv { filters: step  stride: 2 } }
  let other = celu { alpha: 2 }
  fire { act: hardtanh { min: 0 }  s1x1: 3 }
  expect params(fire2) == 11_920
  if classes == 10 { expect size < 4.8MiB }
  train { schedule: poly }
  variant big { classes: 20  expect size < 1 }
}
"""
EXPECTED = """
default keyword.declaration | momentum support.type.property-name
leaky_relu support.type.op | slope support.type.property-name | celu support.type.op | hardtanh support.type.op
alpha support.type.property-name | min support.type.property-name | act variable.parameter
import keyword.control.import | fire entity.name.type.module | # a module comment.line.number-sign
## Doc. comment.line.documentation | module storage.type | block entity.name.type
input keyword.declaration | 64x?x? constant.numeric.shape | prefer keyword.control.contract
\\" constant.character.escape | \\q invalid.illegal.escape | main entity.name.function.layer
conv support.type.op | kernel support.type.property-name | same support.constant
-> keyword.operator.arrow | batchnorm support.type.op | if keyword.control | or keyword.operator.word
short entity.name.function.layer | mine entity.name.type.module | else keyword.control
maxpool support.type.op | tanh support.type.op | relu6 support.type.op
output keyword.declaration | indices support.variable.property | n entity.name.type
% keyword.other.unit | bgr support.constant | crop support.type.property-name
again entity.name.function.layer | r entity.name.type.module | center support.constant | for keyword.control | .. keyword.operator | s1x1 variable.parameter
let keyword.declaration | e variable.other.constant | round support.function
expect keyword.control.contract | params support.variable.measure | 11_920 constant.numeric
variant keyword.declaration | big entity.name.type | classes variable.parameter
step keyword.control | step support.constant | enumerate support.function
train keyword.declaration | schedule support.type.property-name | poly support.constant
MiB keyword.other.unit | size support.variable.measure | in keyword.operator.word
"""


def test_sample() -> None:
    tokens, still_open = grammar().tokens(SAMPLE)
    assert still_open == 0
    assert "".join(t.text for t in tokens) == SAMPLE
    pairs = {(t.text, t.scopes[-1]) for t in tokens if t.scopes}
    for pair in re.split(r"[|\n]", EXPECTED.strip()):
        text, _, scope = pair.strip().rpartition(" ")
        assert (text, f"{scope}.netspec") in pairs, pair
    # `10%3` is modulo, `50%` a percentage.
    modulo = [t.scopes[-1] for t in tokens if t.text == "%"]
    assert modulo == ["keyword.operator.netspec", "keyword.other.unit.netspec"]


# --- against the parser --------------------------------------------------------------------------


def specs() -> Iterator[tuple[str, str]]:
    for path in [*driver.bundled().values(), *(folder("specs") / "modules").glob("*.net")]:
        yield path.stem, path.read_text(encoding="utf-8")
    for page in (DOCS / "guide.md", DOCS / "coming-from-prototxt.md"):
        for block in blocks(page):
            if block.kind == "net" and "wrong" not in block.words:
                yield f"{page.stem}:{block.line}", block.text
    yield "sample", SAMPLE.replace("\\q", "")


SPECS = dict(specs())


def parsed_kinds(text: str) -> Iterator[tuple[int, str, str]]:
    """Start, text and kind of each word of a spec, as the parser reads it."""
    diagnostics = Diagnostics()
    file = parse(Source("s.net", text), diagnostics)
    assert file is not None, [d.message for d in diagnostics]
    for node in walk(*file.items):
        if isinstance(node, Call):
            kind = "op" if node.op.text in OPS else "module"
            yield node.op.span.start, node.op.text, kind
        elif isinstance(node, Field):
            yield node.name.span.start, node.name.text, "field"
        elif isinstance(node, LayerName):
            yield node.base.span.start, node.base.text, "layer"
    for comment in file.comments:
        yield comment.span.start, comment.text, "comment"


@pytest.mark.parametrize("name", SPECS)
def test_the_textmate_grammar_reads_as_the_parser_does(name: str) -> None:
    text = SPECS[name]
    tokens, still_open = grammar().tokens(text)
    assert still_open == 0
    scopes = {t.start: t for t in tokens}
    meant = {
        "op": ("support.type.op.netspec",),
        "module": ("entity.name.type.module.netspec",),
        "field": ("support.type.property-name.netspec", "variable.parameter.netspec"),
        "layer": ("entity.name.function.layer.netspec",),
        "comment": ("comment.line.number-sign.netspec", "comment.line.documentation.netspec"),
    }
    found = list(parsed_kinds(text))
    assert found
    for start, word, kind in found:
        token = scopes[start]
        assert token.text.rstrip() == word
        assert token.scopes[-1] in meant[kind], (word, kind, token.scopes)


@pytest.mark.parametrize("name", SPECS)
def test_pygments_reads_as_the_parser_does(name: str) -> None:
    text = SPECS[name]
    tokens = {
        start: (kind, value) for start, kind, value in NetspecLexer().get_tokens_unprocessed(text)
    }
    assert not any(kind is Error for kind, _ in tokens.values())
    meant = {
        "op": (Name.Function,),
        "module": (Name,),
        "field": (Name.Attribute, Name.Label),
        "layer": (Name.Label, Name.Attribute),
        "comment": (Comment.Single, Comment.Special),
    }
    for start, word, kind in parsed_kinds(text):
        found, value = tokens[start]
        assert value.rstrip() == word
        assert found in meant[kind], (word, kind, found)


def test_pygments_finds_the_lexer() -> None:
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())["project"]
    (entry,) = project["entry-points"]["pygments.lexers"].values()
    lexer = EntryPoint("netspec", entry, "pygments.lexers").load()()
    assert (lexer.name, lexer.filenames) == ("netspec", ["*.net"])
    kinds = {value: kind for kind, value in lexer.get_tokens(SAMPLE)}
    assert kinds["for"] is Keyword
    steps = [kind for kind, value in lexer.get_tokens(SAMPLE) if value == "step"]
    assert steps == [Keyword, Name.Constant]
    assert kinds["64x?x?"] is Number.Integer
    assert kinds["50%"] is Number
    assert kinds["or"] is Operator.Word
    assert kinds['"blocks/mine.net"'] is String.Double
    assert kinds["bgr"] is Name.Constant


def test_vim_has_every_word() -> None:
    text = (FOLDER / "vim" / "syntax" / "netspec.vim").read_text()
    listed = {w for line in re.findall(r"syn keyword \w+ (.*)", text) for w in line.split()}
    for line in re.findall(r"syn match \w+ /\\<\\\((\S+)\\\)\\>", text):
        listed |= set(line.split("\\|"))
    assert listed >= {
        *editor_words.RESERVED,
        *editor_words.PARTS,
        *OPS,
        *editor_words.CALLABLE,
        *editor_words.VALUES,
    }


def test_the_vscode_folder_holds_together() -> None:
    code = FOLDER / "vscode"
    manifest = json.loads((code / "package.json").read_text())
    (language,) = manifest["contributes"]["languages"]
    (contributed,) = manifest["contributes"]["grammars"]
    assert (code / language["configuration"]).exists()
    data = json.loads((code / contributed["path"]).read_text())
    assert data["scopeName"] == contributed["scopeName"]
    assert language["extensions"] == [".net"]
    rules = json.loads((code / "language-configuration.json").read_text())["indentationRules"]
    assert re.match(rules["increaseIndentPattern"], "  for i in 1..3 {")
    assert not re.match(rules["increaseIndentPattern"], "  conv { filters: 3 }")
    assert re.match(rules["decreaseIndentPattern"], "  }")
    assert (code / manifest["contributes"]["snippets"][0]["path"]).exists()
    assert (code / "src" / "extension.js").exists()


def test_no_rule_is_left_out() -> None:
    """Every rule of the repository is used, and every include has its rule."""
    data = json.loads(GRAMMAR.read_text())
    used = set(re.findall(r'"include": "#([a-z-]+)"', json.dumps(data)))
    assert used == set(data["repository"])
