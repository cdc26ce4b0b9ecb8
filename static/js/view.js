// What of a run is on screen, and its place in the address bar: versioned, so that an old link opens for ever.

export const VERSION = 1;

// From version n to n + 1, each on the URL's parameters. A link without a version was typed by hand: it means what 1 means.
const UPGRADERS = [(query) => query.set("v", "1")];

const EMPTY = {
  t0: null, // nanoseconds; null with t1: the whole run, growing while it plays
  t1: null,
  span: null, // nanoseconds: the last so many, moving with the run
  sel: null, // sequence number of the selected event
  queue: null, // the chosen queue
  at: null, // nanoseconds: the moment at which the chosen queue's tasks are listed
  of: 0, // which of two runs the selected event, the open page and the listed events are of
  pages: "hot:48", // which lanes: hot:n, file:row, list:row,row
  page: null, // row of the page whose history is open
  tracks: null, // ids of the tracks shown; null: all
  find: "", // the events table's filter
  kinds: null, // lanes of kinds shown in the events table; null: all
  figures: null, // of what the key figures are: "run" or "window"; null: of what is shown
  side: null, // two runs beside each other or below each other; null: as the window is wide
};

const PAGES = /^(hot:\d{1,3}|file:\d{1,9}|list:\d{1,9}(,\d{1,9}){0,255})$/;
const LAST = 2 ** 53 - 1;
const GESTURE_MS = 900;

function whole(text, most = LAST) {
  if (text === null || !/^\d{1,16}$/.test(text)) return null;
  return Math.min(Number(text), most);
}

/** Read a query string (with or without "?"). Returns [view, newer]: newer tells that the link asks for more than is known here. */
export function read(text) {
  const query = new URLSearchParams(text);
  let version = whole(query.get("v")) ?? 0;
  const newer = version > VERSION;
  while (version < VERSION) UPGRADERS[version++](query);
  const view = { ...EMPTY };
  view.t0 = whole(query.get("t0"));
  view.t1 = whole(query.get("t1"));
  if (view.t0 === null || view.t1 === null || view.t1 <= view.t0) view.t0 = view.t1 = null;
  view.span = view.t0 === null ? whole(query.get("span")) || null : null;
  view.sel = whole(query.get("sel"));
  view.queue = whole(query.get("q"), 2 ** 32);
  view.at = view.queue === null ? null : whole(query.get("at"));
  view.of = query.get("of") === "b" ? 1 : 0;
  view.page = whole(query.get("page"), 2 ** 32);
  const pages = query.get("pages") ?? "";
  if (PAGES.test(pages)) view.pages = pages;
  if (query.has("tracks")) view.tracks = query.get("tracks").split(",").filter((name) => /^[a-z]+$/.test(name));
  if (query.has("kinds")) view.kinds = query.get("kinds").split(",").filter((name) => /^[a-z]+$/.test(name));
  view.find = (query.get("find") ?? "").slice(0, 200);
  if (["run", "window"].includes(query.get("figures"))) view.figures = query.get("figures");
  view.side = { 1: true, 0: false }[query.get("side")] ?? null;
  return [view, newer];
}

/** Write a view as a query string, leaving out what is as usual. */
export function write(view) {
  const query = new URLSearchParams({ v: String(VERSION) });
  if (view.t0 !== null) {
    query.set("t0", String(view.t0));
    query.set("t1", String(view.t1));
  } else if (view.span !== null) query.set("span", String(view.span));
  for (const [name, value] of [["sel", view.sel], ["q", view.queue], ["at", view.at], ["page", view.page]]) {
    if (value !== null) query.set(name, String(value));
  }
  if (view.of) query.set("of", "b");
  if (view.pages !== EMPTY.pages) query.set("pages", view.pages);
  if (view.tracks) query.set("tracks", view.tracks.join(","));
  if (view.kinds) query.set("kinds", view.kinds.join(","));
  if (view.find) query.set("find", view.find);
  if (view.figures) query.set("figures", view.figures);
  if (view.side !== null) query.set("side", view.side ? "1" : "0");
  return query.toString().replaceAll("%3A", ":").replaceAll("%2C", ",");
}

/** The view of this page. Changes go through `change`; `listen` is told of each, also of the browser's back and forward. */
export class View {
  #now;
  #heard = [];
  #gesture = -GESTURE_MS;

  constructor(stored) {
    const asked = new URLSearchParams(location.search);
    const own = [...asked.keys()].length > 0;
    [this.#now, this.newer] = read(own ? location.search : stored);
    addEventListener("popstate", () => {
      [this.#now] = read(location.search || stored);
      for (const hear of this.#heard) hear(this.#now);
    });
  }

  get now() {
    return this.#now;
  }

  listen(hear) {
    this.#heard.push(hear);
  }

  /** Change some fields. how: "step" adds to the browser's history, "gesture" (wheel, held keys, a pan) adds once for all
   *  that follow each other closely, "quiet" adds nothing. */
  change(fields, how = "step") {
    const before = write(this.#now);
    this.#now = { ...this.#now, ...fields };
    const after = write(this.#now);
    if (before === after) return;
    const at = performance.now();
    const going = how === "gesture" && at - this.#gesture < GESTURE_MS;
    this.#gesture = how === "gesture" ? at : -GESTURE_MS;
    history[going || how === "quiet" ? "replaceState" : "pushState"](null, "", `?${after}`);
    for (const hear of this.#heard) hear(this.#now);
  }
}
