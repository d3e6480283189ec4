"use strict";
const at = id => document.getElementById(id);
const data = JSON.parse(at("data").textContent), count = data.text.length;
const canvas = at("map"), pen = canvas.getContext("2d"), tip = at("tip"), read = at("read");
const small = data.text.map(text => text.toLowerCase());
const most = data.shown.reduce((one, other) => Math.max(one, other || 0), 0);
const wide = Math.max(1, ...[data.x, data.y].map(all => all.reduce((one, other) => Math.max(one, other), 0)));
const high = data.y.reduce((one, other) => Math.max(one, other), 0), long = data.x.reduce((one, other) => Math.max(one, other), 0);
const base = Math.min(4.5, Math.max(1.5, 90 / Math.sqrt(count))), growth = count > 500 ? 1 : 2, PAD = 22;
const children = {};
for (const [child, parents] of Object.entries(data.parents))
  for (const [parent] of parents) if (typeof parent === "number") (children[parent] ||= []).push(+child);
const rates = data.ctr.filter(rate => rate !== null).sort((one, other) => one - other);
const [lowest, highest] = [.05, .95].map(share => rates[Math.round(share * (rates.length - 1))]);
const view = {colour: "style", only: null, words: "", chosen: null, zoom: 1, x: long / 2, y: high / 2};
let width = 0, height = 0, drawn = 0, colours = {};

// Where a text lies on the screen.
const scale = () => view.zoom * Math.min((width - 2 * PAD) / Math.max(long, wide / 50), (height - 2 * PAD) / Math.max(high, wide / 50));
const place = (i, by = scale()) => [width / 2 + (data.x[i] - view.x) * by, height / 2 + (data.y[i] - view.y) * by];
const area = data.shown.map(shown => base + (most && shown ? growth * base * Math.sqrt(shown / most) : 0));
const size = i => area[i] * Math.min(2, view.zoom ** .3);
const shows = i => (view.only === null || data[view.colour][i] === view.only) && (!view.words || small[i].includes(view.words));

function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["card", "ink", "muted", "none", "low", "mid", "high", ...Array.from({length: 10}, (_, i) => "c" + i)])
    colours[name] = style.getPropertyValue("--" + name).trim();
}
const named = (names, i) => names[i] === "unknown" ? colours.none : colours["c" + i % 10];
const parts = colour => [1, 3, 5].map(from => parseInt(colour.slice(from, from + 2), 16));
function between(low, high, share) {
  const [one, other] = [parts(low), parts(high)];
  return "rgb(" + one.map((part, i) => Math.round(part + (other[i] - part) * share)).join() + ")";
}
function colourOf(i) {
  if (view.colour !== "ctr") return named(data[view.colour + "s"], data[view.colour][i]);
  if (data.ctr[i] === null) return null;
  const share = highest > lowest ? Math.min(1, Math.max(0, (data.ctr[i] - lowest) / (highest - lowest))) : .5;
  return share < .5 ? between(colours.low, colours.mid, 2 * share) : between(colours.mid, colours.high, 2 * share - 1);
}

function mark(i, radius, [x, y]) {
  pen.beginPath();
  if (data.kinds[data.kind[i]].startsWith("stored")) {
    const r = radius * 1.2;
    pen.moveTo(x, y - r); pen.lineTo(x + r, y); pen.lineTo(x, y + r); pen.lineTo(x - r, y); pen.closePath();
  } else pen.arc(x, y, radius, 0, 7);
}
function line(i, j, dashed) {
  pen.setLineDash(dashed ? [5, 4] : []);
  pen.beginPath(); pen.moveTo(...place(i)); pen.lineTo(...place(j)); pen.stroke();
}
function paint() {
  drawn = 0;
  const ratio = devicePixelRatio || 1, by = scale();
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  for (const front of [false, true]) {
    pen.globalAlpha = front ? (count > 5000 ? .7 : .88) : .13;
    for (let i = 0; i < count; i++) {
      if (shows(i) !== front) continue;
      const [x, y] = place(i, by), colour = colourOf(i);
      if (x < -20 || y < -20 || x > width + 20 || y > height + 20) continue;
      mark(i, size(i), [x, y]);
      if (colour === null) { pen.strokeStyle = colours.none; pen.lineWidth = 1.5; pen.stroke(); continue; }
      pen.fillStyle = colour; pen.fill();
      if (count <= 5000) { pen.strokeStyle = colours.card; pen.lineWidth = .8; pen.stroke(); }
    }
  }
  pen.globalAlpha = 1;
  if (view.chosen === null) return;
  const own = view.chosen;
  pen.strokeStyle = colours.muted; pen.lineWidth = 1;
  for (const j of data.near[own]) line(own, j, false);
  pen.strokeStyle = colours.ink; pen.lineWidth = 1.6;
  for (const [parent] of data.parents[own] || []) if (typeof parent === "number") line(own, parent, true);
  pen.setLineDash([]);
  for (const j of [...data.near[own], own]) {
    mark(j, size(j) + (j === own ? 3 : 0), place(j)); pen.fillStyle = colourOf(j) || colours.card; pen.fill();
    pen.strokeStyle = colours.ink; pen.lineWidth = j === own ? 3 : 1.2; pen.stroke();
  }
}
const draw = () => { drawn ||= requestAnimationFrame(paint); };

