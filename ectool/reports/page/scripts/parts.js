// The sections of the page open and close without this script. It opens the main sections on a wide
// screen, every section for printing, and the section of a link.
const WIDE = "(min-width: 60rem)";

function setUpParts() {
  const parts = [...document.querySelectorAll("details.part")];
  if (matchMedia(WIDE).matches) {
    for (const part of parts) if ("wide" in part.dataset) part.open = true;
  }
  const button = byId("open-all");
  const show = () => {
    button.textContent = parts.every((part) => part.open) ? "Close all" : "Open all";
  };
  button.addEventListener("click", () => {
    const isOpen = !parts.every((part) => part.open);
    for (const part of parts) part.open = isOpen;
  });
  for (const part of parts) part.addEventListener("toggle", show);
  show();
  openForPrinting();
}

function openForPrinting() {
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("main details:not([open], .without-script)")];
    for (const one of opened) {
      one.dataset.name = one.getAttribute("name") ?? "";
      one.removeAttribute("name"); // of details with one name, only one can be open
      one.open = true;
    }
  });
  addEventListener("afterprint", () => {
    for (const one of opened) {
      one.open = false;
      if (one.dataset.name) one.setAttribute("name", one.dataset.name);
    }
  });
}

// Opens every <details> around an element.
function reveal(element) {
  for (let one = element?.closest("details"); one; one = one.parentElement.closest("details")) {
    one.open = true;
  }
}

// Opens and shows the section of a link.
function goTo(anchor) {
  const target = anchor ? byId(anchor) : null;
  reveal(target);
  target?.scrollIntoView();
  return target;
}
