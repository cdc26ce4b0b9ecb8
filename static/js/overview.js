// The strip above the tracks: the whole run, small, with the window as a brush. A drag chooses a new window.

import { RIGHT, leftOf, plotly } from "./plot.js";
import { colour, thin } from "./palette.js";
import { ticks } from "./time.js";

const HEIGHT = 46;

export class Overview {
  constructor(root, tell) {
    this.root = root;
    this.draw = root.querySelector(".draw");
    this.brush = root.querySelector(".brush");
    this.end = 1;
    this.tell = tell;
    this.#listen();
  }

  get inner() {
    return Math.max(10, this.root.clientWidth - leftOf(this.root.clientWidth) - RIGHT);
  }

  /** Draw how many tasks waited over the whole run; `windows` are answers over [0, end). */
  async paint(windows, end) {
    this.end = end;
    const width = this.root.clientWidth;
    const left = leftOf(width);
    const names = ["--c-blue", "--c-orange"];
    const traces = windows.map((w, i) => ({
      type: "scatter", mode: "lines", x0: w.x0 + w.dx / 2, dx: w.dx, y: w.series.waiters.max, fill: "tozeroy",
      line: { width: 1, color: colour(names[i]) }, fillcolor: thin(names[i], 0.25),
    }));
    const rule = { fixedrange: true, showgrid: false, zeroline: false };
    const library = await plotly();
    await library.react(this.draw, traces, {
      width, height: HEIGHT, margin: { l: left, r: RIGHT, t: 2, b: 16, pad: 0 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      showlegend: false, hovermode: false, font: { size: 10, color: colour("--quiet") },
      xaxis: { ...rule, range: [0, end], ...ticks(0, end, this.inner), tickangle: 0, showline: true, linecolor: colour("--rule") },
      yaxis: { ...rule, showticklabels: false, rangemode: "tozero" },
    }, { staticPlot: true });
  }

  show(t0, t1) {
    const left = leftOf(this.root.clientWidth);
    const from = Math.max(0, Math.min(1, t0 / this.end)) * this.inner;
    const to = Math.max(0, Math.min(1, t1 / this.end)) * this.inner;
    this.brush.style.left = `${left + from}px`;
    this.brush.style.width = `${Math.max(3, to - from)}px`;
  }

  #listen() {
    let from = null;
    const time = (event) => {
      const box = this.root.getBoundingClientRect();
      const x = event.clientX - box.left - leftOf(box.width);
      return Math.max(0, Math.min(1, x / this.inner)) * this.end;
    };
    this.root.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      from = { t: time(event), x: event.clientX };
      this.root.setPointerCapture(event.pointerId);
    });
    this.root.addEventListener("pointermove", (event) => {
      if (from && Math.abs(event.clientX - from.x) > 4) this.show(Math.min(from.t, time(event)), Math.max(from.t, time(event)));
    });
    this.root.addEventListener("pointerup", (event) => {
      if (!from) return;
      const [was, t] = [from, time(event)];
      from = null;
      if (Math.abs(event.clientX - was.x) > 4) this.tell.zoom(Math.min(was.t, t), Math.max(was.t, t));
      else this.tell.centre(t);
    });
    this.root.addEventListener("pointercancel", () => (from = null));
    this.root.addEventListener("dblclick", () => this.tell.all());
  }
}

