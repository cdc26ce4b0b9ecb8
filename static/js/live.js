// The stream of a running run: htmx swaps the status line, this hears how far the run is. Two runs on one page are asked
// in turn instead: a browser opens only six connections to a server over HTTP/1.1, and one page may not take two for ever.

import { ask } from "./asker.js";

const EVERY_MS = 1_000;

/** Put a run's state into its badge, as partials/state.html writes it. */
function showState(id, { state, progress }) {
  const place = document.querySelector(`[data-state-of="${id}"]`);
  if (!place) return;
  const badge = document.createElement("span");
  badge.className = `badge ${state}`;
  badge.textContent = state;
  place.replaceChildren(badge);
  const share = document.createElement("span");
  share.className = "quiet number";
  if (state === "running" && progress !== null) share.textContent = ` ${Math.round(100 * progress)} %`;
  place.append(share);
  if (!["queued", "running"].includes(state)) document.querySelector(`[data-live-of="${id}"]`)?.remove();
}

/** Tell of live runs: moved(run, {time_ns, events, state}) often, ended(run) once, gone(run) when there is none any more. */
export function followLive(runs, feed, { moved, ended, gone }) {
  if (feed) {
    const run = runs[0];
    feed.addEventListener("advance", (event) => moved(run, JSON.parse(event.detail.data)));
    feed.addEventListener("end", () => ended(run));
    feed.addEventListener("gone", () => gone(run));
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
          showState(run.id, now);
          moved(run, now);
          if (!["queued", "running"].includes(now.state)) {
            live.delete(run);
            ended(run);
          }
        } catch (error) {
          if (error.status === 404) {
            live.delete(run);
            gone(run);
          }
        }
      }
    }
    if (live.size) setTimeout(turn, EVERY_MS);
  }
  if (live.size) setTimeout(turn, EVERY_MS);
}
