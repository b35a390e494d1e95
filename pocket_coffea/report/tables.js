// Tables of the output: yields, cutflow, datasets, options, provenance.

function yearly(id, title, pairs, note, build) {
  const tables = new Map(pairs), years = [...tables.keys()];
  const place = el("div", {});
  const show = (year) => place.replaceChildren(build(tables.get(year)));
  show(years[0]);
  const choice = years.length > 1 && el("div", { class: "controls" },
    select("Year", years.map((year) => [year, year || `all (${years.filter(Boolean).join(", ")})`]), years[0], show));
  return section(id, title, choice, place, el("p", { class: "muted small" }, note));
}

function rowHead(row) {
  return el("th", { scope: "row", title: row.name }, row.name, row.kind === "data" && [" ", chip("data")], row.kind === "part" && el("span", { class: "hidden" }, "part of the sample above"));
}

function yieldsSection(output) {
  const cell = (pair) => {
    if (!pair) return el("td", {}, "–");
    const [value, error] = measured(...pair);
    return el("td", {}, value, error && el("span", { class: "error" }, ` ± ${error}`));
  };
  return yearly("yields", "Yields", output.yields, "Weighted events with their statistical error; data: events. A part of a sample is in its sample, too.",
    (rows) => table("Yields by category", ["Sample", ...output.categories],
      rows.map((row) => el("tr", { class: row.kind }, rowHead(row), row.cells.map(cell)))));
}

function cutflowSection(output) {
  const columns = [...output.steps, ...output.categories];
  const cells = (row) => row.cells.map((value, i) => {
    if (value === null) return el("td", {}, "–");
    const share = i > 0 && row.cells[0] > 0 ? `${Number(((100 * value) / row.cells[0]).toPrecision(3))} %` : "";
    return el("td", {}, whole(value), share && el("span", { class: "share" }, share));
  });
  return yearly("cutflow", "Cutflow", output.cutflow, `Events, not weighted, nominal variation. Below each: the share of the first column.`,
    (rows) => table("Cutflow", ["Sample", ...columns], rows.map((row) => el("tr", { class: row.kind }, rowHead(row), cells(row)))));
}

// good: all events are in; warn: fewer on purpose or by files that could not be read; bad: none.
function completeness(each) {
  const wanted = Math.max(each.expected === null ? 0 : each.expected, each.entries);
  if (!each.ledger) return { share: null, kind: "", text: "no ledger" };
  if (!wanted) return { share: 1, kind: "good", text: "empty" };
  const share = each.read / wanted;
  const kind = share >= 1 && !each.skipped ? "good" : share > 0 ? "warn" : "bad";
  return { share, kind, text: share >= 1 ? "complete" : `${(Math.floor(share * 1000) / 10).toFixed(1)} %` };
}

// Events and time by dataset, [name, events, seconds of processing]; ``seconds`` are those of the clock.
function speedTable(title, datasets, total, seconds) {
  const row = (name, events, time, kind) => el("tr", { class: kind }, el("th", { scope: "row", title: name }, name), el("td", {}, whole(events)),
    el("td", {}, period(time)), el("td", {}, time > 0 ? `${whole(events / time)} /s` : "–"));
  const busy = sum(datasets.map(([, , time]) => time));
  const rows = [...datasets.map((each) => row(...each)), row("all, per core", total, busy, "sum"), row("all, by the clock", total, seconds, "sum")];
  return el("div", {}, el("h3", {}, title), table(title, ["Dataset", "Events", "Processing", "Rate"], rows));
}

function datasetsSection(output, jobs) {
  const done = output.throughput;
  const rows = output.datasets.map((each) => {
    const state = completeness(each);
    const bar = state.share !== null && el("span", { class: `meter ${state.kind}`, "aria-hidden": "true" }, el("i", {}));
    if (bar) bar.firstChild.style.width = `${Math.min(state.share, 1) * 100}%`;
    return el("tr", {}, el("th", { scope: "row", title: each.name }, each.name),
      el("td", {}, bar, chip(state.text, state.kind), each.skipped > 0 && [" ", chip(`${each.skipped} skipped`, "bad")]),
      el("td", {}, whole(each.read)), el("td", {}, each.expected === null ? "–" : whole(each.expected)), el("td", {}, whole(each.files)),
      el("td", { class: "text" }, each.sample), el("td", {}, each.year), el("td", {}, each.mc === null ? "?" : each.mc ? "simulation" : "data"));
  });
  const head = ["Dataset", "Complete", "Events read", "Expected", "Files", { text: "Sample" }, "Year", "Type"];
  const holes = el("div", {});
  unpack(output.holes).then((found) => { if (found.length) holes.replaceChildren(holesTable(found)); });
  return section("datasets", "Datasets", table("Datasets and completeness", head, rows), holes,
    el("p", { class: "muted small" }, "Events read: by the ledger of the output. Expected: by the metadata of the dataset."),
    !jobs && done && done.datasets.length > 0 && speedTable("Throughput of the run", done.datasets, sum(done.datasets.map(([, events]) => events)), done.seconds));
}

function holesTable(found) {
  const rows = found.slice(0, 200).map(([dataset, file, where, reason]) => el("tr", {}, el("th", { scope: "row", title: dataset }, dataset),
    el("td", { class: "text" }, file), el("td", {}, where), el("td", { class: "text" }, reason)));
  const left = found.length - rows.length;
  return el("div", {}, el("h3", {}, `Missing or skipped: ${whole(found.length)}`),
    table("Missing or skipped parts of files", ["Dataset", { text: "File" }, "Entries", { text: "Reason" }], rows, "tall"),
    left > 0 && el("p", { class: "muted small" }, `and ${whole(left)} more`));
}

function optionsSection(output) {
  const rows = output.options.map(([name, value, origin]) => el("tr", {}, el("th", { scope: "row", title: name }, name), el("td", { class: "text" }, value), el("td", { class: "text" }, origin)));
  const body = rows.length ? table("Run options", ["Option", { text: "Value" }, { text: "Origin" }], rows) : el("p", {}, "The output does not say.");
  return section("options", "Run options", body);
}

function provenanceSection(output) {
  const groups = output.facts.map(([title, rows]) => el("div", {}, el("h3", {}, title), facts(rows)));
  return section("provenance", "Provenance", groups.length ? el("div", { class: "columns" }, groups) : el("p", {}, "The output has none."));
}
