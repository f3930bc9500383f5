"""The language server: what `netspec.editing.language` knows, spoken in LSP by pygls.

Requests are answered for the text as it is when they come: an executor of one thread analyses it,
so that the server goes on listening, and an answer that was cancelled meanwhile is not sent.
Diagnostics follow a pause of typing.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer
from pygls.uris import from_fs_path, to_fs_path

from netspec import __version__
from netspec.diagnostics import Diagnostic, Label, render
from netspec.diagnostics.fixes import Edit
from netspec.diagnostics.source import Source, Span
from netspec.editing.language import completion, hover, layout, outline
from netspec.editing.language.analysis import Analysis
from netspec.editing.language.workspace import RENAMED, RenameRefused, Workspace
from netspec.reference.explanations import path_of

PAUSE = 0.02
"""Seconds without a change after which diagnostics are looked for."""

T = TypeVar("T")

_SYMBOLS = {
    "net": types.SymbolKind.Class,
    "module": types.SymbolKind.Function,
    "variant": types.SymbolKind.EnumMember,
    "parameter": types.SymbolKind.TypeParameter,
    "constant": types.SymbolKind.Constant,
    "input": types.SymbolKind.Interface,
    "layer": types.SymbolKind.Field,
}
_COMPLETIONS = {
    "op": types.CompletionItemKind.Function,
    "module": types.CompletionItemKind.Class,
    "keyword": types.CompletionItemKind.Keyword,
    "field": types.CompletionItemKind.Property,
    "value": types.CompletionItemKind.EnumMember,
    "constant": types.CompletionItemKind.Constant,
    "layer": types.CompletionItemKind.Variable,
    "function": types.CompletionItemKind.Method,
}


class NetspecServer(LanguageServer):
    """The server with its workspace and the thread that works on it."""

    def __init__(self) -> None:
        super().__init__("netspec", __version__)
        self.specs = Workspace()
        self.executor = ThreadPoolExecutor(1)
        self.pending: dict[str, asyncio.Task[None]] = {}

    async def ask(self, question: Callable[[], T]) -> T:
        """The answer of the working thread; JsonRpcInvalidParams where a file can't be read."""

        def answer() -> T:
            try:
                return question()
            except (OSError, ValueError) as error:
                raise JsonRpcInvalidParams(f"there is no such text: {error}") from None

        return await asyncio.get_running_loop().run_in_executor(self.executor, answer)

    async def about(self, uri: str, question: Callable[[Analysis], T]) -> T:
        """An answer about a text as it is now."""
        path = _path(uri)
        return await self.ask(lambda: question(self.specs.analysis(path)))

    async def take(self, uri: str) -> None:
        """Hand the text of an editor on, and look for diagnostics after a pause."""
        text = self.workspace.get_text_document(uri).source
        path = _path(uri)
        await self.ask(lambda: self.specs.open(path, text))
        self.look(uri)

    def look(self, uri: str) -> None:
        """Look for the diagnostics of a text, and of those that may import it, after a pause."""
        for other in (uri, *map(_uri, list(self.specs.texts))):
            waiting = self.pending.pop(other, None)
            if waiting is not None:
                waiting.cancel()
            self.pending[other] = asyncio.ensure_future(self._publish(other))

    async def _publish(self, uri: str) -> None:
        await asyncio.sleep(PAUSE)
        path = _path(uri)
        if path not in self.specs.texts:
            return
        try:
            found = await self.about(uri, lambda a: [_diagnostic(a, d) for d in a.diagnostics])
        except JsonRpcInvalidParams:
            return
        document = self.workspace.text_documents.get(uri)
        version = document.version if document is not None else None
        self.text_document_publish_diagnostics(
            types.PublishDiagnosticsParams(uri, [d for d in found if d is not None], version)
        )


server = NetspecServer()


_UNSAVED: dict[Path, str] = {}
"""The addresses of texts that are no files, such as new ones, by the paths that stand for them."""


def _path(uri: str) -> Path:
    path = to_fs_path(uri) if uri.startswith("file:") else None
    if path is not None:
        return Path(path).resolve()
    made = Path("/", re.sub(r"\W+", "_", uri))
    _UNSAVED[made] = uri
    return made


