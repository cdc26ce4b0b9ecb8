// The key figures above the charts: of the whole run or of the window, read anew when the window or the run moves.

import { $ } from "./scene.js";

export class Scope {
  #scene;
  #shown = "";

  constructor(scene) {
    this.#scene = scene;
    scene.main.addEventListener("click", ({ target }) => {
      const { scope } = target.closest("button[data-scope]")?.dataset ?? {};
      if (scope) scene.view.change({ figures: scope });
    });
  }

  /** Whether the figures are those of the window: as chosen, else where only a part of the run is shown. */
  get window() {
    const { figures, t0 } = this.#scene.view.now;
    return figures === null ? t0 !== null : figures === "window";
  }

  /** Read the figures; with `moved` only where another window or another choice asks for others than are shown. */
  refresh(moved = false) {
    const box = $("figures");
    if (!box) return;
    const { t0, t1 } = this.#scene.wanted;
    const query = this.window ? `?t0=${Math.floor(t0)}&t1=${Math.ceil(t1)}` : "";
    if (moved && query === this.#shown) return;
    this.#scene.asker.want("figures", async () => {
      const answer = await fetch(box.dataset.url + query, { headers: { Accept: "text/html" } });
      if (!answer.ok) throw new Error(`the server replied with status ${answer.status}`);
      this.#shown = query;
      this.#put(await answer.text());
    });
  }

  /** Put the new figures in the place of the old; what had the focus or was unfolded stays so. */
  #put(html) {
    const old = $("figures");
    const made = document.createElement("template");
    made.innerHTML = html; // the server's own partial, its texts escaped
    const fresh = made.content.firstElementChild;
    const focused = old.contains(document.activeElement) ? document.activeElement.dataset.scope : null;
    for (const [i, part] of [...old.querySelectorAll("details")].entries()) {
      const same = fresh.querySelectorAll("details")[i];
      if (same) same.open = part.open;
    }
    old.replaceWith(fresh);
    if (focused) fresh.querySelector(`[data-scope=${focused}]`)?.focus();
  }
}
