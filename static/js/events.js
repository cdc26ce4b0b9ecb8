// The events table: what happened in the window, filtered, stepped through by arrow keys.

import { ask } from "./asker.js";
import { moment, whole } from "./time.js";

const SIZE = 100;
const TASKS_MOST = 500;
const FORMS = "Try walk_ended, task:NAME, pid:126, page:0x29b0 or queue:7.";

export class Events {
  constructor(root, setup, view, tell) {
    this.root = root;
    this.setup = setup;
    this.view = view;
    this.tell = tell;
    this.body = root.querySelector("tbody");
    this.holder = root.querySelector(".events");
    this.count = root.querySelector(".events-count");
    this.find = root.querySelector("input[type=search]");
    this.more = root.querySelector(".events-more");
    this.rows = [];
    this.done = false;
    this.#listen();
  }

  #listen() {
    let pause = 0;
    this.find.addEventListener("input", () => {
      clearTimeout(pause);
      pause = setTimeout(() => this.view.change({ find: this.find.value.trim() }, "quiet"), 250);
    });
    for (const box of this.root.querySelectorAll("input[name=kinds]")) {
      box.addEventListener("change", () => {
        const boxes = [...this.root.querySelectorAll("input[name=kinds]")];
        const on = boxes.filter((b) => b.checked).map((b) => b.value);
        this.view.change({ kinds: on.length === boxes.length ? null : on });
      });
    }
    this.more.addEventListener("click", () => this.tell.want(() => this.#page()));
    this.holder.addEventListener("keydown", (event) => {
      const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      const chosen = this.rows.find((row) => row.seq === this.view.now.sel);
      if (by) this.tell.step(by);
      else if (event.key === "Enter" && chosen && (chosen.page ?? null) !== null) this.tell.open(this.run, chosen.page, chosen.time_ns);
      else return;
      event.preventDefault();
    });
    this.body.addEventListener("click", (event) => {
      const row = event.target.closest("tr");
      if (!row) return;
      const page = event.target.closest("[data-page]");
      if (page) this.tell.open(this.run, Number(page.dataset.page), Number(row.dataset.time));
      else this.tell.select(this.#at(row));
    });
  }

  #at(row) {
    return this.rows.find((event) => event.seq === Number(row.dataset.seq));
  }

  /** Whether the table holds as many rows as one question brings: a longer run changes nothing in it. */
  get full() {
    return this.rows.length >= SIZE;
  }

  /** Show the controls as the view has them. */
  follow(view) {
    if (document.activeElement !== this.find) this.find.value = view.find;
    for (const box of this.root.querySelectorAll("input[name=kinds]")) box.checked = !view.kinds || view.kinds.includes(box.value);
  }

  /** Read the window anew, from its beginning, or around the selected event when it lies in the window. */
  async load(run, { t0, t1 }) {
    this.run = run;
    this.window = { t0: Math.floor(t0), t1: Math.ceil(t1) };
    let filter;
    try {
      filter = await this.#filter();
    } catch (error) {
      this.#show([], true);
      this.count.textContent = error.message;
      return;
    }
    this.filter = filter;
    this.filtered = [...filter.keys()].length > 0;
    if (this.view.now.kinds?.length === 0) return this.#show([], true);
    const query = new URLSearchParams(filter);
    const { sel } = this.view.now;
    const around = sel !== null && !this.filtered && sel > SIZE / 2;
    query.set("t0", String(this.window.t0));
    query.set("t1", String(this.window.t1));
    if (around) query.set("after_seq", String(sel - SIZE / 2));
    query.set("_size", String(SIZE));
    query.set("count", "1");
    let found = await ask(`${run.data}/events?${query}`);
    if (around && !found.events.some((event) => event.seq === sel)) { // the selection lies outside: begin at the window's beginning
      query.delete("after_seq");
      found = await ask(`${run.data}/events?${query}`);
    }
    this.total = found.total ?? null;
    this.#show(found.events, found.events.length < SIZE);
    const { sel: now } = this.view.now; // another event may have been chosen meanwhile
    this.mark(now, false);
    const selected = this.rows.find((event) => event.seq === now);
    if (selected) this.tell.selected(selected);
  }

  async #page() {
    if (!this.rows.length || this.done) return;
    const query = new URLSearchParams(this.filter);
    query.set("after_seq", String(this.rows.at(-1).seq));
    query.set("t1", String(this.window.t1));
    query.set("_size", String(SIZE));
    const found = await ask(`${this.run.data}/events?${query}`);
    this.rows.push(...found.events);
    this.body.append(...found.events.map((event) => this.#row(event)));
    this.#tail(found.events.length < SIZE);
  }

  #show(events, done) {
    this.rows = events;
    this.body.replaceChildren(...events.map((event) => this.#row(event)));
    this.#tail(done);
  }

  #tail(done) {
    this.done = done;
    this.more.hidden = done;
    const of = this.total === null ? "many" : whole(this.total);
    this.count.textContent = this.rows.length ? `${whole(this.rows.length)} of ${of} shown` : "No matching events in this window.";
  }

  #row(event) {
    const kind = this.setup.kinds[event.kind];
    const row = document.createElement("tr");
    row.dataset.seq = String(event.seq);
    row.dataset.time = String(event.time_ns);
    const cell = (text, name = "") => {
      const made = document.createElement("td");
      made.textContent = text;
      made.className = name;
      row.append(made);
      return made;
    };
    cell(whole(event.seq), "number");
    cell(moment(event.time_ns, 1, Math.max(event.time_ns, this.window.t1)), "number");
    cell(String(event.cpu ?? ""), "number wide-only");
    const named = cell("", "");
    const dot = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    dot.setAttribute("class", "dot");
    dot.setAttribute("aria-hidden", "true");
    const disc = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [key, value] of [["width", "100%"], ["height", "100%"], ["fill", kind?.colour ?? "#999"]]) disc.setAttribute(key, value);
    dot.append(disc);
    named.append(dot, event.kind.replaceAll("_", " "));
    cell(event.task_name ?? "");
    const page = cell("");
    if (event.page !== null && event.page !== undefined) {
      const open = document.createElement("button");
      open.type = "button";
      open.className = "link mono";
      open.dataset.page = String(event.page);
      open.textContent = event.pfn;
      open.title = "Open the page history";
      open.tabIndex = -1; // the table is one stop: arrows choose a row, Enter opens its page
      page.append(open);
    }
    cell(event.says, "says");
    return row;
  }

