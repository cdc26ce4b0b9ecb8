// The run page and the compare page: asks the server for the window, lets the parts draw it, follows the live run.

import { ask } from "./asker.js";
import { listenToControls, showControls } from "./controls.js";
import { Events } from "./events.js";
import { followLive } from "./live.js";
import { Overview } from "./overview.js";
import { onScheme } from "./palette.js";
import { Panel } from "./panel.js";
import { innerOf } from "./plot.js";
import { $, Scene } from "./scene.js";
import { listenTo } from "./surface.js";
import { notice, showGaps, showRange, showValues } from "./told.js";

const REST_MS = 250; // a live window is asked for at most so often
const SETTLE_MS = 180; // the events table waits until the window stands still
const PX_MOST = 1_600;

const main = $("run");
const scene = new Scene(main);
const { asker, plots, runs, tracks, view } = scene;
const stage = $("stage");
const room = stage.querySelector(".tracks");

// --- reading and drawing -----------------------------------------------------------------------------------------------

let width = 800; // of one plot

async function readWindow() {
  const began = performance.now();
  const { t0, t1 } = scene.wanted;
  const shown = tracks.filter((track) => track.shown);
  width = shown[0]?.plots[0].width ?? 800;
  const px = Math.max(50, Math.min(PX_MOST, Math.round(innerOf(width))));
  const parts = ["series", ...shown.filter((track) => track.raster).map((track) => track.id)];
  for (const run of runs) {
    const query = new URLSearchParams({ t0: String(t0), t1: String(t1), px: String(px), parts: parts.join(",") });
    if (parts.includes("lanes")) query.set("pages", view.now.pages);
    if (view.now.queue !== null && view.now.queue < run.queues) query.set("queue", String(view.now.queue));
    run.window = await ask(`${run.data}/window?${query}`);
    run.queues ||= (run.window.heat?.rows ?? 0) * (run.window.heat?.fold ?? 0); // not known before its worker began
  }
  const got = performance.now();
  scene.axis = { t0, t1 };
  await drawAll();
  performance.mark("folioscope:drawn"); // benchmarks/bench_page.py waits for it
  Object.assign(main.dataset, { drawn: `${t0} ${t1}`, asked: String(Math.round(got - began)), took: String(Math.round(performance.now() - began)) });
}

async function drawAll() {
  await Promise.all(tracks.filter((track) => track.shown).map((track) => track.draw(scene.axis, view.now, width)));
  showRange(scene);
  showValues(scene, scene.hovered);
  scene.showSelected();
  showGaps(runs);
  overview.show(scene.axis);
}

const refresh = () => asker.want("window", readWindow);

let resting = 0;
let refreshed = 0;
/** Refresh a live window, but leave the machine time for something else. */
function refreshSoon() {
  if (resting) return;
  const rest = Math.max(REST_MS, 2 * Number(main.dataset.took ?? 0)) - (performance.now() - refreshed);
  resting = setTimeout(() => {
    resting = 0;
    refreshed = performance.now();
    refresh();
  }, Math.max(0, rest));
}

let settling = 0;
function readEventsSoon() {
  clearTimeout(settling);
  const run = runs[Number($("events-run")?.value ?? 0)];
  settling = setTimeout(() => asker.want("events", () => events.load(run, scene.wanted)), SETTLE_MS);
}

function readOverview() {
  asker.want("overview", async () => {
    const end = scene.end;
    const px = Math.min(800, Math.round(overview.inner));
    const answers = [];
    for (const run of runs) answers.push(await ask(`${run.data}/window?t0=0&t1=${end}&px=${px}&parts=series`));
    await overview.paint(answers, end);
    overview.show(scene.axis);
  });
}

function readHistory() {
  const { page } = view.now;
  if (page === null) panel.hide();
  else asker.want("history", () => panel.load(scene.opened.run, page, scene.wanted, scene.opened.t));
}

// --- the parts ---------------------------------------------------------------------------------------------------------

