"use strict";
// The picture in the browser. The layout is that of netspec/diagram/coordinates.py, step by step, because
// modules open and close here; what it starts from (rows, links) was arranged there. Nothing from
// the spec becomes markup: texts go through textContent, all attributes are numbers or our own.
(() => {
  const net = JSON.parse(document.getElementById("net").textContent);
  const M = net.measures;
  const SVG = "http://www.w3.org/2000/svg";
  const byId = (id) => document.getElementById(id);
  const open = new Set();
  let chosen = null, base = 0, most = 0;

  // --- words ------------------------------------------------------------------------------------

  function width(text, size, bold) {
    let sum = 0;
    for (const c of text) {
      const code = c.codePointAt(0);
      sum += code >= 32 && code < 127 ? net.widths[code - 32] : code < 0x1100 ? 600 : 1000;
    }
    return Math.round(sum * size * (bold ? 1.07 : 1) / 10) / 100;
  }

  function fitted(text, size, space, bold) {
    const all = [...text];
    let found = text, length = all.length;
    while (width(found, size, bold) > space && length > 5) {
      length -= 1;
      const tail = Math.floor((length - 2) / 2);
      found = all.slice(0, length - 2 - tail).join("") + ".." + all.slice(all.length - tail).join("");
    }
    return found;
  }

  const grouped = (n) => n.toLocaleString("en-US");
  const millions = (n) => n >= 100000
    ? (n / 1e6).toLocaleString("en-US", {minimumFractionDigits: 1, maximumFractionDigits: 1}) + " M"
    : grouped(n);

  // --- places -----------------------------------------------------------------------------------

  const pathOf = (prefix, box) => prefix + box.name;
  const isOpen = (prefix, box) => box.sheet >= 0 && open.has(pathOf(prefix, box));
  const frameTitle = (box) => box.name + ": " + box.words.join(", ");

  function visit(sheet, prefix, found) {
    for (const box of net.sheets[sheet].boxes) {
      if (isOpen(prefix, box)) visit(box.sheet, pathOf(prefix, box) + ".", found);
      else found.push(box);
    }
    return found;
  }

  function natural(box) {
    return Math.max(width(box.name, M.NAME, true), ...box.words.map((w) => width(w, M.WORDS)), 0)
      + 2 * M.MARGIN;
  }

  function size(box) {
    if (box.end) return [Math.round(natural(box)) + 4, M.PILL];
    const grown = most ? M.GROWTH * box[net.cost] / most : 0;
    return [Math.round(base + grown), M.HEAD + M.TAIL * (box.words.length - 1)];
  }

  function draw(number, prefix, frame) {
    const sheet = net.sheets[number];
    const [firstInput, firstOutput, firstBend] = sheet.firsts;
    const items = sheet.boxes.map((box) => {
      if (isOpen(prefix, box)) {
        const inside = draw(box.sheet, pathOf(prefix, box) + ".", box);
        return {across: inside.across, along: inside.along, inside, center: 0, start: 0};
      }
      const [w, h] = size(box);
      return {across: net.down ? w : h, along: net.down ? h : w, inside: null, center: 0, start: 0};
    });
    const count = sheet.rows.reduce((n, row) => n + row.length, 0);
    while (items.length < count) items.push({across: 0, along: 0, inside: null, center: 0, start: 0});
    const port = (item, part, ports, n) => item.inside
      ? ports[Math.round(part * (n + 1)) - 1] - item.across / 2 : (part - 0.5) * item.across;
    const links = sheet.links.map(([source, at, target, to, weight, indices, label]) => {
      const a = items[source], b = items[target];
      return {source, target, weight, indices, label,
        at: port(a, at, a.inside && a.inside.outputs, a.inside && sheet.boxes[source].results),
        to: port(b, to, b.inside && b.inside.inputs, b.inside && sheet.boxes[target].inputs)};
    });
    const rowOf = new Map();
    sheet.rows.forEach((row, r) => row.forEach((i) => rowOf.set(i, r)));
    const drawing = {sheet, items, links, rowOf, bands: [], prefix};
    placeAcross(drawing, firstInput, firstOutput, firstBend);

    const gaps = sheet.rows.map(() => M.BARE_GAP);
    flip(drawing);
    drawing.stubs = stubs(drawing);
    for (const link of links) {
      const far = Math.abs(items[link.source].center + link.at - items[link.target].center - link.to);
      const space = (link.label ? M.GAP : M.BARE_GAP) + Math.min(far * 0.08, 40);
      const r = rowOf.get(link.source);
      const label = link.label && !net.down ? width(link.label, M.WORDS) : 0;
      gaps[r] = Math.max(gaps[r], space + Math.max(drawing.stubs[r], label));
    }
    let at = 0;
    sheet.rows.forEach((row, r) => {
      const extent = Math.max(0, ...row.map((i) => items[i].along));
      drawing.bands.push([at, at + extent]);
      for (const i of row) items[i].start = at + (extent - items[i].along) / 2;
      at += extent + (r + 1 < sheet.rows.length ? gaps[r] : 0);
    });

    let low = Infinity, high = -Infinity;
    for (const i of items) {
      low = Math.min(low, i.center - i.across / 2);
      high = Math.max(high, i.center + i.across / 2);
    }
    if (!items.length) low = high = 0;
    if (net.down)
      for (const {source, at, label, flipped} of links)
        if (flipped) low = Math.min(low, beside(items[source].center + at, label, true)[0]);
    let before = M.BORDER, after = M.BORDER, along = M.BORDER, alongAfter = M.BORDER;
    if (frame) {
      [before, after] = net.down ? [M.PAD, M.PAD] : [M.TITLE, M.PAD];
      [along, alongAfter] = net.down ? [M.TITLE, M.PAD] : [M.PAD, M.PAD];
    }
    let shift = before - low;
    drawing.across = high - low + before + after;
    const wanted = frame ? width(frameTitle(frame), M.WORDS, true) + 2 * M.PAD : 0;
    if (frame && net.down && wanted > drawing.across) {
      shift += (wanted - drawing.across) / 2;
      drawing.across = wanted;
    }
    drawing.along = at + along + alongAfter;
    if (frame && !net.down) {
      along += Math.max(wanted - drawing.along, 0) / 2;
      drawing.along = Math.max(wanted, drawing.along);
    }
    for (const i of items) { i.center += shift; i.start += along; }
    drawing.bands = drawing.bands.map(([a, b]) => [a + along, b + along]);
    drawing.inputs = items.slice(firstInput, firstOutput).map((i) => i.center);
    drawing.outputs = items.slice(firstOutput, firstBend).map((i) => i.center);
    return drawing;
  }

  function beside(a, label, flipped) {
    const [near, far] = net.down ? [4, 6 + width(label, M.WORDS)] : [2, 13];
    return flipped === net.down ? [a - far, a - near] : [a + near, a + far];
  }

  function flip({sheet, items, links, rowOf}) {
    const starts = sheet.rows.map(() => []), start = (link) => items[link.source].center + link.at;
    for (const link of links) starts[rowOf.get(link.source)].push(start(link));
    const taken = (link, a, flipped) => {
      const [low, high] = beside(a, link.label, flipped);
      return starts[rowOf.get(link.source)].slice(0, M.MANY)
        .some((b) => Math.abs(b - a) > 1 && low < b && b < high);
    };
    for (const link of links)
      link.flipped = Boolean(link.label) && taken(link, start(link), false) && !taken(link, start(link), true);
  }

  function stubs({sheet, items, links, rowOf}) {
    const labels = sheet.rows.map(() => []), wires = sheet.rows.map(() => []);
    for (const {source, at, target, to, label, flipped} of links) {
      const r = rowOf.get(source), a = items[source].center + at, b = items[target].center + to;
      if (Math.abs(b - a) > 1) wires[r].push([Math.min(a, b), Math.max(a, b)]);
      if (label)
        labels[r].push([...beside(a, label, flipped), net.down ? M.STUB : width(label, M.WORDS) + M.STUB_END]);
    }
    return labels.map((row, r) => row.reduce((most, [low, high, stub]) =>
      wires[r].length > M.MANY || wires[r].some(([a, b]) => a < high && b > low)
        ? Math.max(most, stub) : most, 0));
  }

  function placeAcross({sheet, items, links}, firstInput, firstOutput, firstBend) {
    const above = items.map(() => []), below = items.map(() => []);
    for (const {source, target, weight, at, to} of links) {
      above[target].push([source, at - to, weight]);
      below[source].push([target, to - at, weight]);
    }
    const apart = sheet.rows.map((row) => row.slice(1).map((b, k) =>
      (items[row[k]].across + items[b].across) / 2
      + (row[k] >= firstBend || b >= firstBend ? M.BEND_APART : M.APART)));
    const order = sheet.rows.map((_, r) => r);
    for (let iteration = 0; iteration < M.ROUNDS; iteration++) {
      const last = iteration >= M.ROUNDS - 2;
      for (const r of iteration % 2 ? [...order].reverse() : order) {
        const row = sheet.rows[r], wanted = [], weights = [];
        for (const i of row) {
          let near = above[i].concat(below[i]);
          if (!last) {
            const side = iteration % 2 ? below[i] : above[i];
            if (side.length) near = side;
          }
          let total = 0, sum = 0;
          for (const [k, d, w] of near) { total += w; sum += (items[k].center + d) * w; }
          wanted.push(total ? sum / total : items[i].center);
          weights.push(Math.max(total, 0.1));
        }
        spread(wanted, weights, apart[r]).forEach((center, k) => { items[row[k]].center = center; });
      }
    }
    for (let n = 0; n < 2; n++) straighten(sheet, items, links, apart);
    if (firstOutput - firstInput === 1 && firstBend - firstOutput === 1)
      items[firstOutput].center = items[firstInput].center;
  }

  function spread(wanted, weights, space) {
    const pools = [], ahead = [0];
    for (const r of space) ahead.push(ahead[ahead.length - 1] + r);
    wanted.forEach((want, i) => {
      let pool = [(want - ahead[i]) * weights[i], weights[i], 1];
      while (pools.length) {
        const end = pools[pools.length - 1];
        if (end[0] / end[1] < pool[0] / pool[1]) break;
        pools.pop();
        pool = [end[0] + pool[0], end[1] + pool[1], end[2] + pool[2]];
      }
      pools.push(pool);
    });
    const places = [];
    for (const [total, heavy, count] of pools)
      for (let n = 0; n < count; n++) places.push(total / heavy + ahead[places.length]);
    return places;
  }

  function straighten(sheet, items, links, apart) {
    const below = items.map(() => -1), above = items.map(() => -1);
    const heavy = [items.map(() => 0), items.map(() => 0)];
    links.forEach((link, n) => {
      for (const [item, best, top] of [[link.source, below, heavy[0]], [link.target, above, heavy[1]]]) {
        if (link.weight > top[item]) { best[item] = n; top[item] = link.weight; }
        else if (link.weight === top[item]) best[item] = -1;
      }
    });
    const limits = items.map(() => null);
    sheet.rows.forEach((row, r) => row.forEach((item, i) => {
      limits[item] = [i ? row[i - 1] : -1, i ? apart[r][i - 1] : 0,
        i + 1 < row.length ? row[i + 1] : -1, i + 1 < row.length ? apart[r][i] : 0];
    }));
    for (const row of sheet.rows) for (const start of row) {
      if (above[start] >= 0 && below[links[above[start]].source] === above[start]) continue;
      const chain = [[start, 0]];
      for (;;) {
        const [item, offset] = chain[chain.length - 1], n = below[item];
        if (n < 0 || above[links[n].target] !== n) break;
        chain.push([links[n].target, offset + links[n].at - links[n].to]);
      }
      let low = -Infinity, high = Infinity, total = 0;
      for (const [item, offset] of chain) {
        const [before, roomBefore, after, roomAfter] = limits[item];
        if (before >= 0) low = Math.max(low, items[before].center + roomBefore - offset);
        if (after >= 0) high = Math.min(high, items[after].center - roomAfter - offset);
        total += items[item].center - offset;
      }
      if (chain.length > 1 && low <= high) {
        const line = Math.min(Math.max(total / chain.length, low), high);
        for (const [item, offset] of chain) items[item].center = line + offset;
      }
    }
  }

  // --- drawing ----------------------------------------------------------------------------------

  function element(name, attributes, parent, text) {
    const made = document.createElementNS(SVG, name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    if (text !== undefined) made.textContent = text;
    if (parent) parent.appendChild(made);
    return made;
  }

  const picture = byId("picture");
  const canvas = element("svg", {"font-family": "Helvetica, Arial, sans-serif", "font-size": M.WORDS});
  picture.insertBefore(canvas, picture.firstChild);
  const marker = element("marker", {id: "head", viewBox: "0 0 8 8", refX: 7.5, refY: 4, markerWidth: 8,
    markerHeight: 8, markerUnits: "userSpaceOnUse", orient: "auto"}, element("defs", {}, canvas));
  element("path", {d: "M0 0.8L8 4L0 7.2z", fill: "#7a828c"}, marker);
  const stage = element("g", {}, canvas);
  let layers = {}, extent = [0, 0], elements = new Map();

  const point = (across, along) => net.down ? [across, along] : [along, across];
  const n1 = (x) => Math.round(x * 10) / 10;
  const colors = (family) => Object.hasOwn(net.colors, family) ? net.colors[family] : net.other;

  function paint(drawing, across, along, level) {
    const {sheet, items, links, rowOf, bands, prefix} = drawing;
    const [firstInput, firstOutput, firstBend] = sheet.firsts;
    sheet.boxes.forEach((box, i) => {
      const item = items[i];
      const a = across + item.center - item.across / 2, b = along + item.start;
      const [x, y] = point(a, b), [w, h] = point(item.across, item.along);
      if (item.inside) {
        paintFrame(box, prefix, n1(x), n1(y), n1(w), n1(h), level);
        paint(item.inside, a, b, level + 1);
      } else paintBox(box, prefix, n1(x), n1(y), n1(w), n1(h));
    });
    for (const link of links) {
      const source = items[link.source], target = items[link.target], r = rowOf.get(link.source);
      const ends = bands[r][1] + along, arrives = bands[r + 1][0] + along;
      const leaves = ends + drawing.stubs[r];
      let begin = link.source >= firstInput ? ends : along + source.start + source.along;
      if (link.source >= firstInput && link.source < firstOutput) begin = along;
      let end = along + target.start;
      if (link.target >= firstBend) end = bands[r + 1][1] + along;
      else if (link.target >= firstOutput) end = along + drawing.along;
      const a = across + source.center + link.at, b = across + target.center + link.to;
      const middle = (leaves + arrives) / 2;
      const p = (u, v) => point(u, v).map(n1).join();
      // A piece of no length at the end would leave the arrow without a direction.
      const d = `M${p(a, begin)}L${p(a, leaves)}C${p(a, middle)} ${p(b, middle)} ${p(b, arrives)}`
        + (end === arrives ? "" : `L${p(b, end)}`);
      const path = element("path", {d}, layers.curves);
      if (link.indices) path.setAttribute("stroke-dasharray", "4 3");
      if (link.target < firstInput && !target.inside) path.setAttribute("marker-end", "url(#head)");
      if (link.label) {
        const [x, y] = point(a, begin);
        const [right, below] = net.down ? [link.flipped ? -5 - width(link.label, M.WORDS) : 5, 12.5]
          : [6, link.flipped ? 10.5 : -3.5];
        element("text", {x: n1(x + right), y: n1(y + below)}, layers.labels, link.label);
      }
    }
  }

  function interactive(group, box, path) {
    elements.set(path, group);
    group.setAttribute("tabindex", "0");
    group.setAttribute("role", "button");
    group.addEventListener("click", () => { if (!moved) act(box, path); });
    group.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); act(box, path); }
    });
    group.addEventListener("pointermove", (event) => tip(event, tooltip(box, path)));
    group.addEventListener("pointerleave", () => { byId("tip").hidden = true; });
  }

  function act(box, path) {
    choose(path, box.nodes.length ? box.nodes[0] : null);
    if (box.sheet >= 0) toggle(path);
  }

  function tooltip(box, path) {
    if (box.end) return `${box.end} ${box.name}: ${box.shape}`;
    const prefix = path.slice(0, path.length - box.name.length);
    return box.nodes.map((node) => {
      const lines = [`${prefix}${node.name}: ${node.words}`,
        `${node.inputs.join(", ")} → ${node.outputs.join(", ")}`];
      if (node.params || node.macs)
        lines.push(`${grouped(node.params)} parameters, ${millions(node.macs)} MACs`);
      if (node.fields.length) lines.push(node.fields.join("  "));
      return lines.join("\n");
    }).join("\n\n");
  }

  function tip(event, text) {
    const shown = byId("tip");
    shown.textContent = text;
    shown.hidden = false;
    const left = Math.min(event.clientX + 14, innerWidth - shown.offsetWidth - 6);
    const below = event.clientY + 16, space = innerHeight - shown.offsetHeight - 6;
    shown.style.left = `${Math.max(left, 4)}px`;
    shown.style.top = `${below > space ? Math.max(event.clientY - shown.offsetHeight - 10, 4) : below}px`;
  }

  function paintFrame(box, prefix, x, y, w, h, level) {
    const ground = net.grounds[level % 2], path = pathOf(prefix, box);
    const group = element("g", {class: "frame"}, layers.frames);
    element("rect", {x, y, width: w, height: h, rx: 6, fill: ground, stroke: "#b9c0c9"}, group);
    interactive(group, box, path);
    element("text", {x: x + 8, y: y + 14, "font-weight": 600, fill: "#4b535d", stroke: ground,
      "stroke-width": 6, "paint-order": "stroke"}, layers.titles,
      fitted(frameTitle(box), M.WORDS, w - 2 * M.MARGIN, true));
  }

  function paintBox(box, prefix, x, y, w, h) {
    const group = element("g", {class: "box"}, layers.boxes), path = pathOf(prefix, box);
    const [fill, stroke] = box.end ? net.ends : colors(box.families[0]);
    const middle = n1(x + w / 2), space = w - 2 * M.MARGIN + 6;
    const write = (text, at, size, bold) => element("text", {x: middle, y: n1(at), "font-size": size,
      "text-anchor": "middle", "font-weight": bold ? 600 : 400}, group, fitted(text, size, space, bold));
    element("rect", {x, y, width: w, height: h, rx: box.end ? h / 2 : 4, fill, stroke}, group);
    if (box.end) {
      write(box.name, y + h / 2 + 4, M.NAME);
      interactive(group, box, box.end + " " + path);
      return;
    }
    const top = y + h - M.TAIL * (box.words.length - 1);
    box.words.slice(1).forEach((words, i) => {
      const at = top + M.TAIL * i, last = i === box.words.length - 2, r = last ? 4 : 0;
      const [fill, stroke] = colors(box.families[i + 1]);
      element("path", {d: `M${x},${at}h${w}v${M.TAIL - r}a${r},${r} 0 0 1 ${-r},${r}h${2 * r - w}`
        + `a${r},${r} 0 0 1 ${-r},${-r}z`, fill, stroke}, group);
      write(words, at + 11, M.WORDS);
    });
    if (box.sheet >= 0)
      element("rect", {x: x + 2.5, y: y + 2.5, width: w - 5, height: h - 5, rx: 2.5, fill: "none", stroke}, group);
    write(box.name, y + 15, M.NAME, true);
    write(box.words[0], y + 29, M.WORDS);
    interactive(group, box, path);
  }

  function render() {
    const boxes = visit(0, "", []).filter((box) => !box.end);
    base = Math.round(Math.min(Math.max(M.NARROWEST, ...boxes.map(natural)), M.WIDEST));
    most = boxes.reduce((n, box) => Math.max(n, box[net.cost]), 0);
    const drawing = draw(0, "", null);
    byId("tip").hidden = true;
    stage.textContent = "";
    elements = new Map();
    layers = {
      frames: element("g", {}, stage),
      curves: element("g", {fill: "none", stroke: "#7a828c", "stroke-width": 1.2}, stage),
      labels: element("g", {fill: "#4b535d", stroke: "#fff", "stroke-width": 3, "stroke-linejoin": "round",
        "paint-order": "stroke"}, stage),
      boxes: element("g", {}, stage),
      titles: element("g", {}, stage),
    };
    paint(drawing, 0, 0, 0);
    extent = point(drawing.across, drawing.along);
    legend();
    table();
    mark();
  }

  function legend() {
    const shown = byId("legend");
    shown.textContent = "";
    for (const family of net.families) {
      const entry = document.createElement("span"), sample = document.createElement("i");
      [sample.style.background, sample.style.borderColor] = colors(family);
      entry.append(sample, family);
      shown.append(entry);
    }
    if (most) {
      const unit = net.cost === "macs" ? "MACs" : "parameters";
      const line = document.createElement("div");
      line.textContent = `The wider a box, the more ${unit} it has; the widest drawn has ${millions(most)}.`;
      shown.append(line);
    }
  }

  // --- zoom and pan -----------------------------------------------------------------------------

  let scale = 1, left = 0, top_ = 0, moved = false;

  function move() {
    stage.setAttribute("transform", `translate(${n1(left)} ${n1(top_)}) scale(${scale.toFixed(4)})`);
  }

  function zoom(factor, x, y) {
    const next = Math.min(Math.max(scale * factor, 0.02), 8);
    left = x - (x - left) * next / scale;
    top_ = y - (y - top_) * next / scale;
    scale = next;
    move();
  }

  function fit(whole) {
    const {clientWidth: w, clientHeight: h} = picture;
    const all = Math.min(w / extent[0], (h - 8) / extent[1], 1.5);
    // At first a long net is shown from its beginning on, so large that it can be read.
    const readable = Math.min(net.down ? w / extent[0] : (h - 8) / extent[1], 1);
    scale = whole ? all : Math.max(all, Math.min(readable, 1));
    left = Math.max((w - extent[0] * scale) / 2, net.down ? -Infinity : 0);
    top_ = net.down ? 0 : Math.max((h - 8 - extent[1] * scale) / 2, 0);
    move();
  }

  const middle = (factor) => zoom(factor, picture.clientWidth / 2, picture.clientHeight / 2);
  picture.addEventListener("wheel", (event) => {
    event.preventDefault();
    const area = picture.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)),
      event.clientX - area.left, event.clientY - area.top);
  }, {passive: false});
  const pointers = new Map();
  picture.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    if (!pointers.size) moved = false;
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
  });
  addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const [dx, dy] = [event.clientX - before[0], event.clientY - before[1]];
    if (!moved && Math.hypot(dx, dy) < 4) return;
    moved = true;
    picture.classList.add("moving");
    if (pointers.size === 2) {
      const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
      const area = picture.getBoundingClientRect();
      const far = Math.hypot(event.clientX - other[0], event.clientY - other[1]);
      const was = Math.hypot(before[0] - other[0], before[1] - other[1]) || 1;
      zoom(far / was, other[0] - area.left, other[1] - area.top);
    } else { left += dx; top_ += dy; move(); }
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
  });
  const release = (event) => { pointers.delete(event.pointerId); picture.classList.remove("moving"); };
  addEventListener("pointerup", release);
  addEventListener("pointercancel", release);
  picture.addEventListener("keydown", (event) => {
    const steps = {ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60]};
    if (event.key in steps) {
      left += steps[event.key][0]; top_ += steps[event.key][1];
      move(); event.preventDefault();
    } else if (event.key === "+" || event.key === "=") middle(1.25);
    else if (event.key === "-") middle(0.8);
    else if (event.key === "0") fit(true);
  });

  // --- folding and choosing ---------------------------------------------------------------------

  function within(change) {
    const before = [...open];
    change();
    const count = visit(0, "", []).length;
    byId("status").textContent = "";
    if (count > net.limit && open.size > before.length) {
      open.clear();
      before.forEach((path) => open.add(path));
      byId("status").textContent =
        `That would be ${grouped(count)} boxes, and ${grouped(net.limit)} is the limit: open fewer modules.`;
    }
  }

  function toggle(path) {
    const anchor = elements.get(path), was = anchor && anchor.getBoundingClientRect();
    within(() => {
      if (!open.delete(path)) open.add(path);
    });
    render();
    const now = elements.get(path);
    if (was && now) {  // what was clicked stays where it was
      const is = now.getBoundingClientRect();
      left += was.left - is.left + (was.width - is.width) / 2;
      top_ += was.top - is.top;
      move();
    }
    if (now) now.focus({preventScroll: true});
  }

  function openTo(depth) {
    let boxes = 0;
    (function down(sheet, prefix, levels) {
      if (levels <= 1) return;
      for (const box of net.sheets[sheet].boxes) {
        if (++boxes > 20 * net.limit) return;
        if (box.sheet >= 0) {
          open.add(pathOf(prefix, box));
          down(box.sheet, pathOf(prefix, box) + ".", levels - 1);
        }
      }
    })(0, "", depth);
  }

  function choose(path, node) {
    chosen = {path, node};
    mark();
    const row = document.querySelector("tr.chosen");
    if (row) row.scrollIntoView({block: "nearest"});
    const line = document.querySelector("li.chosen");
    if (line) line.scrollIntoView({block: "center"});
  }

  function mark() {
    for (const old of document.querySelectorAll(".chosen")) old.classList.remove("chosen");
    if (!chosen) return;
    if (elements.has(chosen.path)) elements.get(chosen.path).classList.add("chosen");
    for (const row of document.querySelectorAll("tbody tr"))
      if (row.dataset.path === chosen.path && (!chosen.node || row.dataset.name === chosen.node.name))
        row.classList.add("chosen");
    if (!chosen.node) return;
    const [file, from, to] = chosen.node.at;
    const list = document.querySelectorAll("#spec ol")[file];
    for (let n = from; n <= to && n <= list.children.length; n++)
      list.children[n - 1].classList.add("chosen");
  }

  // --- table and text ---------------------------------------------------------------------------

  function cells(row, tag, texts) {
    for (const text of texts) {
      const cell = document.createElement(tag);
      cell.textContent = text;
      row.append(cell);
    }
    return row;
  }

  function table() {
    const made = document.createElement("table"), body = document.createElement("tbody");
    const head = document.createElement("thead"), foot = document.createElement("tfoot");
    head.append(cells(document.createElement("tr"), "th", ["layer", "type", "output", "params", "MACs"]));
    const total = [0, 0];
    (function down(number, prefix, level) {
      for (const box of net.sheets[number].boxes) {
        const path = pathOf(prefix, box);
        for (const node of box.nodes) {
          const row = cells(document.createElement("tr"), "td", [node.name, node.words, node.outputs[0] || "",
            node.params ? grouped(node.params) : "", node.macs ? millions(node.macs) : ""]);
          const sign = document.createElement("span");
          sign.className = "toggle";
          sign.textContent = box.sheet < 0 ? "" : open.has(path) ? "▾" : "▸";
          row.firstChild.prepend(sign);
          row.firstChild.style.paddingLeft = `${8 + 14 * level}px`;
          row.cells[1].title = node.words;
          row.dataset.path = path;
          row.dataset.name = node.name;
          row.tabIndex = body.firstChild ? -1 : 0;
          if (box.sheet >= 0) row.className = "module";
          sign.addEventListener("click", (event) => {
            if (box.sheet >= 0) { event.stopPropagation(); toggle(path); }
          });
          row.addEventListener("click", () => { choose(path, node); show(path); });
          row.addEventListener("focus", () => {
            for (const other of body.querySelectorAll("tr[tabindex='0']")) other.tabIndex = -1;
            row.tabIndex = 0;
          });
          row.addEventListener("keydown", (event) => rowKey(event, row, box, node));
          body.append(row);
          if (!level) { total[0] += node.params; total[1] += node.macs; }
        }
        if (isOpen(prefix, box)) down(box.sheet, path + ".", level + 1);
      }
    })(0, "", 0);
    foot.append(cells(document.createElement("tr"), "td",
      ["total", "", "", grouped(total[0]), millions(total[1])]));
    made.append(head, body, foot);
    const holder = byId("table"), scrolled = holder.scrollTop;
    holder.replaceChildren(made);
    holder.scrollTop = scrolled;
  }

  function rowKey(event, row, box, node) {  // as in a tree: arrows move, open and close
    const path = row.dataset.path, isModule = box.sheet >= 0;
    let next = null, toggles = false;
    if (event.key === "ArrowDown") next = row.nextSibling;
    else if (event.key === "ArrowUp") next = row.previousSibling;
    else if (event.key === "ArrowRight") toggles = isModule && !open.has(path);
    else if (event.key === "ArrowLeft" && isModule && open.has(path)) toggles = true;
    else if (event.key === "ArrowLeft")
      next = [...row.parentNode.rows].find((r) => r.dataset.path === path.slice(0, path.lastIndexOf(".")));
    else if (event.key === "Enter" || event.key === " ") toggles = isModule;
    else return;
    event.preventDefault();
    if (toggles) toggle(path);
    const at = (r) => r.dataset.path === path && r.dataset.name === node.name;
    next = toggles ? [...document.querySelectorAll("tbody tr")].find(at) : next || row;
    next.click();
    next.focus();
  }

  function show(path) {  // brings a box into sight
    const shown = elements.get(path);
    if (!shown) return;
    const is = shown.getBoundingClientRect(), area = picture.getBoundingClientRect();
    if (is.top < area.top || is.bottom > area.bottom || is.left < area.left || is.right > area.right) {
      left += area.left + area.width / 2 - (is.left + is.width / 2);
      top_ += area.top + area.height / 2 - (is.top + is.height / 2);
      move();
    }
  }

  function texts() {
    for (const file of net.files) {
      const title = document.createElement("h2"), list = document.createElement("ol");
      title.textContent = file.name;
      for (const line of file.text.replace(/\n$/, "").split("\n")) {
        const item = document.createElement("li");
        item.textContent = line;
        list.append(item);
      }
      byId("spec").append(title, list);
    }
  }

  addEventListener("message", (event) => {  // an editor says where its cursor is
    const line = event.data && event.data.netspecLine;
    if (!Number.isInteger(line)) return;
    (function down(number, prefix) {
      for (const box of net.sheets[number].boxes) {
        const path = pathOf(prefix, box);
        const node = box.nodes.find(({at}) => at[0] === 0 && at[1] <= line && line <= at[2]);
        if (node) { choose(path, node); show(path); return true; }
        if (isOpen(prefix, box) && down(box.sheet, path + ".")) return true;
      }
      return false;
    })(0, "");
  });

  byId("title").textContent = net.title;
  byId("fold").addEventListener("click", () => { open.clear(); render(); fit(false); });
  byId("unfold").addEventListener("click", () => { within(() => openTo(Infinity)); render(); fit(false); });
  byId("fit").addEventListener("click", () => fit(true));
  byId("smaller").addEventListener("click", () => middle(0.8));
  byId("larger").addEventListener("click", () => middle(1.25));
  texts();
  openTo(net.depth);
  render();
  fit(false);
})();
