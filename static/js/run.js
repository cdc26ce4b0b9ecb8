// The run page and the compare page: holds the window, asks the server for it, lets the parts draw it.

import { Asker, ask } from "./asker.js";
import { Events } from "./events.js";
import { listenToKeys } from "./keys.js";
import { followLive } from "./live.js";
import { Overview } from "./overview.js";
import { onScheme } from "./palette.js";
import { Panel } from "./panel.js";
import { windowFigures } from "./series.js";
import { shareDialog } from "./share.js";
import { listenTo } from "./surface.js";
import { figure, moment, span, whole } from "./time.js";
import { Track } from "./track.js";
import { View, write } from "./view.js";

const LEAST_NS = 20; // no window is narrower
const REST_MS = 250; // a live window is asked for at most so often
const PX_MOST = 1_600;

const main = document.getElementById("run");
const setup = JSON.parse(main.dataset.setup);
const runs = setup.runs;
const many = runs.length > 1;
const view = new View(setup.view);
const asker = new Asker(["window", "history", "step", "events", "overview"]);
const $ = (id) => document.getElementById(id);

const tracks = [...main.querySelectorAll("[data-track]")].map((section) => new Track(section, setup, runs, many));
const plots = tracks.flatMap((track) => track.plots);
const stage = $("stage");
const room = stage.querySelector(".tracks");
let axis = { t0: 0, t1: 1 };
let hovered = null;
let opened = { run: runs[0], t: null };

// --- the window ------------------------------------------------------------------------------------------------------

const end = () => Math.max(1, ...runs.map((run) => (run.time_ns ?? 0) + 1));

function wanted() {
  const { t0, t1, span: last } = view.now;
  if (t0 !== null) return { t0, t1 };
  return last === null ? { t0: 0, t1: end() } : { t0: Math.max(0, end() - last), t1: end() };
}

const following = () => view.now.t0 === null;

function pixels() {
  const shown = plots.find((plot) => plot.track.shown);
  return Math.max(50, Math.min(PX_MOST, Math.round(shown?.box?.inner ?? 800)));
}

async function readWindow() {
  const began = performance.now();
  const { t0, t1 } = wanted();
  for (const track of tracks) if (track.shown) track.place();
  const parts = ["series", ...["heat", "lanes"].filter((id) => tracks.find((track) => track.id === id)?.shown)];
  const query = new URLSearchParams({ t0: String(t0), t1: String(t1), px: String(pixels()), parts: parts.join(",") });
  if (parts.includes("lanes")) query.set("pages", view.now.pages);
  for (const run of runs) {
    if (view.now.queue !== null && view.now.queue < run.queues) query.set("queue", String(view.now.queue));
    else query.delete("queue");
    run.window = await ask(`${run.data}/window?${query}`);
    run.state = run.window.state ?? run.state;
  }
  axis = { t0, t1 };
  await drawAll();
  main.dataset.drawn = `${t0} ${t1}`;
  main.dataset.took = String(Math.round(performance.now() - began));
  notice("window", "");
}

async function drawAll() {
  for (const track of tracks) if (track.shown) await track.draw(axis, view.now);
  showRange();
  showValues(hovered);
  showChosen();
  overview.show(axis.t0, axis.t1);
  showGaps();
}

function refresh() {
  asker.want("window", readWindow);
}

let waiting = 0;
let drawn = 0;
function refreshSoon() {
  if (waiting) return;
  const rest = Math.max(REST_MS, 2 * Number(main.dataset.took ?? 0)) - (performance.now() - drawn);
  waiting = setTimeout(() => {
    waiting = 0;
    drawn = performance.now();
    refresh();
  }, Math.max(0, rest));
}

let settled = 0;
function readEventsSoon() {
  clearTimeout(settled);
  settled = setTimeout(() => asker.want("events", () => events.load(eventsRun(), axis.t0, axis.t1)), 180);
}

const eventsRun = () => runs[Number($("events-run")?.value ?? 0)];

function readOverview() {
  asker.want("overview", async () => {
    const last = end();
    const answers = [];
    for (const run of runs) answers.push(await ask(`${run.data}/window?t0=0&t1=${last}&px=${Math.min(800, Math.round(overview.inner))}&parts=series`));
    await overview.paint(answers, last);
    overview.show(axis.t0, axis.t1);
  });
}

