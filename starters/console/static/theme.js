// Runs before the page is painted: the colours that somebody chose, instead of those of the system.
(function () {
  "use strict";
  try {
    const chosen = localStorage.getItem("engross-theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch (error) {
    // Storage is forbidden here: the system's colours it is.
  }
})();
