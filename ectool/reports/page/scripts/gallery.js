// The gallery shows one model and one view. A click on a sample compares all models.
function setUpGallery() {
  const source = byId("gallery-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  data.palette = bytesOf(data.palette);
  const form = byId("gallery-controls");
  for (const [view, name] of Object.entries(VIEWS)) {
    const isDefault = view === DEFAULT_VIEW ? { selected: "" } : {};
    const text = viewName(view, name, data.factor);
    form.elements.view.append(make("option", { value: view, ...isDefault }, text));
  }
  const cards = [...document.querySelectorAll(".cards > li")].map((item, index) =>
    setUpCard(item, data.samples[index], index));
  const gallery = { data, form, cards, fields: [...form.elements].filter((field) => field.name) };
  const show = () => showGallery(gallery);
  form.addEventListener("input", () => {
    for (const field of gallery.fields) state.set(field.name, field.value, defaultOf(field));
    show();
  });
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    for (const field of gallery.fields) {
      if (field.name !== "model" && field.name !== "view") state.set(field.name, "");
    }
    show();
  });
  state.follow(show);
  setUpSample(gallery);
}

const viewName = (view, name, factor) => (view === "difference" ? `${name} ×${factor}` : name);

// Returns the initial value of a field: the default or first option, or an empty text.
function defaultOf(field) {
  const options = [...(field.options ?? [])];
  return (options.find((option) => option.defaultSelected) ?? options[0])?.value ?? "";
}

// Replaces the card's image with a canvas. A click opens the sample.
function setUpCard(item, sample, index) {
  const image = item.querySelector("img");
  const canvas = make("canvas");
  const button = make("button", { type: "button" }, canvas);
  image.replaceWith(button);
  button.addEventListener("click", () => openSample(index));
  const text = make("div");
  item.querySelector("figcaption").append(text);
  return { item, sample, canvas, button, text, uri: image.src, label: image.alt };
}

function showGallery({ data, form, cards, fields }) {
  for (const field of fields) {
    field.value = state.get(field.name, defaultOf(field));
    if (field.options && field.selectedIndex < 0) field.value = defaultOf(field);
  }
  const model = form.elements.model.selectedIndex;
  const view = form.elements.view.value;
  for (const card of cards) {
    const result = card.sample.results[model];
    card.item.hidden = !result || !passesFilters(card.sample, result);
    if (!card.item.hidden) showCard(card, result, view, data);
  }
  const count = cards.filter((card) => !card.item.hidden).length;
  byId("gallery-count").textContent = `${count} of ${cards.length} samples`;
}

function passesFilters(sample, result) {
  const filters = {
    correct: result.correct[0],
    incorrect: !result.correct[0],
    flipped: result.correct[0] && !result.correct[1],
  };
  return (
    ["", sample.label].includes(state.get("class"))
    && (filters[state.get("prediction")] ?? true)
    && isInRange(result.consistency, "consistency")
    && isInRange(result.weight, "weight")
  );
}

// Reports whether a number is in the chosen range. An undefined number is in no range.
function isInRange(value, name) {
  const [low, high] = [state.get(`min-${name}`), state.get(`max-${name}`)];
  if (value === null) return low === "" && high === "";
  return (low === "" || value >= Number(low)) && (high === "" || value <= Number(high));
}

function showCard(card, result, view, data) {
  const name = viewName(view, VIEWS[view], data.factor);
  card.button.setAttribute("aria-label", `${card.label}: ${name}; compare models`);
  card.text.replaceChildren(make("span", {}, ...predictions(result)), scores(result));
  draw(card.canvas, view, card.uri, result, data);
}

// Returns both factors of explanation consistency, their product, and the weight, a line each.
function scores(result) {
  const lines = {
    "heatmap similarity": result.similarity,
    "prediction stability": result.stability,
    consistency: result.consistency,
    weight: result.weight,
  };
  return make("dl", { class: "scores" }, ...Object.entries(lines).map(([name, value]) =>
    make("div", {}, make("dt", {}, name), make("dd", {}, decimals(value)))));
}

const decimals = (value) => (value === null ? "-" : value.toFixed(2));

// Returns the predictions for the image and the perturbed image, marked as correct or incorrect.
function predictions(result) {
  return result.predicted.flatMap((name, number) => {
    const isCorrect = result.correct[number];
    const word = isCorrect ? "correct" : "incorrect";
    const prediction = make("span", { class: word }, `${isCorrect ? "✔" : "✖"} ${name}`,
      make("span", { class: "hidden-text" }, ` (${word})`));
    return number === 0 ? [prediction] : [" → ", prediction];
  });
}
