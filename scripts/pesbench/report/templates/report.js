"use strict";
// Sort a table by a click on a column's title: numbers by value, texts naturally, empty cells last.
function sortBy(th) {
  const table = th.closest("table"), body = table.tBodies[0], column = th.cellIndex;
  const up = th.getAttribute("aria-sort") !== "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  th.setAttribute("aria-sort", up ? "ascending" : "descending");
  const numeric = th.classList.contains("n");
  const key = (row) => {
    const td = row.cells[column];
    if (numeric) return td.dataset.v === undefined ? null : Number(td.dataset.v);
    return td.textContent.trim() || null;
  };
  const rows = Array.from(body.rows, (row) => [key(row), row]);
  rows.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null);
    const order = numeric ? a - b : a.localeCompare(b, "en", { numeric: true });
    return up ? order : -order;
  });
  body.append(...rows.map(([, row]) => row));
}
document.addEventListener("click", (event) => {
  const button = event.target.closest("th button");
  if (button) sortBy(button.parentElement);
});

// Filter: every word must be in the row; NFKC lets "Cr2O3" find the one with subscripts.
const plain = (text) => text.normalize("NFKC").toLowerCase();
document.addEventListener("input", (event) => {
  const input = event.target;
  if (!input.dataset || !input.dataset.for) return;
  const block = document.getElementById(input.dataset.for), words = plain(input.value).split(/\s+/).filter(Boolean);
  const rows = Array.from(block.querySelectorAll("tbody tr"));
  for (const row of rows) {
    const text = plain(Array.from(row.cells, (cell) => cell.textContent).join(" "));
    row.hidden = !words.every((word) => text.includes(word));
  }
  const shown = rows.filter((row) => !row.hidden).length;
  block.querySelector("output").textContent = words.length ? `${shown} of ${rows.length} rows` : `${rows.length} rows`;
});

// Hover: tell what a point is, and mark the same surface in every plot.
const tip = document.getElementById("tip");
function leave() {
  tip.hidden = true;
  for (const point of document.querySelectorAll(".pt.same")) point.classList.remove("same");
}
document.addEventListener("mouseover", (event) => {
  const point = event.target.closest && event.target.closest(".pt");
  leave();
  if (!point) return;
  tip.textContent = point.dataset.tip;
  tip.hidden = false;
  const width = tip.offsetWidth, height = tip.offsetHeight;
  tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 4))}px`;
  tip.style.top = `${event.clientY + 14 + height > innerHeight ? event.clientY - 14 - height : event.clientY + 14}px`;
  for (const same of document.querySelectorAll(`.pt[data-key="${CSS.escape(point.dataset.key)}"]`)) same.classList.add("same");
});
document.addEventListener("scroll", leave, true);

// A link to something folded opens it.
function unfold() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target && target.tagName === "DETAILS") { target.open = true; target.scrollIntoView(); }
}
addEventListener("hashchange", unfold);
unfold();
