// The parts of the extension against the real server: `NETSPEC=path/to/netspec node --test`.
"use strict";
const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { test } = require("node:test");
const { pathToFileURL } = require("node:url");
const rpc = require("vscode-jsonrpc/node");
const { Preview, netAt } = require("../src/preview");
const { serverCommand } = require("../src/server");

const TEXT = "net small {\n  input x: 3x8x8\n  a: conv { filters: 8  kernel: 3 }\n}\n";

test("the command is that of the settings, of the workspace's environment, or of the path", () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "netspec-"));
  assert.deepEqual(serverCommand(["x", "lsp"], folder), { command: "x", args: ["lsp"] });
  assert.deepEqual(serverCommand([], folder), { command: "netspec", args: ["lsp"] });
  const own = path.join(folder, ".venv", "bin", "netspec");
  fs.mkdirSync(path.dirname(own), { recursive: true });
  fs.writeFileSync(own, "");
  if (process.platform !== "win32") assert.equal(serverCommand(undefined, folder).command, own);
});

test("the net around a line", () => {
  const text = "module m {\n}\nnet a {\n}\nnet b {\n}\n";
  assert.deepEqual([0, 3, 5].map((line) => netAt(text, line)), ["a", "a", "b"]);
  assert.equal(netAt("module m {\n}\n", 1), "");
});

test("a page of the real server, and the last one while there are errors", async () => {
  const { command, args } = serverCommand([process.env.NETSPEC || "netspec", "lsp"]);
  const server = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
  const connection = rpc.createMessageConnection(
    new rpc.StreamMessageReader(server.stdout), new rpc.StreamMessageWriter(server.stdin),
  );
  connection.listen();
  await connection.sendRequest("initialize", { processId: process.pid, rootUri: null, capabilities: {} });
  connection.sendNotification("initialized", {});
  const uri = pathToFileURL(path.join(os.tmpdir(), "small.net")).toString();
  const change = (text, version) => connection.sendNotification("textDocument/didChange",
    { textDocument: { uri, version }, contentChanges: [{ text }] });
  connection.sendNotification("textDocument/didOpen",
    { textDocument: { uri, languageId: "netspec", version: 1, text: TEXT } });
  const panel = { html: "", posted: [], failed: [], post(m) { this.posted.push(m); }, fail(t) { this.failed.push(t); } };
  const draw = (of, net) => connection.sendRequest("workspace/executeCommand",
    { command: "netspec.draw", arguments: [of, net] });
  const preview = new Preview(draw, panel);
  preview.line = 2;
  await preview.update(uri, "small");
  assert.match(panel.html, /^<!doctype html>/);
  assert.match(panel.html, /"conv/);
  assert.deepEqual(panel.posted, [{ netspecLine: 3 }]);
  const good = panel.html;
  change(TEXT.replace("kernel", "kernal"), 2);
  await preview.update(uri, "small");
  assert.equal(panel.html, good);
  assert.equal(panel.failed.length, 1);
  change(TEXT.replace("8  kernel", "16  kernel"), 3);
  await preview.update(uri, "small");
  assert.notEqual(panel.html, good);
  await connection.sendRequest("shutdown");
  connection.sendNotification("exit");
  await new Promise((done) => server.on("exit", done));
});
