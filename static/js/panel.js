// A page's own history: each transition with page->mapping and page->flags before and after it.

import { ask } from "./asker.js";
import { counted, moment, whole } from "./time.js";
import { bits, hex } from "./words.js";

const SIZE = 200;
const WORDS_SHOWN = /^(flags|mapping|before|after)$/;

export class Panel {
  constructor(root, stage, setup, tell) {
    this.root = root;
    this.stage = stage;
    this.setup = setup;
    this.tell = tell;
    this.rows = [];
    this.at = 0;
    root.querySelector(".panel-close").addEventListener("click", () => tell.close());
    root.querySelector(".panel-back").addEventListener("click", () => this.#go(this.at - 1));
    root.querySelector(".panel-on").addEventListener("click", () => this.#go(this.at + 1));
    root.addEventListener("keydown", (event) => {
      const to = { ArrowUp: this.at - 1, ArrowDown: this.at + 1, Home: 0, End: this.rows.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      this.#go(to);
    });
    this.list = root.querySelector("tbody");
    this.list.addEventListener("click", (event) => {
      const row = event.target.closest("tr");
      if (row) this.#go([...this.list.children].indexOf(row));
    });
  }

  get open() {
    return !this.root.hidden;
  }

  /** Show a page's transitions in a window; the one at or before `t` is chosen. */
  async load(run, page, { t0, t1 }, t, focus) {
    const query = new URLSearchParams({ t0: String(Math.floor(t0)), t1: String(Math.ceil(t1)), _size: String(SIZE) });
    const found = await ask(`${run.data}/pages/${page}/history?${query}`);
    this.rows = found.events;
    this.root.querySelector("h2").textContent = `Page ${found.pfn ?? page}`;
    this.root.querySelector(".panel-label").textContent = found.label ?? "";
    this.scale = t1;
    this.list.replaceChildren(...this.rows.map((event) => this.#row(event)));
    this.root.querySelector(".panel-count").textContent = this.rows.length
      ? `${this.rows.length < SIZE ? "" : "first "}${counted(this.rows.length, "change")} in this window`
      : "This page did not change in this window.";
    const next = this.rows.findIndex((event) => event.time_ns > t);
    this.at = 0;
    this.show();
    this.#go(t === null ? 0 : next < 0 ? this.rows.length - 1 : Math.max(0, next - 1), false);
    if (focus) this.root.focus({ preventScroll: true });
  }

  show() {
    this.root.hidden = false;
    this.stage.classList.add("with-panel");
  }

  hide() {
    this.root.hidden = true;
  }

  #row(event) {
    const row = document.createElement("tr");
    for (const [text, name] of [[moment(event.time_ns, 1, this.scale), "number"], [event.says, ""]]) {
      const cell = document.createElement("td");
      cell.textContent = text;
      cell.className = name;
      row.append(cell);
    }
    return row;
  }

  #go(to, told = true) {
    const event = this.rows[to];
    const detail = this.root.querySelector(".panel-detail");
    if (!event) {
      if (!this.rows.length) detail.replaceChildren();
      return;
    }
    this.at = to;
    [...this.list.children].forEach((row, i) => row.setAttribute("aria-selected", String(i === to)));
    const row = this.list.children[to];
    const box = this.list.closest(".scroll");
    box.scrollTop = Math.max(0, row.offsetTop - box.clientHeight / 2);
    this.root.querySelector(".panel-place").textContent = `${whole(to + 1)} of ${whole(this.rows.length)}`;
    detail.replaceChildren(...this.#detail(event));
    if (told) this.tell.chosen(event);
  }

  #detail(event) {
    const says = document.createElement("p");
    says.textContent = `${moment(event.time_ns, 1, this.scale)}: ${event.says}`;
    const parts = [says, this.#fields(event)];
    const same = event.before.mapping.word === event.after.mapping.word && event.before.mapping.means === event.after.mapping.means;
    const states = same
      ? [["unchanged", event.after, event.after]]
      : [["before", event.before, event.after], ["after", event.after, event.before]];
    for (const [name, state, other] of states) {
      const box = document.createElement("div");
      box.className = "word";
      const head = document.createElement("h3");
      head.textContent = same ? "page->mapping, unchanged" : `page->mapping ${name}`;
      const line = document.createElement("div");
      const m = state.mapping;
      line.append(hex(m.word, other.mapping.word), ` ${m.means}`);
      box.append(head, line, bits(m.word, other.mapping.word, m.tag_bits, `page->mapping ${name}`));
      parts.push(box);
    }
    const flags = document.createElement("div");
    flags.className = "word";
    const head = document.createElement("h3");
    head.textContent = "page->flags";
    flags.append(head, ...flagChanges(event.before.flags, event.after.flags));
    parts.push(flags);
    return parts;
  }

  /** What else the event says, field by field; words of page->mapping and page->flags are shown below. */
  #fields(event) {
    const list = document.createElement("dl");
    list.className = "event-fields";
    const { fields } = this.setup.kinds[event.kind] ?? { fields: {} };
    for (const [name, value] of Object.entries(event.fields)) {
      if (WORDS_SHOWN.test(name)) continue;
      const [head, body] = [document.createElement("dt"), document.createElement("dd")];
      head.textContent = fields[name] ?? name;
      body.textContent = typeof value === "number" ? whole(value) : Array.isArray(value) ? value.join(", ") || "none" : value === true ? "yes" : value === false ? "no" : value;
      list.append(head, body);
    }
    return list;
  }
}

/** Flags that are set, gained and lost, told by words and not by colour alone. */
function flagChanges(before, after) {
  const names = [...new Set([...before.names, ...after.names])];
  if (!names.length) return [Object.assign(document.createElement("span"), { className: "quiet", textContent: "none set" })];
  return names.map((name) => {
    const [was, is] = [before.names.includes(name), after.names.includes(name)];
    const made = document.createElement("span");
    made.className = `flag${was && is ? "" : is ? " gained" : " lost"}`;
    made.textContent = was && is ? name : is ? `+${name}` : `−${name}`;
    return made;
  });
}
