// The run page and the compare page: asks the server for the window, lets the parts draw it, follows the live run.

import { ask } from "./asker.js";
import { listenToControls, showControls } from "./controls.js";
import { Events } from "./events.js";
import { followLive } from "./live.js";
import { Overview } from "./overview.js";
import { onScheme } from "./palette.js";
import { Panel } from "./panel.js";
import { Reader } from "./reader.js";
import { $, Scene } from "./scene.js";
import { listenTo } from "./surface.js";
import { notice, showGaps, showRange, showValues } from "./told.js";

const SETTLE_MS = 180; // the events table waits until the window stands still

const main = $("run");
const scene = new Scene(main);
const { asker, plots, runs, tracks, view } = scene;
const stage = $("stage");
const room = stage.querySelector(".tracks");

// --- reading and drawing -----------------------------------------------------------------------------------------------

const reader = new Reader(scene, () => {
  showRange(scene);
  showValues(scene, scene.hovered);
  scene.showSelected();
  showGaps(scene);
  overview.show(scene.axis);
});

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
    if (plot.track.id === "lanes") openPage(plot.run, plot.data.lanes.pages[row], t);
    else view.change({ queue: Math.min(plot.run.queues - 1, row * plot.data.heat.fold) });
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
  const moved = changed("t0", "t1", "span");
  if (changed("tracks", "queue", "pages", "find", "kinds", "side")) showControls(scene, events);
  if (changed("side", "tracks")) reader.resized();
  if (changed("page")) {
    readHistory();
    for (const track of tracks) track.markPage(now.page);
  }
  if (moved && main.dataset.drawn) {
    for (const track of tracks) if (track.onScreen) for (const plot of track.plots) plot.preview(scene.wanted);
    overview.show(scene.wanted);
  }
  if (moved || changed("queue", "pages", "tracks", "side")) reader.refresh();
  if (moved || changed("find", "kinds")) readEventsSoon();
});

function showFigures() {
  if ($("figures")) htmx.trigger($("figures"), "refresh");
}

let told = 0;
followLive(runs, $("feed"), {
  moved(run, now) {
    run.time_ns = Math.max(run.time_ns ?? 0, now.time_ns ?? 0);
    reader.refreshSoon();
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
    reader.refresh();
    readOverview();
    readEventsSoon();
  },
  gone: () => notice("gone", "This run was deleted, or its link was revoked: no more data will arrive."),
});

let size = 0;
let sizing = 0;
new ResizeObserver(() => {
  clearTimeout(sizing);
  sizing = setTimeout(() => {
    const width = room.clientWidth;
    if (!main.dataset.drawn || width < 100 || Math.abs(width - size) < 2) return;
    size = width;
    reader.resized();
    reader.refresh();
    readOverview();
  }, 100);
}).observe(room);

onScheme(() => {
  asker.want("window", () => reader.redraw());
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
if (view.newer) notice("newer", "This link was made by a newer Folioscope: unknown settings are ignored.", false);
reader.begin();
readEventsSoon();
readOverview();
readHistory();
