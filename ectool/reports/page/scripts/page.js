// Sets up the page. The page shows all numbers without this script.
function setUpPage() {
  document.documentElement.classList.add("has-script");
  for (const element of document.querySelectorAll("[data-script], #theme")) element.hidden = false;
  setUpTheme();
  setUpTables();
  setUpLeaderboard();
  setUpGallery();
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    if (!link) return;
    event.preventDefault();
    state.anchor = link.hash.slice(1);
    state.write();
    const target = byId(state.anchor);
    target?.scrollIntoView();
    target?.focus({ preventScroll: true });
  });
  addEventListener("hashchange", () => state.apply());
  state.apply();
}

setUpPage();