// --- what the hand does ------------------------------------------------------------------------------------------------

function zoomTo(t0, t1) {
  const least = Math.max(0, Math.floor(t0));
  view.change({ t0: least, t1: Math.max(least + LEAST_NS, Math.ceil(t1)), span: null });
}

function scaleAt(factor, t = (axis.t0 + axis.t1) / 2) {
  const now = wanted();
  const width = Math.min(Math.max((now.t1 - now.t0) * factor, LEAST_NS), Math.max(end(), LEAST_NS));
  const share = (t - now.t0) / (now.t1 - now.t0);
  const t0 = Math.min(Math.max(0, t - share * width), Math.max(0, end() - width));
  if (factor > 1 && width >= end()) all();
  else zoomTo(t0, t0 + width);
}

function pan(by) {
  const { t0, t1 } = wanted();
  const width = t1 - t0;
  const from = Math.min(Math.max(0, t0 + by), Math.max(0, end() - width));
  zoomTo(from, from + width);
}

const all = () => view.change({ t0: null, t1: null, span: null });

function pause() {
  if (following()) zoomTo(axis.t0, axis.t1);
  else view.change({ t0: null, t1: null, span: axis.t1 - axis.t0 >= end() ? null : Math.round(axis.t1 - axis.t0) });
}

function select(event) {
  opened.t = event.time_ns;
  view.change({ sel: event.seq }, "quiet");
  const { t0, t1 } = wanted();
  if (event.time_ns < t0 || event.time_ns >= t1) {
    const half = (t1 - t0) / 2;
    zoomTo(Math.max(0, event.time_ns - half), Math.max(0, event.time_ns - half) + 2 * half);
  }
  selected = event;
  events.mark(event.seq);
  showChosen();
}

let selected = null;

function showChosen() {
  const t = selected && selected.seq === view.now.sel ? selected.time_ns : null;
  for (const plot of plots) plot.choose(t);
}

function openPage(run, page, t) {
  opened = { run, t };
  if (view.now.page === page) readHistory();
  else view.change({ page });
}

function readHistory() {
  const { page } = view.now;
  if (page === null) panel.hide();
  else asker.want("history", () => panel.load(opened.run, page, axis, opened.t));
}

const hands = {
  hover(plot, t, y) {
    showValues(t);
    plot.track.tell(plot.track.raster ? plot.track.cell(plot, t, y) : "");
  },
  leave: () => showValues(null),
  band(t0, t1) {
    for (const plot of plots) plot.stretch(t0, t1);
  },
  zoom: zoomTo,
  pan,
  scale: scaleAt,
  all,
  centre(t) {
    const { t0, t1 } = wanted();
    pan(t - (t0 + t1) / 2);
  },
  click(plot, t, y) {
    const w = plot.run.window;
    if (plot.track.id === "heat" && w?.heat) view.change({ queue: Math.min(plot.run.queues - 1, Math.floor(y * w.heat.rows) * w.heat.fold) });
    else if (plot.track.id === "lanes" && w?.lanes.pages.length) {
      openPage(plot.run, w.lanes.pages[Math.min(w.lanes.pages.length - 1, Math.floor(y * w.lanes.pages.length))], t);
    }
  },
};

// --- what the reader is told -------------------------------------------------------------------------------------------

function showRange() {
  const { t0, t1 } = axis;
  const step = (t1 - t0) / 1000;
  const count = runs.map((run) => `${many ? `${run.label}: ` : ""}${whole(run.window?.events)} events`).join(", ");
  $("range").textContent = `${moment(t0, step, t1)} to ${moment(t1, step)}`;
  $("range-more").textContent = `${span(t1 - t0)}; ${count}`;
  const w = runs[0].window;
  for (const output of main.querySelectorAll(".interval")) output.textContent = span(w.dx * Math.max(1, Math.ceil(w.px / 160)));
  $("follow").setAttribute("aria-pressed", String(following()));
  const rows = windowFigures(w);
  const other = many && runs[1].window ? windowFigures(runs[1].window) : null;
  $("window-figures").replaceChildren(...rows.map((row, i) => figuresRow(row, other?.[i])));
}

function figuresRow(row, other) {
  const line = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = row.unit ? `${row.label} (${row.unit})` : row.label;
  line.append(head);
  for (const name of ["low", "mean", "high", "total"]) {
    for (const values of other ? [row, other] : [row]) {
      const cell = document.createElement("td");
      cell.className = "number";
      cell.textContent = figure(values[name]);
      line.append(cell);
    }
  }
  return line;
}

