// Explorations: a schedule is copied by its button; by hand, digits make a step and Backspace goes back.

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