def _uri(path: Path) -> str:
    return _UNSAVED.get(path) or from_fs_path(str(path)) or str(path)


# --- places ---------------------------------------------------------------------------------------


def _position(source: Source, offset: int) -> types.Position:
    """An offset as LSP has it: a line from 0, and UTF-16 units in it."""
    line, column = source.position(offset)
    before = source.line(line)[: column - 1]
    return types.Position(line - 1, len(before) + sum(ord(c) > 0xFFFF for c in before))


def _offset(source: Source, position: types.Position) -> int:
    """The offset of a position; the nearest where there is none."""
    lines = source.text.count("\n") + 1
    if position.line >= lines:
        return len(source.text)
    text = source.line(position.line + 1)
    units = column = 0
    while column < len(text) and units < position.character:
        units += 1 + (ord(text[column]) > 0xFFFF)
        column += 1
    return source.start(position.line + 1) + column


def _range(span: Span) -> types.Range:
    return types.Range(_position(span.source, span.start), _position(span.source, span.end))


def _lines(source: Source, first: int, last: int) -> types.Range:
    """Whole lines, from 0."""
    end = len(source.text)
    count = source.text.count("\n") + 1
    stop = _position(source, end) if last >= count else types.Position(last, 0)
    return types.Range(types.Position(first, 0), stop)


def _location(span: Span) -> types.Location:
    return types.Location(_uri(Path(span.source.name)), _range(span))


def _edits(edits: Iterable[Edit]) -> types.WorkspaceEdit:
    changes: dict[str, list[types.TextEdit]] = {}
    for edit in edits:
        uri = _uri(Path(edit.span.source.name))
        changes.setdefault(uri, []).append(types.TextEdit(_range(edit.span), edit.text))
    return types.WorkspaceEdit(changes=changes)


def _diagnostic(analysis: Analysis, d: Diagnostic) -> types.Diagnostic | None:
    """A diagnostic of a text; one that stands in another file is put where that is used."""
    span, others = d.span, render.related(d)
    if span is None or span.source is not analysis.source:
        uses = [f.span for f in d.backtrace if f.span.source is analysis.source]
        start = Span(analysis.source, 0, min(1, len(analysis.source.text)))
        others = ([Label(span, d.message)] if span is not None else []) + others
        span = uses[0] if uses else start
    also = [types.DiagnosticRelatedInformation(_location(o.span), o.text) for o in others]
    text = "\n".join([d.message, *d.notes, *(f"help: {h}" for h in d.help), *d.context])
    return types.Diagnostic(
        range=_range(span),
        message=text,
        severity=types.DiagnosticSeverity.Error
        if d.severity == "error"
        else types.DiagnosticSeverity.Warning,
        code=d.code,
        code_description=types.CodeDescription(path_of(d.code).as_uri()),
        source="netspec",
        related_information=also or None,
        tags=[types.DiagnosticTag.Unnecessary] if d.code.startswith("unused") else None,
    )


# --- texts ----------------------------------------------------------------------------------------


@server.feature(types.INITIALIZED)
def initialized(ls: NetspecServer, params: types.InitializedParams) -> None:
    folders = [f.uri for f in ls.workspace.folders.values()]
    root = ls.workspace.root_uri
    ls.specs.folders = [_path(uri) for uri in folders or ([root] if root else [])]


@server.feature(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)
def folders_changed(ls: NetspecServer, params: types.DidChangeWorkspaceFoldersParams) -> None:
    ls.specs.folders = [_path(f.uri) for f in ls.workspace.folders.values()]


@server.feature(types.TEXT_DOCUMENT_DID_OPEN)
async def did_open(ls: NetspecServer, params: types.DidOpenTextDocumentParams) -> None:
    await ls.take(params.text_document.uri)


@server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
async def did_change(ls: NetspecServer, params: types.DidChangeTextDocumentParams) -> None:
    await ls.take(params.text_document.uri)


@server.feature(types.TEXT_DOCUMENT_DID_SAVE)
async def did_save(ls: NetspecServer, params: types.DidSaveTextDocumentParams) -> None:
    await ls.ask(ls.specs.touch)
    ls.look(params.text_document.uri)


