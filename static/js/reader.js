// Reads the window and has it drawn: first what is on the screen, then the rest, each only as finely as there are pixels.

import { ask } from "./asker.js";
import { innerOf } from "./plot.js";

const PX_MOST = 1_600;
const LIVE_REST_MS = 250; // a live window is asked for at most so often,
const LIVE_UNSEEN_MS = 1_500; // and what is off the screen so often

export class Reader {
  #width = 0;
  #soon = 0;
  #later = 0;
  #began = 0;
  #unseenAt = 0;

  /** `drawn` is called whenever something new was drawn. */
  constructor(scene, drawn) {
    this.scene = scene;
    this.drawn = drawn;
    const watch = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) scene.tracks.find((track) => track.section === target).onScreen = isIntersecting;
      if (this.#stale().some((track) => track.onScreen)) this.refresh();
    });
    for (const track of scene.tracks) watch.observe(track.section);
  }

  /** The width of a plot, measured only when it may have changed: a measurement lays the page out anew. */
  get width() {
    this.#width ||= this.scene.tracks.find((track) => track.shown)?.plots[0].width ?? 800;
    return this.#width;
  }

  resized() {
    this.#width = 0;
  }

  /** Begin: give every track its place, and look which are on the screen, because the observer tells only after a frame. */
  begin() {
    for (const track of this.#shown()) track.place(this.width);
    for (const track of this.scene.tracks) {
      const { top, bottom } = track.section.getBoundingClientRect();
      track.onScreen = top < innerHeight && bottom > 0;
    }
    this.refresh();
  }

  refresh() {
    this.scene.asker.want("window", () => this.#now());
  }

  /** Refresh a live window, but leave the machine time for something else. */
  refreshSoon() {
    if (this.#soon) return;
    const took = Number(this.scene.main.dataset.took ?? 0);
    const rest = Math.max(LIVE_REST_MS, 2 * took) - (performance.now() - this.#began);
    this.#soon = setTimeout(() => {
      this.#soon = 0;
      this.#began = performance.now();
      this.refresh();
    }, Math.max(0, rest));
  }

  /** Draw all that was read once more, as after a change of colours. */
  redraw() {
    return Promise.all(this.#shown().map((track) => track.draw(this.scene.view.now, this.width)));
  }

  #shown() {
    return this.scene.tracks.filter((track) => track.shown);
  }

  /** What tells one drawing of a part from another. */
  #key(part) {
    const { end, live, axis: { t0, t1 } } = this.scene;
    const { queue, pages } = this.scene.view.now;
    const reached = end > t1 ? "" : `${end} ${live}`; // more may come into this window
    return [t0, t1, reached, this.width, part === "lanes" ? pages : "", part === "series" ? queue : ""].join(" ");
  }

  #stale() {
    return this.#shown().filter((track) => track.key !== this.#key(track.part));
  }

  async #now() {
    const began = performance.now();
    const { t0, t1 } = this.scene.wanted;
    this.scene.axis = { t0, t1 };
    const stale = this.#stale();
    const seen = stale.filter((track) => track.onScreen);
    const first = seen.length ? seen : stale;
    if (!first.length) return;
    const asked = await this.#read(first);
    this.drawn();
    performance.mark("folioscope:drawn"); // benchmarks/bench_page.py waits for it
    Object.assign(this.scene.main.dataset, { drawn: `${t0} ${t1}`, asked: String(Math.round(asked)), took: String(Math.round(performance.now() - began)) });
    clearTimeout(this.#later);
    const rest = this.scene.live ? LIVE_UNSEEN_MS - (performance.now() - this.#unseenAt) : 0;
    this.#later = setTimeout(() => this.scene.asker.want("unseen", () => this.#unseen()), Math.max(0, rest));
  }

  async #unseen() {
    this.#unseenAt = performance.now();
    const late = this.#stale();
    if (late.length) await this.#read(late);
    await this.#totals();
    this.drawn();
    this.#complete();
  }

  /** Read the exact figures of the window, which the legends say: they cost more than a picture, which does not wait for them. */
  async #totals() {
    const { view: { now: { queue } }, runs, axis: { t0, t1 } } = this.scene;
    for (const run of runs) {
      const answer = run.answers.series;
      const key = `${run.keys.series} ${queue}`;
      if (!answer || answer.t0 !== t0 || answer.t1 !== t1 || run.totalsKey === key) continue;
      const query = new URLSearchParams({ t0: String(t0), t1: String(t1), px: "1", parts: "totals" });
      if (queue !== null && queue < run.queues) query.set("queue", String(queue));
      answer.totals = (await ask(`${run.data}/window?${query}`)).totals;
      run.totalsKey = key;
    }
  }

  #complete() {
    const { t0, t1 } = this.scene.axis;
    this.scene.main.dataset.complete = `${t0} ${t1}`;
    performance.mark("folioscope:complete");
  }

  /** Read what some tracks need of the window, and draw them; returns the milliseconds until the answers were there. */
  async #read(tracks) {
    const began = performance.now();
    const { view, runs } = this.scene;
    const { t0, t1 } = this.scene.axis;
    const keys = Object.fromEntries(tracks.map(({ part }) => [part, this.#key(part)]));
    const parts = Object.keys(keys).filter((part) => runs.some((run) => run.keys[part] !== keys[part]));
    const px = Math.max(50, Math.min(PX_MOST, Math.round(innerOf(this.width))));
    const query = new URLSearchParams({ t0: String(t0), t1: String(t1), px: String(px), parts: parts.join(",") });
    if (parts.includes("lanes")) query.set("pages", view.now.pages);
    for (const run of parts.length ? runs : []) {
      const { queue } = view.now;
      if (parts.includes("series") && queue !== null && queue < run.queues) query.set("queue", String(queue));
      else query.delete("queue");
      run.latest = await ask(`${run.data}/window?${query}`);
      for (const part of parts) [run.answers[part], run.keys[part]] = [run.latest, keys[part]];
      run.queues ||= (run.latest.heat?.rows ?? 0) * (run.latest.heat?.fold ?? 0); // not known before its worker began
    }
    const asked = performance.now() - began;
    await Promise.all(tracks.map((track) => track.draw(view.now, this.width)));
    for (const track of tracks) track.key = keys[track.part];
    return asked;
  }
}
