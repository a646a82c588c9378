// Summary tables: a heading sorts by its column, best first, and the other way round when pressed again.
"use strict";

(() => {
  const valueOf = (row, column, numeric) => {
    const text = row.cells[column].dataset.value;
    if (!numeric) return text;
    return text === "" ? null : Number(text);
  };

  const compare = (a, b, numeric, up) => {
    if (a === b) return 0;
    if (a === null) return 1; // missing numbers stay at the end, whichever way
    if (b === null) return -1;
    const order = numeric ? a - b : a.localeCompare(b);
    return up ? order : -order;
  };

  const sort = (table, header) => {
    const kind = header.querySelector("button").dataset.sort;
    const numeric = kind !== "text";
    const first = kind === "higher" ? "descending" : "ascending";
    const second = first === "ascending" ? "descending" : "ascending";
    const direction = header.getAttribute("aria-sort") === first ? second : first;
    const column = header.cellIndex;
    const body = table.tBodies[0];
    const rows = [...body.rows].sort((a, b) =>
      compare(
        valueOf(a, column, numeric),
        valueOf(b, column, numeric),
        numeric,
        direction === "ascending",
      ),
    );
    for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
    header.setAttribute("aria-sort", direction);
    body.append(...rows);
  };

  for (const table of document.querySelectorAll("table.metrics")) {
    for (const header of table.tHead.rows[0].cells) {
      header.querySelector("button").addEventListener("click", () => sort(table, header));
    }
  }
})();
