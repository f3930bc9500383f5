// Draws digits on the page in headless Chromium and prints the class that it gives for each.
//
//     npm run try -- [CHROMIUM]
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname } from "node:path";
import { chromium } from "playwright-core";

/** Ways of the pen, in places of a square of 0 to 1. */
const DIGITS = {
  0: [[[0.5, 0.1], [0.3, 0.2], [0.22, 0.5], [0.3, 0.8], [0.5, 0.9], [0.7, 0.8], [0.78, 0.5], [0.7, 0.2], [0.5, 0.1]]],
  1: [[[0.4, 0.25], [0.55, 0.1], [0.55, 0.9]]],
  2: [[[0.28, 0.25], [0.45, 0.1], [0.65, 0.15], [0.7, 0.35], [0.5, 0.6], [0.28, 0.88], [0.75, 0.88]]],
  3: [[[0.3, 0.12], [0.6, 0.12], [0.7, 0.28], [0.5, 0.48], [0.7, 0.65], [0.65, 0.85], [0.45, 0.92], [0.28, 0.85]]],
  4: [[[0.5, 0.1], [0.25, 0.6], [0.78, 0.6]], [[0.62, 0.35], [0.6, 0.92]]],
  7: [[[0.25, 0.12], [0.75, 0.12], [0.45, 0.92]], [[0.35, 0.5], [0.7, 0.5]]],
};
const TYPES = { ".html": "text/html", ".mjs": "text/javascript", ".wasm": "application/wasm" };

const server = createServer(async (request, response) => {
  const name = request.url === "/" ? "/index.html" : request.url;
  try {
    const content = await readFile(new URL(`dist/${name.replaceAll("..", "")}`, import.meta.url));
    response.writeHead(200, { "content-type": TYPES[extname(name)] ?? "application/octet-stream" });
    response.end(content);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));

const [executablePath = "/usr/bin/chromium"] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
try {
  const page = await browser.newPage();
  page.on("pageerror", (error) => {
    console.error(String(error));
    process.exitCode = 1;
  });
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.waitForSelector("body[data-ready]");
  const { x, y, width, height } = await page.locator("#drawing").boundingBox();
  for (const [digit, strokes] of Object.entries(DIGITS)) {
    await page.click("#clear");
    await page.waitForFunction(() => document.querySelector("#class").textContent === "");
    for (const [start, ...rest] of strokes) {
      await page.mouse.move(x + start[0] * width, y + start[1] * height);
      await page.mouse.down();
      for (const at of rest) await page.mouse.move(x + at[0] * width, y + at[1] * height, { steps: 6 });
      await page.mouse.up();
    }
    await page.waitForFunction(() => document.querySelector("#class").textContent !== "");
    await page.waitForTimeout(50); // behind the last stroke's
    console.log(`drawn ${digit}, class ${await page.textContent("#class")}`);
  }
} finally {
  await browser.close();
  server.close();
}
