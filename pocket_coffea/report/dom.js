"use strict";
// Elements, numbers and times. Text goes in as text: nothing here reads markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(4).filter((each) => each !== null && each !== undefined && each !== false));
  return made;
}

const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const draw = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

// A label is pieces of text with their level: raised, on the line, lowered.
const rich = (runs) => runs.map(([text, level]) => (level > 0 ? el("sup", {}, text) : level < 0 ? el("sub", {}, text) : text));
const flat = (runs) => runs.map(([text]) => text).join("");

function richSvg(runs, attributes) {
  let before = 0;
  const parts = runs.map(([text, level]) => {
    const shift = (before - level) * 0.38;
    before = level;
    return draw("tspan", { dy: shift ? `${shift}em` : null, "font-size": level ? "75%" : null }, text);
  });
  return draw("text", attributes, ...parts);
}

const whole = (value) => Math.round(value).toLocaleString("en-US");

// A value with as many decimals as two digits of its error need.
function measured(value, error) {
  if (!(error > 0)) return [Number.isInteger(value) ? whole(value) : Number(value.toPrecision(4)).toLocaleString("en-US"), ""];
  const decimals = Math.min(Math.max(1 - Math.floor(Math.log10(error)), 0), 6);
  const shape = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
  return [value.toLocaleString("en-US", shape), error.toLocaleString("en-US", shape)];
}

const short = (value) => Number(value.toPrecision(4)).toLocaleString("en-US", { maximumSignificantDigits: 4 });

function period(seconds) {
  if (seconds < 120) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${(seconds / 3600).toFixed(1)} h` : `${(seconds / 86400).toFixed(1)} days`;
}

// Times are shown in UTC: outputs travel between time zones.
const moment = (seconds) => (seconds ? new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ") : "");
const moments = (text) => String(text).replace("T", " ").replace("+00:00", " UTC");

function select(label, options, chosen, change) {
  const box = el("select", { onchange: () => change(box.value) },
    options.map(([value, text]) => el("option", { value, selected: value === chosen }, text)));
  return el("label", {}, label, box);
}

function scroller(label, content, kind) {
  return el("div", { class: `scroll ${kind || ""}`, tabindex: 0, role: "region", "aria-label": label }, content);
}

function table(label, head, rows, kind) {
  const top = el("thead", {}, el("tr", {}, head.map((name) =>
    el("th", { scope: "col", class: name.text ? "text" : null }, name.text || name))));
  return scroller(label, el("table", {}, el("caption", { class: "hidden" }, label), top, el("tbody", {}, rows)), kind);
}

const facts = (rows) => el("dl", { class: "facts" }, rows.map(([name, value]) => [
  el("dt", {}, name),
  el("dd", { class: /^[0-9a-f]{20,}$/.test(value) ? "mono" : null }, /^\d{4}-\d\d-\d\dT/.test(value) ? moments(value) : value),
]));

const chip = (text, kind) => el("span", { class: `chip ${kind || ""}` }, text);

function section(id, title, ...content) {
  return el("section", { id, "aria-labelledby": `${id}-title` }, el("h2", { id: `${id}-title` }, title), ...content);
}

// Blocks are deflated JSON in base64; each is read when it is first needed.
const blocks = new Map();

function unpack(text) {
  if (!blocks.has(text)) blocks.set(text, inflate(text));
  return blocks.get(text);
}

async function inflate(text) {
  if (typeof DecompressionStream === "undefined") throw new Error("this browser is too old: it has no DecompressionStream");
  const bytes = Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}
