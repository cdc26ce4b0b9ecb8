// Colours as the style sheet has them now, resolved for canvas and Plotly, which know no custom properties.

const scheme = matchMedia("(prefers-color-scheme: dark)");
let probe = null;
let known = new Map();

/** The colour of a custom property, such as "--c-blue", as rgb(...). */
export function colour(name) {
  if (!known.has(name)) {
    if (!probe) {
      probe = document.createElement("span");
      probe.hidden = true;
      document.body.append(probe);
    }
    probe.style.color = `var(${name})`;
    known.set(name, getComputedStyle(probe).color);
  }
  return known.get(name);
}

/** The same colour, seen through: alpha 0..1. */
export function thin(name, alpha) {
  const [r, g, b] = parts(colour(name));
  return `rgba(${r}, ${g}, ${b}, ${alpha})`;
}

function parts(text) {
  if (text.startsWith("#")) return [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
  return text.match(/[\d.]+/g).slice(0, 3).map(Number);
}

function word([r, g, b], alpha = 255) {
  return ((alpha << 24) | (b << 16) | (g << 8) | r) >>> 0; // the byte order of ImageData on a little-endian machine
}

export const dark = () => scheme.matches;

/** Call `redraw` when the reader's system turns dark or light. */
export function onScheme(redraw) {
  scheme.addEventListener("change", () => {
    known = new Map();
    redraw();
  });
}

const CALM = { unseen: 0.06, free: 0.16, clean: 0.4 };

/** A table of 256 pixels for page states; states without a colour, and 255 (not known), stay clear. */
export function stateWords(states) {
  const table = new Uint32Array(256);
  const paper = parts(colour("--paper"));
  states.forEach((state) => {
    // The mildest states step back on dark paper, where their pale colours would glare.
    const weight = dark() ? CALM[state.name] ?? 1 : 1;
    table[state.number] = word(parts(state.colour).map((c, i) => Math.round(c * weight + paper[i] * (1 - weight))));
  });
  return table;
}

// Stops of the heat map's scale, from "one waiter" to "as long as it gets"; dark on light paper, bright on dark.
const RAMP_LIGHT = ["#d6e4f0", "#7fb2d9", "#3d78b4", "#7a3f8f", "#b32a2a"];
const RAMP_DARK = ["#1f3a52", "#2f6f9f", "#4fb0a5", "#e0b04a", "#fff3b0"];

export function rampStops() {
  return dark() ? RAMP_DARK : RAMP_LIGHT;
}

/** A table of 256 pixels: 0 is clear, then the ramp. */
export function rampWords() {
  const stops = rampStops().map(parts);
  const table = new Uint32Array(256);
  for (let i = 1; i < 256; i += 1) {
    const at = ((i - 1) / 254) * (stops.length - 1);
    const low = Math.min(Math.floor(at), stops.length - 2);
    table[i] = word(stops[low].map((c, k) => Math.round(c + (stops[low + 1][k] - c) * (at - low))));
  }
  return table;
}
