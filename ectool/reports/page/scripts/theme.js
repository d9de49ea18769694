// Light, dark, or as the system wants it; remembered where the browser allows that.
const THEMES = ["", "light", "dark"];

function setUpTheme() {
  const button = byId("theme");
  const recall = () => {
    try { return localStorage.getItem("ectool-theme") ?? ""; } catch { return ""; }
  };
  const remember = (theme) => {
    try { localStorage.setItem("ectool-theme", theme); } catch { /* forgotten on closing */ }
  };
  const show = (theme) => {
    document.documentElement.dataset.theme = theme;
    button.textContent = `Theme: ${theme || "as the system"}`;
  };
  button.addEventListener("click", () => {
    const theme = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length];
    remember(theme);
    show(theme);
  });
  show(recall());
}
