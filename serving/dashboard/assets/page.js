"use strict";
// All text comes from models, tasks and journals: it is put into text nodes and nowhere else.

const SVG = "http://www.w3.org/2000/svg";
const main = document.getElementById("main");
const link = document.getElementById("link");
const stepDialog = document.getElementById("step");
const askDialog = document.getElementById("ask");
const MARKS = { solved: "✓", done: "✓", running: "▸", stopped: "‖", asking: "?", stalled: "■", failed: "✕", cancelled: "⊘", missing: "·", unreadable: "!" };
let skew = 0; // the server's clock minus ours, seconds
let controls = false;
let leave = null; // ends what the page that is shown has begun

// ---- elements

function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") for (const [event, heard] of Object.entries(value)) node.addEventListener(event, heard);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child != null && child !== ""));
  return node;
}

function s(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) if (value != null) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function fill(node, ...children) {
  node.replaceChildren(...children.flat().filter((child) => child != null && child !== ""));
}

function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function definitions(rows) {
  return h("dl", {}, rows.filter(([, value]) => value != null).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function table(caption, columns, rows, kind = "") {
  const named = (column) => (Array.isArray(column) ? column : [column, ""]);
  return h("div", { class: "scroll" }, h("table", { class: kind, role: "table" },
    h("caption", { class: kind === "jobs" ? "unseen" : null }, caption),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, columns.map((column) => h("th", { scope: "col", role: "columnheader", class: named(column)[1] }, named(column)[0])))),
    h("tbody", { role: "rowgroup" }, rows.map((cells) => h("tr", { role: "row" }, cells.map((cell, place) =>
      h("td", { role: "cell", class: named(columns[place])[1], "data-label": named(columns[place])[0] }, cell == null ? "" : cell)))))));
}

function chip(status) {
  return h("span", { class: `chip ${MARKS[status] ? status : ""}` }, h("span", { "aria-hidden": "true" }, MARKS[status] || "·"), status);
}

function bar(done, of, thin = false, label = "progress") {
  const share = of ? Math.min(1, done / of) : 0;
  const fill = h("i");
  fill.style.width = `${share * 100}%`;
  return h("div", { class: thin ? "bar thin" : "bar", role: "progressbar", "aria-label": label, "aria-valuemin": "0", "aria-valuemax": "100", "aria-valuenow": of ? String(Math.floor(share * 100)) : null }, fill);
}

// ---- numbers

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const one = new Intl.NumberFormat("en", { maximumFractionDigits: 1, minimumFractionDigits: 1 });
const count = (number) => (number == null ? "unknown" : whole.format(number));
const rate = (number) => (number == null ? "–" : number >= 100 ? whole.format(number) : one.format(number));
const chance = (number) => (number == null ? "–" : number === 0 ? "0" : number.toPrecision(3));
const percent = (share, digits = 2) => (share == null ? "–" : share > 0 && share * 100 < 0.5 / 10 ** digits ? `under ${1 / 10 ** digits} %` : `${(share * 100).toFixed(digits)} %`);
const money = (number) => (number == null ? null : number.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: number < 1 ? 4 : 2 }));
const moment = (seconds) => new Date(seconds * 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });

