// Tick labels of all charts. Plotly measures each label it draws, which costs more than the lines: ours are placed unmeasured.

import { ticks } from "./time.js";

const STEPS = [1, 2, 5, 10];

function short(n) {
  const size = Math.abs(n);
  if (size >= 1e9) return `${+(n / 1e9).toPrecision(3)}G`;
  if (size >= 1e6) return `${+(n / 1e6).toPrecision(3)}M`;
  return size >= 1e4 ? `${+(n / 1e3).toPrecision(3)}k` : String(n);
}

/** Ticks from `low` to `high`, about `most` of them; whole numbers unless `parts` says that there are parts of one. */
export function valueTicks(low, high, most, parts = false) {
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(parts ? rough : Math.max(rough, 1)));
  const step = STEPS.map((m) => m * power).find((s) => s >= rough) ?? 10 * power;
  const out = [];
  for (let v = Math.ceil(low / step) * step; v <= high; v += step) out.push(v);
  return out;
}

/** The labels around one picture; spans are kept and moved, not made anew. */
export class Labels {
  #root;
  #spans = [];

  constructor(root) {
    this.#root = document.createElement("div");
    this.#root.className = "labels";
    this.#root.setAttribute("aria-hidden", "true");
    root.append(this.#root);
  }

  /** Show time along the bottom, if `timed`, and for each of `scales` ({low, high, vals, from, to} in pixels) values at the
   *  left. Returns where the ticks of time are. */
  show({ t0, t1 }, { left, top, inner, height }, scales, timed = true) {
    let used = 0;
    const put = (name, x, y, text) => {
      const span = (this.#spans[used] ??= this.#root.appendChild(document.createElement("span")));
      used += 1;
      if (span.textContent !== text) span.textContent = text;
      if (span.className !== name) span.className = name;
      span.style.transform = `translate(${x.toFixed(1)}px, ${y.toFixed(1)}px)`;
    };
    const times = ticks(t0, t1, inner);
    for (const [i, t] of timed ? times.tickvals.entries() : []) {
      const x = ((t - t0) / (t1 - t0)) * inner;
      const edge = x < 24 ? "x first" : x > inner - 24 ? "x last" : "x";
      put(edge, left + x, top + height, times.ticktext[i]);
    }
    for (const { low, high, vals, from, to } of scales) {
      for (const v of vals) put("y", left, top + to - ((v - low) / (high - low)) * (to - from), short(Math.abs(v)));
    }
    for (const span of this.#spans.splice(used)) span.remove();
    return times.tickvals;
  }
}
