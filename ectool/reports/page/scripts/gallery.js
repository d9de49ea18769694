// The gallery: one model and view at a time, filtered; a click shows all models side by side.
function setUpGallery() {
  const source = byId("gallery-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  data.palette = bytesOf(data.palette);
  const form = byId("gallery-controls");
  for (const [view, name] of Object.entries(VIEWS)) {
    form.elements.view.append(make("option", { value: view }, viewName(view, name, data.factor)));
  }
  const cards = [...document.querySelectorAll(".cards > li")].map((item, index) =>
    setUpCard(item, data.samples[index], index));
  const gallery = { data, form, cards, fields: [...form.elements].filter((field) => field.name) };
  const show = () => showGallery(gallery);
  form.addEventListener("input", () => {
    for (const field of gallery.fields) state.set(field.name, field.value, usual(field));
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

// Return what a field holds unless somebody chooses: the first option, or nothing.
const usual = (field) => field.options?.[0].value ?? "";

// Put a canvas that opens the sample in the place of the card's image.
function setUpCard(item, sample, index) {
  const image = item.querySelector("img");
  const canvas = make("canvas");
  const button = make("button", { type: "button" }, canvas);
  image.replaceWith(button);
  button.addEventListener("click", () => openSample(index));
  const said = make("span");
  item.querySelector("figcaption").append(make("br"), said);
  return { item, sample, canvas, button, said, uri: image.src, label: image.alt };
}

function showGallery({ data, form, cards, fields }) {
  for (const field of fields) {
    field.value = state.get(field.name, usual(field));
    if (field.options && field.selectedIndex < 0) field.selectedIndex = 0;
  }
  const model = form.elements.model.selectedIndex;
  const view = form.elements.view.value;
  for (const card of cards) {
    const seen = card.sample.seen[model];
    card.item.hidden = !seen || !isWanted(card.sample, seen);
    if (!card.item.hidden) showCard(card, seen, view, data);
  }
  const count = cards.filter((card) => !card.item.hidden).length;
  byId("gallery-count").textContent = `${count} of ${cards.length} samples`;
}

function isWanted(sample, seen) {
  const answers = {
    right: seen.correct[0],
    wrong: !seen.correct[0],
    fooled: seen.correct[0] && !seen.correct[1],
  };
  return (
    ["", sample.label].includes(state.get("class"))
    && (answers[state.get("answer")] ?? true)
    && isWithin(seen.consistency, "consistency")
    && isWithin(seen.weight, "weight")
  );
}

// Tell whether a number lies in the range asked for; an undefined one lies in none.
function isWithin(value, name) {
  const [low, high] = [state.get(`min-${name}`), state.get(`max-${name}`)];
  if (value === null) return low === "" && high === "";
  return (low === "" || value >= Number(low)) && (high === "" || value <= Number(high));
}

function showCard(card, seen, view, data) {
  const name = viewName(view, VIEWS[view], data.factor);
  card.button.setAttribute("aria-label", `${card.label}: ${name}; compare models`);
  card.said.replaceChildren(...answer(seen), ` · consistency ${spelled(seen.consistency)}`
    + ` · weight ${spelled(seen.weight)}`);
  draw(card.canvas, view, card.uri, seen, data);
}

const spelled = (value) => (value === null ? "-" : value.toFixed(2));

// Say what a model answers, before and after the perturbation, and whether that is right.
function answer(seen) {
  return seen.predicted.flatMap((name, number) => {
    const isRight = seen.correct[number];
    const text = `${isRight ? "✔" : "✖"} ${name}`;
    const said = make("span", { class: isRight ? "right" : "wrong" }, text,
      make("span", { class: "said" }, isRight ? " (right)" : " (wrong)"));
    return number === 0 ? [said] : [" → ", said];
  });
}
