// What the reader is told in words and numbers around the charts: range, values at the cursor, figures of the window, notices.

import { gathered, windowFigures } from "./series.js";
import { $ } from "./scene.js";
import { counted, figure, moment, span } from "./time.js";

export function showRange(scene) {
  const { t0, t1 } = scene.axis;
  const step = (t1 - t0) / 1000;
  const counts = scene.runs.map((run) => `${scene.many ? `${run.label}: ` : ""}${counted(run.latest?.events, "event")}`);
  $("range").textContent = `${moment(t0, step, t1)} to ${moment(t1, step)}`;
  $("range-more").textContent = `${span(t1 - t0)}; ${counts.join(", ")}`;
  $("follow").setAttribute("aria-pressed", String(scene.following));
  const w = scene.runs[0].answers.series;
  for (const output of w ? scene.main.querySelectorAll(".interval") : []) output.textContent = span(w.dx * gathered(w));
  showFigures(scene);
}

/** Fill the table of the window's figures, if it is open. */
export function showFigures(scene) {
  if (!$("window-figures").closest("details").open) return;
  const windows = scene.runs.map((run) => run.answers.series).filter((w) => w?.totals);
  if (windows.length < scene.runs.length) return; // not read yet: the rows of the window before stay
  const tables = windows.map((w) => windowFigures(w, windows));
  $("window-figures").replaceChildren(...(tables[0] ?? []).map((_, i) => figuresRow(tables.map((table) => table[i]))));
}

function figuresRow(rows) {
  const line = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = rows[0].unit ? `${rows[0].label} (${rows[0].unit})` : rows[0].label;
  line.append(head);
  for (const name of ["low", "mean", "high", "total"]) {
    for (const values of rows) {
      const cell = document.createElement("td");
      cell.className = "number";
      cell.textContent = figure(values[name]);
      line.append(cell);
    }
  }
  return line;
}

/** Show the cursor at moment `t` in every plot, and what the series say there; null: what they say of the window. */
export function showValues(scene, t) {
  scene.hovered = t;
  for (const plot of scene.plots) plot.point(t);
  for (const track of scene.tracks) {
    if (!track.shown) continue;
    track.values(t);
    if (t === null) track.tell("");
  }
  const { t0, t1 } = scene.axis;
  $("at").textContent = t === null ? "peaks, means and totals for this window" : `values at ${moment(t, Math.max(1, (t1 - t0) / 1000), t1)}`;
}

const notices = new Map();

/** Show a notice by name, in place of an older one of that name; an empty text takes it away. */
export function notice(name, text, bad = true) {
  if ((notices.get(name)?.textContent ?? "") === text) return;
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

export function showGaps(scene) {
  const told = new Set();
  for (const { label, answers } of scene.runs) {
    for (const w of new Set(Object.values(answers))) {
      for (const { t0, t1, why } of w.gaps) told.add(`${scene.many ? `run ${label}, ` : ""}${moment(t0, 1e3, t1)} to ${moment(t1, 1e3)}: ${why}`);
    }
  }
  const more = told.size > 3 ? ` and ${told.size - 3} more` : "";
  notice("gaps", told.size ? `Parts of this window cannot be shown (hatched): ${[...told].slice(0, 3).join("; ")}${more}` : "");
}

const FAILED = {
  window: "Could not load the window",
  events: "Could not load the events",
  step: "Could not load the next event",
  history: "Could not load the page history",
  unseen: "Could not load the rest of the window",
  figures: "Could not load the key figures",
  overview: "Could not load the overview",
};

addEventListener("asker:failed", ({ detail: { name, error } }) => {
  const gone = error.status === 404 && ["no_run", "not_found"].includes(error.code);
  const why = gone ? "the run was deleted, or the link was revoked" : error.message;
  notice(name, `${FAILED[name]}: ${why}.${error.code === "no_page" ? "" : " The charts may be out of date."}`);
});
addEventListener("asker:done", ({ detail: { name } }) => notice(name, ""));
