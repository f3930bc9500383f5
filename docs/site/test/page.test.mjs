// The built page in a real browser: `CHROMIUM=/usr/bin/chromium SITE=build/site node --test`.
import assert from "node:assert/strict";
import { createReadStream, existsSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import puppeteer from "puppeteer-core";

const site = process.env.SITE || fileURLToPath(new URL("../../../build/site", import.meta.url));
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css",
  ".wasm": "application/wasm", ".json": "application/json", ".zip": "application/zip" };
let browser, server, page, address;
const asked = [], problems = [];

before(async () => {
  server = createServer((request, response) => {
    const path = join(site, normalize(new URL(request.url, "http://x").pathname).replace(/\/$/, "/index.html"));
    if (!existsSync(path)) return response.writeHead(404).end();
    response.writeHead(200, { "content-type": TYPES[extname(path)] || "application/octet-stream" });
    createReadStream(path).pipe(response);
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  address = `http://127.0.0.1:${server.address().port}/`;
  browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"],
  });
  page = await browser.newPage();
  await page.setViewport({ width: 1200, height: 800 });
  page.on("request", (request) => asked.push(request.url()));
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => { if (message.type() === "error") problems.push(message.text()); });
  await page.goto(address);
  await page.waitForFunction(() => document.documentElement.dataset.ready, { timeout: 120_000 });
});
after(async () => { await browser?.close(); server?.close(); });

const text = () => page.evaluate(() => document.querySelector(".cm-content").innerText);
const state = (wanted) => page.waitForFunction(
  (w) => document.querySelector("#state").textContent.includes(w), { timeout: 30_000 }, wanted);
const picture = async (unlike) => {
  await page.waitForFunction((u) => document.querySelector("#image").src !== u && document.querySelector("#image").src,
    { timeout: 30_000 }, unlike);
  return page.evaluate(() => document.querySelector("#image").src);
};

test("an error is shown and its fix applied, and the picture changes", async (t) => {
  t.diagnostic(`ready after ${await page.evaluate(() => document.documentElement.dataset.ready)} ms`);
  await state("sound");
  const first = await picture("");
  await page.evaluate(() => { location.hash = ""; });
  await page.click("#next");  // the step of the guide that has errors
  await state("2 errors");
  assert.equal(await page.$eval("#stale", (e) => e.hidden), false);
  await page.waitForSelector(".cm-lintRange-error");
  for (const [word, fixed] of [["kernal", "kernel"], ["convolution", "conv"]]) {
    const at = await page.evaluate((w) => {
      const range = [...document.querySelectorAll(".cm-lintRange-error")].find((e) => e.textContent.includes(w));
      const box = range.getBoundingClientRect();
      return [box.left + box.width / 2, box.top + box.height / 2];
    }, word);
    await page.mouse.move(at[0] - 3, at[1]);
    await page.mouse.move(...at, { steps: 4 });
    await page.waitForSelector(".cm-diagnosticAction", { timeout: 10_000 });
    await page.click(".cm-diagnosticAction");
    await page.mouse.move(5, 5);
    await page.waitForFunction((w, f) => {
      const shown = document.querySelector(".cm-content").innerText;
      return !new RegExp(`\\b${w}\\b`).test(shown) && new RegExp(`\\b${f}\\b`).test(shown);
    }, { timeout: 10_000 }, word, fixed);
    await page.waitForFunction((w) => ![...document.querySelectorAll(".cm-lintRange-error")].some((e) => e.textContent.includes(w)), { timeout: 20_000 }, word);
  }
  await state("sound");
  assert.notEqual(await picture(first), first);
  assert.match(await text(), /16x32x32/);  // a shape at a line's end
});

test("table, PyTorch and NumPy beside it", async () => {
  await page.click("[data-tab=table]");
  await page.waitForFunction(() => document.querySelector("#table table")?.innerText.includes("conv1"));
  await page.click("[data-tab=torch]");
  await page.waitForFunction(() => document.querySelector("#code").textContent.includes("nn.Conv2d"));
  await page.click("[data-tab=numpy]");
  await page.waitForFunction(() => document.querySelector("#code").textContent.includes("def network"));
});

test("bundled specs, and links that bring a text", async () => {
  await page.waitForFunction(() => document.querySelectorAll("#specs option").length > 20);
  await page.select("#specs", "squeezenet1_1");
  await page.waitForFunction(() => document.querySelector(".cm-content").innerText.includes("fire"));
  await state("sound");
  await page.click("#share");
  await page.waitForFunction(() => location.hash.length > 100);
  const link = await page.evaluate(() => location.href);
  const other = await browser.newPage();
  await other.goto(link);
  await other.waitForFunction(() => document.querySelector(".cm-content")?.innerText.includes("fire"), { timeout: 60_000 });
  await other.close();
});

test("a text from a link does no harm", async () => {
  const hostile = 'net n {\n  input x: 3x8x8\n  a: "</script><img src=x onerror=alert(1)>"\n  __import__("js").eval("window.hit=1")\n}\n';
  await page.evaluate(async (words) => {
    const bytes = new TextEncoder().encode(words);
    const packed = new Uint8Array(await new Response(new Blob([bytes]).stream()
      .pipeThrough(new CompressionStream("deflate-raw"))).arrayBuffer());
    location.hash = btoa(String.fromCharCode(...packed)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  }, hostile);
  await state("error");
  assert.equal(await page.evaluate(() => window.hit), undefined);
  assert.equal(await page.evaluate(() => document.querySelectorAll(".cm-content img[src=x]").length), 0);
  const other = await browser.newPage();
  await other.goto(address);
  const hit = await other.evaluate(() => {
    const script = document.createElement("script");
    script.textContent = "window.hit = 1";
    document.head.append(script);
    return window.hit;
  });
  assert.equal(hit, undefined);  // the page's policy lets no script in but its own
  await other.close();
});

test("nothing is asked of another host, and nothing went wrong", () => {
  assert.deepEqual(asked.filter((url) => !url.startsWith(address) && !/^(blob|data):/.test(url)), []);
  assert.deepEqual(problems, []);
});
