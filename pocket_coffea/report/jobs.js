// The history of a campaign: states, progress in time, failures, and every attempt with what was decided.

const JOBS = 50;
const KIND = { done: "good", running: "", idle: "" };
const stateChip = (state) => chip(state, state in KIND ? KIND[state] : "bad");
const stateClass = (state) => `s-${state.split(" ")[0]}`;

function jobsSection(history) {
  const total = history.jobs.length;
  const strip = el("div", { class: "strip", "aria-hidden": "true" }, Object.entries(history.states).map(([state, number]) => {
    const part = el("i", { class: stateClass(state) });
    part.style.flexGrow = number;
    return part;
  }));
  const states = el("p", {}, el("b", {}, whole(total)), total === 1 ? " job: " : " jobs: ", Object.entries(history.states).map(([state, number], n) =>
    [n ? ", " : "", el("b", {}, whole(number)), ` ${state}`]));
  return section("jobs", "Jobs", strip, states, el("div", { class: "columns" },
    el("div", {}, el("h3", {}, "Campaign"), facts([...history.record, ["batch system", history.system], ["submissions", String(history.submissions)],
      ["begun", `${moment(history.begun)} UTC`], ...(history.ended ? [["last end", `${moment(history.ended)} UTC`]] : []),
      ...(history.blacklisted.length ? [["sites left alone", history.blacklisted.join(", ")]] : [])])),
    el("div", {}, el("h3", {}, "Jobs done over time"), progress(history))),
  failures(history), notes(history), speed(history), list(history));
}

