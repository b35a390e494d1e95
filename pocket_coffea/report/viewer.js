// The enlarged plot or map: zoom by buttons, keys and dragging, the next and the one before, its numbers as a
// table. Of a map a list chooses what is shown.

class Viewer {
  constructor(data) {
    this.data = data;
    this.title = el("h2", { id: "viewer-title" });
    this.where = el("p", { class: "muted small" });
    this.figure = el("div", { class: "figure" });
    this.legend = el("ul", { class: "legend", "aria-label": "Legend and number of events in the range shown" });
    this.what = "simulation";
    this.choice = el("div", { class: "choice" });
    this.range = el("span", { class: "muted small", role: "status", "aria-live": "polite" });
    this.numbers = el("details", {}, el("summary", {}, "Numbers of the bins"));
    this.numbers.addEventListener("toggle", () => this.listNumbers());
    this.element = el("dialog", { "aria-labelledby": "viewer-title", onkeydown: (event) => this.key(event) }, this.content());
    this.element.addEventListener("click", (event) => { if (event.target === this.element) this.element.close(); });
    window.addEventListener("resize", () => { if (this.element.open && this.content_) this.render(); });
  }

  content() {
    const button = (name, text, action, label, keys) => (this[name] = el("button",
      { type: "button", onclick: action, "aria-label": label, "aria-keyshortcuts": keys, title: `${label} (${keys})` }, text));
    return el("div", { class: "viewer" },
      el("div", { class: "top" }, el("div", {}, this.title, this.where),
        el("button", { type: "button", autofocus: true, onclick: () => this.element.close(), "aria-label": "Close", title: "Close (Esc)" }, "✕")),
      el("div", { class: "tools", role: "group", "aria-label": "Zoom" },
        button("closer", "+", () => this.zoom(0.5), "Zoom in", "+"),
        button("farther", "−", () => this.zoom(2), "Zoom out", "-"),
        button("left", "◀", () => this.move(-1), "To the left", "ArrowLeft"),
        button("right", "▶", () => this.move(1), "To the right", "ArrowRight"),
        button("all", "All", () => this.set(0, this.size), "Whole range", "0"),
        button("logs", "Log", () => this.toggleLog(), "Logarithmic", "l"),
        this.choice, this.range, el("span", { class: "spring" }),
        button("before", "Previous", () => this.go(-1), "Previous plot", "PageUp"),
        button("after", "Next", () => this.go(1), "Next plot", "PageDown")),
      this.figure, this.legend, this.numbers);
  }

  open(entries, number, log) {
    this.entries = entries;
    this.log = log;
    if (!this.element.open) this.element.showModal();
    return this.load(number);
  }

  async load(number) {
    this.number = number;
    const entry = this.entries[number];
    this.content_ = null;
    const found = await numbersOf(entry);
    if (this.number !== number) return;
    this.title.replaceChildren(...rich(found.label));
    const year = this.data.years.get(entry.year);
    this.where.replaceChildren(`${entry.variable.name} · ${entry.category} · `, ...(flat(year) ? rich(year) : [yearName(entry.year, this.data.years)]));
    this.before.disabled = number === 0;
    this.after.disabled = number === this.entries.length - 1;
    if (!found.content) {
      this.figure.replaceChildren(el("p", { class: "muted" }, "Nothing was filled here."));
      this.legend.replaceChildren();
      this.choice.replaceChildren();
      return;
    }
    Object.assign(this, { label: found.label, shape: found.figure, content_: found.content, size: found.figure.edges.length - 1 });
    this.offer();
    this.set(0, this.size);
  }

  // Of a map: the choice of what is shown; what was chosen before stays where it is there.
  offer() {
    const maps = this.shape.up ? mapsOf(this.content_) : [];
    if (maps.length && !maps.includes(this.what)) this.what = maps[0];
    const choose = (what) => { this.what = what; this.render(); };
    this.choice.replaceChildren(...(maps.length > 1 ? [select("Show", maps.map((each) => [each, SHOWN[each]]), this.what, choose)] : []));
  }

  go(by) {
    const number = this.number + by;
    if (number >= 0 && number < this.entries.length) this.load(number);
  }

  // The shown bins: [from, to).
  set(from, to) {
    if (!this.content_) return;
    this.from = Math.max(Math.min(from, this.size - 1), 0);
    this.to = Math.min(Math.max(to, this.from + 1), this.size);
    this.render();
  }

  zoom(factor) {
    const shown = this.to - this.from;
    const wanted = Math.min(Math.max(Math.round(shown * factor), Math.min(2, this.size)), this.size);
    const from = Math.round(this.from + (shown - wanted) / 2);
    const start = Math.max(Math.min(from, this.size - wanted), 0);
    this.set(start, start + wanted);
  }

  move(direction) {
    const shown = this.to - this.from;
    const by = direction * Math.max(Math.round(shown / 4), 1);
    const from = Math.max(Math.min(this.from + by, this.size - shown), 0);
    this.set(from, from + shown);
  }

  toggleLog() {
    this.log = !this.log;
    this.render();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
    const actions = {
      "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2), 0: () => this.set(0, this.size),
      ArrowLeft: () => this.move(-1), ArrowRight: () => this.move(1), l: () => this.toggleLog(),
      PageUp: () => this.go(-1), PageDown: () => this.go(1),
    };
    const table = event.target.closest && event.target.closest(".scroll");
    if (!actions[event.key] || !this.content_ || (table && event.key.length > 1)) return; // a table scrolls by itself
    event.preventDefault();
    actions[event.key]();
  }