function showValues(t) {
  hovered = t;
  for (const plot of plots) plot.point(t);
  for (const track of tracks) {
    if (!track.shown) continue;
    track.values(t);
    if (t === null) track.tell("");
  }
  $("at").textContent = t === null ? "values: peaks and totals of the window" : `values at ${moment(t, Math.max(1, (axis.t1 - axis.t0) / 1000), axis.t1)}`;
}

const notices = new Map();
function notice(name, text, bad = true) {
  if (notices.get(name)?.textContent === text) return;
  notices.get(name)?.remove();
  notices.delete(name);
  if (!text) return;
  const made = document.createElement("p");
  made.className = bad ? "notice bad" : "notice";
  made.setAttribute("role", "status");
  made.textContent = text;
  notices.set(name, made);
  $("notices").append(made);
}

function showGaps() {
  const gaps = runs.flatMap((run) => (run.window?.gaps ?? []).map((gap) => `${moment(gap.t0, 1e3, gap.t1)} to ${moment(gap.t1, 1e3)}: ${gap.why}`));
  notice("gaps", gaps.length ? `Not all of this window can be shown (hatched): ${gaps.slice(0, 3).join("; ")}${gaps.length > 3 ? ` and ${gaps.length - 3} more` : ""}` : "");
}

addEventListener("asker:failed", (event) => {
  const { name, error } = event.detail;
  const words = { window: "The window could not be read", events: "The events could not be read", history: "The page's history could not be read", overview: "The overview could not be read", step: "The next event could not be read" }[name];
  const gone = error.status === 404 ? "this run, or the link to it, is no longer there" : error.message;
  notice(name, `${words}: ${gone}. What is drawn may be old.`);
});

// --- the parts ---------------------------------------------------------------------------------------------------------

const overview = new Overview($("overview"), hands);
const events = new Events($("events"), setup, view, {
  want: (work) => asker.want("step", work),
  select,
  selected(event) {
    selected = event;
    showChosen();
  },
  open: openPage,
});
const panel = new Panel($("panel"), stage, {
  close: () => view.change({ page: null }),
  chosen(event) {
    opened.t = event.time_ns;
    selected = event;
    view.change({ sel: event.seq }, "quiet");
    events.mark(event.seq, false);
    showChosen();
  },
});

for (const plot of plots) listenTo(plot, hands);
for (const plot of plots) {
  plot.root.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-page]");
    if (button) openPage(plot.run, Number(button.dataset.page), null);
  });
}

const openShare = $("share") ? shareDialog($("share"), runs, () => write({ ...view.now, ...(following() && !runs.some((run) => run.live) ? {} : following() ? {} : wanted()) })) : null;
$("share-open")?.addEventListener("click", openShare);
$("follow").addEventListener("click", pause);
const presses = { "zoom-in": () => scaleAt(0.5), "zoom-out": () => scaleAt(2), "pan-left": () => pan(-(axis.t1 - axis.t0) / 4), "pan-right": () => pan((axis.t1 - axis.t0) / 4), "zoom-all": all };
for (const [id, press] of Object.entries(presses)) $(id).addEventListener("click", press);
$("help-open").addEventListener("click", () => $("help").showModal());
for (const close of document.querySelectorAll("dialog .close")) close.addEventListener("click", () => close.closest("dialog").close());

listenToKeys({
  in: () => scaleAt(0.6, hovered ?? undefined),
  out: () => scaleAt(1 / 0.6, hovered ?? undefined),
  left: presses["pan-left"],
  right: presses["pan-right"],
  all,
  help: () => $("help").showModal(),
  find: () => events.find.focus(),
  next: () => asker.want("step", () => events.step(1)),
  previous: () => asker.want("step", () => events.step(-1)),
  pause,
  escape() {
    const menu = document.querySelector("details.menu[open]");
    if (menu) menu.open = false;
    else if (panel.open) view.change({ page: null });
    else return false;
    return true;
  },
});