@server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
async def files_changed(ls: NetspecServer, params: types.DidChangeWatchedFilesParams) -> None:
    await ls.ask(ls.specs.touch)
    for path in list(ls.specs.texts)[:1]:
        ls.look(_uri(path))


@server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
async def did_close(ls: NetspecServer, params: types.DidCloseTextDocumentParams) -> None:
    uri = params.text_document.uri
    path = _path(uri)
    await ls.ask(lambda: ls.specs.close(path))
    ls.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, []))


# --- what is known --------------------------------------------------------------------------------


@server.feature(types.TEXT_DOCUMENT_HOVER)
async def hovered(ls: NetspecServer, params: types.HoverParams) -> types.Hover | None:
    def answer() -> types.Hover | None:
        analysis = ls.specs.analysis(_path(params.text_document.uri))
        offset = _offset(analysis.source, params.position)
        if analysis.is_prototxt:
            found = hover.prototxt_hover(analysis.source, offset)
        else:
            found = hover.hover(analysis, offset)
        if found is None:
            return None
        span, text = found
        return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, text), _range(span))

    return await ls.ask(answer)


@server.feature(types.TEXT_DOCUMENT_INLAY_HINT)
async def inlay_hints(ls: NetspecServer, params: types.InlayHintParams) -> list[types.InlayHint]:
    def answer(analysis: Analysis) -> list[types.InlayHint]:
        found = []
        for line, text in sorted(outline.hints(analysis).items()):
            if params.range.start.line <= line - 1 <= params.range.end.line:
                end = analysis.source.start(line) + len(analysis.source.line(line))
                place = _position(analysis.source, end)
                found.append(types.InlayHint(place, text, padding_left=True))
        return found

    return await ls.about(params.text_document.uri, answer)


@server.feature(
    types.TEXT_DOCUMENT_COMPLETION,
    types.CompletionOptions(trigger_characters=[".", ":", "{", "(", ">"]),
)
async def completed(ls: NetspecServer, params: types.CompletionParams) -> types.CompletionList:
    def answer() -> types.CompletionList:
        path = _path(params.text_document.uri)
        present, sound = ls.specs.analysis(path), ls.specs.sound(path)
        if present.is_prototxt:
            return types.CompletionList(False, [])
        text = present.source.text
        found = completion.completions(sound, text, _offset(present.source, params.position))
        return types.CompletionList(
            False,
            [
                types.CompletionItem(
                    c.label,
                    kind=_COMPLETIONS[c.kind],
                    detail=c.detail or None,
                    insert_text=c.insert or None,
                    additional_text_edits=[
                        types.TextEdit(_range(edit.span), edit.text) for edit in c.also
                    ]
                    or None,
                )
                for c in {c.label: c for c in reversed(found)}.values()
            ],
        )

    return await ls.ask(answer)


@server.feature(
    types.TEXT_DOCUMENT_SIGNATURE_HELP, types.SignatureHelpOptions(trigger_characters=["{", ":"])
)
async def signature(
    ls: NetspecServer, params: types.SignatureHelpParams
) -> types.SignatureHelp | None:
    def answer() -> types.SignatureHelp | None:
        path = _path(params.text_document.uri)
        present, sound = ls.specs.analysis(path), ls.specs.sound(path)
        offset = _offset(present.source, params.position)
        found = completion.signature_at(sound, present.source.text, offset)
        if found is None:
            return None
        fields = [types.ParameterInformation(place) for place in found.fields]
        one = types.SignatureInformation(found.label, found.doc or None, fields, found.active)
        return types.SignatureHelp([one], 0, found.active)

    return await ls.ask(answer)


# --- names ----------------------------------------------------------------------------------------


@server.feature(types.TEXT_DOCUMENT_DEFINITION)
async def defined(ls: NetspecServer, params: types.DefinitionParams) -> types.Location | None:
    def answer() -> types.Location | None:
        path = _path(params.text_document.uri)
        offset = _offset(ls.specs.analysis(path).source, params.position)
        symbol = ls.specs.definition(path, offset)
        return _location(symbol.place) if symbol is not None and symbol.place else None

    return await ls.ask(answer)


