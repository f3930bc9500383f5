// The page: an editor, and beside it what netspec makes of its text.
import { basicSetup } from "codemirror";
import { autocompletion } from "@codemirror/autocomplete";
import { indentUnit, StreamLanguage, syntaxHighlighting, HighlightStyle } from "@codemirror/language";
import { forceLinting, linter } from "@codemirror/lint";
import { EditorState, RangeSetBuilder, StateEffect, StateField } from "@codemirror/state";
import { Decoration, EditorView, hoverTooltip, WidgetType } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { STEPS } from "./guide.js";
import { fragment, textOf } from "./link.js";
import { ask } from "./netspec.js";
import WORDS from "words";

const byId = (id) => document.getElementById(id);

// --- the language, as far as colours go ---------------------------------------------------------

const kinds = new Map(Object.entries(WORDS).flatMap(([kind, words]) => words.map((word) => [word, kind])));
const language = StreamLanguage.define({
  token(stream) {
    if (stream.match(/^#.*/)) return "comment";
    if (stream.match(/^"(?:[^"\\]|\\.)*"?/)) return "string";
    if (stream.match(/^\d[\dx_.]*[A-Za-z%]*/)) return "number";
    const word = stream.match(/^[A-Za-z_]\w*/);
    if (word) return kinds.get(word[0]) || (stream.match(/^\s*:(?!\s*[\]])/, false) ? "definition" : "name");
    stream.next();
    return null;
  },
  tokenTable: { op: tags.function(tags.variableName), definition: tags.definition(tags.variableName), name: tags.variableName },
  languageData: { commentTokens: { line: "#" }, closeBrackets: { brackets: ["(", "[", "{", '"'] } },
});
const colours = HighlightStyle.define([
  { tag: tags.comment, color: "#6b7280", fontStyle: "italic" },
  { tag: tags.string, color: "#0f766e" },
  { tag: tags.number, color: "#b45309" },
  { tag: tags.keyword, color: "#7c3aed" },
  { tag: tags.function(tags.variableName), color: "#1d4ed8" },
  { tag: tags.definition(tags.variableName), color: "#111827", fontWeight: "600" },
]);

// --- shapes at line ends ------------------------------------------------------------------------

class Hint extends WidgetType {
  constructor(text) { super(); this.text = text; }
  eq(other) { return other.text === this.text; }
  toDOM() {
    const made = document.createElement("span");
    made.className = "hint";
    made.textContent = this.text;
    return made;
  }
}
const setHints = StateEffect.define();
const hints = StateField.define({
  create: () => Decoration.none,
  update(value, transaction) {
    value = value.map(transaction.changes);
    for (const effect of transaction.effects) {
      if (!effect.is(setHints)) continue;
      const builder = new RangeSetBuilder();
      const doc = transaction.state.doc;
      for (const [line, text] of effect.value) {
        if (line <= doc.lines) {
          const end = doc.line(line).to;
          builder.add(end, end, Decoration.widget({ widget: new Hint(text), side: 1 }));
        }
      }
      value = builder.finish();
    }
    return value;
  },
  provide: (field) => EditorView.decorations.from(field),
});

// --- asking -------------------------------------------------------------------------------------

let sound = null;  // the last text without errors, and its nets

async function lint(view) {
  const text = view.state.doc.toString();
  let found;
  try {
    found = await ask("check", text);
  } catch (error) {
    return [{ from: 0, to: 0, severity: "error", message: error.message }];
  }
  if (view.state.doc.toString() !== text) return [];
  view.dispatch({ effects: setHints.of(Object.entries(found.hints).map(([line, hint]) => [Number(line), hint])) });
  const errors = found.diagnostics.filter((d) => d.severity === "error").length;
  byId("state").textContent = errors ? `${errors} error${errors > 1 ? "s" : ""}` : "sound";
  byId("state").className = errors ? "wrong" : "right";
  if (found.nets.length && !errors) {
    sound = { text, nets: found.nets };
    choices(found.nets);
    show();
  }
  byId("stale").hidden = !(errors && sound);
  return found.diagnostics.map((d) => ({
    from: d.from,
    to: d.to,
    severity: d.severity,
    message: d.message,
    source: d.code,
    actions: d.fixes.map((fix) => ({
      name: fix.title,
      apply: (at) => at.dispatch({ changes: fix.edits.map(({ from, to, text: insert }) => ({ from, to, insert })) }),
    })),
  }));
}

async function complete(context) {
  const word = context.matchBefore(/\w*/);
  if (!context.explicit && !word.text && !/[.:{(>]\s*$/.test(context.state.doc.sliceString(0, context.pos).slice(-3))) return null;
  const found = await ask("complete", context.state.doc.toString(), context.pos);
  return {
    from: word.from,
    options: found.map((c) => ({
      label: c.label,
      detail: c.detail.slice(0, 60),
      type: { op: "function", module: "class", field: "property", layer: "variable", value: "enum" }[c.type] || c.type,
      apply: c.also.length
        ? (view, _, from, to) => view.dispatch({
          changes: [{ from, to, insert: c.apply }, ...c.also.map(({ from: at, text }) => ({ from: at, insert: text }))],
        })
        : c.apply,
    })),
    validFor: /^\w*$/,
  };
}

const hovers = hoverTooltip(async (view, pos) => {
  const found = await ask("about", view.state.doc.toString(), pos).catch(() => null);
  if (!found) return null;
  return {
    pos: found.from,
    end: found.to,
    create() {
      const dom = document.createElement("div");
      dom.className = "about";
      dom.textContent = found.text.replace(/```net\n|```|\*\*|`/g, "");
      return { dom };
    },
  };
});

// --- what is shown beside it --------------------------------------------------------------------

function choices(nets) {
  const choice = byId("net"), before = choice.value;
  choice.replaceChildren(...nets.map((name) => new Option(name, name)));
  if (nets.includes(before)) choice.value = before;
  choice.hidden = nets.length < 2;
}

let shown = 0;
let address = "";
const tab = () => document.querySelector("#tabs [aria-selected=true]").dataset.tab;

async function show() {
  if (!sound) return;
  const own = ++shown, kind = tab(), net = byId("net").value;
  try {
    if (kind === "picture") {
      const svg = await ask("picture", sound.text, net);
      if (own !== shown) return;
      // As an image: no script of it is run, whatever it says.
      const old = address;
      address = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
      byId("image").src = address;
      if (old) URL.revokeObjectURL(old);
    } else if (kind === "table") {
      const found = await ask("table", sound.text, net);
      if (own === shown) fill(found);
    } else {
      const source = await ask("source", sound.text, net, kind);
      if (own === shown) byId("code").textContent = source;
    }
  } catch (error) {
    if (own === shown) byId("code").textContent = error.message;
  }
  if (own !== shown) return;
  byId("image").hidden = kind !== "picture";
  byId("table").hidden = kind !== "table";
  byId("code").hidden = kind === "picture" || kind === "table";
}

function fill({ title, columns, rows, total, summary }) {
  const line = (tag, texts) => {
    const row = document.createElement("tr");
    for (const text of texts) {
      const cell = document.createElement(tag);
      cell.textContent = text;
      row.append(cell);
    }
    return row;
  };
  const made = document.createElement("table");
  const caption = document.createElement("caption");
  caption.textContent = title;
  made.append(caption, line("th", columns), ...rows.map((r) => line("td", r)), line("th", total));
  const list = document.createElement("dl");
  for (const [name, value] of summary) {
    const dt = document.createElement("dt"), dd = document.createElement("dd");
    dt.textContent = name;
    dd.textContent = value;
    list.append(dt, dd);
  }
  byId("table").replaceChildren(made, list);
}

// --- the page -----------------------------------------------------------------------------------

const view = new EditorView({
  parent: byId("editor"),
  state: EditorState.create({
    doc: (await textOf(location.hash)) || STEPS[0][1],
    extensions: [
      basicSetup, language, syntaxHighlighting(colours), indentUnit.of("  "), hints, hovers,
      linter(lint, { delay: 120 }), autocompletion({ override: [complete] }),
      EditorView.contentAttributes.of({ "aria-label": "spec" }),
    ],
  }),
});

function put(text) {
  view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } });
  forceLinting(view);
}

for (const button of document.querySelectorAll("#tabs button")) {
  button.addEventListener("click", () => {
    for (const other of document.querySelectorAll("#tabs button")) other.setAttribute("aria-selected", other === button);
    show();
  });
}
byId("net").addEventListener("change", show);
byId("format").addEventListener("click", async () => {
  const text = view.state.doc.toString(), laid = await ask("laid_out", text);
  if (laid !== text) put(laid);
});
byId("share").addEventListener("click", async () => {
  history.replaceState(null, "", await fragment(view.state.doc.toString()));
  await navigator.clipboard?.writeText(location.href).catch(() => {});
  byId("share").textContent = "Link is in the address bar";
  setTimeout(() => { byId("share").textContent = "Share"; }, 2000);
});
addEventListener("hashchange", async () => {
  const text = await textOf(location.hash);
  if (text) put(text);
});

let step = 0;
function guide(to) {
  step = Math.max(0, Math.min(STEPS.length - 1, to));
  byId("step").textContent = `${step + 1} of ${STEPS.length}: ${STEPS[step][0]}`;
  byId("back").disabled = step === 0;
  byId("next").disabled = step === STEPS.length - 1;
}
byId("back").addEventListener("click", () => { guide(step - 1); put(STEPS[step][1]); });
byId("next").addEventListener("click", () => { guide(step + 1); put(STEPS[step][1]); });
guide(0);

ask("specs").then((found) => {
  const choice = byId("specs");
  for (const { name } of found) choice.append(new Option(name, name));
  choice.addEventListener("change", () => {
    const spec = found.find(({ name }) => name === choice.value);
    if (spec) put(spec.text);
  });
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
});
