// Python in a worker: netspec itself answers, and the page stays responsive.
import { loadPyodide } from "pyodide";

const ready = (async () => {
  const [pyodide, bundle] = await Promise.all([
    loadPyodide({ indexURL: new URL("./pyodide/", self.location.href).href }),
    fetch("./netspec.zip").then((response) => response.arrayBuffer()),
  ]);
  pyodide.unpackArchive(bundle, "zip", { extractDir: "/netspec" });
  // A fixed program: texts of the page go to it as arguments, never as code.
  pyodide.runPython("import sys; sys.path.insert(0, '/netspec'); import worker");
  return pyodide.pyimport("worker").answer;
})();

self.onmessage = async ({ data: { id, question } }) => {
  try {
    const answer = await ready;
    self.postMessage({ id, answer: answer(JSON.stringify(question)) });
  } catch (error) {
    self.postMessage({ id, answer: JSON.stringify({ error: [String(error)] }) });
  }
};
