// Headers of tables become buttons: up, down, as it was. Rows stay below the result that they are compared with.
"use strict";
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const body = table.tBodies[0];
  const groups = [];
  for (const row of body.rows) {
    if (!table.querySelector("tr.strong") || row.classList.contains("strong") || !groups.length) groups.push([]);
    groups.at(-1).push(row);
  }
  if (groups.length < 2) continue;
  const heads = [...table.tHead.rows[0].cells];
  const text = (row, column) => row.cells[column].textContent.trim();
  // Numbers as they are printed: thousands with commas, a minus sign, times in s, min and h.
  const unit = { s: 1, min: 60, h: 3600 };
  const number = (shown) => {
    const found = shown.replaceAll(",", "").replace("−", "-").match(/^(-?\d+(?:\.\d+)?)\s*(s|min|h)?\b/);
    return found ? Number(found[1]) * (unit[found[2]] ?? 1) : null;
  };
  const key = (group, column) => group.map((row) => text(row, column)).find((shown) => shown) ?? "";
  const compare = (a, b) => {
    const [x, y] = [number(a), number(b)];
    return x !== null && y !== null ? x - y : a.localeCompare(b, "en", { numeric: true });
  };
  const show = (column, way) => {
    const order = [...groups];
    if (way) {
      order.sort((a, b) => {
        const [x, y] = [key(a, column), key(b, column)];
        return x && y ? way * compare(x, y) : Number(!x) - Number(!y);
      });
    }
    body.append(...order.flat());
    heads.forEach((head, place) => {
      if (place === column && way) head.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
  };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.title = "Sort by this column";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const state = head.getAttribute("aria-sort");
      show(column, state === "ascending" ? -1 : state === "descending" ? 0 : 1);
    });
  });
}
