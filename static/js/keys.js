// The keys that hands know from Perfetto and the browsers' own tools; by place on the keyboard, so that AZERTY works too.

const PLACES = { KeyW: "in", KeyS: "out", KeyA: "left", KeyD: "right", Digit0: "all", Numpad0: "all" };
const SIGNS = { "+": "in", "=": "in", "-": "out", "0": "all", "?": "help", "/": "find", ArrowRight: "next", ArrowLeft: "previous", Escape: "escape", " ": "pause" };

/** Call `actions[name]` for each key pressed outside of fields and dialogs. */
export function listenToKeys(actions) {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const inField = event.target.closest?.("input, select, textarea, [contenteditable]");
    const name = SIGNS[event.key] ?? PLACES[event.code];
    if (inField && name === "escape") {
      inField.blur();
      return;
    }
    if (!name || inField || document.querySelector("dialog[open]")) return;
    if (name === "pause" && event.target.closest?.("button, a, summary, [role=button]")) return; // Space presses what has the focus
    if (!actions[name]) return;
    if (actions[name]() !== false) event.preventDefault();
  });
}