$("queue-choice").addEventListener("change", (event) => {
  const value = event.target.value.trim();
  view.change({ queue: /^\d+$/.test(value) ? Number(value) : null });
});
$("pages-choice").addEventListener("change", (event) => {
  if (event.target.value !== "list") view.change({ pages: event.target.value });
  $("pages-list").hidden = event.target.value !== "list";
});
$("pages-list").addEventListener("change", (event) => {
  const rows = event.target.value.split(/[\s,]+/).filter((word) => /^\d+$/.test(word));
  if (rows.length) view.change({ pages: `list:${rows.slice(0, 256).join(",")}` });
});
$("events-run")?.addEventListener("change", readEventsSoon);
for (const box of document.querySelectorAll("#track-choice input")) {
  box.addEventListener("change", () => {
    const boxes = [...document.querySelectorAll("#track-choice input")];
    const on = boxes.filter((b) => b.checked).map((b) => b.value);
    view.change({ tracks: on.length === boxes.length ? null : on });
  });
}
$("side")?.addEventListener("click", () => view.change({ side: !view.now.side }));

/** Put controls and sections into the state that the view says. */
function showControls(now) {
  for (const track of tracks) track.section.hidden = now.tracks !== null && !now.tracks.includes(track.id);
  for (const box of document.querySelectorAll("#track-choice input")) box.checked = now.tracks === null || now.tracks.includes(box.value);
  $("queue-choice").value = now.queue ?? "";
  const options = [...$("pages-choice").options].map((option) => option.value);
  $("pages-choice").value = options.includes(now.pages) ? now.pages : "list";
  $("pages-list").hidden = $("pages-choice").value !== "list";
  if (now.pages.startsWith("list:")) $("pages-list").value = now.pages.slice(5);
  $("side")?.setAttribute("aria-pressed", String(now.side));
  stage.classList.toggle("side", now.side);
  events.follow(now);
}

let last = null;
view.listen((now) => {
  const before = last;
  last = now;
  showControls(now);
  const changed = (...names) => names.some((name) => String(before[name]) !== String(now[name]));
  if (changed("t0", "t1", "span", "queue", "pages", "tracks", "side")) refresh();
  if (changed("t0", "t1", "span")) asker.want("overview", async () => overview.show(axis.t0, axis.t1));
  if (changed("t0", "t1", "span", "find", "kinds")) readEventsSoon();
  if (changed("page")) {
    readHistory();
    refresh();
  }
});

let figuresAt = 0;
followLive(
  runs,
  $("feed"),
  (run, now) => {
    run.time_ns = Math.max(run.time_ns ?? 0, now.time_ns ?? 0);
    run.state = now.state ?? run.state;
    if (following()) refreshSoon();
    if (performance.now() - figuresAt > 1_000) {
      figuresAt = performance.now();
      readOverview();
      if ($("figures")) htmx.trigger($("figures"), "refresh");
      if (following() && (events.rows.length < 100 || view.now.span !== null)) readEventsSoon();
    }
  },
  async (run) => {
    run.live = false;
    const now = await ask(run.data).catch(() => null);
    if (now) Object.assign(run, { time_ns: now.time_ns, state: now.state });
    main.classList.toggle("is-live", runs.some((r) => r.live));
    for (const live of document.querySelectorAll(".live-only")) live.hidden = !runs.some((r) => r.live);
    if ($("figures")) htmx.trigger($("figures"), "refresh");
    refresh();
    readOverview();
    readEventsSoon();
  },
);

let size = 0;
let sizing = 0;
new ResizeObserver(() => {
  clearTimeout(sizing);
  sizing = setTimeout(() => {
    const width = room.clientWidth;
    if (!main.dataset.drawn || width < 100 || Math.abs(width - size) < 2) return;
    size = width;
    refresh();
    readOverview();
  }, 100);
}).observe(room);
onScheme(() => {
  if (!main.dataset.drawn) return;
  asker.want("window", async () => {
    await drawAll();
    refresh();
  });
  readOverview();
});

/** Chromium may run a module before the page's style sheets are there, and every width would be wrong. */
function styled() {
  const late = [...document.querySelectorAll("link[rel=stylesheet]")].filter((link) => !link.sheet);
  return Promise.all(late.map((link) => new Promise((there) => ["load", "error"].forEach((name) => link.addEventListener(name, there)))));
}

await styled();
size = room.clientWidth;
last = view.now;
showControls(view.now);
if (view.newer) notice("newer", "This link was made by a newer Folioscope: what is not known here is left out.", false);
refresh();
readEventsSoon();
readOverview();
if (view.now.page !== null) readHistory();
