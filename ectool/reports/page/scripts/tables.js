// Tables are sorted by the buttons in their headers.
const ORDERS = { ascending: 1, descending: -1 };

function setUpTables() {
  for (const table of document.querySelectorAll("table[data-sortable]")) setUpSorting(table);
}

function setUpSorting(table) {
  const key = `sort-${table.id}`;
  const headers = [...table.tHead.rows[0].cells];
  const rows = [...table.tBodies[0].rows];
  for (const header of headers) {
    const button = make("button", { type: "button" }, ...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => {
      state.set(key, nextOrder(header));
      show();
    });
  }
  const show = () => {
    const [name, order] = splitOrder(state.get(key));
    const column = headers.findIndex((header) => header.dataset.name === name);
    headers.forEach((header, at) => header.setAttribute("aria-sort", at === column ? order : "none"));
    table.tBodies[0].append(...(column < 0 ? rows : sorted(rows, column, ORDERS[order])));
  };
  state.follow(show);
}

// Returns the next order of a column: best first, then worst first, then unsorted.
function nextOrder(header) {
  const first = header.dataset.first ?? "ascending";
  const second = first === "ascending" ? "descending" : "ascending";
  const now = header.getAttribute("aria-sort");
  const next = { [first]: second, [second]: "", none: first }[now];
  return next && `${header.dataset.name}:${next}`;
}

function splitOrder(text) {
  const at = text.lastIndexOf(":");
  const order = text.slice(at + 1);
  return order in ORDERS ? [text.slice(0, at), order] : ["", "none"];
}

// Sorts numbers by value and texts by letters. Undefined values come last in both orders.
function sorted(rows, column, sign) {
  const value = (row) => {
    const cell = row.cells[column];
    return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent;
  };
  const compare = (a, b) => {
    if (typeof a === "string") return sign * a.localeCompare(b, undefined, { numeric: true });
    if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
    return sign * (a - b);
  };
  return [...rows].sort((first, second) => compare(value(first), value(second)));
}
