// Sets up the page. The page shows all numbers without this script.
function setUpPage() {
  document.documentElement.classList.add("has-script");
  for (const element of document.querySelectorAll("[data-script], #theme, #open-all")) element.hidden = false;
  setUpTheme();
  setUpParts();
  setUpTables();
  setUpLeaderboard();
  setUpGallery();
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    if (!link) return;
    event.preventDefault();
    state.anchor = link.hash.slice(1);
    state.write();
    goTo(state.anchor)?.focus({ preventScroll: true });
  });
  addEventListener("hashchange", () => state.apply());
  state.apply();
}

setUpPage();