function span(seconds) {
  if (seconds == null) return "–";
  seconds = Math.max(0, seconds);
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (seconds < 1200) return `${Math.floor(seconds / 60)} min ${String(Math.floor(seconds % 60)).padStart(2, "0")} s`;
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${String(minutes % 60).padStart(2, "0")} min` : `${Math.round(hours / 24)} days`;
}

function age(since) {
  const node = h("span", { "data-since": since });
  node.textContent = `${span(Date.now() / 1000 + skew - since)} ago`;
  return node;
}

setInterval(() => {
  for (const node of document.querySelectorAll("[data-since]")) say(node, `${span(Date.now() / 1000 + skew - node.dataset.since)} ago`);
}, 1000);

const several = (number, what) => `${count(number)} ${what}${number === 1 ? "" : "s"}`;
const of = (step, steps) => (steps == null ? count(step) : `${count(step)} of ${count(steps)}`);

// ---- the server

function headers() {
  const token = sessionStorage.getItem("surefoot-token");
  return token ? { Authorization: `Bearer ${token}` } : {};
}

async function get(path, query = {}, signal = undefined) {
  const response = await fetch(`${path}?${new URLSearchParams(query)}`, { headers: headers(), signal });
  return answered(response);
}

async function post(path, body) {
  return answered(await fetch(path, { method: "POST", headers: { "Content-Type": "application/json", ...headers() }, body: JSON.stringify(body) }));
}

async function answered(response) {
  const text = await response.text();
  let found;
  try { found = JSON.parse(text); } catch { found = { error: text.slice(0, 500) || response.statusText }; }
  if (response.status === 401) { askForToken(); throw new Error(found.error); }
  if (!response.ok) throw new Error(found.error || response.statusText);
  return found;
}

// What is new of a topic, until the signal; a tab in the background is told nothing, for a browser opens six connections to a server.
async function listen(query, show, signal) {
  let pause = 1000;
  while (!signal.aborted) {
    const ended = new AbortController();
    const hidden = () => document.hidden && ended.abort();
    const gone = () => ended.abort();
    document.addEventListener("visibilitychange", hidden);
    signal.addEventListener("abort", gone);
    try {
      if (document.hidden) await new Promise((seen) => document.addEventListener("visibilitychange", seen, { once: true }));
      const response = await fetch(`/events?${new URLSearchParams(query)}`, { headers: headers(), signal: ended.signal });
      if (!response.ok) await answered(response);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        pause = 1000;
        const events = (rest + value).split("\n\n");
        rest = events.pop();
        connected("");
        for (const event of events) {
          if (!event.startsWith("data: ")) continue;
          const { now, view } = JSON.parse(event.slice(6));
          skew = now - Date.now() / 1000;
          connected(view.trouble);
          show(view);
        }
      }
    } catch (error) {
      if (!signal.aborted && !document.hidden) connected(String(error.message || error));
    } finally {
      document.removeEventListener("visibilitychange", hidden);
      signal.removeEventListener("abort", gone);
    }
    if (signal.aborted) return;
    if (!document.hidden) {
      await new Promise((go) => setTimeout(go, pause));
      pause = Math.min(30000, pause * 2);
    }
  }
}

function connected(trouble) {
  link.classList.toggle("lost", Boolean(trouble));
  say(link, trouble ? `no news: ${trouble}` : "live");
}

function dialog(node, id, title, ...content) {
  const open = node.open;
  fill(node, h("div", { class: "top" }, h("h2", { id }, title), ...content.shift(), h("button", { type: "button", on: { click: () => node.close() } }, "Close")), ...content.flat());
  if (!open) node.showModal();
  node.focus(); // what had the focus may be gone, and keys go to who has it
}

function askForToken() {
  if (askDialog.open) return;
  const token = h("input", { type: "password", id: "token", autocomplete: "off", size: "40" });
  const keep = (event) => {
    event.preventDefault();
    sessionStorage.setItem("surefoot-token", token.value);
    askDialog.close();
    route();
  };
  dialog(askDialog, "ask-title", "The token of this dashboard", [],
    h("form", { on: { submit: keep } }, h("p", {}, h("label", { for: "token" }, "As it was given with --token. It stays in this tab.")), h("p", { class: "row" }, token, h("button", {}, "Use it"))));
  token.focus();
}

// ---- charts: a title for everybody, figures in words for those who do not see them

const room = (card) => Math.max(240, (card.clientWidth || 640) - 34);

function bars(values, { label, width, ticks = [], height = 90, second = null, names = null, top = null, most = 0 }) {
  most ||= Math.max(...values, ...(second || []), 0) || 1;
  const low = 16, head = top ? 14 : 2, gap = values.length > 40 ? 1 : 3;
  const step = width / Math.max(1, values.length);
  const drawn = s("svg", { viewBox: `0 0 ${width} ${height + low}`, role: "img", "aria-label": label });
  drawn.append(s("line", { x1: 0, x2: width, y1: height + 0.5, y2: height + 0.5, class: "axis" }));
  if (top) drawn.append(s("line", { x1: 0, x2: width, y1: head, y2: head, class: "axis" }), s("text", { x: width, y: 10, "text-anchor": "end" }, top(most)));
  values.forEach((value, place) => {
    const each = second ? [[value, "fill-1"], [second[place], "fill-2"]] : [[value, "fill-1"]];
    const wide = Math.min(34, Math.max(0.5, (step - gap) / each.length)), from = place * step + (step - wide * each.length) / 2;
    each.forEach(([number, kind], part) => {
      const tall = (height - head) * number / most;
      const rect = s("rect", { x: from + part * wide, y: height - tall, width: wide, height: tall, class: kind });
      if (names) rect.append(s("title", {}, names[place]));
      drawn.append(rect);
    });
  });
  for (const [place, text] of ticks) {
    const anchor = place <= 0.02 ? "start" : place >= 0.98 ? "end" : "middle";
    drawn.append(s("text", { x: place * width, y: height + 13, "text-anchor": anchor }, text));
  }
  return drawn;
}

function line(values, width, label, top) {
  const height = 74, head = 14, most = Math.max(...values, 0) || 1;
  const points = values.map((value, place) => `${(place * width / Math.max(1, values.length - 1)).toFixed(1)},${(height - 1 - (height - 1 - head) * value / most).toFixed(1)}`);
  return s("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
    s("line", { x1: 0, x2: width, y1: height - 0.5, y2: height - 0.5, class: "axis" }), s("line", { x1: 0, x2: width, y1: head, y2: head, class: "axis" }),
    s("text", { x: width, y: 10, "text-anchor": "end" }, top), s("polyline", { points: points.join(" "), class: "stroke-1" }));
}

// ---- the list of jobs

function listPage() {
  const ended = new AbortController();
  const typed = new URLSearchParams(location.hash.split("?")[1] || "");
  const text = h("input", { id: "text", type: "search", value: typed.get("text") || "", placeholder: "name, task, argument or model" });
  const status = h("select", { id: "status" }, ["", ...Object.keys(MARKS).filter((each) => each !== "missing")].map((each) => h("option", { value: each, selected: each === typed.get("status") }, each || "any status")));
  const summary = h("p", { class: "soft", id: "summary" }, "looking …");
  const rows = h("div");
  const servers = h("div");
  fill(main,
    h("h1", {}, "Jobs"),
    h("form", { class: "filters", role: "search", on: { submit: (event) => event.preventDefault() } }, h("label", { for: "text" }, "Look for", text), h("label", { for: "status" }, "Status", status)),
    summary, rows, servers);
  const show = (view) => {
    const statuses = Object.entries(view.statuses).map(([name, number]) => `${count(number)} ${name}`).join(", ");
    say(summary, `${count(view.found)} of ${count(view.of)} jobs${statuses ? `: ${statuses}` : ""}; ${rate(view.steps_s)} steps/s together, ${count(view.tokens)} tokens${view.found > view.jobs.length ? `; the latest ${view.jobs.length} are shown` : ""}`);
    fill(servers, view.servers.length ? serversTable(view.servers) : null);
    if (rows.contains(document.activeElement)) return refresh(rows, view.jobs);
    fill(rows, view.jobs.length ? jobsTable(view.jobs) : h("p", { class: "soft" }, view.of ? "No job is like that." : "No jobs yet: surefoot run begins one."));
  };
  let listening = null;
  const again = () => {
    if (listening) listening.abort();
    listening = new AbortController();
    ended.signal.addEventListener("abort", () => listening.abort());
    const query = { text: text.value, status: status.value };
    history.replaceState(null, "", text.value || status.value ? `#/?${new URLSearchParams(query)}` : "#/");
    listen(query, show, listening.signal);
  };
  let waiting = 0;
  text.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(again, 300); });
  status.addEventListener("change", again);
  again();
  document.title = "surefoot: jobs";
  return () => ended.abort();
}

