// What each line track draws from a window answer, and what its legend says. The headings come from the server.

import { colour, thin } from "./palette.js";

const BARS = 160; // intervals that counts are gathered into: thinner bars cannot be told apart

/** Gather the sums of neighbouring columns so that at most BARS remain: {g, values}; null where no column was reached. */
export function gather(values, g) {
  const out = new Array(Math.ceil(values.length / g)).fill(null);
  for (let i = 0; i < values.length; i += 1) {
    if (values[i] !== null) out[Math.floor(i / g)] = (out[Math.floor(i / g)] ?? 0) + values[i];
  }
  return out;
}

export const gathered = (w) => Math.max(1, Math.ceil(w.px / BARS));

function line(w, y, name, more = {}) {
  return {
    type: "scatter", mode: "lines", x0: w.x0 + w.dx / 2, dx: w.dx, y, connectgaps: false,
    line: { width: 1.5, color: colour(name) }, ...more,
  };
}

const area = (w, y, name) => line(w, y, name, { fill: "tozeroy", fillcolor: thin(name, 0.22), line: { width: 1.2, color: colour(name) } });

function steps(w, values, g, name, more = {}) {
  const y = [...values, values.at(-1) ?? null];
  return {
    type: "scatter", mode: "lines", x0: w.x0, dx: w.dx * g, y, connectgaps: false, fill: "tozeroy", fillcolor: colour(name),
    line: { shape: "hv", width: 0.6, color: colour(name) }, ...more,
  };
}

const most = (values) => values.reduce((high, v) => (v !== null && v > high ? v : high), 0);
const total = (values) => values.reduce((sum, v) => sum + (v ?? 0), 0);

/** The sum of the interval that column i lies in, as it is drawn. */
function group(values, w, i) {
  const g = gathered(w);
  const from = Math.floor(i / g) * g;
  return values[i] === null ? null : total(values.slice(from, from + g));
}

// A gauge shows its highest value in the window, a count its total; at the cursor both show the value there.
const gauge = (id, label, name, values) => ({ id, label, name, at: (w, i) => values(w)?.[i] ?? null, all: (w) => (values(w) ? most(values(w)) : null) });
const counter = (id, label, name, values) => ({
  id, label, name, count: true,
  at: (w, i) => group(values(w), w, i),
  all: (w) => total(values(w)),
});

const meanOrZero = (w) => w.series.queue_mean.mean.map((v, i) => v ?? (w.series.queue_longest.max[i] === null ? null : 0));
// Entries that waited for another bit: what is left of those walked. Columns are rounded each by itself, sums are not.
const left = (walked, matched, strangers) => Math.max(0, walked - matched - strangers);
const others = {
  id: "bit", label: "waiting for another bit", name: "--c-purple", count: true,
  at(w, i) {
    const values = ["walked", "matched", "strangers"].map((name) => group(w.series[name].sum, w, i));
    return values.includes(null) ? null : left(...values);
  },
  all: (w) => left(...["walked", "matched", "strangers"].map((name) => total(w.series[name].sum))),
};

