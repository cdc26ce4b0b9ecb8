// Nanoseconds as people read them, and where the ticks of a time axis stand.

const UNITS = [["s", 1e9], ["ms", 1e6], ["µs", 1e3], ["ns", 1]];
const count = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

function unit(ns) {
  return UNITS.find(([, size]) => Math.abs(ns) >= size) ?? UNITS[3];
}

/** A moment: enough digits to tell it from another `step` nanoseconds away. */
export function moment(ns, step, scale = ns) {
  const [name, size] = unit(scale);
  const digits = Math.min(9, Math.max(0, Math.ceil(-Math.log10(step / size) - 1e-9)));
  return `${(ns / size).toFixed(digits)} ${name}`;
}

/** A length of time in three digits: 3.42 ms. */
export function span(ns) {
  const [name, size] = unit(ns);
  return `${short.format(ns / size)} ${name}`;
}

/** A whole number with its thousands apart; a dash where there is none. */
export function whole(n) {
  return n === null || n === undefined || Number.isNaN(n) ? "–" : count.format(n);
}

/** A count with its noun, plural unless the count is 1: "1 wake-up", "2 wake-ups". */
export function counted(n, one, many = `${one}s`) {
  return `${whole(n)} ${n === 1 ? one : many}`;
}

/** A number of three digits where it is small, whole where it is large. */
export function figure(n) {
  if (n === null || n === undefined || Number.isNaN(n)) return "–";
  return Math.abs(n) >= 100 || Number.isInteger(n) ? count.format(n) : short.format(n);
}

/** Ticks for an axis from t0 to t1 drawn `width` pixels wide: {tickvals, ticktext}. */
export function ticks(t0, t1, width) {
  const most = Math.max(2, Math.floor(width / (width < 500 ? 75 : 105)));
  const rough = (t1 - t0) / most;
  const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1)));
  const step = Math.max(1, [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough) ?? 10 * power);
  const tickvals = [];
  for (let t = Math.ceil(t0 / step) * step; t <= t1; t += step) tickvals.push(t);
  return { tickvals, ticktext: tickvals.map((t) => moment(t, step, Math.max(t1, 1))) };
}
