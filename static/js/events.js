// The events table: what happened in the window, filtered, stepped through by arrow keys.

import { ask } from "./asker.js";
import { moment, whole } from "./time.js";

const SIZE = 100;

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
    let found = await ask(`${run.data}/events?${query}`);
    if (around && !found.events.some((event) => event.seq === sel)) { // the selection lies outside: begin at the window's beginning
      query.delete("after_seq");
      found = await ask(`${run.data}/events?${query}`);
    }
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
    const n = whole(this.rows.length);
    this.count.textContent = this.rows.length ? (done ? `${n} shown, end of window` : `${n} shown, more below`) : "No matching events in this window.";
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

  /** The filter's words as query parameters: kinds by name, task:name or number, page:0xpfn. Throws what is wrong in words. */
  async #filter() {
    const query = new URLSearchParams();
    const { kinds, find } = this.view.now;
    const names = Object.keys(this.setup.kinds);
    let wanted = kinds ? names.filter((name) => kinds.includes(this.setup.kinds[name].lane)) : null;
    const words = find.split(/\s+/).filter(Boolean);
    const asked = [];
    for (const word of words) {
      const [key, value] = word.includes(":") ? word.split(/:(.*)/) : ["kind", word];
      if (key === "kind") {
        const hits = names.filter((name) => name.includes(value.toLowerCase()));
        if (!hits.length) throw new Error(`No event kind matches “${value}”. Try task:NAME or page:0x29b0.`);
        asked.push(...hits);
      } else if (key === "task") query.set("task", String(await this.#taskRow(value)));
      else if (key === "page") query.set("page", String(await this.#pageRow(value)));
      else throw new Error(`Unknown filter “${key}:”. Use an event kind, task:NAME or page:0x29b0.`);
    }
    if (asked.length) wanted = wanted ? wanted.filter((name) => asked.includes(name)) : asked;
    if (wanted) {
      if (!wanted.length) throw new Error("The filter excludes every selected event kind.");
      for (const name of new Set(wanted)) query.append("kind", name);
    }
    return query;
  }

  async #cast() {
    this.run.cast ??= await ask(`${this.run.data}/cast`);
    return this.run.cast;
  }

  async #taskRow(value) {
    const { tasks } = await this.#cast();
    const row = tasks.findIndex((task) => task.name === value || String(task.pid) === value || `${task.name}-${task.pid}` === value);
    if (row < 0) throw new Error(`This run has no task named “${value}”.`);
    return row;
  }

  async #pageRow(value) {
    const cast = await this.#cast();
    const pfn = Number(value);
    const row = cast.pfns ? cast.pfns.indexOf(pfn) : pfn - cast.first_pfn;
    const pages = cast.pfns ? cast.pfns.length : cast.page_count;
    if (!Number.isInteger(pfn) || row < 0 || row >= pages) throw new Error(`This run has no page ${value}.`);
    return row;
  }
}
