// Never more than one request at a time: the newest wish of each name waits, and the most urgent name goes first.

export class Asker {
  #order;
  #wishes = new Map();
  #busy = false;

  constructor(order) {
    this.#order = order;
  }

  /** Wish for `work` (an async function). An older wish of that name that has not begun is forgotten. */
  want(name, work) {
    this.#wishes.set(name, work);
    if (!this.#busy) this.#go();
  }

  get idle() {
    return !this.#busy && this.#wishes.size === 0;
  }

  async #go() {
    this.#busy = true;
    while (this.#wishes.size) {
      const name = this.#order.find((key) => this.#wishes.has(key));
      const work = this.#wishes.get(name);
      this.#wishes.delete(name);
      try {
        await work();
        dispatchEvent(new CustomEvent("asker:done", { detail: { name } }));
      } catch (error) {
        dispatchEvent(new CustomEvent("asker:failed", { detail: { name, error } }));
      }
    }
    this.#busy = false;
    dispatchEvent(new CustomEvent("asker:idle"));
  }
}

/** An answer that is not what was asked for, with the server's own words. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `the server replied with status ${status}`);
    this.status = status;
    this.code = problem.code ?? "";
  }
}

/** GET (or `options`) as JSON; throws Refused with the problem's detail, or TypeError when the server is out of reach. */
export async function ask(url, options = {}) {
  const answer = await fetch(url, { ...options, headers: { Accept: "application/json", ...options.headers } });
  if (answer.status === 204) return null;
  const type = answer.headers.get("Content-Type") ?? "";
  const body = type.includes("json") ? await answer.json() : {};
  if (!answer.ok) throw new Refused(answer.status, body);
  return body;
}
