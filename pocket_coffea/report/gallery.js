// The gallery: a card for each variable, category and year that the filter lets through, drawn when it is seen.

const PAGE = 24;

function figuresOf(data, asked) {
  const words = asked.find.toLowerCase().split(/\s+/).filter(Boolean);
  const found = [];
  for (const variable of data.variables) {
    const text = `${variable.name} ${variable.label}`.toLowerCase();
    if (asked.variable !== "*" && asked.variable !== variable.name) continue;
    if (!words.every((word) => text.includes(word))) continue;
    for (const number of variable.categories) {
      const category = data.categories[number];
      if (asked.category !== "*" && asked.category !== category) continue;
      for (const year of variable.years) {
        if (asked.year !== "*" && asked.year !== year) continue;
        found.push({ variable, category, year });
      }
    }
  }
  return found;
}

const yearName = (year, years) => (year === "" ? `all years (${[...years.keys()].filter(Boolean).join(", ")})` : year);

// Read the numbers of an entry: {figure, content}; content is null where this category was never filled.
async function numbersOf(entry) {
  const block = await unpack(entry.variable.block);
  const figure = block.years[entry.year];
  return { label: block.label, figure, content: (figure && figure.categories[entry.category]) || null };
}

function describe(entry, data) {
  return `${entry.variable.label || entry.variable.name}, ${entry.category}, ${yearName(entry.year, data.years)}`;
}

class Gallery {
  constructor(data, viewer) {
    this.data = data;
    this.viewer = viewer;
    const years = [...data.years.keys()];
    this.asked = { find: "", variable: "*", category: data.categories[0] || "*", year: years[0] === undefined ? "*" : years[0], log: false };
    this.grid = el("div", { class: "gallery" });
    this.status = el("p", { class: "muted small", role: "status", "aria-live": "polite" });
    this.more = el("p", { class: "more" });
    this.watch = new IntersectionObserver((seen) => {
      for (const each of seen) if (each.isIntersecting) this.fill(each.target);
    }, { rootMargin: "300px" });
    this.cards = new Map();
    new ResizeObserver(() => this.resized()).observe(this.grid);
    this.element = section("plots", "Plots", this.controls(), legendOf(data), this.status, this.grid, this.more, leftOut(data));
    this.show();
  }

  controls() {
    const { data, asked } = this;
    const change = (key) => (value) => { asked[key] = value; this.show(); };
    const pairs = (names, all) => [["*", all], ...names.map((name) => [name, name])];
    const years = [...data.years.keys()].map((year) => [year, yearName(year, data.years)]);
    const find = el("input", { type: "search", id: "find", placeholder: "part of a name", oninput: () => change("find")(find.value) });
    const log = el("input", { type: "checkbox", id: "log", onchange: () => { asked.log = log.checked; this.redraw(); } });
    return el("div", { class: "controls", role: "group", "aria-label": "Filter of plots" },
      el("label", {}, "Find", find),
      select("Variable", pairs(data.variables.map((each) => each.name), "all variables"), asked.variable, change("variable")),
      select("Category", pairs(data.categories, "all categories"), asked.category, change("category")),
      select("Year", [...years, ...(years.length > 1 ? [["*", "each"]] : [])], asked.year, change("year")),
      el("label", { class: "tick" }, log, "Logarithmic"));
  }

  show() {
    this.entries = figuresOf(this.data, this.asked);
    this.watch.disconnect();
    this.cards.clear();
    this.grid.replaceChildren();
    this.add(PAGE);
  }

  add(number) {
    const start = this.cards.size;
    for (const [n, entry] of this.entries.slice(start, start + number).entries()) this.grid.append(this.card(entry, start + n));
    const left = this.entries.length - this.cards.size;
    this.status.textContent = this.entries.length ? `${whole(this.cards.size)} of ${whole(this.entries.length)} plots. Choose one to enlarge it.` : "No plot fits this filter.";
    this.more.replaceChildren(left > 0 ? el("button", { type: "button", onclick: () => this.further() }, `Show ${Math.min(left, PAGE)} more`) : "");
  }

  further() {
    const first = this.cards.size;
    this.add(PAGE);
    this.grid.children[first].querySelector("button").focus({ preventScroll: true });
  }

  card(entry, number) {
    const figure = el("span", { class: "figure" });
    const button = el("button", { type: "button", onclick: () => this.viewer.open(this.entries, number, this.asked.log) },
      el("span", { class: "name" }, entry.variable.name),
      el("span", { class: "where" }, `${entry.category} · ${yearName(entry.year, this.data.years)}`), figure);
    const made = el("article", { class: "card" }, button);
    this.cards.set(made, { entry, figure, drawn: 0 });
    this.watch.observe(made);
    return made;
  }

  async fill(card) {
    const known = this.cards.get(card);
    if (!known) return;
    const width = Math.round(known.figure.clientWidth);
    if (!width || known.drawn === width) return;
    known.drawn = width;
    const { label, figure, content } = await numbersOf(known.entry);
    if (!content) {
      known.figure.replaceChildren(el("span", { class: "muted" }, "Nothing was filled here."));
      return;
    }
    const view = { width, height: Math.round(width * 0.85), from: 0, to: figure.edges.length - 1, log: this.asked.log, label, title: describe(known.entry, this.data) };
    known.figure.replaceChildren((figure.up ? drawMap(figure, content, view) : drawFigure(figure, content, this.data.samples, view)).svg);
  }

  // Draw again what is drawn; what is not is drawn when it is seen.
  redraw() {
    for (const [card, known] of this.cards) if (known.drawn) { known.drawn = 0; this.fill(card); }
  }

  resized() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      for (const [card, known] of this.cards) if (known.drawn) this.fill(card);
    }, 150);
  }
}

function legendOf(data) {
  if (!data.variables.length) return null;
  const entry = (kind, text, color) => el("li", {}, swatch(kind, color), el("span", {}, text));
  const { samples } = data;
  return el("ul", { class: "legend", "aria-label": "Legend" },
    data.data && entry("data", "Data"),
    samples.filter((each) => each.stacked).map((each) => entry("fill", rich(each.label), each.color)),
    samples.filter((each) => each.signal).map((each) => entry("signal", rich(each.label), each.color)),
    samples.length > 0 && [entry("stat", "Statistical"), entry("band", "Statistical and systematic")]);
}

function leftOut(data) {
  if (!data.left_out.length) return null;
  return el("details", {}, el("summary", {}, `${data.left_out.length} histograms are not shown`),
    el("ul", { class: "small" }, data.left_out.map(([name, reason]) => el("li", {}, `${name}: ${reason}`))));
}