function jobsTable(jobs) {
  const shown = table("Jobs, those worked on last first", [["Job", "name"], "Status", ["Steps", "steps"], ["Steps/s", "num"], ["Left", "num"], ["Last work", "num"], ["Contested", "num"], ["Flags", "num"], ["Tokens", "num"], ["Task", "task"], ["Model", "model"]], jobs.map(cellsOf), "jobs");
  [...shown.querySelectorAll("tbody tr")].forEach((row, place) => { row.dataset.job = jobs[place].id; });
  return shown;
}

function cellsOf(job) {
  const name = h("a", { href: jobAddress(job.id) }, job.id);
  if (job.status === "unreadable") return [name, chip(job.status), "", "", "", "", "", "", "", job.why, ""];
  return [name, chip(job.status), h("div", {}, of(job.step, job.steps), job.steps ? bar(job.step, job.steps, true, `steps of ${job.id}`) : null, job.parts ? h("div", { class: "soft small" }, `stitched of ${count(job.parts)} parts`) : null),
    job.steps_s == null ? "" : rate(job.steps_s), job.left_s == null ? "" : span(job.left_s), age(job.updated), count(job.contested), count(job.flags), count(job.tokens), `${job.task} ${job.arguments}`, job.model];
}

// A row that has the focus stays where it is, and is brought up to date.
function refresh(rows, jobs) {
  const known = new Map(jobs.map((job) => [job.id, job]));
  for (const row of rows.querySelectorAll("tbody tr")) {
    const job = known.get(row.dataset.job);
    if (job) cellsOf(job).forEach((cell, place) => place && fill(row.cells[place], cell));
  }
}

const jobAddress = (id) => `#/job/${encodeURIComponent(id)}`;

// ---- a job

function jobPage(id) {
  const ended = new AbortController();
  const slots = Object.fromEntries(["head", "notices", "progress", "votes", "flags", "tokens", "risk", "more", "server", "course", "steps", "turns", "plan", "parts"].map((name) => [name, h("section", { class: "card" })]));
  for (const name of ["course", "turns", "plan", "parts"]) { slots[name].hidden = true; slots[name].className = "card full"; }
  slots.progress.className = "card wide";
  slots.votes.className = "card tall";
  slots.risk.className = "card full";
  slots.steps.className = "card full";
  slots.head.className = slots.notices.className = "";
  const { head, notices, ...cards } = slots;
  fill(main, h("p", { class: "small" }, h("a", { href: "#/" }, "← all jobs")), head, notices, h("div", { class: "grid" }, Object.values(cards)));
  fill(head, h("h1", {}, id), h("p", { class: "soft" }, "looking …"));
  const state = { id, slots, report: null, seen: {}, signal: ended.signal };
  listen({ job: id }, (view) => showJob(state, view), ended.signal);
  document.title = `surefoot: ${id}`;
  return () => ended.abort();
}

function showJob(state, view) {
  const { slots } = state;
  state.view = view;
  if (!view.report) {
    fill(slots.head, h("h1", {}, state.id), h("p", {}, chip(view.status)), h("p", {}, view.why || "There is no job of this name in this Redis."));
    return;
  }
  const r = view.report;
  if (state.seen.status && state.seen.status !== view.status) say(document.getElementById("said"), `${state.id} is ${view.status} now`);
  // What is read when it is asked for, once a status: contested steps, a stall, a question.
  const key = `${view.status} ${Math.min(20, r.contested)} ${view.status === "running" ? 0 : r.steps}`;
  if (key !== state.seen.report) { state.seen.report = key; fetchReport(state); }
  if (state.seen.status !== view.status || state.seen.suspended !== view.suspended || !state.seen.head) showHead(state, view);
  state.seen.status = view.status;
  state.seen.suspended = view.suspended;
  showNotices(state, view);
  showProgress(slots.progress, view);
  showVotes(slots.votes, view);
  showFlags(slots.flags, view);
  showRisk(slots.risk, view);
  showTokens(slots.tokens, view);
  showMore(slots.more, view);
  showServer(slots.server, view);
  const beside = [slots.risk, slots.more, slots.server].filter((card) => !card.hidden);
  for (const card of beside) card.className = ["card full", "card half", "card"][beside.length - 1];
  if (view.kind !== "stitched") later(state, "course", view, 60, showCourse);
  showSteps(state, view);
  if (view.kind === "agent") later(state, "turns", view, 3, showTurns);
  if (view.kind === "goal") later(state, "plan", view, 5, showPlan);
  if (view.kind === "stitched") showParts(slots.parts, view);
}

// Asks again for what takes some reading, when there are new steps and some seconds have passed.
function later(state, name, view, seconds, show) {
  const last = state.seen[name];
  if (last && (last.asking || last.step === view.report.steps || Date.now() - last.at < seconds * 1000)) return;
  state.seen[name] = { step: view.report.steps, at: Date.now(), asking: true };
  const slot = state.slots[name];
  show(state, slot).catch((error) => {
    if (state.signal.aborted) return;
    slot.hidden = false;
    fill(slot, h("h2", {}, name), h("p", { class: "soft" }, String(error.message || error)));
  }).finally(() => { state.seen[name].asking = false; state.seen[name].at = Date.now(); });
}

async function fetchReport(state) {
  try {
    state.report = await get("/api/report", { job: state.id }, state.signal);
    state.trouble = "";
  } catch (error) {
    if (state.signal.aborted) return;
    state.trouble = String(error.message || error);
  }
  showHead(state, state.view);
  showNotices(state, state.view);
  state.seen.steps = "";
  showSteps(state, state.view);
}

