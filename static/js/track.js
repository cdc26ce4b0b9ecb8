// One track: its legend and one plot a run. A line track draws SERIES, a raster track cells.

import { Plot } from "./plot.js";
import { colour, rampStops, rampWords, stateWords } from "./palette.js";
import { paintHeat, cellAt, paintLanes, unpack } from "./raster.js";
import { SERIES } from "./series.js";
import { counted, figure } from "./time.js";

const EMPTY_HEIGHT = 40;
const QUIET = new Set(["queue", "wakes", "waiters", "heat"]); // tracks in which a run without waits has nothing to show
const span = (w) => (w ? { t0: w.t0, t1: w.t1 } : { t0: 0, t1: 1 });


export class Track {
  constructor(section, setup, runs, many) {
    this.id = section.dataset.track;
    this.title = section.querySelector("h2").textContent.trim();
    this.section = section;
    this.setup = setup;
    this.raster = this.id === "heat" || this.id === "lanes";
    this.part = this.raster ? this.id : "series"; // of a window's answer
    this.key = ""; // what was drawn last
    this.onScreen = true; // until it is known
    this.what = section.querySelector(".what");
    this.read = section.querySelector(".read");
    const holder = section.querySelector(".plots");
    this.plots = runs.map((run) => {
      const cell = document.createElement("div");
      if (many) {
        const label = document.createElement("p");
        label.className = "plot-label";
        label.textContent = `${run.label}: ${run.design}`;
        cell.append(label);
      }
      holder.append(cell);
      return new Plot(this, run, cell);
    });
    this.outputs = [];
    if (!this.raster) this.#legend(section.querySelector(".legend"), many);
  }

  get shown() {
    return !this.section.hidden;
  }

  /** Say something of what is under the cursor, in the place of the line that says what to see. */
  tell(text) {
    this.what.hidden = text !== "";
    this.read.hidden = text === "";
    this.read.textContent = text;
  }

