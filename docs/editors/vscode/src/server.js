// How the server is started: as the setting says, else by the Python of the workspace's `.venv`.
"use strict";
const fs = require("node:fs");
const path = require("node:path");

/** The command and its arguments. `setting` is a list, `folder` that of the workspace. */
function serverCommand(setting, folder) {
  if (setting && setting.length) return { command: setting[0], args: setting.slice(1) };
  const places = process.platform === "win32" ? ["Scripts", "netspec.exe"] : ["bin", "netspec"];
  const own = folder && path.join(folder, ".venv", ...places);
  return { command: own && fs.existsSync(own) ? own : "netspec", args: ["lsp"] };
}

module.exports = { serverCommand };
