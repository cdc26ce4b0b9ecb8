// The runs list: which two runs are ticked lives in the address, so that it survives filters, pages and back.

const list = () => document.getElementById("list");
const button = document.getElementById("compare-button");
const hint = document.getElementById("compare-hint");
const form = document.getElementById("compare");

// In the order of ticking: the first is A, the baseline. The address had them in this order, too.
let order = new URLSearchParams(location.search).getAll("run");

function picked() {
  const hidden = [...form.querySelectorAll("input[type=hidden][name=run]")];
  const ticked = [...form.querySelectorAll("input[type=checkbox][name=run]:checked")];
  const now = [...hidden, ...ticked].map((input) => input.value);
  order = [...order.filter((id) => now.includes(id)), ...now.filter((id) => !order.includes(id))];
  return order;
}

function show() {
  const runs = picked();
  button.disabled = runs.length !== 2;
  hint.textContent = ["Select two runs of the same workload to compare.", "1 selected (A); select another (B).", `2 selected: A ${runs[0]}, B ${runs[1]}.`][runs.length] ?? `${runs.length} selected; keep two.`;
}

function keep() {
  const url = new URL(location.href);
  url.searchParams.delete("run");
  for (const id of picked()) url.searchParams.append("run", id);
  history.replaceState(null, "", url);
  for (const link of list().querySelectorAll("a[rel=next]")) {
    const next = new URL(link.href);
    next.searchParams.delete("run");
    for (const id of picked()) next.searchParams.append("run", id);
    link.href = next;
  }
}

form.addEventListener("change", () => {
  show();
  keep();
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  location.assign(`${form.action}?${new URLSearchParams(picked().map((id) => ["run", id]))}`);
});
// The filter asks for the list anew: it takes the ticks along.
document.body.addEventListener("htmx:config:request", (event) => {
  const context = event.detail.ctx;
  if (context?.sourceElement?.id !== "filter") return;
  const url = new URL(context.request.action, location.href);
  url.searchParams.delete("run");
  for (const id of picked()) url.searchParams.append("run", id);
  context.request.action = url.pathname + url.search;
});
document.body.addEventListener("htmx:after:swap", show);
addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.closest("input, select, textarea")) return;
  event.preventDefault();
  document.getElementById("q").focus();
});
show();
