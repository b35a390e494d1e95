// A histogram of two axes: cells coloured by their content, with the scale of colours on the right.

const SCALE = 64; // room for the scale of colours
const LEVELS = 32;
const SHADES = [[68, 1, 84], [65, 68, 135], [42, 120, 142], [34, 168, 132], [122, 209, 81], [253, 231, 37]];
const OPPOSITES = [[33, 102, 172], [146, 197, 222], [247, 247, 247], [244, 165, 130], [178, 24, 43]];
const SHOWN = { simulation: "Simulation", observed: "Data", ratio: "Data / simulation" };

// What can be shown of a map, the usual first.
function mapsOf(content) {
  const found = ["simulation", "observed"].filter((each) => content[each]);
  return found.length === 2 ? [...found, "ratio"] : found;
}

function cellsOf(content, what) {
  if (what !== "ratio") return content[what];
  return content.observed.map((value, i) => (content.simulation[i] > 0 ? value / content.simulation[i] : null));
}

function shade(colors, share) {
  const place = Math.min(Math.max(share, 0), 1) * (colors.length - 1);
  const at = Math.min(Math.floor(place), colors.length - 2);
  const mixed = colors[at].map((from, i) => Math.round(from + (colors[at + 1][i] - from) * (place - at)));
  return `rgb(${mixed.join(",")})`;
}

// From a content to a share of the scale, and the marks beside it; null where nothing is drawn.
function colorScale(values, what, log) {
  if (what === "ratio") {
    return { colors: OPPOSITES, share: (value) => (value === null ? null : value - 0.5), ticks: [0.5, 0.75, 1, 1.25, 1.5].map((each) => [each - 0.5, String(each)]) };
  }
  const filled = values.filter((value) => value !== 0);
  const high = Math.max(...filled, 0) || 1;
  if (log) {
    const low = Math.max(Math.min(...filled.filter((value) => value > 0), high / 10), high * 1e-7);
    const range = Math.log10(high / low);
    const share = (value) => (value > 0 ? Math.max(Math.log10(value / low) / range, 0) : null);
    return { colors: SHADES, share, ticks: decades(low, high).map((each) => [share(10 ** each), power(each)]) };
  }
  const low = Math.min(...filled, 0);
  const share = (value) => (value === 0 ? null : (value - low) / (high - low));
  return { colors: SHADES, share, ticks: ticks(low, high, 5).map((value) => [(value - low) / (high - low), tickText(value)]) };
}

function drawMap(figure, content, view) {
  const { width, height, from, to, log, title } = view;
  const what = mapsOf(content).includes(view.what) ? view.what : mapsOf(content)[0];
  const bins = Array.from({ length: to - from }, (_, n) => from + n);
  const bottom = height - MARGIN.bottom, inner = width - SCALE + MARGIN.right;
  const x = across(figure, bins, inner);
  const { edges, names } = figure.up;
  const y = (j) => Number((bottom - ((edges[j] - edges[0]) / (edges.at(-1) - edges[0])) * (bottom - MARGIN.top)).toFixed(2));
  const values = what ? cellsOf(content, what) : [];
  const rows = edges.length - 1;
  const scale = colorScale(bins.flatMap((i) => values.slice(i * rows, (i + 1) * rows)), what, log);
  const made = draw("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": what ? `${title}, ${SHOWN[what]}` : title });
  made.append(...cells(bins, rows, values, scale, x, y), ...axisText(figure, figure.edges, bins, x, inner, height), ...upwardText(edges, names, y));
  made.append(draw("rect", { class: "axis", x: MARGIN.left, y: MARGIN.top, width: width - SCALE - MARGIN.left, height: bottom - MARGIN.top }));
  made.append(...colorBar(scale, width, bottom));
  made.append(richSvg(figure.axes[1], { class: "title", transform: `translate(13 ${MARGIN.top}) rotate(-90)`, "text-anchor": "end" }));
  made.append(richSvg(figure.axes[0], { class: "title", x: width - SCALE, y: height - 6, "text-anchor": "end" }));
  return { svg: made, x, bins, top: MARGIN.top, bottom };
}

// Cells of one colour are one path: thousands of elements would be slow.
function cells(bins, rows, values, scale, x, y) {
  const paths = new Map();
  for (const i of bins) {
    for (let j = 0; j < rows; j += 1) {
      const share = scale.share(values[i * rows + j]);
      if (share === null) continue;
      const level = Math.round(Math.min(Math.max(share, 0), 1) * (LEVELS - 1));
      paths.set(level, `${paths.get(level) || ""}M${x(i)},${y(j)}H${x(i + 1)}V${y(j + 1)}H${x(i)}Z`);
    }
  }
  return [...paths].map(([level, d]) => draw("path", { class: "cell", fill: shade(scale.colors, level / (LEVELS - 1)), d }));
}

function upwardText(edges, names, y) {
  const label = (at, text) => draw("text", { x: MARGIN.left - 6, y: at + 4, "text-anchor": "end" }, text);
  const [bottom, top] = [y(0), y(edges.length - 1)];
  const most = Math.max((bottom - top) / 45, 2);
  if (names.length) {
    const every = Math.ceil(names.length / most / 2);
    return names.flatMap((name, j) => (j % every ? [] : [label((y(j) + y(j + 1)) / 2, name.slice(0, 8))]));
  }
  const place = (value) => bottom - ((value - edges[0]) / (edges.at(-1) - edges[0])) * (bottom - top);
  return ticks(edges[0], edges.at(-1), most).map((value) => label(place(value), tickText(value)));
}

function colorBar(scale, width, bottom) {
  const left = width - SCALE + 8, height = bottom - MARGIN.top, step = height / LEVELS;
  const parts = [];
  for (let level = 0; level < LEVELS; level += 1) {
    parts.push(draw("rect", { class: "cell", x: left, y: bottom - (level + 1) * step, width: 11, height: step, fill: shade(scale.colors, level / (LEVELS - 1)) }));
  }
  parts.push(draw("rect", { class: "axis", x: left, y: MARGIN.top, width: 11, height }));
  for (const [share, text] of scale.ticks) {
    parts.push(draw("text", { x: left + 15, y: Math.min(Math.max(bottom - share * height, MARGIN.top + 6), bottom - 2) + 4 }, text));
  }
  return parts;
}

// The table of a map: a row for each bin across, a column for each upwards.
function mapTable(figure, content, view) {
  const { edges, names } = figure.up, rows = edges.length - 1;
  const values = cellsOf(content, view.what);
  const range = (all, named, i) => named[i] || `${short(all[i])} to ${short(all[i + 1])}`;
  const shown = (value) => (value === null ? "–" : short(value));
  const lines = [];
  for (let i = view.from; i < view.to; i += 1) {
    lines.push(el("tr", {}, el("th", { scope: "row" }, range(figure.edges, figure.names, i)),
      values.slice(i * rows, (i + 1) * rows).map((value) => el("td", {}, shown(value)))));
  }
  const head = [`${flat(figure.axes[0])} \\ ${flat(figure.axes[1])}`, ...Array.from({ length: rows }, (_, j) => range(edges, names, j))];
  return table(`Numbers of the bins, ${SHOWN[view.what]}`, head, lines, "tall");
}