  /** Mark the selected row and bring it into the table's view. */
  mark(seq, scroll = true) {
    for (const row of this.body.children) row.setAttribute("aria-selected", String(Number(row.dataset.seq) === seq));
    const row = this.body.querySelector('tr[aria-selected="true"]');
    if (!row) return;
    const head = this.holder.querySelector("thead").offsetHeight;
    const [top, bottom] = [row.offsetTop - head, row.offsetTop + row.offsetHeight];
    if (top < this.holder.scrollTop) this.holder.scrollTop = top;
    else if (bottom > this.holder.scrollTop + this.holder.clientHeight) this.holder.scrollTop = bottom - this.holder.clientHeight;
    if (scroll && this.holder.getBoundingClientRect().bottom < 0) this.holder.scrollIntoView({ block: "nearest" });
  }

  /** One event forward or back from the selected one; with none selected, the first of the window. */
  async step(by) {
    const { sel } = this.view.now;
    let at = this.rows.findIndex((event) => event.seq === sel);
    if (at < 0) return this.rows.length ? this.tell.select(this.rows[0]) : undefined;
    at += by;
    if (at >= this.rows.length && !this.done) await this.#page();
    if (at >= 0 && at < this.rows.length) return this.tell.select(this.rows[at]);
    if (this.filtered) return undefined;
    // Beyond the window: ask for the neighbour by its number, the window follows it.
    const query = new URLSearchParams({ _size: "1" });
    if (sel + by > 0) query.set("after_seq", String(sel + by - 1));
    else if (sel + by < 0) return undefined;
    const found = await ask(`${this.run.data}/events?${query}`);
    return found.events.length ? this.tell.select(found.events[0]) : undefined;
  }

