// What all pages share: keys, dialogs, colours, times, and one submission for each click.
//
// Markup that it looks for:
//   data-key="a"          pressing the key presses the button, follows the link or focuses the field
//   data-rows             on a table or list: j and k move between its [data-open] links
//   data-opens="id"       opens that <dialog>; data-closes closes the one around it
//   data-once             on a form: it is sent once (htmx forms: once at a time)
//   data-dismiss          removes the message around it
//   data-when="ago|left"  on <time>: kept up to date
(function () {
  "use strict";

  const MINUTE = 60, HOUR = 3600, DAY = 86400;
  const root = document.documentElement;

  // --- keys ---------------------------------------------------------------------------------------------------------

  function isTyping(target) {
    if (!(target instanceof Element)) return false;
    if (target.closest("textarea, select, [contenteditable]")) return true;
    const input = target.closest("input");
    return input !== null && !["checkbox", "radio", "button", "submit"].includes(input.type);
  }

  function isVisible(element) {
    return element.getClientRects().length > 0 && !element.disabled;
  }

  function rows() {
    return [...document.querySelectorAll("[data-rows] [data-open]")].filter(isVisible);
  }

  function move(step) {
    const all = rows();
    if (!all.length) return false;
    const here = document.activeElement?.closest("[data-rows] tr, [data-rows] li");
    const at = all.findIndex((link) => here !== null && here !== undefined && here.contains(link));
    const next = at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + step, 0), all.length - 1);
    all[next].focus();
    all[next].closest("tr, li")?.scrollIntoView({ block: "nearest" });
    return true;
  }

  function press(key) {
    const wanted = [...document.querySelectorAll(`[data-key="${CSS.escape(key)}"]`)].find(isVisible);
    if (!wanted) return false;
    if (wanted.matches("input, textarea, select")) {
      wanted.focus();
      wanted.select?.();
    } else {
      wanted.focus();
      wanted.click();
    }
    return true;
  }

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.key === "Escape" && isTyping(event.target) && !event.target.closest("dialog")) {
      event.target.blur();
      return;
    }
    if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
    const done = event.key === "?" ? open("keys") : event.key === "j" ? move(1) : event.key === "k" ? move(-1)
      : event.key.length === 1 && press(event.key);
    if (done) event.preventDefault();
  });

  function listKeys() {
    const list = document.querySelector("[data-keys]");
    if (!list) return;
    list.querySelectorAll("[data-own]").forEach((line) => line.remove());
    const seen = new Set(["/"]);
    for (const element of document.querySelectorAll("[data-key]")) {
      const key = element.dataset.key;
      const text = (element.querySelector("[data-says]") ?? element).textContent.trim();
      if (seen.has(key) || !text || !isVisible(element)) continue;
      seen.add(key);
      const line = document.createElement("div"), term = document.createElement("dt"), what = document.createElement("dd");
      const cap = document.createElement("kbd");
      line.dataset.own = "";
      cap.className = "key";
      cap.textContent = key.length === 1 ? key.toUpperCase() : key;
      term.append(cap);
      what.textContent = text;
      line.append(term, what);
      list.append(line);
    }
  }

  // --- dialogs ------------------------------------------------------------------------------------------------------

  function open(id) {
    const dialog = document.getElementById(id);
    if (!dialog || dialog.open) return false;
    if (id === "keys") listKeys();
    dialog.showModal();
    const first = dialog.querySelector("[autofocus], textarea, input:not([type=hidden]), select") ??
      dialog.querySelector("button[type=submit], [data-closes]");
    first?.focus();
    return true;
  }

  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element)) return;
    const opener = event.target.closest("[data-opens]");
    if (opener) open(opener.dataset.opens);
    if (event.target.closest("[data-closes]")) event.target.closest("dialog")?.close();
    if (event.target.closest("[data-dismiss]")) event.target.closest(".flash")?.remove();
    if (event.target.closest("[data-theme-toggle]")) nextTheme();
    if (event.target instanceof HTMLDialogElement) closeOutside(event);
  });

  function closeOutside(event) {
    const box = event.target.getBoundingClientRect();
    const inside = event.clientX >= box.left && event.clientX <= box.right &&
      event.clientY >= box.top && event.clientY <= box.bottom;
    if (!inside) event.target.close();
  }

  // --- once ---------------------------------------------------------------------------------------------------------

  function release(form) {
    delete form.dataset.busy;
    form.removeAttribute("aria-busy");
    for (const button of form.querySelectorAll("button[data-held]")) {
      button.disabled = false;
      delete button.dataset.held;
    }
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || !("once" in form.dataset)) return;
    if ("busy" in form.dataset) {
      event.preventDefault();
      event.stopImmediatePropagation();
      return;
    }
    form.dataset.busy = "";
    form.setAttribute("aria-busy", "true");
    // A moment later: a disabled button would not be sent.
    setTimeout(() => {
      if (event.defaultPrevented && !form.matches("[hx-post], [hx-put], [hx-delete]")) return release(form);
      for (const button of form.querySelectorAll("button[type=submit]:not(:disabled)")) {
        button.disabled = true;
        button.dataset.held = "";
      }
    });
  }, true);

  document.addEventListener("htmx:afterRequest", (event) => {
    const form = event.target instanceof Element ? event.target.closest("form[data-busy]") : null;
    if (form) release(form);
  });
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) document.querySelectorAll("form[data-busy]").forEach(release);
  });

  // --- colours ------------------------------------------------------------------------------------------------------

  function nextTheme() {
    const order = ["system", "light", "dark"];
    const next = order[(order.indexOf(root.dataset.theme ?? "system") + 1) % order.length];
    if (next === "system") delete root.dataset.theme;
    else root.dataset.theme = next;
    try {
      localStorage.setItem("engross-theme", next);
    } catch (error) {
      // Storage is forbidden here: it holds for this page.
    }
    tellTheme();
  }

  function tellTheme() {
    const name = { light: "light", dark: "dark" }[root.dataset.theme] ?? "as the system";
    document.querySelectorAll("[data-theme-toggle]").forEach((button) => {
      button.setAttribute("aria-label", `Colours: ${name}`);
      button.title = `Colours: ${name}`;
    });
  }

  // --- times --------------------------------------------------------------------------------------------------------

  function span(seconds) {
    if (seconds < MINUTE) return "under a minute";
    if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)} min`;
    if (seconds < 2 * DAY) return `${Math.floor(seconds / HOUR)} h`;
    return `${Math.floor(seconds / DAY)} d`;
  }

  function tellTimes() {
    for (const time of document.querySelectorAll("time[data-when]")) {
      const at = Date.parse(time.dateTime);
      if (Number.isNaN(at)) continue;
      const seconds = (at - Date.now()) / 1000;
      if (time.dataset.when === "left") {
        say(time, seconds < 0 ? `${span(-seconds)} overdue` : `${span(seconds)} left`);
        time.classList.toggle("due-overdue", seconds < 0);
        time.classList.toggle("due-soon", seconds >= 0 && seconds < 4 * HOUR);
      } else if (-seconds < 14 * DAY) {
        say(time, -seconds < MINUTE ? "just now" : `${span(-seconds)} ago`);
      }
      if (!("local" in time.dataset)) {
        time.dataset.local = "";
        time.title = `${new Date(at).toLocaleString()} (${time.title})`;
      }
    }
  }

  function say(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  tellTheme();
  tellTimes();
  setInterval(tellTimes, 30000);
  document.addEventListener("htmx:load", tellTimes);
  document.querySelector("[data-summary]")?.focus();
})();
