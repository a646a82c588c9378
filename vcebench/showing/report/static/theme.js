// Light, dark or what the system says; loaded before the page is drawn so that nothing flashes.
"use strict";

(() => {
  const THEMES = ["auto", "light", "dark"];
  const KEY = "vcebench-theme";
  const root = document.documentElement;

  // A browser may refuse storage to pages opened from a folder.
  const stored = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null;
    }
  };

  const apply = (theme) => {
    if (theme === "auto") delete root.dataset.theme;
    else root.dataset.theme = theme;
    const word = document.querySelector("#theme span");
    if (word) word.textContent = theme;
  };

  let theme = THEMES.includes(stored()) ? stored() : "auto";
  apply(theme);

  window.nextTheme = () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // The choice then holds for this page only.
    }
    apply(theme);
  };

  document.addEventListener("DOMContentLoaded", () => {
    apply(theme);
    document.querySelector("#theme").addEventListener("click", window.nextTheme);
  });
})();
