// Builds the page into build/site: bundles the scripts, packs netspec with bytecode of the Python in
// the page, copies that Python. `node build.mjs [--out FOLDER]`, with PYTHON for the list of words.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { zipSync } from "fflate";
import { loadPyodide } from "pyodide";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..", "..");
const given = process.argv.indexOf("--out");
const out = given > 0 ? process.argv[given + 1] : join(root, "build", "site");
const python = process.env.PYTHON || "python3";
const pyodideFolder = join(here, "node_modules", "pyodide");

rmSync(out, { recursive: true, force: true });
mkdirSync(join(out, "pyodide"), { recursive: true });

// --- netspec, with its bytecode -----------------------------------------------------------------

const PARTS = ["netspec", "backends/netspec_torch", "backends/netspec_numpy", "grammars", "specs", "docs/diagnostics"];
const LEFT_OUT = /__pycache__|\.pyc$|netspec\/(training|weights|compression|pictures|explore)\//;
const files = {};

function add(folder, inside) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name), at = `${inside}/${name}`;
    if (LEFT_OUT.test(at)) continue;
    if (statSync(path).isDirectory()) add(path, at);
    else files[at] = readFileSync(path);
  }
}
for (const part of PARTS) {
  const inside = { grammars: "netspec/grammars", specs: "netspec/specs", "docs/diagnostics": "netspec/docs/diagnostics" };
  add(join(root, part), inside[part] || part.replace("backends/", ""));
}
files["worker.py"] = readFileSync(join(here, "worker.py"));
// What the wheel of netspec has besides: the tables of the parser, and which backends there are.
const made = execFileSync(python, [join(here, "parts.py")], { cwd: root, maxBuffer: 1 << 28 });
for (const [name, content] of Object.entries(JSON.parse(made))) files[name] = Buffer.from(content, "base64");
const words = Buffer.from(files["words.json"]).toString();
delete files["words.json"];

const pyodide = await loadPyodide({ indexURL: pyodideFolder });
pyodide.unpackArchive(zipSync(files, { level: 0 }), "zip", { extractDir: "/netspec" });
pyodide.runPython(`
import compileall, py_compile
compileall.compile_dir("/netspec", quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
import pathlib, zipfile
with zipfile.ZipFile("/netspec.zip", "w", zipfile.ZIP_DEFLATED) as archive:
    for path in sorted(pathlib.Path("/netspec").rglob("*")):
        if path.is_file():
            archive.write(path, path.relative_to("/netspec"))
`);
writeFileSync(join(out, "netspec.zip"), pyodide.FS.readFile("/netspec.zip"));

// --- the page -----------------------------------------------------------------------------------

await build({
  entryPoints: [join(here, "src", "main.js"), join(here, "src", "worker.js")],
  outdir: out,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  platform: "browser",
  external: ["node:*", "fs", "path", "url", "vm", "crypto", "ws", "child_process"],
  plugins: [{
    name: "words",
    setup(own) {
      own.onResolve({ filter: /^words$/ }, () => ({ path: "words", namespace: "words" }));
      own.onLoad({ filter: /.*/, namespace: "words" }, () => ({ contents: words, loader: "json" }));
    },
  }],
});
for (const name of ["pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json"])
  cpSync(join(pyodideFolder, name), join(out, "pyodide", name));
for (const name of ["index.html", "page.css"]) cpSync(join(here, name), join(out, name));
const size = (folder) => readdirSync(folder).reduce((sum, name) => {
  const path = join(folder, name), found = statSync(path);
  return sum + (found.isDirectory() ? size(path) : found.size);
}, 0);
console.log(`${relative(process.cwd(), out) || out}: ${(size(out) / 1e6).toFixed(1)} MB`);
