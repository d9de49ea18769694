// The dialog that compares one sample across all models.
let openSample = () => {};

function setUpSample({ data, form, cards }) {
  const dialog = byId("sample");
  const shown = () => cards.filter((card) => !card.item.hidden);
  const current = () => cards.findIndex((card) => card.sample.id === state.get("sample"));

  const show = () => {
    const index = current();
    if (index < 0) {
      dialog.close();
      return;
    }
    fillSample(dialog, cards[index], data, form.elements.model.selectedIndex);
    if (!dialog.open) dialog.showModal();
  };
  openSample = (index) => {
    state.set("sample", data.samples[index].id);
    show();
  };
  const step = (by) => {
    const order = shown();
    const at = order.indexOf(cards[current()]);
    const next = order[(at + by + order.length) % order.length];
    if (next) openSample(cards.indexOf(next));
  };
  for (const button of dialog.querySelectorAll("[data-step]")) {
    button.addEventListener("click", () => step(Number(button.dataset.step)));
  }
  dialog.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by && !event.target.closest(".scroll")) step(by);
  });
  dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => state.set("sample", ""));
  state.follow(show);
}

function fillSample(dialog, card, data, chosen) {
  byId("sample-title").textContent = `${card.sample.label}: ${card.sample.id}`;
  const table = dialog.querySelector("table");
  const names = Object.entries(VIEWS).map(([view, name]) => viewName(view, name, data.factor));
  const heads = ["model", ...names].map((name) => make("th", { scope: "col" }, name));
  table.tHead.replaceChildren(make("tr", {}, ...heads));
  const models = data.models.map((_, model) => model).filter((model) => card.sample.results[model]);
  models.sort((a, b) => (b === chosen) - (a === chosen));
  table.tBodies[0].replaceChildren(...models.map((model) => sampleRow(card, model, data)));
}

function sampleRow(card, model, data) {
  const result = card.sample.results[model];
  const numbers = make("small", {}, ...predictions(result), scores(result),
    `heatmap maximum ${result.scale.toPrecision(3)}`);
  const cells = Object.keys(VIEWS).map((view) => {
    const label = `${VIEWS[view]} of ${card.sample.id}, ${data.models[model]}`;
    const canvas = make("canvas", { role: "img", "aria-label": label });
    draw(canvas, view, card.uri, result, data);
    return make("td", {}, canvas);
  });
  return make("tr", {}, make("th", { scope: "row" }, data.models[model], numbers), ...cells);
}
