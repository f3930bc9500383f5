"""The language server as an editor has it: a process of its own that speaks LSP."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_lsp
from lsprotocol import types
from pytest_lsp import ClientServerConfig, LanguageClient

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = """\
import fire

## A small net.
net small(classes = 10) {
  input data: 3x64x64
  let width = 8
  conv1: conv { filters: width  kernel: 3  stride: 2 } -> relu
  fire2: fire { s1x1: 4  e1x1: 8  e3x3: 8 }
  fc: conv { filters: classes  kernel: 1 } -> global_avgpool
}
"""


class Client(LanguageClient):
    """A client that knows the folder of its specs."""

    folder: Path


@pytest_lsp.fixture(  # type: ignore[untyped-decorator]
    config=ClientServerConfig(server_command=[sys.executable, "-m", "netspec", "lsp"]),
    scope="module",
)
async def client(
    lsp_client: LanguageClient, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[None]:
    folder = tmp_path_factory.mktemp("specs")
    (folder / "small.net").write_text(TEXT)
    params = types.InitializeParams(
        types.ClientCapabilities(
            text_document=types.TextDocumentClientCapabilities(
                completion=types.CompletionClientCapabilities()
            )
        ),
        workspace_folders=[types.WorkspaceFolder(folder.as_uri(), "specs")],
    )
    await lsp_client.initialize_session(params)
    setattr(lsp_client, "folder", folder)  # noqa: B010
    yield
    await lsp_client.shutdown_session()


def opened(client: Client, text: str, name: str = "small.net") -> str:
    uri = str((client.folder / name).as_uri())
    client.text_document_did_open(
        types.DidOpenTextDocumentParams(types.TextDocumentItem(uri, "netspec", 1, text))
    )
    return uri


def place(text: str, word: str, nth: int = 0, behind: int = 0) -> types.Position:
    """The position of a word in a text."""
    offset = -1
    for _ in range(nth + 1):
        offset = text.index(word, offset + 1)
    line = text.count("\n", 0, offset)
    return types.Position(line, offset - text.rfind("\n", 0, offset) - 1 + behind)


async def diagnosed(client: Client, uri: str) -> list[types.Diagnostic]:
    """The diagnostics of a text that has just been opened."""
    while uri not in client.diagnostics:
        await client.wait_for_notification(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
    return list(client.diagnostics[uri])


def closed(client: Client, uri: str) -> None:
    client.text_document_did_close(
        types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(uri))
    )


async def test_errors_and_their_fixes(client: Client) -> None:
    uri = opened(client, TEXT.replace("kernel: 3 ", "kernal: 3 "), "wrong.net")
    found = {d.code: d for d in await diagnosed(client, uri)}
    wrong = found["unknown-field"]
    assert wrong.range.start == types.Position(6, 32)
    assert wrong.code_description is not None
    assert wrong.code_description.href.endswith("unknown-field.md")
    document = types.TextDocumentIdentifier(uri)
    actions = await client.text_document_code_action_async(
        types.CodeActionParams(document, wrong.range, types.CodeActionContext([wrong]))
    )
    assert actions
    assert isinstance(actions[0], types.CodeAction)
    edit = actions[0].edit
    assert edit is not None
    assert edit.changes is not None
    assert [e.new_text for e in edit.changes[uri]] == ["kernel"]
    # The change that an editor makes of it ends the error.
    client.text_document_did_change(
        types.DidChangeTextDocumentParams(
            types.VersionedTextDocumentIdentifier(2, uri),
            [types.TextDocumentContentChangePartial(wrong.range, "kernel")],
        )
    )
    while client.diagnostics[uri]:
        await client.wait_for_notification(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
    closed(client, uri)


async def test_related_places(client: Client) -> None:
    text = "net n {\n  input x: 3x8x8\n  a: conv { filters: 8  kernel: 1 }\n  add(a, x)\n}\n"
    uri = opened(client, text, "related.net")
    (found,) = await diagnosed(client, uri)
    assert found.related_information is not None
    assert [i.location.range.start.line for i in found.related_information] == [2, 1]
    closed(client, uri)


async def test_one_text(client: Client) -> None:
    uri = opened(client, TEXT)
    document = types.TextDocumentIdentifier(uri)

    async def hover(word: str, nth: int = 0) -> str:
        at = place(TEXT, word, nth, 1)
        found = await client.text_document_hover_async(types.HoverParams(document, at))
        assert found is not None
        assert isinstance(found.contents, types.MarkupContent)
        return found.contents.value

    # 3 * 8 * 9 weights and 8 biases; (64 - 3) // 2 + 1 = 31; 31 * 31 * 216 = 207,576.
    assert "`8x31x31`, 224 params, 0.2 M MACs" in await hover("conv1")
    assert "receptive field 3x3" in await hover("conv1")
    assert "here `8`" in await hover("width")
    assert "required" in await hover("filters")
    assert "module fire(s1x1, e1x1, e3x3)" in await hover("fire", 2)
    hints = await client.text_document_inlay_hint_async(
        types.InlayHintParams(document, types.Range(types.Position(0, 0), types.Position(20, 0)))
    )
    assert hints is not None
    labels = {h.position.line: h.label for h in hints}
    assert labels[6] == "8x31x31"
    assert labels[7] == "16x31x31"
    assert "gives 10" in str(labels[3])
    defined = await client.text_document_definition_async(
        types.DefinitionParams(document, place(TEXT, "width", 1))
    )
    assert defined == types.Location(uri, types.Range(types.Position(5, 6), types.Position(5, 11)))
    module = await client.text_document_definition_async(
        types.DefinitionParams(document, place(TEXT, "fire {"))
    )
    assert isinstance(module, types.Location)
    assert module.uri.endswith("specs/modules/fire.net")
    symbols = await client.text_document_document_symbol_async(types.DocumentSymbolParams(document))
    assert symbols is not None
    (net,) = symbols
    assert isinstance(net, types.DocumentSymbol)
    assert [s.name for s in net.children or []] == ["data", "width", "conv1", "fire2", "fc"]
    folds = await client.text_document_folding_range_async(types.FoldingRangeParams(document))
    assert folds is not None
    assert (3, 9) in [(f.start_line, f.end_line) for f in folds]
    tokens = await client.text_document_semantic_tokens_full_async(
        types.SemanticTokensParams(document)
    )
    assert tokens is not None
    assert len(tokens.data) % 5 == 0
    lenses = await client.text_document_code_lens_async(types.CodeLensParams(document))
    assert lenses is not None
    commands = [lens.command for lens in lenses if lens.command is not None]
    assert [c.command for c in commands] == ["netspec.table", "netspec.compile", "netspec.draw"]
    for command, part in zip(commands, ("conv1", "class Small", "<!doctype html>"), strict=True):
        result = await client.workspace_execute_command_async(
            types.ExecuteCommandParams(command.command, arguments=command.arguments)
        )
        assert part in str(result)
    closed(client, uri)


async def test_completion_in_a_text_that_is_not_whole(client: Client) -> None:
    uri = opened(client, TEXT)

    async def offered(before: str, behind: str = "") -> dict[str, types.CompletionItem]:
        text = TEXT.replace("  fc:", f"  {before}{behind}\n  fc:")
        client.text_document_did_change(
            types.DidChangeTextDocumentParams(
                types.VersionedTextDocumentIdentifier(2, uri),
                [types.TextDocumentContentChangeWholeDocument(text)],
            )
        )
        at = place(text, before + behind, 0, len(before))
        found = await client.text_document_completion_async(
            types.CompletionParams(types.TextDocumentIdentifier(uri), at)
        )
        assert isinstance(found, types.CompletionList)
        return {item.label: item for item in found.items}

    assert {"filters", "kernel", "stride"} <= set(await offered("c: conv { "))
    assert "filters" not in await offered("c: conv { filters: 8  ")
    assert {"width", "classes"} <= set(await offered("c: conv { filters: "))
    assert {"floor", "ceil"} <= set(await offered("c: maxpool { round: "))
    assert {"data", "conv1", "fire2"} <= set(await offered("c: add("))
    assert {"channels", "height"} <= set(await offered("let k = conv1."))
    ops = await offered("c: squ", " { }")
    imported = ops["squeeze_excitation"].additional_text_edits
    assert imported is not None
    assert imported[0].new_text == "import squeeze_excitation\n"
    assert "conv" in ops
    signature = await client.text_document_signature_help_async(
        types.SignatureHelpParams(
            types.TextDocumentIdentifier(uri), place(TEXT, "  kernel: 3", 0, 10)
        )
    )
    assert signature is not None
    assert signature.signatures[0].label.startswith("conv { filters  kernel  stride?")
    assert signature.active_parameter == 1
    closed(client, uri)


async def test_names_across_files(client: Client) -> None:
    parts = "module part(width = 8) {\n  input x\n  a: conv { filters: width  kernel: 1 }\n}\n"
    net = 'import "part.net"\n\nnet n {\n  input x: 3x8x8\n  part { width: 4 }\n}\n'
    (client.folder / "part.net").write_text(parts)
    uri = opened(client, net, "uses.net")
    used = await client.text_document_references_async(
        types.ReferenceParams(
            types.ReferenceContext(True), types.TextDocumentIdentifier(uri), place(net, "width")
        )
    )
    assert used is not None
    assert sorted((u.uri.rpartition("/")[2], u.range.start.line) for u in used) == [
        ("part.net", 0),
        ("part.net", 2),
        ("uses.net", 4),
    ]
    renamed = await client.text_document_rename_async(
        types.RenameParams(types.TextDocumentIdentifier(uri), place(net, "width"), "filters")
    )
    assert renamed is not None
    assert renamed.changes is not None
    assert sum(map(len, renamed.changes.values())) == 3
    for wrong in ("conv", "for", "1a"):
        with pytest.raises(Exception, match="can't be"):
            await client.text_document_rename_async(
                types.RenameParams(types.TextDocumentIdentifier(uri), place(net, "part {"), wrong)
            )
    # A text that is not saved counts, also in those that import it.
    other = opened(client, parts.replace("part(", "piece("), "part.net")
    while not any(d.code == "unknown-op" for d in client.diagnostics.get(uri, ())):
        await client.wait_for_notification(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
    found = await client.workspace_symbol_async(types.WorkspaceSymbolParams("piece"))
    assert found
    closed(client, other)
    closed(client, uri)


async def test_layout(client: Client) -> None:
    text = "net n {\n input x: 3x8x8\n\n\n\n  a: relu\n b: relu\n}\n"
    uri = opened(client, text, "layout.net")
    document, options = types.TextDocumentIdentifier(uri), types.FormattingOptions(2, True)
    whole = await client.text_document_formatting_async(
        types.DocumentFormattingParams(document, options)
    )
    assert whole
    one = await client.text_document_range_formatting_async(
        types.DocumentRangeFormattingParams(
            document, types.Range(types.Position(6, 0), types.Position(6, 3)), options
        )
    )
    assert one is not None
    assert [(e.range.start.line, e.new_text) for e in one] == [(6, "  b: relu\n")]
    closed(client, uri)


async def test_prototxt(client: Client) -> None:
    text = 'layer { name: "c" type: "Convolution" convolution_param { num_outptu: 3 } }\n'
    uri = opened(client, text, "old.prototxt")
    assert await diagnosed(client, uri)
    found = await client.text_document_hover_async(
        types.HoverParams(types.TextDocumentIdentifier(uri), place(text, "Convolution", 0, 2))
    )
    assert found is not None
    assert "`conv`" in str(found.contents)
    closed(client, uri)


async def test_requests_at_once_and_cancelled(client: Client) -> None:
    uri = opened(client, TEXT, "fast.net")
    document = types.TextDocumentIdentifier(uri)
    at = place(TEXT, "conv1", 0, 1)
    asked = [
        asyncio.ensure_future(client.text_document_hover_async(types.HoverParams(document, at)))
        for _ in range(20)
    ]
    # Typing goes on while questions are open: the last ones are about the last text.
    for version in range(2, 8):
        client.text_document_did_change(
            types.DidChangeTextDocumentParams(
                types.VersionedTextDocumentIdentifier(version, uri),
                [types.TextDocumentContentChangeWholeDocument(TEXT.replace("= 8", f"= {version}"))],
            )
        )
        asked.append(
            asyncio.ensure_future(client.text_document_hover_async(types.HoverParams(document, at)))
        )
    for cancelled in asked[:10]:
        cancelled.cancel()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(a, types.Hover | asyncio.CancelledError) for a in answers), answers
    assert "`7x31x31`" in str(answers[-1])
    closed(client, uri)
