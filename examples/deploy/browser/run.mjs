// The outputs of an ONNX file in onnxruntime-web: node run.mjs FILE SHAPES < VALUES
//
// SHAPES are the shapes of the inputs as JSON, VALUES their numbers, float32, one input behind the
// other. Prints a line with the shapes of the outputs, then their numbers.
import { readFileSync } from "node:fs";
import * as ort from "onnxruntime-web";

const [file, shapes] = process.argv.slice(2);
ort.env.wasm.numThreads = 1;
const session = await ort.InferenceSession.create(new Uint8Array(readFileSync(file)));
const given = readFileSync(0);
const values = given.buffer.slice(given.byteOffset, given.byteOffset + given.length);
const feeds = {};
let end = 0;
for (const [i, shape] of JSON.parse(shapes).entries()) {
  const size = shape.reduce((a, b) => a * b, 1);
  feeds[session.inputNames[i]] = new ort.Tensor("float32", new Float32Array(values, end, size), shape);
  end += 4 * size;
}
const results = await session.run(feeds);
const outputs = session.outputNames.map((name) => results[name]);
process.stdout.write(JSON.stringify(outputs.map((o) => o.dims)) + "\n");
for (const { data } of outputs) process.stdout.write(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
