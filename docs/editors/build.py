"""Writes the files of the editors from netspec's own lists of words.

Run `python docs/editors/build.py`. The VS Code folder gets a TextMate grammar, a language
configuration and a manifest, Vim a syntax file. A test compares them with what is checked in.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import netspec
from netspec.reference import editor_words

HERE = Path(__file__).parent
Rule = dict[str, Any]

NAME = r"[A-Za-z_]\w*"
SHAPE = r"(?<!\w)(?:\d[\d_]*|\?)(?:x(?:\d[\d_]*|\?))+(?!\w)"
DIGITS = r"(?<!\w)\d[\d_]*(?:\.\d[\d_]*)?(?:[eE][+-]?\d+)?"


def any_of(group: Iterable[str]) -> str:
    """A pattern for one of the words, the longest first."""
    return "(?:" + "|".join(sorted(group, key=lambda w: (-len(w), w))) + ")"


def word(group: Iterable[str], scope: str) -> Rule:
    return {"name": f"{scope}.netspec", "match": rf"\b{any_of(group)}\b"}


def include(*names: str) -> list[Rule]:
    return [{"include": f"#{name}"} for name in names]


def captures(**scopes: str) -> Rule:
    return {
        group.removeprefix("g"): {"name": f"{scope}.netspec"} for group, scope in scopes.items()
    }


def enclosed(opening: str, closing: str, inside: list[Rule], scope: str) -> Rule:
    return {
        "name": f"meta.{scope}.netspec",
        "begin": opening,
        "end": closing,
        "beginCaptures": captures(g0=f"punctuation.section.{scope}.begin"),
        "endCaptures": captures(g0=f"punctuation.section.{scope}.end"),
        "patterns": inside,
    }


def statement(begin: str, end: str, inside: list[Rule], **scopes: str) -> Rule:
    return {"begin": begin, "end": end, "beginCaptures": captures(**scopes), "patterns": inside}


def grammar() -> Rule:
    """The TextMate grammar. Its regular expressions mean the same to Oniguruma and to Python."""
    unit = f"(?:{any_of(u for u in editor_words.UNITS if u != '%')}(?!\\w)|%(?![\\w(\\[.]))?"
    # A statement that is no block ends with its line, or with the block that it stands in.
    end = r"(?=$|[{}])"
    expressions = include(
        *("comment", "string", "shape", "number", "constant", "operator-word", "function"),
        *("measure", "size", "operator", "list", "group", "variable"),
    )
    repository: dict[str, Any] = {
        "comment": {
            "patterns": [
                {"name": "comment.line.documentation.netspec", "match": r"##.*$"},
                {"name": "comment.line.number-sign.netspec", "match": r"#.*$"},
            ]
        },
        "string": {
            "name": "string.quoted.double.netspec",
            "begin": '"',
            "end": r'"|$',
            "patterns": [
                {"name": "constant.character.escape.netspec", "match": r"\\[nt\"\\]"},
                {"name": "invalid.illegal.escape.netspec", "match": r"\\."},
            ],
        },
        "shape": {"name": "constant.numeric.shape.netspec", "match": SHAPE},
        "number": {
            "name": "constant.numeric.netspec",
            "match": rf"{DIGITS}({unit})(?!\w)",
            "captures": captures(g1="keyword.other.unit"),
        },
        "constant": word(editor_words.CONSTANTS, "constant.language"),
        "operator-word": word(
            (*editor_words.OPERATORS, *editor_words.CONTROL), "keyword.operator.word"
        ),
        "function": {
            "name": "support.function.netspec",
            "match": rf"\b{any_of(editor_words.CALLABLE)}\b(?=\s*\()",
        },
        "measure": word(editor_words.MEASURED, "support.variable.measure"),
        "size": {
            "name": "support.variable.property.netspec",
            "match": rf"(?<=\.){any_of((*editor_words.SIZES, *editor_words.RESULTS))}\b",
        },
        "operator": {
            "name": "keyword.operator.netspec",
            "match": r"==|!=|<=|>=|<|>|\*\*|//|\.\.|[-+*/%=]",
        },
        "arrow": {"name": "keyword.operator.arrow.netspec", "match": "->"},
        # `-> (batchnorm if norm else identity)`
        "choice": {
            "begin": r"(->)\s*(\()",
            "end": r"\)",
            "beginCaptures": captures(
                g1="keyword.operator.arrow", g2="punctuation.section.choice.begin"
            ),
            "endCaptures": captures(g0="punctuation.section.choice.end"),
            "patterns": include("comment", "condition", "else", "call"),
        },
        "condition": statement(r"\b(if)\b", r"(?=\belse\b|\))", expressions, g1="keyword.control"),
        "variable": {"name": "variable.other.netspec", "match": rf"\b{NAME}\b"},
        "value-word": word(editor_words.VALUES, "support.constant"),
        "list": enclosed(r"\[", r"\]", expressions, "brackets"),
        "group": enclosed(r"\(", r"\)", [*include("op-value"), *expressions], "group"),
        # `conv1:`, `fire[i + 2]:`
        "label": {
            "begin": rf"\b({NAME})(?=\s*(?:\[[^\[\]\n]*\]\s*)*:)",
            "end": ":",
            "beginCaptures": captures(g1="entity.name.function.layer"),
            "endCaptures": captures(g0="punctuation.separator.label"),
            "patterns": include("list"),
        },
        # An op, module or line with what belongs to it: whatever follows in brackets or braces.
        "call": {
            "begin": rf"\b(?:({any_of(editor_words.BUILT_IN)})|({NAME}))\b",
            "end": r"(?=[^\s({\[])",
            "beginCaptures": captures(g1="support.type.op", g2="entity.name.type.module"),
            "patterns": include("list", "arguments", "fields"),
        },
        # One that is written where a value may stand.
        "applied": {
            "begin": rf"\b(?:({any_of(editor_words.BUILT_IN)})|({NAME}))\b"
            r"(?=\s*(?:\[[^\[\]\n]*\]\s*)*[({])",
            "end": r"(?=[^\s({\[])",
            "beginCaptures": captures(g1="support.type.op", g2="entity.name.type.module"),
            "patterns": include("list", "arguments", "fields"),
        },
        # One that is a value: of a field, a constant or a parameter.
        "op-value": {
            "begin": rf"\b(?:({any_of(editor_words.BUILT_IN)})|({NAME}))\b(?=\s*\{{)",
            "end": r"(?=[^\s{])",
            "beginCaptures": captures(g1="support.type.op", g2="entity.name.type.module"),
            "patterns": include("fields"),
        },
        "arguments": enclosed(
            r"\(",
            r"\)",
            include("comment", "choice", "arrow", "applied", "size", "list", "variable"),
            "arguments",
        ),
        "fields": enclosed(
            r"\{",
            r"\}",
            [
                {
                    "match": rf"\b(?:({any_of(editor_words.FIELDS)})|({NAME}))\s*(:)",
                    "captures": captures(
                        g1="support.type.property-name",
                        g2="variable.parameter",
                        g3="punctuation.separator.key-value",
                    ),
                },
                *include("comment", "op-value", "value-word"),
                *expressions,
            ],
            "fields",
        ),
        "import": {
            "match": rf"\b(import)\s+({NAME})",
            "captures": captures(g1="keyword.control.import", g2="entity.name.type.module"),
        },
        "definition": statement(
            rf"\b(net|module)\s+({NAME})",
            r"(?=\{)",
            expressions,
            g1="storage.type",
            g2="entity.name.type",
        ),
        "input": statement(
            rf"\b(input)\s+({NAME})",
            r"(?=$|\})",
            [*include("fields"), *expressions],
            g1="keyword.declaration",
            g2="entity.name.function.layer",
        ),
        # Elsewhere the word is a name.
        "train": {
            "begin": r"\b(train|detect)\b(?=\s*\{)",
            "end": r"(?=[^\s{])",
            "beginCaptures": captures(g1="keyword.declaration"),
            "patterns": include("fields"),
        },
        "default": {
            "begin": rf"\b(default)\s+(?:({any_of(editor_words.BUILT_IN)})|({NAME}))(?=\s*\{{)",
            "end": r"(?=[^\s{])",
            "beginCaptures": captures(
                g1="keyword.declaration", g2="support.type.op", g3="entity.name.type.module"
            ),
            "patterns": include("fields"),
        },
        "variant": {
            "begin": rf"\b(variant)\s+({NAME})(?=\s*\{{)",
            "end": r"(?=[^\s{])",
            "beginCaptures": captures(g1="keyword.declaration", g2="entity.name.type"),
            "patterns": include("variant-block"),
        },
        "variant-block": enclosed(
            r"\{",
            r"\}",
            [*include("comment", "parameter", "contract", "op-value"), *expressions],
            "block",
        ),
        "parameter": {
            "match": rf"\b({NAME})\s*(:)",
            "captures": captures(g1="variable.parameter", g2="punctuation.separator.key-value"),
        },
        "output": statement(
            r"\b(output)\b",
            r"(?=$|\})",
            include("comment", "choice", "arrow", "applied", "size", "list", "variable"),
            g1="keyword.declaration",
        ),
        "let": statement(
            rf"\b(let)\s+({NAME})",
            end,
            [*include("op-value"), *expressions],
            g1="keyword.declaration",
            g2="variable.other.constant",
        ),
        "contract": statement(
            rf"\b({any_of(editor_words.CONTRACTS)})\b",
            end,
            expressions,
            g1="keyword.control.contract",
        ),
        "step": {"name": "keyword.control.netspec", "match": r"(?<=\s)step(?=\s+[-+\w(])"},
        "control": statement(
            r"\b(for|if)\b", r"(?=\{)", include("step") + expressions, g1="keyword.control"
        ),
        "else": word(["else"], "keyword.control"),
        "block": enclosed(r"\{", r"\}", include("statement"), "block"),
        "statement": {
            "patterns": include(
                *(
                    "comment",
                    "string",
                    "label",
                    "input",
                    "train",
                    "variant",
                    "default",
                    "output",
                    "let",
                    "contract",
                ),
                *("control", "else", "block", "choice", "arrow", "call"),
            )
        },
    }
    return {
        "$schema": "https://raw.githubusercontent.com/martinring/tmlanguage/master/tmlanguage.json",
        "comment": "Written by docs/editors/build.py: change that, not this file.",
        "name": "netspec",
        "scopeName": "source.netspec",
        "fileTypes": ["net"],
        "patterns": include("comment", "string", "import", "default", "definition", "block"),
        "repository": repository,
    }


def configuration() -> Rule:
    """Brackets, comments and indentation of VS Code."""
    pairs = [["{", "}"], ["[", "]"], ["(", ")"]]
    return {
        "comments": {"lineComment": "#"},
        "brackets": pairs,
        "autoClosingPairs": [
            *({"open": a, "close": b} for a, b in pairs),
            {"open": '"', "close": '"', "notIn": ["string", "comment"]},
        ],
        "surroundingPairs": [*pairs, ['"', '"']],
        "wordPattern": NAME,
        "indentationRules": {
            "increaseIndentPattern": r"^[^#\"]*\{[^}\"]*$",
            "decreaseIndentPattern": r"^\s*\}",
        },
    }


def manifest() -> Rule:
    """What VS Code reads first: the language, the code that starts the server, its commands."""
    return {
        "name": "netspec",
        "displayName": "netspec",
        "description": "Checks, completes and draws declarative specs of convolutional networks",
        "version": netspec.__version__,
        "publisher": "netspec",
        "license": "Apache-2.0",
        "engines": {"vscode": "^1.91.0"},
        "categories": ["Programming Languages", "Linters", "Formatters", "Snippets"],
        "main": "./dist/extension.js",
        "files": [
            *("README.md", "dist", "language-configuration.json", "snippets.json", "syntaxes"),
        ],
        "activationEvents": ["workspaceContains:**/*.prototxt"],
        "scripts": {
            "build": "esbuild src/extension.js --bundle --platform=node --external:vscode "
            "--minify --outfile=dist/extension.js",
            "test": "node --test test/",
            "package": "npm run build && vsce package --no-dependencies "
            "--allow-missing-repository --skip-license",
        },
        "devDependencies": {
            "@vscode/vsce": "^4.1.0",
            "esbuild": "^0.28.2",
            "vscode-languageclient": "^11.0.0",
        },
        "contributes": {
            "commands": [
                {"command": "netspec.preview", "title": "netspec: Show the net beside its text"}
            ],
            "menus": {
                "editor/title": [
                    {
                        "command": "netspec.preview",
                        "when": "editorLangId == netspec",
                        "group": "navigation",
                    }
                ]
            },
            "configuration": {
                "title": "netspec",
                "properties": {
                    "netspec.server": {
                        "type": "array",
                        "items": {"type": "string"},
                        "default": [],
                        "description": "The command that starts the language server, such as "
                        '["/path/to/netspec", "lsp"]. Empty: netspec of the folder\'s .venv, or of '
                        "the path.",
                    }
                },
            },
            "snippets": [{"language": "netspec", "path": "./snippets.json"}],
            "languages": [
                {
                    "id": "netspec",
                    "aliases": ["netspec"],
                    "extensions": [".net"],
                    "configuration": "./language-configuration.json",
                }
            ],
            "grammars": [
                {
                    "language": "netspec",
                    "scopeName": "source.netspec",
                    "path": "./syntaxes/netspec.tmLanguage.json",
                }
            ],
        },
    }


# Words that can't be names, and words that a layer or field may have as its name.
VIM_RESERVED = (
    ("Statement", "netspecDeclaration", editor_words.DECLARATIONS),
    ("PreProc", "netspecPromise", editor_words.CONTRACTS),
    ("Conditional", "netspecControl", editor_words.CONTROL),
    ("Operator", "netspecOperator", editor_words.OPERATORS),
    ("Constant", "netspecConstant", editor_words.CONSTANTS),
)
VIM_FREE = (
    ("Structure", "netspecPart", editor_words.PARTS),
    ("Constant", "netspecValue", editor_words.VALUES),
    ("Function", "netspecFunction", (*editor_words.CALLABLE, *editor_words.MEASURED)),
    ("Type", "netspecOp", editor_words.BUILT_IN),
)


def vim() -> str:
    """Vim's syntax file."""
    lines = [
        '" Syntax of netspec. Written by docs/editors/build.py: change that, not this file.',
        'if exists("b:current_syntax")',
        "  finish",
        "endif",
        "",
    ]
    lines += [f"syn keyword {group} {' '.join(known)}" for _, group, known in VIM_RESERVED]
    lines += [
        rf"syn match {group} /\<\({_vim_words(known)}\)\>\(\s*:\)\@!/"
        for _, group, known in VIM_FREE
    ]
    units = _vim_words(u for u in editor_words.UNITS if u != "%")
    lines += [
        # What stands in front of a colon is a field or a layer's name, whatever the word.
        r"syn match netspecField /\<\h\w*\ze\s*:/",
        r"syn match netspecLayer /^\s*\zs\h\w*\ze\s*\(\[[^]]*\]\s*\)*:/",
        r"syn match netspecNumber /\<\d[0-9_]*\(\.\d[0-9_]*\)\=\([eE][+-]\=\d\+\)\="
        rf"\({units}\|%\)\=/",
        r"syn match netspecShape /\<\d[0-9_]*\(x\(\d[0-9_]*\|?\)\)\+\>/",
        r"syn match netspecArrow /->/",
        r'syn region netspecString start=/"/ skip=/\\./ end=/"/ oneline',
        "syn match netspecComment /#.*$/ contains=@Spell",
        "syn match netspecDocumentation /##.*$/ contains=@Spell",
        "",
    ]
    links = [(group, target) for target, group, _ in (*VIM_RESERVED, *VIM_FREE)]
    links += [
        *(("netspecField", "Identifier"), ("netspecLayer", "Label"), ("netspecNumber", "Number")),
        *(("netspecShape", "Number"), ("netspecArrow", "Operator"), ("netspecString", "String")),
        *(("netspecComment", "Comment"), ("netspecDocumentation", "SpecialComment")),
    ]
    lines += [f"hi def link {group} {target}" for group, target in links]
    lines += ["", 'let b:current_syntax = "netspec"']
    return "\n".join(lines) + "\n"


def _vim_words(group: Iterable[str]) -> str:
    return r"\|".join(sorted(group, key=lambda w: (-len(w), w)))


def files() -> dict[Path, str]:
    """Every generated file and its text."""
    code = HERE / "vscode"
    return {
        code / "package.json": _json(manifest()),
        code / "language-configuration.json": _json(configuration()),
        code / "syntaxes" / "netspec.tmLanguage.json": _json(grammar()),
        HERE / "vim" / "syntax" / "netspec.vim": vim(),
        HERE / "vim" / "ftdetect" / "netspec.vim": (
            '" Written by docs/editors/build.py.\nau BufRead,BufNewFile *.net setfiletype netspec\n'
        ),
    }


def _json(data: Rule) -> str:
    return json.dumps(data, indent=2) + "\n"


if __name__ == "__main__":
    for path, text in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