function progress(history) {
  const ends = history.jobs.filter((job) => job.state === "done").map((job) => job.attempts.at(-1)?.ended).filter(Boolean).sort((a, b) => a - b);
  const width = 420, height = 170, left = 44, bottom = 140, total = history.jobs.length;
  const first = history.begun, last = Math.max(history.ended || 0, ends.at(-1) || 0, first + 1);
  const x = (time) => left + ((time - first) / (last - first)) * (width - left - 12);
  const y = (number) => bottom - (number / total) * (bottom - 10);
  let path = `M${left},${bottom}`;
  ends.forEach((time, n) => { path += `H${x(time).toFixed(1)}V${y(n + 1).toFixed(1)}`; });
  path += `H${width - 12}`;
  const text = `${ends.length} of ${total} jobs done in ${period(last - first)}`;
  const made = draw("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": text });
  const step = ticks(0, (last - first) / (last - first > 7200 ? 3600 : last - first > 120 ? 60 : 1), 4);
  const unit = last - first > 7200 ? [3600, "h"] : last - first > 120 ? [60, "min"] : [1, "s"];
  made.append(...ticks(0, total, 3).filter((value) => Number.isInteger(value)).flatMap((value) => [
    draw("line", { class: "grid", x1: left, x2: width - 12, y1: y(value), y2: y(value) }),
    draw("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, whole(value))]));
  made.append(draw("path", { class: "lineback", d: `${path}V${bottom}Z` }), draw("path", { class: "line", d: path }));
  made.append(...step.map((value) => draw("text", { x: x(first + value * unit[0]), y: bottom + 18, "text-anchor": "middle" }, `${tickText(value)} ${unit[1]}`)));
  return el("div", {}, made, el("p", { class: "muted small" }, text));
}

function failures(history) {
  if (!history.causes.length) return el("p", {}, "No attempt failed.");
  const rows = history.causes.map(([cause, attempts, jobs]) => el("tr", {}, el("th", { scope: "row" }, cause), el("td", {}, whole(attempts)), el("td", {}, whole(jobs))));
  return el("div", {}, el("h3", {}, "Why attempts failed"), table("Causes of failures", ["Cause", "Attempts", "Jobs"], rows));
}

function notes(history) {
  if (!history.notes.length && !history.open.length) return null;
  return el("div", {}, el("h3", {}, "Notes"), el("ul", { class: "small" }, history.notes.map(([time, text]) => el("li", {}, el("span", { class: "muted" }, `${moment(time)} `), text)),
    history.open.map((tag) => el("li", {}, `${tag}: it is not known what became of this submission`))));
}

function speed(history) {
  const done = history.throughput;
  return done && speedTable("Throughput of the jobs", done.datasets, done.events, done.wall_seconds);
}

function list(history) {
  const states = Object.keys(history.states);
  const troubled = history.jobs.filter((job) => job.attempts.some((each) => each.cause) || job.given_up).length;
  const asked = { state: troubled ? "!" : "*", find: "" };
  const place = el("div", {}), more = el("p", { class: "more" }), status = el("p", { class: "muted small", role: "status", "aria-live": "polite" });
  let found = [];
  const add = () => {
    const start = place.childElementCount;
    place.append(...found.slice(start, start + JOBS).map(jobItem));
    const left = found.length - place.childElementCount;
    status.textContent = `${whole(place.childElementCount)} of ${whole(found.length)} jobs`;
    more.replaceChildren(left > 0 ? el("button", { type: "button", onclick: add }, `Show ${Math.min(left, JOBS)} more`) : "");
  };
  const show = () => {
    const wanted = asked.find.toLowerCase();
    found = history.jobs.filter((job) => (asked.state === "*" || (asked.state === "!" ? job.given_up || job.attempts.some((each) => each.cause) : job.state === asked.state))
      && (!wanted || String(job.number) === wanted || JSON.stringify([job.datasets, job.attempts, job.decisions]).toLowerCase().includes(wanted)));
    place.replaceChildren();
    add();
  };
  const find = el("input", { type: "search", oninput: () => { asked.find = find.value; show(); }, placeholder: "number, host, cause, dataset" });
  const choices = [["*", "all"], ["!", `with a failure (${troubled})`], ...states.map((state) => [state, `${state} (${history.states[state]})`])];
  const controls = el("div", { class: "controls" }, select("Jobs", choices, asked.state, (value) => { asked.state = value; show(); }), el("label", {}, "Find", find));
  show();
  return el("div", {}, el("h3", {}, "History"), controls, status, place, more);
}

function jobItem(job) {
  const last = job.attempts.at(-1);
  const told = job.given_up || (job.state !== "done" && last && last.cause ? `${last.cause}${last.reason ? `: ${last.reason}` : ""}` : "");
  const size = [job.datasets.join(", "), job.events ? `${whole(job.events)} events` : ""].filter(Boolean).join(" · ");
  const body = el("ol", { class: "steps" });
  const item = el("details", { class: "job" }, el("summary", {}, el("span", { class: "number" }, `Job ${job.number}`), stateChip(job.state),
    el("span", { class: "muted small" }, `${job.attempts.length} ${job.attempts.length === 1 ? "attempt" : "attempts"}`), el("span", { class: "last" }, told || size)), body);
  item.addEventListener("toggle", () => { if (!body.childElementCount) body.append(...stepsOf(job, size)); });
  return item;
}

// Attempts and decisions in order of time.
function stepsOf(job, size) {
  const parts = job.attempts.map((each) => [each.ended || each.submitted || Infinity, attemptItem(each)]);
  parts.push(...job.decisions.map((each) => [each.time || 0, el("li", { class: "decision" }, el("b", {}, `Decision: ${each.action}`), each.reason && ` – ${newPart(each, job)}`,
    el("div", { class: "muted" }, `${moment(each.time)} UTC`))]));
  parts.sort((a, b) => a[0] - b[0]);
  return [size && el("li", { class: "muted" }, size), ...parts.map(([, item]) => item)].filter(Boolean);
}

// The reason of a decision repeats why the attempt failed, which stands above it: what it adds is enough.
function newPart(decision, job) {
  const attempt = job.attempts.find((each) => each.number === decision.attempt);
  if (!attempt || !attempt.cause) return decision.reason;
  const said = `${attempt.reason ? `${attempt.cause}: ${attempt.reason}` : attempt.cause}; `;
  return decision.reason.startsWith(said) ? decision.reason.slice(said.length) : decision.reason;
}

function attemptItem(each) {
  const ended = each.cause ? "bad" : each.state === "done" ? "good" : "";
  const code = each.exit_code !== null && each.exit_code !== 0 ? `exit code ${each.exit_code}` : each.signal ? `signal ${each.signal}` : "";
  const ran = each.began && each.ended ? `ran ${period(each.ended - each.began)}` : "";
  const memory = each.used_mb ? `${whole(each.used_mb)}${each.asked_mb ? ` of ${whole(each.asked_mb)}` : ""} MB` : each.asked_mb ? `${whole(each.asked_mb)} MB asked` : "";
  const details = [each.id && `id ${each.id}`, each.host, each.queue && `queue ${each.queue}`, memory, ran, code].filter(Boolean).join(" · ");
  const times = [each.submitted && `sent ${moment(each.submitted)}`, each.ended && `ended ${moment(each.ended)} UTC`].filter(Boolean).join(", ");
  return el("li", { class: ended }, el("b", {}, `Attempt ${each.number}: ${each.cause || each.state}`), each.reason && ` – ${each.reason}`,
    el("div", { class: "muted" }, details), el("div", { class: "muted" }, times),
    each.unreadable.length > 0 && el("div", { class: "muted" }, `could not be read: ${each.unreadable.slice(0, 5).join(", ")}${each.unreadable.length > 5 ? ", ..." : ""}`));
}
