// Theme of the page: light, dark, or that of the system. The browser stores the choice.
const THEMES = ["", "light", "dark"];

function setUpTheme() {
  const button = byId("theme");
  const recall = () => {
    try { return localStorage.getItem("ectool-theme") ?? ""; } catch { return ""; }
  };
  const remember = (theme) => {
    try { localStorage.setItem("ectool-theme", theme); } catch { /* storage is disabled */ }
  };
  const show = (theme) => {
    document.documentElement.dataset.theme = theme;
    button.textContent = `Theme: ${theme || "system"}`;
  };
  button.addEventListener("click", () => {
    const theme = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length];
    remember(theme);
    show(theme);
  });
  show(recall());
}
