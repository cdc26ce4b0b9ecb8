// The run page and the compare page: asks the server for the window, lets the parts draw it, follows the live run.

import { ask } from "./asker.js";
import { Blame } from "./blame.js";
import { listenToControls, showControls } from "./controls.js";
import { Events } from "./events.js";
import { followLive } from "./live.js";
import { Overview } from "./overview.js";
import { onScheme } from "./palette.js";
import { Panel } from "./panel.js";
import { Reader } from "./reader.js";
import { $, Scene, WIDE } from "./scene.js";
import { Scope } from "./scope.js";
import { listenTo } from "./surface.js";
import { TimeAxis } from "./timeaxis.js";
import { span } from "./time.js";
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
  axis.show(scene.axis, reader.width);
});

let settling = 0;
function readEventsSoon() {
  clearTimeout(settling);
  settling = setTimeout(() => asker.want("events", () => events.load(scene.chosenRun, scene.wanted)), SETTLE_MS);
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

let asked = { focus: false, until: null }; // a hand has just asked for the panel; the queue's longest moment up to `until`

/** Read what the panel beside the charts shows: a page's history, or a queue's tasks. */
function readPanel() {
  const { page, queue, at } = view.now;
  const { focus, until } = asked;
  asked = { focus: false, until: null };
  const [pages, queues] = [page !== null, page === null && at !== null];
  if (!pages) panel.hide();
  if (!queues) blame.hide();
  stage.classList.toggle("with-panel", pages || queues);
  if (pages) asker.want("history", () => panel.load(scene.chosenRun, page, scene.wanted, scene.moment, focus));
  else if (queues) asker.want("history", () => blame.load(scene.chosenRun, queue, at, until, focus));
}

// --- the parts ---------------------------------------------------------------------------------------------------------

let opener = null; // what had the focus before the panel took it

function openPage(run, page, t) {
  scene.moment = t;
  opener = document.activeElement;
  const of = runs.indexOf(run);
  asked = { focus: true, until: null };
  if (view.now.page !== page) view.change({ page, of });
  else {
    view.change({ of });
    readPanel();
  }
}

function closePanel() {
  view.change({ page: null, at: view.now.page === null ? null : view.now.at });
  if (opener?.isConnected && opener !== document.body) opener.focus({ preventScroll: true });
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
    if (plot.track.id === "lanes") {
      const row = plot.track.row(plot, t, y);
      if (row !== null) openPage(plot.run, plot.data.lanes.pages[row], t);
    } else if (plot.track.id === "heat") {
      const found = plot.track.queue(plot, t, y);
      if (!found) return;
      opener = null;
      asked = { focus: true, until: found.until };
      view.change({ queue: found.queue, at: found.t, page: null, of: runs.indexOf(plot.run) });
    }
  },
};

const axis = new TimeAxis($("axis"), main.querySelector(".bar"), stage, runs.length);
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
const blame = new Blame($("blame"), stage, {
  close: closePanel,
  page: openPage,
  moment(t) {
    asked.known = t; // the address says the moment that is shown; it is not read again for that
    view.change({ at: t }, "quiet");
  },
});
const panel = new Panel($("panel"), stage, scene.setup, {
  close: closePanel,
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
listenToControls(scene, events, () => {
  const open = panel.open || blame.open;
  if (open) closePanel();
  return open;
});
$("events-run")?.addEventListener("change", ({ target }) => view.change({ of: Number(target.value), sel: null, page: null }));

// --- what changes: the view, the run, the size, the colours ------------------------------------------------------------

let before = view.now;
view.listen((now) => {
  const was = before;
  before = now;
  const changed = (...names) => names.some((name) => String(was[name]) !== String(now[name]));
  const moved = changed("t0", "t1", "span");
  if (changed("tracks", "queue", "pages", "find", "kinds", "side", "of")) showControls(scene, events);
  if (changed("side", "tracks")) reader.resized();
  if (changed("queue")) for (const track of tracks) track.markQueue(now.queue);
  if (changed("of")) {
    readEventsSoon();
    scene.showSelected();
  }
  if (changed("page", "at")) {
    if (asked.known === undefined || asked.known !== now.at || changed("page")) readPanel();
    delete asked.known;
    for (const track of tracks) track.markPage(now.page);
  }
  if (moved && main.dataset.drawn) {
    for (const track of tracks) if (track.onScreen) for (const plot of track.plots) plot.preview(scene.wanted);
    overview.show(scene.wanted);
    axis.show(scene.wanted, reader.width);
  }
  if (moved || changed("queue", "pages", "tracks", "side")) reader.refresh();
  if (moved || changed("figures")) scope.refresh(true);
  if (moved || changed("find", "kinds")) readEventsSoon();
});

const scope = new Scope(scene);

let told = 0;
followLive(runs, $("feed"), {
  moved(run, now) {
    run.time_ns = Math.max(run.time_ns ?? 0, now.time_ns ?? 0);
    reader.refreshSoon();
    if (performance.now() - told < 1_000) return;
    told = performance.now();
    scope.refresh();
    readOverview();
    if (scene.following && (view.now.span !== null || !events.full)) readEventsSoon();
  },
  async ended(run) {
    run.live = false;
    const now = await ask(run.data).catch(() => null);
    if (now) Object.assign(run, { time_ns: now.time_ns });
    for (const part of document.querySelectorAll(".live-only")) part.hidden = !scene.live;
    scope.refresh();
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

matchMedia(WIDE).addEventListener("change", () => showControls(scene, events));

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
if (view.now.t0 !== null && !scene.live && view.now.t0 >= scene.end) {
  notice("beyond", `The linked window begins after the end of the run, at ${span(scene.end)}: all of the run is shown.`, false);
  view.change({ t0: null, t1: null }, "quiet");
}
reader.begin();
if (scope.window) scope.refresh();
readEventsSoon();
readOverview();
readPanel();