function showHead(state, view) {
  state.seen.head = true;
  const r = view.report, status = state.report && state.report.solved ? "solved" : view.status;
  const told = Object.entries(view.arguments).map(([name, value]) => `${name}=${value}`).join("  ");
  const may = controls && !["solved", "done", "cancelled"].includes(view.status);
  const failed = h("p", { class: "bad small", role: "alert" });
  const suspend = may && (view.suspended || view.status === "running") ? change(view.suspended ? "Let it go on" : "Suspend", failed, "/api/suspend", () => ({ job: state.id, off: view.suspended })) : null;
  const cancel = may ? h("button", { type: "button", class: "danger", on: { click: () => cancelJob(state) } }, "Cancel the job …") : null;
  fill(state.slots.head,
    h("h1", {}, state.id),
    h("div", { class: "row" }, chip(status), h("span", {}, `${r.task} `, h("span", { class: "mono" }, told)), suspend, cancel), failed,
    h("p", { class: "soft small" }, `${r.models.join(", then ")} · begun ${moment(view.created)}`, view.code ? ` · ${view.code}` : "", view.holder ? ` · held by ${view.holder}` : ""));
}

function showNotices(state, view) {
  const found = [], r = view.report, report = state.report;
  if (view.trouble) found.push([view.trouble, "bad"]);
  if (state.trouble) found.push([state.trouble, "bad"]);
  if (view.unread) found.push([view.unread, "bad"]);
  if (r.drift) found.push([r.drift, "bad"]);
  if (view.suspended) found.push([["Suspended by a person: whoever runs the job keeps it and stands still before the next step. In a terminal: ", h("code", {}, `surefoot suspend ${state.id} --off`)]]);
  if (r.stopped) found.push([r.stopped]);
  if (report) {
    for (const fault of report.faults) found.push([fault]);
    if (report.next && view.status !== "running") found.push([["to go on: ", h("code", {}, report.next)]]);
  }
  const key = JSON.stringify([found.map(([text]) => String(text)), view.limit, report && report.stall, report && report.question, view.status, controls]);
  if (state.seen.notices === key) return;
  state.seen.notices = key;
  const shown = found.map(([text, kind]) => h("p", { class: `notice ${kind || ""}`, role: kind === "bad" ? "alert" : null }, text));
  if (report && report.stall && view.status === "stalled") shown.push(stallNotice(state, view, report.stall));
  if (report && report.question && view.status === "asking") shown.push(questionNotice(state, report.question));
  fill(state.slots.notices, ...shown);
}

function stallNotice(state, view, stall) {
  const votes = Object.entries(stall.tally).map(([answer, number]) => `${answer}: ${number}`).join(", ") || "no valid ballot";
  const flags = Object.entries(stall.red_flags).map(([reason, number]) => `${reason}: ${number}`).join(", ") || "none";
  const failed = h("p", { class: "bad", role: "alert" });
  const limit = h("input", { id: "limit", type: "number", min: "1", value: String(2 * view.limit) });
  const more = controls && view.kind !== "stitched" ? h("p", { class: "row" }, h("label", { for: "limit" }, "Samples that a step may take"), limit, change("Set the limit", failed, "/api/limit", () => ({ job: state.id, limit: Number(limit.value) }))) : null;
  return h("div", { class: "notice bad" }, h("p", {}, `Step ${count(stall.step)} stalled. Votes: ${votes}. Red flags: ${flags}. `, stepButton(state, stall.step, "What was asked")), stall.examples.map((text) => h("pre", {}, text)), h("p", { class: "small soft" }, `A step may take ${count(view.limit)} samples.`), more, failed);
}

function questionNotice(state, question) {
  const send = async (answer) => {
    try {
      await post("/api/decide", { job: state.id, question: question.id, answer });
      fill(box, h("p", {}, `Answered: ${answer}. Whoever resumes the job goes on with it.`));
    } catch (error) { say(failed, String(error.message || error)); }
  };
  const failed = h("p", { class: "bad", role: "alert" });
  const free = h("textarea", { id: "answer", rows: "3", cols: "50" });
  const form = !controls ? h("p", { class: "soft small" }, "To answer here start the dashboard with --token; in a terminal: ", h("code", {}, "surefoot decide"))
    : question.choices.length ? h("p", { class: "row" }, question.choices.map((choice) => h("button", { type: "button", on: { click: () => send(choice) } }, choice)))
      : h("p", { class: "row" }, h("label", { for: "answer" }, "Your answer"), free, h("button", { type: "button", on: { click: () => send(free.value) } }, "Answer"));
  const box = h("div", { class: "notice" }, h("p", {}, h("strong", {}, `Step ${count(question.step)} asks: `), question.question), form, failed);
  return box;
}

// A button that changes something; what it came to is seen at the next look.
function change(text, failed, path, body) {
  const go = async () => {
    say(failed, "");
    try { await post(path, body()); } catch (error) { say(failed, String(error.message || error)); }
  };
  return h("button", { type: "button", on: { click: go } }, text);
}

function cancelJob(state) {
  const failed = h("p", { class: "bad", role: "alert" });
  const go = async () => {
    try { await post("/api/cancel", { job: state.id }); askDialog.close(); } catch (error) { say(failed, String(error.message || error)); }
  };
  dialog(askDialog, "ask-title", `Cancel ${state.id}?`, [], h("p", {}, "Its runner is refused at its next commit. What is decided stays; only resume --again takes it up."), failed, h("p", { class: "row" }, h("button", { type: "button", class: "danger", on: { click: go } }, "Cancel the job")));
}

function showProgress(card, view) {
  const r = view.report, pace = view.pace, left = pace && pace.left;
  const share = r.steps_expected ? percent(r.steps / r.steps_expected, 1) : null;
  const rates = (each) => each && `${rate(each.steps_s)}/s${each.over_s < 59 ? `, over the ${span(each.over_s)} seen here` : ""}`;
  const ten = pace && pace.ten_minutes && pace.ten_minutes.over_s > 60 ? `${rate(pace.ten_minutes.steps_s)}/s${pace.ten_minutes.over_s < 590 ? `, over the ${span(pace.ten_minutes.over_s)} seen here` : ""}` : null;
  const until = left ? `${span(left.seconds)} left, ${span(left.least)} to ${left.most == null ? "nobody knows" : span(left.most)} at 95 % if it goes on as in the last ${span(left.over_s)}` : view.status === "running" ? (r.steps_expected ? "time left: not yet known" : "how many steps it takes is not known") : "";
  fill(card, h("h2", {}, "Progress"),
    h("div", { class: "big" }, of(r.steps, r.steps_expected), h("span", { class: "soft small" }, share ? ` steps, ${share}` : " steps")),
    r.steps_expected ? bar(r.steps, r.steps_expected, false, "steps decided") : null,
    h("p", { id: "left" }, until),
    definitions([
      ["Steps/s, last minute", rates(pace && pace.minute)], ["Last ten minutes", ten],
      ["Over all work", view.mean_steps_s == null ? null : `${rate(view.mean_steps_s)}/s in ${span(r.wall_s)}`],
      ["Durable", h("span", {}, `step ${count(r.steps)}, `, age(view.updated))],
    ]),
    pace && pace.course.length ? line(pace.course, room(card), `Steps a second over the time seen here: ${rate(Math.min(...pace.course))} to ${rate(Math.max(...pace.course))}`, `${rate(Math.max(...pace.course))} steps/s`) : null);
}

