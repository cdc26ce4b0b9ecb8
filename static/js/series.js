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

// What a series says of the window is the server's exact figure (`totals`), at any width; at the cursor, its column.
const total_at = (w, key, part) => w.totals?.[key]?.[part] ?? null;
const gauge = (id, label, name, key, part = "max") => ({
  id, label, name,
  at: (w, i) => w.series[key]?.[part]?.[i] ?? null,
  all: (w) => total_at(w, key, part),
});
const counter = (id, label, name, key) => ({
  id, label, name, count: true,
  at: (w, i) => (w.series[key] ? group(w.series[key].sum, w, i) : null),
  all: (w) => total_at(w, key, "sum"),
});

const meanOrZero = (w) => w.series.queue_mean.mean.map((v, i) => v ?? (w.series.queue_longest.max[i] === null ? null : 0));
// Entries that waited for another bit: what is left of those walked. Columns are rounded each by itself, sums are not.
const left = (walked, matched, strangers) => Math.max(0, walked - matched - strangers);
const VISITED = ["walked", "matched", "strangers"];
const others = {
  id: "bit", label: "waiting for another bit", name: "--c-purple", count: true,
  at(w, i) {
    const values = VISITED.map((name) => group(w.series[name].sum, w, i));
    return values.includes(null) ? null : left(...values);
  },
  all: (w) => left(...VISITED.map((name) => total_at(w, name, "sum") ?? 0)),
};

const most_of = (w, name) => most(w.series[name]?.max ?? []);
const total_of = (w, name) => total(w.series[name]?.sum ?? []);
const highest = gauge;
const mean = (id, label, name, key) => gauge(id, label, name, key, "mean");

// Rates: what was counted in an interval, over its length; bytes per ns are GB/s, and ns per ns are operations in flight.
const DEVICE_COLOURS = ["--c-blue", "--c-orange", "--c-green", "--c-purple", "--c-red", "--c-sky"];
const deviceColour = (i) => DEVICE_COLOURS[i % DEVICE_COLOURS.length];
const keys = (w, name) => Object.keys(w.series).filter((key) => key.startsWith(`${name}_bytes_`));

function rates(w, key) {
  const g = gathered(w);
  return gather(w.series[key]?.sum ?? [], g).map((v, i) => (v === null ? null : v / (w.dx * Math.min(g, w.px - i * g))));
}

const rate = (id, label, name, key) => ({
  id, label, name,
  at: (w, i) => rates(w, key)[Math.floor(i / gathered(w))] ?? null,
  all: (w) => (total_at(w, key, "sum") ?? 0) / (w.dx * w.px),
});

function hold(w, values, name, more = {}) {
  return steps(w, values, gathered(w), name, { fill: "none", line: { shape: "hv", width: 1.5, color: colour(name) }, ...more });
}

function limits(w, run) {
  const known = [...new Set((run?.devices ?? []).map((device) => device.link).filter(Boolean))];
  return known.map((link) => ({
    type: "scatter", mode: "lines", x: [w.x0, w.x0 + w.dx * w.px], y: [link, link], line: { width: 1.2, dash: "dot", color: colour("--c-grey") },
  }));
}

function perDevice(name, empty, limit) {
  return {
    height: 138,
    least: 0.001,
    legend: (runs) => {
      const longest = runs.reduce((most, run) => (run.devices.length > most.length ? run.devices : most), []);
      return longest.map((device, i) => rate(`${name}-${i}`, device.name, deviceColour(i), `${name}_bytes_${i}`));
    },
    traces: (w, run) => [
      ...keys(w, name).map((key) => hold(w, rates(w, key), deviceColour(Number(key.split("_").at(-1))))),
      ...(limit ? limits(w, run) : []),
    ],
    high: (w, run) => Math.max(
      ...keys(w, name).map((key) => most(rates(w, key))),
      ...(limit ? (run?.devices ?? []).map((device) => device.link) : []), 0,
    ),
    empty: (w) => (keys(w, name).some((key) => total_of(w, key)) ? "" : empty),
  };
}

