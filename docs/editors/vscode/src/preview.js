// The panel that shows a net beside its text. It knows nothing of VS Code but what it is given, so
// that it can be tried without one.
"use strict";

class Preview {
  /**
   * `draw(uri, net)` gives the page of a net, `panel` shows it: `html`, `post(message)`, and
   * `fail(text)` for what stands in the way. The last page stays while there are errors.
   */
  constructor(draw, panel) {
    this.draw = draw;
    this.panel = panel;
    this.wanted = 0;
    this.line = 0;
  }

  /** Draw the net of a text that may have changed; of several calls the last counts. */
  async update(uri, net) {
    const own = ++this.wanted;
    let page;
    try {
      page = await this.draw(uri, net);
    } catch (error) {
      if (own === this.wanted) this.panel.fail(error.message);
      return;
    }
    if (own !== this.wanted) return;
    this.panel.html = page;
    this.follow(this.line);
  }

  /** Choose what a line of the text makes; lines count from 0. */
  follow(line) {
    this.line = line;
    this.panel.post({ netspecLine: line + 1 });
  }
}

/** The net around a line, or the first of a text: its name; "" where there is none. */
function netAt(text, line) {
  let found = "";
  text.split("\n").forEach((words, number) => {
    const net = /^net\s+(\w+)/.exec(words);
    if (net && (!found || number <= line)) found = net[1];
  });
  return found;
}

module.exports = { Preview, netAt };
