// One plot: a track of one run. Plotly draws axes and lines, a canvas the rasters; an overlay shows cursor, band and gaps.
// All plots share their left and right margins, so that a moment stands at the same place in each.

import { colour } from "./palette.js";
import { ticks } from "./time.js";

const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif";
export const TOP = 6;
export const BOTTOM = 19;
export const RIGHT = 12;
export const leftOf = (width) => (width < 560 ? 50 : 62);

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
    this.canvas = null;
    if (track.raster) {
      this.canvas = document.createElement("canvas");
      this.canvas.width = 0;
      this.root.append(this.canvas);
    }
    this.draw = element("draw", this.root);
    this.draw.setAttribute("role", "img");
    this.over = element("over", this.root);
    this.cursor = element("cursor", this.over);
    this.chosen = element("chosen", this.over);
    this.band = element("band", this.over);
    this.row = element("mark-row", this.over);
    this.nothing = element("nothing", this.over);
    this.gaps = [];
    for (const part of [this.cursor, this.chosen, this.band, this.row, this.nothing]) part.hidden = true;
    this.axis = { t0: 0, t1: 1 };
  }

  /** Take the width there is and `height` pixels for the picture itself; say what the picture's own box is. */
  place(height) {
    const width = this.root.clientWidth;
    const left = leftOf(width);
    this.box = { width, left, inner: Math.max(10, width - left - RIGHT), height };
    this.root.style.height = `${height + TOP + BOTTOM}px`;
    for (const part of [this.over, this.canvas]) {
      if (!part) continue;
      Object.assign(part.style, { left: `${left}px`, top: `${TOP}px`, width: `${this.box.inner}px`, height: `${height}px` });
    }
    return this.box;
  }

  /** Draw axes and `traces` from t0 to t1. `values` are Plotly's axes without what all plots share. */
  async paint({ t0, t1 }, traces, values, height) {
    const { width, left, inner } = this.box;
    this.axis = { t0, t1 };
    const rule = { gridcolor: colour("--grid"), linecolor: colour("--rule"), zerolinecolor: colour("--rule"), fixedrange: true, tickfont: { size: 10.5 } };
    const layout = {
      width, height: height + TOP + BOTTOM, margin: { l: left, r: RIGHT, t: TOP, b: BOTTOM, pad: 0 }, autosize: false,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, hovermode: false, dragmode: false,
      font: { family: FONT, color: colour("--quiet"), size: 11 },
      xaxis: { ...rule, range: [t0, t1], ...ticks(t0, t1, inner), tickangle: 0, ticks: "outside", ticklen: 3, tickcolor: colour("--rule"), zeroline: false, showline: true, anchor: values.yaxis2 ? "y2" : "y" },
    };
    const { xaxis: time, ...rest } = values;
    Object.assign(layout.xaxis, time);
    for (const [name, own] of Object.entries(rest)) layout[name] = { ...rule, nticks: 4, automargin: false, tickformat: "~s", ...own };
    const library = await plotly();
    await library.react(this.draw, traces, layout, { staticPlot: true });
    this.showGaps();
  }

  showGaps() {
    for (const old of this.gaps) old.remove();
    this.gaps = (this.run.window?.gaps ?? []).map((gap) => {
      const made = element("gap", this.over);
      this.#stretch(made, gap.t0, gap.t1);
      return made;
    });
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
    if (!part.hidden) part.style.left = `${this.x(t)}px`;
  }

  #stretch(part, t0, t1) {
    const [from, to] = [Math.max(0, this.x(t0)), Math.min(this.box.inner, this.x(t1))];
    part.hidden = to <= 0 || from >= this.box.inner;
    part.style.left = `${from}px`;
    part.style.width = `${Math.max(2, to - from)}px`;
  }

  point(t) {
    if (this.box) this.#line(this.cursor, t);
  }

  choose(t) {
    if (this.box) this.#line(this.chosen, t);
  }

  stretch(t0, t1) {
    this.band.hidden = t0 === null;
    if (t0 !== null && this.box) this.#stretch(this.band, Math.min(t0, t1), Math.max(t0, t1));
  }

  /** Frame row `index` of a raster of `rows`; null takes the frame away. */
  frame(index, rows) {
    this.row.hidden = index === null || index < 0;
    if (this.row.hidden) return;
    this.row.style.top = `${(index / rows) * 100}%`;
    this.row.style.height = `${100 / rows}%`;
  }
}