// What is said of a text: all of it as text, never as markup.
function element(name, text, css) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (css) made.className = css;
  return made;
}
function copy(text) { const made = element("bdi", text, "copy"); made.dir = "auto"; return made; }
const percent = rate => (100 * rate).toFixed(2) + "\u00a0%";
function list(title, rows) {
  if (!rows.length) return [];
  const whole = element("ol");
  for (const [value, which] of rows) {
    const row = element("li"), inner = element(typeof which === "number" ? "button" : "div");
    inner.append(element("b", value), copy(typeof which === "number" ? data.text[which] : which));
    if (typeof which === "number") inner.addEventListener("click", () => choose(which, true));
    row.append(inner); whole.append(row);
  }
  return [element("h2", title), whole];
}
function choose(i, move) {
  view.chosen = i;
  if (i === null) { read.replaceChildren(element("p", "Nothing is chosen.", "empty")); draw(); return; }
  if (move) bring(i);
  const said = element("p", undefined, "said"), rate = data.ctr[i], shown = data.shown[i];
  said.append(copy(data.text[i]));
  const about = [data.kinds[data.kind[i]], data.styles[data.style[i]] === "unknown" ? "style unknown" : data.styles[data.style[i]]];
  const clicks = rate === null ? (shown === 0 ? "never shown" : "no CTR known")
    : "CTR " + percent(rate) + (shown === null ? "" : data.clicks[i] === null ? ` (${shown.toLocaleString("en")} impressions)`
      : ` (${data.clicks[i].toLocaleString("en")} clicks, ${shown.toLocaleString("en")} impressions)`);
  const ends = data.interval[i];
  const sure = ends ? [element("p", `95\u00a0% interval ${percent(ends[0])} to ${percent(ends[1])}`, "known")] : [];
  const parents = (data.parents[i] || []).map(([parent, weight]) => [weight.toFixed(2), parent]);
  read.replaceChildren(said, element("p", about.join(", "), "known"), element("p", clicks, "known"), ...sure,
    ...list("Mixed from", parents),
    ...list("Nearest in the space", data.near[i].map((j, rank) => [data.cosine[i][rank], j])),
    ...list("Parent of", (children[i] || []).slice(0, 8).map(j => ["", j])));
  read.scrollTop = 0;
  draw();
}
function bring(i) {
  const [x, y] = place(i);
  if (x < PAD / 2 || y < PAD / 2 || x > width - PAD / 2 || y > height - PAD / 2) { view.x = data.x[i]; view.y = data.y[i]; }
}

// Colours and what they mean; a click shows one of them alone.
function legend() {
  const where = at("classes");
  if (view.colour === "ctr") {
    const row = element("li", undefined, "scale"), none = element("i", undefined, "none");
    row.append(percent(lowest) + " or less", element("i"), percent(highest) + " or more", none, "no CTR");
    where.replaceChildren(row);
    return;
  }
  const names = data[view.colour + "s"], counts = names.map(() => 0);
  for (const which of data[view.colour]) counts[which]++;
  where.replaceChildren(...names.map((name, which) => {
    const row = element("li"), button = element("button"), dot = element("i");
    dot.style.setProperty("--dot", name === "unknown" ? "var(--none)" : `var(--c${which % 10})`);
    button.append(dot, `${name} ${counts[which].toLocaleString("en")}`);
    button.setAttribute("aria-pressed", view.only === which);
    button.addEventListener("click", () => {
      view.only = view.only === which ? null : which;
      legend(); where.querySelectorAll("button")[which].focus(); draw();
    });
    row.append(button);
    return row;
  }));
}
at("colour").addEventListener("change", event => { view.colour = event.target.value; view.only = null; legend(); draw(); });
at("find").addEventListener("input", event => {
  view.words = event.target.value.trim().toLowerCase();
  const hits = view.words ? small.reduce((all, text) => all + text.includes(view.words), 0) : 0;
  at("hits").textContent = view.words ? `${hits.toLocaleString("en")} found` : "";
  draw();
});
at("find").addEventListener("keydown", event => {
  if (event.key !== "Enter" || !view.words) return;
  const from = view.chosen === null ? 0 : view.chosen + 1;
  for (let step = 0; step < count; step++) if (shows((from + step) % count)) return choose((from + step) % count, true);
});