@server.feature(types.TEXT_DOCUMENT_REFERENCES)
async def referred(ls: NetspecServer, params: types.ReferenceParams) -> list[types.Location]:
    def answer() -> list[types.Location]:
        path = _path(params.text_document.uri)
        offset = _offset(ls.specs.analysis(path).source, params.position)
        with_own = params.context.include_declaration
        found = ls.specs.references(path, offset)
        return [_location(o.span) for o in found if with_own or o.span != o.symbol.place]

    return await ls.ask(answer)


@server.feature(types.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT)
async def highlighted(
    ls: NetspecServer, params: types.DocumentHighlightParams
) -> list[types.DocumentHighlight]:
    def answer(analysis: Analysis) -> list[types.DocumentHighlight]:
        own = analysis.at(_offset(analysis.source, params.position))
        found = [o for o in analysis.names if own is not None and o.symbol.key == own.symbol.key]
        return [types.DocumentHighlight(_range(o.span)) for o in found]

    return await ls.about(params.text_document.uri, answer)


@server.feature(types.TEXT_DOCUMENT_PREPARE_RENAME)
async def can_rename(ls: NetspecServer, params: types.PrepareRenameParams) -> types.Range | None:
    def answer(analysis: Analysis) -> types.Range | None:
        own = analysis.at(_offset(analysis.source, params.position))
        can = own is not None and own.symbol.kind in RENAMED and own.symbol.place is not None
        return _range(own.span) if own is not None and can else None

    return await ls.about(params.text_document.uri, answer)


@server.feature(types.TEXT_DOCUMENT_RENAME)
async def renamed(ls: NetspecServer, params: types.RenameParams) -> types.WorkspaceEdit:
    def answer() -> types.WorkspaceEdit:
        path = _path(params.text_document.uri)
        offset = _offset(ls.specs.analysis(path).source, params.position)
        try:
            return _edits(ls.specs.rename(path, offset, params.new_name))
        except RenameRefused as error:
            raise JsonRpcInvalidParams(str(error)) from None

    return await ls.ask(answer)


