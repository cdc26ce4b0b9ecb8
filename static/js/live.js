// The stream of a running run: htmx swaps the status line, this hears how far the run is. Two runs on one page are asked
// in turn instead: a browser opens only six connections to a server over HTTP/1.1, and one page may not take two for ever.

import { ask } from "./asker.js";

const EVERY_MS = 1_000;

/** Call `told(run, {time_ns, events, state})` whenever a live run moved, and `ended(run)` when its stream closes. */
export function followLive(runs, feed, told, ended) {
  if (feed) {
    const run = runs[0];
    feed.addEventListener("advance", (event) => told(run, JSON.parse(event.detail.data)));
    feed.addEventListener("end", () => ended(run));
    // htmx reconnects a stream that broke, but never retries a first connection that failed.
    for (const name of ["htmx:error", "htmx:response:error"]) {
      feed.addEventListener(name, () => setTimeout(() => htmx.trigger(feed, "again"), 2_000));
    }
    return;
  }
  const live = new Set(runs.filter((run) => run.live));
  async function turn() {
    if (!document.hidden) {
      for (const run of [...live]) {
        try {
          const now = await ask(run.data);
          told(run, now);
          if (!["queued", "running"].includes(now.state)) {
            live.delete(run);
            ended(run);
          }
        } catch (error) {
          if (error.status === 404) live.delete(run);
        }
      }
    }
    if (live.size) setTimeout(turn, EVERY_MS);
  }
  if (live.size) setTimeout(turn, EVERY_MS);
}
