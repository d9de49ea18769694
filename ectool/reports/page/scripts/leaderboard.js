// The leaderboard is filtered by the name of the model and by groups of metrics.
function setUpLeaderboard() {
  const table = byId("board");
  if (!table) return;
  const search = byId("models");
  const boxes = [...byId("shown-columns").querySelectorAll("input")];
  const initial = boxes.filter((box) => box.defaultChecked).map((box) => box.value).join(",")
    || boxes.map((box) => box.value).join(",");

  const show = () => {
    search.value = state.get("models");
    const chosen = state.get("columns", initial).split(",");
    for (const box of boxes) box.checked = chosen.includes(box.value);
    showColumns(table, chosen);
    showModels(table, search.value);
  };
  search.addEventListener("input", () => {
    state.set("models", search.value);
    show();
  });
  for (const box of boxes) {
    box.addEventListener("change", () => {
      const chosen = boxes.filter((one) => one.checked).map((one) => one.value);
      state.set("columns", chosen.join(",") || "none", initial);
      show();
    });
  }
  state.follow(show);
}

function showColumns(table, chosen) {
  const hidden = [...table.tHead.rows[0].cells].map(({ dataset }) =>
    "suite" in dataset
      && !chosen.includes(dataset.suite)
      && !("headline" in dataset && chosen.includes("headlines")));
  for (const row of table.rows) {
    hidden.forEach((isHidden, column) => { row.cells[column].hidden = isHidden; });
  }
}

function showModels(table, text) {
  const rows = [...table.tBodies[0].rows];
  for (const row of rows) {
    row.hidden = !row.cells[0].textContent.toLowerCase().includes(text.toLowerCase());
  }
  const count = rows.filter((row) => !row.hidden).length;
  byId("models-count").textContent = `${count} of ${rows.length} models`;
}
