// What a hand does on a plot: drag to zoom, Shift and drag to pan, Ctrl and wheel to zoom, wheel sideways to pan,
// a click to choose, a double click to zoom in. Says what was meant; does nothing itself.

const NEAR = 4; // pixels that a press may move and still be a click
const TWICE_MS = 250; // a click waits so long for a second one
const NEARER = 0.25; // what a double click leaves of the window

export function listenTo(plot, tell) {
  const over = plot.over;
  let press = null;
  let clicked = 0;

  const place = (event) => {
    const box = over.getBoundingClientRect();
    return { x: event.clientX - box.left, y: (event.clientY - box.top) / box.height };
  };

  over.addEventListener("pointermove", (event) => {
    const { x, y } = place(event);
    if (!press) {
      tell.hover(plot, plot.time(x), y);
      return;
    }
    if (Math.abs(x - press.x) > NEAR) press.moved = true;
    if (!press.moved) return;
    if (press.pan) {
      tell.pan(-(x - press.last) * press.perPixel);
      press.last = x;
    } else tell.band(press.time, plot.time(x));
  });
  over.addEventListener("pointerleave", () => {
    if (!press) tell.leave();
  });
  over.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    const { x, y } = place(event);
    const { t0, t1 } = plot.axis;
    press = { x, y, last: x, time: plot.time(x), moved: false, pan: event.shiftKey, perPixel: (t1 - t0) / plot.box.inner };
    over.setPointerCapture(event.pointerId);
  });
  over.addEventListener("pointerup", (event) => {
    if (!press) return;
    const { x, y } = place(event);
    const was = press;
    press = null;
    tell.band(null, null);
    if (!was.moved) {
      const t = plot.time(x);
      clearTimeout(clicked);
      clicked = setTimeout(() => tell.click(plot, t, y), TWICE_MS);
    } else if (!was.pan) tell.zoom(Math.min(was.time, plot.time(x)), Math.max(was.time, plot.time(x)));
  });
  const forget = () => {
    press = null;
    tell.band(null, null);
  };
  over.addEventListener("pointercancel", forget);
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && press) forget();
  });
  over.addEventListener("dblclick", (event) => {
    clearTimeout(clicked);
    tell.scale(NEARER, plot.time(place(event).x));
  });
  over.addEventListener("wheel", (event) => {
    const { x } = place(event);
    const { t0, t1 } = plot.axis;
    const sideways = event.shiftKey && !event.deltaX ? event.deltaY : event.deltaX;
    if (event.ctrlKey || event.metaKey) tell.scale(Math.exp(Math.max(-1, Math.min(1, event.deltaY / 240))), plot.time(x));
    else if (Math.abs(sideways) > Math.abs(event.shiftKey ? 0 : event.deltaY)) tell.pan((sideways / plot.box.inner) * (t1 - t0));
    else return; // a plain wheel scrolls the page
    event.preventDefault();
  }, { passive: false });
}
