// Who stands in a queue at a moment, page by page: what a wake-up has to pass. Opened by a click in the heat map.

import { ask } from "./asker.js";
import { counted, moment, span, whole } from "./time.js";

const NAMES_MOST = 12; // tasks named per page
const PAGES_MOST = 60;

export class Blame {
  constructor(root, stage, tell) {
    this.root = root;
    this.stage = stage;
    this.tell = tell;
    this.body = root.querySelector("tbody");
    root.querySelector(".panel-close").addEventListener("click", () => tell.close());
    this.body.addEventListener("click", ({ target }) => {
      const button = target.closest("button[data-page]");
      if (button) tell.page(this.run, Number(button.dataset.page), this.t);
    });
  }

  get open() {
    return !this.root.hidden;
  }

  /** Show a queue of a run at moment `from`, or with `until` at its longest moment in between; focus: a hand has just
   *  asked for it. */
  async load(run, queue, from, until, focus) {
    const query = new URLSearchParams({ t: String(from) });
    if (until !== null) query.set("until", String(until));
    const found = await ask(`${run.data}/queues/${queue}?${query}`);
    const t = found.time_ns;
    Object.assign(this, { run, t });
    const pages = new Map();
    for (const entry of found.entries) pages.set(entry.page, [...(pages.get(entry.page) ?? []), entry]);
    this.root.querySelector("h2").textContent = `Queue ${whole(queue)} at ${moment(t, 1e3)}`;
    const waiting = found.entries.length + found.unnamed;
    const older = found.unnamed ? ` ${counted(found.unnamed, "entry", "entries")} queued long before cannot be named.` : "";
    const why = pages.size > 1 ? " A wake-up of one of these pages visits the waiters of all." : "";
    this.root.querySelector(".panel-label").textContent = waiting
      ? `${counted(waiting, "task")} waiting for ${counted(pages.size, "page")}.${why}${older}`
      : "No task stands in this queue at this moment.";
    const groups = [...pages.values()].sort((a, b) => b.length - a.length);
    this.body.replaceChildren(...groups.slice(0, PAGES_MOST).map((entries) => row(entries, t)));
    this.root.hidden = false;
    this.stage.classList.add("with-panel");
    if (focus) this.root.focus({ preventScroll: true });
    if (t !== from) this.tell.moment(t);
  }

  hide() {
    this.root.hidden = true;
  }
}

function row(entries, t) {
  const line = document.createElement("tr");
  const cell = (...content) => {
    const made = document.createElement("td");
    made.append(...content);
    line.append(made);
  };
  const open = document.createElement("button");
  open.type = "button";
  open.className = "link mono";
  open.dataset.page = String(entries[0].page);
  open.textContent = entries[0].pfn;
  open.title = entries[0].label;
  cell(open);
  cell([...new Set(entries.map((entry) => entry.bit))].join(", "));
  cell(whole(entries.length));
  const names = entries.slice(0, NAMES_MOST).map((entry) => `${entry.task_name}-${entry.pid}`);
  const rest = entries.length - names.length;
  cell(`${names.join(", ")}${rest ? ` and ${rest} more` : ""}; longest: ${span(Math.max(0, t - entries[0].since_ns))}`);
  return line;
}
