// Buttons, fields and keys of the run page: each changes the view; `showControls` puts them into the state that the view says.

import { listenToKeys } from "./keys.js";
import { $ } from "./scene.js";
import { write } from "./view.js";
import { shareDialog } from "./share.js";
import { pageRow } from "./events.js";
import { notice, showFigures } from "./told.js";

const trackBoxes = () => [...document.querySelectorAll("#track-choice input")];

export function listenToControls(scene, events, closePanel) {
  let steps = 0; // a wish that has not begun is forgotten for a newer one: key presses are counted, so that none is lost
  const step = (by) => {
    steps += by;
    scene.asker.want("step", async () => {
      for (const way = Math.sign(steps); steps !== 0 && Math.sign(steps) === way; steps -= way) await events.step(way);
    });
  };
  events.tell.step = step;
  const { view } = scene;
  const quarter = (sign) => () => scene.pan((sign * (scene.axis.t1 - scene.axis.t0)) / 4);
  const presses = {
    follow: () => (scene.live ? scene.pause() : false), // Space scrolls the page of a run that has ended
    "pan-left": quarter(-1),
    "pan-right": quarter(1),
    "zoom-in": () => scene.scale(0.5),
    "zoom-out": () => scene.scale(2),
    "zoom-all": () => scene.all(),
    "help-open": () => $("help").showModal(),
    side: () => view.change({ side: !scene.side }),
  };
  $("swap")?.addEventListener("click", (event) => { // the view comes along
    event.preventDefault();
    location.assign(`${event.currentTarget.getAttribute("href")}?${write(view.now)}`);
  });
  if ($("share")) presses["share-open"] = shareDialog($("share"), () => write(shared(scene)));
  for (const [id, press] of Object.entries(presses)) $(id)?.addEventListener("click", press);
  for (const close of document.querySelectorAll("dialog .close")) close.addEventListener("click", () => close.closest("dialog").close());

  listenToKeys({
    in: () => scene.scale(0.6, scene.hovered ?? undefined),
    out: () => scene.scale(1 / 0.6, scene.hovered ?? undefined),
    left: presses["pan-left"],
    right: presses["pan-right"],
    all: presses["zoom-all"],
    help: presses["help-open"],
    find: () => events.find.focus(),
    next: () => step(1),
    previous: () => step(-1),
    pause: presses.follow,
    escape() {
      const menu = document.querySelector("details.menu[open]");
      if (menu) menu.open = false;
      else return closePanel();
      return true;
    },
  });

  $("queue-choice").addEventListener("change", ({ target }) => {
    const most = Number(target.max);
    const queue = /^\d+$/.test(target.value.trim()) ? Number(target.value) : null;
    notice("queue", queue !== null && queue > most ? `There is no queue ${queue}: the queues are 0 to ${most}.` : "");
    if (queue === null || queue <= most) view.change({ queue, at: null });
  });
  $("pages-choice").addEventListener("change", ({ target }) => {
    $("pages-list").hidden = target.value !== "list";
    if (target.value === "list") $("pages-list").focus();
    else view.change({ pages: target.value });
  });
  $("pages-list").addEventListener("change", ({ target }) => {
    scene.asker.want("step", async () => {
      const cast = await events.castOf(scene.chosenRun);
      const rows = target.value.split(/[\s,]+/).filter(Boolean).map((pfn) => pageRow(cast, pfn));
      if (rows.length) view.change({ pages: `list:${rows.slice(0, 256).join(",")}` });
    });
  });
  for (const box of trackBoxes()) {
    box.addEventListener("change", () => {
      const on = trackBoxes().filter((one) => one.checked).map((one) => one.value);
      view.change({ tracks: on.length === trackBoxes().length ? null : on });
    });
  }
  $("window-figures").closest("details").addEventListener("toggle", () => showFigures(scene));
  // A menu closes when something else is pressed.
  document.addEventListener("pointerdown", ({ target }) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(target)) menu.open = false;
  });
}

/** The view as a link shall show it: the window of a run that plays on is held where it is. */
function shared(scene) {
  return scene.live && scene.following ? { ...scene.view.now, ...scene.axis, span: null } : scene.view.now;
}

export function showControls(scene, events) {
  const now = scene.view.now;
  for (const track of scene.tracks) track.section.hidden = now.tracks !== null && !now.tracks.includes(track.id);
  for (const box of trackBoxes()) box.checked = now.tracks === null || now.tracks.includes(box.value);
  $("queue-choice").value = now.queue ?? "";
  const options = [...$("pages-choice").options].map((option) => option.value);
  $("pages-choice").value = options.includes(now.pages) ? now.pages : "list";
  $("pages-list").hidden = $("pages-choice").value !== "list";
  $("side")?.setAttribute("aria-pressed", String(scene.side));
  if ($("events-run")) $("events-run").value = String(now.of);
  $("stage").classList.toggle("side", scene.side);
  events.follow(now);
}