function showVotes(card, view) {
  const r = view.report, latest = view.latest;
  const rows = [["Votes", `${count(r.votes)} in ${several(r.samples, "sample")}`], ["Lead that decides", `k = ${r.k}`],
    ["Contested", several(r.contested, "step")], ["Repaired", several(r.repairs, "segment")], r.reused ? ["Reused", several(r.reused, "step")] : ["", null],
    ["Dissent", `${percent(r.dissent_rate, 3)} of votes`], ["Predicted at most", view.error == null ? "not calibrated" : percent(view.error, 3)]];
  fill(card, h("h2", {}, "Votes"), definitions(rows), latest && latest.margins.length ? margins(latest, room(card)) : null);
}

function margins(latest, width) {
  const few = latest.margins.length === 1;
  return h("div", {}, h("h3", {}, "The latest steps"),
    few ? h("p", { class: "small" }, `The winner led by ${latest.margins[0][0]} on each of ${count(latest.voted)} voted steps.`) : histogram(latest.margins, "Winner's lead", latest.voted, width),
    histogram(latest.dissents, "Votes against the winner", latest.voted, width));
}

function histogram(pairs, what, steps, width) {
  const found = new Map(pairs), low = Math.min(...found.keys()), high = Math.max(...found.keys(), low + 5);
  const values = Array.from({ length: high - low + 1 }, (_, place) => low + place);
  return h("figure", {}, bars(values.map((value) => found.get(value) || 0), {
    width, label: `${what} over ${count(steps)} steps: ${pairs.map(([value, number]) => `${value}: ${count(number)}`).join(", ")}`, height: 70,
    names: values.map((value) => `${value}: ${count(found.get(value) || 0)} steps`), ticks: values.map((value, place) => [(place + 0.5) / values.length, String(value)]),
  }), h("figcaption", { class: "soft small" }, `${what}, over ${count(steps)} voted steps`));
}

function showFlags(card, view) {
  const r = view.report, rows = Object.entries(r.red_flags).sort((a, b) => b[1] - a[1]);
  fill(card, h("h2", {}, "Red flags"), rows.length
    ? table("Samples thrown away, by reason", ["Reason", ["Samples", "num"], ["Of all", "num"]], rows.map(([reason, number]) => [reason, count(number), percent(number / r.samples)]))
    : h("p", { class: "soft" }, "No sample was thrown away."));
}

function showRisk(card, view) {
  const r = view.report, calibrated = r.risk != null;
  fill(card, h("h2", {}, "Risk of a wrong step"), definitions([
    ["Wanted", r.reliability == null ? null : `${r.reliability} all right`],
    ["Predicted, if steps are alike", calibrated ? chance(r.risk) : "not calibrated"],
    ["At most, however they differ", r.risk_bound == null ? "no bound" : chance(r.risk_bound)],
    ["The run's own dissent allows", r.risk_measured == null ? "–" : chance(r.risk_measured)],
    ["Rule", r.rule === "budget" ? "risk budget" : "lead"],
  ]), r.hard ? h("p", { class: "small soft" }, r.hard.why) : null, r.kinds.length
    ? table("Kinds of steps", ["Kind", ["Votes", "num"], ["Dissent", "num"], ["Predicted", "num"]], r.kinds.map((each) => [each.kind == null ? "not met before" : each.kind || "all", count(each.votes), percent(each.dissent_rate, 3), each.dissent_predicted == null ? "–" : percent(each.dissent_predicted, 3)])) : null);
}

function showTokens(card, view) {
  const t = view.tokens, p = view.projected;
  fill(card, h("h2", {}, "Tokens and cost"), definitions([
    ["Total", count(t.total)], ["In", t.prompt == null ? "unknown" : `${count(t.prompt)}, ${count(t.cached)} cached`], ["Out", count(t.completion)], ["Of it thinking", count(t.reasoning)],
    ["Projected", p ? count(p.tokens) : "not known"], ["Cost so far", view.cost == null ? "no price given" : money(view.cost)], ["Projected cost", p && p.cost != null ? money(p.cost) : null],
    ["Calibration", view.report.calibration ? `${count(view.report.calibration.tokens)} tokens, ${span(view.report.calibration.wall_s)} more` : null],
  ]), t.uncounted ? h("p", { class: "small soft" }, `Of ${count(t.uncounted)} samples the server did not say all.`) : null);
}

function showMore(card, view) {
  const r = view.report, ahead = r.speculation, found = [];
  if (ahead) found.push(h("h2", {}, "Asked ahead"), definitions([
    ["Accepted", percent(ahead.acceptance)], ["Depth", `${ahead.depth} steps`], ["Wasted", `${count(ahead.wasted_samples)} samples, ${percent(ahead.waste, 1)}`], ["Tokens of it", count(ahead.wasted_tokens)]]));
  if (r.rungs.length) found.push(h("h2", {}, "Ladder"), table("What hard steps climbed", ["Rung", ["Climbed", "num"], ["Decided", "num"], ["Samples", "num"]], r.rungs.map((each) => [each.rung, count(each.climbed), count(each.decided), count(each.samples)])));
  card.hidden = !found.length;
  fill(card, ...found);
}

