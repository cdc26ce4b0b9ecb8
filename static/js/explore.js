// Explorations: a schedule is copied by its button; by hand, digits make a step and Backspace goes back.

import { shareDialog } from "./share.js";

const dialog = document.getElementById("share");
const kernel = document.getElementById("kernel"); // on the matrix, where another one may be chosen
if (dialog) {
  const open = shareDialog(dialog, () => "");
  document.getElementById("share-open").addEventListener("click", () => {
    if (kernel) {
      const query = `?${new URLSearchParams({ kernel: kernel.value })}`;
      dialog.dataset.list = `/api/v1/matrix/shares${query}`;
      dialog.dataset.shared = JSON.stringify({ matrix: kernel.value });
      dialog.querySelector(".share-local a").search = query;
    }
    open();
  });
  dialog.querySelector(".close").addEventListener("click", () => dialog.close());
}

const copied = document.getElementById("copied");

for (const button of document.querySelectorAll("button.copy")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const word = document.getElementById(button.dataset.copies);
    getSelection().selectAllChildren(word);
    // The clipboard exists only over https and on this machine itself; elsewhere the old command does.
    if (navigator.clipboard) await navigator.clipboard.writeText(word.textContent);
    else document.execCommand("copy");
    copied.textContent = " Copied.";
  });
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
  const link = event.key === "Backspace" ? document.getElementById("back") : document.querySelectorAll(".enabled .step")[Number(event.key) - 1];
  if (!link) return;
  event.preventDefault();
  link.click();
});
