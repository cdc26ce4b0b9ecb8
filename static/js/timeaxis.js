// The time axis of all tracks: one strip that stays in sight under the bar while the tracks scroll.

import { Labels } from "./axis.js";
import { innerOf, leftOf } from "./plot.js";

export class TimeAxis {
  /** `columns`: how many plots can stand beside each other. */
  constructor(root, bar, stage, columns) {
    this.root = root;
    this.columns = Array.from({ length: columns }, () => {
      const cell = document.createElement("div");
      root.append(cell);
      return new Labels(cell);
    });
    const below = () => stage.style.setProperty("--bar", `${bar.offsetHeight}px`);
    new ResizeObserver(below).observe(bar);
  }

  /** Show the window over plots that are `width` pixels wide. */
  show(axis, width) {
    const box = { left: leftOf(width), top: 0, inner: innerOf(width), height: 0 };
    for (const labels of this.columns) labels.show(axis, box, []);
  }
}
