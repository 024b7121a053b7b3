"use strict";
// All that the page says is in it without this script, which filters, sorts and folds.
(() => {
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];

  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let each = target; each; each = each.parentElement) if (each.tagName === "DETAILS") each.open = true;
    if (target) target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  if (location.hash) reveal();
  addEventListener("beforeprint", () => all("details").forEach((each) => (each.open = true)));

  const valueOf = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
  };
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
  const sort = (table, heading) => {
    const downwards = heading.getAttribute("aria-sort") === "ascending";
    all("th[aria-sort]", table).forEach((each) => each.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", downwards ? "descending" : "ascending");
    const column = heading.cellIndex;
    const rows = [...table.tBodies[0].rows].sort((a, b) => compare(valueOf(a, column), valueOf(b, column)));
    table.tBodies[0].append(...(downwards ? rows.reverse() : rows));
  };
  for (const table of all("table.sortable")) {
    for (const heading of all("thead th", table)) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      button.addEventListener("click", () => sort(table, heading));
      heading.append(button);
    }
  }

  const form = document.getElementById("filters");
  if (!form) return;
  const rows = all("tr[data-recipe]");
  const { text, recipe, base, runs, shown, fold, unfold } = form.elements;
  for (const select of [recipe, base]) {
    const names = new Set(rows.map((row) => row.dataset[select.name]));
    select.append(...[...names].sort().map((name) => new Option(name, name)));
  }
  const filter = () => {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = [recipe, base, runs].filter((select) => select.value);
    for (const row of rows) {
      const label = row.closest("details.sample").querySelector("h2").textContent;
      const said = `${label} ${row.textContent}`.toLowerCase();
      row.hidden = !(
        chosen.every((select) => row.dataset[select.name] === select.value) && words.every((word) => said.includes(word))
      );
    }
    const active = words.length + chosen.length > 0;
    for (const sample of all("details.sample")) {
      const any = all("tr[data-recipe]", sample).some((row) => !row.hidden);
      sample.hidden = active && !any;
      if (active && any) sample.open = sample.querySelector("details.rows").open = true;
    }
    const left = rows.filter((row) => !row.hidden).length;
    shown.value = active ? `${left} of ${rows.length} images shown` : "";
  };
  form.addEventListener("input", filter);
  form.addEventListener("reset", () => setTimeout(filter));
  form.addEventListener("submit", (event) => event.preventDefault());
  fold.addEventListener("click", () => all("main > details").forEach((each) => (each.open = false)));
  unfold.addEventListener("click", () => all("main > details, details.rows").forEach((each) => (each.open = true)));
  form.hidden = false;
})();