function openPage(run, page, t) {
  scene.opened = { run, t };
  if (view.now.page === page) readHistory();
  else view.change({ page });
}

const hands = {
  hover(plot, t, y) {
    showValues(scene, t);
    plot.track.tell(plot.track.raster ? plot.track.cell(plot, t, y) : "");
  },
  leave: () => showValues(scene, null),
  band(t0, t1) {
    for (const plot of plots) plot.stretch(t0, t1);
  },
  zoom: (t0, t1) => scene.zoomTo(t0, t1),
  pan: (by) => scene.pan(by),
  scale: (factor, t) => scene.scale(factor, t),
  all: () => scene.all(),
  centre: (t) => scene.centre(t),
  click(plot, t, y) {
    const row = plot.track.raster ? plot.track.row(plot, t, y) : null;
    if (row === null) return;
    if (plot.track.id === "lanes") openPage(plot.run, plot.run.window.lanes.pages[row], t);
    else view.change({ queue: Math.min(plot.run.queues - 1, row * plot.run.window.heat.fold) });
  },
};

const overview = new Overview($("overview"), hands);
const events = new Events($("events"), scene.setup, view, {
  want: (work) => asker.want("step", work),
  select(event) {
    scene.select(event);
    events.mark(event.seq);
  },
  selected(event) {
    scene.selected = event;
    scene.showSelected();
  },
  open: openPage,
});
const panel = new Panel($("panel"), stage, {
  close: () => view.change({ page: null }),
  chosen(event) {
    scene.select(event);
    events.mark(event.seq, false);
  },
});
for (const plot of plots) {
  listenTo(plot, hands);
  plot.root.addEventListener("click", ({ target }) => {
    const button = target.closest("button[data-page]");
    if (button) openPage(plot.run, Number(button.dataset.page), null);
  });
}
listenToControls(scene, events, panel);
$("events-run")?.addEventListener("change", readEventsSoon);

// --- what changes: the view, the run, the size, the colours ------------------------------------------------------------

let before = view.now;
view.listen((now) => {
  const was = before;
  before = now;
  const changed = (...names) => names.some((name) => String(was[name]) !== String(now[name]));
  showControls(scene, events);
  if (changed("page")) {
    readHistory();
    for (const track of tracks) track.markPage(now.page);
  }
  if (main.dataset.drawn && changed("t0", "t1", "span")) {
    for (const plot of plots) plot.preview(scene.wanted);
    overview.show(scene.wanted);
  }
  if (changed("t0", "t1", "span", "queue", "pages", "tracks", "side")) refresh();
  if (changed("t0", "t1", "span", "find", "kinds")) readEventsSoon();
});

function showFigures() {
  if ($("figures")) htmx.trigger($("figures"), "refresh");
}

let told = 0;
followLive(runs, $("feed"), {
  moved(run, now) {
    run.time_ns = Math.max(run.time_ns ?? 0, now.time_ns ?? 0);
    if (scene.following) refreshSoon();
    if (performance.now() - told < 1_000) return;
    told = performance.now();
    showFigures();
    readOverview();
    if (scene.following && (view.now.span !== null || !events.full)) readEventsSoon();
  },
  async ended(run) {
    run.live = false;
    const now = await ask(run.data).catch(() => null);
    if (now) Object.assign(run, { time_ns: now.time_ns });
    for (const part of document.querySelectorAll(".live-only")) part.hidden = !scene.live;
    showFigures();
    refresh();
    readOverview();
    readEventsSoon();
  },
  gone: () => notice("gone", "This run was deleted, or the link to it was withdrawn: nothing more will arrive."),
});

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
  asker.want("window", async () => {
    if (main.dataset.drawn) await drawAll(); // at once, from what is there
    await readWindow();
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
showControls(scene, events);
if (view.newer) notice("newer", "This link was made by a newer Folioscope: what is not known here is left out.", false);
refresh();
readEventsSoon();
readOverview();
readHistory();
