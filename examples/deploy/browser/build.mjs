// Puts together the folder dist: the page, the net as an ONNX file, and the parts of
// onnxruntime-web that the page needs. Any web server can serve it.
//
//     npm ci; npm run build                  the digits that come with netspec
//     npm run build -- SPEC WEIGHTS          another net for gray pictures of 8x8
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const [spec = "squeezenet_digits", weights = here("../../../specs/squeezenet_digits.safetensors")] =
  process.argv.slice(2);

mkdirSync(here("dist"), { recursive: true });
const options = ["--backend", "onnx", "--preprocess", "--weights", weights, "-o", here("dist/net.onnx"), "-q"];
execFileSync(process.env.PYTHON ?? "python3", ["-m", "netspec", "compile", spec, ...options], { stdio: "inherit" });
for (const name of ["index.html", "page.mjs"]) copyFileSync(here(name), here(`dist/${name}`));
for (const name of ["ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"]) {
  copyFileSync(here(`node_modules/onnxruntime-web/dist/${name}`), here(`dist/${name}`));
}
