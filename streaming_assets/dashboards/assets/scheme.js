/* Before anything is drawn: the colours that the visitor chose on an earlier page, else those that the browser prefers. */
(() => {
  const chosen = window.localStorage.getItem("mantine-color-scheme-value"); /* where Mantine keeps what its button sets */
  const dark = window.matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.mantineColorScheme = chosen === "light" || chosen === "dark" ? chosen : dark ? "dark" : "light";
})();