  #legend(list, many) {
    const { legend } = SERIES[this.id];
    for (const entry of typeof legend === "function" ? legend(this.plots.map((plot) => plot.run)) : legend) {
      const item = document.createElement("li");
      item.dataset.series = entry.id;
      const swatch = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      swatch.setAttribute("class", "swatch");
      swatch.setAttribute("aria-hidden", "true");
      const box = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      box.setAttribute("width", "100%");
      box.setAttribute("height", "100%");
      swatch.append(box);
      swatch.toggleAttribute("hidden", entry.name === null); // counted, but not drawn
      const words = document.createElement("span");
      words.textContent = entry.label;
      item.append(swatch, words);
      const outputs = this.plots.map((plot) => {
        const output = document.createElement("output");
        if (many) {
          const run = document.createElement("span");
          run.className = "quiet";
          run.textContent = plot.run.label;
          item.append(run);
        }
        item.append(output);
        return output;
      });
      list.append(item);
      this.outputs.push({ entry, item, box, outputs });
    }
  }

  /** Say the values at a moment, or of the whole window when `t` is null. */
  values(t) {
    for (const { entry, outputs } of this.outputs) {
      this.plots.forEach((plot, i) => {
        const w = plot.data;
        let value = null;
        outputs[i].classList.toggle("late", t === null && w !== undefined && !w.totals);
        if (t === null && w && !w.totals) return; // not read yet: the figure of the window before stays, in italics
        if (w && t === null) value = entry.all(w);
        else if (w && t >= w.x0 && t < w.x0 + w.dx * w.px) value = entry.at(w, Math.floor((t - w.x0) / w.dx));
        outputs[i].textContent = figure(value);
      });
    }
  }

  /** Give every plot `width` pixels: measured once for all, because a measurement between drawings lays the page out anew. */
  place(width) {
    const height = Math.max(...this.plots.map((plot) => this.#height(plot.data, plot.run)));
    for (const plot of this.plots) plot.place(width, height);
  }

  #height(w, run) {
    if (run.quiet && QUIET.has(this.id)) return EMPTY_HEIGHT;
    if (this.id === "heat") return w?.heat ? Math.min(256, Math.max(64, w.heat.rows)) : 128;
    if (this.id === "lanes") return w?.lanes ? rowHeight(w.lanes.pages.length) * Math.max(1, w.lanes.pages.length) : 160;
    return this.id === "swaps" && !run.swaps ? EMPTY_HEIGHT : SERIES[this.id].height;
  }

  async draw(view, width) {
    this.place(width);
    if (this.id === "heat") this.#heat(view);
    else if (this.id === "lanes") this.#lanes(view);
    else await this.#lines(view);
  }

  async #lines(view) {
    const kind = SERIES[this.id];
    const windows = this.plots.map((plot) => plot.data);
    const words = this.plots.map((plot, i) => (windows[i] ? kind.empty(windows[i], plot.run) : ""));
    const nothing = words.every(Boolean);
    const high = Math.max(...windows.map((w, i) => (w ? kind.high(w, this.plots[i].run) : 0)));
    const axes = { yaxis: { low: 0, high: Math.max(kind.least ?? 1, high) * 1.08, domain: [0, 1], most: nothing ? 0 : 4, parts: kind.least < 1 } };
    if (kind.low && !nothing) {
      const low = 1.1 * Math.max(1, ...windows.map((w) => (w ? kind.low(w) : 0)));
      axes.yaxis.domain = [0.54, 1];
      axes.yaxis2 = { low: -low, high: low, domain: [0, 0.46], most: 3, zero: true };
    }
    const drawn = this.plots.map((plot, i) => {
      plot.picture.setAttribute("aria-label", `${this.title}, run ${plot.run.label}`);
      plot.say(words[i]);
      return plot.lines(span(windows[i]), windows[i] && !nothing ? kind.traces(windows[i], plot.run) : [], axes);
    });
    for (const { entry, item, box } of this.outputs) {
      if (entry.name) box.setAttribute("fill", colour(entry.name));
      if (entry.id === "chosen") {
        item.hidden = view.queue === null;
        item.querySelector("span").textContent = `queue ${view.queue}`;
      }
    }
    await Promise.all(drawn);
  }

  #heat(view) {
    const most = Math.max(1, ...this.plots.map((plot) => (plot.run.heatMost = Math.max(plot.run.heatMost ?? 0, plot.data?.heat?.max ?? 0))));
    const table = rampWords();
    for (const plot of this.plots) {
      const heat = plot.data?.heat;
      if (!heat) continue;
      plot.cells = unpack(heat.z);
      paintHeat(plot.picture, plot.cells, most, table);
      plot.picture.setAttribute("aria-label", `${this.title}, run ${plot.run.label}; longest queue: ${counted(heat.max, "task")}`);
      plot.raster(span(plot.data), 0, heat.rows * heat.fold);
      plot.say(heat.max ? "" : "No task was queued in this window.");
    }
    this.markQueue(view.queue);
    this.#ramp(most);
  }

  #ramp(most) {
    const ramp = this.section.querySelector(".ramp");
    ramp.style.background = `linear-gradient(to right, ${rampStops().join(", ")})`;
    this.section.querySelector(".ramp-most").textContent = figure(most);
  }

  #lanes(view) {
    const table = stateWords(this.setup.states);
    for (const plot of this.plots) {
      const lanes = plot.data?.lanes;
      if (!lanes) continue;
      plot.cells = unpack(lanes.z);
      plot.waits = unpack(lanes.waits);
      paintLanes(plot.picture, plot.cells, table, plot.waits, stateWords(this.setup.waits));
      plot.picture.setAttribute("aria-label", `${this.title}, run ${plot.run.label}: ${counted(lanes.pages.length, "page")}; one button per page precedes the chart`);
      plot.raster(span(plot.data), 0, null);
      plot.say(lanes.pages.length ? "" : "This run has touched no page yet.");
      this.#names(plot, lanes);
    }
    this.markPage(view.page);
  }

  /** Frame the lane of the page whose history is open; null: of none. */
  markPage(page) {
    for (const plot of this.id === "lanes" ? this.plots : []) {
      const pages = plot.data?.lanes?.pages ?? [];
      plot.frame(page === null ? null : pages.indexOf(page), pages.length);
      for (const button of plot.names?.children ?? []) button.setAttribute("aria-pressed", String(Number(button.dataset.page) === page));
    }
  }

  /** The pages as buttons, one tab stop for all: arrows go up and down, Enter opens the page. */
  #names(plot, lanes) {
    const key = [plot.box.left, plot.box.height, ...lanes.pages].join(" ");
    if (plot.namesKey === key) return;
    plot.namesKey = key;
    plot.names?.remove();
    plot.names = document.createElement("div");
    plot.names.className = "lane-names";
    plot.names.setAttribute("role", "group");
    plot.names.setAttribute("aria-label", `Pages of run ${plot.run.label}, one button each; arrow keys move, Enter opens the page history`);
    plot.names.style.width = `${plot.box.left}px`;
    const row = plot.box.height / lanes.pages.length;
    const every = Math.ceil(11 / row);
    lanes.pages.forEach((page, i) => {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.page = String(page);
      button.tabIndex = i ? -1 : 0;
      const label = lanes.labels[i] ?? String(page);
      button.setAttribute("aria-label", `Page ${label}`);
      button.title = label;
      button.textContent = i % every ? "" : label.split(" ")[0];
      Object.assign(button.style, { top: `${plot.box.top + i * row}px`, height: `${row}px` });
      plot.names.append(button);
    });
    plot.names.addEventListener("keydown", (event) => roam(event, plot.names));
    plot.root.append(plot.names);
  }

  /** The row of a raster at a point: t in time, y as a share of its height. */
  row(plot, t, y) {
    const w = plot.data;
    if (!w || !plot.cells?.rows || t < w.x0) return null;
    if (this.id === "heat") return cellAt(plot.cells, (t - w.x0) / (w.dx * w.px), y).row;
    return Math.min(plot.cells.rows - 1, Math.floor(y * plot.cells.rows));
  }

  /** The queue at a point of the heat map, and when the cell that shows it begins and ends; null for none. */
  queue(plot, t, y) {
    const w = plot.data;
    if (!w?.heat || !plot.cells?.rows || t < w.x0) return null;
    const { row, column } = cellAt(plot.cells, (t - w.x0) / (w.dx * w.px), y);
    const width = (w.dx * w.px) / plot.cells.columns;
    const from = w.x0 + column * width;
    const queue = Math.min(plot.run.queues - 1, row * w.heat.fold);
    return { queue, t: Math.max(0, Math.floor(from)), until: Math.ceil(from + width) };
  }

  /** Frame the row of the chosen queue; null: of none. */
  markQueue(queue) {
    for (const plot of this.id === "heat" ? this.plots : []) {
      const heat = plot.data?.heat;
      if (heat) plot.frame(queue === null ? null : Math.floor(queue / heat.fold), heat.rows, `queue ${queue}`);
    }
  }

  /** What the cell under a point says, for the line beside the heading. */
  cell(plot, t, y) {
    const w = plot.data;
    const row = this.row(plot, t, y);
    if (row === null) return "";
    const column = Math.min(plot.cells.columns - 1, Math.floor(((t - w.x0) / (w.dx * w.px)) * plot.cells.columns));
    const value = plot.cells.cells[row * plot.cells.columns + column];
    if (this.id === "lanes") {
      const wait = this.setup.waits.find(({ number }) => number === plot.waits.cells[row * plot.cells.columns + column]);
      const state = value === 255 ? "no data yet" : this.setup.states.find(({ number }) => number === value).words;
      return `${w.lanes.labels[row]}: ${state}${wait ? `; ${wait.words}` : ""}`;
    }
    const first = row * w.heat.fold;
    return `${w.heat.fold > 1 ? `queues ${first} to ${first + w.heat.fold - 1}` : `queue ${first}`}: max. length ${value}`;
  }
}

function rowHeight(rows) {
  return rows <= 3 ? 30 : rows <= 24 ? 18 : rows <= 64 ? 12 : Math.max(3, Math.floor(832 / rows)); // thirds: two bands
}

function roam(event, group) {
  const buttons = [...group.children];
  const at = buttons.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
  if (to === undefined || at < 0) return;
  event.preventDefault();
  event.stopPropagation();
  const next = buttons[Math.max(0, Math.min(buttons.length - 1, to))];
  buttons[at].tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}
