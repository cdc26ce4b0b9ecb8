// One plot: a track of one run. Plotly draws grid and lines, a canvas the rasters; an overlay shows cursor, band and gaps.
// All plots share their left and right margins, so that a moment stands at the same place in each: one time axis above
// them (timeaxis.js) is enough.

import { Labels, valueTicks } from "./axis.js";
import { colour } from "./palette.js";

export const TOP = 6;
export const BOTTOM = 5;
export const RIGHT = 12;
export const leftOf = (width) => (width < 560 ? 50 : 62);
export const innerOf = (width) => Math.max(10, width - leftOf(width) - RIGHT);

let ready = null;

/** Wait for Plotly, whose script may still be on its way. */
export function plotly() {
  ready ??= new Promise((found, failed) => {
    if (window.Plotly) found(window.Plotly);
    const script = document.getElementById("plotly");
    script.addEventListener("load", () => found(window.Plotly));
    script.addEventListener("error", () => failed(new Error("Plotly could not be loaded")));
  });
  return ready;
}

/** Draw lines into an element of that size; `axes` are Plotly's, without what all pictures share. */
export async function drawLines(element, traces, { width, height }, axes) {
  const rule = { fixedrange: true, showticklabels: false, ticks: "", zeroline: false, gridcolor: colour("--grid"), zerolinecolor: colour("--rule") };
  const layout = {
    width, height, margin: { l: 0, r: 0, t: 0, b: 0, pad: 0 }, autosize: false, showlegend: false, hovermode: false, dragmode: false,
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
  };
  for (const [name, own] of Object.entries(axes)) layout[name] = { ...rule, ...own };
  const library = await plotly();
  await library.react(element, traces, layout, { staticPlot: true });
}

function element(name, parent) {
  const made = document.createElement("div");
  made.className = name;
  parent.append(made);
  return made;
}

export class Plot {
  constructor(track, run, parent) {
    this.track = track;
    this.run = run;
    this.root = element("plot", parent);
    this.picture = track.raster ? document.createElement("canvas") : document.createElement("div");
    this.picture.className = "picture";
    this.picture.setAttribute("role", "img");
    if (track.raster) this.picture.width = 0;
    this.pane = element("pane", this.root);
    this.pane.append(this.picture);
    this.labels = new Labels(this.root);
    this.over = element("over", this.root);
    this.cursor = element("cursor", this.over);
    this.chosen = element("chosen", this.over);
    this.band = element("band", this.over);
    this.row = element("mark-row", this.over);
    this.nothing = element("nothing", this.over);
    this.gaps = [];
    for (const part of [this.cursor, this.chosen, this.band, this.row, this.nothing]) part.hidden = true;
    this.axis = { t0: 0, t1: 1 }; // what is shown
    this.drawn = this.axis; // what the picture was drawn for
    this.scales = [];
    this.box = { left: 0, top: TOP, inner: 1, height: 0 };
  }

  get width() {
    return this.root.clientWidth;
  }

  /** The window that this plot shows, as the server answered it; undefined before the first answer. */
  get data() {
    return this.run.answers[this.track.part];
  }

  /** Take `width` pixels and `height` for the picture itself. */
  place(width, height) {
    const left = leftOf(width);
    const inner = innerOf(width);
    if (this.box.inner === inner && this.box.height === height && this.box.left === left) return;
    this.box = { left, top: TOP, inner, height };
    this.root.style.height = `${height + TOP + BOTTOM}px`;
    for (const part of [this.over, this.pane]) Object.assign(part.style, { left: `${left}px`, top: `${TOP}px`, width: `${inner}px`, height: `${height}px` });
  }

  /** Draw `traces` over [t0, t1) with value axes `values`: name -> {low, high, domain: [bottom, top] as shares}. */
  async lines({ t0, t1 }, traces, values) {
    const { inner, height } = this.box;
    const scales = Object.values(values).map(({ low, high, domain, most, parts }) => ({
      low, high, vals: valueTicks(low, high, most ?? 4, parts), from: (1 - domain[1]) * height, to: (1 - domain[0]) * height,
    }));
    const tickvals = this.#moments({ t0, t1 }, scales);
    const axes = { xaxis: { range: [t0, t1], tickvals, anchor: values.yaxis2 ? "y2" : "y" } };
    Object.entries(values).forEach(([name, { low, high, domain, zero }], i) => {
      axes[name] = { range: [low, high], domain, tickvals: scales[i].vals, zeroline: zero ?? false };
    });
    await drawLines(this.picture, traces, { width: inner, height }, axes);
  }

  /** Label a raster whose rows go from `low` at the top to `high`; null: its rows have names of their own. */
  raster(axis, low, high) {
    const scale = high === null ? [] : [{ low: high, high: low, vals: valueTicks(low, high - 1, 5), from: 0, to: this.box.height }];
    this.#moments(axis, scale);
  }

  #moments(axis, scales) {
    this.drawn = axis;
    this.scales = scales;
    this.picture.style.transform = "";
    return this.#show(axis);
  }

  /** Stretch the picture that is there over another window, at once, until the one that was asked for is drawn. */
  preview({ t0, t1 }) {
    const scale = (this.drawn.t1 - this.drawn.t0) / (t1 - t0);
    const shift = ((this.drawn.t0 - t0) / (t1 - t0)) * this.box.inner;
    this.picture.style.transform = `translateX(${shift}px) scaleX(${scale})`;
    this.#show({ t0, t1 });
  }

  #show(axis) {
    this.axis = axis;
    const tickvals = this.labels.show(axis, this.box, this.scales, false); // the time axis above all tracks has the words
    for (const old of this.gaps) old.remove();
    this.gaps = (this.data?.gaps ?? []).map((gap) => {
      const made = element("gap", this.over);
      this.#stretch(made, gap.t0, gap.t1);
      return made;
    });
    return tickvals;
  }

  say(text) {
    this.nothing.hidden = !text;
    this.nothing.textContent = text;
  }

  x(t) {
    return ((t - this.axis.t0) / (this.axis.t1 - this.axis.t0)) * this.box.inner;
  }

  time(x) {
    return this.axis.t0 + (Math.min(Math.max(x, 0), this.box.inner) / this.box.inner) * (this.axis.t1 - this.axis.t0);
  }

  #line(part, t) {
    part.hidden = t === null || t < this.axis.t0 || t > this.axis.t1;
    if (!part.hidden) part.style.transform = `translateX(${this.x(t)}px)`;
  }

  #stretch(part, t0, t1) {
    const [from, to] = [Math.max(0, this.x(t0)), Math.min(this.box.inner, this.x(t1))];
    part.hidden = to <= 0 || from >= this.box.inner;
    part.style.left = `${from}px`;
    part.style.width = `${Math.max(2, to - from)}px`;
  }

  point(t) {
    this.#line(this.cursor, t);
  }

  choose(t) {
    this.#line(this.chosen, t);
  }

  stretch(t0, t1) {
    this.band.hidden = t0 === null;
    if (t0 !== null) this.#stretch(this.band, Math.min(t0, t1), Math.max(t0, t1));
  }

  /** Frame row `index` of a raster of `rows`; null takes the frame away. */
  frame(index, rows, name = "") {
    this.row.hidden = index === null || index < 0 || index >= rows;
    if (this.row.hidden) return;
    this.row.dataset.name = name;
    this.row.style.top = `${(index / rows) * 100}%`;
    this.row.style.height = `${100 / rows}%`;
  }
}