function showServer(card, view) {
  const asked = view.asked, lately = asked && asked.lately, found = [];
  if (asked) found.push(h("h2", {}, "Asked of the server"), definitions([
    ["In flight", lately ? `${rate(lately.in_flight)} of ${count(lately.allowed)} let in` : null], ["Requests", lately ? `${rate(lately.requests_s)}/s, ${count(asked.requests)} in all` : `${count(asked.requests)} in all`],
    ["A request takes", lately && lately.latency_s != null ? span(lately.latency_s) : null], ["Tried again", `${count(asked.retries)}${lately && lately.retries ? `, ${count(lately.retries)} lately` : ""}`]]),
    h("p", { class: "small soft" }, lately ? `by its runner, on average over ${span(lately.over_s)} of work` : "by its runners"));
  for (const server of view.servers) found.push(h("h2", {}, "vLLM"), h("p", { class: "mono" }, server.address), server.trouble ? h("p", { class: "bad" }, server.trouble) : definitions(serverFigures(server)));
  card.hidden = !found.length;
  fill(card, ...found);
}

const serverFigures = (server) => [
  ["Running", count(server.running)], ["Waiting", count(server.waiting)], ["KV cache", server.kv_cache == null ? null : percent(server.kv_cache, 1)], ["Preempted", server.preempted == null ? null : count(server.preempted)],
  ["Tokens/s in", server.prompt_s == null ? null : rate(server.prompt_s)], ["Tokens/s out", server.generated_s == null ? null : rate(server.generated_s)], ["Prefix cache hits", server.prefix_hits == null ? null : percent(server.prefix_hits, 1)],
];

function serversTable(servers) {
  const names = ["Running", "Waiting", "KV cache", "Preempted", "Tokens/s in", "Tokens/s out", "Prefix cache hits"];
  return h("section", { class: "card full" }, h("h2", {}, "Model servers"), table("As each vLLM says at /metrics", ["Address", ...names.map((name) => [name, "num"])], servers.map((server) =>
    server.trouble ? [server.address, ...names.map((_, place) => (place ? "" : h("span", { class: "bad" }, server.trouble)))] : [server.address, ...serverFigures(server).map(([, value]) => (value == null ? "–" : value))])));
}

async function showCourse(state, card) {
  const found = await get("/api/course", { job: state.id }, state.signal);
  if (!found.read || found.read.length < 2) return;
  const parts = found.read, share = (part) => (part.voted ? part.contested / part.voted : 0);
  const flags = parts.map((part) => Object.values(part.flags).reduce((sum, each) => sum + each, 0));
  const thrown = parts.map((part, place) => flags[place] / Math.max(1, part.votes + flags[place]));
  card.hidden = false;
  fill(card, h("h2", {}, "The course of the job"),
    bars(parts.map(share), {
      second: thrown, height: 120, width: room(card), top: (most) => percent(most, 1), label: `Over ${parts.length} segments from the first step to the last: contested steps from ${percent(Math.min(...parts.map(share)))} to ${percent(Math.max(...parts.map(share)))}, samples thrown away from ${percent(Math.min(...thrown))} to ${percent(Math.max(...thrown))}`,
      names: parts.map((part, place) => `steps ${count(part.first)} to ${count(part.first + part.steps - 1)}: ${count(part.contested)} contested, ${count(flags[place])} red flags`),
      ticks: [[0, `step ${count(parts[0].first)}`], [1, `step ${count(parts.at(-1).first + parts.at(-1).steps - 1)}`]],
    }),
    h("p", { class: "legend" }, h("span", {}, h("i"), "share of steps that were contested"), h("span", {}, h("i", { class: "two" }), "share of samples that were thrown away"), h("span", {}, `${parts.length} of ${count(found.segments)} segments of ${count(found.segment)} steps`)));
}

function showSteps(state, view) {
  const latest = view.latest ? view.latest.notable.slice(-10).reverse() : [], first = state.report ? state.report.contested_steps : [];
  const key = JSON.stringify([latest, first, view.report.steps > 0]);
  if (state.seen.steps === key) return;
  state.seen.steps = key;
  const card = state.slots.steps;
  if (card.contains(document.activeElement)) { state.seen.steps = ""; return; } // nothing is taken away under somebody's hands
  const number = h("input", { id: "number", type: "number", min: "0", max: String(Math.max(0, view.report.steps - 1)), value: String(Math.max(0, view.report.steps - 1)) });
  const open = (event) => { event.preventDefault(); openStep(state, Number(number.value)); };
  fill(card, h("h2", {}, "Steps"),
    h("form", { class: "row", on: { submit: open } }, h("label", { for: "number" }, "Open step"), number, h("button", {}, "Open")),
    latest.length ? table("Contested, flagged or climbed lately", ["Step", ["Votes", "num"], ["Against", "num"], "Red flags", "Ladder"], latest.map((each) => [stepButton(state, each.step), count(each.votes), count(each.against), Object.entries(each.flags).map(([reason, times]) => `${reason}: ${times}`).join(", "), each.rungs.join(", ")])) : null,
    first.length ? h("details", { open: !latest.length }, h("summary", {}, first.length === 1 ? "The first contested step" : `The first ${count(first.length)} contested steps`), table("As the task shows their answers", ["Step", "Winner", ["Votes", "num"], "Against"], first.map((each) => [stepButton(state, each.step), each.winner, count(each.votes), Object.entries(each.against).map(([answer, votes]) => `${answer} (${votes})`).join(", ")]))) : null,
    !latest.length && !first.length ? h("p", { class: "soft" }, view.report.steps ? "No step was contested, as far as the latest were read." : "No step is decided yet.") : null);
}

const stepButton = (state, step, text) => h("button", { type: "button", class: "plain", on: { click: () => openStep(state, step) } }, text || count(step));