@server.feature(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
async def document_symbols(
    ls: NetspecServer, params: types.DocumentSymbolParams
) -> list[types.DocumentSymbol]:
    return await ls.about(params.text_document.uri, lambda a: _symbols(outline.symbols(a)))


def _symbols(entries: Sequence[outline.OutlineEntry]) -> list[types.DocumentSymbol]:
    return [
        types.DocumentSymbol(
            entry.name,
            _SYMBOLS[entry.kind],
            _range(entry.whole),
            _range(entry.place),
            entry.detail or None,
            children=_symbols(entry.inside),
        )
        for entry in entries
    ]


@server.feature(types.WORKSPACE_SYMBOL)
async def workspace_symbols(
    ls: NetspecServer, params: types.WorkspaceSymbolParams
) -> list[types.WorkspaceSymbol]:
    def answer() -> list[types.WorkspaceSymbol]:
        found = []
        for analysis in ls.specs.analyses():
            for entry in outline.symbols(analysis):
                if params.query.lower() in entry.name.lower():
                    place = _location(entry.place)
                    found.append(types.WorkspaceSymbol(place, entry.name, _SYMBOLS[entry.kind]))
        return found

    return await ls.ask(answer)


@server.feature(types.TEXT_DOCUMENT_FOLDING_RANGE)
async def folded(ls: NetspecServer, params: types.FoldingRangeParams) -> list[types.FoldingRange]:
    def answer(analysis: Analysis) -> list[types.FoldingRange]:
        return [types.FoldingRange(a - 1, b - 1) for a, b in outline.folds(analysis)]

    return await ls.about(params.text_document.uri, answer)


@server.feature(
    types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL,
    types.SemanticTokensLegend(list(outline.TOKEN_TYPES), list(outline.TOKEN_MODIFIERS)),
)
async def semantic_tokens(
    ls: NetspecServer, params: types.SemanticTokensParams
) -> types.SemanticTokens:
    def answer(analysis: Analysis) -> types.SemanticTokens:
        data: list[int] = []
        line = column = 0
        for span, kind, bits in outline.tokens(analysis):
            at = _range(span)
            new_line = at.start.line - line
            new_column = at.start.character - (0 if new_line else column)
            data += [new_line, new_column, at.end.character - at.start.character, kind, bits]
            line, column = at.start.line, at.start.character
        return types.SemanticTokens(data)

    return await ls.about(params.text_document.uri, answer)


# --- edits ----------------------------------------------------------------------------------------


@server.feature(
    types.TEXT_DOCUMENT_CODE_ACTION, types.CodeActionOptions([types.CodeActionKind.QuickFix])
)
async def code_actions(ls: NetspecServer, params: types.CodeActionParams) -> list[types.CodeAction]:
    def answer(analysis: Analysis) -> list[types.CodeAction]:
        first = _offset(analysis.source, params.range.start)
        last = _offset(analysis.source, params.range.end)
        found = []
        for d in analysis.diagnostics:
            if d.span is None or d.span.source is not analysis.source:
                continue
            if d.span.start <= last and first <= d.span.end:
                shown = _diagnostic(analysis, d)
                for fix in d.fixes:
                    found.append(
                        types.CodeAction(
                            str(fix),
                            types.CodeActionKind.QuickFix,
                            [shown] if shown is not None else None,
                            is_preferred=len(d.fixes) == 1,
                            edit=_edits(fix.edits),
                        )
                    )
        return found

    return await ls.about(params.text_document.uri, answer)


@server.feature(types.TEXT_DOCUMENT_FORMATTING)
async def formatted(
    ls: NetspecServer, params: types.DocumentFormattingParams
) -> list[types.TextEdit]:
    return await ls.about(params.text_document.uri, lambda a: _laid_out(a, None))


@server.feature(types.TEXT_DOCUMENT_RANGE_FORMATTING)
async def range_formatted(
    ls: NetspecServer, params: types.DocumentRangeFormattingParams
) -> list[types.TextEdit]:
    lines = params.range.start.line, params.range.end.line + bool(params.range.end.character)
    return await ls.about(params.text_document.uri, lambda a: _laid_out(a, lines))


def _laid_out(analysis: Analysis, lines: tuple[int, int] | None) -> list[types.TextEdit]:
    source = analysis.source
    if analysis.is_prototxt:
        return []
    return [
        types.TextEdit(_lines(source, edit.first, edit.last), edit.text)
        for edit in layout.layout(source.text, lines)
    ]


# --- commands -------------------------------------------------------------------------------------


@server.feature(types.TEXT_DOCUMENT_CODE_LENS)
async def lenses(ls: NetspecServer, params: types.CodeLensParams) -> list[types.CodeLens]:
    def answer(analysis: Analysis) -> list[types.CodeLens]:
        found = []
        for lens in outline.lenses(analysis):
            about = [params.text_document.uri, lens.net]
            command = types.Command(lens.title, lens.command, arguments=about)
            found.append(types.CodeLens(_range(lens.place), command))
        return found

    return await ls.about(params.text_document.uri, answer)


def _with_net(make: Callable[..., str]) -> Callable[..., Awaitable[str]]:
    """A command about a net of a text, as it is now."""

    async def command(ls: NetspecServer, uri: str, net: str, *more: Any) -> str:
        def answer() -> str:
            analysis = ls.specs.analysis(_path(uri))
            found = next((n for n in analysis.nets if n.name == net), None)
            if found is None:
                raise JsonRpcInvalidParams(f"{net} has errors, or is not there")
            return make(found, analysis.source, *more)

        return await ls.ask(answer)

    return command


def _table(net: Any, source: Source) -> str:
    from netspec.api import LoadedNet

    return str(LoadedNet(net).table())


def _compile(net: Any, source: Source, backend: str = "torch") -> str:
    from netspec.codegen.backend import emit, get

    return emit(net, get(backend))


def _draw(net: Any, source: Source, form: str = "html") -> str:
    from netspec.diagram.draw import draw
    from netspec.diagram.scene import DiagramOptions

    return draw(net, source, form, DiagramOptions()).decode()


for _name, _make in (("table", _table), ("compile", _compile), ("draw", _draw)):
    server.command(f"netspec.{_name}")(_with_net(_make))


def main() -> None:
    """Serve on standard input and output until the client ends it."""
    # Both are closed at the end, and whoever called still has its own.
    with os.fdopen(os.dup(0), "rb") as stdin, os.fdopen(os.dup(1), "wb") as stdout:
        server.start_io(stdin, stdout)