  render() {
    const width = Math.max(Math.round(this.figure.clientWidth), 240);
    const height = Math.round(Math.min(Math.max(width * 0.72, 330), Math.max(window.innerHeight * 0.6, 330)));
    const view = { width, height, from: this.from, to: this.to, log: this.log, label: this.label, title: describe(this.entries[this.number], this.data) };
    const map = Boolean(this.shape.up);
    this.drawn = map ? drawMap(this.shape, this.content_, { ...view, what: this.what }) : drawFigure(this.shape, this.content_, this.data.samples, view);
    this.drawn.width = width;
    this.figure.replaceChildren(this.drawn.svg);
    this.drag();
    const edges = this.shape.edges, whole_ = this.to - this.from === this.size;
    this.range.textContent = this.shape.names.length ? "" : `${short(edges[this.from])} to ${short(edges[this.to])}`;
    this.farther.disabled = this.all.disabled = whole_;
    this.closer.disabled = this.to - this.from <= Math.min(2, this.size);
    this.left.disabled = this.from === 0;
    this.right.disabled = this.to === this.size;
    this.logs.disabled = map && this.what === "ratio";
    this.logs.setAttribute("aria-pressed", String(this.log));
    this.figure.dataset.from = this.from;
    this.figure.dataset.to = this.to;
    this.listLegend();
    this.listNumbers();
  }

  // Dragging over the plot chooses a range of bins.
  drag() {
    const { svg, x, bins, top, bottom, width } = this.drawn;
    let start = null, mark = null;
    const place = (event) => {
      const box = svg.getBoundingClientRect();
      return ((event.clientX - box.left) / box.width) * width;
    };
    svg.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      start = place(event);
      mark = draw("rect", { class: "chosen", x: start, y: top, width: 0, height: bottom - top });
      svg.append(mark);
      svg.setPointerCapture(event.pointerId);
    });
    svg.addEventListener("pointermove", (event) => {
      if (!mark) return;
      const now = place(event);
      mark.setAttribute("x", Math.min(start, now));
      mark.setAttribute("width", Math.abs(now - start));
    });
    svg.addEventListener("pointercancel", () => { if (mark) mark.remove(); mark = null; });
    svg.addEventListener("pointerup", (event) => {
      if (!mark) return;
      const [low, high] = [start, place(event)].sort((a, b) => a - b);
      mark.remove();
      mark = null;
      if (high - low < 8) return;
      const chosen = bins.filter((i) => x(i + 1) > low + 1 && x(i) < high - 1);
      if (chosen.length) this.set(chosen[0], chosen.at(-1) + 1);
    });
  }

  listLegend() {
    const range = (values) => sum(values.slice(this.from, this.to).map((each) => each || 0));
    const entry = (kind, text, number, color) => el("li", {}, swatch(kind, color), el("span", {}, text), number !== null && el("span", { class: "number" }, short(number)));
    const content = this.content_, palette = this.data.samples;
    if (this.shape.up) {
      const rows = this.shape.up.edges.length - 1;
      const inside = (values) => sum(values.slice(this.from * rows, this.to * rows));
      this.legend.replaceChildren(...mapsOf(content).filter((each) => each !== "ratio").map((each) =>
        el("li", {}, el("span", {}, SHOWN[each]), el("span", { class: "number" }, short(inside(content[each]))))));
      return;
    }
    this.legend.replaceChildren(...[
      content.data && entry("data", "Data", range(content.data)),
      content.mc.length && entry("band", "Simulation, all uncertainties", range(totals(content, this.size))),
      ...[...content.mc].reverse().map(([number, values]) => entry("fill", rich(palette[number].label), range(values), palette[number].color)),
      ...content.signals.map(([number, values]) => entry("signal", rich(palette[number].label), range(values), palette[number].color)),
    ].filter(Boolean));
  }

  listNumbers() {
    if (!this.numbers.open || !this.content_) return;
    while (this.numbers.children.length > 1) this.numbers.lastChild.remove();
    this.numbers.append(this.shape.up ? mapTable(this.shape, this.content_, this) : this.table());
  }

  table() {
    const content = this.content_, edges = this.shape.edges, total = totals(content, this.size);
    const rows = [];
    for (let i = this.from; i < this.to; i += 1) {
      const name = this.shape.names[i] || `${short(edges[i])} to ${short(edges[i + 1])}`;
      rows.push(el("tr", {}, el("th", { scope: "row" }, name),
        content.data && el("td", {}, content.data[i] === null ? "hidden" : `${short(content.data[i])} +${short(content.high[i])} −${short(content.low[i])}`),
        content.mc.length > 0 && [el("td", {}, short(total[i])), el("td", {}, `±${short(content.stat[i])}`), el("td", {}, `+${short(content.up[i])} −${short(content.down[i])}`)],
        content.mc.map(([, values]) => el("td", {}, short(values[i])))));
    }
    const head = ["bin", ...(content.data ? ["data"] : []), ...(content.mc.length ? ["simulation", "statistical", "all uncertainties"] : []),
      ...content.mc.map(([number]) => flat(this.data.samples[number].label))];
    return table("Numbers of the bins", head, rows, "tall");
  }
}