async function openStep(state, step) {
  let found;
  try { found = await get("/api/step", { job: state.id, step }); } catch (error) { found = { error: String(error.message || error) }; }
  const go = (to) => h("button", { type: "button", disabled: to < 0, on: { click: () => openStep(state, to) } }, to < step ? "← before" : "after →");
  stepDialog.onkeydown = (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target.tagName === "INPUT") return;
    if (event.key === "ArrowLeft" && step > 0) openStep(state, step - 1);
    if (event.key === "ArrowRight") openStep(state, step + 1);
  };
  const title = `Step ${count(step)}${found.job && found.job !== state.id ? `, step ${count(step - found.first)} of ${found.job}` : ""}`;
  dialog(stepDialog, "step-title", title, [go(step - 1), go(step + 1)], found.error ? h("p", { class: "bad", role: "alert" }, found.error) : stepContent(found));
}

function stepContent(found) {
  const content = [];
  if (found.winner != null) {
    const all = found.votes + found.against.reduce((sum, each) => sum + each.votes, 0);
    content.push(h("h3", {}, "Verdict"), h("pre", {}, found.winner));
    if (found.reused != null) content.push(h("p", { class: "soft" }, `No vote: the verdict is that of step ${count(found.reused)}, which asked the same.`));
    if (all) content.push(h("div", { class: "tally" }, [[found.votes, "for the winner"], ...found.against.map((each) => [each.votes, `for ${each.answer}`])].flatMap(([votes, text]) => [h("strong", { class: "num" }, count(votes)), h("div", {}, h("span", {}, text), bar(votes, all, true, text))])));
    for (const rung of found.rungs) content.push(h("p", {}, `ladder, ${rung.rung}: ${rung.votes.map((each) => `${each.votes} for ${each.answer}`).join(", ") || "no election"}; ${count(rung.samples)} samples`));
    const flags = Object.entries(found.flags).map(([reason, number]) => `${reason}: ${number}`).join(", ");
    content.push(h("p", { class: "small soft" }, `red flags: ${flags || "none"}; tokens: ${count(found.tokens.prompt)} in, ${count(found.tokens.completion)} out, ${count(found.tokens.reasoning)} of it thinking`));
    content.push(h("h3", {}, "Ballots"));
    if (!found.samples) content.push(h("p", { class: "soft" }, "The samples were not kept, as of most steps on which all ballots agree."));
    else for (const each of found.samples) content.push(h("details", { open: found.samples.length < 6 }, h("summary", {}, `${each.number}: `, each.flag ? h("span", { class: "bad" }, `red flag ${each.flag}`) : `a vote for ${String(each.ballot).slice(0, 200)}`, h("span", { class: "soft" }, ` · ended by ${each.finish}`)), h("pre", {}, each.text)));
    if (found.more_samples) content.push(h("p", { class: "soft" }, `and ${count(found.more_samples)} samples more`));
  }
  content.push(h("h3", {}, "What was asked"));
  if (found.prompt) {
    if (found.views > 1) content.push(h("p", { class: "soft small" }, `the first of ${found.views} views`));
    for (const each of found.prompt) content.push(each.role ? h("p", { class: "soft small" }, each.role, each.pictures ? `, with ${each.pictures} pictures` : "") : null, h("pre", {}, each.content));
  } else content.push(h("p", { class: "soft" }, found.why));
  return content;
}

// ---- agents, goals, stitched jobs

async function showTurns(state, card) {
  const found = await get("/api/turns", { job: state.id, first: state.firstTurn == null ? -1 : state.firstTurn }, state.signal);
  card.hidden = false;
  if (card.contains(document.activeElement) && card.querySelector("details[open]")) return; // somebody reads
  const level = (number) => h("span", { class: `level ${number >= 8 ? "high" : number >= 4 ? "mid" : ""}` }, number.toFixed(1));
  const rows = found.turns.map((turn) => h("details", { class: "turn" },
    h("summary", {}, h("strong", {}, `Turn ${turn.turn}`), h("span", { title: "overthinking, 0 to 10" }, level(turn.score)), h("span", { class: "call" }, turn.calls.map((call) => call.name).join("; ") || "answers"),
      h("span", { class: "soft small" }, `${several(turn.votes, "vote")}${turn.against ? `, ${turn.against} against` : ""}, ${count(turn.tokens)} tokens${turn.thinking ? `, ${count(turn.thinking)} of it thinking` : ""}`), turn.seen.some((each) => each.outcome !== "done") ? h("span", { class: "warm small" }, "something failed") : null, turn.act ? h("span", { class: "warm small" }, `the monitor stepped in: ${turn.act}`) : null),
    turn.said ? h("p", {}, turn.said) : null,
    turn.calls.map((call, place) => [h("pre", {}, `${call.name} ${call.arguments}`), turn.seen[place] ? h("pre", { class: turn.seen[place].outcome === "done" ? "" : "warm" }, `${turn.seen[place].outcome}${turn.seen[place].code == null ? "" : `, code ${turn.seen[place].code}`}\n${turn.seen[place].text}`) : h("p", { class: "soft" }, "no observation yet")]).flat(),
    turn.person.length ? h("p", {}, `a person: ${turn.person.join(", ")}`) : null, turn.summary ? h("p", { class: "soft" }, `then it summed up: ${turn.summary}`) : null,
    h("p", { class: "small soft" }, Object.entries(turn.levels).map(([pattern, number]) => `${pattern.replaceAll("_", " ")} ${number.toFixed(1)}`).join(" · "), " ", stepButton(state, turn.step, "the vote on this turn"))));
  const more = (first, text) => h("button", { type: "button", on: { click: () => { state.firstTurn = first; state.seen.turns = null; later(state, "turns", state.view, 0, showTurns); } } }, text);
  fill(card, h("h2", {}, "Trajectory"),
    found.turns.length > 1 ? bars(found.turns.map((turn) => turn.score), { height: 60, width: room(card), most: 10, top: (score) => `score ${score}`, label: `Overthinking by turn, 0 to 10, the last ${found.turns.at(-1).score.toFixed(1)}`, names: found.turns.map((turn) => `turn ${turn.turn}: ${turn.score.toFixed(1)}`), ticks: [[0, `turn ${found.turns[0].turn}`], [1, `turn ${found.turns.at(-1).turn}`]] }) : null,
    h("p", { class: "soft small" }, `turns ${found.first + 1} to ${found.first + found.turns.length} of ${found.of}; the score is that of the live signals, without thoughts, which no journal has${found.interventions == null ? "" : `; the monitor stepped in ${found.interventions === 1 ? "once" : `${count(found.interventions)} times`}${found.interventions && !found.turns.some((turn) => turn.act != null) ? ", by a policy of its own, which no journal has" : ""}`}`),
    h("p", { class: "row" }, found.first > 0 ? more(Math.max(0, found.first - 200), "earlier turns") : null, found.first + found.turns.length < found.of ? more(-1, "the latest turns") : null), rows);
}