export const SERIES = {
  queue: {
    height: 158,
    legend: [
      gauge("longest", "longest", "--c-blue", (w) => w.series.queue_longest.max),
      gauge("mean", "mean of non-empty queues", "--c-green", meanOrZero),
      gauge("chosen", "selected queue", "--c-red", (w) => w.series.queue?.max),
    ],
    traces: (w) => [
      area(w, w.series.queue_longest.max, "--c-blue"),
      line(w, meanOrZero(w), "--c-green"),
      ...(w.series.queue ? [line(w, w.series.queue.max, "--c-red")] : []),
    ],
    high: (w) => most(w.series.queue_longest.max),
    empty: (w) => (most(w.series.queue_longest.max) ? "" : "No task was queued in this window."),
  },
  wakes: {
    height: 158,
    legend: [
      counter("walked", "entries visited", null, (w) => w.series.walked.sum),
      counter("matched", "waiting for this page and bit", "--c-blue", (w) => w.series.matched.sum),
      others,
      counter("strangers", "waiting for other pages", "--c-orange", (w) => w.series.strangers.sum),
      counter("wakes", "wake-ups", null, (w) => w.series.wakes.sum),
    ],
    traces: (w) => {
      const g = gathered(w);
      const walked = gather(w.series.walked.sum, g);
      const matched = gather(w.series.matched.sum, g);
      const strangers = gather(w.series.strangers.sum, g);
      const own = walked.map((v, i) => (v === null ? null : v - strangers[i]));
      return [steps(w, walked, g, "--c-orange"), steps(w, own, g, "--c-purple"), steps(w, matched, g, "--c-blue")];
    },
    high: (w) => most(gather(w.series.walked.sum, gathered(w))),
    empty: (w) => (total(w.series.walked.sum) ? "" : "No wake-up walked a queue in this window."),
  },
  waiters: {
    height: 118,
    legend: [
      gauge("most", "max.", "--c-blue", (w) => w.series.waiters.max),
      gauge("mean", "mean", "--c-green", (w) => w.series.waiters.mean),
    ],
    traces: (w) => [area(w, w.series.waiters.max, "--c-blue"), line(w, w.series.waiters.mean, "--c-green")],
    high: (w) => most(w.series.waiters.max),
    empty: (w) => (most(w.series.waiters.max) ? "" : "No task waited in this window."),
  },
  swaps: {
    height: 188,
    legend: [
      gauge("now", "pages with a swapped mapping", "--c-red", (w) => w.series.pages_swapped.max),
      counter("in", "swaps", "--c-orange", (w) => w.series.swaps_in.sum),
      counter("out", "restores", "--c-green", (w) => w.series.swaps_out.sum),
    ],
    traces: (w) => {
      const g = gathered(w);
      const out = gather(w.series.swaps_out.sum, g).map((v) => (v === null ? null : -v));
      return [
        area(w, w.series.pages_swapped.max, "--c-red"),
        steps(w, gather(w.series.swaps_in.sum, g), g, "--c-orange", { yaxis: "y2" }),
        steps(w, out, g, "--c-green", { yaxis: "y2" }),
      ];
    },
    high: (w) => most(w.series.pages_swapped.max),
    low: (w) => Math.max(most(gather(w.series.swaps_in.sum, gathered(w))), most(gather(w.series.swaps_out.sum, gathered(w)))),
    empty: (w, run) => {
      if (!run.swaps) return "The wait design of this run never swaps page->mapping.";
      return most(w.series.pages_swapped.max) || total(w.series.swaps_in.sum) ? "" : "No mapping was swapped in this window.";
    },
  },
};

/** Lowest, mean, highest and total of every series of a window, for the table beside the charts. */
export function windowFigures(w) {
  const rows = [];
  const mean = (values) => {
    const seen = values.filter((v) => v !== null);
    return seen.length ? total(seen) / seen.length : null;
  };
  const least = (values) => values.reduce((low, v) => (v === null ? low : low === null ? v : Math.min(low, v)), null);
  for (const [key, label, unit] of [
    ["queue_longest", "longest queue", "tasks"], ["waiters", "tasks waiting", "tasks"], ["pages_swapped", "pages swapped", "pages"],
  ]) {
    const s = w.series[key];
    rows.push({ label, unit, low: least(s.min), mean: mean(s.mean), high: most(s.max), total: null });
  }
  for (const [key, label, unit] of [
    ["wakes", "wake-ups", ""], ["walked", "entries visited", ""], ["matched", "entries matched", ""], ["woken", "tasks woken", ""],
    ["strangers", "entries of other pages", ""], ["swaps_in", "mapping swaps", ""], ["swaps_out", "mapping restores", ""],
    ["events", "events", ""],
  ]) {
    const s = w.series[key].sum;
    rows.push({ label, unit, low: null, mean: null, high: null, total: total(s) });
  }
  return rows;
}