export const SERIES = {
  links: perDevice("link", "No device's link carried anything in this window.", true),
  local: perDevice("local", "No device used its own memory in this window.", false),
  atomics: {
    height: 118,
    least: 0.001,
    legend: [
      rate("flying", "in flight, mean", "--c-blue", "atomic_ns"),
      counter("atomics", "atomic operations", null, "atomics"),
    ],
    traces: (w) => [hold(w, rates(w, "atomic_ns"), "--c-blue")],
    high: (w) => most(rates(w, "atomic_ns")),
    empty: (w) => (total_of(w, "atomics") ? "" : "No atomic operation was made in this window."),
  },
  protect: {
    height: 118,
    legend: [
      highest("protected", "pages protected", "--c-green", "pages_protected"),
      highest("copies", "copies in devices", "--c-blue", "copies_held"),
    ],
    traces: (w) => [area(w, w.series.pages_protected?.max ?? [], "--c-green"), line(w, w.series.copies_held?.max ?? [], "--c-blue")],
    high: (w) => Math.max(most_of(w, "pages_protected"), most_of(w, "copies_held")),
    empty: (w) => (most_of(w, "pages_protected") ? "" : "No page was protected in this window."),
  },
  blocked: {
    height: 118,
    legend: [
      highest("blocked", "max.", "--c-orange", "accesses_blocked"),
      mean("mean", "mean", "--c-purple", "accesses_blocked"),
    ],
    traces: (w) => [area(w, w.series.accesses_blocked?.max ?? [], "--c-orange"), line(w, w.series.accesses_blocked?.mean ?? [], "--c-purple")],
    high: (w) => most_of(w, "accesses_blocked"),
    empty: (w) => (most_of(w, "accesses_blocked") ? "" : "No access met a protected page in this window."),
  },
  ksm: {
    height: 118,
    legend: [
      highest("pages", "KSM pages", "--c-blue", "ksm_pages"),
      highest("sharing", "entries that share them", "--c-green", "ksm_sharing"),
    ],
    traces: (w) => [area(w, w.series.ksm_sharing?.max ?? [], "--c-green"), line(w, w.series.ksm_pages?.max ?? [], "--c-blue")],
    high: (w) => Math.max(most_of(w, "ksm_pages"), most_of(w, "ksm_sharing")),
    empty: (w) => (most_of(w, "ksm_pages") ? "" : "KSM has merged no page by this window."),
  },
  faults: {
    height: 188,
    legend: [
      counter("faults", "page faults", "--c-blue", "faults"),
      counter("flushes", "TLB shoot-downs", "--c-orange", "flushes"),
      counter("cpus", "CPUs interrupted", "--c-red", "cpus_interrupted"),
    ],
    traces: (w) => {
      const g = gathered(w);
      const down = gather(w.series.cpus_interrupted?.sum ?? [], g).map((v) => (v === null ? null : -v));
      return [
        steps(w, gather(w.series.faults?.sum ?? [], g), g, "--c-blue"),
        steps(w, gather(w.series.flushes?.sum ?? [], g), g, "--c-orange", { yaxis: "y2" }),
        steps(w, down, g, "--c-red", { yaxis: "y2" }),
      ];
    },
    high: (w) => most(gather(w.series.faults?.sum ?? [], gathered(w))),
    low: (w) => Math.max(...["flushes", "cpus_interrupted"].map((name) => most(gather(w.series[name]?.sum ?? [], gathered(w))))),
    empty: (w) => (total_of(w, "faults") || total_of(w, "flushes") ? "" : "No page fault and no shoot-down in this window."),
  },
  queue: {
    height: 158,
    legend: [
      highest("longest", "longest", "--c-blue", "queue_longest"),
      {
        ...mean("mean", "mean of non-empty queues", "--c-green", "queue_mean"),
        at: (w, i) => meanOrZero(w)[i] ?? null,
        all: (w) => total_at(w, "queue_mean", "mean") ?? 0,
      },
      highest("chosen", "selected queue", "--c-red", "queue"),
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
      counter("walked", "entries visited", null, "walked"),
      counter("matched", "waiting for this page and bit", "--c-blue", "matched"),
      others,
      counter("strangers", "waiting for other pages", "--c-orange", "strangers"),
      counter("wakes", "wake-ups", null, "wakes"),
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
      highest("most", "max.", "--c-blue", "waiters"),
      mean("mean", "mean", "--c-green", "waiters"),
    ],
    traces: (w) => [area(w, w.series.waiters.max, "--c-blue"), line(w, w.series.waiters.mean, "--c-green")],
    high: (w) => most(w.series.waiters.max),
    empty: (w) => (most(w.series.waiters.max) ? "" : "No task waited in this window."),
  },
  swaps: {
    height: 188,
    legend: [
      highest("now", "pages with a swapped mapping", "--c-red", "pages_swapped"),
      counter("in", "swaps", "--c-orange", "swaps_in"),
      counter("out", "restores", "--c-green", "swaps_out"),
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

const FURTHER_GAUGES = [
  ["pages_protected", "pages protected", "pages"], ["copies_held", "copies in devices", "pages"],
  ["accesses_blocked", "accesses blocked", "tasks"], ["ksm_pages", "KSM pages", "pages"],
  ["ksm_sharing", "entries that share a KSM page", "entries"],
];
const FURTHER_COUNTS = [
  ["faults", "page faults", ""], ["flushes", "TLB shoot-downs", ""], ["cpus_interrupted", "CPUs interrupted", ""],
  ["pages_copied", "pages copied on write", ""], ["atomics", "atomic operations", ""],
];

/** Lowest, mean, highest and total of every series of a window, for the table beside the charts; all: every run's window. */
export function windowFigures(w, all = [w]) {
  const there = ([key]) => all.every((each) => key in each.totals);
  const gauges = [
    ["queue_longest", "longest queue", "tasks"], ["waiters", "tasks waiting", "tasks"], ["pages_swapped", "pages swapped", "pages"],
    ...FURTHER_GAUGES.filter(there),
  ];
  const counts = [
    ["wakes", "wake-ups", ""], ["walked", "entries visited", ""], ["matched", "entries matched", ""], ["woken", "tasks woken", ""],
    ["strangers", "entries of other pages", ""], ["swaps_in", "mapping swaps", ""], ["swaps_out", "mapping restores", ""],
    ["events", "events", ""], ...FURTHER_COUNTS.filter(there),
  ];
  const row = ([key, label, unit]) => {
    const { min = null, mean: middle = null, max = null, sum = null } = w.totals[key] ?? {};
    return { label, unit, low: min, mean: middle, high: max, total: sum };
  };
  return [...gauges, ...counts].map(row);
}
