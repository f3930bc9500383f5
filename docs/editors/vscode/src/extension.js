// The extension: starts the language server, and shows what it draws, counts and compiles.
"use strict";
const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");
const { Preview, netAt } = require("./preview");
const { serverCommand } = require("./server");

let client;

async function activate(context) {
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath;
  const setting = vscode.workspace.getConfiguration("netspec").get("server");
  const selector = [{ language: "netspec" }, { pattern: "**/*.prototxt" }];
  client = new LanguageClient("netspec", "netspec", serverCommand(setting, folder), {
    documentSelector: selector,
    synchronize: { fileEvents: vscode.workspace.createFileSystemWatcher("**/*.net") },
    // The server's commands are called by those of the same names below.
    middleware: { executeCommand: (command, args, next) => shown(command, args, next) },
  });
  context.subscriptions.push(
    vscode.commands.registerTextEditorCommand("netspec.preview", (editor) => preview(context, editor)),
  );
  try {
    await client.start();
  } catch (error) {
    vscode.window.showErrorMessage(
      `netspec's language server did not start (${error.message}): pip install "netspec-compiler[editor]", `
      + "or say in the settings, netspec.server, how it is started.",
    );
  }
}

async function shown(command, args, next) {
  if (command === "netspec.draw") return preview(undefined, vscode.window.activeTextEditor, args[1]);
  const content = await next(command, args);
  const language = command === "netspec.compile" ? "python" : "plaintext";
  const document = await vscode.workspace.openTextDocument({ content, language });
  return vscode.window.showTextDocument(document, vscode.ViewColumn.Beside, true);
}

function preview(context, editor, net) {
  if (!editor) return;
  const panel = vscode.window.createWebviewPanel(
    "netspec", "netspec", { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true }, { enableScripts: true },
  );
  const uri = editor.document.uri.toString();
  const own = new Preview(
    (of, name) => client.sendRequest("workspace/executeCommand", { command: "netspec.draw", arguments: [of, name] }),
    {
      set html(page) { panel.webview.html = page; },
      post: (message) => panel.webview.postMessage(message),
      fail: (text) => vscode.window.setStatusBarMessage(text, 5000),
    },
  );
  const draw = () => {
    const line = editor.selection.active.line;
    own.update(uri, net || netAt(editor.document.getText(), line));
  };
  let waiting;
  const watching = [
    vscode.workspace.onDidChangeTextDocument((event) => {
      if (event.document !== editor.document) return;
      clearTimeout(waiting);
      waiting = setTimeout(draw, 200);
    }),
    vscode.window.onDidChangeTextEditorSelection((event) => {
      if (event.textEditor.document === editor.document) own.follow(event.selections[0].active.line);
    }),
  ];
  panel.onDidDispose(() => { clearTimeout(waiting); watching.forEach((w) => w.dispose()); });
  own.line = editor.selection.active.line;
  draw();
}

function deactivate() {
  return client?.stop();
}

module.exports = { activate, deactivate };
