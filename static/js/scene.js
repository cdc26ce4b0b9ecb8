// What all parts of a run page share: the runs, the view, the tracks, the window that is drawn, and the one queue of requests.

import { Asker } from "./asker.js";
import { moment, whole } from "./time.js";
import { Track } from "./track.js";
import { View } from "./view.js";

export const LEAST_NS = 20; // no window is narrower
export const WIDE = "(min-width: 80rem)"; // from here on two runs stand beside each other, unless the reader says otherwise

export const $ = (id) => document.getElementById(id);

export class Scene {
  constructor(main) {
    this.main = main;
    this.setup = JSON.parse(main.dataset.setup);
    this.runs = this.setup.runs.map((run) => ({ ...run, answers: {}, keys: {}, latest: null })); // answers: by part of a window
    this.many = this.runs.length > 1;
    this.view = new View(this.setup.view);
    this.asker = new Asker(["history", "window", "figures", "step", "unseen", "events", "overview"]);
    this.tracks = [...main.querySelectorAll("[data-track]")].map((section) => new Track(section, this.setup, this.runs, this.many));
    this.plots = this.tracks.flatMap((track) => track.plots);
    this.axis = { t0: 0, t1: 1 }; // what is drawn
    this.hovered = null; // the moment under the pointer
    this.selected = null; // the event that view.sel names, once it was read
    this.moment = null; // at which the page history that is open was asked for
  }

  /** The run that the selected event, the open page and the listed events are of. */
  get chosenRun() {
    return this.runs[this.view.now.of] ?? this.runs[0];
  }

  /** Where the runs end so far. */
  get end() {
    return Math.max(1, ...this.runs.map((run) => (run.time_ns ?? 0) + 1));
  }

  /** Whether two runs stand beside each other. */
  get side() {
    return this.view.now.side ?? (this.many && matchMedia(WIDE).matches);
  }

  get live() {
    return this.runs.some((run) => run.live);
  }

  /** Whether the window moves along with a live run. */
  get following() {
    return this.view.now.t0 === null;
  }

  /** The window that the view asks for. */
  get wanted() {
    const { t0, t1, span } = this.view.now;
    if (t0 !== null) return { t0, t1 };
    return { t0: span === null ? 0 : Math.max(0, this.end - span), t1: this.end };
  }

  zoomTo(t0, t1, how = "step") {
    const from = Math.max(0, Math.floor(t0));
    this.view.change({ t0: from, t1: Math.max(from + LEAST_NS, Math.ceil(t1)), span: null }, how);
  }

  /** Make the window `factor` times as wide, with moment `t` staying where it is. */
  scale(factor, t = (this.axis.t0 + this.axis.t1) / 2) {
    const { t0, t1 } = this.wanted;
    const width = Math.max((t1 - t0) * factor, LEAST_NS);
    if (factor > 1 && width >= this.end) {
      this.all();
      return;
    }
    this.#within(t - ((t - t0) / (t1 - t0)) * width, width);
  }

  pan(by) {
    const { t0, t1 } = this.wanted;
    this.#within(t0 + by, t1 - t0);
  }

  centre(t) {
    const { t0, t1 } = this.wanted;
    this.#within(t - (t1 - t0) / 2, t1 - t0);
  }

  #within(from, width) {
    const t0 = Math.min(Math.max(0, from), Math.max(0, this.end - width));
    this.zoomTo(t0, t0 + width, "gesture");
  }

  all() {
    this.view.change({ t0: null, t1: null, span: null });
  }

  /** Hold the window where it is, or let it follow the run again, as wide as it is now. */
  pause() {
    const { t0, t1 } = this.axis;
    if (this.following) this.zoomTo(t0, t1);
    else this.view.change({ t0: null, t1: null, span: t1 - t0 >= this.end ? null : Math.round(t1 - t0) });
  }

  /** Select an event; the window comes along where it lies outside. */
  select(event) {
    this.selected = event;
    this.moment = event.time_ns;
    this.view.change({ sel: event.seq }, "quiet");
    const { t0, t1 } = this.wanted;
    if (event.time_ns < t0 || event.time_ns >= t1) this.centre(event.time_ns);
    this.showSelected();
  }

  showSelected() {
    const known = this.selected && this.selected.seq === this.view.now.sel;
    for (const plot of this.plots) plot.choose(known && plot.run === this.chosenRun ? this.selected.time_ns : null);
    const said = $("selected");
    said.hidden = !known;
    if (known) said.textContent = `Selected: event ${whole(this.selected.seq)} at ${moment(this.selected.time_ns, 1e3)}: ${this.selected.says}`;
  }
}