// Zoom, drag, click, keys.
function zoom(by, x = width / 2, y = height / 2) {
  const before = scale();
  view.zoom = Math.min(200, Math.max(1, view.zoom * by));
  const after = scale();
  view.x += (x - width / 2) * (1 / before - 1 / after); view.y += (y - height / 2) * (1 / before - 1 / after);
  if (view.zoom === 1) { view.x = long / 2; view.y = high / 2; }
  canvas.classList.toggle("moved", view.zoom > 1);
  tip.hidden = true;
  draw();
}
const whole = () => zoom(0);
at("closer").addEventListener("click", () => zoom(1.6));
at("farther").addEventListener("click", () => zoom(1 / 1.6));
at("whole").addEventListener("click", whole);
canvas.addEventListener("wheel", event => {
  if (!event.ctrlKey && !event.metaKey) return;
  event.preventDefault(); zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2, event.offsetX, event.offsetY);
}, {passive: false});
canvas.addEventListener("dblclick", event => zoom(1.8, event.offsetX, event.offsetY));
function under(x, y, reach) {
  let best = null, least = reach * reach;
  const by = scale();
  for (let i = 0; i < count; i++) {
    const [a, b] = place(i, by), far = (a - x) ** 2 + (b - y) ** 2;
    if (far < least && shows(i)) { least = far; best = i; }
  }
  return best;
}
let down = null;
canvas.addEventListener("pointerdown", event => { down = {x: event.offsetX, y: event.offsetY, moved: false}; });
canvas.addEventListener("pointermove", event => {
  if (down && event.buttons) {
    const [a, b] = [event.offsetX - down.x, event.offsetY - down.y];
    if (!down.moved && a * a + b * b < 36) return;
    down.moved = true; tip.hidden = true;
    if (view.zoom > 1) { canvas.setPointerCapture(event.pointerId); view.x -= a / scale(); view.y -= b / scale(); down.x = event.offsetX; down.y = event.offsetY; draw(); }
    return;
  }
  if (event.pointerType !== "mouse") return;
  const i = under(event.offsetX, event.offsetY, 12);
  canvas.classList.toggle("near", i !== null);
  tip.hidden = i === null;
  if (i === null) return;
  tip.replaceChildren(copy(data.text[i].length > 160 ? data.text[i].slice(0, 160) + "…" : data.text[i]));
  const [x, y] = place(i);
  tip.style.transform = `translate(${Math.max(0, Math.min(x + 12, width - tip.offsetWidth))}px, ${y + 14 + tip.offsetHeight > height ? y - 12 - tip.offsetHeight : y + 14}px)`;
});
canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
canvas.addEventListener("pointerup", event => {
  if (down && !down.moved) choose(under(event.offsetX, event.offsetY, event.pointerType === "touch" ? 28 : 16), false);
  down = null;
});
const ways = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
function walk([right, below]) {
  if (view.chosen === null) return choose(under(width / 2, height / 2, 1e5), true);
  let best = null, least = Infinity;
  for (let i = 0; i < count; i++) {
    const a = data.x[i] - data.x[view.chosen], b = data.y[i] - data.y[view.chosen];
    const ahead = a * right + b * below, aside = Math.abs(a * below) + Math.abs(b * right);
    if (i === view.chosen || ahead <= 0 || aside > ahead || !shows(i)) continue;
    if (ahead + aside < least) { least = ahead + aside; best = i; }
  }
  if (best !== null) choose(best, true);
}
canvas.addEventListener("keydown", event => {
  const act = event.key in ways ? () => walk(ways[event.key]) : {"+": () => zoom(1.6), "-": () => zoom(1 / 1.6), "0": whole, Escape: () => choose(null), Enter: () => walk([0, 0])}[event.key];
  if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault(); act();
});
function resize() {
  const ratio = devicePixelRatio || 1;
  width = canvas.clientWidth; height = canvas.clientHeight;
  canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
  draw();
}
new ResizeObserver(resize).observe(canvas);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); draw(); });
readColours(); resize(); legend();
