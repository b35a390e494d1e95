// Builds the page from its data.

function tile(name, value, detail, kind) {
  return el("div", { class: `tile ${kind || ""}` }, el("dt", {}, name), el("dd", {}, value, detail && el("small", {}, detail)));
}

function outputTiles(output) {
  const states = output.datasets.map(completeness);
  const complete = states.filter((each) => each.kind === "good").length;
  const read = sum(output.datasets.map((each) => each.read));
  const known = states.some((each) => each.share !== null);
  const kind = complete === states.length && states.length ? "good" : known ? "warn" : "";
  const speed = output.throughput;
  return [
    tile("Events read", known ? whole(read) : "–", known ? speed && `in ${period(speed.seconds)}` : "the output has no ledger"),
    tile("Datasets complete", known ? `${complete} of ${states.length}` : "–", !known ? "the output has no ledger" : kind === "good" ? "nothing is missing" : "see Datasets", kind),
    tile("Plots", whole(sum(output.figures.variables.map((each) => each.categories.length * each.years.length))),
      `${output.figures.variables.length} variables, ${output.categories.length} categories`),
    speed && tile("Throughput", `${whole(speed.rate)} /s`, "events by the clock, start-up included"),
  ];
}

function jobsTile(states) {
  const total = sum(Object.values(states)), done = states.done || 0;
  const bad = sum(Object.entries(states).filter(([state]) => !(state in KIND)).map(([, number]) => number));
  return tile("Jobs done", `${whole(done)} of ${whole(total)}`, bad ? `${whole(bad)} ${bad === 1 ? "needs" : "need"} a look` : done === total ? "all" : "the others wait or run", bad ? "bad" : done === total ? "good" : "warn");
}

function heading(data) {
  const { output, jobs } = data;
  const note = (text) => el("p", { class: "note" }, text);
  return [
    el("p", { class: "over" }, "PocketCoffea run report"),
    el("h1", {}, data.title.split(/(?<=[/_.])/).flatMap((part) => [part, el("wbr")])),
    el("p", { class: "muted" }, summary(output)),
    el("dl", { class: "tiles" }, output && outputTiles(output), jobs && jobsTile(jobs.states)),
    output && output.warnings.map(note),
    !output && note("These jobs have no merged output yet: merge it with pocket-coffea merge-outputs, and make the report again."),
  ].flat(3).filter(Boolean);
}

function summary(output) {
  if (!output) return "Jobs";
  const known = Object.fromEntries(output.facts.flatMap(([, rows]) => rows));
  const file = known.configuration && !known.configuration.includes("*") ? known.configuration : "";
  return [file, known.executor, known.end && moments(known.end), known.PocketCoffea && `PocketCoffea ${known.PocketCoffea}`].filter(Boolean).join(" · ");
}

async function build(data) {
  const { output, jobs } = data;
  const sections = [];
  if (output) {
    output.figures.years = new Map(output.figures.years);
    const viewer = new Viewer(output.figures);
    document.body.append(viewer.element);
    if (output.figures.variables.length || output.figures.left_out.length) sections.push(new Gallery(output.figures, viewer).element);
    if (output.categories.length) sections.push(yieldsSection(output));
    if (output.steps.length) sections.push(cutflowSection(output));
    sections.push(datasetsSection(output, jobs));
  }
  if (jobs) sections.push(jobsSection(await unpack(jobs.block)));
  if (output) sections.push(optionsSection(output), provenanceSection(output));
  document.getElementById("head").replaceChildren(...heading(data));
  document.getElementById("main").replaceChildren(...sections);
  document.getElementById("nav").replaceChildren(el("ul", {}, sections.map((each) =>
    el("li", {}, el("a", { href: `#${each.id}` }, each.querySelector("h2").textContent)))));
  document.getElementById("foot").replaceChildren(el("p", {}, `Made by PocketCoffea ${data.version}, ${moments(data.made)}. This page needs no network.`));
  document.body.dataset.ready = "true";
}

const data = JSON.parse(document.getElementById("data").textContent);
build(data).catch((error) => {
  document.getElementById("main").replaceChildren(el("p", { class: "note" }, `This page cannot be shown: ${error.message}`));
  throw error;
});
