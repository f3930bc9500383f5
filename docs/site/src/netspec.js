// Questions to netspec in its worker.
const worker = new Worker("./worker.js", { type: "module" });
const waiting = new Map();
let last = 0;

worker.onmessage = ({ data: { id, answer } }) => {
  const { resolve, reject } = waiting.get(id);
  waiting.delete(id);
  const { ok, error } = JSON.parse(answer);
  if (error) reject(new Error(error.join("\n")));
  else resolve(ok);
};

/** What netspec answers to a question: see worker.py. */
export function ask(...question) {
  return new Promise((resolve, reject) => {
    waiting.set(++last, { resolve, reject });
    worker.postMessage({ id: last, question });
  });
}
