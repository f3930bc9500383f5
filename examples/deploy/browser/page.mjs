// Draw a digit, get its class: the net runs in the browser.
import * as ort from "./ort.wasm.min.mjs";

ort.env.wasm.numThreads = 1; // more need a server that isolates the page
const session = await ort.InferenceSession.create("net.onnx");

const drawing = document.querySelector("#drawing");
const seen = document.querySelector("#input");
const pen = drawing.getContext("2d", { willReadFrequently: true });
const small = seen.getContext("2d", { willReadFrequently: true });
pen.lineWidth = 28;
pen.lineCap = pen.lineJoin = "round";
pen.strokeStyle = "white";

/** Height and width of the smallest box around what is drawn, with its place; null for nothing. */
function box() {
  const { data, width, height } = pen.getImageData(0, 0, drawing.width, drawing.height);
  let [left, top, right, bottom] = [width, height, -1, -1];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (data[4 * (y * width + x)] < 128) continue;
      [left, right] = [Math.min(left, x), Math.max(right, x)];
      [top, bottom] = [Math.min(top, y), Math.max(bottom, y)];
    }
  }
  return right < 0 ? null : { left, top, width: right - left + 1, height: bottom - top + 1 };
}

/** The drawing as the net takes it: 8x8 numbers of 0 to 255. As the digits that it was trained on,
 * it is as high as the picture and stands in its middle. */
function pixels() {
  const found = box();
  small.fillStyle = "black";
  small.fillRect(0, 0, 8, 8);
  if (found) {
    const scale = 8 / Math.max(found.height, found.width);
    const [w, h] = [found.width * scale, found.height * scale];
    small.imageSmoothingQuality = "high";
    small.drawImage(drawing, found.left, found.top, found.width, found.height, (8 - w) / 2, (8 - h) / 2, w, h);
  }
  const { data } = small.getImageData(0, 0, 8, 8);
  return Float32Array.from({ length: 64 }, (_, i) => data[4 * i]);
}

async function classify() {
  const x = new ort.Tensor("float32", pixels(), [1, 1, 8, 8]);
  const results = await session.run({ [session.inputNames[0]]: x });
  const scores = [...results[session.outputNames[0]].data];
  document.querySelector("#class").textContent = box() ? scores.indexOf(Math.max(...scores)) : "";
  const rows = scores.map((score, digit) => {
    const row = document.createElement("tr");
    const bar = document.createElement("meter");
    bar.value = score;
    row.append(String(digit), " ", bar, " ", score.toFixed(3));
    return row;
  });
  document.querySelector("#scores").replaceChildren(...rows);
}

drawing.addEventListener("pointerdown", (event) => {
  drawing.setPointerCapture(event.pointerId);
  pen.beginPath();
  pen.moveTo(event.offsetX, event.offsetY);
});
drawing.addEventListener("pointermove", (event) => {
  if (!event.buttons) return;
  pen.lineTo(event.offsetX, event.offsetY);
  pen.stroke();
});
drawing.addEventListener("pointerup", classify);
document.querySelector("#clear").addEventListener("click", () => {
  pen.clearRect(0, 0, drawing.width, drawing.height);
  classify();
});
await classify();
document.body.dataset.ready = "";
