// One figure: the stack of simulation with its bands, signals, data with errors, and their ratio below.

const MARGIN = { left: 62, right: 12, top: 12, bottom: 40 };
const sum = (numbers) => numbers.reduce((total, each) => total + each, 0);

function totals(content, size) {
  const total = new Array(size).fill(0);
  for (const [, values] of content.mc) values.forEach((value, i) => { total[i] += value; });
  return total;
}

function ticks(low, high, wanted) {
  const step = (high - low) / Math.max(wanted, 1);
  if (!(step > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(step));
  const nice = [1, 2, 5, 10].find((each) => each * power >= step) * power;
  const found = [];
  for (let value = Math.ceil(low / nice - 1e-9) * nice; value <= high + nice * 1e-9; value += nice) {
    found.push(Math.abs(value) < nice * 1e-9 ? 0 : value);
  }
  return found;
}

function decades(low, high) {
  const found = [];
  for (let power = Math.ceil(Math.log10(low) - 1e-9); power <= Math.log10(high) + 1e-9; power += 1) found.push(power);
  const every = Math.ceil(found.length / 6);
  return found.filter((power) => power % every === 0);
}

const POWERS = "⁰¹²³⁴⁵⁶⁷⁸⁹";
const power = (exponent) => (exponent === 0 ? "1" : exponent === 1 ? "10"
  : `10${exponent < 0 ? "⁻" : ""}${[...String(Math.abs(exponent))].map((each) => POWERS[each]).join("")}`);

function tickText(value) {
  const size = Math.abs(value);
  if (size >= 1e6 || (size > 0 && size < 1e-3)) {
    const exponent = Math.floor(Math.log10(size) + 1e-9);
    const front = Number((value / 10 ** exponent).toPrecision(3));
    return front === 1 ? power(exponent) : `${front}·${power(exponent)}`;
  }
  return Number(value.toPrecision(6)).toLocaleString("en-US");
}

// Vertical scale of the upper panel; a margin above keeps data and band from the frame.
function heightScale(content, total, bins, log, top, bottom) {
  const highs = bins.map((i) => Math.max(
    total[i] + (content.up ? content.up[i] : 0),
    content.data && content.data[i] !== null ? content.data[i] + content.high[i] : 0,
    ...content.signals.map(([, values]) => values[i])));
  const lows = bins.map((i) => Math.min(0, total[i] - (content.down ? content.down[i] : 0)));
  const high = Math.max(...highs, 0);
  if (log) {
    const seen = bins.flatMap((i) => [total[i], content.data ? content.data[i] : 0]).filter((value) => value > 0);
    const ceiling = high > 0 ? high * 3 : 10;
    const floor = Math.min(seen.length ? Math.max(Math.min(...seen) / 3, ceiling * 1e-7) : 0.1, ceiling / 100);
    const range = Math.log10(ceiling / floor);
    const at = (value) => bottom - ((Math.log10(Math.max(value, floor)) - Math.log10(floor)) / range) * (bottom - top);
    return { at, ticks: decades(floor, ceiling).map((each) => [10 ** each, power(each)]) };
  }
  const ceiling = high > 0 ? high * 1.12 : 1;
  const floor = Math.min(...lows) * 1.1;
  const at = (value) => bottom - ((value - floor) / (ceiling - floor)) * (bottom - top);
  return { at, ticks: ticks(floor, ceiling, Math.max((bottom - top) / 45, 2)).map((value) => [value, tickText(value)]) };
}

// The outline of a step function over the shown bins, and back along another.
function area(bins, x, upper, lower) {
  let path = "";
  for (const [n, i] of bins.entries()) path += `${n ? "L" : "M"}${x(i)},${upper(i)}H${x(i + 1)}`;
  for (const i of [...bins].reverse()) path += `L${x(i + 1)},${lower(i)}H${x(i)}`;
  return `${path}Z`;
}

function steps(bins, x, y) {
  return bins.map((i, n) => `${n ? "L" : "M"}${x(i)},${y(i)}H${x(i + 1)}`).join("");
}

function axisText(figure, edges, bins, x, width, height) {
  const parts = [];
  if (figure.names.length) {
    const every = Math.ceil(bins.length / Math.max(width / 90, 1));
    for (const i of bins) if ((i - bins[0]) % every === 0) {
      parts.push(draw("text", { x: (x(i) + x(i + 1)) / 2, y: height - MARGIN.bottom + 16, "text-anchor": "middle" }, figure.names[i].slice(0, 14)));
    }
    return parts;
  }
  const low = edges[bins[0]], high = edges[bins.at(-1) + 1];
  const scale = (value) => MARGIN.left + ((value - low) / (high - low)) * (width - MARGIN.left - MARGIN.right);
  for (const value of ticks(low, high, Math.max((width - 70) / 75, 2))) {
    const at = scale(value);
    parts.push(draw("line", { class: "axis", x1: at, x2: at, y1: height - MARGIN.bottom, y2: height - MARGIN.bottom - 5 }));
    parts.push(draw("text", { x: Math.min(at, width - 14), y: height - MARGIN.bottom + 16, "text-anchor": "middle" }, tickText(value)));
  }
  return parts;
}

// One scale across: linear in the quantity, except that named bins are equally wide.
function across(figure, bins, width) {
  const edges = figure.edges, low = edges[bins[0]], high = edges[bins.at(-1) + 1];
  return (i) => Number((MARGIN.left + ((edges[i] - low) / (high - low)) * (width - MARGIN.left - MARGIN.right)).toFixed(2));
}

function drawFigure(figure, content, palette, view) {
  const { width, height, from, to, log, label, title } = view;
  const size = figure.edges.length - 1;
  const bins = Array.from({ length: to - from }, (_, n) => from + n);
  const total = totals(content, size);
  const ratio = Boolean(content.data && content.mc.length);
  const bottom = height - MARGIN.bottom;
  const foot = ratio ? Math.round(bottom - (bottom - MARGIN.top) * 0.26) : bottom;
  const x = across(figure, bins, width);
  const y = heightScale(content, total, bins, log, MARGIN.top, foot);
  const made = draw("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title });
  made.append(...grid(y, width), ...stack(content, palette, bins, x, y.at), ...signals(content, palette, bins, x, y.at));
  if (content.data) made.append(...points(bins, x, (i) => content.data[i], (i) => [content.low[i], content.high[i]], y.at, MARGIN.top, foot));
  made.append(draw("rect", { class: "axis", x: MARGIN.left, y: MARGIN.top, width: width - MARGIN.left - MARGIN.right, height: foot - MARGIN.top }));
  if (ratio) made.append(...lower(content, total, bins, x, foot + 8, bottom, width));
  made.append(...axisText(figure, figure.edges, bins, x, width, height));
  made.append(draw("text", { "text-anchor": "middle", transform: `translate(12 ${(MARGIN.top + foot) / 2}) rotate(-90)` }, "Events"));
  made.append(richSvg(label, { class: "title", x: width - MARGIN.right, y: height - 6, "text-anchor": "end" }));
  return { svg: made, x, bins, top: MARGIN.top, bottom };
}

function grid(y, width) {
  return y.ticks.flatMap(([value, text]) => [
    draw("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y.at(value), y2: y.at(value) }),
    draw("text", { x: MARGIN.left - 6, y: y.at(value) + 4, "text-anchor": "end" }, text),
  ]);
}

function stack(content, palette, bins, x, at) {
  const below = new Array(bins.at(-1) + 1).fill(0);
  const parts = [];
  for (const [number, values] of content.mc) {
    const base = [...below];
    for (const i of bins) below[i] += values[i];
    const top = [...below];
    parts.push(draw("path", {
      class: "layer", fill: palette[number].color,
      d: area(bins, x, (i) => at(top[i]).toFixed(2), (i) => at(base[i]).toFixed(2)),
    }));
  }
  if (!content.mc.length) return parts;
  const band = (up, down) => area(bins, x, (i) => at(below[i] + up[i]).toFixed(2), (i) => at(below[i] - down[i]).toFixed(2));
  parts.push(draw("path", { class: "total", d: steps(bins, x, (i) => at(below[i]).toFixed(2)) }));
  parts.push(draw("path", { class: "stat", d: band(content.stat, content.stat) }));
  parts.push(draw("path", { class: "band", d: band(content.up, content.down) }));
  return parts;
}

function signals(content, palette, bins, x, at) {
  return content.signals.map(([number, values]) =>
    draw("path", { class: "signal", stroke: palette[number].color, d: steps(bins, x, (i) => at(values[i]).toFixed(2)) }));
}

function points(bins, x, value, errors, at, top, bottom) {
  const parts = [];
  const radius = bins.length > 45 ? 2 : 2.8;
  const inside = (y) => Math.min(Math.max(y, top), bottom);
  for (const i of bins) {
    if (value(i) === null || value(i) === undefined) continue;
    const middle = (x(i) + x(i + 1)) / 2, [low, high] = errors(i), y = at(value(i));
    const ends = [inside(at(value(i) + high)), inside(at(value(i) - low))];
    if (ends[0] !== ends[1]) parts.push(draw("line", { class: "bar", x1: middle, x2: middle, y1: ends[0], y2: ends[1] }));
    if (y >= top && y <= bottom) parts.push(draw("circle", { class: "point", cx: middle, cy: y, r: radius }));
  }
  return parts;
}

// Data over simulation, with the bands of simulation around one. What is outside of the panel is left out.
function lower(content, total, bins, x, top, bottom, width) {
  const filled = bins.filter((i) => total[i] > 0);
  const reach = filled.map((i) => (content.data[i] === null || content.data[i] === 0 ? 0 : Math.abs(content.data[i] / total[i] - 1))).sort((a, b) => a - b);
  const typical = reach.length ? reach[Math.floor(reach.length * 0.85)] : 0;
  const half = [0.1, 0.2, 0.5, 1].find((each) => each >= typical * 1.15) || 1;
  const at = (value) => bottom - ((value - (1 - half)) / (2 * half)) * (bottom - top);
  const clip = (value) => Math.min(Math.max(at(value), top), bottom).toFixed(2);
  const relative = (errors, i) => (total[i] > 0 ? errors[i] / total[i] : 0);
  const band = (up, down) => area(bins, x, (i) => clip(1 + relative(up, i)), (i) => clip(1 - relative(down, i)));
  const right = width - MARGIN.right;
  return [
    draw("path", { class: "stat", d: band(content.stat, content.stat) }),
    draw("path", { class: "band", d: band(content.up, content.down) }),
    draw("line", { class: "one", x1: MARGIN.left, x2: right, y1: at(1), y2: at(1) }),
    ...points(filled, x, (i) => (content.data[i] === null ? null : content.data[i] / total[i]),
      (i) => [content.low[i] / total[i], content.high[i] / total[i]], at, top, bottom),
    draw("rect", { class: "axis", x: MARGIN.left, y: top, width: right - MARGIN.left, height: bottom - top }),
    ...[1 - half / 2, 1, 1 + half / 2].map((value) => draw("text", { x: MARGIN.left - 6, y: at(value) + 4, "text-anchor": "end" }, String(Number(value.toFixed(3))))),
    draw("text", { class: "ratio", "text-anchor": "middle", transform: `translate(12 ${(top + bottom) / 2}) rotate(-90)` }, "Data/MC"),
  ];
}

// The mark of a legend entry.
function swatch(kind, color) {
  const made = draw("svg", { width: 22, height: 14, "aria-hidden": "true", class: "plot" });
  made.style.width = "22px";
  if (kind === "fill") made.append(draw("rect", { x: 1, y: 1, width: 20, height: 12, rx: 2, fill: color }));
  if (kind === "signal") made.append(draw("path", { class: "signal", stroke: color, d: "M1,7H21" }));
  if (kind === "band") made.append(draw("rect", { class: "band", x: 1, y: 1, width: 20, height: 12 }), draw("rect", { class: "axis", x: 1, y: 1, width: 20, height: 12 }));
  if (kind === "stat") made.append(draw("rect", { class: "stat", x: 1, y: 1, width: 20, height: 12 }));
  if (kind === "data") made.append(draw("line", { class: "bar", x1: 11, x2: 11, y1: 0, y2: 14 }), draw("circle", { class: "point", cx: 11, cy: 7, r: 3 }));
  return made;
}