async function showPlan(state, card) {
  const found = await get("/api/plan", { job: state.id }, state.signal);
  card.hidden = false;
  if (card.contains(document.activeElement)) return;
  fill(card, h("h2", {}, "How the problem is made smaller"), h("div", { class: "plan", tabindex: "0", role: "group", "aria-label": "the plan as a graph" }, graph(found.nodes)),
    found.more ? h("p", { class: "soft" }, `and ${count(found.more)} parts more`) : null,
    h("details", {}, h("summary", {}, "As a list"), outline(found.nodes)), h("details", {}, h("summary", {}, "As a Mermaid flowchart"), h("pre", {}, found.mermaid)));
}

const within = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

function graph(nodes) {
  const wide = 200, tall = 62, across = 16, down = 40, children = nodes.map(() => []), places = [];
  nodes.forEach((node, place) => { if (node.parent != null) children[node.parent].push(place); });
  let leaves = 0, deepest = 0;
  const lay = (place, depth) => {
    const under = children[place].map((child) => lay(child, depth + 1));
    const x = under.length ? (under[0] + under.at(-1)) / 2 : leaves++ * (wide + across);
    places[place] = { x, y: depth * (tall + down) };
    deepest = Math.max(deepest, depth);
    return x;
  };
  lay(0, 0);
  const width = Math.max(1, leaves) * (wide + across), height = (deepest + 1) * (tall + down);
  const drawn = s("svg", { viewBox: `-4 -4 ${width + 8} ${height}`, width: width + 8, height, role: "img", "aria-label": `${nodes.length} problems; the list below has them in words` });
  nodes.forEach((node, place) => {
    const { x, y } = places[place];
    if (node.parent != null) {
      const above = places[node.parent], middle = y - down / 2;
      drawn.append(s("path", { class: "edge", d: `M${above.x + wide / 2},${above.y + tall} V${middle} H${x + wide / 2} V${y}` }));
    }
    const box = s("g", { class: node.answer == null ? "node open" : "node", transform: `translate(${x},${y})` }, s("rect", { width: wide, height: tall, rx: 8 }), s("title", {}, `${node.problem}${node.answer == null ? "" : ` = ${node.answer}`}`),
      s("text", { x: 10, y: 18 }, within(node.problem, 32)), s("text", { x: 10, y: 35 }, node.answer == null ? "open" : within(`= ${node.answer}`, 32)), s("text", { x: 10, y: 52, class: "dim" }, `${count(node.votes)} votes, ${count(node.tokens)} tokens`));
    drawn.append(box);
  });
  return drawn;
}

function outline(nodes) {
  const lists = [];
  const top = h("ul");
  nodes.forEach((node, place) => {
    const item = h("li", {}, node.problem, node.formula ? h("span", { class: "soft" }, ` by ${node.formula}`) : null, node.answer == null ? h("em", {}, ": open") : `: ${node.answer}`);
    (node.parent == null ? top : lists[node.parent]).append(item);
    lists[place] = h("ul");
    item.append(lists[place]);
  });
  return top;
}

function showParts(card, view) {
  card.hidden = false;
  if (card.contains(document.activeElement)) return;
  const done = view.parts.filter((part) => part.status === "done").length;
  fill(card, h("h2", {}, "Parts"),
    table(`${count(done)} of the ${count(view.parts.length)} shown are done${view.more ? `; ${count(view.more)} more are done and not shown` : ""}`, ["Part", "Status", "Steps", ["First step", "num"], ["Contested", "num"], "Held by"],
      view.parts.map((part) => [h("a", { href: jobAddress(part.id) }, part.id), chip(part.status), h("div", {}, of(part.step, part.steps), bar(part.step, part.steps, true, `steps of ${part.id}`)), count(part.first), count(part.contested), part.holder || ""])),
    table("Steps of each worker", ["Worker", ["Steps", "num"]], Object.entries(view.workers).map(([worker, steps]) => [worker, count(steps)])));
}

// ---- the frame

function route() {
  const begins = !leave;
  if (leave) leave();
  stepDialog.close();
  const job = location.hash.match(/^#\/job\/(.+)$/);
  let id = "";
  try { id = job ? decodeURIComponent(job[1]) : ""; } catch { id = ""; }
  leave = id ? jobPage(id) : listPage();
  if (!begins) main.focus(); // where a page would begin
}

const THEMES = ["auto", "light", "dark"];
const dark = matchMedia("(prefers-color-scheme: dark)");
function paint() {
  const chosen = localStorage.getItem("surefoot-theme") || "auto";
  document.documentElement.dataset.theme = chosen === "auto" ? (dark.matches ? "dark" : "light") : chosen;
  const button = document.getElementById("theme");
  say(button, { auto: "Auto", light: "Light", dark: "Dark" }[chosen]);
  button.setAttribute("aria-label", `Colours: ${chosen === "auto" ? "as the system" : chosen}`);
}
document.getElementById("theme").addEventListener("click", () => {
  const now = localStorage.getItem("surefoot-theme") || "auto";
  localStorage.setItem("surefoot-theme", THEMES[(THEMES.indexOf(now) + 1) % THEMES.length]);
  paint();
});
dark.addEventListener("change", paint);
document.getElementById("control").addEventListener("click", askForToken);
document.getElementById("skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
addEventListener("hashchange", route);

paint();
get("/api/jobs", { status: "unreadable" }).then((found) => {
  controls = found.controls;
  document.getElementById("control").hidden = !controls;
}).catch(() => {}).finally(route);
