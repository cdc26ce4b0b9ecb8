// The strip above the tracks: the whole run, small, with the window as a brush. A drag chooses a new window.

import { Labels } from "./axis.js";
import { drawLines, innerOf, leftOf } from "./plot.js";
import { colour, thin } from "./palette.js";

const HEIGHT = 28;

export class Overview {
  constructor(root, tell) {
    this.root = root;
    this.draw = root.querySelector(".draw");
    this.labels = new Labels(root);
    this.brush = root.querySelector(".brush");
    this.end = 1;
    this.place();
    this.tell = tell;
    this.#listen();
  }

  /** Take the width there is; between two calls nothing is measured, because that lays the page out anew. */
  place() {
    this.left = leftOf(this.root.clientWidth);
    this.inner = innerOf(this.root.clientWidth);
  }

  /** Draw how many tasks waited over the whole run; `windows` are answers over [0, end). */
  async paint(windows, end) {
    this.end = end;
    this.place();
    const { left } = this;
    const names = ["--c-blue", "--c-orange"];
    const traces = windows.map((w, i) => ({
      type: "scatter", mode: "lines", x0: w.x0 + w.dx / 2, dx: w.dx, y: w.series.waiters.max, fill: "tozeroy",
      line: { width: 1, color: colour(names[i]) }, fillcolor: thin(names[i], 0.25),
    }));
    const box = { left, top: 2, inner: this.inner, height: HEIGHT };
    Object.assign(this.draw.style, { left: `${left}px`, top: "2px", width: `${box.inner}px`, height: `${HEIGHT}px` });
    this.labels.show({ t0: 0, t1: end }, box, []);
    const high = Math.max(1, ...windows.flatMap((w) => w.series.waiters.max.map((v) => v ?? 0)));
    await drawLines(this.draw, traces, { width: box.inner, height: HEIGHT }, {
      xaxis: { range: [0, end], showgrid: false },
      yaxis: { range: [0, high], showgrid: false },
    });
  }

  /** Put the brush over the window. */
  show({ t0, t1 }) {
    const from = Math.max(0, Math.min(1, t0 / this.end)) * this.inner;
    const to = Math.max(0, Math.min(1, t1 / this.end)) * this.inner;
    this.brush.style.left = `${this.left + from}px`;
    this.brush.style.width = `${Math.max(3, to - from)}px`;
  }

  #listen() {
    let from = null;
    const time = (event) => {
      const box = this.root.getBoundingClientRect();
      const x = event.clientX - box.left - this.left;
      return Math.max(0, Math.min(1, x / this.inner)) * this.end;
    };
    this.root.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      from = { t: time(event), x: event.clientX };
      this.root.setPointerCapture(event.pointerId);
    });
    this.root.addEventListener("pointermove", (event) => {
      if (from && Math.abs(event.clientX - from.x) > 4) this.show({ t0: Math.min(from.t, time(event)), t1: Math.max(from.t, time(event)) });
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

