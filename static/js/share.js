// The share dialog: makes read-only links to what is on screen, lists those that were made, takes them back.

import { ask } from "./asker.js";

// Names by which a browser reaches a server on its own machine.
const LOCAL = /^(localhost|127(\.\d+){3}|\[::1\])$/;
const day = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

/** dialog: data-list is the address of the existing links, data-shared what a new one opens, as JSON. */
export function shareDialog(dialog, viewText) {
  const list = dialog.querySelector(".share-list");
  const made = dialog.querySelector(".share-made");
  const field = dialog.querySelector("input[readonly]");
  const said = dialog.querySelector("[role=status]");
  const local = LOCAL.test(location.hostname);
  dialog.querySelector(".share-local").hidden = !local;

  async function refresh() {
    const { shares } = await ask(dialog.dataset.list);
    list.replaceChildren(...shares.map(row));
    dialog.querySelector(".share-none").hidden = shares.length > 0;
  }

  function row(share) {
    const item = document.createElement("li");
    item.className = "row spread";
    const words = document.createElement("span");
    const ends = share.revoked_ns ? "revoked" : share.expires_ns ? `until ${day.format(share.expires_ns / 1e6)}` : "until revoked";
    words.textContent = `created ${day.format(share.created_ns / 1e6)}, ${share.runs.length > 1 ? "both runs, " : ""}${ends}`;
    item.append(words);
    if (!share.revoked_ns) {
      const revoke = document.createElement("button");
      revoke.type = "button";
      revoke.className = "danger";
      revoke.textContent = "Revoke";
      revoke.setAttribute("aria-label", `Revoke the link created ${day.format(share.created_ns / 1e6)}`);
      revoke.addEventListener("click", () => tell(async () => {
        await ask(`/api/v1/shares/${share.id}`, { method: "DELETE" });
        said.textContent = "Revoked. The link no longer works.";
        await refresh();
      }));
      item.append(revoke);
    }
    return item;
  }

  async function tell(work) {
    try {
      await work();
    } catch (error) {
      said.textContent = error.message;
    }
  }

  dialog.querySelector(".share-make").addEventListener("click", () => tell(async () => {
    const days = Number(dialog.querySelector("select").value);
    const body = { ...JSON.parse(dialog.dataset.shared), view: viewText(), ...(days ? { expires_s: days * 86_400 } : {}) };
    const share = await ask("/api/v1/shares", { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
    field.value = new URL(share.path, location.origin).href;
    made.hidden = false;
    field.select();
    const who = local ? "The link opens on this machine only." : "Anyone with this link can see this view, read-only.";
    said.textContent = `${who} Copy it now: it cannot be shown again.`;
    await refresh();
  }));
  dialog.querySelector(".share-copy").addEventListener("click", () => tell(async () => {
    field.select();
    // The clipboard exists only over https and on this machine itself; elsewhere the old command does.
    if (navigator.clipboard) await navigator.clipboard.writeText(field.value);
    else document.execCommand("copy");
    said.textContent = "Copied.";
  }));

  return () => {
    made.hidden = true;
    said.textContent = "";
    dialog.showModal();
    tell(refresh);
  };
}