  /** The filter's words as query parameters: kinds and tasks by the beginning of their names, task:, pid:, page: (pfn),
   *  queue:. Throws what is wrong in words. */
  async #filter() {
    const query = new URLSearchParams();
    const { kinds, find } = this.view.now;
    const names = Object.keys(this.setup.kinds);
    let wanted = kinds ? names.filter((name) => kinds.includes(this.setup.kinds[name].lane)) : null;
    const words = find.split(/\s+/).filter(Boolean);
    const asked = [];
    for (const word of words) {
      const [key, value] = word.includes(":") ? word.split(/:(.*)/) : ["", word];
      if (key === "") {
        const hits = names.filter((name) => name.includes(value.toLowerCase()));
        if (hits.length) asked.push(...hits);
        else if (/^0x[0-9a-f]+$/i.test(value)) query.set("page", String(await this.#pageRow(value)));
        else await this.#tasks(query, value, (task) => task.name.startsWith(value), `No event type and no task begins with “${value}”. ${FORMS}`);
      } else if (key === "task") {
        const named = (task) => task.name.startsWith(value) || `${task.name}-${task.pid}` === value || String(task.pid) === value;
        await this.#tasks(query, value, named, `This run has no task named “${value}”.`);
      } else if (key === "pid") await this.#tasks(query, value, (task) => String(task.pid) === value, `This run has no task with pid ${value}.`);
      else if (key === "page" || key === "pfn") query.set("page", String(await this.#pageRow(value)));
      else if (key === "queue") query.set("queue", String(this.#queue(value)));
      else throw new Error(`Unknown filter “${key}:”. ${FORMS}`);
    }
    if (asked.length) wanted = wanted ? wanted.filter((name) => asked.includes(name)) : asked;
    if (wanted) {
      if (!wanted.length) throw new Error("The filter excludes every ticked type.");
      for (const name of new Set(wanted)) query.append("kind", name);
    }
    return query;
  }

  /** Ask for the events of all tasks that `fits`; throws `otherwise` where there is none. */
  async #tasks(query, value, fits, otherwise) {
    const { tasks } = await this.#cast();
    const rows = value ? tasks.flatMap((task, row) => (fits(task) ? [row] : [])) : [];
    if (!rows.length) throw new Error(otherwise);
    if (rows.length > TASKS_MOST) throw new Error(`${whole(rows.length)} tasks fit “${value}”: at most ${TASKS_MOST} can be filtered.`);
    for (const row of rows) query.append("task", String(row));
  }

  #queue(value) {
    const queues = this.run.queues;
    if (!/^\d+$/.test(value) || (queues && Number(value) >= queues)) throw new Error(`This run has no queue ${value}: 0 to ${whole(queues - 1)}.`);
    return Number(value);
  }

  /** The names behind a run's rows, read once. */
  async castOf(run) {
    run.cast ??= await ask(`${run.data}/cast`);
    return run.cast;
  }

  #cast() {
    return this.castOf(this.run);
  }

  async #pageRow(value) {
    return pageRow(await this.#cast(), value);
  }
}

/** The row of the page with that frame number, in hex with or without 0x; throws what is wrong in words. */
export function pageRow(cast, value) {
  const pfn = /^(0x)?[0-9a-f]+$/i.test(value) ? parseInt(value.replace(/^0x/i, ""), 16) : NaN;
  const row = cast.pfns ? cast.pfns.indexOf(pfn) : pfn - cast.first_pfn;
  const pages = cast.pfns ? cast.pfns.length : cast.page_count;
  if (!Number.isInteger(row) || row < 0 || row >= pages) throw new Error(`This run has no page ${value}.`);
  return row;
}
